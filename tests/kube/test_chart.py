"""deploy/auth-callout installed, upgraded and removed by Helm 3 and 4 at a real API server; its pods and rights there."""
import copy
import json
import os
import subprocess

import pytest
from harness.bus import TOP

from api import ApiError
from real import BIN

pytestmark = pytest.mark.real
CHART = TOP / "deploy/auth-callout"
TOKENS = CHART / "examples/kubernetes-tokens.yaml"
NAME = "bus-auth-callout"
# everything that a cluster without the CRDs of others can have
MORE = ["--set", "networkPolicy.enabled=true", "--set", "autoscaling.enabled=true", "--set", "hotConfig.secretName=hot", "--set",
        "mtls.ca.secretName=devices", "--set", "mqttStreams.configMapName=streams"]
KINDS = "deployment,service,configmap,serviceaccount,networkpolicy,poddisruptionbudget,horizontalpodautoscaler"


class Release:
    def __init__(self, cluster, helm, namespace):
        self.cluster, self.helm, self.namespace = cluster, helm, namespace

    def __call__(self, verb, *args, helm=None):
        home = {f"HELM_{kind}_HOME": str(self.cluster.folder / "helm") for kind in ("CACHE", "CONFIG", "DATA")}
        done = subprocess.run([str(BIN / f"helm{helm or self.helm}"), verb, "bus", *map(str, args), "-n", self.namespace, "--kubeconfig",
                               str(self.cluster.kubeconfig())], capture_output=True, text=True, timeout=120, env=os.environ | home)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def get(self, kind, name=NAME):
        return json.loads(self.cluster.kubectl("get", kind, name, "-n", self.namespace, "-o", "json").stdout)

    def left(self):
        """Names of all that the chart made, in the namespace and in the whole cluster."""
        own = ["-l", "app.kubernetes.io/instance=bus,app.kubernetes.io/name=auth-callout", "-o", "name"]
        inside = self.cluster.kubectl("get", KINDS, "-n", self.namespace, *own).stdout.split()
        rights = self.cluster.kubectl("get", "clusterrole,clusterrolebinding", *own).stdout.split()
        return inside + [name for name in rights if f"/{self.namespace}:" in name]


@pytest.fixture(params=[3, 4], ids=lambda helm: f"helm{helm}")
def release(cluster, request, ns):
    assert (BIN / f"helm{request.param}").exists(), "no Helm: run scripts/setup-helm.sh"
    cluster.namespace(ns)
    cluster.kubectl("label", "namespace", ns, "pod-security.kubernetes.io/enforce=restricted")
    return Release(cluster, request.param, ns)


def may(release, verb, what, *where):
    account = f"system:serviceaccount:{release.namespace}:{NAME}"
    done = release.cluster.kubectl("auth", "can-i", verb, what, "--as", account, "--as-group", "system:serviceaccounts", "--as-group",
                                   "system:authenticated", *where, check=False)
    return done.stdout.strip().splitlines()[-1] == "yes"


def test_life(release):
    """Installed, told of the missing Secret, upgraded with everything on, by the other Helm, too, and gone without a rest."""
    notes = release("install", CHART)
    assert "auth-callout-keys (keys.secretName)" in notes and len(release.left()) == 7
    release.cluster.kubectl("create", "secret", "generic", "auth-callout-keys", "-n", release.namespace, "--from-literal=nkey-seed=x")
    first = release.get("deployment")
    assert "auth-callout-keys (keys.secretName)" not in release("upgrade", CHART, *MORE)
    second = release.get("deployment")
    assert second["spec"]["selector"] == first["spec"]["selector"] and second["metadata"]["generation"] == first["metadata"]["generation"] + 1
    assert "horizontalpodautoscaler.autoscaling/" + NAME in release.left()
    release("upgrade", CHART, *MORE)
    assert release.get("deployment")["metadata"]["generation"] == second["metadata"]["generation"], "the same values change nothing"
    release("upgrade", CHART, "--reset-values", helm=7 - release.helm)
    assert "hot-config" not in [v["name"] for v in release.get("deployment")["spec"]["template"]["spec"]["volumes"]]
    release("uninstall")
    assert release.left() == []


def test_permissions_change_no_pod(release):
    release("install", CHART)
    before = release.get("deployment")["metadata"]["generation"]
    release("upgrade", CHART, "--set", "permissions.document.noauth.account=CSC")
    assert "account: CSC" in release.get("configmap", NAME + "-permissions")["data"]["permissions.yaml"]
    assert release.get("deployment")["metadata"]["generation"] == before
    release("uninstall")


def test_pods_are_within_the_restricted_profile(release):
    """The namespace enforces it. One with a change against it must not be taken, or nothing would have been looked at."""
    release("install", CHART, "-f", TOKENS, *MORE)
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "dry"}, "spec": release.get("deployment")["spec"]["template"]["spec"]}
    path = f"/api/v1/namespaces/{release.namespace}/pods?dryRun=All"
    made = release.cluster.api("POST", path, pod)
    assert not [v for v in made["spec"]["volumes"] if v["name"].startswith("kube-api-access")], "a token is mounted that nobody asked for"
    bad = copy.deepcopy(pod)
    bad["spec"]["containers"][0]["securityContext"]["capabilities"] = {}
    with pytest.raises(ApiError) as refused:
        release.cluster.api("POST", path, bad)
    assert refused.value.status == 403 and "restricted" in str(refused.value)
    release("uninstall")


def test_rights_are_enough_and_no_more(release):
    release("install", CHART)
    assert not may(release, "list", "serviceaccounts", "-A")
    release("upgrade", CHART, "-f", TOKENS)
    assert all(may(release, verb, "serviceaccounts", "-A") for verb in ("get", "list", "watch")) and may(release, "get", "/openid/v1/jwks")
    assert not any(may(release, *asked) for asked in (("get", "secrets", "-A"), ("create", "serviceaccounts/token", "-A"),
                                                      ("patch", "serviceaccounts", "-A"),
                                                      ("create", "tokenreviews.authentication.k8s.io"), ("get", "configmaps", "-A"),
                                                      ("*", "*", "-A")))
    release("upgrade", CHART, "-f", TOKENS, "--set", "kubernetesTokens.tokenReview=true")
    assert may(release, "create", "tokenreviews.authentication.k8s.io") and not may(release, "create", "subjectaccessreviews.authorization.k8s.io")
    release("uninstall")
    assert not may(release, "list", "serviceaccounts", "-A")
