// Who texts: three to begin with, whoever has a conversation, and numbers that were typed.

import { element } from "./dom.js";

const KNOWN = [
  {
    number: "+18605550199",
    name: "Sam",
    ideas: ["My sink is leaking", "When can you come by?", "STOP"],
  },
  {
    number: "+18605550142",
    name: "María",
    ideas: ["Hola, el fregadero está goteando", "¿Cuándo pueden venir?", "STOP"],
  },
  {
    number: "+18605550177",
    name: "João",
    ideas: ["Olá, a pia da cozinha está vazando", "Quando vocês podem vir?", "STOP"],
  },
];
const OTHER_IDEAS = ["Hello, is the flat still free?", "START", "STOP"];

export const FIRST = KNOWN[0].number;

/** Somebody with that number. */
export function person(number) {
  const known = KNOWN.find((known) => known.number === number);
  return known ?? { number, name: null, ideas: OTHER_IDEAS };
}

/** What somebody is called. */
export function nameOf(number) {
  return person(number).name ?? written(number);
}

/** A number as people write it. */
export function written(number) {
  const parts = /^\+1(\d{3})(\d{3})(\d{4})$/.exec(number);
  return parts ? `+1 ${parts[1]} ${parts[2]} ${parts[3]}` : number;
}

/** A number as it was typed, in the form in which Twilio writes it; `null` where it is none. */
export function typed(text) {
  const digits = text.replace(/\D/g, "");
  if (digits.length < 7 || digits.length > 15 || /[a-z]/i.test(text)) return null;
  if (text.trim().startsWith("+")) return `+${digits}`;
  if (digits.length === 10) return `+1${digits}`;
  return digits.length === 11 && digits.startsWith("1") ? `+${digits}` : null;
}

/** The list of people. `onPick(number)` hears who was picked. */
export class People {
  #list;
  #onPick;
  #numbers = KNOWN.map((known) => known.number);
  #unread = new Set();
  #picked = null;

  constructor(list, onPick) {
    this.#list = list;
    this.#onPick = onPick;
  }

  pick(number) {
    this.#picked = number;
    this.#unread.delete(number);
    this.add([number]);
  }

  add(numbers) {
    for (const number of numbers) {
      if (!this.#numbers.includes(number)) this.#numbers.push(number);
    }
    this.#show();
  }

  /** Somebody has texted. */
  heardFrom(number) {
    if (number !== this.#picked) this.#unread.add(number);
    this.add([number]);
  }

  #show() {
    const shown = [...this.#list.children].map((item) => item.dataset.number);
    for (const number of this.#numbers.filter((number) => !shown.includes(number))) {
      this.#list.append(this.#item(number));
    }
    for (const item of this.#list.children) {
      const button = item.firstElementChild;
      button.toggleAttribute("data-unread", this.#unread.has(item.dataset.number));
      if (item.dataset.number === this.#picked) button.setAttribute("aria-current", "true");
      else button.removeAttribute("aria-current");
    }
  }

  #item(number) {
    const { name } = person(number);
    const button = element("button", { type: "button" }, [
      element("span", { class: "face", "aria-hidden": "true" }, [name?.[0] ?? "#"]),
      element("span", { class: "who" }, [
        element("b", {}, [name ?? written(number)]),
        ...(name ? [element("small", {}, [written(number)])] : []),
      ]),
    ]);
    button.addEventListener("click", () => this.#onPick(number));
    return element("li", { "data-number": number }, [button]);
  }
}
