// Asking the API, and listening to it. EventSource can't send an Authorization field, so the stream is read by fetch.

const api = "../api/";
let token = sessionStorage.getItem("token") || "";

/** Thrown where the API wants a token, or another one. */
export class NeedsToken extends Error {}

/** Use this token from now on. */
export function setToken(given) {
  token = given;
  sessionStorage.setItem("token", given);
}

/** Whether there is one. */
export function hasToken() {
  return token !== "";
}

async function ask(path, options = {}) {
  const headers = token ? { Authorization: `Bearer ${token}` } : {};
  const response = await fetch(api + path, { cache: "no-store", headers, ...options });
  if (response.status === 401) throw new NeedsToken();
  return response;
}

/** The JSON at a path of the API. Fails with the API's words. */
export async function get(path) {
  const response = await ask(path);
  const text = await response.text();
  let found;
  try {
    found = JSON.parse(text);
  } catch {
    throw new Error(`${response.status} ${text.slice(0, 200)}`);
  }
  if (!response.ok) throw new Error(found.message || String(response.status));
  return found;
}

/** Listen for ever: `heard(event, value)` for each event, `changed(state)` when the connection comes or goes. */
export async function listen(heard, changed) {
  let wait = 500;
  for (;;) {
    try {
      const response = await ask("events");
      if (!response.ok) throw new Error(String(response.status));
      changed("live");
      wait = 500;
      await read(response.body.getReader(), heard);
    } catch (error) {
      if (error instanceof NeedsToken) {
        changed("token");
        return;
      }
    }
    changed("lost");
    await new Promise((resolve) => setTimeout(resolve, wait));
    wait = Math.min(wait * 2, 15000);
  }
}

async function read(reader, heard) {
  const decoder = new TextDecoder();
  let rest = "";
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    const frames = (rest + decoder.decode(value, { stream: true })).split("\n\n");
    rest = frames.pop();
    for (const frame of frames) {
      const event = /^event: (.*)$/m.exec(frame);
      const data = /^data: (.*)$/m.exec(frame);
      if (event && data) heard(event[1], JSON.parse(data[1]));
    }
  }
}
