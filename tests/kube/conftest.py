"""
Kubernetes ServiceAccount tokens end to end: an API server, nats-server, auth-callout, clients with nats-py.

EB_KUBE says which API server: `real` (kube-apiserver and etcd of scripts/setup-kube.sh, the default) or `standin` (the integration tests'
harness/kubeapi.py). The suite is one; tests marked `real` need the real one.

Fixtures
  cluster      the shared cluster (real.py says what it can do); a test takes a namespace of its own: ns
  second       a second one, with another issuer and other keys
  new_cluster  new_cluster(name, key="rsa", issuer=None) starts one of a test's own, which it may break
  bus          a shared nats-server and auth-callout for `cluster`; new_bus(config, env=…) starts one of a test's own
"""
import os
import shutil
import sys
import tempfile
import uuid
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "integration"))
sys.path.insert(0, str(Path(__file__).resolve().parent))

from bus import Bus, kubernetes  # noqa: E402

KIND = os.environ.get("EB_KUBE") or "real"
RUNNING = []


def pytest_collection_modifyitems(items):
    for item in items:
        if KIND != "real" and item.get_closest_marker("real"):
            item.add_marker(pytest.mark.skip(reason="needs the real API server"))


@pytest.fixture(scope="session")
def folder():
    made = Path(tempfile.mkdtemp(prefix="eb-kube-"))
    yield made
    shutil.rmtree(made, ignore_errors=True)


@pytest.fixture(scope="session")
def start_cluster(folder):
    """start_cluster(name, key="rsa", issuer=None): started, with the service's rights and token."""
    etcd = []

    def start(name, key="rsa", issuer=None):
        if KIND == "standin":
            from standin import StandInCluster
            found = StandInCluster(folder, name, key)
        else:
            from real import Etcd, RealCluster
            if not etcd:
                etcd.append(Etcd(folder).start())
            found = RealCluster(folder, etcd[0], name, key)
        found.issuer = issuer or found.issuer
        found.start()
        return found.set_up()

    yield start
    for process in etcd:
        process.process.stop()


@pytest.fixture
def new_cluster(start_cluster):
    """The same; it ends with the test."""
    made = []

    def start(*args, **options):
        made.append(start_cluster(*args, **options))
        return made[-1]

    yield start
    for found in made:
        found.end()


@pytest.fixture(scope="session")
def cluster(start_cluster):
    found = start_cluster("first")
    yield found
    found.end()


@pytest.fixture(scope="session")
def second(start_cluster):
    found = start_cluster("second", key="ec")
    yield found
    found.end()


@pytest.fixture(scope="session")
def shared_bus(folder, cluster):
    found = Bus(folder, {"kubernetes": kubernetes(cluster)}).start()
    RUNNING.append(found)
    yield found
    RUNNING.remove(found)
    found.stop()


@pytest.fixture
def bus(shared_bus):
    return shared_bus


@pytest.fixture
def new_bus(folder):
    made = []

    def start(config, ready=True, **options):
        found = Bus(folder, config, **options)
        made.append(found)
        RUNNING.append(found)
        return found.start(ready)

    yield start
    for found in made:
        RUNNING.remove(found)
        found.stop()


@pytest.fixture
def ns(cluster):
    """A namespace of the test's own."""
    return cluster.namespace("t-" + uuid.uuid4().hex[:10])


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    report = yield
    if report.failed:
        for found in RUNNING:
            report.sections.append((f"log of auth-callout, {found.folder.name}", "".join(found.log.text().splitlines(True)[-12:])))
    return report
