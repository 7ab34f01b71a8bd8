"""Both TLS modes of a gateway before real servers with what the chart renders: NATS clients and the link of a CPC come through, as told."""
import contextlib
import json
import signal
import socket
import ssl
import urllib.request

import helm
import pytest
from gateway import Gateway
from pods import Pod
from sites import Tree, name_of, values_of

from harness import certificates
from harness.bus import NATS_SERVER, free_addresses
from harness.natsio import NatsClient, Refused
from harness.wait import until

LISTS = {"crossLayer": {"cpcExports": ["sensor.>"]}, "mtls": {"enabled": False}, "mqttStreams": {"maxBytes": 1048576, "replicas": 1},
         "servers": {"replicas": 1, "jetstream": {"maxMemory": 16777216, "maxFile": 67108864}}}
SITES = {"csc": {"clusterType": "csc", "cpcIds": ["1"], **LISTS},
         "cpc": {"clusterType": "cpc", "clusterId": "1", "cscEndpoint": "tls://x:7422", **LISTS}}
LEAF = {"ca": "/etc/nats-certs/leaf/ca.crt", "cert": "/etc/nats-certs/leaf/tls.crt", "key": "/etc/nats-certs/leaf/tls.key"}


def passes(*hosts):
    return {"enabled": True, "kind": "TLSRoute", "tls": "passthrough", "hostnames": list(hosts)}


ENDS = {"enabled": True, "tls": "terminate"}
MODES = {"terminate": {"gateway": {"routes": {"natsClient": ENDS, "natsLeafnode": ENDS}}},
         "passthrough": {"gateway": {"routes": {"natsClient": passes("nats.example"), "natsLeafnode": passes("localhost")}}, "cscLeafServerTLS": LEAF}}


class Server:
    def __init__(self, bus, address, tree, files, folder):
        merge = {"config": {part: {"merge": {"host": address}} for part in ("leafnodes", "mqtt")} | {"merge": {"host": address}}}
        manifests = helm.render(values_of(bus, {"nats": merge}))
        self.address, self.site, self.tree = address, name_of(bus), tree
        secrets = {**tree.secrets(self.site), "nats-leaf-tls": files, "nats-server-tls": files}
        self.pod = Pod(manifests, "StatefulSet", "event-bus", "nats", NATS_SERVER, secrets, folder)

    def start(self):
        self.pod.start(lambda: "Server is ready" in self.pod.text())
        return self

    def client(self, url, **options):
        seed = self.tree.seed_file(self.site, "nats-sys-admin").read_text().strip()
        return NatsClient(url, seed=seed, **options)

    def links(self):
        with contextlib.suppress(OSError), urllib.request.urlopen(f"http://{self.address}:8222/leafz", timeout=5) as answer:
            return [leaf["account"] for leaf in json.load(answer).get("leafs") or []]
        return []


@pytest.fixture(scope="module")
def tree(tmp_path_factory):
    return Tree(tmp_path_factory.mktemp("gateway") / "secrets", SITES)


def test_a_renewed_certificate_of_a_link_is_taken_by_a_reload(tree, tmp_path):
    """What the reloader does when it sees the files change: see test_routes.py for that it looks at them."""
    addresses, _ = free_addresses(3)
    own = tree.ca.issue("gateway", names=[certificates.ip(addresses[1])], usage=(certificates.SERVER,)).write(tmp_path, "gateway")
    certs = [tree.ca.issue(f"cpc-{i}") for i in range(2)]
    files = [{"ca.crt": tree.ca.pem, "tls.crt": c.pem, "tls.key": c.key_pem} for c in certs]
    serials = [c.certificate.serial_number for c in certs]
    csc = Server({**SITES["csc"], **MODES["terminate"]}, addresses[0], tree, files[0], tmp_path / "csc")
    cpc = Server({**SITES["cpc"], "cscEndpoint": f"tls://{addresses[1]}:7422", "cpcLeafClientTLS": {**LEAF, "handshakeFirst": True}},
                 addresses[2], tree, files[0], tmp_path / "cpc")

    def connected():
        gateway = Gateway((addresses[1], 7422), (addresses[0], 7422), own, clients=tree.ca.pem).start()
        try:
            until(lambda: gateway.serials, lambda: cpc.pod.text()[-2000:])
            return gateway.serials[-1]
        finally:
            gateway.close()
    try:
        csc.start()
        cpc.start()
        assert connected() == serials[0]
        for name, text in files[1].items():
            (cpc.pod.mounts["/etc/nats-certs/leaf"] / name).write_text(text)
        assert connected() == serials[0], "new connections, too, come with the old one"
        cpc.pod.process.send_signal(signal.SIGHUP)
        until(lambda: "Reloaded server configuration" in cpc.pod.text(), lambda: cpc.pod.text()[-2000:])
        assert connected() == serials[1]
    finally:
        cpc.pod.stop()
        csc.pod.stop()


@pytest.fixture(params=MODES)
def through(request, tree, tmp_path):
    """(mode, the CSC's server, the gateway of clients, that of leaf links, the TLS context of clients)"""
    addresses, _ = free_addresses(3)
    issued = tree.ca.issue("bus", names=[certificates.dns("nats.example"), certificates.dns("localhost"), certificates.ip(addresses[1])],
                           usage=(certificates.SERVER, certificates.CLIENT))
    files = {"ca.crt": tree.ca.pem, "tls.crt": issued.pem, "tls.key": issued.key_pem}
    pair = issued.write(tmp_path, "gateway") if request.param == "terminate" else None
    csc = Server({**SITES["csc"], **MODES[request.param]}, addresses[0], tree, files, tmp_path / "csc")
    gateways = [Gateway((addresses[1], port), (addresses[0], port), pair) for port in (4222, 7422)]
    context = ssl.create_default_context(cadata=tree.ca.pem)
    started = []
    try:
        started.append(csc.start().pod.stop)
        for gateway in gateways:
            started.append(gateway.start().close)
        yield request.param, csc, *gateways, context, files, addresses[2], tmp_path, started
    finally:
        for stop in reversed(started):
            stop()


def test_clients_that_begin_with_tls_get_in(through):
    _, csc, gateway, _, context, *_ = through
    url = f"tls://{gateway.listen[0]}:4222"
    with csc.client(url, tls=context, tls_hostname="nats.example", tls_handshake_first=True) as client:
        assert json.loads(client.request("$SYS.REQ.SERVER.PING").data)["server"]["name"] == "csc-event-bus-0"
    assert gateway.names == ["nats.example"], "the name that a TLSRoute goes by"
    # one that waits for the server's first words waits at every gateway
    with pytest.raises(Refused), csc.client(url, tls=context, tls_hostname="nats.example", connect_timeout=2):
        pass


def test_clients_inside_the_cluster_need_no_tls(through):
    """auth-callout, NACK, Surveyor and the supervisor. INFO says that TLS can be had: most clients stop where it does not."""
    _, csc, *_ = through
    with socket.create_connection((csc.address, 4222), timeout=10) as plain:
        assert json.loads(plain.makefile().readline()[5:]).get("tls_available") is True
    with csc.client(f"nats://{csc.address}:4222") as client:
        assert client.request("$SYS.REQ.SERVER.PING").data


def test_the_link_of_a_cpc_comes_through_by_tls_first(through):
    mode, csc, _, gateway, _, files, address, folder, started = through
    end = {**SITES["cpc"], "cscEndpoint": f"tls://{gateway.listen[0]}:7422"}
    # without handshakeFirst both wait: neither mode lets it through
    late = Server({**end, "cpcLeafClientTLS": LEAF}, address, csc.tree, files, folder / "late").start()
    started.append(late.pod.stop)
    until(lambda: "Leafnode connection closed" in late.pod.text(), lambda: late.pod.text()[-2000:])
    assert "CSC" not in csc.links()
    late.pod.stop()
    cpc = Server({**end, "cpcLeafClientTLS": {**LEAF, "handshakeFirst": True}}, address, csc.tree, files, folder / "cpc").start()
    started.append(cpc.pod.stop)
    until(lambda: "CSC" in csc.links() and "CSC" in cpc.links(), lambda: f"{mode}: {csc.links()} {cpc.links()}\n{cpc.pod.text()[-2000:]}")
