"""The dashboard and the alert rules against docs/metrics.md, the tests of the rules and the runbooks.

Whatever they ask for is a metric of docs/metrics.md, with the labels and values that it has there; each
alert is tested, and has a runbook in docs/operations.md; each runbook has an alert.
"""

import json
import pathlib
import re
import sys

import yaml

METRICS = pathlib.Path("docs/metrics.md")
OPERATIONS = pathlib.Path("docs/operations.md")
RULES = pathlib.Path("deploy/prometheus/alerts.yaml")
TESTS = pathlib.Path("deploy/prometheus/alerts_test.yaml")
DASHBOARD = pathlib.Path("deploy/grafana/dashboard.json")

# Where a metric has a label: of Prometheus' own making.
EVERYWHERE = {"le", "instance", "job"}
NAME = re.compile(r"\b(?:sms|http|process)_[a-z_]+\b")
SELECTOR = re.compile(r"\b((?:sms|http|process)_[a-z_]+)\s*(?:\{([^}]*)\})?")
GROUPING = re.compile(r"\b(?:by|without)\s*\([^)]*\)")
MATCHER = re.compile(r'(\w+)\s*(=~|!~|!=|=)\s*"([^"]*)"')


def documented():
    """The names of docs/metrics.md: for each its labels, and for each label its values (None: any)."""
    metrics = {}
    for line in METRICS.read_text().splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")] if line.startswith("|") else []
        in_table = len(cells) >= 3
        names = NAME.findall(cells[0] if in_table else line)
        labels = {}
        for part in (cells[1] if in_table else line).split(";"):
            words = re.findall(r"`([^`]+)`", part)
            if in_table and "=" in part and words:
                labels[words[0]] = None if "..." in part else set(words[1:])
            elif in_table:
                labels.update(dict.fromkeys(words))
        for name in names:
            # What is only mentioned has any label.
            metrics.setdefault(name, labels if in_table else None)
    return metrics


def histograms(name):
    """A histogram's series have names of their own."""
    return [name] + [name.removesuffix(end) for end in ("_bucket", "_count", "_sum") if name.endswith(end)]


def problems_of(where, expression, metrics):
    for name, matchers in SELECTOR.findall(GROUPING.sub("", expression)):
        known = next((each for each in histograms(name) if each in metrics), None)
        if known is None:
            yield f"{where}: {METRICS} has no {name}"
            continue
        labels = metrics[known]
        for label, operator, value in MATCHER.findall(matchers):
            if label in EVERYWHERE or labels is None:
                continue
            if label not in labels:
                yield f"{where}: {name} has no label {label}"
            elif labels[label] and operator in ("=", "!=", "=~", "!~"):
                words = value.split("|") if "~" in operator else [value]
                for word in words:
                    if word not in labels[label]:
                        yield f"{where}: {name} never has {label}={word}"


def asked():
    """Every expression, with where it stands."""
    for group in yaml.safe_load(RULES.read_text())["groups"]:
        for rule in group["rules"]:
            yield f"alert {rule['alert']}", rule["expr"]
    dashboard = json.loads(DASHBOARD.read_text())
    for panel in dashboard["panels"]:
        for target in panel.get("targets", []):
            yield f"panel '{panel['title']}'", target["expr"]
    for annotation in dashboard["annotations"]["list"]:
        yield f"annotation '{annotation['name']}'", annotation["expr"]
    for test in yaml.safe_load(TESTS.read_text())["tests"]:
        for series in test["input_series"]:
            yield f"test '{test['name']}'", series["series"]


def runbooks():
    text = OPERATIONS.read_text() if OPERATIONS.exists() else ""
    part = re.search(r"^## Alerts$(.*?)(?=^## |\Z)", text, re.M | re.S)
    return set(re.findall(r"^### (\w+)$", part.group(1), re.M)) if part else set()


def problems_of_alerts():
    rules = [rule for group in yaml.safe_load(RULES.read_text())["groups"] for rule in group["rules"]]
    names = {rule["alert"] for rule in rules}
    rung = set(re.findall(r'alertname="(\w+)"', TESTS.read_text()))
    for rule in rules:
        name, notes = rule["alert"], rule["annotations"]
        if rule["labels"].get("severity") not in ("page", "ticket"):
            yield f"alert {name}: its severity is page or ticket"
        if not notes.get("summary") or not notes.get("description"):
            yield f"alert {name}: it needs a summary and a description"
        if notes.get("runbook") != f"{OPERATIONS}#{name.lower()}":
            yield f"alert {name}: its runbook is {OPERATIONS}#{name.lower()}"
    for name in sorted(names - rung):
        yield f"alert {name}: no test lets it fire"
    for name in sorted(names ^ runbooks()):
        yield f"{OPERATIONS}: under Alerts stands a runbook for each alert and no other: {name}"


def main():
    if not METRICS.exists():
        return f"{METRICS} is not there"
    metrics = documented()
    expressions = list(asked())
    problems = list(problems_of_alerts())
    for where, expression in expressions:
        problems += problems_of(where, expression, metrics)
    # The check must be able to fail.
    if not metrics or not list(problems_of("", 'sms_no_such_metric{label="value"}', metrics)):
        problems.append("this check sees nothing")
    print(f"{len(expressions)} expressions, {len(metrics)} metrics, {len(problems)} problems")
    return "\n".join(dict.fromkeys(problems)) or 0


sys.exit(main())
