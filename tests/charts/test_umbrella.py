"""deploy/nats-event-bus as a whole: lint, both Helms, schemas, pods, secrets, and what each option changes."""
import json
import re
import shutil

import helm
import pytest
import values_table
from conftest import secret_table
from helm import GATEWAY_1_6, HELMS, OPERATORS, bus, conform, deep, lint, refused, render, template

CSC = bus(clusterType="csc", cpcIds=["1", "2"], extraAccounts={"LaunchLayer": {"enabled": True, "jetstream": True}},
          crossLayer={"cscExports": ["broadcast.>"], "cscPrefixedExports": ["command.>"], "cpcExports": ["sensor.>"]})
CPC = bus(clusterType="cpc", clusterId="1", cscEndpoint="nats://csc.example:7422",
          extraAccounts={"LaunchLayer": {"enabled": True, "jetstream": True}},
          crossLayer={"cscExports": ["broadcast.>"], "cscPrefixedExports": ["command.>"], "cpcExports": ["sensor.>"]})
SEED = "SUAAAAICAMCAKBQHBAEQUCYMBUHA6EARCIJRIFIWC4MBSGQ3DQOR4H776Y"  # of nobody
NO_MTLS = deep(bus(mtls={"enabled": False}), {"surveyor": {"config": {"expectedServers": 3}}})
SINGLE = deep(bus(servers={"replicas": 1}, mqttStreams={"replicas": 1}), {"surveyor": {"config": {"expectedServers": 2}}})
LEAF = {"ca": "/etc/nats-certs/leaf/ca.crt", "cert": "/etc/nats-certs/leaf/tls.crt", "key": "/etc/nats-certs/leaf/tls.key"}
ROUTES = {"mqtt": {"enabled": True}, "natsClient": {"enabled": True}, "natsLeafnode": {"enabled": True},
          "mqttMtls": {"enabled": True, "hostnames": ["mqtt.csc.example"]}}
CPC_ROUTES = {name: route for name, route in ROUTES.items() if name != "natsLeafnode"}

# Sites and options: what is rendered with both Helms and held to the schemas.
SITES = {
    "csc": CSC,
    "cpc": CPC,
    "csc without mTLS": deep(CSC, NO_MTLS),
    "cpc without mTLS": deep(CPC, NO_MTLS),
    "one server": deep(CSC, SINGLE),
    "five servers": deep(CSC, bus(servers={"replicas": 5}, mqttStreams={"replicas": 5}), {"surveyor": {"config": {"expectedServers": 6}}}),
    "routes": deep(CSC, bus(gateway={"routes": ROUTES, "namespace": "gateways", "labels": {"a": "b"}, "annotations": {"c": "d"}})),
    "routes of a cpc": deep(CPC, bus(gateway={"routes": CPC_ROUTES})),
    "leaf TLS": deep(CSC, bus(cscLeafServerTLS=LEAF)),
    "leaf TLS of a cpc": deep(CPC, bus(cscEndpoint="tls://csc.example:7422", cpcLeafClientTLS={**LEAF, "handshakeFirst": True})),
    "monitoring": deep(CSC, bus(monitoring={"serviceMonitors": {"enabled": True, "labels": {"release": "prom"}},
                                            "prometheusRules": {"enabled": True}, "dashboards": {"enabled": True}})),
    "no controller": deep(CSC, bus(nack={"enabled": False})),
    "no supervisor": deep(CSC, bus(streamsWatch={"enabled": False})),
    "no surveyor": deep(CSC, bus(surveyor={"enabled": False})),
    "no tests, no policies": deep(CSC, bus(tests={"enabled": False}, networkPolicy={"enabled": False})),
    "policies": deep(CSC, bus(networkPolicy={"monitoringFrom": [{"namespaceSelector": {}}], "clientsFrom": [{"ipBlock": {"cidr": "10.0.0.0/8"}}]})),
    "supervisor's options": deep(CSC, bus(streamsWatch={"replicas": 2, "nodeSelector": {"a": "b"}, "tolerations": [{"operator": "Exists"}],
                                                        "affinity": {"nodeAffinity": {}}})),
    "image": deep(CSC, bus(image={"repository": "r.example/eb", "digest": "sha256:" + "0" * 64, "pullPolicy": "Always", "pullSecrets": ["p"]})),
    "nats-box": deep(CSC, {"nats": {"natsBox": {"enabled": True}}}),
    "exporter": deep(CSC, {"nats": {"promExporter": {"enabled": True, "podMonitor": {"enabled": True}}}}),
    "no xkey": deep(CSC, bus(servers={"xkey": False}), {"auth-callout": {"keys": {"xkeySeeds": []}}}),
    "memory": deep(CSC, bus(mqttStreams={"storage": "memory"}, servers={"jetstream": {"maxMemory": 1073741824}})),
    "many patterns": deep(CSC, bus(cpcIds=[f"s{i}" for i in range(20)], crossLayer={"cpcExports": [f"p{i}.>" for i in range(20)]})),
    "keys' revision": deep(CSC, bus(keysRevision="2026-11")),
    "other secrets": deep(CSC, bus(secrets={"nats-xkey": {"name": "x", "keys": {"pubkey": "pub"}},
                                            "nats-mtls-server-tls": {"name": "edge", "keys": {"ca.crt": "clients.crt"}},
                                            "nats-streams": {"name": "st", "keys": {"seed": "s"}}})),
}
each_site = pytest.mark.parametrize("values", SITES.values(), ids=SITES)


@each_site
def test_both_helms_lint_and_render_the_same(values):
    for which in HELMS:
        assert "1 chart(s) linted, 0 chart(s) failed" in lint(values, which)
    assert template(values, 3) == template(values, 4)


@each_site
def test_manifests_are_what_the_apis_take(values):
    assert conform(template(values)) == []


@each_site
def test_no_object_is_there_twice(values):
    seen = [(d["kind"], d["metadata"]["name"]) for d in render(values)]
    assert sorted(seen) == sorted(set(seen))


@pytest.mark.parametrize("site", ["csc", "cpc"])
def test_helm_says_nothing_while_it_merges_values(site, each_helm):
    """A table over a chart's own scalar would be told at every install."""
    helm.run(each_helm, "template", "bus", helm.assembled(), "--kube-version", helm.KUBE, *helm._files(SITES[site]))
    assert helm.TOLD == [""]


def containers(pod):
    return [(c["name"], c) for c in pod["spec"].get("initContainers", []) + pod["spec"]["containers"]]


@each_site
def test_every_pod_is_restricted(values):
    """Pod Security Standard `restricted`, no links to services in the environment, and no token unless it is asked for."""
    for name, pod in render(values).pods():
        spec = pod["spec"]
        security = spec.get("securityContext") or {}
        assert not spec.keys() & {"hostNetwork", "hostPID", "hostIPC"}, name
        assert all(not v.keys() & {"hostPath", "nfs", "iscsi"} for v in spec.get("volumes", [])), name
        for inner, container in containers(pod):
            own = {**security, **(container.get("securityContext") or {})}
            where = f"{name} {inner}"
            assert own.get("runAsNonRoot") is True and own.get("runAsUser", 1) != 0, where
            assert own.get("seccompProfile", {}).get("type") == "RuntimeDefault", where
            assert own.get("allowPrivilegeEscalation") is False and own["capabilities"] == {"drop": ["ALL"]}, where
            assert not own.get("privileged") and all("hostPort" not in p for p in container.get("ports", [])), where
            if inner not in ("jsc", "nats-box"):  # these two write below /tmp
                assert own.get("readOnlyRootFilesystem") is True, where
        if not re.search("nack|surveyor|request-reply", name):  # what their charts decide themselves
            assert spec.get("enableServiceLinks") is False, name
            assert spec.get("automountServiceAccountToken") is False, name


def secrets_of(pod):
    """{(secret, key or "*")} that a pod is given."""
    used = set()
    for _, c in containers(pod):
        for e in c.get("env") or []:
            ref = (e.get("valueFrom") or {}).get("secretKeyRef")
            if ref:
                used.add((ref["name"], ref["key"]))
    for v in pod["spec"].get("volumes", []):
        sources = [v.get("secret")] + [s.get("secret") for s in (v.get("projected") or {}).get("sources", [])]
        for s in filter(None, sources):
            name = s.get("secretName") or s["name"]
            used |= {(name, i["key"]) for i in s["items"]} if s.get("items") else {(name, "*")}
    return used


@each_site
def test_servers_are_given_public_keys_and_the_seeds_of_their_own_links_only(values):
    made = render(values)
    for name in made.names("StatefulSet"):
        for secret, key in secrets_of(made.get("StatefulSet", name)["spec"]["template"]):
            if key in ("pubkey", "pubkey-old", "pub"):
                continue
            links = {"event-bus": "nats-leaf-(|[a-z]+-)csc", "event-bus-mtls": "nats-mtls-(|authx-|sys-)leaf"}[name]
            certificates = key == "*" and re.fullmatch("nats-mtls-server-tls|edge|nats-leaf-tls|nats-server-tls", secret)
            assert certificates or (key == "seed" and re.fullmatch(links, secret)), f"{name} gets {key} of {secret}"


@each_site
def test_seeds_are_in_no_more_hands_than_their_own(values):
    hands = {"auth-callout-keys": {"event-bus-auth-callout"}, "nats-surveyor": {"event-bus-surveyor"}, "nats-nack-user": {"event-bus-nack"},
             "nats-streams": {"event-bus-streams-watch", "event-bus-test-streams"}, "st": {"event-bus-streams-watch", "event-bus-test-streams"}}
    for name, pod in render(values).pods():
        name = name.split("/")[1]
        for secret, key in secrets_of(pod):
            if key in ("pubkey", "pubkey-old", "pub") or "box" in name or "request-reply" in name:
                continue
            assert name in hands.get(secret, {name}), f"{name} gets {key} of {secret}"
            assert secret not in ("nats-auth-signing", "nats-xkey", "nats-authx-user", "nats-sys-admin", "nats-auth-watch"), name


def test_auth_callout_gets_the_ca_of_clients_alone():
    made = render(CSC)
    assert ("auth-callout-mtls-ca", "ca.crt") in secrets_of(made.get("Deployment", "event-bus-auth-callout")["spec"]["template"])
    env = {e["name"]: e.get("value") for e in made.get("Deployment", "event-bus-auth-callout")["spec"]["template"]["spec"]["containers"][0]["env"]}
    assert env["AUTH_CALLOUT_MTLS_CA_PATH"].endswith("/ca.crt")
    assert not any(key in ("tls.key", "*") and "mtls" in secret
                   for secret, key in secrets_of(made.get("Deployment", "event-bus-auth-callout")["spec"]["template"]))


@pytest.mark.parametrize("site", [CSC, CPC], ids=["csc", "cpc"])
def test_without_mtls_nothing_of_it_is_left(site):
    """No pods, routes, environment, secrets."""
    routes = bus(gateway={"routes": {"mqtt": {"enabled": True}}})
    text = template(deep(site, routes, NO_MTLS), release="x")
    values = '"enabled": false'  # what the site document itself says
    left = [line for line in text.splitlines() if re.search("mtls", line, re.I) and '"mtls": {' not in line and "mqttMtls" not in line
            and '"mqtt-mtls"' not in line]
    assert values in text and left == []
    assert re.search("mtls", template(deep(site, routes)), re.I)


@pytest.mark.parametrize("release", ["bus", "nats", "my-nats-bus", "nats-mtls", "event-bus", "surveyor", "auth-callout"])
def test_names_do_not_depend_on_the_release(release):
    made, usual = render(CSC, release=release), render(CSC)
    assert [(d["kind"], d["metadata"]["name"]) for d in made] == [(d["kind"], d["metadata"]["name"]) for d in usual]
    selectors = [d["spec"]["selector"]["matchLabels"] for d in made.of("StatefulSet")]
    for service in made.of("Service"):
        chosen = [s for s in selectors if service["spec"]["selector"].items() <= s.items()]
        assert len(chosen) == (1 if service["metadata"]["name"].split("-headless")[0] in ("event-bus", "event-bus-mtls") else 0), service


@pytest.mark.parametrize("replicas, mtls, count", [(1, True, 2), (3, True, 4), (3, False, 3), (5, True, 6)])
def test_surveyor_must_expect_all_servers(replicas, mtls, count):
    site = deep(CSC, bus(servers={"replicas": replicas}, mqttStreams={"replicas": min(replicas, 3)}, mtls={"enabled": mtls}))
    made = render(deep(site, {"surveyor": {"config": {"expectedServers": count}}}))
    args = made.get("Deployment", "event-bus-surveyor")["spec"]["template"]["spec"]["containers"][0]["args"]
    assert f"--count={count}" in args and "-s=nats://event-bus:4222" in args
    said = refused(deep(site, {"surveyor": {"config": {"expectedServers": count + 1}}}))
    assert f"surveyor.config.expectedServers: {count + 1}, and the site has {count} servers" in said and f"write {count}" in said
    assert render(deep(site, {"surveyor": {"config": {"expectedServers": -1}}}))


@pytest.mark.parametrize("replicas", [1, 3, 5])
def test_as_many_servers_as_are_asked_for_know_each_other(replicas):
    made = render(deep(CSC, bus(servers={"replicas": replicas}, mqttStreams={"replicas": 1}), {"surveyor": {"config": {"expectedServers": -1}}}))
    assert made.get("StatefulSet", "event-bus")["spec"]["replicas"] == replicas
    conf = made.get("ConfigMap", "event-bus-config")["data"]["nats.conf"]
    assert conf.count("nats://event-bus-") == (replicas if replicas > 1 else 0)
    assert ('"cluster"' in conf) == (replicas > 1)
    assert made.get("StatefulSet", "event-bus-mtls")["spec"]["replicas"] == 1


def test_servers_of_all_sites_have_names_of_their_own():
    for site, name in ((CSC, "csc"), (CPC, "cpc-1")):
        made = render(site)
        for which in ("event-bus", "event-bus-mtls"):
            env = made.get("StatefulSet", which)["spec"]["template"]["spec"]["containers"][0]["env"]
            names = [e["name"] for e in env]
            assert len(names) == len(set(names)), "server-side apply refuses a name that is there twice"
            assert {e["name"]: e.get("value") for e in env}["EVENT_BUS_SERVER_NAME"] == f"{name}-$(POD_NAME)"
            assert '"server_name": $EVENT_BUS_SERVER_NAME' in made.get("ConfigMap", f"{which}-config")["data"]["nats.conf"]
            assert names.index("POD_NAME") < names.index("EVENT_BUS_SERVER_NAME"), "or it would not be filled in"
        assert f'"name": "{name}"' in made.get("ConfigMap", "event-bus-config")["data"]["nats.conf"]


def test_a_changed_configuration_and_changed_keys_restart_the_servers():
    """A reload refuses a changed callout in silence, and never sees changed Secrets."""
    def annotations(values, which):
        return render(values).get("StatefulSet", which)["spec"]["template"]["metadata"]["annotations"]
    for which in ("event-bus", "event-bus-mtls"):
        before, more, turned = (annotations(v, which) for v in (CSC, deep(CSC, bus(servers={"authTimeout": 20})), deep(CSC, bus(keysRevision="2"))))
        assert before["checksum/config"] != more["checksum/config"]
        assert before["event-bus/keys-revision"] != turned["event-bus/keys-revision"]
    watch = [render(v).get("Deployment", "event-bus-streams-watch")["spec"]["template"]["metadata"]["annotations"]
             for v in (CSC, deep(CSC, bus(keysRevision="2")))]
    assert watch[0] != watch[1]


def test_other_names_of_secrets_reach_everybody():
    made = render(SITES["other secrets"])
    main = secrets_of(made.get("StatefulSet", "event-bus")["spec"]["template"])
    assert ("x", "pub") in main and not any(name == "nats-xkey" for name, _ in main)
    assert ("edge", "*") in secrets_of(made.get("StatefulSet", "event-bus-mtls")["spec"]["template"])
    assert '"ca_file": "/etc/nats-certs/mqtt/clients.crt"' in made.get("ConfigMap", "event-bus-mtls-config")["data"]["nats.conf"]
    assert secrets_of(made.get("Deployment", "event-bus-streams-watch")["spec"]["template"]) == {("st", "s")}
    assert made.get("Deployment", "event-bus-streams-watch")["spec"]["template"]["spec"]["containers"][0]["args"][-1].endswith("/s")


def test_every_secret_can_be_called_otherwise():
    """Each documented name, and each key, once: the default is nowhere any more."""
    fixed = {"nats-surveyor": ("surveyor", "config", "nkey", "secret"), "nats-nack-user": ("nack", "jetstream", "nats", "nkey", "secret")}
    for site in (CSC, CPC):
        for name, keys in secret_table(site).items():
            values = deep(site, bus(secrets={name: {"name": f"other-{name}", "keys": {k: f"k-{k}" for k in keys}}}))
            if name in fixed:
                inner = {"name": f"other-{name}", "key": "k-seed" if name == "nats-surveyor" else "k-nack-user.nk"}
                for part in reversed(fixed[name]):
                    inner = {part: inner}
                assert "global.eventBus.secrets says otherwise" in refused(values)
                values = deep(values, inner)
            if name == "auth-callout-keys":
                values = deep(values, {"auth-callout": {"keys": {"nkeySeed": "k-nkey-seed", "issuerSeeds": ["k-issuer-seed"],
                                                                 "xkeySeeds": ["k-xkey-seed"]}}})
            if name == "auth-callout-mtls-ca":
                values = deep(values, {"auth-callout": {"mtls": {"ca": {"key": "k-ca.crt"}}}})
            made = render(values)
            used = {s for _, pod in made.pods() for s in secrets_of(pod)}
            assert any(s == f"other-{name}" for s, _ in used), name
            assert not any(s == name for s, _ in used), name
            assert not any(s == f"other-{name}" and k in keys for s, k in used), json.dumps(sorted(used))


def test_the_supervisor_runs_eventbus_of_auth_callouts_image():
    made = render(deep(CSC, {"auth-callout": {"image": {"registry": "r.example:5000", "repository": "bus/auth-callout", "tag": "7"}}}))
    pod = made.get("Deployment", "event-bus-streams-watch")["spec"]["template"]["spec"]
    assert pod["containers"][0]["image"] == "r.example:5000/bus/auth-callout:7"
    assert pod["containers"][0]["command"] == ["/usr/bin/eventbus"] and pod["containers"][0]["args"][:2] == ["streams", "watch"]
    assert "initContainers" not in pod
    assert secrets_of({"spec": pod}) == {("nats-streams", "seed")}
    shared = {"global": {"image": {"registry": "mirror.example", "pullPolicy": "Always", "pullSecretNames": ["m"]}}}
    mirrored = render(deep(CSC, shared, {"auth-callout": {"imagePullSecrets": [{"name": "n"}]}}))
    for kind, name in (("Deployment", "event-bus-streams-watch"), ("Pod", "event-bus-test-streams"), ("Deployment", "event-bus-auth-callout")):
        spec = dict(mirrored.pods())[f"{kind}/{name}"]["spec"]
        assert spec["containers"][0]["image"] == "mirror.example/auth-callout:0.1.0" and spec["containers"][0]["imagePullPolicy"] == "Always", name
        assert spec["imagePullSecrets"] == [{"name": "m"}, {"name": "n"}], name
    image = render(SITES["image"]).get("Deployment", "event-bus-streams-watch")["spec"]["template"]["spec"]
    assert image["containers"][0]["image"] == "r.example/eb@sha256:" + "0" * 64 and image["imagePullSecrets"] == [{"name": "p"}]
    alone = render(SITES["no controller"])
    assert alone.get("Deployment", "event-bus-streams-watch")["spec"]["template"]["spec"]["initContainers"][0]["args"][:2] == ["streams", "apply"]
    assert alone.of("Stream") == [] and "event-bus-nack" not in alone.names("Deployment")


def test_names_that_yaml_would_take_for_something_else_stay_texts():
    made = render(deep(CSC, bus(secrets={"nats-streams": {"name": "123", "keys": {"seed": "null"}}}, image={"pullSecrets": ["7"]},
                                gateway={"name": "1", "namespace": "2", "routes": {"mqtt": {"enabled": True, "sectionName": "1883"}}})))
    spec = made.get("Pod", "event-bus-test-streams")["spec"]
    keys = [v["secret"] for v in spec["volumes"] if v["name"] == "keys"]
    assert keys == [{"secretName": "123", "defaultMode": 288, "items": [{"key": "null", "path": "null"}]}]
    assert spec["imagePullSecrets"] == [{"name": "7"}]
    assert made.get("TCPRoute", "event-bus-mqtt")["spec"]["parentRefs"] == [{"name": "1", "namespace": "2", "sectionName": "1883"}]


def test_the_site_document_is_json_whatever_stands_in_it():
    annotations = {"a": "a\\u003eb <c> & \\\\u003c", "b": "\\"}
    text = render(deep(CSC, bus(gateway={"annotations": annotations}))).get("ConfigMap", "event-bus-site")["data"]["site.json"]
    assert json.loads(text)["global"]["eventBus"]["gateway"]["annotations"] == annotations


def test_the_pod_of_helm_test_is_there_until_its_log_was_read():
    """Helm 3 deletes what has the policy hook-succeeded before it asks for the log, and then `helm test --logs` fails."""
    for hook in [d for d in render(CSC) if d["metadata"].get("annotations", {}).get("helm.sh/hook")]:
        assert hook["metadata"]["annotations"]["helm.sh/hook-delete-policy"] == "before-hook-creation", hook["metadata"]["name"]


def test_nack_keeps_the_streams_with_a_login_of_its_own():
    made = render(CSC)
    pod = made.get("Deployment", "event-bus-nack")["spec"]["template"]
    command = pod["spec"]["containers"][0]["command"]
    assert {"-s=nats://event-bus:4222", "--nkey=/etc/jsc-nkey/nack-user.nk", "--control-loop", "--namespace=event-bus",
            "--cache-dir=/tmp/nack"} <= set(command)
    assert len(made.of("Stream")) == 4 and all(s["spec"]["preventDelete"] is True for s in made.of("Stream"))
    assert "controlLoop" in refused(deep(CSC, {"nack": {"jetstream": {"controlLoop": False}}}))
    monitor = render(SITES["monitoring"]).get("PodMonitor", "event-bus-nack")
    assert monitor["spec"]["selector"]["matchLabels"].items() <= pod["metadata"]["labels"].items()
    survey = render(SITES["monitoring"]).get("ServiceMonitor", "event-bus-surveyor")
    assert survey["spec"]["selector"]["matchLabels"].items() <= made.get("Service", "event-bus-surveyor")["metadata"]["labels"].items()
    assert survey["metadata"]["labels"]["release"] == "prom" and render(CSC).of("ServiceMonitor") == []


def test_monitors_find_their_targets_and_say_of_which_site():
    for site, name in ((CSC, "csc"), (CPC, "cpc-1")):
        made = render(deep(site, bus(monitoring={"serviceMonitors": {"enabled": True}})))
        assert made.names("ServiceMonitor") == ["event-bus-auth-callout", "event-bus-surveyor"] and made.names("PodMonitor") == ["event-bus-nack"]
        for monitor in made.of("ServiceMonitor"):
            chosen = [s for s in made.of("Service") if monitor["spec"]["selector"]["matchLabels"].items() <= s["metadata"]["labels"].items()]
            endpoint, = monitor["spec"]["endpoints"]
            assert len(chosen) == 1 and endpoint["port"] in [p["name"] for p in chosen[0]["spec"]["ports"]], monitor["metadata"]["name"]
        for monitor in made.of("ServiceMonitor") + made.of("PodMonitor"):
            endpoint, = monitor["spec"].get("endpoints") or monitor["spec"]["podMetricsEndpoints"]
            assert {"targetLabel": "site", "replacement": name} in endpoint["relabelings"]


def test_only_servers_of_the_cluster_reach_its_port():
    made = render(SITES["policies"])
    policy = made.get("NetworkPolicy", "event-bus")["spec"]
    labels = made.get("StatefulSet", "event-bus")["spec"]["template"]["metadata"]["labels"]
    assert policy["podSelector"]["matchLabels"].items() <= labels.items()
    by_port = {p["port"]: rule.get("from") for rule in policy["ingress"] for p in rule["ports"]}
    assert by_port[6222] == [{"podSelector": {"matchLabels": policy["podSelector"]["matchLabels"]}}]
    assert by_port[8222] == [{"namespaceSelector": {}}]
    first = policy["ingress"][0]
    assert first["from"] == [{"ipBlock": {"cidr": "10.0.0.0/8"}}] and {p["port"] for p in first["ports"]} == {1883, 4222, 7422}
    usual = render(CSC).get("NetworkPolicy", "event-bus")["spec"]["ingress"]
    assert 8222 not in {p["port"] for rule in usual for p in rule["ports"]} and "from" not in usual[0]
    mtls = render(CSC).get("NetworkPolicy", "event-bus-mtls")["spec"]
    assert [p["port"] for rule in mtls["ingress"] for p in rule["ports"]] == [8883]
    assert render(deep(CSC, NO_MTLS)).names("NetworkPolicy") == ["event-bus"]


def test_the_server_is_newer_than_its_chart():
    for which in ("event-bus", "event-bus-mtls"):
        for name, c in containers(render(CSC).get("StatefulSet", which)["spec"]["template"]):
            if name == "nats":
                version = re.fullmatch(r"nats:(\d+)\.(\d+)\.(\d+)-alpine", c["image"])
                assert version and tuple(map(int, version.groups())) >= (2, 14, 3)


def test_notes_and_what_is_unknown(each_helm):
    said = refused(deep(CSC, {"natss": {}}), each_helm)
    assert "natss" in said
    said = refused(deep(CSC, bus(streamsWatch={"enable": True})), each_helm)
    assert "enable" in said and "streamsWatch" in said
    assert "unknown key `crossLayers`; write `crossLayer`" in refused(deep(CSC, bus(crossLayers={})), each_helm)


def refusals():
    oauth = bus(auth={"permissions": {"oauth2": {"a": {"azp": "a", "account": "CSC"}}}})
    noauth = bus(auth={"permissions": {"noauth": {"account": "CSC", "permissions": {"pub": {"allow": ["a"]}}}}})
    yield "tokens without keys", deep(CSC, oauth), "auth.permissions.oauth2: no issuer's keys are configured, so every token would be refused"
    for title, values in {
            "jwks": {"serviceConfig": {"jwks": {"url": "https://idp.example/keys"}}},
            "a file": {"serviceConfig": {"jwks": {"path": "/k.json"}}},
            "issuers": {"serviceConfig": {"issuers": [{"name": "a", "url": "https://idp.example/keys"}]}},
            "hot config": {"hotConfig": {"secretName": "hot"}},
            "environment": {"extraEnv": [{"name": "JWKS_URL", "value": "https://idp.example/keys"}]}}.items():
        yield f"tokens with keys by {title}", deep(CSC, oauth, {"auth-callout": values}), None
    yield "anonymous clients in production", deep(CSC, noauth, bus(production=True)), \
        "auth.permissions.noauth: anonymous clients, at a site in production"
    yield "anonymous clients elsewhere", deep(CSC, noauth), None
    yield "a name of the chart's", deep(CSC, {"nats": {"fullnameOverride": "x"}}), "nats.fullnameOverride: routes, links, auth-callout"
    yield "a name for both", deep(CSC, {"nats-mtls": {"nameOverride": "nats"}}), "nats-mtls.nameOverride: the Services tell"
    yield "more than the volume", deep(CSC, bus(servers={"jetstream": {"maxFile": 11811160064}})), "the volume has 10Gi (nats.config.jetstream"
    yield "more memory than the container", deep(CSC, bus(servers={"jetstream": {"maxMemory": 2147483648}})), \
        "servers.jetstream.maxMemory: 2147483648, and the container may use 2Gi of memory in all"
    yield "as much as a larger one", deep(CSC, bus(servers={"jetstream": {"maxMemory": 2147483648}}),
                                          {"nats": {"container": {"merge": {"resources": {"limits": {"memory": "4Gi"}}}}}}), None
    yield "an old server", deep(CSC, {"nats": {"container": {"image": {"tag": "2.12.6-alpine"}}}}), \
        "nats.container.image.tag: 2.12.6-alpine: what is stored crosses between sites from nats-server 2.14 on"
    yield "an old mTLS server", deep(CPC, {"nats-mtls": {"container": {"image": {"tag": "v2.13.9"}}}}), "nats-mtls.container.image.tag: v2.13.9"
    yield "an old server alone", deep(CSC, bus(cpcIds=[]), {"nats": {"container": {"image": {"tag": "2.12.12"}}}}), None
    yield "a tag that says nothing", deep(CSC, {"nats": {"container": {"image": {"tag": "mirror"}}}}), None
    yield "a Secret nobody asks for", deep(CSC, bus(secrets={"nats-xkeys": {"name": "a"}})), \
        "secrets.nats-xkeys: this site has no such Secret; write `nats-xkey`"
    yield "a key nobody asks for", deep(CSC, bus(secrets={"nats-xkey": {"keys": {"pub": "a"}}})), \
        "secrets.nats-xkey.keys.pub: this Secret has no such key"
    yield "seeds for unsealed callouts", deep(CSC, bus(servers={"xkey": False})), "auth-callout.keys.xkeySeeds: the servers do not seal"
    yield "two monitors of one", deep(CSC, bus(monitoring={"serviceMonitors": {"enabled": True}}),
                                      {"auth-callout": {"serviceMonitor": {"enabled": True}}}), \
        "auth-callout.serviceMonitor.enabled: global.eventBus.monitoring.serviceMonitors has one for it already"
    yield "a seed among the site's values", deep(CSC, bus(keysRevision=f"is {SEED}")), "global.eventBus.keysRevision: a seed stands here"
    yield "a seed in a list", deep(CSC, {"nats": {"container": {"env": {"A": {"value": SEED}}}}}), "nats.container.env.A.value: a seed stands here"
    yield "a seed for a name", deep(CSC, {"nack": {"jetstream": {"nats": {"nkey": {"secret": {"name": SEED, "key": "a"}}}}}}), \
        "nack.jetstream.nats.nkey.secret.name: a seed stands here"
    yield "a Secret that Surveyor does not know of", deep(CSC, bus(secrets={"nats-surveyor": {"name": "s"}})), \
        "surveyor.config.nkey.secret: {name: nats-surveyor, key: seed}, and global.eventBus.secrets says otherwise; write {name: s, key: seed}"


@pytest.mark.parametrize("values, said", [pytest.param(v, s, id=t) for t, v, s in refusals()])
def test_what_only_the_chart_can_tell(values, said, each_helm):
    if said is None:
        assert render(values, each_helm)
    else:
        text = refused(values, each_helm)
        assert said in text and "1 error" in text and SEED not in text


def test_all_findings_come_at_once():
    said = refused(deep(CSC, bus(production=True, secrets={"nope": {"name": "a"}}, auth={"permissions": {"noauth": {"account": "CSC"}}}),
                        {"surveyor": {"config": {"expectedServers": 9}}}))
    assert "3 errors" in said


def test_the_api_versions_of_the_default_are_those_of_the_newest_release():
    assert template(SITES["routes"]) == template(SITES["routes"], api_versions=GATEWAY_1_6 + OPERATORS) == template(SITES["routes"], api_versions=())


def test_every_value_is_documented_and_in_the_readme():
    text = (helm.UMBRELLA / "values.yaml").read_text()
    told = values_table.documented(text)
    wanted = {p for p in values_table.leaves(helm.yaml.safe_load(text)) if p.startswith("global.")}
    missing = {p for p in wanted if not any(p == t or p.startswith(t + ".") for t in told)}
    assert missing == set()
    readme = (helm.UMBRELLA / "README.md").read_text()
    between = readme.split(values_table.BEGIN)[1].split(values_table.END)[0]
    assert between.strip() == values_table.table(text), "run tests/charts/values_table.py --write"


def test_the_schema_knows_every_value_and_no_other():
    """Below global.eventBus the chart's own keys; the site's keys are judged by the templates."""
    schema = json.loads((helm.UMBRELLA / "values.schema.json").read_text())
    values = helm.yaml.safe_load((helm.UMBRELLA / "values.yaml").read_text())
    assert schema["additionalProperties"] is False and set(schema["properties"]) == {*values, "nats-mtls"}

    def compare(part, given, path):
        if part.get("properties") and isinstance(given, dict):
            assert set(given) <= set(part["properties"]), path
            if not path.endswith("eventBus"):
                assert set(part["properties"]) == set(given), path
            for key, inner in given.items():
                compare(part["properties"][key], inner, f"{path}.{key}")
    bus_schema = schema["properties"]["global"]["properties"]["eventBus"]
    assert set(bus_schema["properties"]) == set(values["global"]["eventBus"])
    for key in ("image", "nack", "streamsWatch", "surveyor", "tests", "networkPolicy", "gateway", "monitoring"):
        for inner, given in ((bus_schema["properties"][key], values["global"]["eventBus"][key]),):
            routes = inner["properties"].pop("routes", None)
            compare(inner, {k: v for k, v in given.items() if k != "routes"}, key)
            if routes:
                for name, route in given["routes"].items():
                    compare(routes["properties"][name], {**route, "gateway": None}, name)


def test_the_readmes_table_of_secrets_is_complete():
    readme = (helm.UMBRELLA / "README.md").read_text().split("## Secrets")[1].split("## Install")[0]
    site = deep(CSC, bus(cscLeafServerTLS=LEAF, gateway={"routes": {"natsClient": {"enabled": True, "kind": "TLSRoute", "tls": "passthrough",
                                                                                   "hostnames": ["a.example"]}}}))
    for values in (site, CPC):
        for name, keys in secret_table(values).items():
            known = re.sub("launchlayer", "<account>", re.sub("cpc-[0-9]+$", "cpc-<id>", name))
            assert f"`{known}`" in readme, name
            assert all(f"`{key}`" in readme for key in keys)


def test_the_secrets_that_pods_use_are_those_of_the_table():
    """Nothing more and nothing less than what the notes and the README ask for."""
    for values in SITES.values():
        table = secret_table(values)
        other = {**{name: name for name in table}, "x": "nats-xkey", "edge": "nats-mtls-server-tls", "st": "nats-streams"}
        used = {(other[s], k) for n, pod in render(values).pods() for s, k in secrets_of(pod)
                if s in other and "box" not in n and "request-reply" not in n}
        names = {s for s, _ in used}
        assert names == set(table), names ^ set(table)
        for secret, key in used:
            optional = (secret, key) == ("nats-authx-user", "pubkey-old")
            assert key == "*" or key in table[secret] or optional or "secrets" in values["global"]["eventBus"], (secret, key)


def test_an_old_login_of_auth_callout_may_be_there_and_under_another_name():
    """Only in a rotation; a server that is started without it must not wait for it."""
    for keys, name in (({}, "pubkey-old"), ({"pubkey-old": "previous"}, "previous")):
        made = render(deep(CSC, bus(secrets={"nats-authx-user": {"name": "login", "keys": keys}})))
        for which, wanted in (("event-bus", [{"name": "login", "key": name, "optional": True}]), ("event-bus-mtls", [])):
            server = made.get("StatefulSet", which)["spec"]["template"]["spec"]["containers"][0]
            found = [e["valueFrom"]["secretKeyRef"] for e in server["env"] if e["name"] == "NATS_AUTHX_USER_PUBKEY_OLD"]
            assert found == wanted
            assert ("envFrom" in server) == bool(wanted)


def test_notes_name_what_to_do_next():
    for site, words in ((CSC, ["site csc: 3 main servers, one mTLS server", "until all CPCs run: 1, 2", "README.md of the chart lists them"]),
                        (deep(CPC, NO_MTLS), ["site cpc-1", "until the CSC has this site"])):
        text = notes(site)
        for word in words:
            assert word in text, text
    assert "mtls" not in notes(deep(CPC, NO_MTLS)).lower()
    routes = notes(SITES["routes"])
    assert "TLSRoute event-bus-mqtt-mtls: mqtt.csc.example" in routes and "No route is enabled" not in routes


def notes(values):
    """NOTES.txt, rendered as a manifest: `helm template` leaves it out, and an install wants a cluster."""
    probe = helm.folder() / "notes"
    if not probe.exists():
        shutil.copytree(helm.assembled(), probe)
        text = (probe / "templates/NOTES.txt").read_text()
        (probe / "templates/notes.yaml").write_text('{{- define "notes" -}}' + text + '{{- end -}}\nnotes: {{ include "notes" . | toJson }}\n')
    made = helm.run(3, "template", "bus", probe, "-n", "event-bus", "--kube-version", helm.KUBE, *helm._files(values), "-s", "templates/notes.yaml")
    return helm.yaml.safe_load(made)["notes"]
