// Elements without HTML strings: everything from the chain goes in as text.

export const $ = (id) => document.getElementById(id);

/** h("td", {class: "left", title: "…"}, "text", element, …) */
export function h(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === undefined || value === null || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else element.setAttribute(name, value);
  }
  for (const child of children.flat()) {
    if (child === null || child === undefined || child === false) continue;
    element.append(child instanceof Node ? child : String(child));
  }
  return element;
}

export function put(parent, ...children) {
  parent.replaceChildren(...children.flat().filter(Boolean));
}

export const empty = (text) => h("div", { class: "empty" }, text);

/** A colour of the style sheet by name; layers that are new fall back to grey. */
export function colour(name) {
  const style = getComputedStyle(document.documentElement);
  return style.getPropertyValue(`--${name}`).trim() || style.getPropertyValue("--f").trim();
}

export const marketColours = ["a", "b", "c", "d", "e", "f"];

/** A bar of several parts, each {key, amount, label}. */
export function split(parts) {
  const total = parts.reduce((sum, part) => sum + part.amount, 0);
  const bar = h("div", { class: "split" });
  for (const part of parts) {
    if (part.amount <= 0) continue;
    const piece = h("b", { title: part.label });
    piece.style.width = `calc(${(100 * part.amount) / total}% - 2px)`;
    piece.style.background = colour(part.key);
    bar.append(piece);
  }
  return bar;
}

/** Buttons of which one is chosen; `choices` is [[key, label], …]. */
export function tabs(parent, choices, chosen, choose) {
  put(parent, choices.map(([key, label]) =>
    h("button", { type: "button", "aria-pressed": String(key === chosen), onclick: () => choose(key) }, label)));
}

export function table(parent, header, rows, left = [0]) {
  const cell = (tag) => (value, i) => {
    const made = value instanceof Node && value.tagName === "TD" ? value : h(tag, {}, value);
    if (left.includes(i)) made.classList.add("left");
    return made;
  };
  put(parent, h("thead", {}, h("tr", {}, header.map(cell("th")))), h("tbody", {}, rows.map((row) => h("tr", {}, row.map(cell("td"))))));
}
