// What the network does to the texts of one number.

import { twilio } from "./backend.js";
import { nameOf } from "./people.js";

const WELL = { failure: "answer", outcome: "delivered", callbacks: "as-it-happens" };

export class Network {
  #form;
  #who;
  #said;
  #number = null;

  constructor(form, who, said, tell) {
    this.#form = form;
    this.#who = who;
    this.#said = said;
    form.addEventListener("change", (event) => this.#change(event.target));
    form.addEventListener("reset", (event) => {
      event.preventDefault();
      this.#setAll(WELL, "All is well.");
    });
    form.addEventListener("submit", (event) => event.preventDefault());
    tell.addEventListener("click", () => this.#tell());
  }

  /** Shows what holds for a number. Gives what the simulator says of itself. */
  async show(number) {
    if (number !== this.#number) this.#said.textContent = "";
    this.#number = number;
    const settings = await twilio.settings(number);
    if (number !== this.#number) return settings;
    const optedOut = settings.opted_out ? ", who has opted out" : "";
    this.#who.textContent = `${nameOf(number)}${optedOut}`;
    for (const select of this.#form.querySelectorAll("select")) choose(select, settings[select.name]);
    return settings;
  }

  async #change(select) {
    await this.#setAll({ [select.name]: select.value }, "");
  }

  async #setAll(modes, said) {
    try {
      for (const [what, mode] of Object.entries(modes)) await twilio.set(what, mode, this.#number);
      this.#said.textContent = said;
    } catch (error) {
      this.#said.textContent = error.message;
    }
    await this.show(this.#number);
  }

  async #tell() {
    try {
      const { heard, unheard } = await twilio.tellEverything();
      const more = unheard ? `, ${unheard} not` : "";
      this.#said.textContent = heard || unheard ? `${heard} reports were heard${more}.` : "Nothing was lost.";
    } catch (error) {
      this.#said.textContent = error.message;
    }
  }
}

/** A setting that the command line has made may be none of ours: then it is shown in its own words. */
function choose(select, mode) {
  if (![...select.options].some((option) => option.value === mode)) {
    const millis = /^(\d+)ms$/.exec(mode);
    select.add(new Option(millis ? `${millis[1] / 1000} s` : mode, mode));
  }
  select.value = mode;
  select.toggleAttribute("data-odd", mode !== select.options[0].value && select.name !== "delays");
}
