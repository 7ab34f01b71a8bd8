"""
The root file system of the image (auth-callout/rootfs.sh), and programs started in it as a container runtime starts them: read-only root,
the mounts of the pod, a user that is not root, no capability, no new privilege, process ids of its own. By bubblewrap, so without Docker.

  root = Root.make(folder)                     the tree; root.path, root.files: path -> package
  Container(root, folder, ["run", …], env={…}, mounts={"/etc/auth-callout": some_folder}).start()
"""
import os
import shutil
import signal
import subprocess
from pathlib import Path

from .bus import BUILD, TOP
from .wait import until

UID = GID = 65532
AUTH_CALLOUT, EVENTBUS = "/usr/bin/auth-callout", "/usr/bin/eventbus"
AS_ROOT = os.geteuid() == 0


class Root:
    def __init__(self, path):
        self.path = Path(path)
        lines = Path(f"{path}.files").read_text().splitlines()
        self.files = {file: package for file, package, _source in (line.split("\t") for line in lines)}

    @classmethod
    def make(cls, path, build=BUILD, **env):
        done = subprocess.run([TOP / "auth-callout/rootfs.sh", path, build], capture_output=True, text=True, timeout=120, env=os.environ | env)
        assert done.returncode == 0, done.stderr
        return cls(path)

    def copy(self, path):
        """Another tree with the same files (hard links), in which folders and files can be put and taken away."""
        subprocess.run(["cp", "-al", self.path, path], check=True)
        shutil.copy(f"{self.path}.files", f"{path}.files")
        return Root(path)


def give(path, mode=0o440):
    """A file that the user inside can read as one of its group and nobody else: as a Secret's volume is with fsGroup."""
    if AS_ROOT:
        os.chown(path, 0, GID)
    os.chmod(path, mode)


class Container:
    """args: what stands behind the entry point. mounts: path inside -> path outside, read-only; a value of ("rw", path) may be written to."""

    def __init__(self, root, folder, args, env=None, mounts=None, program=AUTH_CALLOUT, uid=UID, gid=GID, name="auth-callout"):
        self.folder, self.args, self.env = Path(folder), [str(a) for a in args], dict(env or {})
        self.program, self.uid, self.gid, self.name = program, uid, gid, name
        self.log = self.folder / f"{name}.log"
        self.mounts = {inside: (("ro", outside) if isinstance(outside, (str, Path)) else outside) for inside, outside in (mounts or {}).items()}
        self.root = self._with_mount_points(root)
        self._running = None

    def _with_mount_points(self, root):
        """A container runtime makes them in a layer of its own before the root becomes read-only."""
        path = self.folder / f"root-{self.name}"
        shutil.rmtree(path, ignore_errors=True)
        made = root.copy(path)
        for inside, (_how, outside) in self.mounts.items():
            point = Path(f"{path}{inside}")
            if Path(outside).is_dir():
                point.mkdir(parents=True, exist_ok=True)
            elif not point.exists():
                point.parent.mkdir(parents=True, exist_ok=True)
                point.touch()
        return made

    def command(self):
        binds = []
        for inside, (how, outside) in sorted(self.mounts.items()):
            binds += ["--bind" if how == "rw" else "--ro-bind", outside, inside]
        env = [word for name, value in self.env.items() for word in ("--setenv", name, value)]
        return [str(word) for word in [
            "bwrap", "--ro-bind", self.root.path, "/", "--proc", "/proc", "--dev", "/dev", *binds, "--remount-ro", "/", "--unshare-user", "--uid",
            self.uid,
            "--gid", self.gid, "--unshare-pid", "--unshare-ipc", "--unshare-uts", "--cap-drop", "ALL", "--die-with-parent", "--clearenv",
            *env, "--", self.program, *self.args]]

    def _options(self):
        """Outside it is the same user as inside, so that what files may be read is what it would be in a cluster."""
        return {"user": self.uid, "group": self.gid, "extra_groups": []} if AS_ROOT else {}

    def run(self, timeout=30):
        """To its end: the completed process."""
        return subprocess.run(self.command(), capture_output=True, text=True, timeout=timeout, cwd="/", **self._options())

    # --- a service ----------------------------------------------------------------------------------------------------------
    def start(self):
        with self.log.open("ab") as log:
            self._running = subprocess.Popen(self.command(), stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd="/", **self._options())
        return self

    def until(self, condition, what, timeout=30):
        def held():
            assert self._running.poll() is None, f"{self.name} ended with {self._running.returncode}:\n{self.text()[-3000:]}"
            return condition()
        return until(held, lambda: f"{what}\n{self.text()[-3000:]}", timeout=timeout)

    def text(self):
        return self.log.read_text(errors="replace") if self.log.exists() else ""

    def pid(self):
        """That of the program, as it is outside: bubblewrap is its parent's parent."""
        def below(pid):
            for task in Path(f"/proc/{pid}/task").iterdir():
                for child in (task / "children").read_text().split():
                    yield int(child)
                    yield from below(child)
        name = Path(self.program).name[:15]  # as long as the kernel keeps it

        def found():
            return next((pid for pid in below(self._running.pid) if Path(f"/proc/{pid}/comm").read_text().strip() == name), None)
        return until(found, f"a process {self.program}")

    def stop(self, timeout=15):
        """Ends the program as kubelet does; its exit status, None where it was not started."""
        if self._running is None:
            return None
        if self._running.poll() is None:
            os.kill(self.pid(), signal.SIGTERM)
            try:
                self._running.wait(timeout)
            except subprocess.TimeoutExpired:
                self._running.kill()
                self._running.wait(timeout)
        status, self._running = self._running.returncode, None
        return status
