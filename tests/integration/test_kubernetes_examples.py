"""The example programs of docs/kubernetes-tokens.md as in a pod: the token in a file that is replaced before it ends."""
import contextlib
import os
import shutil
import subprocess
import sys
import threading
from pathlib import Path

import pytest

os.environ.setdefault("EB_KUBE_HOST", "127.45.2.1")
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "kube"))

from bus import Bus, kubernetes  # noqa: E402
from harness.bus import TOP  # noqa: E402
from harness.kubeapi import KubeApi  # noqa: E402
from harness.wait import SLOW  # noqa: E402

EXAMPLES = TOP / "docs/examples/kubernetes"
LIFE_S, REPLACED_S, COUNT = 6, 2, 8


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    folder = tmp_path_factory.mktemp("examples")
    api = KubeApi(folder).start()
    bus = Bus(folder, {"kubernetes": kubernetes(api)}).start()
    yield api, bus
    bus.stop()
    api.stop()


@pytest.fixture(scope="module")
def programs(tmp_path_factory):
    """programs(name): its command, built where it has to be. Go and Maven are not brought by the set-up: their examples are left out without."""
    made = {}

    def build(name):
        folder = tmp_path_factory.mktemp(name)
        shutil.copytree(EXAMPLES / name, folder, dirs_exist_ok=True)

        def run(*command):
            if command[0] in ("go", "mvn") and not shutil.which(command[0]):
                pytest.skip(f"the example in {name} is left out: no {command[0]} on this machine")
            subprocess.run(command, cwd=folder, check=True, timeout=600)

        if name == "c":
            flags = subprocess.run(["pkg-config", "--cflags", "--libs", "libnats"], capture_output=True, text=True, check=True).stdout.split()
            run("gcc", "-std=gnu17", "-Wall", "-Wextra", "-Werror", "-O1", "-o", "client", "client.c", *flags)
        elif name == "go":
            run("go", "build", "-o", "client", ".")
        elif name == "java":
            run("mvn", "-q", "-B", "compile", "dependency:copy-dependencies", "-DoutputDirectory=lib")
        return {"python": [sys.executable, folder / "client.py"],
                "java": ["java", "-cp", f"{folder}/target/classes:{folder}/lib/*", "Client"]}.get(name, [folder / "client"])

    return lambda name: made.get(name) or made.setdefault(name, build(name))


@contextlib.contextmanager
def mounted(api, name, folder):
    """The file of a projected token, which is replaced as kubelet does it: by a rename."""
    path, done = folder / "token", threading.Event()

    def write():
        new = path.with_suffix(".new")
        new.write_text(api.token("plant", name, seconds=LIFE_S))
        new.rename(path)

    def kubelet():
        while not done.wait(REPLACED_S):
            write()

    write()
    thread = threading.Thread(target=kubelet)
    thread.start()
    try:
        yield path
    finally:
        done.set()
        thread.join()


def start(program, bus, **env):
    env = {"PATH": os.environ["PATH"], "NATS_URL": bus.url, "COUNT": str(COUNT)} | env
    return subprocess.Popen(list(map(str, program)), env=env, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)


def goes_on(cluster, programs, tmp_path, names):
    """All at once, on their private inboxes, for longer than a token lives."""
    api, bus = cluster
    commands = {name: programs(name) for name in names}
    offset, running = bus.log.size(), {}
    with contextlib.ExitStack() as mounts:
        for name, program in commands.items():
            api.account("plant", name)
            folder = tmp_path / name
            folder.mkdir()
            token = mounts.enter_context(mounted(api, name, folder))
            running[name] = start(program, bus, TOKEN_FILE=str(token), SUBJECT=f"plant.{name}", INBOX_PREFIX=f"_INBOX_plant_{name}", CHECK_S="2")
        said = {name: process.communicate(timeout=90 * SLOW)[0].splitlines() for name, process in running.items()}
    for name, lines in said.items():
        assert running[name].returncode == 0 and lines[0] == "connected" and lines[-1] == "done", lines
        assert "reconnected" in lines, f"{name} was to come back by itself: {lines}"
        assert [line for line in lines if line.startswith("answer")] == [f"answer {n}" for n in range(1, COUNT + 1)], lines
        logins = [x for x in bus.log.since(offset) if x.get("method") == "kubernetes" and f"plant/{name}" in str(x)]
        assert len(logins) >= 2 and all(x["reason"] == "ok" for x in logins), logins


def is_refused(cluster, programs, tmp_path, name):
    """A token for somebody else's audience."""
    api, bus = cluster
    api.account("plant", f"refused-{name}")
    (tmp_path / "token").write_text(api.token("plant", f"refused-{name}", audience="vault"))
    process = start(programs(name), bus, TOKEN_FILE=str(tmp_path / "token"), SUBJECT="plant.refused")
    lines = process.communicate(timeout=60 * SLOW)[0].splitlines()
    assert process.returncode == 1 and lines[-1].startswith("refused: "), lines


def test_sessions_go_on_with_fresh_tokens(cluster, programs, tmp_path):
    goes_on(cluster, programs, tmp_path, ["c", "python"])


@pytest.mark.parametrize("name", ["c", "python"])
def test_refused(cluster, programs, tmp_path, name):
    is_refused(cluster, programs, tmp_path, name)


@pytest.mark.long
@pytest.mark.timeout(900)
@pytest.mark.parametrize("name", ["go", "java"])
def test_in_other_languages(cluster, programs, tmp_path, name):
    """Fetches what the program needs."""
    goes_on(cluster, programs, tmp_path, [name])
    if name != "java":  # notices it after its connection timeout only
        is_refused(cluster, programs, tmp_path, name)
