"""Chart auth-callout: values that are refused, and configurations that the service itself takes."""
import json
import re
import subprocess

import pytest
import yaml

import helm
from callout import CHART, EXAMPLES, Keys, container, image_root, refused, render, template  # noqa: F401
from harness import certificates, secrets
from harness.bus import AUTH_CALLOUT
from harness.rootfs import give
from kubelet import Kubelet, Missing

SEED = Keys().issuer.seed


def document(**sections):
    return {"permissions": {"document": sections}}


def entry(**keys):
    return document(oauth2={"a": {"azp": "a", "account": "CSC", **keys}})


def rules(**keys):
    return entry(permissions=keys)


# --- refused by the schema: values, and what the message has to name -----------------------------------------------------------------
SCHEMA = [
    ({"replicas": 3}, "replicas"), ({"image": {"name": "x"}}, "name"), ({"keys": {"secret": "x"}}, "secret"),
    ({"mtls": {"caSecret": "x"}}, "caSecret"),
    ({"serviceMonitor": {"enable": True}}, "enable"), ({"networkPolicy": {"natsports": [1]}}, "natsports"),
    ({"livenessProbe": {"httpGet": {}}}, "httpGet"),
    ({"replicaCount": "two"}, "replicaCount"), ({"image": {"pullPolicy": "always"}}, "pullPolicy"), ({"image": {"digest": "abc"}}, "digest"),
    ({"service": {"type": "External"}}, "type"), ({"service": {"port": 70000}}, "port"), ({"keys": {"path": "keys"}}, "path"),
    ({"keys": {"issuerSeeds": "a"}}, "issuerSeeds"),
    ({"serviceMonitor": {"interval": "often"}}, "interval"), ({"podDisruptionBudget": {"maxUnavailable": "half"}}, "maxUnavailable"),
    # options of the service
    ({"serviceConfig": {"nats": {"urls": "nats://a"}}}, "urls"), ({"serviceConfig": {"jwks": {"url": "https://a", "isuer": "a"}}}, "isuer"),
    ({"serviceConfig": {"jwk": {}}}, "jwk"),
    ({"serviceConfig": {"limits": {"queue": 3}}}, "queue"), ({"serviceConfig": {"session": {"expire-with-credential": "yes"}}},
                                                             "expire-with-credential"),
    ({"serviceConfig": {"observability": {"logging": {"level": "loud"}}}}, "level"), ({"serviceConfig": {"issuers": [{"url": "https://a"}]}}, "name"),
    ({"serviceConfig": {"issuers": [{"name": "a", "audiences": []}]}}, "audiences"),
    # the permissions document
    (document(oauth={}), "oauth"), (entry(accounts="CSC"), "accounts"), (document(oauth2={"a": {"azp": "a"}}), "account"),
    (document(oauth2={"a": {"account": "CSC"}}), "azp"),
    (document(oauth2={"a.b": {"azp": "a", "account": "CSC"}}), "a.b"), (entry(account="AUTH"), "account"), (entry(account="SYS"), "account"),
    (entry(account="C SC"), "account"),
    (entry(connections=["leaf"]), "connections"), (entry(connections=[]), "connections"), (entry(connections=["http"]), "connections"),
    (entry(src=["everywhere"]), "src"),
    (entry(public_key="U"), "public_key"), (entry(internal=True), "internal"), (entry(permission={}), "permission"),
    (entry(required_scope="a b"), "required_scope"),
    (rules(pub={"allow": ["a.>.b"]}), "allow"), (rules(pub={"allow": ["a..b"]}), "allow"), (rules(pub={"allow": ["a b"]}), "allow"),
    (rules(pub={"allow": [""]}), "allow"),
    (rules(pub={"allow": "a"}), "allow"), (rules(pub={"allowed": []}), "allowed"), (rules(publish={}), "publish"), (rules(resp={"max": 0}), "max"),
    (rules(resp={"ttl": "soon"}), "ttl"),
    (rules(sub={"deny": [".a"]}), "deny"),
    (document(mtls={"a": {"identity": "bms", "account": "CSC"}}), "identity"), (document(mtls={"a": {"account": "CSC"}}), "identity"),
    (document(nkey={"a": {"account": "CSC"}}), "public_key"), (document(nkey={"a": {"public_key": "SUAB", "account": "CSC"}}), "public_key"),
    (document(nkey={"a": {"public_key": "${KEY}", "account": "SYS"}}), "internal"),
    (document(nkey={"a": {"public_key": "${KEY}", "account": "AUTH"}}), "account"),
    (document(noauth={"account": "CSC", "azp": "x"}), "azp"), (document(noauth={}), "account"),
]


@pytest.mark.parametrize("values, named", SCHEMA, ids=[f"{re.sub(r'[^a-zA-Z0-9]+', '-', json.dumps(v))[-48:]}" for v, _named in SCHEMA])
def test_the_schema_refuses(each_helm, values, named):
    said = refused(values, each_helm)
    assert "values don't meet the specifications of the schema" in said and named in said, said


TAKEN = [
    entry(account="${ACCOUNT}"), entry(connections=["nats", "mqtt", "websocket"], src=["10.0.0.0/8", "fd00::/8", "10.1.2.3"], mqtt_client_id="bms-*"),
    entry(permissions=None),
    rules(pub={"allow": ["a", "a.*.b", "$JS.API.>", ">", "*", "a*.b"], "deny": []}, sub={"allow": ["a.> workers", "_INBOX.>"]},
          resp={"max": 1, "ttl": "5s"}), rules(resp={"ttl": 5}),
    document(oauth2={"a": {"subject": "x", "issuer": "i", "account": "CSC"}}, mtls={"m": {"identity": "CN=a b", "account": "CSC"}},
             nkey={"n": {"public_key": "U" + "A" * 55, "account": "AUTHX", "internal": True, "connections": ["leaf"]},
                   "s": {"public_key": "${K}", "account": "SYS", "internal": True}},
             noauth={"account": "CSC"}),
]


@pytest.mark.parametrize("values", TAKEN, ids=range(len(TAKEN)))
def test_the_schema_takes(each_helm, values):
    written = render(values, each_helm).get("ConfigMap", "bus-auth-callout-permissions")["data"]["permissions.yaml"]
    assert yaml.safe_load(written) == values["permissions"]["document"]


# --- refused by the templates -----------------------------------------------------------------------------------------------------------
TEMPLATES = [
    ({"extraEnv": [{"name": "AUTH_CALLOUT_NATS_ISSUER_SEED", "value": SEED}]}, "extraEnv[0].value: a seed stands here"),
    ({"extraArgs": [f"--nats.issuer-seed={SEED}"]}, "extraArgs[0]: a seed"), ({"podAnnotations": {"x": f"seed {SEED}"}}, "podAnnotations.x: a seed"),
    ({"serviceConfig": {"jwks": {"url": "https://a", "issuer": SEED}}}, "serviceConfig.jwks.issuer: a seed"),
    (document(oauth2={"a": {"azp": SEED, "account": "CSC"}}), "permissions.document.oauth2.a.azp: a seed"),
    ({"serviceConfig": {"nats": {"url": "nats://me:secret@nats:4222"}}}, "serviceConfig.nats.url: a user and password"),
    ({"serviceConfig": {"jwks": {"url": "https://me:secret@idp/keys"}}}, "serviceConfig.jwks.url: a user and password"),
    ({"serviceConfig": {"issuers": [{"name": "a", "url": "https://me:secret@idp/keys"}]}}, "serviceConfig.issuers[0].url: a user and password"),
    ({"extraObjects": [{"kind": "Secret", "stringData": {"a": SEED}}]}, "extraObjects[0].stringData.a: a seed"),
    ({"podDisruptionBudget": {"minAvailable": 2}}, "podDisruptionBudget.minAvailable: 2 of 2 must stay"),
    ({"replicaCount": 1, "podDisruptionBudget": {"minAvailable": 1}}, "podDisruptionBudget.minAvailable: 1 of 1 must stay"),
    ({"podDisruptionBudget": {"minAvailable": "100%"}}, "podDisruptionBudget.minAvailable: 100% of 2 must stay"),
    ({"podDisruptionBudget": {"maxUnavailable": 0}}, "podDisruptionBudget.maxUnavailable: none may be away"),
    ({"keys": {"issuerSeeds": []}}, "keys.issuerSeeds: nobody names the seed"),
    ({"mtls": {"ca": {"secretName": "a", "configMapName": "b"}}}, "mtls.ca: secretName and configMapName"),
    ({"permissions": {"existingConfigMap": "a", "document": {"noauth": {"account": "CSC"}}}},
     "permissions.document: permissions.existingConfigMap is given too"),
    ({"kubernetesTokens": {"tokenReview": True}}, "kubernetesTokens.tokenReview: has no effect"),
    ({"serviceConfig": {"kubernetes": {"in-cluster": True, "account": "CSC"}}}, "serviceConfig.kubernetes.in-cluster: the pods have neither"),
    ({"serviceConfig": {"issuers": [{"name": "a", "kind": "kubernetes", "in-cluster": True, "account": "CSC"}]}},
     "serviceConfig.issuers[0].in-cluster"),
    ({"kubernetesTokens": {"enabled": True}}, "serviceConfig.kubernetes.account: missing"),
    ({"serviceConfig": {"host": {"port": 0}}}, "serviceConfig.host.port: 0 switches health off"),
    ({"serviceConfig": {"host": {"port": 9090}}}, "the same as host.port"),
    ({"serviceMonitor": {"enabled": True}, "metricsService": {"enabled": False}}, "serviceMonitor.enabled: there is no metrics Service"),
    ({"autoscaling": {"enabled": True, "minReplicas": 7}}, "autoscaling.minReplicas: more than maxReplicas"),
]


@pytest.mark.parametrize("values, said", TEMPLATES, ids=[said.split(":")[0] + f"-{i}" for i, (_values, said) in enumerate(TEMPLATES)])
def test_the_templates_refuse(each_helm, values, said):
    found = refused(values, each_helm)
    assert said in found and SEED not in found and "secret@" not in found, found


SECRETS = [({"nats": {"issuer-seed": "x"}}, "issuer-seed"), ({"nats": {"token": "x"}}, "token"),
           ({"accounts": {"CSC": {"signing-seed": "x"}}}, "signing-seed"),
           ({"observability": {"tracing": {"otlp": {"headers": "authorization=x"}}}}, "headers")]


@pytest.mark.parametrize("config, named", SECRETS, ids=[named for _config, named in SECRETS])
def test_secret_options_are_refused(each_helm, config, named):
    """By the schema; where it is passed over (Helm's --skip-schema-validation), by the templates."""
    assert named in refused({"serviceConfig": config}, each_helm)
    with pytest.raises(helm.Refused, match="has no place in a ConfigMap"):
        helm.run(each_helm, "template", "bus", CHART, "--kube-version", helm.KUBE, "--skip-schema-validation",
                 *helm._files({"serviceConfig": config}))


def test_all_findings_at_once():
    said = refused({"autoscaling": {"enabled": True, "minReplicas": 7}, "serviceConfig": {"host": {"port": 0}},
                    "kubernetesTokens": {"tokenReview": True}})
    for part in ("autoscaling.minReplicas", "serviceConfig.host.port", "kubernetesTokens.tokenReview"):
        assert part in said


# --- options of the service ---------------------------------------------------------------------------------------------------------------
def options():
    """(key, kind, when) of the service's own table, without those of issuers and accounts, which files alone set."""
    text = subprocess.run([*AUTH_CALLOUT.split(), "generate-config", "--markdown"], capture_output=True, text=True, check=True).stdout
    for line in text[:text.index("Further issuers")].splitlines():
        cells = [cell.strip(" `") for cell in line.strip("|").split("|")]
        if line.startswith("| `"):
            yield cells[0], cells[2], cells[4]


OPTIONS = [(key, kind, when) for key, kind, when in options() if kind not in ("secret", "secrets")]
KUBE = {"kubernetesTokens": {"enabled": True}, "serviceConfig": {"kubernetes": {"account": "CSC"}}}


def value_of(key, kind):
    if kind.startswith("number "):
        return 17
    if kind.startswith("one of "):
        return kind.removeprefix("one of ").split(",")[-1]
    if kind == "true or false":
        return key not in ("kubernetes.in-cluster", "session.expire-with-credential", "sandbox.landlock", "sandbox.seccomp")
    if re.fullmatch(r"[\d.]+ to [\d.]+", kind):
        return 0.25
    return {"list": ["b"], "files": ["/etc/b/c"], "file": "/etc/b/c", "duration": "7s", "text": "b"}[kind]


@pytest.mark.parametrize("key, kind, when", OPTIONS, ids=[key for key, _kind, _when in OPTIONS])
def test_every_option_is_taken_and_restarts_what_has_to(key, kind, when):
    """The annotation changes with what the service takes at its start only, and with files, which the sandbox must know of; else it does not."""
    given = value_of(key, kind)
    for part in reversed(key.split(".")):
        given = {part: given}
    before, after = (template(render(values))["metadata"]["annotations"] for values in (KUBE, helm.deep(KUBE, {"serviceConfig": given})))
    assert (before != after) == (when == "restart" or kind in ("file", "files"))


def test_there_are_options():
    assert len(OPTIONS) > 50 and {"restart", "reload"} == {when for _key, _kind, when in OPTIONS}


# --- the service's own opinion ------------------------------------------------------------------------------------------------------------
def checked(manifests, folder, root, files=(), **more):
    """check-config as the pod would run it."""
    made = Kubelet(manifests, folder, root, secrets={"auth-callout-keys": Keys().secret(),
                                                     "nats-mtls-server-tls": {"ca.crt": certificates.new_ca().pem, "tls.key": "x"}},
                   configmaps={"provider-ca": {"ca.crt": certificates.new_ca().pem}, "kube-root-ca.crt": {"ca.crt": certificates.new_ca().pem}},
                   env={"KUBERNETES_SERVICE_HOST": "127.0.0.1", "KUBERNETES_SERVICE_PORT": "6443"}, **more)
    ran = made.container(template(manifests))
    ran.args = ["check-config", *ran.args[1:]]
    return ran.run()


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_the_service_takes_every_example(path, image_root, tmp_path_factory):  # noqa: F811
    folder = image_root.path.parent / f"check-{path.stem}"
    folder.mkdir()
    elsewhere = folder / "elsewhere"
    elsewhere.mkdir()
    for name, seed in Keys().secret().items():
        (elsewhere / name).write_text(seed)
        give(elsewhere / name)
    manifests = render(path)
    values = yaml.safe_load(path.read_text())
    more = {"extra_mounts": {values["keys"]["path"]: elsewhere}} if values.get("keys", {}).get("secretName") == "" else {}
    # what the driver or the agent brings stands in for it
    pod = template(manifests)["spec"]
    brought = {v["name"] for v in pod["volumes"] if "csi" in v}
    for rendered in pod["containers"]:
        rendered["volumeMounts"] = [m for m in rendered["volumeMounts"] if m["name"] not in brought]
    done = checked(manifests, folder, image_root, **more)
    assert done.returncode == 0 and "configuration OK" in done.stdout, done.stdout + done.stderr
    assert "error" not in done.stderr


def test_the_service_complains_about_what_only_it_can_know(image_root):  # noqa: F811
    folder = image_root.path.parent / "check-bad"
    folder.mkdir()
    values = document(nkey={"a": {"public_key": "U" + "A" * 55, "account": "CSC"}})
    done = checked(render(values), folder, image_root)
    assert done.returncode == 1 and "/etc/auth-callout/permissions.yaml" in done.stderr and "checksum" in done.stderr, done.stderr


# --- what is not there ----------------------------------------------------------------------------------------------------------------------
def test_a_pod_waits_for_what_is_missing(image_root):  # noqa: F811
    folder = image_root.path.parent / "missing"
    folder.mkdir()
    manifests = render()
    with pytest.raises(Missing, match="auth-callout-keys"):
        Kubelet(manifests, folder, image_root).container(template(manifests))
    with pytest.raises(Missing, match="xkey-seed|no key"):
        made = render({"mtls": {"ca": {"secretName": "tls"}}})
        Kubelet(made, folder, image_root, secrets={"auth-callout-keys": Keys().secret(), "tls": {"tls.crt": "x"}}).container(template(made))


@pytest.mark.parametrize("path", [None, *EXAMPLES], ids=lambda path: path.stem if path else "default")
def test_no_configmap_holds_a_secret(path):
    """No ConfigMap that is rendered has a place for one: neither a Secret is rendered, nor an option that holds the secret itself."""
    manifests = render(path)
    assert not manifests.of("Secret") and not secrets.found_in(manifests.text)
    for config in manifests.of("ConfigMap"):
        for text in (config.get("data") or {}).values():
            assert not re.search(r"^\s*(nkey-seed|issuer-seed|xkey-seed|signing-seed|token):", text, re.M) and not re.search(r"S[UAX][A-Z2-7]{56}",
                                                                                                                             text)
    for one in container(manifests).get("env", []):
        assert "SEED" not in one["name"] or "valueFrom" in one
