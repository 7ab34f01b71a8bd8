"""
What kubelet does with a pod, for a machine that has no container runtime: takes it from the API server as that admitted it, with its ConfigMaps,
Secrets and tokens, and runs its main container with exactly that environment, those arguments, mounts at their own paths and that user. Instead of
the image the program itself, and its libraries; instead of the cluster's DNS /etc/hosts; instead of an address for each pod one that values give.

  node = Node(cluster, namespace, folder, hosts={"event-bus": "127.0.0.1"})
  pod = node.pod("statefulsets", "event-bus", NATS_SERVER).start()
"""
import base64
import contextlib
import json
import os
import re
import shutil
import signal
import subprocess
from pathlib import Path

from harness.wait import until

from api import SERVICE_ACCOUNTS, ApiError
from processes import HOST

AS_ROOT = os.geteuid() == 0
MAIN = {"statefulsets": "nats", "deployments": None, "pods": None}


class Node:
    def __init__(self, cluster, namespace, folder, hosts):
        self.cluster, self.namespace, self.folder = cluster, namespace, folder
        self.folder.mkdir()
        self.folder.chmod(0o755)
        self.hosts = folder / "hosts"
        self.hosts.write_text("127.0.0.1 localhost\n" + "".join(f"{address} {name}\n" for name, address in hosts.items()))
        # what Kubernetes' controllers make in every namespace, for pods that talk to the API
        self.apply({"kind": "ConfigMap", "apiVersion": "v1", "metadata": {"name": "kube-root-ca.crt"}, "data": {"ca.crt": cluster.ca.read_text()}})

    def program(self, path):
        """A copy, which the pods' users can reach and no build replaces under way."""
        copy = self.folder.parent / Path(path).name
        if not copy.exists():
            shutil.copy(path, copy)
            copy.chmod(0o755)
        return copy

    def apply(self, *objects):
        text = "---\n".join(json.dumps(o) for o in objects)
        return self.cluster.kubectl("apply", "-n", self.namespace, "-f", "-", input=text)

    def get(self, plural, name, group="/api/v1"):
        return self.cluster.api("GET", f"{group}/namespaces/{self.namespace}/{plural}/{name}")

    def pod(self, plural, name, program, network=None):
        template = self.get(plural, name, "/api/v1" if plural == "pods" else "/apis/apps/v1")
        return Pod(self, plural, template, program, network)

    def admitted(self, name, template):
        """The Pod as the API server makes it: defaults, the mounted token of its ServiceAccount, and Pod Security's judgement."""
        pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {**template["metadata"], "name": name}, "spec": template["spec"]}
        account = template["spec"].get("serviceAccountName", "default")
        try:
            self.get("serviceaccounts", account)
        except ApiError:
            self.cluster.api("POST", SERVICE_ACCOUNTS.format(self.namespace), {"metadata": {"name": account}})
        return self.cluster.api("POST", f"/api/v1/namespaces/{self.namespace}/pods?dryRun=All", pod)

    # --- what a volume holds -----------------------------------------------------------------------------------------
    def data(self, kind, name, optional=False):
        try:
            found = self.get(kind, name)
        except ApiError as error:
            if error.status == 404 and optional:
                return {}
            raise
        return {k: base64.b64decode(v) if kind == "secrets" else v.encode() for k, v in (found.get("data") or {}).items()}

    def files(self, kind, name, source):
        data = self.data(kind, name, source.get("optional", False))
        if "items" not in source:
            return data
        return {item["path"]: data[item["key"]] for item in source["items"]}

    def projected(self, volume, pod):
        made = {}
        for source in volume["sources"]:
            (kind, one), = source.items()
            if kind in ("configMap", "secret"):
                made |= self.files(kind.lower() + "s", one["name"], one)
            elif kind == "serviceAccountToken":
                account = pod["spec"]["serviceAccountName"]
                made[one["path"]] = self.cluster.token(self.namespace, account, audience=one.get("audience")).encode()
            else:
                made |= {item["path"]: self.namespace.encode() for item in one["items"]
                         if item["fieldRef"]["fieldPath"] == "metadata.namespace"}
        return made


class Pod:
    """One pod's main container. Its files are written anew at each start, its persistent volumes stay."""

    def __init__(self, node, plural, workload, program, network):
        self.node, self.plural, self.program, self.network = node, plural, node.program(program), network
        self.name = workload["metadata"]["name"]
        self.folder = node.folder / self.name
        self.folder.mkdir(exist_ok=True)
        self.log, self._begin, self._running = self.folder / "log", 0, None

    def _template(self):
        workload = self.node.get(self.plural, self.name, "/api/v1" if self.plural == "pods" else "/apis/apps/v1")
        if self.plural == "pods":
            return workload, []
        return workload["spec"]["template"], workload["spec"].get("volumeClaimTemplates", [])

    # --- volumes -----------------------------------------------------------------------------------------------------
    def _volume(self, volume, pod):
        """(may be written, folder)"""
        folder = self.folder / volume["name"]
        group = pod["spec"]["securityContext"].get("fsGroup", 0)
        if "persistentVolumeClaim" in volume:
            folder.mkdir(exist_ok=True)
        else:
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir()
        if "persistentVolumeClaim" in volume or "emptyDir" in volume:
            self._own(folder, group)
            folder.chmod(0o2770)
            return True, folder
        (kind, source), = ((k, v) for k, v in volume.items() if k != "name")
        if kind == "projected":
            files = self.node.projected(source, pod)
        else:
            assert kind in ("configMap", "secret"), volume
            files = self._files(volume, kind)
        for name, content in files.items():
            (folder / name).write_bytes(content)
            self._own(folder / name, group)
            (folder / name).chmod(source["defaultMode"] | (0o040 if group else 0))
        return False, folder

    def _files(self, volume, kind):
        source = volume[kind]
        return self.node.files(kind.lower() + "s", source.get("secretName") or source["name"], source)

    @staticmethod
    def _own(path, group):
        if AS_ROOT:
            os.chown(path, 0, group)

    # --- the container -----------------------------------------------------------------------------------------------
    def command(self):
        template, claims = self._template()
        pod = self.node.admitted(f"{self.name}-0", template | {"spec": {**template["spec"], "volumes": [
            *(template["spec"].get("volumes") or []),
            *({"name": c["metadata"]["name"], "persistentVolumeClaim": {"claimName": c["metadata"]["name"]}} for c in claims)]}})
        spec = pod["spec"]
        container = next(c for c in spec["containers"] if MAIN[self.plural] in (None, c["name"]))
        volumes = {v["name"]: v for v in spec.get("volumes", [])}
        binds = []
        for mount in container["volumeMounts"]:
            writable, folder = self._volume(volumes[mount["name"]], pod)
            binds += ["--bind" if writable and not mount.get("readOnly") else "--ro-bind", folder, mount["mountPath"]]
        security = {**spec.get("securityContext", {}), **container.get("securityContext", {})}
        self.user, self.group = security["runAsUser"], security["runAsGroup"]
        assert security["runAsNonRoot"] and self.user and security["capabilities"] == {"drop": ["ALL"]}, security
        env = {"PATH": "/usr/bin", "KUBERNETES_SERVICE_HOST": HOST, "KUBERNETES_SERVICE_PORT": str(self.node.cluster.port)}
        for source in container.get("envFrom", []):
            env |= {k: v.decode() for k, v in self.node.data("configmaps", source["configMapRef"]["name"]).items()}
        for entry in container.get("env", []):
            value = self._value(entry, env)
            if value is not None:  # else what envFrom has stays, as kubelet does it
                env[entry["name"]] = value
        args = [re.sub(r"\$\((\w+)\)", lambda m: env.get(m[1], m[0]), a) for a in [*container.get("command", [""])[1:], *container.get("args", [])]]
        links = [w for p in ("bin", "lib", "lib64") if os.path.islink(f"/{p}") for w in ("--symlink", f"usr/{p}", f"/{p}")]
        sealed = ["--remount-ro", "/"] if security.get("readOnlyRootFilesystem") else []
        return [str(w) for w in [
            "bwrap", "--tmpfs", "/", "--proc", "/proc", "--dev", "/dev", "--ro-bind", "/usr", "/usr", *links, "--perms", "1777", "--dir", "/tmp",
            "--ro-bind", self.node.hosts, "/etc/hosts", "--ro-bind", self.program, "/program", *binds, *sealed, "--unshare-user", "--uid", self.user,
            "--gid", self.group, "--unshare-pid", "--unshare-ipc", "--cap-drop", "ALL", "--die-with-parent", "--clearenv",
            *(w for name, value in env.items() for w in ("--setenv", name, value)), "--", "/program", *args]]

    def _value(self, entry, env):
        if "valueFrom" not in entry:
            return re.sub(r"\$\((\w+)\)", lambda m: env.get(m[1], m[0]), entry.get("value", ""))
        (kind, ref), = entry["valueFrom"].items()
        if kind == "fieldRef":
            return {"metadata.name": f"{self.name}-0", "metadata.namespace": self.node.namespace}[ref["fieldPath"]]
        data = self.node.data("secrets" if kind == "secretKeyRef" else "configmaps", ref["name"], ref.get("optional", False))
        return data[ref["key"]].decode() if ref["key"] in data or not ref.get("optional") else None

    def refresh(self):
        """ConfigMaps and Secrets as they are now, file by file in one step each, as kubelet does a minute after they changed."""
        template, _ = self._template()
        for volume in template["spec"]["volumes"]:
            kind = next((k for k in ("configMap", "secret") if k in volume), None)
            for name, content in self._files(volume, kind).items() if kind else ():
                fresh = self.folder / f"{volume['name']}/.{name}"
                fresh.write_bytes(content)
                shutil.copystat(self.folder / volume["name"] / name, fresh)
                self._own(fresh, template["spec"]["securityContext"].get("fsGroup", 0))
                fresh.rename(fresh.with_name(name))

    def start(self):
        assert not self.running(), f"{self.name} runs"
        command = self.command()
        who = {"user": self.user, "group": self.group, "extra_groups": []} if AS_ROOT else {}
        self._begin = len(self.text())
        with self.log.open("ab") as log:
            start = self.network.popen if self.network else subprocess.Popen
            self._running = start(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd="/", **who)
        return self

    def finish(self, timeout=60):
        """To its end: exit status and what it wrote."""
        self.start()
        status = self._running.wait(timeout)
        self._running = None
        return status, self.text()

    def pid(self):
        """That of the program, which is below bubblewrap's."""
        return until(lambda: next((p for p in _below(self._running.pid) if _name(p) == "program"), None), f"{self.name} to run")

    def running(self):
        return self._running is not None and self._running.poll() is None

    def until(self, condition, what, timeout=60):
        def held():
            assert self.running(), f"{self.name} ended with {self._running.returncode}:\n{self.text()[-3000:]}"
            return condition()
        return until(held, lambda: f"{what() if callable(what) else what}\n{self.text()[-3000:]}", timeout=timeout)

    def text(self):
        return self.log.read_text(errors="replace") if self.log.exists() else ""

    def said(self, text):
        """Since it was started last."""
        return text in self.text()[self._begin:]

    def volume(self, name):
        return self.folder / name

    def stop(self, how=signal.SIGTERM, timeout=20):
        if self.running():
            # not bubblewrap itself, with which the program would end at once
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid(), how)
            try:
                self._running.wait(timeout)
            except subprocess.TimeoutExpired:
                self._running.kill()
                self._running.wait(timeout)
        self._running = None


def _name(pid):
    try:
        return Path(f"/proc/{pid}/comm").read_text().strip()
    except OSError:
        return ""


def _below(pid):
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        try:
            children = [int(child) for child in task.read_text().split()]
        except OSError:
            continue
        for child in children:
            yield child
            yield from _below(child)
