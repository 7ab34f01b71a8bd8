"""nats-surveyor as a part of the local bus: there or not, wanted or not."""
import shutil

import pytest

from conftest import STAND_IN
from harness.bus import Bus
from monitoring import TOP


@pytest.fixture
def one(tmp_path):
    made = Bus(tmp_path / "run", sites=("csc",))
    made.configure(port_surveyor=made.ports["SPARE_1"])
    yield made
    made.run("down")


@pytest.mark.parametrize("wanted, program, there", [
    ("auto", STAND_IN, True), ("on", STAND_IN, True), ("off", STAND_IN, False), ("auto", "/nonexistent/nats-surveyor", False)])
def test_which_processes_there_are(one, wanted, program, there):
    one.configure(surveyor=wanted, nats_surveyor=program)
    assert ("csc/surveyor" in one("names").split()) == there


def test_the_bus_runs_without_it_and_says_so(one):
    one.configure(surveyor="auto", nats_surveyor="/nonexistent/nats-surveyor")
    assert "metrics of the servers: none, nats-surveyor is not there (make setup-surveyor" in one("up")
    assert "surveyor" not in one("status")


def test_what_is_wanted_and_missing_is_told_before_anything_starts(one):
    one.configure(surveyor="on", nats_surveyor="/nonexistent/nats-surveyor")
    done = one.run("up")
    assert done.returncode != 0 and "make setup-surveyor" in done.stderr and "EB_SURVEYOR=off" in done.stderr
    assert one("down").strip() == "nothing was running"
    one.configure(surveyor="maybe")
    assert "EB_SURVEYOR=maybe: write on, off or auto" in one.run("generate").stderr


def test_status_tells_when_a_server_does_not_answer(one):
    one.configure(surveyor="on", nats_surveyor=STAND_IN)
    one("up")
    one("stop", "csc/nats-mtls")
    done = one.run("status")
    (line,) = [line for line in done.stdout.splitlines() if line.startswith("csc/surveyor")]
    assert done.returncode == 1 and "NOT READY" in line


def test_without_an_mtls_server_none_is_expected(one, tmp_path):
    docs = tmp_path / "docs"
    shutil.copytree(TOP / "local/sites", docs)
    text = (TOP / "local/sites/csc.yaml").read_text()
    assert "    mtls: { enabled: true }\n" in text
    (docs / "csc.yaml").write_text(text.replace("    mtls: { enabled: true }\n", "    mtls: { enabled: false }\n"))
    one.configure(surveyor="on", nats_surveyor=STAND_IN, site_docs=docs)
    said = one.run("up")
    assert said.returncode == 0, said.stdout + said.stderr
    assert " ready " in [line for line in one.run("status").stdout.splitlines() if line.startswith("csc/surveyor")][0]
