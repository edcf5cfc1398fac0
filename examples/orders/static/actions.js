/**
 * What can be done with an order: add a line, ship it, cancel it.
 *
 * Whether it may be done, the order itself decides: the page knows no rule. It only
 * puts the buttons away where they have no prospect, and leaves a way to them.
 */

import { el, newId } from "./dom.js";
import { commandForm, field, given } from "./forms.js";
import { lineFields, lineOf } from "./place.js";

const CLOSED = { shipped: "It is on its way, and stays as it is.", cancelled: "It was cancelled, and stays so." };

/** The actions on an order; `show(order)` follows how it stands, null hides them. */
export function actionsOf(id, { done, refused }) {
  const path = `orders/${encodeURIComponent(id)}`;
  const kinds = [addLine(path), ship(path), cancel(path)].map((kind) => action(kind, { done, refused, opened: closeOthers }));
  let insists = false;
  const why = el("span", {});
  const still = el("button", { type: "button", class: "quiet", onclick: insist }, "Try to change it all the same");
  const closed = el("p", { class: "closed" }, why, " ", still);
  const buttons = el("div", { class: "buttons" }, kinds.map(({ button }) => button));
  const element = el("section", { class: "actions", "aria-label": "Actions", hidden: true }, closed, buttons, kinds.map(({ form }) => form));

  function closeOthers(form) {
    for (const kind of kinds) if (kind.form !== form) kind.close();
  }

  function insist() {
    insists = true;
    putAway(false);
    kinds[0].button.focus();
  }

  function show(order) {
    element.hidden = order === null;
    const text = order && CLOSED[order.status];
    closed.hidden = !text;
    why.textContent = text ?? "";
    putAway(Boolean(text) && !insists && kinds.every(({ form }) => form.hidden));
  }

  function putAway(isAway) {
    buttons.hidden = isAway;
    still.hidden = !isAway;
  }

  return { element, show };
}

function action({ name, danger, done: text, ...command }, { done, refused, opened }) {
  const form = commandForm({
    ...command,
    label: name,
    danger,
    done: () => {
      close();
      done(text);
    },
    failed: refused,
    discard: () => {
      close();
      button.focus();
    },
  });
  form.id = newId("action");
  form.hidden = true;
  const button = el("button", { type: "button", class: "button", "aria-expanded": "false", "aria-controls": form.id, onclick: toggle }, name);

  function toggle() {
    if (!form.hidden) return close();
    form.hidden = false;
    button.setAttribute("aria-expanded", "true");
    opened(form);
    form.querySelector("input").focus();
  }

  function close() {
    form.hidden = true;
    button.setAttribute("aria-expanded", "false");
  }

  return { button, form, close };
}

function addLine(path) {
  const fields = el("div", { class: "line alone" }, lineFields());
  return {
    name: "Add a line",
    submit: "Add the line",
    done: "The line is added.",
    content: fields,
    request: () => ({ method: "POST", path: `${path}/items`, body: lineOf(fields) }),
  };
}

function ship(path) {
  const on = field("Shipped on", "shipped_on", { type: "date" });
  return {
    name: "Ship it",
    submit: "Ship the order",
    done: "It is shipped.",
    content: [on, el("p", { class: "hint" }, "Today, where no day is given.")],
    request: () => ({ method: "POST", path: `${path}/ship`, body: { shipped_on: given(on.querySelector("input")) } }),
  };
}

function cancel(path) {
  const reason = field("Reason", "reason", {});
  return {
    name: "Cancel it",
    submit: "Cancel the order",
    danger: true,
    done: "It is cancelled.",
    content: reason,
    request: () => {
      const text = given(reason.querySelector("input"));
      return { method: "DELETE", path: text === null ? path : `${path}?${new URLSearchParams({ reason: text })}` };
    },
  };
}
