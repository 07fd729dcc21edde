// The box that says which router would take a request, and which clause keeps the others from it.

import { chip, el, link } from "./dom.js";
import { tree } from "./lists.js";
import { get } from "./stream.js";

const form = document.getElementById("explain-form");
const answer = document.getElementById("explained");

/** Show the answer for what is in the form. */
async function ask() {
  const query = new URLSearchParams();
  for (const [name, value] of new FormData(form)) if (value) query.append(name, value);
  history.replaceState(null, "", `#explain?${query}`);
  try {
    const stream = /^(tcp|udp):\/\/([^/?#]*)/i.exec(query.get("url"));
    answer.replaceChildren(...(stream ? connection(stream[1].toLowerCase(), await get(path(stream, query))) : shown(await get(`explain?${query}`))));
  } catch (error) {
    answer.replaceChildren(el("p", { class: "bad" }, error.message || "the token is needed"));
  }
}

/** Fill the form from a link, and ask. */
export function fill(written) {
  const query = new URLSearchParams(written);
  for (const [name, value] of query) if (form.elements[name]) form.elements[name].value = value;
  if (query.get("url")) ask();
}

/** Where to ask about `tcp://name` or `udp://`: the name is the one that is asked for with TLS. */
function path([, root, name], query) {
  const asked = new URLSearchParams();
  if (name) asked.set("sni", name);
  for (const key of ["client", "entryPoint"]) if (query.get(key)) asked.set(key, query.get(key));
  return `explain/${root.toLowerCase()}?${asked}`;
}

function connection(root, found) {
  const asked = found.request;
  const tls = asked.tls ? `with TLS${asked.sni ? ` for ${asked.sni}` : ""}` : "without TLS";
  const said = root === "tcp" ? `connection ${tls} on ${asked.entryPoint}, from ${asked.client}` : `datagrams on ${asked.entryPoint}`;
  return verdict(found, found.router ? "routed" : root === "tcp" ? "HTTP" : "dropped", `${said}${found.tls ? `, TLS ${found.tls}` : ""}, table #${found.table}`,
    (name) => link("streams", `${root} ${name}`, name));
}

function shown(found) {
  const asked = found.request;
  const target = `${asked.scheme}://${asked.host}${asked.path}${asked.query === null ? "" : `?${asked.query}`}`;
  return verdict(found, found.router ? "routed" : "404", [`${asked.method} `, el("code", {}, target), ` on ${asked.entryPoint}, from ${asked.client}, table #${found.table}`],
    (name) => link("routers", name));
}

function verdict(found, word, understood, linked) {
  const state = found.router ? "ready" : word === "HTTP" ? "ignored" : "down";
  const through = found.middlewares.length ? el("p", { class: "sub" }, "through ", found.middlewares.join(" → ")) : null;
  return [el("p", { class: "verdict" }, chip(state, word), el("b", {}, found.why)), el("p", { class: "sub faint" }, understood), ...(through ? [through] : []),
    el("ol", { class: "candidates" }, found.candidates.slice(0, 50).map((entry) => candidate(entry, found.router, linked))),
    ...(found.candidates.length > 50 ? [el("p", { class: "faint" }, `and ${found.candidates.length - 50} more`)] : [])];
}

function candidate(entry, winner, linked) {
  const state = entry.name === winner ? "ready" : entry.matched ? "warning" : "ignored";
  return el("li", { class: "candidate" },
    el("p", {}, chip(state, entry.name === winner ? "takes it" : entry.matched ? "matches" : "no match"), linked(entry.name),
      el("span", { class: "faint" }, ` priority ${entry.priority}`)),
    entry.name === winner ? null : el("p", { class: "sub" }, entry.why),
    entry.trace ? el("ul", { class: "tree" }, tree(entry.trace)) : el("code", {}, entry.rule));
}

form.addEventListener("submit", (event) => {
  event.preventDefault();
  ask();
});
