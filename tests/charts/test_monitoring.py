"""PrometheusRules and dashboards of the umbrella chart: what stands in monitoring/, unchanged but for what the site's document says."""
import json

import pytest
import yaml

import helm

FILES = helm.UMBRELLA / "monitoring"
SITES = {
    "csc": {"clusterType": "csc", "cpcIds": ["1"]},
    "cpc-7": {"clusterType": "cpc", "clusterId": "7", "cscEndpoint": "nats://csc.example:7422", "mqttStreams": {"maxBytes": 1234567890}},
}


def values(site, **monitoring):
    return {"global": {"eventBus": {**SITES[site], "monitoring": monitoring}}}


def plain(name):
    return yaml.safe_load((FILES / f"rules/{name}.yaml").read_text())["groups"]


def test_nothing_of_it_unless_asked_for(each_helm):
    made = helm.render(values("csc"), helm=each_helm)
    assert made.of("PrometheusRule") == [] and [n for n in made.names("ConfigMap") if "dashboard" in n] == []


@pytest.mark.parametrize("site", SITES)
def test_the_rules_are_those_of_the_files(each_helm, site):
    made = helm.render(values(site, prometheusRules={"enabled": True, "labels": {"release": "prom"}}), helm=each_helm)
    assert made.names("PrometheusRule") == ["event-bus-auth-callout", "event-bus-bus", "event-bus-certificates", "event-bus-site"]
    for name in ("auth-callout", "bus", "certificates", "site"):
        rule = made.get("PrometheusRule", f"event-bus-{name}")
        assert rule["metadata"]["labels"]["release"] == "prom"
        if name != "site":
            assert rule["spec"]["groups"] == plain(name)
    assert {path.stem for path in (FILES / "rules").glob("*.yaml")} == {"auth-callout", "bus", "certificates", "site"}


@pytest.mark.parametrize("site", SITES)
def test_the_limit_of_the_streams_is_the_documents(each_helm, site):
    made = helm.render(values(site, prometheusRules={"enabled": True}), helm=each_helm)
    (group,) = made.get("PrometheusRule", "event-bus-site")["spec"]["groups"]
    (was,) = plain("site")[0]["rules"]
    (rule,) = group["rules"]
    limit = SITES[site].get("mqttStreams", {}).get("maxBytes", 67108864)
    assert rule == {"record": was["record"], "expr": f'{limit} * group by (site) (nats_survey_expected_count{{site="{site}"}})'}


def test_the_dashboards_are_those_of_the_files(each_helm):
    made = helm.render(values("csc", dashboards={"enabled": True}), helm=each_helm)
    for name in ("authentication", "servers"):
        config = made.get("ConfigMap", f"event-bus-dashboard-{name}")
        assert config["metadata"]["labels"]["grafana_dashboard"] == "1"
        ((key, text),) = config["data"].items()
        assert key == f"{name}.json" and json.loads(text) == json.loads((FILES / f"dashboards/{name}.json").read_text())
