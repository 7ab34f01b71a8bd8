"""The CSC as a cluster of three: any one of its servers may die under load, and nothing that was acknowledged is lost."""
import json
import time

import nats.errors
import pytest

from federation.load import ALL, ONE, UP, Flow, Load
from federation.sites import ThreeSites
from harness.natsio import Refused
from harness.wait import PATIENCE, until

NODES = (1, 2, 3)
IN_CSC = Flow("inside", "csc", "main", "cpc/9/sensor/load/x", 1, {"csc": "cpc/9/sensor/load/x"})


@pytest.fixture(scope="module")
def cluster(run_root):
    found = ThreeSites(run_root / "cluster", sites=("csc", "cpc-1", "cpc-2"), replicas=3, callout_timeout=3)
    yield found.up()
    found.end()


def leader(sites, stream="$MQTT_msgs"):
    """The node, from 1, that leads a stream; 0 while there is none."""
    for node in range(len(NODES)):
        try:
            with sites.js("csc", node) as client:
                info = json.loads(client.request(f"$JS.API.STREAM.INFO.{stream}", b"", 2).data)
        except (Refused, TimeoutError, nats.errors.Error):
            continue
        return int(((info.get("cluster") or {}).get("leader") or "0").rpartition("-")[2])
    return 0


def kill_one(cluster, node, record):
    addresses = [(address, cluster.bus.ports["MQTT"]) for address in cluster.csc.nodes]
    with Load(cluster, (UP, ALL, ONE, IN_CSC), 50, listen=("main", "mtls"), also={"csc": addresses[1:]}) as load:
        cluster.kill(f"csc/nats-main-{node}")
        until(lambda: leader(cluster) not in (0, node), "another leader", timeout=4 * PATIENCE, every=0.3)
        load.flowing(timeout=6 * PATIENCE)
        time.sleep(1)
        cluster.start(f"csc/nats-main-{node}")
        load.flowing(timeout=6 * PATIENCE)
        verdict = load.judge(timeout=4 * PATIENCE).clean()
        record(f"node {node}", {"acknowledged": {f: len(k) for f, k in verdict.acked.items()}, "repeats": verdict.repeats})
        print(f"node {node} killed: acknowledged {({f: len(k) for f, k in verdict.acked.items()})}, repeats {verdict.repeats}")
    cluster.healthy()


@pytest.mark.timeout(240)
def test_the_leader_is_killed(cluster, record_property):
    kill_one(cluster, until(lambda: leader(cluster), "a leader"), record_property)


@pytest.mark.long
@pytest.mark.timeout(300)
@pytest.mark.parametrize("node", NODES)
def test_any_one_is_killed(cluster, record_property, node):
    kill_one(cluster, node, record_property)


@pytest.mark.long
@pytest.mark.timeout(300)
def test_all_are_restarted_one_by_one(cluster, record_property):
    for node in NODES:
        kill_one(cluster, node, record_property)
