"""
Rules and dashboards against a running bus: what they name is there, every expression is answered, nothing fires while all is well, and what
is broken shows. A bus of its own; nats-surveyor, or the stand-in where it cannot be had (then the names of its metrics are those of its
source as written down in surveyor.py, and the figures those of the real servers).
"""
import json
import re

import pytest

import monitoring
from conftest import SITES
from harness import metrics
from harness.bus import PROMTOOL
from harness.wait import until

# Panels that show only what goes wrong.
EMPTY_WHILE_WELL = {"Invalid requests", "Dropped from annotations"}
# Alerts of the Kubernetes issuer, whose API server is away here.
OF_KUBERNETES = {"AuthCalloutNoTokenKeys", "AuthCalloutKubernetesStale", "AuthCalloutKeysStale"}


def test_both_scrapes_are_well_formed(bus, prometheus):
    for site in SITES:
        for port in ("METRICS", "SPARE_1"):
            text = metrics.fetch(f"http://{bus.nodes[site][0]}:{bus.ports[port]}/metrics")
            assert len(metrics.Metrics(text)) > 100, (site, port)
            if port == "METRICS":
                assert metrics.promtool(PROMTOOL, text) == ""


def test_the_surveyor_sees_main_and_mtls_servers(prometheus):
    seen = {(labels["site"], labels["server_name"]) for labels in prometheus.series("nats_core_info")}
    assert seen == {(site, f"{site}-{server}") for site in SITES for server in ("main", "mtls")}
    assert all(value == 2 for _, value in prometheus.query("nats_survey_surveyed_count"))
    assert all(value == 2 for _, value in prometheus.query("nats_survey_expected_count"))


def test_every_metric_and_label_that_is_named_exists(bus, prometheus):
    """In the raw scrape of each site; recorded ones in Prometheus."""
    raw = {site: metrics.fetch(f"http://{bus.nodes[site][0]}:{bus.ports['METRICS']}/metrics") + "\n"
           + metrics.fetch(f"http://{bus.nodes[site][0]}:{bus.ports['SPARE_1']}/metrics") for site in SITES}
    labels_of = {site: {} for site in SITES}
    for site, text in raw.items():
        for name, labels in re.findall(r"^([a-z_]\w*)(?:\{([^}]*)\})? \S+$", text, re.M):
            labels_of[site].setdefault(name, {"site", "instance", "job"}).update(re.findall(r"(\w+)=", labels))
    checked = 0
    for where, expression in monitoring.expressions():
        named, grouped = monitoring.named(expression)
        assert named, f"{where}: no metric found in {expression}"
        if set(named) <= set(monitoring.OF_OTHERS):
            continue
        reached = set()
        for metric, matched in named.items():
            for site in SITES:
                if metric.startswith("eventbus:"):
                    have = {label for labels in prometheus.series(metric) for label in labels}
                    assert have, f"{where}: {metric} is recorded nowhere"
                else:
                    have = labels_of[site].get(metric)
                    assert have, f"{where}: no {metric} at {site}"
                assert matched <= have, f"{where}: {metric} has no label {matched - have}"
                reached |= have
            checked += 1
        assert grouped <= reached, f"{where}: nothing has the label {grouped - reached}"
    assert checked > 100


def test_a_wrong_name_would_be_noticed():
    named, grouped = monitoring.named('sum by (site, reson) (rate(auth_request_total{site=~"csc", kind="x"}[5m])) / on (site) auth_ready')
    assert named == {"auth_request_total": {"site", "kind"}, "auth_ready": set()} and grouped == {"site", "reson"}
    assert monitoring.named('x{reason="keys_unavailable", stream=~"auth_.+"}') == ({}, set())


@pytest.mark.parametrize("name, panel", monitoring.panels(), ids=lambda v: v["title"] if isinstance(v, dict) else v)
def test_every_panel_shows_something(prometheus, name, panel):
    for chosen in (".+", "csc"):
        answers = [prometheus.query(monitoring.filled(target["expr"], chosen)) for target in panel["targets"]]
        rows = [row for answer in answers for row in answer]
        assert rows or panel["title"] in EMPTY_WHILE_WELL, f"{name}: {panel['title']} shows nothing"
        assert {labels.get("site", "csc") for labels, _ in rows} <= ({"csc"} if chosen == "csc" else set(SITES))
        for target, answer in zip(panel["targets"], answers):
            for label in re.findall(r"{{(\w+)}}", target["legendFormat"]):
                assert all(label in labels or label == "site" for labels, _ in answer), f"{name}: {panel['title']}: no {label} for the legend"


def test_the_variables_offer_the_sites(prometheus):
    for board in monitoring.dashboards().values():
        for variable in board["templating"]["list"]:
            if variable["type"] == "query":
                metric, label = re.fullmatch(r"label_values\((\w+), (\w+)\)", variable["query"]["query"]).groups()
                assert set(prometheus.get(f"label/{label}/values", **{"match[]": metric})) == set(SITES)


def test_the_loaded_rules_are_all_healthy(prometheus):
    loaded = until(lambda: (rules := prometheus.rules()) and all(rule["health"] != "unknown" for rule in rules) and rules, "rules are evaluated")
    assert len(loaded) == len(monitoring.rules())
    assert [rule["name"] for rule in loaded if rule["health"] != "ok"] == []
    for record in monitoring.records():
        assert prometheus.query(record), f"{record} is recorded nowhere"


def test_nothing_fires_while_all_is_well(prometheus):
    found = {(name, site) for name, site, _ in prometheus.alerts() if name not in OF_KUBERNETES}
    # the refusals that the clients provoke are a third of some methods: they wait for their ten minutes
    assert {name for name, _ in found} <= {"AuthCalloutRefusals"}, found


def broken_permissions(bus):
    path = bus.run_dir / "csc/conf/permissions.yaml"
    good = path.read_text()
    (path.parent / "new").write_text("oauth2: {broken: {acount: CSC}}\n")
    (path.parent / "new").rename(path)

    def mend():
        (path.parent / "new").write_text(good)
        (path.parent / "new").rename(path)
    return mend


def stopped(*names):
    def stop(bus):
        for name in names:
            bus("stop", name)
        return lambda: [bus("start", name) for name in names]
    stop.__name__ = " ".join(names)
    return stop


# What is broken, and the alerts that wait or fire then, each with its site. Restarted servers come last.
FAULTS = [
    (broken_permissions, {("AuthCalloutChangeRefused", "csc")}),
    (stopped("csc/surveyor"), {("EventBusUnobserved", "csc")}),
    (stopped("cpc-1/auth-callout"), {("AuthCalloutMissing", "cpc-1")}),
    (stopped("cpc-1/nats-mtls"), {("EventBusServersMissing", "cpc-1"), ("EventBusLeafConnectionsFewer", "cpc-1")}),
    (stopped("csc/nats-main"), {("AuthCalloutNotReady", "csc"), ("EventBusLinkToCscDown", "cpc-1"), ("EventBusUnobserved", "csc")}),
]


@pytest.mark.parametrize("fault, expected", FAULTS, ids=lambda v: getattr(v, "__name__", None))
def test_what_is_broken_shows(bus, prometheus, fault, expected):
    def now():
        return {(name, site) for name, site, _ in prometheus.alerts()}
    assert not expected & now(), "there before"
    mend = fault(bus)
    try:
        until(lambda: expected <= now(), lambda: f"wanted {expected}, have {now()}", timeout=40, every=0.3)
    finally:
        mend()
    gone = {(name, site) for name, site in expected if name != "AuthCalloutChangeRefused"}  # counts for ten minutes
    until(lambda: not gone & now(), lambda: f"still {gone & now()}", timeout=40, every=0.3)


def test_no_secret_in_a_scrape(bus, prometheus):
    texts = [metrics.fetch(f"http://{bus.nodes[site][0]}:{bus.ports[port]}/metrics") for site in SITES for port in ("METRICS", "SPARE_1")]
    seeds = [path.read_text().split()[0] for path in (bus.run_dir / "secrets").rglob("*seed")]
    assert seeds and not [seed[:3] for seed in seeds for text in texts if seed in text]
    assert json.dumps(texts).count("eyJ") == 0
