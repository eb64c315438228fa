// What changes, as it changes: the service's event stream, and while that is not there, asking
// every second.

const TYPES = [
  "message.received",
  "message.sent",
  "message.status",
  "conversation.identified",
  "conversation.language_changed",
];
const PAUSE = 1000;
const TRY_AGAIN = 5000;

/**
 * Follows the service. `onEvent(event)` is given each event; `refresh()` is asked to read everything
 * anew; `onState(state)` hears `live`, `polling` or `away`.
 */
export function follow({ onEvent, refresh, onState }) {
  let stream = null;
  let timer = null;
  let tryAt = 0;

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
    const reached = await refresh();
    onState(!reached ? "away" : isLive() ? "live" : "polling");
    clearTimeout(timer);
    timer = setTimeout(tick, PAUSE);
  }

  function tick() {
    if (stream === null && Date.now() >= tryAt) open();
    if (isLive()) timer = setTimeout(tick, PAUSE);
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
