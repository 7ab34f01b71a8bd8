"""
Runs the main container of a rendered pod as a process of this machine, without its image: environment, arguments and mounted files are the
rendered ones; only where a path is mounted, a folder of the test stands in its place (also inside of the mounted files).
"""
import os
import signal
import subprocess
from pathlib import Path

import sites  # noqa: F401  (finds the harness)
from harness.wait import until


class Pod:
    """program: what stands for the container's image. secrets: {name: {key: value}} of the cluster."""

    def __init__(self, manifests, kind, name, container, program, secrets, folder):
        self.workload = manifests.get(kind, name)
        pod = self.workload["spec"]["template"]["spec"]
        self.container = next(c for c in pod["containers"] if c["name"] == container)
        self.name, self.program, self.secrets, self.manifests = f"{name}-0", program, secrets, manifests
        self.folder = Path(folder)
        self.folder.mkdir()
        self.mounts = {m["mountPath"]: self.folder / m["name"] for m in self.container["volumeMounts"]}
        volumes = {v["name"]: v for v in pod["volumes"]}
        for mount in self.container["volumeMounts"]:
            to = self.folder / mount["name"]
            to.mkdir(exist_ok=True)
            for path, text in self._files(volumes.get(mount["name"], {})).items():
                (to / path).write_text(self.here(text))
        self.env = {}
        for source in self.container.get("envFrom", []):
            self.env |= self.manifests.get("ConfigMap", source["configMapRef"]["name"])["data"]
        for entry in self.container.get("env", []):
            value = self._value(entry)
            if value is not None:  # else what envFrom has stays
                self.env[entry["name"]] = self.here(value)
        self.log, self.process = self.folder / "log", None

    def here(self, text):
        """Mounted paths are below the test's folder."""
        for path in sorted(self.mounts, key=len, reverse=True):
            text = text.replace(path + "/", f"{self.mounts[path]}/").replace(f'"{path}"', f'"{self.mounts[path]}"')
        return text

    def _files(self, volume):
        """{path: text} of a ConfigMap, a Secret, or both projected."""
        if "projected" in volume:
            return {path: text for source in volume["projected"]["sources"] for path, text in self._files(source).items()}
        if "configMap" in volume:
            data, source = self.manifests.get("ConfigMap", volume["configMap"]["name"])["data"], volume["configMap"]
        elif "secret" in volume:
            source = volume["secret"]
            data = self.secrets[source.get("secretName") or source["name"]]
        else:
            return {}
        return {item["path"]: data[item["key"]] for item in source["items"]} if "items" in source else dict(data)

    def _value(self, entry):
        if "value" in entry:
            text = entry["value"]
            for name, value in self.env.items():
                text = text.replace(f"$({name})", value)
            return text
        if "secretKeyRef" in entry["valueFrom"]:
            ref = entry["valueFrom"]["secretKeyRef"]
            if ref.get("optional") and ref["key"] not in self.secrets.get(ref["name"], {}):
                return None
            return self.secrets[ref["name"]][ref["key"]].strip()
        assert entry["valueFrom"]["fieldRef"]["fieldPath"] == "metadata.name", entry
        return self.name

    @property
    def command(self):
        return [str(self.program), *[self.here(str(a)) for a in self.container["args"]]]

    def check(self, *options):
        """The program with its arguments and more, to its end."""
        return subprocess.run([*self.command, *options], env=self.env, capture_output=True, text=True, timeout=60)

    def start(self, ready):
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(self.command, env={**self.env, "PATH": os.environ["PATH"]}, stdout=log, stderr=log,
                                            stdin=subprocess.DEVNULL)
        until(lambda: self.process.poll() is not None or ready(), lambda: f"{self.name} to be ready:\n{self.text()[-3000:]}")
        assert self.process.poll() is None, self.text()[-3000:]
        return self

    def text(self):
        return self.log.read_text(errors="replace") if self.log.exists() else ""

    def stop(self):
        if self.process and self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            self.process.wait(20)
