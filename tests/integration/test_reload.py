"""What is in force changes under a stream of connects: new rules within a second, nobody lost; what is broken changes nothing and is told."""
import contextlib
import datetime
import json
import os
import queue
import threading

import pytest

from harness import certificates, nkeys, secrets
from harness.callout import Asker, nats_jwt
from harness.mqtt import SUBSCRIBE_FAILED
from harness.site import Site
from harness.stream import IN, REFUSED, Stream, comes_to, nats_attempt
from harness.wait import SLOW, until

WITHIN = 1.0 * SLOW  # seconds, of design.md's bar


@pytest.fixture(scope="module")
def busy(run_root):
    """A site of this file's own: what is counted here is the stream's."""
    site = Site(run_root / "reload")
    site.up()
    yield site
    site.stop()


@pytest.fixture
def stream(busy):
    before = busy.metrics()
    with Stream(busy) as stream:
        stream.flowing()
        yield stream
        stream.flowing()
    now = busy.metrics()
    for name in ("auth_dropped_late_total", "auth_dropped_queue_full_total", "auth_answer_failures_total", "auth_nats_link_lost_total"):
        assert now[name] == before[name], name


@pytest.fixture
def played(busy):
    asker = Asker(busy)
    busy.key("issuer"), busy.key("xkey")  # read now: some tests spoil the files
    yield asker
    asker.close()


def client(site, azp):
    token = site.idp.token(azp=azp, exp="now+600")
    return lambda: nats_attempt(site, lambda _wire: {"user": "oauthtoken", "pass": token})


def replace(path, text):
    """A new content in one step, as an operator's tool does it."""
    new = path.with_name(path.name + ".new")
    new.write_text(text)
    new.chmod(path.stat().st_mode if path.exists() else 0o600)
    new.rename(path)


@contextlib.contextmanager
def restored(path):
    old = path.read_text()
    try:
        yield old
    finally:
        if path.is_dir():
            path.rmdir()
        if not path.exists() or path.read_text() != old:
            replace(path, old)


def test_new_rules_are_in_force_within_a_second(busy, stream):
    removable, doc = client(busy, "removable"), busy.read_permissions()
    without = {**doc, "oauth2": {k: v for k, v in doc["oauth2"].items() if k != "removable"}}
    assert removable()[0] == IN
    for _ in range(4):
        busy.write_permissions(without, wait=False)
        comes_to(removable, REFUSED, WITHIN)
        busy.write_permissions(doc, wait=False)
        comes_to(removable, IN, WITHIN)


def test_new_permissions_are_in_force_within_a_second(busy, stream):
    """Not only who gets in: what the next session may do. The one that is open keeps its own."""
    def granted():
        with busy.mqtt(busy.idp.token("bms-reader")) as reader:
            return str(reader.subscribe("test/new", 0) != SUBSCRIBE_FAILED),
    doc = busy.read_permissions()
    wider = json.loads(json.dumps(doc))
    wider["oauth2"]["bms-reader"]["permissions"]["sub"]["allow"].append("test.new")
    assert granted() == ("False",)
    with busy.mqtt(busy.idp.token("bms-reader")) as old:
        busy.write_permissions(wider, wait=False)
        comes_to(granted, "True", WITHIN)
        assert old.subscribe("test/new", 0) == SUBSCRIBE_FAILED
        busy.write_permissions(doc, wait=False)
        comes_to(granted, "False", WITHIN)


GOOD_ENTRY = "removable: {azp: removable, account: CSC}"
BROKEN = {
    "no YAML": "oauth2: [",
    "empty": "",
    "unknown key": "oauth2:\n  " + GOOD_ENTRY + "\nouath2: {}\n",
    "a bad subject": "oauth2:\n  a: {azp: a, account: CSC, permissions: {pub: {allow: ['t.>.x']}}}\n",
    "two entries for one client": "oauth2:\n  a: {azp: same, account: CSC}\n  b: {azp: same, account: CSC}\n",
    "an account that nobody may use": "oauth2:\n  a: {azp: a, account: SYS}\n",
    "a bad key": "nkey:\n  a: {public_key: UAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA, account: CSC}\n",
    "cut off": None,
    "gone": None,
    "a folder": None,
}


@pytest.mark.parametrize("fault", BROKEN)
def test_a_broken_document_changes_nothing_and_is_told(busy, stream, fault):
    removable, path = client(busy, "removable"), busy.permissions
    before, offset = busy.metrics(), busy.log.size()
    with restored(path) as old:
        if fault in ("gone", "a folder"):
            path.rename(path.with_name("aside"))
            if fault == "a folder":
                path.mkdir()
        else:
            replace(path, old[:len(old) // 2] if fault == "cut off" else BROKEN[fault])
        failures = "auth_permissions_reload_failures_total"
        until(lambda: busy.metrics()[failures] > before[failures], "the failure to be counted")
        line = until(lambda: busy.log.find(offset, msg="a changed file was not taken; the old stays in force"), "a finding in the log")[0]
        assert line["level"] == "error" and line["finding"]
        assert str(path) in line.get("file", "") + line["finding"]
        assert busy.log.find(offset, msg="reload failed; the old stays in force", what="permissions")
        assert busy.metrics()["auth_permissions_reloads_total"] == before["auth_permissions_reloads_total"]
        assert removable()[0] == IN and busy.http("/readyz")[0] == 200
        stream.flowing()
    until(lambda: busy.metrics()["auth_permissions_reloads_total"] > before["auth_permissions_reloads_total"], "the good one to be taken again")


def test_a_document_behind_links_is_swapped(new_site):
    """As Kubernetes mounts a ConfigMap: name -> ..data/name, ..data -> a folder that is exchanged."""
    site = new_site()
    conf, doc = site.permissions.parent, site.read_permissions()
    without = {**doc, "oauth2": {k: v for k, v in doc["oauth2"].items() if k != "removable"}}
    for name, content in (("..one", doc), ("..two", without)):
        (conf / name).mkdir()
        (conf / name / "permissions.yaml").write_text(json.dumps(content))

    def swap(link, target):
        (conf / "..new").symlink_to(target)
        os.rename(conf / "..new", conf / link)
    removable, before = client(site, "removable"), site.metrics()["auth_permissions_reloads_total"]
    with Stream(site, threads=2):
        swap("..data", "..one")
        swap("permissions.yaml", "..data/permissions.yaml")
        until(lambda: site.metrics()["auth_permissions_reloads_total"] > before, "the linked document to be taken")
        for _ in range(3):
            swap("..data", "..two")
            comes_to(removable, REFUSED, WITHIN)
            swap("..data", "..one")
            comes_to(removable, IN, WITHIN)


def presented(asker, certificate, ca):
    """An attempt by a certificate whose chain a server has verified."""
    tls = {"version": "1.3", "verified_chains": [[certificate.pem, ca.pem]]}
    return lambda: (IN if asker.ask(client={"type": "mqtt", "mqtt_id": "x"}, tls=tls).user else REFUSED,)


def test_another_ca_is_in_force_within_a_second(busy, stream, played):
    """A second CA is added to the file and taken out again; the certificates of the first are let in all the time."""
    other, path = certificates.new_ca("the next CA"), busy.certs / "ca.pem"
    attempt = presented(played, other.issue("mqtt-client.csc"), other)
    assert attempt()[0] == REFUSED
    with restored(path) as old:
        for _ in range(2):
            replace(path, old + other.pem)
            comes_to(attempt, IN, WITHIN)
            replace(path, old)
            comes_to(attempt, REFUSED, WITHIN)


@pytest.mark.parametrize("fault", ["empty", "no PEM", "cut off", "no CA", "gone"])
def test_a_broken_ca_file_changes_nothing_and_is_told(busy, stream, fault):
    path, before, offset = busy.certs / "ca.pem", busy.metrics(), busy.log.size()
    no_ca = busy.ca().issue("somebody", not_after=certificates.now() + datetime.timedelta(days=1))
    with restored(path) as old:
        if fault == "gone":
            path.rename(path.with_name("aside.pem"))
        else:
            replace(path, {"empty": "", "no PEM": "not a certificate\n", "cut off": old[:len(old) // 2], "no CA": no_ca.pem}[fault])
        until(lambda: busy.metrics()["auth_ca_reload_failures_total"] > before["auth_ca_reload_failures_total"], "the failure to be counted")
        line = until(lambda: busy.log.find(offset, path="mtls.ca-path"), "a finding in the log")[0]
        assert line["level"] == "error" and str(path) in line.get("file", "") + line["finding"] and line["mend"]
        assert busy.log.find(offset, msg="reload failed; the old stays in force", what="mtls.ca-path")
        stream.flowing()
    until(lambda: busy.log.find(offset, msg="reloaded", what="mtls.ca-path"), "the good one to be taken again")


def asks_for(asker, issuer=None, curve=None):
    """An attempt through a server that trusts this issuer and seals to this curve key."""
    site = asker.site
    issuer, curve = issuer or site.key("issuer"), curve or site.key("xkey")

    def attempt():
        claims = asker.claims(change=lambda c: c.update(sub=issuer.public))
        sealed = asker.xkey.seal(nats_jwt(asker.key, claims).encode(), curve.public)
        try:
            payload = asker.reply(asker.put(sealed, asker.xkey.public), timeout=0.3 * SLOW)
        except queue.Empty:
            return "nothing",
        plain = asker.xkey.open(payload, curve.public)
        return IN if asker.read(plain, claims, sealed=False).user else REFUSED,
    return attempt


@pytest.mark.parametrize("name,kind", [("issuer", "A"), ("xkey", "X")])
def test_an_added_seed_is_in_force_within_a_second(busy, stream, played, name, kind):
    key, path = nkeys.Key(kind), busy.key_file(name)
    secrets.note(key.seed, f"an added {name}")
    attempt = asks_for(played, **{"issuer" if kind == "A" else "curve": key})
    assert attempt()[0] == "nothing"
    with restored(path) as old:
        replace(path, f"{old.rstrip()}\n# the next one\n{key.seed}\n{key.public}\n")
        comes_to(attempt, IN, WITHIN + 0.3 * SLOW)
        assert asks_for(played)()[0] == IN, "the old one beside it"
        replace(path, old)
        comes_to(attempt, "nothing", WITHIN + 0.3 * SLOW)
        assert asks_for(played)()[0] == IN


@pytest.mark.parametrize("fault", ["empty", "no seed", "another kind", "cut off", "another's public key", "gone"])
@pytest.mark.parametrize("name", ["issuer", "xkey"])
def test_a_broken_seed_file_changes_nothing_and_is_told(busy, stream, played, name, fault):
    path, before, offset = busy.key_file(name), busy.metrics(), busy.log.size()
    user = nkeys.Key("U")
    secrets.note(user.seed, "a user's seed")
    with restored(path) as old:
        seed = old.split()[0]
        if fault == "gone":
            path.rename(path.with_name("aside"))
        else:
            replace(path, {"empty": "", "no seed": "hello\n", "another kind": f"{user.seed}\n{user.public}\n", "cut off": seed[:40],
                           "another's public key": f"{seed}\n{user.public}\n"}[fault])
        until(lambda: busy.metrics()["auth_seed_reload_failures_total"] > before["auth_seed_reload_failures_total"], "the failure to be counted")
        line = until(lambda: busy.log.find(offset, path=f"nats.{name}-seed-file"), "a finding in the log")[0]
        assert line["level"] == "error" and str(path) in line.get("file", "") + line["finding"] and line["mend"]
        assert asks_for(played)()[0] == IN
        stream.flowing()
    until(lambda: busy.log.find(offset, msg="reloaded", what="seeds"), "the good one to be taken again")


def test_sighup_reads_everything_again(busy, stream):
    before, offset = busy.metrics(), busy.log.size()
    for n in range(1, 4):  # each when the one before is through: signals that wait are one
        busy.bus("signal", "HUP", "csc/auth-callout")
        until(lambda: busy.metrics()["auth_permissions_reloads_total"] == before["auth_permissions_reloads_total"] + n, f"{n} reloads")  # noqa: B023
    assert len(until(lambda: len(f := busy.log.find(offset, msg="SIGHUP: reloading")) == 3 and f, "three lines in the log")) == 3
    until(lambda: busy.metrics()["auth_jwks_fetches_total"] > before["auth_jwks_fetches_total"], "the keys of the provider to be fetched")


def test_configuration_is_reloaded(busy, stream, played):
    """A setting that needs no restart is in force; one that does is named; a broken file changes nothing."""
    path, offset = busy.dir / "conf/auth-callout.yaml", busy.log.size()

    def limited():
        return str("exp" in played.ask().user),
    assert limited() == ("False",)
    with restored(path) as old:
        replace(path, old + 'session: { max-age: "1h" }\n')
        comes_to(limited, "True", WITHIN)
        replace(path, old + 'session: { max-age: "1h" }\nlimits: { workers: 7 }\n')
        told = until(lambda: [line for line in busy.log.since(offset) if "only at a restart" in line["msg"]], "the restart to be told")[0]
        assert "limits.workers" in told["msg"]
        for broken in ("nats: [", old + "sesion: {}\n", old + 'session: { max-age: "soon" }\n', ""):
            before, offset = busy.metrics(), busy.log.size()
            replace(path, broken)
            busy.bus("signal", "HUP", "csc/auth-callout")
            until(lambda: busy.metrics()["auth_config_reload_failures_total"] > before["auth_config_reload_failures_total"],
                  "the failure to be counted")
            line = until(lambda: busy.log.find(offset, msg="the configuration was not taken; the old stays in force"), "a finding")[0]
            assert line["level"] == "error" and line["finding"]
            assert limited() == ("True",)
    comes_to(limited, "False", WITHIN + 1)


def test_many_changes_at_once(busy, stream):
    """Writers that do not wait for each other, non-atomic ones too: what is in force in the end is what was written last."""
    doc, removable = busy.read_permissions(), client(busy, "removable")
    without = {**doc, "oauth2": {k: v for k, v in doc["oauth2"].items() if k != "removable"}}

    def in_place():
        for i in range(30):
            busy.permissions.write_text(json.dumps(without if i % 2 else doc, indent=1))
    def by_rename():
        for i in range(30):
            busy.write_permissions(without if i % 2 else doc, wait=False)
    for writer in (in_place, by_rename):
        thread = threading.Thread(target=writer)
        thread.start()
        thread.join()
        comes_to(removable, REFUSED, WITHIN)
        busy.write_permissions(doc, wait=False)
        comes_to(removable, IN, WITHIN)
