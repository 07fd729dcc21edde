// The figures at the top, and the counts in the lists.

import { chip, el, link, setText, svg } from "./dom.js";
import * as format from "./format.js";

const byId = (id) => document.getElementById(id);
const counts = { routers: {}, services: {}, servers: {} };
const flows = { tcp: {}, udp: {} };
let breakers = {};
const times = { routers: {}, services: {}, servers: {} };
const lately = {};

/** Take new statistics: all of them, or what one second brought. */
export function take(found) {
  for (const family of Object.keys(counts)) {
    for (const [name, tally] of Object.entries(found[family] || {})) {
      counts[family][name] = tally.count;
      times[family][name] = tally.p95;
    }
  }
  for (const [key, tally] of Object.entries(found.servers || {})) lately[key] = tally.lately;
  for (const [root, kinds] of Object.entries(found.streams || {})) {
    for (const [kind, names] of Object.entries(kinds)) flows[root][kind] = Object.assign(flows[root][kind] || {}, names);
  }
  breakers = found.breakers || {};
  const perSecond = found.perSecond || [];
  setText(byId("rate"), format.count(perSecond.at(-1) || 0));
  setText(byId("rate-peak"), `peak ${format.count(Math.max(0, ...perSecond))}`);
  spark(perSecond);
  setText(byId("total"), format.count(found.count));
  classes(found.statuses);
  setText(byId("open"), format.count(found.openConnections));
  setText(byId("in-flight"), `open · ${format.some(found.inFlight, "request")} in flight`);
  setText(byId("mean"), found.count ? format.brief(found.seconds / found.count) : "–");
  setText(byId("moved"), `${format.size(found.bytesIn)} in · ${format.size(found.bytesOut)} out`);
  shown(document);
}

/** Put the counts known so far into the elements that show them. */
export function shown(within) {
  for (const node of within.querySelectorAll("[data-count]")) {
    setText(node, format.count(counts[node.dataset.family][node.dataset.count] || 0));
  }
  for (const node of within.querySelectorAll("[data-p95]")) {
    const seconds = times[node.dataset.family][node.dataset.p95];
    setText(node, typeof seconds === "number" ? format.brief(seconds) : "–");
  }
  for (const node of within.querySelectorAll("[data-flow]")) setText(node, flowed(node.dataset));
  for (const node of within.querySelectorAll("[data-breakers]")) broken(node);
  shares([...within.querySelectorAll("[data-share]")]);
}

/** How the requests of each service were spread over its servers lately: not since the start, for then who came later looks idle. */
function shares(bars) {
  const sums = {};
  for (const { dataset } of bars) sums[dataset.of] = (sums[dataset.of] || 0) + (lately[dataset.share] || 0);
  for (const bar of bars) {
    const sum = sums[bar.dataset.of];
    const percent = sum ? Math.round(((lately[bar.dataset.share] || 0) / sum) * 100) : 0;
    bar.firstChild.style.width = `${percent}%`;
    setText(bar.nextSibling, sum ? `${percent} %` : "–");
  }
}

/** A count of TCP or UDP as it is written. */
function flowed({ flow, kind, name, shown: what }) {
  const found = (flows[flow][kind] || {})[name] || { connections: 0, open: 0, bytesIn: 0, bytesOut: 0, refused: 0 };
  const refused = found.refused ? ` · ${format.count(found.refused)} ${kind === "servers" ? "failed" : "refused"}` : "";
  if (what === "open") return `${format.count(found.open)} open${refused}`;
  if (what === "connections") return format.count(found.connections) + (kind === "servers" ? refused : "");
  return `${format.size(found[what])} ${what === "bytesIn" ? "in" : "out"}`;
}

/** Write which circuit breakers are not closed: those of a middleware, or those in the way of a router. */
function broken(node) {
  const { breakers: by, name } = node.dataset;
  const mine = [];
  for (const [middleware, routers] of Object.entries(breakers)) {
    for (const [router, found] of Object.entries(routers)) {
      if ((by === "router" ? router : middleware) !== name) continue;
      mine.push({ other: by === "router" ? middleware : router, section: by === "router" ? "middlewares" : "routers", ...found });
    }
  }
  const signature = JSON.stringify(mine);
  if (node.dataset.shown === signature) return;
  node.dataset.shown = signature;
  const closed = by === "middleware" && !mine.length ? [el("div", { class: "sub faint" }, "closed for all")] : [];
  node.replaceChildren(...closed, ...mine.map((found) => el("div", { class: "sub" },
    chip(found.state === "open" ? "disabled" : "warning", `breaker ${found.state}`), " ", link(found.section, found.other),
    found.seconds ? el("span", { class: "faint number" }, `, ${Math.ceil(found.seconds)} s more`) : null)));
}

function spark(perSecond) {
  const drawing = byId("spark");
  const peak = Math.max(1, ...perSecond);
  const step = 240 / Math.max(1, perSecond.length - 1);
  const points = perSecond.map((number, at) => `${(at * step).toFixed(1)},${(42 - (number / peak) * 38).toFixed(1)}`);
  let [area, line] = drawing.children;
  if (!line) {
    area = svg("path", { class: "area" });
    line = svg("path", { class: "line" });
    drawing.append(area, line);
  }
  if (!points.length) return;
  line.setAttribute("d", `M${points.join("L")}`);
  area.setAttribute("d", `M0,44L${points.join("L")}L240,44Z`);
}

function classes(statuses) {
  const sums = {};
  for (const [status, number] of Object.entries(statuses)) sums[status[0]] = (sums[status[0]] || 0) + number;
  const total = Object.values(sums).reduce((a, b) => a + b, 0);
  const holder = byId("classes");
  if (holder.dataset.shown === JSON.stringify(sums)) return;
  holder.dataset.shown = JSON.stringify(sums);
  const bar = el("div", { class: "stack", "aria-hidden": "true" });
  const words = el("p", { class: "legend" });
  for (const kind of ["1", "2", "3", "4", "5"]) {
    if (!sums[kind]) continue;
    const piece = el("i", { class: `s${kind}` });
    piece.style.flexGrow = String(Math.max(sums[kind] / total, 0.015));
    bar.append(piece);
    words.append(el("span", {}, el("i", { class: `dot s${kind}` }), `${kind}xx ${format.count(sums[kind])}`));
  }
  holder.replaceChildren(bar, words);
}

/** What the state says: version, table, entry points, servers. */
export function facts(state) {
  setText(byId("version"), state.version);
  setText(byId("table-number"), `table #${state.table.number}`);
  setText(byId("table-cause"), state.table.cause);
  byId("table-cause").title = state.table.cause;
  byId("uptime").dataset.started = String(state.started);
  setText(byId("uptime"), format.duration(format.now() - state.started));
  setText(byId("since"), `since ${new Date(state.started * 1000).toLocaleString([], { dateStyle: "medium", timeStyle: "short" })}`);
  const servers = state.services.flatMap((service) => service.servers);
  const tally = {};
  for (const server of servers) tally[server.state] = (tally[server.state] || 0) + 1;
  setText(byId("ready"), format.count(tally.ready || 0));
  const others = Object.entries(tally).filter(([name]) => name !== "ready").map(([name, number]) => `${number} ${name}`);
  setText(byId("not-ready"), `of ${format.count(servers.length)}${others.map((text) => ` · ${text}`).join("")}`);
  const reasons = {};
  for (const { health } of servers) {
    // Where it was is said at each of them.
    const why = health && !health.up ? health.why.replace(/^\S+:\d+: /, "") : null;
    if (why !== null) reasons[why] = (reasons[why] || 0) + 1;
  }
  byId("unwell").replaceChildren(...Object.entries(reasons).sort((a, b) => b[1] - a[1]).slice(0, 3).map(([why, number]) => el("div", { class: "bad" }, `${number} × ${why}`)));
  const on = {};
  for (const router of [...state.routers, ...state.streams]) for (const name of router.using || []) on[name] = (on[name] || 0) + 1;
  byId("entry-points").replaceChildren(...state.entryPoints.map((point) =>
    el("li", {}, el("b", {}, point.name), el("code", {}, point.address), el("span", { class: "faint" }, `${on[point.name] || 0} router${on[point.name] === 1 ? "" : "s"}`))));
}
