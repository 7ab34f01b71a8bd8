"""A million callouts: the service's memory, threads and descriptors afterwards are what they were after the first ones."""
import json
import os
import subprocess
import time
import urllib.request
from pathlib import Path

import pytest

from harness.bus import AUTH_CALLOUT, BUILD, NATS_SERVER, free_address
from harness.metrics import Metrics
from harness.wait import until

# EB_SOAK_CALLOUTS shortens a trial.
CALLOUTS = int(os.environ.get("EB_SOAK_CALLOUTS") or 1_000_000)
KINDS = ("oauth2", "mtls", "mtls-again", "nkey", "noauth")
WARM = 20_000       # callouts of each kind before the first look: caches fill, the allocator finds its size
ROUNDS = 2          # of all kinds
GROWTH_KIB = 1024   # of noise between two looks; a leak of 2 bytes a callout is more


def figures(pid):
    status = dict(line.split(":\t", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines() if ":\t" in line)
    return {"rss_kib": int(status["VmRSS"].split()[0]), "threads": int(status["Threads"]), "files": len(os.listdir(f"/proc/{pid}/fd"))}


class Soak:
    """nats-server, auth-callout and a generator that plays a second nats-server, as `make bench` runs them."""

    def __init__(self, folder):
        self.folder, self.site = folder, folder / "site"
        self.site.mkdir(mode=0o700)
        self.address, ports = free_address()
        self.nats, self.health = ports["NATS"], ports["HEALTH"]
        subprocess.run([BUILD / "bench/bench-prepare", "--dir", self.site, "--address", self.address, "--nats", str(self.nats),
                        "--health", str(self.health), "--metrics", str(ports["METRICS"])], check=True, timeout=60)
        self.server = self.service = None

    def start(self):
        with (self.folder / "nats.log").open("wb") as log:
            self.server = subprocess.Popen([NATS_SERVER, "-c", str(self.site / "nats.conf")], stdout=log, stderr=log)
        until(lambda: b"Server is ready" in (self.folder / "nats.log").read_bytes(), "nats-server to be ready")
        # a line a callout is written, and thrown away: half a gigabyte of it
        self.service = subprocess.Popen([*AUTH_CALLOUT.split(), "--config", str(self.site / "auth-callout.yaml")], stdin=subprocess.DEVNULL,
                                        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        until(self.ready, "auth-callout to be ready")
        return self

    def get(self, path):
        with urllib.request.urlopen(f"http://{self.address}:{self.health}{path}", timeout=10) as answer:
            return answer.read().decode()

    def ready(self):
        assert self.service.poll() is None, "auth-callout ended"
        try:
            return self.get("/readyz")
        except OSError:
            return None

    def fire(self, kind, count):
        """count callouts of a kind; each answer is verified by the generator, which fails where one is wrong or missing."""
        done = subprocess.run([BUILD / "bench/bench-load", "--dir", self.site, "--nats", f"{self.address}:{self.nats}", "--kind", kind,
                               "--count", str(count), "--batch", str(min(count, 20_000)), "--service", str(self.service.pid),
                               "--server", str(self.server.pid)], capture_output=True, text=True, timeout=1200)
        assert done.returncode == 0, f"{kind}: {done.stdout}{done.stderr}"
        said = json.loads(done.stdout)
        assert said["callouts"] == count and said["wrong"] == said["missing"] == 0, said
        return said

    def stop(self):
        for process in (self.service, self.server):
            if process and process.poll() is None:
                process.terminate()
                process.wait(20)


def given_back(pid, first):
    """The figures, with no more threads and descriptors than before. That of a scrape is closed a moment after the client has gone."""
    return until(lambda: (now := figures(pid))["threads"] <= first["threads"] and now["files"] <= first["files"] and now,
                 lambda: f"{first}, not {figures(pid)}: {subprocess.run(['ls', '-l', f'/proc/{pid}/fd'], capture_output=True, text=True).stdout}")


@pytest.fixture
def soak(tmp_path):
    soak = Soak(tmp_path)
    try:
        yield soak.start()
    finally:
        soak.stop()


@pytest.mark.long
@pytest.mark.timing
@pytest.mark.timeout(2700)
def test_a_million_callouts_leave_nothing_behind(soak):
    begin = time.monotonic()
    for kind in KINDS:
        soak.fire(kind, WARM)
    first, looks = figures(soak.service.pid), []
    each = max(1000, CALLOUTS // (len(KINDS) * ROUNDS))
    for _ in range(ROUNDS):
        for kind in KINDS:
            soak.fire(kind, each)
            looks.append((kind, figures(soak.service.pid)))
    now = Metrics(soak.get("/metrics"))
    total = each * ROUNDS * len(KINDS)
    print(f"{total} callouts in {time.monotonic() - begin:.0f} s: {first} -> {looks}")
    assert now["auth_requests_total"] >= total and now["auth_errors_total"] == 0
    last = given_back(soak.service.pid, first)
    assert last["rss_kib"] <= first["rss_kib"] + GROWTH_KIB, (first, looks)
    soak.service.terminate()
    assert soak.service.wait(10) == 0


@pytest.mark.long
@pytest.mark.timing
@pytest.mark.timeout(600)
def test_a_thousand_reloads_leave_nothing_behind(new_site):
    """Documents, CA and configuration read again and again: what was replaced is given back."""
    site = new_site()
    pid = site.bus.pid("csc/auth-callout")

    def reload(n):
        for _ in range(n):
            before = site.metrics()["auth_permissions_reloads_total"]
            os.kill(pid, 1)
            until(lambda b=before: site.metrics()["auth_permissions_reloads_total"] > b, "a reload", every=0.001)
    reload(100)
    first = figures(pid)
    reload(1000)
    last = given_back(pid, first)
    assert last["rss_kib"] <= first["rss_kib"] + GROWTH_KIB, (first, last)
