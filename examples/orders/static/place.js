/** Place an order: who, what, where to. What is wrong with it, the API says. */

import { el } from "./dom.js";
import { commandForm, field, given, whole } from "./forms.js";
import { amountOf, inMoney } from "./words.js";

const ADDRESS = [
  ["Name", "name", "name"],
  ["Street", "street", "street-address"],
  ["City", "city", "address-level2"],
  ["Region", "region", "address-level1"],
  ["Postal code", "postal_code", "postal-code"],
  ["Country", "country", "country-name"],
];

/** The form; `placed(order_id)` comes after, `discard()` if it is given up. */
export function placeForm({ placed, discard }) {
  const lines = el("div", { class: "lines" });
  const total = el("output", { class: "sum" }, "–");
  const content = [
    field("Customer", "customer_id", { spellcheck: "false" }),
    group("What", lines, el("div", { class: "under" }, button("Another line", () => add().querySelector("input").focus()), el("span", {}, "Total ", total))),
    group("Where to", el("div", { class: "grid" }, ADDRESS.map(([label, name, kind]) => field(label, `shipping_address.${name}`, { autocomplete: kind })))),
    el(
      "details",
      {},
      el("summary", {}, "An id and a day of one's own"),
      el("div", { class: "grid" }, field("Order id", "order_id", { placeholder: "made for you", spellcheck: "false" }), field("Ordered on", "ordered_on", { type: "date" })),
    ),
  ];
  const form = commandForm({
    label: "New order",
    submit: "Place the order",
    content,
    request: () => ({ method: "POST", path: "orders", body: bodyOf(form, lines) }),
    done: ({ order_id: id }) => placed(id),
    discard,
  });

  function add() {
    const remove = el("button", { type: "button", class: "button remove", onclick: () => takeAway(line) }, "×");
    const line = el("div", { class: "line", role: "group" }, lineFields(), remove);
    lines.append(line);
    renumber(lines);
    return line;
  }

  function takeAway(line) {
    line.remove();
    renumber(lines);
    reckon();
  }

  function reckon() {
    const amounts = Array.from(lines.children, (line) => amountOf(value(line, "quantity"), value(line, "price")));
    total.textContent = amounts.length && !amounts.includes(null) ? inMoney(amounts.reduce((one, other) => one + other, 0n)) : "–";
  }

  add();
  lines.addEventListener("input", reckon);
  return form;
}

/** The four fields of a line. */
export function lineFields() {
  return [
    field("Product", "product_id", { class: "product", spellcheck: "false" }),
    field("Its name", "product_name", { class: "name" }),
    field("Quantity", "quantity", { class: "quantity", inputmode: "numeric", value: "1" }),
    field("Price", "price", { class: "price", inputmode: "decimal" }),
  ];
}

/** Each line's fields are named as the API names them; the last one left can't be taken away. */
function renumber(lines) {
  Array.from(lines.children).forEach((line, number) => {
    line.setAttribute("aria-label", `Line ${number + 1}`);
    const remove = line.querySelector(".remove");
    remove.setAttribute("aria-label", `Remove line ${number + 1}`);
    remove.hidden = lines.children.length === 1;
    for (const input of line.querySelectorAll("input")) input.name = `items.${number}.${input.name.split(".").pop()}`;
  });
}

function bodyOf(form, lines) {
  const fields = form.elements;
  const address = ADDRESS.map(([, name]) => [name, given(fields[`shipping_address.${name}`])]);
  const body = {
    customer_id: fields.customer_id.value.trim(),
    items: Array.from(lines.children, lineOf),
    shipping_address: Object.fromEntries(address.filter(([, text]) => text !== null)),
    order_id: given(fields.order_id),
    ordered_on: given(fields.ordered_on),
  };
  return Object.fromEntries(Object.entries(body).filter(([, one]) => one !== null));
}

/** What they say. */
export function lineOf(within) {
  const named = (name) => input(within, name);
  const line = { product_id: named("product_id").value.trim(), quantity: whole(named("quantity")), price: named("price").value.trim() };
  const name = given(named("product_name"));
  return name === null ? line : { ...line, product_name: name };
}

function input(within, name) {
  return Array.from(within.querySelectorAll("input")).find((one) => one.name.split(".").pop() === name);
}

function value(line, name) {
  return input(line, name).value;
}

function group(legend, ...content) {
  return el("fieldset", { class: "group" }, el("legend", {}, legend), content);
}

function button(text, onclick) {
  return el("button", { type: "button", class: "button", onclick }, text);
}
