"""Tokens of a real Keycloak, from the grant to the message: who gets in, who does not, and what the realm's changes do to that."""
import time

import pytest

from harness.mqtt import NOT_AUTHORISED, SUBSCRIBE_FAILED, Refused
from harness.tokens import claims_of, header_of
from harness.wait import until

ALGORITHMS = ("ES256", "PS256", "EdDSA")


# --- who gets in ----------------------------------------------------------------------------------------------------
def test_client_credentials_give_the_written_permissions(stack, realm):
    gateway, reader = realm.token("hall-gateway"), realm.token("hall-reader")
    claims = claims_of(gateway)
    assert claims["azp"] == "hall-gateway" and realm.AUDIENCE in claims["aud"] and claims["typ"] == "Bearer", claims
    with stack.nats(reader) as nats, stack.mqtt(gateway) as mqtt:
        heard = nats.subscribe("hall.>")
        assert mqtt.subscribe("command/#", 1) == 1
        assert mqtt.subscribe("hall/#", 1) == SUBSCRIBE_FAILED
        mqtt.publish("hall/7/temperature", b"21.5", 1)
        message = heard.receive()
        assert (message.subject, message.data) == ("hall.7.temperature", b"21.5")
        nats.publish("command.fan", b"on")
        assert mqtt.receive()[:2] == ("command/fan", b"on")
        mqtt.publish("other/7", b"may not", 1)
        nats.publish("hall.7", b"may not")
        nats.refused("publish", "hall.7")
        assert not heard.received()


def test_session_ends_with_the_token(stack, realm):
    token = realm.token("short-lived")
    with stack.nats(token) as client:
        left = claims_of(token)["exp"] - time.time()
        assert client.closed.wait(left + 5), "open after the token's end"
    assert stack.why(token) == "expired"


def test_algorithms_that_are_allowed(stack, realm):
    with stack.reconfigured(signing_algorithms=["RS256", *ALGORITHMS]):
        for algorithm in ALGORITHMS:
            token = realm.token(algorithm.lower())
            assert header_of(token)["alg"] == algorithm
            assert stack.why(token) == "ok", algorithm
        assert stack.why(realm.token("hall-gateway")) == "ok"


# --- who does not ---------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("client, reason", [("no-audience", "wrong_audience"), ("other-audience", "wrong_audience"), ("stranger", "unknown_identity")])
def test_another_audience_or_client_is_refused(stack, realm, client, reason):
    assert stack.why(realm.token(client)) == reason


def test_required_scope(stack, realm):
    assert "mqtt" not in claims_of(realm.token("hall-gateway", scope=None)).get("scope", "").split()
    assert stack.why(realm.token("hall-gateway", scope=None)) == "missing_scope"


def test_mqtt_client_is_refused_too(stack, realm):
    with pytest.raises(Refused) as refused:
        stack.mqtt(realm.token("stranger")).connect()
    assert refused.value.args[0] == NOT_AUTHORISED


def test_only_the_access_token_of_a_user_gets_in(stack, realm):
    tokens = realm.user_tokens("portal", "ann")
    id_claims = claims_of(tokens["id_token"])
    assert realm.AUDIENCE in id_claims["aud"] and id_claims["azp"] == "portal", "the ID token must differ by its kind alone"
    assert stack.why(tokens["access_token"]) == "ok"
    assert stack.why(tokens["id_token"]) == "id_token"
    assert header_of(tokens["refresh_token"])["alg"] == "HS512"
    assert stack.why(tokens["refresh_token"]) == "alg_not_allowed"


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_algorithms_that_are_not_allowed(stack, realm, algorithm):
    assert stack.why(realm.token(algorithm.lower())) == "alg_not_allowed"


def test_same_client_of_a_second_issuer(stack, realm, annex):
    """The same Keycloak, client id, audience and scope: each realm's client gets what is written for that realm's, and no more."""
    with stack.nats(annex.token("hall-gateway")) as client:
        client.publish("annex.a", b"may")
        client.publish("hall.a", b"may not")
        client.refused("publish", "hall.a")
        assert len(client.errors) == 1, client.errors
    with stack.nats(realm.token("hall-gateway")) as client:
        client.publish("annex.a", b"may not")
        client.refused("publish", "annex.a")
    assert stack.why(annex.token("hall-reader")) == "unknown_identity"


def test_issuer_that_is_not_configured(stack, keycloak):
    fetches = stack.of_issuer("key_fetches_total"), stack.of_issuer("key_fetches_total", "annex")
    assert stack.why(keycloak.admin_token()) == "wrong_issuer"
    assert fetches == (stack.of_issuer("key_fetches_total"), stack.of_issuer("key_fetches_total", "annex"))


# --- what the realm's changes do ------------------------------------------------------------------------------------
def test_key_rotation(stack, realm):
    with stack.reconfigured(refresh="1h"):  # so that only the unknown kid makes it fetch
        old = realm.token("hall-gateway")
        first = realm.key_id(header_of(old)["kid"])
        tokens, before = [old], stack.of_issuer("key_fetches_total")
        with stack.churn(tokens) as times:
            realm.add_key("second", 200)
            new = realm.token("hall-gateway")
            assert header_of(new)["kid"] != header_of(old)["kid"]
            assert stack.admitted(new), "the first token of a new key"
            tokens.append(new)
            realm.passive_key(first)
            seen = len(times)
            until(lambda: len(times) > seen + 20, "clients with tokens of both keys")
        assert stack.of_issuer("key_fetches_total") == before + 1, "one fetch for the unknown kid"
        realm.remove_key(first)
        assert header_of(old)["kid"] not in realm.kids()
        assert stack.why(old) == "ok", "the keys that are known stay in force until the next fetch"
    with stack.reconfigured(refresh="1s", cache_file=None):
        assert stack.why(old) == "unknown_kid"
        assert stack.why(new) == "ok"


def test_removed_key_is_refused_after_the_next_refresh(stack, realm):
    with stack.reconfigured(refresh="1s"):
        token = realm.token("hall-gateway")
        provider = realm.key_id(header_of(token)["kid"])
        realm.add_key("third", 300)
        assert stack.why(token) == "ok"
        realm.remove_key(provider)
        until(lambda: stack.why(token) == "unknown_kid", "the refresh to take the key away", 10, 0.3)
        assert stack.why(realm.token("hall-gateway")) == "ok"


def test_realm_restart_under_load(stack, realm, keycloak):
    """Stopped and started while clients come and go, and the service restarted meanwhile."""
    tokens = [realm.token("hall-gateway"), realm.token("hall-reader")]
    with stack.reconfigured(refresh="1s"):
        with stack.churn(tokens) as times:
            keycloak.stop()
            failures = stack.of_issuer("key_fetch_failures_total")
            until(lambda: stack.of_issuer("key_fetch_failures_total") > failures, "a fetch that fails")
            assert stack.ready()["keys"]["jwks"]["status"] != "unavailable"
            assert stack.why(tokens[0]) == "ok", "cached keys"
            keycloak.start()
            tokens.append(realm.token("hall-gateway"))
            fetched = stack.of_issuer("keys_last_success_timestamp_seconds")
            until(lambda: stack.of_issuer("keys_last_success_timestamp_seconds") > fetched, "fetches to go on by themselves", 60)
            seen = len(times)
            until(lambda: len(times) > seen + 10, "clients with a token of the restarted realm")
        assert stack.why(tokens[-1]) == "ok"


def test_service_starts_while_the_realm_is_down(stack, realm, keycloak):
    token = realm.token("hall-gateway")
    keycloak.stop()
    try:
        stack.restart_callout()
        assert stack.why(token) == "ok", "the keys of jwks.cache-file"
        kept = stack.config["jwks"].pop("cache-file")
        stack.restart_callout()
        assert stack.why(token) == "keys_unavailable"
    finally:
        keycloak.start()
    until(lambda: stack.why(token) == "ok", "the service to recover by itself", 60, 0.3)
    stack.config["jwks"]["cache-file"] = kept
    stack.restart_callout()
