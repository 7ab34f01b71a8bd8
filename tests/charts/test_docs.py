"""
Values that the pages about Kubernetes name are there. A value is a path in backquotes: from the top of the values, or as tables do it from
global.eventBus, or of the chart auth-callout alone. Options of the service, which are written alike, are those of docs/configuration.md.
"""
import functools
import re

import helm
import pytest
import yaml

PAGES = ["docs/pre-deployment.md", "docs/deployment-kubernetes.md", "docs/operations-kubernetes.md", "docs/migration.md",
         "deploy/nats-event-bus/README.md", "deploy/auth-callout/README.md"]
CHARTS = {"nats": "nats", "nats-mtls": "nats", "nack": "nack", "surveyor": "surveyor"}
PATH = re.compile(r"[a-z][A-Za-z0-9-]*(\.[A-Za-z0-9-]+)+")
# Groups of resources, files, hosts.
OTHERS = re.compile(r"\.io$|\.(conf|md|yaml|sh|py|tpl|json)$|\.example\b")
# What another system has, and the chart nats has not (docs/migration.md says so); fields of an entry of the permissions document; what
# charts take and have not among their values (test_auth_callout_options.py gives it to ours).
OF_OTHERS = {"nats-mtls.config.tls", "permissions.pub", "permissions.sub", "permissions.resp", "global.image.registry", "global.image.pullPolicy",
             "global.image.pullSecretNames"}


def read(path):
    return yaml.safe_load(path.read_text()) or {}


@functools.cache
def roots():
    """Where a path may begin: values of the umbrella over those of its charts, global.eventBus, the chart auth-callout."""
    umbrella, callout = read(helm.UMBRELLA / "values.yaml"), read(helm.CALLOUT / "values.yaml")
    for alias, chart in CHARTS.items():
        umbrella[alias] = helm.deep(read(helm.STANDINS / chart / "values.yaml"), umbrella.get(alias) or {})
    umbrella["auth-callout"] = helm.deep(callout, umbrella["auth-callout"])
    return umbrella, umbrella["global"]["eventBus"], callout


@functools.cache
def options():
    return set(re.findall(r"^\| `([a-z0-9.-]+)` \|", (helm.ROOT / "docs/configuration.md").read_text(), re.MULTILINE))


def is_in(path, values):
    """What a value leaves open ({}) may hold anything; serviceConfig is the service's, and its options are held to by tests of that chart."""
    first, *rest = path.split(".")
    if values == {} or first == "serviceConfig":
        return True
    return isinstance(values, dict) and first in values and (not rest or is_in(".".join(rest), values[first]))


def named(text):
    """Paths in backquotes whose first part is that of a value; what stands behind one (`a.b: 2`) is left out."""
    tops = {top for root in roots() for top, value in root.items() if isinstance(value, dict)}
    for span in re.findall(r"`([^`]+)`", re.sub(r"```.*?```", "", text, flags=re.DOTALL)):
        path = re.sub(r"(: .*|\.?…)$", "", span)
        if PATH.fullmatch(path) and not OTHERS.search(path) and path.split(".")[0] in tops:
            yield path


def wrong(text):
    return [path for path in named(text) if path not in options() | OF_OTHERS and not any(is_in(path, root) for root in roots())]


@pytest.mark.parametrize("page", PAGES)
def test_values_in_the_documentation(page):
    text = (helm.ROOT / page).read_text()
    assert len(list(named(text))) > 5, "hardly a value is named: mend this test"
    assert wrong(text) == []


@pytest.mark.parametrize("text, found", [
    ("`servers.replicas` `global.eventBus.gateway.routes.mqtt.kind` `servers.…`", []),
    ("`auth-callout.replicaCount`, `nats.config.jetstream.fileStore.pvc.size`, `networkPolicy.dnsTo`", []),
    ("`mtls.ca-path` `nats.issuer-seed` `auth-callout.serviceConfig.jwks.url` `secrets.nats-xkey.name` `nats.csc.example.net`", []),
    ("`servers.replica`", ["servers.replica"]),
    ("`streamsWatch.replicas: 2` `streamsWatch.count: 2`", ["streamsWatch.count"]),
    ("`auth-callout.replicas`", ["auth-callout.replicas"]),
    ("`surveyor.config.expected` `nats.issuer-sed`", ["surveyor.config.expected", "nats.issuer-sed"]),
    ("`global.eventBus.gateway.routes.mqtt.tsl`", ["global.eventBus.gateway.routes.mqtt.tsl"]),
])
def test_it_sees_what_is_not_there(text, found):
    assert wrong(text) == found
