"""Whether a release is a bad one: asks Prometheus the alert rules that are marked `rollback`.

watch.py [--minutes 15] [--every 30] PROMETHEUS: ends with 0 when the time is over and nothing was wrong,
with 1 as soon as one rule holds in two rounds running, or Prometheus has not answered in five. That it
knows nothing of the service is no answer either: then no rule could hold.
Where gcloud is logged in, its token is sent along.
"""

import argparse
import json
import pathlib
import shutil
import subprocess
import sys
import time
import urllib.parse
import urllib.request

import yaml

RULES = pathlib.Path(__file__).parent / "prometheus" / "alerts.yaml"
PATIENCE = 5
BLIND = "absent(sms_build_info)"


def rollback_rules():
    groups = yaml.safe_load(RULES.read_text())["groups"]
    rules = [rule for group in groups for rule in group["rules"]]
    return {rule["alert"]: rule["expr"] for rule in rules if rule["labels"].get("rollback") == "true"}


def token():
    # Anew each time: it lives for an hour, and a release may wait.
    if not shutil.which("gcloud"):
        return None
    printed = subprocess.run(["gcloud", "auth", "print-access-token"], capture_output=True, text=True)
    return printed.stdout.strip() or None


def holds(prometheus, expression, bearer):
    body = urllib.parse.urlencode({"query": expression}).encode()
    request = urllib.request.Request(f"{prometheus}/api/v1/query", body)
    if bearer:
        request.add_header("Authorization", f"Bearer {bearer}")
    with urllib.request.urlopen(request, timeout=10) as answer:
        return bool(json.load(answer)["data"]["result"])


def holding(prometheus, rules, bearer):
    if holds(prometheus, BLIND, bearer):
        raise ValueError("no process of the service is measured")
    return {name for name, rule in rules.items() if holds(prometheus, rule, bearer)}


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("prometheus")
    parser.add_argument("--minutes", type=float, default=15)
    parser.add_argument("--every", type=float, default=30, metavar="SECONDS")
    arguments = parser.parse_args()
    rules = rollback_rules()
    print(f"watching for {arguments.minutes:g} minutes: {', '.join(rules)}", flush=True)

    end = time.monotonic() + arguments.minutes * 60
    before, silent = set(), 0
    while time.monotonic() < end:
        bearer = token()
        try:
            now = holding(arguments.prometheus, rules, bearer)
            silent = 0
        except (OSError, ValueError, KeyError) as error:
            # Nobody may say that all is well who cannot see.
            now, silent = before, silent + 1
            print(f"no answer: {error}", flush=True)
            if silent == PATIENCE:
                return 1
        else:
            if now & before:
                print(f"this release is a bad one: {', '.join(sorted(now & before))}")
                return 1
            print("well" if not now else f"suspicious: {', '.join(sorted(now))}", flush=True)
        before = now
        time.sleep(arguments.every)
    print("nothing was wrong")
    return 0


sys.exit(main())
