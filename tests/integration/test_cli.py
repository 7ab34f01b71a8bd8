"""auth-callout on the command line: help, generate-config, check-config. (eventbus: test_eventbus_cli.py)"""
import os
import pty
import select
import signal
import subprocess

import pytest
import yaml

from harness.bus import AUTH_CALLOUT, free_address
from harness.program import Configured, run
from harness.wait import until

SECRET_KEYS = ("nats.nkey-seed", "nats.issuer-seed", "nats.xkey-seed", "nats.token")
CONTRACT = ["nats.url", "nats.nkey-seed", "nats.nkey-seed-file", "nats.creds-file", "nats.issuer-seed", "nats.issuer-seed-file", "nats.xkey-seed",
            "nats.xkey-seed-file", "nats.tls.ca", "nats.tls.cert", "nats.tls.key", "jwks.url", "jwks.path", "jwks.allow-http", "jwks.ca",
            "jwks.cache-file", "jwks.issuer", "jwks.audience", "jwks.signing-algorithms", "mtls.ca-path", "mtls.allow-org-identity",
            "noauth.accept-unrecognized", "permissions.file", "mqtt.streams-file", "allowed-accounts", "session.expire-with-credential", "session.max-age",
            "limits.workers", "limits.connections", "limits.queue", "host.name", "host.port", "observability.metrics.prometheus.name",
            "observability.metrics.prometheus.port", "observability.logging.level", "readiness.require"]
DEFAULTS = {"nats.url": "nats://nats:4222", "permissions.file": "/etc/auth-callout/permissions.json", "host.port": 8080,
            "observability.metrics.prometheus.port": 9090, "limits.queue": 8192, "jwks.signing-algorithms": ["RS256"],
            "session.expire-with-credential": True, "observability.logging.level": "info"}


def flat(tree, prefix=""):
    found = {}
    for key, value in tree.items():
        found.update(flat(value, f"{prefix}{key}.") if isinstance(value, dict) else {prefix + key: value})
    return found


def test_help_and_version():
    for args in (("--help",), ("help",), ("run", "--help")):
        done = run(*args)
        assert done.returncode == 0 and "SYNOPSIS" in done.stdout and done.stderr == ""
    done = run("--version")
    assert done.returncode == 0 and done.stdout.startswith("auth-callout ")


def test_help_names_every_option_that_may_be_a_flag():
    text = run("--help").stdout
    for key in CONTRACT:
        assert (f"--{key} " in text) == (key not in SECRET_KEYS), key


@pytest.mark.parametrize("args", [("frobnicate",), ("generate-config", "x"), ("generate-config", "--markdown", "x")])
def test_wrong_usage(args):
    done = run(*args)
    assert done.returncode == 2 and done.stdout == "" and done.stderr.startswith("auth-callout")


def test_generate_config_is_yaml_with_every_option():
    done = run("generate-config")
    assert done.returncode == 0 and done.stderr == ""
    options = flat(yaml.safe_load(done.stdout))
    assert not set(CONTRACT) - set(options)
    for key, value in DEFAULTS.items():
        assert options[key] == value, key
    assert done.stdout.count("#") > len(options)


def test_generated_config_is_accepted(site, tmp_path):
    """What generate-config prints is a configuration; only what has no default is missing."""
    path = tmp_path / "generated.yaml"
    path.write_text(run("generate-config").stdout)
    done = run("check-config", "--config", path)
    assert done.returncode == 1
    wrong = [line for line in done.stderr.splitlines() if "unknown" in line or f"{path}:" in line]
    assert not wrong, wrong
    done = run("check-config", "--config", path, "--permissions.file", site.permissions, "--nats.issuer-seed-file", site.key_file("issuer"),
               "--nats.nkey-seed-file", site.key_file("service"), "--mtls.ca-path", site.certs / "ca.pem")
    assert done.returncode == 0, done.stderr


def test_generated_markdown():
    text = run("generate-config", "--markdown").stdout
    for key in CONTRACT:
        assert f"| `{key}` |" in text, key


def test_check_config_of_a_site(site):
    done = run("check-config", "--config", site.dir / "conf/auth-callout.yaml")
    assert done.returncode == 0 and "OK" in done.stdout and done.stderr == "", done


def test_configuration_by_environment(site):
    done = run("check-config", env={"AUTH_CALLOUT_CONFIG": str(site.dir / "conf/auth-callout.yaml")})
    assert done.returncode == 0, done.stderr
    done = run("check-config", env={"AUTH_CALLOUT_CONFIG": str(site.dir / "conf/auth-callout.yaml"), "LOG_LEVEL": "loud"})
    assert done.returncode == 1 and "LOG_LEVEL" in done.stderr and "error,warn,info,debug" in done.stderr.replace(" ", ""), done.stderr
    # the environment goes over the file, a flag over both
    done = run("check-config", "--observability.logging.level", "debug",
               env={"AUTH_CALLOUT_CONFIG": str(site.dir / "conf/auth-callout.yaml"), "AUTH_CALLOUT_PERMISSIONS_FILE": "/nowhere"})
    assert done.returncode == 1 and "/nowhere" in done.stderr


# (lines appended to the site's configuration, what the finding says besides file:line)
BAD_CONFIG = [
    ("jwkss:\n  url: x\n", "jwks"),
    ("limits:\n  worker: 2\n", "limits.workers"),
    ("permision:\n  file: x\n", "permissions"),
    ("limits:\n  queue: many\n", "limits.queue"),
    ("limits:\n  queue: 0\n", "limits.queue"),
    ("session:\n  max-age: soon\n", "session.max-age"),
    ("noauth:\n  accept-unrecognized: perhaps\n", "true or false"),
    ("limits:\n  workers: [1, 2]\n", "limits.workers"),
    ("allowed-accounts: {a: b}\n", "allowed-accounts"),
]


@pytest.mark.parametrize("lines,says", BAD_CONFIG)
def test_a_finding_has_file_line_and_mend(site, tmp_path, lines, says):
    text = (site.dir / "conf/auth-callout.yaml").read_text()
    path = tmp_path / "config.yaml"
    path.write_text(text.rstrip("\n") + "\n" + lines)
    done = run("check-config", "--config", path)
    first = text.rstrip("\n").count("\n") + 2
    assert done.returncode == 1 and done.stdout == "", done
    findings = [line for line in done.stderr.splitlines() if line.startswith(f"{path}:")]
    assert findings and any(line.startswith((f"{path}:{first}", f"{path}:{first + 1}")) and says in line for line in findings), done.stderr
    assert run("run", "--config", path).returncode == 1


def test_files_that_are_not_there(site, tmp_path):
    base = ["check-config", "--config", site.dir / "conf/auth-callout.yaml"]
    for flag in ("permissions.file", "mtls.ca-path", "nats.issuer-seed-file", "nats.nkey-seed-file", "nats.xkey-seed-file"):
        done = run(*base, f"--{flag}", "/nowhere/at-all")
        assert done.returncode == 1 and "/nowhere/at-all" in done.stderr, (flag, done)
    done = run("check-config", "--config", "/nowhere/at-all.yaml")
    assert done.returncode == 1 and "/nowhere/at-all.yaml" in done.stderr


def test_keys_of_the_wrong_kind(site):
    """A user seed as issuer is refused with the reason; so is every other mix-up; no seed is shown."""
    base = ["check-config", "--config", site.dir / "conf/auth-callout.yaml"]
    for flag, wrong, wants in (("nats.issuer-seed-file", "service", "SA"), ("nats.issuer-seed-file", "xkey", "SA"),
                               ("nats.xkey-seed-file", "issuer", "SX"), ("nats.nkey-seed-file", "issuer", "SU")):
        done = run(*base, f"--{flag}", site.key_file(wrong))
        assert done.returncode == 1 and wants in done.stderr, (flag, wrong, done)
        assert site.key(wrong).seed not in done.stderr


def test_a_damaged_seed_is_not_shown(site, tmp_path):
    seed = site.key("issuer").seed
    damaged = tmp_path / "damaged.nk"
    damaged.write_text(seed[:20] + ("A" if seed[20] != "A" else "B") + seed[21:] + "\n")
    done = run("check-config", "--config", site.dir / "conf/auth-callout.yaml", "--nats.issuer-seed-file", damaged)
    assert done.returncode == 1 and str(damaged) in done.stderr
    assert seed[:20] not in done.stderr and seed[25:] not in done.stderr


@pytest.mark.parametrize("key", SECRET_KEYS)
def test_a_secret_is_never_a_flag(site, key):
    seed = site.key("issuer").seed
    for args in ([f"--{key}={seed}"], [f"--{key}", seed]):
        done = run("check-config", "--config", site.dir / "conf/auth-callout.yaml", *args)
        assert done.returncode == 1 and key in done.stderr and "environment" in done.stderr, done
        assert seed not in done.stderr + done.stdout


# (document, what the finding says)
GOOD = {"oauth2": {"e": {"azp": "x", "account": "CSC", "permissions": {"pub": {"allow": ["a.>"]}}}}}
BAD_DOCUMENTS = {
    "> not last": ({"oauth2": {"e": {"azp": "x", "account": "CSC", "permissions": {"pub": {"allow": ["a.>.b"]}}}}}, "a.>.b"),
    "empty token": ({"oauth2": {"e": {"azp": "x", "account": "CSC", "permissions": {"pub": {"allow": ["a..b"]}}}}}, "a..b"),
    "unknown key": ({"oauth2": {"e": {"azp": "x", "account": "CSC", "permission": {}}}}, "permissions"),
    "unknown section": ({"oauth": {}}, "oauth2"),
    "unknown side": ({"oauth2": {"e": {"azp": "x", "account": "CSC", "permissions": {"publish": {}}}}}, "pub"),
    "no account": ({"oauth2": {"e": {"azp": "x"}}}, "account"),
    "no identity": ({"oauth2": {"e": {"account": "CSC"}}}, "azp"),
    "duplicate azp": ({"oauth2": {"e": {"azp": "x", "account": "CSC"}, "f": {"azp": "x", "account": "CSC"}}}, "`e`"),
    "duplicate identity": ({"mtls": {"e": {"identity": "CN=x", "account": "CSC"}, "f": {"identity": "CN=x", "account": "CSC"}}}, "`e`"),
    "identity without type": ({"mtls": {"e": {"identity": "x", "account": "CSC"}}}, "CN="),
    "organisation": ({"mtls": {"e": {"identity": "O=x", "account": "CSC"}}}, "mtls.allow-org-identity"),
    "bad checksum": ({"nkey": {"e": {"public_key": "UAB2CB576PHBBPQ5ODORRZ2LYCMWPZGWGCN2KDK7DXOIMZASKUY3RLKA", "account": "CSC"}}}, "public_key"),
    "a seed as key": ({"nkey": {"e": {"public_key": "SUAAAAICAMCAKBQHBAEQUCYMBUHA6EARCIJRIFIWC4MBSGQ3DQOR4H776Y", "account": "CSC"}}}, "public_key"),
    "src without mask": ({"oauth2": {"e": {"azp": "x", "account": "CSC", "src": ["10.0.0.1"]}}}, "10.0.0.1/32"),
    "src nonsense": ({"oauth2": {"e": {"azp": "x", "account": "CSC", "src": ["10.0.0.0/33"]}}}, "10.0.0.0/33"),
    "connections": ({"oauth2": {"e": {"azp": "x", "account": "CSC", "connections": ["mqqt"]}}}, "mqtt"),
    "leaf for tokens": ({"oauth2": {"e": {"azp": "x", "account": "CSC", "connections": ["leaf"]}}}, "leaf"),
    "internal for tokens": ({"oauth2": {"e": {"azp": "x", "account": "CSC", "internal": True}}}, "internal"),
    "resp negative": ({"oauth2": {"e": {"azp": "x", "account": "CSC", "permissions": {"resp": {"max": -1, "ttl": "1s"}}}}}, "max"),
    "resp ttl": ({"oauth2": {"e": {"azp": "x", "account": "CSC", "permissions": {"resp": {"max": 1, "ttl": "soon"}}}}}, "ttl"),
    "name with wildcard": ({"oauth2": {"e*": {"azp": "x", "account": "CSC"}}}, "name"),
    "two overlapping ids": ({"oauth2": {"e": {"azp": "x", "account": "CSC", "mqtt_client_id": "a-*"}, "f": {"azp": "y", "account": "CSC", "mqtt_client_id": "a-b*"}}}, "mqtt_client_id"),
    "account not allowed": ({"oauth2": {"e": {"azp": "x", "account": "Another"}}}, "allowed-accounts"),
}


@pytest.mark.parametrize("name", BAD_DOCUMENTS)
def test_findings_of_the_permissions_document(site, tmp_path, name):
    document, says = BAD_DOCUMENTS[name]
    configured = Configured(site, tmp_path)
    assert configured.check(GOOD).returncode == 0
    done = configured.check(document, None, "--allowed-accounts", "CSC,LaunchLayer")
    findings = [line for line in done.stderr.splitlines() if line.startswith(f"{configured.file}:") and says in line]
    assert done.returncode == 1 and findings, done
    assert findings[0].removeprefix(f"{configured.file}:").split(":")[0].isdigit()
    assert "SUAAAAICAMCAKBQHBAEQUCYMBUHA6EARCIJRIFIWC4MBSGQ3DQOR4H776Y" not in done.stderr


def test_every_finding_at_once(site, tmp_path):
    """Not only the first: what is wrong is told in one go."""
    merged = {"oauth2": {f"e{i}": {"azp": f"x{i}", "account": "CSC", "permissions": {"pub": {"allow": [f"a{i}..b"]}}} for i in range(20)}}
    done = Configured(site, tmp_path).check(merged)
    assert len([line for line in done.stderr.splitlines() if "error:" in line]) == 20


@pytest.mark.parametrize("text", ["", "oauth2: [", "\x00", "- a\n- b\n", "oauth2: &a {}\nmtls: *a\n", "a: b: c\n", "{" * 2000], ids=range(7))
def test_texts_that_are_no_document(site, tmp_path, text):
    done = Configured(site, tmp_path).check(text)
    assert done.returncode in (0, 1) and "Sanitizer" not in done.stderr
    if text:
        assert done.returncode == 1 and str(tmp_path) in done.stderr, done


def test_a_yaml_document_is_read_as_well(site, tmp_path):
    done = Configured(site, tmp_path).check(yaml.safe_dump(GOOD))
    assert done.returncode == 0, done.stderr


def test_a_key_with_a_passphrase(site, tmp_path):
    """Refused with what to do. On a terminal the library would ask for the passphrase, and wait."""
    _, cert, key = site.issue_tls("auth-callout")
    locked = tmp_path / "locked.key"
    subprocess.run(["openssl", "pkcs8", "-topk8", "-in", key, "-out", locked, "-passout", "pass:a passphrase"], check=True)
    conf = yaml.safe_load((site.dir / "conf/auth-callout.yaml").read_text())
    address, ports = free_address()
    conf["nats"]["tls"] = {"cert": str(cert), "key": str(locked)}
    conf["host"] = {"name": address, "port": ports["HEALTH"]}
    conf["observability"]["metrics"] = {"prometheus": {"name": address, "port": ports["METRICS"]}}
    path = tmp_path / "locked.yaml"
    path.write_text(yaml.safe_dump(conf))
    pid, terminal = pty.fork()
    if pid == 0:
        os.execvp(AUTH_CALLOUT.split()[0], [*AUTH_CALLOUT.split(), "--config", str(path)])
    said = b""

    def refused():
        nonlocal said
        if select.select([terminal], [], [], 0)[0]:
            said += os.read(terminal, 65536)
        return b"the key without a passphrase" in said
    try:
        until(refused, lambda: f"the reason: {said.decode()}")
        assert b"Enter PEM" not in said and str(locked).encode() in said
    finally:
        os.kill(pid, signal.SIGTERM)
        os.waitpid(pid, 0)
        os.close(terminal)
