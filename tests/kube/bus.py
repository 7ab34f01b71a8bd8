"""One nats-server in configuration mode and one auth-callout that knows a cluster; NATS clients that show Kubernetes tokens."""
import contextlib
import json
import re
import signal
import urllib.error
import urllib.request
import uuid

import yaml
from harness import metrics, natsio, nkeys, secrets
from harness.bus import AUTH_CALLOUT, NATS_SERVER
from harness.logs import Log
from harness.wait import SLOW, until

from processes import HOST, Process, free_port

CALLOUT_ACCOUNT, ACCOUNTS = "AUTH", ("APP", "OTHER", "THIRD")


class Client(natsio.NatsClient):
    """A client with a token, as most libraries send one; what it may do is asked of the server itself."""

    def _violations(self):
        return [e for e in self.errors if "permissions violation" in e.lower()]

    def may_publish(self, subject):
        before = len(self._violations())
        self.publish(subject)
        self.flush()
        return len(self._violations()) == before

    def may_subscribe(self, subject):
        before = len(self._violations())
        subscription = self.subscribe(subject)
        self.flush()
        allowed = len(self._violations()) == before
        if allowed:
            natsio.run(subscription._inner.unsubscribe())
        return allowed

    def may(self):
        """(may_publish, may_subscribe), for tables."""
        return self.may_publish, self.may_subscribe


def kubernetes(cluster, **more):
    """The keys of a kubernetes block, or of an element of `issuers`, for this cluster."""
    keys = {"api-url": cluster.url, "api-ca": str(cluster.ca), "token-file": str(cluster.token_file), "issuer": cluster.issuer,
            "account": "APP"} | {name.replace("_", "-"): value for name, value in more.items()}
    return {name: value for name, value in keys.items() if value is not None}


class Bus:
    """
    Bus(folder, config).start(): config is merged over what every auth-callout here needs; env as the process gets it; wrap: words before
    the program's name, which start it.
    """

    def __init__(self, folder, config, env=None, wrap=()):
        self.folder = folder / f"bus-{uuid.uuid4().hex[:8]}"
        self.folder.mkdir()
        self.port, self.monitor, self.health, self.metrics_port = (free_port() for _ in range(4))
        self.url = f"nats://{HOST}:{self.port}"
        self.keys = {"service": nkeys.Key("U"), "issuer": nkeys.Key("A"), "xkey": nkeys.Key("X")}
        self.keys |= {f"observer-{account}": nkeys.Key("U") for account in ACCOUNTS}
        for name, key in self.keys.items():
            path = self.seed_file(name)
            path.write_text(secrets.note(key.seed, f"the seed {name}") + "\n")
            path.chmod(0o600)
        conf = self.folder / "nats.conf"
        conf.write_text(self.server_config())
        self.server = Process("nats-server", self.folder, [NATS_SERVER, "-c", conf])
        self.config = self.folder / "auth-callout.yaml"
        self.config.write_text(yaml.safe_dump(self.service_config(config)))
        self.callout = Process("auth-callout", self.folder, [*wrap, *AUTH_CALLOUT.split(), "run", "--config", self.config], env=env)
        self.log = Log(self.callout.log)

    def seed_file(self, name):
        return self.folder / f"{name}.nk"

    def server_config(self):
        public = {name: key.public for name, key in self.keys.items()}
        users = [public["service"], *(public[f"observer-{a}"] for a in ACCOUNTS)]
        accounts = "\n".join(f'  {a} {{ users: [{{ nkey: {public["observer-" + a]} }}] }}' for a in ACCOUNTS)
        return f"""server_name: kube-tests
host: {HOST}
port: {self.port}
http: "{HOST}:{self.monitor}"
max_control_line: 8192
accounts {{
  SYS {{}}
  {CALLOUT_ACCOUNT} {{ users: [{{ nkey: {public["service"]} }}] }}
{accounts}
}}
system_account: SYS
authorization {{
  timeout: 20
  auth_callout {{ account: {CALLOUT_ACCOUNT}, issuer: {public["issuer"]}, xkey: {public["xkey"]}, auth_users: [{", ".join(users)}] }}
}}
"""

    def service_config(self, config):
        permissions = self.folder / "permissions.yaml"
        permissions.write_text("{}\n")
        base = {
            "nats": {"url": self.url, "nkey-seed-file": str(self.seed_file("service")), "issuer-seed-file": str(self.seed_file("issuer")),
                     "xkey-seed-file": str(self.seed_file("xkey"))},
            "permissions": {"file": str(permissions)},
            "host": {"name": HOST, "port": self.health},
            "observability": {"metrics": {"prometheus": {"name": HOST, "port": self.metrics_port}}},
            "readiness": {"require": ["kubernetes"]},
        }
        return base | config

    # --- running -----------------------------------------------------------------------------------------------------
    def start(self, ready=True):
        self.server.start()
        self.server.until(self._listening, "nats-server to listen")
        self.callout.start()
        self.callout.until(self.alive, "auth-callout to be up")
        if ready:
            self.callout.until(self.ready, lambda: f"auth-callout to be ready: {self.readiness()}", timeout=30)
        return self

    def alive(self):
        with contextlib.suppress(OSError):
            return self.http("/livez")[0] == 200

    def _listening(self):
        with contextlib.suppress(OSError), urllib.request.urlopen(f"http://{HOST}:{self.monitor}/healthz", timeout=2) as answer:
            return answer.status == 200

    def ready(self):
        with contextlib.suppress(OSError):
            return self.http("/readyz")[0] == 200

    def stop(self):
        """Ends both; then no log may hold a token or a seed, and auth-callout ended when it was told to, soon and well."""
        ended = None if self.callout.running() or self.callout._running is None else self.callout.tail()
        status = self.callout.stop(timeout=6 * SLOW)
        self.server.stop(signal.SIGKILL)  # told to end, it waits for logins that nobody will answer
        assert ended is None, f"auth-callout ended by itself:\n{ended}"
        assert status in (0, None), f"auth-callout ended with {status}, not with 0 within seconds:\n{self.callout.tail()}"
        text = self.log.text()
        leaks = secrets.found_in(text)
        assert not leaks, "secrets in the log:\n" + "\n".join(leaks)
        assert "Sanitizer:" not in text and "runtime error:" not in text, text[-6000:]

    # --- what can be seen ----------------------------------------------------------------------------------------
    def http(self, path, port=None):
        try:
            with urllib.request.urlopen(f"http://{HOST}:{port or self.health}{path}", timeout=5) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()

    def readiness(self):
        return json.loads(self.http("/readyz")[1])

    def metrics(self):
        return metrics.Metrics(self.http("/metrics", self.metrics_port)[1])

    def total(self, name):
        """The sum of a metric over its labels."""
        return sum(value for key, value in self.metrics().items() if re.sub(r"\{.*", "", key) == name)

    @contextlib.contextmanager
    def refused(self, reason):
        """The block's one login is refused for this reason: the client is told nothing else, the log and the metrics say it."""
        before, offset = self.metrics(), self.log.size()
        try:
            yield
        except natsio.Refused as error:
            assert "authorization violation" in str(error).lower(), error
        else:
            raise AssertionError(f"let in, instead of refused as {reason}")
        line = until(lambda: self.log.find(offset, msg="refused"), "a refusal in the log")[0]
        assert line["reason"] == reason, line
        method = line["method"]
        if method != "none":
            assert self.metrics().failures(method, reason) == before.failures(method, reason) + 1

    # --- clients -----------------------------------------------------------------------------------------------------
    def client(self, token, **options):
        """Not yet connected; the token goes as auth_token."""
        return Client(self.url, token=token, **options)

    def observer(self, account="APP"):
        return Client(self.url, seed=self.keys[f"observer-{account}"].seed)

    def hears(self, client, subject, account):
        """Whether what this client publishes is heard in that account."""
        mark = uuid.uuid4().bytes
        with self.observer(account) as observer:
            heard = observer.subscribe(subject)
            client.publish(subject, mark)
            client.flush()
            observer.flush()
            return bool(heard.heard(mark))
