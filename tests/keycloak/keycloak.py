"""A real Keycloak on a loopback address: its process, its admin REST API, and tokens from its realms."""
import json
import os
import signal
import subprocess
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path

from harness import secrets
from harness.wait import until

TOP = Path(__file__).resolve().parents[2]
KC = TOP / ".deps/keycloak/bin/kc.sh"
START_S = 300  # a JVM that makes its database, on a machine that may be busy
PORT = 8180


class Keycloak:
    """One Keycloak with a database in folder, which outlives a stop."""

    def __init__(self, folder, address):
        self.folder, self.address = Path(folder), address
        self.url = f"http://{address}:{PORT}"
        self.log = self.folder / "keycloak.log"
        self.password = secrets.note(os.urandom(12).hex(), "the password of Keycloak's administrator")
        self.process = None
        self._admin_token = None

    # --- running -------------------------------------------------------------------------------------------------
    def start(self, wait=True):
        env = {k: v for k, v in os.environ.items() if not k.startswith(("KC_", "KEYCLOAK_", "JAVA_OPTS"))}
        env |= {"KC_BOOTSTRAP_ADMIN_USERNAME": "admin", "KC_BOOTSTRAP_ADMIN_PASSWORD": self.password,
                "JAVA_OPTS_KC_HEAP": "-Xms64m -Xmx512m", "JAVA_OPTS_APPEND": "-XX:TieredStopAtLevel=1"}
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(
                ["nice", "-n", "5", KC, "start", "--optimized", "--cache=local", "--http-enabled=true", f"--http-host={self.address}", f"--http-port={PORT}",
                 f"--hostname={self.url}", f"--db-url=jdbc:h2:file:{self.folder}/h2/keycloak;NON_KEYWORDS=VALUE;DB_CLOSE_ON_EXIT=FALSE"],
                env=env, stdout=log, stderr=log, start_new_session=True)
        if wait:
            self.wait_up()
        return self

    def wait_up(self):
        def answers():
            assert self.process.poll() is None, "Keycloak ended: " + self.log.read_text()[-3000:]
            try:
                return self.get("/realms/master")
            except OSError:
                return None
        until(answers, lambda: "Keycloak to answer: " + self.log.read_text()[-3000:], START_S, 0.1)

    def stop(self, how=signal.SIGTERM):
        if self.process and self.process.poll() is None:
            os.killpg(self.process.pid, how)
            self.process.wait(60)
        self._admin_token = None

    # --- HTTP ----------------------------------------------------------------------------------------------------
    def get(self, path):
        with urllib.request.urlopen(self.url + path, timeout=30) as answer:
            return json.load(answer)

    def post_form(self, path, **form):
        """(status, JSON)."""
        try:
            with urllib.request.urlopen(self.url + path, urllib.parse.urlencode(form).encode(), timeout=30) as answer:
                return answer.status, json.load(answer)
        except urllib.error.HTTPError as error:
            return error.code, json.loads(error.read() or b"{}")

    def admin(self, method, path, body=None):
        """A call of the admin REST API: its JSON, or the id of what was made."""
        for fresh in (False, True):  # its tokens live for a minute
            if fresh or not self._admin_token:
                self._admin_token = self.admin_token()
            request = urllib.request.Request(self.url + "/admin" + path, json.dumps(body).encode() if body is not None else None, method=method,
                                             headers={"Authorization": f"Bearer {self._admin_token}", "Content-Type": "application/json"})
            try:
                with urllib.request.urlopen(request, timeout=30) as answer:
                    where, text = answer.headers.get("Location"), answer.read()
                    return json.loads(text) if text else where.rpartition("/")[2] if where else None
            except urllib.error.HTTPError as error:
                assert error.code == 401 and not fresh, f"{method} {path}: {error.code} {error.read().decode()}"
        return None

    def admin_token(self):
        """A token of the realm master."""
        status, got = self.post_form("/realms/master/protocol/openid-connect/token", grant_type="password", client_id="admin-cli",
                                     username="admin", password=self.password)
        assert status == 200, got
        return secrets.note(got["access_token"], "a token of Keycloak's administrator")

    def realm(self, name):
        return Realm(self, name)


class Realm:
    """A realm as an administrator sets it up for the bus: made by make(), used by everything else."""

    AUDIENCE, SCOPE = "dsx-exchange", "mqtt"

    def __init__(self, keycloak, name):
        self.keycloak, self.name = keycloak, name
        self.path = f"/realms/{name}"
        self.issuer = keycloak.url + self.path
        self.certs = self.issuer + "/protocol/openid-connect/certs"
        self.secrets = {}

    def admin(self, method, path="", body=None):
        return self.keycloak.admin(method, self.path + path, body)

    # --- setting up ----------------------------------------------------------------------------------------------
    def make(self):
        """
        The realm with two client scopes: `event-bus` puts our audience into access tokens (and here into ID tokens too, so that nothing
        but its kind speaks against one), `mqtt` stands in the claim `scope` of who asks for it.
        """
        self.keycloak.admin("POST", "/realms", {"realm": self.name, "enabled": True, "accessTokenLifespan": 600})
        self._scope("event-bus", self.AUDIENCE)
        self._scope("other-bus", "another-service")
        self._scope(self.SCOPE, None)
        return self

    def _scope(self, name, audience):
        mappers = [] if audience is None else [{
            "name": "audience", "protocol": "openid-connect", "protocolMapper": "oidc-audience-mapper",
            "config": {"included.custom.audience": audience, "access.token.claim": "true", "id.token.claim": "true"}}]
        self.admin("POST", "/client-scopes", {"name": name, "protocol": "openid-connect", "protocolMappers": mappers,
                                              "attributes": {"include.in.token.scope": "true" if audience is None else "false"}})

    def client(self, client_id, scopes=("event-bus",), algorithm=None, lifespan_s=None, passwords=False):
        """A confidential client with a service account, which may ask for the scope mqtt."""
        secret = self.secrets[client_id] = secrets.note(os.urandom(16).hex(), f"the secret of {client_id}")
        attributes = {"access.token.signed.response.alg": algorithm} if algorithm else {}
        attributes |= {"access.token.lifespan": str(lifespan_s)} if lifespan_s else {}
        self.admin("POST", "/clients", {
            "clientId": client_id, "secret": secret, "publicClient": False, "standardFlowEnabled": False, "serviceAccountsEnabled": True,
            "directAccessGrantsEnabled": passwords, "attributes": attributes,
            "defaultClientScopes": ["basic", "roles", "service_account", *scopes], "optionalClientScopes": [self.SCOPE]})

    def user(self, name):
        password = self.secrets[name] = secrets.note(os.urandom(8).hex(), f"the password of {name}")
        self.admin("POST", "/users", {"username": name, "enabled": True, "email": f"{name}@example.com", "emailVerified": True,
                                      "firstName": name, "lastName": name,
                                      "credentials": [{"type": "password", "value": password, "temporary": False}]})

    # --- keys ----------------------------------------------------------------------------------------------------
    def add_key(self, name, priority, algorithm="RS256"):
        """A key provider with a key of its own; the highest priority signs. Its id."""
        kind = {"R": "rsa", "P": "rsa", "E": "eddsa" if algorithm == "EdDSA" else "ecdsa"}[algorithm[0]]
        own = {"rsa": {"algorithm": [algorithm], "keySize": ["2048"]}, "ecdsa": {"ecdsaEllipticCurveKey": ["P-256"]},
               "eddsa": {"eddsaEllipticCurveKey": ["Ed25519"]}}[kind]
        return self.admin("POST", "/components", {
            "name": name, "providerId": f"{kind}-generated", "providerType": "org.keycloak.keys.KeyProvider", "parentId": self.id(),
            "config": {"priority": [str(priority)], "enabled": ["true"], "active": ["true"], **own}})

    def id(self):
        return self.admin("GET")["id"]

    def key_id(self, kid):
        """The key provider that a kid belongs to."""
        return next(key["providerId"] for key in self.admin("GET", "/keys")["keys"] if key["kid"] == kid)

    def passive_key(self, provider):
        """Signs nothing any more, but verifies."""
        component = self.admin("GET", f"/components/{provider}")
        component["config"]["active"] = ["false"]
        self.admin("PUT", f"/components/{provider}", component)

    def remove_key(self, provider):
        self.admin("DELETE", f"/components/{provider}")

    def kids(self):
        """The signing keys that the realm publishes."""
        return {key["kid"] for key in self.keycloak.get(f"{self.path}/protocol/openid-connect/certs")["keys"] if key.get("use") == "sig"}

    # --- tokens --------------------------------------------------------------------------------------------------
    def grant(self, **form):
        status, body = self.keycloak.post_form(f"{self.path}/protocol/openid-connect/token", **form)
        assert status == 200, body
        for kind in ("access_token", "refresh_token", "id_token"):
            if kind in body:
                secrets.note(body[kind], f"a {kind}")
        return body

    def token(self, client_id, scope=SCOPE):
        """An access token by the client credentials grant."""
        more = {"scope": scope} if scope else {}
        return self.grant(grant_type="client_credentials", client_id=client_id, client_secret=self.secrets[client_id], **more)["access_token"]

    def user_tokens(self, client_id, name):
        """access_token, id_token and refresh_token by the password grant."""
        return self.grant(grant_type="password", client_id=client_id, client_secret=self.secrets[client_id], username=name,
                          password=self.secrets[name], scope=f"openid {self.SCOPE}")
