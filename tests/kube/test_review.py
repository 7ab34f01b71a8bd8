"""kubernetes.token-review: true. The API server is asked about each token, so that those of deleted pods are refused, too."""
import pytest
from harness.wait import until

from bus import kubernetes
from test_changes import is_refused


@pytest.fixture
def reviewing(cluster, new_bus):
    return new_bus({"kubernetes": kubernetes(cluster, token_review=True)})


def test_token_of_a_deleted_pod_is_refused(cluster, reviewing, ns):
    cluster.account(ns, "chiller")
    bound = cluster.token(ns, "chiller", pod=cluster.pod(ns, "chiller-0", "chiller"))
    plain = cluster.token(ns, "chiller")
    for token in (bound, plain):
        with reviewing.client(token) as client:
            assert client.may_publish(f"{ns}.a")
    cluster.delete_pod(ns, "chiller-0")
    # an answer is kept for a few seconds
    until(lambda: is_refused(reviewing, bound), "the token of the deleted pod to be refused", timeout=30, every=0.5)
    assert not is_refused(reviewing, plain)


def test_without_review_a_deleted_pod_is_not_noticed(cluster, bus, ns):
    """What docs/kubernetes-tokens.md says of token-review: false."""
    cluster.account(ns, "chiller")
    bound = cluster.token(ns, "chiller", pod=cluster.pod(ns, "chiller-0", "chiller"))
    cluster.delete_pod(ns, "chiller-0")
    assert not is_refused(bus, bound)


def test_many_logins_are_few_reviews(cluster, reviewing, ns):
    cluster.account(ns, "chiller")
    token = cluster.token(ns, "chiller")
    before = reviewing.total("auth_kubernetes_reviews_total")
    for _ in range(20):
        with reviewing.client(token):
            pass
    assert 1 <= reviewing.total("auth_kubernetes_reviews_total") - before <= 5


def test_refused_when_it_cannot_be_asked(new_cluster, new_bus):
    own = new_cluster("review")
    bus = new_bus({"kubernetes": kubernetes(own, token_review=True)})
    own.account("plant", "chiller")
    first, second = own.token("plant", "chiller"), own.token("plant", "chiller")
    assert not is_refused(bus, first)
    own.stop()
    assert is_refused(bus, second)


def test_refused_without_the_right_to_ask(new_cluster, new_bus):
    own = new_cluster("forbidden")
    own.take_review_rights()
    bus = new_bus({"kubernetes": kubernetes(own, token_review=True)})
    own.account("plant", "chiller")
    assert is_refused(bus, own.token("plant", "chiller"))
