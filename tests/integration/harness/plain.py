"""
Bare nats-servers of several sites, linked by leaf nodes, without auth-callout and mTLS servers: what is said about streams
shows here alone, and a server is stopped and started in a tenth of a second.

  bus = Plain(folder).up()
  bus.site("csc").stop() .start() .restart(); bus.streams("csc", "apply", …) runs `eventbus streams apply` against it
  bus.proxy["1"].cut() / .heal()         the leaf link of CPC 1
  Plain(folder, replicas=3)              the CSC as a cluster of three, its streams with three replicas; the links lead to its first node
"""
import contextlib
import json
import os
import random
import signal
import socket
import subprocess
from pathlib import Path

from .natsio import NatsClient
from .nkeys import Key
from .proxy import Proxy
from .wait import PATIENCE, SLOW, until

ROOT = Path(__file__).resolve().parents[3]
BUILD = Path(os.environ.get("EB_BUILD", ROOT / "build"))
NATS_SERVER = ROOT / ".deps/bin/nats-server"
EVENTBUS = BUILD / "eventbus/eventbus"
STREAMS = ("XL_RETAINED", "$MQTT_msgs", "$MQTT_rmsgs", "$MQTT_qos2in")
PASSWORD = "leaf-password-of-a-test"


def quoted(subjects):
    return "[" + ", ".join(f'"{s}"' for s in subjects) + "]"


class PlainSite:
    def __init__(self, bus, name, address):
        self.bus, self.name, self.address = bus, name, address
        self.id = name.partition("-")[2]
        self.account = "CPC" if self.id else "CSC"
        self.domain = name.upper()
        self.folder = bus.folder / name
        self.folder.mkdir(parents=True, exist_ok=True)
        self.key = Key("U")
        self.seed = self.folder / "streams.nk"
        self.seed.write_text(self.key.seed + "\n")
        self.seed.chmod(0o600)
        self.document = self.folder / "site.yaml"
        self.process = None

    @property
    def url(self):
        return f"nats://{self.address}:4222"

    @property
    def urls(self):
        return self.url.split(",")

    # --- files ---------------------------------------------------------------------------------------------------
    def write(self, **changes):
        """The site document (with other mqttStreams where given) and the server's configuration."""
        streams = {"maxBytes": 67108864, "maxAge": "3h", "storage": "file", "replicas": 1, **changes}
        bus = {"clusterType": "cpc" if self.id else "csc", "crossLayer": self.bus.lists, "mtls": {"enabled": False}, "mqttStreams": streams}
        bus |= {"clusterId": self.id, "cscEndpoint": "nats://127.0.0.1:7422"} if self.id else {"cpcIds": self.bus.ids}
        self.document.write_text(json.dumps({"global": {"eventBus": bus}}))
        (self.folder / "server.conf").write_text(self.config())
        return self

    def streams_user(self):
        probes = ["$JS.CSC.API.CONSUMER.CREATE.>"] if self.id else [f"$XL.{i}.api.CONSUMER.CREATE.>" for i in self.bus.ids]
        publish = ["$JS.API.INFO"] + [f"$JS.API.STREAM.{v}.{s}" for v in ("INFO", "CREATE", "UPDATE", "LEADER.STEPDOWN") for s in STREAMS]
        subscribe = ["_INBOX.>"] + ([] if self.id else [f"$JSC.R.{i}.>" for i in self.bus.ids])
        return (f'{{nkey: {self.key.public}, permissions: {{publish: {{allow: {quoted(publish + probes)}}}, '
                f'subscribe: {{allow: {quoted(subscribe)}}}}}}}')

    def config(self):
        lists = self.bus.lists
        common = f"""server_name: {self.name}-main
listen: "{self.address}:4222"
feature_flags {{ js_ack_fc_v2: true, js_api_reply_v2: true }}
jetstream {{ domain: {self.domain}, store_dir: "{self.folder}/js", max_mem: 256MB, max_file: 2GB }}
system_account: SYS
mqtt {{ listen: "{self.address}:1883", stream_replicas: 1 }}
"""
        users = f'{{user: app, password: "{PASSWORD}"}}, {self.streams_user()}'
        if not self.id:
            leaves = "".join(",\n" + self.leaf_user(i) for i in self.bus.ids)
            return common + f"""leafnodes {{ listen: "{self.address}:7422", no_advertise: true }}
accounts {{ SYS {{ users [{{user: sys, password: "{PASSWORD}"}}] }}
  CSC {{ jetstream: {{ max_memory: 128MB, max_file: 1GB }}
    users [ {users}{leaves} ] }} }}
"""
        i = self.id
        up, down = lists["cpcExports"], lists["cscExports"] + [f"cpc.{i}.{p}" for p in lists["cscPrefixedExports"]]
        streams_in = ", ".join(f'{{stream: {{account: CSC, subject: "{p}"}}}}' for p in lists["cscExports"]) + ", " + ", ".join(
            f'{{stream: {{account: CSC, subject: "cpc.{i}.{p}"}}, to: "{p}"}}' for p in lists["cscPrefixedExports"])
        return common + f"""leafnodes {{ reconnect: "100ms"
  remotes [ {{url: "nats://leaf-{i}:{PASSWORD}@{self.bus.proxy[i].listen[0]}:{self.bus.proxy[i].listen[1]}", account: CSC}} ] }}
accounts {{ SYS {{ users [{{user: sys, password: "{PASSWORD}"}}] }}
  CPC {{ jetstream: {{ max_memory: 128MB, max_file: 1GB }}
    users [ {users} ]
    exports [ {", ".join(f'{{stream: "{p}", accounts: [CSC]}}' for p in up)}
      {{stream: "$XL.up.{i}.>", accounts: [CSC]}}
      {{service: "$JS.API.CONSUMER.CREATE.>", accounts: [CSC]}}
      {{service: "$JS.FC.CPC-{i}.>", accounts: [CSC]}} ]
    imports [ {streams_in}
      {{stream: {{account: CSC, subject: "$XL.down.{i}.>"}}}}
      {{service: {{account: CSC, subject: "$JS.CSC.API.CONSUMER.CREATE.>"}}}}
      {{service: {{account: CSC, subject: "$JS.FC.CSC.>"}}}} ] }}
  CSC {{
    exports [ {", ".join(f'{{stream: "{p}", accounts: [CPC]}}' for p in down)}
      {{stream: "$XL.down.{i}.>", accounts: [CPC]}}
      {{service: "$JS.CSC.API.CONSUMER.CREATE.>", accounts: [CPC]}}
      {{service: "$JS.FC.CSC.>", accounts: [CPC]}} ]
    imports [ {", ".join(f'{{stream: {{account: CPC, subject: "{p}"}}, to: "cpc.{i}.{p}"}}' for p in up)}
      {{stream: {{account: CPC, subject: "$XL.up.{i}.>"}}}}
      {{service: {{account: CPC, subject: "$JS.API.CONSUMER.CREATE.>"}}, to: "$XL.{i}.api.CONSUMER.CREATE.>"}}
      {{service: {{account: CPC, subject: "$JS.FC.CPC-{i}.>"}}}} ] }} }}
"""

    def leaf_user(self, i):
        lists = self.bus.lists
        down = lists["cscExports"] + [f"cpc.{i}.{p}" for p in lists["cscPrefixedExports"]]
        create = "$JS.CSC.API.CONSUMER.CREATE"
        publish = [f"cpc.{i}.{p}" for p in lists["cpcExports"]] + [f"{create}.$MQTT_msgs.*.$MQTT.msgs.{p}" for p in down] + [
            f"{create}.XL_RETAINED.*.$XL.r.{p}" for p in down] + ["$JS.FC.CSC.>", f"$XL.up.{i}.>", f"$JSC.R.{i}.>"]
        subscribe = down + [f"$XL.down.{i}.>", "_R_.>", f"$XL.{i}.api.CONSUMER.CREATE.>", f"$JS.FC.CPC-{i}.>"]
        return (f'{{user: leaf-{i}, password: "{PASSWORD}", permissions: {{publish: {{allow: {quoted(publish)}, deny: ["$MQTT.>"]}}, '
                f'subscribe: {{allow: {quoted(subscribe)}, deny: ["$MQTT.>"]}}}}}}')

    # --- running -------------------------------------------------------------------------------------------------
    def start(self):
        log = open(self.folder / "server.log", "ab")
        self.process = subprocess.Popen([NATS_SERVER, "-c", self.folder / "server.conf"], stdout=log, stderr=log)
        log.close()
        return self

    def stop(self, how=signal.SIGTERM):
        if self.process and self.process.poll() is None:
            self.process.send_signal(how)
            self.process.wait(PATIENCE)

    def restart(self):
        self.stop()
        self.start()

    def client(self, **options):
        return NatsClient(self.url, user="app", password=PASSWORD, **options)

    def up(self):
        def listening():
            try:
                with self.client():
                    return True
            except Exception:
                return False
        until(listening, lambda: f"{self.name} is not up: {(self.folder / 'server.log').read_text()[-2000:]}")
        return self

    def js(self, name, body=None):
        """Asks $JS.API as an administrator of the data account."""
        with self.client() as client:
            return json.loads(client.request("$JS.API." + name, json.dumps(body).encode() if body else b"").data)


class PlainCluster(PlainSite):
    """A CSC of several servers; what a PlainSite does with its one server is done with all of them."""

    def __init__(self, bus, name, addresses):
        super().__init__(bus, name, addresses[0])
        self.addresses, self.processes = addresses, [None] * len(addresses)

    @property
    def url(self):
        return ",".join(f"nats://{address}:4222" for address in self.addresses)

    def write(self, **changes):
        super().write(**{"replicas": len(self.addresses), **changes})
        routes = ", ".join(f'"nats://{address}:6222"' for address in self.addresses)
        for n, address in enumerate(self.addresses, 1):
            text = self.config().replace(f'"{self.address}:', f'"{address}:').replace(f"{self.name}-main", f"{self.name}-main-{n}")
            text = text.replace('/js"', f'/js-{n}"').replace("stream_replicas: 1", f"stream_replicas: {len(self.addresses)}")
            (self.folder / f"server-{n}.conf").write_text(text + f'cluster {{ name: {self.name}, listen: "{address}:6222", routes: [{routes}] }}\n')
        return self

    def start(self):
        log = open(self.folder / "server.log", "ab")
        self.processes = [subprocess.Popen([NATS_SERVER, "-c", self.folder / f"server-{n}.conf"], stdout=log, stderr=log)
                          for n in range(1, len(self.addresses) + 1)]
        log.close()
        return self

    def stop(self, how=signal.SIGTERM):
        for self.process in self.processes:
            super().stop(how)

    def client(self, **options):
        return NatsClient(self.urls[0], user="app", password=PASSWORD, **options)


def free_network():
    """Three octets of a loopback network where nobody else's test is."""
    while True:
        address = f"127.{random.randrange(128, 255)}.{random.randrange(1, 255)}"
        with contextlib.suppress(OSError):
            for last, port in ((1, 4222), (10, 4222), (100, 7422)):
                with socket.create_server((f"{address}.{last}", port)):
                    pass
            return address


class Plain:
    def __init__(self, folder, ids=("1", "2"), lists=None, replicas=1):
        self.folder = Path(folder)
        self.address = address = free_network()
        self.ids = list(ids)
        self.lists = lists or {"cscExports": ["broadcast.>"], "cscPrefixedExports": ["command.>"], "cpcExports": ["sensor.>"]}
        self.proxy = {i: Proxy((f"{address}.{100 + n}", 7422), (f"{address}.1", 7422)) for n, i in enumerate(ids)}
        self.sites = {"csc": PlainSite(self, "csc", f"{address}.1") if replicas == 1 else
                      PlainCluster(self, "csc", [f"{address}.{n}" for n in range(1, replicas + 1)])}
        self.sites |= {f"cpc-{i}": PlainSite(self, f"cpc-{i}", f"{address}.{10 + n}") for n, i in enumerate(ids)}
        self.watchers = []

    def site(self, name):
        return self.sites[name]

    def up(self, apply=True):
        for proxy in self.proxy.values():
            proxy.start()
        for site in self.sites.values():
            site.write().start()
        for site in self.sites.values():
            site.up()
        if apply:
            for name in self.sites:
                done = self.streams(name, "apply")
                assert done.returncode == 0, done.stderr
            self.connected()
        return self

    def streams(self, name, verb, *more, server=None):
        """Runs `eventbus streams VERB` to its end."""
        site = self.site(name)
        return subprocess.run([*os.environ.get("EB_WRAP", "").split(), EVENTBUS, "streams", verb, "--site", site.document, "--server", server or site.url,
                               "--seed-file", site.seed, *map(str, more)], capture_output=True, text=True, timeout=60 * SLOW)

    def watch(self, name, server=None):
        """Starts `eventbus streams watch`; .lines() gives what it told."""
        watcher = Watcher(self.site(name), server)
        self.watchers.append(watcher)
        return watcher

    def connected(self, timeout=90):
        """Waits until every source has given a sign of life; without a supervisor a first attempt that failed takes 40 s."""
        for name in self.sites:
            until(lambda: self.streams(name, "status").returncode == 0, lambda: self.streams(name, "status").stdout, timeout, 0.2)

    def end(self):
        for watcher in self.watchers:
            watcher.end()
        for site in self.sites.values():
            site.stop()
        for proxy in self.proxy.values():
            proxy.close()


class Watcher:
    def __init__(self, site, server=None):
        self.log = site.folder / f"watch-{os.urandom(3).hex()}.log"
        with open(self.log, "wb") as log:
            self.process = subprocess.Popen([EVENTBUS, "streams", "watch", "--site", site.document, "--server", server or site.url,
                                             "--seed-file", site.seed], stderr=log)

    def lines(self, text=""):
        """The log lines whose message holds text; one that is being written is not looked at yet."""
        whole = self.log.read_text().rpartition("\n")[0]
        try:
            return [line for line in map(json.loads, whole.splitlines()) if text in line["msg"]]
        except ValueError as e:
            raise AssertionError(f"a line that is no JSON in {whole}") from e

    def told(self, text, timeout=PATIENCE):
        return until(lambda: self.lines(text), lambda: f"no line with {text!r} in {self.log.read_text()}", timeout)

    def end(self, how=signal.SIGTERM):
        if self.process.poll() is None:
            self.process.send_signal(how)
        return self.process.wait(PATIENCE)
