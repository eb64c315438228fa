"""Posts status callbacks signed by the official SDK: callback.py SERVICE PUBLIC_URL TOKEN"""

import sys
import time
import urllib.error
import urllib.parse
import urllib.request

from twilio.request_validator import RequestValidator

service, public, token = sys.argv[1:]
target = "/webhook/twilio/status?message_id=0195f2a0-7c1e-7000-8000-000000000001"
fields = {"MessageSid": "SM" + "1" * 32, "MessageStatus": "delivered", "To": "+18605550199"}
signature = RequestValidator(token).compute_signature(public + target, fields)


def post(target, fields):
    body = urllib.parse.urlencode(fields).encode()
    request = urllib.request.Request(service + target, body, {"X-Twilio-Signature": signature})
    try:
        return urllib.request.urlopen(request, timeout=5).status
    except urllib.error.HTTPError as error:
        return error.code


def ready():
    try:
        return urllib.request.urlopen(service + "/health/ready", timeout=1).status == 200
    except OSError:
        return False


for _ in range(100):
    if ready():
        break
    time.sleep(0.1)

cases = [
    ("as it was signed", target, fields, 204),
    ("another message", target[:-1] + "2", fields, 403),
    ("no message", target.split("?")[0], fields, 403),
    ("another status", target, fields | {"MessageStatus": "failed"}, 403),
]
failed = 0
for name, target, fields, expected in cases:
    status = post(target, fields)
    failed += status != expected
    print("ok    " if status == expected else "FAILED", name, status)
sys.exit(1 if failed else 0)
