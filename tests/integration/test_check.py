"""eventbus check: documents of sites, alone and with each other, as an operator runs it."""
import os
import subprocess
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
PROGRAM = Path(os.environ.get("EB_BUILD", ROOT / "build")).resolve() / "eventbus/eventbus"
LISTS = {"cscExports": ["broadcast.>"], "cscPrefixedExports": ["command.>"], "cpcExports": ["sensor.>"]}
UNSET = "EB_TEST_NOT_SET"


def run(*args, env=None):
    done = subprocess.run([PROGRAM, *map(str, args)], capture_output=True, text=True, timeout=60, stdin=subprocess.DEVNULL,
                          env={**{k: v for k, v in os.environ.items() if k != UNSET}, **(env or {})})
    assert "\x1b" not in done.stdout + done.stderr
    return done


def check(*sites, env=None, **options):
    return run("check", *(word for site in sites for word in ("--site", site)),
               *(word for name, value in options.items() for word in (f"--{name}", value)), env=env)


def document(path, kind="csc", **keys):
    """A site document of that kind in a chart's values; keys are put into global.eventBus, None takes one out."""
    bus = {"clusterType": kind, "crossLayer": LISTS, "extraAccounts": {"LaunchLayer": {"enabled": True, "jetstream": True}}}
    bus |= {"cpcIds": ["1", "2"]} if kind == "csc" else {"clusterId": "1", "cscEndpoint": "nats://127.0.0.1:7422"}
    bus |= {key: value for key, value in keys.items()}
    path.write_text(yaml.safe_dump({"nats": {"chart": "values"}, "global": {"eventBus": {k: v for k, v in bus.items() if v is not None}}}))
    return path


@pytest.fixture
def sites(tmp_path):
    return [document(tmp_path / "csc.yaml"), document(tmp_path / "cpc-1.yaml", "cpc"),
            document(tmp_path / "cpc-2.yaml", "cpc", clusterId="2")]


def test_documents_that_agree(sites):
    done = check(*sites)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines() == [
        f"{sites[0]}: site csc, 2 CPCs, 3 patterns, 1 extra account, 0 entries",
        f"{sites[1]}: site cpc-1, 3 patterns, 1 extra account, 0 entries",
        f"{sites[2]}: site cpc-2, 3 patterns, 1 extra account, 0 entries", "0 errors, 0 warnings"]


def test_documents_that_do_not_agree(sites, tmp_path):
    document(sites[2], "cpc", clusterId="3", crossLayer={**LISTS, "cscExports": []}, extraAccounts={})
    done = check(*sites)
    assert done.returncode == 1 and done.stdout.endswith("3 errors, 0 warnings\n"), done
    assert f"`3` is not in cpcIds of {sites[0]}" in done.stderr
    assert f"`broadcast.>` is not in cscExports of {sites[2]}" in done.stderr
    assert f"the extra account is not enabled in {sites[2]}" in done.stderr


def test_every_fault_is_told_at_once_by_line(tmp_path):
    path = tmp_path / "site.yaml"
    path.write_text("""\
global:
  eventBus:
    clusterType: csc
    cpcIds: ["1", "1"]
    crossLayer: {cscExports: ["a.>"], cpcExports: ["a.b"]}
    mqttStreams: {maxAge: 3}
    auth:
      permissions:
        oauth2:
          client:
            azp: client
            account: CSCC
            permissions:
              pub:
                allow:
                  - good.>
                  - bad.>.subject
          second: {azp: "${EB_TEST_NOT_SET}", account: CSC, issuer: corp}
          second: {azp: y, account: CSC}
        nkey:
          user: {public_key: UABC, account: CSC}
""")
    done = check(path)
    assert done.returncode == 1 and done.stdout == "7 errors, 1 warning\n", done
    assert [line.split(": ")[0:3] for line in done.stderr.splitlines()] == [[f"{path}:{line}", severity, "global.eventBus." + where]
        for line, severity, where in [
            (4, "error", "cpcIds[1]"), (5, "error", "crossLayer.cpcExports[0]"), (6, "error", "mqttStreams.maxAge"),
            (12, "error", "auth.permissions.oauth2.client.account"),
            (17, "error", "auth.permissions.oauth2.client.permissions.pub.allow[1]"),
            (18, "warning", "auth.permissions.oauth2.second.azp"), (19, "error", "auth.permissions.oauth2.second"),
            (21, "error", "auth.permissions.nkey.user.public_key")]]
    assert "`a.b` and `a.>` (crossLayer.cscExports[0], line 5)" in done.stderr
    assert check(path, env={UNSET: "x"}).stdout == "7 errors, 0 warnings\n"


def test_one_bad_document_keeps_no_other_from_being_judged(sites, tmp_path):
    document(sites[1], "cpc", clusterId="X")
    document(sites[2], "cpc", clusterId="2", crossLayer={})
    done = check(*sites)
    assert done.returncode == 1 and "`X` is no cluster id" in done.stderr
    assert "`broadcast.>` is not in cscExports" in done.stderr and "were not compared" in done.stderr


def test_placements_belong_to_the_sites_in_their_order(sites, tmp_path):
    document(sites[0], mqttStreams={"replicas": 3})
    one, three = tmp_path / "one.yaml", tmp_path / "three.yaml"
    one.write_text("ports: {nats: 4222}\n")
    three.write_text("servers: [{address: 127.0.0.1}, {address: 127.0.0.2}, {address: 127.0.0.3}]\n")
    good = run("check", "--site", sites[0], "--site", sites[1], "--placement", three, "--placement", one)
    assert good.returncode == 0, good
    bad = run("check", "--site", sites[0], f"--placement={one}")
    assert bad.returncode == 1 and "the streams have 3 replicas" in bad.stderr
    more = run("check", "--site", sites[0], "--placement", one, "--placement", one)
    assert (more.returncode, more.stdout) == (2, "") and "more --placement than --site" in more.stderr


def test_secrets_of_each_site(sites, tmp_path):
    assert run("secrets", "generate", tmp_path / "s", "--cpc", "1", "--cpc", "2", "--extra-account", "LaunchLayer").returncode == 0
    good = check(*sites, secrets=tmp_path / "s")
    assert (good.returncode, good.stderr) == (0, ""), good
    (tmp_path / "s/csc/nkeys/nats-leaf-cpc-2/pubkey").unlink()
    bad = check(*sites, secrets=tmp_path / "s")
    assert bad.returncode == 1 and "nats-leaf-cpc-2" in bad.stderr, bad


def test_files_that_cannot_be_read(tmp_path):
    gone = check(tmp_path / "gone.yaml")
    assert gone.returncode == 1 and "gone.yaml" in gone.stderr and "No such file" in gone.stderr
    (tmp_path / "b.yaml").write_bytes(b"global: {eventBus: {clusterType: \x1b[31m\n")
    broken = check(tmp_path / "b.yaml")
    assert broken.returncode == 1 and "b.yaml" in broken.stderr
    assert check().returncode == 2
