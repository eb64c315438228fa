"""A stand-in for Prometheus: prometheus.py PORT well|once|webhooks|silent|blind|late.

When it is blind it knows nothing of the service; when it is late, not in the first four rounds.
"""

import json
import sys
from http.server import BaseHTTPRequestHandler, HTTPServer
from urllib.parse import parse_qs

port, mood = int(sys.argv[1]), sys.argv[2]
asked = rounds = 0


class Handler(BaseHTTPRequestHandler):
    def do_POST(self):
        global asked, rounds
        query = parse_qs(self.rfile.read(int(self.headers["Content-Length"])).decode())["query"][0]
        about_webhooks = 'outcome="failed"' in query
        asked += about_webhooks
        holds = about_webhooks and (mood == "webhooks" or mood == "once" and asked == 2)
        if query == "absent(sms_build_info)":
            rounds += 1
            holds = mood == "blind" or mood == "late" and rounds < 5
        self.send_response(500 if mood == "silent" else 200)
        self.end_headers()
        self.wfile.write(json.dumps({"data": {"result": [{"value": [0, "1"]}] if holds else []}}).encode())

    def log_message(self, *_):
        pass


server = HTTPServer(("127.0.0.1", port), Handler)
print("listening", flush=True)
server.serve_forever()
