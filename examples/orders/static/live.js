/**
 * Notice what others do: every event of an order lets the page look again.
 *
 * An event is told as soon as it is durable, which may be before a read model has it: so the page looks soon
 * and once more a little later. It is a courtesy; what one did oneself is asked for by its position.
 */

const EVENTS = ["OrderPlaced", "ItemAdded", "OrderShipped", "OrderCancelled"];
const LOOKS_MS = [200, 1500];
const AGAIN_MS = [5_000, 60_000];

/** Call *look* when something happened, while the page is seen: a hidden one keeps no connection. */
export function watch(look) {
  let source = null;
  let first;
  let last;
  let pause = AGAIN_MS[0];
  let retry;

  function open() {
    clearTimeout(retry);
    source = new EventSource("orders/events");
    source.onopen = () => {
      pause = AGAIN_MS[0];
    };
    source.onerror = () => {
      soon();
      if (source?.readyState === EventSource.CLOSED) later();
    };
    for (const event of EVENTS) source.addEventListener(event, soon);
  }

  /** A lost connection it takes up again by itself; where it was refused, that is for us to do. */
  function later() {
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
    }, LOOKS_MS[0]);
    clearTimeout(last);
    last = setTimeout(look, LOOKS_MS[1]);
  }

  document.addEventListener("visibilitychange", () => {
    close();
    if (document.visibilityState === "hidden") return;
    look();
    open();
  });
  open();
}
