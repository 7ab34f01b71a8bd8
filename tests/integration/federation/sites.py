"""Three sites with the tests' documents, and clients of every kind of credential at each of their servers."""
from harness.federation import Federation
from harness.mqtt import MqttClient
from harness.natsio import NatsClient, run
from harness.site import OAUTH_USER
from harness.wait import PATIENCE, until

from .clients import Listener
from .documents import document
from .streams import Streams

MQTT_PORT = {"main": "MQTT", "mtls": "MTLS_MQTT"}
NATS_PORT = {"main": "NATS", "mtls": "MTLS_NATS"}
# What proves who a client is. On the mTLS server an MQTT client needs a certificate; a token beside it goes first.
KINDS = {
    ("main", "mqtt"): ("token", "anonymous"), ("main", "nats"): ("nkey", "token", "anonymous"),
    ("mtls", "mqtt"): ("certificate", "token"), ("mtls", "nats"): ("nkey", "token"),
}


class Hearer(NatsClient):
    """A NATS client whose messages are handed on as they come."""

    def listen(self, subject, on_message):
        async def hand_on(message):
            on_message(message)

        run(self.nc.subscribe(subject, cb=hand_on))


class Place:
    """A site of the federation. rights: a name of documents.RIGHTS without fed-, or publisher: wide, anonymous where that can be."""

    def __init__(self, federation, site):
        self.federation, self.site, self.name = federation, site, site.name
        self._tls, self._tokens = {}, {}

    # --- credentials ---------------------------------------------------------------------------------------------
    def token(self, name):
        if name not in self._tokens:
            self._tokens[name] = self.site.idp.token(azp=name, exp="now+7200")
        return self._tokens[name]

    def tls(self, name):
        """A certificate for this name, issued once."""
        if name not in self._tls:
            self._tls[name] = self.site.issue_tls(f"{name}.{self.name}")
        return self._tls[name]

    def kind(self, server, protocol, rights):
        """The usual credential: they differ from server to server."""
        if rights in ("publisher", "anonymous"):
            return "wide", "anonymous" if (server, protocol) == ("main", "mqtt") else KINDS[server, protocol][0]
        return rights, KINDS[server, protocol][1 if (server, protocol) == ("mtls", "nats") else 0]

    def credential(self, server, protocol, rights, kind=None):
        """The options of a client."""
        rights, usual = self.kind(server, protocol, rights)
        kind, name = kind or usual, rights if rights.startswith("launchlayer") else f"fed-{rights}"
        options = {}
        if server == "mtls" and protocol == "mqtt":
            options["tls"] = self.tls(name if kind == "certificate" else "nobody")
        if kind == "token":
            options |= {"user": OAUTH_USER, "password": self.token(name)}
        elif kind == "nkey":
            options["seed"] = self.site.key(name).seed
        return options

    # --- clients -------------------------------------------------------------------------------------------------
    def _mqtt(self, make, server, rights, kind, options):
        return make(self.site.address, self.site.ports[MQTT_PORT[server]], **self.credential(server, "mqtt", rights, kind), **options)

    def mqtt(self, server, rights, kind=None, **options):
        return self._mqtt(MqttClient, server, rights, kind, options)

    def listener(self, server, rights, on_copy, kind=None, **options):
        return self._mqtt(Listener, server, rights, kind, {"on_copy": on_copy, **options})

    def nats(self, server, rights, kind=None, **options):
        return Hearer(self.site.url(NATS_PORT[server]), **self.credential(server, "nats", rights, kind), **options)

    def where(self, server, rights="wide", kind=None):
        """For clients.Steady."""
        found = self.credential(server, "mqtt", rights, kind)
        return self.site.address, self.site.ports[MQTT_PORT[server]], found.get("user"), found.get("password"), found.get("tls")

    def observer(self, node=0):
        """An internal NATS client: it may see and say everything in the data account."""
        return Hearer(self.site.url(node=node), seed=self.site.key("fed-observer").seed)

    def ask(self, what, body=b""):
        """A question to the site's JetStream."""
        with self.observer() as client:
            return Streams(client).ask(what, body)

    def retained(self, filters, server="main", rights="wide", expect=None, timeout=PATIENCE):
        """What a new subscriber gets with the retain flag: {topic: payload}; expect: waits for this."""
        found = {}
        with self.listener(server, rights, lambda topic, payload, _qos, retain, _dup: retain and found.update({topic: payload})) as client:
            def look():
                found.clear()
                client.subscribe([(f, 1) for f in filters])
                client.barrier()
                return expect is None or found == expect
            # what comes later comes without the flag: each look is a new subscription
            until(look, lambda: f"{self.name}: retained {found} instead of {expect}", timeout=timeout, every=0.1)
        return found


class ThreeSites(Federation):
    """Federation with the tests' documents; places["cpc-1"] makes clients."""

    def __init__(self, run_dir, **settings):
        super().__init__(run_dir, **{"idp_test_api": "on", **settings})
        folder = self.run_dir / "documents"
        folder.mkdir(parents=True, exist_ok=True)
        for site in self:
            (folder / f"{site.name}.yaml").write_text(document(site.name, site.account, lambda name, site=site: site.key(name).public))
        self.bus.configure(site_docs=folder)
        self.places = {site.name: Place(self, site) for site in self}

    def up(self):
        super().up()
        self.healthy()
        return self
