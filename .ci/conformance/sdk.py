"""What the official SDK does with Twilio, done with the simulator at the URL given."""

import os
import sys
import threading
import time
from datetime import date, datetime, timedelta, timezone
from http.server import BaseHTTPRequestHandler, HTTPServer
from urllib.parse import parse_qsl

from twilio.base.exceptions import TwilioRestException
from twilio.request_validator import RequestValidator
from twilio.rest import Client

OURS, THEIRS, OTHER = "+18605550100", "+18605550199", "+18605550177"
BUSY, BROKEN = "+18605550129", "+18605550150"
SERVICE = "MGbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
ACCOUNT, TOKEN = os.environ["TWILIO_ACCOUNT_SID"], os.environ["TWILIO_AUTH_TOKEN"]

passed = failed = 0


def check(what, holds):
    global passed, failed
    if holds:
        passed += 1
    else:
        failed += 1
        print(f"FAILED: {what}")


def client(base_url, token=TOKEN):
    twilio = Client(ACCOUNT, token)
    twilio.api.base_url = base_url
    return twilio


def refusal(call):
    """The code and HTTP status that `call` is refused with."""
    try:
        call()
    except TwilioRestException as error:
        return error.code, error.status
    return None


class Service(BaseHTTPRequestHandler):
    """Hears status callbacks, and lets the SDK verify them."""

    heard = []

    def do_POST(self):
        length = int(self.headers["Content-Length"])
        form = dict(parse_qsl(self.rfile.read(length).decode(), keep_blank_values=True))
        url = f"http://127.0.0.1:{self.server.server_port}{self.path}"
        signature = self.headers["X-Twilio-Signature"]
        Service.heard.append((form, RequestValidator(TOKEN).validate(url, form, signature)))
        self.send_response(204)
        self.end_headers()

    def log_message(self, *_):
        pass


def until(holds):
    deadline = time.monotonic() + 10
    while not holds() and time.monotonic() < deadline:
        time.sleep(0.01)


def sending(twilio):
    made = twilio.messages.create(to=THEIRS, from_=OURS, body="Hola, ¿qué tal? 👍 a+b&c")
    check("a message is made", made.sid.startswith("SM") and made.status == "queued")
    check("its words arrive whole", made.body == "Hola, ¿qué tal? 👍 a+b&c")
    check("its date is one", abs(datetime.now(timezone.utc) - made.date_created) < timedelta(seconds=5))
    check("nothing was sent yet", made.date_sent is None)
    check("its direction", made.direction == "outbound-api")
    check("its counts", (made.num_media, made.num_segments) == ("0", "1"))
    until(lambda: twilio.messages(made.sid).fetch().status == "delivered")
    fetched = twilio.messages(made.sid).fetch()
    check("a message is fetched", (fetched.sid, fetched.status) == (made.sid, "delivered"))
    check("it was sent", fetched.date_sent is not None)
    media = twilio.messages.create(
        to=THEIRS, from_=OURS, media_url=["https://e.com/a b.png", "https://e.com/2.png?x=1&y=2"]
    )
    check("media are counted", media.num_media == "2" and media.sid.startswith("MM"))
    check("a message is redacted", twilio.messages(made.sid).update(body="").body == "")
    check("a message is deleted", twilio.messages(made.sid).delete() is True)
    check("and gone", refusal(twilio.messages(made.sid).fetch) == (20404, 404))


def cancelling(twilio):
    later = datetime.now(timezone.utc) + timedelta(hours=1)
    made = twilio.messages.create(
        to=THEIRS, messaging_service_sid=SERVICE, body="later", schedule_type="fixed", send_at=later
    )
    check("a message waits for its time", made.status == "scheduled")
    cancelled = twilio.messages(made.sid).update(status="canceled")
    check("a message is cancelled", cancelled.status == "canceled")
    check("once", refusal(lambda: twilio.messages(made.sid).update(status="canceled"))[0] == 30409)


def listing(twilio):
    for number in range(7):
        twilio.messages.create(to=OTHER, from_=OURS, body=str(number))
    until(lambda: all(message.date_sent for message in twilio.messages.list(to=OTHER)))
    bodies = lambda **filters: [message.body for message in twilio.messages.list(**filters)]
    newest_first = ["6", "5", "4", "3", "2", "1", "0"]
    check("a list is read over its pages", bodies(to=OTHER, page_size=3) == newest_first)
    check("a limit holds", bodies(to=OTHER, page_size=2, limit=5) == newest_first[:5])
    check("both numbers filter", bodies(to=OTHER, from_=OURS) == newest_first)
    check("nobody else's are shown", bodies(to=OTHER, from_=THEIRS) == [])
    today = datetime.now(timezone.utc).date()
    check("a day filters", bodies(to=OTHER, date_sent=today) == newest_first)
    check("a day after", bodies(to=OTHER, date_sent_after=today + timedelta(days=1)) == [])
    check("a day before", bodies(to=OTHER, date_sent_before=date(2020, 1, 1)) == [])
    hour = timedelta(hours=1)
    now = datetime.now(timezone.utc)
    check("moments filter", bodies(to=OTHER, date_sent_after=now - hour, date_sent_before=now + hour) == newest_first)
    page = twilio.messages.page(to=OTHER, page_size=3)
    check("a page has another", [m.body for m in page.next_page()] == newest_first[3:6])
    streamed = [message.body for message in twilio.messages.stream(to=OTHER, page_size=1)]
    check("a stream reads all", streamed == newest_first)


def refusing(twilio, base_url):
    create = lambda **fields: refusal(
        lambda: twilio.messages.create(**{"to": THEIRS, "from_": OURS, "body": "Hola", **fields})
    )
    for to, code in {
        "+15005550001": 21211,
        "+15005550002": 21612,
        "+15005550003": 21408,
        "+15005550004": 21610,
        "+15005550009": 21614,
    }.items():
        check(f"a text to {to} is refused", create(to=to) == (code, 400))
    for sender, code in {
        "+15005550001": 21212,
        "+15005550007": 21606,
        "+15005550008": 21611,
        OTHER: 21606,
    }.items():
        check(f"a text from {sender} is refused", create(from_=sender) == (code, 400))
    check("the valid magic number", create(from_="+15005550006") is None)
    check("a long text is refused", create(body="x" * 1601) == (21617, 400))
    check("an empty text is refused", create(body="") == (21602, 400))
    stranger = client(base_url, token="wrong")
    check("a stranger is refused", refusal(stranger.api.accounts(ACCOUNT).fetch) == (20003, 401))


def failing(twilio):
    """Some numbers meet what the command line says."""
    create = lambda to: refusal(lambda: twilio.messages.create(to=to, from_=OURS, body="Hola"))
    check("a number meets 429", create(BUSY) == (20429, 429))
    _, status = create(BROKEN)
    check("another meets 500", status == 500)
    check("and nothing was made", twilio.messages.list(to=BUSY) == twilio.messages.list(to=BROKEN) == [])
    check("a third is well", create(THEIRS) is None)


def account(twilio):
    fetched = twilio.api.accounts(ACCOUNT).fetch()
    check("the account is shown", (fetched.sid, fetched.status) == (ACCOUNT, "active"))


def telling(twilio):
    server = HTTPServer(("127.0.0.1", 0), Service)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    url = f"http://127.0.0.1:{server.server_port}/webhook/twilio/status?message_id=0197&x=a%20b"
    made = twilio.messages.create(to=THEIRS, from_=OURS, body="Hola", status_callback=url)
    until(lambda: len(Service.heard) == 3)
    server.shutdown()
    statuses = [form["MessageStatus"] for form, _ in Service.heard]
    check("each change is told", statuses == ["sending", "sent", "delivered"])
    check("of this message", {form["MessageSid"] for form, _ in Service.heard} == {made.sid})
    check("and signed over the query", all(valid for _, valid in Service.heard))


def main(base_url):
    twilio = client(base_url)
    account(twilio)
    sending(twilio)
    cancelling(twilio)
    listing(twilio)
    refusing(twilio, base_url)
    telling(twilio)
    failing(twilio)
    print(f"{passed} passed, {failed} failed")
    return 1 if failed or not passed else 0


sys.exit(main(sys.argv[1]))
