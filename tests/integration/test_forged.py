"""Requests that no server made: who could put one, and what becomes of it."""
import base64
import contextlib
import json
import queue
import time

import pytest

from harness import nkeys
from harness.callout import SUBJECT, nats_jwt
from harness.tokens import b64
from harness.wait import until


def forged(asker, token):
    """A request in every way good: only the way it comes is not a server's."""
    claims = asker.claims(connect={"user": "oauthtoken", "pass": token()})
    return asker.xkey.seal(nats_jwt(asker.key, claims).encode(), asker.site.key("xkey").public), {"Nats-Server-Xkey": asker.xkey.public}


def requests(site):
    return site.metrics()["auth_requests_total"]


@pytest.mark.parametrize("who", ["token", "token of the whole account", "token with >", "nkey", "internal nkey", "anonymous", "LaunchLayer"])
def test_from_a_client_of_the_main_server(site, asker, token, who):
    """The service hears nothing of it, even from one who may publish the subject in his own account."""
    client = {"token": lambda: site.nats(token()), "token of the whole account": lambda: site.nats(token(azp="all-own")),
              "token with >": lambda: site.nats(token(azp="root-wildcard")), "nkey": lambda: site.nkey_client("plain"),
              "internal nkey": lambda: site.nkey_client("observer"), "anonymous": lambda: site.nats(),
              "LaunchLayer": lambda: site.nats(token("launchlayer-client"))}[who]()
    payload, headers = forged(asker, token)
    with client:
        before = requests(site)
        for _ in range(3):
            client.publish(SUBJECT, payload, reply="_INBOX.x", headers=headers)
        client.flush()
    with site.decision("noauth"), site.nats():  # a callout behind it, so that the three would have been counted
        pass
    assert requests(site) == before + 1


@pytest.mark.parametrize("who", ["certificate", "bms", "token"])
def test_from_a_client_of_the_leaf_account(site, asker, token, who):
    """A client of the mTLS server is in the account that hangs on the main server by leaf."""
    payload, _headers = forged(asker, token)
    client = {"certificate": lambda: site.mqtts(), "bms": lambda: site.mqtts(site.client_tls("bms")),
              "token": lambda: site.mqtts(user="oauthtoken", password=token(azp="all-own"))}[who]()
    with client:
        before = requests(site)
        for qos in (0, 1, 2):
            client.publish("$SYS/REQ/USER/AUTH", payload, qos)
        client.barrier()
    with site.decision("mtls"), site.mqtts():
        pass
    assert requests(site) == before + 1


def test_from_the_data_leaf_itself(site, asker, token):
    """Whoever has the seed of the data leaf cannot ask either: the subject is denied there, and the account is another."""
    payload, headers = forged(asker, token)
    leaf = site.leaf(account=site.account)
    try:
        assert leaf.connect(**leaf.sign(site.key("mtls-leaf"))) is None
        before = requests(site)
        leaf.publish(SUBJECT, payload, "_INBOX.x", headers)
        leaf.publish("test.behind", b"x")
        until(lambda: leaf.ended.is_set() or site.monitor("/leafz")["leafs"], "the server to have read it")
    finally:
        leaf.close()
    with site.decision("noauth"), site.nats():
        pass
    assert requests(site) == before + 1


def test_the_authx_leaf_hears_no_requests(site, asker, token):
    """The holder of the AUTHX leaf's seed may ask, but not listen to what others ask: passwords are in there."""
    with contextlib.ExitStack() as stack:
        leaves = []
        for subject in (SUBJECT, f"{SUBJECT} auth-callout 1", "$SYS.>", ">", "_R_.>"):
            leaf = stack.enter_context(contextlib.closing(site.leaf(account="AUTHX")))
            assert leaf.connect(**leaf.sign(site.key("mtls-authx-leaf"))) is None
            leaf.subscribe(subject)  # the server ends the link for this, or does not listen
            leaf.send("PING\r\n")
            leaves.append(leaf)
        for _ in range(3):
            with site.decision("oauth2"), site.mqtt(token()):
                pass
            with site.decision("mtls"), site.mqtts():
                pass
        for leaf in leaves:
            with pytest.raises(queue.Empty):
                while True:
                    subject, _reply, payload = leaf.messages.get_nowait()
                    # answers to the mTLS server come this way: sealed for that server
                    assert subject.startswith("$SYS._INBOX.") and payload.startswith(b"xkv1"), subject


# --- what comes by the AUTHX leaf, from someone who has its seed --------------------------------------------------------
def change_nats(**members):
    def change(claims):
        for path, value in members.items():
            at = claims["nats"]
            *parents, last = path.split("__")
            for name in parents:
                at = at[name]
            if value is None:
                at.pop(last, None)
            else:
                at[last] = value
    return change


def change_claims(**members):
    def change(claims):
        for name, value in members.items():
            claims.pop(name, None) if value is None else claims.__setitem__(name, value)
    return change


BAD = {
    "another audience": (change_claims(aud="another"), "request_audience"),
    "no audience": (change_claims(aud=None), "request_audience"),
    "another type": (change_nats(type="user"), "request_type"),
    "the type of an answer": (change_nats(type="authorization_response"), "request_type"),
    "version 1": (change_nats(version=1), "request_type"),
    "no version": (change_nats(version=None), "request_type"),
    "version as text": (change_nats(version="2"), "request_type"),
    "another issuer wanted": (change_claims(sub=nkeys.Key("A").public), "request_issuer"),
    "a user as issuer": (change_claims(sub=nkeys.Key("U").public), "request_malformed"),
    "no issuer": (change_claims(sub=None), "request_malformed"),
    "no user key": (change_nats(user_nkey=None), "request_malformed"),
    "a server's key as user": (change_nats(user_nkey=nkeys.Key("N").public), "request_malformed"),
    "a damaged user key": (change_nats(user_nkey="UAAA"), "request_malformed"),
    "another server's id": (change_nats(server_id__id=nkeys.Key("N").public), "request_signature"),
    "no server id": (change_nats(server_id=None), "request_malformed"),
    "no client": (change_nats(client_info=None), "request_malformed"),
    "no connect options": (change_nats(connect_opts=None), "request_malformed"),
    "another xkey signed": (change_nats(server_id__xkey=nkeys.Key("X").public), "request_xkey"),
    "no xkey signed": (change_nats(server_id__xkey=None), "request_xkey"),
    "no times": (change_claims(exp=None, iat=None), "request_malformed"),
    "no exp": (change_claims(exp=None), "request_malformed"),
    "times as texts": (change_claims(exp="2000000000"), "request_malformed"),
    "a number as password": (change_nats(connect_opts__pass=7), "request_malformed"),
    "a list as host": (change_nats(client_info__host=["127.0.0.1"]), "request_malformed"),
    "a negative id": (change_nats(client_info__id=-1), "request_malformed"),
    "chains of numbers": (change_nats(client_tls={"verified_chains": [[1, 2]]}), "request_malformed"),
    "nested far too deep": (change_nats(tags=json.loads("[" * 200 + "]" * 200)), "request_malformed"),
}


@pytest.mark.parametrize("name", BAD)
def test_spoilt_and_signed(site, asker, token, name):
    """Dropped without an answer, told and counted; the next request is answered."""
    change, reason = BAD[name]
    claims = asker.claims(connect={"user": "oauthtoken", "pass": token()}, change=change)
    with site.invalid_request(reason):
        subject = asker.send(claims)
    assert asker.ask(connect={"user": "oauthtoken", "pass": token()}).user
    assert asker.silent(subject)


def test_a_request_without_time_left(site, asker, token):
    """exp not behind iat, as an overloaded server may write it: nobody waits any more, so nobody is answered."""
    before = site.metrics()["auth_dropped_late_total"]
    subject = asker.send(asker.claims(connect={"user": "oauthtoken", "pass": token()}, change=change_claims(exp=1, iat=2000000000)))
    until(lambda: site.metrics()["auth_dropped_late_total"] == before + 1, "the request to be dropped")
    assert asker.ask(connect={"user": "oauthtoken", "pass": token()}).user
    assert asker.silent(subject)


def sealed(asker, text):
    return asker.xkey.seal(text, asker.site.key("xkey").public)


RAW = {
    "empty": (lambda a, t: (b"", None), "request_malformed"),
    "noise": (lambda a, t: (b"\x00\xff\xfe" * 50, None), "request_malformed"),
    "a line of JSON": (lambda a, t: (b'{"nats":{}}', None), "request_malformed"),
    "three dots": (lambda a, t: (b"...", None), "request_malformed"),
    "an OAuth2 token": (lambda a, t: (t().encode(), None), "request_malformed"),
    "sealed noise": (lambda a, t: (sealed(a, b"noise"), a.xkey.public), "request_malformed"),
    "sealed for another": (lambda a, t: (a.xkey.seal(b"x" * 400, nkeys.Key("X").public), a.xkey.public), "request_xkey"),
    "sealed, header of another": (lambda a, t: (sealed(a, b"x" * 400), nkeys.Key("X").public), "request_xkey"),
    "sealed, no header": (lambda a, t: (sealed(a, b"x" * 400), None), "request_xkey"),
    "sealed, header no key": (lambda a, t: (sealed(a, b"x" * 400), "X" * 56), "request_xkey"),
    "sealed, header a user key": (lambda a, t: (sealed(a, b"x" * 400), nkeys.Key("U").public), "request_xkey"),
    "only the seal's name": (lambda a, t: (b"xkv1", a.xkey.public), "request_xkey"),
    "a seal cut short": (lambda a, t: (sealed(a, b"x" * 400)[:60], a.xkey.public), "request_xkey"),
    "not sealed, header of an xkey": (
        lambda a, t: (nats_jwt(a.key, a.claims(sealed=False)).encode(), a.xkey.public), "request_xkey"),
}


@pytest.mark.parametrize("name", RAW)
def test_no_request_at_all(site, asker, token, name):
    make, reason = RAW[name]
    payload, header = make(asker, token)
    with site.invalid_request(reason):
        subject = asker.put(payload, header)
    assert asker.ask(connect={"user": "oauthtoken", "pass": token()}).user
    assert asker.silent(subject)


@pytest.mark.parametrize("how", ["a bit flipped", "another's signature", "signed by a user", "signed by the service's issuer kind", "unsigned", "an old algorithm"])
def test_signatures_of_requests(site, asker, token, how):
    claims = asker.claims(connect={"user": "oauthtoken", "pass": token()})
    text = nats_jwt(asker.key, claims)
    head, payload, signature = text.split(".")
    reason = "request_signature"
    if how == "a bit flipped":
        raw = bytearray(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
        at = raw.index(b'"host"')
        raw[at + 10] ^= 1
        text = f"{head}.{b64(bytes(raw))}.{signature}"
    elif how == "another's signature":
        text = f"{head}.{payload}." + b64(nkeys.Key("N").sign(f"{head}.{payload}".encode()))
    elif how == "signed by a user":
        user = nkeys.Key("U")
        claims["iss"] = claims["nats"]["server_id"]["id"] = user.public
        text = nats_jwt(user, claims)
    elif how == "signed by the service's issuer kind":
        account = nkeys.Key("A")
        claims["iss"] = account.public
        text = nats_jwt(account, claims)
    elif how == "unsigned":
        text, reason = f"{head}.{payload}.", "request_malformed"
    else:
        text, reason = nats_jwt(asker.key, claims, {"typ": "JWT", "alg": "none"}), "request_malformed"
    before = site.metrics()
    with_reason = {"request_signature", "request_malformed"}
    offset = site.log.size()
    subject = asker.put(sealed(asker, text.encode()), asker.xkey.public)
    line = until(lambda: site.log.find(offset, msg="not a valid auth callout request"), "the request to be refused")[0]
    assert line["reason"] == reason or (how == "signed by a user" and line["reason"] in with_reason), line
    assert site.metrics().invalid(line["reason"]) == before.invalid(line["reason"]) + 1
    assert asker.ask(connect={"user": "oauthtoken", "pass": token()}).user
    assert asker.silent(subject)


def test_a_large_request(site, asker, token):
    """Up to the server's max_payload nothing harms; too large is told."""
    claims = asker.claims(connect={"user": "u" * 300_000, "pass": token()})
    with site.decision("noauth", "unrecognized_credentials"):
        assert asker.read(asker.reply(asker.send(claims)), claims, True).error


def test_a_request_without_reply(site, asker, token):
    before = site.metrics()
    text = nats_jwt(asker.key, asker.claims(connect={"user": "oauthtoken", "pass": token()})).encode()
    asker.leaf.publish(SUBJECT, sealed(asker, text), "", {"Nats-Server-Xkey": asker.xkey.public})
    until(lambda: site.metrics()["auth_requests_total"] == before["auth_requests_total"] + 1, "the request to be counted")
    until(lambda: site.metrics().invalid("request_malformed") == before.invalid("request_malformed") + 1, "it to be refused")


def test_clocks_differ(site, asker, token):
    """A request's age counts from its arrival: a server whose clock is an hour off is answered."""
    for off in (-3600, 3600):
        now = int(time.time()) + off
        with site.decision("oauth2"):
            assert asker.ask(connect={"user": "oauthtoken", "pass": token()}, change=change_claims(iat=now, exp=now + 50)).user


def test_an_unsealed_request_is_answered_unsealed(site, asker, token):
    """A server without xkey beside one with: each gets what it can read."""
    with site.decision("oauth2"):
        assert asker.ask(connect={"user": "oauthtoken", "pass": token()}, sealed=False).user


def test_a_flood_of_forged_requests(site, asker, token):
    """A thousand spoilt requests: all are counted, none answered, and good ones are answered meanwhile."""
    bad = sealed(asker, b"noise")
    before = site.metrics()
    for _ in range(1000):
        asker.put(bad, asker.xkey.public)
    assert asker.ask(connect={"user": "oauthtoken", "pass": token()}).user
    until(lambda: site.metrics().invalid("request_malformed") >= before.invalid("request_malformed") + 1000, "a thousand to be counted")
    with site.mqtt(token()):
        pass
