"""
A Kubernetes API server as far as auth-callout asks it: ServiceAccounts in pages and by watch, single ones, TokenReview, the issuer's keys; TLS,
bearer tokens and client certificates. It keeps the rules of a real one (resourceVersions, history, 410, bookmarks) and breaks them on demand.

  api = KubeApi(folder).start()
  api.account("plant", "chiller", {"nats.io/allowed-pub-subjects": "alarms.>"}); api.annotate(...); api.delete_account(...)
  api.token("plant", "chiller")      as TokenRequest makes them; api.sign(claims) signs anything
  api.fail("watch", 500, times=2)    the next requests of that kind; kinds: list watch get review jwks
  api.forget_history()               what a watch could go on from is gone; api.end_watches(gone=True) says so in the stream
  api.silence()                      connections stay open and nothing comes any more; api.cut() closes them all
"""
import base64
import copy
import http.server
import json
import os
import re
import socket
import ssl
import threading
import time
import urllib.parse
import uuid
from pathlib import Path

import yaml
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa, utils
from cryptography.x509.oid import NameOID

from . import certificates, secrets
from .tokens import as_text, b64, claims_of, header_of, unb64

HOST = "127.42.0.2"
BOOKMARK_S = 1.0  # a real one writes a bookmark about once a minute


class Key:
    """Signs tokens."""

    def __init__(self, kind="rsa"):
        self.key = rsa.generate_private_key(public_exponent=65537, key_size=2048) if kind == "rsa" else ec.generate_private_key(ec.SECP256R1())
        self.is_rsa = kind == "rsa"
        der = self.key.public_key().public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
        digest = hashes.Hash(hashes.SHA256())
        digest.update(der)
        self.kid = b64(digest.finalize())

    def sign(self, claims, **header):
        head = as_text({"alg": "RS256" if self.is_rsa else "ES256", "kid": self.kid, **header}) + "." + as_text(claims)
        if self.is_rsa:
            signature = self.key.sign(head.encode(), padding.PKCS1v15(), hashes.SHA256())
        else:
            r, s = utils.decode_dss_signature(self.key.sign(head.encode(), ec.ECDSA(hashes.SHA256())))
            signature = r.to_bytes(32, "big") + s.to_bytes(32, "big")
        return secrets.note(head + "." + b64(signature), "a ServiceAccount's token")

    def verifies(self, token):
        head, _, signature = token.rpartition(".")
        raw, public = unb64(signature), self.key.public_key()
        try:
            if self.is_rsa:
                public.verify(raw, head.encode(), padding.PKCS1v15(), hashes.SHA256())
            else:
                der = utils.encode_dss_signature(int.from_bytes(raw[:32], "big"), int.from_bytes(raw[32:], "big"))
                public.verify(der, head.encode(), ec.ECDSA(hashes.SHA256()))
        except InvalidSignature:
            return False
        return True

    def jwk(self):
        numbers = self.key.public_key().public_numbers()
        if self.is_rsa:
            parts = {"kty": "RSA", "n": b64(numbers.n.to_bytes(256, "big")), "e": b64(numbers.e.to_bytes(3, "big"))}
        else:
            parts = {"kty": "EC", "crv": "P-256", "x": b64(numbers.x.to_bytes(32, "big")), "y": b64(numbers.y.to_bytes(32, "big"))}
        return {"use": "sig", "alg": "RS256" if self.is_rsa else "ES256", "kid": self.kid, **parts}


def status(code, reason, message=""):
    return {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "message": message or reason, "reason": reason, "code": code}


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def setup(self):
        self.request = self.server.api._tls.wrap_socket(self.request, server_side=True)
        self.api.connections.add(self.request)
        super().setup()

    def finish(self):
        self.api.connections.discard(self.request)
        super().finish()

    def log_message(self, *_args):
        pass

    @property
    def api(self):
        return self.server.api

    def answer(self, code, body, headers=(), kind="application/json"):
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.send_response(code)
        for name, value in headers:
            self.send_header(name, value)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def kind_of(self, path, query):
        if path == "/api/v1/serviceaccounts":
            return "watch" if query.get("watch") in ("1", "true") else "list"
        if re.fullmatch(r"/api/v1/namespaces/[^/]+/serviceaccounts/[^/]+", path):
            return "get"
        return {"/openid/v1/jwks": "jwks", "/apis/authentication.k8s.io/v1/tokenreviews": "review"}.get(path, "other")

    def allowed(self, kind):
        """What the request shows is checked as a real server does: 401 for strangers, 403 for what nobody granted."""
        shown = self.headers.get("Authorization", "")
        known = shown.startswith("Bearer ") and shown[7:] in self.api.service_tokens
        if not known and not self.request.getpeercert():
            self.answer(401, status(401, "Unauthorized"))
        elif kind in self.api.forbidden:
            self.answer(403, status(403, "Forbidden", "serviceaccounts is forbidden: User cannot do that"))
        else:
            return True
        return False

    def handle_any(self):
        url = urllib.parse.urlsplit(self.path)
        query = dict(urllib.parse.parse_qsl(url.query))
        kind = self.kind_of(url.path, query)
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.api.note(kind, query, self)
        self.api.while_silent(self)
        fault = self.api.next_fault(kind)
        if fault:
            code, headers, text = fault
            if code == "close":
                self.close_connection = True
                self.request.close()
                return
            self.answer(code, text if text is not None else b"" if code == 204 else status(code, "Fault"), headers)
            return
        if not self.allowed(kind):
            return
        if kind == "other":
            self.answer(404, status(404, "NotFound"))
        else:
            getattr(self, "do_" + kind)(url.path, query, body)

    do_GET = do_POST = handle_any

    def do_jwks(self, _path, _query, _body):
        self.answer(200, {"keys": [k.jwk() for k in self.api.keys]}, kind="application/jwk-set+json")

    def do_get(self, path, _query, _body):
        _, _, _, _, namespace, _, name = path.split("/")
        with self.api.changed:
            found = copy.deepcopy(self.api.objects.get((namespace, name)))
        if found is None:
            self.answer(404, status(404, "NotFound", f'serviceaccounts "{name}" not found'))
        else:
            self.answer(200, {"kind": "ServiceAccount", "apiVersion": "v1", **found})

    def do_review(self, _path, _query, body):
        self.answer(201, self.api.review(json.loads(body)))

    def do_list(self, _path, query, _body):
        with self.api.changed:
            code, page = self.api.page(query)
        self.answer(code, page)

    def line(self, event, body):
        data = json.dumps({"type": event, "object": body}).encode() + b"\n"
        self.wfile.write(b"%x\r\n" % len(data) + data + b"\r\n")

    def news(self, at):
        return [event for event in self.api.history if event[0] > at]

    def do_watch(self, _path, query, _body):
        api, at = self.api, int(query["resourceVersion"])
        end = time.monotonic() + float(query.get("timeoutSeconds") or 1800)
        generation, bookmark = api.generation, time.monotonic() + BOOKMARK_S
        if at < api.floor and not api.gone_in_stream:
            self.answer(410, status(410, "Expired", "too old resource version"))
            return
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        api.watching.add(self)
        try:
            while True:
                with api.changed:
                    if at >= api.floor and not self.news(at) and generation == api.generation:
                        api.changed.wait(min(max(0, end - time.monotonic()), max(0, bookmark - time.monotonic())))
                    gone, events, now = at < api.floor, self.news(at), api.version
                api.while_silent(self)
                if gone:
                    self.line("ERROR", status(410, "Expired", "too old resource version"))
                    break
                for version, event, found in events:
                    self.line(event, {"kind": "ServiceAccount", "apiVersion": "v1", **found})
                    at = version
                if time.monotonic() >= bookmark and not events and at <= now:
                    at, bookmark = now, time.monotonic() + BOOKMARK_S
                    if api.bookmarks and query.get("allowWatchBookmarks") == "true":
                        api.bookmarked = now
                        self.line("BOOKMARK", {"kind": "ServiceAccount", "apiVersion": "v1", "metadata": {"resourceVersion": str(now), "creationTimestamp": None}})
                if time.monotonic() >= end or generation != api.generation:
                    break
            for text in api.last_words:
                self.wfile.write(b"%x\r\n" % len(text) + text + b"\r\n")
            self.wfile.write(b"0\r\n\r\n")
        finally:
            api.watching.discard(self)


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def handle_error(self, *_args):
        """Clients that go, and handshakes that fail, are no news."""


class KubeApi:
    def __init__(self, folder, name="cluster", key="rsa", host=HOST, port=0):
        self.folder = Path(folder) / f"kubeapi-{name}"
        self.folder.mkdir(parents=True, exist_ok=True)
        self.name, self.host, self.port = name, host, port
        self.issuer = f"https://{name}.kube.example.invalid"
        self.keys = [Key(key)]
        self.ca, self.token_file = self.folder / "ca.crt", self.folder / "token"
        self.objects, self.pods, self.history, self.version, self.floor = {}, {}, [], 1000, 0
        self.changed = threading.Condition()
        self.generation = 0  # another number ends the watches that run
        self.gone_in_stream = False  # 410 as an ERROR event instead of a status
        self.bookmarks, self.bookmarked = True, 0
        self.last_words = []
        self.page_limit = None  # a server may give less than was asked for
        self.expire_continue = 0
        self.faults, self.forbidden, self.seen = {}, set(), []
        self.connections, self.watching = set(), set()
        self.talking = threading.Event()
        self.talking.set()
        self.service_tokens = set()
        self.client_ca = certificates.new_ca("clients of " + name)
        self.renew_service_token()
        self._server = self._tls = None
        self._new_certificate()

    # --- running -----------------------------------------------------------------------------------------------------
    @property
    def url(self):
        return f"https://{self.host}:{self.port}"

    def _new_certificate(self):
        self.authority = certificates.new_ca("CA of " + self.name)
        names = [certificates.ip(self.host), certificates.dns("kubernetes.default.svc")]
        issued = self.authority.issue("kube-apiserver", usage=(certificates.SERVER,), names=names)
        cert, key = issued.write(self.folder, "server")
        clients = self.folder / "clients.pem"
        clients.write_text(self.client_ca.pem)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(cert, key)
        context.load_verify_locations(str(clients))
        context.verify_mode = ssl.CERT_OPTIONAL
        self._tls = context
        self._replace(self.ca, self.authority.pem)

    @staticmethod
    def _replace(path, text):
        fresh = path.with_suffix(".new")
        fresh.write_text(text)
        os.replace(fresh, path)

    def start(self):
        self._server = Server((self.host, self.port), Handler)
        self._server.api = self
        self.port = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        return self

    def stop(self):
        if not self._server:
            return
        self._server.shutdown()
        self._server.server_close()
        self._server = None
        self.cut()

    def restart(self):
        self.stop()
        self.start()

    def set_up(self):
        self.forbidden.clear()
        return self

    def cut(self):
        """Closes all connections, in the middle of what they say."""
        with self.changed:
            self.generation += 1
            self.changed.notify_all()
        self.talking.set()
        for one in list(self.connections):
            try:
                one.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
            one.close()

    # --- faults ------------------------------------------------------------------------------------------------------
    def fail(self, kind, code, times=1, retry_after=None, body=None):
        """The next requests of a kind are answered so; code "close": their connection ends."""
        headers = [("Retry-After", str(retry_after))] if retry_after is not None else []
        self.faults.setdefault(kind, []).extend([(code, headers, body)] * times)

    def next_fault(self, kind):
        with self.changed:
            waiting = self.faults.get(kind)
            return waiting.pop(0) if waiting else None

    def silence(self):
        self.talking.clear()

    def speak(self):
        self.talking.set()

    def while_silent(self, _handler):
        self.talking.wait()

    def note(self, kind, query, handler):
        self.seen.append((kind, query, handler.headers.get("Accept", "")))

    def count(self, kind):
        return sum(1 for k, _q, _a in list(self.seen) if k == kind)

    def forget_history(self):
        with self.changed:
            self.floor = self.version
            self.history.clear()

    def end_watches(self, gone=False, words=()):
        """The watches that run end; gone: because their version is too old. words: bytes that they say at last."""
        with self.changed:
            self.last_words = [w if isinstance(w, bytes) else w.encode() for w in words]
            if gone:
                self.version += 1
                self.floor = self.version
                self.history.clear()
                self.gone_in_stream = True
            self.generation += 1
            self.changed.notify_all()

    def rotate_ca(self):
        """Another CA and certificate; connections that were there end."""
        self._new_certificate()
        self.cut()

    def rotate_signing_key(self, kind="rsa", keep=True):
        self.keys = (self.keys if keep else []) + [Key(kind)]

    def renew_service_token(self, keep=False):
        token = secrets.note("sa-" + uuid.uuid4().hex, "the token of the service at the API server")
        self.service_tokens = (self.service_tokens if keep else set()) | {token}
        self._replace(self.token_file, token + "\n")

    # --- what it knows -----------------------------------------------------------------------------------------------
    def _event(self, kind, found):
        self.version += 1
        found["metadata"]["resourceVersion"] = str(self.version)
        self.history.append((self.version, kind, copy.deepcopy(found)))
        self.changed.notify_all()

    def namespace(self, name):
        return name

    def account(self, namespace, name, annotations=None, **more):
        """A new one, with more members of its metadata; its uid."""
        uid = str(uuid.uuid4())
        found = {"metadata": {"name": name, "namespace": namespace, "uid": uid, "creationTimestamp": "2026-01-01T00:00:00Z",
                              **({"annotations": dict(annotations)} if annotations else {}), **more}}
        with self.changed:
            assert (namespace, name) not in self.objects, "there is one"
            self.objects[namespace, name] = found
            self._event("ADDED", found)
        return uid

    def annotate(self, namespace, name, **annotations):
        """allowed_pub_subjects=… and the like; None takes one away."""
        with self.changed:
            found = self.objects[namespace, name]
            have = found["metadata"].setdefault("annotations", {})
            for key, value in annotations.items():
                key = "nats.io/" + key.replace("_", "-")
                if value is None:
                    have.pop(key, None)
                else:
                    have[key] = value
            self._event("MODIFIED", found)

    def delete_account(self, namespace, name):
        with self.changed:
            self._event("DELETED", self.objects.pop((namespace, name)))

    def pod(self, namespace, name, account):
        self.pods[namespace, name] = (str(uuid.uuid4()), account)
        return name

    def delete_pod(self, namespace, name):
        del self.pods[namespace, name]

    def page(self, query):
        limit = int(query.get("limit") or 0) or len(self.objects) + 1
        limit = min(limit, self.page_limit or limit)
        keys, first, version = sorted(self.objects), 0, self.version
        if "continue" in query:
            token = json.loads(base64.urlsafe_b64decode(query["continue"]))
            if self.expire_continue:
                self.expire_continue -= 1
                return 410, status(410, "Expired", "The provided continue parameter is too old")
            version, first = token["v"], next((i for i, k in enumerate(keys) if list(k) > token["after"]), len(keys))
        items = [self.objects[k] for k in keys[first:first + limit]]
        rest = len(keys) - first - len(items)
        meta = {"resourceVersion": str(version)}
        if rest:
            after = {"v": version, "after": list(keys[first + limit - 1])}
            meta |= {"continue": base64.urlsafe_b64encode(json.dumps(after).encode()).decode(), "remainingItemCount": rest}
        return 200, json.dumps({"kind": "ServiceAccountList", "apiVersion": "v1", "metadata": meta, "items": items}).encode()

    # --- tokens ------------------------------------------------------------------------------------------------------
    def claims(self, namespace, name, audience="nats", seconds=600, pod=None):
        now = int(time.time())
        audience = [audience] if isinstance(audience, str) else audience or [self.issuer]
        bound = {"pod": {"name": pod, "uid": self.pods[namespace, pod][0]}, "node": {"name": "w1", "uid": str(uuid.uuid4())}} if pod else {}
        uid = self.objects[namespace, name]["metadata"]["uid"]
        return {"aud": audience, "exp": now + seconds, "iat": now, "nbf": now, "iss": self.issuer, "jti": str(uuid.uuid4()),
                "sub": f"system:serviceaccount:{namespace}:{name}",
                "kubernetes.io": {"namespace": namespace, "serviceaccount": {"name": name, "uid": uid}, **bound}}

    def token(self, namespace, name, audience="nats", seconds=600, pod=None):
        return self.sign(self.claims(namespace, name, audience, seconds, pod))

    def sign(self, claims, **header):
        return self.keys[-1].sign(claims, **header)

    def review(self, asked):
        token, wanted = asked["spec"]["token"], asked["spec"].get("audiences") or [self.issuer]
        found = {"kind": "TokenReview", "apiVersion": "authentication.k8s.io/v1", "metadata": {}, "spec": asked["spec"]}
        key = next((k for k in self.keys if k.kid == header_of(token).get("kid")), None)
        claims = claims_of(token)
        audiences = [a for a in wanted if a in claims["aud"]]
        io = claims["kubernetes.io"]
        namespace, account = io["namespace"], io["serviceaccount"]
        with self.changed:
            there = self.objects.get((namespace, account["name"]))
            pod = self.pods.get((namespace, io["pod"]["name"])) if "pod" in io else None
        good = (key and key.verifies(token) and claims["exp"] > time.time() and audiences and there and there["metadata"]["uid"] == account["uid"]
                and ("pod" not in io or (pod and pod[0] == io["pod"]["uid"])))
        if not good:
            return found | {"status": {"user": {}, "error": "[invalid bearer token, the token has been invalidated]"}}
        user = {"username": f"system:serviceaccount:{namespace}:{account['name']}", "uid": account["uid"],
                "groups": ["system:serviceaccounts", f"system:serviceaccounts:{namespace}", "system:authenticated"]}
        return found | {"status": {"authenticated": True, "user": user, "audiences": audiences}}

    # --- how to reach it ---------------------------------------------------------------------------------------------
    def client_certificate(self, name="admin"):
        """Paths of a certificate that is let in, and of its key."""
        subject = x509.Name([x509.NameAttribute(NameOID.ORGANIZATION_NAME, "system:masters"), x509.NameAttribute(NameOID.COMMON_NAME, name)])
        return self.client_ca.issue(subject=subject).write(self.folder, name)

    def kubeconfig(self, name="admin", **user):
        """A kubeconfig with these members of its user; a client certificate without any."""
        if not user:
            cert, key = self.client_certificate(name)
            user = {"client-certificate-data": base64.b64encode(cert.read_bytes()).decode(), "client-key": key.name}
        path = self.folder / f"{name}.kubeconfig"
        path.write_text(yaml.safe_dump({
            "apiVersion": "v1", "kind": "Config", "current-context": "tests", "contexts": [
                {"name": "elsewhere", "context": {"cluster": "elsewhere", "user": "nobody"}}, {"name": "tests", "context": {"cluster": "tests", "user": name}}],
            "clusters": [{"name": "elsewhere", "cluster": {"server": "https://elsewhere.example.invalid"}},
                         {"name": "tests", "cluster": {"server": self.url, "certificate-authority-data": base64.b64encode(self.ca.read_bytes()).decode()}}],
            "users": [{"name": name, "user": user}]}))
        path.chmod(0o600)
        return path
