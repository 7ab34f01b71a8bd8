"""Clients as a site has them: by token, certificate, anonymous, and those that are refused. With the usual command line clients."""
import subprocess
import urllib.parse
import urllib.request
import json


class Clients:
    def __init__(self, bus, folder):
        self.bus = bus
        self.certs = {site: bus.run_dir / site / "certs" for site in bus.sites}
        for site in bus.sites:
            self._stranger(site, folder / f"stranger-{site}")
        self.strangers = {site: folder / f"stranger-{site}" for site in bus.sites}

    def _stranger(self, site, target):
        """A certificate of the site's CA whose name is in no entry."""
        certs = self.certs[site]
        subprocess.run(["openssl", "req", "-x509", "-CA", certs / "ca.pem", "-CAkey", certs / "ca-key.pem", "-days", "2", "-newkey", "ec",
                        "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", "/CN=stranger", "-keyout", f"{target}-key.pem",
                        "-out", f"{target}.pem", "-addext", "basicConstraints=critical,CA:FALSE", "-addext", "extendedKeyUsage=clientAuth"],
                       check=True, capture_output=True)

    def token(self):
        form = {"grant_type": "client_credentials", "client_id": "mqtt-client", "client_secret": "mqtt-client-secret", "scope": "mqtt"}
        with urllib.request.urlopen(f"http://{self.bus.address}:{self.bus.ports['IDP']}/token", urllib.parse.urlencode(form).encode(),
                                    timeout=10) as answer:
            return json.load(answer)["access_token"]

    def mqtt(self, site, *options, program="mosquitto_pub", port="MQTT"):
        return subprocess.run([program, "-h", self.bus.nodes[site][0], "-p", str(self.bus.ports[port]), *map(str, options)],
                              capture_output=True, text=True, timeout=30).returncode

    def once(self, sure=True):
        """One of each at each site; sure: those that must get in do, and the others do not."""
        for site in self.bus.sites:
            certs, stranger = self.certs[site], self.strangers[site]
            by_token = ("-u", "oauthtoken", "-P", self.token())
            tls = ("--cafile", certs / "ca.pem", "--cert")
            message = ("-t", "test/m", "-m", "x", "-q", "1")
            got = {
                "a lasting session": self.mqtt(site, "-i", f"lasting-{site}", "-c", "-q", "1", "-t", "test/#", "-E", *by_token,
                                               program="mosquitto_sub"),
                "a token": self.mqtt(site, *message, *by_token),
                "a certificate": self.mqtt(site, *message, *tls, certs / "client.pem", "--key", certs / "client-key.pem", port="MTLS_MQTT"),
                "nobody": self.mqtt(site, *message),
            }
            refused = {
                "a damaged token": self.mqtt(site, *message, "-u", "oauthtoken", "-P", by_token[3][:-4] + "AAAA"),
                "a password": self.mqtt(site, *message, "-u", "somebody", "-P", "guess"),
                "a stranger's certificate": self.mqtt(site, *message, *tls, f"{stranger}.pem", "--key", f"{stranger}-key.pem", port="MTLS_MQTT"),
            }
            if sure:
                assert all(status == 0 for status in got.values()), (site, got)
                assert all(status != 0 for status in refused.values()), (site, refused)
