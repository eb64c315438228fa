// A thread as bubbles. Bubbles stay where they are while only their status changes, so that what
// moves is what has changed.

import { element } from "./dom.js";

const SVG = "http://www.w3.org/2000/svg";

/** Drawn on a field of 18 by 12. */
const MARKS = {
  waiting: ["M9 1.5a4.5 4.5 0 1 0 .01 0", "M9 3.8V6l1.6 1"],
  sent: ["m4.5 6.2 2.8 2.9 5.6-6.2"],
  delivered: ["m1.5 6.2 2.8 2.9 5.6-6.2", "m8.2 8.7.4.4 5.6-6.2"],
  wrong: ["M9 2v4.8", "M9 9.7v.1"],
  unknown: ["M6.8 4.2c0-3 4.5-3 4.5-.2 0 1.7-2.3 1.8-2.3 3.4", "M9 10v.1"],
};

/** The mark of each status, and what it means. */
const STATUS = {
  queued: ["waiting", "queued"],
  sending: ["waiting", "sending"],
  sent: ["sent", "sent"],
  delivered: ["delivered", "delivered"],
  undelivered: ["wrong", "not delivered"],
  failed: ["wrong", "failed"],
  unknown: ["unknown", "Twilio did not answer; looking for it"],
  underway: ["waiting", "on its way to the service"],
  taken: ["sent", "taken in by the service"],
  refused: ["wrong", "not taken in"],
};

const CLOCK = new Intl.DateTimeFormat([], { hour: "2-digit", minute: "2-digit" });

/**
 * The bubbles of one thread. An item has `key`, `mine`, `text`, `media`, `at`, and where there is
 * one `status`, `why`, `action` (`{label, run}`) and `history` (an async function that gives lines).
 */
export class Bubbles {
  #list;
  #empty;
  #shown = new Map();

  /** `empty` says what stands there before anything was said. */
  constructor(list, empty) {
    this.#list = list;
    this.#empty = empty;
  }

  show(items, who) {
    if (this.#list.dataset.who !== who) {
      this.#list.replaceChildren();
      this.#shown.clear();
      this.#list.dataset.who = who;
    }
    const atEnd = this.#list.scrollHeight - this.#list.scrollTop - this.#list.clientHeight < 60;
    const count = this.#shown.size;
    const keys = new Set(items.map((item) => item.key));
    for (const [key, bubble] of this.#shown) {
      if (!keys.has(key)) {
        bubble.remove();
        this.#shown.delete(key);
      }
    }
    for (const [place, item] of items.entries()) this.#place(place, item);
    this.#showEmpty(items.length === 0);
    if (atEnd || count === 0) this.#list.scrollTop = this.#list.scrollHeight;
  }

  #place(place, item) {
    let bubble = this.#shown.get(item.key);
    if (!bubble) {
      bubble = made(item);
      this.#shown.set(item.key, bubble);
    }
    const there = this.#list.children[place];
    if (there !== bubble) this.#list.insertBefore(bubble, there ?? null);
    update(bubble, item);
  }

  #showEmpty(isEmpty) {
    const shown = this.#list.querySelector(".empty");
    if (!isEmpty) shown?.remove();
    else if (!shown) this.#list.append(element("li", { class: "empty" }, [this.#empty]));
  }
}

function made(item) {
  const media = (item.media ?? []).map((url) => element("p", { class: "media" }, [url]));
  return element("li", { class: item.mine ? "bubble mine" : "bubble", "data-key": item.key }, [
    element("div", { class: "words" }, [element("p", {}, [item.text ?? ""]), ...media]),
    element("div", { class: "line" }),
  ]);
}

function update(bubble, item) {
  const [mark, meaning] = STATUS[item.status] ?? [];
  const state = JSON.stringify([item.status, item.why, Boolean(item.action), item.at]);
  if (bubble.dataset.state === state) return;
  bubble.dataset.state = state;
  bubble.dataset.status = item.status ?? "";
  const line = bubble.lastElementChild;
  const time = element("time", { datetime: item.at }, [CLOCK.format(new Date(item.at))]);
  const drawn = mark ? [ticks(mark, meaning)] : [];
  const wasOpen = Boolean(line.querySelector("details[open]"));
  line.replaceChildren();
  if (item.history) line.append(history(item, [time, ...drawn], wasOpen));
  else line.append(element("span", { class: "stamp" }, [time, ...drawn]));
  if (item.why) line.append(element("p", { class: "why" }, [item.why]));
  if (item.action) line.append(action(item.action));
}

function ticks(mark, meaning) {
  const drawing = document.createElementNS(SVG, "svg");
  drawing.setAttribute("viewBox", "0 0 18 12");
  drawing.setAttribute("class", `ticks ${mark}`);
  drawing.setAttribute("role", "img");
  drawing.setAttribute("aria-label", meaning);
  for (const path of MARKS[mark]) {
    const drawn = document.createElementNS(SVG, "path");
    drawn.setAttribute("d", path);
    drawn.setAttribute("pathLength", "1");
    drawing.append(drawn);
  }
  const title = document.createElementNS(SVG, "title");
  title.textContent = meaning;
  drawing.prepend(title);
  return drawing;
}

function history(item, summary, isOpen) {
  const lines = element("ol", { class: "history" });
  const details = element("details", {}, [element("summary", { class: "stamp" }, summary), lines]);
  const load = async () => {
    if (!details.open) return;
    const told = await item.history();
    lines.replaceChildren(...told.map((line) => element("li", {}, [line])));
  };
  details.addEventListener("toggle", load);
  details.open = isOpen;
  return details;
}

function action({ label, run }) {
  const button = element("button", { type: "button", class: "action" }, [label]);
  button.addEventListener("click", run);
  return button;
}
