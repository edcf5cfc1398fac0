/** Make elements whose texts stay texts: nothing here takes markup. */

/** An element; attributes that are null or false are left out, `onclick` and its like are listened to. */
export function el(name, attributes = {}, ...children) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (key.startsWith("on")) element.addEventListener(key.slice(2), value);
    else element.setAttribute(key, value === true ? "" : value);
  }
  element.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

/** What somebody wrote, in whatever direction it is read: it turns nothing around it. */
export function theirs(text) {
  return el("bdi", {}, text);
}

/** Whether nobody would miss the focus: it is nowhere, or in what was put away. */
export function isFocusFree() {
  return document.activeElement === document.body || document.activeElement?.closest("[hidden]") !== null;
}

let made = 0;

/** An id that no other element of the page has. */
export function newId(what) {
  made += 1;
  return `${what}-${made}`;
}
