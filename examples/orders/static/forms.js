/**
 * Forms that send a command: one key each, problems in the API's own words, at the field that they are about.
 */

import { newKey, tell } from "./api.js";
import { el, isFocusFree, newId } from "./dom.js";
import { say } from "./notices.js";

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
 * presses the button. `done(answer)` comes after it was. Who gives it up stops the sending; what has reached
 * the server by then may be done.
 */
export function commandForm({ label, submit, danger, content, request, done, failed, discard }) {
  const problem = el("div", { class: "problems" });
  const button = el("button", { type: "submit", class: danger ? "button danger" : "button primary" }, submit);
  const notNow = discard && el("button", { type: "button", class: "button", onclick: giveUp }, "Not now");
  const buttons = el("div", { class: "submit" }, button, notNow);
  const form = el("form", { class: "command", novalidate: true, "aria-label": label }, content, problem, buttons);
  let key = newKey();
  let busy = false;
  let sending = new AbortController();

  async function send() {
    const { method, path, body } = request();
    const { signal } = (sending = new AbortController());
    tidy();
    const waiting = (isUnderWay) => problem.replaceChildren(waitingBox(isUnderWay));
    try {
      const answer = await tell(method, path, body, key, { waiting, signal });
      key = newKey();
      form.reset();
      problem.replaceChildren();
      done(answer);
    } catch (refused) {
      if (signal.aborted) return;
      if (refused.kind === "key-reused") key = newKey();
      show(form, problem, refused);
      failed?.(refused);
    }
  }

  function giveUp() {
    if (busy) {
      say(`${label}: given up. If it had reached the server, it is done.`);
      key = newKey();
    }
    sending.abort();
    tidy();
    discard();
  }

  function tidy() {
    clear(form);
    problem.replaceChildren();
  }

  /** What is under way stays as it was sent. */
  function hold(isHeld) {
    busy = isHeld;
    button.setAttribute("aria-disabled", String(isHeld));
    form.setAttribute("aria-busy", String(isHeld));
    for (const input of form.querySelectorAll("input")) input.readOnly = isHeld;
  }

  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    if (busy) return;
    hold(true);
    try {
      await send();
    } finally {
      hold(false);
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

/** Show a problem in place of what was there; the same one is not told again. */
export function showProblem(into, problem) {
  const box = problemBox(problem, problem.errors);
  if (!into.firstElementChild?.isEqualNode(box)) into.replaceChildren(box);
}

function waitingBox(isUnderWay) {
  const why = isUnderWay ? "The server is at it, and has not answered yet." : "The server is away.";
  return el("div", { class: "problem waiting", role: "status" }, el("p", {}, `${why} This is kept here and sent until it answers; it is done once only.`));
}

/** Each error goes to its field; what has none is listed. Who is elsewhere by now is told there. */
function show(form, problem, refused) {
  if (!form.isConnected) return say(`${form.getAttribute("aria-label")}: ${refused.message}`);
  const rest = refused.errors.filter((error) => !mark(form, error));
  problem.replaceChildren(problemBox(refused, rest));
  const first = form.querySelector("[aria-invalid]");
  first?.closest("details")?.setAttribute("open", "");
  if (first && (isFocusFree() || form.contains(document.activeElement))) first.focus();
  else if (!first) problem.firstChild.scrollIntoView({ block: "nearest" });
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
