"""
deploy/scripts/rotate.sh. kubectl is played by the test; behind it stand real servers and a real auth-callout, whose Secrets and restarts are
those that the script asks for, while clients log in all the time. And wrong usage of all scripts that ask kubectl.
"""
import base64
import binascii
import contextlib
import json
import os
import socket
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
from harness.wait import until

SCRIPTS = ROOT / "deploy/scripts"


def script(name, *arguments, **env):
    return subprocess.run([SCRIPTS / name, *map(str, arguments)], capture_output=True, text=True, timeout=240,
                          env={**os.environ, "EVENTBUS": str(PROGRAM), **{k: str(v) for k, v in env.items()}})


# --- rotate.sh ---------------------------------------------------------------------------------------------------------
def asked(rest, servers, secrets):
    """kubectl get KIND/NAME --ignore-not-found -o name; and the two questions by jsonpath."""
    if rest[-1] == "jsonpath={.spec.template.spec.containers[*].env[*].name}":
        assert rest[0] == "statefulset/event-bus"
        return " ".join(e["name"] for c in servers["spec"]["template"]["spec"]["containers"] for e in c.get("env") or [])
    if rest[-1] == "jsonpath={.data.pubkey}":
        return base64.b64encode(secrets[rest[1]]["pubkey"].encode()).decode()
    assert rest[-1] == "name"
    return f"{rest[0]}\n" if rest[0] != "deployment/event-bus-streams-watch" else ""


class Cluster:
    """A site's Secrets and pods, as kubectl shows and changes them."""

    def __init__(self, site, secrets):
        self.site, self.secrets = site, secrets
        self.restarts, self.pods, self.after = [], 0, lambda workload: None

    def answer(self, arguments, stdin):
        assert arguments[:2] == ["-n", "event-bus"]
        verb, *rest = arguments[2:]
        if verb == "get":
            return asked(rest, self.site.manifests.get("StatefulSet", "event-bus"), self.secrets)
        if verb == "patch":
            assert rest[:1] == ["secret"] and rest[2:] == ["--type", "merge", "--patch-file", "/dev/stdin"]
            data = dict(self.secrets[rest[1]])
            for key, value in json.loads(stdin)["data"].items():
                data[key] = value and base64.b64decode(value).decode()
            self.secrets[rest[1]] = {key: value for key, value in data.items() if value is not None}
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
        self.after(workload)


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


class Rotation:
    """A run of rotate.sh under clients that log in all the time: done; admitted after it; before, the Secrets as they were."""

    def __init__(self, made, folder, key):
        kubectl = Played(folder, f"kubectl-{key}", made.answer)
        self.before, made.restarts = {name: dict(of) for name, of in made.secrets.items()}, []
        logins = Logins(made.site.address)
        logins.start()
        self.done = script("rotate.sh", "-n", "event-bus", "--secrets", folder / "secrets", "--site", "csc", key, KUBECTL=kubectl.path)
        at_the_end = logins.admitted
        deadline = time.monotonic() + 30
        while logins.admitted < at_the_end + 5 and time.monotonic() < deadline:
            time.sleep(0.05)
        logins.stop()
        kubectl.close()
        self.refused, self.admitted, self.calls, self.said = logins.refused, logins.admitted - at_the_end, kubectl.calls, kubectl.said()
        assert self.done.returncode == 0, self.done.stdout + self.done.stderr

    def no_seed_is_seen(self, *seeds):
        for seed in seeds:
            assert seed not in self.done.stdout + self.done.stderr and not any(seed in line for line in self.said)
            assert not any(base64.b64encode(seed.encode()).decode()[:40] in line for line in self.said)


def verified(folder):
    done = subprocess.run([PROGRAM, "secrets", "verify", folder / "secrets"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stderr


@pytest.mark.parametrize("key, secret, copy", [("issuer", "nats-auth-signing", "issuer-seed"), ("xkey", "nats-xkey", "xkey-seed")])
def test_a_key_is_rotated_and_nobody_is_refused(cluster, key, secret, copy):
    made, folder = cluster
    ran = Rotation(made, folder, key)
    before = ran.before
    assert made.restarts == ["deployment/event-bus-auth-callout", "statefulset/event-bus", "statefulset/event-bus-mtls",
                             "deployment/event-bus-auth-callout"]
    assert ran.refused == [] and ran.admitted >= 5, "with the new key alone they get in"
    assert made.secrets[secret]["pubkey"] != before[secret]["pubkey"]
    seeds = made.secrets["auth-callout-keys"][copy].split()
    assert len(seeds) == 1 and seeds != before["auth-callout-keys"][copy].split()
    both = [json.loads(stdin)["data"][copy] for arguments, stdin in ran.calls if "auth-callout-keys" in arguments]
    assert base64.b64decode(both[0]).decode().split() == [*seeds, *before["auth-callout-keys"][copy].split()]
    ran.no_seed_is_seen(*seeds, *before["auth-callout-keys"][copy].split())
    old, = (folder / "secrets.rotated").glob(f"csc-{key}-*")
    assert stat.S_IMODE(old.stat().st_mode) == 0o700 and (old / "auth-callout-keys" / copy).read_text().strip() in before["auth-callout-keys"][copy]
    verified(folder)


def lets_in(address, seed):
    """The verdict on this login: where auth-callout is asked about it, once it answers."""
    def verdict():
        try:
            with NatsClient(f"nats://{address}:4222", seed=seed):
                return [True]
        except Refused as e:
            return [False] if "authorization violation" in str(e).lower() else None
    return until(verdict, "a verdict")[0]


def test_the_login_of_auth_callout_is_rotated_and_nobody_is_refused(cluster):
    made, folder = cluster
    nkeys, seen = folder / "secrets/csc/nkeys", []
    old = (nkeys / "nats-authx-user/seed").read_text().strip()

    def after(workload):
        new = (nkeys / "nats-authx-user/seed").read_text().strip()
        in_use = made.secrets["auth-callout-keys"]["nkey-seed"].strip()
        seen.append((workload, lets_in(made.site.address, old), lets_in(made.site.address, new), in_use == new))
        if lets_in(made.site.address, old):
            assert "pubkey-old: warning: the key that was replaced is still let in" in verified(folder)
    made.after = after
    try:
        ran = Rotation(made, folder, "nkey")
    finally:
        made.after = lambda workload: None
    assert seen == [("statefulset/event-bus", True, True, False),  # (restarted, old is let in, new is let in, the service has new)
                    ("deployment/event-bus-auth-callout", True, True, True),
                    ("statefulset/event-bus", False, True, True)]
    assert made.restarts == [workload for workload, *_ in seen]
    assert ran.refused == [] and ran.admitted >= 5
    new = (nkeys / "nats-authx-user/seed").read_text().strip()
    assert made.secrets["nats-authx-user"] == {"pubkey": (nkeys / "nats-authx-user/pubkey").read_text().strip()}
    assert made.secrets["nats-authx-user"] != ran.before["nats-authx-user"]
    assert made.secrets["auth-callout-keys"]["nkey-seed"].strip() == new != old
    ran.no_seed_is_seen(old, new)
    aside, = (folder / "secrets.rotated").glob("csc-nkey-*")
    assert stat.S_IMODE(aside.stat().st_mode) == 0o700 and (aside / "auth-callout-keys/nkey-seed").read_text().strip() == old
    assert "pubkey-old" not in verified(folder)


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


def test_nobody_logs_in_by_nobodys_key(cluster):
    """What the servers have while there is no old key: no point of the curve (RFC 8032, 5.1.3), so no signature is good for it."""
    made, _ = cluster
    key, = made.site.manifests.get("ConfigMap", "event-bus-env")["data"].values()
    raw = base64.b32decode(key)
    assert raw[0] == 20 << 3 and int.from_bytes(raw[33:], "little") == binascii.crc_hqx(raw[:33], 0), "a user's public key"
    p, y = 2**255 - 19, int.from_bytes(raw[1:33], "little")
    x2 = (y * y - 1) * pow(-121665 * pow(121666, -1, p) * y * y + 1, -1, p) % p
    assert pow(x2, (p - 1) // 2, p) == p - 1, "x² of no x"
    one = (1).to_bytes(32, "little")  # a signature that is good for keys of small order
    for signature in (bytes(64), one + bytes(32), raw[1:33] + bytes(32)):
        with socket.create_connection((made.site.address, 4222), timeout=30) as wire:
            lines = wire.makefile("rb")
            assert b'"nonce"' in lines.readline()
            sig = base64.urlsafe_b64encode(signature).decode().rstrip("=")
            wire.sendall(f'CONNECT {json.dumps({"nkey": key, "sig": sig, "verbose": False, "pedantic": False})}\r\nPING\r\n'.encode())
            assert b"Authorization Violation" in lines.readline()


class Kept:
    """Secrets alone, as a cluster keeps them, for rotations that end half way: `fails` says which call does."""

    def __init__(self, root, pods=("NATS_AUTHX_USER_PUBKEY", "NATS_AUTHX_USER_PUBKEY_OLD")):
        nkeys = root / "csc/nkeys"
        self.secrets = {"nats-authx-user": {"pubkey": (nkeys / "nats-authx-user/pubkey").read_text()},
                        "auth-callout-keys": {"nkey-seed": (nkeys / "auth-callout-keys/nkey-seed").read_text()}}
        self.servers = {"spec": {"template": {"spec": {"containers": [{"env": [{"name": name} for name in pods]}, {}]}}}}
        self.fails, self.known, self.rolled, self.absent = lambda arguments: False, [], [], ()

    def answer(self, arguments, stdin):
        if arguments[3] in self.absent:
            return "" if arguments[2] == "get" else ("", 1)
        if arguments[2] == "get":
            return asked(arguments[3:], self.servers, self.secrets)
        if self.fails(arguments):
            return "", 1
        if arguments[2] == "patch":
            Cluster.answer(self, arguments, stdin)
        elif arguments[3] == "restart":
            self.rolled.append(arguments[4])
            if arguments[4] == "statefulset/event-bus":
                self.known = sorted(self.secrets["nats-authx-user"].values())
                assert len(set(self.known)) == len(self.known), "a server takes no key twice"
        return ""


@pytest.mark.parametrize("step", range(7))
def test_a_rotation_of_the_login_goes_on_wherever_it_ended(tmp_path, step):
    """At no step does a server forget the key that auth-callout has; and it ends as one that was not interrupted."""
    subprocess.run([PROGRAM, "secrets", "generate", tmp_path / "s"], check=True, capture_output=True)
    kept, nkeys = Kept(tmp_path / "s"), tmp_path / "s/csc/nkeys"
    old, count = (nkeys / "nats-authx-user/pubkey").read_text(), [0]

    def fails(arguments):
        count[0] += arguments[2] == "patch" or arguments[3] == "status"
        return count[0] == step + 1 and (arguments[2] == "patch" or arguments[3] == "status")
    kept.fails = fails
    kubectl = Played(tmp_path, "kubectl", kept.answer)
    options = ["-n", "event-bus", "--secrets", tmp_path / "s", "--site", "csc"]
    done = script("rotate.sh", *options, "nkey", KUBECTL=kubectl.path)
    aside, = (tmp_path / "s.rotated").iterdir()
    new = (nkeys / "nats-authx-user/pubkey").read_text()
    if step < 6:  # there are six such calls
        assert done.returncode == 1 and f"go on with --continue {aside}" in done.stderr, done.stderr
        if 0 < step < 5:
            assert set(kept.secrets["nats-authx-user"].values()) == {old, new} and kept.known in ([], sorted([old, new]))
        again = script("rotate.sh", *options, "nkey", KUBECTL=kubectl.path)
        assert again.returncode == 1 and "pubkey-old is there: the rotation before this one is not done; nothing was done" in again.stderr
        assert len(list((tmp_path / "s.rotated").iterdir())) == 1
        done = script("rotate.sh", *options, "--continue", aside, "nkey", KUBECTL=kubectl.path)
    assert done.returncode == 0, done.stderr
    kubectl.close()
    assert (nkeys / "nats-authx-user/pubkey").read_text() == new != old, "no third key"
    assert kept.secrets == {"nats-authx-user": {"pubkey": new}, "auth-callout-keys": {"nkey-seed": (nkeys / "nats-authx-user/seed").read_text()}}
    assert kept.known == [new] and not (nkeys / "nats-authx-user/pubkey-old").exists()
    assert kept.rolled[-3:] == ["statefulset/event-bus", "deployment/event-bus-auth-callout", "statefulset/event-bus"]


def test_a_rotation_of_the_login_goes_on_with_its_own_folder_only(tmp_path):
    """With that of the one before it the servers would forget the key that auth-callout has."""
    subprocess.run([PROGRAM, "secrets", "generate", tmp_path / "s"], check=True, capture_output=True)
    kept = Kept(tmp_path / "s")
    kubectl = Played(tmp_path, "kubectl", kept.answer)
    options = ["-n", "event-bus", "--secrets", tmp_path / "s", "--site", "csc"]
    assert script("rotate.sh", *options, "nkey", KUBECTL=kubectl.path).returncode == 0
    before, = (tmp_path / "s.rotated").iterdir()
    before = before.rename(before.with_name("before"))  # two within a second would be one
    kept.fails = lambda arguments: "deployment/event-bus-auth-callout" in arguments
    assert script("rotate.sh", *options, "nkey", KUBECTL=kubectl.path).returncode == 1
    kept.fails, secrets = lambda arguments: False, {name: dict(of) for name, of in kept.secrets.items()}
    done = script("rotate.sh", *options, "--continue", before, "nkey", KUBECTL=kubectl.path)
    assert done.returncode == 1 and f"pubkey-old is not the key in {before}; nothing was done" in done.stderr
    assert kept.secrets == secrets
    own, = set((tmp_path / "s.rotated").iterdir()) - {before}
    done = script("rotate.sh", *options, "--continue", own, "nkey", KUBECTL=kubectl.path)
    assert done.returncode == 0, done.stderr
    kubectl.close()


@pytest.mark.parametrize("key", ["issuer", "xkey", "nkey"])
def test_a_rotation_without_auth_callout_is_not_begun(tmp_path, key):
    """Its steps would be passed over, and the servers forget the key that it still has, wherever it runs."""
    subprocess.run([PROGRAM, "secrets", "generate", tmp_path / "s"], check=True, capture_output=True)
    kept = Kept(tmp_path / "s")
    kept.absent = ("deployment/event-bus-auth-callout",)
    kubectl = Played(tmp_path, "kubectl", kept.answer)
    done = script("rotate.sh", "-n", "event-bus", "--secrets", tmp_path / "s", "--site", "csc", key, KUBECTL=kubectl.path)
    kubectl.close()
    assert done.returncode == 1 and "no deployment/event-bus-auth-callout in event-bus; nothing was done" in done.stderr
    assert not (tmp_path / "s.rotated").exists() and all(arguments[2] == "get" for arguments, _ in kubectl.calls)


@pytest.mark.parametrize("how, said", [("servers that know one login", "Upgrade the release"), ("another tree", "another public key than")])
def test_a_rotation_that_would_lock_auth_callout_out_is_not_begun(tmp_path, how, said):
    subprocess.run([PROGRAM, "secrets", "generate", tmp_path / "s"], check=True, capture_output=True)
    kept = Kept(tmp_path / "s", ["NATS_AUTHX_USER_PUBKEY"]) if how.startswith("servers") else Kept(tmp_path / "s")
    if how == "another tree":
        kept.secrets["nats-authx-user"]["pubkey"] = "UAB2CB576PHBBPQ5ODORRZ2LYCMWPZGWGCN2KDK7DXOIMZASKUY3RLKK"
    before = {path: path.read_bytes() for path in (tmp_path / "s").rglob("*") if path.is_file()}
    kubectl = Played(tmp_path, "kubectl", kept.answer)
    done = script("rotate.sh", "-n", "event-bus", "--secrets", tmp_path / "s", "--site", "csc", "nkey", KUBECTL=kubectl.path)
    kubectl.close()
    assert done.returncode == 1 and said in done.stderr and "nothing was done" in done.stderr
    assert before == {path: path.read_bytes() for path in (tmp_path / "s").rglob("*") if path.is_file()} and not (tmp_path / "s.rotated").exists()
    assert all(arguments[2] == "get" for arguments, _ in kubectl.calls)


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
