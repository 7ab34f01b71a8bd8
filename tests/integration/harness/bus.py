"""
local/bus as a program: one private set of processes in a folder of its own, on free ports of loopback addresses of its own.

  bus = Bus(run_dir, sites=("csc", "cpc-1"), replicas=1, noauth="off", …)    settings of local/settings.sh without their EB_ prefix
  bus("up"); bus("stop", "csc/auth-callout"); bus.pid("cpc-1/nats-main"); bus("down")
  bus.nodes["csc"]     addresses of the main servers of a site: one, or one a node of the cluster (replicas=3: the CSC has three)
  bus.ports["MQTT"]    the same at every address: NATS MQTT LEAF MONITOR MTLS_MQTT MTLS_NATS MTLS_MONITOR HEALTH METRICS … SPARE_1…
"""
import os
import random
import socket
import subprocess
from pathlib import Path

from .wait import SLOW

TOP = Path(__file__).resolve().parents[3]
BUILD = Path(os.environ.get("EB_BUILD") or TOP / "build").resolve()
NATS_SERVER = os.environ.get("EB_NATS_SERVER") or str(TOP / ".deps/bin/nats-server")
PROMTOOL = str(TOP / ".deps/bin/promtool")
AUTH_CALLOUT = os.environ.get("EB_AUTH_CALLOUT") or str(BUILD / "auth-callout/auth-callout")
EVENTBUS = os.environ.get("EB_EVENTBUS") or str(BUILD / "eventbus/eventbus")

PORTS = ("NATS", "MQTT", "LEAF", "MONITOR", "MTLS_MQTT", "MTLS_NATS", "MTLS_MONITOR", "HEALTH", "METRICS", "HEALTH_2", "METRICS_2",
         "CLUSTER", "IDP", "SPARE_1", "SPARE_2", "SPARE_3", "SPARE_4")


def free_addresses(n):
    """n loopback addresses and a run of ports that nobody listens on at any of them, below those that the kernel hands out."""
    for _ in range(200):
        net, last = f"127.{random.randint(64, 250)}.{random.randint(0, 250)}", random.randint(2, 240 - n)
        addresses = [f"{net}.{last + i}" for i in range(n)]
        first = random.randint(10000, 31000)
        try:
            for address in addresses:
                for port in range(first, first + len(PORTS)):
                    with socket.socket() as s:
                        s.bind((address, port))
        except OSError:
            continue
        return addresses, {name: first + i for i, name in enumerate(PORTS)}
    raise RuntimeError("no free loopback ports")


def free_address():
    (address,), ports = free_addresses(1)
    return address, ports


class Bus:
    """Settings as in local/settings.sh, without their EB_ prefix: noauth='off', callouts=2, …"""

    def __init__(self, run, sites=("csc",), replicas=1, **settings):
        self.run_dir = Path(run)
        self.sites = tuple(sites)
        count = {site: replicas if site == "csc" else 1 for site in self.sites}
        addresses, self.ports = free_addresses(sum(count.values()))
        self.nodes = {site: [addresses.pop(0) for _ in range(n)] for site, n in count.items()}
        self.address = self.nodes[self.sites[0]][0]
        self.settings = {"SITES": " ".join(self.sites), "REPLICAS": str(replicas), "IDP_ADDR": self.address, "IDP_TEST_API": "on",
                         "SURVEYOR": "off",
                         "ADDRS": " ".join(f"{site}={','.join(nodes)}" for site, nodes in self.nodes.items()), "WAIT": str(20 * SLOW)}
        self.settings |= {f"PORT_{name}": str(port) for name, port in self.ports.items() if not name.startswith("SPARE")}
        self.configure(**settings)

    def configure(self, **settings):
        """Changes settings; they come into force with the next generate or up."""
        self.settings |= {name.upper(): str(value) for name, value in settings.items()}

    def __call__(self, *args, check=True, timeout=None):
        """Runs local/bus with these arguments and returns what it printed; with check, a failure fails the test."""
        done = self.run(*args, timeout=timeout)
        if check and done.returncode != 0:
            raise AssertionError(f"local/bus {' '.join(map(str, args))}: exit {done.returncode}\n{done.stdout}{done.stderr}")
        return done.stdout

    def run(self, *args, timeout=None):
        """The completed process, whatever its exit status."""
        env = {k: v for k, v in os.environ.items() if not k.startswith("EB_") and not k.startswith("AUTH_CALLOUT_")}
        env |= {f"EB_{name}": value for name, value in self.settings.items()}
        env |= {"EB_BUILD": str(BUILD), "EB_NATS_SERVER": NATS_SERVER, "EB_AUTH_CALLOUT": AUTH_CALLOUT, "EB_EVENTBUS": EVENTBUS}
        return subprocess.run([str(TOP / "local/bus"), "--run", str(self.run_dir), *map(str, args)], env=env, text=True,
                              capture_output=True, timeout=timeout or 90 * SLOW)

    def pid(self, name):
        return int(self("pid", name))
