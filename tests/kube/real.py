"""A cluster's control plane as far as tokens need it: etcd and kube-apiserver on loopback, with RBAC, certificates and keys of their own."""
import base64
import contextlib
import json
import signal
import subprocess
import urllib.request

import yaml
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa, utils
from cryptography.x509 import Name, NameAttribute
from cryptography.x509.oid import NameOID
from harness import certificates, secrets
from harness.bus import TOP
from harness.tokens import as_text, b64
from harness.wait import until

from api import SERVICE_ACCOUNTS, Api, ApiError
from processes import HOST, Process, free_port

BIN = TOP / ".deps/bin"
MANIFESTS = TOP / "deploy/manifests"
MERGE = "application/merge-patch+json"
# Who the service is to the API server: the ServiceAccount of deploy/manifests.
SERVICE_NAMESPACE, SERVICE_NAME = "event-bus", "auth-callout"


class Etcd:
    def __init__(self, folder):
        self.port = free_port()
        self.url = f"http://{HOST}:{self.port}"
        peer = f"http://{HOST}:{free_port()}"
        self.process = Process("etcd", folder, [
            BIN / "etcd", "--name", "tests", "--data-dir", folder / "etcd", "--listen-client-urls", self.url, "--advertise-client-urls", self.url,
            "--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer, "--initial-cluster", f"tests={peer}", "--log-level", "warn"])

    def post(self, path, body):
        request = urllib.request.Request(self.url + path, json.dumps(body).encode(), {"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=10) as answer:
            return json.load(answer)

    def start(self):
        self.process.start()

        def healthy():
            with contextlib.suppress(OSError), urllib.request.urlopen(self.url + "/health", timeout=2) as answer:
                return json.load(answer)["health"] == "true"
        self.process.until(healthy, "etcd to be healthy")
        return self

    def compact(self):
        """Forgets every revision but the last."""
        revision = self.post("/v3/kv/range", {"key": base64.b64encode(b"x").decode()})["header"]["revision"]
        self.post("/v3/kv/compaction", {"revision": revision, "physical": True})


class SigningKey:
    """A key that signs ServiceAccount tokens, as the files that kube-apiserver is given."""

    def __init__(self, path, kind="rsa"):
        self.path, self.public = path.with_suffix(".key"), path.with_suffix(".pub")
        self.key = rsa.generate_private_key(public_exponent=65537, key_size=2048) if kind == "rsa" else ec.generate_private_key(ec.SECP256R1())
        self.path.write_bytes(self.key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()))
        self.path.chmod(0o600)
        self.public.write_bytes(self.key.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo))

    @property
    def kid(self):
        der = self.key.public_key().public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
        digest = hashes.Hash(hashes.SHA256())
        digest.update(der)
        return b64(digest.finalize())

    def sign(self, claims, **header):
        """A token with any claims, as nobody but the holder of this key can make it."""
        is_rsa = isinstance(self.key, rsa.RSAPrivateKey)
        head = as_text({"alg": "RS256" if is_rsa else "ES256", "kid": self.kid, **header}) + "." + as_text(claims)
        if is_rsa:
            signature = self.key.sign(head.encode(), padding.PKCS1v15(), hashes.SHA256())
        else:
            r, s = utils.decode_dss_signature(self.key.sign(head.encode(), ec.ECDSA(hashes.SHA256())))
            signature = r.to_bytes(32, "big") + s.to_bytes(32, "big")
        return secrets.note(f"{head}.{b64(signature)}", "a token made by a test")


class RealCluster:
    """
    issuer      what its tokens say in iss
    ca          file with the CA of the API server's certificate, rewritten in place by rotate_ca()
    token_file  file with a token of the service's own ServiceAccount; kubeconfig: one with a client certificate of the same rights
    """
    kind = "real"

    def __init__(self, folder, etcd, name="cluster", key="rsa"):
        self.name, self.etcd, self.folder = name, etcd, folder / name
        self.folder.mkdir()
        self.port = free_port()
        self.issuer = f"https://{name}.example.invalid"
        self.url = f"https://{HOST}:{self.port}"
        self.ca, self.token_file = self.folder / "ca.pem", self.folder / "service-token"
        self.keys = [SigningKey(self.folder / "sa-1", key)]
        # client certificates are of a CA of their own, so that a new CA of the server leaves them as they are
        self.client_ca = certificates.new_ca(f"clients of {name}")
        self.client_ca.write(self.folder, "client-ca")
        self.admin = self.client_ca.issue(subject=Name([NameAttribute(NameOID.ORGANIZATION_NAME, "system:masters"),
                                                        NameAttribute(NameOID.COMMON_NAME, "tests")])).write(self.folder, "admin")
        self.new_ca()
        self.process, self.pods = None, {}

    # --- running -----------------------------------------------------------------------------------------------------
    def new_ca(self):
        """Another CA and a certificate of it; the API server takes it when it starts next."""
        ca = certificates.new_ca(f"CA of {self.name}")
        names = [certificates.ip(HOST), certificates.dns("kubernetes.default.svc")]
        self._ca, self._certificate = ca, ca.issue("kube-apiserver", usage=(certificates.SERVER,), names=names).write(self.folder, "server")

    def publish_ca(self):
        """Writes the CA file anew, in one step, as kubelet does."""
        fresh = self.ca.with_suffix(".new")
        fresh.write_text(self._ca.pem)
        fresh.rename(self.ca)

    def start(self):
        cert, key = self._certificate
        self.publish_ca()
        args = [BIN / "kube-apiserver", "--etcd-servers", self.etcd.url, "--etcd-prefix", f"/{self.name}", "--bind-address", HOST,
                "--secure-port", self.port, "--tls-cert-file", cert, "--tls-private-key-file", key,
                "--client-ca-file", self.folder / "client-ca.pem", "--authorization-mode", "RBAC", "--service-cluster-ip-range", "10.96.0.0/16",
                "--service-account-issuer", self.issuer, "--service-account-signing-key-file", self.keys[-1].path,
                "--api-audiences", self.issuer, "--endpoint-reconciler-type", "none", "--cert-dir", self.folder,
                "--profiling=false", "--shutdown-delay-duration=0s", "--shutdown-watch-termination-grace-period=1s", "--v", "1"]
        for signing in self.keys:
            args += ["--service-account-key-file", signing.public]
        self.process = Process("kube-apiserver", self.folder, args).start()
        self.api = Api(HOST, self.port, self.ca, *self.admin)

        def ready():
            with contextlib.suppress(OSError, ApiError):
                return self.api("GET", "/readyz") == "ok"
        self.process.until(ready, "kube-apiserver to be ready", timeout=120)
        return self

    def stop(self):
        if self.process:
            self.process.stop(timeout=60)

    def end(self):
        """For good, and at once."""
        if self.process:
            self.process.stop(signal.SIGKILL)

    def restart(self):
        self.stop()
        self.start()

    def set_up(self):
        """The service's rights and identity by the manifests that a cluster gets, and namespaces of the tests."""
        self.namespace(SERVICE_NAMESPACE)
        self.kubectl("apply", "-f", MANIFESTS / "rbac.yaml", "-f", MANIFESTS / "token-review.yaml")
        self.renew_service_token()
        return self

    def renew_service_token(self):
        """A new token of the service itself, for the API server, written in one step as kubelet does."""
        fresh = self.token_file.with_suffix(".new")
        fresh.write_text(self.token(SERVICE_NAMESPACE, SERVICE_NAME, audience=None, seconds=3600))
        fresh.rename(self.token_file)

    # --- kubectl -----------------------------------------------------------------------------------------------------
    def kubeconfig(self, name="admin", **user):
        """A kubeconfig with the tests' own certificate, or with this user entry."""
        path = self.folder / f"kubeconfig-{name}"
        user = user or {"client-certificate": str(self.admin[0]), "client-key": str(self.admin[1])}
        path.write_text(yaml.safe_dump({
            "apiVersion": "v1", "kind": "Config", "current-context": "tests",
            "clusters": [{"name": "c", "cluster": {"server": self.url, "certificate-authority": str(self.ca)}}],
            "users": [{"name": "u", "user": user}], "contexts": [{"name": "tests", "context": {"cluster": "c", "user": "u"}}]}))
        path.chmod(0o600)
        return path

    def kubectl(self, *args, check=True, **options):
        done = subprocess.run([str(BIN / "kubectl"), "--kubeconfig", str(self.kubeconfig()), "--cache-dir", str(self.folder / "cache"), *map(str, args)],
                              capture_output=True, text=True, timeout=120, **options)
        assert not check or done.returncode == 0, f"kubectl {args}: {done.stdout}{done.stderr}"
        return done

    # --- objects -----------------------------------------------------------------------------------------------------
    def namespace(self, name):
        with contextlib.suppress(ApiError):  # there already
            self.api("POST", "/api/v1/namespaces", {"metadata": {"name": name}})
        return name

    def account(self, namespace, name, annotations=None):
        """Creates a ServiceAccount; returns its uid."""
        self.namespace(namespace)
        made = self.api("POST", SERVICE_ACCOUNTS.format(namespace), {"metadata": {"name": name, "annotations": annotations or {}}})
        return made["metadata"]["uid"]

    def annotate(self, namespace, name, **annotations):
        """Sets annotations nats.io/NAME (`_` stands for `-`), or with None removes them."""
        changes = {"nats.io/" + key.replace("_", "-"): value for key, value in annotations.items()}
        self.api("PATCH", SERVICE_ACCOUNTS.format(namespace) + "/" + name, {"metadata": {"annotations": changes}}, MERGE)

    def delete_account(self, namespace, name):
        self.api("DELETE", SERVICE_ACCOUNTS.format(namespace) + "/" + name)

    def token(self, namespace, name, audience="nats", seconds=600, pod=None):
        """A token by TokenRequest, bound to a pod if one is named. audience None: the API server's own."""
        spec = {"expirationSeconds": seconds}
        if audience is not None:
            spec["audiences"] = [audience] if isinstance(audience, str) else audience
        if pod:
            spec["boundObjectRef"] = {"kind": "Pod", "apiVersion": "v1", "name": pod, "uid": self.pods[namespace, pod]}
        answer = self.api("POST", SERVICE_ACCOUNTS.format(namespace) + f"/{name}/token",
                          {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": spec})
        return secrets.note(answer["status"]["token"], f"a token of {namespace}/{name}")

    def pod(self, namespace, name, account):
        """A pod of a ServiceAccount, which no node will ever run; returns its name."""
        made = self.api("POST", f"/api/v1/namespaces/{namespace}/pods", {"metadata": {"name": name}, "spec": {
            "serviceAccountName": account, "automountServiceAccountToken": False, "containers": [{"name": "c", "image": "none.invalid/none"}]}})
        self.pods[namespace, name] = made["metadata"]["uid"]
        return name

    def delete_pod(self, namespace, name):
        self.api("DELETE", f"/api/v1/namespaces/{namespace}/pods/{name}?gracePeriodSeconds=0")
        until(lambda: self._gone(f"/api/v1/namespaces/{namespace}/pods/{name}"), f"pod {name} to be gone")

    def _gone(self, path):
        try:
            self.api("GET", path)
        except ApiError as error:
            return error.status == 404
        return False

    # --- what happens to a cluster -----------------------------------------------------------------------------------
    def forget_history(self):
        """After this, a watch from before is answered with 410."""
        self.etcd.compact()
        self.restart()  # its own cache of events goes with it

    def rotate_ca(self):
        self.stop()
        self.new_ca()
        self.start()

    def rotate_signing_key(self, kind="rsa", keep=True):
        """Tokens are signed with a new key from now on; with keep the old ones stay good."""
        fresh = SigningKey(self.folder / f"sa-{len(list(self.folder.glob('sa-*.key'))) + 1}", kind)
        self.keys = [*(self.keys if keep else []), fresh]
        self.restart()

    def sign(self, claims, **header):
        return self.keys[-1].sign(claims, **header)

    def jwks(self):
        return self.api("GET", "/openid/v1/jwks")

    def take_rights(self):
        """The service may not read ServiceAccounts any more; set_up() gives it back."""
        self.kubectl("delete", "clusterrolebinding", "event-bus-auth-callout")

    def take_review_rights(self):
        self.kubectl("delete", "clusterrolebinding", "event-bus-auth-callout-token-review")
