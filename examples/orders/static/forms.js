/**
 * Forms that send a command: one key each, problems in the API's own words, at the field that they are about.
 */

import { newKey, tell } from "./api.js";
import { el, newId } from "./dom.js";

/** An input with its label and a place for what is wrong with it. */
export function field(label, name, attributes = {}) {
  const id = newId("field");
  const error = el("p", { class: "error", id: `${id}-error` });
  const input = el("input", { id, name, autocomplete: "off", "aria-describedby": error.id, ...attributes });
  const kind = attributes.class ? `field ${attributes.class}` : "field";
  input.removeAttribute("class");
  return el("div", { class: kind }, el("label", { for: id }, label), input, error);
}

/**
 * A form for one command.
 *
 * `request()` says what is sent; it is sent under one key until it was accepted, however often somebody
 * presses the button. `done(answer)` comes after it was.
 */
export function commandForm({ label, submit, danger, content, request, done, failed, discard }) {
  const problem = el("div", { class: "problems" });
  const button = el("button", { type: "submit", class: danger ? "button danger" : "button primary" }, submit);
  const buttons = el("div", { class: "submit" }, button, discard && el("button", { type: "button", class: "button", onclick: discard }, "Not now"));
  const form = el("form", { class: "command", novalidate: true, "aria-label": label }, content, problem, buttons);
  let key = newKey();
  let busy = false;

  async function send() {
    const { method, path, body } = request();
    clear(form);
    const waiting = () => problem.replaceChildren(waitingBox());
    try {
      const answer = await tell(method, path, body, key, { waiting });
      key = newKey();
      form.reset();
      problem.replaceChildren();
      done(answer);
    } catch (refused) {
      show(form, problem, refused);
      failed?.(refused);
    }
  }

  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    if (busy) return;
    busy = true;
    button.setAttribute("aria-disabled", "true");
    form.setAttribute("aria-busy", "true");
    try {
      await send();
    } finally {
      busy = false;
      button.removeAttribute("aria-disabled");
      form.removeAttribute("aria-busy");
    }
  });
  return form;
}

/** A text as a value: null where it is empty. */
export function given(input) {
  return input.value.trim() === "" ? null : input.value.trim();
}

/** A whole number; a text that is none goes as it is, to be refused in the API's words. */
export function whole(input) {
  const text = input.value.trim();
  const number = Number(text);
  return /^-?\d+$/.test(text) && Number.isSafeInteger(number) ? number : text;
}

/** A problem in its own words, with the rule that refused. */
export function problemBox(problem, rest = []) {
  return el(
    "div",
    { class: "problem", role: "alert" },
    el("p", { class: "title" }, problem.rule ? ["Refused by ", el("code", {}, problem.rule)] : problem.title || "It did not work"),
    el("p", {}, problem.message),
    rest.length > 0 && el("ul", {}, rest.map((error) => el("li", {}, el("code", {}, placeOf(error)), ` ${error.msg}`))),
  );
}

function waitingBox() {
  return el("div", { class: "problem waiting", role: "status" }, el("p", {}, "The server is away. This is kept here and sent until it answers; it is done once only."));
}

/** Each error goes to its field; what has none is listed. */
function show(form, problem, refused) {
  const rest = refused.errors.filter((error) => !mark(form, error));
  problem.replaceChildren(problemBox(refused, rest));
  const first = form.querySelector("[aria-invalid]");
  if (first) {
    first.closest("details")?.setAttribute("open", "");
    first.focus();
  } else problem.firstChild.scrollIntoView({ block: "nearest" });
}

function mark(form, error) {
  const place = placeOf(error);
  const input = Array.from(form.elements).find(({ name }) => name && (place === name || place.startsWith(`${name}.`)));
  if (!input) return false;
  input.setAttribute("aria-invalid", "true");
  document.getElementById(`${input.id}-error`).textContent = error.msg;
  return true;
}

function clear(form) {
  for (const input of form.querySelectorAll("[aria-invalid]")) {
    input.removeAttribute("aria-invalid");
    document.getElementById(`${input.id}-error`).textContent = "";
  }
}

/** ["body", "items", 0, "price"] as items.0.price, which is the field's name. */
function placeOf({ loc }) {
  return loc.slice(1).join(".");
}
