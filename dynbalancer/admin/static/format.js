// Numbers and times for people.

const units = [[86400, "d"], [3600, "h"], [60, "min"], [1, "s"]];
let ahead = 0;

/** Take the server's clock as the right one. */
export function setClock(serverSeconds) {
  ahead = serverSeconds - Date.now() / 1000;
}

/** Unix seconds by the server's clock. */
export function now() {
  return Date.now() / 1000 + ahead;
}

/** "3 h 12 min". */
export function duration(seconds) {
  const whole = Math.max(0, Math.floor(seconds));
  const at = units.findIndex(([size]) => whole >= size);
  if (at < 0) return "0 s";
  const [size, unit] = units[at];
  const first = `${Math.floor(whole / size)} ${unit}`;
  if (at + 1 >= units.length || at === 2) return first;
  const [smaller, smallUnit] = units[at + 1];
  const rest = Math.floor((whole % size) / smaller);
  return rest ? `${first} ${rest} ${smallUnit}` : first;
}

/** "12 s ago", or "never" for a time that never was. */
export function ago(at) {
  if (!at) return "never";
  const passed = now() - at;
  return passed < 1 ? "just now" : `${duration(passed)} ago`;
}

/** 12,345 as "12.3 k". */
export function count(number) {
  if (number < 10000) return number.toLocaleString("en");
  for (const [size, unit] of [[1e9, "G"], [1e6, "M"], [1e3, "k"]]) {
    if (number >= size) return `${(number / size).toFixed(number >= 100 * size ? 0 : 1)} ${unit}`;
  }
  return String(number);
}

/** "1 router", "2 routers". */
export function some(number, word) {
  return `${count(number)} ${word}${number === 1 ? "" : "s"}`;
}

/** Octets as "1.2 MB". */
export function size(octets) {
  for (const [step, unit] of [[1e12, "TB"], [1e9, "GB"], [1e6, "MB"], [1e3, "kB"]]) {
    if (octets >= step) return `${(octets / step).toFixed(octets >= 100 * step ? 0 : 1)} ${unit}`;
  }
  return `${octets} B`;
}

/** Seconds as "4.2 ms". */
export function brief(seconds) {
  if (seconds >= 1) return `${seconds.toFixed(2)} s`;
  const milliseconds = seconds * 1000;
  return `${milliseconds.toFixed(milliseconds >= 10 ? 0 : milliseconds >= 1 ? 1 : 2)} ms`;
}
