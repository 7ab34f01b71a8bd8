"""
three_sites      CSC, CPC-1 and CPC-2 with the tests' documents, one for all files of a worker. For tests that leave nothing retained behind.
new_three_sites  new_three_sites(proxied=("cpc-1",), replicas=3, …): one of one's own; it ends with the test.
"""
import pytest

from .sites import ThreeSites


@pytest.fixture(scope="session")
def three_sites(run_root):
    found = ThreeSites(run_root / "three-sites")
    yield found.up()
    found.end()


@pytest.fixture
def new_three_sites(run_root):
    made = []

    def start(**settings):
        found = ThreeSites(run_root / f"own-{len(list(run_root.iterdir()))}", **settings)
        made.append(found)
        return found.up()

    yield start
    for found in made:
        found.end()
