"""
Operator mode: a nats-server and an auth-callout started from what `eventbus operator init` wrote.

  op = Operator(folder, resolver="full").init("--nack", "--account", "PLANT").up(entries)
  op.nats(token=op.token("probe")), op.mqtt(…), op.creds("SYS", "sys"); op.push(jwt); op.sign(account claims)
"""
import base64
import json
import os
import signal
import subprocess
import time
import urllib.error
import urllib.request
from pathlib import Path

import yaml
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from . import certificates, program, secrets
from .bus import AUTH_CALLOUT, EVENTBUS, NATS_SERVER, free_address
from .callout import nats_jwt, read_nats_jwt
from .logs import Log
from .mqtt import MqttClient
from .natsio import NatsClient
from .nkeys import Key
from .tokens import as_text, b64
from .wait import PATIENCE, SLOW, until

ISSUER, AUDIENCE = "https://idp.test.invalid/operator", "operator-test"
NAME = "event-bus"


def init(folder, *args, umask=0o022):
    return subprocess.run([*EVENTBUS.split(), "operator", "init", "--dir", str(folder), *args], capture_output=True, text=True,
                          timeout=60 * SLOW, umask=umask)


def show(folder):
    return subprocess.run([*EVENTBUS.split(), "operator", "show", "--dir", str(folder)], capture_output=True, text=True, timeout=60 * SLOW)


class Operator:
    def __init__(self, folder, resolver="memory", mqtt_tls=False):
        self.folder = Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.dir = self.folder / "operator"
        self.resolver, self.mqtt_tls = resolver, mqtt_tls
        self.address, self.ports = free_address()
        self.log = Log(self.folder / "auth-callout.log")
        self.server = self.callout = None
        self._rsa = rsa.generate_private_key(public_exponent=65537, key_size=2048)

    # --- files ---------------------------------------------------------------------------------------------------
    def init(self, *args):
        done = init(self.dir, *args)
        assert done.returncode == 0, done.stderr
        for path in (self.dir / "keys").rglob("*.nk"):
            secrets.note(path.read_text().strip(), f"the seed {path.name}")
        return self

    def jwt_path(self, account=None, user=None):
        at = self.dir / NAME
        if account is None:
            return at / f"{NAME}.jwt"
        at = at / "accounts" / account
        return at / "users" / f"{user}.jwt" if user else at / f"{account}.jwt"

    def jwt(self, account=None, user=None):
        return self.jwt_path(account, user).read_text()

    def claims(self, account=None, user=None):
        return read_nats_jwt(self.jwt(account, user))

    def id(self, account):
        return self.claims(account)["sub"]

    def key_path(self, public):
        return self.dir / "keys" / public[0] / public[1:3] / f"{public}.nk"

    def key(self, public):
        return Key.from_seed(self.key_path(public).read_text().strip())

    def creds(self, account, user):
        return self.dir / "creds" / NAME / account / f"{user}.creds"

    def sign(self, claims):
        """Account claims, changed by a test, as the operator signs them."""
        return nats_jwt(self.key(self.claims()["sub"]), {**claims, "iat": max(int(time.time()), claims["iat"] + 1)})

    def edit(self, account, change):
        """change(its nats member); signed by the operator. account None: the operator itself."""
        claims = self.claims(account)
        change(claims["nats"])
        self.jwt_path(account).write_text(self.sign(claims))

    def store_key(self, key):
        """Puts a seed where nsc keeps it; its public key."""
        path = self.key_path(key.public)
        for folder in (path.parent.parent, path.parent):
            folder.mkdir(mode=0o700, exist_ok=True)
        path.write_text(secrets.note(key.seed, "a seed of the store"))
        path.chmod(0o600)
        return key.public

    def add_account(self, name, **nats):
        """As nsc makes one: no signing key, no JetStream."""
        claims = {"iss": self.claims()["sub"], "sub": self.store_key(Key("A")), "name": name, "iat": int(time.time()),
                  "nats": {"limits": {"subs": -1, "data": -1, "payload": -1, "imports": -1, "exports": -1, "wildcards": True, "conn": -1, "leaf": -1},
                           "type": "account", "version": 2, **nats}}
        self.jwt_path(name).parent.mkdir(mode=0o700)
        self.jwt_path(name).write_text(self.sign(claims))

    def held_path(self, account):
        return self.dir / "auth-callout/keys" / ("issuer.seed" if account == "AUTH_SERVICE" else f"account-{account}.seed")

    def held(self, account):
        """The signing key of an account that auth-callout has."""
        return Key.from_seed(self.held_path(account).read_text().strip()).public

    def scope(self, account, template, role="clients"):
        """Gives an account a scoped signing key; its seed file. The rendered files are made again by the next init()."""
        key, claims = Key("A"), self.claims(account)
        claims["nats"].setdefault("signing_keys", []).append({"kind": "user_scope", "key": key.public, "role": role, "template": template})
        self.jwt_path(account).write_text(self.sign(claims))
        path = self.folder / f"scoped-{account}.nk"
        path.write_text(secrets.note(key.seed, "a scoped seed"))
        path.chmod(0o600)
        return path

    # --- running -------------------------------------------------------------------------------------------------
    def config(self):
        tls = ""
        if self.mqtt_tls:
            self.ca = certificates.new_ca()
            self.ca_file, _ = self.ca.write(self.folder, "ca")
            cert, key = self.ca.issue("server", usage=(certificates.SERVER,), names=[certificates.ip(self.address)]).write(self.folder, "server")
            tls = f', tls {{ cert_file: "{cert}", key_file: "{key}", ca_file: "{self.ca_file}", verify: true }}'
        return f"""server_name: {self.resolver}
listen: "{self.address}:{self.ports["NATS"]}"
jetstream {{ store_dir: "{self.folder}/js", max_mem: 64MB, max_file: 512MB }}
mqtt {{ listen: "{self.address}:{self.ports["MQTT"]}"{tls} }}
authorization {{ timeout: {3 * SLOW} }}
include "operator/nats-server/{self.resolver}.conf"
"""

    def start_server(self):
        path = self.folder / "server.conf"
        path.write_text(self.config())
        with open(self.folder / "server.log", "ab") as log:
            self.server = subprocess.Popen([NATS_SERVER, "-c", path], stdout=log, stderr=log, cwd=self.folder)
        return self

    def callout_env(self, **more):
        return {"AUTH_CALLOUT_CONFIG": str(self.dir / "auth-callout/auth-callout.yaml"), "NATS_URL": f"nats://{self.address}:{self.ports['NATS']}",
                "AUTH_CALLOUT_HOST_NAME": self.address, "AUTH_CALLOUT_HOST_PORT": str(self.ports["HEALTH"]),
                "AUTH_CALLOUT_OBSERVABILITY_METRICS_PROMETHEUS_PORT": "0", "JWKS_PATH": str(self.folder / "jwks.json"),
                "AUTH_CALLOUT_JWKS_ISSUER": ISSUER, "AUTH_CALLOUT_JWKS_AUDIENCE": AUDIENCE,
                **({"AUTH_CALLOUT_MTLS_CA_PATH": str(self.ca_file)} if self.mqtt_tls else {}), **more}

    def write_permissions(self, document):
        (self.dir / "auth-callout/permissions.yaml").write_text(json.dumps(document, indent=1))

    def write_keys(self):
        n = self._rsa.public_key().public_numbers()
        size = (n.n.bit_length() + 7) // 8
        (self.folder / "jwks.json").write_text(json.dumps({"keys": [{"kty": "RSA", "kid": "k1", "alg": "RS256", "use": "sig",
                                               "n": b64(n.n.to_bytes(size, "big")), "e": b64(n.e.to_bytes(3, "big"))}]}))

    def start_callout(self, change=None, **env):
        """change(configuration): what a test has otherwise than the file that was written."""
        self.write_keys()
        if change:
            config = yaml.safe_load((self.dir / "auth-callout/auth-callout.yaml").read_text())
            change(config)
            path = self.folder / "changed.yaml"
            path.write_text(json.dumps(config, indent=1))
            env = {"AUTH_CALLOUT_CONFIG": str(path), **env}
        clean = {k: v for k, v in os.environ.items() if k in ("PATH", "HOME", "ASAN_OPTIONS", "UBSAN_OPTIONS", "TSAN_OPTIONS", "LSAN_OPTIONS")}
        with open(self.log.path, "ab") as log:
            self.callout = subprocess.Popen([*AUTH_CALLOUT.split(), "run"], env=clean | self.callout_env(**env), stdout=log, stderr=log)
        until(self.ready, lambda: f"not ready: {self.log.text()[-3000:]}\n{self.server_log()[-2000:]}")
        return self

    def ready(self):
        assert self.callout.poll() is None, f"auth-callout ended: {self.log.text()[-3000:]}"
        try:
            with urllib.request.urlopen(f"http://{self.address}:{self.ports['HEALTH']}/readyz", timeout=2) as answer:
                return answer.status == 200
        except (urllib.error.URLError, OSError):
            return False

    def up(self, permissions, change=None):
        self.write_permissions(permissions)
        return self.start_server().start_callout(change)

    def check(self, change=None, **env):
        """check-config, finished."""
        config = yaml.safe_load((self.dir / "auth-callout/auth-callout.yaml").read_text())
        if change:
            change(config)
        path = self.folder / "checked.yaml"
        path.write_text(json.dumps(config, indent=1))
        self.write_keys()
        return program.run("check-config", env=self.callout_env(AUTH_CALLOUT_CONFIG=str(path), **env))

    def server_log(self):
        return (self.folder / "server.log").read_text()

    def stop(self):
        for process in (self.callout, self.server):
            if process and process.poll() is None:
                process.send_signal(signal.SIGTERM)
                process.wait(PATIENCE)
        text = self.log.text()
        leaks = secrets.found_in(text)
        assert not leaks, f"secrets in the log: {leaks}"
        assert "Sanitizer:" not in text and "runtime error:" not in text, text[-6000:]

    # --- clients -------------------------------------------------------------------------------------------------
    def token(self, azp, life=300, **more):
        now = int(time.time())
        claims = {"iss": ISSUER, "aud": AUDIENCE, "azp": azp, "sub": "someone", "iat": now, "exp": now + life, **more}
        head = as_text({"alg": "RS256", "kid": "k1"}) + "." + as_text(claims)
        return secrets.note(head + "." + b64(self._rsa.sign(head.encode(), padding.PKCS1v15(), hashes.SHA256())), "a token")

    @property
    def url(self):
        return f"nats://{self.address}:{self.ports['NATS']}"

    def nats(self, **options):
        return NatsClient(self.url, **options)

    def with_creds(self, account, user, **options):
        return NatsClient(self.url, user_credentials=str(self.creds(account, user)), **options)

    def mqtt(self, **options):
        return MqttClient(self.address, self.ports["MQTT"], **options)

    def who(self, client):
        """What the server says of a client: account, permissions, end."""
        return json.loads(client.request("$SYS.REQ.USER.INFO").data)["data"]

    def push(self, jwt):
        """Gives the full resolver a new account JWT."""
        with self.with_creds("SYS", "sys") as sys:
            answer = json.loads(sys.request("$SYS.REQ.CLAIMS.UPDATE", jwt.encode()).data)
        assert answer["data"]["code"] == 200, answer

    def decided(self, offset=0, **fields):
        return until(lambda: self.log.find(offset, **fields), lambda: f"no decision {fields} in {self.log.text()[offset:]}")[-1]

    def secrets_yaml(self):
        """name -> key -> bytes."""
        documents = yaml.safe_load_all((self.dir / "kubernetes/secrets.yaml").read_text())
        return {d["metadata"]["name"]: {k: base64.b64decode(v) for k, v in d["data"].items()} for d in documents if d}
