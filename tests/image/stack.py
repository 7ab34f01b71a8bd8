"""A nats-server, an identity provider by https, and auth-callout in the root of its image, which finds both by name."""
import contextlib
import http.server
import json
import random
import signal
import socket
import socketserver
import ssl
import struct
import subprocess
import threading
import time
import urllib.error
import urllib.request
from pathlib import Path

import yaml
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from harness import certificates, nkeys, secrets, tokens
from harness.bus import NATS_SERVER
from harness.logs import Log
from harness.natsio import NatsClient
from harness.rootfs import AS_ROOT, Container, give
from harness.wait import until

ADDRESS = "127.46.0.1"
NATS_NAME, DNS_NAME = "nats.event-bus.svc", "idp.image.test"
BUNDLE = "/etc/ssl/certs/ca-certificates.crt"


def free_port(address):
    while True:
        port = random.randint(10000, 31000)
        with contextlib.suppress(OSError), socket.create_server((address, port)):
            return port


class Provider:
    """Gives out its keys at https://NAME:PORT/jwks.json, with a certificate of a CA for that name, and signs tokens."""

    def __init__(self, name, address, ca, folder):
        self.url = f"https://{name}:{{port}}"
        self.key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        self.asked = 0
        cert, key = ca.issue(name, usage=(certificates.SERVER,), names=[certificates.dns(name)]).write(folder, name)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(cert, key)
        provider = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                provider.asked += 1
                body = json.dumps(provider.jwks()).encode()
                self.send_response(200)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_args):
                pass

        self.server = http.server.ThreadingHTTPServer((address, 0), Handler)
        self.server.socket = context.wrap_socket(self.server.socket, server_side=True)
        self.url = f"https://{name}:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def jwks(self):
        numbers = self.key.public_key().public_numbers()
        return {"keys": [{"kty": "RSA", "use": "sig", "alg": "RS256", "kid": "one", "e": tokens.b64(b"\1\0\1"),
                          "n": tokens.b64(numbers.n.to_bytes(256, "big"))}]}

    def token(self, azp, **claims):
        now = int(time.time())
        payload = {"iss": self.url, "aud": "event-bus", "azp": azp, "sub": azp, "iat": now, "exp": now + 600} | claims
        return tokens.forge({"alg": "RS256", "kid": "one", "typ": "JWT"}, payload,
                            lambda data: self.key.sign(data, padding.PKCS1v15(), hashes.SHA256()))

    def stop(self):
        self.server.shutdown()
        self.server.server_close()


class Names(socketserver.UDPServer):
    """A DNS server that knows one name. A client of the C library asks port 53 only, which wants root or a kernel that lets everybody."""

    allow_reuse_address = True

    def __init__(self, address, name, value):
        self.name, self.value, self.asked = name.encode(), socket.inet_aton(value), []
        super().__init__((address, 53), None)
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def finish_request(self, request, client_address):
        data, sock = request
        at, labels = 12, []
        while data[at]:
            labels.append(data[at + 1:at + 1 + data[at]])
            at += 1 + data[at]
        name, kind = b".".join(labels), struct.unpack(">H", data[at + 1:at + 3])[0]
        self.asked.append((name.decode(), kind))
        known = name.lower() == self.name
        answer = b"\xc0\x0c" + struct.pack(">HHIH", 1, 1, 60, 4) + self.value if known and kind == 1 else b""
        head = data[:2] + struct.pack(">HHHHH", 0x8180 | (0 if known else 3), 1, 1 if answer else 0, 0, 0)
        sock.sendto(head + data[12:at + 5] + answer, client_address)


class Stack:
    def __init__(self, folder, root):
        self.folder, self.root = Path(folder), root
        self.folder.mkdir()
        self.port, self.health, self.metrics = (free_port(ADDRESS) for _ in range(3))
        self.keys = {kind: nkeys.Key(kind) for kind in "UAX"}
        ca = certificates.new_ca("CA of the tests")
        self.by_hosts = Provider("localhost", "127.0.0.1", ca, self.folder)
        self.names = self.by_dns = None
        if AS_ROOT:
            self.names = Names(ADDRESS, DNS_NAME, ADDRESS)
            self.by_dns = Provider(DNS_NAME, ADDRESS, ca, self.folder)
        mounts = self._write(ca)
        self.callout = Container(root, self.folder, ["run", "--config", "/etc/auth-callout/auth-callout.yaml"], mounts=mounts)
        self.log = Log(self.callout.log)
        self.server = None

    def _write(self, ca):
        """What a pod gets: a ConfigMap, a Secret, and from kubelet the names."""
        config, keys = self.folder / "config", self.folder / "keys"
        for made in (config, keys):
            made.mkdir(mode=0o755)
        issuer = {"url": f"{self.by_hosts.url}/jwks.json", "issuer": self.by_hosts.url, "audience": "event-bus"}
        further = [{"name": "dns", "url": f"{self.by_dns.url}/jwks.json", "issuer": self.by_dns.url, "audience": "event-bus"}] if self.by_dns else []
        (config / "auth-callout.yaml").write_text(yaml.safe_dump({
            "nats": {"url": f"nats://{NATS_NAME}:{self.port}", "nkey-seed-file": "/etc/auth-callout-keys/nkey-seed",
                     "issuer-seed-file": "/etc/auth-callout-keys/issuer-seed", "xkey-seed-file": "/etc/auth-callout-keys/xkey-seed"},
            "jwks": issuer, "issuers": further,
            "permissions": {"file": "/etc/auth-callout/permissions.yaml"},
            "readiness": {"require": ["jwks", *(i["name"] for i in further)]},
            "host": {"name": ADDRESS, "port": self.health},
            "observability": {"metrics": {"prometheus": {"name": ADDRESS, "port": self.metrics}}}}))
        entry = {"account": "CSC", "permissions": {"pub": {"allow": ["hall.>"]}, "sub": {"allow": ["hall.>"]}}}
        (config / "permissions.yaml").write_text(json.dumps({"oauth2": {
            "gateway": {"azp": "gateway", **entry}, **({"dns": {"azp": "gateway", "issuer": "dns", **entry}} if further else {})}}))
        for kind, name in (("U", "nkey-seed"), ("A", "issuer-seed"), ("X", "xkey-seed")):
            (keys / name).write_text(secrets.note(self.keys[kind].seed, f"the seed {kind}"))
            give(keys / name)
        (self.folder / "hosts").write_text(f"127.0.0.1 localhost\n{ADDRESS} {NATS_NAME}\n")
        (self.folder / "resolv.conf").write_text(f"nameserver {ADDRESS}\noptions timeout:2 attempts:1\n")
        # the image's own, and one more as an administrator would add it
        (self.folder / "bundle.crt").write_text(Path(f"{self.root.path}{BUNDLE}").read_text() + ca.pem)
        return {"/etc/auth-callout": config, "/etc/auth-callout-keys": keys, "/etc/hosts": self.folder / "hosts",
                "/etc/resolv.conf": self.folder / "resolv.conf", BUNDLE: self.folder / "bundle.crt"}

    def start(self):
        (self.folder / "nats.conf").write_text(f"""server_name: image-test
listen: "{ADDRESS}:{self.port}"
system_account: SYS
accounts {{ SYS {{ }}, AUTH {{ users: [ {{ nkey: {self.keys["U"].public} }} ] }}, CSC {{ }} }}
authorization {{
  timeout: 20
  auth_callout {{ account: AUTH, auth_users: [ {self.keys["U"].public} ], issuer: {self.keys["A"].public}, xkey: {self.keys["X"].public} }}
}}
""")
        with (self.folder / "nats.log").open("wb") as log:
            self.server = subprocess.Popen([NATS_SERVER, "-c", self.folder / "nats.conf"], stdout=log, stderr=log, stdin=subprocess.DEVNULL)
        until(lambda: "Server is ready" in (self.folder / "nats.log").read_text(), "nats-server to be ready")
        self.callout.start()
        self.callout.until(lambda: self.http("/readyz")[0] == 200, "auth-callout to be ready")
        return self

    def http(self, path):
        try:
            with urllib.request.urlopen(f"http://{ADDRESS}:{self.health}{path}", timeout=5) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()
        except OSError as error:
            return 0, str(error)

    def client(self, token):
        return NatsClient(f"nats://{ADDRESS}:{self.port}", token=token)

    def stop(self):
        status = self.callout.stop()
        if self.server and self.server.poll() is None:
            self.server.send_signal(signal.SIGKILL)
            self.server.wait(10)
        for provider in (self.by_hosts, self.by_dns):
            if provider:
                provider.stop()
        if self.names:
            self.names.shutdown()
            self.names.server_close()
        assert status in (0, None), f"auth-callout ended with {status}:\n{self.callout.text()[-3000:]}"
        leaks = secrets.found_in(self.callout.text())
        assert not leaks, leaks
