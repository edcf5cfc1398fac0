/** Tell what happened to an order, newest first, with the place of each event in the log. */

import { el, theirs } from "./dom.js";
import { problemBox } from "./forms.js";
import { amountOf, counted, day, grouped, inMoney, moment } from "./words.js";

const TOLD = { OrderPlaced: "Placed", ItemAdded: "Item added", OrderShipped: "Shipped", OrderCancelled: "Cancelled" };

/** The events of one page after another; `more(cursor)` asks for the next page. */
export function historyOf(page, more) {
  const list = el("ol", { class: "history" });
  const trouble = el("div", {});
  const earlier = el("button", { type: "button", class: "button", onclick: goOn }, "Earlier");
  let isAsking = false;
  let cursor;

  function append({ items, next_cursor: next }) {
    list.append(...items.map(entry));
    cursor = next;
    earlier.hidden = !next;
  }

  async function goOn() {
    if (isAsking) return;
    isAsking = true;
    try {
      append(await more(cursor));
      trouble.replaceChildren();
    } catch (problem) {
      trouble.replaceChildren(problemBox(problem));
    }
    isAsking = false;
  }

  append(page);
  return el("div", {}, list, trouble, earlier);
}

function entry(event) {
  return el(
    "li",
    { class: event.event },
    el("p", { class: "what" }, TOLD[event.event] ?? event.event, el("code", {}, event.event)),
    el("p", { class: "facts" }, facts(event)),
    el(
      "p",
      { class: "where" },
      el("time", { datetime: event.recorded_at }, moment(event.recorded_at)),
      ` · position ${event.position} · version ${event.version}`,
    ),
  );
}

function facts({ event, lines, shipped_on: shipped, reason }) {
  switch (event) {
    case "OrderPlaced":
      return `${counted(lines.length, "line", "lines")}, ${sumOf(lines)} in all`;
    case "ItemAdded":
      return lines.map((line) => [`${grouped(line.quantity)} × `, theirs(line.product_name ?? line.product_id), `, ${sumOf([line])}`]).flat();
    case "OrderShipped":
      return `On ${day(shipped)}`;
    case "OrderCancelled":
      return reason ? ["“", theirs(reason), "”"] : "No reason was given";
    default:
      return "";
  }
}

function sumOf(lines) {
  const amounts = lines.map((line) => amountOf(line.quantity, line.price));
  return amounts.includes(null) ? "–" : inMoney(amounts.reduce((one, other) => one + other, 0n));
}
