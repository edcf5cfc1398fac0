/** Say what is the matter, where eyes and screen readers find it, without moving anything. */

import { el } from "./dom.js";

const SHOWN_MS = 6000;
const away = document.getElementById("away");
const said = document.getElementById("said");
let fading;

/** Something was done. */
export function say(text) {
  clearTimeout(fading);
  said.textContent = text;
  said.classList.add("shown");
  fading = setTimeout(() => said.classList.remove("shown"), SHOWN_MS);
}

/** The server can't be reached, or can't serve now. */
export function isAway(why) {
  const text = `The server is away${why ? `: ${why}` : ""}. What is shown may be old; asking again until it is back.`;
  if (away.textContent !== text) away.textContent = text;
  away.classList.add("shown");
}

/** It answered. */
export function isBack() {
  if (!away.classList.contains("shown")) return;
  away.classList.remove("shown");
  away.textContent = "";
  say("The server is back.");
}

const REASONS = {
  timeout: "the read model has not come this far yet",
  faulted: "its read model stands still at an event that it can't apply",
  "needs newer code": "its read model waits for a newer version of the application",
  rewound: "the log was put back to an earlier point",
  "another log": "the log is another one",
  paused: "its read model is paused",
  parked: "an event that it should show was set aside",
};

/** Tell in a panel's *notice* that its answer is older than what was asked for; null takes it back. */
export function tellStale(notice, reason) {
  const text = `This may be older than what was done last: ${REASONS[reason] ?? reason}. Nothing is lost; it is looked for again.`;
  if (!reason) notice.replaceChildren();
  else if (notice.textContent !== text) notice.replaceChildren(el("span", {}, text));
}
