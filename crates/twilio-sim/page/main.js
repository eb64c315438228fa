// The page: one person, seen from both ends. On the left what is on their phone, on the right what
// the service has of it.

import { Refused, service, twilio } from "./backend.js";
import { Bubbles } from "./bubbles.js";
import { element } from "./dom.js";
import { follow, followTwilio } from "./live.js";
import { Network } from "./network.js";
import { FIRST, nameOf, People, person, typed, written } from "./people.js";

const at = (id) => document.getElementById(id);

/** What is shown of the picked person. */
const state = {
  number: FIRST,
  /** What the service knows of the conversation; `null` where there is none. */
  conversation: null,
  /** The service's messages, by id. */
  messages: new Map(),
  /** The simulator's. */
  texts: [],
  /** What was written at the desk and is not answered yet. */
  waiting: new Map(),
  /** What is known of messages that went wrong, by id. */
  reasons: new Map(),
};

const people = new People(at("people"), pick);
const network = new Network(at("network"), at("network-who"), at("network-said"), at("tell"));
const phone = new Bubbles(at("phone-thread"), "Nothing yet. Write something below, as the tenant.");
const desk = new Bubbles(at("desk-thread"), "The service has heard nothing from this number yet.");

// Who

function pick(number) {
  const isNew = number !== state.number;
  Object.assign(state, { number });
  if (isNew) {
    Object.assign(state, { conversation: null, messages: new Map(), texts: [], waiting: new Map() });
    said("phone", "");
    said("desk", "");
  }
  history.replaceState(null, "", `#${number}`);
  people.pick(number);
  at("phone-title").textContent = person(number).name ? `${nameOf(number)}’s phone` : "A phone";
  at("desk-text").placeholder = `Answer ${nameOf(number)}`;
  showIdeas();
  show();
  readConversation();
  readTexts();
}

function showIdeas() {
  const ideas = person(state.number).ideas.map((idea) => {
    const button = element("button", { type: "button" }, [idea]);
    button.addEventListener("click", () => write("phone", idea));
    return button;
  });
  at("ideas").replaceChildren(...ideas);
}

at("add").addEventListener("submit", (event) => {
  event.preventDefault();
  const field = at("number");
  const number = typed(field.value);
  field.setCustomValidity(number ? "" : "A number such as +1 860 555 0123");
  if (!number) return field.reportValidity();
  field.value = "";
  pick(number);
  at("phone-text").focus();
});
at("number").addEventListener("input", (event) => event.target.setCustomValidity(""));

// What is read

/** Reads the service's side anew; whether it could be read. */
async function readConversation() {
  const number = state.number;
  try {
    const conversation = await service.conversation(number);
    if (number !== state.number) return true;
    state.conversation = conversation;
    state.messages = new Map((conversation?.messages ?? []).map((message) => [message.id, message]));
    show();
    return true;
  } catch (error) {
    linkSays(error);
    return false;
  }
}

/** Reads the simulator's side anew. */
async function readTexts() {
  const number = state.number;
  try {
    const [texts, settings] = await Promise.all([twilio.messages(number), network.show(number)]);
    if (number !== state.number) return;
    moveOnWire(state.texts, texts);
    state.texts = texts;
    at("ours").textContent = written(settings.number);
    at("phone-thread").toggleAttribute("data-opted-out", settings.opted_out);
    show();
  } catch {
    // The stream tells as soon as it is there again.
  }
}

async function readPeople() {
  try {
    people.add((await service.conversations()).map((found) => found.phone_number_canonical));
  } catch {
    // `readConversation` says so.
  }
}

/** An event of the service's stream. */
function take({ type, data }) {
  const { message, phone_number_canonical: number } = data;
  if (type === "message.received") people.heardFrom(number);
  if (number !== state.number) return;
  const { message: _, ...facts } = data;
  state.conversation = { ...state.conversation, ...facts };
  if (message) state.messages.set(message.id, message);
  show();
}

// What is shown

function show() {
  showFacts();
  phone.show(onPhone(), state.number);
  desk.show(atDesk(), state.number);
}

function showFacts() {
  const facts = [nameOf(state.number), ...known(state.conversation)];
  at("facts").replaceChildren(...facts.map((fact) => element("li", {}, [fact])));
}

const LANGUAGES = { en: "English", es: "Spanish", pt: "Portuguese" };

function known(conversation) {
  if (!conversation) return [];
  const { tenant_id, language_detected, language_confidence, workflow_type } = conversation;
  const sure = language_confidence ? ` ${Math.round(language_confidence * 100)}%` : "";
  return [
    LANGUAGES[language_detected] && `writes ${LANGUAGES[language_detected]}${sure}`,
    tenant_id ? `tenant ${tenant_id}` : "tenant unknown",
    workflow_type,
  ].filter(Boolean);
}

/** What a person holds in their hand: what they wrote, and what has reached them. */
function onPhone() {
  const items = new Map();
  for (const message of state.messages.values()) {
    const mine = message.direction === "inbound";
    if (mine || message.delivery_status === "delivered") {
      items.set(message.twilio_sid, phoneItem(message.twilio_sid, mine, message.content, message.media.map((media) => media.url), message.created_at, mine ? "taken" : undefined));
    }
  }
  for (const text of state.texts) {
    const mine = text.direction === "inbound";
    if (mine || text.status === "delivered") {
      const item = phoneItem(text.sid, mine, text.body, text.media, text.created_at);
      items.set(text.sid, mine ? { ...item, ...told(text) } : item);
    }
  }
  return byTime(items.values());
}

function phoneItem(sid, mine, text, media, at, status) {
  return { key: sid, mine, text, media, at, status };
}

/** Whether the service has a text from the phone. */
function told(text) {
  switch (text.changes[0].told) {
    case "underway":
      return { status: "underway" };
    case "no":
      return {
        status: "refused",
        why: "The service did not take it.",
        action: { label: "Send it again", run: () => textAgain(text.sid) },
      };
    default:
      return { status: "taken" };
  }
}

/** What the service has. */
function atDesk() {
  const messages = [...state.messages.values()];
  const items = messages.map((message) => {
    const mine = message.direction === "outbound";
    return {
      key: message.id,
      mine,
      text: message.content,
      media: message.media.map((media) => media.url),
      at: message.created_at,
      status: mine ? message.delivery_status : undefined,
      why: mine ? why(message) : undefined,
      history: mine ? () => historyOf(message.id) : undefined,
    };
  });
  const isThere = ({ text, at }) => messages.some((message) =>
    message.direction === "outbound" && message.content === text && message.created_at >= at);
  for (const [key, written] of state.waiting) {
    if (!isThere(written)) items.push({ key, mine: true, status: "queued", ...written });
  }
  return byTime(items);
}

function byTime(items) {
  return [...items].sort((one, other) => Date.parse(one.at) - Date.parse(other.at));
}

/** Why a message went wrong: its code at once, the words for it when they have come. */
function why({ id, delivery_status: status, error_code: code }) {
  if (status === "unknown") return "No answer from Twilio. It may have gone out, so it is looked for, not sent again.";
  if (!code) return undefined;
  const known = state.reasons.get(id);
  if (known?.code === code) return known.words;
  const words = code;
  state.reasons.set(id, { code, words });
  service.message(id).then((message) => {
    if (message.error_explanation) state.reasons.set(id, { code, words: `${code}: ${message.error_explanation}` });
    show();
  }).catch(() => state.reasons.delete(id));
  return words;
}

/** What has happened to a message, a line each. */
async function historyOf(id) {
  try {
    const message = await service.message(id);
    const begun = Date.parse(message.created_at);
    const since = (at) => `${((Date.parse(at) - begun) / 1000).toFixed(1)} s`;
    const lines = [
      ...message.attempts.map((attempt) => [attempt.started_at, `asked Twilio: ${attempt.outcome ?? "no answer yet"}`]),
      ...message.status_events.map((event) => [event.created_at, `Twilio says ${event.provider_status}`]),
    ];
    lines.sort(([one], [other]) => Date.parse(one) - Date.parse(other));
    return lines.map(([at, what]) => `${since(at)}  ${what}`);
  } catch (error) {
    return [error.message];
  }
}

// What is written

for (const end of ["phone", "desk"]) {
  const text = at(`${end}-text`);
  at(`${end}-form`).addEventListener("submit", (event) => {
    event.preventDefault();
    write(end, text.value);
  });
  text.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && !event.shiftKey && !event.isComposing) {
      event.preventDefault();
      write(end, text.value);
    }
  });
  text.addEventListener("input", () => grow(text));
}

/** A field is as high as what is in it. */
function grow(text) {
  text.style.height = "auto";
  text.style.height = `${text.scrollHeight}px`;
}

function write(end, words) {
  if (!words.trim()) return;
  const field = at(`${end}-text`);
  field.value = "";
  grow(field);
  said(end, "");
  if (end === "phone") text(words);
  else answer(words);
}

async function text(words) {
  try {
    const { message } = await twilio.text(state.number, words);
    if (message) said("phone", `${message}.`);
  } catch (error) {
    said("phone", error.message);
  }
}

async function textAgain(sid) {
  try {
    const { message } = await twilio.textAgain(sid);
    said("phone", message ? `${message}.` : "");
  } catch (error) {
    said("phone", error.message);
  }
}

async function answer(words) {
  const number = state.number;
  const key = crypto.randomUUID();
  state.waiting.set(key, { text: words, at: new Date().toISOString() });
  show();
  try {
    await service.send(number, words);
  } catch (error) {
    if (number === state.number) said("desk", error.message);
  }
  if (number === state.number) await readConversation();
  state.waiting.delete(key);
  show();
}

function said(end, words) {
  at(`${end}-said`).textContent = words;
}

// How it moves

/** A dot runs along the wire for each text that is new, in its direction. */
function moveOnWire(before, now) {
  if (before.length === 0 || now.length <= before.length) return;
  const wire = at("wire");
  wire.dataset.way = now.at(-1).direction === "inbound" ? "in" : "out";
  const dot = wire.firstElementChild;
  dot.replaceWith(dot.cloneNode());
}

const LINK = {
  live: "live",
  polling: "asking every second",
  away: "the service does not answer",
};

function linkSays(error) {
  if (error instanceof Refused && error.status !== 0) LINK.away = error.message;
}

function showLink(link) {
  at("link").dataset.state = link;
  at("link").textContent = LINK[link];
}

for (const tab of document.querySelectorAll(".tabs button")) {
  tab.addEventListener("click", () => {
    document.body.dataset.pane = tab.dataset.pane;
    for (const other of document.querySelectorAll(".tabs button")) {
      other.setAttribute("aria-pressed", String(other === tab));
    }
    // What was out of sight could not scroll.
    for (const thread of document.querySelectorAll(".thread")) thread.scrollTop = thread.scrollHeight;
  });
}

addEventListener("hashchange", () => {
  const number = typed(decodeURIComponent(location.hash.slice(1)));
  if (number && number !== state.number) pick(number);
});

pick(typed(decodeURIComponent(location.hash.slice(1))) ?? FIRST);
readPeople();
followTwilio(readTexts);
follow({ onEvent: take, refresh: readConversation, onState: showLink });
if (matchMedia("(min-width: 62rem)").matches) at("phone-text").focus();
