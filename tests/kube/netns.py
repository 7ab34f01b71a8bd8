"""
A loopback interface of a program's own. NACK's controller listens for its metrics on port 8080 of every address, as is good in a pod and not on
a machine with other tests: in here it reaches nothing but the addresses that are opened for it.

  inside = Apart([("127.0.0.1", 6443)]).start()      these addresses lead to those of the machine
  inside.popen(["program", …], env=…)                starts it there
"""
import contextlib
import ctypes
import fcntl
import os
import queue
import socket
import struct
import subprocess
import threading

CLONE_NEWNET, SIOCSIFFLAGS, IFF_UP = 0x40000000, 0x8914, 1


def _enter():
    """This thread, and what it starts, from now on."""
    if ctypes.CDLL(None, use_errno=True).unshare(CLONE_NEWNET):
        number = ctypes.get_errno()
        raise OSError(number, f"a network of its own: {os.strerror(number)} (this needs root)")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        fcntl.ioctl(s, SIOCSIFFLAGS, struct.pack("16sH14s", b"lo", IFF_UP, b""))


class Apart:
    def __init__(self, targets):
        self.targets = list(targets)
        self._asked, self._answers, self._doors = queue.Queue(), queue.Queue(), []

    def start(self):
        threading.Thread(target=self._live, daemon=True).start()
        for door, target in zip(self._do(self._open), self.targets, strict=True):
            self._doors.append(door)
            threading.Thread(target=self._keep, args=(door, target), daemon=True).start()
        return self

    def popen(self, args, **options):
        return self._do(lambda: subprocess.Popen(args, **options))

    def connect(self, port, host="127.0.0.1"):
        """A connection to what listens there."""
        return self._do(lambda: socket.create_connection((host, port), 5))

    def stop(self):
        for door in self._doors:
            with contextlib.suppress(OSError):
                door.shutdown(socket.SHUT_RDWR)
            door.close()
        self._asked.put(None)

    # A network belongs to a thread, so one thread does all that has to be done in there.
    def _live(self):
        try:
            _enter()
        except OSError as error:
            self._answers.put((None, error))
            return
        while (what := self._asked.get()) is not None:
            try:
                self._answers.put((what(), None))
            except Exception as error:
                self._answers.put((None, error))

    def _do(self, what):
        self._asked.put(what)
        answer, error = self._answers.get(timeout=30)
        if error:
            raise error
        return answer

    def _open(self):
        return [socket.create_server(target) for target in self.targets]

    @staticmethod
    def _keep(door, target):
        while True:
            try:
                inner, _ = door.accept()
                outer = socket.create_connection(target, 5)
            except OSError:
                if door.fileno() < 0 or "inner" not in locals():
                    return
                inner.close()  # as if nobody listened
                continue
            for a, b in ((inner, outer), (outer, inner)):
                threading.Thread(target=_pump, args=(a, b), daemon=True).start()


def _pump(source, to):
    with contextlib.suppress(OSError):
        while data := source.recv(65536):
            to.sendall(data)
    for s in (source, to):
        with contextlib.suppress(OSError):
            s.shutdown(socket.SHUT_RDWR)
