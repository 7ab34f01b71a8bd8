"""Processes of a test run: started with a log each, ended by their ids."""
import contextlib
import os
import random
import signal
import socket
import subprocess

from harness.wait import until

# The loopback addresses of these tests, so that they meet nobody else's.
HOST = os.environ.get("EB_KUBE_HOST", "127.44.0.1")


def free_port():
    """A port that nobody listens on, none twice, and below those that the kernel hands out: it is bound later."""
    while True:
        port = random.randint(10000, 31000)
        with contextlib.suppress(OSError), socket.create_server((HOST, port)):
            if port not in _given:
                _given.add(port)
                return port


_given = set()


class Process:
    def __init__(self, name, folder, args, env=None):
        self.name, self.args, self.env = name, [str(a) for a in args], env
        self.log = folder / f"{name}.log"
        self._running = None

    @property
    def pid(self):
        return self._running.pid

    def running(self):
        return self._running is not None and self._running.poll() is None

    def start(self):
        assert not self.running(), f"{self.name} runs"
        env = {k: v for k, v in os.environ.items() if k in ("PATH", "HOME") or k.endswith("SAN_OPTIONS")} | (self.env or {})
        with self.log.open("ab") as log:
            self._running = subprocess.Popen(self.args, env=env, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        return self

    def until(self, condition, what, timeout=60):
        """Waits for a condition, and fails at once where the process ended."""
        def held():
            assert self.running(), f"{self.name} ended with {self._running.returncode}:\n{self.tail()}"
            return condition()
        return until(held, lambda: f"{what() if callable(what) else what}\n{self.tail()}", timeout=timeout)

    def tail(self):
        return self.log.read_text(errors="replace")[-3000:] if self.log.exists() else ""

    def rss(self):
        """Resident memory, bytes."""
        with open(f"/proc/{self.pid}/status") as f:
            return next(int(line.split()[1]) * 1024 for line in f if line.startswith("VmRSS:"))

    def stop(self, how=signal.SIGTERM, timeout=20):
        """The exit status, that of SIGKILL where it did not end in time; None where it was not started."""
        if self._running is None:
            return None
        if self._running.poll() is None:
            self._running.send_signal(how)
            try:
                self._running.wait(timeout)
            except subprocess.TimeoutExpired:
                self._running.kill()
                self._running.wait(timeout)
        status, self._running = self._running.returncode, None
        return status
