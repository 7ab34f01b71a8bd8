"""
Kubernetes ServiceAccount tokens against a stand-in for the API server (harness/kubeapi.py): everything that a real one does not do when told to.
Pages, 410 in both forms, answers that are errors, silence, look-ups, reviews. What a real one shows is in tests/kube.
"""
import contextlib
import os
import signal
import socket
import sys
import threading
import time
import uuid
from pathlib import Path

import pytest
import yaml

os.environ.setdefault("EB_KUBE_HOST", "127.42.0.1")
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "kube"))

from bus import HOST, Bus, kubernetes  # noqa: E402
from harness import program  # noqa: E402
from harness.kubeapi import KubeApi  # noqa: E402
from harness.natsio import Refused  # noqa: E402
from harness.tokens import claims_of  # noqa: E402
from harness.wait import PATIENCE, SLOW, until  # noqa: E402

IN_FORCE = 1.0 * SLOW  # from a change to the first login that has it
WATCHING, LISTS, LOOKUPS = "auth_kubernetes_watching", "auth_kubernetes_lists_total", "auth_kubernetes_lookups_total"
API_FAILURES, AGE = "auth_kubernetes_api_failures_total", "auth_kubernetes_age_seconds"
BY_NAME_ONLY, SKIPPED = "auth_kubernetes_serviceaccounts_by_name_only", "auth_kubernetes_serviceaccounts_skipped_total"
REVIEWS, DROPS = "auth_kubernetes_reviews_total", "auth_kubernetes_annotation_drops_total"


def starters(folder):
    """new_api(name, key=…) and new_bus(config), and what ends all that they made."""
    made = []

    def new_api(name="cluster", key="rsa", **settings):
        api = KubeApi(folder, name, key)
        for setting, value in settings.items():
            setattr(api, setting, value)
        made.append(api)
        return api.start()

    def new_bus(config, ready=True, **options):
        found = Bus(folder, config, **options)
        made.append(found)
        return found.start(ready)

    def end():
        for one in reversed(made):
            one.stop()

    return new_api, new_bus, end


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    """(api, bus): one for all tests that put right what they break; each takes a namespace of its own."""
    new_api, new_bus, end = starters(tmp_path_factory.mktemp("shared"))
    api = new_api()
    yield api, new_bus({"kubernetes": kubernetes(api)})
    end()


@pytest.fixture(scope="module")
def shared_blind(tmp_path_factory):
    """The same, but the watch never opens: what comes after the list is unknown."""
    new_api, new_bus, end = starters(tmp_path_factory.mktemp("blind"))
    api = new_api()
    api.account("plant", "chiller")
    api.fail("watch", 503, times=10_000)
    bus = new_bus({"kubernetes": kubernetes(api)})
    until(lambda: bus.total(API_FAILURES) >= 1, "a watch that fails")
    yield api, bus
    end()


@pytest.fixture(scope="module")
def shared_review(tmp_path_factory):
    """The same, and each token is asked about."""
    new_api, new_bus, end = starters(tmp_path_factory.mktemp("review"))
    api = new_api()
    yield api, new_bus({"kubernetes": kubernetes(api, token_review=True)})
    end()


@pytest.fixture
def own(tmp_path):
    """new_api, new_bus for a test alone."""
    new_api, new_bus, end = starters(tmp_path)
    yield new_api, new_bus
    end()


@pytest.fixture
def new_api(own):
    return own[0]


@pytest.fixture
def new_bus(own):
    return own[1]


@pytest.fixture
def ns():
    return "t-" + uuid.uuid4().hex[:8]


@pytest.fixture
def api(shared, ns):
    """With an account `chiller` in the test's namespace, which may publish alarms.>."""
    shared[0].account(ns, "chiller", {"nats.io/allowed-pub-subjects": "alarms.>"})
    return shared[0]


def watching(bus):
    return bus.total(WATCHING) == 1


@pytest.fixture
def bus(shared):
    until(lambda: watching(shared[1]) and shared[0].watching, lambda: f"the watch: {shared[1].readiness()}", timeout=40)
    return shared[1]


def can_publish(bus, token, subject):
    with bus.client(token) as client:
        return client.may_publish(subject)


def soon(condition, what):
    until(condition, what, timeout=IN_FORCE, every=0)


def changes_arrive(bus, api, ns, timeout=PATIENCE):
    """Annotates until a login shows it: the watch is there again."""
    subject = f"mark.m{time.monotonic_ns()}"
    api.annotate(ns, "chiller", allowed_pub_subjects=f"alarms.>,{subject}")
    token = api.token(ns, "chiller")
    until(lambda: can_publish(bus, token, subject), lambda: f"changes to arrive: {bus.readiness()}", timeout=timeout)


# --- who comes in ----------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("key", ["rsa", "ec"])
def test_token_connects_and_may_do_what_it_may(new_api, new_bus, key):
    api = new_api(key=key)
    api.account("plant", "chiller.v1", {"nats.io/allowed-pub-subjects": "alarms.>", "nats.io/allowed-sub-subjects": "weather.>"})
    bus = new_bus({"kubernetes": kubernetes(api)})
    offset = bus.log.size()
    with bus.client(api.token("plant", "chiller.v1")) as client:
        may_publish, may_subscribe = client.may()
        assert all(may_publish(s) for s in ("plant.a.b", "alarms.x")) and all(may_subscribe(s) for s in ("plant.>", "weather.x", "_INBOX.x", "_INBOX_plant_chiller_v1.>"))
        assert not any(may_publish(s) for s in ("other.a", "plant", "weather.a", "_INBOX.a", "$SYS.REQ.SERVER.PING", "$JS.API.INFO"))
        assert not any(may_subscribe(s) for s in (">", "*.>", "other.a", "alarms.x", "_INBOX_plant_pump.>"))
        assert bus.hears(client, "plant.a", "APP")
    line = until(lambda: bus.log.find(offset, method="kubernetes"), "the decision in the log")[0]
    assert line["reason"] == "ok" and line["entry"] == "plant_chiller_v1" and line["account"] == "APP"
    assert line["identity"] == "kubernetes:plant/chiller.v1" and 0 < line["session_s"] <= 600


@pytest.mark.parametrize("inbox", ["standard", "private"])
def test_request_and_reply(api, bus, ns, inbox):
    inbox = "_INBOX" if inbox == "standard" else f"_INBOX_{ns}_chiller"
    api.account(ns, "pump")
    with bus.client(api.token(ns, "pump")) as answers, bus.client(api.token(ns, "chiller"), inbox_prefix=inbox) as asks:
        requests = answers.subscribe(f"{ns}.question")

        def answer():
            request = requests.receive()
            answers.publish(request.reply, b"the answer")

        thread = threading.Thread(target=answer)
        thread.start()
        assert asks.request(f"{ns}.question").data == b"the answer"
        thread.join()
        assert not answers.may_publish(inbox + ".other"), "one answer a request"


def test_private_inbox_of_another_cannot_be_read(api, bus, ns):
    tries = [">", "*.>", "_INBOX_*.>", f"_INBOX_{ns}_chiller.>", "_INBOX_other.>"]
    api.account(ns, "chiller.spy", {"nats.io/allowed-sub-subjects": ",".join(tries)})
    with bus.client(api.token(ns, "chiller.spy")) as spy, bus.client(api.token(ns, "chiller")) as victim, bus.observer() as observer:
        heard = [spy.subscribe(subject) for subject in tries if "_*" not in subject]
        own = victim.subscribe(f"_INBOX_{ns}_chiller.>")
        observer.publish(f"_INBOX_{ns}_chiller.a", b"private")
        assert own.receive().data == b"private"
        spy.flush()
        assert not any(one.heard(b"private") for one in heard)


def test_hostile_tokens(api, bus, ns, new_api):
    claims = api.claims(ns, "chiller")
    uid = claims["kubernetes.io"]["serviceaccount"]["uid"]
    legacy = {"iss": "kubernetes/serviceaccount", "sub": claims["sub"], "kubernetes.io/serviceaccount/namespace": ns,
              "kubernetes.io/serviceaccount/service-account.name": "chiller", "kubernetes.io/serviceaccount/service-account.uid": uid}
    other = new_api("other")
    other.account(ns, "chiller")
    now = int(time.time())
    before = api.count("get") + api.count("jwks")
    for token, reason in [(api.token(ns, "chiller", audience="other"), "wrong_audience"), (api.token(ns, "chiller", audience=None), "wrong_audience"),
                          (api.sign(without(claims, "aud")), "missing_claim"), (api.sign(without(claims, "exp")), "missing_claim"),
                          (api.sign(claims | {"exp": now - 1}), "expired"), (api.sign(claims | {"nbf": now + 60}), "not_yet_valid"),
                          (api.sign(legacy), "legacy_token"), (other.token(ns, "chiller"), "wrong_issuer"),
                          (other.sign(claims, kid=api.keys[0].kid), "bad_signature"), (api.sign(without(claims, "kubernetes.io")), "missing_claim"),
                          (api.sign(claims | {"sub": f"system:serviceaccount:{ns}:pump"}), "malformed")]:
        assert refused_for(bus, token) == reason
    assert api.count("get") + api.count("jwks") == before, "nothing was asked for them"
    assert can_publish(bus, api.sign(claims), f"{ns}.a")


def without(claims, name):
    return {k: v for k, v in claims.items() if k != name}


def refused_for(bus, token):
    """The reason of a refusal; None where the client was let in."""
    offset = bus.log.size()
    try:
        with bus.client(token):
            return None
    except Refused:
        return until(lambda: bus.log.find(offset, msg="refused"), "a refusal in the log")[0]["reason"]


def test_second_cluster_grants_its_own(new_api, new_bus):
    """The same namespace and name in two clusters: each gets what its own cluster says, in its own account and behind its own prefix."""
    first, second = new_api("first"), new_api("second", key="ec")
    first.account("plant", "chiller", {"nats.io/allowed-pub-subjects": "alarms.>"})
    second.account("plant", "chiller", {"nats.io/allowed-pub-subjects": "orders.>"})
    element = kubernetes(second, account="OTHER", subject_prefix="two.") | {"name": "two", "kind": "kubernetes", "audience": ["nats"]}
    bus = new_bus({"kubernetes": kubernetes(first), "issuers": [element]})
    with bus.client(first.token("plant", "chiller")) as one, bus.client(second.token("plant", "chiller")) as two:
        assert one.may_publish("alarms.a") and one.may_publish("plant.a") and not one.may_publish("orders.a") and not one.may_publish("two.plant.a")
        assert two.may_publish("orders.a") and two.may_publish("two.plant.a") and not two.may_publish("alarms.a") and not two.may_publish("plant.a")
        assert bus.hears(two, "two.plant.a", "OTHER") and not bus.hears(two, "two.plant.a", "APP")


def test_account_by_annotation(api, ns, new_bus):
    bus = new_bus({"kubernetes": kubernetes(api, allowed_accounts=["OTHER"])})
    for name, account in (("ok", "OTHER"), ("third", "THIRD"), ("sys", "SYS"), ("auth", "AUTH"), ("bad", "no such name"), ("own", "APP")):
        api.account(ns, name, {"nats.io/account": account})
    with bus.client(api.token(ns, "ok")) as client:
        assert bus.hears(client, f"{ns}.a", "OTHER")
    assert can_publish(bus, api.token(ns, "own"), f"{ns}.a")
    for name in ("third", "sys", "auth", "bad"):
        assert refused_for(bus, api.token(ns, name)) == "account_not_allowed"


# --- changes ---------------------------------------------------------------------------------------------------------------
def test_changes_are_in_force_at_once(api, bus, ns):
    token, lists = api.token(ns, "chiller"), bus.total(LISTS)
    for subject in ("orders.a", "weather.a"):
        api.annotate(ns, "chiller", allowed_pub_subjects=subject)
        soon(lambda: can_publish(bus, token, subject), "the change")  # noqa: B023
    assert not can_publish(bus, token, "orders.a")
    api.delete_account(ns, "chiller")
    soon(lambda: refused_for(bus, token) == "serviceaccount_unknown", "the token of the deleted account to be refused")
    api.account(ns, "chiller")
    assert can_publish(bus, api.token(ns, "chiller"), f"{ns}.a")
    assert refused_for(bus, token) == "serviceaccount_replaced"
    assert bus.total(LISTS) == lists


def drops(bus):
    return {name: value for name, value in bus.metrics().items() if name.startswith(DROPS)}


def test_dropped_subjects_are_counted_and_told_once(api, bus, ns):
    offset, before, lists = bus.log.size(), drops(bus), bus.total(LISTS)
    api.account(ns, "hostile", {"nats.io/allowed-pub-subjects": ">,_INBOX.>,a..b,good.a"})
    for _ in range(2):
        assert can_publish(bus, api.token(ns, "hostile"), "good.a")
    api.end_watches(gone=True)
    until(lambda: bus.total(LISTS) == lists + 1 and watching(bus), "the list anew")
    assert {name: value - before[name] for name, value in drops(bus).items() if value != before[name]} == {
        DROPS + f'{{issuer="kubernetes",reason="{reason}"}}': 1 for reason in ("root_wildcard", "inbox", "invalid")}
    told = [line for line in bus.log.since(offset) if line.get("serviceaccount") == "hostile"]
    assert len(told) == 1 and told[0]["dropped"] == 3, told


# --- the list and the watch ------------------------------------------------------------------------------------------------
def test_pages(new_api, new_bus):
    api = new_api(page_limit=3)
    for i in range(8):
        api.account("plant", f"unit-{i}", {"nats.io/allowed-pub-subjects": f"unit.u{i}"})
    api.expire_continue = 1
    bus = new_bus({"kubernetes": kubernetes(api)})
    for i in range(8):
        assert can_publish(bus, api.token("plant", f"unit-{i}"), f"unit.u{i}")
    assert bus.total(LOOKUPS) == 0 and bus.total("auth_kubernetes_serviceaccounts") == 8
    pages = [q for kind, q, _accept in api.seen if kind == "list"]
    assert [("continue" in q) for q in pages] == [False, True, False, True, True], "a page too old, then all anew"
    assert all(q["limit"] == "500" and "resourceVersion" not in q for q in pages)
    query = until(lambda: [q for kind, q, _accept in api.seen if kind == "watch"], "the watch")[0]
    assert query["resourceVersion"] == "1008" and query["allowWatchBookmarks"] == "true" and int(query["timeoutSeconds"]) > 10


@pytest.mark.parametrize("form", ["status", "event"])
def test_version_too_old(api, bus, ns, form):
    """What happened while nobody watched, and whose events nobody has any more, is found by a list."""
    api.account(ns, "pump", {"nats.io/allowed-pub-subjects": "old.a"})
    pump = api.token(ns, "pump")
    assert can_publish(bus, pump, "old.a")
    lists, asked = bus.total(LISTS), api.count("list")
    api.stop()
    api.delete_account(ns, "pump")
    api.annotate(ns, "chiller", allowed_pub_subjects="new.a")
    api.gone_in_stream = form == "event"
    api.forget_history()
    assert can_publish(bus, pump, "old.a"), "what is known stays in force"
    api.start()
    until(lambda: bus.total(LISTS) == lists + 1 and watching(bus), "the list anew", timeout=30)
    assert can_publish(bus, api.token(ns, "chiller"), "new.a") and refused_for(bus, pump) == "serviceaccount_unknown"
    assert api.count("list") == asked + 1, "one list, no loop"
    changes_arrive(bus, api, ns)


def test_watch_goes_on_from_where_it_was(api, bus, ns):
    """A watch that ends in its time, and a connection that is cut, are gone on with: bookmarks count, nothing is listed anew."""
    lists = bus.total(LISTS)
    changes_arrive(bus, api, ns)
    api.version += 100  # of other kinds of objects; a bookmark tells
    version = api.version
    until(lambda: api.bookmarked >= version, "a bookmark")
    seen = len(api.seen)
    api.end_watches()
    query = until(lambda: [q for kind, q, _a in api.seen[seen:] if kind == "watch"], "the next watch")[0]
    assert int(query["resourceVersion"]) >= version
    changes_arrive(bus, api, ns)
    api.cut()
    changes_arrive(bus, api, ns)
    assert bus.total(LISTS) == lists


NONSENSE = {"half a line": b'{"type":"ADDED","object":{"metadata"', "no json": b"not json\n", "unknown type": b'{"type":"NEW","object":{}}\n', "no object": b"[]\n",
            "error 500": b'{"type":"ERROR","object":{"kind":"Status","code":500,"reason":"InternalError"}}\n'}


@pytest.mark.parametrize("words", NONSENSE)
def test_nonsense_in_a_watch(api, bus, ns, words):
    """Half a line is no event; anything else that is none makes it list anew. The set stays in force."""
    lists, watches = bus.total(LISTS), api.count("watch")
    api.end_watches(words=[NONSENSE[words]])
    until(lambda: not api.watching or api.count("watch") > watches, "the end of the watch")
    api.last_words = []
    assert can_publish(bus, api.token(ns, "chiller"), "alarms.a")
    changes_arrive(bus, api, ns)
    assert bus.total(LISTS) == lists + (words != "half a line")


@pytest.mark.parametrize("kind, code", [("list", 403), ("watch", 429), ("list", 302), ("watch", 500), ("watch", 204), ("list", "close")])
def test_api_that_fails_is_tried_again(api, bus, ns, kind, code):
    """Readiness and the log say why meanwhile; the set stays in force."""
    changes_arrive(bus, api, ns)  # after a good watch the pauses are short again
    failures, asked, offset = bus.total(API_FAILURES), api.count(kind), bus.log.size()
    api.fail(kind, code, retry_after=2 if code == 429 else None)
    since = time.monotonic()
    api.end_watches(gone=kind == "list")
    until(lambda: bus.total(API_FAILURES) > failures, "the failure")
    assert can_publish(bus, api.token(ns, "chiller"), "alarms.a")
    until(lambda: watching(bus) and not api.faults[kind], lambda: f"the watch in the end: {bus.readiness()}")
    assert bus.total(API_FAILURES) == failures + 1 and api.count(kind) == asked + 2
    assert code != 429 or time.monotonic() - since >= 2, "Retry-After holds"
    told = bus.log.find(offset, msg="the Kubernetes API cannot be followed; the ServiceAccounts known so far stay in force")
    assert len(told) == 1 and (code == "close" or str(code) in told[0]["error"]) and told[0]["request"] == kind, told
    assert bus.readiness()["kubernetes"]["kubernetes"]["trouble"] == ""


HTML = b"<html><body>It works!</body></html>"


@pytest.mark.parametrize("body", [HTML, b"", b"\n"], ids=["html", "nothing", "a blank line"])
def test_watch_that_is_none(new_api, new_bus, body):
    """Something answers 200 to the watch and says nothing of it: that is a failure, told once, and lists bring the changes meanwhile."""
    api = new_api()
    api.account("plant", "chiller", {"nats.io/allowed-pub-subjects": "old.a"})
    api.fail("watch", 200, times=10_000, body=body)
    bus = new_bus({"kubernetes": kubernetes(api)})
    until(lambda: bus.total(API_FAILURES) >= 1, "a failure")
    api.annotate("plant", "chiller", allowed_pub_subjects="new.a")
    until(lambda: bus.total(API_FAILURES) >= 3 and bus.total(LISTS) >= 2, lambda: f"the list anew: {bus.readiness()}", timeout=30)
    found = bus.readiness()["kubernetes"]["kubernetes"]
    assert found["status"] == "stale" and "the watch ended" in found["trouble"] and not watching(bus)
    assert can_publish(bus, api.token("plant", "chiller"), "new.a")
    told = [line for line in bus.log.since(0) if "followed" in line["msg"]]
    assert len(told) == 1 and told[0]["request"] == "watch" and "the watch ended" in told[0]["error"], told
    assert api.count("watch") <= 8, "pauses grow"
    api.faults.clear()
    changes_arrive(bus, api, "plant", timeout=30)
    until(lambda: watching(bus) and bus.readiness()["kubernetes"]["kubernetes"]["trouble"] == "", "all to be well")


# --- hostile ServiceAccounts -----------------------------------------------------------------------------------------------
def managed(depth):
    fields = {}
    for _ in range(depth):
        fields = {"f:a": fields}
    return [{"manager": "m", "operation": "Update", "apiVersion": "v1", "fieldsType": "FieldsV1", "fieldsV1": fields}]


@pytest.mark.parametrize("depth", [40, 80])
def test_deep_managed_fields_stop_nobody(api, bus, ns, new_bus, depth):
    """Whoever may edit one account can nest its managedFields: neither the watch nor a list of all suffers, nor its own look-up."""
    failures, lists = bus.total(API_FAILURES), bus.total(LISTS)
    api.account(ns, "deep", {"nats.io/allowed-pub-subjects": "deep.a"}, managedFields=managed(depth))
    changes_arrive(bus, api, ns)
    assert can_publish(bus, api.token(ns, "deep"), "deep.a")
    assert bus.total(API_FAILURES) == failures and bus.total(LISTS) == lists and bus.total(SKIPPED) == 0
    fresh = new_bus({"kubernetes": kubernetes(api)})
    assert can_publish(fresh, api.token(ns, "deep"), "deep.a") and can_publish(fresh, api.token(ns, "chiller"), f"{ns}.a")
    assert fresh.total(LOOKUPS) == 0 and fresh.total(SKIPPED) == 0
    api.delete_account(ns, "deep")


def test_deep_managed_fields_in_a_look_up(blind, ns):
    api, bus = blind
    api.account(ns, "deep", {"nats.io/allowed-pub-subjects": "deep.a"}, managedFields=managed(200))
    assert can_publish(bus, api.token(ns, "deep"), "deep.a")


def test_unreadable_account_is_told_and_counted(new_api, new_bus):
    api = new_api()
    api.account("plant", "chiller")
    api.account("evil", "odd", {"nats.io/allowed-pub-subjects": 7})
    bus = new_bus({"kubernetes": kubernetes(api)})
    assert can_publish(bus, api.token("plant", "chiller"), "plant.a")
    assert bus.metrics()[SKIPPED + '{issuer="kubernetes",reason="unreadable"}'] == 1
    told = bus.log.find(0, msg="a ServiceAccount is left out and gets nothing")
    assert [(line["namespace"], line["serviceaccount"]) for line in told] == [("evil", "odd")] and "annotation" in told[0]["error"]


def test_one_namespace_cannot_crowd_out_others(new_api, new_bus):
    """80 accounts with the longest annotations there may be: little memory, what is over the share gets what its name grants."""
    api = new_api(page_limit=50)
    many = ",".join(f"t.{i:05d}." + "x" * 108 for i in range(2000))
    for i in range(80):
        api.account("evil", f"sa-{i:03d}", {"nats.io/allowed-sub-subjects": many})
    api.account("plant", "chiller", {"nats.io/allowed-sub-subjects": many})
    bus = new_bus({"kubernetes": kubernetes(api)})
    assert SLOW > 1 or bus.callout.rss() < 64 << 20  # sanitizers keep what is freed
    cut = bus.total(BY_NAME_ONLY)
    assert 30 <= cut < 80 and bus.total("auth_kubernetes_serviceaccounts") == 81
    with bus.client(api.token("evil", "sa-079")) as last, bus.client(api.token("plant", "chiller")) as good:
        assert last.may_publish("evil.a") and not last.may_subscribe("t.00001." + "x" * 108)
        assert good.may_subscribe("t.00001." + "x" * 108)
    told = bus.log.find(0, msg="there is no room for the annotations of a ServiceAccount: it gets what is granted by its name")
    assert 0 < len(told) <= 100, "bounded"
    assert bus.metrics()[DROPS + '{issuer="kubernetes",reason="too_large"}'] == cut
    os.kill(bus.callout.pid, signal.SIGHUP)
    until(lambda: bus.total(LISTS) == 2, "the list anew", timeout=60)
    assert bus.total(BY_NAME_ONLY) == cut and bus.metrics()[DROPS + '{issuer="kubernetes",reason="too_large"}'] == cut


def test_log_of_a_busy_editor_is_bounded(api, bus, ns):
    offset, before = bus.log.size(), sum(drops(bus).values())
    for i in range(600):
        api.annotate(ns, "chiller", allowed_pub_subjects=f"alarms.>,_INBOX.x{i}")
    until(lambda: sum(drops(bus).values()) >= before + 600, "all to be counted")
    told = [line for line in bus.log.since(offset) if line.get("serviceaccount") == "chiller" and "dropped" in line]
    assert 0 < len(told) < 250, len(told)


def test_token_is_read_again(api, bus, ns):
    lists = bus.total(LISTS)
    api.renew_service_token()  # the old one is worth nothing from now on
    api.end_watches()
    changes_arrive(bus, api, ns)
    assert bus.total(LISTS) == lists
    good, failures = api.token_file.read_text(), bus.total(API_FAILURES)
    api.token_file.write_text("stale\n")
    try:
        api.end_watches()
        # a watch that ended at once may be told first
        until(lambda: "401" in bus.readiness()["kubernetes"]["kubernetes"]["trouble"], lambda: f"a refusal: {bus.readiness()}")
        assert bus.total(API_FAILURES) > failures and bus.readiness()["kubernetes"]["kubernetes"]["status"] == "stale"
        assert can_publish(bus, api.token(ns, "chiller"), "alarms.a")
    finally:
        api.token_file.write_text(good)
    changes_arrive(bus, api, ns)


def test_ca_is_read_again(api, bus, ns):
    lists = bus.total(LISTS)
    api.rotate_ca()
    changes_arrive(bus, api, ns)
    assert bus.total(LISTS) == lists


def test_api_down(api, bus, ns):
    """The last known set stays in force and tells its age; whoever is unknown is not let in."""
    api.account(ns, "pump")
    pump = api.token(ns, "pump")
    assert can_publish(bus, pump, f"{ns}.a")
    unknown = api.claims(ns, "pump") | {"sub": f"system:serviceaccount:{ns}:never"}
    unknown["kubernetes.io"]["serviceaccount"] = {"name": "never", "uid": "8f0f5a0e-0000-4000-8000-000000000000"}
    unknown, offset = api.sign(unknown), bus.log.size()
    api.stop()
    until(lambda: not watching(bus), "it to notice")
    assert bus.http("/readyz")[0] == 200, "what is known is good enough"
    for _ in range(3):
        assert can_publish(bus, pump, f"{ns}.a")
    assert refused_for(bus, unknown) == "kubernetes_unavailable"
    until(lambda: bus.total(AGE) >= 1, "the age to show")
    assert bus.readiness()["kubernetes"]["kubernetes"]["status"] == "stale" and bus.readiness()["kubernetes"]["kubernetes"]["trouble"]
    api.start()
    changes_arrive(bus, api, ns)
    until(lambda: refused_for(bus, unknown) == "serviceaccount_unknown", "it to be asked again", every=0.2)
    assert bus.log.find(offset, msg="the Kubernetes API of issuer kubernetes is followed again")


@pytest.mark.long
def test_silent_connection_is_noticed(new_api, new_bus):
    """Connections stay open and nothing comes: after the watch's time and a margin it is given up."""
    api = new_api()
    api.account("plant", "chiller")
    bus = new_bus({"kubernetes": kubernetes(api)})
    until(lambda: api.watching and watching(bus), "the watch")
    api.silence()
    since = time.monotonic()
    api.annotate("plant", "chiller", allowed_pub_subjects="new.a")
    until(lambda: bus.total(API_FAILURES) >= 1, "the silence to be noticed", timeout=100, every=0.5)
    assert time.monotonic() - since >= 60
    api.speak()
    until(lambda: can_publish(bus, api.token("plant", "chiller"), "new.a"), "the change", timeout=60)


# --- look-ups --------------------------------------------------------------------------------------------------------------
@pytest.fixture
def blind(shared_blind, ns):
    """The API and the bus that knows `chiller` of the namespace plant, and whose look-ups are counted from here on."""
    return shared_blind


def attempts(bus, tokens):
    """All at once; how many came in. nats-py takes the first PING of a server that is still deciding for a welcome: the service's log counts."""
    offset = bus.log.size()

    def attempt(token):
        with contextlib.suppress(Refused), bus.client(token):
            pass

    threads = [threading.Thread(target=attempt, args=(t,)) for t in tokens]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    lines = until(lambda: (lambda found: found if len(found) >= len(tokens) else None)(
        [line for line in bus.log.since(offset) if line["msg"] in ("admitted", "refused")]), "all to be decided")
    return [line["reason"] for line in lines]


def test_unknown_account_is_looked_up_once_for_all(blind, ns):
    api, bus = blind
    lookups, gets = bus.total(LOOKUPS), api.count("get")
    api.account(ns, "pump", {"nats.io/allowed-pub-subjects": "pumps.>"})
    tokens = [api.token(ns, "pump") for _ in range(10)]
    api.silence()
    timer = threading.Timer(0.3, api.speak)
    timer.start()
    assert attempts(bus, tokens) == ["ok"] * 10
    timer.join()
    assert can_publish(bus, tokens[0], "pumps.a")
    assert bus.total(LOOKUPS) == lookups + 1 and api.count("get") == gets + 1


def test_annotation_with_a_nul_is_looked_up(blind, ns):
    """The item is dropped; the account keeps the rest of its rights."""
    api, bus = blind
    api.account(ns, "pump", {"nats.io/allowed-pub-subjects": "a\0b.>,pumps.>"})
    assert can_publish(bus, api.token(ns, "pump"), "pumps.a")


def test_recreated_account_is_looked_up(blind, ns):
    api, bus = blind
    api.account(ns, "pump")
    old = api.token(ns, "pump")
    assert can_publish(bus, old, f"{ns}.a")
    lookups = bus.total(LOOKUPS)
    api.delete_account(ns, "pump")
    api.account(ns, "pump")
    assert can_publish(bus, api.token(ns, "pump"), f"{ns}.a")
    for _ in range(3):
        assert refused_for(bus, old) == "serviceaccount_replaced"
    assert bus.total(LOOKUPS) - lookups in (2, 3), "what the API said is kept for seconds"


def test_account_that_is_not_there(blind, ns):
    api, bus = blind
    lookups = bus.total(LOOKUPS)
    api.account(ns, "pump")
    token = api.token(ns, "pump")
    uid = claims_of(token)["kubernetes.io"]["serviceaccount"]["uid"]
    api.delete_account(ns, "pump")
    for _ in range(3):
        assert refused_for(bus, token) == "serviceaccount_unknown"
    assert bus.total(LOOKUPS) - lookups in (1, 2)
    api.account(ns, "pump")
    api.objects[ns, "pump"]["metadata"]["uid"] = uid
    until(lambda: refused_for(bus, token) is None, "the short memory to end", every=0.3)


@pytest.mark.parametrize("code", [403, 500, "close", 200])
def test_look_up_that_fails_refuses(blind, ns, code):
    api, bus = blind
    api.account(ns, "pump")
    token = api.token(ns, "pump")
    # what may pass is asked twice; curl itself tries a second time where a connection that was there ends
    api.fail("get", code, {"close": 4, 500: 2}.get(code, 1), body=b"nonsense" if code == 200 else None)
    assert refused_for(bus, token) == "kubernetes_unavailable"
    api.faults.clear()
    api.fail("watch", 503, times=10_000)
    if code == "close":
        until(lambda: refused_for(bus, token) is None, "it to be asked again", every=0.3)


def test_one_bad_moment_refuses_nobody(blind, ns):
    api, bus = blind
    for i, code in enumerate((500, 401, 503)):
        api.account(ns, f"pump-{i}")
        api.fail("get", code)
        assert refused_for(bus, api.token(ns, f"pump-{i}")) is None


def test_busy_api_drops(blind, ns):
    """429 is overload: two refusals would make the client give up."""
    api, bus = blind
    api.account(ns, "pump")
    dropped, offset = bus.total("auth_dropped_queue_full_total"), bus.log.size()
    api.fail("get", 429, 10)
    with contextlib.suppress(Refused), bus.client(api.token(ns, "pump")):
        pass
    until(lambda: bus.total("auth_dropped_queue_full_total") > dropped, "it to be dropped")
    assert bus.log.find(offset, msg="refused") == []
    api.faults.pop("get", None)


def test_silent_look_up_holds_nobody(blind, ns):
    """The callouts wait and are refused; others get in meanwhile, and nobody's worker waits."""
    api, bus = blind
    api.account(ns, "pump")
    known, tokens, parked = api.token("plant", "chiller"), [api.token(ns, "pump") for _ in range(6)], bus.metrics()["auth_parked_total"]
    api.silence()
    try:
        found = []
        thread = threading.Thread(target=lambda: found.append(attempts(bus, tokens)))
        thread.start()
        until(lambda: bus.metrics()["auth_parked_total"] >= parked + len(tokens), "all to wait")
        for _ in range(5):
            assert can_publish(bus, known, "plant.a")
        assert bus.log.find(msg="refused", identity=f"kubernetes:{ns}/pump") == [], "they wait still"
        until(lambda: len(bus.log.find(msg="refused", reason="kubernetes_unavailable", identity=f"kubernetes:{ns}/pump")) == len(tokens), "their end")
        thread.join()
    finally:
        api.speak()


# --- TokenReview -----------------------------------------------------------------------------------------------------------
@pytest.fixture
def reviewing(shared_review, ns):
    """(api, bus) with an account `chiller` in the namespace; the bus asks for a review of each token."""
    shared_review[0].account(ns, "chiller")
    return shared_review


def test_review_knows_deleted_pods(reviewing, ns):
    api, bus = reviewing
    pod = api.pod(ns, "chiller-0", "chiller")
    bound, plain = api.token(ns, "chiller", pod=pod), api.token(ns, "chiller")
    reviews = bus.total(REVIEWS)
    for token in (bound, plain, bound, plain):
        assert refused_for(bus, token) is None
    assert bus.total(REVIEWS) - reviews in (2, 3), "an answer is kept for seconds"
    api.delete_pod(ns, pod)
    until(lambda: refused_for(bus, bound) == "token_review", "the token of the deleted pod to be refused", every=0.3)
    assert refused_for(bus, plain) is None
    assert bus.log.find(msg="the Kubernetes API does not confirm a token", namespace=ns)


@pytest.mark.parametrize("code", [403, 500, "close", "nonsense", "other", "audience", "false"])
def test_review_that_does_not_say_yes_refuses(reviewing, ns, code):
    api, bus = reviewing
    token = api.token(ns, "chiller")
    good = api.review({"spec": {"token": token, "audiences": ["nats"]}})
    user = good["status"]["user"] | {"username": f"system:serviceaccount:{ns}:pump"}
    spoilt = {"nonsense": b"[]", "other": good | {"status": good["status"] | {"user": user}},
              "audience": good | {"status": good["status"] | {"audiences": []}}, "false": good | {"status": good["status"] | {"authenticated": False}}}
    api.fail("review", 201 if code in spoilt else code, times={"close": 4, 500: 2}.get(code, 1), body=spoilt.get(code))
    assert refused_for(bus, token) == ("token_review" if code in ("other", "audience", "false") else "kubernetes_unavailable")
    api.faults.clear()
    assert refused_for(bus, api.token(ns, "chiller")) is None


def test_review_with_the_api_down(reviewing, ns):
    api, bus = reviewing
    token, other = api.token(ns, "chiller"), api.token(ns, "chiller")
    assert refused_for(bus, token) is None
    api.stop()
    assert refused_for(bus, other) == "kubernetes_unavailable"
    api.start()


def crowd(api, bus, ns, n):
    """Tokens of n ServiceAccounts, all known."""
    tokens = []
    for i in range(n):
        api.account(ns, f"one-{i}")
        tokens.append(api.token(ns, f"one-{i}"))
    until(lambda: bus.total("auth_kubernetes_serviceaccounts") >= n, "the accounts to be known")
    return tokens


def slow_reviews(api, seconds):
    review = api.review

    def slow(asked):
        time.sleep(seconds)
        return review(asked)
    api.review = slow


def test_an_answer_wakes_only_its_own(new_api, new_bus, ns):
    """Each request is looked at twice, whoever else waits: before its review, and after."""
    api = new_api()
    slow_reviews(api, 0.02)
    bus = new_bus({"kubernetes": kubernetes(api, token_review=True)})
    offset = bus.log.size()
    attempts(bus, crowd(api, bus, ns, 60))
    parked = bus.total("auth_parked_total")
    assert len(bus.log.find(offset, msg="admitted")) == 60 == bus.total(REVIEWS) and parked <= 70, f"{parked} waits"


def test_no_room_to_wait_drops(new_api, new_bus, ns):
    """What does not fit into limits.parked is dropped and comes again; a refusal would count against the client."""
    api = new_api()
    slow_reviews(api, 0.3)
    bus = new_bus({"kubernetes": kubernetes(api, token_review=True), "limits": {"parked": 4}})
    offset, sockets = bus.log.size(), []
    for token in crowd(api, bus, ns, 24):
        sockets.append(socket.create_connection((HOST, bus.port)))
        sockets[-1].sendall(b'CONNECT {"verbose":false,"auth_token":"%s"}\r\nPING\r\n' % token.encode())
    until(lambda: bus.total("auth_dropped_queue_full_total") + len(bus.log.find(offset, msg="admitted")) >= 24, "the end of all")
    assert bus.total("auth_dropped_queue_full_total") >= 8
    assert bus.log.find(offset, msg="refused") == []
    for one in sockets:
        one.close()


def test_without_room_to_wait_it_is_decided_at_once(new_api, new_bus, ns):
    """limits.parked 0: a refusal that says why, not silence until the server gives up."""
    api = new_api()
    bus = new_bus({"kubernetes": kubernetes(api), "limits": {"parked": 0}})
    api.account(ns, "gone")
    token = api.token(ns, "gone")
    assert refused_for(bus, token) is None
    api.delete_account(ns, "gone")
    soon(lambda: bus.total("auth_kubernetes_serviceaccounts") == 0, "the account to be forgotten")
    api.silence()
    assert refused_for(bus, token) == "kubernetes_unavailable"
    assert bus.total("auth_dropped_queue_full_total") == 0


# --- how the API is reached ------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("user", ["certificate", "token", "tokenFile"])
def test_kubeconfig(api, ns, new_bus, user):
    more = {"certificate": {}, "token": {"token": api.token_file.read_text().strip()}, "tokenFile": {"tokenFile": "token"}}[user]
    path = api.kubeconfig(user, **more)
    bus = new_bus({"kubernetes": kubernetes(api, api_url=None, api_ca=None, token_file=None, kubeconfig=str(path))})
    assert can_publish(bus, api.token(ns, "chiller"), "alarms.a")


def test_kubeconfig_whose_token_rotates(new_api, new_bus):
    """The key fetch shows what the file holds now, as the watch does; while it is not let in, health says so."""
    api = new_api()
    api.account("plant", "chiller")
    path = api.kubeconfig("admin", token=next(iter(api.service_tokens)))
    bus = new_bus({"kubernetes": kubernetes(api, api_url=None, api_ca=None, token_file=None, kubeconfig=str(path), refresh="1s")})
    assert can_publish(bus, api.token("plant", "chiller"), "plant.a")
    api.renew_service_token()
    keys = until(lambda: (k := bus.readiness()["keys"]["kubernetes"])["status"] == "stale" and k, "a fetch that is not let in")
    assert keys["keys"] == 1 and keys["failing_s"] >= 0 and "401" in keys["trouble"]
    assert bus.total("auth_issuer_keys_failing_seconds") >= 0
    api.kubeconfig("admin", token=next(iter(api.service_tokens)))
    api.rotate_signing_key(keep=False)
    until(lambda: refused_for(bus, api.token("plant", "chiller")) is None, "the new key", every=0.3)
    until(lambda: bus.readiness()["keys"]["kubernetes"]["status"] == "ok", "health to say so")
    assert bus.total("auth_issuer_keys_failing_seconds") == -1


def test_reload_to_another_cluster_of_the_same_issuer(new_api, new_bus):
    """The old cluster's keys and accounts must not vouch for the new one's: its tokens are refused until the restart."""
    api, second = new_api(), new_api("second")
    for cluster in (api, second):
        cluster.account("plant", "chiller")
    bus = new_bus({"kubernetes": kubernetes(api)})
    token = api.token("plant", "chiller")
    assert refused_for(bus, token) is None

    def reload(block):
        offset, config = bus.log.size(), yaml.safe_load(bus.config.read_text()) | {"kubernetes": block}
        fresh = bus.config.with_suffix(".new")
        fresh.write_text(yaml.safe_dump(config))
        fresh.replace(bus.config)
        return until(lambda: [line for line in bus.log.find(offset) if line["msg"].startswith("reload")], "a reload")[0]

    assert "kubernetes.api-url" in reload(kubernetes(second, issuer=api.issuer))["msg"]
    assert refused_for(bus, token) == "keys_unavailable"
    assert reload(kubernetes(api, subject_prefix="$JS."))["level"] == "error", "the restart would fail"
    assert refused_for(bus, token) == "keys_unavailable"
    assert reload(kubernetes(api))["msg"] == "reloaded"
    assert refused_for(bus, token) is None


@pytest.mark.parametrize("name", ["$SYS", "$G", "A B", "SYS", "a.b"])
def test_account_that_is_none(api, tmp_path, name):
    for block in ({"account": name}, {"allowed-accounts": [name]}):
        bus = Bus(tmp_path, {"kubernetes": kubernetes(api) | block})
        done = program.run("check-config", "--config", bus.config)
        assert done.returncode != 0 and next(iter(block)) in done.stderr + done.stdout


def test_in_cluster(new_api, new_bus):
    """As a pod finds it, but for the files' place."""
    api = new_api()
    api.issuer = "https://kubernetes.default.svc"
    api.account("plant", "chiller")
    env = {"K8S_IN_CLUSTER": "true", "KUBERNETES_SERVICE_HOST": api.host, "KUBERNETES_SERVICE_PORT": str(api.port), "NATS_ACCOUNT": "OTHER"}
    bus = new_bus({"kubernetes": {"api-ca": str(api.ca), "token-file": str(api.token_file)}}, env=env)
    with bus.client(api.token("plant", "chiller")) as client:
        assert bus.hears(client, "plant.a", "OTHER")


def test_start_without_a_connection_is_refused(tmp_path):
    bus = Bus(tmp_path, {"issuers": [{"name": "east", "kind": "kubernetes", "issuer": "https://east.example", "account": "APP"}]})
    done = program.run("run", "--config", bus.config)
    assert done.returncode != 0 and "issuers" in done.stderr and "in-cluster" in done.stderr and "kubeconfig" in done.stderr, done.stderr


def test_kubeconfig_that_runs_a_program_is_refused(api, tmp_path):
    path = api.kubeconfig("exec", exec={"apiVersion": "client.authentication.k8s.io/v1", "command": "aws"})
    bus = Bus(tmp_path, {"kubernetes": kubernetes(api, api_url=None, api_ca=None, token_file=None, kubeconfig=str(path))})
    for verb in ("run", "check-config"):
        done = program.run(verb, "--config", bus.config)
        assert done.returncode != 0 and "exec" in done.stderr + done.stdout and "ServiceAccount" in done.stderr + done.stdout, done.stderr


# --- size ------------------------------------------------------------------------------------------------------------------
@pytest.mark.timing
def test_ten_thousand_accounts(new_api, new_bus):
    """Resident memory by the list of 10,000, and the time that a change of one of them takes."""
    few, many = new_api("few"), new_api("many")
    few.account("plant", "chiller")
    for i in range(10_000):
        many.account(f"ns-{i % 100}", f"account-{i}", {"nats.io/allowed-pub-subjects": f"alarms.a{i}.>, orders.a{i}", "nats.io/allowed-sub-subjects": "weather.>"})
    before = new_bus({"kubernetes": kubernetes(few)})
    bus = new_bus({"kubernetes": kubernetes(many)})
    for one in (before, bus):
        until(lambda: watching(one), "the watch")  # noqa: B023
    assert bus.total("auth_kubernetes_serviceaccounts") == 10_000 and many.count("list") == 20
    for i in (0, 5000, 9999):
        token = many.token(f"ns-{i % 100}", f"account-{i}")
        assert can_publish(bus, token, f"alarms.a{i}.x")
        many.annotate(f"ns-{i % 100}", f"account-{i}", allowed_pub_subjects="changed.a")
        soon(lambda: can_publish(bus, token, "changed.a"), "the change")  # noqa: B023
    assert can_publish(before, few.token("plant", "chiller"), "plant.a")
    grown = bus.callout.rss() - before.callout.rss()
    print(f"10,000 ServiceAccounts: {grown / 2**20:.1f} MiB")
    assert grown <= 25 << 20, f"{grown / 2**20:.1f} MiB"
