"""Several issuers with the same client ids: each token gets what its own issuer's entry says; outages, rotations and reloads of one leave the other alone."""
import json
import os
import subprocess

import pytest

from harness import permissions
from harness.bus import BUILD, PROMTOOL
from harness.metrics import promtool
from harness.mqtt import NOT_AUTHORISED, SUBSCRIBE_FAILED, Refused
from harness.site import Site
from harness.tokens import Provider
from harness.wait import until

DEMO_IDP = os.environ.get("EB_DEMO_IDP") or str(BUILD / "local/demo-idp/demo-idp")

ISSUERS = """
issuers:
- name: second
  issuer: "{url}"
  url: "{url}/jwks.json"
  audience: {audience}
  signing-algorithms: [RS256, ES256]
  client-claims: {claims}
- name: pipeline
  issuer: "https://pipeline.example"
  path: "{pipeline}"
  audience-none: true
  client-claims: [cid]
  scope-claims: [roles]
"""


def document(demo, account, public_key):
    """mqtt-client is a client of both providers, bms-reader has an entry of the first's only, twin has one in each."""
    doc = permissions.document(demo, account, public_key)

    def rules(word):
        return {"pub": {"allow": [f"{word}.>"]}, "sub": {"allow": [f"{word}.>"]}}

    doc["oauth2"] |= {
        "twin": {"azp": "twin", "account": account, "permissions": rules("first")},
        "second-client": {"issuer": "second", "azp": "mqtt-client", "account": account, "permissions": rules("second")},
        "second-twin": {"issuer": "second", "azp": "twin", "account": "LaunchLayer", "permissions": rules("second")},
        "second-scoped": {"issuer": "second", "azp": "scoped", "account": account, "required_scope": "plant", "permissions": rules("second")},
        "pipeline": {"issuer": "pipeline", "azp": "twin", "account": account, "required_scope": "deploy", "permissions": rules("pipeline")},
    }
    return doc


class SecondProvider(Provider):
    """Another demo identity provider, with the same clients."""

    def __init__(self, site, folder):
        self.site, self.folder, self.port = site, folder, site.ports["SPARE_1"]
        self.process = None
        super().__init__(f"http://{site.address}:{self.port}")

    def start(self):
        command = [*DEMO_IDP.split(), "--state", self.folder, "--listen", self.site.address, "--port", self.port, "--enable-test-api"]
        self.process = subprocess.Popen([str(word) for word in command], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
        until(lambda: self.process.poll() is not None or self.answers(), "the second provider to answer")
        assert self.process.poll() is None
        return self

    def answers(self):
        try:
            return self.jwks()["keys"]
        except OSError:
            return None

    def stop(self):
        self.process.terminate()
        self.process.wait(15)


class Two:
    """The site with both providers."""

    def __init__(self, root):
        root.mkdir(parents=True)
        self.extra = root.parent / "issuers.yaml"
        self.pipeline_keys = root.parent / "pipeline.json"
        self.site = Site(root, document=document, callout_extra=self.extra)
        self.second = SecondProvider(self.site, root.parent / "second-idp").start()
        self.pipeline_keys.write_text(json.dumps(self.second.jwks()))
        self.write_issuers(self.extra)

    def issuers(self, audience="dsx-exchange", claims="[azp]", more=""):
        return ISSUERS.format(url=self.second.url, pipeline=self.pipeline_keys, audience=audience, claims=claims) + more

    def write_issuers(self, path, **how):
        path.write_text(self.issuers(**how))

    def reload(self, **how):
        """A changed list in the service's own file, which it watches, and then SIGHUP; returns the line that the log has of the latter."""
        conf, offset = self.site.dir / "conf/auth-callout.yaml", self.site.log.size()
        text = conf.read_text()
        new = conf.with_suffix(".new")
        new.write_text(text[:text.index("issuers:")] + self.issuers(**how).lstrip())
        new.rename(conf)

        def told(since):
            return next((line for line in self.site.log.since(since) if line["msg"].startswith(("reloaded;", "reload failed")) or line["msg"] == "reloaded"), None)

        until(lambda: told(offset), "the changed file to be read")
        offset = self.site.log.size()
        self.site.bus("signal", "HUP", "csc/auth-callout")
        return until(lambda: told(offset), lambda: f"the reload: {self.site.log.since(offset)}")

    def fetches(self, name):
        return self.site.metrics()[f'auth_issuer_key_fetches_total{{issuer="{name}"}}']

    def keys(self, name):
        return json.loads(self.site.http("/readyz")[1])["keys"][name]


@pytest.fixture(scope="module")
def two(run_root):
    both = Two(run_root / "issuers/site")
    both.site.up()
    yield both
    both.site.stop()
    both.second.stop()


def refused(site, token, reason, method="oauth2"):
    with site.decision(method, reason) as decision, pytest.raises(Refused) as error:
        site.mqtt(token).connect()
    assert error.value.args[0] == NOT_AUTHORISED
    return decision.line


def may(site, token, topic):
    """True where a client with this token may subscribe."""
    with site.mqtt(token) as client:
        return client.subscribe(topic, 0) != SUBSCRIBE_FAILED


@pytest.mark.parametrize("client", ["mqtt-client", "twin"])
def test_one_client_id_at_two_issuers(two, client):
    """Each token gets the entry of its own issuer: name, account and subjects."""
    first, second = (idp.token(azp=client) for idp in (two.site.idp, two.second))
    word = "test" if client == "mqtt-client" else "first"
    with two.site.decision("oauth2", count=2):
        assert may(two.site, first, f"{word}/x") and not may(two.site, first, "second/x")
    with two.site.decision("oauth2", entry="second-client" if client == "mqtt-client" else "second-twin",
                           account="CSC" if client == "mqtt-client" else "LaunchLayer"), two.site.nats(second) as nats:
        nats.subscribe("second.x")
        nats.subscribe(f"{word}.x")
        until(lambda: nats.errors, "the subscription to be refused")
        assert len(nats.errors) == 1 and f"{word}.x" in str(nats.errors[0]), nats.errors


@pytest.mark.parametrize("client", ["bms-reader", "all-own", "by-nobody"])
def test_nothing_of_the_firsts_for_the_second(two, client):
    """An entry of the first issuer is none of the second's, by azp and by subject."""
    refused(two.site, two.second.token(azp=client, sub="nobody"), "unknown_identity")
    refused(two.site, two.second.token(azp="by-nobody", sub="subject-1"), "unknown_identity")


def test_a_key_vouches_for_its_own_issuer_alone(two):
    """Tokens that name the other provider as iss, signed with one's own key."""
    before = two.fetches("second"), two.fetches("jwks")
    refused(two.site, two.second.token(iss=two.site.idp.url), "unknown_kid")
    refused(two.site, two.site.idp.token(iss=two.second.url), "unknown_kid")
    refused(two.site, two.second.token(iss=two.site.idp.url, header={"kid": two.site.idp.kid()}), "bad_signature")
    assert may(two.site, two.second.token(), "second/x") and may(two.site, two.site.idp.token(), "test/x")
    # each asked its own provider, once in 10 s
    assert two.fetches("second") <= before[0] + 1 and two.fetches("jwks") <= before[1] + 1


@pytest.mark.parametrize("iss", ["https://evil.example", "", None, "{second}/", "{second}#", "pipeline", "https://PIPELINE.example"])
def test_an_unknown_issuer_fetches_nothing(two, iss):
    def fetches():
        return [value for name, value in two.site.metrics().items() if "fetches_total" in name]
    before = fetches()
    token = two.second.token(iss=iss and iss.format(second=two.second.url), header={"kid": "new-one"})
    line = refused(two.site, token, "wrong_issuer")
    assert line["identity"].startswith("iss=")
    assert fetches() == before


def test_claims_of_each_issuer(two):
    """cid and roles name client and scope for one, azp and scope for the other; neither takes the other's."""
    def pipeline(**claims):
        return two.second.token(iss="https://pipeline.example", **{"aud": None, "azp": None, "scope": None, "cid": "twin", "roles": ["deploy"], **claims})
    assert may(two.site, pipeline(), "pipeline/x")
    refused(two.site, pipeline(cid=None, azp="twin"), "unknown_identity")
    refused(two.site, pipeline(cid=["twin"]), "malformed")
    refused(two.site, pipeline(cid="", azp="twin", client_id="twin"), "unknown_identity")  # "": left out
    refused(two.site, pipeline(roles=["other"], scope="deploy"), "missing_scope")
    refused(two.site, pipeline(roles={"deploy": True}), "malformed")
    refused(two.site, pipeline(aud="dsx-exchange"), "wrong_audience")
    refused(two.site, two.second.token(azp=None, cid="mqtt-client"), "unknown_identity")
    refused(two.site, two.second.token(azp="scoped", scp=["plant"]), "missing_scope")  # scope is there and comes first
    assert may(two.site, two.second.token(azp="scoped", scope=None, scp=["plant"]), "second/x")


def test_one_rotates(two):
    """A client with a key that nobody has seen yet waits for its own issuer's fetch, and no other fetches."""
    first = two.fetches("jwks")
    assert two.second.post("/rotate?drop_old=1")[0] == 200
    token = two.second.token()
    until(lambda: two.fetches("second") and not _refused(two.site, token), "the new key to be taken", timeout=30)
    assert may(two.site, token, "second/x") and may(two.site, two.site.idp.token(), "test/x")
    assert two.fetches("jwks") == first


def _refused(site, token):
    try:
        with site.mqtt(token):
            return False
    except Refused:
        return True


def test_reload(two):
    """What a reload may change is in force at once, what it may not is told by name, what is wrong changes nothing."""
    token, other = two.second.token(), two.second.token(aud="other", azp=None, client_id="mqtt-client")
    refused(two.site, other, "wrong_audience")
    assert two.reload(audience="[other]", claims="[client_id]")["msg"] == "reloaded"
    assert may(two.site, other, "second/x")
    refused(two.site, token, "wrong_audience")
    new = '- {name: third, issuer: "https://third.example", url: "https://third.example/keys", audience: x}\n'
    line = two.reload(more=new)
    assert line["level"] == "warn" and line["msg"].endswith("only at a restart: issuers[third]"), line
    assert may(two.site, token, "second/x")
    refused(two.site, two.second.token(iss="https://third.example", aud="x"), "keys_unavailable")
    wrong = '- {name: twice, issuer: "https://pipeline.example", path: /p, audience: x}\n'
    failed = two.reload(more=wrong)
    assert failed["level"] == "error" and failed["msg"].startswith("reload failed")
    assert two.site.log.find(path="issuers[twice].issuer"), "the finding"
    assert may(two.site, token, "second/x")
    assert two.reload()["msg"] == "reloaded"
    refused(two.site, two.second.token(iss="https://third.example", aud="x"), "wrong_issuer")


def test_one_is_down(two):
    """Status by name; the other's clients, and those whose keys are known, get in. Last: it ends the second provider for a while."""
    token = two.second.token(exp="now+600")
    assert two.keys("second")["status"] == two.keys("jwks")["status"] == two.keys("pipeline")["status"] == "ok"
    metrics = two.site.metrics()
    assert metrics['auth_issuer_keys{issuer="second"}'] >= 1 and metrics['auth_issuer_keys{issuer="jwks"}'] == metrics["auth_jwks_keys"]
    assert promtool(PROMTOOL, metrics.text) == ""
    two.second.stop()
    try:
        two.site.bus("restart", "csc/auth-callout")
        now = until(lambda: (m := two.site.metrics())['auth_issuer_key_fetch_failures_total{issuer="second"}'] >= 1 and m, "a failed fetch")
        assert set(now) == set(metrics), "every series from the start"
        assert now['auth_issuer_key_fetch_failures_total{issuer="jwks"}'] == 0
        second = two.keys("second")
        assert (second["status"], second["keys"], second["age_s"]) == ("unavailable", 0, -1) and second["failing_s"] >= 0 and second["trouble"]
        assert now['auth_issuer_keys_failing_seconds{issuer="second"}'] >= 0 > now['auth_issuer_keys_failing_seconds{issuer="jwks"}'] and two.keys("jwks")["status"] == "ok"
        assert two.site.http("/readyz")[0] == 200
        refused(two.site, token, "keys_unavailable")
        assert may(two.site, two.site.idp.token(), "test/x")
    finally:
        two.second.start()
    until(lambda: two.keys("second")["status"] == "ok", "the keys to be fetched", timeout=60)
    assert may(two.site, token, "second/x")
