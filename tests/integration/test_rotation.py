"""
Issuer and xkey are exchanged by the procedure of an operator while clients connect: the new seeds beside the old ones in the service's
list, the servers restarted one by one with the new keys, the old seeds dropped. Nobody gets a wrong verdict on the way.
"""
import queue

import pytest

from harness.callout import Asker, nats_jwt
from harness.stream import Stream
from harness.wait import SLOW, until


def reconfigured(site, **settings):
    """Writes the configuration of these settings; waits until the service has taken what changed of its own."""
    offset = site.log.size()
    own = site.dir / "conf/auth-callout.yaml"
    before = own.read_text()
    site.bus.configure(**settings)
    site.bus("generate")
    if own.read_text() != before:
        until(lambda: [line for line in site.log.since(offset) if line["msg"].startswith("reloaded")],
              lambda: f"the reload: {site.log.since(offset)}")
        assert not [line for line in site.log.since(offset) if line["level"] == "error"]


def leaves_up(site):
    return sum(1 for leaf in site.monitor("/leafz", "MTLS_MONITOR").get("leafs", ()) if leaf.get("account")) == 3


def answered(asker, issuer, curve):
    """Whether the service answers a server that trusts this issuer and seals to this key (None: does not seal)."""
    issuer, curve = asker.site.key(issuer), curve and asker.site.key(curve)
    claims = asker.claims(change=lambda c: c.update(sub=issuer.public), sealed=bool(curve))
    text = nats_jwt(asker.key, claims).encode()
    subject = asker.put(asker.xkey.seal(text, curve.public), asker.xkey.public) if curve else asker.put(text)
    try:
        payload = asker.reply(subject, timeout=1.0 * SLOW)
    except queue.Empty:
        return False
    plain = asker.xkey.open(payload, curve.public) if curve else payload
    assert asker.read(plain, claims, sealed=False).user
    return True


def restart(site, stream, server):
    """Clients of the mTLS server depend on its link to the main one, so both count as out until the links are up."""
    with stream.outage():
        site.bus("restart", f"csc/nats-{server}")
        until(lambda: leaves_up(site), "the links between the servers")
        until(lambda: site.http("/readyz")[0] == 200, "the service to be ready again")
    stream.flowing()


@pytest.mark.parametrize("what", ["issuer", "xkey", "both"])
def test_rotation_by_the_procedure(new_site, what):
    site = new_site(callout_timeout=10)
    keys = {"issuer": ["issuer"] + ["issuer-2"] * (what != "xkey"), "xkey": ["xkey"] + ["xkey-2"] * (what != "issuer")}
    old, new = (keys["issuer"][0], keys["xkey"][0]), (keys["issuer"][-1], keys["xkey"][-1])
    asker = Asker(site)
    with Stream(site) as stream:
        stream.flowing()
        # 1. the new seeds beside the old
        reconfigured(site, issuers=" ".join(keys["issuer"]), xkeys=" ".join(keys["xkey"]))
        assert answered(asker, *old) and answered(asker, *new)
        stream.flowing()
        # 2. the servers, one by one: meanwhile each has another key
        site.bus.configure(issuer=new[0], xkey_name=new[1])
        site.bus("generate")
        restart(site, stream, "mtls")
        restart(site, stream, "main")
        asker.close()
        # 3. the old ones go
        reconfigured(site, issuers=new[0], xkeys=new[1])
        stream.flowing(3)
        asker = Asker(site)
        until(lambda: answered(asker, *new), "the new keys to serve")
        assert not answered(asker, *old), "the old keys are still served"
    asker.close()
    assert not site.log.find(level="error", msg="reload failed; the old configuration stays in force")


def test_a_server_with_a_key_that_the_service_does_not_have(new_site):
    """The steps in the wrong order: nobody gets in by it, the log says which seed is missing, and adding it mends it."""
    site = new_site(callout_timeout=2)
    site.bus.configure(issuer="issuer-2", issuers="issuer")
    site.bus("generate")
    site.bus("restart", "csc/nats-main")
    offset, before = site.log.size(), site.metrics()
    assert site.wire().connect() == "Authorization Violation", "the server waits its time for an answer"
    line = until(lambda: site.log.find(offset, msg="not a valid auth callout request"), "the missing seed in the log")[0]
    assert site.key("issuer-2").public in json_text(line) and site.metrics()["auth_errors_total"] > before["auth_errors_total"]
    reconfigured(site, issuers="issuer issuer-2")
    assert site.wire().connect() is None
    with site.mqtt(site.idp.token()):
        pass


def json_text(line):
    return " ".join(str(value) for value in line.values())


def test_sealing_is_switched_on_and_off(new_site):
    """From plain requests to sealed ones and back, server by server: the service takes both all the time."""
    site = new_site(xkey="off", callout_timeout=10)
    asker = Asker(site)
    with Stream(site, threads=2) as stream:
        stream.flowing()
        offset = site.log.size()
        conf = site.dir / "conf/auth-callout.yaml"
        for name in ("main", "mtls"):
            assert "xkey" not in (site.dir / f"conf/{name}.conf").read_text()
        plain = {name: (site.dir / f"conf/{name}.conf").read_text() for name in ("main", "mtls")}
        site.bus.configure(xkey="on")
        site.bus("generate")
        until(lambda: site.log.find(offset, msg="reloaded"), "the xkey to be taken")
        assert "xkey-seed-file" in conf.read_text()
        assert answered(asker, "issuer", None) and answered(asker, "issuer", "xkey")
        restart(site, stream, "mtls")
        restart(site, stream, "main")
        for name in ("mtls", "main"):
            (site.dir / f"conf/{name}.conf").write_text(plain[name])
            restart(site, stream, name)
    asker.close()
    with site.mqtt(site.idp.token()) as client:
        assert client.subscribe("test/x", 1) == 1
