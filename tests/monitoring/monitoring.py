"""The files under test: alert rules and dashboards, and what their expressions name."""
import json
import re
from pathlib import Path

import yaml

TOP = Path(__file__).resolve().parents[2]
MONITORING = TOP / "deploy/nats-event-bus/monitoring"
RULE_FILES = sorted((MONITORING / "rules").glob("*.yaml"))
RULE_TESTS = sorted((TOP / "tests/monitoring/rules").glob("*.yaml"))
DASHBOARD_FILES = sorted((MONITORING / "dashboards").glob("*.json"))
PROMTOOL = str(TOP / ".deps/bin/promtool")
PROMETHEUS = str(TOP / ".deps/bin/prometheus")

# What the bus itself does not tell: who does.
OF_OTHERS = {"certmanager_certificate_expiration_timestamp_seconds": "cert-manager"}
METRIC = re.compile(r"(?<![\w:$])((?:auth|nats|process|certmanager)_[a-z0-9_]+|eventbus:[a-z0-9_:]+)")
# A metric, perhaps with matchers behind it; `keys_unavailable` within quotes is none.
SELECTOR = re.compile(METRIC.pattern + r"(?:\{([^}]*)\})?")
GROUPING = re.compile(r"\b(?:by|on|ignoring|group_left|group_right|without)\s*\(([^)]*)\)")
LABEL = re.compile(r"(\w+)\s*(?:=~|!~|!=|=)")
QUOTED = re.compile(r'"(?:[^"\\]|\\.)*"')


def rules():
    """(file name, group name, rule) of each."""
    return [(path.name, group["name"], rule) for path in RULE_FILES
            for group in yaml.safe_load(path.read_text())["groups"] for rule in group["rules"]]


def alerts():
    return {rule["alert"]: rule for _, _, rule in rules() if "alert" in rule}


def records():
    return {rule["record"] for _, _, rule in rules() if "record" in rule}


def dashboards():
    return {path.name: json.loads(path.read_text()) for path in DASHBOARD_FILES}


def panels():
    """(dashboard file, panel) of each that shows something."""
    return [(name, panel) for name, board in dashboards().items() for panel in board["panels"] if panel["type"] != "row"]


def filled(expression, site=".+", rate="1m"):
    """As Grafana asks it."""
    return expression.replace("$site", site).replace("$__rate_interval", rate)


def expressions():
    """(where, expression) of every rule and every panel, with Grafana's variables filled in."""
    found = [(f"{name}: {rule.get('alert') or rule['record']}", str(rule["expr"])) for name, _, rule in rules()]
    for name, panel in panels():
        found += [(f"{name}: {panel['title']} {target['refId']}", filled(target["expr"])) for target in panel["targets"]]
    return found


def named(expression):
    """metric -> labels that are matched of it, and the labels that the expression groups and joins by."""
    bare = QUOTED.sub('""', expression)
    metrics = {}
    for metric, matchers in SELECTOR.findall(bare):
        metrics.setdefault(metric, set()).update(LABEL.findall(matchers))
    grouped = {label.strip() for labels in GROUPING.findall(bare) for label in labels.split(",") if label.strip()}
    return metrics, grouped
