"""
The image of auth-callout: `make test-image`. No Docker is needed; the tree that the Dockerfile copies is made here, and entered by bubblewrap.

folder  one that every user may pass through
build   the two programs
root    the tree (harness/rootfs.py)
bom     its bill of materials
bus     a nats-server, an identity provider by https, and auth-callout in the tree (stack.py)
"""
import json
import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest

from harness.bus import BUILD, TOP
from harness.rootfs import Root
from stack import Stack


@pytest.fixture(scope="session")
def folder():
    made = Path(tempfile.mkdtemp(prefix="eb-image-"))
    made.chmod(0o755)
    yield made
    shutil.rmtree(made, ignore_errors=True)


@pytest.fixture(scope="session")
def build(folder):
    """The programs, kept as they are now: a build that runs beside the tests would change them between one tree and the next."""
    for name in ("auth-callout", "eventbus"):
        (folder / "build" / name).mkdir(parents=True)
        shutil.copy2(BUILD / name / name, folder / "build" / name / name)
    return folder / "build"


@pytest.fixture(scope="session")
def root(folder, build):
    # the time is not that of the last commit, beside which somebody may commit
    return Root.make(folder / "rootfs", build, SOURCE_DATE_EPOCH="1750000000")


@pytest.fixture(scope="session")
def bom(root):
    done = subprocess.run([TOP / "auth-callout/sbom.sh", root.path], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0 and not done.stderr, done.stderr
    return json.loads(done.stdout)


@pytest.fixture(scope="session")
def bus(folder, root):
    made = Stack(folder / "bus", root)
    try:
        yield made.start()
    finally:
        made.stop()
