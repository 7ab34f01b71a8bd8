"""Routes of deploy/nats-event-bus: what is rendered for each, in the version that the cluster serves, and what cannot work."""
import json

import pytest
from helm import GATEWAY_1_3, GATEWAY_1_5, GATEWAY_1_6, OPERATORS, bus, conform, deep, refused, render
from test_umbrella import CPC, CSC, LEAF, ROUTES

GROUP = "gateway.networking.k8s.io/"
BACKENDS = {"event-bus-mqtt": ("TCPRoute", "mqtt", "event-bus", 1883), "event-bus-nats-client": ("TCPRoute", "nats-client", "event-bus", 4222),
            "event-bus-nats-leafnode": ("TCPRoute", "nats-leafnode", "event-bus", 7422),
            "event-bus-mqtt-mtls": ("TLSRoute", "mqtt-mtls", "event-bus-mtls", 8883)}


def routes(**changes):
    """The CSC with its four routes, changed: routes(mqtt={"tls": "terminate"})."""
    return deep(CSC, bus(gateway={"routes": deep(ROUTES, changes)}))


def all_routes(made):
    return {d["metadata"]["name"]: d for d in made.of("TCPRoute") + made.of("TLSRoute")}


def test_each_route_leads_to_a_port_that_its_service_has(each_helm):
    made = render(routes(), each_helm)
    found = all_routes(made)
    assert found.keys() == BACKENDS.keys()
    for name, (kind, section, service, port) in BACKENDS.items():
        route = found[name]
        assert route["kind"] == kind and route["spec"]["parentRefs"] == [{"name": "event-bus", "sectionName": section}]
        assert route["spec"]["rules"] == [{"backendRefs": [{"name": service, "port": port}]}]
        assert port in [p["port"] for p in made.get("Service", service)["spec"]["ports"]]
    assert found["event-bus-mqtt-mtls"]["spec"]["hostnames"] == ["mqtt.csc.example"] and "hostnames" not in found["event-bus-mqtt"]["spec"]


def test_no_route_by_default():
    assert all_routes(render(CSC)) == {} == all_routes(render(CPC))


@pytest.mark.parametrize("api, tcp, tls", [(GATEWAY_1_6, "v1", "v1"), (GATEWAY_1_5, "v1alpha2", "v1"), (GATEWAY_1_3, "v1alpha2", "v1alpha2"),
                                           ((), "v1", "v1")], ids=["1.6", "1.5", "1.3", "unknown"])
def test_the_cluster_chooses_the_version(api, tcp, tls, each_helm):
    made = render(routes(), each_helm, api_versions=api + OPERATORS)
    for name, route in all_routes(made).items():
        assert route["apiVersion"] == GROUP + (tls if route["kind"] == "TLSRoute" else tcp), name
    assert conform(made.text) == []


def test_a_value_chooses_the_version_gateway_and_listener():
    values = deep(routes(mqtt={"apiVersion": GROUP + "v1alpha2", "gateway": {"name": "other", "namespace": "edge"}, "sectionName": "m"}),
                  bus(gateway={"apiVersion": GROUP + "v1alpha2", "namespace": "gateways"}))
    found = all_routes(render(values))
    assert {r["apiVersion"] for r in found.values()} == {GROUP + "v1alpha2"}
    assert found["event-bus-mqtt"]["spec"]["parentRefs"] == [{"name": "other", "namespace": "edge", "sectionName": "m"}]
    assert found["event-bus-mqtt-mtls"]["spec"]["parentRefs"] == [{"name": "event-bus", "namespace": "gateways", "sectionName": "mqtt-mtls"}]
    tcp = all_routes(render(routes(mqttMtls={"kind": "TCPRoute", "tls": "none", "hostnames": []})))
    assert tcp["event-bus-mqtt-mtls"]["kind"] == "TCPRoute" and "hostnames" not in tcp["event-bus-mqtt-mtls"]["spec"]


@pytest.mark.parametrize("host", ["mqtt.csc.example", "*.csc.example", "a", "a-1.b2.example"])
def test_names_that_can_match(host):
    assert all_routes(render(routes(mqttMtls={"hostnames": [host]})))["event-bus-mqtt-mtls"]["spec"]["hostnames"] == [host]


@pytest.mark.parametrize("host, why", [
    ("*", "has a wildcard where none is taken"), ("a.*.example", "has a wildcard where none is taken"), ("*a.example", "has a wildcard where"),
    ("*.example", "stands for every name of a top-level domain"), ("10.0.0.1", "is an address"), ("fd00::1", "is an address"),
    ("[fd00::1]", "is an address"), ("mqtt.example:8883", "is an address"), ("Mqtt.example", "has capitals"), ("mqtt_1.example", "is no host name"),
    ("-a.example", "is no host name"), ("a..example", "is no host name"), ("", "is no host name"), ("mqtts://a.example", "is an address"),
    ("a." * 127 + "example", "is longer than 253 bytes")])
def test_names_that_never_match(host, why, each_helm):
    said = refused(routes(mqttMtls={"hostnames": ["good.example", host]}), each_helm)
    assert "global.eventBus.gateway.routes.mqttMtls.hostnames[1]: " in said and why in said and "1 error" in said


PASS = {"kind": "TLSRoute", "tls": "passthrough"}
REFUSED = {
    "no hostnames": (routes(mqttMtls={"hostnames": []}), "mqttMtls.hostnames: a TLSRoute without hostnames takes nothing"),
    "hostnames of a TCPRoute": (routes(mqtt={"hostnames": ["a.example"]}), "mqtt.hostnames: a TCPRoute knows no names"),
    "another kind": (routes(mqtt={"kind": "HTTPRoute"}),
                     "mqtt.kind: `HTTPRoute` is no kind of route that carries NATS or MQTT"),
    "another mode": (routes(mqtt={"tls": "on"}), "mqtt.tls: `on` is nothing that a listener does with TLS"),
    "a TLSRoute without TLS": (routes(mqtt={"kind": "TLSRoute", "hostnames": ["a.example"]}),
                               "mqtt.kind: a TLSRoute attaches to a TLS listener only"),
    "a TCPRoute that passes TLS": (routes(mqttMtls={"kind": "TCPRoute", "hostnames": []}), "mqttMtls.kind: a listener that passes TLS through takes"),
    "certificates that end at the gateway": (routes(mqttMtls={"tls": "terminate"}), "mqttMtls.tls: a gateway that ends TLS hides the clients'"),
    "TLS for a listener without": (routes(mqtt={**PASS, "hostnames": ["a.example"]}), "mqtt.tls: the main server's MQTT listener has no TLS"),
    "no mTLS server": (deep(routes(), bus(mtls={"enabled": False}), {"surveyor": {"config": {"expectedServers": 3}}}),
                       "mqttMtls: there is no mTLS server (mtls.enabled is false)"),
    "leaf links to a CPC": (deep(CPC, bus(gateway={"routes": {"natsLeafnode": {"enabled": True}}})), "natsLeafnode: nobody links to a CPC"),
    "TLS twice": (deep(routes(natsLeafnode={"tls": "terminate"}), bus(cscLeafServerTLS=LEAF)), "cscLeafServerTLS: the gateway ends TLS before"),
    "TLS nowhere": (routes(natsLeafnode={**PASS, "hostnames": ["leaf.example"]}), "cscLeafServerTLS: the gateway passes TLS through"),
    "a link without TLS": (deep(CPC, bus(cpcLeafClientTLS={**LEAF, "handshakeFirst": True})), "cscEndpoint: the link begins with TLS"),
    "one listener for two": (routes(natsClient={"sectionName": "mqtt"}), "natsClient: gateway.routes.mqtt has the same listener"),
    "one name for two": (deep(routes(natsClient={**PASS, "hostnames": ["mqtt.csc.example"], "sectionName": "mqtt-mtls"})),
                         "natsClient: gateway.routes.mqttMtls has `mqtt.csc.example` on the same listener"),
    "no gateway": (deep(routes(), bus(gateway={"name": ""})), "mqtt: no Gateway is named"),
}


@pytest.mark.parametrize("values, said", REFUSED.values(), ids=REFUSED)
def test_what_cannot_work(values, said, each_helm):
    text = refused(values, each_helm)
    assert f"error: global.eventBus.{'' if said.startswith('c') else 'gateway.routes.'}{said}" in text


def conf(values, which="event-bus"):
    """The rendered configuration; variables and units stand there without quotes, and only those are quoted here."""
    import re
    text = render(values).get("ConfigMap", f"{which}-config")["data"]["nats.conf"]
    return json.loads(re.sub(r"(?m)^(\s*(?:\"[^\"]*\": )?)(\$\w+)(,?)$", r'\1"\2"\3', text))


def test_what_servers_are_told_about_a_gateway():
    plain = conf(routes())
    assert "tls" not in plain and "allow_non_tls" not in plain and "tls" not in plain["leafnodes"]
    ends = conf(routes(natsClient={"tls": "terminate"}, natsLeafnode={"tls": "terminate"}))
    assert ends["tls"] == {} and ends["allow_non_tls"] is True and "tls" not in ends["leafnodes"]
    values = deep(routes(natsClient={**PASS, "hostnames": ["nats.example"]}, natsLeafnode={**PASS, "hostnames": ["leaf.example"]}),
                  bus(cscLeafServerTLS=LEAF))
    passes = conf(values)
    assert passes["tls"] == {"cert_file": "/etc/nats-certs/client/tls.crt", "key_file": "/etc/nats-certs/client/tls.key", "handshake_first": "auto"}
    assert passes["allow_non_tls"] is True
    assert passes["leafnodes"]["tls"]["handshake_first"] is True and passes["leafnodes"]["tls"]["cert_file"] == LEAF["cert"]
    assert all(r["tls"]["handshake_first"] is True for r in conf(values, "event-bus-mtls")["leafnodes"]["remotes"])
    cpc = conf(deep(CPC, bus(cscEndpoint="tls://leaf.example:7422", cpcLeafClientTLS={**LEAF, "handshakeFirst": True})))
    assert all(r["tls"]["handshake_first"] is True for r in cpc["leafnodes"]["remotes"])
    own = conf(deep(routes(), bus(cscLeafServerTLS=LEAF)))
    assert "handshake_first" not in own["leafnodes"]["tls"]


def test_certificates_are_mounted_where_they_are_read():
    values = deep(routes(natsClient={**PASS, "hostnames": ["nats.example"]}), bus(cscLeafServerTLS=LEAF))
    for which, mounts in (("event-bus", {"/etc/nats-certs/leaf": "nats-leaf-tls", "/etc/nats-certs/client": "nats-server-tls"}),
                          ("event-bus-mtls", {"/etc/nats-certs/leaf": "nats-leaf-tls", "/etc/nats-certs/mqtt": "nats-mtls-server-tls"})):
        spec = render(values).get("StatefulSet", which)["spec"]["template"]["spec"]
        volumes = {v["name"]: v["secret"]["secretName"] for v in spec["volumes"] if "secret" in v}
        for container in spec["containers"]:  # the reloader must see them, too, to tell the server when they change
            if container["name"] in ("nats", "reloader"):
                found = {m["mountPath"]: volumes[m["name"]] for m in container["volumeMounts"] if m["name"] in volumes}
                assert found == mounts, (which, container["name"])
    assert "leaf" not in str(render(CSC).get("StatefulSet", "event-bus")["spec"]["template"]["spec"]["volumes"])


def watched(values, which):
    reloader = next(c for c in render(values).get("StatefulSet", which)["spec"]["template"]["spec"]["containers"] if c["name"] == "reloader")
    assert {m["mountPath"] for m in reloader["volumeMounts"]} >= {a.rsplit("/", 1)[0] for a in reloader["args"] if a.startswith("/etc/nats-certs/")}
    return [b for a, b in zip(reloader["args"], reloader["args"][1:]) if a == "-config"]


def test_renewed_certificates_of_links_are_seen():
    """They stand in the list of remotes, where the official chart does not look."""
    csc, cpc = deep(CSC, bus(cscLeafServerTLS=LEAF)), deep(CPC, bus(cscEndpoint="tls://leaf.example:7422", cpcLeafClientTLS=LEAF))
    assert set(LEAF.values()) <= set(watched(cpc, "event-bus")) and set(LEAF.values()) <= set(watched(csc, "event-bus-mtls"))
    assert watched(CSC, "event-bus") == watched(cpc, "event-bus-mtls") == ["/etc/nats-config/nats.conf"]
