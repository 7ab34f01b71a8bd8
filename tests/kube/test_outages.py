"""What happens to the API server: stopped, restarted, without its history, with another certificate, with other keys."""
import contextlib
import json

import pytest
from harness import certificates
from harness.natsio import Refused
from harness.proxy import Proxy
from harness.tokens import claims_of
from harness.wait import until

from bus import kubernetes
from processes import HOST, free_port
from test_changes import can_publish, is_refused, soon

RECONNECTS = 30  # seconds within which a watch is there again after an outage, back-off included


@pytest.fixture
def own(new_cluster, request):
    """A cluster of the test's own that it may break."""
    name = "own-" + "".join(c if c.isalnum() else "-" for c in request.node.name.lower())[:40].rstrip("-")
    return new_cluster(name)


def watched(bus, cluster, ns, mark):
    """Waits until changes arrive again."""
    cluster.account(ns, f"mark-{mark}", {"nats.io/allowed-pub-subjects": "a.a"})
    token = cluster.token(ns, f"mark-{mark}")
    cluster.annotate(ns, f"mark-{mark}", allowed_pub_subjects="b.b")
    until(lambda: can_publish(bus, token, "b.b"), "changes to arrive again", timeout=RECONNECTS, every=0.1)


def test_known_accounts_stay_in_force_while_the_api_server_is_down(own, new_bus):
    bus = new_bus({"kubernetes": kubernetes(own)})
    own.account("plant", "chiller", {"nats.io/allowed-pub-subjects": "alarms.>"})
    own.account("plant", "pump")
    token, later = own.token("plant", "chiller"), own.token("plant", "pump")
    assert can_publish(bus, token, "alarms.a")
    own.stop()
    for _ in range(3):
        assert can_publish(bus, token, "alarms.a") and can_publish(bus, later, "plant.a")
    age = "auth_kubernetes_age_seconds"
    until(lambda: bus.total(age) >= 1, lambda: f"{age} to rise: {bus.readiness()}")
    own.start()
    own.annotate("plant", "chiller", allowed_pub_subjects="orders.>")
    until(lambda: can_publish(bus, token, "orders.a"), "the change after the outage", timeout=RECONNECTS, every=0.1)
    watched(bus, own, "plant", "up")


def test_unknown_account_is_not_let_in_while_the_api_server_is_down(own, new_bus):
    bus = new_bus({"kubernetes": kubernetes(own)})
    own.account("plant", "chiller")
    good = own.token("plant", "chiller")
    assert not is_refused(bus, good)
    claims = claims_of(good)
    claims["kubernetes.io"]["serviceaccount"] = {"name": "never", "uid": "11111111-1111-1111-1111-111111111111"}
    claims["sub"] = "system:serviceaccount:plant:never"
    own.stop()
    assert is_refused(bus, own.sign(claims)) and not is_refused(bus, good)


def test_service_starts_before_the_api_server(own, new_bus):
    own.account("plant", "chiller")
    token = own.token("plant", "chiller")
    own.stop()
    bus = new_bus({"kubernetes": kubernetes(own)}, ready=False)
    assert bus.http("/readyz")[0] != 200
    own.start()
    until(bus.ready, "the service to be ready", timeout=RECONNECTS)
    assert can_publish(bus, token, "plant.a")


def test_restarted_api_server(own, new_bus):
    bus = new_bus({"kubernetes": kubernetes(own)})
    own.account("plant", "chiller")
    token = own.token("plant", "chiller")
    with bus.client(token) as connected:
        own.restart()
        own.annotate("plant", "chiller", allowed_pub_subjects="orders.>")
        until(lambda: can_publish(bus, token, "orders.a"), "the change after a restart", timeout=RECONNECTS, every=0.1)
        assert not connected.closed.is_set() and connected.may_publish("plant.a")
    own.annotate("plant", "chiller", allowed_pub_subjects="fast.>")
    soon(lambda: can_publish(bus, token, "fast.a"), "changes to be as quick as before")


def test_compacted_history_is_listed_anew(own, new_bus):
    """What was deleted, changed and created while the service could not watch, and whose events nobody has any more."""
    with Proxy((HOST, free_port()), (HOST, own.port)) as proxy:
        url = f"https://{HOST}:{proxy.listen[1]}"
        bus = new_bus({"kubernetes": kubernetes(own) | {"api-url": url}})
        for name in ("deleted", "changed", "recreated"):
            own.account("plant", name, {"nats.io/allowed-pub-subjects": "old.a"})
        tokens = {name: own.token("plant", name) for name in ("deleted", "changed", "recreated")}
        for token in tokens.values():
            assert can_publish(bus, token, "old.a")
        lists = bus.total("auth_kubernetes_lists_total")
        proxy.cut()
        own.delete_account("plant", "deleted")
        own.annotate("plant", "changed", allowed_pub_subjects="new.a")
        own.delete_account("plant", "recreated")
        own.account("plant", "recreated")
        for i in range(20):
            own.account("plant", f"created-{i}")
        created = own.token("plant", "created-19")
        for token in tokens.values():
            assert can_publish(bus, token, "old.a"), "the last known set stays in force"
        own.forget_history()
        proxy.heal()
        until(lambda: can_publish(bus, tokens["changed"], "new.a"), "the change", timeout=RECONNECTS, every=0.1)
        until(lambda: bus.total("auth_kubernetes_lists_total") > lists, "a whole list")
        assert [line for line in bus.log.since() if "no longer has the version" in line["msg"]], "listed anew, but not for a 410"
        assert not can_publish(bus, tokens["changed"], "old.a")
        assert is_refused(bus, tokens["deleted"]) and is_refused(bus, tokens["recreated"]) and not is_refused(bus, created)
        watched(bus, own, "plant", "relisted")


def test_another_ca_of_the_api_server(own, new_bus):
    bus = new_bus({"kubernetes": kubernetes(own)})
    own.account("plant", "chiller")
    token = own.token("plant", "chiller")
    assert not is_refused(bus, token)
    own.rotate_ca()
    own.annotate("plant", "chiller", allowed_pub_subjects="orders.>")
    until(lambda: can_publish(bus, token, "orders.a"), "the change behind another certificate", timeout=RECONNECTS, every=0.1)


def test_foreign_ca_is_not_trusted(own, new_bus, tmp_path):
    """An API server whose certificate is of nobody we know is not listened to."""
    foreign = tmp_path / "foreign.pem"
    foreign.write_text(certificates.new_ca("somebody else").pem)
    own.account("plant", "chiller")
    bus = new_bus({"kubernetes": kubernetes(own) | {"api-ca": str(foreign)}}, ready=False)
    until(lambda: bus.total("auth_kubernetes_api_failures_total") >= 1, lambda: f"a failure: {bus.readiness()}")
    assert bus.http("/readyz")[0] != 200 and is_refused(bus, own.token("plant", "chiller"))


@pytest.mark.parametrize("kind", ["rsa", "ec"])
def test_rotated_signing_key(own, new_bus, kind):
    bus = new_bus({"kubernetes": kubernetes(own)})
    own.account("plant", "chiller")
    old = own.token("plant", "chiller")
    assert not is_refused(bus, old)
    own.rotate_signing_key(kind)
    new = own.token("plant", "chiller")
    # the new kid is not known yet: the key set is fetched for it
    until(lambda: not is_refused(bus, new), "a token of the new key", timeout=RECONNECTS, every=0.2)
    assert not is_refused(bus, old)


def test_token_of_the_service_is_read_again(own, new_bus):
    """All tokens of before are worth nothing any more, that of the service too; a new one is in its file."""
    bus = new_bus({"kubernetes": kubernetes(own)})
    own.account("plant", "chiller")
    assert not is_refused(bus, own.token("plant", "chiller"))
    own.rotate_signing_key(keep=False)
    own.renew_service_token()
    new = own.token("plant", "chiller")
    until(lambda: not is_refused(bus, new), "a token of the new key", timeout=2 * RECONNECTS, every=0.2)
    watched(bus, own, "plant", "renewed")


def test_kubeconfig_with_a_client_certificate(cluster, new_bus, ns):
    cluster.account(ns, "chiller")
    keys = kubernetes(cluster, api_url=None, api_ca=None, token_file=None, kubeconfig=str(cluster.kubeconfig()))
    bus = new_bus({"kubernetes": keys})
    assert can_publish(bus, cluster.token(ns, "chiller"), f"{ns}.a")


@pytest.mark.parametrize("user", ["token", "tokenFile"])
def test_kubeconfig_with_a_token(cluster, new_bus, ns, user):
    cluster.account(ns, "chiller")
    value = str(cluster.token_file) if user == "tokenFile" else cluster.token_file.read_text().strip()
    env = {"KUBECONFIG": str(cluster.kubeconfig("service-" + user.lower(), **{user: value})), "NATS_ACCOUNT": "APP", "JWT_ISSUER": cluster.issuer,
           "JWT_AUDIENCE": "nats"}
    bus = new_bus({}, env=env)
    assert can_publish(bus, cluster.token(ns, "chiller"), f"{ns}.a")


def test_drop_in_by_environment_with_the_keys_in_a_file(cluster, new_bus, ns, tmp_path):
    jwks = tmp_path / "jwks.json"
    jwks.write_text(json.dumps(cluster.jwks()))
    cluster.account(ns, "chiller")
    env = {"KUBECONFIG": str(cluster.kubeconfig()), "NATS_ACCOUNT": "OTHER", "JWT_ISSUER": cluster.issuer, "JWKS_PATH": str(jwks)}
    bus = new_bus({"permissions": {}}, env=env)  # and no permissions document
    assert not bus.log.find(level="error")
    assert [line["path"] for line in bus.log.find(msg="the configuration has a doubtful place")] == ["permissions.file"]
    with bus.client(cluster.token(ns, "chiller")) as client:
        assert bus.hears(client, f"{ns}.a", "OTHER")


def test_rights_of_the_manifests_are_needed(own, new_bus):
    """Without its ClusterRole the service knows nobody; as soon as it has it again, it does."""
    own.take_rights()
    own.account("plant", "chiller")
    token = own.token("plant", "chiller")
    bus = new_bus({"kubernetes": kubernetes(own)}, ready=False)
    until(lambda: bus.total("auth_kubernetes_api_failures_total") >= 1, lambda: f"a failure: {bus.readiness()}")
    with contextlib.suppress(Refused), bus.client(token):
        raise AssertionError("let in without the account being known")
    own.set_up()
    until(bus.ready, "the service to be ready", timeout=RECONNECTS)
    assert can_publish(bus, token, "plant.a")
