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
    answer.replaceChildren(...shown(await get(`explain?${query}`)));
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

function shown(found) {
  const asked = found.request;
  const target = `${asked.scheme}://${asked.host}${asked.path}${asked.query === null ? "" : `?${asked.query}`}`;
  const verdict = el("p", { class: "verdict" },
    chip(found.router ? "ready" : "down", found.router ? "routed" : "404"), el("b", {}, found.why));
  const understood = el("p", { class: "sub faint" }, `${asked.method} `, el("code", {}, target), ` on ${asked.entryPoint}, from ${asked.client}, table #${found.table}`);
  const through = found.middlewares.length ? el("p", { class: "sub" }, "through ", found.middlewares.join(" → ")) : null;
  return [verdict, understood, ...(through ? [through] : []), el("ol", { class: "candidates" }, found.candidates.slice(0, 50).map((entry) => candidate(entry, found.router))),
    ...(found.candidates.length > 50 ? [el("p", { class: "faint" }, `and ${found.candidates.length - 50} more`)] : [])];
}

function candidate(entry, winner) {
  const state = entry.name === winner ? "ready" : entry.matched ? "warning" : "ignored";
  return el("li", { class: "candidate" },
    el("p", {}, chip(state, entry.name === winner ? "takes it" : entry.matched ? "matches" : "no match"), link("routers", entry.name),
      el("span", { class: "faint" }, ` priority ${entry.priority}`)),
    entry.name === winner ? null : el("p", { class: "sub" }, entry.why),
    entry.trace ? el("ul", { class: "tree" }, tree(entry.trace)) : el("code", {}, entry.rule));
}

form.addEventListener("submit", (event) => {
  event.preventDefault();
  ask();
});
