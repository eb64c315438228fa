#!/usr/bin/env python3
"""As much of gcloud as deploy/release.sh uses: one Cloud Run service, in the file $GCLOUD_STATE."""

import json
import os
import pathlib
import sys

state_file = pathlib.Path(os.environ["GCLOUD_STATE"])
state = json.loads(state_file.read_text()) if state_file.exists() else {"made": 0, "revisions": [], "full": None, "tags": {}}


def option(name):
    return sys.argv[sys.argv.index(name) + 1] if name in sys.argv else None


def deploy():
    state["made"] += 1
    name = f"r{state['made']}"
    state["revisions"].insert(0, name)
    assert "--no-traffic" in sys.argv and "@sha256:" in option("--image")
    state["tags"][option("--tag")] = name


def update_traffic():
    if tagged := option("--update-tags"):
        tag, name = tagged.split("=")
        assert name in state["revisions"]
        state["tags"][tag] = name
    if full := option("--to-tags"):
        tag, percent = full.split("=")
        assert percent == "100"
        state["full"] = state["tags"][tag]


def describe():
    traffic = [{"revisionName": state["full"], "percent": 100}] if state["full"] else []
    for tag, name in state["tags"].items():
        traffic.append({"revisionName": name, "tag": tag, "url": f"https://{tag}---sms-foundation"})
    print(json.dumps({"status": {"traffic": traffic}}))


def delete():
    name = sys.argv[-1]
    assert name != state["full"] and name not in state["tags"].values(), "Cloud Run would refuse"
    state["revisions"].remove(name)


words = [word for word in sys.argv[1:] if word in ("deploy", "services", "revisions", "update-traffic", "describe", "list", "delete")]
{
    ("deploy",): deploy,
    ("services", "update-traffic"): update_traffic,
    ("services", "describe"): describe,
    ("revisions", "list"): lambda: print("\n".join(state["revisions"])),
    ("revisions", "delete"): delete,
}[tuple(words)]()
state_file.write_text(json.dumps(state))
