"""A stand-in for Prometheus: prometheus.py PORT well|once|webhooks|silent."""

import json
import sys
from http.server import BaseHTTPRequestHandler, HTTPServer
from urllib.parse import parse_qs

port, mood = int(sys.argv[1]), sys.argv[2]
asked = 0


class Handler(BaseHTTPRequestHandler):
    def do_POST(self):
        global asked
        query = parse_qs(self.rfile.read(int(self.headers["Content-Length"])).decode())["query"][0]
        about_webhooks = 'outcome="failed"' in query
        asked += about_webhooks
        holds = about_webhooks and (mood == "webhooks" or mood == "once" and asked == 2)
        self.send_response(500 if mood == "silent" else 200)
        self.end_headers()
        self.wfile.write(json.dumps({"data": {"result": [{"value": [0, "1"]}] if holds else []}}).encode())

    def log_message(self, *_):
        pass


server = HTTPServer(("127.0.0.1", port), Handler)
print("listening", flush=True)
server.serve_forever()
