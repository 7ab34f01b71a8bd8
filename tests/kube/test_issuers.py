"""Two clusters in one process, and two that call themselves by names that nobody told the service."""
from harness.tokens import claims_of
from harness.wait import until

from bus import kubernetes


def both(cluster, second):
    return {"kubernetes": kubernetes(cluster), "issuers": [
        {"name": "second", "kind": "kubernetes", **kubernetes(second, account="OTHER", audience="nats-second", subject_prefix="second.")}]}


def test_same_name_in_two_clusters(cluster, second, new_bus, ns):
    """Each gets what its own issuer grants, in its own account, and nothing of the other's."""
    bus = new_bus(both(cluster, second))
    cluster.account(ns, "chiller", {"nats.io/allowed-pub-subjects": "first.a"})
    second.account(ns, "chiller", {"nats.io/allowed-pub-subjects": "other.a"})
    with bus.client(cluster.token(ns, "chiller")) as first, bus.client(second.token(ns, "chiller", audience="nats-second")) as other:
        assert first.may_publish("first.a") and first.may_publish(f"{ns}.a") and not first.may_publish("other.a")
        assert not first.may_publish(f"second.{ns}.a")
        assert other.may_publish("other.a") and other.may_publish(f"second.{ns}.a") and not other.may_publish("first.a")
        assert not other.may_publish(f"{ns}.a")
        assert bus.hears(first, f"{ns}.a", "APP") and not bus.hears(first, f"{ns}.a", "OTHER")
        assert bus.hears(other, f"second.{ns}.a", "OTHER") and not bus.hears(other, f"second.{ns}.a", "APP")


def test_audience_and_keys_are_of_the_issuer(cluster, second, new_bus, ns):
    bus = new_bus(both(cluster, second))
    for one in (cluster, second):
        one.account(ns, "chiller")
    with bus.refused("wrong_audience"):
        bus.client(second.token(ns, "chiller", audience="nats")).connect()
    with bus.refused("wrong_audience"):
        bus.client(cluster.token(ns, "chiller", audience="nats-second")).connect()
    # the first's claims by the second's key, and the other way round
    mine, others = claims_of(cluster.token(ns, "chiller")), claims_of(second.token(ns, "chiller", audience="nats-second"))
    for forged in (second.sign(mine), cluster.sign(others), second.sign(mine, kid=cluster.keys[-1].kid)):
        try:
            with bus.client(forged):
                raise AssertionError("let in with another issuer's signature")
        except Exception as error:
            assert "authorization violation" in str(error).lower(), error


def test_account_known_to_one_cluster_only(cluster, second, new_bus, ns):
    bus = new_bus(both(cluster, second))
    second.account(ns, "chiller")
    cluster.account(ns, "chiller")
    uid = claims_of(second.token(ns, "chiller"))["kubernetes.io"]["serviceaccount"]["uid"]
    claims = claims_of(cluster.token(ns, "chiller"))
    claims["kubernetes.io"]["serviceaccount"]["uid"] = uid
    try:
        with bus.client(cluster.sign(claims)):
            raise AssertionError("let in with a uid of another cluster")
    except Exception as error:
        assert "authorization violation" in str(error).lower(), error


def test_unknown_issuer_is_refused_without_asking_anybody(cluster, second, bus, ns):
    second.account(ns, "chiller")
    cluster.account(ns, "chiller")
    names = ("auth_kubernetes_lookups_total", "auth_kubernetes_reviews_total")
    before = [bus.total(name) for name in names]
    with bus.refused("wrong_issuer"):
        bus.client(second.token(ns, "chiller")).connect()
    assert [bus.total(name) for name in names] == before


def test_one_cluster_down_is_nothing_to_the_other(cluster, new_cluster, new_bus, ns):
    third = new_cluster("third")
    bus = new_bus(both(cluster, third))
    cluster.account(ns, "chiller")
    third.account(ns, "chiller")
    tokens = cluster.token(ns, "chiller"), third.token(ns, "chiller", audience="nats-second")
    for token in tokens:
        with bus.client(token):
            pass
    third.stop()
    cluster.annotate(ns, "chiller", allowed_pub_subjects="new.a")

    def changed():
        with bus.client(tokens[0]) as client:
            return client.may_publish("new.a")
    until(changed, "the change of the cluster that is up", timeout=2)
    with bus.client(tokens[1]):
        pass
