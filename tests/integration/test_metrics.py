"""Health and metrics as an operator and Prometheus read them. After every other test the site fixture looks at the metrics as well."""
import json
import re
import urllib.request

import pytest

from harness import metrics
from harness.bus import PROMTOOL
from harness.wait import until

METHODS = {"oauth2", "mtls", "nkey", "noauth", "kubernetes"}
# A reason for each refusal that the tests know: its series must exist before it ever happens.
REASONS = {"expired", "not_yet_valid", "wrong_issuer", "wrong_audience", "unknown_kid", "alg_not_allowed", "key_type_mismatch", "bad_signature",
           "too_large", "unknown_identity", "missing_scope", "cert_untrusted", "cert_expired", "cert_purpose", "nkey_signature", "nkey_unsigned",
           "unrecognized_credentials", "noauth_off", "mqtt_client_id", "src", "leaf_refused", "conflicting_tokens", "connection_type",
           "keys_unavailable"}


@pytest.fixture(scope="module")
def fresh(run_root):
    """The metrics of a service to which nothing has happened yet."""
    from harness.site import Site
    site = Site(run_root / "fresh")
    site.up()
    yield site, site.metrics()
    site.stop()


def test_every_series_is_there_at_the_start(fresh):
    _site, now = fresh
    assert metrics.missing(now) == []
    for method in METHODS:
        assert now[f"auth_{method}_attempts_total"] == 0
        reasons = {re.search('reason="(.*)"', name)[1]: value for name, value in now.items() if name.startswith(f"auth_{method}_failures_total{{")}
        assert not REASONS - set(reasons) and set(reasons.values()) == {0}
    assert now["auth_requests_total"] == now["auth_errors_total"] == now["auth_request_duration_seconds_count"] == 0


def test_promtool_finds_nothing(fresh):
    _site, now = fresh
    assert metrics.promtool(PROMTOOL, now.text) == ""
    assert metrics.promtool(PROMTOOL, now.text + "# TYPE bad_counter counter\nbad_counter 1\n") != "", "promtool would not have noticed"


def test_on_both_ports_with_the_right_type(fresh):
    site, now = fresh
    for port in ("HEALTH", "METRICS"):
        assert set(site.metrics(port)) == set(now)
        with urllib.request.urlopen(f"http://{site.address}:{site.ports[port]}/metrics", timeout=5) as answer:
            assert answer.headers["Content-Type"].startswith("text/plain; version=0.0.4")
    assert site.http("/readyz", "METRICS")[0] == 404


def test_types_and_help(fresh):
    _site, now = fresh
    types = dict(re.findall(r"^# TYPE (\S+) (\S+)$", now.text, re.M))
    helps = dict(re.findall(r"^# HELP (\S+) (.+)$", now.text, re.M))
    assert types["auth_requests_total"] == types["auth_errors_total"] == "counter"
    assert types["auth_request_duration_seconds"] == "histogram"
    assert set(types) == set(helps)


def test_the_histogram_adds_up(fresh):
    site, before = fresh
    for _ in range(5):
        with site.decision("oauth2"), site.mqtt(site.idp.token()):
            pass
    now = site.metrics()
    assert now["auth_request_duration_seconds_count"] == before["auth_request_duration_seconds_count"] + 5
    buckets = [value for name, value in now.items() if name.startswith("auth_request_duration_seconds_bucket")]
    assert buckets == sorted(buckets) and buckets[-1] == now["auth_request_duration_seconds_count"]
    assert 0 < now["auth_request_duration_seconds_sum"] < 5


def test_counters_of_what_happened(fresh):
    site, _now = fresh
    before = site.metrics()
    with site.decision("oauth2"), site.nats(site.idp.token()):
        pass
    with site.decision("mtls"), site.mqtts():
        pass
    with site.decision("nkey"), site.nkey_client("plain"):
        pass
    with site.decision("noauth"), site.mqtt():
        pass
    now = site.metrics()
    assert now["auth_requests_total"] == before["auth_requests_total"] + 4
    assert now["auth_errors_total"] == before["auth_errors_total"]
    site.check_metrics()


def test_health(fresh):
    site, _now = fresh
    for path in ("/livez", "/healthz", "/health"):
        assert site.http(path)[0] == 200
    status, body = site.http("/readyz")
    ready = json.loads(body)
    assert status == 200 and ready["ready"] is True and ready["nats"]["links_confirmed"] >= 1 and ready["keys"]["jwks"]["keys"] == 2
    assert site.http("/")[0] == 404
    request = urllib.request.Request(f"http://{site.address}:{site.ports['HEALTH']}/readyz", data=b"x", method="POST")
    with pytest.raises(urllib.error.HTTPError) as error:
        urllib.request.urlopen(request, timeout=5)
    assert error.value.code == 405


def test_ready_tells_the_truth(fresh):
    """Without its server the service is alive, not ready, and the metric says so whether or not anybody asks /readyz."""
    site, _now = fresh
    links = site.metrics()["auth_nats_links_up"]
    assert site.metrics()["auth_ready"] == 1 and links >= 1
    site.bus("stop", "csc/nats-main")
    until(lambda: site.metrics()["auth_ready"] == 0, "auth_ready to be 0")
    assert site.http("/readyz")[0] == 503 and site.http("/livez")[0] == 200 and site.http("/healthz")[0] == 200
    assert json.loads(site.http("/readyz")[1])["nats"]["links_confirmed"] == 0
    site.bus("start", "csc/nats-main")
    until(lambda: site.metrics()["auth_ready"] == 1, "auth_ready to be 1 again", timeout=40)
    until(lambda: site.metrics()["auth_nats_links_up"] == links, "every link to be up again", timeout=40)
    with site.decision("oauth2"), site.mqtt(site.idp.token()):
        pass
    site.check_metrics()


def test_every_line_of_the_log_is_an_object(fresh):
    site, _now = fresh
    lines = site.log.text().splitlines()
    assert len(lines) > 10
    for line in map(json.loads, lines):
        assert {"ts", "level", "msg"} <= set(line)
    decision = site.log.find(msg="admitted")[0]
    assert {"method", "reason", "entry", "account", "identity", "host", "client_id", "kind", "server", "duration_us"} <= set(decision)


def test_service_discovery(fresh):
    """$SRV.PING, INFO and STATS are answered, as nats tools ask them, from the account AUTH."""
    site, _now = fresh
    with site.nats(seed=site.key("auth-watch").seed) as client:
        info = json.loads(client.request("$SRV.INFO").data)
        assert info["type"] == "io.nats.micro.v1.info_response" and info["name"] == "auth-callout"
        assert info["endpoints"][0]["subject"] == "$SYS.REQ.USER.AUTH"
        for verb, kind in (("PING", "ping"), ("INFO", "info"), ("STATS", "stats")):
            for subject in (f"$SRV.{verb}", f"$SRV.{verb}.auth-callout", f"$SRV.{verb}.auth-callout.{info['id']}"):
                answer = json.loads(client.request(subject).data)
                assert answer["type"] == f"io.nats.micro.v1.{kind}_response" and answer["id"] == info["id"]
        stats = json.loads(client.request("$SRV.STATS").data)
        assert re.match(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$", stats["started"])
        endpoint = stats["endpoints"][0]
        assert endpoint["num_requests"] == site.metrics()["auth_requests_total"] > 0 and endpoint["processing_time"] > 0
