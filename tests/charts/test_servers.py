"""Real nats-servers, auth-callout and clients with what the umbrella chart renders, the environment and files of its pods included."""
import contextlib
import json
import queue
import re
import urllib.request

import helm
import pytest
from pods import Pod
from sites import PROGRAM, SITES, Tree, name_of, run, values_of

from harness import certificates
from harness.bus import AUTH_CALLOUT, NATS_SERVER, free_addresses
from harness.mqtt import Closed, MqttClient, Refused
from harness.suspend import suspended
from harness.wait import SLOW, until


@pytest.fixture(scope="module")
def tree(tmp_path_factory):
    return Tree(tmp_path_factory.mktemp("servers") / "secrets")


@pytest.mark.parametrize("name", SITES)
def test_nats_server_takes_what_is_rendered(tmp_path, tree, name):
    manifests = helm.render(values_of(SITES[name]))
    secrets = tree.secrets(name_of(SITES[name]))
    servers = manifests.names("StatefulSet")
    assert "event-bus" in servers
    for server in servers:
        pod = Pod(manifests, "StatefulSet", server, "nats", NATS_SERVER, secrets, tmp_path / server)
        done = pod.check("-t")
        assert done.returncode == 0 and "is valid" in done.stderr, done.stderr
        # a key that is not there is no empty one: the server says so
        variable = next(v for v in pod.env if v.endswith("_PUBKEY"))
        pod.env.pop(variable)
        assert f"variable reference for '{variable}'" in pod.check("-t").stderr


def document(bus, address):
    """One server, no more JetStream than a test needs; a login that nobody answers ends soon."""
    account = bus["clusterType"].upper()
    return {**bus, "mqttStreams": {"maxBytes": 1048576, "replicas": 1},
            "servers": {"replicas": 1, "authTimeout": 3, "leafUrls": [f"nats://{address}:7422"],
                        "jetstream": {"maxMemory": 16777216, "maxFile": 67108864}},
            "auth": {"permissions": {"noauth": {"account": account},
                                     "mtls": {"device": {"identity": "CN=device", "account": account,
                                                         "permissions": {"pub": {"allow": ["sensor.>"]}, "sub": {"allow": ["sensor.>"]}}}}}}}


class Site:
    """The pods of a site: its main server at one address, its mTLS server at another."""

    def __init__(self, bus, addresses, tree, folder):
        self.name, self.bus = name_of(bus), bus
        self.address, self.mtls_address = addresses
        self.tree, self.folder = tree, folder
        folder.mkdir()

        def listens(address, leaf):
            parts = {"merge": {"host": address}, "mqtt": {"merge": {"host": address}}}
            return {"config": {**parts, **({"leafnodes": {"merge": {"host": address}}} if leaf else {})}}

        own = {"host": {"name": self.address}, "nats": {"url": f"nats://{self.address}:4222"},
               "observability": {"metrics": {"prometheus": {"name": self.address}}},
               "jwks": {"url": f"http://{self.address}:9/nobody-listens", "issuer": "https://idp.example", "audience": "bus"}}
        self.manifests = helm.render(values_of(bus, {"nats": listens(self.address, True), "nats-mtls": listens(self.mtls_address, False),
                                                     "auth-callout": {"serviceConfig": own}}))
        secrets = tree.secrets(self.name)
        self.main = Pod(self.manifests, "StatefulSet", "event-bus", "nats", NATS_SERVER, secrets, folder / "main")
        self.mtls = Pod(self.manifests, "StatefulSet", "event-bus-mtls", "nats", NATS_SERVER, secrets, folder / "mtls")
        self.callout = Pod(self.manifests, "Deployment", "event-bus-auth-callout", "auth-callout", AUTH_CALLOUT, secrets, folder / "callout")
        (folder / "site.json").write_text(self.manifests.get("ConfigMap", "event-bus-site")["data"]["site.json"])

    def start(self):
        self.main.start(lambda: "Server is ready" in self.main.text())
        self.mtls.start(lambda: len(self.links(self.mtls_address)) == 3)
        self.callout.start(lambda: self.callout_ready())

    def stop(self):
        for pod in (self.callout, self.mtls, self.main):
            pod.stop()

    def callout_ready(self):
        with contextlib.suppress(OSError):
            return urllib.request.urlopen(f"http://{self.address}:8080/readyz", timeout=5).status == 200
        return False

    def links(self, address):
        """{account: link} of a server."""
        try:
            with urllib.request.urlopen(f"http://{address}:8222/leafz", timeout=5) as answer:
                return [leaf["account"] for leaf in json.load(answer).get("leafs") or []]
        except OSError:
            return []

    def apply_streams(self):
        return run("streams", "apply", "--site", self.folder / "site.json", "--server", f"nats://{self.address}:4222", "--seed-file",
                   self.tree.seed_file(self.name, "nats-streams"))

    def mqtt(self, **options):
        return MqttClient(self.address, 1883, **options)

    def refusals(self):
        """{reason: count} of the logins that the servers refused; None while they do not tell."""
        with urllib.request.urlopen(f"http://{self.address}:8080/metrics", timeout=5) as answer:
            text = answer.read().decode()
        if "auth_server_refusals_heard 1" not in text:
            return None
        return {reason: int(n) for reason, n in re.findall(r'auth_server_refusals_total\{reason="(\w+)"\} (\d+)', text)}

    def device(self, folder, **options):
        cert, key = self.tree.ca.issue("device").write(folder, "device")
        ca = folder / "ca.pem"
        ca.write_text(self.tree.ca.pem)
        return MqttClient(self.mtls_address, 8883, tls=(ca, cert, key), **options)


@pytest.fixture(scope="module")
def pair(tmp_path_factory, tree):
    folder = tmp_path_factory.mktemp("pair")
    addresses, _ = free_addresses(4)
    lists = {"crossLayer": {"cscExports": ["broadcast.>"], "cscPrefixedExports": ["command.>"], "cpcExports": ["sensor.>"]},
             "extraAccounts": {"LaunchLayer": {"enabled": True, "jetstream": True}}}
    csc = Site(document({"clusterType": "csc", "cpcIds": ["1"], **lists}, addresses[0]), addresses[:2], tree, folder / "csc")
    cpc = Site(document({"clusterType": "cpc", "clusterId": "1", "cscEndpoint": f"nats://{addresses[0]}:7422", **lists}, addresses[2]),
               addresses[2:], tree, folder / "cpc")
    try:
        csc.start()
        cpc.start()
        yield csc, cpc
    finally:
        cpc.stop()
        csc.stop()


def test_the_links_are_up(pair):
    csc, cpc = pair
    for site, wanted in ((cpc, ["AUTHX", "CPC", "CSC", "LaunchLayer", "SYS"]), (csc, ["AUTHX", "CSC", "CSC", "LaunchLayer", "SYS"])):
        until(lambda: sorted(site.links(site.address)) == wanted, lambda: f"links of {site.name}: {site.links(site.address)}")


def test_mqtt_opens_when_the_streams_are_there(pair):
    for site in pair:
        with pytest.raises((Refused, Closed)), site.mqtt():
            pass
        assert "$MQTT_qos2in" in site.apply_streams()
        assert {line.split(": ")[1] for line in site.apply_streams().splitlines() if line} == {"unchanged"}

        def open_(site=site):
            with contextlib.suppress(Refused, Closed), site.mqtt():
                return True
            return False
        until(open_, lambda site=site: f"MQTT to open:\n{site.callout.text()[-2000:]}", timeout=60)


def test_messages_cross_both_ways_stored_ones_too(pair):
    csc, cpc = pair
    with csc.mqtt() as above, cpc.mqtt() as below:
        assert above.subscribe("cpc/1/sensor/#", 1) == 1 and below.subscribe([("broadcast/#", 1), ("command/#", 1)]) == [1, 1]
        below.publish("sensor/hall", b"21", 1, retain=True)
        assert above.receive(60)[:2] == ("cpc/1/sensor/hall", b"21")
        above.publish("broadcast/all", b"on", 1)
        above.publish("cpc/1/command/go", b"now", 1)
        assert {below.receive(60)[:2] for _ in range(2)} == {("broadcast/all", b"on"), ("command/go", b"now")}
    def retained():
        with csc.mqtt() as late, contextlib.suppress(queue.Empty):  # who subscribes before it is there gets none
            late.subscribe("cpc/1/sensor/hall")
            return late.receive(SLOW)[:2] == ("cpc/1/sensor/hall", b"21")
    until(retained, "what is retained at the other site", timeout=60)


def test_a_device_gets_in_by_its_certificate_and_its_rights_hold(pair, tmp_path):
    csc, _ = pair
    with csc.mqtt() as above, csc.device(tmp_path) as device:
        assert above.subscribe("sensor/#", 1) == 1
        assert device.subscribe("sensor/#", 1) == 1 and device.subscribe("secret/#", 1) == 0x80
        device.publish("sensor/by-device", b"1", 1)
        assert above.receive()[:2] == ("sensor/by-device", b"1") and device.receive()[:2] == ("sensor/by-device", b"1")


def test_what_the_servers_refuse_is_counted_at_their_site(pair, tmp_path):
    csc, cpc = pair
    before = [until(site.refusals, f"{site.name}'s servers to be heard") for site in pair]
    token = {"user": "oauthtoken", "password": "eyJhbGciOiJSUzI1NiJ9.eyJpc3MiOiJub2JvZHkifQ.eHg"}
    for client in (csc.mqtt(**token), csc.device(tmp_path, **token)):
        with pytest.raises(Refused), client:
            pass
    until(lambda: csc.refusals()["refused"] == before[0]["refused"] + 2, lambda: f"both servers to tell: {before[0]}, {csc.refusals()}")
    with suspended(csc.callout.process.pid):
        for client in (csc.mqtt(), csc.device(tmp_path)):
            with pytest.raises((Refused, Closed)), client:
                pass
    until(lambda: csc.refusals()["timeout"] == before[0]["timeout"] + 2, lambda: f"both timeouts to be told: {before[0]}, {csc.refusals()}")
    assert cpc.refusals() == before[1]


def test_a_stranger_does_not(pair, tmp_path):
    csc, _ = pair
    cert, key = certificates.new_ca().issue("device").write(tmp_path, "stranger")
    (tmp_path / "ca.pem").write_text(csc.tree.ca.pem)
    with pytest.raises(Exception), MqttClient(csc.mtls_address, 8883, tls=(tmp_path / "ca.pem", cert, key)):
        pass
