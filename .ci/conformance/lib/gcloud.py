#!/usr/bin/env python3
"""As much of gcloud as deploy/release.sh uses: one Cloud Run service, in the file $GCLOUD_STATE.

`services update` stands for `terraform apply`: a revision of the image that was deployed last, without
traffic. With $GCLOUD_UNREADY a new revision does not become ready; what $GCLOUD_FAILS names ("services
describe") fails.
"""

import json
import os
import pathlib
import sys

state_file = pathlib.Path(os.environ["GCLOUD_STATE"])
state = json.loads(state_file.read_text()) if state_file.exists() else {"images": {}, "ready": None, "revisions": [], "traffic": {}, "tags": {}}


def option(name):
    return sys.argv[sys.argv.index(name) + 1] if name in sys.argv else None


def new_revision(image):
    name = f"r{len(state['images']) + 1}"
    state["images"][name] = image
    state["revisions"].insert(0, name)
    if "GCLOUD_UNREADY" not in os.environ:
        state["ready"] = name
    return name


def deploy():
    assert "--no-traffic" in sys.argv and "@sha256:" in option("--image")
    state["tags"][option("--tag")] = new_revision(option("--image"))


def update():
    new_revision(state["images"][state["revisions"][0]])


def update_traffic():
    if tagged := option("--update-tags"):
        tag, name = tagged.split("=")
        assert name in state["revisions"]
        state["tags"][tag] = name
    if full := option("--to-tags"):
        tag, percent = full.split("=")
        assert percent == "100"
        state["traffic"] = {state["tags"][tag]: 100}
    if shares := option("--to-revisions"):
        state["traffic"] = {name: int(percent) for name, percent in (share.split("=") for share in shares.split(","))}


def describe():
    traffic = [{"revisionName": name, "percent": percent} for name, percent in state["traffic"].items()]
    for tag, name in state["tags"].items():
        traffic.append({"revisionName": name, "tag": tag, "url": f"https://{tag}---sms-foundation"})
    status = {"latestReadyRevisionName": state["ready"], "traffic": traffic}
    if state["revisions"]:
        status["latestCreatedRevisionName"] = state["revisions"][0]
    print(json.dumps({"status": status}))


def describe_revision():
    collector = {"image": "collector@sha256:0"}
    service = {"image": state["images"][sys.argv[sys.argv.index("describe") + 1]], "ports": [{"containerPort": 8080}]}
    print(json.dumps({"spec": {"containers": [collector, service]}}))


def delete():
    name = sys.argv[-1]
    assert name not in state["traffic"] and name not in state["tags"].values(), "Cloud Run would refuse"
    state["revisions"].remove(name)


commands = {
    "deploy": deploy,
    "services update": update,
    "services update-traffic": update_traffic,
    "services describe": describe,
    "revisions describe": describe_revision,
    "revisions list": lambda: print("\n".join(state["revisions"])),
    "revisions delete": delete,
}
words = {word for command in commands for word in command.split()}
command = " ".join(word for word in sys.argv[1:] if word in words)
if command == os.environ.get("GCLOUD_FAILS"):
    sys.exit(f"{command}: the stand-in was told to fail")
commands[command]()
state_file.write_text(json.dumps(state))
