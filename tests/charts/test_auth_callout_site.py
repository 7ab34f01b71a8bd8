"""The auth-callout of the umbrella chart, with the Secrets that eventbus makes: its pod as it is rendered there, in the root of the image."""
import json
import signal
import subprocess

import pytest
import yaml

import helm
from callout import get, image_root  # noqa: F401
from harness import certificates, secrets
from harness.bus import EVENTBUS, NATS_SERVER
from harness.natsio import NatsClient
from harness.wait import until
from kubelet import Kubelet

ADDRESS = "127.47.0.3"  # the servers' Service; its ports are the standard ones
NAME = "event-bus-auth-callout"
SITES = {
    "csc": helm.bus(clusterType="csc", cpcIds=["1", "2"], crossLayer={"cscExports": ["broadcast.>"], "cpcExports": ["sensor.>"]},
                    extraAccounts={"LaunchLayer": {"enabled": True, "jetstream": True}}),
    "cpc-1": helm.bus(clusterType="cpc", clusterId="1", cscEndpoint="nats://csc.example:7422", crossLayer={"cpcExports": ["sensor.>"]}),
    # Surveyor waits for as many servers as there are
    "without-mtls": helm.bus(clusterType="csc", cpcIds=["1"], mtls={"enabled": False}) | {"surveyor": {"config": {"expectedServers": 3}}},
}
OPEN = helm.bus(auth={"permissions": {"noauth": {"account": "CSC", "permissions": {"pub": {"allow": ["hall.>"]}, "sub": {"allow": ["hall.>"]}}}}})


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """The Secrets of the sites, as `eventbus secrets manifests` writes them for kubectl."""
    tree = tmp_path_factory.mktemp("site") / "secrets"
    subprocess.run([helm.ROOT / "deploy/scripts/generate-nkeys.sh", "-o", tree, "--extra-account", "LaunchLayer", "1", "2"], check=True,
                   capture_output=True,
                   env={"PATH": f"{EVENTBUS.rsplit('/', 1)[0]}:/usr/bin:/bin"})
    found = {}
    for site in ("csc", "cpc-1"):
        text = subprocess.run([EVENTBUS, "secrets", "manifests", tree, "--site", site, "--namespace", "event-bus"], check=True, capture_output=True,
                              text=True).stdout
        found[site] = [d for d in yaml.safe_load_all(text) if d]
    for path in tree.rglob("seed"):
        secrets.note(path.read_text().strip(), f"the seed {path.parent.name}")
    return found


def kubelet_of(site, values, made, image_root, name):  # noqa: F811
    folder = image_root.path.parent / name
    folder.mkdir()
    hosts = folder / "hosts"
    hosts.write_text(f"127.0.0.1 localhost\n{ADDRESS} event-bus\n")
    own = {"auth-callout": {"serviceConfig": {"host": {"name": ADDRESS}, "observability": {"metrics": {"prometheus": {"name": ADDRESS}}}}}}
    manifests = helm.render(helm.deep(values, own))
    ca = {"auth-callout-mtls-ca": {"ca.crt": certificates.new_ca().pem}}
    return manifests, Kubelet(helm.Manifests([*manifests, *made[site]]), folder, image_root, secrets=ca, extra_mounts={"/etc/hosts": hosts})


@pytest.mark.parametrize("name", SITES)
def test_the_service_takes_the_site(name, made, image_root):  # noqa: F811
    """Configuration, permissions with the public keys of the environment, streams and keys: all that check-config reads."""
    manifests, kubelet = kubelet_of(name if name in made else "csc", SITES[name], made, image_root, f"check-{name}")
    ran = kubelet.container(manifests.get("Deployment", NAME)["spec"]["template"])
    ran.args = ["check-config", *ran.args[1:]]
    done = ran.run()
    assert done.returncode == 0 and "configuration OK" in done.stdout and "error" not in done.stderr, done.stdout + done.stderr
    assert ("AUTH_CALLOUT_MTLS_CA_PATH" in ran.env) == (name != "without-mtls")


def test_it_becomes_ready_beside_a_server(made, image_root):  # noqa: F811
    """NATS clients are let in; the gate of MQTT knows the streams of the chart, and is not open where none of them is there."""
    manifests, kubelet = kubelet_of("csc", helm.deep(SITES["csc"], OPEN), made, image_root, "ready")
    key = {name: kubelet.objects["Secret", name]["pubkey"] for name in ("nats-authx-user", "nats-auth-signing", "nats-xkey")}
    conf = kubelet.folder / "nats.conf"
    conf.write_text(f"""server_name: csc-main
listen: "{ADDRESS}:4222"
system_account: SYS
accounts {{ SYS {{ }}, CSC {{ }}, AUTHX {{ users: [ {{ nkey: {key["nats-authx-user"]} }} ] }} }}
authorization {{
  timeout: 20
  auth_callout {{ account: AUTHX, auth_users: [ {key["nats-authx-user"]} ], issuer: {key["nats-auth-signing"]}, xkey: {key["nats-xkey"]} }}
}}
""")
    with (kubelet.folder / "nats.log").open("wb") as log:
        server = subprocess.Popen([NATS_SERVER, "-c", conf], stdout=log, stderr=log)
    template = manifests.get("Deployment", NAME)["spec"]["template"]
    pod = kubelet.container(template)
    try:
        until(lambda: "Server is ready" in (kubelet.folder / "nats.log").read_text(), lambda: (kubelet.folder / "nats.log").read_text())
        pod.start()
        pod.until(lambda: get(8080, "/readyz", ADDRESS)[0] == 200, "the pod to be ready")
        with NatsClient(f"nats://{ADDRESS}:4222") as client:
            heard = client.subscribe("hall.>")
            client.publish("hall.1", b"on")
            assert heard.receive().data == b"on"
        gate = json.loads(get(8080, "/readyz", ADDRESS)[1])["mqtt"]
        assert gate["gate"] in ("asking", "closed") and set(gate["streams"]) == {"XL_RETAINED", "$MQTT_msgs", "$MQTT_rmsgs", "$MQTT_qos2in"}, gate
        assert get(9090, "/metrics", ADDRESS)[0] == 200
        assert not secrets.found_in(pod.text())
    finally:
        pod.stop()
        server.send_signal(signal.SIGKILL)
        server.wait(10)
