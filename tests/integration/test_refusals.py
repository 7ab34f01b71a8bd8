"""Who is not let in, and that the operator sees why: the reason in the log and in the metric. Certificates have a file of their own."""
import contextlib
import time

import pytest

from harness import nkeys
from harness.mqtt import NOT_AUTHORISED, Refused
from harness.natsio import NatsClient
from harness.natsio import Refused as NatsRefused
from harness.tokens import b64, claims_of, forge, header_of, hs256, rs256_stranger
from harness.wait import until

RS256 = {"typ": "JWT", "alg": "RS256"}


def tampered(jwt):
    """Another azp under the old signature."""
    from harness.tokens import as_text
    head, _payload, signature = jwt.split(".")
    return f"{head}.{as_text(claims_of(jwt) | {'azp': 'all-own'})}.{signature}"


def own_key_in_header(idp):
    """The forger's key, offered in every place where a careless verifier would take it."""
    header = {**RS256, "kid": idp.kid(), "jku": "http://127.0.0.1:1/jwks.json", "x5u": "http://127.0.0.1:1/x",
              "jwk": {"kty": "RSA", "n": "AQAB", "e": "AQAB"}, "x5c": ["AAAA"]}
    return forge(header, idp.good_claims(), rs256_stranger)


# name -> (a token of this provider, the reason)
TOKENS = {
    "expired": (lambda p: p.token(exp="now-10"), "expired"),
    "expired this second": (lambda p: p.token(exp="now"), "expired"),
    "without exp": (lambda p: p.token(exp=None), "missing_claim"),
    "exp a text": (lambda p: p.token(exp="soon"), "malformed"),
    "not yet valid": (lambda p: p.token(nbf="now+60"), "not_yet_valid"),
    "issued in the future": (lambda p: p.token(iat="now+60"), "not_yet_valid"),
    "wrong issuer": (lambda p: p.token(iss="https://elsewhere.example.com"), "wrong_issuer"),
    "issuer with a slash more": (lambda p: p.token(iss=p.url + "/"), "wrong_issuer"),
    "without issuer": (lambda p: p.token(iss=None), "wrong_issuer"),
    "wrong audience": (lambda p: p.token(aud="another-service"), "wrong_audience"),
    "wrong audiences": (lambda p: p.token(aud=["another-service", "dsx-exchange2"]), "wrong_audience"),
    "without audience": (lambda p: p.token(aud=None), "missing_claim"),
    "unknown kid": (lambda p: p.token(header={"kid": "nobody's"}), "unknown_kid"),
    "alg none": (lambda p: forge({"typ": "JWT", "alg": "none"}, p.good_claims(), lambda _d: b"x"), "alg_not_allowed"),
    "alg None": (lambda p: forge({"typ": "JWT", "alg": "None", "kid": p.kid()}, p.good_claims(), lambda _d: b"x"), "alg_not_allowed"),
    "HS256 with the public key": (
        lambda p: forge({"typ": "JWT", "alg": "HS256", "kid": p.kid()}, p.good_claims(), hs256(p.rsa_public_pem())), "alg_not_allowed"),
    "algorithm not on the list": (lambda p: p.token(header={"alg": "RS512"}), "alg_not_allowed"),
    "EdDSA not on the list": (lambda p: p.token(header={"alg": "EdDSA"}), "alg_not_allowed"),
    "ES256 with an RSA key": (lambda p: p.token(header={"alg": "ES256"}), "key_type_mismatch"),
    "RS256 with an EC key": (lambda p: p.token(header={"kid": p.kid("EC")}), "key_type_mismatch"),
    "signed by a stranger": (lambda p: forge({**RS256, "kid": p.kid()}, p.good_claims(), rs256_stranger), "bad_signature"),
    "the key in the header": (own_key_in_header, "bad_signature"),
    "another azp under the signature": (lambda p: tampered(p.token()), "bad_signature"),
    "an extension demanded": (lambda p: p.token(header={"crit": ["exp"]}), "crit_header"),
    "an ID token": (lambda p: p.token(token_use="id"), "id_token"),
    "a refresh token": (lambda p: p.token(typ="Refresh"), "token_type"),
    "64 KiB": (lambda p: p.token(pad=48300), "too_large"),
    "unknown azp and subject": (lambda p: p.token(azp="nobody", sub="nobody"), "unknown_identity"),
    "neither azp nor subject": (lambda p: p.token(azp=None, sub=None), "unknown_identity"),
    "azp in another case": (lambda p: p.token(azp="MQTT-client", sub="x"), "unknown_identity"),
    "missing scope": (lambda p: p.token(scope="other"), "missing_scope"),
    "scope as a part of a word": (lambda p: p.token(scope="mqtt2 xmqtt"), "missing_scope"),
    "without scope": (lambda p: p.token(scope=None), "missing_scope"),
}


@pytest.mark.parametrize("name", TOKENS)
@pytest.mark.parametrize("protocol", ["mqtt", "nats"])
def test_token(site, protocol, name):
    make, reason = TOKENS[name]
    jwt = make(site.idp)
    if protocol == "mqtt":
        with site.decision("oauth2", reason, kind="mqtt"), pytest.raises(Refused) as refused:
            site.mqtt(jwt).connect()
        assert refused.value.args == (NOT_AUTHORISED,)
    elif name == "64 KiB":
        # a CONNECT line of this length never gets as far as a callout
        before = site.metrics()["auth_requests_total"]
        with site.wire() as wire:
            assert wire.connect(user="oauthtoken", **{"pass": jwt + "x" * 2000}) in ("Maximum Control Line Exceeded", "maximum control line exceeded", "")
        assert site.metrics()["auth_requests_total"] == before
    else:
        with site.decision("oauth2", reason, kind="nats"), pytest.raises(NatsRefused, match="(?i)authorization violation"):
            site.nats(jwt).connect()


def test_a_token_of_64_kib_in_a_request(site, asker, token):
    jwt = token(pad=49000)
    assert len(jwt) >= 65536
    with site.decision("oauth2", "too_large"):
        answer = asker.ask(client={"type": "mqtt", "mqtt_id": "x"}, connect={"user": "u", "pass": jwt, "auth_token": jwt})
    assert answer.error


def test_leeway_and_odd_but_good_tokens(site, asker, token):
    """What is still good: nbf and iat 5 s ahead, aud as a list, no kid, scope among others."""
    for more in ({"nbf": "now+3"}, {"iat": "now+3"}, {"aud": ["x", "dsx-exchange"]}, {"header": {"typ": "at+jwt"}}, {"scope": "a mqtt b"}):
        with site.decision("oauth2", entry="mqtt-client"):
            assert asker.ask(connect={"user": "oauthtoken", "pass": token(**more)}).user


def test_the_answer_never_tells_the_reason(asker, site):
    """The client's side sees one text, whatever was wrong."""
    texts = set()
    for make, _reason in TOKENS.values():
        texts.add(asker.ask(connect={"user": "oauthtoken", "pass": make(site.idp)}).error)
    texts.add(asker.ask(connect={"user": "x", "pass": "not a token"}).error)
    assert len(texts) == 1 and len(texts.pop()) < 60


def test_what_is_logged_of_a_claim(asker, site, token):
    """Claims are the peer's: capped and escaped."""
    with site.decision("oauth2", "unknown_identity") as decision:
        asker.ask(connect={"user": "oauthtoken", "pass": token(azp="evil\"\n{\"level\":\"info\"}" + "x" * 5000, sub="y" * 5000)})
    assert len(decision.line["identity"].encode()) <= 300
    with site.decision("noauth", "unrecognized_credentials") as decision:
        asker.ask(client={"host": "h" * 3000, "name": "n" * 3000}, connect={"user": "u" * 9000 + "\r\n", "pass": "not a token"})
    assert all(len(str(value)) <= 300 for value in decision.line.values())


# --- nkeys -----------------------------------------------------------------------------------------------------------
def sign_in(key, signature, **more):
    return {"nkey": key.public, "sig": signature, **more}


@pytest.mark.parametrize("name,reason", [
    ("bad signature", "nkey_signature"), ("signature of another key", "nkey_signature"), ("signature of another nonce", "nkey_signature"),
    ("garbage signature", "nkey_signature"), ("no signature", "nkey_unsigned"), ("not listed", "unknown_identity"), ("an account's key", "nkey_signature")])
def test_nkey(site, name, reason):
    key, stranger = site.key("t-plain"), nkeys.Key("U")
    with site.wire() as wire:
        nonce = wire.info["nonce"].encode()
        good = key.sign(nonce)
        members = {
            "bad signature": lambda: sign_in(key, b64(bytes([good[0] ^ 1]) + good[1:])),
            "signature of another key": lambda: sign_in(key, b64(stranger.sign(nonce))),
            "signature of another nonce": lambda: sign_in(key, b64(key.sign(b"another nonce"))),
            "garbage signature": lambda: sign_in(key, "not base64!"),
            "no signature": lambda: {"nkey": key.public},
            "not listed": lambda: wire.sign(stranger),
            "an account's key": lambda: wire.sign(nkeys.Key("A")),
        }[name]()
        with site.decision("nkey", reason):
            assert wire.connect(**members) == "Authorization Violation"


def test_nkey_signature_in_standard_base64(site):
    """The server reads both alphabets; so do we."""
    import base64
    key = site.key("t-plain")
    with site.wire() as wire, site.decision("nkey", entry="t-plain"):
        assert wire.connect(nkey=key.public, sig=base64.b64encode(key.sign(wire.info["nonce"].encode())).decode()) is None


# --- neither this nor that -------------------------------------------------------------------------------------------
@pytest.mark.parametrize("how", ["mqtt", "mqtt user only", "nats", "nats token", "nats jwt as another user's password"])
def test_unknown_user_and_password(site, token, how):
    with site.decision("noauth", "unrecognized_credentials"):
        if how.startswith("mqtt"):
            with pytest.raises(Refused) as refused:
                site.mqtt(user="admin", password="hunter2 hunter2" if how == "mqtt" else None).connect()
            assert refused.value.args == (NOT_AUTHORISED,)
        else:
            password = token() if "jwt" in how else "hunter2 hunter2"
            client = (NatsClient(site.url(), token="hunter2 hunter2") if how == "nats token"
                      else site.nats(user="admin", password=password))
            with pytest.raises(NatsRefused):
                client.connect()


def test_anonymous_when_noauth_is_off(site):
    with site.permissions_changed(lambda doc: doc.pop("noauth")):
        with site.decision("noauth", "noauth_off", kind="mqtt"), pytest.raises(Refused):
            site.mqtt().connect()
        with site.decision("noauth", "noauth_off", kind="nats"), pytest.raises(NatsRefused):
            site.nats().connect()
    with site.decision("noauth"), site.mqtt():
        pass


# --- what the entry says besides -------------------------------------------------------------------------------------
def test_a_bound_client_id(site, token):
    """The second client that takes the id is refused, whoever it is, and the first stays."""
    first = site.mqtt(token(azp="bound-2"), client_id="bound-two")
    with site.decision("oauth2", entry="bound-2", mqtt_id="bound-two"):
        first.connect()
    with contextlib.closing(first):
        others = {
            "oauth2": lambda: site.mqtt(token(), client_id="bound-two"),
            "noauth": lambda: site.mqtt(client_id="bound-two"),
            "mtls": lambda: site.mqtts(client_id="bound-two"),
        }
        for method, other in others.items():
            with site.decision(method, "mqtt_client_id", mqtt_id="bound-two"), pytest.raises(Refused):
                other().connect()
        with site.decision("oauth2", "mqtt_client_id"), pytest.raises(Refused):
            site.mqtt(token(), client_id="bound-one-7").connect()  # bound by a pattern
        first.publish("t/still-here", b"x", 1)
        assert not first.closed.is_set()


def test_a_bound_identity_may_use_no_other_id(site, token):
    for azp, client_id in (("bound-2", "bound-two-x"), ("bound-2", "else"), ("bound-1", "bound-one"), ("bound-1", "xbound-one-1")):
        with site.decision("oauth2", "mqtt_client_id", entry=azp), pytest.raises(Refused):
            site.mqtt(token(azp=azp), client_id=client_id).connect()
    with site.decision("mtls", "mqtt_client_id", entry="t-bound"), pytest.raises(Refused):
        site.mqtts(site.issue_tls("bound.csc"), client_id="other").connect()
    with site.decision("mtls", entry="t-bound"), site.mqtts(site.issue_tls("bound.csc"), client_id="bound-device"):
        pass
    with site.decision("oauth2", entry="bound-1"), site.mqtt(token(azp="bound-1"), client_id="bound-one-1"):
        pass


@pytest.mark.parametrize("kind", ["mqtt", "nats", "certificate", "nkey"])
def test_a_client_outside_its_src(site, token, kind):
    make, method = {
        "mqtt": (lambda: site.mqtt(token(azp="src-outside")), "oauth2"), "nats": (lambda: site.nats(token(azp="src-outside")), "oauth2"),
        "certificate": (lambda: site.mqtts(site.issue_tls("src-outside.csc")), "mtls"), "nkey": (lambda: site.nkey_client("src-outside"), "nkey")}[kind]
    with site.decision(method, "src"), pytest.raises((Refused, NatsRefused)):
        make().connect()


def test_a_client_inside_its_src(site, token):
    with site.decision("oauth2", entry="src-inside"), site.mqtt(token(azp="src-inside")):
        pass
    with site.decision("oauth2", entry="src-outside", host="127.99.99.99"), site.mqtt(token(azp="src-outside"), bind="127.99.99.99"):
        pass


def test_src_of_a_request(site, asker, token):
    """Addresses as servers write them; one that cannot be read refuses."""
    for host, reason in (("10.1.2.3", "ok"), ("11.0.0.1", "src"), ("::ffff:10.1.2.3", "ok"), ("::ffff:11.0.0.1", "src"), ("", "src"), ("client.example.com", "src"), ("10.1.2.3.4", "src")):
        with site.decision("oauth2", reason):
            asker.ask(client={"host": host}, connect={"user": "oauthtoken", "pass": token(azp="src-outside")})


def test_connection_types(site, token):
    with site.decision("oauth2", "connection_type", kind="nats"), pytest.raises(NatsRefused):
        site.nats(token(azp="mqtt-only")).connect()
    with site.decision("oauth2", "connection_type", kind="mqtt"), pytest.raises(Refused):
        site.mqtt(token(azp="nats-only")).connect()
    with site.decision("oauth2"), site.nats(token(azp="nats-only")):
        pass


@pytest.mark.parametrize("client,reason", [
    ({"type": "websocket"}, "ok"), ({"type": "carrier-pigeon"}, "connection_type"), ({"type": ""}, "connection_type"),
    ({"kind": "Account"}, "connection_type"), ({"kind": "Router"}, "connection_type"), ({"kind": ""}, "connection_type")])
def test_connection_kinds_of_a_request(site, asker, token, client, reason):
    with site.decision("oauth2", reason):
        asker.ask(client=client, connect={"user": "oauthtoken", "pass": token()})


@pytest.mark.parametrize("kind", ["oauth2", "mtls", "nkey", "noauth"])
def test_an_identity_whose_entry_was_removed(site, token, kind):
    make = {"oauth2": lambda: site.mqtt(token(azp="removable")), "mtls": lambda: site.mqtts(site.issue_tls("removable.csc")),
            "nkey": lambda: site.nkey_client("removable"), "noauth": lambda: site.mqtt()}[kind]
    reason = "noauth_off" if kind == "noauth" else "unknown_identity"

    def remove(doc):
        if kind == "noauth":
            doc.pop("noauth")
        else:
            doc[kind].pop("removable" if kind == "oauth2" else "t-removable")

    with site.decision(kind), make():
        pass
    with site.permissions_changed(remove):
        with site.decision(kind, reason), pytest.raises((Refused, NatsRefused)):
            make().connect()
    with site.decision(kind), make():
        pass


def test_unknown_kids_cost_nothing(site, token):
    """At most one fetch in 10 s, however many unknown kids come; and a token of a known kid is not held up."""
    unknown = [token(header={"kid": f"unknown-{i}"}) for i in range(30)]
    before = site.metrics()
    for jwt in unknown:
        with pytest.raises(Refused):
            site.mqtt(jwt).connect()
    now = until(lambda: (m := site.metrics()).failures("oauth2", "unknown_kid") >= before.failures("oauth2", "unknown_kid") + 30 and m, "30 refusals")
    assert now["auth_jwks_fetches_total"] - before["auth_jwks_fetches_total"] <= 2
    started = time.monotonic()
    with site.mqtt(token()):
        assert time.monotonic() - started < 5
    assert header_of(unknown[0])["kid"] == "unknown-0"
