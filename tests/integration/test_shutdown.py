"""The service ends within its 5 seconds: while probes and scrapes go on, with what it holds still whole until nobody asks any more, and
whatever its threads wait for."""
import contextlib
import os
import signal
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from harness.bus import SLOW
from harness.natsio import run
from harness.proxy import Proxy
from harness.second import started
from harness.suspend import suspended
from harness.wait import until

SERVERS = 5


def test_probes_during_the_stop(new_site):
    site = new_site()
    done = threading.Event()

    def probe(path):
        while not done.is_set():
            try:
                site.http(path)
            except OSError:
                pass

    threads = [threading.Thread(target=probe, args=(path,)) for path in ("/readyz", "/metrics") for _ in range(2)]
    for thread in threads:
        thread.start()
    try:
        for _ in range(3):
            offset = site.log.size()
            site.bus("stop", "csc/auth-callout")
            until(lambda offset=offset: [line for line in site.log.since(offset) if line["msg"] == "stopped"], "the last line of a whole stop")
            site.bus("start", "csc/auth-callout")
    finally:
        done.set()
        for thread in threads:
            thread.join()


@contextlib.contextmanager
def silent_servers(address):
    """Servers that take connections and never say a word."""
    with contextlib.ExitStack() as stack:
        yield [stack.enter_context(socket.create_server((address, 0), backlog=64)) for _ in range(SERVERS)]


def url_of(servers):
    return ",".join("nats://{}:{}".format(*one.getsockname()) for one in servers)


def ready(site):
    with contextlib.suppress(OSError):
        return site.http("/readyz", "HEALTH_2")[0] == 200


def connected(servers):
    """True as soon as one of them was asked."""
    for one in servers:
        one.setblocking(False)
        with contextlib.suppress(BlockingIOError):
            return one.accept()
    return None


def ends(process, log):
    """Within the 5 seconds, and whole."""
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
    assert process.wait(5 * SLOW) == 0
    assert "stopped" in [line["msg"] for line in log.since()[-3:]]  # a thread that was left may tell of its last request after it


@pytest.mark.parametrize("moment", ["at the start", "behind a lost server"])
def test_silent_servers(new_site, moment):
    site = new_site(callouts=2)
    with silent_servers(site.address) as servers:
        urls = url_of(servers) if moment == "at the start" else f"{site.url()},{url_of(servers)}"
        with started(site, lambda doc: doc["nats"].update(url=urls)) as (process, log):
            if moment != "at the start":
                until(lambda: ready(site), "it to be ready")
                site.bus("stop", "csc/nats-main")
            held = until(lambda: connected(servers), "it to ask a silent server")
            ends(process, log)
            held[0].close()


LOGINS = 40


def sent(site):
    """Messages that the server sent, or wants to send, over the service's links."""
    return sum(c["out_msgs"] for c in site.connections() if c.get("name") == "auth-callout")


def login(site, token):
    with contextlib.suppress(OSError), site.wire() as wire:
        wire.connect(user="oauthtoken", **{"pass": token})


@pytest.mark.timeout(180)
def test_answers_that_no_server_takes(new_site):
    """Many requests lie there when the server goes, and those that are left take connections and say nothing: the stop does not try each."""
    site = new_site(callouts=2, callout_timeout=60)
    site.bus("stop", "csc/auth-callout")
    with silent_servers(site.address) as servers, ThreadPoolExecutor(LOGINS) as pool, \
            started(site, lambda doc: doc["nats"].update(url=f"{site.url()},{url_of(servers)}")) as (process, log):
        until(lambda: ready(site), "it to be ready")
        asked, before, token = site.metrics("METRICS_2")["auth_requests_total"], sent(site), site.idp.token()
        with suspended(process.pid):
            for _ in range(LOGINS):
                pool.submit(login, site, token)
            until(lambda: sent(site) >= before + LOGINS, "the server to ask about all of them")
            site.bus("stop", "csc/nats-main")
        until(lambda: site.metrics("METRICS_2")["auth_requests_total"] >= asked + LOGINS, "the service to have them")
        ends(process, log)


@contextlib.contextmanager
def throttled(pid):
    """The process runs for a moment twice a second, as one whose quota of CPU is used up does."""
    over = threading.Event()

    def turns():
        while not over.is_set():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGSTOP)
                over.wait(0.5)
                os.kill(pid, signal.SIGCONT)
            time.sleep(0.001)  # its turn

    os.kill(pid, signal.SIGSTOP)
    thread = threading.Thread(target=turns)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


@pytest.mark.timeout(180)
def test_a_backlog(new_site):
    """Many requests wait, and there is little CPU for them: each is answered as ever, or told to be left. None is refused for the stop."""
    n = 400
    site = new_site(callouts=2, callout_timeout=50)
    site.bus("stop", "csc/auth-callout")
    with ThreadPoolExecutor(n) as pool, started(site, lambda doc: None) as (process, log):
        until(lambda: ready(site), "it to be ready")
        before, token = sent(site), site.idp.token()
        with suspended(process.pid):
            for _ in range(n):
                pool.submit(login, site, token)
            until(lambda: sent(site) >= before + n, "the server to ask about all of them")
        with throttled(process.pid):
            process.send_signal(signal.SIGTERM)
            assert process.wait(60) == 0
        lines = log.since()
        site.bus("stop", "csc/nats-main")  # those that were left wait no longer
    end = [line for line in lines if line["msg"] == "stopped"][-1]
    assert {line["reason"] for line in lines if "reason" in line} <= {"ok"}
    admitted, left = len([line for line in lines if line["msg"] == "admitted"]), end.get("unanswered", 0)
    in_hand = next(line["workers"] for line in lines if line["msg"] == "started")  # decided, and not sent any more
    unread = [line for line in lines if "could be read" in line["msg"]]  # what the process was too slow to read nobody counts
    assert admitted + left <= n + in_hand and (admitted + left >= n or unread), (admitted, end)


class FirstOnly(Proxy):
    """The first connection passes; further ones are taken and hang, until let_go()."""

    def __init__(self, *ends):
        super().__init__(*ends)
        self.held, self.over = [], False

    async def _serve(self, reader, writer):
        if self.over:
            writer.transport.abort()
        elif self.passed:
            self.held.append(writer)
        else:
            await super()._serve(reader, writer)

    async def _abort(self):
        self.over = True
        for writer in self.held:
            writer.transport.abort()

    def let_go(self):
        run(self._abort())


def test_ready_by_the_first_link(new_site):
    """While the others wait for a server that says nothing, one after the other. And the stop makes no error of what it calls off."""
    def change(doc):
        del doc["mqtt"]  # no connections but the links
        doc["observability"]["metrics"]["server-refusals"] = False
        doc["limits"] = {**doc.get("limits", {}), "connections": 4}
        doc["nats"]["url"] = proxy.url

    def subscriptions():
        return sum(c["subscriptions"] for c in site.connections() if c.get("name") == "auth-callout")

    site = new_site(callouts=2)
    site.bus("stop", "csc/auth-callout")
    with FirstOnly((site.address, site.ports["SPARE_1"]), (site.address, site.ports["NATS"])) as proxy, started(site, change) as (process, log):
        until(lambda: ready(site), "it to be ready")
        assert len(proxy.held) <= 1, "it had waited for another"
        until(lambda: proxy.held, "the second to hang")
        before = subscriptions()
        process.send_signal(signal.SIGTERM)
        until(lambda: subscriptions() < before, "the first to leave the queue group")
        proxy.let_go()
        ends(process, log)
        assert not [line for line in log.since() if line["level"] == "error"]
