"""K8S_IN_CLUSTER and the environment of a pod are all that it needs; the pod's files are where kubelet puts them."""
import os

import pytest
from harness.natsio import Refused
from harness.wait import until

from processes import HOST
from test_changes import can_publish

POD_FILES = "/run/secrets/kubernetes.io/serviceaccount"  # /var/run is /run
pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root, for a mount of its own")


def kubelet_writes(folder, generation, cluster):
    """As kubelet does it: a folder with a new name, and the link to it changed in one step."""
    real = folder / f"..{generation}"
    real.mkdir()
    (real / "token").write_bytes(cluster.token_file.read_bytes())
    (real / "ca.crt").write_bytes(cluster.ca.read_bytes())
    fresh = folder / "..data.new"
    fresh.symlink_to(real.name)
    fresh.rename(folder / "..data")
    for name in ("token", "ca.crt"):
        if not (folder / name).is_symlink():
            (folder / name).symlink_to(f"..data/{name}")


@pytest.fixture
def pod_files(tmp_path):
    folder = tmp_path / "pod"
    folder.mkdir(mode=0o755)
    return folder


def test_in_a_pod(new_cluster, new_bus, pod_files):
    cluster = new_cluster("in-cluster", issuer="https://kubernetes.default.svc")
    kubelet_writes(pod_files, 1, cluster)
    cluster.account("plant", "chiller", {"nats.io/allowed-pub-subjects": "alarms.>"})
    token = cluster.token("plant", "chiller")
    script = 'mount -t tmpfs none /run && mkdir -p "$1" && mount --bind "$0" "$1" && shift && exec "$@"'
    bus = new_bus({"permissions": {}}, env={"K8S_IN_CLUSTER": "true", "NATS_ACCOUNT": "APP", "KUBERNETES_SERVICE_HOST": HOST,
                                            "KUBERNETES_SERVICE_PORT": str(cluster.port)},
                  wrap=["unshare", "--mount", "sh", "-c", script, pod_files, POD_FILES])
    assert can_publish(bus, token, "alarms.a") and can_publish(bus, token, "plant.a")
    # everything that it shows and trusts changes
    cluster.rotate_signing_key(keep=False)
    cluster.rotate_ca()
    cluster.renew_service_token()
    kubelet_writes(pod_files, 2, cluster)
    new = cluster.token("plant", "chiller")
    cluster.annotate("plant", "chiller", allowed_pub_subjects="orders.>")

    def with_the_new_key():
        try:
            return can_publish(bus, new, "orders.a")
        except Refused:
            return False
    until(with_the_new_key, "a token of the new key with the new rights", timeout=60, every=0.2)
