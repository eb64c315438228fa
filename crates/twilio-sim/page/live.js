// What changes, as it changes: the service's event stream, and while that is not there, asking
// every second.

const TYPES = [
  "message.received",
  "message.sent",
  "message.status",
  "conversation.identified",
  "conversation.language_changed",
];
/** How often everything is read anew: without the stream, and with it (not all that happens is an event). */
const PAUSE = 1000;
const LIVE_PAUSE = 15_000;
/** A stream that was refused is tried again after so long. */
const TRY_AGAIN = 5000;

/**
 * Follows the service. `onEvent(event)` is given each event; `refresh()` reads everything anew, and
 * throws where it cannot; `onState(state, why)` hears `live`, `polling` or `away`.
 */
export function follow({ onEvent, refresh, onState }) {
  let stream = null;
  let timer = null;
  let tryAt = 0;
  let lookAt = 0;

  const isLive = () => stream?.readyState === EventSource.OPEN;

  function open() {
    stream = new EventSource("/service/events");
    stream.onopen = look;
    // The browser itself tries again where the stream broke off, but not where it was refused.
    stream.onerror = () => {
      if (stream?.readyState === EventSource.CLOSED) {
        stream = null;
        tryAt = Date.now() + TRY_AGAIN;
      }
    };
    for (const type of TYPES) {
      stream.addEventListener(type, (frame) => onEvent(JSON.parse(frame.data)));
    }
  }

  async function look() {
    clearTimeout(timer);
    try {
      await refresh();
      onState(isLive() ? "live" : "polling");
    } catch (error) {
      onState("away", error.message);
    }
    lookAt = Date.now() + (isLive() ? LIVE_PAUSE : PAUSE);
    clearTimeout(timer);
    if (!document.hidden) timer = setTimeout(tick, PAUSE);
  }

  function tick() {
    if (stream === null && Date.now() >= tryAt) open();
    if (isLive() && Date.now() < lookAt) timer = setTimeout(tick, PAUSE);
    else look();
  }

  // A browser opens few connections to one place: a page that nobody sees holds none.
  whileVisible(() => {
    open();
    look();
    return () => {
      clearTimeout(timer);
      stream?.close();
      stream = null;
    };
  });
}

/** Follows the simulator: `onChange()` after every change. */
export function followTwilio(onChange) {
  whileVisible(() => {
    const stream = new EventSource("/sim/events");
    stream.addEventListener("change", onChange);
    return () => stream.close();
  });
}

/** Calls `begin` whenever the page comes into sight, and what that returns when it goes out of it. */
function whileVisible(begin) {
  let end = null;
  const change = () => {
    if (document.hidden) {
      end?.();
      end = null;
    } else {
      end ??= begin();
    }
  };
  document.addEventListener("visibilitychange", change);
  change();
}
