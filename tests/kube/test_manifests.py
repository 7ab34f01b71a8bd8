"""deploy/manifests against a real API server: clean, within Pod Security's restricted profile, with rights that are enough and no more."""
import json
import subprocess

import pytest
import yaml
from harness.bus import AUTH_CALLOUT

from real import MANIFESTS, SERVICE_NAME, SERVICE_NAMESPACE, ApiError

pytestmark = pytest.mark.real
FILES = sorted(path for path in MANIFESTS.glob("*.yaml") if path.name != "kustomization.yaml")
ACCOUNT = f"system:serviceaccount:{SERVICE_NAMESPACE}:{SERVICE_NAME}"


def objects():
    return [found for path in FILES for found in yaml.safe_load_all(path.read_text()) if found]


@pytest.fixture(scope="module")
def spaces(cluster):
    """The namespaces are there: nothing else can be dry-run in one that is not."""
    cluster.kubectl("apply", "-f", MANIFESTS / "namespace.yaml")
    for found in objects():
        if found["kind"] == "Namespace":
            cluster.kubectl("apply", "-f", "-", input=json.dumps(found))


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_file_is_clean(cluster, spaces, path):
    done = cluster.kubectl("apply", "--dry-run=server", "--validate=strict", "-f", path)
    assert "(server dry run)" in done.stdout and not done.stderr, done.stderr


def test_the_check_sees_an_unknown_field(cluster, spaces):
    broken = yaml.safe_load((MANIFESTS / "deployment.yaml").read_text())
    broken["spec"]["replica"] = 2
    done = cluster.kubectl("apply", "--dry-run=server", "--validate=strict", "-f", "-", check=False, input=json.dumps(broken))
    assert done.returncode != 0 and "replica" in done.stderr, done.stderr


def test_all_at_once_with_kustomize(cluster, spaces):
    done = cluster.kubectl("apply", "--dry-run=server", "--validate=strict", "-k", MANIFESTS)
    assert "deployment.apps/auth-callout" in done.stdout and not done.stderr, done.stderr


def test_every_file_is_in_the_kustomization_or_optional():
    listed = yaml.safe_load((MANIFESTS / "kustomization.yaml").read_text())["resources"]
    assert {path.name for path in FILES} - set(listed) == {"token-review.yaml", "client-example.yaml"}


def templates():
    return {found["metadata"]["name"]: found for found in objects() if found["kind"] == "Deployment"}


@pytest.mark.parametrize("name", ["auth-callout", "chiller"])
def test_pods_are_within_the_restricted_profile(cluster, spaces, name):
    """The namespaces enforce it, so a Pod as the Deployment makes it has to be taken; one with a change against it must not be."""
    deployment = templates()[name]
    namespace = deployment["metadata"]["namespace"]
    cluster.kubectl("apply", "-f", "-", input=json.dumps({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {
        "name": deployment["spec"]["template"]["spec"]["serviceAccountName"], "namespace": namespace}}))
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": f"{name}-dry"}, "spec": deployment["spec"]["template"]["spec"]}
    path = f"/api/v1/namespaces/{namespace}/pods?dryRun=All"
    made = cluster.api("POST", path, pod)
    mounted = [v for v in made["spec"]["volumes"] if v["name"].startswith("kube-api-access")]
    assert not mounted, "a token is mounted that nobody asked for"
    pod["spec"]["containers"][0]["securityContext"]["allowPrivilegeEscalation"] = True
    with pytest.raises(ApiError) as refused:
        cluster.api("POST", path, pod)
    assert refused.value.status == 403 and "restricted" in str(refused.value)


def test_deployment_as_asked(spaces):
    spec = templates()["auth-callout"]["spec"]
    pod, container = spec["template"]["spec"], spec["template"]["spec"]["containers"][0]
    assert spec["replicas"] == 2 and pod["affinity"]["podAntiAffinity"] and pod["securityContext"]["seccompProfile"]["type"] == "RuntimeDefault"
    assert container["livenessProbe"]["httpGet"]["path"] == "/livez" and container["readinessProbe"]["httpGet"]["path"] == "/readyz"
    security = container["securityContext"]
    assert security["readOnlyRootFilesystem"] and security["runAsNonRoot"] and security["capabilities"]["drop"] == ["ALL"]
    assert container["resources"]["requests"] and container["resources"]["limits"]


ASKED = [("list", "serviceaccounts", True, "-A"), ("watch", "serviceaccounts", True, "-A"), ("get", "serviceaccounts", True, "-A"), ("get", "secrets", False, "-A"),
         ("create", "serviceaccounts/token", False, "-A"), ("patch", "serviceaccounts", False, "-A"), ("get", "pods", False, "-A"),
         ("create", "tokenreviews.authentication.k8s.io", True, None), ("get", "/openid/v1/jwks", True, None), ("*", "*", False, "-A")]


@pytest.mark.parametrize("verb, what, allowed, everywhere", ASKED, ids=lambda value: str(value))
def test_rights_are_enough_and_no_more(cluster, verb, what, allowed, everywhere):
    groups = ["--as-group", "system:serviceaccounts", "--as-group", "system:authenticated"]
    done = cluster.kubectl("auth", "can-i", verb, what, "--as", ACCOUNT, *groups, *([everywhere] if everywhere else []), check=False)
    assert done.stdout.strip().splitlines()[-1] == ("yes" if allowed else "no"), done.stdout + done.stderr


def test_configuration_is_taken(cluster, shared_bus, tmp_path):
    """check-config on the ConfigMap's files, with the paths of a pod replaced by those of the tests."""
    config = next(found for found in objects() if found["kind"] == "ConfigMap")["data"]
    for name, text in config.items():
        (tmp_path / name).write_text(text)
    path = tmp_path / "auth-callout.yaml"
    text = path.read_text().replace("/etc/auth-callout/", f"{tmp_path}/")
    for name, key in (("nkey-seed", "service"), ("issuer-seed", "issuer"), ("xkey-seed", "xkey")):
        assert f"/etc/auth-callout-keys/{name}" in text
        text = text.replace(f"/etc/auth-callout-keys/{name}", str(shared_bus.seed_file(key)))
    path.write_text(text)
    own = ["--kubernetes.api-url", cluster.url, "--kubernetes.api-ca", cluster.ca, "--kubernetes.token-file", cluster.token_file]
    done = subprocess.run([*AUTH_CALLOUT.split(), "check-config", "--config", path, *map(str, own)], capture_output=True, text=True, timeout=30)
    assert done.returncode == 0, done.stdout + done.stderr
