"""Tests of the charts and manifests of deploy/. helm.py renders; the stand-ins of official charts are in standins/."""
import shutil
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent))

import helm  # noqa: E402


@pytest.fixture(scope="session", autouse=True)
def _put_together():
    missing = [t for t in ("helm3", "helm4", "kubeconform") if not (helm.BIN / t).exists()]
    assert not missing, f"{', '.join(missing)}: run scripts/setup-helm.sh"
    yield
    shutil.rmtree(helm.folder(), ignore_errors=True)


@pytest.fixture(params=helm.HELMS, ids=lambda h: f"helm{h}")
def each_helm(request):
    return request.param
