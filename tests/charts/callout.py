"""What the tests of deploy/auth-callout share: rendering it, the image's root, a nats-server to serve, and Secrets with good keys."""
import contextlib
import random
import shutil
import signal
import socket
import subprocess
import tempfile
import urllib.error
import urllib.request
from pathlib import Path

import pytest
import yaml

import helm
import kubelet  # noqa: F401  (finds the harness)
from harness import nkeys, secrets
from harness.bus import NATS_SERVER
from harness.rootfs import Root
from harness.wait import until

CHART = helm.CALLOUT
EXAMPLES = sorted((CHART / "examples").glob("*.yaml"))
ADDRESS = "127.47.0.1"
RELEASE, NAME = "bus", "bus-auth-callout"


# Every option that has no counterpart in another one.
EVERYTHING = {
    "commonLabels": {"team": "plant"},
    "image": {"registry": "images.example:5000", "repository": "event-bus/auth-callout", "tag": "1.2"},
    "imagePullSecrets": [{"name": "own"}],
    "global": {"image": {"pullSecretNames": ["shared"], "pullPolicy": "Always"}},
    "serviceConfig": {"nats": {"url": "nats://{{ .Release.Name }}-nats.{{ .Release.Namespace }}.svc:4222"},
                      "jwks": {"url": "https://idp.example/keys", "issuer": "https://idp.example"},
                      "kubernetes": {"account": "CSC"}, "limits": {"queue": 1048576}},
    "permissions": {"document": {"oauth2": {"a": {"azp": "a", "account": "CSC"}}}},
    "hotConfig": {"secretName": "{{ .Release.Name }}-hot"},
    "mtls": {"ca": {"secretName": "nats-mtls-server-tls"}},
    "mqttStreams": {"configMapName": "{{ .Release.Name }}-streams"},
    "kubernetesTokens": {"enabled": True, "tokenReview": True},
    "serviceAccount": {"annotations": {"example/role": "x"}},
    "deploymentAnnotations": {"reloader/auto": "false"}, "podAnnotations": {"site": "{{ .Release.Name }}"}, "podLabels": {"tier": "edge"},
    "extraArgs": ["--observability.logging.level=debug"],
    "extraEnv": [{"name": "BUS_PUBKEY", "valueFrom": {"secretKeyRef": {"name": "{{ .Release.Name }}-key", "key": "pubkey"}}}],
    "extraEnvFrom": [{"secretRef": {"name": "{{ .Release.Name }}-env", "optional": True}}],
    "extraVolumes": [{"name": "more", "configMap": {"name": "{{ .Release.Name }}-more"}}],
    "extraVolumeMounts": [{"name": "more", "mountPath": "/etc/more", "readOnly": True}],
    "extraContainers": [{"name": "beside", "image": "b:{{ .Chart.AppVersion }}"}],
    "initContainers": [{"name": "before", "image": "b"}],
    "extraObjects": [{"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "{{ .Release.Name }}-more"}, "data": {"a": "b"}}],
    "nodeSelector": {"disk": "ssd"}, "tolerations": [{"operator": "Exists"}],
    "affinity": {"podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [{"topologyKey": "rack", "labelSelector": {}}]}},
    "priorityClassName": "system-cluster-critical", "runtimeClassName": "gvisor", "hostAliases": [{"ip": "10.0.0.1", "hostnames": ["idp.example"]}],
    "dnsPolicy": "None", "dnsConfig": {"nameservers": ["10.0.0.2"]},
    "podDisruptionBudget": {"minAvailable": "50%"},
    "autoscaling": {"enabled": True, "maxReplicas": 9, "behavior": {"scaleDown": {"stabilizationWindowSeconds": 600}}},
    "service": {"type": "NodePort", "annotations": {"a": "b"}}, "metricsService": {"port": 9191, "annotations": {"a": "b"}},
    "serviceMonitor": {"enabled": True, "namespace": "monitoring", "labels": {"release": "prometheus"}, "annotations": {"a": "b"},
                       "relabelings": [{"action": "labeldrop", "regex": "pod"}],
                       "metricRelabelings": [{"action": "drop", "regex": "x", "sourceLabels": ["y"]}]},
    "networkPolicy": {"enabled": True, "healthFrom": [{"podSelector": {}}], "natsPorts": [4222, 4223],
                      "extraIngress": [{"from": [{"podSelector": {}}]}],
                      "extraEgress": [{"to": [{"ipBlock": {"cidr": "10.0.0.0/8"}}], "ports": [{"port": 4318}]}]},
}


def render(values=None, version=3, **options):
    return helm.render(values, version, chart=CHART, release=options.pop("release", RELEASE), **options)


def refused(values=None, version=3, **options):
    return helm.refused(values, version, chart=CHART, release=RELEASE, **options)


def template(manifests, name=NAME):
    return manifests.get("Deployment", name)["spec"]["template"]


def container(manifests, name=NAME):
    return next(c for c in template(manifests, name)["spec"]["containers"] if c["name"] == "auth-callout")


def config(manifests):
    return yaml.safe_load(manifests.get("ConfigMap", NAME)["data"]["auth-callout.yaml"])


class Keys:
    """The seeds of a site, and what its servers get of them."""

    def __init__(self):
        self.service, self.issuer, self.xkey = (nkeys.Key(kind) for kind in "UAX")

    def secret(self):
        return {name: secrets.note(key.seed, f"the {name}") for name,
                key in (("nkey-seed", self.service), ("issuer-seed", self.issuer), ("xkey-seed", self.xkey))}


def free_port():
    while True:
        port = random.randint(10000, 31000)
        with contextlib.suppress(OSError), socket.create_server((ADDRESS, port)):
            return port


class Server:
    """A nats-server that asks the service of these keys; users of the configuration: nobody but the service."""

    def __init__(self, folder, keys):
        self.folder, self.port = Path(folder), free_port()
        self.url = f"nats://{ADDRESS}:{self.port}"
        (self.folder / "nats.conf").write_text(f"""server_name: chart-test
listen: "{ADDRESS}:{self.port}"
system_account: SYS
accounts {{ SYS {{ }}, AUTH {{ users: [ {{ nkey: {keys.service.public} }} ] }}, CSC {{ }} }}
authorization {{
  timeout: 20
  auth_callout {{ account: AUTH, auth_users: [ {keys.service.public} ], issuer: {keys.issuer.public}, xkey: {keys.xkey.public} }}
}}
""")
        self._running = None

    def __enter__(self):
        with (self.folder / "nats.log").open("wb") as log:
            self._running = subprocess.Popen([NATS_SERVER, "-c", self.folder / "nats.conf"], stdout=log, stderr=log, stdin=subprocess.DEVNULL)
        until(lambda: "Server is ready" in (self.folder / "nats.log").read_text(), "nats-server to be ready")
        return self

    def __exit__(self, *_exc):
        self._running.send_signal(signal.SIGKILL)  # told to end, it waits for logins that nobody will answer
        self._running.wait(10)


def get(port, path, address=ADDRESS):
    try:
        with urllib.request.urlopen(f"http://{address}:{port}{path}", timeout=5) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()
    except OSError as error:
        return 0, str(error)


@pytest.fixture(scope="session")
def image_root():
    """The root file system of the image, in a folder that every user may pass through; tests make folders of their own beside it."""
    folder = Path(tempfile.mkdtemp(prefix="eb-callout-chart-"))
    folder.chmod(0o755)
    yield Root.make(folder / "rootfs")
    shutil.rmtree(folder, ignore_errors=True)
