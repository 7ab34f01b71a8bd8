"""Ten thousand ServiceAccounts: memory, and the time until a change is in force."""
import concurrent.futures
import time

import pytest
from harness.wait import SLOW, until

from api import SERVICE_ACCOUNTS, Api
from bus import kubernetes
from processes import HOST
from test_changes import can_publish, soon

ACCOUNTS, NAMESPACES = 10_000, 100
MEMORY = 25 << 20  # bytes that they may take

pytestmark = [pytest.mark.long, pytest.mark.timing, pytest.mark.timeout(900)]


def create(cluster, first, step):
    api = Api(HOST, cluster.port, cluster.ca, *cluster.admin)
    for i in range(first, ACCOUNTS, step):
        api("POST", SERVICE_ACCOUNTS.format(f"many-{i % NAMESPACES}"), {"metadata": {
            "name": f"account-{i}", "annotations": {"nats.io/allowed-pub-subjects": f"alarms.a{i}.>, orders.a{i}", "nats.io/allowed-sub-subjects": "weather.>"}}})
    api.close()


@pytest.mark.real
def test_ten_thousand_serviceaccounts(new_cluster, new_bus, capsys):
    own = new_cluster("many")
    few = new_bus({"kubernetes": kubernetes(own)})
    for i in range(NAMESPACES):
        own.namespace(f"many-{i}")
    own.account("plant", "chiller")
    warm = own.token("plant", "chiller")
    for _ in range(20):
        assert can_publish(few, warm, "plant.a")
    before = few.callout.rss()

    since = time.monotonic()
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        for done in [pool.submit(create, own, n, 8) for n in range(8)]:
            done.result()
    created = time.monotonic() - since
    until(lambda: few.total("auth_kubernetes_serviceaccounts") >= ACCOUNTS, lambda: f"all to be known: {few.readiness()}", timeout=5 * SLOW)
    known = time.monotonic() - since - created
    watched = few.callout.rss() - before

    # one that starts when they are all there already
    since = time.monotonic()
    late = new_bus({"kubernetes": kubernetes(own)})
    listed = time.monotonic() - since
    until(lambda: late.total("auth_kubernetes_serviceaccounts") >= ACCOUNTS, "all to be known")
    whole = late.callout.rss()

    times = []
    for bus in (few, late):
        for i in (0, 4999, 9999):
            name, namespace = f"account-{i}", f"many-{i % NAMESPACES}"
            token = own.token(namespace, name)
            assert can_publish(bus, token, f"alarms.a{i}.x")
            subject = f"changed.{bus.port}.a{i}"
            own.annotate(namespace, name, allowed_pub_subjects=subject)
            times.append(soon(lambda: can_publish(bus, token, subject), "the change"))  # noqa: B023
            own.annotate(namespace, name, allowed_pub_subjects=f"alarms.a{i}.>")
    with capsys.disabled():
        print(f"\n{ACCOUNTS} ServiceAccounts: created in {created:.1f} s, known {known:.1f} s after, {watched / 2**20:.1f} MiB more by watching; a start with "
              f"them ready in {listed:.1f} s at {whole / 2**20:.1f} MiB (from {before / 2**20:.1f}); changes in force in at most {max(times) * 1000:.0f} ms")
    assert watched <= MEMORY and whole - before <= MEMORY
