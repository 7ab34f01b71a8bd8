"""`eventbus streams apply` and `status` against answers of JetStream that a test makes up (harness/jetstream.py)."""
import contextlib
import json
import re
import socket
import threading
import time

import pytest

from harness.jetstream import EXISTS, MISSING, NOT_NOW, StandIn
from harness.plain import STREAMS, Plain
from harness.wait import SLOW


@pytest.fixture(scope="module")
def stand_in(tmp_path_factory):
    with StandIn(tmp_path_factory.mktemp("answers")) as found:
        yield found


@pytest.fixture
def there(stand_in):
    return stand_in.forget()


def applied(there):
    done = there.streams("apply")
    assert done.returncode == 0 and done.stdout.count("created") == 4, done.stderr
    there.questions.clear()
    return there


@pytest.mark.parametrize("answer,says", [(b"no JSON", "$JS.API.STREAM.INFO.XL_RETAINED"), ({"domain": "CSC", "config": {}}, "the answer to STREAM.INFO cannot be read"),
                                         ({"domain": "CSC", "config": [], "state": 1}, "XL_RETAINED: the answer to STREAM.INFO cannot be read")])
def test_an_answer_that_cannot_be_read_is_told_at_once(there, answer, says):
    there.script["STREAM.INFO.XL_RETAINED"] = lambda _body: answer
    begun = time.monotonic()
    done = there.streams("apply", "--wait", "20s")
    assert done.returncode == 1 and says in done.stderr and "nothing was changed, in no stream" in done.stderr, done.stderr
    assert time.monotonic() - begun < 10 * SLOW and len(there.asked("INFO")) == 1
    assert not there.asked("CREATE")


@pytest.mark.parametrize("refusal", [NOT_NOW, EXISTS], ids=["not now", "exists"])
def test_a_stream_that_somebody_makes_meanwhile_is_judged(there, refusal):
    """Before an attempt is repeated it is looked what is there by then."""
    def create(body):
        there.configs["$MQTT_msgs"] = {**body, "storage": "memory"}
        return refusal
    there.script["STREAM.CREATE.$MQTT_msgs"] = create
    done = there.streams("apply", "--wait", "10s")
    assert done.returncode == 1 and "$MQTT_msgs: storage: memory -> file is refused" in done.stderr, done.stderr
    assert "the streams told above were changed before" in done.stderr and done.stdout == "XL_RETAINED: created\n"
    assert [name for name, _body in there.asked("CREATE")] == ["XL_RETAINED", "$MQTT_msgs"] and not there.asked("UPDATE")


def test_a_stream_as_an_mqtt_login_makes_it_is_updated(there):
    def create(body):
        there.configs["$MQTT_msgs"] = {"name": "$MQTT_msgs", "subjects": body["subjects"], "retention": "interest", "storage": "file", "num_replicas": 1}
        return EXISTS
    there.script["STREAM.CREATE.$MQTT_msgs"] = create
    done = there.streams("apply")
    assert done.returncode == 0 and "$MQTT_msgs: updated" in done.stdout and "retention: interest -> limits" in done.stdout, done.stdout + done.stderr
    assert there.configs["$MQTT_msgs"]["retention"] == "limits"


def test_what_was_done_without_an_answer_is_not_done_again(there):
    def create(body):
        there.configs["$MQTT_msgs"] = body
        return NOT_NOW
    there.script["STREAM.CREATE.$MQTT_msgs"] = create
    done = there.streams("apply", "--wait", "10s")
    assert done.returncode == 0 and "$MQTT_msgs: created" in done.stdout, done.stderr
    assert [name for name, _body in there.asked("CREATE")] == list(STREAMS) and not there.asked("UPDATE")


def test_what_others_change_before_the_update_is_kept(there):
    """All streams are looked at before the first is changed; each is looked at again just before its own change."""
    applied(there)
    for name in STREAMS:
        there.configs[name] = {**there.configs[name], "max_bytes": 1 << 20}

    def update(body):
        there.configs["XL_RETAINED"] = body
        there.configs["$MQTT_msgs"] |= {"description": "somebody's word"}
        return there.info("XL_RETAINED")
    there.script["STREAM.UPDATE.XL_RETAINED"] = update
    done = there.streams("apply")
    assert done.returncode == 0 and done.stdout.count("updated") == 4, done.stderr
    assert there.configs["$MQTT_msgs"]["description"] == "somebody's word" and there.configs["$MQTT_msgs"]["max_bytes"] == 67108864


@pytest.mark.parametrize("verb", ["apply", "status"])
def test_streams_of_another_domain_are_left_alone(there, verb):
    """The connection is checked when it is made; each stream says itself whose it is, too."""
    applied(there)
    there.configs["$MQTT_msgs"] = {**there.configs["$MQTT_msgs"], "max_bytes": 1 << 20}
    there.script["STREAM.INFO.$MQTT_msgs"] = lambda _body: {**there.info("$MQTT_msgs"), "domain": "CPC-1"}
    done = there.streams(verb)
    assert done.returncode == 1 and 'has the domain "CPC-1", but the document is of the site csc' in done.stderr, done.stdout + done.stderr
    assert not there.asked("UPDATE") and not there.asked("CREATE")


STEERING = "\x1b]0;owned\x07\x9b31m\u202e"


def test_status_repeats_no_text_that_steers_a_terminal(tmp_path):
    """Neither the server's name nor the words of a far server, which are cut between characters."""
    with StandIn(tmp_path, server_name="csc" + STEERING) as there:
        applied(there)
        for source in there.configs["$MQTT_msgs"]["sources"]:
            there.sources.setdefault("$MQTT_msgs", []).append({**source, "active": -1, "error": {"description": STEERING + "x" + "ä" * 100}})
        for source in there.configs["$MQTT_rmsgs"]["sources"]:
            there.sources.setdefault("$MQTT_rmsgs", []).append({**source, "active": -1, "error": {"description": "xx" + "ä" * 100}})
        done = there.streams("status")
        assert done.returncode == 1 and "server csc\\u001b]0;owned\\u0007\\u009b31m\\u202e (nats-server" in done.stdout, done.stdout
        assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202e]", done.stdout)
        told = re.findall("the server says: ([^)]*)", done.stdout)
        assert len(told) == 4 and all(words.endswith("ä") for words in told), told
        done = there.streams("status", "--json")
        found = json.loads(done.stdout)
        assert done.stdout.isascii() and found["server"] == "csc" + STEERING and not found["ok"] and len(found["problems"]) == 4


def test_a_refusal_is_cut_between_characters(there):
    for pad in ("", "x"):
        there.script["STREAM.INFO.XL_RETAINED"] = lambda _body, pad=pad: {"error": {"err_code": 10999, "description": pad + "ä" * 300}}
        done = there.streams("apply")
        assert done.returncode == 1 and "ä (10999)" in done.stderr and "\\x" not in done.stderr, done.stderr


class Passing:
    """
    A server on the address of the CSC that is the CSC's until it is asked who it is, over a connection of its own. Then it drops the client,
    waits until that is back, is another site's from there on, and only then answers. Without JetStream behind it: all that it is asked is kept.
    """
    HELLO = {"server_id": "N" + "A" * 55, "server_name": "csc-main", "version": "2.15.2", "proto": 1, "headers": True, "max_payload": 1 << 20,
             "nonce": "abcdefghijk", "auth_required": True}

    def __init__(self, address):
        self.domain, self.asked, self.first, self.opened, self.back = "CSC", [], None, 0, threading.Event()
        self.listener = socket.create_server((address, 4222))
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                client = self.listener.accept()[0]
            except OSError:
                return
            self.opened += 1
            threading.Thread(target=self.serve, args=(client, self.opened), daemon=True).start()

    def serve(self, client, number):
        if number == 2:
            self.domain = "CPC-9"
            self.first.shutdown(socket.SHUT_RDWR)
            self.back.wait(1.5)
        elif number == 1:
            self.first = client
        with contextlib.suppress(OSError):
            client.sendall(b"INFO " + json.dumps(self.HELLO).encode() + b"\r\n")
            lines, inbox = client.makefile("rb"), b"1"
            for line in lines:
                words = line.split()
                if words[0] == b"PING":
                    client.sendall(b"PONG\r\n")
                    if number > 2:
                        self.back.set()
                elif words[0] == b"SUB":
                    inbox = words[-1]
                elif words[0] == b"PUB":
                    lines.read(int(words[-1]) + 2)
                    what = words[1].decode().removeprefix("$JS.API.")
                    self.asked.append((self.domain, what))
                    answer = json.dumps({"domain": self.domain, "limits": {}} if what == "INFO" else MISSING).encode()
                    client.sendall(b"MSG %s %s %d\r\n%s\r\n" % (words[2], inbox, len(answer), answer))


def test_another_site_that_takes_over_while_it_is_proved(tmp_path):
    """Which streams are missing is told without a domain: what was proved of the first connection must not count for the second."""
    bus = Plain(tmp_path)
    site = bus.site("csc").write()
    there = Passing(site.address)
    done = bus.streams("csc", "apply", "--wait", "8s")
    there.listener.close()
    assert there.back.is_set() and ("CPC-9", "INFO") in there.asked, there.asked
    assert done.returncode == 1 and "CPC-9" in done.stderr and not done.stdout, done.stderr
    assert not [what for _domain, what in there.asked if "CREATE" in what], there.asked
