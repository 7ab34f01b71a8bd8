"""A live session ends with the credential that opened it, and a fresh credential gets in again."""
import contextlib
import datetime
import time

import pytest

from harness import certificates
from harness.mqtt import NOT_AUTHORISED, Refused
from harness.natsio import Refused as NatsRefused
from harness.tokens import claims_of
from harness.wait import PATIENCE, SLOW, until

LIFE = 5 * (1 if SLOW == 1 else 2)  # seconds
EARLY = LIFE * 0.05 + 1.0           # the jitter, and whole seconds on the wire


def ends_with(closed, end, early=EARLY):
    """The connection is there until shortly before its end, and gone shortly after it."""
    assert not closed.wait(max(0.0, end - early - time.time())), f"closed {end - time.time():.2f} s before the end"
    assert closed.wait(max(0.0, end - time.time()) + 2.0 * SLOW), "still connected after the credential's end"


def test_mqtt_session_ends_with_its_token(site, token):
    with site.mqtt() as speaker:  # an anonymous one: only what is said by MQTT is kept for sessions
        jwt = token(exp=f"now+{LIFE}")
        client = site.mqtt(jwt, clean=False).connect()
        assert client.subscribe("test/expiry", 1) == 1
        client.publish("test/expiry", b"while it lasts", 1)
        assert client.receive()[1] == b"while it lasts"
        ends_with(client.closed, claims_of(jwt)["exp"])
        client.close()
        until(lambda: time.time() >= claims_of(jwt)["exp"], "the token's end")
        with pytest.raises(Refused) as refused, site.decision("oauth2", "expired"):
            site.mqtt(jwt, client_id=client.client_id, clean=False).connect()
        assert refused.value.args[0] == NOT_AUTHORISED
        speaker.publish("test/expiry", b"meanwhile", 1)
        # the session was kept: the fresh token finds it, with what was said meanwhile
        with site.decision("oauth2"):
            again = site.mqtt(token(), client_id=client.client_id, clean=False).connect()
        with contextlib.closing(again):
            assert again.receive()[:2] == ("test/expiry", b"meanwhile")
        with site.mqtt(token(), client_id=client.client_id, clean=True):
            pass


@pytest.mark.parametrize("where", ["password", "token"])
def test_nats_session_ends_with_its_token(site, token, where):
    def open_with(jwt):
        from harness.natsio import NatsClient
        return site.nats(jwt) if where == "password" else NatsClient(site.url(), token=jwt)
    jwt = token(exp=f"now+{LIFE}")
    client = open_with(jwt).connect()
    own = client.subscribe("test.expiry")
    client.publish("test.expiry", b"while it lasts")
    assert own.receive().data == b"while it lasts"
    ends_with(client.closed, claims_of(jwt)["exp"])
    assert "authentication expired" in str(client.nc.last_error).lower(), "why it ended"
    until(lambda: time.time() >= claims_of(jwt)["exp"], "the token's end")
    with pytest.raises(NatsRefused), site.decision("oauth2", "expired"):
        open_with(jwt).connect()
    with site.decision("oauth2"), open_with(token()) as again:
        own = again.subscribe("test.expiry")
        again.publish("test.expiry", b"again")
        assert own.receive().data == b"again"


def test_mqtt_session_ends_with_its_certificate(site):
    end = certificates.now() + datetime.timedelta(seconds=LIFE + 2)
    tls = site.issue_tls("mqtt-client.csc", not_after=end)
    client = site.mqtts(tls).connect()
    assert client.subscribe("test/expiry", 1) == 1
    ends_with(client.closed, int(end.timestamp()), EARLY + 1)
    client.close()
    with site.mqtts(site.issue_tls("mqtt-client.csc")) as again:
        assert again.subscribe("test/expiry", 1) == 1


def test_max_age_ends_every_session(new_site):
    """session.max-age cuts all kinds short, infrastructure excepted."""
    site = new_site(session_max_age=f"{LIFE}s")
    observer = site.nkey_client("observer").connect()
    begin = time.time()
    clients = [site.mqtt(site.idp.token()).connect(), site.nats(site.idp.token()).connect(), site.mqtts().connect(),
               site.nkey_client("plain").connect(), site.nats().connect(), site.mqtt().connect()]
    in_by = time.time()
    for client in clients:
        assert not client.closed.wait(max(0.0, begin + LIFE - EARLY - time.time())), "closed before its time"
    for client in clients:
        assert client.closed.wait(max(0.0, in_by + LIFE - time.time()) + 2.0 * SLOW + 1), "still connected after session.max-age"
        client.close()
    observer.flush()
    assert not observer.closed.is_set(), "an internal entry has no end"
    observer.close()
    for client in (site.mqtt(site.idp.token()), site.nats(site.idp.token()), site.mqtts(), site.nkey_client("plain"), site.nats()):
        with client:
            pass


def test_a_thousandth_client_does_not_end_with_the_first(asker, token):
    """The ends of sessions opened by one token are spread, so that clients do not come back all at once."""
    jwt = token(exp="now+2000")
    ends = {asker.ask(connect={"user": "oauthtoken", "pass": jwt}, timeout=PATIENCE).user["exp"] for _ in range(40)}
    end = claims_of(jwt)["exp"]
    assert len(ends) > 10 and max(ends) <= end and min(ends) >= end - 100 - 1, sorted(end - e for e in ends)
