"""A subscriber: verifies what it is told with the standardwebhooks package, and keeps it for others.

hooks.py SERVICE TWILIO_SIM CALLS
"""

import json
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from queue import Queue
from urllib.request import Request, urlopen

from standardwebhooks.webhooks import Webhook, WebhookVerificationError

service, twilio_sim, calls_file = sys.argv[1:]
came = Queue()


class Hooks(BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        came.put((body.decode(), {name.lower(): value for name, value in self.headers.items()}))
        self.send_response(204)
        self.end_headers()

    def log_message(self, *_):
        pass


def ask(method, path, body):
    headers = {"Content-Type": "application/json"}
    request = Request(service + path, json.dumps(body).encode(), headers, method=method)
    with urlopen(request, timeout=10) as answer:
        return json.load(answer)


def text():
    command = [twilio_sim, "inbound", "--base-url", service, "--from", "+18605550199", "--body", "Olá \u2603"]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return came.get(timeout=30)


def refused(secret, body, headers):
    try:
        Webhook(secret).verify(body, headers)
    except WebhookVerificationError:
        return True
    return False


server = ThreadingHTTPServer(("127.0.0.1", 0), Hooks)
threading.Thread(target=server.serve_forever, daemon=True).start()
url = f"http://127.0.0.1:{server.server_port}/hooks"
made = ask("POST", "/subscriptions", {"name": "packages", "url": url, "events": ["message.received"]})
old = made["secret"]
calls = []

body, headers = text()
event = Webhook(old).verify(body, headers)
assert event["type"] == "message.received" and event["id"] == headers["webhook-id"], event
assert event["data"]["message"]["content"] == "Olá \u2603", event
assert refused(old, body.replace("received", "deceived"), headers)
assert refused(old, body, headers | {"webhook-id": "another"})
assert refused(old, body, headers | {"webhook-timestamp": "1"})
calls.append({"secret": old, "body": body, "headers": headers})

new = ask("PATCH", f"/subscriptions/{made['id']}", {"renew_secret": True})["secret"]
assert new and new != old
for _ in range(60):
    body, headers = text()
    if " " in headers["webhook-signature"]:
        break
for secret in (old, new):
    Webhook(secret).verify(body, headers)
    calls.append({"secret": secret, "body": body, "headers": headers})

with open(calls_file, "w") as file:
    json.dump(calls, file)
print(f"standardwebhooks of PyPI: {len(calls)} calls verified, 3 changed ones refused")
