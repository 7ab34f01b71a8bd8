"""
The umbrella chart at work: what the API server holds of a release, run as a node would run it (node.py), with the real controller of NACK, which
makes the streams that MQTT waits for.
"""
import shutil
import tempfile
from pathlib import Path

import pytest
from harness.bus import free_addresses

import charts
from charts import sites
from harness.mqtt import Closed, Refused
from harness.wait import until

pytestmark = pytest.mark.real
LISTS = {"crossLayer": {"cscExports": ["broadcast.>"], "cscPrefixedExports": ["command.>"], "cpcExports": ["sensor.>"]}}
NAMES = {"XL_RETAINED", "$MQTT_msgs", "$MQTT_rmsgs", "$MQTT_qos2in"}
AS_SPECIFIED = dict.fromkeys(NAMES, "ok")


def document(**bus):
    """One server, no more JetStream than a test needs, anonymous clients."""
    account = "CSC" if bus["clusterType"] == "csc" else "CPC"
    return {**bus, **LISTS, "mqttStreams": {"maxBytes": 1048576, "replicas": 1},
            "servers": {"replicas": 1, "jetstream": {"maxMemory": 16777216, "maxFile": 67108864}},
            "auth": {"permissions": {"noauth": {"account": account}}}}


@pytest.fixture(scope="module")
def tree(tmp_path_factory):
    return sites.Tree(tmp_path_factory.mktemp("tree") / "secrets", {"csc": {"cpcIds": ["1"]}})


@pytest.fixture(scope="module")
def with_crds(cluster):
    charts.crds(cluster)
    return cluster


@pytest.fixture(scope="module")
def pods():
    """A folder that the users of pods can reach."""
    made = Path(tempfile.mkdtemp(prefix="eb-pods-"))
    made.chmod(0o755)
    yield made
    shutil.rmtree(made)


@pytest.fixture(scope="module")
def csc(with_crds, tree, pods):
    addresses, _ = free_addresses(2)
    site = charts.Site(with_crds, pods, tree, document(clusterType="csc", cpcIds=["1"]), addresses).install()
    yield site
    site.end()


def test_mqtt_opens_when_nack_made_the_streams(csc):
    csc.start("main", "mtls", "callout", "watch")
    with pytest.raises((Refused, Closed)), csc.mqtt():
        pass
    csc.start("nack")
    until(csc.all_ready, lambda: f"{csc.conditions()}\n{csc.pod('nack').text()[-3000:]}", timeout=60)
    assert csc.states() == AS_SPECIFIED
    until(csc.admits, lambda: f"MQTT to open: {csc.gate()}", timeout=30)
