"""What stands beside the servers, with a real one: the pods that run `eventbus`, and the contexts of nats-box."""
import json
import subprocess
import urllib.request

import helm
import pytest
from pods import Pod
from sites import PROGRAM, Tree, values_of
from test_servers import Site, document

from harness.bus import free_addresses
from harness.natsio import NatsClient
from harness.wait import until


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    folder = tmp_path_factory.mktemp("beside")
    addresses, _ = free_addresses(2)
    bus = document({"clusterType": "csc", "crossLayer": {}}, addresses[0])
    made = Site(bus, addresses, Tree(folder / "secrets", {"csc": bus}), folder / "csc")
    try:
        made.start()
        yield made
    finally:
        made.stop()


def eventbus(site, folder, container, pod=None, **chart):
    """The command of a container that runs `eventbus`, with its rendered arguments and mounts; only the server's name is an address here."""
    manifests = helm.render(values_of(site.bus, bus_keys(**chart)))
    if pod:
        found = manifests.get("Pod", pod)
        manifests.append({"kind": "Deployment", "metadata": {"name": pod}, "spec": {"template": found}})
    name = pod or "event-bus-streams-watch"
    inner = manifests.get("Deployment", name)["spec"]["template"]["spec"]
    inner["containers"] += inner.get("initContainers", [])
    made = Pod(manifests, "Deployment", name, container, PROGRAM, site.tree.secrets("csc"), folder / container)
    assert made.container["command"] == ["/usr/bin/eventbus"]
    return [part.replace("//event-bus:", f"//{site.address}:") for part in made.command]


def bus_keys(**keys):
    return {"global": {"eventBus": keys}}


def test_streams_are_made_watched_and_tested_by_the_rendered_pods(site, tmp_path):
    test = eventbus(site, tmp_path, "streams-status", pod="event-bus-test-streams")
    before = subprocess.run(test, capture_output=True, text=True, timeout=60)
    assert before.returncode != 0, "helm test fails where the streams are not there"
    made = subprocess.run(eventbus(site, tmp_path, "streams-apply", nack={"enabled": False}), capture_output=True, text=True, timeout=60)
    assert made.returncode == 0 and "$MQTT_qos2in" in made.stdout, made.stderr
    after = subprocess.run(test, capture_output=True, text=True, timeout=60)
    assert after.returncode == 0 and "all as the document wants it" in after.stdout, after.stdout + after.stderr
    log = (tmp_path / "watch.log").open("w+")
    watch = subprocess.Popen(eventbus(site, tmp_path, "streams-watch"), stdout=log, stderr=log)
    try:
        until(lambda: connections(site, "nats-streams"), lambda: (tmp_path / "watch.log").read_text())
    finally:
        watch.terminate()
    assert watch.wait(20) == 0, "it ends with 0 on SIGTERM"


def connections(site, secret):
    """Accounts in which the login of this secret has connections."""
    key = (site.tree.root / "csc/nkeys" / secret / "pubkey").read_text().strip()
    with urllib.request.urlopen(f"http://{site.address}:8222/connz?auth=1", timeout=5) as answer:
        return [c["account"] for c in json.load(answer)["connections"] if key in (c.get("nkey"), c.get("authorized_user"))]


@pytest.mark.parametrize("context, account, secret", [("default", "SYS", "nats-sys-admin"), ("system", "SYS", "nats-surveyor"),
                                                      ("auth", "AUTH", "nats-auth-watch"), ("nack", "CSC", "nats-nack-user"),
                                                      ("streams", "CSC", "nats-streams")])
def test_contexts_of_nats_box_log_in_under_the_callout(site, context, account, secret):
    manifests = helm.render(values_of(site.bus, {"nats": {"natsBox": {"enabled": True}}}))
    told = json.loads(manifests.get("Secret", "event-bus-box-contexts")["stringData"][f"{context}.json"])
    assert told["url"] == "nats://event-bus"
    pod = manifests.get("Deployment", "event-bus-box")["spec"]["template"]["spec"]
    folder, key = told["nkey"].rsplit("/", 1)
    mount = next(m for m in pod["containers"][0]["volumeMounts"] if m["mountPath"] == folder)
    source = next(v["secret"]["secretName"] for v in pod["volumes"] if v["name"] == mount["name"])
    assert source == secret
    seed = (site.tree.root / "csc/nkeys" / source / key).read_text().strip()
    with NatsClient(f"nats://{site.address}:4222", seed=seed):
        assert connections(site, secret) == [account]


def test_the_box_can_do_what_its_contexts_are_for(site):
    def client(secret, key="seed"):
        return NatsClient(f"nats://{site.address}:4222", seed=(site.tree.root / "csc/nkeys" / secret / key).read_text().strip())
    with client("nats-surveyor") as system:
        assert json.loads(system.request("$SYS.REQ.SERVER.PING").data)["server"]["name"].startswith("csc-event-bus")
    with client("nats-auth-watch") as watch:
        assert json.loads(watch.request("$SRV.PING").data)["name"] == "auth-callout"
    with client("nats-nack-user", "nack-user.nk") as nack:
        assert "streams" in json.loads(nack.request("$JS.API.INFO").data)
    with client("nats-sys-admin") as admin, client("nats-sys-admin") as other:  # as the official chart's own test does
        heard = other.subscribe("test.question")
        admin.publish("test.question", b"hi")
        assert heard.receive().data == b"hi"
