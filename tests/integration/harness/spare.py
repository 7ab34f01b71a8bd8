"""nats-servers beside the two of a site, run by a test: one that takes certificates from NATS clients and leaves, and leaves of clients."""
import subprocess

from .bus import NATS_SERVER
from .natsio import NatsClient
from .wait import until


class Server:
    """A nats-server with a configuration of one's own, in a folder below the site's, so that its log is searched for secrets too."""

    def __init__(self, site, name, config):
        self.site = site
        self.name = name
        self.conf = site.dir / f"conf/{name}.conf"
        self.log = site.dir / f"log/{name}.log"
        self.conf.write_text(config)
        self.conf.chmod(0o600)
        self.process = None

    def start(self, ready=None):
        with self.log.open("ab") as log:
            self.process = subprocess.Popen([NATS_SERVER, "-c", str(self.conf)], stdout=log, stderr=log, stdin=subprocess.DEVNULL)
        until(ready or (lambda: "Server is ready" in self.text()), lambda: f"{self.name} to be ready:\n{self.text()[-2000:]}")
        return self

    def text(self):
        return self.log.read_text(errors="replace")

    def stop(self):
        if self.process and self.process.poll() is None:
            self.process.terminate()
            self.process.wait(15)

    def __enter__(self):
        return self.start()

    def __exit__(self, *_exc):
        self.stop()


class NatsTls(Server):
    """Like the mTLS server of the site, but its NATS and leaf listeners are those that verify certificates."""

    def __init__(self, site):
        port, leaf = site.ports["SPARE_1"], site.ports["SPARE_2"]
        self.port, self.leaf_port = port, leaf
        tls = "\n".join(f'{key}: "{site.certs / name}"' for key, name in (
            ("cert_file", "server.pem"), ("key_file", "server-key.pem"), ("ca_file", "ca.pem")))
        remote = f"nats-leaf://{site.address}:{site.ports['LEAF']}"
        super().__init__(site, "nats-tls", f"""
server_name: nats-tls
listen: "{site.address}:{port}"
max_control_line: 65536
tls {{ {tls}
  verify: true, timeout: 20 }}
leafnodes {{
  listen: "{site.address}:{leaf}"
  tls {{ {tls}
    verify: true, timeout: 20 }}
  authorization {{ timeout: 55 }}
  remotes: [
    {{ url: "{remote}", account: {site.account}, nkey: {site.key('mtls-leaf').seed} }}
    {{ url: "{remote}", account: AUTHX, nkey: {site.key('mtls-authx-leaf').seed} }}
  ]
}}
system_account: SYS
accounts {{ SYS {{ users: [ {{ nkey: {site.key('sys-admin').public} }} ] }}, AUTHX {{}}, {site.account} {{}} }}
authorization {{
  timeout: 50
  auth_callout {{ issuer: {site.key('issuer').public}, account: AUTHX, auth_users: [ {site.key('sys-admin').public} ]
    xkey: {site.key('xkey').public} }}
}}
""")

    def start(self, ready=None):
        return super().start(lambda: self.text().count("Leafnode connection created for account") >= 2)

    def client(self, **options):
        return NatsClient(f"tls://{self.site.address}:{self.port}", **options)
