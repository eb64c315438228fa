"""Replaces two processes behind nginx, one after the other, under load: rolling_restart.py PROGRAM ROUNDS.

nginx sends a webhook to the other process only where no connection could be made: a request that was
sent and not answered is lost, and fails this."""

import base64
import hashlib
import hmac
import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.parse
import urllib.request

TOKEN = "7f3c1e0b9a8d4c6f5e2b1a0d9c8f7e6b"
CLIENTS = 8
GRACE = 8.0  # SHUTDOWN_GRACE

NGINX = """
daemon off; worker_processes 1; pid {folder}/nginx.pid; error_log {folder}/nginx.log warn;
events {{ worker_connections 512; }}
http {{
    access_log off; client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi; uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
    upstream service {{
        server 127.0.0.1:{one} max_fails=1 fail_timeout=1s;
        server 127.0.0.1:{other} max_fails=1 fail_timeout=1s;
        keepalive 16;
    }}
    server {{
        listen 127.0.0.1:{front};
        location / {{
            proxy_pass http://service; proxy_http_version 1.1; proxy_set_header Connection "";
            proxy_next_upstream error timeout;
        }}
    }}
}}
"""


def free_ports(count):
    sockets = [socket.socket() for _ in range(count)]
    for one in sockets:
        one.bind(("127.0.0.1", 0))
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports


class Process:
    """One process of the service."""

    def __init__(self, program, port, front, folder):
        self.program, self.port, self.log = program, port, open(f"{folder}/{port}.log", "ab")
        self.settings = {
            "APP_ENV": "local",
            "API_AUTH": "off",
            "PORT": str(port),
            "LOG_FORMAT": "json",
            "PUBLIC_BASE_URL": f"http://127.0.0.1:{front}",
            "TWILIO_AUTH_TOKEN": TOKEN,
            "DATABASE_URL": os.environ["TEST_DATABASE_URL"],
            "DATABASE_SCHEMA": "rolling_restart",
            "DATABASE_POOL_SIZE": "5",
        }
        self.start()

    def start(self):
        self.child = subprocess.Popen([self.program], env=self.settings, stdout=self.log, stderr=self.log)
        wait_for(f"{self.port} to be ready", lambda: status(self.port, "/health/ready") == 200)

    def restart(self):
        begun = time.monotonic()
        self.child.send_signal(signal.SIGTERM)
        code = self.child.wait(timeout=60)
        took = time.monotonic() - begun
        assert code == 0, f"{self.port} ended with {code}"
        assert took < GRACE, f"{self.port} took {took:.1f} s to stop"
        self.start()
        return took


def status(port, path):
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=5) as answer:
            return answer.status
    except urllib.error.HTTPError as error:
        return error.code
    except OSError:
        return None


def wait_for(what, done):
    patience = time.monotonic() + 60
    while not done():
        assert time.monotonic() < patience, f"waited in vain for {what}"
        time.sleep(0.05)


class Client(threading.Thread):
    """Posts one webhook after the other until it is told to stop."""

    def __init__(self, number, front, stop):
        super().__init__()
        self.number, self.front, self.stop = number, front, stop
        self.sent, self.lost = 0, []

    def run(self):
        connection = http.client.HTTPConnection("127.0.0.1", self.front, timeout=30)
        while not self.stop.is_set():
            try:
                answered = self.post(connection)
            except (OSError, http.client.HTTPException) as error:
                answered = repr(error)
                connection.close()
            self.sent += 1
            if answered != 200:
                self.lost.append(answered)
            if self.sent % 3 == 0:
                # Others do not keep their connections.
                connection.close()
            time.sleep(0.002)

    def post(self, connection):
        fields = {
            "MessageSid": f"SM{self.number:08x}{self.sent:024x}",
            "From": f"+1860555{self.number:04}",
            "To": "+18605550100",
            "Body": "My sink is leaking again",
        }
        path = "/webhook/twilio/sms"
        signed = f"http://127.0.0.1:{self.front}{path}" + "".join(k + fields[k] for k in sorted(fields))
        signature = base64.b64encode(hmac.new(TOKEN.encode(), signed.encode(), hashlib.sha1).digest())
        headers = {
            "Content-Type": "application/x-www-form-urlencoded",
            "X-Twilio-Signature": signature.decode(),
        }
        connection.request("POST", path, urllib.parse.urlencode(fields), headers)
        answer = connection.getresponse()
        answer.read()
        return answer.status


def main():
    program, rounds = sys.argv[1], int(sys.argv[2])
    with tempfile.TemporaryDirectory() as folder:
        one, other, front = free_ports(3)
        with open(f"{folder}/nginx.conf", "w") as config:
            config.write(NGINX.format(folder=folder, one=one, other=other, front=front))
        processes = []
        nginx = subprocess.Popen(["nginx", "-c", f"{folder}/nginx.conf", "-e", f"{folder}/nginx.log"])
        try:
            processes = [Process(program, port, front, folder) for port in (one, other)]
            wait_for("nginx", lambda: status(front, "/health/live") == 200)
            stop = threading.Event()
            clients = [Client(number, front, stop) for number in range(1, CLIENTS + 1)]
            for client in clients:
                client.start()
            try:
                took = [process.restart() for _ in range(rounds) for process in processes]
            finally:
                stop.set()
                for client in clients:
                    client.join()
            sent = sum(client.sent for client in clients)
            lost = [answer for client in clients for answer in client.lost]
            if lost:
                with open(f"{folder}/nginx.log") as log:
                    print(log.read()[-4000:], file=sys.stderr)
            assert not lost, f"{len(lost)} of {sent} webhooks were lost: {lost[:5]}"
            for client in clients:
                url = f"http://127.0.0.1:{front}/conversations/%2B1860555{client.number:04}?limit=1"
                with urllib.request.urlopen(url, timeout=10) as answer:
                    total = json.load(answer)["total"]
                assert total == client.sent, f"{total} of {client.sent} webhooks are stored"
            print(
                f"{len(took)} restarts, {sent} webhooks, none lost, each stored once; "
                f"a process took at most {max(took):.1f} s to stop"
            )
        finally:
            for process in processes:
                process.child.kill()
            nginx.terminate()
            nginx.wait()


main()
