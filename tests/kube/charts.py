"""
The umbrella chart in a real API server: the definitions that a cluster has beside Kubernetes' own, a release by Helm 3 or 4, and its pods as
processes (node.py), with the real controller of NACK.

  crds(cluster)                                    once
  release = Release(cluster, namespace, values)    release.helm(3, "install")
  site = Site(cluster, folder, tree, bus, addresses).install().start()
"""
import atexit
import contextlib
import json
import shutil
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path

import yaml
from harness.bus import AUTH_CALLOUT, EVENTBUS, NATS_SERVER, TOP
from harness.mqtt import Closed, MqttClient, Refused
from harness.wait import until

from api import Api, ApiError
from netns import Apart
from node import Node
from processes import HOST

sys.path.append(str(Path(__file__).resolve().parents[1] / "charts"))

import helm  # noqa: E402
import sites  # noqa: E402

atexit.register(lambda: shutil.rmtree(helm.folder(), ignore_errors=True))
NACK = TOP / ".deps/bin/jetstream-controller"
CRDS = TOP / ".deps/crds"
GROUPS = ("gateway.networking.k8s.io", "monitoring.coreos.com", "cert-manager.io", "jetstream.nats.io")
RELEASE = "bus"
STREAMS = "/apis/jetstream.nats.io/v1beta2/namespaces/{}/streams"
# What the chart nack brings for its namespace beside what the stand-in has.
NACK_ROLE = {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role", "metadata": {"name": "event-bus-nack"}, "rules": [
    {"apiGroups": [""], "resources": ["events"], "verbs": ["create", "update", "patch"]},
    {"apiGroups": [""], "resources": ["secrets"], "verbs": ["get", "watch", "list"]},
    {"apiGroups": ["jetstream.nats.io"], "verbs": ["create", "get", "list", "watch", "patch", "update", "delete"], "resources": [
        kind + part for kind in ("streams", "objectstores", "keyvalues", "consumers", "accounts") for part in ("", "/status")]},
    {"apiGroups": ["jetstream.nats.io"], "verbs": ["update"], "resources": [
        kind + "/finalizers" for kind in ("streams", "objectstores", "keyvalues", "consumers", "accounts")]}]}
NACK_BINDING = {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding", "metadata": {"name": "event-bus-nack"},
                "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "event-bus-nack"},
                "subjects": [{"kind": "ServiceAccount", "name": "event-bus-nack"}]}


def crds(cluster):
    """The definitions that the chart has resources of; of two of one name the first, as in scripts/helm/schemas.txt."""
    found = {}
    for path in sorted(CRDS.glob("*/*")):
        for one in yaml.load_all(path.read_text(), Loader=Loader):
            if one and one.get("kind") == "CustomResourceDefinition" and one["spec"]["group"] in GROUPS:
                found.setdefault(one["metadata"]["name"], one)
    assert len(found) > 20, "run scripts/setup-nack.sh"
    for one in found.values():
        with contextlib.suppress(ApiError):  # there already
            cluster.api("POST", "/apis/apiextensions.k8s.io/v1/customresourcedefinitions", one)
    path = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"

    def established():
        there = {c["metadata"]["name"]: c for c in cluster.api("GET", path)["items"]}
        return all(any(c["type"] == "Established" and c["status"] == "True" for c in (there[name].get("status") or {}).get("conditions") or [])
                   for name in found)
    until(established, "the definitions to be there", timeout=60)


class Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):
    """YAML 1.1 has a type of its own for a bare `=`, which an enum of the Prometheus operator has as text."""


Loader.add_constructor("tag:yaml.org,2002:value", lambda loader, node: node.value)


def another_api(cluster):
    """A connection for another thread."""
    return Api(HOST, cluster.port, cluster.ca, *cluster.admin)


class Release:
    """values: as for helm.render. One namespace, which enforces Pod Security's restricted profile."""

    def __init__(self, cluster, namespace, values):
        self.cluster, self.namespace, self.values = cluster, namespace, values
        cluster.namespace(namespace)
        # warnings are errors: every one that the profile has is made one of the API server's
        labels = {f"pod-security.kubernetes.io/{mode}": "restricted" for mode in ("enforce", "warn", "audit")}
        cluster.api("PATCH", f"/api/v1/namespaces/{namespace}", {"metadata": {"labels": labels}}, "application/merge-patch+json")

    def helm(self, version, verb, *options):
        """What Helm says beside its output. Warnings of the API server are there, so it has to be none."""
        chart = (helm.assembled(), *helm._files(self.values)) if verb in ("install", "upgrade") else ()
        out = helm.run(version, verb, *options, RELEASE, *chart, "-n", self.namespace, "--kubeconfig", self.cluster.kubeconfig())
        assert not helm.TOLD[0].strip(), helm.TOLD[0]
        return out

    def manifest(self, version=3):
        made = helm.Manifests(d for d in yaml.load_all(self.helm(version, "get", "manifest"), Loader=helm.Loader) if d)
        return made

    def objects(self):
        """{Kind/name: object} of the release's manifest as the API server holds them."""
        lines = "".join(f"---\n{yaml.safe_dump({k: d[k] for k in ('apiVersion', 'kind')} | {'metadata': {'name': d['metadata']['name']}})}"
                        for d in self.manifest())
        found = json.loads(self.cluster.kubectl("get", "-n", self.namespace, "-o", "json", "-f", "-", input=lines).stdout)["items"]
        return {f"{o['kind']}/{o['metadata']['name']}": o for o in found}


class Site:
    """The pods of a site: its main server at one address, its mTLS server at another; to each other they are event-bus and event-bus-mtls."""

    def __init__(self, cluster, folder, tree, bus, addresses, *more):
        self.name, self.tree, self.cluster = sites.name_of(bus), tree, cluster
        self.address, self.mtls_address = addresses
        self.namespace = f"site-{self.name}-{folder.name}"[:60].lower().replace("_", "-")

        def listens(address, leaf):
            parts = {"merge": {"host": address}, "mqtt": {"merge": {"host": address}}}
            return {"config": {**parts, **({"leafnodes": {"merge": {"host": address}}} if leaf else {})}}

        own = {"nats": listens(self.address, True), "nats-mtls": listens(self.mtls_address, False), "auth-callout": {"serviceConfig": {
            "host": {"name": self.address}, "observability": {"metrics": {"prometheus": {"name": self.address}}},
            "jwks": {"url": f"http://{self.address}:9/nobody-listens", "issuer": "https://idp.example", "audience": "bus"}}}}
        self.release = Release(cluster, self.namespace, sites.values_of(bus, own, *more))
        hosts = {"event-bus": self.address, f"event-bus.{self.namespace}.svc": self.address, "event-bus-mtls": self.mtls_address}
        self.node = Node(cluster, self.namespace, folder / self.name, hosts)
        self.pods, self.network = {}, None

    def install(self, version=3):
        text = sites.run("secrets", "manifests", self.tree.root, "--site", self.name, "--namespace", self.namespace)
        self.cluster.kubectl("apply", "-f", "-", input=text)
        self.release.helm(version, "install")
        self.node.apply(NACK_ROLE, NACK_BINDING)
        # as a cluster routes it: NACK finds the API server and the main server, and nothing else
        self.network = Apart([(HOST, self.cluster.port), (self.address, 4222)]).start()
        return self

    # --- pods --------------------------------------------------------------------------------------------------------
    def pod(self, which):
        kinds = {
            "main": ("statefulsets", "event-bus", NATS_SERVER), "mtls": ("statefulsets", "event-bus-mtls", NATS_SERVER),
            "callout": ("deployments", "event-bus-auth-callout", AUTH_CALLOUT.split()[-1]),
            "watch": ("deployments", "event-bus-streams-watch", EVENTBUS.split()[-1]),
            "nack": ("deployments", "event-bus-nack", NACK, self.network)}
        if which not in self.pods:
            self.pods[which] = self.node.pod(*kinds[which])
        return self.pods[which]

    def start(self, *which):
        """In any order, as in a cluster: none waits for another."""
        for name in which:
            self.pod(name).start()
        if "main" in which:
            self.pod("main").until(lambda: self.pod("main").said("Server is ready"), "nats-server to be ready")
        if "callout" in which:
            self.pod("callout").until(self.ready, "auth-callout to be ready")
        return self

    def stop(self, *which):
        for name in which or [n for n in ("watch", "callout", "nack", "mtls", "main") if n in self.pods]:
            self.pods[name].stop()

    def end(self):
        self.stop()
        if self.network:
            self.network.stop()

    # --- what can be seen --------------------------------------------------------------------------------------------
    def http(self, path, port=8080):
        try:
            with urllib.request.urlopen(f"http://{self.address}:{port}{path}", timeout=5) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()

    def ready(self):
        with contextlib.suppress(OSError):
            return self.http("/readyz")[0] == 200
        return False

    def gate(self):
        return json.loads(self.http("/readyz")[1])["mqtt"]

    def streams(self):
        """{metadata.name: Stream resource}"""
        found = self.cluster.api("GET", STREAMS.format(self.namespace))["items"]
        return {s["metadata"]["name"]: s for s in found}

    def conditions(self):
        return {name: {c["type"]: (c["status"], c["reason"], c["message"]) for c in s.get("status", {}).get("conditions", [])}
                for name, s in self.streams().items()}

    def all_ready(self):
        found = self.conditions()
        return len(found) == 4 and all(c.get("Ready", ("",))[0] == "True" for c in found.values())

    def streams_status(self):
        """The completed `eventbus streams status --json`, with the login that the supervisor has and the chart's document."""
        document = self.node.folder / "site.json"
        document.write_bytes(self.node.data("configmaps", "event-bus-site")["site.json"])
        return subprocess.run([*EVENTBUS.split(), "streams", "status", "--json", "--site", document, "--server", f"nats://{self.address}:4222",
                               "--seed-file", self.tree.seed_file(self.name, "nats-streams")], capture_output=True, text=True, timeout=60)

    def states(self):
        """{stream: how `eventbus streams status` finds it}"""
        done = self.streams_status()
        assert done.stdout, done.stderr
        return {s["name"]: s["state"] for s in json.loads(done.stdout)["streams"]}

    def mqtt(self, **options):
        return MqttClient(self.address, 1883, **options)

    def admits(self):
        with contextlib.suppress(Refused, Closed), self.mqtt():
            return True
        return False
