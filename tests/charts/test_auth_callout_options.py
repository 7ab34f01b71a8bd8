"""Chart auth-callout: what each of its options does."""
import json
import re
import shutil

import pytest
import yaml

import helm
from callout import CHART, EVERYTHING, NAME, config, container, refused, render, template

IMAGES = [({}, "auth-callout:0.1.0"), ({"image": {"registry": "r.example", "tag": "2"}}, "r.example/auth-callout:2"),
          ({"global": {"image": {"registry": "g.example"}}}, "g.example/auth-callout:0.1.0"),
          ({"global": {"image": {"registry": "g.example"}}, "image": {"registry": "r.example"}}, "r.example/auth-callout:0.1.0"),
          ({"image": {"tag": "2", "digest": "sha256:" + "a" * 64}}, "auth-callout@sha256:" + "a" * 64)]


@pytest.mark.parametrize("values, image", IMAGES, ids=[image[:30] for _values, image in IMAGES])
def test_image(values, image):
    assert container(render(values))["image"] == image


def test_pull_policy_and_secrets():
    assert container(render())["imagePullPolicy"] == "IfNotPresent" and "imagePullSecrets" not in template(render())["spec"]
    made = render(EVERYTHING)
    assert container(made)["imagePullPolicy"] == "Always" and template(made)["spec"]["imagePullSecrets"] == [{"name": "shared"}, {"name": "own"}]
    assert container(render(helm.deep(EVERYTHING, {"image": {"pullPolicy": "Never"}})))["imagePullPolicy"] == "Never"


def test_everything_arrives():
    """Each option of EVERYTHING is somewhere in what comes out, with its templates rendered."""
    made = render(EVERYTHING)
    pod, own = template(made), container(made)
    assert made.get("Deployment", NAME)["metadata"]["annotations"] == {"reloader/auto": "false"} and pod["metadata"]["labels"]["tier"] == "edge"
    assert pod["metadata"]["annotations"]["site"] == "bus"
    assert all(d["metadata"]["labels"]["team"] == "plant" for d in made if d["metadata"]["name"] != "bus-more")
    assert own["args"] == ["run", "--config", "/etc/auth-callout/auth-callout.yaml", "--observability.logging.level=debug"]
    env = {one["name"]: one.get("value", one.get("valueFrom")) for one in own["env"]}
    assert env == {"AUTH_CALLOUT_HOT_CONFIG": "/etc/auth-callout-hot/hot.yaml", "AUTH_CALLOUT_MTLS_CA_PATH": "/etc/auth-callout-mtls/ca.crt",
                   "AUTH_CALLOUT_MQTT_STREAMS_FILE": "/etc/auth-callout-streams/streams.json",
                   "BUS_PUBKEY": {"secretKeyRef": {"name": "bus-key", "key": "pubkey"}}}
    assert own["envFrom"] == [{"secretRef": {"name": "bus-env", "optional": True}}]
    volumes = {v["name"]: v for v in pod["spec"]["volumes"]}
    assert volumes["more"]["configMap"]["name"] == "bus-more"
    assert volumes["hot-config"]["secret"]["optional"] and volumes["hot-config"]["secret"]["secretName"] == "bus-hot"
    assert volumes["mtls-ca"]["secret"]["items"] == [{"key": "ca.crt",
                                                      "path": "ca.crt"}] and volumes["mqtt-streams"]["configMap"]["name"] == "bus-streams"
    assert [c["name"] for c in pod["spec"]["containers"]] == ["auth-callout", "beside"] and pod["spec"]["initContainers"][0]["name"] == "before"
    for key in ("nodeSelector", "tolerations", "affinity", "priorityClassName", "runtimeClassName", "hostAliases", "dnsPolicy", "dnsConfig"):
        assert pod["spec"][key] == EVERYTHING[key], key
    assert config(made)["nats"]["url"] == "nats://bus-nats.event-bus.svc:4222" and config(made)["limits"]["queue"] == 1048576
    assert "1048576\n" in made.get("ConfigMap", NAME)["data"]["auth-callout.yaml"]
    assert yaml.safe_load(made.get("ConfigMap", NAME + "-permissions")["data"]["permissions.yaml"]) == EVERYTHING["permissions"]["document"]
    account = made.get("ServiceAccount", NAME)
    assert account["metadata"]["annotations"] == {"example/role": "x"} and account["automountServiceAccountToken"] is False
    service, metrics = made.get("Service", NAME), made.get("Service", NAME + "-metrics")
    assert service["spec"]["type"] == "NodePort" and service["spec"]["ports"][0]["targetPort"] == "health"
    assert metrics["spec"]["ports"][0] == {"name": "metrics", "port": 9191, "targetPort": "metrics", "protocol": "TCP", "appProtocol": "http"}
    hpa = made.get("HorizontalPodAutoscaler", NAME)["spec"]
    assert "replicas" not in made.get("Deployment", NAME)["spec"] and hpa["scaleTargetRef"]["name"] == NAME and (hpa["minReplicas"],
                                                                                                                 hpa["maxReplicas"]) == (2, 9)
    assert made.get("PodDisruptionBudget", NAME)["spec"]["minAvailable"] == "50%" and "maxUnavailable" not in made.get("PodDisruptionBudget",
                                                                                                                       NAME)["spec"]


def test_the_monitor_finds_the_metrics_service_alone():
    made = render(EVERYTHING)
    monitor = made.get("ServiceMonitor", NAME)
    assert monitor["metadata"]["namespace"] == "monitoring" and monitor["metadata"]["labels"]["release"] == "prometheus"
    wanted, chosen = monitor["spec"]["selector"]["matchLabels"], monitor["spec"]["namespaceSelector"]["matchNames"]
    found = [d for d in made.of("Service") if wanted.items() <= d["metadata"]["labels"].items()]
    assert chosen == ["event-bus"] and [d["metadata"]["name"] for d in found] == [NAME + "-metrics"]
    assert monitor["spec"]["endpoints"][0]["port"] in [p["name"] for p in found[0]["spec"]["ports"]]


LESS = [({"service": {"enabled": False}}, "Service", NAME), ({"metricsService": {"enabled": False}}, "Service", NAME + "-metrics"),
        ({"podDisruptionBudget": {"enabled": False}}, "PodDisruptionBudget", NAME),
        ({"permissions": {"existingConfigMap": "other"}}, "ConfigMap", NAME + "-permissions"),
        ({"serviceAccount": {"create": False, "name": "theirs"}}, "ServiceAccount", NAME),
        ({"serviceConfig": {"observability": {"metrics": {"prometheus": {"port": 0}}}}}, "Service", NAME + "-metrics")]


@pytest.mark.parametrize("values, kind, name", LESS, ids=[f"{kind}-{i}" for i, (_values, kind, _name) in enumerate(LESS)])
def test_what_can_be_left_out(values, kind, name):
    assert name in render().names(kind) and name not in render(values).names(kind)
    assert helm.conform(render(values).text) == []


ACCOUNTS = [({}, NAME), ({"serviceAccount": {"create": False}}, "default"),
            ({"serviceAccount": {"create": False, "name": "{{ .Release.Name }}-x"}}, "bus-x"),
            ({"serviceAccount": {"name": "own"}}, "own")]


@pytest.mark.parametrize("values, name", ACCOUNTS, ids=[name for _values, name in ACCOUNTS])
def test_service_account(values, name):
    made = render(helm.deep({"kubernetesTokens": {"enabled": True}, "serviceConfig": {"kubernetes": {"account": "CSC"}}}, values))
    assert template(made)["spec"]["serviceAccountName"] == name
    for binding in made.of("ClusterRoleBinding"):
        assert binding["subjects"] == [{"kind": "ServiceAccount", "name": name, "namespace": "event-bus"}]


def test_rights_come_with_kubernetes_tokens_alone():
    made = render()
    assert not made.of("ClusterRole") and not made.of("ClusterRoleBinding") and "api" not in [v["name"] for v in template(made)["spec"]["volumes"]]
    tokens = {"kubernetesTokens": {"enabled": True}, "serviceConfig": {"kubernetes": {"account": "CSC"}}}
    made = render(tokens)
    assert made.of("ClusterRole")[0]["rules"] == [{"apiGroups": [""], "resources": ["serviceaccounts"], "verbs": ["get", "list", "watch"]}]
    assert sorted(b["roleRef"]["name"] for b in made.of("ClusterRoleBinding")) == ["event-bus:bus-auth-callout",
                                                                                   "system:service-account-issuer-discovery"]
    assert config(made)["kubernetes"] == {"account": "CSC", "in-cluster": True, "token-review": False,
                                          "cache-file": "/var/cache/auth-callout/kubernetes.json"}
    made = render(helm.deep(tokens, {"kubernetesTokens": {"tokenReview": True}}))
    assert made.of("ClusterRole")[0]["rules"][1] == {"apiGroups": ["authentication.k8s.io"], "resources": ["tokenreviews"], "verbs": ["create"]}
    assert config(made)["kubernetes"]["token-review"] is True
    assert not render(helm.deep(tokens, {"rbac": {"create": False}})).of("ClusterRole")


KEYS = [({}, {"nkey-seed-file": "/etc/auth-callout-keys/nkey-seed", "issuer-seed-file": "/etc/auth-callout-keys/issuer-seed",
              "xkey-seed-file": "/etc/auth-callout-keys/xkey-seed"}, "auth-callout-keys"),
        ({"issuerSeeds": ["new", "old"], "xkeySeeds": []}, {"nkey-seed-file": "/etc/auth-callout-keys/nkey-seed",
                                                            "issuer-seed-file": ["/etc/auth-callout-keys/new", "/etc/auth-callout-keys/old"]},
         "auth-callout-keys"),
        ({"secretName": "", "path": "/vault/secrets", "nkeySeed": ""},
         {"issuer-seed-file": "/vault/secrets/issuer-seed", "xkey-seed-file": "/vault/secrets/xkey-seed"}, None),
        ({"secretName": "{{ .Release.Name }}-keys", "path": "/k"},
         {"nkey-seed-file": "/k/nkey-seed", "issuer-seed-file": "/k/issuer-seed", "xkey-seed-file": "/k/xkey-seed"}, "bus-keys")]


@pytest.mark.parametrize("keys, options, secret", KEYS, ids=["default", "rotation", "elsewhere", "named"])
def test_keys(keys, options, secret):
    made = render({"keys": keys})
    nats = config(made)["nats"]
    nats.pop("url")
    assert nats == options
    found = [v["secret"] for v in template(made)["spec"]["volumes"] if v["name"] == "keys"]
    assert found == ([{"secretName": secret, "defaultMode": 0o440}] if secret else [])


def test_what_service_config_says_wins():
    own = {"nats": {"nkey-seed-file": "/x"}, "jwks": {"url": "https://i", "issuer": "i", "cache-file": "/y"}, "permissions": {"file": "/z"}}
    found = config(render({"serviceConfig": own}))
    assert found["nats"]["nkey-seed-file"] == "/x" and found["jwks"]["cache-file"] == "/y" and found["permissions"]["file"] == "/z"


def test_a_variable_of_ours_may_be_given():
    made = render({"mtls": {"ca": {"secretName": "x"}}, "extraEnv": [{"name": "AUTH_CALLOUT_MTLS_CA_PATH", "value": "/other/ca.crt"}]})
    assert container(made)["env"] == [{"name": "AUTH_CALLOUT_MTLS_CA_PATH", "value": "/other/ca.crt"}]


def test_lists_as_one_text(each_helm):
    """For charts around this one: a text that renders to the list. One that renders to nothing is the empty list."""
    lists = {k: EVERYTHING[k] for k in ("extraEnv", "extraEnvFrom", "extraVolumes", "extraVolumeMounts", "extraContainers", "initContainers",
                                        "extraObjects")}
    made = render({k: yaml.safe_dump(v) for k, v in lists.items()}, each_helm)
    assert made.text == render(lists, each_helm).text
    assert render({k: "{{ if .Values.serviceMonitor.enabled }}[1]{{ end }}" for k in lists}, each_helm).text == render({}, each_helm).text
    assert "extraEnv" in refused({"extraEnv": "a: map"}, each_helm)


def test_what_a_template_renders_to_stays_text():
    """A value with YAML in it changes nothing around it."""
    made = render({"serviceConfig": {"nats": {"url": "{{ \"nats://a:4222\\nmtls: {allow-org-identity: true}\" }}"}}})
    assert config(made)["nats"]["url"] == "nats://a:4222\nmtls: {allow-org-identity: true}" and "mtls" not in config(made)


def test_spread():
    constraints = template(render())["spec"]["topologySpreadConstraints"]
    assert {c["topologyKey"] for c in constraints} == {"kubernetes.io/hostname", "topology.kubernetes.io/zone"}
    assert all(c["labelSelector"]["matchLabels"]["app.kubernetes.io/instance"] == "bus" for c in constraints)
    own = [{"maxSkew": 1, "topologyKey": "rack", "whenUnsatisfiable": "DoNotSchedule", "labelSelector": {"matchLabels": {"a": "b"}}}]
    assert template(render({"topologySpreadConstraints": own}))["spec"]["topologySpreadConstraints"][0]["labelSelector"]["matchLabels"]["a"] == "b"
    assert "topologySpreadConstraints" not in template(render({"topologySpreadConstraints": []}))["spec"]


def test_network_policy():
    rules = render({"networkPolicy": {"enabled": True}}).get("NetworkPolicy", NAME)["spec"]
    assert rules["policyTypes"] == ["Ingress", "Egress"] and [r["ports"][0]["port"] for r in rules["ingress"]] == ["metrics"]
    assert [sorted({p["port"] for p in r["ports"]}) for r in rules["egress"]] == [[53], [4222], [443]] and all(r["to"] for r in rules["egress"])
    tokens = render(CHART / "examples/kubernetes-tokens.yaml").get("NetworkPolicy", NAME)["spec"]
    assert [p["port"] for p in tokens["egress"][-1]["ports"]] == [443, 6443]
    closed = {k: [] for k in ("metricsFrom", "dnsTo", "natsTo", "providersTo")}
    rules = render({"networkPolicy": {"enabled": True, **closed}}).get("NetworkPolicy", NAME)["spec"]
    assert rules["ingress"] == [] and rules["egress"] == [], "a rule without peers lets everybody through"
    assert not render().of("NetworkPolicy")


def test_notes_tell_what_is_missing():
    done = helm.run(4, "install", "bus", CHART, "--dry-run=client", "-n", "event-bus", "--set", "mtls.ca.secretName=devices")
    notes = done[done.index("NOTES:"):]
    for said in ("auth-callout-keys (keys.secretName)", "devices (mtls.ca.secretName)", "rollout status deployment/bus-auth-callout", "/readyz"):
        assert said in notes, said


# --- restarts ---------------------------------------------------------------------------------------------------------------------
def rolled(before, after):
    return template(render(before)) != template(render(after))


ROLLS = [({"permissions": {"document": {"noauth": {"account": "CSC"}}}}, False),
         ({"serviceConfig": {"observability": {"logging": {"level": "debug"}}}}, False),
         ({"serviceConfig": {"session": {"max-age": "1h"}}}, False), ({"serviceConfig": {"limits": {"workers": 3}}}, True),
         ({"serviceConfig": {"nats": {"url": "nats://b"}}}, True),
         ({"serviceConfig": {"issuers": [{"name": "a", "issuer": "https://a", "url": "https://a"}]}}, True),
         ({"mtls": {"ca": {"secretName": "x"}}}, True), ({"service": {"port": 81}}, False),
         ({"commonLabels": {"a": "b"}}, True)]


@pytest.mark.parametrize("values, rolls", ROLLS, ids=[re.sub(r"\W+", "-", json.dumps(v))[:50] for v, _rolls in ROLLS])
def test_what_replaces_pods(values, rolls):
    assert rolled({}, values) == rolls


def test_a_new_version_of_the_chart_alone_replaces_no_pod(tmp_path):
    copied = tmp_path / "auth-callout"
    shutil.copytree(CHART, copied)
    text = (copied / "Chart.yaml").read_text()
    (copied / "Chart.yaml").write_text(text.replace("\nversion: 0.1.0", "\nversion: 0.1.1"))
    made = helm.Manifests(yaml.safe_load_all(helm.run(3, "template", "bus", copied, "-n", "event-bus", "--kube-version", helm.KUBE)))
    assert template(made) == template(render()) and made.get("Deployment", NAME) != render().get("Deployment", NAME)
