"""deploy/gateway, deploy/certificates, deploy/examples and local/kind: held to the schemas, and to what the chart says."""
import re
import subprocess

import pytest
import yaml
from helm import HELMS, ROOT, Loader, bus, conform, deep, lint, render, template
from test_routes import all_routes

EXAMPLES = ROOT / "deploy/examples"
KIND = ROOT / "local/kind"
OVER_CSC = ["keycloak", "entra-id", "okta", "kubernetes-tokens", "vault", "nats-box", "gateway-terminates-tls", "gateway-passes-tls"]
SETS = {"csc": ["csc"], "cpc": ["cpc"], **{name: ["csc", name] for name in OVER_CSC},
        "everything": ["csc", "keycloak", "kubernetes-tokens", "vault", "nats-box", "gateway-passes-tls"]}
FILES = {**{name: [EXAMPLES / f"{f}.yaml" for f in files] for name, files in SETS.items()},
         "kind csc": [KIND / "values.yaml", KIND / "csc.yaml"], "kind cpc": [KIND / "values.yaml", KIND / "cpc-1.yaml"]}
CAS = "/etc/ssl/certs/ca-certificates.crt"
NAMES = {"mqtt": "event-bus-mqtt", "natsClient": "event-bus-nats-client", "natsLeafnode": "event-bus-nats-leafnode",
         "mqttMtls": "event-bus-mqtt-mtls"}
each_example = pytest.mark.parametrize("files", FILES.values(), ids=FILES)


def test_every_example_is_rendered():
    assert {p.stem for p in EXAMPLES.glob("*.yaml")} == {f for files in SETS.values() for f in files}


@each_example
def test_examples_render_alike_and_as_the_apis_take_them(files):
    for which in HELMS:
        assert "0 chart(s) failed" in lint(files, which)
    assert template(files, 3) == template(files, 4)
    assert conform(template(files)) == []


@each_example
def test_eventbus_takes_the_same_files(files, tmp_path):
    """One document serves both: the examples, laid over each other as Helm does."""
    values = deep(*(yaml.safe_load(f.read_text()) for f in files))
    site = tmp_path / "site.yaml"
    site.write_text(yaml.safe_dump(values))
    done = subprocess.run([ROOT / "build/eventbus/eventbus", "check", "--site", site], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture(scope="module")
def secrets(tmp_path_factory):
    """The keys of a CSC and of CPC 1, as the chart's Secrets hold them."""
    made = tmp_path_factory.mktemp("secrets")
    made.chmod(0o700)
    subprocess.run([ROOT / "build/eventbus/eventbus", "secrets", "generate", made, "--cpc", "1", "--cpc", "2", "--extra-account", "LaunchLayer"],
                   check=True, capture_output=True)
    return made


@each_example
def test_auth_callout_takes_its_configuration_and_permissions(files, tmp_path, secrets):
    """`auth-callout check-config` with the rendered files, and the environment that the pod gets from its Secrets."""
    made = render(files)
    site = "csc" if '"clusterType": "csc"' in made.get("ConfigMap", "event-bus-site")["data"]["site.json"] else "cpc-1"
    container = made.get("Deployment", "event-bus-auth-callout")["spec"]["template"]["spec"]["containers"][0]
    env = {"KUBERNETES_SERVICE_HOST": "127.0.0.1", "KUBERNETES_SERVICE_PORT": "6443"}
    for e in container["env"]:
        ref = e.get("valueFrom", {}).get("secretKeyRef")
        env[e["name"]] = (secrets / site / "nkeys" / ref["name"] / ref["key"]).read_text() if ref else e.get("value", "")
    (tmp_path / "permissions.yaml").write_text(made.get("ConfigMap", "event-bus-permissions")["data"]["permissions.yaml"])
    (tmp_path / "streams.json").write_text(made.get("ConfigMap", "event-bus-streams")["data"]["streams.json"])
    (tmp_path / "token").write_text("a.b.c")
    (name, text), = [(k, v) for k, v in made.get("ConfigMap", "event-bus-auth-callout")["data"].items() if k.endswith((".yaml", ".json"))]
    keys = secrets / site / "nkeys/auth-callout-keys"
    here = {r"/etc/auth-callout/permissions\.yaml": tmp_path / "permissions.yaml", "(/etc/auth-callout-keys|/vault/secrets)": keys}
    for pattern, path in here.items():
        text = re.sub(pattern, str(path), text)
    (tmp_path / name).write_text(text)
    # what is in mounts, and not here
    env = {k: CAS if v.endswith("/ca.crt") else str(tmp_path / "streams.json") if v.endswith("/streams.json") else v for k, v in env.items()}
    options = ["--kubernetes.token-file", str(tmp_path / "token"), "--kubernetes.api-ca", CAS] if "in-cluster" in text else []
    done = subprocess.run([ROOT / "build/auth-callout/auth-callout", "check-config", "--config", tmp_path / name, *options], env=env, cwd=tmp_path,
                          capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def kustomized(folder):
    """What `kubectl kustomize` makes of a folder of deploy/gateway: resources, and RFC 6902 patches of the Gateway."""
    told = yaml.safe_load((folder / "kustomization.yaml").read_text())
    found = []
    for resource in told["resources"]:
        path = (folder / resource).resolve()
        found += kustomized(path) if path.is_dir() else [d for d in yaml.load_all(path.read_text(), Loader=Loader) if d]
    for patch in told.get("patches", []):
        target = next(d for d in found if d["kind"] == patch["target"]["kind"] and d["metadata"]["name"] == patch["target"]["name"])
        for op in yaml.safe_load(patch["patch"]):
            *steps, last = op["path"].strip("/").split("/")
            at = target
            for step in steps:
                at = at[int(step)] if isinstance(at, list) else at[step]
            assert op["op"] == "add" or last in at, op
            at[last] = op["value"]
    return found


@pytest.mark.parametrize("folder", ["base", "tls-terminate", "tls-passthrough"])
def test_gateways_are_what_the_apis_take(folder):
    assert conform(yaml.safe_dump_all(kustomized(ROOT / "deploy/gateway" / folder))) == []


@pytest.mark.parametrize("folder, files", [("base", ["csc"]), ("base", ["cpc"]), ("tls-terminate", ["csc", "gateway-terminates-tls"]),
                                           ("tls-passthrough", ["csc", "gateway-passes-tls"])])
def test_routes_attach_to_the_gateways_listeners(folder, files):
    """The listener of each route is there, takes its kind, and does with TLS what the route says."""
    found = kustomized(ROOT / "deploy/gateway" / folder)
    gateway = next(d for d in found if d["kind"] == "Gateway")
    listeners = {one["name"]: one for one in gateway["spec"]["listeners"]}
    values = [EXAMPLES / f"{f}.yaml" for f in files]
    merged = deep(yaml.safe_load((ROOT / "deploy/nats-event-bus/values.yaml").read_text()), *(yaml.safe_load(f.read_text()) for f in values))
    modes = {NAMES[key]: route["tls"] for key, route in merged["global"]["eventBus"]["gateway"]["routes"].items()}
    routes = all_routes(render(values))
    assert len(routes) >= 2
    for name, route in routes.items():
        parent = route["spec"]["parentRefs"][0]
        listener = listeners[parent["sectionName"]]
        assert parent["name"] == gateway["metadata"]["name"]
        assert route["kind"] in [k["kind"] for k in listener["allowedRoutes"]["kinds"]], name
        assert listener["port"] == route["spec"]["rules"][0]["backendRefs"][0]["port"], name
        does = {"TCP": "none"}.get(listener["protocol"]) or listener["tls"]["mode"].lower()
        assert does == modes[name], name


def test_quiet_clients_and_many_clients_are_let_through():
    found = {d["kind"]: d["spec"] for d in kustomized(ROOT / "deploy/gateway/base")}
    assert found["ClientTrafficPolicy"]["timeout"]["tcp"]["idleTimeout"] == "0s" and found["ClientTrafficPolicy"]["tcpKeepalive"]
    assert found["BackendTrafficPolicy"]["circuitBreaker"]["maxConnections"] > 1024
    for kind in ("ClientTrafficPolicy", "BackendTrafficPolicy"):
        assert found[kind]["targetRefs"] == [{"group": "gateway.networking.k8s.io", "kind": "Gateway", "name": "event-bus"}]


@pytest.mark.parametrize("file", sorted((ROOT / "deploy/certificates").glob("*.yaml")) + [ROOT / "deploy/gateway/metallb.yaml"], ids=lambda p: p.name)
def test_certificates_and_pool_are_what_the_apis_take(file):
    assert conform(file.read_text()) == []


def test_certificates_are_those_that_the_chart_mounts():
    found = {}
    for name in ("servers", "client", "issuers"):
        for d in yaml.safe_load_all((ROOT / f"deploy/certificates/{name}.yaml").read_text()):
            if d["kind"] == "Certificate":
                found[d["metadata"]["name"]] = d["spec"]
    made = render([EXAMPLES / "csc.yaml", EXAMPLES / "gateway-passes-tls.yaml"])
    for which in ("event-bus", "event-bus-mtls"):
        for volume in made.get("StatefulSet", which)["spec"]["template"]["spec"]["volumes"]:
            if "secret" in volume:
                spec = found[volume["secret"]["secretName"]]
                assert "server auth" in spec["usages"] and which in spec["dnsNames"] + ["event-bus-mtls"]
    assert {"server auth", "client auth"} <= set(found["nats-leaf-tls"]["usages"]), "the mTLS server shows it, too"
    assert found["nats-mtls-server-tls"]["issuerRef"]["name"] == found["device-bms-7"]["issuerRef"]["name"], "ca.crt is the devices' CA"
    hosts = {h for r in all_routes(made).values() for h in r["spec"].get("hostnames", [])}
    assert hosts <= {n for spec in found.values() for n in spec.get("dnsNames", [])}, "hostnames of routes are in the certificates"
    cn = yaml.safe_load((EXAMPLES / "csc.yaml").read_text())["global"]["eventBus"]["auth"]["permissions"]["mtls"]["bms-7"]["identity"]
    assert cn == "CN=" + found["device-bms-7"]["commonName"]


def test_kind_sites_agree():
    done = subprocess.run([ROOT / "build/eventbus/eventbus", "check"], capture_output=True, text=True)
    assert done.returncode == 2
    merged = [deep(yaml.safe_load((KIND / "values.yaml").read_text()), yaml.safe_load((KIND / f"{s}.yaml").read_text())) for s in ("csc", "cpc-1")]
    assert merged[0]["global"]["eventBus"]["crossLayer"] == merged[1]["global"]["eventBus"]["crossLayer"]
    port = re.search(r":(\d+)$", merged[1]["global"]["eventBus"]["cscEndpoint"])[1]
    service = render(FILES["kind csc"]).get("Service", "event-bus")["spec"]
    assert service["type"] == "NodePort" and int(port) in [p.get("nodePort") for p in service["ports"] if p["port"] == 7422]
    mapped = set(map(int, re.findall(r"containerPort: (\d+)", (KIND / "cluster.yaml").read_text())))
    assert mapped <= {p.get("nodePort") for p in service["ports"]}


@pytest.mark.parametrize("script", sorted(p.relative_to(ROOT) for p in [*KIND.glob("*.sh"), *(ROOT / "deploy/scripts").glob("*.sh")]), ids=str)
def test_scripts_are_clean(script):
    assert subprocess.run(["shellcheck", "-x", ROOT / script], cwd=ROOT).returncode == 0
