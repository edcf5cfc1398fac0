/** The right panel: an order with its history and what can be done with it, a form for a new one, or nothing yet. */

import { actionsOf } from "./actions.js";
import { Problem, ask } from "./api.js";
import { el, isFocusFree, theirs } from "./dom.js";
import { showProblem } from "./forms.js";
import { historyOf } from "./history.js";
import * as list from "./list.js";
import { say, tellStale } from "./notices.js";
import { placeForm } from "./place.js";
import { go, here, way } from "./where.js";
import { STATUS, amountOf, day, grouped, inMoney, moment, money } from "./words.js";

const HISTORY_PAGE = 50;
const AGAIN_MS = 1000;
const NO_ORDERS = new Set([".", "..", "search", "live", "events"]); // which no path, or another one, leads to
const ONE_PANEL = matchMedia("(max-width: 859px)");

const panel = document.getElementById("detail");
let showing = null;
let view = null;
let asking = new AbortController();
let leaving = new AbortController();
let again;

/** Show what the address names. */
export function show(at, { focus }) {
  const wanted = at.new ? "new" : at.order ? `order ${at.order}` : "nothing";
  if (wanted === showing) return;
  showing = wanted;
  leaving.abort();
  leaving = new AbortController();
  asking.abort();
  clearTimeout(again);
  if (at.new) view = newOrder();
  else view = at.order ? order(at.order) : nothing();
  panel.replaceChildren(...view.parts);
  panel.scrollTop = 0;
  document.title = at.new ? "New order" : at.order ? `Order ${at.order}` : "Orders";
  reload();
  if (focus && wanted !== "nothing") view.heading.focus({ preventScroll: true });
}

/** Look again at what is shown, which may not be any more what the address names. */
export function reload() {
  return view.id && load(view.id);
}

function nothing() {
  const text = el("p", {}, "Choose an order, and it is shown here with its history.");
  return { parts: [el("div", { class: "empty tall" }, el("span", { class: "mark", "aria-hidden": "true" }), text)] };
}

function newOrder() {
  const title = heading("New order");
  const discard = () => go({ new: "" });
  const placed = (id) => {
    say(`Order ${id} is placed.`);
    list.reload();
    if (view === mine && here().new) go({ new: "", order: id });
  };
  const parts = [backLink(), el("header", { class: "head" }, title), placeForm({ placed, discard })];
  const mine = { parts, heading: title };
  return mine;
}

/** The parts of an order's view; what changes is put into `body` and `past`, so that open forms stay as they are. */
function order(id) {
  const title = heading("Order ", theirs(id));
  const status = el("span", { class: "status" });
  const body = el("div", { class: "facts" }, bones(4));
  const past = el("section", { class: "past", "aria-label": "History" }, el("h3", {}, "History"), bones(2));
  const actions = actionsOf(id, { done: (text) => changed(id, text), refused: (problem) => problem.rule && look(id) });
  const notice = el("p", { class: "notice", role: "status" });
  const parts = [backLink(), el("header", { class: "head" }, title, status), body, actions.element, past, notice];
  return { id, parts, heading: title, status, body, past, actions, notice };
}

/** What was done is seen at once: the questions that follow carry its position. */
function changed(id, text) {
  say(text);
  look(id);
  if (view.id === id && isFocusFree()) view.heading.focus({ preventScroll: true });
}

/** Look again at what may have changed; the reader may be elsewhere by now. */
function look(id) {
  list.reload();
  if (view.id === id) load(id);
}

async function load(id) {
  asking.abort();
  clearTimeout(again);
  const mine = (asking = new AbortController());
  const into = view;
  into.body.setAttribute("aria-busy", "true");
  const path = `orders/${encodeURIComponent(id)}`;
  const options = { signal: mine.signal, behind: (reason) => tellStale(into.notice, reason) };
  const untilLeft = { signal: leaving.signal, behind: () => {} };
  const older = async (cursor) => (await ask(`${path}/history`, { cursor, page_size: HISTORY_PAGE }, untilLeft)).data;
  try {
    if (NO_ORDERS.has(id)) throw new Problem(404, { title: "Not found", detail: `No order is called “${id}”.` });
    const [found, history] = await Promise.all([
      ask(path, {}, options),
      ask(`${path}/history`, { page_size: HISTORY_PAGE }, options),
    ]);
    if (isNews(into, [found.data, history.data])) render(into, found.data, historyOf(history.data, older));
    tellStale(into.notice, found.stale ?? history.stale);
    const isApart = history.data.items[0]?.version !== found.data.version; // they are two read models
    if (found.stale || history.stale || isApart) again = setTimeout(reload, AGAIN_MS);
  } catch (problem) {
    if (mine.signal.aborted) return;
    into.told = null;
    into.actions.show(null);
    into.past.replaceChildren();
    into.status.textContent = "";
    tellStale(into.notice, null);
    showProblem(into.body, problem);
  }
  into.body.removeAttribute("aria-busy");
}

/** Whether it tells something else than what is shown: what is the same stays as it is, with focus and selection. */
function isNews(into, told) {
  const before = into.told;
  into.told = JSON.stringify(told);
  return into.told !== before;
}

function render({ status, body, past, actions }, found, history) {
  status.className = `status ${found.status}`;
  status.textContent = STATUS[found.status] ?? found.status;
  const lines = linesOf(found);
  body.replaceChildren(facts(found), lines);
  if (lines.scrollWidth > lines.clientWidth) lines.tabIndex = 0;
  actions.show(found);
  past.replaceChildren(el("h3", {}, "History"), history);
}

function facts(order) {
  const theirOrders = { customer: order.customer_id, q: "", status: "", page: "1", ...(ONE_PANEL.matches && { order: "" }) };
  const customer = way(theirOrders, { title: "All orders of this customer" }, theirs(order.customer_id));
  return el(
    "dl",
    { class: "known" },
    fact("Customer", customer),
    fact("Ordered on", el("time", { datetime: order.ordered_on }, day(order.ordered_on))),
    fact("Placed", el("time", { datetime: order.created_at }, moment(order.created_at))),
    order.shipped_on && fact("Shipped on", el("time", { datetime: order.shipped_on }, day(order.shipped_on))),
    fact("Ship to", order.ship_to ? theirs(order.ship_to) : "–", "wide"),
  );
}

function fact(name, value, kind) {
  return el("div", { class: kind }, el("dt", {}, name), el("dd", {}, value));
}

function linesOf(order) {
  const rows = order.lines.map((line) => {
    const amount = amountOf(line.quantity, line.price);
    const product = [theirs(line.product_name ?? line.product_id), line.product_name && el("small", {}, theirs(line.product_id))];
    return el("tr", {}, el("th", { scope: "row" }, product), cell(grouped(line.quantity)), cell(money(line.price)), cell(amount === null ? "" : inMoney(amount)));
  });
  const table = el(
    "table",
    { class: "items" },
    el("thead", {}, el("tr", {}, ["Product", "Quantity", "Price", "Amount"].map((name) => el("th", { scope: "col" }, name)))),
    el("tbody", {}, rows),
    el("tfoot", {}, el("tr", {}, el("th", { scope: "row", colspan: "3" }, "Total"), cell(money(order.total_amount)))),
  );
  return el("div", { class: "across", role: "group", "aria-label": "Lines" }, table);
}

function cell(text) {
  return el("td", {}, text);
}

function heading(...text) {
  return el("h2", { tabindex: "-1" }, text);
}

function backLink() {
  return way({ order: "", new: "" }, { class: "back" }, "All orders");
}

function bones(count) {
  return Array.from({ length: count }, () => el("div", { class: "bone" }));
}
