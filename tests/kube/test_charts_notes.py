"""The notes of the chart of a site: what they say of Secrets that are missing, at a real API server, and none of what is in them."""
import pytest

import charts
from charts import helm, sites

pytestmark = pytest.mark.real
BUS = {"clusterType": "csc", "cpcIds": ["1"], "auth": {"permissions": {"mtls": {"a": {"identity": "CN=a", "account": "CSC"}}}}}


@pytest.mark.parametrize("version", helm.HELMS)
def test_missing_secrets_are_named_until_all_are_there(cluster, tmp_path, version):
    charts.crds(cluster)
    tree = sites.Tree(tmp_path / "secrets", {"csc": BUS})
    release = charts.Release(cluster, f"notes-{version}", sites.values_of(BUS, {"surveyor": {"config": {"expectedServers": 4}}}))
    notes = release.helm(version, "install")
    for line in ("missing  auth-callout-keys: issuer-seed", "missing  nats-leaf-cpc-1: pubkey", "missing  nats-mtls-server-tls: tls.key",
                 f"eventbus secrets manifests secrets --site csc --namespace notes-{version}"):
        assert line in notes
    text = sites.run("secrets", "manifests", tree.root, "--site", "csc", "--namespace", f"notes-{version}")
    cluster.kubectl("apply", "--server-side", "-f", "-", input=text)
    cluster.kubectl("patch", "secret", "nats-xkey", "-n", f"notes-{version}", "--type", "json", "-p", '[{"op": "remove", "path": "/data/pubkey"}]')
    notes = release.helm(version, "upgrade")
    assert "missing  nats-xkey: pubkey" in notes and notes.count("missing  ") == 1
    cluster.kubectl("apply", "--server-side", "--force-conflicts", "-f", "-", input=text)
    notes = release.helm(version, "upgrade")
    assert "missing  " not in notes and "are there." in notes
    for seed in tree.root.rglob("*seed"):
        assert seed.read_text().strip() not in notes
