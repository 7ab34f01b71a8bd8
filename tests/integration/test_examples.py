"""The example programs of docs/integrator-quickstart.md in C and Python. docs/examples/run.sh runs those in the other languages too."""
import os
import subprocess
import sys

import pytest

from harness.bus import TOP
from harness.wait import SLOW

EXAMPLES = TOP / "docs/examples"


def flags():
    found = subprocess.run(["pkg-config", "--cflags", "--libs", "libmosquitto", "libcurl", "jansson"], capture_output=True, text=True)
    return found.stdout.split() if found.returncode == 0 else None


@pytest.fixture(scope="module", params=["c", "python"])
def program(request, tmp_path_factory):
    if request.param == "python":
        return [sys.executable, "-u", str(EXAMPLES / "python/client.py")]
    libraries = flags()
    assert libraries is not None, "libmosquitto-dev, libcurl or jansson is not there: run make setup-test"
    made = tmp_path_factory.mktemp("example") / "client"
    subprocess.run(["gcc", "-std=gnu17", "-Wall", "-Wextra", "-Werror", "-O1", "-o", made, EXAMPLES / "c/client.c", *libraries], check=True)
    return [str(made)]


def run(program, site, **env):
    """The exit status, and the lines printed."""
    env = {"PATH": os.environ["PATH"], "MQTT_HOST": site.address, "MQTT_CLIENT_ID": f"example-{os.urandom(4).hex()}"} | env
    done = subprocess.run(program, env=env, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=100 * SLOW)
    return done.returncode, done.stdout.splitlines()


def by_token(site, **env):
    return {"MQTT_PORT": str(site.ports["MQTT"]), "TOKEN_URL": f"{site.idp.url}/token", "CLIENT_ID": "mqtt-client",
            "CLIENT_SECRET": "mqtt-client-secret"} | env


def by_certificate(site):
    certs = site.dir / "certs"
    return {"MQTT_PORT": str(site.ports["MTLS_MQTT"]), "CA_FILE": str(certs / "ca.pem"), "CERT_FILE": str(certs / "client.pem"),
            "KEY_FILE": str(certs / "client-key.pem")}


def test_token_is_refreshed_and_nothing_is_missed(site, program):
    status, lines = run(program, site, **by_token(site, COUNT="3", REFRESH_S="1", MQTT_TOPIC="test/example"))
    assert status == 0 and lines[0] == "connected, session new" and lines[-1] == "done", lines
    assert "token refreshed" in lines and "connected, session resumed" in lines, lines
    assert sorted(line for line in lines if line.startswith("received")) == [f"received test/example/{n} {n}" for n in (1, 2, 3)]


def test_certificate(site, program):
    status, lines = run(program, site, **by_certificate(site), COUNT="1", MQTT_TOPIC="test/example")
    assert status == 0 and lines == ["connected, session new", "received test/example/1 1", "done"], lines


def test_refused_login(site, program, tmp_path):
    (tmp_path / "token").write_text("not.a.token\n")
    status, lines = run(program, site, **by_token(site, TOKEN_FILE=str(tmp_path / "token")))
    assert status == 1 and lines[-1].startswith("refused: "), lines


def test_refused_subscription(site, program):
    status, lines = run(program, site, **by_token(site, MQTT_TOPIC="BMS/example"))
    assert status == 1 and lines[-1] == "subscription refused: BMS/example/#", lines
