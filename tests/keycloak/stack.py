"""One nats-server and one auth-callout, whose tokens come from a Keycloak."""
import contextlib
import json
import os
import signal
import subprocess
import threading
import time
import urllib.request
from pathlib import Path

import yaml

from harness import nkeys, secrets
from harness.bus import AUTH_CALLOUT, NATS_SERVER
from harness.logs import Log
from harness.metrics import Metrics
from harness.mqtt import MqttClient
from harness.natsio import NatsClient
from harness.natsio import Refused as NatsRefused
from harness.wait import until

ANSWER_S = 30  # the server waits so long for an answer; half of it a request may wait for a key


class Stack:
    def __init__(self, folder, address, realm, permissions, further=()):
        """realm is the issuer of the jwks block, those of `further` are `issuers` with the name of the realm."""
        self.folder, self.address = Path(folder), address
        self.keys = {kind: nkeys.Key(kind) for kind in "UAX"}
        self.log = Log(self.folder / "auth-callout.log")
        self.config = {
            "nats": {"url": f"nats://{address}:4222", "nkey-seed-file": self._seed("U"), "issuer-seed-file": self._seed("A"), "xkey-seed-file": self._seed("X")},
            "jwks": {"url": realm.certs, "issuer": realm.issuer, "audience": realm.AUDIENCE, "cache-file": str(self.folder / "jwks.json")},
            "issuers": [{"name": r.name, "url": r.certs, "issuer": r.issuer, "audience": r.AUDIENCE, "client-claims": ["client_id"]} for r in further],
            "permissions": {"file": str(self.folder / "permissions.json")},
            "host": {"name": address, "port": 8080},
            "observability": {"metrics": {"prometheus": {"name": address, "port": 9090}}}}
        (self.folder / "permissions.json").write_text(json.dumps(permissions, indent=1))
        self.server = self.callout = None

    def _seed(self, kind):
        path = self.folder / f"{kind}.nk"
        path.write_text(secrets.note(self.keys[kind].seed, f"the seed {kind}") + "\n")
        path.chmod(0o600)
        return str(path)

    # --- running -------------------------------------------------------------------------------------------------
    def start(self):
        a = self.address
        (self.folder / "nats.conf").write_text(f"""server_name: keycloak-test
listen: "{a}:4222"
http: "{a}:8222"
jetstream {{ store_dir: "{self.folder}/js" }}
mqtt {{ listen: "{a}:1883" }}
system_account: SYS
accounts {{
  SYS {{ }}
  AUTH {{ users: [ {{ nkey: {self.keys["U"].public} }} ] }}
  CSC {{ jetstream: enabled }}
}}
authorization {{
  timeout: {ANSWER_S}
  auth_callout {{ account: AUTH, auth_users: [ {self.keys["U"].public} ], issuer: {self.keys["A"].public}, xkey: {self.keys["X"].public} }}
}}
""")
        self.server = self._run("nats-server", NATS_SERVER, "-c", self.folder / "nats.conf")
        self.start_callout()
        return self

    def _run(self, name, *command):
        clean = {k: v for k, v in os.environ.items() if k in ("PATH", "HOME") or k.endswith("SAN_OPTIONS")}
        with open(self.folder / f"{name}.log", "ab") as log:
            return subprocess.Popen(list(map(str, command)), env=clean, stdout=log, stderr=log)

    def start_callout(self, wait=True):
        config = self.folder / "auth-callout.yaml"
        config.write_text(yaml.safe_dump(self.config))
        # one that was written in the moment of the start is read once more, and all keys with it: tests count fetches
        until(lambda: time.time() - config.stat().st_ctime > 0.1, "the configuration to be of before the start")
        self.callout = self._run("auth-callout", *AUTH_CALLOUT.split(), "run", "--config", config)
        if wait:
            until(self.ready, lambda: "auth-callout to be ready: " + self.log.text()[-2000:])

    def stop_callout(self):
        self._end(self.callout)

    @contextlib.contextmanager
    def reconfigured(self, **jwks):
        """Other settings of jwks within the block (None leaves one out), with a restart of the service before and after."""
        before = dict(self.config["jwks"])
        for name, value in jwks.items():
            self.config["jwks"].pop(name.replace("_", "-"), None)
            if value is not None:
                self.config["jwks"][name.replace("_", "-")] = value
        self.restart_callout()
        try:
            yield self
        finally:
            self.config["jwks"] = before
            self.restart_callout()

    def restart_callout(self):
        self.stop_callout()
        self.start_callout()
        # the fetch at the start is over, whatever came of it
        until(lambda: self.of_issuer("key_fetches_total") and (self.of_issuer("keys") or self.of_issuer("key_fetch_failures_total")), "a fetch")

    def ready(self):
        try:
            with urllib.request.urlopen(f"http://{self.address}:8080/readyz", timeout=5) as answer:
                return answer.status == 200 and json.load(answer)
        except OSError:
            return None

    def metrics(self):
        with urllib.request.urlopen(f"http://{self.address}:9090/metrics", timeout=5) as answer:
            return Metrics(answer.read().decode())

    def of_issuer(self, what, issuer="jwks"):
        """A metric of an issuer's keys."""
        return self.metrics()[f'auth_issuer_{what}{{issuer="{issuer}"}}']

    @staticmethod
    def _end(process):
        if process and process.poll() is None:
            process.send_signal(signal.SIGTERM)
            process.wait(20)

    def stop(self):
        """Ends both; then neither log may hold a secret, nor a sanitizer's report."""
        self._end(self.callout)
        self._end(self.server)
        for path in self.folder.glob("*.log"):
            text = path.read_text(errors="replace")
            assert not secrets.found_in(text), f"{path.name}: {secrets.found_in(text)}"
            assert "Sanitizer:" not in text and "runtime error:" not in text, f"{path.name}: {text[-3000:]}"

    # --- clients -------------------------------------------------------------------------------------------------
    def nats(self, token, **options):
        return NatsClient(f"nats://{self.address}:4222", token=token, **options)

    def mqtt(self, token, **options):
        return MqttClient(self.address, 1883, user="oauthtoken", password=token, **options)

    def admitted(self, token):
        """Whether a NATS client gets in with this token."""
        client = self.nats(token)
        try:
            client.connect()
        except NatsRefused:
            return False
        client.close()
        return True

    def why(self, token):
        """The reason in the log for what a connection with this token comes to: ok, or a code."""
        offset = self.log.size()
        let_in = self.admitted(token)
        line = until(lambda: [x for x in self.log.since(offset) if x.get("method") == "oauth2"], "a decision in the log")[-1]
        assert (line["reason"] == "ok") == let_in, line
        return line["reason"]

    @contextlib.contextmanager
    def churn(self, tokens):
        """
        Within the block clients come and go, some thirty a second, with the tokens of the list in turn; the list may change. Every one
        of them must get in. Yields a list to which each adds its time in seconds.
        """
        done, times, refused = threading.Event(), [], []

        def connect():
            n = 0
            while not done.wait(0.06):  # leaves Keycloak something of the machine
                n += 1
                token, begin = tokens[n % len(tokens)], time.monotonic()
                if not self.admitted(token):
                    refused.append(self.log.text()[-1500:])
                times.append(time.monotonic() - begin)

        threads = [threading.Thread(target=connect, daemon=True) for _ in range(2)]
        for thread in threads:
            thread.start()
        try:
            yield times
        finally:
            done.set()
            for thread in threads:
                thread.join(60)
        assert not refused, f"{len(refused)} of {len(times)} were refused: {refused[0]}"
