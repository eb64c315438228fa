// The phone page in a real browser: text, see it arrive through the API, answer, see the ticks, let
// things go wrong. Arguments: the page's URL, the service's URL, where screenshots go, the browser.

import { mkdirSync } from "node:fs";
import { createServer } from "node:http";
import { createRequire } from "node:module";
import { join, resolve } from "node:path";

const [pageUrl, serviceUrl, shots, executablePath, modules] = process.argv.slice(2);
const { chromium } = createRequire(`${resolve(modules)}/`)("playwright-core");

const FLAGS = [
  "--headless",
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
];
const DESKTOP = { width: 1280, height: 800 };
const PHONE = { width: 390, height: 844 };

let passed = 0;
const failures = [];

function check(what, holds) {
  if (holds) passed += 1;
  else {
    failures.push(what);
    console.log(`FAILED: ${what}`);
  }
}

/** Waits until `holds` and counts whether it ever did. */
async function soon(what, holds, patience = 20_000) {
  const end = Date.now() + patience;
  while (Date.now() < end) {
    if (await holds()) return check(what, true);
    await new Promise((wake) => setTimeout(wake, 50));
  }
  check(what, false);
}

const conversation = async (number) => {
  const answer = await fetch(`${serviceUrl}/conversations/${encodeURIComponent(number)}`);
  return answer.ok ? answer.json() : { messages: [] };
};

const tab = (page, name) => page.locator(".tabs").getByRole("button", { name });

const SAM = "+18605550199";
const MARIA = "+18605550142";
const JOAO = "+18605550177";

const onPhone = (page) => page.locator("#phone-thread .bubble");
const atDesk = (page) => page.locator("#desk-thread .bubble");
const saying = (bubbles, words) => bubbles.filter({ hasText: words }).last();
const status = (bubble) => bubble.getAttribute("data-status");

async function open(browser, { number = SAM, url = pageUrl, viewport = DESKTOP, ...settings } = {}) {
  const page = await browser.newPage({ viewport, ...settings });
  page.on("pageerror", (error) => check(`no script fails: ${error}`, false));
  page.on("console", (line) => {
    // What the page asks may be refused, and it says so itself.
    const isExpected = /status of (404|422)/.test(line.text());
    if (line.type() === "error" && !isExpected) check(`the console is quiet: ${line.text()}`, false);
  });
  page.on("request", (request) => {
    if (!request.url().startsWith(url)) check(`nothing comes from elsewhere: ${request.url()}`, false);
  });
  await page.goto(`${url}/#${number}`);
  return page;
}

async function writing(browser) {
  const page = await open(browser);
  await soon("it follows the service's stream of events", () => isLive(page));
  check("one can write at once", await page.locator("#phone-text").evaluate((field) => field === document.activeElement));

  await page.keyboard.type("My sink is leaking");
  await page.keyboard.press("Enter");
  await soon("a text arrives through the API", async () => {
    const { messages } = await conversation(SAM);
    return messages.some((message) => message.direction === "inbound" && message.content === "My sink is leaking");
  });
  await soon("the phone shows that it was taken in", async () =>
    (await status(saying(onPhone(page), "My sink is leaking"))) === "taken");
  await soon("the desk shows it", () => saying(atDesk(page), "My sink is leaking").isVisible());
  await soon("the language is shown", async () => (await page.locator("#facts").textContent()).includes("writes English"));

  await page.locator("#desk-text").fill("We will come by at four.");
  await page.locator("#desk-text").press("Enter");
  await soon("the answer is delivered, and the ticks say so", async () =>
    (await status(saying(atDesk(page), "come by at four"))) === "delivered");
  await soon("it reaches the phone", () => saying(onPhone(page), "come by at four").isVisible());
  const { messages } = await conversation(SAM);
  check("one answer was sent", messages.filter((message) => message.direction === "outbound").length === 1);

  const bubble = saying(atDesk(page), "come by at four");
  await bubble.locator("summary").click();
  await soon("its history is told", async () => (await bubble.locator(".history").textContent()).includes("Twilio says delivered"));
  await bubble.locator("summary").click();
  await page.close();
}

const simulator = (path, body) => fetch(`${pageUrl}/sim${path}`, { method: "POST", body: JSON.stringify(body) });

const isLive = async (page) => (await page.locator("#link").textContent()) === "live";

async function sentByOthers(browser) {
  const page = await open(browser);
  await soon("it is live", () => isLive(page));
  // Whoever asks for the thread from now on finds it as it was: only the stream tells what happens.
  const before = JSON.stringify(await conversation(SAM));
  const asked = /\/service\/conversations\//;
  await page.route(asked, (route) => route.fulfill({ contentType: "application/json", body: before }));
  await simulator("/delays", { mode: "1500ms" });
  const sent = await fetch(`${serviceUrl}/sms/send`, {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify({ to: SAM, body: "The plumber is on his way." }),
  });
  check("POST /sms/send is answered 202", sent.status === 202);
  const bubble = saying(atDesk(page), "The plumber is on his way");
  const seen = new Set();
  await soon("the stream shows what others send, and moves its ticks", async () => {
    if (await bubble.isVisible()) seen.add(await status(bubble));
    return seen.has("delivered");
  });
  check("all the while it was live", await isLive(page));
  await page.unroute(asked);
  check(`more than the last status was seen: ${[...seen]}`, seen.size > 1);
  await simulator("/delays", { mode: "200ms" });
  await soon("it reaches the phone too", () => saying(onPhone(page), "The plumber is on his way").isVisible());
  await page.close();
}

async function failing(browser) {
  const page = await open(browser, { number: MARIA });
  await page.getByRole("button", { name: "Hola, el fregadero está goteando" }).click();
  await soon("the language is found", async () => (await page.locator("#facts").textContent()).includes("Spanish"));

  await page.locator("select[name=outcome]").selectOption("undelivered:30003");
  await page.locator("#desk-text").fill("Vamos a las cuatro.");
  await page.getByRole("button", { name: "Send from the desk" }).click();
  await soon("a text that is not delivered is explained", async () =>
    /30003: \S+/.test(await saying(atDesk(page), "Vamos a las cuatro").locator(".why").textContent({ timeout: 100 }).catch(() => "")));
  check("it does not reach the phone", (await onPhone(page).filter({ hasText: "Vamos a las cuatro" }).count()) === 0);

  await page.getByRole("button", { name: "All is well again" }).click();
  await soon("all is well again", async () => (await page.locator("select[name=outcome]").inputValue()) === "delivered");
  await page.locator("select[name=callbacks]").selectOption("lost");
  await page.locator("#desk-text").fill("¿Está en casa?");
  await page.locator("#desk-text").press("Enter");
  await soon("it reaches the phone though nobody tells the service", () => saying(onPhone(page), "en casa").isVisible());
  check("which does not know", (await status(saying(atDesk(page), "en casa"))) !== "delivered");
  await page.getByRole("button", { name: "Report what was lost" }).click();
  await soon("until it is told", async () => (await status(saying(atDesk(page), "en casa"))) === "delivered");

  await page.locator("select[name=callbacks]").selectOption("as-it-happens");
  await page.locator("select[name=failure]").selectOption("drop-after-accepting");
  await page.locator("#desk-text").fill("Ya llegamos.");
  await page.locator("#desk-text").press("Enter");
  await soon("a text whose answer was lost is found again", async () =>
    (await status(saying(atDesk(page), "Ya llegamos"))) === "delivered", 40_000);
  const sent = (await conversation(MARIA)).messages.filter((message) => message.content === "Ya llegamos.");
  check("and was sent once", sent.length === 1 && (await onPhone(page).filter({ hasText: "Ya llegamos" }).count()) === 1);
  await page.close();
}

async function optingOut(browser) {
  const page = await open(browser, { number: JOAO });
  await page.getByRole("button", { name: "STOP" }).click();
  await soon("a word opts out", () => saying(atDesk(page), "STOP").isVisible());
  await page.locator("#desk-text").fill("Olá?");
  await page.locator("#desk-text").press("Enter");
  await soon("then an answer is refused", async () => (await status(saying(atDesk(page), "Olá?"))) === "failed");
  await page.close();
}

async function numbers(browser) {
  const page = await open(browser);
  await page.locator("#number").fill("not a number");
  await page.getByRole("button", { name: "Add the number" }).click();
  check("what is no number is not taken", (await page.locator("#number").inputValue()) === "not a number");
  await page.locator("#number").fill("(860) 555-0123");
  await page.locator("#number").press("Enter");
  check("a typed number is picked", page.url().endsWith("#+18605550123"));
  await page.keyboard.type("Is the flat still free?");
  await page.keyboard.press("Enter");
  await soon("it can text", () => saying(atDesk(page), "Is the flat still free?").isVisible());
  await page.locator("#phone-text").fill("<img src=x onerror=alert(1)>");
  await page.locator("#phone-text").press("Enter");
  await soon("markup is text", () => saying(atDesk(page), "<img src=x onerror=alert(1)>").isVisible());
  check("and nothing else", (await page.locator("main img").count()) === 0);
  await page.reload();
  await soon("a page that is loaded again shows the same", () => saying(onPhone(page), "Is the flat still free?").isVisible());
  await page.getByRole("button", { name: /María/ }).click();
  await soon("another is picked", async () => (await page.locator("#desk-title").isVisible()) && page.url().endsWith(MARIA));
  await soon("and only that thread is shown", async () =>
    (await saying(onPhone(page), "Hola").isVisible()) && !(await saying(onPhone(page), "flat").isVisible()));
  await page.close();
}

/** The page with a stream of the shape that the service has: a proxy in front that makes one. */
async function streaming(browser) {
  const streams = new Set();
  let polls = 0;
  let kept = null;
  const proxy = createServer(async (request, response) => {
    if (request.url === "/service/events") {
      response.writeHead(200, { "Content-Type": "text/event-stream" }).write(": hello\n\n");
      streams.add(response);
      request.on("close", () => streams.delete(response));
      return;
    }
    if (request.url.startsWith("/service/conversations/") && kept) {
      polls += 1;
      return response.writeHead(200, { "Content-Type": "application/json" }).end(JSON.stringify(kept));
    }
    if (request.url === "/sim/events") return response.writeHead(404).end();
    const answer = await fetch(pageUrl + request.url);
    response.writeHead(answer.status, { "Content-Type": answer.headers.get("content-type") });
    response.end(Buffer.from(await answer.arrayBuffer()));
  });
  await new Promise((ready) => proxy.listen(0, "127.0.0.1", ready));
  const url = `http://127.0.0.1:${proxy.address().port}`;
  const number = "+18605550111";
  const page = await browser.newPage({ viewport: DESKTOP });
  await page.goto(`${url}/#${number}`);
  await soon("with a stream it says that it is live", async () => (await page.locator("#link").textContent()) === "live");

  const frame = (id, type, message, facts = {}) => {
    const data = {
      conversation_id: "0197", phone_number_canonical: number, tenant_id: "t-7", workflow_type: null,
      workflow_id: null, language_detected: "pt", ...facts, message,
    };
    if (!facts.phone_number_canonical) kept = { ...data, messages: [message] };
    const event = { id: `e${id}`, type, timestamp: "2026-11-25T10:00:00Z", data };
    for (const stream of streams) stream.write(`id: ${id}\nevent: ${type}\ndata: ${JSON.stringify(event)}\n\n`);
  };
  const message = {
    id: "0197-1", direction: "outbound", from_number: "+18605550100", to_number: number,
    message_content: "From the stream", content: "From the stream", twilio_sid: "SM1",
    delivery_status: "queued", error_code: null, media: [], created_at: "2026-11-25T10:00:00Z",
    timestamp: "2026-11-25T10:00:00Z", sender: "system",
  };
  const before = polls;
  const bubble = saying(atDesk(page), "From the stream");
  for (const [id, delivery_status] of ["queued", "sent", "delivered"].entries()) {
    frame(id, id ? "message.status" : "message.sent", { ...message, delivery_status });
    await soon(`the stream moves the ticks to ${delivery_status}`, async () => (await status(bubble)) === delivery_status);
  }
  await soon("the facts come with it", async () => /Portuguese.*tenant t-7/s.test(await page.locator("#facts").textContent()));
  check("hardly anybody asked for it", polls - before <= 1);
  frame(5, "message.status", { ...message, delivery_status: "sent" });
  frame(9, "message.received", { ...message, id: "0197-2", direction: "inbound" }, { phone_number_canonical: MARIA });
  await soon("somebody else who texts is marked", () => page.locator(`#people [data-number="${MARIA}"] [data-unread]`).isVisible());
  check("an older event moves nothing back", (await status(bubble)) === "delivered");

  for (const stream of streams) stream.destroy();
  proxy.closeAllConnections();
  await new Promise((closed) => proxy.close(closed));
  await soon("without the simulator it says so", async () => (await page.locator("#link").getAttribute("data-state")) === "away");
  await page.close();
}

async function looks(browser) {
  const shoot = async (name, settings, act = () => {}) => {
    const page = await open(browser, settings);
    await soon(`${name} shows the thread`, () => page.locator(".bubble:visible").first().isVisible());
    await act(page);
    // Whatever moves has come to rest.
    await page.waitForTimeout(500);
    const wide = await page.evaluate(() => document.documentElement.scrollWidth > innerWidth);
    check(`${name} fits the screen`, !wide);
    await page.screenshot({ path: join(shots, `${name}.png`) });
    await page.close();
  };
  await shoot("light", { colorScheme: "light" });
  await shoot("readme", { colorScheme: "light", viewport: { width: 1280, height: 720 }, deviceScaleFactor: 1.5 },
    (page) => page.evaluate(() => document.activeElement.blur()));
  await shoot("dark", { colorScheme: "dark" });
  await shoot("failing", { colorScheme: "light", number: MARIA });
  await shoot("dark-failing", { colorScheme: "dark", number: MARIA });
  const small = { viewport: PHONE, hasTouch: true, deviceScaleFactor: 2 };
  await shoot("phone", { colorScheme: "light", ...small });
  await shoot("phone-dark", { colorScheme: "dark", ...small });
  await shoot("phone-desk", { colorScheme: "light", ...small }, (page) => tab(page, "Desk").tap());
  await shoot("phone-network", { colorScheme: "dark", ...small }, (page) => tab(page, "Network").tap());
}

mkdirSync(shots, { recursive: true });
// With a profile of its own, new and empty.
const browser = await chromium.launch({ executablePath, args: FLAGS });
try {
  await writing(browser);
  await sentByOthers(browser);
  await failing(browser);
  await optingOut(browser);
  await numbers(browser);
  await streaming(browser);
  await looks(browser);
} finally {
  await browser.close();
}
console.log(`${passed} passed, ${failures.length} failed`);
process.exitCode = failures.length || !passed ? 1 : 0;
