/** The left panel: search, filters, a page of orders, and the way to other pages. */

import { ask } from "./api.js";
import { el, theirs } from "./dom.js";
import { tellStale } from "./notices.js";
import { showProblem } from "./forms.js";
import { address, drift, go, here, way } from "./where.js";
import { STATUS, counted, day, money } from "./words.js";

const PAGE_SIZE = 20;
const TYPING_MS = 250;
const AGAIN_MS = 1000;
const IN_PLACE = { preventScroll: true };

const filters = document.getElementById("filters");
const orders = document.getElementById("list");
const pages = document.getElementById("pages");
const found = document.getElementById("found");
const notice = document.getElementById("list-notice");
let shown = null;
let told = null;
let rendered = null;
let asking = new AbortController();
let typing;
let again;

/** Show the list that the address names. */
export function show(at) {
  fill(at);
  const question = questionOf(at);
  if (JSON.stringify(question) !== JSON.stringify(shown)) load(question);
  else markCurrent();
}

export function reload() {
  return load(questionOf(here()));
}

/** Put the focus where the reader came from. */
export function focusCurrent() {
  orders.querySelector("a[data-last]")?.focus();
}

function questionOf({ q, status, customer, sort, page }) {
  return {
    q: q.trim(),
    status,
    customer_id: customer,
    sort_by: sort.replace(/^-/, ""),
    sort_order: sort.startsWith("-") ? "desc" : "asc",
    page,
    page_size: PAGE_SIZE,
  };
}

async function load(question) {
  shown = question;
  clearTimeout(again);
  asking.abort();
  const mine = (asking = new AbortController());
  if (!orders.hasChildNodes()) orders.replaceChildren(skeleton());
  orders.setAttribute("aria-busy", "true");
  try {
    const behind = (reason) => tellStale(notice, reason);
    const { data, stale } = await ask("orders/search", question, { signal: mine.signal, behind });
    render(data);
    tellStale(notice, stale);
    if (stale) again = setTimeout(reload, AGAIN_MS);
  } catch (problem) {
    if (mine.signal.aborted) return;
    shown = told = rendered = null;
    showProblem(orders, problem);
    pages.replaceChildren();
    tellStale(notice, null);
  }
  orders.removeAttribute("aria-busy");
}

/** Show a page; one that tells nothing new stays as it is, and whoever was at a row stays there. */
function render(page) {
  const before = told;
  const isOther = JSON.stringify(shown) !== rendered;
  told = JSON.stringify([shown, page]);
  rendered = JSON.stringify(shown);
  if (told === before) return;
  const { id: at, step: towards } = document.activeElement?.dataset ?? {};
  const rows = page.items.map((order) => el("li", {}, row(order)));
  orders.replaceChildren(rows.length ? el("ol", { class: "rows" }, rows) : nothing(page));
  pages.replaceChildren(...pager(page));
  found.textContent = counted(page.total, "order", "orders");
  markCurrent();
  if (at !== undefined) Array.from(orders.querySelectorAll("a.row")).find((link) => link.dataset.id === at)?.focus(IN_PLACE);
  if (towards !== undefined) pages.querySelector(`a[data-step="${towards}"]`)?.focus(IN_PLACE);
  if (isOther) toTop();
}

/** Begin another page at its top: the panel's, or the window's where there is one panel. */
function toTop() {
  orders.closest(".panel").scrollTop = 0;
  if (!here().order && !here().new) scrollTo(0, 0);
}

function row(order) {
  return way(
    { order: order.order_id, new: "" },
    { class: "row", "data-id": order.order_id },
    el("span", { class: "name" }, theirs(order.customer_id)),
    el("span", { class: "sum" }, money(order.total_amount)),
    el("span", { class: "what" }, theirs(order.products || counted(order.item_count, "line", "lines"))),
    el("span", { class: `status ${order.status}` }, STATUS[order.status] ?? order.status),
    el("span", { class: "id" }, theirs(order.order_id)),
    el("time", { class: "day", datetime: order.ordered_on }, day(order.ordered_on)),
  );
}

function markCurrent() {
  const { order } = here();
  for (const link of orders.querySelectorAll("a.row")) {
    link.toggleAttribute("data-last", order ? link.dataset.id === order : link.hasAttribute("data-last"));
    if (link.dataset.id === order) link.setAttribute("aria-current", "true");
    else link.removeAttribute("aria-current");
  }
}

function nothing(page) {
  const { q, status, customer } = here();
  if (page.total) {
    return el("div", { class: "empty" }, el("p", {}, "This page is behind the last one."), link("The first page", { page: "1" }));
  }
  if (q || status || customer) {
    return el(
      "div",
      { class: "empty" },
      el("p", {}, "No order is like that."),
      link("Show all orders", { q: "", status: "", customer: "", page: "1" }),
    );
  }
  return el("div", { class: "empty" }, el("p", {}, "There are no orders yet."), link("Place the first", { new: "1", order: "" }));
}

function pager(page) {
  const { page: number, total, total_pages: last } = page;
  const told = el("span", { class: "count" }, counted(total, "order", "orders"));
  if (last <= 1) return [told];
  return [
    step("Previous", number > 1 && number - 1),
    el("span", { class: "count" }, `${number} of ${last}`, el("small", {}, counted(total, "order", "orders"))),
    step("Next", number < last && number + 1),
  ];
}

/** A way to another page; its place is kept where there is none. */
function step(text, number) {
  const named = { class: "button", "data-step": text };
  if (number) return way({ page: String(number) }, named, text);
  return el("a", { ...named, "aria-disabled": "true", role: "link", tabindex: "-1" }, text);
}

function link(text, changes) {
  return way(changes, { class: "button" }, text);
}

function skeleton() {
  const bones = Array.from({ length: 8 }, () => el("li", {}, el("div", { class: "row bone" })));
  return el("ol", { class: "rows", role: "presentation" }, bones);
}

/** What the filters say is what the address says; a field that somebody types in is left alone. */
function fill(at) {
  for (const name of ["q", "customer", "sort"]) {
    const field = filters.elements[name];
    if (!typing) field.value = at[name];
  }
  filters.elements.status.value = at.status;
}

function asked() {
  clearTimeout(typing);
  typing = undefined;
  const { q, customer, sort, status } = filters.elements;
  return { q: q.value, customer: customer.value, sort: sort.value, status: status.value, page: "1" };
}

filters.addEventListener("input", (event) => {
  clearTimeout(typing);
  typing = setTimeout(() => drift(asked()), event.target.matches("#q, #customer") ? TYPING_MS : 0);
});
filters.addEventListener("submit", (event) => {
  event.preventDefault();
  const wanted = asked();
  if (address(wanted) === address({})) reload();
  else go(wanted);
});
