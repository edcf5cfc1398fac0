/**
 * Talk to the API: send commands once, and read what they did.
 *
 * A command has a key, so that sending it again after a lost answer does nothing
 * twice. Its answer carries a position, which goes along with every later question:
 * the answer includes what was done, or says that it does not.
 */

import { isAway, isBack, say } from "./notices.js";

const POSITION = "Diptych-Position";
const ANSWER_MS = 20_000;
const PATIENCE_MS = 60_000;
const PAUSES_MS = [250, 500, 1000, 2000];

/** What the API answered instead of an answer, in its own words. */
export class Problem extends Error {
  constructor(status, told) {
    super(told.detail || told.title || `The server answered ${status}.`);
    this.status = status;
    this.kind = String(told.type ?? "").replace(/^.*[:/]/, "");
    this.title = told.title ?? "";
    this.rule = told.rule ?? null;
    this.errors = Array.isArray(told.errors) ? told.errors : [];
  }
}

/** A key for one command, for as long as it takes. */
export function newKey() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

/**
 * Ask until there is an answer; `stale` says why it is older than what was done here, null that it is not.
 * *behind* is called while there is none because the read model has not come so far.
 */
export async function ask(path, fields, { signal, behind }) {
  const url = `${path}?${new URLSearchParams(Object.entries(fields).filter(([, value]) => value !== ""))}`;
  for (let turn = 0; ; turn += 1) {
    const token = position();
    const headers = token ? { [POSITION]: token } : {};
    const { response, data, problem, why } = await sent(url, { headers, cache: "no-store" }, signal);
    if (response?.ok) return { data, stale: response.headers.get("Diptych-Stale") };
    if (response) forget(token, problem, fields);
    else if (why.kind === "behind") behind("timeout");
    else isAway(why.text);
    await pause(turn, signal);
  }
}

/**
 * Send a command until it is answered; the same key, however often. Rejects with its Problem if it is refused.
 * *waiting* is called while there is no answer, with whether it is being done at least; *signal* gives it up.
 */
export async function tell(method, path, body, key, { waiting, signal }) {
  const headers = { "Idempotency-Key": key, ...(body && { "Content-Type": "application/json" }) };
  const options = { method, headers, body: body && JSON.stringify(body) };
  const deadline = performance.now() + PATIENCE_MS;
  for (let turn = 0; performance.now() < deadline; turn += 1) {
    const { response, data, problem, why } = await sent(path, options, signal);
    if (response?.ok) {
      remember(response.headers.get(POSITION));
      return data;
    }
    if (response) throw problem;
    const isUnderWay = why.kind === "in-progress";
    if (!isUnderWay) isAway(why.text);
    waiting(isUnderWay);
    await pause(turn, signal);
  }
  throw new Problem(503, { detail: "Whether it was done is not known. Send it again as it is: it is done once only." });
}

/** A response, with its data or its problem; or why it is to be asked again. One that is cut off is none. */
async function sent(url, options, signal) {
  const limit = AbortSignal.timeout(ANSWER_MS);
  try {
    const response = await fetch(url, { ...options, signal: signal ? AbortSignal.any([signal, limit]) : limit });
    const data = response.ok ? await response.json() : null;
    const problem = response.ok ? null : await problemIn(response);
    if ([502, 503, 504].includes(response.status) || problem?.kind === "in-progress") {
      return { why: { text: problem.message, kind: problem.kind } };
    }
    isBack();
    return { response, data, problem };
  } catch (error) {
    if (signal?.aborted) throw signal.reason;
    return { why: { text: error.name === "TimeoutError" ? "it does not answer" : "" } };
  }
}

async function problemIn(response) {
  const isTold = response.headers.get("Content-Type")?.startsWith("application/problem+json");
  return new Problem(response.status, isTold ? await response.json() : {});
}

/** Drop a position that the log doesn't know any more, and tell; any other problem is the asker's. */
function forget(token, problem, fields) {
  const isUnknown = problem.kind === "log-rewound" || (problem.kind === "malformed" && !fields.cursor);
  if (!token || !isUnknown) throw problem;
  if (token !== position()) return;
  remember(null);
  say("The log was put back or is another one: what you did last may be gone.");
}

function pause(turn, signal) {
  const wait = PAUSES_MS[Math.min(turn, PAUSES_MS.length - 1)];
  const over = new AbortController();
  return new Promise((resolve, reject) => {
    const timer = setTimeout(resolve, wait);
    over.signal.addEventListener("abort", () => clearTimeout(timer));
    addEventListener("online", resolve, { signal: over.signal });
    signal?.addEventListener("abort", () => reject(signal.reason), { signal: over.signal });
  }).finally(() => over.abort());
}

function position() {
  return sessionStorage.getItem(POSITION);
}

function remember(token) {
  if (token) sessionStorage.setItem(POSITION, token);
  else sessionStorage.removeItem(POSITION);
}
