"""
Starts a rendered pod without a cluster: its ConfigMaps, Secrets and volumes as files, its environment, arguments and mounts, as its user, in
the root file system of the image (harness/rootfs.py). What a pod needs and nobody has made is an error, as it is for kubelet.

  Kubelet(manifests, folder, root, secrets={"auth-callout-keys": {"nkey-seed": "SU…"}}, configmaps={…}).container(template)
"""
import base64
import os
import re
import shutil
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "integration"))

from harness.rootfs import AS_ROOT, Container  # noqa: E402


class Missing(Exception):
    """CreateContainerConfigError, or a volume that cannot be mounted."""


class Kubelet:
    def __init__(self, manifests, folder, root, secrets=None, configmaps=None, token="a.b.c", env=None, extra_mounts=None):
        """env: what the cluster itself puts into every container. extra_mounts: /etc/hosts and the like."""
        self.manifests, self.folder, self.root, self.token = manifests, Path(folder), root, token
        self.cluster_env, self.extra_mounts = env or {}, extra_mounts or {}
        self.objects = {("Secret", name): data for name, data in (secrets or {}).items()}
        self.objects |= {("ConfigMap", name): data for name, data in (configmaps or {}).items()}
        for made in manifests:
            if made["kind"] == "ConfigMap":
                self.objects["ConfigMap", made["metadata"]["name"]] = made.get("data", {})
            elif made["kind"] == "Secret":
                plain = {k: base64.b64decode(v).decode() for k, v in made.get("data", {}).items()} | made.get("stringData", {})
                self.objects["Secret", made["metadata"]["name"]] = plain

    def _object(self, kind, name, optional):
        found = self.objects.get((kind, name))
        if found is None and not optional:
            raise Missing(f'{kind} "{name}" not found')
        return found or {}

    # --- volumes --------------------------------------------------------------------------------------------------------
    def _files(self, kind, name, source):
        """path → content of a ConfigMap or Secret, or of the items that are named."""
        optional = source.get("optional", False)
        data = self._object(kind, name, optional)
        if "items" not in source:
            return dict(data)
        absent = [item["key"] for item in source["items"] if item["key"] not in data]
        if absent and not optional:
            raise Missing(f'{kind} "{name}" has no key {", ".join(absent)}')
        return {item["path"]: data[item["key"]] for item in source["items"] if item["key"] in data}

    def _projected(self, volume, pod):
        made = {}
        for source in volume["sources"]:
            (kind, one), = source.items()
            if kind == "configMap":
                new = self._files("ConfigMap", one["name"], one)
            elif kind == "secret":
                new = self._files("Secret", one["name"], one)
            elif kind == "serviceAccountToken":
                new = {one["path"]: self.token}
            else:
                assert kind == "downwardAPI", kind
                new = {item["path"]: self._field(item["fieldRef"]["fieldPath"], pod) for item in one["items"]}
            assert not made.keys() & new.keys(), f"two sources of a volume write {made.keys() & new.keys()}"
            made |= new
        return made

    def _volume(self, volume, pod):
        """(how, folder): the volume as a folder; with what kubelet makes of modes and fsGroup."""
        folder = self.folder / "volumes" / volume["name"]
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        if "emptyDir" in volume:
            self._own(folder, pod)
            folder.chmod(0o2770)
            return "rw", folder
        kind = next((k for k in ("configMap", "secret", "projected") if k in volume), None)
        assert kind, f"no volume of the tests: {volume}"
        source = volume[kind]
        if kind == "configMap":
            files = self._files("ConfigMap", source["name"], source)
        elif kind == "secret":
            files = self._files("Secret", source["secretName"], source)
        else:
            files = self._projected(source, pod)
        # written beside and swapped in as kubelet does it, so that what follows the files sees what it sees in a cluster
        data = folder / "..data_1"
        data.mkdir(mode=0o755)
        for name, content in files.items():
            (data / name).write_text(content)
            self._own(data / name, pod)
            # the group of the volume can always read
            (data / name).chmod(source.get("defaultMode", 0o644) | (0o040 if "fsGroup" in pod["securityContext"] else 0))
            (folder / name).symlink_to(f"..data/{name}")
        (folder / "..data").symlink_to("..data_1")
        folder.chmod(0o755)
        return "ro", folder

    @staticmethod
    def _own(path, pod):
        if AS_ROOT:
            os.chown(path, 0, pod["securityContext"].get("fsGroup", 0))

    def change(self, volume, name, content, pod):
        """A new content of a file in a volume, swapped in by a rename of a link."""
        folder = self.folder / "volumes" / volume
        old = folder / os.readlink(folder / "..data")
        new = folder / f"..data_{int(old.name.rsplit('_', 1)[1]) + 1}"
        shutil.copytree(old, new)
        for path in new.iterdir():
            self._own(path, pod)
        (new / name).write_text(content)
        (folder / "..data_tmp").symlink_to(new.name)
        os.rename(folder / "..data_tmp", folder / "..data")
        shutil.rmtree(old)

    # --- environment ----------------------------------------------------------------------------------------------------
    @staticmethod
    def _field(path, pod):
        return {"metadata.namespace": "event-bus", "metadata.name": "pod-0", "status.podIP": "127.0.0.1"}[path]

    def _environment(self, container, pod):
        env = dict(self.cluster_env)
        for source in container.get("envFrom", []):
            kind, one = ("Secret", source["secretRef"]) if "secretRef" in source else ("ConfigMap", source["configMapRef"])
            env |= {source.get("prefix", "") + k: v for k, v in self._object(kind, one["name"], one.get("optional", False)).items()}
        names = [one["name"] for one in container.get("env", [])]
        assert len(names) == len(set(names)), f"two variables of one name: {names}"
        for one in container.get("env", []):
            if "valueFrom" not in one:
                env[one["name"]] = re.sub(r"\$\(([A-Za-z_]\w*)\)", lambda m: env.get(m[1], m[0]), one.get("value", ""))
                continue
            (kind, ref), = one["valueFrom"].items()
            if kind == "fieldRef":
                env[one["name"]] = self._field(ref["fieldPath"], pod)
                continue
            data = self._object({"secretKeyRef": "Secret", "configMapKeyRef": "ConfigMap"}[kind], ref["name"], ref.get("optional", False))
            if ref["key"] in data:
                env[one["name"]] = data[ref["key"]]
            elif not ref.get("optional", False):
                raise Missing(f'{ref["name"]} has no key {ref["key"]}')
        return env

    # --- containers -----------------------------------------------------------------------------------------------------
    def container(self, template, name="auth-callout", args=None):
        """The container of that name of a pod template; args: others than it has, for check-config."""
        pod = template["spec"]
        rendered = next(c for c in pod["containers"] if c["name"] == name)
        assert "command" not in rendered, "the entry point of the image is what these tests start"
        volumes = {volume["name"]: volume for volume in pod["volumes"]}
        mounts = dict(self.extra_mounts)
        for mount in rendered["volumeMounts"]:
            assert "subPath" not in mount, "a file by subPath never changes"
            how, folder = self._volume(volumes[mount["name"]], pod)
            assert how == "ro" or not mount.get("readOnly"), mount
            mounts[mount["mountPath"]] = ("ro" if mount.get("readOnly") else how, folder)
        security = pod["securityContext"] | rendered["securityContext"]
        assert security["readOnlyRootFilesystem"] and security["runAsUser"] == security["runAsGroup"] == security["fsGroup"] != 0
        return Container(self.root, self.folder, args if args is not None else rendered["args"], env=self._environment(rendered, pod), mounts=mounts,
                         uid=security["runAsUser"], gid=security["runAsGroup"], name=name)
