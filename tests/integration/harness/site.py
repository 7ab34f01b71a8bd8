"""A private site: the bus in a folder of its own, its clients, and what it logs and counts."""
import contextlib
import json
import os
import re
import urllib.error
import urllib.request
import uuid
from pathlib import Path

import yaml

from . import certificates, metrics, natsio, nkeys, permissions, secrets
from .bus import PROMTOOL, Bus
from .logs import Log
from .mqtt import MqttClient, mosquitto
from .tokens import Provider
from .wait import until
from .wire import Leaf, Wire

OAUTH_USER = "oauthtoken"


class Decision:
    """What the log and the metrics said about one callout; filled when the block of Site.decision ends."""

    line = None
    lines = ()


def died(run_dir):
    """Processes that were started and neither stopped nor started again, but are not there."""
    found = []
    for record in (run_dir / "pids").glob("*"):
        try:
            stat = Path(f"/proc/{record.read_text().split()[0]}/stat").read_text()
        except OSError:
            stat = ") Z"
        if stat.rpartition(")")[2].split()[0] == "Z":
            found.append(record.name)
    return found


def stop_all(bus, sites, check=True):
    """Ends a bus; then no log, and not the last metrics of its sites, may hold a secret that a test used."""
    texts, run_dir = {}, bus.run_dir
    for site in sites:
        with contextlib.suppress(OSError):
            texts[f"{site.name}/metrics"] = site.metrics().text
    gone = died(run_dir)
    bus("down", check=check)
    for path in [*run_dir.glob("*/log/*.log*"), *run_dir.glob("idp/*.log*")]:
        text = path.read_text(errors="replace")
        if path.name.startswith("nats-main"):
            # nats-server's own: it logs the user name of a leaf that it refuses, and a remote with token@ in its URL sends the token as one
            text = re.sub(r'lid:\d+ - authentication error - User "eyJ[^"]*"', "", text)
        if path.name.startswith("nats-"):
            # nats-server's own: it panics where a callout begins while it shuts down (its system account is gone by then)
            text = re.sub(r"panic: runtime error:(?=[^\n]*\n[^\n]*\n\ngoroutine[^\n]*\n[^\n]*\.newRespInbox\()", "panic:", text)
        texts[str(path.relative_to(run_dir))] = text
    leaks = [f"{where}: {what}" for where, text in texts.items() for what in secrets.found_in(text)]
    if check:
        assert not leaks, "secrets in logs:\n" + "\n".join(leaks)
        panics = [w for w, text in texts.items() if "Sanitizer:" in text or "runtime error:" in text]
        ends = "\n".join(site.log.text()[-4000:] for site in sites)
        assert not gone, f"ended by themselves: {gone}\n{ends}"
        assert not panics, "sanitizer reports in " + ", ".join(panics) + "\n" + "\n".join(texts[w][-6000:] for w in panics)


# Where the key pairs of a site are: secrets/SITE/nkeys/SECRET. issuer-2 and the like are beside the seeds of auth-callout, other names are
# keys/NAME.nk in the folder of the site.
SECRETS = {"issuer": "nats-auth-signing", "xkey": "nats-xkey", "service": "nats-authx-user", "auth-watch": "nats-auth-watch",
           "sys-admin": "nats-sys-admin", "mtls-leaf": "nats-mtls-leaf", "mtls-authx-leaf": "nats-mtls-authx-leaf",
           "mtls-sys-leaf": "nats-mtls-sys-leaf", "streams": "nats-streams"}
# The files that auth-callout itself is given.
SERVICE_FILES = {"issuer": "issuer-seed", "xkey": "xkey-seed", "service": "nkey-seed"}


class Site:
    def __init__(self, run_dir, document=permissions.document, name="csc", bus=None, **settings):
        """
        document(demo, account, public_key) makes the permissions document; None keeps the demo's. bus: one that this site shares with
        others (harness/federation.py).
        """
        self.run_dir = Path(run_dir)
        self.bus = bus or Bus(run_dir, sites=(name,), **settings)
        self.name, self.account = name, "CSC" if name == "csc" else "CPC"
        self.nodes, self.ports = self.bus.nodes[name], self.bus.ports
        self.address = self.nodes[0]
        self.dir = self.run_dir / self.name
        self.idp = Provider(f"http://{self.bus.settings['IDP_ADDR']}:{self.ports['IDP']}")
        self.log = Log(self.dir / "log/auth-callout.log")
        self.make_document = document
        self._keys = {}
        self.permissions = self.dir / "conf/permissions.yaml"

    # --- running -------------------------------------------------------------------------------------------------
    def generate(self):
        """Keys, certificates and configuration, with the tests' permissions document; starts nothing."""
        self.bus("generate")
        if self.make_document:
            mine = self.run_dir / "permissions"
            self.write_document(mine)
            self.bus.configure(permissions=mine)
            self.bus("generate")
        self.note_seeds()
        return self

    def write_document(self, folder):
        """Writes the tests' permissions document of this site to folder, for the setting EB_PERMISSIONS."""
        demo = yaml.safe_load(self.permissions.read_text())
        doc = self.make_document(demo, self.account, lambda name: self.key(f"t-{name}").public)
        folder.mkdir(exist_ok=True)
        (folder / f"{self.name}.yaml").write_text(json.dumps(doc, indent=1))

    def note_seeds(self):
        found = [*(self.dir / "keys").glob("*.nk"), *(self.run_dir / "secrets" / self.name / "nkeys").glob("*/*seed"), *(self.run_dir / "secrets" / self.name / "nkeys").glob("*/*.nk")]
        for path in found:
            secrets.note(path.read_text().split()[0], f"the seed {path.relative_to(self.run_dir)}")

    def up(self):
        self.generate()
        try:
            self.bus("up")
        except AssertionError as error:
            log = self.log.text()[-4000:]
            self.stop(check=False)
            raise AssertionError(f"{error}\n{log}") from None
        self.series = set(self.metrics())
        return self

    def stop(self, check=True):
        """Ends everything; then no log, and not the last metrics, may hold a secret that a test used."""
        stop_all(self.bus, [self], check)

    # --- keys and files ------------------------------------------------------------------------------------------
    def key_dir(self, name):
        """The folder of the key pair of SECRETS or with the name of a secret: files seed and pubkey."""
        return self.run_dir / "secrets" / self.name / "nkeys" / SECRETS.get(name, name)

    def key_file(self, name):
        """A file that begins with the seed: of the issuer, the xkey and the service the one that auth-callout reads."""
        if name in SERVICE_FILES or name.startswith(("issuer-", "xkey-")):
            return self.key_dir("auth-callout-keys") / SERVICE_FILES.get(name, f"{name}.nk")
        return self.key_dir(name) / "seed" if name in SECRETS or name.startswith("nats-") else self.dir / f"keys/{name}.nk"

    def key(self, name):
        """
        The key pair of a name in SECRETS, of a secret of the site (`nats-leaf-csc`), of a rotation (`issuer-2`), or keys/NAME.nk; the latter
        is made, as a user key, where there is none.
        """
        if name not in self._keys:
            path = self.key_file(name)
            if path.exists():
                self._keys[name] = nkeys.Key.from_seed(path.read_text().split()[0])
            else:
                assert path.parent.name == "keys", f"{path} is not there"
                key = self._keys[name] = nkeys.Key("U")
                path.parent.mkdir(parents=True, exist_ok=True)
                with open(os.open(path, os.O_CREAT | os.O_WRONLY | os.O_EXCL, 0o600), "w") as f:
                    f.write(f"{key.seed}\n{key.public}\n")
            secrets.note(self._keys[name].seed, f"the seed {name}")
        return self._keys[name]

    @property
    def certs(self):
        return self.dir / "certs"

    def ca(self):
        return certificates.load(self.certs / "ca.pem", self.certs / "ca-key.pem")

    def client_tls(self, name="client"):
        """(ca, cert, key) of certs/NAME.pem."""
        return self.certs / "ca.pem", self.certs / f"{name}.pem", self.certs / f"{name}-key.pem"

    def issue_tls(self, cn=None, **how):
        """(ca, cert, key) of a fresh certificate of the site's CA."""
        name = "it-" + uuid.uuid4().hex[:8]
        cert, key = self.ca().issue(cn, **how).write(self.certs, name)
        return self.certs / "ca.pem", cert, key

    # --- clients -------------------------------------------------------------------------------------------------
    def url(self, port="NATS", node=0):
        return f"nats://{self.nodes[node]}:{self.ports[port]}"

    def mqtt(self, token=None, node=0, **options):
        """An MQTT client of the main server, not yet connected; with a token as a user sends it. node: of a cluster, from 0."""
        if token is not None:
            options = {"user": OAUTH_USER, "password": token, **options}
        return MqttClient(self.nodes[node], self.ports["MQTT"], **options)

    def mqtts(self, tls=None, **options):
        """An MQTT client of the mTLS server; tls: (ca, cert, key), default the demo client's."""
        return MqttClient(self.address, self.ports["MTLS_MQTT"], tls=tls or self.client_tls(), **options)

    def nats(self, token=None, port="NATS", node=0, **options):
        """A NATS client of the main server, not yet connected; with a token as a user sends it."""
        if token is not None:
            options = {"user": OAUTH_USER, "password": token, **options}
        return natsio.NatsClient(self.url(port, node), **options)

    def nkey_client(self, name, **options):
        """A NATS client with the key of permissions.NKEY[name]."""
        return self.nats(seed=self.key(f"t-{name}").seed, **options)

    def wire(self, port="NATS", node=0, **options):
        return Wire(self.nodes[node], self.ports[port], **options)

    def leaf(self, account="", **options):
        return Leaf(self.address, self.ports["LEAF"], account=account, **options)

    def mosquitto(self, program, *args, mtls=False, **options):
        return mosquitto(program, self.address, self.ports["MTLS_MQTT" if mtls else "MQTT"], *args, **options)

    # --- what can be seen ----------------------------------------------------------------------------------------
    def http(self, path, port="HEALTH"):
        """(status, text) of a path of auth-callout."""
        try:
            with urllib.request.urlopen(f"http://{self.address}:{self.ports[port]}{path}", timeout=5) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()

    def metrics(self, port="METRICS"):
        return metrics.Metrics(self.http("/metrics", port)[1])

    def check_metrics(self):
        """Every series that was there at the start is there, no other, and promtool finds nothing."""
        now = self.metrics()
        assert not metrics.missing(now), f"missing: {metrics.missing(now)}"
        assert set(now) == self.series, f"gone or new: {set(now) ^ self.series}"
        assert metrics.promtool(PROMTOOL, now.text) == ""

    def monitor(self, path, port="MONITOR", node=0):
        """JSON of a nats-server's monitoring."""
        with urllib.request.urlopen(f"http://{self.nodes[node]}:{self.ports[port]}{path}", timeout=5) as answer:
            return json.load(answer)

    def connections(self, port="MONITOR"):
        return self.monitor("/connz?auth=1&limit=10000", port)["connections"]

    def _settled(self):
        """The metrics once the log, which is written behind them, tells of as many decisions as they count."""
        with contextlib.suppress(AssertionError):  # not where the log's level leaves decisions out
            until(lambda: self.log.decisions() >= sum((m := self.metrics())[f"auth_{method}_attempts_total"] for method in metrics.METHODS),
                  "the log to be written", timeout=3)
        return self.metrics()

    @contextlib.contextmanager
    def decision(self, method, reason="ok", count=1, **fields):
        """
        The block causes `count` callouts decided by this method with this reason, and no other decision: log and metrics are waited for
        when it ends. fields: what the log lines must say besides. Yields a Decision; its `line` and `lines` are the log's.
        """
        before, offset, found = self._settled(), self.log.size(), Decision()
        yield found

        def decided():
            lines = [line for line in self.log.since(offset) if "method" in line]
            return lines if len(lines) >= count else None

        found.lines = until(decided, lambda: f"{count} decisions in the log: {self.log.since(offset)}")
        found.line = found.lines[0]
        for line in found.lines:
            for name, value in {"method": method, "reason": reason, **fields}.items():
                assert line.get(name) == value, f"{name}: {value!r} expected in {line}"
        attempts, failed = f"auth_{method}_attempts_total", 0 if reason == "ok" else count
        now = until(lambda: (m := self.metrics())[attempts] >= before[attempts] + count and m, f"{attempts} to rise by {count}")
        assert now[attempts] == before[attempts] + count, attempts
        if failed:
            assert now.failures(method, reason) == before.failures(method, reason) + count, f"failures of {method}, {reason}"
        new = sum(now.all_failures().values()) - sum(before.all_failures().values())
        assert new == failed, f"failures besides: {now.all_failures()} after {before.all_failures()}"
        assert now["auth_errors_total"] == before["auth_errors_total"] + failed, "auth_errors_total"

    @contextlib.contextmanager
    def invalid_request(self, reason):
        """The block puts one request that is no request: refused before any method, with this reason in log and metrics."""
        before, offset, found = self._settled(), self.log.size(), Decision()
        yield found
        message = "not a valid auth callout request"
        found.lines = until(lambda: self.log.find(offset, msg=message), lambda: f"a line {message!r}: {self.log.since(offset)}")
        found.line = found.lines[0]
        assert found.line["reason"] == reason, found.line
        now = until(lambda: (m := self.metrics()).invalid(reason) > before.invalid(reason) and m, f"invalid {reason} to rise")
        assert now.invalid(reason) == before.invalid(reason) + 1
        assert now["auth_errors_total"] == before["auth_errors_total"] + 1

    # --- changing what is in force -------------------------------------------------------------------------------
    def read_permissions(self):
        return yaml.safe_load(self.permissions.read_text())

    def write_permissions(self, doc, wait=True):
        """Replaces the document as a whole and waits until it is in force."""
        before = self.metrics()["auth_permissions_reloads_total"]
        text = doc if isinstance(doc, str) else json.dumps(doc, indent=1)
        new = self.permissions.with_suffix(".new")
        new.write_text(text)
        new.rename(self.permissions)
        if wait:
            until(lambda: self.metrics()["auth_permissions_reloads_total"] > before,
                  lambda: "the document to be taken: " + json.dumps(self.log.since()[-3:]))

    @contextlib.contextmanager
    def permissions_changed(self, change):
        """change(document) is in force within the block; afterwards the old document is again."""
        old = self.permissions.read_text()
        doc = self.read_permissions()
        change(doc)
        self.write_permissions(doc)
        try:
            yield
        finally:
            self.write_permissions(old)
