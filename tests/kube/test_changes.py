"""ServiceAccounts that change while their clients are connected: what a new login gets, and from when on."""
import time

import pytest
from harness.natsio import Refused
from harness.wait import SLOW, until

from bus import kubernetes

# From a change's acknowledgement by the API server to the first login that has it.
IN_FORCE = 1.0 * SLOW


def soon(condition, what):
    """Asserts that condition() holds within the time that a change may take."""
    since = time.monotonic()
    until(condition, what, timeout=IN_FORCE, every=0)
    return time.monotonic() - since


def can_publish(bus, token, subject):
    with bus.client(token) as client:
        return client.may_publish(subject)


def is_refused(bus, token):
    try:
        with bus.client(token):
            return False
    except Refused:
        return True


def test_annotation_is_in_force_at_the_next_login(cluster, bus, ns):
    cluster.account(ns, "chiller")
    token = cluster.token(ns, "chiller")
    with bus.client(token) as connected:
        assert not connected.may_publish("alarms.a")
        cluster.annotate(ns, "chiller", allowed_pub_subjects="alarms.>")
        soon(lambda: can_publish(bus, token, "alarms.a"), "a login with the new subject")
        # the connection that was there keeps what it was given
        assert not connected.closed.is_set() and not connected.may_publish("alarms.a") and connected.may_publish(f"{ns}.a")
    cluster.annotate(ns, "chiller", allowed_pub_subjects="orders.>")
    soon(lambda: can_publish(bus, token, "orders.a") and not can_publish(bus, token, "alarms.a"), "a login with the next")
    cluster.annotate(ns, "chiller", allowed_pub_subjects=None)
    soon(lambda: not can_publish(bus, token, "orders.a"), "a login without it")


def test_many_changes_in_a_row_end_with_the_last(cluster, bus, ns):
    cluster.account(ns, "chiller")
    token = cluster.token(ns, "chiller")
    for i in range(60):
        cluster.annotate(ns, "chiller", allowed_pub_subjects=f"step.s{i}")
    soon(lambda: can_publish(bus, token, "step.s59"), "the last of sixty changes")
    assert not can_publish(bus, token, "step.s58")


def test_new_account_connects_at_once(cluster, bus, ns):
    for i in range(10):
        cluster.account(ns, f"new-{i}", {"nats.io/allowed-pub-subjects": f"fresh.f{i}"})
        assert can_publish(bus, cluster.token(ns, f"new-{i}"), f"fresh.f{i}")


def test_deleted_account_is_refused(cluster, bus, ns):
    cluster.account(ns, "chiller")
    token = cluster.token(ns, "chiller")
    assert not is_refused(bus, token)
    cluster.delete_account(ns, "chiller")
    soon(lambda: is_refused(bus, token), "the token of a deleted account to be refused")
    assert is_refused(bus, token)


def test_recreated_account_refuses_the_old_token(cluster, bus, ns):
    cluster.account(ns, "chiller", {"nats.io/allowed-pub-subjects": "old.a"})
    old = cluster.token(ns, "chiller")
    assert not is_refused(bus, old)
    cluster.delete_account(ns, "chiller")
    cluster.account(ns, "chiller", {"nats.io/allowed-pub-subjects": "new.a"})
    new = cluster.token(ns, "chiller")
    # the new one never needs to wait, since an account of another uid is looked up
    assert can_publish(bus, new, "new.a") and not can_publish(bus, new, "old.a")
    soon(lambda: is_refused(bus, old), "the token of the former account to be refused")
    for _ in range(3):
        assert is_refused(bus, old) and not is_refused(bus, new)


def test_account_by_annotation(cluster, new_bus, ns):
    """nats.io/account chooses among the accounts that are allowed; another one refuses."""
    bus = new_bus({"kubernetes": kubernetes(cluster, allowed_accounts=["APP", "OTHER"]), "allowed-accounts": ["APP", "OTHER", "THIRD"]})
    cluster.account(ns, "chiller", {"nats.io/account": "OTHER"})
    token = cluster.token(ns, "chiller")
    with bus.client(token) as client:
        assert bus.hears(client, f"{ns}.a", "OTHER") and not bus.hears(client, f"{ns}.a", "APP")
    for account in ("THIRD", "SYS", "AUTH", ""):
        cluster.annotate(ns, "chiller", account=account)
        soon(lambda: is_refused(bus, token), f"account {account!r} to be refused")
    cluster.annotate(ns, "chiller", account=None)
    soon(lambda: not is_refused(bus, token), "the default account again")
    with bus.client(token) as client:
        assert bus.hears(client, f"{ns}.a", "APP")


def test_annotation_of_an_account_is_not_taken_unless_allowed(cluster, bus, ns):
    cluster.account(ns, "chiller", {"nats.io/account": "OTHER"})
    with bus.refused("account_not_allowed"):
        bus.client(cluster.token(ns, "chiller")).connect()


@pytest.mark.parametrize("keys, publishes, not_publishes", [
    ({"subject-prefix": "k8s."}, "k8s.{}.a", "{}.a"),
    ({"allow-root-wildcards": True}, "anything.at.all", None),
    ({"allow-jetstream": True}, "$JS.API.STREAM.INFO.x", "anything.at.all"),
], ids=["prefix", "root-wildcards", "jetstream"])
def test_settings_of_grants(cluster, new_bus, ns, keys, publishes, not_publishes):
    bus = new_bus({"kubernetes": kubernetes(cluster, **keys)})
    cluster.account(ns, "chiller", {"nats.io/allowed-pub-subjects": ">, $JS.API.STREAM.INFO.*"})
    with bus.client(cluster.token(ns, "chiller")) as client:
        assert client.may_publish(publishes.format(ns))
        assert not_publishes is None or not client.may_publish(not_publishes.format(ns))


def test_reserved_namespaces(cluster, new_bus, ns):
    bus = new_bus({"kubernetes": kubernetes(cluster, reserved_namespaces=[ns])})
    cluster.account(ns, "chiller", {"nats.io/allowed-pub-subjects": "extra.a"})
    with bus.client(cluster.token(ns, "chiller")) as client:
        assert client.may_publish("extra.a") and not client.may_publish(f"{ns}.a") and not client.may_subscribe(f"{ns}.>")
