/**
 * Notice what others do: every event of an order lets the page look again.
 *
 * An event is told as soon as it is durable, which may be before a read model has it: so the page looks soon
 * and a little later, and once more. It is a courtesy; what one did oneself is asked for by its position.
 */

const EVENTS = ["OrderPlaced", "ItemAdded", "OrderShipped", "OrderCancelled"];
const SOON_MS = 200;
const LATER_MS = [1500, 6000];
const AGAIN_MS = [5_000, 60_000];

/** Call *ask* when something happened, while the page is seen: a hidden one keeps no connection. */
export function watch(ask) {
  let isLooking = false;
  let isWanted = false;
  let source = null;
  let first;
  let later = [];
  let pause = AGAIN_MS[0];
  let retry;

  /** One look at a time: what happens meanwhile is looked for behind it, and takes no answer away. */
  async function look() {
    isWanted = isLooking;
    if (isLooking) return;
    isLooking = true;
    try {
      await ask();
    } finally {
      isLooking = false;
    }
    if (isWanted) look();
  }

  function open() {
    clearTimeout(retry);
    source = new EventSource("orders/events");
    source.onopen = () => {
      pause = AGAIN_MS[0];
    };
    source.onerror = () => {
      soon();
      if (source?.readyState === EventSource.CLOSED) openLater();
    };
    for (const event of EVENTS) source.addEventListener(event, soon);
  }

  /** A lost connection it takes up again by itself; where it was refused, that is for us to do. */
  function openLater() {
    retry = setTimeout(open, pause);
    pause = Math.min(2 * pause, AGAIN_MS[1]);
  }

  function close() {
    clearTimeout(retry);
    source?.close();
    source = null;
  }

  /** However many events come: a look that is on its way stays so, and the last one is behind them all. */
  function soon() {
    first ??= setTimeout(() => {
      first = undefined;
      look();
    }, SOON_MS);
    for (const timer of later) clearTimeout(timer);
    later = LATER_MS.map((ms) => setTimeout(look, ms));
  }

  document.addEventListener("visibilitychange", () => {
    close();
    if (document.visibilityState === "hidden") return;
    look();
    open();
  });
  if (document.visibilityState !== "hidden") open();
}
