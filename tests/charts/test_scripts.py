"""
deploy/scripts/rotate.sh and uninstall.sh. kubectl is played by the test; behind rotate.sh stand real servers and a real auth-callout, whose
Secrets and restarts are those that the script asks for, while clients log in all the time.
"""
import base64
import contextlib
import json
import os
import stat
import subprocess
import threading
import time
import urllib.request

import pytest
from helm import ROOT
from kubectl import Played
from pods import Pod
from sites import PROGRAM, Tree
from test_servers import Site, document

from harness.bus import AUTH_CALLOUT, NATS_SERVER, free_addresses
from harness.natsio import NatsClient, Refused

SCRIPTS = ROOT / "deploy/scripts"


def script(name, *arguments, **env):
    return subprocess.run([SCRIPTS / name, *map(str, arguments)], capture_output=True, text=True, timeout=240,
                          env={**os.environ, "EVENTBUS": str(PROGRAM), **{k: str(v) for k, v in env.items()}})


# --- rotate.sh ---------------------------------------------------------------------------------------------------------
class Cluster:
    """A site's Secrets and pods, as kubectl shows and changes them."""

    def __init__(self, site, secrets):
        self.site, self.secrets = site, secrets
        self.restarts, self.pods = [], 0

    def answer(self, arguments, stdin):
        assert arguments[:2] == ["-n", "event-bus"]
        verb, *rest = arguments[2:]
        if verb == "get":
            return f"{rest[0]}\n" if rest[0] != "deployment/event-bus-streams-watch" else ""
        if verb == "patch":
            assert rest[:1] == ["secret"] and rest[2:] == ["--type", "merge", "--patch-file", "/dev/stdin"]
            for key, value in json.loads(stdin)["data"].items():
                self.secrets[rest[1]] = {**self.secrets[rest[1]], key: base64.b64decode(value).decode()}
            return "patched"
        assert verb == "rollout"
        if rest[0] == "restart":
            self.restart(rest[1])
        return ""

    def restart(self, workload):
        self.restarts.append(workload)
        which = {"statefulset/event-bus": "main", "statefulset/event-bus-mtls": "mtls", "deployment/event-bus-auth-callout": "callout"}[workload]
        site, name = self.site, workload.split("/")[1]
        kind = "StatefulSet" if workload.startswith("statefulset/") else "Deployment"
        self.pods += 1
        program, container = (AUTH_CALLOUT, "auth-callout") if which == "callout" else (NATS_SERVER, "nats")
        old = getattr(site, which)
        new = Pod(site.manifests, kind, name, container, program, self.secrets, site.folder / f"{which}-{self.pods}")
        if which == "main":  # its volume stays
            new.mounts["/data"].rmdir()
            new.mounts["/data"].symlink_to(old.mounts["/data"])
        if which == "callout":  # the new pod is ready before the old one goes
            port = 8080 + 2 * self.pods
            new.env |= {"AUTH_CALLOUT_HOST_PORT": str(port), "AUTH_CALLOUT_OBSERVABILITY_METRICS_PROMETHEUS_PORT": str(port + 1)}
            new.start(lambda: ready(f"http://{site.address}:{port}/readyz"))
            old.stop()
        else:
            old.stop()
            new.start(lambda: "Server is ready" in new.text() and (which == "main" or len(site.links(site.mtls_address)) == 3))
        setattr(site, which, new)


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    folder = tmp_path_factory.mktemp("rotation")
    addresses, _ = free_addresses(2)
    bus = document({"clusterType": "csc", "crossLayer": {}}, addresses[0])
    tree = Tree(folder / "secrets", {"csc": bus})
    site = Site(bus, addresses, tree, folder / "csc")
    made = Cluster(site, dict(tree.secrets("csc")))
    try:
        site.start()
        yield made, folder
    finally:
        site.stop()


def ready(url):
    with contextlib.suppress(OSError):
        return urllib.request.urlopen(url, timeout=5).status == 200
    return False


class Logins(threading.Thread):
    """Anonymous clients, one after the other; what the server refused, and not what met no server."""

    def __init__(self, address):
        super().__init__(daemon=True)
        self.url, self.refused, self.admitted, self.on = f"nats://{address}:4222", [], 0, True

    def run(self):
        while self.on:
            try:
                with NatsClient(self.url):
                    self.admitted += 1
            except Refused as e:
                if "authorization" in str(e).lower():
                    self.refused.append(str(e))
                time.sleep(0.05)

    def stop(self):
        self.on = False
        self.join(30)


@pytest.mark.parametrize("key, secret, copy", [("issuer", "nats-auth-signing", "issuer-seed"), ("xkey", "nats-xkey", "xkey-seed")])
def test_a_key_is_rotated_and_nobody_is_refused(cluster, key, secret, copy):
    made, folder = cluster
    kubectl = Played(folder, f"kubectl-{key}", made.answer)
    before, made.restarts = {name: dict(of) for name, of in made.secrets.items()}, []
    logins = Logins(made.site.address)
    logins.start()
    done = script("rotate.sh", "-n", "event-bus", "--secrets", folder / "secrets", "--site", "csc", key, KUBECTL=kubectl.path)
    at_the_end = logins.admitted
    deadline = time.monotonic() + 30
    while logins.admitted < at_the_end + 5 and time.monotonic() < deadline:
        time.sleep(0.05)
    logins.stop()
    kubectl.close()
    assert done.returncode == 0, done.stdout + done.stderr
    assert made.restarts == ["deployment/event-bus-auth-callout", "statefulset/event-bus", "statefulset/event-bus-mtls",
                             "deployment/event-bus-auth-callout"]
    assert logins.refused == [] and logins.admitted >= at_the_end + 5, "with the new key alone they get in"
    assert made.secrets[secret]["pubkey"] != before[secret]["pubkey"]
    seeds = made.secrets["auth-callout-keys"][copy].split()
    assert len(seeds) == 1 and seeds != before["auth-callout-keys"][copy].split()
    both = [json.loads(stdin)["data"][copy] for arguments, stdin in kubectl.calls if "auth-callout-keys" in arguments]
    assert base64.b64decode(both[0]).decode().split() == [*seeds, *before["auth-callout-keys"][copy].split()]
    # no seed where others could read it
    for seed in (*seeds, *before["auth-callout-keys"][copy].split()):
        assert seed not in done.stdout + done.stderr and not any(seed in line for line in kubectl.said())
        assert not any(base64.b64encode(seed.encode()).decode()[:40] in line for line in kubectl.said())
    old, = (folder / "secrets.rotated").glob(f"csc-{key}-*")
    assert stat.S_IMODE(old.stat().st_mode) == 0o700 and (old / "auth-callout-keys" / copy).read_text().strip() in before["auth-callout-keys"][copy]
    verified = subprocess.run([PROGRAM, "secrets", "verify", folder / "secrets"], capture_output=True, text=True)
    assert verified.returncode == 0, verified.stderr


def test_an_interrupted_rotation_goes_on(tmp_path):
    subprocess.run([PROGRAM, "secrets", "generate", tmp_path / "s"], check=True, capture_output=True)
    broken = [True]

    def answer(arguments, _stdin):
        if arguments[2] == "get":
            return f"{arguments[3]}\n"
        return ("", 1) if arguments[2:4] == ["rollout", "status"] and "statefulset/event-bus" in arguments and broken[0] else ""
    kubectl = Played(tmp_path, "kubectl", answer)
    options = ["-n", "event-bus", "--secrets", tmp_path / "s", "--site", "csc"]
    done = script("rotate.sh", *options, "issuer", KUBECTL=kubectl.path)
    assert done.returncode == 1 and "statefulset/event-bus did not come back" in done.stderr and "nothing further was touched" in done.stderr
    assert not any("mtls" in line for line in kubectl.said())
    old, = (tmp_path / "s.rotated").iterdir()
    assert f"--continue {old}" in done.stderr
    broken[0] = False
    key = (tmp_path / "s/csc/nkeys/nats-auth-signing/pubkey").read_text()
    done = script("rotate.sh", *options, "--continue", old, "issuer", KUBECTL=kubectl.path)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "s/csc/nkeys/nats-auth-signing/pubkey").read_text() == key, "no third key"
    kubectl.close()


def test_a_tree_with_a_part_missing_is_left_as_it_is(tmp_path):
    subprocess.run([PROGRAM, "secrets", "generate", tmp_path / "s"], check=True, capture_output=True)
    (tmp_path / "s/csc/nkeys/xkey.nk").unlink()
    before = sorted((tmp_path / "s").rglob("*"))
    done = script("rotate.sh", "-n", "event-bus", "--secrets", tmp_path / "s", "--site", "csc", "xkey", KUBECTL="false")
    assert done.returncode == 1 and "xkey.nk; nothing was done" in done.stderr
    assert sorted((tmp_path / "s").rglob("*")) == before and not (tmp_path / "s.rotated").exists()


def test_restart_takes_one_after_the_other(tmp_path):
    kubectl = Played(tmp_path, "kubectl", lambda arguments, _: f"{arguments[3]}\n" if arguments[2] == "get" and "mtls" not in arguments[3] else "")
    done = script("rotate.sh", "-n", "event-bus", "restart", KUBECTL=kubectl.path)
    assert done.returncode == 0, done.stderr
    rolled = [line.split("rollout ")[1].split(" --timeout")[0] for line in kubectl.said() if "rollout" in line]
    workloads = ("statefulset/event-bus", *(f"deployment/event-bus-{who}" for who in ("auth-callout", "streams-watch", "nack", "surveyor")))
    assert rolled == [f"{verb} {what}" for what in workloads for verb in ("restart", "status")]
    kubectl.close()


@pytest.mark.parametrize("name, arguments, status, said", [
    ("rotate.sh", [], 2, "rotate.sh -n NAMESPACE restart"), ("rotate.sh", ["-n", "a", "issuer"], 2, "wants --secrets DIR and --site SITE"),
    ("rotate.sh", ["-n", "a", "nkeys"], 2, "what is nkeys?"),
    ("rotate.sh", ["-n", "a", "--secrets", "/nowhere", "--site", "csc", "xkey"], 1, "no folder"),
    ("uninstall.sh", ["-n", "a"], 2, "uninstall.sh -n NAMESPACE RELEASE"), ("uninstall.sh", ["-n", "a", "-x", "b"], 2, "what is -x?")])
def test_wrong_usage(name, arguments, status, said):
    done = script(name, *arguments, KUBECTL="false", HELM="false")
    assert done.returncode == status and said in done.stderr


# --- uninstall.sh ------------------------------------------------------------------------------------------------------
def played(tmp_path, streams, deletes=True):
    """kubectl with these Streams, {name: preventDelete}, and helm; both write into one list."""
    order, there = [], dict(streams)

    def kubectl(arguments, _stdin):
        order.append(" ".join(arguments[2:]))
        if arguments[2:4] == ["get", "streams.jetstream.nats.io"]:
            assert "app.kubernetes.io/instance=event-bus" in arguments
            return "".join(f"{name} {kept}\n" for name, kept in there.items())
        if arguments[2] == "delete":
            return there.pop(arguments[4], "") and "" if deletes else ("", 1)
        return ""
    return Played(tmp_path, "kubectl", kubectl), Played(tmp_path, "helm", lambda arguments, _: order.append("helm " + " ".join(arguments))), order


def test_streams_go_before_their_controller(tmp_path):
    kubectl, helm, order = played(tmp_path, {"event-bus-mqtt-msgs": "true", "event-bus-xl-retained": "true"})
    done = script("uninstall.sh", "-n", "event-bus", "event-bus", KUBECTL=kubectl.path, HELM=helm.path)
    assert done.returncode == 0, done.stderr
    deleted = [i for i, line in enumerate(order) if line.startswith("delete streams.jetstream.nats.io")]
    assert len(deleted) == 2 and max(deleted) < order.index("helm uninstall event-bus -n event-bus --ignore-not-found")
    assert not any(line.startswith(("patch", "delete pvc", "delete secret")) for line in order)


def test_a_stream_that_would_take_its_data_along_stops_it(tmp_path):
    kubectl, helm, order = played(tmp_path, {"event-bus-mqtt-msgs": "true", "event-bus-xl-retained": ""})
    done = script("uninstall.sh", "-n", "event-bus", "event-bus", KUBECTL=kubectl.path, HELM=helm.path)
    assert done.returncode == 1 and "stream/event-bus-xl-retained has no preventDelete" in done.stderr
    assert len(order) == 1, "nothing was done"


@pytest.mark.parametrize("says, status", [("The connection to the server 127.0.0.1:1 was refused", 1), ("error: the server doesn't have a resource type", 0)])
def test_a_cluster_that_does_not_answer_is_not_taken_for_one_without_streams(tmp_path, says, status):
    _, helm, order = played(tmp_path, {})
    kubectl = tmp_path / "failing"
    kubectl.write_text(f'#!/bin/sh\ncase $3 in get) case $4 in pvc) exit 0;; esac; echo "{says}" >&2; exit 1;; esac\n')
    kubectl.chmod(0o755)
    done = script("uninstall.sh", "-n", "event-bus", "event-bus", KUBECTL=kubectl, HELM=helm.path)
    assert (done.returncode, order) == (status, ["helm uninstall event-bus -n event-bus --ignore-not-found"] if status == 0 else []), done.stderr
    assert status == 0 or ("nothing was done" in done.stderr and says in done.stderr)


def test_without_a_controller_it_says_so_and_can_be_told(tmp_path):
    kubectl, helm, order = played(tmp_path, {"event-bus-mqtt-msgs": "true"}, deletes=False)
    done = script("uninstall.sh", "-n", "event-bus", "event-bus", KUBECTL=kubectl.path, HELM=helm.path)
    assert done.returncode == 1 and "does NACK run?" in done.stderr and not any("helm" in line for line in order)
    kubectl, helm, order = played(tmp_path, {"event-bus-mqtt-msgs": "true"})
    done = script("uninstall.sh", "-n", "event-bus", "--abandon", "event-bus", KUBECTL=kubectl.path, HELM=helm.path)
    assert done.returncode == 0 and [line.split()[0] for line in order][:4] == ["get", "patch", "delete", "helm"]
