"""Chart auth-callout: what it renders to."""
import copy
import json
import re
import shutil
import subprocess

import pytest
import yaml

import helm
from callout import CHART, EVERYTHING, EXAMPLES, NAME, container, render, template

# What the cluster has no schema of: a CRD of others that an example makes one of.
FOREIGN = ("SecretProviderClass",)
CASES = {"default": {}, "everything": EVERYTHING, **{path.stem: path for path in EXAMPLES}}


# --- all of it ------------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("values", CASES.values(), ids=CASES)
def test_lint(each_helm, values):
    assert "0 chart(s) failed" in helm.lint(values, each_helm, chart=CHART)


@pytest.mark.parametrize("values", CASES.values(), ids=CASES)
def test_both_helms_write_the_same(values):
    assert render(values, 3).text == render(values, 4).text


@pytest.mark.parametrize("values", CASES.values(), ids=CASES)
def test_against_the_schemas(values):
    assert helm.conform(render(values).text, skip=FOREIGN) == []


@pytest.mark.parametrize("values", CASES.values(), ids=CASES)
def test_nothing_is_twice(values):
    """Server-side apply, Helm 4's way, takes no list with two of one key."""
    made = render(values)
    assert len({(d["kind"], d["metadata"]["name"]) for d in made}) == len(made)
    pod = template(made)["spec"]
    for lists, key in ((pod["volumes"], "name"), (container(made)["volumeMounts"], "mountPath"), (container(made).get("env", []), "name"),
                       (container(made)["ports"], "name")):
        assert len({one[key] for one in lists}) == len(lists)
    assert {m["name"] for m in container(made)["volumeMounts"]} <= {v["name"] for v in pod["volumes"]}


@pytest.mark.parametrize("values", CASES.values(), ids=CASES)
def test_labels_and_selectors(values):
    made = render(values)
    own = [d for d in made if "helm.sh/chart" in (d["metadata"].get("labels") or {})]
    assert len(own) >= 6
    for d in own:
        labels = d["metadata"]["labels"]
        assert labels["app.kubernetes.io/managed-by"] == "Helm" and labels["app.kubernetes.io/part-of"] == "event-bus", d["metadata"]["name"]
    deployment = made.get("Deployment", NAME)
    selector = deployment["spec"]["selector"]["matchLabels"]
    assert selector == {"app.kubernetes.io/name": "auth-callout", "app.kubernetes.io/instance": "bus"}
    pods = template(made)["metadata"]["labels"]
    assert selector.items() <= pods.items() and not [k for k in pods if k.startswith(("helm.sh/", "app.kubernetes.io/version"))]
    for kind in ("Service", "PodDisruptionBudget"):
        for d in made.of(kind):
            chosen = d["spec"]["selector"]
            assert (chosen.get("matchLabels") or chosen) == selector
    for d in made.of("NetworkPolicy"):
        assert d["spec"]["podSelector"]["matchLabels"] == selector


@pytest.mark.parametrize("values", CASES.values(), ids=CASES)
def test_the_pod_is_hardened(values):
    made = render(values)
    pod, own = template(made)["spec"], container(made)
    assert pod["automountServiceAccountToken"] is False and pod["enableServiceLinks"] is False and not any(pod.get(k) for k in ("hostNetwork",
                                                                                                                                "hostPID", "hostIPC"))
    assert pod["securityContext"] == {"runAsNonRoot": True, "runAsUser": 65532, "runAsGroup": 65532, "fsGroup": 65532,
                                      "seccompProfile": {"type": "RuntimeDefault"}}
    assert own["securityContext"] == {"allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True, "runAsNonRoot": True,
                                      "capabilities": {"drop": ["ALL"]}, "seccompProfile": {"type": "RuntimeDefault"}}
    assert own["resources"]["limits"]["memory"] and own["resources"]["requests"]["cpu"] and "cpu" not in own["resources"]["limits"]
    assert own["livenessProbe"]["httpGet"] == {"path": "/livez", "port": "health"} and own["readinessProbe"]["httpGet"] == {"path": "/readyz",
                                                                                                                            "port": "health"}
    assert all(set(v) - {"name"} <= {"configMap", "secret", "projected", "emptyDir", "csi"} for v in pod["volumes"])
    writable = {m["name"] for m in own["volumeMounts"] if not m.get("readOnly")}
    assert writable <= {"cache"} and all("sizeLimit" in v["emptyDir"] for v in pod["volumes"] if "emptyDir" in v)


def test_it_is_as_hardened_as_the_manifests():
    """deploy/manifests is the same service without Helm: what keeps it safe must not part."""
    documents = [d for path in ("deployment.yaml", "rbac.yaml",
                                "poddisruptionbudget.yaml") for d in yaml.safe_load_all((helm.ROOT / "deploy/manifests" / path).read_text())]
    plain = {(d["kind"], d["metadata"]["name"]): d for d in documents}
    made = render(CHART / "examples/kubernetes-tokens.yaml")
    theirs, ours = plain["Deployment", "auth-callout"]["spec"], made.get("Deployment", NAME)["spec"]
    assert theirs["strategy"] == ours["strategy"] and theirs["replicas"] == ours["replicas"]
    pod, own = theirs["template"]["spec"], ours["template"]["spec"]
    for key in ("securityContext", "automountServiceAccountToken", "enableServiceLinks", "terminationGracePeriodSeconds"):
        assert pod[key] == own[key], key
    left, right = pod["containers"][0], container(made)
    for key in ("args", "livenessProbe", "readinessProbe", "resources", "securityContext", "imagePullPolicy"):
        assert left[key] == right[key], key
    assert [(p["name"], p["containerPort"]) for p in left["ports"]] == [(p["name"], p["containerPort"]) for p in right["ports"]]
    volumes = [{v["name"]: v for v in spec["volumes"]} for spec in (pod, own)]
    for name in ("keys", "api"):
        assert volumes[0][name] == volumes[1][name], name
    mounts = [{m["name"]: m for m in c["volumeMounts"]} for c in (left, right)]
    for name in ("config", "keys", "api"):
        assert mounts[0][name] == mounts[1][name], name
    assert plain["ClusterRole", "event-bus-auth-callout"]["rules"] == made.of("ClusterRole")[0]["rules"]
    assert plain["PodDisruptionBudget", "auth-callout"]["spec"]["maxUnavailable"] == made.get("PodDisruptionBudget", NAME)["spec"]["maxUnavailable"]


# --- names ------------------------------------------------------------------------------------------------------------------------
NAMES = [("bus", {}, "bus-auth-callout"), ("auth-callout", {}, "auth-callout"), ("my-auth-callout-2", {}, "my-auth-callout-2"),
         ("bus", {"nameOverride": "callout"}, "bus-callout"),
         ("bus", {"fullnameOverride": "it"}, "it"), ("r" * 53, {}, "r" * 53 + "-auth-callout"[:10]),
         ("bus", {"fullnameOverride": "x" * 63}, "x" * 63)]


@pytest.mark.parametrize("release, values, name", NAMES, ids=lambda v: v[:20] if isinstance(v, str) else None)
def test_names(release, values, name):
    made = render(helm.deep(EVERYTHING, values), release=release)
    name = name.rstrip("-")
    assert made.names("Deployment") == [name]
    for d in made:
        assert len(d["metadata"]["name"]) <= 63 or ":" in d["metadata"]["name"], d["metadata"]["name"]
    assert len(set(made.names("Service"))) == 2 and [n for n in made.names("Service") if n.endswith("-metrics")]
    assert helm.conform(made.text, skip=FOREIGN) == []


# --- as a part of another chart ---------------------------------------------------------------------------------------------------
def test_as_a_subchart(each_helm, tmp_path):
    """Its values by the parent's helpers, `global` beside them; a key that is none of its own is refused there, too."""
    parent = tmp_path / "parent"
    (parent / "templates").mkdir(parents=True)
    shutil.copytree(CHART, parent / "charts/auth-callout")
    (parent / "Chart.yaml").write_text(
        "apiVersion: v2\nname: parent\nversion: 1.0.0\ndependencies: [{name: auth-callout, version: 0.1.0, repository: ''}]\n")
    (parent / "templates/_helpers.tpl").write_text('{{- define "parent.env" }}\n- {name: A, value: {{ .Values.global.a | quote }}}\n{{- end }}')
    values = {"global": {"a": "b"}, "auth-callout": {"extraEnv": '{{ include "parent.env" . }}',
                                                     "keys": {"secretName": "{{ .Values.global.a }}-keys"},
                                                     "permissions": {"existingConfigMap": "{{ .Values.global.a }}-permissions"},
                                                     "mtls": {"ca": {"secretName": "{{ if .Values.global.none }}x{{ end }}"}}}}
    (parent / "values.yaml").write_text(json.dumps(values))
    made = helm.Manifests(yaml.safe_load_all(helm.run(each_helm, "template", "bus", parent, "--kube-version", helm.KUBE)))
    assert container(made)["env"] == [{"name": "A", "value": "b"}]
    volumes = {v["name"]: v for v in template(made)["spec"]["volumes"]}
    assert volumes["keys"]["secret"]["secretName"] == "b-keys" and "mtls-ca" not in volumes
    assert volumes["config"]["projected"]["sources"][1]["configMap"]["name"] == "b-permissions"
    with pytest.raises(helm.Refused, match="extraEnvs"):
        helm.run(each_helm, "template", "bus", parent, "--kube-version", helm.KUBE, "--set", "auth-callout.extraEnvs=x")


# --- documents ---------------------------------------------------------------------------------------------------------------
def test_documents_say_what_they_are_made_from():
    done = subprocess.run([helm.ROOT / ".deps/venv/bin/python", helm.ROOT / "scripts/callout-chart.py"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_every_value_has_its_line():
    """In the README, and in the schema; what has no comment of its own is a part of something that has one."""
    values, readme = yaml.safe_load((CHART / "values.yaml").read_text()), (CHART / "README.md").read_text()
    schema = json.loads((CHART / "values.schema.json").read_text())
    told = set(re.findall(r"^\| `([\w.]+)` \|", readme, re.M))

    def look(value, path, at):
        assert at is None or path[-1] in at.get("properties", {path[-1]: 0}), f"{'.'.join(path)} is not in the schema"
        inner = at["properties"][path[-1]] if at and "properties" in at else None
        if ".".join(path) in told:
            if isinstance(value, dict) and inner:
                for key, more in value.items():
                    if inner.get("additionalProperties") is False:
                        assert key in inner["properties"], key
            return
        assert isinstance(value, dict) and value, f"{'.'.join(path)} is not in the README"
        for key, more in value.items():
            look(more, [*path, key], inner)
    for key, value in copy.deepcopy(values).items():
        look(value, [key], schema)
    assert set(schema["properties"]) == set(values) | {"global"}
