"""Who comes in with a ServiceAccount's token, what it may do, and who does not."""
import threading
import time

import pytest
from harness.natsio import Refused
from harness.tokens import claims_of, forge, hs256, rs256_stranger
from harness.wait import until

from real import SigningKey


def test_token_of_a_serviceaccount_connects(cluster, bus, ns):
    cluster.account(ns, "chiller")
    offset = bus.log.size()
    with bus.client(cluster.token(ns, "chiller")) as client:
        may_publish, may_subscribe = client.may()
        assert may_publish(f"{ns}.a.b") and may_subscribe(f"{ns}.>") and may_subscribe("_INBOX.x") and may_subscribe(f"_INBOX_{ns}_chiller.>")
        for foreign in ("other.a", ns, f"{ns}x.a", f"_INBOX_{ns}_pump.>", "$SYS.REQ.USER.INFO", "$JS.API.INFO", ">", "*.>", "*"):
            assert not may_subscribe(foreign), foreign
        for foreign in ("other.a", ns, "_INBOX.a", f"_INBOX_{ns}_chiller.a", "$SYS.REQ.SERVER.PING", "$JS.API.INFO", "$SRV.PING"):
            assert not may_publish(foreign), foreign
        assert bus.hears(client, f"{ns}.a", "APP") and not bus.hears(client, f"{ns}.a", "OTHER")
    line = until(lambda: bus.log.find(offset, method="kubernetes"), "the decision in the log")[0]
    assert line["reason"] == "ok" and line["account"] == "APP" and ns in str(line), line


@pytest.mark.parametrize("how", ["auth_token", "password"])
def test_ways_to_show_a_token(cluster, bus, ns, how):
    cluster.account(ns, "chiller")
    token = cluster.token(ns, "chiller")
    options = {"token": token} if how == "auth_token" else {"token": None, "user": "oauthtoken", "password": token}
    with bus.client(**options) as client:
        assert client.may_publish(f"{ns}.a")


@pytest.mark.parametrize("inbox", ["_INBOX", "private"])
def test_request_and_reply(cluster, bus, ns, inbox):
    for name in ("asks", "answers"):
        cluster.account(ns, name)
    prefix = inbox if inbox == "_INBOX" else f"_INBOX_{ns}_asks"
    with bus.client(cluster.token(ns, "answers")) as answers, bus.client(cluster.token(ns, "asks"), inbox_prefix=prefix) as asks:
        requests = answers.subscribe(f"{ns}.question")
        def answer():
            request = requests.receive()
            assert request.reply.startswith(prefix + ".")
            answers.publish(request.reply, b"the answer")

        thread = threading.Thread(target=answer)
        thread.start()
        assert asks.request(f"{ns}.question").data == b"the answer"
        thread.join()
        # one answer a request, not the inbox itself
        assert not answers.may_publish(f"{prefix}.other")


def test_token_bound_to_a_pod_connects(cluster, bus, ns):
    cluster.account(ns, "chiller")
    pod = cluster.pod(ns, "chiller-0", "chiller")
    with bus.client(cluster.token(ns, "chiller", pod=pod)) as client:
        assert client.may_publish(f"{ns}.a")


def test_one_of_several_audiences(cluster, bus, ns):
    cluster.account(ns, "chiller")
    with bus.client(cluster.token(ns, "chiller", audience=["other", "nats"])) as client:
        assert client.may_publish(f"{ns}.a")


@pytest.mark.parametrize("audience", ["nats2", "Nats", "https://nats", None], ids=str)
def test_another_audience_is_refused(cluster, bus, ns, audience):
    cluster.account(ns, "chiller")
    with bus.refused("wrong_audience"):
        bus.client(cluster.token(ns, "chiller", audience=audience)).connect()


def altered(**changes):
    """Claims replaced, or with None left out; `kubernetes.io` members with a leading k_."""
    def change(claims):
        for name, value in changes.items():
            where, key = (claims["kubernetes.io"], name[2:]) if name.startswith("k_") else (claims, name)
            if value is None:
                where.pop(key, None)
            else:
                where[key] = value(where.get(key)) if callable(value) else value
        return claims
    return change


# A token with the cluster's own signature over claims that it would not make: what is wrong, the reason.
FORGED = {
    "expired": (altered(exp=lambda _: int(time.time()) - 5), "expired"),
    "without exp": (altered(exp=None), "missing_claim"),
    "not yet": (altered(nbf=lambda _: int(time.time()) + 60), "not_yet_valid"),
    "without audience": (altered(aud=None), "missing_claim"),
    "another issuer": (altered(iss="https://elsewhere.example.invalid"), "wrong_issuer"),
    "issuer with a slash more": (altered(iss=lambda iss: iss + "/"), "wrong_issuer"),
    "without kubernetes.io": (lambda c: altered(**{"kubernetes.io": None})(c), "missing_claim"),
    "without a namespace": (altered(k_namespace=None), "missing_claim"),
    "without a serviceaccount": (altered(k_serviceaccount=None), "missing_claim"),
    "another subject": (altered(sub="system:serviceaccount:kube-system:admin"), "malformed"),
    "another namespace": (altered(k_namespace="kube-system"), "malformed"),
    "another uid": (altered(k_serviceaccount=lambda s: s | {"uid": "00000000-0000-0000-0000-000000000000"}), None),
}


@pytest.mark.parametrize("what", FORGED)
def test_odd_claims_are_refused(cluster, bus, ns, what):
    change, reason = FORGED[what]
    cluster.account(ns, "chiller")
    claims = claims_of(cluster.token(ns, "chiller"))
    with bus.client(cluster.sign(dict(claims))):
        pass  # a token made like this one is good until it is spoilt
    token = cluster.sign(change(claims))
    if reason is None:
        with pytest.raises(Refused):
            bus.client(token).connect()
    else:
        with bus.refused(reason):
            bus.client(token).connect()


def test_legacy_token_of_a_secret_is_refused(cluster, bus, ns):
    uid = cluster.account(ns, "chiller")
    claims = {"iss": "kubernetes/serviceaccount", "kubernetes.io/serviceaccount/namespace": ns, "kubernetes.io/serviceaccount/secret.name": "chiller-token",
              "kubernetes.io/serviceaccount/service-account.name": "chiller", "kubernetes.io/serviceaccount/service-account.uid": uid,
              "sub": f"system:serviceaccount:{ns}:chiller"}
    with bus.refused("legacy_token"):
        bus.client(cluster.sign(claims)).connect()


def test_forged_signatures_are_refused(cluster, bus, ns, tmp_path):
    cluster.account(ns, "chiller")
    good = cluster.token(ns, "chiller")
    claims = claims_of(good)
    kid = cluster.keys[-1].kid
    stranger = SigningKey(tmp_path / "stranger")
    forged = [forge({"alg": "RS256", "kid": kid}, claims, rs256_stranger), forge({"alg": "HS256", "kid": kid}, claims, hs256(stranger.public.read_bytes())),
              forge({"alg": "none"}, claims, lambda _data: b""), stranger.sign(claims), good[:-8] + "AAAAAAAA"]
    for token in forged:
        with pytest.raises(Refused):
            bus.client(token).connect()
    with bus.client(good):
        pass


def test_session_ends_with_the_token(cluster, bus, ns):
    cluster.account(ns, "chiller")
    claims = claims_of(cluster.token(ns, "chiller")) | {"exp": int(time.time()) + 4}
    with bus.client(cluster.sign(claims)) as client:
        assert client.may_publish(f"{ns}.a")
        assert client.closed.wait(10), "connected beyond the end of its token"
        assert time.time() <= claims["exp"] + 2


# --- names ---------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("name, token", [("a.b-c", "a_b-c"), ("a-b.c.d", "a-b_c_d"), ("1.2", "1_2"), ("x" * 63 + ".y", "x" * 63 + "_y")])
def test_names_with_dots_and_dashes(cluster, bus, ns, name, token):
    cluster.account(ns, name)
    with bus.client(cluster.token(ns, name)) as client:
        assert client.may_publish(f"{ns}.a") and client.may_subscribe(f"_INBOX_{ns}_{token}.>")
        assert not client.may_subscribe(f"_INBOX_{ns}_a.>") and not client.may_subscribe(f"_INBOX_{ns}_{name.split('.')[0]}.>")
        assert not client.may_publish(f"{name}.a") and not client.may_publish(f"{name.split('.')[0]}.a")


def test_reserved_namespace_gets_nothing_by_its_name(cluster, bus):
    cluster.namespace("cpc")
    uid = cluster.account("cpc", "chiller", {"nats.io/allowed-pub-subjects": "extra.a"})
    assert uid
    with bus.client(cluster.token("cpc", "chiller")) as client:
        assert not client.may_publish("cpc.1.a") and not client.may_subscribe("cpc.>") and client.may_publish("extra.a")


# --- annotations ---------------------------------------------------------------------------------------------------------
def test_annotations_add_subjects(cluster, bus, ns):
    cluster.account(ns, "chiller", {"nats.io/allowed-pub-subjects": "alarms.>, orders.*.new", "nats.io/allowed-sub-subjects": "weather.eu"})
    with bus.client(cluster.token(ns, "chiller")) as client:
        may_publish, may_subscribe = client.may()
        assert may_publish("alarms.x.y") and may_publish("orders.7.new") and may_subscribe("weather.eu") and may_publish(f"{ns}.a")
        assert not may_publish("orders.new") and not may_publish("weather.eu") and not may_subscribe("alarms.x") and not may_subscribe("weather.us")


def test_annotation_with_a_thousand_subjects(cluster, bus, ns):
    cluster.account(ns, "chiller", {"nats.io/allowed-pub-subjects": ",".join(f"thousand.s{i}.>" for i in range(1000))})
    with bus.client(cluster.token(ns, "chiller")) as client:
        assert all(client.may_publish(f"thousand.s{i}.x") for i in (0, 1, 499, 998, 999)) and not client.may_publish("thousand.s1000.x")


BAD = [">", "*.>", "*", "_INBOX.>", "_INBOX_other.>", "_INBOX_*.>", "_REPLY.>", "_R_.>", "$SYS.>", "$JS.API.>", "a..b", "a b", ".a", "a.>.b"]


def test_bad_items_are_dropped_counted_and_logged_once(cluster, bus, ns):
    name = "auth_kubernetes_annotation_drops_total"
    before, offset = bus.total(name), bus.log.size()
    cluster.account(ns, "hostile", {"nats.io/allowed-pub-subjects": ",".join([*BAD, "good.a"]), "nats.io/allowed-sub-subjects": ",".join([*BAD, "good.b"])})
    token = cluster.token(ns, "hostile")
    for _ in range(3):
        with bus.client(token) as client:
            may_publish, may_subscribe = client.may()
            assert may_publish("good.a") and may_subscribe("good.b")
            for subject in (">", "*.>", "_INBOX_other.>", "_REPLY.>", "_R_.>", "$SYS.>", "$JS.API.>", "a"):
                assert not may_subscribe(subject), subject
            for subject in ("a", "x.y", "_INBOX.x", "_INBOX_other.x", "_REPLY.x", "$SYS.REQ.SERVER.PING", "$JS.API.INFO"):
                assert not may_publish(subject), subject
    until(lambda: bus.total(name) == before + 2 * len(BAD), lambda: f"{2 * len(BAD)} drops counted, {bus.total(name) - before} were")
    lines = [line for line in bus.log.since(offset) if "drop" in line.get("msg", "") and "hostile" in str(line)]
    assert len(lines) == 1, lines


def test_private_inbox_of_another_cannot_be_read(cluster, bus, ns):
    """One ServiceAccount asks with its private inbox; others with every annotation that might reach it listen."""
    cluster.account(ns, "victim")
    cluster.account(ns, "answers")
    tries = [">", "*.>", "*", f"_INBOX_{ns}_victim.>", "_INBOX.>", f"_INBOX_{ns}_victim"]
    more = [f"_INBOX_{ns}_*.>", "_INBOX_*.>", "_INBOX_>"]  # no wildcards to a server, and nats-py sends none of them
    names = ["spy", "victim.spy", "victim.x", "spy.victim"]
    for i, name in enumerate(names):
        cluster.account(ns, name, {"nats.io/allowed-sub-subjects": ",".join([*tries, *more]), "nats.io/allowed-pub-subjects": ",".join(tries)})
    spies = [bus.client(cluster.token(ns, name)).connect() for name in names]
    try:
        heard = [spy.subscribe(subject) for spy in spies for subject in (*tries, f"_INBOX_{ns}_victim.*", f"_INBOX_{ns}_victim.*.*")]
        with bus.client(cluster.token(ns, "victim")) as victim, bus.observer() as observer:
            own = victim.subscribe(f"_INBOX_{ns}_victim.>")
            observer.publish(f"_INBOX_{ns}_victim.a.b", b"the private answer")
            assert own.receive().data == b"the private answer"
        for spy in spies:
            spy.flush()
        assert not [subject for one in heard for subject in one.heard(b"the private answer")]
    finally:
        for spy in spies:
            spy.close()
