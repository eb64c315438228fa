// Verifies the calls that a subscriber kept with the standardwebhooks package of npm.
const { readFileSync } = require("node:fs");
const { Webhook } = require("standardwebhooks");

const calls = JSON.parse(readFileSync(process.argv[2], "utf8"));
for (const { secret, body, headers } of calls) {
  const event = new Webhook(secret).verify(body, headers);
  if (event.id !== headers["webhook-id"]) throw new Error("another event");
  let refused = false;
  try {
    new Webhook(secret).verify(body + " ", headers);
  } catch {
    refused = true;
  }
  if (!refused) throw new Error("a changed call was accepted");
}
console.log(`standardwebhooks of npm: ${calls.length} calls verified, as many changed ones refused`);
