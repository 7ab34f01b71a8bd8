"""What is in the root file system of the image, and what is not; its bill of materials; the Dockerfile beside it."""
import hashlib
import os
import re
import stat
import subprocess
from pathlib import Path

import pytest

from harness.bus import TOP
from harness.rootfs import Root

BOUND = 30 * 2**20
CALLOUT = TOP / "auth-callout"
LIBRARIES = re.compile(r"/usr/lib(64)?/([a-z0-9_-]+/)?[A-Za-z0-9_.+-]+\.so(\.[0-9.]+)?$")
LICENCES = re.compile(r"/usr/share/(doc/[a-z0-9.+-]+/(copyright|LICENSE)|common-licenses/[A-Za-z0-9.-]+)$")
OTHERS = {"/usr/bin/auth-callout", "/usr/bin/eventbus", "/etc/ssl/certs/ca-certificates.crt", "/etc/passwd", "/etc/group", "/etc/nsswitch.conf"}


def walk(root):
    """(path inside, path outside) of all that is in the tree."""
    for folder, folders, files in os.walk(root.path):
        for name in folders + files:
            yield Path(folder, name)


def inside(root, path):
    return f"/{path.relative_to(root.path)}"


def regular(root):
    return {inside(root, path): path for path in walk(root) if path.is_file() and not path.is_symlink()}


def test_nothing_else_is_in_it(root):
    odd = [name for name in regular(root) if not (name in OTHERS or LIBRARIES.match(name) or LICENCES.match(name))]
    assert not odd and OTHERS <= regular(root).keys()


def test_only_the_two_programs_and_the_loader_can_be_executed(root):
    found = {name for name, path in regular(root).items() if path.stat().st_mode & 0o111}
    loader = {name for name in found if Path(name).name.startswith("ld-linux")}
    assert found == {"/usr/bin/auth-callout", "/usr/bin/eventbus"} | loader and len(loader) == 1
    names = {Path(name).name for name in regular(root)}
    assert not names & {"sh", "bash", "dash", "busybox", "ash", "python3", "perl", "apt", "dpkg"}


def test_modes(root):
    for path in walk(root):
        mode = path.lstat().st_mode
        assert stat.S_ISREG(mode) or stat.S_ISDIR(mode) or stat.S_ISLNK(mode), path
        assert not mode & (stat.S_ISUID | stat.S_ISGID), path
        if not stat.S_ISLNK(mode) and path.name != "tmp":
            assert not mode & 0o022, f"{path} can be written to by others"
        if os.geteuid() == 0:
            assert path.lstat().st_uid == path.lstat().st_gid == 0, path


def test_links_stay_inside(root):
    for path in walk(root):
        if path.is_symlink():
            assert not os.readlink(path).startswith("/") and path.resolve().is_relative_to(root.path.resolve()) and path.exists(), path


def test_size(root):
    size = sum(path.lstat().st_size for path in walk(root) if not path.is_dir())
    assert 10 * 2**20 < size <= BOUND, size


def test_the_user_is_the_one_of_the_dockerfile(root):
    users = [line.split(":") for line in (root.path / "etc/passwd").read_text().splitlines()]
    uid = re.search(r"^USER (\d+):(\d+)$", (CALLOUT / "Dockerfile").read_text(), re.M)
    assert ["nonroot", uid[1], uid[2]] in [[user[0], user[2], user[3]] for user in users] and uid[1] != "0"


def test_programs_have_no_symbols(root):
    for name in ("auth-callout", "eventbus"):
        sections = subprocess.run(["readelf", "-SW", root.path / "usr/bin" / name], capture_output=True, text=True, check=True).stdout
        assert ".text" in sections and ".symtab" not in sections and ".debug" not in sections


def needed(path):
    out = subprocess.run(["readelf", "-dW", path], capture_output=True, text=True, check=True).stdout
    return re.findall(r"\(NEEDED\).*\[(.*)\]", out)


def test_every_needed_library_is_there_and_no_other(root):
    libraries = {path.name: path for name, path in regular(root).items() if LIBRARIES.match(name)}
    loader = next(name for name in libraries if name.startswith("ld-linux"))
    reached, open_ = set(), ["auth-callout", "eventbus"]
    for path in [root.path / "usr/bin" / name for name in open_]:
        todo = [path]
        while todo:
            for name in needed(todo.pop()):
                assert name in libraries, f"{name} is missing"
                if name not in reached:
                    reached.add(name)
                    todo.append(libraries[name])
    assert libraries.keys() - reached - {loader} == {"libgcc_s.so.1"}


def fingerprint(path):
    """All that a layer of an image holds: names, kinds, modes, times, contents."""
    found = []
    for folder, folders, files in os.walk(path):
        folders.sort()
        for name in sorted(folders + files):
            at = Path(folder, name)
            status = at.lstat()
            what = os.readlink(at) if at.is_symlink() else hashlib.sha256(at.read_bytes()).hexdigest() if at.is_file() else ""
            found.append((str(at.relative_to(path)), status.st_mode, status.st_uid, status.st_gid, status.st_mtime_ns, what))
    return found


def test_the_same_input_gives_the_same_tree(root, folder, build):
    again = Root.make(folder / "again", build, SOURCE_DATE_EPOCH="1750000000")
    assert fingerprint(again.path) == fingerprint(root.path) and again.files == root.files
    dated = Root.make(folder / "dated", build, SOURCE_DATE_EPOCH="1700000000")
    assert {entry[4] for entry in fingerprint(dated.path)} == {1700000000 * 10**9}
    boms = [subprocess.run([CALLOUT / "sbom.sh", path], capture_output=True, text=True, check=True).stdout for path in (root.path, again.path)]
    assert boms[0] == boms[1]


REFUSALS = [([], "OUT_DIR"), (["there"], "is there already"), (["new", "nowhere"], "build it first"), (["-h"], "OUT_DIR")]


@pytest.mark.parametrize("args, said", REFUSALS, ids=lambda value: str(value))
def test_rootfs_says_what_is_wrong(tmp_path, args, said):
    (tmp_path / "there").mkdir()
    done = subprocess.run([CALLOUT / "rootfs.sh", *args], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode != 0 and said in done.stderr, done.stderr


# --- bill of materials --------------------------------------------------------------------------------------------------------
def test_the_bill_covers_every_file(root, bom):
    listed = {file["name"]: file["hashes"][0]["content"] for component in bom["components"] for file in component["components"]}
    assert listed == {name: hashlib.sha256(path.read_bytes()).hexdigest() for name, path in regular(root).items()}


def test_the_bill_says_what_dpkg_says(bom):
    assert bom["bomFormat"] == "CycloneDX" and bom["specVersion"] == "1.5"
    installed = dict(line.split("\t") for line in subprocess.run(
        ["dpkg-query", "-W", "-f", "${Package}\t${Version}\n"], capture_output=True, text=True, check=True).stdout.splitlines())
    packages = {c["name"]: c for c in bom["components"]}
    assert {"libc6", "libssl3", "libcurl4", "libsodium23", "ca-certificates", "event-bus"} <= packages.keys() or "libssl3t64" in packages
    for name, component in packages.items():
        assert component["licenses"] and all(x["license"].get("id") or x["license"].get("name") for x in component["licenses"]), name
        if name != "event-bus":
            assert component["version"] == installed[name] and component["purl"].startswith("pkg:deb/"), name
            assert component["properties"][0]["value"].count("@") == 1
    version = re.search(r"version: '([^']+)'", (TOP / "meson.build").read_text())[1]
    assert packages["event-bus"]["version"] == version == bom["metadata"]["component"]["version"]
    refs = [c["bom-ref"] for c in bom["components"]]
    assert len(set(refs)) == len(refs) and set(bom["dependencies"][0]["dependsOn"]) == set(refs)


# --- Dockerfile ---------------------------------------------------------------------------------------------------------------
def test_the_dockerfile_installs_what_building_needs():
    """The same libraries as the set-up script, so that one is not forgotten."""
    setup = re.search(r"RUN_PACKAGES=\((.*?)\)", (TOP / "scripts/setup.sh").read_text(), re.S)[1].split()
    installed = re.search(r"apt-get install -y --no-install-recommends \\\n(.*?)\nWORKDIR", (CALLOUT / "Dockerfile").read_text(),
                          re.S)[1].replace("\\", "").split()
    assert {p for p in setup if p.endswith("-dev")} == {p for p in installed if p.endswith("-dev")}
    assert set(installed) <= set(setup) and {"gcc", "meson", "ninja-build", "pkg-config", "ca-certificates", "jq"} <= set(installed)


def test_the_dockerfile_ends_in_nothing_but_the_tree():
    text = (CALLOUT / "Dockerfile").read_text()
    last = text[text.rindex("FROM "):]
    assert last.startswith("FROM scratch\n") and re.findall(r"^(?:COPY|ADD|RUN).*", last, re.M) == ["COPY --from=build /rootfs/ /"]
    for line in ('ENTRYPOINT ["/usr/bin/auth-callout"]', "EXPOSE 8080 9090", "STOPSIGNAL SIGTERM", "org.opencontainers.image.version=",
                 "org.opencontainers.image.revision=", "org.opencontainers.image.licenses="):
        assert line in last, line
    assert not re.search(r"^(HEALTHCHECK|CMD|SHELL)", last, re.M)


def test_what_goes_to_the_builder_is_enough(tmp_path):
    """The files that the ignore file lets through are all that the build description asks for; no key and no built file is among them."""
    kept = [line[1:] for line in (CALLOUT / "Dockerfile.dockerignore").read_text().splitlines() if line.startswith("!")]
    listed = subprocess.run(["git", "-C", TOP, "ls-files", "-z", "--cached", "--others", "--exclude-standard", "--", *kept], capture_output=True,
                            check=True).stdout
    for name in filter(None, listed.decode().split("\0")):
        if (TOP / name).is_file():
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).write_bytes((TOP / name).read_bytes())
    done = subprocess.run(["meson", "setup", tmp_path / "build", tmp_path], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-2000:]
    dry = subprocess.run(["ninja", "-C", tmp_path / "build", "-n", "auth-callout/auth-callout", "eventbus/eventbus"], capture_output=True, text=True)
    assert dry.returncode == 0 and "Linking target auth-callout/auth-callout" in dry.stdout, dry.stdout[-2000:]


def test_the_makefile_hands_all_to_docker():
    done = subprocess.run(["make", "-C", CALLOUT, "-n", "docker-build", "IMAGE=registry.example/x:1", "DEBIAN=debian@sha256:0"], capture_output=True,
                          text=True)
    assert done.returncode == 0, done.stderr
    build, bill = [line for line in done.stdout.splitlines() if "docker build" in line]
    for word in ("--tag registry.example/x:1", "DEBIAN=debian@sha256:0", "VERSION=0", "SOURCE_DATE_EPOCH=", "REVISION=", f" {TOP}"):
        assert word in build, word
    assert "--target sbom" in bill
    declared = set(re.findall(r"^ARG (\w+)", (CALLOUT / "Dockerfile").read_text(), re.M))
    assert set(re.findall(r"--build-arg (\w+)=", build)) == declared
