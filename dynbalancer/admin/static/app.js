// The dashboard: fetch what is, show it, then follow the event stream. Nothing is polled.

import { el, keyed, setText, toggle } from "./dom.js";
import * as explain from "./explain.js";
import * as figures from "./figures.js";
import * as format from "./format.js";
import { lists } from "./lists.js";
import { NeedsToken, get, hasToken, listen, setToken } from "./stream.js";

const byId = (id) => document.getElementById(id);
const first = 25;
const caps = {};
const state = { problems: [], routers: [], services: [], middlewares: [], streams: [], items: [], providers: [], history: [], workers: [], errors: [] };
let search = "";
let texts = new WeakMap();
let loading = null;
let again = false;

function text(entry) {
  let found = texts.get(entry);
  if (found === undefined) {
    found = JSON.stringify(entry).toLowerCase();
    texts.set(entry, found);
  }
  return found;
}

function show(list) {
  const section = byId(list.section);
  const all = list.items(state);
  const words = search.split(/\s+/).filter(Boolean);
  const found = words.length ? all.filter((entry) => words.every((word) => text(entry).includes(word))) : all;
  const cap = caps[list.section] || first;
  const parent = section.querySelector(".list") || section.querySelector("table.rows");
  keyed(parent, found.slice(0, cap), list.key, list.build);
  const number = words.length ? `${found.length} of ${all.length}` : String(all.length);
  setText(section.querySelector(".count"), number);
  const tab = document.querySelector(`nav a[href="#${list.section}"] b`);
  if (tab) setText(tab, all.length ? String(found.length) : "");
  const more = section.querySelector(".more");
  const hidden = found.length - cap;
  const said = hidden > 0 ? `${hidden}` : found.length ? "" : words.length && all.length ? "Nothing here matches the search." : list.none;
  if (more.dataset.said !== said) {
    more.dataset.said = said;
    const grow = () => {
      caps[list.section] = (caps[list.section] || first) + 200;
      show(list);
    };
    more.replaceChildren(hidden > 0 ? el("button", { type: "button", on: { click: grow } }, `Show more (${hidden})`) : said);
  }
  parent.hidden = !found.length;
  figures.shown(section);
}

function showAll() {
  for (const list of lists) show(list);
  const any = state.problems.length > 0;
  byId("problems").hidden = !any;
  byId("nav-problems").hidden = !any;
}

function takeStatistics(found) {
  figures.take(found);
  const errors = found.recentErrors || [];
  if (JSON.stringify(errors) !== JSON.stringify(state.errors)) {
    state.errors = errors;
    show(lists.find((list) => list.section === "errors"));
  }
}

/** Fetch the state; at most one fetch runs, and one more follows where something changed meanwhile. */
function load() {
  if (loading) {
    again = true;
    return loading;
  }
  loading = get("state").then((found) => {
    format.setClock(found.now);
    Object.assign(state, found);
    figures.facts(state);
    showAll();
  }).finally(() => {
    loading = null;
    if (again) {
      again = false;
      setTimeout(() => load().catch(askToken), 200);
    }
  });
  return loading;
}

function live(how) {
  if (how === "token") {
    askToken(new NeedsToken());
    return;
  }
  byId("live").dataset.state = how;
  setText(byId("live"), how === "live" ? "live" : "reconnecting");
}

function askToken(error) {
  if (!(error instanceof NeedsToken)) {
    live("lost");
    return;
  }
  byId("live").dataset.state = "token";
  setText(byId("live"), "token needed");
  byId("ask-token").hidden = false;
  document.body.classList.add("locked");
  setText(byId("token-wrong"), hasToken() ? "That is not the token." : "");
  byId("token").focus();
}

/** Go to what the address names: a section, one item of it, or a request to explain. */
function follow() {
  const hash = location.hash.slice(1);
  if (hash.startsWith("explain?")) {
    explain.fill(hash.slice("explain?".length));
    byId("explain").scrollIntoView({ behavior: "instant" });
    return;
  }
  if (hash.startsWith("q=")) {
    byId("search").value = decodeURIComponent(hash.slice(2));
    searched();
    return;
  }
  const [section, name] = hash.split("/", 2).map(decodeURIComponent);
  const list = lists.find((entry) => entry.section === section);
  if (!name && section && byId(section)) byId(section).scrollIntoView({ behavior: "instant" });
  if (!list || !name) return;
  const at = list.items(state).findIndex((entry) => list.key(entry) === name);
  if (at < 0) return;
  byId("search").value = search = "";
  caps[section] = Math.max(caps[section] || first, at + 1);
  show(list);
  const item = [...byId(section).querySelectorAll(".item")].find((node) => node.dataset.key === name);
  toggle(item, true);
  item.scrollIntoView({ block: "center", behavior: "instant" });
  item.classList.add("pointed");
  setTimeout(() => item.classList.remove("pointed"), 2000);
}

function searched() {
  search = byId("search").value.trim().toLowerCase();
  showAll();
}

function tick() {
  for (const node of document.querySelectorAll("time[data-at]")) {
    setText(node, node.dataset.prefix + format.ago(Number(node.dataset.at)));
  }
  const uptime = byId("uptime");
  if (uptime.dataset.started) setText(uptime, format.duration(format.now() - Number(uptime.dataset.started)));
}

function heard(event, value) {
  if (event === "statistics") takeStatistics(value);
  // On joining, the stream says what is; where that is what is shown already, nothing needs to be fetched.
  const known = event === "table" && state.table && value.number === state.table.number;
  const same = event === "problems" && Object.entries(value).every(([severity, number]) =>
    state.problems.filter((problem) => problem.severity === severity).length === number);
  if (event === "table" && !known) load().catch(askToken);
  if (event === "problems" && !(same && joining)) load().catch(askToken);
  if (event === "problems") joining = false;
}

let joining = true;

async function start() {
  try {
    const counts = get("statistics");
    await load();
    takeStatistics(await counts);
  } catch (error) {
    askToken(error);
    if (error instanceof NeedsToken) return;
  }
  follow();
  listen(heard, (how) => {
    if (how === "lost") joining = false;
    live(how);
  });
}

let typing = 0;
byId("search").addEventListener("input", () => {
  clearTimeout(typing);
  typing = setTimeout(() => {
    searched();
    history.replaceState(null, "", search ? `#q=${encodeURIComponent(byId("search").value.trim())}` : location.pathname);
  }, 120);
});
byId("ask-token").addEventListener("submit", (event) => {
  event.preventDefault();
  setToken(byId("token").value);
  byId("ask-token").hidden = true;
  document.body.classList.remove("locked");
  start();
});
document.addEventListener("keydown", (event) => {
  if (event.key !== "/" || event.ctrlKey || event.metaKey || /^(INPUT|TEXTAREA)$/.test(document.activeElement.tagName)) return;
  event.preventDefault();
  byId("search").focus();
});
addEventListener("hashchange", follow);
setInterval(tick, 1000);
start();
