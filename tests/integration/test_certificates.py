"""Certificates, each twice: at the TLS handshake of the real server, and in a signed request put to the service as if a server had let it through."""
import pytest
from cryptography import x509
from cryptography.x509.oid import NameOID

from harness import certificates as c
from harness.mqtt import Closed, Refused
from harness.mqtt import NOT_AUTHORISED

CN = "mqtt-client.csc"


def in_request(asker, *chain, **more):
    return asker.ask(client={"type": "mqtt", "mqtt_id": "x"}, tls={"version": "1.3", "cipher": "x", "verified_chains": [[one.pem for one in chain]]}, **more)


# name -> (certificate by the site's CA, reason in a signed request)
BAD = {
    "of another CA": (lambda _ca: STRANGER.issue(CN), "cert_untrusted"),
    "self-signed": (lambda _ca: c.new_ca(CN), "cert_untrusted"),
    "expired": (lambda ca: ca.issue(CN, not_before=c.now() - c.days(9), not_after=c.now() - c.days(1)), "cert_expired"),
    "not yet valid": (lambda ca: ca.issue(CN, not_before=c.now() + c.days(1)), "cert_not_yet_valid"),
    "server-only": (lambda ca: ca.issue(CN, usage=(c.SERVER,)), "cert_purpose"),
}
STRANGER = c.new_ca()


@pytest.mark.parametrize("name", BAD)
def test_at_the_handshake(site, name):
    """The server itself ends the handshake: no callout is made."""
    bad = BAD[name][0](site.ca())
    chain = [STRANGER] if name == "of another CA" else []
    cert, key = bad.write(site.certs, "it-bad-" + name.replace(" ", "-"), chain)
    before = site.metrics()["auth_requests_total"]
    with pytest.raises(Closed):
        site.mqtts((site.certs / "ca.pem", cert, key)).connect()
    assert site.metrics()["auth_requests_total"] == before


@pytest.mark.parametrize("name", BAD)
def test_in_a_signed_request(site, asker, name):
    make, reason = BAD[name]
    bad = make(site.ca())
    for chain in ([bad, site.ca()], [bad], [bad, STRANGER]):
        with site.decision("mtls", reason, kind="mqtt"):
            assert in_request(asker, *chain).error


def test_without_a_certificate(site):
    with pytest.raises(Closed):
        site.mqtts((site.certs / "ca.pem", None, None)).connect()


def test_with_password_instead_of_certificate(site, token):
    """The mTLS server takes nobody without a certificate, token or not."""
    with pytest.raises(Closed):
        site.mqtts((site.certs / "ca.pem", None, None), user="oauthtoken", password=token()).connect()


def test_a_good_certificate_in_a_request(site, asker):
    """The yardstick for all refusals above: the same request with a good certificate is answered with a user."""
    with site.decision("mtls", entry="mqtt-client", identity=f"CN={CN}"):
        user = in_request(asker, site.ca().issue(CN), site.ca()).user
    assert user["aud"] == "CSC" and user["nats"]["pub"]["allow"] == ["test.>"]


def test_usage_absent_is_any(site, asker):
    with site.decision("mtls"):
        assert in_request(asker, site.ca().issue(CN, usage=None)).user
    with site.decision("mtls"), site.mqtts(site.issue_tls(CN, usage=None)):
        pass
    with site.decision("mtls"), site.mqtts(site.issue_tls(CN, usage=(c.SERVER, c.CLIENT))):
        pass


def test_intermediates(site, asker):
    """A chain over an intermediate CA holds; one over a certificate that is no CA, or with a hole, does not."""
    ca = site.ca()
    middle = ca.issue("an intermediate CA", ca=True, usage=None)
    leaf = middle.issue(CN)
    with site.decision("mtls"):
        assert in_request(asker, leaf, middle, ca).user
    with site.decision("mtls"):
        assert in_request(asker, leaf, middle).user
    with site.decision("mtls", "cert_untrusted"):
        assert in_request(asker, leaf, ca).error
    cert, key = leaf.write(site.certs, "it-chain", [middle])
    with site.decision("mtls"), site.mqtts((site.certs / "ca.pem", cert, key)):
        pass
    no_ca = ca.issue("a client that plays CA")
    forged = no_ca.issue(CN)
    with site.decision("mtls", "cert_untrusted"):
        assert in_request(asker, forged, no_ca, ca).error
    cert, key = forged.write(site.certs, "it-forged", [no_ca])
    with pytest.raises(Closed):
        site.mqtts((site.certs / "ca.pem", cert, key)).connect()
    server_only = ca.issue("a CA for servers", ca=True, usage=(c.SERVER,))
    with site.decision("mtls", "cert_purpose"):
        assert in_request(asker, server_only.issue(CN, usage=None), server_only, ca).error


def test_certificates_that_the_server_did_not_verify(site, asker):
    """`certs` alone is what a client sent and nobody checked."""
    with site.decision("mtls", "cert_untrusted"):
        assert asker.ask(client={"type": "mqtt", "mqtt_id": "x"}, tls={"version": "1.3", "certs": [site.ca().issue(CN).pem]}).error


@pytest.mark.parametrize("pem", ["", "not a certificate", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", "-----BEGIN CERTIFICATE-----\n"])
def test_no_certificate_at_all(site, asker, pem):
    with site.decision("mtls", "cert_malformed"):
        assert asker.ask(tls={"version": "1.3", "verified_chains": [[pem]]}).error


def name(*values, oid=NameOID.COMMON_NAME):
    return x509.Name([x509.NameAttribute(oid, value) for value in values])


def test_identities(site, asker):
    ca = site.ca()
    unknown = [ca.issue(CN + ".evil.example"), ca.issue("x" + CN), ca.issue(CN.upper()), ca.issue(CN + " "), ca.issue(None),
               ca.issue(None, names=[c.dns(CN)]), ca.issue("unknown", names=[c.email(CN + "@example.com")]),
               ca.issue(subject=name(CN, oid=NameOID.ORGANIZATION_NAME)), ca.issue(subject=name(CN, oid=NameOID.ORGANIZATIONAL_UNIT_NAME)),
               ca.issue(subject=name("CN=" + CN, oid=NameOID.ORGANIZATION_NAME))]
    for one in unknown:
        with site.decision("mtls", "unknown_identity"):
            assert in_request(asker, one).error
    for one in (ca.issue(subject=name(CN, "other")), ca.issue(subject=name("other", CN)), ca.issue(CN + "\x00.evil"), ca.issue(CN + "\n"), ca.issue("\x1b[2J" + CN)):
        with site.decision("mtls", "cert_identity"):
            assert in_request(asker, one).error


def test_an_unknown_identity_at_the_real_server(site):
    with site.decision("mtls", "unknown_identity", identity="CN=nobody.csc"), pytest.raises(Refused) as refused:
        site.mqtts(site.issue_tls("nobody.csc")).connect()
    assert refused.value.args == (NOT_AUTHORISED,)


def test_a_password_beside_the_certificate_is_ignored(site):
    with site.decision("mtls", entry="mqtt-client"), site.mqtts(user="somebody", password="something else"):
        pass


def test_a_token_beside_the_certificate_decides(site, token):
    with site.decision("oauth2", entry="mqtt-client"), site.mqtts(user="oauthtoken", password=token()):
        pass
    with site.decision("oauth2", "expired"), pytest.raises(Refused):
        site.mqtts(user="oauthtoken", password=token(exp="now-10")).connect()


def test_the_session_ends_with_the_certificate(site, asker):
    soon = c.now() + c.days(0) + (c.days(1) / 24)
    user = in_request(asker, site.ca().issue(CN, not_after=soon)).user
    end = int(soon.timestamp())
    assert end - 3600 * 0.05 - 1 <= user["exp"] <= end
