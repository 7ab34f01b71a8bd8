"""
The umbrella chart and a real API server with the definitions of NACK, Gateway API, the Prometheus operator and cert-manager: what Helm 3 and 4 send is
taken without a warning, stays as it is, changes where values change, and its pods are within Pod Security's restricted profile.
"""
import copy
import json

import pytest
import yaml

import charts
from charts import helm
from node import Node
from real import ApiError

pytestmark = pytest.mark.real
TLS = {part: f"/etc/nats-certs/leaf/{file}" for part, file in (("ca", "ca.crt"), ("cert", "tls.crt"), ("key", "tls.key"))}
EVERYTHING = {
    "global": {"eventBus": {
        "crossLayer": {"cscExports": ["broadcast.>"], "cscPrefixedExports": ["command.>"], "cpcExports": ["sensor.>"]},
        "extraAccounts": {"LaunchLayer": {"enabled": True, "jetstream": True}},
        "mqttStreams": {"maxBytes": 67108864, "maxAge": "3h"},
        "streamsWatch": {"replicas": 2},
        "networkPolicy": {"monitoringFrom": [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "monitoring"}}}]},
        "gateway": {"routes": {"mqtt": {"enabled": True}, "natsClient": {"enabled": True}, "mqttMtls": {"enabled": True, "hostnames": ["mqtt.example.net"]}}},
        "monitoring": {"serviceMonitors": {"enabled": True}, "prometheusRules": {"enabled": True}, "dashboards": {"enabled": True}}}},
    "nats": {"natsBox": {"enabled": True}, "promExporter": {"enabled": True}},
    "surveyor": {"config": {"expectedServers": 4}},
    "auth-callout": {
        "serviceConfig": {"jwks": {"url": "https://idp.example/keys"}, "kubernetes": {
            "issuer": "https://kubernetes.default.svc", "audience": "nats", "account": "LaunchLayer",
            "reserved-namespaces": ["cpc", "broadcast", "command", "sensor"]}},
        "kubernetesTokens": {"enabled": True},
        "autoscaling": {"enabled": True}, "podDisruptionBudget": {"enabled": True}, "networkPolicy": {"enabled": True}}}


def device(account):
    return {"permissions": {"mtls": {"bms": {"identity": "CN=bms", "account": account, "permissions": {"pub": {"allow": ["hall.>"]}}}}}}


SITES = {
    "csc": helm.deep(EVERYTHING, {"global": {"eventBus": {"clusterType": "csc", "auth": device("CSC"), "cpcIds": ["1", "2"], "cscLeafServerTLS": TLS, "gateway": {
        "routes": {"natsLeafnode": {"enabled": True}}}}}}),
    "cpc-1": helm.deep(EVERYTHING, {"global": {"eventBus": {"clusterType": "cpc", "auth": device("CPC"), "clusterId": "1", "cscEndpoint": "tls://leaf.example.net:7422",
                                                           "cpcLeafClientTLS": TLS}}}),
}


@pytest.fixture(scope="module")
def with_crds(cluster):
    charts.crds(cluster)
    return cluster


@pytest.fixture(params=[(site, version) for site in SITES for version in helm.HELMS], ids=lambda p: f"{p[0]}-helm{p[1]}")
def release(request, with_crds, ns):
    site, version = request.param
    made = charts.Release(with_crds, ns, SITES[site])
    made.version = version
    return made


def versions(release):
    return {name: o["metadata"]["resourceVersion"] for name, o in release.objects().items()}


def test_install_and_upgrade(release):
    release.helm(release.version, "install")
    before = versions(release)
    assert {name.split("/")[0] for name in before} >= {"Stream", "TCPRoute", "TLSRoute", "ServiceMonitor", "PodMonitor", "NetworkPolicy", "StatefulSet",
                                                       "Deployment", "HorizontalPodAutoscaler", "PodDisruptionBudget", "ClusterRole"}
    release.helm(release.version, "upgrade")
    assert versions(release) == before, "an upgrade with nothing changed changes something"
