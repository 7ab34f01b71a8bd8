"""
The umbrella chart at work, a CSC and a CPC: what the API server holds of their releases, run as a node would run it (node.py), with the real
controller of NACK, which makes the streams that MQTT waits for. The tests of this file follow on each other.
"""
import contextlib
import itertools
import json
import os
import re
import shutil
import signal
import subprocess
import tempfile
import threading
import time
from pathlib import Path

import pytest
import yaml
from harness.bus import EVENTBUS, TOP, free_addresses
from harness.natsio import NatsClient
from harness.proxy import Proxy
from harness.wait import PATIENCE, until

import charts
from charts import helm, sites
from federation.clients import Receiver, Sender, Steady
from real import MERGE

pytestmark = [pytest.mark.real, pytest.mark.timeout(300),
              pytest.mark.skipif(os.geteuid() != 0, reason="needs root, for networks and users of pods")]
LISTS = {"crossLayer": {"cscExports": ["broadcast.>"], "cscPrefixedExports": ["command.>"], "cpcExports": ["sensor.>"]}}
NAMES = {"XL_RETAINED", "$MQTT_msgs", "$MQTT_rmsgs", "$MQTT_qos2in"}
AS_SPECIFIED = dict.fromkeys(NAMES, "ok")
SYNC = 2  # seconds after which NACK compares again; a minute where nothing is said
RATE = 50
PEACE = 120 if os.environ.get("EB_KUBE_LONG") else 20  # seconds
SCRIPTS = TOP / "deploy/scripts"


def document(**bus):
    """One server, no more JetStream than a test needs, anonymous clients, of whom one that is not answered tries again after 3 s."""
    account = "CSC" if bus["clusterType"] == "csc" else "CPC"
    return {**bus, **LISTS, "mqttStreams": {"maxBytes": 8388608, "replicas": 1},
            "servers": {"replicas": 1, "authTimeout": 3, "jetstream": {"maxMemory": 16777216, "maxFile": 134217728}},
            "auth": {"permissions": {"noauth": {"account": account}}}}


@pytest.fixture(scope="module")
def pods():
    """A folder that the users of pods can reach."""
    made = Path(tempfile.mkdtemp(prefix="eb-pods-"))
    made.chmod(0o755)
    yield made
    shutil.rmtree(made)


@pytest.fixture(scope="module")
def pair(cluster, pods, tmp_path_factory):
    """csc, cpc, and the proxy between them. Installed; nothing runs."""
    charts.crds(cluster)
    tree = sites.Tree(tmp_path_factory.mktemp("tree") / "secrets", {"csc": {"cpcIds": ["1", "2"]}})
    addresses, _ = free_addresses(5)
    proxy = Proxy((addresses[4], 7422), (addresses[0], 7422)).start()
    often = {"nack": {"jetstream": {"additionalArgs": ["--cache-dir=/tmp/nack", f"--sync-interval={SYNC}s"]}}}
    csc = charts.Site(cluster, pods, tree, document(clusterType="csc", cpcIds=["1"]), addresses[:2], often)
    cpc = charts.Site(cluster, pods, tree, document(clusterType="cpc", clusterId="1", cscEndpoint=proxy.url), addresses[2:4], often)
    try:
        yield csc.install(3), cpc.install(4), proxy
    finally:
        cpc.end()
        csc.end()
        proxy.close()


@pytest.fixture
def csc(pair):
    return pair[0]


@pytest.fixture
def cpc(pair):
    return pair[1]


@contextlib.contextmanager
def hammering(*found, n=4):
    """Devices that never give up."""
    clients = [Steady((site.address, 1883, None, None, None)) for site in found for _ in range(n)]
    try:
        for client in clients:
            client.paho.connect_async(*client._addresses[0], 30)
            client.paho.loop_start()
        yield clients
    finally:
        for client in clients:
            client.stop()


def get_in(clients, since=0.0):
    until(lambda: all(c.connects and c.connects[-1] >= since and c.paho.is_connected() for c in clients),
          lambda: f"all to get in: {[(c.connects[-1:], c.losses[-1:]) for c in clients]}", timeout=4 * PATIENCE)


def dropped(site):
    return int(float(re.search(r"^auth_dropped_mqtt_closed_total (\S+)", site.http("/metrics", 9090)[1], re.M)[1]))


def live(site):
    """{stream: configuration} of the data account, asked with the login that NACK has."""
    seed = (site.tree.root / site.name / "nkeys/nats-nack-user/nack-user.nk").read_text().strip()
    with NatsClient(f"nats://{site.address}:4222", seed=seed) as client:
        found = json.loads(client.request("$JS.API.STREAM.LIST").data)
    return {s["config"]["name"]: s["config"] for s in found.get("streams") or []}


def nothing_yet(site, times):
    """So many MQTT logins more were dropped, and none of them made a stream."""
    before = dropped(site)
    until(lambda: dropped(site) >= before + times, lambda: f"{times} more dropped logins: {site.gate()}", timeout=4 * PATIENCE)
    assert live(site) == {} and site.gate()["gate"] == "closed", site.gate()


def made_by_nack(*found):
    for site in found:
        until(site.all_ready, lambda site=site: f"{site.conditions()}\n{site.pod('nack').text()[-3000:]}", timeout=4 * PATIENCE)
        assert site.states() == AS_SPECIFIED, site.streams_status().stdout


# --- the first install -----------------------------------------------------------------------------------------------
def test_mqtt_opens_when_nack_made_the_streams(csc, cpc):
    with hammering(csc, cpc) as clients:
        csc.start("main", "mtls", "watch", "callout")
        cpc.start("main", "mtls", "watch", "callout")
        for site in (csc, cpc):
            nothing_yet(site, 12)
        assert not any(c.connects for c in clients)
        for site in (csc, cpc):
            site.start("nack")
        made_by_nack(csc, cpc)
        get_in(clients)
    # nobody but NACK made any: a login would have made consumers' and sessions' streams of its own beside
    for site in (csc, cpc):
        assert NAMES <= set(live(site)) and "controller" in site.pod("nack").text().lower()
        assert all(s["metadata"]["finalizers"] == ["stream.nats.io/finalizer"] for s in site.streams().values())


def test_the_supervisor_and_helm_test_are_content(csc, cpc):
    for site in (csc, cpc):
        until(lambda site=site: site.streams_status().returncode == 0, lambda site=site: site.streams_status().stdout, timeout=4 * PATIENCE)
        hooks = [d for d in yaml.safe_load_all(site.release.helm(3, "get", "hooks")) if d]
        test = next(d for d in hooks if d["metadata"]["name"] == "event-bus-test-streams")
        site.node.apply(test)
        status, text = site.node.pod("pods", "event-bus-test-streams", EVENTBUS.split()[-1]).finish()
        assert status == 0, text


def ask(site, port, path):
    """NACK's pod, over HTTP: status and text."""
    with contextlib.closing(site.network.connect(port)) as s:
        s.sendall(f"GET {path} HTTP/1.0\r\nHost: localhost\r\n\r\n".encode())
        text = b"".join(iter(lambda: s.recv(65536), b"")).decode()
    return int(text.split()[1]), text


def test_nack_answers_its_probes_and_prometheus(csc):
    container = csc.node.get("deployments", "event-bus-nack", "/apis/apps/v1")["spec"]["template"]["spec"]["containers"][0]
    for probe in ("livenessProbe", "readinessProbe"):
        assert ask(csc, container[probe]["httpGet"]["port"], container[probe]["httpGet"]["path"])[0] == 200
    status, text = ask(csc, 8080, "/metrics")  # where the chart's PodMonitor looks
    assert status == 200 and 'controller_runtime_reconcile_total{controller="stream"' in text


# --- NACK and the supervisor ---------------------------------------------------------------------------------------
@contextlib.contextmanager
def applied_again(*found):
    """Every second NACK has a reason to bring all streams to their definitions: a description, which is nobody else's matter."""
    end = threading.Event()

    def change(site):
        api = charts.another_api(site.cluster)
        for n in itertools.count():
            for name in names[site.name]:
                api("PATCH", f"{charts.STREAMS.format(site.namespace)}/{name}", {"spec": {"description": f"{n}"}}, MERGE)
            if end.wait(1):
                break
        for name in names[site.name]:
            api("PATCH", f"{charts.STREAMS.format(site.namespace)}/{name}", {"spec": {"description": None}}, MERGE)

    names = {site.name: list(site.streams()) for site in found}
    threads = [threading.Thread(target=change, args=[site]) for site in found]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        end.set()
        for thread in threads:
            thread.join()


def updates(site):
    return site.pod("nack").text().count("Updated Stream.")


def test_peace(pair):
    """NACK applies its definitions all the time, and the supervisor cures what the cut links leave: nothing is lost, nothing comes twice."""
    csc, cpc, _ = pair
    began = [updates(s) for s in (csc, cpc)]
    with applied_again(csc, cpc):
        peace(*pair)
    for site, before in zip((csc, cpc), began, strict=True):
        assert updates(site) - before > 2 * PEACE, "NACK applied too little to show anything"
        until(site.all_ready, site.conditions)


def peace(csc, cpc, proxy):
    def where(site):
        return (site.address, 1883, None, None, None)
    up, down = Receiver(where(csc), ["cpc/1/sensor/#"]).start(), Receiver(where(cpc), ["broadcast/#"]).start()
    wanted, closed = {s.name: live(s) for s in (csc, cpc)}, [dropped(s) for s in (csc, cpc)]
    senders = [(Sender(where(cpc), "sensor/t", RATE).start(), up), (Sender(where(csc), "broadcast/t", RATE).start(), down)]
    end = time.monotonic() + PEACE
    while time.monotonic() < end:
        time.sleep(5)
        proxy.cut()
        time.sleep(13)  # the far side has forgotten its consumers
        proxy.heal()
        until(lambda: all(s.streams_status().returncode == 0 for s in (csc, cpc)), lambda: csc.streams_status().stdout, timeout=4 * PATIENCE)
    for sender, receiver in senders:
        sender.finish()
        until(lambda s=sender, r=receiver: len(r.got) >= len(s.sent), lambda s=sender, r=receiver: f"{len(s.sent) - len(r.got)} lost",
              timeout=4 * PATIENCE)
        assert set(receiver.got) == set(sender.sent) and len(sender.sent) > 10 * RATE and not receiver.repeats(), receiver.repeats()
    for client in [*(s for s, _ in senders), up, down]:
        client.stop()
    cures = [len(re.findall("taken out and in again|missing source put in", s.pod("watch").text())) for s in (csc, cpc)]
    assert all(cures), f"{cures}: nothing was cured, so nothing was shown"
    for site in (csc, cpc):
        now = live(site)
        assert {n: sorted(map(str, c.get("sources") or [])) for n, c in now.items()} == {
            n: sorted(map(str, c.get("sources") or [])) for n, c in wanted[site.name].items()}
    assert [dropped(s) for s in (csc, cpc)] == closed, "MQTT was closed meanwhile"


# --- a restore -----------------------------------------------------------------------------------------------------
def test_a_restore_without_the_streams(csc):
    """The volume is lost; NACK comes back last. What it made before it makes again, and nobody is let in until then."""
    with hammering(csc) as clients:
        get_in(clients)
        csc.stop("nack")
        csc.pod("main").stop(signal.SIGKILL)
        volume = csc.pod("main").volume("event-bus-js")
        assert list(volume.glob("jetstream/*")), list(volume.rglob("*"))[:20]
        shutil.rmtree(volume)
        back = time.time()
        csc.start("main")
        nothing_yet(csc, 12)
        assert not [c for c in clients if c.connects[-1] >= back]
        csc.start("nack")
        get_in(clients, back)
    made_by_nack(csc)


def test_a_stream_that_somebody_deleted(csc):
    """While NACK runs: it is there again after the next comparison."""
    seed = (csc.tree.root / "csc/nkeys/nats-nack-user/nack-user.nk").read_text().strip()
    with NatsClient(f"nats://{csc.address}:4222", seed=seed) as client:
        assert json.loads(client.request("$JS.API.STREAM.DELETE.XL_RETAINED").data)["success"]
    until(lambda: csc.states() == AS_SPECIFIED, lambda: csc.streams_status().stdout, timeout=4 * PATIENCE)
    until(csc.admits, lambda: f"MQTT to open: {csc.gate()}", timeout=2 * PATIENCE)


# --- upgrades ------------------------------------------------------------------------------------------------------
def upgraded(site, version, **bus):
    """The release with these keys of the site document changed; the files of auth-callout and of the supervisor follow."""
    site.release.values = [*site.release.values, helm.bus(**bus)]
    site.release.helm(version, "upgrade")
    for pod in ("callout", "watch"):
        site.pod(pod).refresh()


@pytest.mark.parametrize("which, version", [("csc", 3), ("cpc", 4)])
def test_upgrades(request, which, version):
    """Of lists that both sites have: longer, empty, and as before. NACK brings the streams there, and MQTT stays open all the time."""
    site = request.getfixturevalue(which)
    until(lambda: site.states() == AS_SPECIFIED, lambda: site.streams_status().stdout, timeout=4 * PATIENCE)
    before = {name: s["metadata"]["resourceVersion"] for name, s in site.streams().items()}
    upgraded(site, version)
    time.sleep(2 * SYNC)
    after = {name: s["metadata"]["resourceVersion"] for name, s in site.streams().items()}
    assert after == before, "an upgrade with nothing changed changes something"
    more = {"cscExports": ["broadcast.>", "news.>"], "cscPrefixedExports": ["command.>"], "cpcExports": ["sensor.>", "alarm.>"]}
    for lists in (more, dict.fromkeys(more, []), LISTS["crossLayer"]):
        was = live(site)
        upgraded(site, version, crossLayer=lists)
        until(lambda: site.states() == AS_SPECIFIED and site.all_ready(), lambda: f"{site.streams_status().stdout}{site.conditions()}",
              timeout=2 * PATIENCE)
        assert live(site) != was
        until(lambda: set(site.gate()["streams"].values()) == {"ok"}, site.gate, timeout=2 * PATIENCE)
        assert site.gate()["gate"] == "open" and site.admits()


def test_upgrade_by_a_cpc(csc):
    upgraded(csc, 3, cpcIds=["1", "2"])
    until(lambda: csc.states() == AS_SPECIFIED, lambda: csc.streams_status().stdout, timeout=PATIENCE)
    assert len(live(csc)["$MQTT_msgs"]["sources"]) == 2
    # the servers' pods are other ones then, and know the key of the new link
    csc.stop("main")
    csc.start("main")
    key = csc.node.data("secrets", "nats-leaf-cpc-2")["pubkey"].decode()
    assert key in Path(f"/proc/{csc.pod('main').pid()}/environ").read_text()
    until(csc.admits, csc.gate, timeout=2 * PATIENCE)


# --- the end -------------------------------------------------------------------------------------------------------
def uninstall(site, *options):
    env = os.environ | {"KUBECTL": str(helm.BIN / "kubectl"), "HELM": str(helm.BIN / "helm3"), "KUBECONFIG": str(site.cluster.kubeconfig())}
    return subprocess.run([SCRIPTS / "uninstall.sh", "-n", site.namespace, *options, charts.RELEASE], capture_output=True, text=True, env=env,
                          timeout=120)


def test_uninstall(csc):
    """As documented: Stream resources, while NACK runs, then the release. The data stays."""
    before = live(csc)
    assert NAMES <= set(before)
    done = uninstall(csc)
    assert done.returncode == 0, done.stdout + done.stderr
    assert csc.streams() == {} and NAMES <= set(live(csc))
    left = csc.cluster.kubectl("get", "all,configmaps,secrets,streams.jetstream.nats.io", "-n", csc.namespace, "-o", "name").stdout.split()
    assert {name for name in left if not name.startswith(("secret/", "pod/"))} == {"configmap/kube-root-ca.crt"}, left
    assert "secret/nats-nack-user" in left


def test_helm_alone_leaves_the_streams(cpc):
    """`helm uninstall` keeps the resources, as it says; installed again it takes them over."""
    before = cpc.streams()
    told = cpc.release.helm(3, "uninstall")
    assert "kept" in told and all(f"[Stream] {name}" in told for name in before), told
    after = cpc.streams()
    assert set(after) == set(before) and not any("deletionTimestamp" in s["metadata"] for s in after.values())
    cpc.release.helm(4, "install")
    assert {n: s["metadata"]["uid"] for n, s in cpc.streams().items()} == {n: s["metadata"]["uid"] for n, s in before.items()}
    until(cpc.all_ready, cpc.conditions, timeout=2 * PATIENCE)
    assert cpc.states() == AS_SPECIFIED, cpc.streams_status().stdout


def test_uninstall_without_nack_hangs_until_abandoned(cpc):
    cpc.stop("nack")
    done = uninstall(cpc, "--timeout", "3s")
    assert done.returncode != 0 and "does NACK run?" in done.stderr and "--abandon" in done.stderr, done.stdout + done.stderr
    hangs = cpc.streams()
    assert hangs and any("deletionTimestamp" in s["metadata"] and s["metadata"]["finalizers"] for s in hangs.values())
    cpc.release.helm(3, "uninstall")  # and somebody did this first
    done = uninstall(cpc, "--abandon")
    assert done.returncode == 0, done.stdout + done.stderr
    assert cpc.streams() == {} and NAMES <= set(live(cpc))
