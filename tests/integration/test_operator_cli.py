"""eventbus operator init and show: run as an operator runs them; what they write is read by other implementations."""
import json
import os
import re
import shutil
import stat
import subprocess
import time
from pathlib import Path

import pytest
import yaml

from harness.bus import EVENTBUS, NATS_SERVER
from harness.callout import nats_jwt, read_nats_jwt
from harness.nkeys import Key
from harness.operator import NAME, Operator, init, show
from harness.wait import until

ROOT = Path(__file__).resolve().parents[2]


def files(tree):
    return {str(p.relative_to(tree)): p.read_bytes() for p in sorted(Path(tree).rglob("*")) if p.is_file() and not p.is_symlink()}


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    return Operator(tmp_path_factory.mktemp("made")).init("--nack", "--account", "PLANT")


@pytest.fixture
def tree(made, tmp_path):
    shutil.copytree(made.dir, tmp_path / "operator", symlinks=True)
    again = Operator(tmp_path)
    assert init(again.dir).returncode == 0  # paths in rendered files are those of the new place
    return again


def refused(done, *words):
    assert done.returncode == 1, done.stdout + done.stderr
    assert all(word in done.stderr for word in words), done.stderr


# --- what is made ---------------------------------------------------------------------------------------------------
def test_modes_and_layout(tmp_path):
    assert init(tmp_path / "o", umask=0).returncode == 0
    assert init(tmp_path / "p", umask=0o777).returncode == 0
    for path in [*tmp_path.rglob("*")]:
        want = 0o700 if path.is_dir() else 0o600
        assert stat.S_IMODE(path.stat().st_mode) == want, path


def test_every_jwt_is_signed_by_whom_it_must_be(made):
    operator = made.claims()
    assert operator["iss"] == operator["sub"] and operator["nats"]["system_account"] == made.id("SYS")
    for account in ("SYS", "AUTH_SERVICE", "AUTH_ACCOUNT", "PLANT", "NACK"):
        claims = made.claims(account)
        assert claims["iss"] == operator["sub"] and claims["name"] == account and claims["iat"]
        limits = claims["nats"]["limits"]
        assert {limits[k] for k in ("subs", "data", "payload", "imports", "exports", "conn", "leaf")} == {-1} and limits["wildcards"]
        assert (limits.get("disk_storage") == -1) == (account not in ("SYS", "AUTH_SERVICE"))
        for path in made.jwt_path(account).parent.glob("users/*.jwt"):
            user = read_nats_jwt(path.read_text())
            assert user["iss"] in claims["nats"]["signing_keys"] and user["nats"]["issuer_account"] == claims["sub"]
            assert account in ("SYS", "NACK") or user["iss"] != made.held(account), "auth-callout has the key that signed it"
            assert user["name"] == path.stem and user["iat"] and "exp" not in user
            creds = made.creds(account, path.stem).read_text().split("\n")
            assert path.read_text() in creds and made.key_path(user["sub"]).read_text() in creds
    service = made.claims("AUTH_SERVICE")["nats"]["authorization"]
    assert service["auth_users"] == [made.claims("AUTH_SERVICE", "auth")["sub"]]
    assert service["allowed_accounts"] == [made.id("AUTH_ACCOUNT"), made.id("PLANT")] and made.key(service["xkey"]).kind == "X"
    sentinel = made.claims("AUTH_SERVICE", "sentinel")["nats"]
    assert sentinel["bearer_token"] is True and [sentinel[k] for k in ("subs", "data", "payload")] == [-1, -1, -1]
    assert sentinel["pub"] == sentinel["sub"] == {"deny": [">"]}


@pytest.mark.parametrize("resolver", ["memory", "full"])
def test_nats_server_takes_the_configuration(made, resolver):
    conf = made.folder / f"{resolver}-test.conf"
    conf.write_text(f'server_name: x\nlisten: "127.0.0.1:-1"\njetstream {{ store_dir: "{made.folder}/js" }}\ninclude "operator/nats-server/{resolver}.conf"\n')
    done = subprocess.run([NATS_SERVER, "-t", "-c", conf], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_secrets_are_what_each_consumer_needs(made):
    found = made.secrets_yaml()
    assert set(found) == {"nats-operator", "auth-callout-operator", "nats-sys-creds", "nats-sentinel-creds", "nats-nack-creds"}
    assert set(found["nats-nack-creds"]) == {"NACK.creds", "AUTH_ACCOUNT.creds", "PLANT.creds"}
    callout = found["auth-callout-operator"]
    config = yaml.safe_load(callout["auth-callout.yaml"])
    named = [config["nats"][k] for k in ("creds-file", "issuer-seed-file", "xkey-seed-file")] + [a["signing-seed-file"] for a in config["accounts"].values()]
    assert {path.rpartition("/")[2] for path in named} == set(callout) - {"auth-callout.yaml"}, "every file that is named is there, and no other"
    assert {path.rpartition("/")[0] for path in named} == {"/etc/auth-callout-operator"}
    for account, of in config["accounts"].items():
        assert of["id"] == made.id(account)
        assert Key.from_seed(callout[f"account-{account}.seed"].decode()).public in made.claims(account)["nats"]["signing_keys"]
    assert {p.name for p in (made.dir / "auth-callout/keys").iterdir()} == set(callout) - {"auth-callout.yaml"}
    everything = b"".join(data for secret in found.values() for data in secret.values())
    for public in (made.claims()["sub"], *(made.id(a) for a in ("SYS", "AUTH_SERVICE", "AUTH_ACCOUNT", "PLANT"))):
        assert made.key(public).seed.encode() not in everything, "an identity key left the folder"
    assert not any(path.read_bytes() in conf for path in made.dir.rglob("*.nk") for conf in found["nats-operator"].values())


# --- again ----------------------------------------------------------------------------------------------------------
def test_again_changes_nothing(tree):
    before = files(tree.dir)
    done = init(tree.dir)
    assert done.returncode == 0 and " 0 changed" in done.stdout and done.stdout.splitlines()[-1].startswith("0 made")
    assert files(tree.dir) == before


def test_again_adds_what_is_missing(tree):
    tree.creds("SYS", "sys").unlink()
    tree.jwt_path("PLANT", "admin").unlink()
    tree.creds("PLANT", "admin").unlink()
    (tree.dir / "nats-server/full.conf").unlink()
    before = files(tree.dir)
    done = init(tree.dir, "--account", "PLANT", "--account", "LAB")
    assert done.returncode == 0, done.stderr
    after = files(tree.dir)
    rendered = {"nats-server/memory.conf", "auth-callout/auth-callout.yaml", "kubernetes/secrets.yaml", f"{NAME}/accounts/AUTH_SERVICE/AUTH_SERVICE.jwt"}
    assert {name for name in before if after[name] != before[name]} == rendered
    assert tree.creds("SYS", "sys").exists() and tree.jwt_path("PLANT", "admin").exists()
    assert tree.claims("AUTH_SERVICE")["nats"]["authorization"]["allowed_accounts"] == [tree.id(a) for a in ("AUTH_ACCOUNT", "PLANT", "LAB")]
    assert tree.id("LAB") in (tree.dir / "nats-server/full.conf").read_text()


def test_what_others_wrote_into_a_jwt_stays(tree):
    claims = tree.claims("AUTH_SERVICE")
    claims["nats"] |= {"description": "changed elsewhere", "mappings": {"a": [{"subject": "b", "weight": 100}]}, "revocations": {"*": 5}}
    claims["nats"]["authorization"]["newer_member"] = {"x": [1, None]}
    tree.jwt_path("AUTH_SERVICE").write_text(tree.sign(claims))
    assert init(tree.dir, "--account", "LAB").returncode == 0
    after = tree.claims("AUTH_SERVICE")
    claims["nats"]["authorization"]["allowed_accounts"].append(tree.id("LAB"))
    assert after["nats"] == claims["nats"] and after["iat"] > claims["iat"]


# --- who holds which key ---------------------------------------------------------------------------------------------
def outcome(tree, *args):
    done = init(tree.dir, *args)
    assert done.returncode == 0, done.stderr
    return done


def callout_files(tree):
    return b"".join(p.read_bytes() for p in (tree.dir / "auth-callout").rglob("*") if p.is_file())


@pytest.mark.parametrize("account", ["AUTH_SERVICE", "PLANT"])
def test_a_lost_key_of_the_service_is_replaced(tree, account):
    """What docs/operator-mode.md says: a new key is listed, the service gets it, the old one goes. No user of ours is touched."""
    before = files(tree.dir / "creds")
    old, new = tree.held(account), tree.store_key(Key("A"))
    tree.edit(account, lambda nats: nats.update(signing_keys=sorted([*nats["signing_keys"], new])))  # nsc sorts them
    outcome(tree)
    assert tree.held(account) == old, "a key that came along is taken by nobody"
    tree.held_path(account).write_bytes(tree.key_path(new).read_bytes())
    outcome(tree)
    assert tree.held(account) == new
    tree.edit(account, lambda nats: nats["signing_keys"].remove(old))
    outcome(tree)
    assert tree.held(account) == new and files(tree.dir / "creds") == before and show(tree.dir).returncode == 0
    assert f"{new}  seed is here, auth-callout's" in show(tree.dir).stdout
    assert tree.key(new).seed.encode() in tree.secrets_yaml()["auth-callout-operator"].values()


def test_a_key_that_is_gone_from_the_account_is_given_up(tree):
    """Taken out before there is another: a new one is made. With several to choose from, nobody guesses."""
    old = tree.held("PLANT")
    tree.edit("PLANT", lambda nats: nats["signing_keys"].remove(old))
    outcome(tree)
    assert tree.held("PLANT") != old and tree.held("PLANT") in tree.claims("PLANT")["nats"]["signing_keys"]
    tree.held_path("PLANT").unlink()
    outcome(tree)
    assert len(tree.claims("PLANT")["nats"]["signing_keys"]) == 2, "the one that signs no user is it"
    more = tree.store_key(Key("A"))
    tree.edit("PLANT", lambda nats: nats["signing_keys"].append(more))
    tree.held_path("PLANT").unlink()
    refused(init(tree.dir), "PLANT", "2 signing keys", "account-PLANT.seed")


def test_users_are_signed_again_by_a_key_that_is_left(tree):
    """Their signer was taken out of the account: the same users, permissions as somebody changed them, new creds."""
    service, admin = tree.claims("AUTH_SERVICE", "auth"), tree.claims("PLANT", "admin")
    for account, user in (("AUTH_SERVICE", service), ("PLANT", admin)):
        tree.edit(account, lambda nats, user=user: nats["signing_keys"].remove(user["iss"]))
    refused(show(tree.dir), "not signed by a key of the account")
    outcome(tree)
    assert show(tree.dir).returncode == 0
    for account, name, old in (("AUTH_SERVICE", "auth", service), ("PLANT", "admin", admin)):
        now = tree.claims(account, name)
        assert now["sub"] == old["sub"] and now["iss"] not in (old["iss"], tree.held(account)) and now["iat"] > old["iat"]
        assert {k: v for k, v in now["nats"].items() if k != "issuer_account"} == {k: v for k, v in old["nats"].items() if k != "issuer_account"}
        assert tree.jwt(account, name) in tree.creds(account, name).read_text()
    assert tree.jwt("AUTH_SERVICE", "sentinel") in (tree.dir / "nats-server/memory.conf").read_text()
    assert tree.jwt("AUTH_SERVICE", "auth").encode() in tree.secrets_yaml()["auth-callout-operator"]["service-creds"]


def test_a_revoked_user_is_not_signed_again(tree):
    """Signed anew it would be newer than what revokes it, with the same key."""
    admin = tree.claims("PLANT", "admin")

    def revoke(nats):
        nats["signing_keys"].remove(admin["iss"])
        nats["revocations"] = {admin["sub"]: int(time.time())}
    tree.edit("PLANT", revoke)
    refused(init(tree.dir), "admin.jwt: revoked in its account")
    assert tree.claims("PLANT", "admin") == admin


def test_an_identity_key_is_never_given_away(tree):
    """An account of nsc's has no signing key: it gets one; so does one whose signing seeds are elsewhere."""
    tree.add_account("LAB")
    for key in tree.claims("PLANT")["nats"]["signing_keys"]:
        tree.key_path(key).unlink()
    tree.held_path("PLANT").unlink()
    tree.jwt_path("PLANT", "nack").unlink()
    tree.creds("PLANT", "nack").unlink()
    done = outcome(tree, "--account", "LAB", "--nack")
    assert "account LAB has no JetStream" in done.stderr
    for account in ("LAB", "PLANT"):
        assert tree.held(account) in tree.claims(account)["nats"]["signing_keys"]
        assert tree.key(tree.id(account)).seed.encode() not in callout_files(tree)


def test_a_stale_creds_file_is_written_anew(tree):
    claims = tree.claims("PLANT", "admin")
    jwt = nats_jwt(tree.key(claims["iss"]), {**claims, "iat": claims["iat"] + 1, "nats": {**claims["nats"], "pub": {"deny": ["x"]}}})
    tree.jwt_path("PLANT", "admin").write_text(jwt)
    assert "creds/event-bus/PLANT/admin.creds" in [line.split()[1] for line in outcome(tree).stdout.splitlines() if line.startswith("changed")]
    assert jwt in tree.creds("PLANT", "admin").read_text()


# --- what others decided stays --------------------------------------------------------------------------------------
def authorization(tree, **change):
    tree.edit("AUTH_SERVICE", lambda nats: nats["authorization"].update(change))


def configured(tree):
    return yaml.safe_load((tree.dir / "auth-callout/auth-callout.yaml").read_text())["accounts"]


def test_an_account_that_was_taken_out_stays_out(tree):
    authorization(tree, allowed_accounts=[tree.id("PLANT")])
    done = outcome(tree)
    assert tree.claims("AUTH_SERVICE")["nats"]["authorization"]["allowed_accounts"] == [tree.id("PLANT")]
    assert set(configured(tree)) == {"PLANT"} and "removed  auth-callout/keys/account-AUTH_ACCOUNT.seed" in done.stdout
    outcome(tree, "--account", "AUTH_ACCOUNT")
    assert set(configured(tree)) == {"PLANT", "AUTH_ACCOUNT"}


def test_every_account_allowed(tree):
    """`*` says it all: nothing is added beside it, which servers would not take. SYS and the callout account stay out."""
    authorization(tree, allowed_accounts=["*"])
    done = outcome(tree, "--account", "LAB")
    assert tree.claims("AUTH_SERVICE")["nats"]["authorization"]["allowed_accounts"] == ["*"] and "allows every account" in done.stderr
    assert set(configured(tree)) == {"AUTH_ACCOUNT", "PLANT", "LAB"}


@pytest.mark.parametrize("account", ["SYS", "AUTH_SERVICE"])
def test_an_account_that_must_not_take_clients(tree, account):
    authorization(tree, allowed_accounts=[tree.id("AUTH_ACCOUNT"), tree.id(account)])
    done = outcome(tree)
    assert f"allows {account}, and auth-callout gets no key of it" in done.stderr
    assert set(configured(tree)) == {"AUTH_ACCOUNT"} and not (tree.dir / f"auth-callout/keys/account-{account}.seed").exists()


def test_no_account_left(tree):
    authorization(tree, allowed_accounts=[])
    refused(init(tree.dir), "allows no account", "--account NAME")


@pytest.mark.parametrize("name", ["#lab", "a: b", "My Lab", '"x', "- x", "x" * 129])
def test_names_of_others(tree, name):
    """No entry of a permissions document can name them: no clients there, and every file can still be read."""
    tree.add_account(name, limits={"disk_storage": -1})
    authorization(tree, allowed_accounts=[tree.id("PLANT"), tree.id(name)])
    done = outcome(tree)
    assert f"allows {name}, and auth-callout gets no key of it" in done.stderr and set(configured(tree)) == {"PLANT"}
    assert tree.secrets_yaml() and tree.id(name) in (tree.dir / "nats-server/memory.conf").read_text()


def test_secret_keys_do_not_meet(tree):
    """Each account has its own key in the Secret of NACK, however long or odd its name."""
    names = ["x" * 64 + c for c in "ab"] + ["a b", "a: b"]
    for name in names:
        tree.add_account(name)
        key, users = Key("U"), tree.jwt_path(name).parent / "users"
        users.mkdir(mode=0o700)
        jwt = nats_jwt(tree.key(tree.id(name)), {"iss": tree.id(name), "sub": tree.store_key(key), "name": "nack", "iat": 1, "nats": {"type": "user", "version": 2}})
        (users / "nack.jwt").write_text(jwt)
        tree.creds(name, "nack").parent.mkdir(mode=0o700)
        tree.creds(name, "nack").write_text(jwt)
    outcome(tree)
    found = tree.secrets_yaml()["nats-nack-creds"]
    assert set(found) == {"NACK.creds", "AUTH_ACCOUNT.creds", "PLANT.creds", *(f"{n}.creds" for n in names[:2]), *(f"{tree.id(n)}.creds" for n in names[2:])}
    assert all(re.fullmatch(r"[-._a-zA-Z0-9]{1,253}", key) for key in found)


def rename_account(tree, old, new):
    claims = tree.claims(old)
    folder = tree.jwt_path(old).parent
    folder.rename(folder.parent / new)
    (folder.parent / new / f"{old}.jwt").unlink()
    tree.jwt_path(new).write_text(tree.sign({**claims, "name": new}))
    tree.creds(old, "x").parent.rename(tree.creds(new, "x").parent)


def test_a_system_account_of_another_name(tree):
    rename_account(tree, "SYS", "SYSTEM")
    outcome(tree)
    assert not tree.jwt_path("SYS").exists() and tree.creds("SYSTEM", "sys").read_bytes() == tree.secrets_yaml()["nats-sys-creds"]["sys.creds"]
    refused(init(tree.dir, "--account", "SYSTEM"), "system account")


def test_without_an_xkey(tree):
    tree.edit("AUTH_SERVICE", lambda nats: nats["authorization"].pop("xkey"))
    done = outcome(tree)
    assert "has no xkey" in done.stderr and not (tree.dir / "auth-callout/keys/xkey.seed").exists()
    assert "xkey-seed-file" not in (tree.dir / "auth-callout/auth-callout.yaml").read_text()
    assert "xkey.seed" not in tree.secrets_yaml()["auth-callout-operator"]


# --- modes, leftovers -----------------------------------------------------------------------------------------------
WIDE = ["", "keys", "keys/A", "creds/event-bus/SYS/sys.creds", "kubernetes/secrets.yaml", "auth-callout/keys/issuer.seed", "event-bus/accounts", "keys/O/*/*.nk"]


@pytest.mark.parametrize("what", WIDE)
def test_modes_are_told_and_mended(tree, what):
    path = next(tree.dir.glob(what)) if "*" in what else tree.dir / what
    path.chmod(0o777 if path.is_dir() else 0o640)
    refused(show(tree.dir), str(path), "mode 0777" if path.is_dir() else "mode 0640")
    assert f"mode     {path.relative_to(tree.dir)}" in outcome(tree).stdout or path == tree.dir
    assert stat.S_IMODE(path.stat().st_mode) == (0o700 if path.is_dir() else 0o600)
    assert show(tree.dir).returncode == 0


def test_what_a_killed_run_left_is_removed(tree):
    left = [tree.creds("SYS", "sys").with_name("sys.creds.new-77-00112233"), next((tree.dir / "keys/A").rglob("*.nk")).with_suffix(".nk.new-1-0a9f3c77"),
            tree.dir / "kubernetes/secrets.yaml.new-1-00000000"]
    for path in left:
        path.write_text("half of a seed")
    mine = [tree.dir / "auth-callout/notes.new-style", tree.dir / "auth-callout/permissions.yaml.new-2026", tree.dir / "nats-server/x.conf.new-1-2"]
    for path in mine:
        path.write_text("")
    outcome(tree)
    assert not any(path.exists() for path in left) and all(path.exists() for path in mine)


# --- what is refused ------------------------------------------------------------------------------------------------
def break_key(tree):
    tree.key_path(tree.claims()["sub"]).unlink()
    return "the key of the operator cannot be had"


def break_other_key(tree):
    tree.key_path(tree.claims()["sub"]).write_text(Key("O").seed)
    return "another key than its name says"


def break_operator(tree):
    tree.jwt_path().unlink()
    return "no operator"


def break_account(tree):
    tree.jwt_path("SYS").unlink()
    return "has users"


def break_user(tree):
    tree.jwt_path("SYS", "sys").unlink()
    return "is there, but the user's JWT is not"


def break_creds(tree):
    tree.creds("SYS", "sys").write_bytes(tree.creds("AUTH_SERVICE", "auth").read_bytes())
    return "of another key"


def break_signature(tree):
    tree.jwt_path("PLANT").write_text(tree.jwt("PLANT")[:-8] + "AAAAAAAA")
    return "signature"


def break_issuer(tree):
    stranger = Key("O")
    claims = tree.claims("PLANT")
    tree.jwt_path("PLANT").write_text(nats_jwt(stranger, {**claims, "iss": stranger.public}))
    return "not signed by a key of the operator"


def break_name(tree):
    shutil.copytree(tree.jwt_path("PLANT").parent, tree.jwt_path("PLANT").parent.parent / "OTHER")
    (tree.jwt_path("PLANT").parent.parent / "OTHER/PLANT.jwt").rename(tree.jwt_path("PLANT").parent.parent / "OTHER/OTHER.jwt")
    return "name is another one"


def break_rendered(tree):
    path = tree.dir / "nats-server/memory.conf"
    path.write_text(path.read_text() + "port: 4223\n")
    return "changed by hand"


def break_link(tree):
    target = tree.folder / "elsewhere"
    (tree.dir / "kubernetes").rename(target)
    (tree.dir / "kubernetes").symlink_to(target)
    return "symbolic link"


def break_link_keys(tree):
    (tree.dir / "keys").rename(tree.folder / "elsewhere")
    (tree.dir / "keys").symlink_to(tree.folder / "elsewhere")
    return "symbolic link"


def break_link_accounts(tree):
    (tree.dir / NAME / "accounts").rename(tree.folder / "elsewhere")
    (tree.dir / NAME / "accounts").symlink_to(tree.folder / "elsewhere")
    return "symbolic link"


def break_link_all(tree):
    tree.dir.rename(tree.folder / "elsewhere")
    tree.dir.symlink_to(tree.folder / "elsewhere")
    return "symbolic link"


def break_system(tree):
    claims = tree.claims()
    del claims["nats"]["system_account"]
    tree.jwt_path().write_text(tree.sign(claims))
    return "no system account"


def break_system_gone(tree):
    claims = tree.claims()
    claims["nats"]["system_account"] = Key("A").public
    tree.jwt_path().write_text(tree.sign(claims))
    return "is not here, and SYS is another"


def break_strict(tree):
    claims, key = tree.claims(), Key("O")
    claims["nats"] |= {"strict_signing_key_usage": True, "signing_keys": [key.public]}
    tree.jwt_path().write_text(tree.sign(claims))
    for path in tree.jwt_path("PLANT").parent.parent.glob("*/*.jwt"):
        path.write_text(nats_jwt(key, {**read_nats_jwt(path.read_text()), "iss": key.public}))
    return "strict"


def break_held(tree):
    tree.held_path("PLANT").write_text("no seed")
    return "account-PLANT.seed"


def break_foreign(tree):
    (tree.dir / "holiday.jpg").write_text("")
    return "holiday.jpg"


@pytest.mark.parametrize("spoil", [break_key, break_other_key, break_operator, break_account, break_user, break_creds, break_signature, break_issuer,
                                   break_name, break_rendered, break_link, break_link_keys, break_link_accounts, break_link_all, break_system,
                                   break_system_gone, break_strict, break_held, break_foreign], ids=lambda f: f.__name__[6:])
def test_half_of_it_or_anothers_is_refused(tree, spoil):
    words = spoil(tree)
    before = files(tree.folder)
    refused(init(tree.dir), words)
    assert files(tree.folder) == before, "something was written"


@pytest.mark.parametrize("name", ["*", ">", "a.b", "a b", "", "../x", "-x", "SYS", "auth_service", "Nack", "x" * 65, "é"])
def test_names_that_are_refused(tmp_path, name):
    done = init(tmp_path / "o", "--account", name)
    assert done.returncode in (1, 2) and not (tmp_path / "o").exists()


def test_two_runs_at_once_make_one_operator(tmp_path):
    runs = [subprocess.Popen([*EVENTBUS.split(), "operator", "init", "--dir", tmp_path / "o"], stdout=subprocess.PIPE, stderr=subprocess.PIPE) for _ in range(4)]
    assert [r.wait() for r in runs if r.communicate()] == [0] * 4
    assert len([*(tmp_path / "o/keys/O").rglob("*.nk")]) == 1


def test_a_run_that_was_killed_is_gone_on_with(tmp_path):
    """Whatever there is of it is whole: the next run adds the rest."""
    for n in range(8):
        tree = tmp_path / str(n)
        first = subprocess.Popen([*EVENTBUS.split(), "operator", "init", "--dir", tree, "--nack"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        until(lambda: first.poll() is not None or len(list(tree.rglob("*"))) > 8 * n, "no files", every=0.0005)
        first.kill()
        first.wait()
        done = init(tree, "--nack")
        assert done.returncode == 0, f"after {n}: {done.stderr}"
        assert show(tree).returncode == 0


# --- show -----------------------------------------------------------------------------------------------------------
def test_show(made):
    done = show(made.dir)
    assert done.returncode == 0 and not done.stderr, done.stderr
    for account in ("SYS", "AUTH_SERVICE", "AUTH_ACCOUNT", "PLANT", "NACK"):
        assert made.id(account) in done.stdout
    assert "may place into  AUTH_ACCOUNT, PLANT" in done.stdout
    seeds = [path.read_text() for path in made.dir.rglob("*.nk")]
    assert len(seeds) > 15 and not any(seed in done.stdout for seed in seeds)


def test_show_tells_what_cannot_be_trusted(tree):
    break_issuer(tree)
    done = show(tree.dir)
    refused(done, "PLANT.jwt", "not signed by a key of the operator")
    assert tree.id("SYS") in done.stdout, "the rest is shown"
    refused(show(tree.folder / "nowhere"), "no operator there")


def test_show_is_no_way_to_steer_a_terminal(tree):
    claims = tree.claims("PLANT")
    claims["name"] = "x\x1b[2J"
    claims["nats"]["signing_keys"].append({"kind": "user_scope", "key": Key("A").public, "role": "\x1b]0;x\x07", "template": {"pub": {"allow": ["\x1b[H"]}}})
    folder = tree.dir / NAME / "accounts/x\x1b[2J"
    folder.mkdir()
    (folder / "x\x1b[2J.jwt").write_text(tree.sign(claims))
    done = show(tree.dir)
    assert "\x1b" not in done.stdout + done.stderr and "\x07" not in done.stdout and "\\u001b" in done.stdout


def test_show_the_layout_of_nsc(tree, tmp_path):
    """nsc without --all-dirs has stores/ and keys/ beside each other."""
    data = tmp_path / "data"
    (data / "stores").mkdir(parents=True)
    (data / "keys").mkdir()
    (tree.dir / NAME).rename(data / "stores" / NAME)
    (tree.dir / "keys").rename(data / "keys/keys")
    (tree.dir / "creds").rename(data / "keys/creds")
    done = show(data)
    assert done.returncode == 0 and "no seed here" not in done.stdout and "PLANT" in done.stdout, done.stderr
    assert show(data / "stores").stdout == done.stdout == show(data / "stores" / NAME).stdout


# --- nsc itself -----------------------------------------------------------------------------------------------------
@pytest.fixture(scope="module")
def nsc(tmp_path_factory):
    """Built from the modules that tests/nsc pins: minutes, where they are not in Go's cache."""
    program = ROOT / ".deps/bin/nsc"
    done = subprocess.run([ROOT / "scripts/setup-nsc.sh"], capture_output=True, text=True, timeout=1700)
    assert done.returncode == 0, done.stdout + done.stderr

    def run(folder, *args):
        home = {"HOME": str(folder), "XDG_CONFIG_HOME": str(folder), "XDG_DATA_HOME": str(folder), "NO_COLOR": "1", "PATH": os.environ["PATH"]}
        done = subprocess.run([program, "--all-dirs", folder, *args], capture_output=True, text=True, env=home, timeout=60)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout + done.stderr

    return run


@pytest.mark.long
@pytest.mark.timeout(1800)
def test_nsc_describes_what_we_made(nsc, tree):
    operator = json.loads(nsc(tree.dir, "describe", "operator", "--json"))
    assert operator == tree.claims()
    for account in ("SYS", "AUTH_SERVICE", "AUTH_ACCOUNT", "PLANT", "NACK"):
        described = json.loads(nsc(tree.dir, "describe", "account", account, "--json"))
        assert described["sub"] == tree.id(account) and described["nats"]["limits"]["conn"] == -1
    assert "Bearer Token         | Yes" in nsc(tree.dir, "describe", "user", "-a", "AUTH_SERVICE", "sentinel")
    issues = nsc(tree.dir, "validate", "-A")
    assert issues.count("No issues found") >= 5, issues
    keys = nsc(tree.dir, "list", "keys", "-A")
    assert tree.claims("AUTH_SERVICE")["nats"]["authorization"]["xkey"] in keys


@pytest.mark.long
@pytest.mark.timeout(1800)
def test_nsc_changes_what_we_made_and_we_go_on(nsc, tree):
    nsc(tree.dir, "add", "account", "BY_NSC")
    nsc(tree.dir, "add", "user", "-a", "BY_NSC", "--name", "someone")
    done = init(tree.dir)
    assert done.returncode == 0, done.stderr
    assert tree.id("BY_NSC") in (tree.dir / "nats-server/memory.conf").read_text()
    assert tree.id("BY_NSC") not in tree.claims("AUTH_SERVICE")["nats"]["authorization"]["allowed_accounts"], "opened to clients without being asked"
    assert "user someone" in show(tree.dir).stdout


@pytest.mark.long
@pytest.mark.timeout(1800)
def test_a_store_of_nsc_works_with_us(nsc, tmp_path):
    """All by nsc: operator, accounts, the callout's login, a scoped key; a client comes in by our callout."""
    op = Operator(tmp_path)
    op.dir.mkdir(mode=0o700)
    xkey = Key("X")
    (tmp_path / "xkey.nk").write_text(xkey.seed)
    nsc(op.dir, "add", "operator", "-n", NAME, "--sys")
    for account in ("AUTH_SERVICE", "AUTH_ACCOUNT"):
        nsc(op.dir, "add", "account", account)
        nsc(op.dir, "edit", "account", account, "--sk", "generate", *(["--js-mem-storage", "-1", "--js-disk-storage", "-1"] if account == "AUTH_ACCOUNT" else []))
    nsc(op.dir, "add", "user", "-a", "AUTH_SERVICE", "--name", "auth")
    nsc(op.dir, "add", "user", "-a", "AUTH_SERVICE", "--name", "sentinel", "--bearer", "--deny-pubsub", ">")
    nsc(op.dir, "edit", "authcallout", "-a", "AUTH_SERVICE", "--auth-user", op.claims("AUTH_SERVICE", "auth")["sub"], "--allowed-account", op.id("AUTH_ACCOUNT"),
        "--curve", xkey.public)
    server = op.dir / "nats-server"
    server.mkdir()
    (server / "memory.conf").write_text(nsc(op.dir, "generate", "config", "--mem-resolver") + f"\ndefault_sentinel: {op.jwt('AUTH_SERVICE', 'sentinel')}\n")
    done = show(op.dir)
    assert done.returncode == 0 and "may place into  AUTH_ACCOUNT" in done.stdout and "no seed here" not in done.stdout.replace("xkey", ""), done.stdout + done.stderr
    signing = {a: op.claims(a)["nats"]["signing_keys"][-1] for a in ("AUTH_SERVICE", "AUTH_ACCOUNT")}
    (op.dir / "auth-callout").mkdir()
    (op.dir / "auth-callout/auth-callout.yaml").write_text(json.dumps({
        "nats": {"creds-file": str(op.creds("AUTH_SERVICE", "auth")), "issuer-account": op.id("AUTH_SERVICE"), "xkey-seed-file": str(tmp_path / "xkey.nk"),
                 "issuer-seed-file": str(op.key_path(signing["AUTH_SERVICE"]))},
        "accounts": {"AUTH_ACCOUNT": {"id": op.id("AUTH_ACCOUNT"), "signing-seed-file": str(op.key_path(signing["AUTH_ACCOUNT"]))}},
        "permissions": {"file": str(op.dir / "auth-callout/permissions.yaml")}}))
    try:
        op.up({"oauth2": {"probe": {"azp": "probe", "account": "AUTH_ACCOUNT"}}})
        with op.nats(token=op.token("probe")) as client:
            heard = client.subscribe("x.y")
            client.publish("x.y", b"hello")
            assert heard.receive().data == b"hello"
    finally:
        op.stop()
