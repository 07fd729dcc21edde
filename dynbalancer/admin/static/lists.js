// The lists: for each, where its items are, what a search looks into, and how one is shown.

import { chip, el, link, toggle } from "./dom.js";
import * as format from "./format.js";

/** An element whose text says how long ago something was; app.js keeps it right. */
export function when(at, prefix = "") {
  const node = el("time", { data: { at: String(at), prefix } }, prefix + format.ago(at));
  if (at) {
    node.dateTime = new Date(at * 1000).toISOString();
    node.title = new Date(at * 1000).toLocaleString();
  }
  return node;
}

/** An element that shows a count of the statistics; app.js keeps it right. */
function counted(family, name) {
  return el("span", { class: "number", data: { family, count: name } }, "0");
}

/** The same for the time within which 95 of 100 were answered. */
function timed(family, name) {
  return el("span", { class: "number", data: { family, p95: name } }, "–");
}

/** A count of TCP or UDP: of a router, service or server (`kind`), one of its `counts`. */
function flowed(root, kind, name, shown) {
  return el("span", { class: "number", data: { flow: root, kind, name, shown } }, "–");
}

/** What breakers that are not closed say: of a middleware by router, or of a router. */
function breakers(by, name) {
  return el("div", { class: "breakers", data: { breakers: by, name } });
}

function opener(text, label) {
  const open = (event) => toggle(event.currentTarget.closest(".item"));
  return el("button", { type: "button", class: "opener", "aria-expanded": "false", "aria-label": label, on: { click: open } }, text);
}

function facts(pairs) {
  const shown = pairs.filter(([, value]) => value !== "" && value !== null && value !== undefined && value.length !== 0);
  return el("dl", { class: "facts" }, shown.map(([name, value]) => [el("dt", {}, name), el("dd", {}, value)]));
}

function listed(nodes, nothing = "–") {
  return nodes.length ? nodes.flatMap((node, at) => (at ? [", ", node] : [node])) : nothing;
}

/** Who uses it: routers, and others than routers by what they are too. */
function users(entry) {
  const kinds = { services: "service ", middlewares: "chain ", overview: "entry point " };
  return listed(entry.users.map((user) => el("span", {}, kinds[user.section] || "",
    user.section === "overview" ? user.name : link(user.section, user.section === "streams" ? `tcp ${user.name}` : user.name, user.name))), "nobody");
}

/** A rule, or a trace of one, as a tree. */
export function tree(node) {
  const verdict = node.matched === undefined ? null : String(node.matched);
  const mark = verdict === null ? null : el("span", { class: "mark" }, verdict === "true" ? "✓ " : "✗ ");
  const spoken = verdict === null ? null : el("span", { class: "hidden" }, verdict === "true" ? "true: " : "false: ");
  if (node.matcher) {
    const written = node.arguments.map((argument) => `\`${argument}\``).join(", ");
    return el("li", { data: verdict === null ? {} : { verdict } }, mark, spoken, el("code", {}, el("b", {}, node.matcher), `(${written})`));
  }
  const words = { and: "all of", or: "any of", not: "not" };
  return el("li", { data: verdict === null ? {} : { verdict } }, mark, spoken,
    el("span", { class: "op" }, words[node.op] || node.op), el("ul", {}, (node.children || []).map(tree)));
}

function errors(entry) {
  return (entry.error || []).map((text) => el("p", { class: entry.status === "disabled" ? "bad" : "warn" }, text));
}

function router(entry) {
  const middlewares = entry.middlewares || [];
  const details = el("div", { class: "detail" },
    errors(entry),
    entry.tree ? el("ul", { class: "tree" }, tree(entry.tree)) : null,
    facts([
      ["Middlewares", listed(middlewares.map((name) => link("middlewares", name)))],
      ["Priority", entry.priorityStr],
      ["Written as", `Traefik ${entry.dialect}`],
      ["TLS", entry.tls ? "yes" : "no"],
      ["From", entry.origin],
    ]));
  return el("tbody", {},
    el("tr", {},
      el("td", { data: { label: "Status" } }, chip(entry.status)),
      el("th", { scope: "row", data: { label: "Rule" } }, opener(el("code", { class: "rule" }, entry.rule || "(empty rule)"), `Details of router ${entry.name}`),
        el("div", { class: "sub" }, el("span", { class: "faint" }, entry.name),
          middlewares.length ? el("span", { class: "faint" }, ` · ${format.some(middlewares.length, "middleware")}`) : null),
        breakers("router", entry.name),
        entry.error ? el("div", { class: `sub ${entry.status === "disabled" ? "bad" : "warn"}` }, entry.error[0]) : null),
      el("td", { data: { label: "Service" } }, entry.serviceName ? link("services", entry.serviceName) : "–"),
      el("td", { data: { label: "On" } }, (entry.using || entry.entryPoints).map((name) => el("span", { class: "tag" }, name))),
      el("td", { data: { label: "From" } }, entry.provider),
      el("td", { class: "right", data: { label: "Requests" } }, counted("routers", entry.name)),
      el("td", { class: "right", data: { label: "p95" } }, timed("routers", entry.name))),
    el("tr", { class: "detail-row" }, el("td", { colspan: "7" }, details)));
}

/** What the health check says of a server: why it is out, or that it passes. */
function health(found) {
  if (!found) return null;
  if (found.up) return el("div", { class: "sub faint" }, "passes its health check");
  const times = found.failures > 1 ? `, ${found.failures} times` : "";
  return el("div", { class: "sub bad" }, `health check: ${found.why}${times}, since `, when(found.since));
}

const ofWhat = "of the requests to this service in the last 30 to 60 seconds";

function server(service, entry) {
  const key = `${service.name} ${entry.url}`;
  const said = entry.health ? el("tr", { class: "said" }, el("td", { colspan: "6" }, health(entry.health))) : null;
  return [el("tr", {},
    el("td", { data: { label: "State" } }, chip(entry.state)),
    el("th", { scope: "row", data: { label: "URL" } }, el("code", {}, entry.url)),
    el("td", { data: { label: "Container" } }, entry.name || "–"),
    el("td", { class: "right", data: { label: "Weight" } }, String(entry.weight)),
    el("td", { class: "right", data: { label: "Requests" } }, counted("servers", key)),
    el("td", { class: "share", title: ofWhat, data: { label: "Share" } },
      el("span", { class: "bar", data: { share: key, of: service.name } }, el("i", {})), el("span", { class: "percent number" }, ""))), said];
}

function member(entry) {
  return el("tr", {}, el("th", { scope: "row", data: { label: "Service" } }, link("services", entry.name)), el("td", { data: { label: "Role" } }, entry.role));
}

function composed(entry) {
  const sticky = entry.weighted && entry.weighted.sticky;
  return el("article", { class: "card" },
    el("header", {}, el("h3", {}, entry.name), chip(entry.status, entry.status)),
    errors(entry),
    el("table", { class: "servers" },
      el("thead", {}, el("tr", {}, ["Service", "Role"].map((text) => el("th", { scope: "col" }, text)))),
      el("tbody", {}, entry.members.map(member))),
    el("p", { class: "sub faint" }, `${entry.type} · `, sticky ? "sticky · " : "", "used by ",
      users(entry)));
}

function service(entry) {
  if (entry.members.length) return composed(entry);
  const ready = entry.servers.filter((found) => found.state === "ready").length;
  const check = entry.loadBalancer && entry.loadBalancer.healthCheck;
  return el("article", { class: "card" },
    el("header", {},
      el("h3", {}, entry.name),
      chip(entry.status !== "enabled" ? entry.status : ready ? "ready" : "down", entry.status !== "enabled" ? entry.status : `${ready} of ${entry.servers.length} ready`),
      el("span", { class: "right number" }, "requests ", counted("services", entry.name), " · p95 ", timed("services", entry.name))),
    errors(entry),
    el("table", { class: "servers" },
      el("thead", {}, el("tr", {}, ["State", "URL", "Container"].map((text) => el("th", { scope: "col" }, text)),
        ["Weight", "Requests"].map((text) => el("th", { scope: "col", class: "right" }, text)), el("th", { scope: "col", title: ofWhat }, "Share"))),
      el("tbody", {}, entry.servers.length ? entry.servers.map((found) => server(entry, found)) : el("tr", {}, el("td", { colspan: "6", class: "faint" }, "no server")))),
    el("p", { class: "sub faint" }, `${entry.loadBalancer.strategy} · `,
      entry.loadBalancer.passHostHeader ? "keeps the Host field · " : "sends the server's own name · ",
      entry.loadBalancer.sticky ? "sticky · " : "",
      check ? `asks servers for ${check.path} every ${check.interval} · ` : "", "used by ",
      users(entry)));
}

function settings(entry) {
  const known = ["root", "status", "error", "usedBy", "users", "name", "provider", "type"];
  const key = Object.keys(entry).find((name) => !known.includes(name));
  return Object.entries(entry[key] || {}).filter(([, value]) => value !== "").map(([name, value]) =>
    el("div", {}, el("span", { class: "faint" }, `${name} `), el("code", {}, typeof value === "string" ? value : JSON.stringify(value))));
}

function middleware(entry) {
  return el("tbody", {}, el("tr", {},
    el("td", { data: { label: "Status" } }, chip(entry.status)),
    el("th", { scope: "row", data: { label: "Name" } }, entry.name, entry.type === "circuitbreaker" ? breakers("middleware", entry.name) : null, errors(entry)),
    el("td", { data: { label: "Type" } }, entry.root ? `${entry.type}, TCP` : entry.type),
    el("td", { data: { label: "Settings" } }, settings(entry)),
    el("td", { data: { label: "Used by" } }, users(entry))));
}

/** A router of TCP or UDP. */
function stream(entry) {
  const tls = !entry.tls ? "" : entry.tls.passthrough ? ", TLS passed through" : ", TLS ends here";
  const servers = entry.servers.map((server) => el("div", {}, chip(server.state), " ", el("code", {}, server.address),
    entry.servers.length > 1 ? el("span", { class: "faint" }, " · ", flowed(entry.root, "servers", `${entry.serviceName} ${server.address}`, "connections")) : null,
    server.health && server.health.up ? null : health(server.health)));
  const middlewares = (entry.middlewares || []).map((name) => link("middlewares", `tcp ${name}`, name));
  return el("tbody", {}, el("tr", {},
    el("td", { data: { label: "Status" } }, chip(entry.status)),
    el("th", { scope: "row", data: { label: "Rule" } }, el("code", { class: "rule" }, entry.rule || "every datagram"),
      el("div", { class: "sub faint" }, `${entry.name} · ${entry.root.toUpperCase()}${tls}`, middlewares.length ? [" · through ", listed(middlewares)] : null), el("div", { class: "sub" }, errors(entry))),
    el("td", { data: { label: "Service" } }, entry.service),
    el("td", { data: { label: "Servers" } }, servers.length ? servers : listed(entry.members)),
    el("td", { data: { label: "On" } }, (entry.using || entry.entryPoints).map((name) => el("span", { class: "tag" }, name))),
    el("td", { data: { label: "From" } }, entry.provider),
    el("td", { class: "right", data: { label: entry.root === "udp" ? "Clients" : "Connections" } }, flowed(entry.root, "routers", entry.name, "connections"),
      el("div", { class: "sub faint" }, flowed(entry.root, "routers", entry.name, "open"))),
    el("td", { class: "right", data: { label: "In, out" } }, flowed(entry.root, "routers", entry.name, "bytesIn"),
      el("div", { class: "sub" }, flowed(entry.root, "routers", entry.name, "bytesOut")))));
}

/** A label, and what becomes of it. */
function label(name, value, found) {
  const chips = { understood: "ready", unknown: "disabled", wrong: "disabled", ignored: "ignored" };
  const why = found && found.why ? el("div", { class: "sub" }, found.hint ? `${found.why}; ${found.hint}` : found.why) : null;
  return el("tr", {},
    el("th", { scope: "row" }, el("code", {}, name)),
    el("td", {}, el("code", {}, value), why),
    el("td", {}, found ? chip(chips[found.verdict] || "ignored", found.verdict) : null));
}

function container(entry) {
  const labels = Object.entries(entry.labels);
  const states = { routed: "ready", ignored: "ignored", refused: "disabled" };
  const details = el("div", { class: "detail" },
    facts([["Id", el("code", {}, entry.id)], ...Object.entries(entry.details)]),
    labels.length ? el("table", { class: "labels" }, el("caption", { class: "faint" }, "Labels"), el("tbody", {},
      labels.map(([name, value]) => label(name, value, (entry.verdicts || {})[name])))) : el("p", { class: "faint" }, "It has no labels of ours."));
  return el("tbody", {},
    el("tr", {},
      el("td", { data: { label: "Verdict" } }, chip(states[entry.verdict] || "ignored", entry.verdict)),
      el("th", { scope: "row", data: { label: "Name" } }, opener(entry.name, `Details of ${entry.kind} ${entry.name}`)),
      el("td", { data: { label: "Why" } }, entry.why || "–"),
      el("td", { data: { label: "Gave" } }, listed([...new Set(entry.gave)].map((name) => el("span", {}, name)))),
      el("td", { data: { label: "From" } }, entry.provider)),
    el("tr", { class: "detail-row" }, el("td", { colspan: "5" }, details)));
}

function provider(entry) {
  const freshness = { fresh: "fresh, ", stale: "last read ", waiting: "nothing yet, started " };
  return el("article", { class: "card" },
    el("header", {}, el("h3", {}, entry.name), chip(entry.state)),
    el("p", {}, when(entry.state === "waiting" ? entry.since : entry.published, freshness[entry.state] || "")),
    entry.reason ? el("p", { class: "bad" }, `${entry.state}: ${entry.reason}`) : null,
    el("p", { class: "sub faint" }, [`${entry.items} discovered`, ...["router", "service", "middleware", "problem"].map((word) => format.some(entry[`${word}s`], word))].join(" · ")));
}

function change(entry) {
  const part = (sign, word, names) => names.length ? el("li", {}, el("span", { class: `sign ${word}`, title: word }, sign), names.join(", ")) : null;
  return el("li", {},
    el("span", { class: "number tag" }, `#${entry.number}`), el("span", { class: "cause" }, entry.cause || "start"), when(entry.time),
    el("ul", { class: "parts" }, part("+", "added", entry.added), part("−", "removed", entry.removed), part("~", "changed", entry.changed)));
}

function problem(entry) {
  return el("li", {},
    chip(entry.severity === "error" ? "disabled" : entry.severity === "warning" ? "warning" : "ignored", entry.severity),
    el("div", {}, el("p", { class: "where" }, entry.where, entry.provider ? el("span", { class: "faint" }, ` · ${entry.provider}`) : null),
      el("p", {}, entry.why), entry.hint ? el("p", { class: "hint" }, entry.hint) : null));
}

function worker(entry) {
  const states = { serving: "ready", starting: "starting", stopping: "draining", failed: "down" };
  return el("tbody", {}, el("tr", {},
    el("td", { data: { label: "State" } }, chip(states[entry.state] || "ignored", entry.state)),
    el("th", { scope: "row", data: { label: "Worker" } }, String(entry.number)),
    el("td", { data: { label: "Process" } }, String(entry.pid)),
    el("td", { data: { label: "Table" } }, `#${entry.table}`),
    el("td", { data: { label: "Restarts" } }, String(entry.restarts)),
    el("td", { data: { label: "Since" } }, when(entry.since))));
}

function recent(entry) {
  const at = typeof entry.time === "number" ? entry.time : Date.parse(entry.time) / 1000;
  return el("tbody", {}, el("tr", {},
    el("td", { data: { label: "Status" } }, chip(entry.status_code >= 500 ? "disabled" : "warning", `${entry.status_code} ${entry.status || ""}`.trim())),
    el("th", { scope: "row", data: { label: "Request" } }, el("code", {}, `${entry.method} ${entry.host}${entry.path}`)),
    el("td", { data: { label: "When" } }, when(at))));
}

const rank = { disabled: 0, warning: 1, enabled: 2 };
const byStatus = (a, b) => rank[a.status] - rank[b.status] || (a.name < b.name ? -1 : 1);
const verdicts = { refused: 0, ignored: 1, routed: 2 };
const byVerdict = (a, b) => verdicts[a.verdict] - verdicts[b.verdict] || (a.name < b.name ? -1 : 1);
const ofState = (name) => (state) => state[name];
const sorted = (name) => (state) => [...state[name]].sort(byStatus);

/** Each list: section, items, key of an item, how to build one, what to say where there is none. */
export const lists = [
  { section: "problems", items: ofState("problems"), key: (entry) => `${entry.where} ${entry.why}`, build: problem, none: "" },
  { section: "routers", items: sorted("routers"), key: (entry) => entry.name, build: router, none: "No router yet: no container or file asks for one." },
  { section: "services", items: sorted("services"), key: (entry) => entry.name, build: service, none: "No service yet." },
  { section: "middlewares", items: sorted("middlewares"), key: (entry) => (entry.root ? `tcp ${entry.name}` : entry.name), build: middleware, none: "No middleware." },
  { section: "streams", items: sorted("streams"), key: (entry) => `${entry.root} ${entry.name}`, build: stream, none: "No router of TCP or UDP." },
  { section: "containers", items: (state) => [...state.items].sort(byVerdict), key: (entry) => `${entry.provider} ${entry.id}`, build: container, none: "Nothing was discovered yet." },
  { section: "providers", items: ofState("providers"), key: (entry) => entry.name, build: provider, none: "No provider is switched on." },
  { section: "history", items: ofState("history"), key: (entry) => String(entry.number), build: change, none: "No change yet." },
  { section: "errors", items: ofState("errors"), key: (entry) => JSON.stringify(entry), build: recent, none: "No error was answered." },
  { section: "workers", items: ofState("workers"), key: (entry) => String(entry.number), build: worker, none: "This process forwards by itself." },
];
