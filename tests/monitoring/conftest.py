"""
A bus of two sites with nats-surveyor at each (or its stand-in), clients of every kind that come and go, and a Prometheus that scrapes it all
and evaluates the rules. All on loopback addresses of their own.

  bus          the harness's Bus: csc and cpc-1
  prometheus   Prometheus(…): query(expression), firing(), rules(), series(metric)
"""
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "integration"))
sys.path.insert(0, str(Path(__file__).resolve().parent))

from harness.bus import Bus  # noqa: E402
from harness.wait import until  # noqa: E402
from clients import Clients  # noqa: E402
from monitoring import TOP  # noqa: E402
from prometheus import Prometheus  # noqa: E402

SURVEYOR = TOP / ".deps/bin/nats-surveyor"
STAND_IN = f"{TOP}/.deps/venv/bin/python {TOP}/tests/monitoring/surveyor.py"
SITES = ("csc", "cpc-1")
# An issuer of kind kubernetes whose API server is away: its metrics are there from the start, and the dashboards show them.
KUBERNETES = """issuers:
  - name: cluster
    kind: kubernetes
    issuer: https://cluster.example
    api-url: https://{address}:{port}
    token-file: {folder}/token
    account: CSC
    audience: nats
"""


@pytest.fixture(scope="session")
def folder():
    made = Path(tempfile.mkdtemp(prefix="eb-monitoring-"))
    yield made
    if not os.environ.get("EB_KEEP"):
        shutil.rmtree(made, ignore_errors=True)


@pytest.fixture(scope="session")
def bus(folder):
    made = Bus(folder / "run", sites=SITES, surveyor="on", nats_surveyor=SURVEYOR if SURVEYOR.exists() else STAND_IN)
    (folder / "token").write_text("not.a.token\n")
    (folder / "extra.yaml").write_text(KUBERNETES.format(address=made.address, port=made.ports["SPARE_2"], folder=folder))
    made.configure(port_surveyor=made.ports["SPARE_1"], callout_extra=folder / "extra.yaml", callout_timeout=5)
    try:
        made("up")
        yield made
    finally:
        made.run("down")


@pytest.fixture(scope="session")
def clients(bus, folder):
    """Clients of every kind at both sites, again and again until the end."""
    made = Clients(bus, folder)
    made.once()
    ended = threading.Event()

    def go_on():
        while not ended.wait(0.5):
            made.once(sure=False)
    thread = threading.Thread(target=go_on)
    thread.start()
    yield made
    ended.set()
    thread.join()


@pytest.fixture(scope="session")
def prometheus(bus, folder, clients):
    made = Prometheus(folder / "prometheus", f"{bus.address}:{bus.ports['SPARE_3']}", {
        "auth-callout": {site: f"{bus.nodes[site][0]}:{bus.ports['METRICS']}" for site in SITES},
        "nats-surveyor": {site: f"{bus.nodes[site][0]}:{bus.ports['SPARE_1']}" for site in SITES}})
    made.start()
    try:
        # a rate needs two scrapes between which something happened, and the recorded ones a moment more
        until(lambda: made.value('min(count_over_time(auth_ready[5m]))', 0) >= 8
              and made.value('min(count_over_time(nats_up[5m]))', 0) >= 3
              and made.value('count(eventbus:auth_failures:rate5m{method="noauth"})', 0) >= len(SITES), made.trouble, timeout=60, every=0.2)
        yield made
    finally:
        made.stop()
