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


def secret_table(values):
    """{SECRET: [KEY…]} that a site needs, as the notes of the chart list them."""
    import json
    probe = helm.folder() / "probe"
    if not probe.exists():
        shutil.copytree(helm.assembled(), probe)
        (probe / "templates/secret-table.yaml").write_text(
            'apiVersion: v1\nkind: ConfigMap\nmetadata: {name: secret-table}\ndata:\n  table: {{ include "eventbus.secretTable" . | quote }}\n')
    text = helm.run(3, "template", "bus", probe, "--kube-version", helm.KUBE, *helm._files(values), "-s", "templates/secret-table.yaml")
    return json.loads(helm.yaml.safe_load(text)["data"]["table"])
