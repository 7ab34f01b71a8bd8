"""A process that hangs, or gets no CPU."""
import contextlib
import os
import signal
from pathlib import Path

from harness.wait import until


def is_stopped(pid):
    """Whether each thread is: the signal reaches one, and that one the others, which on a busy machine takes a while."""
    return all(task.joinpath("stat").read_text().rpartition(")")[2].split()[0] == "T" for task in Path(f"/proc/{pid}/task").iterdir())


@contextlib.contextmanager
def suspended(*pids):
    """They take and answer nothing; with the end of the block they go on."""
    try:
        for pid in pids:
            os.kill(pid, signal.SIGSTOP)
        for pid in pids:
            until(lambda pid=pid: is_stopped(pid), f"process {pid} to be stopped")
        yield
    finally:
        for pid in pids:
            os.kill(pid, signal.SIGCONT)
