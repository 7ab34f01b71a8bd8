"""local/bus as a program: one private set of processes in a folder of its own, on free ports of a loopback address of its own."""
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
         "IDP", "SPARE_1", "SPARE_2", "SPARE_3", "SPARE_4")


def free_address():
    """A loopback address and a run of ports on it that nobody listens on, below those that the kernel hands out."""
    for _ in range(200):
        address = f"127.{random.randint(64, 250)}.{random.randint(0, 250)}.{random.randint(2, 250)}"
        first = random.randint(10000, 31000)
        try:
            for port in range(first, first + len(PORTS)):
                with socket.socket() as s:
                    s.bind((address, port))
        except OSError:
            continue
        return address, {name: first + i for i, name in enumerate(PORTS)}
    raise RuntimeError("no free loopback ports")


class Bus:
    """Settings as in local/settings.sh, without their EB_ prefix: noauth='off', callouts=2, …"""

    def __init__(self, run, **settings):
        self.run_dir = Path(run)
        self.address, self.ports = free_address()
        self.settings = {"ADDR": self.address, "IDP_ADDR": self.address, "IDP_TEST_API": "on", "WAIT": str(20 * SLOW)}
        self.settings |= {f"PORT_{name}": str(port) for name, port in self.ports.items() if not name.startswith("SPARE")}
        self.configure(**settings)

    def configure(self, **settings):
        """Changes settings; they come into force with the next generate or up."""
        self.settings |= {name.upper(): str(value) for name, value in settings.items()}

    def __call__(self, *args, check=True):
        """Runs local/bus with these arguments and returns what it printed; with check, a failure fails the test."""
        env = {k: v for k, v in os.environ.items() if not k.startswith("EB_") and not k.startswith("AUTH_CALLOUT_")}
        env |= {f"EB_{name}": value for name, value in self.settings.items()}
        env |= {"EB_BUILD": str(BUILD), "EB_NATS_SERVER": NATS_SERVER, "EB_AUTH_CALLOUT": AUTH_CALLOUT, "EB_EVENTBUS": EVENTBUS}
        done = subprocess.run([str(TOP / "local/bus"), "--run", str(self.run_dir), *map(str, args)], env=env, text=True,
                              capture_output=True, timeout=90 * SLOW)
        if check and done.returncode != 0:
            raise AssertionError(f"local/bus {' '.join(map(str, args))}: exit {done.returncode}\n{done.stdout}{done.stderr}")
        return done.stdout

    def pid(self, name):
        return int(self("pid", name))
