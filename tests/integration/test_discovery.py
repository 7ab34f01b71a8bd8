"""Service discovery: $SRV.PING, INFO and STATS are answered as ADR-32 says, so that tools for NATS services see auth-callout."""
import json
import queue
import re
import uuid

import pytest

from harness.wait import PATIENCE, until

NAME = "auth-callout"
ID = {"name", "id", "version", "metadata", "type"}


@pytest.fixture
def watcher(site):
    with site.nats(seed=site.key("auth-watch").seed) as client:
        yield client


def ask_all(client, subject, n):
    """All answers to one question: n, and no more by the time that a second question is answered."""
    inbox = "_INBOX." + uuid.uuid4().hex
    answers = client.subscribe(inbox)
    client.publish(subject, reply=inbox)
    found = [json.loads(answers.receive().data) for _ in range(n)]
    client.request("$SRV.PING." + NAME)
    client.flush()
    assert not answers.received(), "more answers than processes"
    return found


def check_identity(answer, verb):
    assert ID <= set(answer) and answer["type"] == f"io.nats.micro.v1.{verb}_response"
    assert answer["name"] == NAME and re.fullmatch(r"[0-9A-Za-z]{22}", answer["id"]) and isinstance(answer["metadata"], dict)
    assert re.fullmatch(r"\d+\.\d+\.\d+([-+].*)?", answer["version"])


@pytest.mark.parametrize("verb", ["PING", "INFO", "STATS"])
def test_answers_in_shape(watcher, verb):
    everybody, = ask_all(watcher, f"$SRV.{verb}", 1)
    check_identity(everybody, verb.lower())
    by_name, = ask_all(watcher, f"$SRV.{verb}.{NAME}", 1)
    by_id, = ask_all(watcher, f"$SRV.{verb}.{NAME}.{everybody['id']}", 1)
    assert by_name["id"] == by_id["id"] == everybody["id"]
    if verb == "PING":
        assert set(everybody) == ID
    if verb == "INFO":
        assert set(everybody) == ID | {"description", "endpoints"} and everybody["description"]
        endpoint, = everybody["endpoints"]
        assert set(endpoint) == {"name", "subject", "queue_group", "metadata"} and endpoint["subject"] == "$SYS.REQ.USER.AUTH"
    if verb == "STATS":
        assert set(everybody) == ID | {"started", "endpoints"}
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z", everybody["started"])
        endpoint, = everybody["endpoints"]
        assert {"name", "subject", "queue_group", "num_requests", "num_errors", "last_error", "processing_time",
                "average_processing_time"} <= set(endpoint)
        assert all(isinstance(endpoint[k], int) for k in ("num_requests", "num_errors", "processing_time", "average_processing_time"))


def test_stats_count(site, watcher, token):
    def endpoint():
        return json.loads(watcher.request("$SRV.STATS." + NAME).data)["endpoints"][0]
    before, metrics = endpoint(), site.metrics()
    assert before["num_requests"] == metrics["auth_requests_total"] and before["num_errors"] == metrics["auth_errors_total"]
    with site.decision("oauth2"), site.nats(token()):
        pass
    with site.decision("oauth2", "expired"):
        assert site.wire().connect(user="oauthtoken", **{"pass": token(exp="now-10")}) == "Authorization Violation"
    after = until(lambda: (e := endpoint())["num_requests"] >= before["num_requests"] + 2 and e, "the counts to rise")
    assert after["num_requests"] == before["num_requests"] + 2 and after["num_errors"] == before["num_errors"] + 1
    assert after["processing_time"] > before["processing_time"]
    assert after["average_processing_time"] == after["processing_time"] // after["num_requests"]


@pytest.mark.parametrize("subject", ["$SRV.PING.another-service", "$SRV.PING.auth-callout.NOBODY", "$SRV.SCHEMA", "$SRV.STATS.auth-callout.x.y"])
def test_nothing_else_is_answered(watcher, subject):
    inbox = "_INBOX." + uuid.uuid4().hex
    answers = watcher.subscribe(inbox)
    watcher.publish(subject, reply=inbox)
    watcher.request("$SRV.PING")
    watcher.flush()
    assert [m for m in answers.received() if m.data] == []


def test_two_processes_are_two_services(new_site):
    site = new_site(callouts=2)
    with site.nats(seed=site.key("auth-watch").seed) as client:
        pings = ask_two(client, "$SRV.PING")
        assert len({p["id"] for p in pings}) == 2
        for ping in pings:
            assert json.loads(client.request(f"$SRV.STATS.{NAME}.{ping['id']}").data)["id"] == ping["id"]


def ask_two(client, subject):
    inbox = "_INBOX." + uuid.uuid4().hex
    answers = client.subscribe(inbox)
    client.publish(subject, reply=inbox)
    found = [json.loads(answers.receive().data) for _ in range(2)]
    with pytest.raises(queue.Empty):
        answers.receive(timeout=min(0.3, PATIENCE))
    return found
