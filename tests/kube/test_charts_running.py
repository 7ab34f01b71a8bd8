"""What the chart of a site asks a real API server about before an upgrade: servers are not made a cluster, or a single one, under their data."""
import pytest

import charts
from charts import helm, sites

pytestmark = pytest.mark.real


def values(servers):
    bus = {"clusterType": "csc", "servers": {"replicas": servers}, "mqttStreams": {"replicas": 3 if servers > 1 else 1}}
    return sites.values_of(bus, {"surveyor": {"config": {"expectedServers": servers + 1}}})


@pytest.mark.parametrize("version, before, after", [(3, 1, 3), (4, 3, 1)])
def test_one_server_is_not_made_a_cluster_nor_a_cluster_one(cluster, ns, version, before, after):
    charts.crds(cluster)
    release = charts.Release(cluster, ns, values(before))
    release.helm(version, "install")
    release.values = values(after)
    with pytest.raises(helm.Refused, match=f"servers.replicas: {after}, and {before} runs?: nats-server does not take what one server alone stored"):
        release.helm(version, "upgrade")
    # more of a cluster is no matter
    release.values = values(max(before, after) + 2 if before > 1 else before)
    release.helm(version, "upgrade")
    # who begins anew takes the servers away first
    cluster.kubectl("delete", "statefulset", "event-bus", "-n", ns)
    release.values = values(after)
    release.helm(version, "upgrade")
