"""
Sites for the tests of the umbrella chart: tests/data/charts/sites.yaml, their keys and certificates as the project's own tools make them, and
what becomes of these as Secrets of a cluster.
"""
import base64
import functools
import os
import subprocess
import sys
from pathlib import Path

import helm
import yaml

sys.path.insert(0, str(helm.ROOT / "tests/integration"))

from harness import certificates  # noqa: E402

PROGRAM = Path(os.environ.get("EB_BUILD", helm.ROOT / "build")).resolve() / "eventbus/eventbus"
SITES = yaml.safe_load((helm.ROOT / "tests/data/charts/sites.yaml").read_text())
# What else the chart wants: where tokens' keys are, and a number that it compares with the servers.
AROUND = {"auth-callout": {"serviceConfig": {"jwks": {"url": "https://idp.example/keys"}}}, "surveyor": {"config": {"expectedServers": -1}}}


def run(*arguments):
    done = subprocess.run([PROGRAM, *map(str, arguments)], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout


def name_of(bus):
    return "csc" if bus["clusterType"] == "csc" else f"cpc-{bus['clusterId']}"


def values_of(bus, *more):
    """For helm.render. A service that has no key to seal with is told so."""
    unsealed = {"auth-callout": {"keys": {"xkeySeeds": []}}} if bus.get("servers", {}).get("xkey") is False else {}
    return [AROUND, unsealed, {"global": {"eventBus": bus}}, *more]


class Tree:
    """The folder of `eventbus secrets generate` for these sites, certificates of one CA in it."""

    def __init__(self, root, sites=None):
        self.root = root
        buses = (sites or SITES).values()
        ids = {str(i) for bus in buses for i in [*bus.get("cpcIds", []), *([bus["clusterId"]] if "clusterId" in bus else [])]}
        extras = {name for bus in buses for name in bus.get("extraAccounts", {})}
        run("secrets", "generate", root, *[o for i in sorted(ids) for o in ("--cpc", i)],
            *[o for name in sorted(extras) for o in ("--extra-account", name)])
        self.ca = certificates.new_ca("devices")
        server = self.ca.issue("event-bus", names=[certificates.dns("event-bus"), certificates.ip("127.0.0.1")],
                               usage=(certificates.SERVER, certificates.CLIENT))
        self.files = {"ca.crt": self.ca.pem, "tls.crt": server.pem, "tls.key": server.key_pem}
        for folder in sorted(root.glob("*/nkeys")):
            to = folder / "nats-mtls-server-tls"
            to.mkdir(mode=0o700)
            for name, text in self.files.items():
                (to / name).write_text(text)
                (to / name).chmod(0o600)

    @functools.cache
    def secrets(self, site):
        """{name: {key: value}} as `eventbus secrets manifests` has them, and the certificate of the leaf listener, which an operator brings."""
        found = yaml.safe_load_all(run("secrets", "manifests", self.root, "--site", site, "--namespace", "event-bus"))
        made = {d["metadata"]["name"]: {key: base64.b64decode(v).decode() for key, v in d["data"].items()} for d in found}
        return {**made, "nats-leaf-tls": self.files}

    @functools.cache
    def names(self, site):
        """{public key or seed: "secret/key"}"""
        return {path.read_text().strip(): f"{path.parent.name}/{path.name}"
                for path in sorted((self.root / site / "nkeys").glob("*/*")) if path.name in ("seed", "pubkey", "pubkey-old")}

    def seed_file(self, site, secret):
        return self.root / site / "nkeys" / secret / "seed"
