"""
A real Keycloak with a realm, a nats-server and an auth-callout, one set for all tests of this folder: `make test-keycloak`.

keycloak  the process (keycloak.py); a test that stops it starts it again
realm     the realm `plant`, made by the admin REST API: the issuer of the jwks block
annex     the realm `annex`: a further issuer, whose clients are named by the claim client_id
stack     nats-server and auth-callout (stack.py), with the permissions document below
EB_BUILD says where the programs are (default build/).
"""
import shutil
import tempfile
from pathlib import Path

import pytest

from keycloak import Keycloak
from stack import Stack

ADDRESS = "127.45.0.1"


def entry(azp, **more):
    return {"azp": azp, "account": "CSC", "required_scope": "mqtt",
            "permissions": {"pub": {"allow": ["hall.>"]}, "sub": {"allow": ["command.>", "hall.>"]}}, **more}


PERMISSIONS = {"oauth2": {
    "gateway": entry("hall-gateway", permissions={"pub": {"allow": ["hall.>"]}, "sub": {"allow": ["command.>"]}}),
    "reader": entry("hall-reader", permissions={"pub": {"allow": ["command.>"]}, "sub": {"allow": ["hall.>"]}}),
    "portal": entry("portal"), "short": entry("short-lived"), "no-audience": entry("no-audience"), "other": entry("other-audience"),
    "annex-gateway": entry("hall-gateway", issuer="annex", permissions={"pub": {"allow": ["annex.>"]}}),
    "ES256": entry("es256"), "PS256": entry("ps256"), "EdDSA": entry("eddsa")}}


@pytest.fixture(scope="session")
def folder():
    made = Path(tempfile.mkdtemp(prefix="eb-keycloak-"))
    yield made
    shutil.rmtree(made, ignore_errors=True)


@pytest.fixture(scope="session")
def keycloak(folder):
    (folder / "kc").mkdir()
    server = Keycloak(folder / "kc", ADDRESS)
    try:
        yield server.start()
    finally:
        server.stop()


@pytest.fixture(scope="session")
def realm(keycloak):
    made = keycloak.realm("plant").make()
    for client in ("hall-gateway", "hall-reader", "stranger"):
        made.client(client)
    made.client("portal", passwords=True)
    made.client("short-lived", lifespan_s=4)
    made.client("no-audience", scopes=())
    made.client("other-audience", scopes=("other-bus",))
    for algorithm in ("ES256", "PS256", "EdDSA"):
        made.add_key(algorithm, 100, algorithm)
        made.client(algorithm.lower(), algorithm=algorithm)
    made.user("ann")
    return made


@pytest.fixture(scope="session")
def annex(keycloak):
    made = keycloak.realm("annex").make()
    for client in ("hall-gateway", "hall-reader"):
        made.client(client)
    return made


@pytest.fixture(scope="session")
def stack(folder, realm, annex):
    (folder / "stack").mkdir()
    made = Stack(folder / "stack", ADDRESS, realm, PERMISSIONS, [annex])
    try:
        made.start()
        yield made
    finally:
        made.stop()
