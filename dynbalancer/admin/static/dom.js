// Making and updating elements. Text only ever becomes text nodes: nothing here parses markup.

/** An element. Properties: `class`, `data` (an object), `on` (listeners), any attribute; false and null are left out. */
export function el(tag, properties, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(properties || {})) {
    if (value === null || value === undefined || value === false) continue;
    if (name === "on") {
      for (const [event, listener] of Object.entries(value)) node.addEventListener(event, listener);
    } else if (name === "data") {
      Object.assign(node.dataset, value);
    } else {
      node.setAttribute(name, value === true ? "" : value);
    }
  }
  node.append(...children.flat(3).filter((child) => child !== null && child !== undefined && child !== false));
  return node;
}

/** An SVG element. */
export function svg(tag, attributes) {
  const node = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  return node;
}

/** Set text, touching the page only where it differs. */
export function setText(node, text) {
  const wanted = String(text);
  if (node.textContent !== wanted) node.textContent = wanted;
}

/**
 * Make the children of `parent` with class "item" show `items`, in order. A child whose item is equal to the one it was
 * built from stays as it is: open details, focus and selection survive, and a thousand equal rows cost nothing.
 */
export function keyed(parent, items, keyOf, build) {
  const old = new Map();
  for (const node of parent.querySelectorAll(":scope > .item")) old.set(node.dataset.key, node);
  let place = [...parent.children].find((node) => node.classList.contains("item")) || null;
  for (const item of items) {
    const key = keyOf(item);
    const signature = JSON.stringify(item);
    let node = old.get(key);
    old.delete(key);
    if (!node || node.signature !== signature) {
      const fresh = build(item);
      fresh.classList.add("item");
      fresh.dataset.key = key;
      fresh.signature = signature;
      if (node) {
        keepOpen(node, fresh);
        if (place === node) place = node.nextElementSibling;
        node.remove();
      }
      node = fresh;
    }
    if (node === place) {
      place = place.nextElementSibling;
    } else {
      parent.insertBefore(node, place);
    }
  }
  for (const node of old.values()) node.remove();
}

function keepOpen(node, fresh) {
  if (node.classList.contains("open")) toggle(fresh, true);
  const marked = [...node.querySelectorAll("details")];
  [...fresh.querySelectorAll("details")].forEach((details, at) => {
    details.open = Boolean(marked[at] && marked[at].open);
  });
}

/** Open or close an item that has a button to do so. */
export function toggle(item, open = !item.classList.contains("open")) {
  item.classList.toggle("open", open);
  const button = item.querySelector("[aria-expanded]");
  if (button) button.setAttribute("aria-expanded", String(open));
}

/** A small label whose colour says the state; its text says it too. */
export function chip(state, text = state) {
  return el("span", { class: "chip", data: { state } }, text);
}

/** A link to an item of this page. */
export function link(section, name, text = name) {
  return el("a", { href: `#${section}/${encodeURIComponent(name)}`, class: "name" }, text);
}
