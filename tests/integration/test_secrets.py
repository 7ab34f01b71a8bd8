"""eventbus secrets generate, verify, manifests, and generate-nkeys.sh before them: run as an operator runs them. Keys are read by another implementation."""
import base64
import os
import pty
import shutil
import signal
import stat
import subprocess
import time
from pathlib import Path

import pytest
import yaml
from cryptography.hazmat.primitives import serialization

from harness import certificates
from harness.nkeys import Key, public_raw

ROOT = Path(__file__).resolve().parents[2]
PROGRAM = Path(os.environ.get("EB_BUILD", ROOT / "build")).resolve() / "eventbus/eventbus"
SCRIPT = ROOT / "deploy/scripts/generate-nkeys.sh"

PAIRS = {"nats-auth-signing": "A", "nats-xkey": "X",
         **dict.fromkeys(["nats-authx-user", "nats-auth-watch", "nats-surveyor", "nats-sys-admin", "nats-nack-user", "nats-streams",
                          "nats-mtls-leaf", "nats-mtls-authx-leaf", "nats-mtls-sys-leaf"], "U")}
COPIES = {"auth-callout-keys/issuer-seed": "nats-auth-signing", "auth-callout-keys/nkey-seed": "nats-authx-user",
          "auth-callout-keys/xkey-seed": "nats-xkey", "nats-nack-user/nack-user.nk": "nats-nack-user", "xkey.nk": "nats-xkey"}


def run(*args, program=PROGRAM, umask=0o022, env=None, cwd=None):
    done = subprocess.run([program, *map(str, args)], capture_output=True, text=True, timeout=60, umask=umask, cwd=cwd,
                          env={**os.environ, **(env or {})}, stdin=subprocess.DEVNULL)
    assert "\x1b" not in done.stdout + done.stderr
    return done


def generate(tree, *args, **kwargs):
    return run("secrets", "generate", tree, *args, **kwargs)


def verify(tree):
    return run("secrets", "verify", tree)


def manifests(tree, *args):
    return run("secrets", "manifests", tree, "--namespace", "event-bus", *args)


def files(tree):
    """Every file below a tree with its bytes."""
    return {str(p.relative_to(tree)): p.read_bytes() for p in sorted(Path(tree).rglob("*")) if p.is_file() and not p.is_symlink()}


def seeds(tree):
    return {line for data in files(tree).values() for line in data.decode(errors="replace").split() if len(line) == 58 and line[0] == "S"}


def expected(sites, cpcs, accounts=()):
    """The files that the contract lists."""
    names = set()
    for site in sites:
        at = f"{site}/nkeys/"
        names |= {f"{at}{pair}/{file}" for pair in PAIRS for file in ("seed", "pubkey")} | {at + copy for copy in COPIES}
        for account in ["", *(a.lower() + "-" for a in accounts)]:
            names |= ({f"{at}nats-leaf-{account}cpc-{i}/pubkey" for i in cpcs} if site == "csc" else {f"{at}nats-leaf-{account}csc/seed"})
    return names


def put(path, text, mode=0o600):
    path.parent.mkdir(mode=0o700, exist_ok=True)
    path.write_text(text)
    path.chmod(mode)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A tree of three sites with an extra account, never changed."""
    tree = tmp_path_factory.mktemp("made") / "secrets"
    done = generate(tree, "--cpc", "1", "--cpc=west2", "--extra-account", "LaunchLayer")
    assert done.returncode == 0, done.stderr
    return tree


@pytest.fixture
def tree(made, tmp_path):
    copy = tmp_path / "secrets"
    shutil.copytree(made, copy, symlinks=True)
    return copy


# --- generate ------------------------------------------------------------------------------------------------------------

def test_every_file_is_made_and_belongs_together(made):
    have = files(made)
    sites = ("csc", "cpc-1", "cpc-west2")
    assert set(have) == expected(sites, ("1", "west2"), ["LaunchLayer"])
    text = {name: data.decode() for name, data in have.items()}
    for site in sites:
        for pair, kind in PAIRS.items():
            key = Key.from_seed(text[f"{site}/nkeys/{pair}/seed"])
            assert key.public == text[f"{site}/nkeys/{pair}/pubkey"] and key.public[0] == kind
        for copy, pair in COPIES.items():
            lines = text[f"{site}/nkeys/{copy}"].split()
            assert lines[0] == text[f"{site}/nkeys/{pair}/seed"]
            assert lines[1:] == ([text[f"{site}/nkeys/{pair}/pubkey"]] if copy == "xkey.nk" else [])
    for cpc in ("1", "west2"):
        for account in ("", "launchlayer-"):
            login = Key.from_seed(text[f"cpc-{cpc}/nkeys/nats-leaf-{account}csc/seed"])
            assert login.kind == "U" and login.public == text[f"csc/nkeys/nats-leaf-{account}cpc-{cpc}/pubkey"]
    assert len(seeds(made)) == 3 * len(PAIRS) + 2 * 2  # each key once


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o777])
def test_modes_whatever_the_umask(tmp_path, umask):
    assert generate(tmp_path / "secrets", "--cpc", "1", umask=umask).returncode == 0
    paths = [tmp_path / "secrets", *(tmp_path / "secrets").rglob("*")]
    assert {stat.S_IMODE(p.stat().st_mode) for p in paths if p.is_dir()} == {0o700}
    assert {stat.S_IMODE(p.stat().st_mode) for p in paths if p.is_file()} == {0o600}


@pytest.mark.parametrize("written", ["secrets/", "secrets//", "secrets/.", "secrets/./", "a//b/secrets/", "./secrets", "{}/c/secrets/"])
def test_however_the_folder_is_written(tmp_path, written):
    path = written.format(tmp_path)
    assert generate(path, cwd=tmp_path).returncode == 0
    tree = (tmp_path / path).resolve()
    assert {stat.S_IMODE(p.stat().st_mode) for p in (tree, *tree.rglob("*")) if p.is_dir()} == {0o700}
    for above in tree.parents:
        if above == tmp_path:
            break
        assert stat.S_IMODE(above.stat().st_mode) == 0o755  # not ours
    assert run("secrets", "verify", path, cwd=tmp_path).stderr.count("warning") == 1  # the certificate


@pytest.mark.parametrize("written", [".", "./", "link", "link/", "link/."])
def test_a_folder_that_is_there_keeps_its_mode(tmp_path, written):
    tree = tmp_path / "real"
    tree.mkdir(mode=0o755)
    (tmp_path / "link").symlink_to("real")
    at = tmp_path if written.startswith("link") else tree
    for mode, status, says in ((0o755, 0, "others can see what is in it: mode 0755"), (0o700, 0, None), (0o775, 1, "others can replace what is in it")):
        tree.chmod(mode)
        done = generate(written, cwd=at)
        assert done.returncode == status and (says in done.stderr if says else not done.stderr), done
        assert stat.S_IMODE(tree.stat().st_mode) == mode and (tmp_path / "link").is_symlink()
        assert set(files(tree)) == expected(["csc"], ())  # the last time nothing was made
    tree.chmod(0o777)
    assert "nothing was written" in generate(written, "--cpc", "1", cwd=at).stderr and not (tree / "cpc-1").exists()


def test_what_it_tells(tmp_path):
    tree = tmp_path / "a/b/secrets"
    done = generate(tree)
    assert "made  csc/nkeys/nats-xkey\n" in done.stdout and done.stdout.endswith(f"{len(PAIRS) + len(COPIES)} made, 0 kept\n")
    assert not any(seed in done.stdout + done.stderr for seed in seeds(tree))
    before = files(tree)
    done = generate(f"{tree}//")
    assert "kept  csc/nkeys/nats-xkey\n" in done.stdout and done.stdout.endswith(f"0 made, {len(PAIRS) + len(COPIES)} kept\n")
    assert files(tree) == before and verify(tree).returncode == 0


def test_a_cpc_and_an_account_come_later(made, tree):
    before = files(made)
    for args, cpcs, accounts in ((["--cpc", "3"], ("1", "west2", "3"), ["launchlayer"]),
                                 (["--extra-account", "Cooling2"], ("1", "west2", "3"), ["launchlayer", "cooling2"]),
                                 (["--cpc", "4"], ("1", "west2", "3", "4"), ["launchlayer", "cooling2"])):
        assert generate(tree, *args).returncode == 0
        now = files(tree)
        assert {name: now[name] for name in before} == before
        assert set(now) == expected(["csc", *(f"cpc-{i}" for i in cpcs)], cpcs, accounts)
        assert verify(tree).returncode == 0
        before = now


def test_missing_ones_are_added(made, tree):
    gone = ["csc/nkeys/nats-surveyor", "csc/nkeys/auth-callout-keys", "cpc-1/nkeys/xkey.nk", "cpc-1/nkeys/nats-nack-user/nack-user.nk",
            "csc/nkeys/nats-leaf-cpc-1"]
    for name in gone:
        shutil.rmtree(tree / name) if (tree / name).is_dir() else (tree / name).unlink()
    assert verify(tree).stdout.endswith("7 errors, 3 warnings\n")  # auth-callout-keys are three
    (tree / "csc/nkeys/nats-surveyor").mkdir(mode=0o700)  # an empty folder is no secret
    assert generate(tree).stdout.count("made") == 7 + 1
    old, new = files(made), files(tree)
    assert {n for n in old if old[n] != new[n]} == {"csc/nkeys/nats-surveyor/seed", "csc/nkeys/nats-surveyor/pubkey"}
    assert verify(tree).returncode == 0


def test_the_folder_of_a_cpc_may_be_elsewhere(tree, tmp_path):
    shutil.move(tree / "cpc-1", tmp_path / "cpc-1")
    before = files(tree)
    done = generate(tree)
    assert done.returncode == 0 and files(tree) == before
    done = generate(tree, "--extra-account", "Cooling")  # the other CPC gets it; what cpc-1's needs is told
    assert done.returncode == 0 and "csc/nkeys/nats-leaf-cooling-cpc-1 is not made" in done.stderr
    assert (tree / "csc/nkeys/nats-leaf-cooling-cpc-west2/pubkey").exists()
    done = verify(tree)
    assert done.returncode == 0 and "not compared with its other half: the folder of cpc-1 is not here" in done.stderr
    before = files(tree)
    done = generate(tree, "--cpc", "1")  # asked for: but the CSC knows another key already
    assert done.returncode == 1 and "the CSC has the public key of this login, but the seed is missing" in done.stderr
    assert files(tree) == before and not (tree / "cpc-1").exists()
    shutil.move(tmp_path / "cpc-1", tree / "cpc-1")
    assert generate(tree).returncode == 0 and verify(tree).returncode == 0


def other(kind):
    return Key(kind)


def swap(path, text):
    return lambda tree: put(tree / path, text() if callable(text) else text)


def drop(path):
    return lambda tree: (tree / path).unlink()


def link(path):
    def do(tree):
        target = tree.parent / "elsewhere"
        shutil.move(tree / path, target)
        (tree / path).symlink_to(target)
    return do


def copied(to, of):
    return lambda tree: shutil.copy(tree / of, tree / to)


def copied_site(tree):
    shutil.copytree(tree / "cpc-1", tree / "cpc-9")


# what is done to the tree, what both commands must say, where
FAULTS = {
    "no public key": (drop("csc/nkeys/nats-xkey/pubkey"), "half-written", "csc/nkeys/nats-xkey/pubkey"),
    "no seed": (drop("csc/nkeys/nats-sys-admin/seed"), "half-written", "csc/nkeys/nats-sys-admin/seed"),
    "another public key": (swap("csc/nkeys/nats-surveyor/pubkey", lambda: other("U").public), "not the public key of the seed",
                           "csc/nkeys/nats-surveyor/pubkey"),
    "seed of another kind": (swap("csc/nkeys/nats-auth-signing/seed", lambda: other("U").seed), "user", "csc/nkeys/nats-auth-signing/seed"),
    "public key as seed": (swap("csc/nkeys/nats-streams/seed", lambda: other("U").public), "", "csc/nkeys/nats-streams/seed"),
    "old key is the new one": (copied("csc/nkeys/nats-authx-user/pubkey-old", "csc/nkeys/nats-authx-user/pubkey"), "the same key as pubkey",
                               "csc/nkeys/nats-authx-user/pubkey-old"),
    "seed as old key": (swap("csc/nkeys/nats-authx-user/pubkey-old", lambda: other("U").seed), "", "csc/nkeys/nats-authx-user/pubkey-old"),
    "checksum": (swap("csc/nkeys/nats-streams/pubkey", lambda: other("U").public[:-1] + "A"), "", "csc/nkeys/nats-streams/pubkey"),
    "empty file": (swap("cpc-1/nkeys/nats-leaf-csc/seed", ""), "empty", "cpc-1/nkeys/nats-leaf-csc/seed"),
    "large file": (swap("cpc-1/nkeys/nats-leaf-csc/seed", "S" * 100000), "longer than", "cpc-1/nkeys/nats-leaf-csc/seed"),
    "halves that differ": (swap("cpc-1/nkeys/nats-leaf-csc/seed", lambda: other("U").seed), "not the public key of cpc-1's seed",
                           "csc/nkeys/nats-leaf-cpc-1"),
    "halves of an account": (swap("csc/nkeys/nats-leaf-launchlayer-cpc-west2/pubkey", lambda: other("U").public),
                             "not the public key of cpc-west2's seed", "csc/nkeys/nats-leaf-launchlayer-cpc-west2"),
    "a CPC's half is gone": (lambda tree: shutil.rmtree(tree / "cpc-1/nkeys/nats-leaf-csc"), "but the seed is missing",
                             "cpc-1/nkeys/nats-leaf-csc"),
    "callout: other nkey": (swap("csc/nkeys/auth-callout-keys/nkey-seed", lambda: other("U").seed), "another key than nats-authx-user",
                            "csc/nkeys/auth-callout-keys/nkey-seed"),
    "callout: other issuer": (swap("csc/nkeys/auth-callout-keys/issuer-seed", lambda: other("A").seed), "another key than nats-auth-signing",
                              "csc/nkeys/auth-callout-keys/issuer-seed"),
    "callout: other xkey": (swap("csc/nkeys/auth-callout-keys/xkey-seed", lambda: other("X").seed), "another key than nats-xkey",
                            "csc/nkeys/auth-callout-keys/xkey-seed"),
    "callout: user seed as issuer": (copied("csc/nkeys/auth-callout-keys/issuer-seed", "csc/nkeys/auth-callout-keys/nkey-seed"), "user",
                                     "csc/nkeys/auth-callout-keys/issuer-seed"),
    "pair of a copy is gone": (lambda tree: shutil.rmtree(tree / "csc/nkeys/nats-authx-user"), "whose seed this is, is missing",
                               "csc/nkeys/auth-callout-keys/nkey-seed"),
    "other nack-user.nk": (swap("csc/nkeys/nats-nack-user/nack-user.nk", lambda: other("U").seed), "another key than nats-nack-user",
                           "csc/nkeys/nats-nack-user/nack-user.nk"),
    "other xkey.nk": (swap("csc/nkeys/xkey.nk", lambda: other("X").seed), "another key than nats-xkey", "csc/nkeys/xkey.nk"),
    "xkey.nk with another's public key": (lambda tree: put(tree / "csc/nkeys/xkey.nk", Path(tree / "csc/nkeys/nats-xkey/seed").read_text()
                                                           + "\n" + other("X").public + "\n"), "", "csc/nkeys/xkey.nk"),
    "linked seed": (link("csc/nkeys/nats-xkey/seed"), "symbolic link", "csc/nkeys/nats-xkey/seed"),
    "linked secret": (link("csc/nkeys/nats-xkey"), "symbolic link", "csc/nkeys/nats-xkey"),
    "linked folder of keys": (link("csc/nkeys"), "symbolic link", "csc/nkeys"),
    "linked site": (link("cpc-1"), "symbolic link", "cpc-1"),
    "linked copy": (link("csc/nkeys/xkey.nk"), "not a file", "csc/nkeys/xkey.nk"),
    "file instead of a folder": (lambda tree: (shutil.rmtree(tree / "csc/nkeys/nats-xkey"), put(tree / "csc/nkeys/nats-xkey", "x")),
                                 "instead of a folder", "csc/nkeys/nats-xkey"),
    "folder with other files": (lambda tree: (drop("csc/nkeys/nats-xkey/seed")(tree),
                                              (tree / "csc/nkeys/nats-xkey/pubkey").rename(tree / "csc/nkeys/nats-xkey/pubkey.bak")),
                                "holds files, but not the secret's key", "csc/nkeys/nats-xkey"),
    "pipe instead of a file": (lambda tree: (drop("csc/nkeys/nats-xkey/seed")(tree), os.mkfifo(tree / "csc/nkeys/nats-xkey/seed", 0o600)),
                               "not a file", "csc/nkeys/nats-xkey/seed"),
    "a copied site": (copied_site, "the same key as", "cpc-9/nkeys/nats-xkey"),
    "one key for two logins": (lambda tree: (copied("csc/nkeys/nats-surveyor/seed", "csc/nkeys/nats-streams/seed")(tree),
                                             copied("csc/nkeys/nats-surveyor/pubkey", "csc/nkeys/nats-streams/pubkey")(tree)),
                               "the same key as", "csc/nkeys/nats-s"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_faults_are_refused_and_nothing_is_written(tree, fault):
    spoil, says, where = FAULTS[fault]
    spoil(tree)
    (tree / "cpc-west2/nkeys/xkey.nk").unlink()  # something that would be made
    before = files(tree)
    for done in (generate(tree, "--cpc", "5"), verify(tree), manifests(tree, "--site", "csc")):
        assert done.returncode == 1, done
        line = [text for text in done.stderr.splitlines() if text.startswith(f"{tree}/{where}") and says in text]
        assert line and ": error: " in line[0] and "; " in line[0], done.stderr
        assert not any(seed in done.stdout + done.stderr for seed in seeds(tree))
    assert "nothing was printed" in done.stderr and not done.stdout
    assert files(tree) == before and not (tree / "cpc-5").exists()


@pytest.mark.parametrize("args, says", [
    (["--cpc", ".."], "no id"), (["--cpc", "a/b"], "no id"), (["--cpc", "West"], "no id"), (["--cpc", "x" * 33], "no id"), (["--cpc", "-"], "no id"),
    (["--extra-account", "a-b"], "cannot be"), (["--extra-account", "SYS"], "cannot be"), (["--extra-account", "Cpc7"], "cannot be"),
    (["--extra-account", "x" * 33], "cannot be"), (["--extra-account", "ä"], "cannot be"), (["--cpc", ""], "empty"), (["--cpcs", "1"], "--cpc"),
])
def test_wrong_names(tmp_path, args, says):
    done = generate(tmp_path / "secrets", *args)
    assert (done.returncode, done.stdout) == (2, "") and says in done.stderr
    assert not (tmp_path / "secrets").exists()


def test_what_a_killed_run_left_is_taken_away(made, tree):
    left = tree / "csc/nkeys/.new"
    left.mkdir()
    put(left / "seed", other("U").seed)
    assert "not one of this site's secrets" in verify(tree).stderr
    assert generate(tree).returncode == 0
    assert files(tree) == files(made) and not left.exists()
    left.symlink_to("/etc")  # nor is a link followed that someone put there
    assert generate(tree).returncode == 0 and not left.is_symlink()


@pytest.mark.parametrize("folder", ["auth-callout-keys", "nats-nack-user", "."])
def test_what_a_killed_run_left_of_a_copy_is_taken_away(made, tree, folder):
    """Also where the copy itself was there already and needs no writing."""
    left = tree / "csc/nkeys" / folder / ".new"
    put(left, other("U").seed)
    assert "not one of this" in verify(tree).stderr
    assert generate(tree).returncode == 0
    assert files(tree) == files(made) and not left.exists()


def test_killed_at_any_time_it_can_be_repeated(tmp_path):
    for i in range(14):
        tree = tmp_path / str(i)
        child = subprocess.Popen([PROGRAM, "secrets", "generate", tree, "--cpc", "1", "--cpc", "2"], stdout=subprocess.DEVNULL)
        time.sleep(i * 0.02)
        child.send_signal(signal.SIGKILL)
        child.wait()
        assert generate(tree, "--cpc", "1", "--cpc", "2").returncode == 0
        done = verify(tree)
        assert done.returncode == 0 and not list(tree.rglob(".new")), done.stderr


def test_two_runs_at_once(tmp_path):
    tree = tmp_path / "secrets"
    runs = [subprocess.Popen([PROGRAM, "secrets", "generate", tree, "--cpc", str(i % 3), "--extra-account", f"Extra{i}"],
                             stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) for i in range(6)]
    for child in runs:
        out, err = child.communicate(timeout=60)
        assert child.returncode == 0 and not err, err
    assert verify(tree).returncode == 0
    assert set(files(tree)) == expected(["csc", "cpc-0", "cpc-1", "cpc-2"], "012", [f"extra{i}" for i in range(6)])


def test_a_folder_that_cannot_be_written(tmp_path):
    (tmp_path / "file").write_text("x")
    for tree in (tmp_path / "file", tmp_path / "file/secrets", Path("/proc/secrets")):
        done = generate(tree)
        assert (done.returncode, done.stdout) == (1, "") and str(tree) in done.stderr


# --- verify --------------------------------------------------------------------------------------------------------------

CA = certificates.new_ca("the site's CA")
STRANGER = certificates.new_ca("another CA")


def certificate(tree, site="csc", ca=CA, signer=CA, key=None, chain=(), **settings):
    folder = tree / f"{site}/nkeys/nats-mtls-server-tls"
    leaf = signer.issue("mtls", **{"usage": (certificates.SERVER,), "not_after": certificates.now() + certificates.days(90), **settings})
    put(folder / "ca.crt", ca.pem)
    put(folder / "tls.crt", leaf.pem + "".join(c.pem for c in chain))
    put(folder / "tls.key", (key or leaf).key_pem)
    return leaf


def test_a_whole_tree(tree):
    for site in ("csc", "cpc-1", "cpc-west2"):
        certificate(tree, site)
    done = verify(tree)
    assert (done.returncode, done.stdout, done.stderr) == (0, "csc, cpc-1, cpc-west2: 0 errors, 0 warnings\n", "")


def intermediate(tree):
    between = CA.issue("between", ca=True, usage=None)
    certificate(tree, signer=between, chain=[between])


def encrypted(tree):
    leaf = certificate(tree)
    put(tree / "csc/nkeys/nats-mtls-server-tls/tls.key", leaf.key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.BestAvailableEncryption(b"phrase")).decode())


TLS = {  # what, severity (None = good), what is said, of which file
    "good": (certificate, None, "", ""),
    "intermediate": (intermediate, None, "", ""),
    "none": (lambda tree: None, "warning", "put ca.crt, tls.crt and tls.key", ""),
    "no key": (lambda tree: (certificate(tree), drop("csc/nkeys/nats-mtls-server-tls/tls.key")(tree)), "error", "missing", "/tls.key"),
    "no CA": (lambda tree: (certificate(tree), drop("csc/nkeys/nats-mtls-server-tls/ca.crt")(tree)), "error", "missing", "/ca.crt"),
    "other key": (lambda tree: certificate(tree, key=STRANGER), "error", "not the key of tls.crt", "/tls.key"),
    "encrypted key": (encrypted, "error", "no private key that can be read", "/tls.key"),
    "expired": (lambda tree: certificate(tree, not_after=certificates.now() - certificates.days(0.5)), "error", "expired", "/tls.crt"),
    "expired, other CA": (lambda tree: certificate(tree, signer=STRANGER, not_after=certificates.now() - certificates.days(0.5)), "error",
                          "expired", "/tls.crt"),
    "soon": (lambda tree: certificate(tree, not_after=certificates.now() + certificates.days(29)), "warning", "within 30 days", "/tls.crt"),
    "not yet": (lambda tree: certificate(tree, not_before=certificates.now() + certificates.days(1)), "error", "not yet valid", "/tls.crt"),
    "for clients": (lambda tree: certificate(tree, usage=(certificates.CLIENT,)), "error", "purpose", "/tls.crt"),
    "other CA": (lambda tree: certificate(tree, signer=STRANGER), "warning", "does not end in ca.crt", "/tls.crt"),
    "no certificate": (lambda tree: (certificate(tree), put(tree / "csc/nkeys/nats-mtls-server-tls/tls.crt", "x")), "error",
                       "no certificate", "/tls.crt"),
    "damaged CA": (lambda tree: (certificate(tree), put(tree / "csc/nkeys/nats-mtls-server-tls/ca.crt", CA.pem + CA.pem[:200])), "error",
                   "damaged", "/ca.crt"),
}


@pytest.mark.parametrize("case", TLS)
def test_the_certificate_of_the_mtls_server(tree, case):
    make, severity, says, file = TLS[case]
    make(tree)
    done = verify(tree)
    path = f"{tree}/csc/nkeys/nats-mtls-server-tls"
    lines = [line for line in done.stderr.splitlines() if line.startswith(path)]
    assert done.returncode == (severity == "error")
    assert len(lines) == (severity is not None), done.stderr
    if severity:
        assert lines[0].startswith(f"{path}{file}: {severity}: ") and says in lines[0] and "; " in lines[0]
    assert "PRIVATE" not in done.stderr


@pytest.mark.parametrize("path, mode, severity, says", [
    (".", 0o755, "warning", "others can see"), (".", 0o770, "error", "others can replace"), ("csc", 0o750, "error", "mode 0750, not 0700"),
    ("csc/nkeys", 0o701, "error", "not 0700"), ("csc/nkeys/nats-xkey", 0o755, "error", "not 0700"),
    ("csc/nkeys/nats-xkey/seed", 0o640, "error", "mode 0640, not 0600"), ("csc/nkeys/nats-xkey/pubkey", 0o644, "error", "not 0600"),
    ("csc/nkeys/xkey.nk", 0o604, "error", "not 0600"), ("csc/nkeys/nats-xkey/seed", 0o400, None, ""),
])
def test_modes(tree, path, mode, severity, says):
    path = (tree / path).resolve()
    path.chmod(mode)
    done = verify(tree)
    assert done.returncode == (severity == "error")
    line = [text for text in done.stderr.splitlines() if text.startswith(f"{path}: ") and says in text]
    if severity:
        assert len(line) == 1 and f": {severity}: " in line[0] and f"chmod {'600' if path.is_file() else '700'} {path}" in line[0]
        path.chmod(0o600 if path.is_file() else 0o700)
        assert verify(tree).returncode == 0


def test_owner(tree):
    # only root gives files away; the set-up wants root or sudo, too
    subprocess.run([*([] if os.geteuid() == 0 else ["sudo", "-n"]), "chown", "12345", tree / "csc/nkeys/nats-xkey/seed"], check=True)
    done = verify(tree)
    assert done.returncode == 1 and "belongs to user 12345" in done.stderr and f"chown it to {os.geteuid()}" in done.stderr


@pytest.mark.parametrize("path, says", [
    ("csc/nkeys/nats-xkey/seed~", "not one of this secret's files"), ("csc/nkeys/nats-old-user/seed", "not one of this site's secrets"),
    ("csc/nkeys/notes.txt", "not one of this site's secrets"), ("csc/nkeys/auth-callout-keys/seed", "not one of this secret's files"),
    ("csc/nkeys/nats-leaf-cpc-1/seed", "the seed belongs to cpc-1 alone"),
])
def test_strays_are_warned_about(tree, path, says):
    key = (tree / "cpc-1/nkeys/nats-leaf-csc/seed").read_text()
    put(tree / path, key)
    done = verify(tree)
    assert done.returncode == 0 and key not in done.stderr
    assert any(line.startswith(f"{tree}/{path.removesuffix('/seed') if 'old-user' in path else path}: warning: ") and says in line
               for line in done.stderr.splitlines()), done.stderr


def test_no_tree(tmp_path):
    for path in (tmp_path, tmp_path / "none"):
        done = verify(path)
        assert done.returncode == 1 and str(path) in done.stderr
        assert manifests(path).returncode == 1


def test_names_that_steer_terminals_are_escaped(tree):
    put(tree / "csc/nkeys/\x1b[31mred\nline", "x")
    done = verify(tree)
    assert done.returncode == 0 and "\\u001b[31mred" in done.stderr


# --- manifests -----------------------------------------------------------------------------------------------------------

def secrets(done):
    assert done.returncode == 0, done.stderr
    return {s["metadata"]["name"]: s for s in yaml.safe_load_all(done.stdout)}


def data(secret):
    return {key: base64.b64decode(value, validate=True) for key, value in secret["data"].items()}


KEYS = {"nats-auth-signing": {"pubkey"}, "nats-xkey": {"pubkey"}, "nats-authx-user": {"pubkey"}, "nats-sys-admin": {"pubkey"},
        "nats-auth-watch": {"pubkey"}, "nats-nack-user": {"pubkey", "nack-user.nk"}, "nats-surveyor": {"seed", "pubkey"},
        "nats-streams": {"seed", "pubkey"}, "nats-mtls-leaf": {"seed", "pubkey"}, "nats-mtls-authx-leaf": {"seed", "pubkey"},
        "nats-mtls-sys-leaf": {"seed", "pubkey"}, "auth-callout-keys": {"issuer-seed", "nkey-seed", "xkey-seed"}}
LEAVES = {"csc": {f"nats-leaf-{a}cpc-{i}": {"pubkey"} for a in ("", "launchlayer-") for i in ("1", "west2")},
          "cpc-1": {f"nats-leaf-{a}csc": {"seed"} for a in ("", "launchlayer-")}}
TLS_KEYS = {"nats-mtls-server-tls": {"ca.crt", "tls.crt", "tls.key"}, "auth-callout-mtls-ca": {"ca.crt"}}


@pytest.mark.parametrize("tls", [True, False])
@pytest.mark.parametrize("site", LEAVES)
def test_manifests_have_what_their_readers_need(tree, site, tls):
    if tls:
        certificate(tree, site)
    done = manifests(tree, "--site", site)
    have = secrets(done)
    assert {name: set(s["data"]) for name, s in have.items()} == {**KEYS, **LEAVES[site], **(TLS_KEYS if tls else {})}
    for name, s in have.items():
        assert (s["apiVersion"], s["kind"], s["metadata"]["namespace"]) == ("v1", "Secret", "event-bus")
        assert s["type"] == ("kubernetes.io/tls" if name == "nats-mtls-server-tls" else "Opaque")
        assert s["metadata"]["labels"]["event-bus-site"] == site and s["metadata"]["labels"]["app.kubernetes.io/part-of"] == "event-bus"
        folder = "nats-mtls-server-tls" if name == "auth-callout-mtls-ca" else name
        for key, value in data(s).items():
            assert value == (tree / site / "nkeys" / folder / key).read_bytes()
    assert not any(seed in done.stdout + done.stderr for seed in seeds(tree))
    assert manifests(tree, "--site", site).stdout == done.stdout
    if not tls:
        assert "nats-mtls-server-tls: warning" in done.stderr


def test_an_old_key_is_handed_on_and_told(tree):
    """Of the one login that may have it; of another it is a stray file."""
    old = other("U").public
    for secret in ("nats-authx-user", "nats-surveyor"):
        put(tree / f"csc/nkeys/{secret}/pubkey-old", old + "\n")
    have = secrets(manifests(tree, "--site", "csc"))
    assert data(have["nats-authx-user"]) == {"pubkey": (tree / "csc/nkeys/nats-authx-user/pubkey").read_bytes(), "pubkey-old": old.encode()}
    assert set(have["nats-surveyor"]["data"]) == KEYS["nats-surveyor"]
    told = verify(tree)
    assert told.returncode == 0 and f"{tree}/csc/nkeys/nats-authx-user/pubkey-old: warning: the key that was replaced is still let in" in told.stderr
    assert f"{tree}/csc/nkeys/nats-surveyor/pubkey-old: warning: not one of this secret's files" in told.stderr
    assert generate(tree).returncode == 0 and (tree / "csc/nkeys/nats-authx-user/pubkey-old").exists()


def test_values_have_no_line_end(tree):
    for path in (tree / "csc").rglob("*"):
        if path.is_file() and path.name != "xkey.nk":
            path.write_text(path.read_text() + "\n")
    for s in secrets(manifests(tree, "--site", "csc")).values():
        for value in data(s).values():
            assert value == value.strip() and public_raw(value.decode())


@pytest.mark.parametrize("args, status, says", [
    ([], 2, "--namespace is missing"), (["--namespace", "Event_Bus"], 2, "no name of a namespace"),
    (["--namespace", "x: y"], 2, "no name of a namespace"), (["--namespace", "ns"], 2, "csc, cpc-1, cpc-west2"),
    (["--namespace", "ns", "--site", "cpc-2"], 1, "csc, cpc-1, cpc-west2"), (["--namespace", "ns", "--site", "../csc"], 1, "no site"),
])
def test_what_must_be_said(made, args, status, says):
    done = run("secrets", "manifests", made, *args)
    assert (done.returncode, done.stdout) == (status, "") and says in done.stderr


def test_the_only_site_need_not_be_named(tmp_path):
    generate(tmp_path)
    assert set(secrets(manifests(tmp_path))) == set(KEYS)
    assert secrets(run("secrets", "manifests", tmp_path, "--namespace", "123"))["nats-xkey"]["metadata"]["namespace"] == "123"


def test_incomplete_sites_are_refused(tree):
    shutil.rmtree(tree / "cpc-1/nkeys/nats-surveyor")
    done = manifests(tree, "--site", "cpc-1")
    assert (done.returncode, done.stdout) == (1, "") and "nats-surveyor: error: missing" in done.stderr
    assert manifests(tree, "--site", "csc").returncode == 0
    certificate(tree, not_after=certificates.now() - certificates.days(0.5))
    assert manifests(tree, "--site", "csc").returncode == 1


def test_a_terminal_is_warned(made):
    master, terminal = pty.openpty()
    child = subprocess.Popen([PROGRAM, "secrets", "manifests", made, "--namespace", "ns", "--site", "csc"], stdout=terminal,
                             stderr=subprocess.PIPE, text=True)
    os.close(terminal)
    while True:
        try:
            if not os.read(master, 65536):
                break
        except OSError:  # the other end is closed
            break
    os.close(master)
    assert "on your terminal" in child.communicate(timeout=30)[1] and child.returncode == 0


# --- the script ----------------------------------------------------------------------------------------------------------

def script(*args, **kwargs):
    return run(*args, program=SCRIPT, env={"EVENTBUS": str(PROGRAM), **kwargs})


def test_the_script_makes_the_tree(tmp_path):
    tree = tmp_path / "with blanks/secrets"
    assert script("-o", tree, "--extra-account", "LaunchLayer", "1", "--extra-account=Cooling", "2").returncode == 0
    assert set(files(tree)) == expected(["csc", "cpc-1", "cpc-2"], ("1", "2"), ["launchlayer", "cooling"])
    assert script("3", f"--output={tree}").stdout.endswith(" kept\n")
    assert set(files(tree)) == expected(["csc", "cpc-1", "cpc-2", "cpc-3"], ("1", "2", "3"), ["launchlayer", "cooling"])
    assert verify(tree).returncode == 0


def test_the_script_in_its_own_checkout(tmp_path):
    """Default folder, the program of the checkout or the PATH, a folder that git ignores."""
    top = tmp_path / "checkout"
    (top / "deploy/scripts").mkdir(parents=True)
    (top / "build/eventbus").mkdir(parents=True)
    shutil.copy(SCRIPT, top / "deploy/scripts")
    shutil.copy(ROOT / "deploy/.gitignore", top / "deploy")
    own = top / "deploy/scripts/generate-nkeys.sh"
    env = {"EVENTBUS": "", "PATH": "/usr/bin:/bin"}
    done = run("1", program=own, env=env)
    assert done.returncode == 1 and "make build" in done.stderr
    (top / "build/eventbus/eventbus").symlink_to(PROGRAM)
    assert run("1", program=own, env=env).returncode == 0
    assert set(files(top / "deploy/secrets")) == expected(["csc", "cpc-1"], ("1",))
    subprocess.run(["git", "init", "-q", top], check=True)
    assert subprocess.run(["git", "-C", top, "check-ignore", "-q", "deploy/secrets/csc/nkeys/xkey.nk"]).returncode == 0
    (top / "build/eventbus/eventbus").unlink()
    assert run(program=own, env={**env, "PATH": f"{PROGRAM.parent}:/usr/bin:/bin"}).stdout.endswith(" kept\n")


@pytest.mark.parametrize("args, status, says", [
    (["-h"], 0, "nats-auth-signing"), (["--help"], 0, "--extra-account NAME"), (["-o"], 2, "needs a folder"), (["--output="], 2, "needs a folder"),
    (["--extra-account"], 2, "needs a name"), (["--force"], 2, "no option"), (["A"], 2, "no id of a CPC"),
    (["--extra-account", "csc"], 2, "cannot be an extra account"), (["-o", "/proc/secrets"], 1, "/proc"),
])
def test_the_script_says(tmp_path, args, status, says):
    done = script(*args) if "-o" in args else script("-o", tmp_path / "secrets", *args)
    assert done.returncode == status and says in done.stdout + done.stderr
    assert not (tmp_path / "secrets").exists()


def test_the_script_passes_refusals_on(tree):
    (tree / "csc/nkeys/nats-xkey/pubkey").unlink()
    done = script("-o", tree)
    assert done.returncode == 1 and "half-written" in done.stderr and "nothing was written" in done.stderr
