"""
The umbrella chart and a real API server with the definitions of NACK, Gateway API, the Prometheus operator and cert-manager: what Helm 3 and 4
send is taken without a warning, stays as it is, changes where values change, and its pods are within Pod Security's restricted profile.
"""
import base64
import contextlib
import json
import os
import subprocess
import threading
import time
from datetime import datetime

import pytest
from harness.bus import EVENTBUS, TOP

import charts
from charts import helm, sites
from real import MERGE, ApiError

pytestmark = pytest.mark.real
TLS = {part: f"/etc/nats-certs/leaf/{file}" for part, file in (("ca", "ca.crt"), ("cert", "tls.crt"), ("key", "tls.key"))}
EVERYTHING = {
    "global": {"eventBus": {
        "crossLayer": {"cscExports": ["broadcast.>"], "cscPrefixedExports": ["command.>"], "cpcExports": ["sensor.>"]},
        "extraAccounts": {"LaunchLayer": {"enabled": True, "jetstream": True}},
        "mqttStreams": {"maxBytes": 67108864, "maxAge": "3h"},
        "streamsWatch": {"replicas": 2},
        "networkPolicy": {"monitoringFrom": [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "monitoring"}}}]},
        "gateway": {"routes": {"mqtt": {"enabled": True}, "natsClient": {"enabled": True},
                               "mqttMtls": {"enabled": True, "hostnames": ["mqtt.example.net"]}}},
        "monitoring": {"serviceMonitors": {"enabled": True}, "prometheusRules": {"enabled": True}, "dashboards": {"enabled": True}}}},
    "nats": {"natsBox": {"enabled": True}, "promExporter": {"enabled": True}},
    "surveyor": {"config": {"expectedServers": 4}},
    "auth-callout": {
        "serviceConfig": {"jwks": {"url": "https://idp.example/keys"}, "kubernetes": {
            "issuer": "https://kubernetes.default.svc", "audience": "nats", "account": "LaunchLayer",
            "reserved-namespaces": ["cpc", "broadcast", "command", "sensor"]}},
        "kubernetesTokens": {"enabled": True},
        "autoscaling": {"enabled": True}, "podDisruptionBudget": {"enabled": True}, "networkPolicy": {"enabled": True}}}


def site(account, **keys):
    device = {"identity": "CN=bms", "account": account, "permissions": {"pub": {"allow": ["hall.>"]}}}
    return helm.deep(EVERYTHING, helm.bus(auth={"permissions": {"mtls": {"bms": device}}}, **keys))


SITES = {
    "csc": site("CSC", clusterType="csc", cpcIds=["1", "2"], cscLeafServerTLS=TLS, gateway={"routes": {"natsLeafnode": {"enabled": True}}}),
    "cpc-1": site("CPC", clusterType="cpc", clusterId="1", cscEndpoint="tls://leaf.example.net:7422", cpcLeafClientTLS=TLS),
}
STRICT = ("apply", "--dry-run=server", "--validate=strict")
CASES = [(name, version) for name in SITES for version in helm.HELMS]
# What a list of crossLayer is in, and the pods that are restarted for it.
BY_A_LIST = {"ConfigMap/event-bus-config", "StatefulSet/event-bus", "ConfigMap/event-bus-site", "ConfigMap/event-bus-streams"}


@pytest.fixture(scope="module")
def releases(cluster):
    """release(name, version): installed once."""
    charts.crds(cluster)
    made = {}

    def release(name, version):
        if (name, version) not in made:
            one = made[name, version] = charts.Release(cluster, f"everything-{name}-{version}", SITES[name])
            one.name, one.version = name, version
            one.helm(version, "install")
        return made[name, version]
    return release


@pytest.fixture(params=CASES, ids=lambda p: f"{p[0]}-helm{p[1]}")
def release(request, releases):
    return releases(*request.param)


@pytest.fixture(params=SITES)
def one(request, releases):
    return releases(request.param, 3)


def versions(release):
    return {name: o["metadata"]["resourceVersion"] for name, o in release.objects().items()}


def test_everything_is_taken(release):
    """Release.helm has no warning pass: unknown fields, deprecated versions, pods beyond the restricted profile."""
    kinds = {name.split("/")[0] for name in release.objects()}
    assert kinds >= {"Stream", "TCPRoute", "TLSRoute", "ServiceMonitor", "PodMonitor", "NetworkPolicy", "StatefulSet", "Deployment", "Service",
                     "HorizontalPodAutoscaler", "PodDisruptionBudget", "ClusterRole", "ServiceAccount", "ConfigMap"}


def test_every_field_is_known(one):
    """In the strict way, which no helm asks for; what is there already cannot be in the way of a dry run."""
    text = one.helm(3, "get", "manifest")
    done = one.cluster.kubectl(*STRICT, "--server-side", "--force-conflicts", "-n", one.namespace, "-f", "-", input=text)
    assert not done.stderr and len(done.stdout.splitlines()) == len(one.manifest()), done.stderr


def test_the_checks_see_what_is_wrong(releases):
    one = releases("csc", 3)
    broken = next(d for d in one.manifest() if d["kind"] == "Stream")
    broken["spec"]["replica"] = 2
    done = one.cluster.kubectl(*STRICT, "-n", one.namespace, "-f", "-", input=json.dumps(broken), check=False)
    assert done.returncode != 0 and "replica" in done.stderr, done.stderr
    more = {"nats": {"container": {"merge": {"securityContext": {"allowPrivilegeEscalation": True}}}}}
    loose = charts.Release(one.cluster, one.namespace, [one.values, more])
    with pytest.raises(AssertionError, match="would violate PodSecurity"):
        loose.helm(3, "upgrade")
    one.helm(3, "upgrade")


def test_upgrades(release):
    before = versions(release)
    release.helm(release.version, "upgrade")
    assert versions(release) == before, "an upgrade with nothing changed changes something"
    longer = charts.Release(release.cluster, release.namespace, [release.values, helm.bus(crossLayer={"cscExports": ["broadcast.>", "news.>"]})])
    longer.helm(release.version, "upgrade")
    after = versions(longer)
    # at the CSC what it keeps for the CPCs, and their rights; at a CPC what it takes from there
    own = {"csc": {"Stream/event-bus-xl-retained", "ConfigMap/event-bus-permissions"},
           "cpc-1": {"Stream/event-bus-mqtt-msgs", "Stream/event-bus-mqtt-rmsgs"}}
    assert {name for name in after if after[name] != before.get(name)} == BY_A_LIST | own[release.name]
    assert set(after) == set(before)
    release.helm(release.version, "upgrade")


def test_pods_are_within_the_restricted_profile(one):
    """The namespace enforces it: every pod is admitted, that of `helm test` too, and none with one permission more."""
    path = f"/api/v1/namespaces/{one.namespace}/pods?dryRun=All"
    hooks = helm.Manifests(d for d in helm.yaml.safe_load_all(one.helm(3, "get", "hooks")) if d)
    found = dict([*one.manifest().pods(), *hooks.pods()])
    assert {"StatefulSet/event-bus", "StatefulSet/event-bus-mtls", "Deployment/event-bus-auth-callout", "Deployment/event-bus-streams-watch",
            "Deployment/event-bus-nack", "Deployment/event-bus-surveyor", "Deployment/event-bus-box", "Pod/event-bus-test-streams"} <= set(found)
    accounts = {d["metadata"]["name"] for d in one.manifest().of("ServiceAccount")}
    with contextlib.suppress(ApiError):
        one.cluster.account(one.namespace, "default")
    with_token = set()
    for name, template in found.items():
        assert template["spec"].get("serviceAccountName", "default") in accounts | {"default"}, name
        spec = json.loads(json.dumps(template["spec"]))
        claims = [{"name": m["name"], "emptyDir": {}} for m in spec["containers"][0]["volumeMounts"] if m["name"] == "event-bus-js"]
        spec["volumes"] = [*spec.get("volumes", []), *claims]
        pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "dry"}, "spec": spec}
        made = one.cluster.api("POST", path, pod)
        if any(v["name"].startswith("kube-api-access") for v in made["spec"]["volumes"]):
            with_token.add(name)
        spec["containers"][0]["securityContext"]["allowPrivilegeEscalation"] = True
        with pytest.raises(ApiError) as refused:
            one.cluster.api("POST", path, pod)
        assert refused.value.status == 403 and "restricted" in str(refused.value), name
    # NACK needs a token for the API server; for the others those of the official charts have no value against it
    assert with_token == {"Deployment/event-bus-nack", "Deployment/event-bus-surveyor", "Pod/event-bus-test-request-reply"}


# --- rotation ------------------------------------------------------------------------------------------------------
class Controllers(threading.Thread):
    """What Kubernetes' controllers tell of workloads: that each rollout is done. `rolled` has them in their order."""

    def __init__(self, release):
        super().__init__(daemon=True)
        self.namespace, self.rolled, self._end = release.namespace, [], threading.Event()
        self.api, self.seen = charts.another_api(release.cluster), {}

    def run(self):
        while not self._end.wait(0.05):
            for plural in ("statefulsets", "deployments"):
                path = f"/apis/apps/v1/namespaces/{self.namespace}/{plural}"
                for one in self.api("GET", path)["items"]:
                    self._settle(path, plural, one)

    def _settle(self, path, plural, one):
        name, generation, n = one["metadata"]["name"], one["metadata"]["generation"], one["spec"]["replicas"]
        stamp = one["spec"]["template"]["metadata"].get("annotations", {}).get("kubectl.kubernetes.io/restartedAt")
        if stamp != self.seen.get(name):
            self.rolled.append(name)
            self.seen[name] = stamp
        if one.get("status", {}).get("observedGeneration") == generation and one["status"].get("readyReplicas") == n:
            return
        revisions = {"currentRevision": stamp, "updateRevision": stamp, "currentReplicas": n} if plural == "statefulsets" else {}
        if stamp and time.time() - datetime.fromisoformat(stamp).timestamp() < 1.2:
            return  # kubectl refuses another one within the second
        status = {"observedGeneration": generation, "replicas": n, "readyReplicas": n, "updatedReplicas": n, "availableReplicas": n, **revisions}
        self.api("PATCH", f"{path}/{name}/status", {"status": status}, MERGE)

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_exc):
        self._end.set()
        self.join(10)


def rotate(release, *arguments):
    env = os.environ | {"KUBECTL": str(helm.BIN / "kubectl"), "EVENTBUS": EVENTBUS.split()[-1], "KUBECONFIG": str(release.cluster.kubeconfig())}
    done = subprocess.run([TOP / "deploy/scripts/rotate.sh", "-n", release.namespace, *map(str, arguments)], capture_output=True, text=True,
                          env=env, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


WORKLOADS = ["event-bus", "event-bus-mtls", "event-bus-auth-callout", "event-bus-streams-watch", "event-bus-nack", "event-bus-surveyor"]


def test_rotation(releases, tmp_path):
    release = releases("csc", 3)
    tree = sites.Tree(tmp_path / "secrets", {"csc": {"cpcIds": ["1", "2"], "extraAccounts": {"LaunchLayer": {}}}})
    text = sites.run("secrets", "manifests", tree.root, "--site", "csc", "--namespace", release.namespace)
    release.cluster.kubectl("apply", "-f", "-", input=text)

    def secret(name, key):
        return base64.b64decode(release.cluster.api("GET", f"/api/v1/namespaces/{release.namespace}/secrets/{name}")["data"][key]).decode()
    with Controllers(release) as controllers:
        rotate(release, "restart")
        assert controllers.rolled == WORKLOADS
        callout_both_servers = ["event-bus-auth-callout", *WORKLOADS[:2], "event-bus-auth-callout"]
        for what, name, key, order in (("issuer", "nats-auth-signing", "issuer-seed", callout_both_servers),
                                       ("xkey", "nats-xkey", "xkey-seed", callout_both_servers),
                                       ("nkey", "nats-authx-user", "nkey-seed", ["event-bus", "event-bus-auth-callout", "event-bus"])):
            before, seed = secret(name, "pubkey"), secret("auth-callout-keys", key)
            controllers.rolled.clear()
            rotate(release, "--secrets", tree.root, "--site", "csc", what)
            assert controllers.rolled == order
            assert set(release.cluster.api("GET", f"/api/v1/namespaces/{release.namespace}/secrets/{name}")["data"]) == {"pubkey"}
            assert secret(name, "pubkey") != before and secret("auth-callout-keys", key).strip() != seed.strip()
            assert secret(name, "pubkey").strip() == (tree.root / f"csc/nkeys/{name}/pubkey").read_text().strip()
    # Helm leaves the annotation of a restart alone
    release.helm(3, "upgrade")
    for name, o in release.objects().items():
        if name.split("/")[1] in WORKLOADS and name.split("/")[0] in ("StatefulSet", "Deployment"):
            assert "kubectl.kubernetes.io/restartedAt" in o["spec"]["template"]["metadata"]["annotations"], name
