// The page: one person, seen from both ends. On the left what is on their phone, on the right what
// the service has of it.

import { service, twilio } from "./backend.js";
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
  // Where it cannot be read, whoever follows the service says so.
  readConversation().catch(() => {});
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

/** Reads the service's side anew. Throws where it cannot be read. */
async function readConversation() {
  const number = state.number;
  const conversation = await service.conversation(number);
  if (number !== state.number) return;
  state.conversation = conversation;
  state.messages = new Map((conversation?.messages ?? []).map((message) => [message.id, message]));
  show();
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
    show();
  } catch {
    // The stream tells as soon as it is there again.
  }
}

async function readPeople() {
  try {
    people.add((await service.conversations()).map((found) => found.phone_number_canonical));
  } catch {
    // Whoever follows the service says so.
  }
}

/** An event of the service's stream. */
function take({ type, data }) {
  const { message, phone_number_canonical: number } = data;
  if (type === "message.received") people.heardFrom(number);
  if (number !== state.number) return;
  const { message: _, ...facts } = data;
  state.conversation = { ...state.conversation, ...facts };
  if (message && !isOlder(message, state.messages.get(message.id))) state.messages.set(message.id, message);
  show();
}

/** How far a message got. What was just read may be newer than an event that comes after it. */
const FAR = ["queued", "unknown", "sending", "sent", "failed", "undelivered", "delivered"];

function isOlder(message, known) {
  return known && FAR.indexOf(message.delivery_status) < FAR.indexOf(known.delivery_status);
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
      const { twilio_sid: key, content: text, created_at: at } = message;
      items.set(key, { key, mine, text, media: urls(message), at, status: mine ? "taken" : undefined });
    }
  }
  for (const text of state.texts) {
    const mine = text.direction === "inbound";
    if (mine || text.status === "delivered") {
      const { sid: key, body, media, created_at: at } = text;
      items.set(key, { key, mine, text: body, media, at, ...(mine ? told(text) : {}) });
    }
  }
  return byTime(items.values());
}

function urls(message) {
  return message.media.map((media) => media.url);
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
      media: urls(message),
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
  if (status === "unknown") {
    return "No answer from Twilio. It may have gone out, so it is looked for, not sent again.";
  }
  if (!code) return undefined;
  const known = state.reasons.get(id);
  if (known?.code === code) return known.words;
  const words = code;
  state.reasons.set(id, { code, words });
  service.message(id).then((message) => {
    const explained = message.error_explanation;
    if (explained) state.reasons.set(id, { code, words: `${code}: ${explained}` });
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
    const asked = ({ started_at, outcome }) => [started_at, `asked Twilio: ${outcome ?? "no answer yet"}`];
    const told = ({ created_at, provider_status }) => [created_at, `Twilio says ${provider_status}`];
    const lines = [...message.attempts.map(asked), ...message.status_events.map(told)];
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
    // What Twilio refuses is a message too, and says so itself.
    if (number === state.number && error.code !== "sms.external_failed") said("desk", error.message);
  }
  await readConversation().catch(() => {});
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

const LINK = { live: "live", polling: "asking every second" };

function showLink(link, why) {
  at("link").dataset.state = link;
  at("link").textContent = why ?? LINK[link];
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
