"""
Integration tests: real servers, real clients.

Fixtures
  site          the shared site of a worker: everything on, the tests' permissions document (harness/permissions.py). For tests that change
                nothing, or change it back (site.permissions_changed). After each test every metric is checked (names, promtool).
  new_site      new_site(**settings) starts a site of one's own with settings of local/settings.sh (noauth='off', callouts=2, xkey='off', ...);
                it ends with the test. For tests that stop, restart, rotate.
  new_federation  new_federation(sites=("csc", "cpc-1", "cpc-2"), replicas=1, proxied=("cpc-1",), **settings): several sites and their links
                (harness/federation.py); it ends with the test.
  federation    the shared one of a worker: CSC, CPC-1 and CPC-2 with the demo documents. For tests that change nothing, or change it back.
  three_sites, new_three_sites  the same with the documents of the federation suites (federation/fixtures.py).
  asker         plays nats-server against the shared site: asker.ask(client=, connect=, tls=) puts a signed and sealed request to the service and
                verifies the answer as a server does (harness/callout.py).
  observer      a NATS client of the main server that may see and say everything in the data account.
  token         token(client='mqtt-client', **claims): from the site's identity provider; exp='now-10', azp='x', aud=None, header={...}.

Harness (tests/integration/harness)
  site.Site     .mqtt() .mqtts() .nats() .nkey_client() .wire() .leaf() .mosquitto(): clients; .decision(method, reason): what a block must cause in
                log and metrics; .write_permissions() .permissions_changed(); .metrics() .log .http(); .bus('restart', 'csc/nats-main').
  wait.until    waits for a condition; nothing sleeps for a guessed time.
  secrets.note  every secret is noted; when a site ends, no log may hold one.

EB_BUILD says where the programs are (default build/). Marks: long (minutes), timing (not under sanitizers).
"""
import shutil
import tempfile
from pathlib import Path

import pytest

from federation.fixtures import new_three_sites, three_sites  # noqa: F401
from harness.callout import Asker
from harness.federation import Federation
from harness.site import Site

SITES = []


@pytest.fixture(scope="session")
def run_root():
    root = Path(tempfile.mkdtemp(prefix="eb-it-"))
    yield root
    shutil.rmtree(root, ignore_errors=True)


@pytest.fixture(scope="session")
def shared_site(run_root):
    site = Site(run_root / "shared")
    SITES.append(site)
    site.up()
    yield site
    SITES.remove(site)
    site.stop()


@pytest.fixture
def site(shared_site):
    yield shared_site
    shared_site.check_metrics()


@pytest.fixture
def new_site(run_root):
    made = []

    def start(**settings):
        site = Site(run_root / f"own-{len(list(run_root.iterdir()))}", **settings)
        made.append(site)
        SITES.append(site)
        return site.up()

    yield start
    for site in made:
        SITES.remove(site)
        site.stop()


@pytest.fixture(scope="session")
def federation(run_root):
    found = Federation(run_root / "federation")
    SITES.extend(found)
    found.up()
    yield found
    for site in found:
        SITES.remove(site)
    found.end()


@pytest.fixture
def new_federation(run_root):
    made = []

    def start(**settings):
        found = Federation(run_root / f"own-{len(list(run_root.iterdir()))}", **settings)
        made.append(found)
        SITES.extend(found)
        return found.up()

    yield start
    for found in made:
        for site in found:
            SITES.remove(site)
        found.end()


@pytest.fixture(scope="session")
def shared_asker(shared_site):
    asker = Asker(shared_site)
    yield asker
    asker.close()


@pytest.fixture
def asker(site, shared_asker):
    return shared_asker


@pytest.fixture
def observer(site):
    with site.nkey_client("observer") as client:
        yield client


@pytest.fixture
def token(site):
    return site.idp.token


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    report = yield
    if report.failed:
        for site in SITES if {"shared_site", "new_site", "federation", "new_federation"} & set(item.fixturenames) else []:
            tail = "".join(site.log.text().splitlines(True)[-12:])
            report.sections.append((f"log of auth-callout in {site.run_dir.name}/{site.name}", tail))
    return report
