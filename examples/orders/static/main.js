/**
 * Show the place that the address names: the list on the left, an order or a new one on the right.
 *
 * Everything that can be linked to is in the address, behind the #: what is
 * searched, which page, which order. Back and forward work, and so does a reload.
 */

import * as detail from "./detail.js";
import * as list from "./list.js";
import { watch } from "./live.js";
import { here, turnWays } from "./where.js";

let side = "left";
let listScroll = 0;

function show(event) {
  const at = here();
  const before = side;
  side = at.order || at.new ? "right" : "left";
  if (before === "left") listScroll = scrollY;
  document.body.dataset.side = side;
  list.show(at);
  detail.show(at, { focus: event !== undefined });
  turnWays();
  if (event && before !== side) turn();
}

/** On a phone the panels are one after the other: begin the order at its top, and find the list where it was left. */
function turn() {
  scrollTo(0, side === "left" ? listScroll : 0);
  if (side === "left") list.focusCurrent();
}

document.querySelector("[data-skip]").addEventListener("click", (event) => {
  event.preventDefault();
  document.getElementById("list").focus();
});
addEventListener("hashchange", show);
show();
watch(() => Promise.all([list.reload(), detail.reload()]));
