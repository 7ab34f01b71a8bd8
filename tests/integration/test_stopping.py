"""SIGTERM while no server answers: the service ends within its 5 seconds, whatever its threads wait for."""
import contextlib
import json
import re
import signal
import socket
import subprocess
import time

import pytest

from harness.bus import AUTH_CALLOUT, SLOW
from harness.wait import until

SERVERS = 5


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


@pytest.mark.parametrize("moment", ["at the start", "behind a lost server"])
def test_silent_servers(new_site, moment):
    site = new_site(callouts=2)
    site.bus("stop", "csc/auth-callout-2")
    conf = site.dir / "conf/auth-callout-2.yaml"
    good = conf.read_text()
    with silent_servers(site.address) as servers, (site.dir / "log/auth-callout-2.log").open("ab") as log:
        urls = url_of(servers) if moment == "at the start" else f"{site.url()},{url_of(servers)}"
        text, n = re.subn(r"(?m)^(\s+url: )\S*nats://\S+$", lambda m: m[1] + json.dumps(urls), good)
        assert n == 1, good
        conf.write_text(text)
        process = subprocess.Popen([*AUTH_CALLOUT.split(), "--config", str(conf)], stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        try:
            if moment != "at the start":
                until(lambda: ready(site), "it to be ready")
                site.bus("stop", "csc/nats-main")
            held = until(lambda: connected(servers), "it to ask a silent server")
            began = time.monotonic()
            process.send_signal(signal.SIGTERM)
            assert process.wait(5 * SLOW) == 0
            print(f"{moment}: {time.monotonic() - began:.1f} s")
            held[0].close()
        finally:
            if process.poll() is None:
                process.kill()
                process.wait()
            conf.write_text(good)
    lines = [line for line in (site.dir / "log/auth-callout-2.log").read_text().splitlines() if line.startswith("{")]
    assert json.loads(lines[-1])["msg"] == "stopped"
