"""A span a callout at a collector of traces: what it says and what never, and that no collector, however it behaves, makes a client wait."""
import math
import socket
import subprocess
import time
import uuid

import pytest

from harness import certificates, secrets
from harness.bus import AUTH_CALLOUT
from harness.callout import Asker
from harness.collector import Collector, partial
from harness.mqtt import NOT_AUTHORISED, Refused
from harness.program import Configured
from harness.site import Site
from harness.wait import SLOW, until
from opentelemetry.proto.trace.v1 import trace_pb2

API_KEY = "k-0b1f53e2a7c94d68"
RENEWED = "k-77aa09f1c3e84b52"


class Traced:
    """A site whose callouts are traced to a collector of its own."""

    def __init__(self, root, scheme="http", settings="", otlp="", down=False, address=None):
        root.mkdir(parents=True)
        self.extra, self.headers = root / "tracing.yaml", root / "keys/headers"
        self.headers.parent.mkdir()
        self.site = Site(root / "site", callout_extra=self.extra)
        self.tls = self._certificates(root / "tls") if scheme == "https" else None
        self.collector = Collector(address or self.site.address, self.site.ports["SPARE_1"], self.tls and self.tls["server"])
        self.write_headers(API_KEY)
        ways = "".join(f"      {key}: \"{value}\"\n" for key, value in (self.tls or {"client": {}})["client"].items())
        self.extra.write_text(f"observability:\n  tracing:\n{settings}    otlp:\n      endpoint: \"{self.collector.url}/\"\n"
                              f"      headers-file: \"{self.headers}\"\n{ways}{otlp}")
        if not down:
            self.collector.start()
        self.site.up()
        self.asker = None

    def _certificates(self, folder):
        folder.mkdir()  # one of its own: what lies below a folder that the sandbox allows is allowed, too
        ca = certificates.new_ca("the CA of the collector")
        (folder / "collector-ca.pem").write_text(ca.pem)
        server = ca.issue("collector", usage=(certificates.SERVER,), names=[certificates.ip(self.site.address)]).write(folder, "collector")
        cert, key = ca.issue("auth-callout").write(folder, "exporter")
        return {"server": (*server, folder / "collector-ca.pem"),
                "client": {"tls.ca": folder / "collector-ca.pem", "tls.cert": cert, "tls.key": key}}

    def write_headers(self, key):
        secrets.note(key, "the key for the collector")
        new = self.headers.with_suffix(".new")
        new.write_text(f"x-api-key={key}\nAuthorization=Basic%20{key}\n")
        new.rename(self.headers)

    def asks(self, n=1):
        """n callouts of anonymous clients, each answered; returns how long the slowest took."""
        self.asker = self.asker or Asker(self.site)
        slowest = 0
        for _ in range(n):
            begun = time.monotonic()
            assert self.asker.ask().error is None
            slowest = max(slowest, time.monotonic() - begun)
        return slowest

    def counted(self, result):
        return self.site.metrics()[f'auth_trace_spans_total{{result="{result}"}}']

    def stop(self):
        if self.asker:
            self.asker.close()
        text = self.collector.text()
        self.site.stop()
        self.collector.stop()
        assert not secrets.found_in(text), secrets.found_in(text)


@pytest.fixture(scope="module")
def traced(run_root):
    """https to a collector with a CA of its own that wants client certificates."""
    found = Traced(run_root / "traced", "https",
                   settings="    service-name: auth of csc\n    resource-attributes: [deployment.environment.name=test, \"k8s.pod.name=a%2Cb\", "
                            "service.name=nobody, host.name=box-1]\n")
    yield found
    found.stop()


@pytest.fixture
def new_traced(run_root):
    made = []

    def start(*args, **how):
        made.append(Traced(run_root / f"traced-{len(list(run_root.iterdir()))}", *args, **how))
        return made[-1]

    yield start
    for found in made:
        found.stop()


# --- what a span says ------------------------------------------------------------------------------------------------------------------

def refused_mqtt(site, **how):
    with pytest.raises(Refused) as error:
        site.mqtt(**how).connect()
    assert error.value.args[0] == NOT_AUTHORISED


def admitted(client):
    with client:
        pass


# what is tried; method, verdict, reason, kind of connection, entry
ATTEMPTS = {
    "token": (lambda site: admitted(site.mqtt(site.idp.token())), ("oauth2", "allowed", "ok", "mqtt", "mqtt-client")),
    "token by NATS": (lambda site: admitted(site.nats(site.idp.token())), ("oauth2", "allowed", "ok", "nats", "mqtt-client")),
    "certificate": (lambda site: admitted(site.mqtts()), ("mtls", "allowed", "ok", "mqtt", None)),
    "nkey": (lambda site: admitted(site.nkey_client("plain")), ("nkey", "allowed", "ok", "nats", "t-plain")),
    "nobody": (lambda site: admitted(site.mqtt()), ("noauth", "allowed", "ok", "mqtt", None)),
    "other account": (lambda site: admitted(site.nkey_client("other-account")), ("nkey", "allowed", "ok", "nats", "t-other-account")),
    "expired": (lambda site: refused_mqtt(site, token=site.idp.token(exp="now-10")), ("oauth2", "denied", "expired", "mqtt", None)),
    "unknown key": (lambda site: refused_mqtt(site, token=site.idp.token(header={"kid": "nobody's"})),
                    ("oauth2", "denied", "unknown_kid", "mqtt", None)),
    "wrong network": (lambda site: refused_mqtt(site, token=site.idp.token(azp="src-outside")), ("oauth2", "denied", "src", "mqtt", "src-outside")),
    "password": (lambda site: refused_mqtt(site, user="somebody", password=secrets.note("no token at all", "a password")),
                 ("noauth", "denied", "unrecognized_credentials", "mqtt", None)),
}


@pytest.mark.parametrize("case", ATTEMPTS)
def test_a_decision(traced, case):
    """One span, which says what the log line says; the log line names it."""
    attempt, (method, verdict, reason, kind, entry) = ATTEMPTS[case]
    before, offset, wall = len(traced.collector.kept()), traced.site.log.size(), time.time_ns()
    attempt(traced.site)
    line = until(lambda: next((line for line in traced.site.log.since(offset) if "method" in line), None), "the decision in the log")
    found = traced.collector.spans(before + 1)
    (it,) = [one for one in found if one.span.trace_id.hex() == line["trace_id"]]
    span, has = it.span, it.attributes
    assert len(found) == before + 1

    assert (span.name, span.kind, span.parent_span_id, span.trace_state) == (f"auth_callout {method}", trace_pb2.Span.SPAN_KIND_SERVER, b"", "")
    assert not span.events and not span.links and span.flags == 1
    took_us = (span.end_time_unix_nano - span.start_time_unix_nano) / 1000
    assert wall <= span.start_time_unix_nano <= span.end_time_unix_nano <= time.time_ns()
    assert line["duration_us"] <= took_us + 1
    assert 0 <= has["auth_callout.queue_wait_us"] <= took_us
    parked = has.pop("auth_callout.parked")
    assert isinstance(parked, bool) and parked == (reason == "unknown_kid"), "whether it waited for the provider's keys"

    assert has.pop("auth_callout.server.id").startswith("N") and has.pop("auth_callout.queue_wait_us") >= 0
    expected = {"auth_callout.method": method, "auth_callout.verdict": verdict, "auth_callout.reason": reason, "auth_callout.client.kind": kind,
                "auth_callout.client.id": line["client_id"], "client.address": line["host"], "auth_callout.server.name": line["server"]}
    if "entry" in line:
        expected |= {"auth_callout.entry": line["entry"], "auth_callout.account": line["account"]}
    assert has == expected
    assert (line["method"], line["reason"], line["kind"]) == (method, reason, kind) and (entry is None or line["entry"] == entry)
    assert span.status.code == trace_pb2.Status.STATUS_CODE_UNSET and not span.status.message, "a refusal is no error of the service"


def test_the_resource(traced):
    traced.asks()
    one = traced.collector.spans()[0]
    assert uuid.UUID(one.resource.pop("service.instance.id")).version == 4
    version = subprocess.run([*AUTH_CALLOUT.split(), "--version"], capture_output=True, text=True, check=True).stdout.split()[-1]
    assert one.resource == {"service.name": "auth of csc", "service.version": version, "host.name": "box-1",
                            "deployment.environment.name": "test", "k8s.pod.name": "a,b"}
    assert (one.scope.name, one.scope.version) == ("auth-callout", version)


def test_the_way_there(traced):
    """The path is put behind the base, the headers of the file come, and a renewed one with the next request."""
    traced.asks()
    traced.collector.spans()
    request = traced.collector.seen()[0]
    assert request.path == "/v1/traces" and request.headers["x-api-key"] == API_KEY and request.headers["Authorization"] == f"Basic {API_KEY}"
    assert "Expect" not in request.headers
    traced.write_headers(RENEWED)
    before = len(traced.collector.seen())
    traced.asks()
    until(lambda: len(traced.collector.seen()) > before, "another request")
    assert traced.collector.seen()[-1].headers["x-api-key"] == RENEWED
    traced.write_headers(API_KEY)


def test_a_request_that_is_none(traced):
    """Dropped, unanswered: an error, with as much as is known."""
    traced.asks()
    before = len(traced.collector.kept())
    with traced.site.invalid_request("request_malformed") as found:
        traced.asker.put(b"no request at all")
    (it,) = [one for one in traced.collector.spans(before + 1) if one.attributes["auth_callout.verdict"] == "dropped"]
    assert it.span.name == "auth_callout" and it.span.status.code == trace_pb2.Status.STATUS_CODE_ERROR
    assert it.span.status.message == "request_malformed" and it.span.trace_id.hex() == found.line["trace_id"]
    del it.attributes["auth_callout.queue_wait_us"]
    assert it.attributes == {"auth_callout.method": "none", "auth_callout.verdict": "dropped", "auth_callout.reason": "request_malformed",
                             "auth_callout.parked": False, "error.type": "request_malformed"}


def test_a_span_each(traced):
    """As many spans as requests, in as few requests to the collector as may be, and the metric agrees."""
    traced.asks(1300)
    total = int(traced.site.metrics()["auth_requests_total"])
    found = traced.collector.spans(total)
    assert len(found) == total
    until(lambda: traced.counted("exported") == total, lambda: f"{total} exported spans")
    assert [traced.counted(result) for result in ("rejected", "dropped", "failed")] == [0, 0, 0]
    decisions = {line["trace_id"] for line in traced.site.log.since() if "method" in line}
    assert decisions <= {one.span.trace_id.hex() for one in found}
    traced.site.check_metrics()


def test_no_secret_is_sent(traced):
    """Every token, seed, password and header that this file used is looked for in all that the collector got."""
    token = traced.site.idp.token()
    admitted(traced.site.mqtt(token))
    traced.asks()
    traced.asker.ask(connect={"user": "u", "pass": "p-9c1d7745aa", "auth_token": "t-66ef0e1290"})
    total = int(traced.site.metrics()["auth_requests_total"])
    traced.collector.spans(total)
    text = traced.collector.text()
    assert "mqtt-client" in text and not secrets.found_in(text)
    assert secrets.found_in(text + token), "a leak would not have been noticed"
    assert not [token[i:i + 20] for i in range(len(token) - 19) if token[i:i + 20] in text], "a part of the token"
    sub = next(line["identity"] for line in traced.site.log.since() if line.get("method") == "oauth2").partition("sub=")[2]
    assert sub and sub not in text, "a claim of the token"


# --- how collectors behave -------------------------------------------------------------------------------------------------------------

CANNOT, AGAIN = "traces cannot be exported; callouts go on without them", "traces are exported again"


def test_down_at_start(new_traced):
    """The service starts and answers; what it keeps until the collector comes is sent then. Told once."""
    traced = new_traced(down=True)
    assert traced.site.http("/readyz")[0] == 200
    slowest = traced.asks(20)
    assert slowest < 1 * SLOW
    (line,) = until(lambda: traced.site.log.find(level="warn", msg=CANNOT), "the warning")
    assert line["collector"] == traced.collector.url + "/v1/traces" and "onnect" in line["error"]
    traced.collector.start()
    total = int(traced.site.metrics()["auth_requests_total"])
    assert len(traced.collector.spans(total)) == total
    (line,) = until(lambda: traced.site.log.find(msg=AGAIN), "the end of the outage in the log")
    assert line["spans_lost"] == 0
    assert len(traced.site.log.find(level="warn", msg=CANNOT)) == 1


@pytest.fixture(scope="module")
def plain(run_root):
    """http to loopback."""
    found = Traced(run_root / "traced-plain", otlp="      timeout: 1s\n")
    found.asks(1)
    found.collector.spans()
    yield found
    found.stop()


@pytest.fixture
def settled(plain):
    """The plain one, with a collector that is well and taken for well."""

    def well():
        said = [line["msg"] for line in plain.site.log.since() if line["msg"] in (CANNOT, AGAIN)]
        return not said or said[-1] == AGAIN or plain.asks() is None  # another span, for the case that it has none to try with

    plain.collector.well()
    until(well, "the collector to be taken for well", timeout=60 * SLOW, every=0.3)
    return plain


@pytest.mark.parametrize("status", [429, 502, 503, 504])
def test_busy(settled, status):
    """The same request comes again, not before the collector wants it, and nothing is lost or comes twice."""
    before, lost = len(settled.collector.seen()), settled.counted("failed") + settled.counted("dropped")
    settled.collector.answer(status, {"Retry-After": "2"}, times=1)
    settled.asks(3)
    first, second = until(lambda: (seen := settled.collector.seen()[before:]) and len(seen) >= 2 and seen[:2], "the second try", every=0.1)
    assert first.status == status and second.status == 200 and first.body == second.body
    assert second.at - first.at >= 2
    assert settled.counted("failed") + settled.counted("dropped") == lost
    settled.collector.kept()


HOSTILE = {
    "hangs": (lambda c: c.hang(), True),
    "answers without end": (lambda c: c.endless(), False),
    "garbage": (lambda c: c.answer(200, {"Content-Type": "application/x-protobuf"}, b"\xff" * 200), False),
    "a web page": (lambda c: c.answer(200, {"Content-Type": "text/html"}, b"<html>hello</html>"), False),
    "redirects": (lambda c: c.answer(307, {"Location": c.url + "/elsewhere"}), False),
    "bad request": (lambda c: c.answer(400), False),
    "unauthorized, and repeats the key": (lambda c: c.answer(401, {"X": API_KEY}, f"bad key {API_KEY}".encode()), False),
    "not found": (lambda c: c.answer(404), False),
    "unavailable without end": (lambda c: c.answer(503), True),
    "a strange Retry-After": (lambda c: c.answer(503, {"Retry-After": "soon"}), True),
}


@pytest.mark.parametrize("case", HOSTILE)
def test_hostile(settled, case):
    """Clients do not wait, the log says it once, and where it makes no sense nothing is sent twice."""
    behave, again = HOSTILE[case]
    offset, before, failed = settled.site.log.size(), len(settled.collector.seen()), settled.counted("failed")
    behave(settled.collector)
    assert settled.asks(5) < 1 * SLOW
    until(lambda: len(settled.collector.seen()) > before, "the request")
    if again:
        until(lambda: len(settled.collector.seen()) > before + 1, "the second try", timeout=30 * SLOW)
    else:
        until(lambda: settled.counted("failed") >= failed + 1, "the spans to be given up")
    assert settled.asks(5) < 1 * SLOW
    said = [line for line in settled.site.log.since(offset) if line["msg"] == CANNOT]
    assert len(said) == 1 and said[0]["error"], said
    if not again:
        until(lambda: len(settled.collector.seen()) > before + 1, "the next request", timeout=30 * SLOW)
        bodies = [request.body for request in settled.collector.seen()[before:]]
        assert len(set(bodies)) == len(bodies), "sent again, though it was not to be"
    assert not [request for request in settled.collector.seen() if request.path != "/v1/traces"], "a redirect was followed"
    assert not secrets.found_in(settled.site.log.text())


def test_partly_taken(new_traced):
    """Rejected spans are counted, and the collector's words reach the log once, but for those that repeat a header."""
    traced = new_traced()
    traced.collector.answer(200, {"Content-Type": "application/x-protobuf"}, partial(2, f"the key {API_KEY} ends soon"))
    traced.asks(5)
    line = until(lambda: traced.site.log.find(msg="the collector of traces rejects spans"), "the rejection in the log")[0]
    assert (line["rejected"], line["remark"]) == (2, "(its words repeat a header that was sent, and are left out)")
    requests = len(traced.collector.seen())
    traced.asks(5)
    until(lambda: len(traced.collector.seen()) > requests, "another request")
    total = int(traced.site.metrics()["auth_requests_total"])
    until(lambda: traced.counted("exported") + traced.counted("rejected") == total, "every span to be counted")
    batches = [len(Collector.decode(request)) for request in traced.collector.seen()]
    assert traced.counted("rejected") == sum(min(2, batch) for batch in batches) and sum(batches) == total
    assert len(traced.site.log.find(msg="the collector of traces rejects spans")) == 1, "told once a minute"


# --- how much, and when ----------------------------------------------------------------------------------------------------------------

def test_sampling(new_traced):
    """A part of the callouts: as many as chance allows in one run of a million. Log lines name exactly the spans that there are."""
    part = 0.25
    traced = new_traced(settings=f"    sample-ratio: {part}\n    client-address: false\n")
    traced.asks(800)
    total = int(traced.site.metrics()["auth_requests_total"])
    lines = until(lambda: len(found := [line for line in traced.site.log.since() if "method" in line]) == total and found, "the log")
    named = {line["trace_id"] for line in lines if "trace_id" in line}
    assert abs(len(named) - total * part) <= 5 * math.sqrt(total * part * (1 - part))
    found = traced.collector.spans(len(named))
    assert {one.span.trace_id.hex() for one in found} == named
    assert not any("client.address" in one.attributes for one in found)


def test_the_stop_sends_the_rest(new_traced):
    """What came just before SIGTERM is sent, and a collector that hangs does not hold the end up."""
    traced = new_traced()
    traced.asks(700)
    total = int(traced.site.metrics()["auth_requests_total"])
    traced.asker.close()
    traced.asker = None
    traced.site.bus("stop", "csc/auth-callout")
    assert len(traced.collector.kept()) >= total

    traced.site.bus("start", "csc/auth-callout")
    traced.collector.hang()
    traced.asks(700)
    traced.asker.close()
    traced.asker = None
    offset, begun = traced.site.log.size(), time.monotonic()
    traced.site.bus("stop", "csc/auth-callout")
    assert time.monotonic() - begun < 5 * SLOW
    lines = traced.site.log.since(offset)
    assert lines[-1]["msg"] == "stopped"
    (lost,) = [line for line in lines if line["msg"].startswith("traces were lost")]
    assert lost["spans_lost"] >= 700
    traced.site.bus("start", "csc/auth-callout")


def test_a_stranger_in_its_place(new_traced):
    """A server whose certificate is not of the CA gets no span and no header."""
    traced = new_traced("https", down=True)
    ca = certificates.new_ca()
    folder = traced.extra.parent
    stranger = ca.issue("collector", usage=(certificates.SERVER,), names=[certificates.ip(traced.site.address)])
    traced.collector.tls = (*stranger.write(folder, "stranger"), None)
    traced.collector.start()
    traced.asks(3)
    line = until(lambda: traced.site.log.find(msg=CANNOT), "the warning")[0]
    assert "certificate" in line["error"] and not traced.collector.seen()


# --- the configuration -------------------------------------------------------------------------------------------------------------------

OTLP = "--observability.tracing.otlp."
URL = OTLP + "endpoint=https://127.0.0.1:4318"
OWN = "AUTH_CALLOUT_OBSERVABILITY_TRACING_"
# flags, environment; what the finding says
WRONG = {
    "grpc's port by name": ([OTLP + "endpoint=collector:4317"], {}, "not a URL of http or https"),
    "http to another host": ([OTLP + "endpoint=http://collector:4318"], {}, "neither https nor http to loopback"),
    "a login in the URL": ([OTLP + f"endpoint=https://u:{API_KEY}@c:4318"], {}, "the URL holds a login"),
    "a query": ([OTLP + "endpoint=https://c:4318/?x=1"], {}, "nothing can be appended"),
    "grpc": ([URL], {OWN + "OTLP_PROTOCOL": "grpc"}, "a protocol that is not spoken here"),
    "no protocol": ([URL, OTLP + "protocol="], {}, "a protocol that is not spoken here"),
    "no pair": ([URL], {OWN + "OTLP_HEADERS": f"x-api-key={API_KEY},{API_KEY}"}, "item 2: an item is not name=value"),
    "a line end in a header": ([URL], {OWN + "OTLP_HEADERS": f"x-api-key={API_KEY}%0d%0aX: y"}, "item 1: the value is empty, or holds what"),
    "our own header": ([URL], {OWN + "OTLP_HEADERS": "Content-Type=text/plain"}, "item 1: this header is written by the exporter"),
    "two kinds of headers": ([URL, OTLP + "headers-file=/h"], {OWN + "OTLP_HEADERS": f"x-api-key={API_KEY}"}, "are both given"),
    "a certificate without key": ([URL, OTLP + "tls.cert=/c"], {}, "cert and key belong together"),
    "no ratio": (["--observability.tracing.sample-ratio=25%"], {}, "from 0 to 1"),
    "more than all": (["--observability.tracing.sample-ratio=1.01"], {}, "from 0 to 1"),
    "no attribute": ([URL], {OWN + "RESOURCE_ATTRIBUTES": "a=1,b"}, "b: an item is not name=value"),
    "headers as a flag": ([OTLP + f"headers=x={API_KEY}"], {}, "a secret cannot be given as a flag"),
}


@pytest.mark.parametrize("case", WRONG)
def test_a_wrong_configuration(site, tmp_path, case):
    flags, env, text = WRONG[case]
    configured = Configured(site, tmp_path)
    done = configured.check(site.permissions.read_text(), env, *flags)
    assert done.returncode == 1 and text in done.stdout + done.stderr, done.stdout + done.stderr
    assert API_KEY not in (done.stdout + done.stderr)


# flag of a file, what it holds (None: it is not there); what the warning says
DOUBTFUL = {
    "no headers' file": ("headers-file", None, "No such file"),
    "a broken headers' file": ("headers-file", f"x-api-key={API_KEY}\n{API_KEY}\n", "item 2: an item is not name=value"),
    "an empty headers' file": ("headers-file", "\n", "empty"),
    "no CA": ("tls.ca", None, "No such file"),
}


@pytest.mark.parametrize("case", DOUBTFUL)
def test_a_file_that_cannot_be_used(site, tmp_path, case):
    """Told, but no reason to keep clients out: it may come later."""
    flag, text, said = DOUBTFUL[case]
    file = tmp_path / "file"
    if text is not None:
        file.write_text(text)
    done = Configured(site, tmp_path).check(site.permissions.read_text(), None, URL, f"{OTLP}{flag}={file}")
    told = done.stdout + done.stderr
    assert done.returncode == 0 and "warning" in told and said in told and "no trace is sent before that" in told and API_KEY not in told, told


def test_variables_of_opentelemetry(site, tmp_path):
    """Its names are taken; without an endpoint none of them does anything."""
    configured = Configured(site, tmp_path)
    document = site.permissions.read_text()
    env = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:4318", "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf", "OTEL_SERVICE_NAME": "x",
           "OTEL_RESOURCE_ATTRIBUTES": "a=1,b=2", "OTEL_EXPORTER_OTLP_HEADERS": "a=b"}
    assert configured.check(document, env).returncode == 0
    blank = configured.check(document, env | {"OTEL_SERVICE_NAME": " "})
    assert blank.returncode == 0 and "warning" not in blank.stdout + blank.stderr
    without = {"OTEL_EXPORTER_OTLP_PROTOCOL": "grpc", "OTEL_EXPORTER_OTLP_HEADERS": "nonsense"}
    assert configured.check(document, without).returncode == 0


ENDPOINT = {"OTEL_EXPORTER_OTLP_ENDPOINT": "https://127.0.0.1:4318"}
UNTRACED, PLAIN = "in a variable OTEL_…: callouts are not traced", "spans go without all of its attributes"
# variables that a whole namespace is given; the key that the warning names, what it says
INHERITED = {
    "http to another host": ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector:4318"}, "otlp.endpoint", "neither https nor http to loopback, " + UNTRACED),
    "grpc's port by name": ({"OTEL_EXPORTER_OTLP_ENDPOINT": "collector:4317"}, "otlp.endpoint", "not a URL of http or https, " + UNTRACED),
    "a login": ({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": f"https://u:{API_KEY}@c"}, "otlp.traces-endpoint", "the URL holds a login, " + UNTRACED),
    "grpc": (ENDPOINT | {"OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"}, "otlp.protocol", UNTRACED),
    "headers": (ENDPOINT | {"OTEL_EXPORTER_OTLP_HEADERS": f"x={API_KEY},{API_KEY}"}, "otlp.headers", "item 2: an item is not name=value, " + UNTRACED),
    "a certificate without key": (ENDPOINT | {"OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE": "/c"}, "otlp.tls.cert", UNTRACED),
    "attributes": (ENDPOINT | {"OTEL_RESOURCE_ATTRIBUTES": "a=1,b"}, "resource-attributes", "b: an item is not name=value, in a variable OTEL_…: " + PLAIN),
    "many attributes": (ENDPOINT | {"OTEL_RESOURCE_ATTRIBUTES": ",".join(f"a{i}=1" for i in range(65))}, "resource-attributes", PLAIN),
}


@pytest.mark.parametrize("case", INHERITED)
def test_a_variable_for_others(site, tmp_path, case):
    """What is wrong with it is told, and keeps nobody out; the service's own name for the same is an error."""
    env, key, said = INHERITED[case]
    configured, document = Configured(site, tmp_path), site.permissions.read_text()
    done = configured.check(document, env)
    told = done.stdout + done.stderr
    assert done.returncode == 0 and f"warning: observability.tracing.{key}: " in told and said in told and API_KEY not in told, told
    own = next(value for name, value in reversed(env.items()))
    name = "AUTH_CALLOUT_OBSERVABILITY_TRACING_" + key.upper().replace(".", "_").replace("-", "_")
    done = configured.check(document, env | {name: own})
    assert done.returncode == 1 and "OTEL_" not in done.stdout + done.stderr, done.stdout + done.stderr


@pytest.mark.parametrize("case", ["grpc", "headers", "a certificate without key"])
def test_a_variable_for_others_beside_our_own_collector(site, tmp_path, case):
    """It is left out, and callouts are traced: where to is the service's own."""
    env, key, _ = INHERITED[case]
    done = Configured(site, tmp_path).check(site.permissions.read_text(), env, URL)
    told = done.stdout + done.stderr
    assert done.returncode == 0 and f"warning: observability.tracing.{key}: " in told and "in a variable OTEL_…: it does not count" in told, told
    assert UNTRACED not in told and API_KEY not in told, told


def test_our_own_headers_win(run_root, monkeypatch):
    """The collector of the configuration gets the headers of the configuration, whatever a variable for others says."""
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_HEADERS", "x-api-key=of-another")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc")
    traced = Traced(run_root / "traced-own")
    try:
        traced.asks()
        traced.collector.spans()
        assert traced.collector.seen()[0].headers["x-api-key"] == API_KEY
    finally:
        traced.stop()


@pytest.mark.parametrize("switch", [("OTEL_SDK_DISABLED", "true"), ("OTEL_SDK_DISABLED", "True"), ("OTEL_TRACES_EXPORTER", "none")])
def test_switched_off_for_all(site, tmp_path, switch):
    """Who gives a namespace a collector and says that nothing is to be sent there is heeded; the service's own key is not taken back by that."""
    configured, document = Configured(site, tmp_path), site.permissions.read_text()
    env = {"OTEL_EXPORTER_OTLP_ENDPOINT": "collector:4317", switch[0]: switch[1]}
    done = configured.check(document, env)
    assert done.returncode == 0 and "observability" not in done.stdout + done.stderr, done.stdout + done.stderr
    done = configured.check(document, env | {OWN + "OTLP_ENDPOINT": "collector:4317"})
    assert done.returncode == 1 and "not a URL of http or https" in done.stdout + done.stderr


def test_it_starts_with_a_variable_for_others(new_site, monkeypatch):
    """The warning is in the log, the service is ready, clients get in, and nothing is traced."""
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://collector.monitoring.svc:4318")
    site = new_site()
    (line,) = site.log.find(0, level="warn", path="observability.tracing.otlp.endpoint")
    assert UNTRACED in line["finding"] and "allow-http" in line["mend"], line
    admitted(site.mqtt())
    assert not site.log.find(0, msg="callouts are traced") and not [line for line in site.log.since(0) if "trace_id" in line]


def test_loopback_needs_no_proxy(new_traced, monkeypatch):
    """What is plain because it stays on this machine does not leave it by way of http_proxy."""
    with socket.socket() as proxy:
        proxy.bind(("127.0.0.1", 0))
        proxy.listen()
        monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{proxy.getsockname()[1]}")
        monkeypatch.setenv("no_proxy", "127.64.0.0/10,127.128.0.0/9")  # where the bus is; the collector is elsewhere
        traced = new_traced(address="127.0.0.1")
        traced.asks()
        assert traced.collector.spans()
        proxy.setblocking(False)
        with pytest.raises(BlockingIOError):
            proxy.accept()
