/** Say where the page is, and go elsewhere: the address behind the # is the whole state. */

import { el } from "./dom.js";

const DEFAULTS = { q: "", status: "", customer: "", sort: "-created_at", page: "1", order: "", new: "" };

export function here() {
  const named = new URLSearchParams(location.hash.slice(1));
  return Object.fromEntries(Object.entries(DEFAULTS).map(([name, value]) => [name, named.get(name) ?? value]));
}

/** The address of this place with some things changed. */
export function address(changes) {
  const named = new URLSearchParams();
  for (const [name, value] of Object.entries({ ...here(), ...changes })) {
    if (value !== DEFAULTS[name]) named.set(name, value);
  }
  return `#${named}`;
}

/** A link to this place with some things changed; whatever else changes meanwhile stays as it is then. */
export function way(changes, attributes, ...text) {
  return el("a", { href: address(changes), "data-way": JSON.stringify(changes), ...attributes }, text);
}

/** Let every way begin where the page is now. */
export function turnWays() {
  for (const link of document.querySelectorAll("a[data-way]")) link.href = address(JSON.parse(link.dataset.way));
}

export function go(changes) {
  location.hash = address(changes);
}

/** Go there without a step that Back would return to, as while somebody types. */
export function drift(changes) {
  history.replaceState(null, "", address(changes));
  dispatchEvent(new HashChangeEvent("hashchange"));
}
