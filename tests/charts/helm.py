"""
Renders charts of deploy/ with Helm 3 and Helm 4, and holds what comes out to the schemas of Kubernetes and of the CRDs.

  render(values, helm=3)     → Manifests: a list of parsed documents, with look-ups; the same rendering is made once
  refused(values)            → what Helm says where a chart refuses its values
  lint(values), conform(manifests)

values: a dict, the path of a file, or a list of both, later ones over earlier ones. The umbrella chart is rendered with the stand-ins of
tests/charts/standins in the place of the official charts; see their README.md.
"""
import functools
import json
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parents[2]
BIN = ROOT / ".deps/bin"
UMBRELLA = ROOT / "deploy/nats-event-bus"
CALLOUT = ROOT / "deploy/auth-callout"
STANDINS = Path(__file__).resolve().parent / "standins"
HELMS = (3, 4)

KUBE = "1.34.4"  # what scripts/helm/schemas.txt has the schemas of
# What a cluster has beside Kubernetes itself: `helm template` cannot ask one.
GATEWAY_1_6 = ("gateway.networking.k8s.io/v1/TCPRoute", "gateway.networking.k8s.io/v1/TLSRoute", "gateway.networking.k8s.io/v1")
GATEWAY_1_5 = ("gateway.networking.k8s.io/v1/TLSRoute", "gateway.networking.k8s.io/v1alpha2/TCPRoute", "gateway.networking.k8s.io/v1",
               "gateway.networking.k8s.io/v1alpha2")
GATEWAY_1_3 = ("gateway.networking.k8s.io/v1alpha2/TCPRoute", "gateway.networking.k8s.io/v1alpha2/TLSRoute",
               "gateway.networking.k8s.io/v1alpha2")
OPERATORS = ("monitoring.coreos.com/v1", "jetstream.nats.io/v1beta2", "cert-manager.io/v1")

Loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class Refused(Exception):
    """Helm ended with an error: str() is what it said."""


class Manifests(list):
    """The documents in the order of Helm's output. text: that output."""

    text = ""

    def of(self, kind, **labels):
        return [d for d in self if d["kind"] == kind and labels.items() <= (d["metadata"].get("labels") or {}).items()]

    def names(self, kind):
        return sorted(d["metadata"]["name"] for d in self.of(kind))

    def get(self, kind, name):
        found = [d for d in self.of(kind) if d["metadata"]["name"] == name]
        assert len(found) == 1, f"{len(found)} {kind} {name}; there are {self.names(kind)}"
        return found[0]

    def pods(self):
        """(kind/name, pod template or Pod) of everything that starts pods."""
        for d in self:
            if d["kind"] == "Pod":
                yield f"Pod/{d['metadata']['name']}", d
            elif d["kind"] in ("Deployment", "StatefulSet", "DaemonSet", "Job"):
                yield f"{d['kind']}/{d['metadata']['name']}", d["spec"]["template"]


@functools.cache
def folder():
    """Where charts are put together; emptied by conftest.py at the end."""
    return Path(tempfile.mkdtemp(prefix="eb-charts-"))


def assembled(chart=UMBRELLA):
    return _assembled(chart)


@functools.cache
def _assembled(chart):
    """A copy of the chart with its dependencies below charts/, as `helm dependency build` leaves it."""
    to = folder() / chart.name
    shutil.copytree(chart, to)
    for dependency in yaml.safe_load((chart / "Chart.yaml").read_text()).get("dependencies", []):
        name, repository = dependency["name"], dependency["repository"]
        source = (chart / repository[7:]).resolve() if repository.startswith("file://") else STANDINS / name
        shutil.copytree(source, to / "charts" / name, dirs_exist_ok=True)
    return to


def _files(values):
    """Options -f for values; dicts are written down."""
    options = []
    for i, one in enumerate(values if isinstance(values, (list, tuple)) else [values] if values is not None else []):
        if isinstance(one, dict):
            fd, path = tempfile.mkstemp(dir=folder(), suffix=".json")
            with os.fdopen(fd, "w") as f:
                json.dump(one, f)
            one = path
        options += ["-f", str(one)]
    return options


TOLD = [""]  # what the last command that did its work said beside it


def run(helm, *arguments, env=None):
    """The output of a helm command; Refused where it fails."""
    done = subprocess.run([str(BIN / f"helm{helm}"), *map(str, arguments)], capture_output=True, text=True, timeout=240,
                          env={**os.environ, "HELM_CACHE_HOME": str(folder() / "helm"), "HELM_CONFIG_HOME": str(folder() / "helm"),
                               "HELM_DATA_HOME": str(folder() / "helm"), **(env or {})})
    if done.returncode:
        raise Refused(done.stderr + done.stdout)
    TOLD[:] = [done.stderr]
    return done.stdout


_rendered = {}


def template(values=None, helm=3, chart=UMBRELLA, release="bus", namespace="event-bus", api_versions=GATEWAY_1_6 + OPERATORS, sets=(),
             kube=KUBE):
    """The text that `helm template` writes."""
    key = json.dumps([values, helm, str(chart), release, namespace, api_versions, sets, kube], default=str, sort_keys=True)
    if key not in _rendered:
        options = [o for a in api_versions for o in ("--api-versions", a)] + [o for s in sets for o in ("--set", s)]
        try:
            _rendered[key] = run(helm, "template", release, assembled(chart), "-n", namespace, "--kube-version", kube, *_files(values),
                                 *options)
        except Refused as e:
            _rendered[key] = e
    if isinstance(_rendered[key], Refused):
        raise _rendered[key]
    return _rendered[key]


def render(values=None, helm=3, **options):
    text = template(values, helm, **options)
    made = Manifests(d for d in yaml.load_all(text, Loader=Loader) if d)
    made.text = text
    return made


def refused(values=None, helm=3, **options):
    """What Helm says; an assertion fails where it renders."""
    try:
        template(values, helm, **options)
    except Refused as e:
        return str(e)
    raise AssertionError("the chart took these values")


def lint(values=None, helm=3, chart=UMBRELLA, strict=True):
    return run(helm, "lint", assembled(chart), *(["--strict"] if strict else []), "--kube-version", KUBE, *_files(values))


def conform(text, skip=()):
    """The findings of kubeconform in YAML text, each "Kind name: what"; [] where all is good. A kind without a schema is a finding."""
    location = str(ROOT / ".deps/schemas/{{ .Group }}/{{ .ResourceKind }}_{{ .ResourceAPIVersion }}.json")
    done = subprocess.run([str(BIN / "kubeconform"), "-schema-location", location, "-output", "json", "-n", "2",
                           *(["-skip", ",".join(skip)] if skip else []), "-"], input=text, capture_output=True, text=True, timeout=120)
    assert done.stdout, done.stderr
    found = []
    for one in json.loads(done.stdout).get("resources", []):
        what = one.get("validationErrors") or []
        found.append(f"{one['kind']} {one['name']}: " + ("; ".join(f"{w['path']}: {w['msg']}" for w in what) or one["msg"]))
    return found


def deep(*maps):
    """Values over values, as Helm lays them: maps merge, all else replaces."""
    out = {}
    for m in maps:
        for k, v in m.items():
            out[k] = deep(out[k], v) if isinstance(v, dict) and isinstance(out.get(k), dict) else v
    return out


def bus(**keys):
    """{"global": {"eventBus": keys}}"""
    return {"global": {"eventBus": keys}}
