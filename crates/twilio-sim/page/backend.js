// What is asked of the service (`/service/..`, handed on by the simulator) and of the simulator
// itself (`/sim/..`).

/** What went wrong, in words for whoever looks at the page. */
export class Refused extends Error {
  constructor(status, message, code) {
    super(message);
    this.status = status;
    this.code = code;
  }
}

async function ask(path, body, headers = {}) {
  const post = body === undefined ? {} : {
    method: "POST",
    headers: { "Content-Type": "application/json", ...headers },
    body: JSON.stringify(body),
  };
  let answer;
  try {
    answer = await fetch(path, post);
  } catch {
    throw new Refused(0, "the simulator does not answer");
  }
  const text = await answer.text();
  const told = parsed(text);
  if (!answer.ok) {
    const message = told?.error?.message ?? told?.message ?? `answered ${answer.status}`;
    throw new Refused(answer.status, message, told?.error?.code);
  }
  return told;
}

function parsed(text) {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

const escaped = encodeURIComponent;

export const service = {
  /** The latest active conversations. */
  conversations: async () => (await ask("/service/conversations?limit=12")).conversations,

  /** The conversation with a number and its latest messages; `null` where there is none yet. */
  conversation: async (number) => {
    try {
      return await ask(`/service/conversations/${escaped(number)}?limit=100`);
    } catch (error) {
      if (error.status === 404) return null;
      throw error;
    }
  },

  message: (id) => ask(`/service/messages/${escaped(id)}`),

  /** One text, never two, however often the browser asks. */
  send: (to, body) =>
    ask("/service/sms/send", { to, body }, { "Idempotency-Key": crypto.randomUUID() }),
};

export const twilio = {
  settings: (number) => ask(`/sim/settings?number=${escaped(number)}`),

  messages: async (number) => (await ask(`/sim/messages?number=${escaped(number)}`)).messages,

  /** `failure`, `outcome`, `callbacks` for one recipient; `delays` for all. */
  set: (what, mode, to) => ask(`/sim/${what}`, what === "delays" ? { mode } : { mode, to }),

  text: (from, body) => ask("/sim/inbound", { from, body }),

  textAgain: (sid) => ask("/sim/inbound", { sid }),

  tellEverything: () => ask("/sim/tell-everything", {}),
};
