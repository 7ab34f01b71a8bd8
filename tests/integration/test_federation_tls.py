"""The links between sites with TLS, as `eventbus render` writes it from cscLeafServerTLS and cpcLeafClientTLS."""
import contextlib
import json
import queue
import re
import socket

import pytest

from harness import certificates
from harness.bus import TOP
from harness.federation import Federation
from harness.wait import PATIENCE, SLOW, until

LINKS = {"CSC", "LaunchLayer"}


class Linked:
    """The CSC and CPC-1 with the demo documents, and with TLS between them."""

    def __init__(self, run_dir):
        self.folder = run_dir / "documents"
        self.folder.mkdir(parents=True)
        self.fed = Federation(run_dir, sites=("csc", "cpc-1"), docs=self.folder)
        self.ca, self.stranger = certificates.new_ca("the links' CA"), certificates.new_ca()
        self.ca_file, self.stranger_file = self.folder / "ca.pem", self.folder / "stranger.pem"
        self.ca_file.write_text(self.ca.pem)
        self.stranger_file.write_text(self.stranger.pem)
        # both uses: the CSC's mTLS server shows the certificate of the listener that it connects to
        hub = self.certificate(self.ca, "csc", usage=(certificates.SERVER, certificates.CLIENT), names=[certificates.ip(self.fed.csc.address)])
        self.good = self.certificate(self.ca, "cpc-1")
        self.document("csc", cscLeafServerTLS={"ca": self.ca_file, "cert": hub[0], "key": hub[1]})
        self.cpc(self.ca_file, self.good)

    def certificate(self, ca, name, **settings):
        return ca.issue(name, **settings).write(self.folder, f"{name}-{ca is self.ca}")

    def document(self, site, **blocks):
        text = (TOP / f"local/sites/{site}.yaml").read_text()
        lines = "".join(f"    {name}: {json.dumps(value, default=str)}\n" for name, value in blocks.items())
        text, n = re.subn(r"^    mtls:", f"{lines}    mtls:", text, flags=re.M)
        assert n == 1
        text = text.replace('cpcIds: ["1", "2"]', 'cpcIds: ["1"]')
        (self.folder / f"{site}.yaml").write_text(text)

    def cpc(self, ca, pair, scheme="tls"):
        self.document("cpc-1", cpcLeafClientTLS={"ca": ca, "cert": pair[0], "key": pair[1]} if pair else {})
        self.fed.bus.configure(csc_endpoint=f"{scheme}://{self.fed.csc.address}:{self.fed.bus.ports['LEAF']}")

    def log(self, site):
        return (self.fed.run_dir / site / "log/nats-main.log").read_text(errors="replace")


@pytest.fixture(scope="module")
def linked(run_root):
    found = Linked(run_root / "leaf-tls")
    found.fed.up()
    yield found
    found.fed.end()


def crosses(fed, what):
    """Stored messages in both directions; at the CSC read through its mTLS server, whose leaf links have TLS too."""
    for site, topic, where, there in ((fed.cpc(1), "sensor/tls", fed.csc, "cpc/1/sensor/tls"), (fed.csc, "broadcast/tls", fed.cpc(1), "broadcast/tls")):
        with where.mqtt() as reader, site.mqtt() as writer:
            assert reader.subscribe(there, 1) == 1
            writer.publish(topic, what, 1)
            assert reader.receive(PATIENCE)[:2] == (there, what)


def test_both_sides_show_a_certificate(linked):
    fed = linked.fed
    assert fed.links("cpc-1") == LINKS
    with socket.create_connection((fed.csc.address, fed.bus.ports["LEAF"]), timeout=10) as s:
        info = json.loads(s.makefile().readline().removeprefix("INFO "))
    assert info["tls_required"] and info["tls_verify"]
    crosses(fed, b"both")
    leaves = {leaf["account"] for leaf in fed.csc.monitor("/leafz", "MTLS_MONITOR")["leafs"]}
    assert leaves == {"CSC", "AUTHX", "SYS"}
    with fed.csc.mqtts() as device, fed.csc.mqtt() as reader:
        assert reader.subscribe("test/tls", 1) == 1
        device.publish("test/tls", b"by certificate", 1)
        assert reader.receive(PATIENCE)[:2] == ("test/tls", b"by certificate")


@pytest.mark.parametrize("case", ["stranger", "none", "distrust"])
def test_no_link_otherwise_and_what_waits_arrives(linked, case):
    fed = linked.fed
    site, says, ca, pair, scheme = {
        "stranger": ("csc", "TLS leafnode handshake error", linked.ca_file, linked.certificate(linked.stranger, "cpc-1"), "tls"),
        "none": ("cpc-1", "", None, None, "nats"),
        "distrust": ("cpc-1", "certificate signed by unknown authority", linked.stranger_file, linked.good, "tls"),
    }[case]
    before = len(linked.log(site))
    linked.cpc(ca, pair, scheme)
    fed.generate().restart("cpc-1/nats-main")
    until(lambda: says in linked.log(site)[before:], lambda: f"{says!r} in the log of {site}: {linked.log(site)[before:][-2000:]}", timeout=PATIENCE)
    assert not fed.links("cpc-1")
    with fed.cpc(1).mqtt() as client:
        client.publish("sensor/tls/late", case.encode(), 1, retain=True)
    assert not fed.links("cpc-1")
    linked.cpc(linked.ca_file, linked.good)
    fed.generate().restart("cpc-1/nats-main")
    fed.healthy()
    assert fed.links("cpc-1") == LINKS

    def late():
        with fed.csc.mqtt() as reader:
            reader.subscribe("cpc/1/sensor/tls/late", 1)
            with contextlib.suppress(queue.Empty):  # who subscribes before it is there gets no retained message
                return reader.receive(SLOW)[1] == case.encode()
    until(late, "what was stored meanwhile")
    crosses(fed, case.encode())
