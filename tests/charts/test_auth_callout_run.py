"""Chart auth-callout: the pod that it renders, started without a cluster (kubelet.py), lets real clients in."""
import os
import stat
from pathlib import Path

import pytest

import helm
from callout import ADDRESS, CHART, Keys, Server, container, free_port, get, image_root, render, template  # noqa: F401
from harness import certificates, nkeys
from harness.kubeapi import KubeApi
from harness.logs import Log
from harness.natsio import NatsClient, Refused
from harness.wait import until
from kubelet import Kubelet


class Pod:
    """The pod of a rendering, with the servers and objects around it; `values` go over what a test without a cluster has to set."""

    def __init__(self, folder, root, values, secrets=None, configmaps=None, more_seeds=None, **kubelet):
        self.folder = Path(folder)
        self.folder.mkdir()
        self.keys, self.client = Keys(), nkeys.Key("U")
        self.server = Server(self.folder, self.keys)
        # addresses of its own and free ports, since nothing but the loopback interface is between it and others
        own = {"serviceConfig": {"nats": {"url": self.server.url}, "host": {"name": ADDRESS, "port": free_port()},
                                 "observability": {"metrics": {"prometheus": {"name": ADDRESS, "port": free_port()}}}}}
        self.manifests = render(helm.deep(own, values))
        self.template = template(self.manifests)
        self.kubelet = Kubelet(self.manifests, self.folder, root,
                               secrets={"auth-callout-keys": self.keys.secret() | (more_seeds or {}),
                                        "bus-client": {"pubkey": self.client.public}} | (secrets or {}),
                               configmaps=configmaps, **kubelet)
        self.container = self.kubelet.container(self.template)
        self.log = Log(self.container.log)

    def port(self, name):
        return next(p["containerPort"] for p in container(self.manifests)["ports"] if p["name"] == name)

    def probe(self, kind):
        """What kubelet would get of a probe of the rendering."""
        ask = container(self.manifests)[kind]["httpGet"]
        return get(self.port(ask["port"]), ask["path"])[0]

    def __enter__(self):
        self.server.__enter__()
        self.container.start()
        self.container.until(lambda: self.probe("readinessProbe") == 200, "the readiness probe to succeed")
        return self

    def __exit__(self, *exc):
        status = self.container.stop(timeout=self.template["spec"]["terminationGracePeriodSeconds"])
        self.server.__exit__(*exc)
        if exc[0] is None:
            assert status == 0, f"ended with {status}:\n{self.container.text()[-3000:]}"

    def change(self, volume, name, content):
        self.kubelet.change(volume, name, content, self.template["spec"])

    def client_by(self, **login):
        return NatsClient(self.server.url, **login)

    def admits(self, **login):
        client = self.client_by(**login)
        try:
            client.connect()
        except Refused:
            return False
        client.close()
        return True


CLIENT = {"extraEnv": [{"name": "CLIENT_PUBKEY", "valueFrom": {"secretKeyRef": {"name": "{{ .Release.Name }}-client", "key": "pubkey"}}}],
          "permissions": {"document": {"nkey": {"tool": {"public_key": "${CLIENT_PUBKEY}", "account": "CSC",
                                                         "permissions": {"pub": {"allow": ["hall.>"]}, "sub": {"allow": ["hall.>"]}}}}}}}


@pytest.fixture(scope="module")
def pod(image_root):  # noqa: F811
    values = helm.deep(CLIENT, {"hotConfig": {"secretName": "hot"}, "mtls": {"ca": {"secretName": "nats-mtls-server-tls"}}})
    tls = {"ca.crt": certificates.new_ca("the first CA").pem, "tls.crt": "a certificate", "tls.key": "a private key"}
    with Pod(image_root.path.parent / "pod", image_root, values, secrets={"nats-mtls-server-tls": tls}) as made:
        yield made


def test_it_becomes_ready_and_lets_a_client_in(pod):
    assert pod.probe("livenessProbe") == 200
    with pod.client_by(seed=pod.client.seed) as client:
        heard = client.subscribe("hall.>")
        client.publish("hall.1", b"on")
        assert heard.receive().data == b"on"
    assert not pod.admits() and not pod.admits(seed=nkeys.Key("U").seed)
    until(lambda: pod.log.find(method="nkey", reason="ok", entry="tool"), lambda: pod.container.text()[-2000:])


def test_it_runs_as_it_was_rendered(pod):
    pid = pod.container.pid()
    status = dict(line.split(":\t", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines() if ":\t" in line)
    if os.geteuid() == 0:
        assert status["Uid"].split()[0] == status["Gid"].split()[0] == "65532"
    assert int(status["CapEff"], 16) == 0 and status["Seccomp"] == "2"
    (line,) = [x for x in pod.log.since() if x["msg"].startswith("sandbox applied")]
    assert line["msg"] == "sandbox applied", line
    assert Path(f"/proc/{pid}/cmdline").read_text().split("\0")[1:-1] == container(pod.manifests)["args"]


def test_metrics_are_where_the_service_points(pod):
    status, text = get(pod.port("metrics"), "/metrics")
    assert status == 200 and "auth_requests_total" in text


def test_the_keys_are_for_its_group_alone(pod):
    """As kubelet mounts them with the rendered mode and fsGroup; nothing else of the devices' Secret is there than their CA."""
    files = {p.name: p for p in (pod.folder / "volumes/keys").iterdir() if p.is_symlink() and p.name != "..data"}
    assert set(files) == {"nkey-seed", "issuer-seed", "xkey-seed"}
    assert all(stat.S_IMODE(p.stat().st_mode) == 0o440 for p in files.values())
    assert [p.name for p in (pod.folder / "volumes/mtls-ca").iterdir() if not p.name.startswith("..")] == ["ca.crt"]


def test_permissions_are_taken_while_it_runs(pod):
    """Another ConfigMap, the same pod template: so no pod is replaced, and the one that runs takes it."""
    other = nkeys.Key("U")
    assert not pod.admits(seed=other.seed)
    changed = helm.deep(CLIENT, {"permissions": {"document": {"nkey": {"other": {"public_key": other.public, "account": "CSC"}}}}})
    assert template(render(changed)) == template(render(CLIENT))
    text = render(changed).get("ConfigMap", "bus-auth-callout-permissions")["data"]["permissions.yaml"]
    before = pod.container.pid()
    pod.change("config", "permissions.yaml", text)
    until(lambda: pod.log.find(msg="reloaded", what="permissions") or pod.admits(seed=other.seed), "the new permissions to be in force")
    until(lambda: pod.admits(seed=other.seed), "the new client to be let in")
    assert pod.admits(seed=pod.client.seed) and pod.container.pid() == before


def test_the_ca_is_taken_while_it_runs(pod):
    offset = pod.log.size()
    pod.change("mtls-ca", "ca.crt", certificates.new_ca("the second CA").pem)
    until(lambda: [x for x in pod.log.since(offset) if "reloaded" in x["msg"]], lambda: pod.container.text()[-2000:])
    assert pod.probe("readinessProbe") == 200


def test_the_hot_file_may_come_later(pod):
    """It is optional: the pod started without it. When it comes it is laid over the rest: less is logged from then on, and all again at the end."""
    folder, decided = pod.folder / "volumes/hot-config", {"method": "nkey", "reason": "ok"}

    def told(level):
        pod.change("hot-config", "hot.yaml", f"observability: {{logging: {{level: {level}}}}}\n")
        if not (folder / "hot.yaml").is_symlink():
            (folder / "hot.yaml").symlink_to("..data/hot.yaml")

        before = []

        def held():
            """Of the login before this one: a line is written a moment after the client is in."""
            before.append(pod.log.size())
            assert pod.admits(seed=pod.client.seed)
            return len(before) > 1 and bool(pod.log.find(before[-2], **decided)) == (level == "info")
        until(held, lambda: f"decisions {level}: {pod.container.text()[-2000:]}", every=0.2)

    assert not folder.joinpath("hot.yaml").exists()
    told("warn")
    told("info")


def test_an_option_that_restarts_nothing_is_taken(pod):
    """What the annotation leaves out has to be taken by a reload, or nobody would ever take it."""
    offset = pod.log.size()
    config = (pod.folder / "volumes/config/auth-callout.yaml").read_text()
    pod.change("config", "auth-callout.yaml", config + "session:\n  max-age: 1h\n")
    line = until(lambda: [x for x in pod.log.since(offset) if "reloaded" in x["msg"]], lambda: pod.container.text()[-2000:])[0]
    assert "restart" not in line["msg"], line


def test_kubernetes_tokens(image_root, tmp_path):  # noqa: F811
    """The example, against an API server that asks for the token and the CA that the pod mounts; its keys are cached where the pod may write."""
    api = KubeApi(tmp_path, host="127.47.0.2").start()
    try:
        api.account("plant", "chiller")
        values = helm.deep(helm.yaml.safe_load((CHART / "examples/kubernetes-tokens.yaml").read_text()),
                           {"serviceConfig": {"kubernetes": {"issuer": api.issuer}}})
        with Pod(image_root.path.parent / "kube", image_root, values, configmaps={"kube-root-ca.crt": {"ca.crt": api.ca.read_text()}},
                 token=api.token_file.read_text(), env={"KUBERNETES_SERVICE_HOST": api.host, "KUBERNETES_SERVICE_PORT": str(api.port)}) as pod:
            with pod.client_by(token=api.token("plant", "chiller"), inbox_prefix=b"_INBOX_plant_chiller") as client:
                heard = client.subscribe("plant.>")
                client.publish("plant.1", b"on")
                assert heard.receive().data == b"on"
            assert (pod.folder / "volumes/cache/kubernetes.json").exists()
            assert api.count("list") >= 1 and api.count("watch") >= 1
    finally:
        api.stop()


def test_two_issuer_seeds_while_one_is_rotated(image_root):  # noqa: F811
    """The Secret has a second key; the servers ask for the old one's answers until they are restarted, and both are answered."""
    values = helm.deep(CLIENT, {"keys": {"issuerSeeds": ["issuer-seed", "issuer-seed-new"]}})
    new = nkeys.Key("A")
    with Pod(image_root.path.parent / "rotation", image_root, values, more_seeds={"issuer-seed-new": new.seed}) as pod:
        assert pod.admits(seed=pod.client.seed)
        assert new.public in pod.container.text() and pod.keys.issuer.public in pod.container.text()
