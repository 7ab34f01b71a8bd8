"""The service in the root of its image: read-only, as a user that is not root, with a real nats-server and a real client."""
import json
import os
import re
import subprocess
import urllib.request
from pathlib import Path

import pytest
import yaml

from harness import nkeys, secrets
from harness.bus import NATS_SERVER
from harness.natsio import Refused
from harness.rootfs import EVENTBUS, UID, Container, give
from harness.wait import until
from stack import ADDRESS, BUNDLE, DNS_NAME, NATS_NAME, free_port

LIBRARY = re.compile(r"/([^/ ]+\.so[^/ ]*)$")


def test_a_client_gets_in_by_a_token(bus):
    """nats-server was found by a name of /etc/hosts, the keys by https with the bundle of the image, at localhost."""
    with bus.client(bus.by_hosts.token("gateway")) as client:
        heard = client.subscribe("hall.>")
        client.publish("hall.1", b"21.5")
        assert heard.receive().data == b"21.5"
    assert bus.by_hosts.asked
    until(lambda: bus.log.find(method="oauth2", reason="ok", entry="gateway"), lambda: bus.callout.text()[-2000:])


def test_a_stranger_does_not(bus):
    with pytest.raises(Refused):
        bus.client(bus.by_hosts.token("stranger")).connect()


def test_names_are_resolved_by_dns(bus):
    if bus.by_dns is None:
        pytest.skip("a DNS server on port 53 wants root")
    with bus.client(bus.by_dns.token("gateway")):
        pass
    assert bus.by_dns.asked and (DNS_NAME, 1) in bus.names.asked
    assert not [name for name, _kind in bus.names.asked if name == "localhost" or name.endswith(".svc")], "what /etc/hosts has was asked of DNS"


def test_the_certificate_of_the_provider_is_verified(root, bus):
    """With the image's own bundle the CA of the tests is nobody: so it was the bundle that let it pass."""
    bundle = Path(f"{root.path}{BUNDLE}").read_text()
    assert bundle.count("BEGIN CERTIFICATE") > 100
    mounts = {inside: outside for inside, (_how, outside) in bus.callout.mounts.items() if inside != BUNDLE}
    other = Container(root, bus.folder, [*bus.callout.args, "--host.port", "0", "--observability.metrics.prometheus.port", "0"],
                      mounts=mounts, name="without-bundle").start()
    try:
        other.until(lambda: "certificate" in other.text(), "a complaint about the certificate", timeout=20)
        assert "localhost" in other.text()
    finally:
        other.stop()


def test_it_runs_as_nobody_who_matters_with_its_sandbox(bus):
    status = dict(line.split(":\t", 1) for line in Path(f"/proc/{bus.callout.pid()}/status").read_text().splitlines() if ":\t" in line)
    assert os.geteuid() != 0 or status["Uid"].split()[0] == str(UID)
    assert int(status["CapEff"], 16) == 0 and status["NoNewPrivs"] == "1" and status["Seccomp"] == "2", status
    (line,) = [x for x in bus.log.since() if x["msg"].startswith("sandbox applied")]
    assert line["msg"] == "sandbox applied" and line["seccomp"] == "on" and line["landlock"].startswith("files"), line


def test_the_root_is_read_only(bus):
    mounts = Path(f"/proc/{bus.callout.pid()}/mountinfo").read_text().splitlines()
    how = {fields[4]: fields[5].split(",") for fields in map(str.split, mounts)}
    assert "ro" in how["/"], how["/"]
    writable = {path for path, options in how.items() if "rw" in options and not path.startswith(("/dev", "/proc"))}
    assert not writable, writable


def test_eventbus_is_there(root, folder):
    done = Container(root, folder, ["--version"], program=EVENTBUS, name="version").run()
    assert done.returncode == 0 and done.stdout.startswith("eventbus "), done.stderr
    seed = Container(root, folder, ["key", "generate", "--user"], program=EVENTBUS, name="key").run()
    assert seed.returncode == 0 and seed.stdout.startswith("SU"), seed.stderr


# --- nothing is missing ------------------------------------------------------------------------------------------------------
def mapped(pid):
    """Names of the libraries that a process has loaded, the packages' versions in them left out."""
    found = set()
    for line in Path(f"/proc/{pid}/maps").read_text().splitlines():
        match = LIBRARY.search(line)
        if match:
            found.add(re.sub(r"\.so.*", "", match[1]))
    return found


def another(bus, name, **env):
    """The service in the tree once more, on ports of its own: its container, and the URL of its health."""
    health, metrics = free_port(ADDRESS), free_port(ADDRESS)
    mounts = {inside: outside for inside, (_how, outside) in bus.callout.mounts.items()}
    args = [*bus.callout.args, "--host.port", health, "--observability.metrics.prometheus.port", metrics]
    return Container(bus.root, bus.folder, args, env=env, mounts=mounts, name=name).start(), f"http://{ADDRESS}:{health}/readyz"


def decides(bus, log, url):
    """One of the instances is ready, and has let a client in: they share the work, so clients come until it was asked."""
    def ready():
        try:
            with urllib.request.urlopen(url, timeout=5) as answer:
                return answer.status == 200
        except OSError:
            return False

    def asked():
        with bus.client(bus.by_hosts.token("gateway")):
            pass
        return '"method":"oauth2"' in log()
    until(ready, lambda: f"to be ready: {log()[-3000:]}", timeout=30)
    until(asked, lambda: f"a decision: {log()[-3000:]}", timeout=30)


def test_it_loads_what_it_loads_outside(bus, build):
    """The same service outside of the tree, having done the same: what it loaded there, by dlopen too, it loaded inside."""
    config = yaml.safe_load((bus.folder / "config/auth-callout.yaml").read_text().replace("/etc/auth-callout-keys", f"{bus.folder}/keys")
                            .replace("/etc/auth-callout/", f"{bus.folder}/config/").replace(NATS_NAME, ADDRESS))
    config["jwks"]["ca"] = str(bus.folder / "bundle.crt")
    config["issuers"] = [issuer | {"url": f"{bus.by_hosts.url}/jwks.json", "ca": str(bus.folder / "bundle.crt")} for issuer in config["issuers"]]
    config["host"]["port"], config["observability"]["metrics"]["prometheus"]["port"] = free_port(ADDRESS), free_port(ADDRESS)
    outside, log = bus.folder / "outside.yaml", bus.folder / "outside.log"
    outside.write_text(yaml.safe_dump(config))
    with log.open("wb") as out:
        process = subprocess.Popen([build / "auth-callout/auth-callout", "run", "--config", outside], stdout=out, stderr=out, env={})
    inner, url = another(bus, "inside")
    try:
        decides(bus, inner.text, url)
        decides(bus, log.read_text, f"http://{ADDRESS}:{config['host']['port']}/readyz")
        there, here = mapped(process.pid), mapped(inner.pid())
        assert len(here) > 20 and there == here, (there ^ here)
    finally:
        process.terminate()
        process.wait(15)
        inner.stop()


def test_every_library_that_is_asked_for_is_found(bus):
    """The loader tells of each library that it looks for, whoever asks for it, from the start over a client's login to the end."""
    other, url = another(bus, "ld-debug", LD_DEBUG="files,libs")
    try:
        decides(bus, other.text, url)
    finally:
        assert other.stop() == 0
    text = other.text()
    asked = set(re.findall(r"find library=(\S+)", text))
    opened = {Path(path).name for path in re.findall(r"calling init: (\S+)", text)}
    assert len(asked) > 20 and asked <= opened, asked - opened


def test_the_thread_library_is_there(root, bus):
    """A thread that is cancelled, or ends by pthread_exit, makes the C library open libgcc_s; it ends the process where there is none."""
    program = bus.folder / "exits"
    source = "#include <pthread.h>\nstatic void *f(void *p) { pthread_exit(p); }\n" \
             "int main(void) { pthread_t t; return pthread_create(&t, 0, f, 0) || pthread_join(t, 0); }\n"
    subprocess.run(["gcc", "-x", "c", "-", "-o", program], input=source, text=True, check=True)
    program.chmod(0o755)
    done = Container(root, bus.folder, [], program="/exits", mounts={"/exits": program}, name="exits").run()
    assert done.returncode == 0, done.stderr
    without = root.copy(bus.folder / "without-libgcc")
    next(without.path.rglob("libgcc_s.so.1")).unlink()
    assert Container(without, bus.folder, [], program="/exits", mounts={"/exits": program}, name="exits-not").run().returncode != 0


SITE = {"global": {"eventBus": {"clusterType": "csc", "cpcIds": ["1"], "mtls": {"enabled": False},
                                "crossLayer": {"cscExports": ["broadcast.>"], "cpcExports": ["sensor.>"]},
                                "mqttStreams": {"maxBytes": 1048576, "maxAge": "1h", "storage": "file", "replicas": 1}}}}


def test_eventbus_makes_the_streams(root, folder):
    """What the charts run of it in the same image: by an nkey from a Secret, with the site document from a ConfigMap."""
    here = folder / "streams"
    here.mkdir()
    key, port = nkeys.Key("U"), free_port(ADDRESS)
    (here / "site.yaml").write_text(json.dumps(SITE))
    (here / "seed").write_text(secrets.note(key.seed, "the seed of the streams"))
    give(here / "seed")
    (here / "nats.conf").write_text(f'server_name: csc-main\nlisten: "{ADDRESS}:{port}"\njetstream {{ store_dir: "{here}/js", domain: CSC }}\n'
                                    f"accounts {{ CSC {{ jetstream: enabled, users: [ {{ nkey: {key.public} }} ] }} }}\n")
    with (here / "nats.log").open("wb") as log:
        server = subprocess.Popen([NATS_SERVER, "-c", here / "nats.conf"], stdout=log, stderr=log)
    try:
        until(lambda: "Server is ready" in (here / "nats.log").read_text(), "nats-server to be ready")
        args = ["--site", "/etc/site/site.yaml", "--server", f"nats://{ADDRESS}:{port}", "--seed-file", "/etc/key/seed"]
        mounts = {"/etc/site/site.yaml": here / "site.yaml", "/etc/key/seed": here / "seed"}
        done = Container(root, here, ["streams", "apply", *args], program=EVENTBUS, mounts=mounts, name="apply").run()
        assert done.returncode == 0 and done.stdout.count("created") == 4 and key.seed not in done.stdout + done.stderr, done.stdout + done.stderr
        again = Container(root, here, ["streams", "apply", *args], program=EVENTBUS, mounts=mounts, name="again").run()
        assert again.returncode == 0 and "created" not in again.stdout, again.stdout + again.stderr
    finally:
        server.kill()
        server.wait(10)
