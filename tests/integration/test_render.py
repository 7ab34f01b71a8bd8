"""`eventbus render`: what it writes is taken by nats-server, is the same every time, and --diff shows what changes."""
import itertools
import json
import os
import stat
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PROGRAM = Path(os.environ.get("EB_BUILD", ROOT / "build")).resolve() / "eventbus/eventbus"
SERVER = ROOT / ".deps/bin/nats-server"
LISTS = 'crossLayer: {cscExports: [broadcast.>, "a.*.b.>"], cscPrefixedExports: [command.>], cpcExports: [sensor.>, "m.*.x.*"]}'


def run(*args, status=0):
    done = subprocess.run([PROGRAM, *map(str, args)], capture_output=True, text=True, timeout=60)
    assert done.returncode == status, done
    return done


@pytest.fixture(scope="module")
def secrets(tmp_path_factory):
    root = tmp_path_factory.mktemp("render")
    run("secrets", "generate", root / "secrets", "--cpc", "1", "--cpc", "2", "--extra-account", "LaunchLayer",
        "--extra-account", "Plain")
    return root / "secrets"


@pytest.fixture(scope="module")
def certs(tmp_path_factory):
    root = tmp_path_factory.mktemp("render-certs")
    subprocess.run(["openssl", "req", "-x509", "-days", "2", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                    "-subj", "/CN=x", "-keyout", root / "key.pem", "-out", root / "cert.pem"], check=True, capture_output=True)
    return root


class Site:
    """The documents of a site in a folder of its own."""

    def __init__(self, root, secrets, certs, name="csc", mtls=True, extras=True, servers=1, xkey=True, tls=False, lists=LISTS, ids='"1", "2"'):
        self.root, self.secrets, self.out = root, secrets, root / "out"
        root.mkdir(exist_ok=True)
        bus = [f"clusterType: {name[:3]}", lists, f"mtls: {{enabled: {str(mtls).lower()}}}",
               f"mqttStreams: {{maxBytes: 67108864, maxAge: 3h, storage: file, replicas: {1 if servers == 1 else 3}}}"]
        files = f"{{ca: {certs}/cert.pem, cert: {certs}/cert.pem, key: {certs}/key.pem}}"
        if extras:
            bus.append("extraAccounts: {LaunchLayer: {enabled: true, jetstream: true}, Plain: {enabled: true}}")
        if name == "csc":
            bus.append(f"cpcIds: [{ids}]")
            bus.append(f"cscLeafServerTLS: {files if tls else '{}'}")
        else:
            bus.append(f'clusterId: "{name[4:]}"')
            bus.append("cscEndpoint: nats://127.41.9.1:7422,nats://127.41.9.2:7422")
            bus.append(f"cpcLeafClientTLS: {files if tls else '{}'}")
        account = name[:3].upper()
        bus.append(f"auth: {{permissions: {{noauth: {{account: {account}}}, oauth2: {{a: {{azp: a, account: {account}}}}}}}}}")
        (root / "site.yaml").write_text("global:\n  eventBus:\n" + "".join(f"    {line}\n" for line in bus))
        nodes = ", ".join(f"{{address: 127.41.9.{i + 1}, dataDir: {root}/js{i}}}" for i in range(servers))
        (root / "placement.yaml").write_text(
            f"servers: [{nodes}]\nxkey: {str(xkey).lower()}\n"
            f"mtls: {{address: 127.41.9.1, tls: {{ca: {certs}/cert.pem, cert: {certs}/cert.pem, key: {certs}/key.pem}}}}\n")

    def render(self, *more, status=0):
        return run("render", "--site", self.root / "site.yaml", "--placement", self.root / "placement.yaml",
                   "--secrets", self.secrets, "--out", self.out, *more, status=status)

    def edit(self, was, now):
        text = (self.root / "site.yaml").read_text()
        assert was in text
        (self.root / "site.yaml").write_text(text.replace(was, now))

    def files(self):
        return {path.name: path.read_bytes() for path in self.out.iterdir()}


COMBINATIONS = [dict(name=name, mtls=mtls, extras=extras, servers=servers, xkey=xkey, tls=tls)
                for name, mtls, extras, servers, xkey, tls in itertools.product(
                    ("csc", "cpc-1"), (True, False), (True, False), (1, 3), (True, False), (True, False))
                # each against the usual one, and each pair of them once
                if (not mtls) + (not extras) + (servers == 3) + (not xkey) + tls <= 2]


@pytest.mark.parametrize("options", COMBINATIONS, ids=lambda o: "-".join(f"{v}" for v in o.values()))
def test_nats_server_takes_it(tmp_path, secrets, certs, options):
    site = Site(tmp_path / "s", secrets, certs, **options)
    site.render()
    found = sorted(site.files())
    wanted = ["main.conf"] if options["servers"] == 1 else ["main-1.conf", "main-2.conf", "main-3.conf"]
    wanted += ["permissions.yaml", "streams.json"] + (["main-seeds.conf"] if options["name"] != "csc" else [])
    wanted += ["mtls.conf", "mtls-seeds.conf"] if options["mtls"] else []
    assert found == sorted(wanted)
    for name in found:
        if name.endswith(".conf") and "seeds" not in name:
            done = subprocess.run([SERVER, "-t", "-c", site.out / name], capture_output=True, text=True, timeout=30)
            assert done.returncode == 0 and "is valid" in done.stderr + done.stdout, done
            assert ("xkey" in (site.out / name).read_text()) == options["xkey"]
    assert [stream["name"] for stream in json.loads((site.out / "streams.json").read_text())] == \
        ["XL_RETAINED", "$MQTT_msgs", "$MQTT_rmsgs", "$MQTT_qos2in"]


def test_files_and_their_modes(tmp_path, secrets, certs):
    site = Site(tmp_path / "s", secrets, certs, name="cpc-1")
    before = os.umask(0o077)
    try:
        site.render()
    finally:
        os.umask(before)
    for path in site.out.iterdir():
        assert stat.S_IMODE(path.stat().st_mode) == (0o600 if "seeds" in path.name else 0o644), path
    seeds = {path.read_text().strip() for path in secrets.glob("*/nkeys/*/seed")}
    for name, content in site.files().items():
        assert any(seed in content.decode() for seed in seeds) == ("seeds" in name), name
    lines = dict(line.split(": ") for line in (site.out / "main-seeds.conf").read_text().splitlines())
    assert lines["LEAF_CSC"] == (secrets / "cpc-1/nkeys/nats-leaf-csc/seed").read_text().strip()
    assert sorted(lines) == ["LEAF_CSC", "LEAF_LAUNCHLAYER_CSC", "LEAF_PLAIN_CSC"]


def test_the_same_every_time(tmp_path, secrets, certs):
    site = Site(tmp_path / "s", secrets, certs)
    assert all(line.endswith(" written") for line in site.render().stdout.splitlines())
    first, times = site.files(), {path: path.stat().st_mtime_ns for path in site.out.iterdir()}
    assert all(line.endswith(" unchanged") for line in site.render().stdout.splitlines())
    assert {path: path.stat().st_mtime_ns for path in site.out.iterdir()} == times
    other = Site(tmp_path / "s2", secrets, certs)
    (other.root / "placement.yaml").write_text((site.root / "placement.yaml").read_text())
    other.render()
    assert other.files() == first
    (site.out / "mtls-seeds.conf").chmod(0o644) # is made private again
    assert "mtls-seeds.conf changed" in site.render().stdout
    assert stat.S_IMODE((site.out / "mtls-seeds.conf").stat().st_mode) == 0o600


def test_diff_shows_and_writes_nothing(tmp_path, secrets, certs):
    site = Site(tmp_path / "s", secrets, certs, name="cpc-1")
    done = site.render("--diff", status=3)
    assert not site.out.exists() and "main-seeds.conf is new" in done.stdout
    site.render()
    assert site.render("--diff").stdout == ""
    before = site.files()
    site.edit("command.>", "order.>")
    done = site.render("--diff", status=3)
    assert site.files() == before
    assert "-      { stream: { account: CSC, subject: \"cpc.1.command.>\" }, to: \"command.>\" }" in done.stdout
    assert "+      { stream: { account: CSC, subject: \"cpc.1.order.>\" }, to: \"order.>\" }" in done.stdout
    patched = tmp_path / "patched"
    patched.mkdir()
    for name, content in before.items():
        (patched / name).write_bytes(content)
    subprocess.run(["patch", "-s", "-d", patched, "-p", str(len(site.out.parts))], input=done.stdout, text=True, check=True)
    site.render()
    assert {path.name: path.read_bytes() for path in patched.iterdir()} == site.files()


def test_diff_tells_no_seed(tmp_path, secrets, certs):
    site = Site(tmp_path / "s", secrets, certs, name="cpc-1")
    site.render()
    new = subprocess.run([PROGRAM, "key", "generate", "--user"], capture_output=True, text=True, check=True).stdout.split()[0]
    path = site.out / "main-seeds.conf"
    path.write_text(path.read_text().replace(path.read_text().split()[1], new))
    done = site.render("--diff", status=3)
    assert "main-seeds.conf changes" in done.stdout
    assert new not in done.stdout and not any(word.startswith("SU") for word in done.stdout.split())


@pytest.mark.parametrize("name, kind", [("main.conf", "link"), ("main-seeds.conf", "link"), ("main-seeds.conf", "pipe"), ("streams.json", "dangling"),
                                        ("streams.json", "folder")])
def test_what_render_did_not_write_is_neither_shown_nor_replaced(tmp_path, secrets, certs, name, kind):
    """A pipe would hold it for ever, a link shows what it leads to."""
    site = Site(tmp_path / "s", secrets, certs, name="cpc-1")
    site.render()
    seed = secrets / "cpc-1/nkeys/nats-auth-signing/seed"
    path = site.out / name
    path.unlink()
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "folder":
        path.mkdir()
    else:
        path.symlink_to(seed if kind == "link" else tmp_path / "nowhere")
    (site.out / "permissions.yaml").write_text("older\n")
    for options in (["--diff"], []):
        done = site.render(*options, status=1)
        says = {"link": "a symbolic link, not a file", "dangling": "a symbolic link, not a file", "pipe": "no regular file", "folder": "a folder, not a file"}
        assert done.stdout == "" and f"{path}: {says[kind]}" in done.stderr and "nothing was written" in done.stderr
        assert seed.read_text() not in done.stdout + done.stderr
    assert not path.is_file() or path.is_symlink()
    assert (site.out / "permissions.yaml").read_text() == "older\n"


def test_what_a_killed_run_left_is_told(tmp_path, secrets, certs):
    site = Site(tmp_path / "s", secrets, certs, name="cpc-1")
    site.render()
    left = site.out / "main-seeds.conf.new-77"
    left.write_text("LEAF_CSC: S\n")
    (site.out / "other.new-77").write_text("")
    assert site.render().stderr == f"eventbus render: {left} is of a run that did not end: remove it if none is at work\n"


def test_streams_that_find_no_room_are_refused(tmp_path, secrets, certs):
    """By the rule of the server, which `streams apply` asks for it: test_streams.py."""
    site = Site(tmp_path / "s", secrets, certs)
    site.edit("maxBytes: 67108864", "maxBytes: 536870912")
    done = site.render(status=1)
    assert "error: jetstream.maxFile: the four streams need 2147483648 bytes" in done.stderr and not site.out.exists()
    done = run("check", "--site", site.root / "site.yaml", "--placement", site.root / "placement.yaml", status=1)
    assert "write at least 2863311532" in done.stderr
    done = run("render", "--site", site.root / "site.yaml", "--secrets", secrets, "--out", site.out, status=1)  # all defaults
    assert "error: jetstream.maxFile: the four streams" in done.stderr and not site.out.exists()
    (site.root / "placement.yaml").write_text("jetstream: {maxFile: 2863311532}\n")
    run("check", "--site", site.root / "site.yaml", "--placement", site.root / "placement.yaml")


def test_nothing_is_written_where_something_is_wrong(tmp_path, secrets, certs):
    site = Site(tmp_path / "s", secrets, certs)
    site.edit("azp: a,", "azp: a, permissions: {pub: {allow: [a..b]}},")
    done = site.render(status=1)
    assert "site.yaml:" in done.stderr and "permissions.oauth2.a.permissions.pub.allow[0]" in done.stderr
    assert not site.out.exists()
    site = Site(tmp_path / "s3", tmp_path / "none", certs)
    done = site.render(status=1)
    assert "nats-auth-signing" in done.stderr and not site.out.exists()
    run("render", "--site", site.root / "site.yaml", status=2)


def test_a_missing_link_key_is_told(tmp_path, secrets, certs):
    site = Site(tmp_path / "s", secrets, certs, ids='"1", "9"')
    done = site.render(status=1)
    assert "nats-leaf-cpc-9" in done.stderr and not site.out.exists()


def test_leftovers_are_told(tmp_path, secrets, certs):
    site = Site(tmp_path / "s", secrets, certs, servers=3)
    site.render()
    Site(tmp_path / "s", secrets, certs, servers=1, mtls=False)
    done = site.render()
    for name in ("main-1.conf", "main-2.conf", "main-3.conf", "mtls.conf", "mtls-seeds.conf"):
        assert f"{name} is not part of this site any more" in done.stderr
