"""nats-server in operator mode, started from what `eventbus operator init` wrote; clients of every kind come in by callout."""
import contextlib
import json
import signal
import time

import pytest

from harness import metrics, program, secrets
from harness.callout import nats_jwt
from harness.kubeapi import KubeApi
from harness.mqtt import NOT_AUTHORISED
from harness.mqtt import Refused as MqttRefused
from harness.natsio import Refused
from harness.nkeys import Key
from harness.operator import Operator
from harness.suspend import suspended
from harness.wait import SLOW, until
from harness.wire import Wire

PROBE, STRANGER = Key("U"), Key("U")
OWN = {"pub": {"allow": ["own.>", "$SYS.REQ.USER.INFO"]}, "sub": {"allow": ["own.>", "_INBOX.>"]}}


def permissions(**more):
    return {"oauth2": {"probe": {"azp": "probe", "account": "AUTH_ACCOUNT", "permissions": OWN},
                       "fitter": {"azp": "fitter", "account": "PLANT", "permissions": OWN}},
            "nkey": {"device": {"public_key": PROBE.public, "account": "AUTH_ACCOUNT", "permissions": OWN}},
            "mtls": {"panel": {"identity": "CN=panel", "account": "AUTH_ACCOUNT", "permissions": OWN}}, **more}


@pytest.fixture(scope="module", params=["memory", "full"])
def op(request, tmp_path_factory):
    """The one with the full resolver has its MQTT listener behind TLS."""
    op = Operator(tmp_path_factory.mktemp(request.param), request.param, mqtt_tls=request.param == "full").init("--nack", "--account", "PLANT")
    try:
        yield op.up(permissions())
    finally:
        op.stop()


# Tests that are of one of the two: the resolver has no part in them, or only that one has what they need.
with_memory = pytest.mark.parametrize("op", ["memory"], indirect=True)
with_full = pytest.mark.parametrize("op", ["full"], indirect=True)


@pytest.fixture
def new_operator(tmp_path):
    made = []

    def make(*args, resolver="memory"):
        made.append(Operator(tmp_path / f"op-{len(made)}", resolver).init(*args))
        return made[-1]

    yield make
    for op in made:
        op.stop()


# --- who gets in, and where -----------------------------------------------------------------------------------------
def speaks(op, client, account):
    """The client is in this account with the entry's permissions, and no others."""
    who = op.who(client)
    assert who["account"] == op.id(account), who
    heard = client.subscribe("own.x")
    client.publish("own.x", b"hello")
    assert heard.receive().data == b"hello"
    client.publish("other.x", b"no")
    client.refused("publish", "other.x")
    return who


@pytest.mark.parametrize("azp, account", [("probe", "AUTH_ACCOUNT"), ("fitter", "PLANT")])
@pytest.mark.parametrize("how", ["token", "password", "sentinel"])
def test_token(op, azp, account, how):
    token, offset = op.token(azp), op.log.size()
    with {"token": lambda: op.nats(token=token), "password": lambda: op.nats(user="oauthtoken", password=token),
          "sentinel": lambda: op.with_creds("AUTH_SERVICE", "sentinel", token=token)}[how]() as client:
        who = speaks(op, client, account)
    assert who["user"] == azp
    op.decided(offset, msg="admitted", entry=azp, account=account)


def test_nkey(op):
    with op.nats(seed=PROBE.seed) as client:
        speaks(op, client, "AUTH_ACCOUNT")
    with pytest.raises(Refused):
        op.nats(seed=STRANGER.seed).connect()


@with_memory
def test_mqtt_by_the_default_sentinel(op):
    with op.mqtt(user="oauthtoken", password=op.token("probe")) as client:
        assert client.subscribe("own/#", 1) == 1
        client.publish("own/a", b"by mqtt", 1)
        assert client.receive()[1] == b"by mqtt"
        assert client.subscribe("other/#") == 0x80


@with_full
def test_mqtt_with_a_certificate_alone(op):
    ca = op.ca_file
    cert, key = op.ca.issue("panel").write(op.folder, "panel")
    with op.mqtt(tls=(ca, cert, key)) as client:
        assert client.subscribe("own/#", 1) == 1
    cert, key = op.ca.issue("nobody").write(op.folder, "nobody")
    with pytest.raises(MqttRefused) as refused:
        op.mqtt(tls=(ca, cert, key)).connect()
    assert refused.value.args[0] == NOT_AUTHORISED


# --- who does not ---------------------------------------------------------------------------------------------------
def test_a_sentinel_gives_no_right(op):
    """It is public: with nothing else, with a wrong token, or made by a stranger, it lets nobody in."""
    offset = op.log.size()
    with pytest.raises(Refused):
        op.with_creds("AUTH_SERVICE", "sentinel").connect()
    op.decided(offset, msg="refused", reason="noauth_off", kind="nats")
    offset = op.log.size()
    with pytest.raises(Refused):
        op.with_creds("AUTH_SERVICE", "sentinel", token=op.token("probe", life=-5)).connect()
    op.decided(offset, msg="refused", reason="expired")
    with pytest.raises(Refused):
        op.nats().connect()  # the default sentinel


@with_memory
def test_a_sentinel_as_password(op):
    sentinel, offset = op.jwt("AUTH_SERVICE", "sentinel"), op.log.size()
    with pytest.raises(MqttRefused) as refused:
        op.mqtt(user="probe", password=sentinel).connect()
    assert refused.value.args[0] == NOT_AUTHORISED
    op.decided(offset, msg="refused", reason="unrecognized_credentials", kind="mqtt")


@with_memory
def test_a_client_that_signs_for_itself(op, tmp_path):
    """A user of AUTH_SERVICE by a stranger's key is turned away by the server; nobody is asked."""
    key, stranger = Key("U"), Key("A")
    jwt = nats_jwt(stranger, {"iss": stranger.public, "sub": key.public, "name": "me", "iat": int(time.time()),
                              "nats": {"issuer_account": op.id("AUTH_SERVICE"), "subs": -1, "data": -1, "payload": -1, "type": "user", "version": 2}})
    path = tmp_path / "me.creds"
    path.write_text(f"-----BEGIN NATS USER JWT-----\n{jwt}\n------END NATS USER JWT------\n\n"
                    f"-----BEGIN USER NKEY SEED-----\n{secrets.note(key.seed, 'a seed')}\n------END USER NKEY SEED------\n")
    offset, before = op.log.size(), op.server_log().count("authentication error")
    client = op.nats(user_credentials=str(path), token=op.token("probe", sub="self-signer"))
    with contextlib.suppress(Refused):  # the server is silent until its timeout; the library may take that for a connection
        client.connect()
    until(lambda: op.server_log().count("authentication error") > before, op.server_log)
    with op.nats(token=op.token("probe", sub="another")):
        until(lambda: [line for line in op.log.since(offset) if "another" in str(line.get("identity"))], op.log.text)
    assert not [line for line in op.log.since(offset) if "self-signer" in str(line.get("identity"))], "the service was asked"


def test_callouts_are_sealed(op):
    """A second login as the service sees what the server asks: sealed, with the server's xkey in the header."""
    with op.with_creds("AUTH_SERVICE", "auth") as spy:
        asked = spy.subscribe("$SYS.REQ.USER.AUTH")
        with op.nats(token=op.token("probe")):
            message = asked.receive()
    assert message.data.startswith(b"xkv1")
    assert op.claims("AUTH_SERVICE")["nats"]["authorization"]["xkey"].startswith("X")


def test_the_services_login_is_narrow(op):
    with op.with_creds("AUTH_SERVICE", "auth") as client:
        client.subscribe("own.x")
        client.refused("subscription", "own.x")
        client.publish("own.x", b"")
        client.refused("publish", "own.x")


def test_what_the_server_refuses_is_counted(new_operator):
    """Where the option is on; a client that waits in vain, and one that is refused."""
    op = new_operator("--account", "PLANT")
    op.write_permissions(permissions())
    op.start_server().start_callout(AUTH_CALLOUT_OBSERVABILITY_METRICS_SERVER_REFUSALS="true")

    def counts():
        now = metrics.Metrics(metrics.fetch(f"http://{op.address}:{op.ports['HEALTH']}/metrics"))
        heard.append(now["auth_server_refusals_heard"])
        return [now[f'auth_server_refusals_total{{reason="{reason}"}}'] for reason in ("timeout", "refused", "other")]

    heard = []
    until(lambda: counts() and heard[-1], lambda: f"the server to be heard: {counts()}, {op.log.text()}")
    before = counts()

    def more():
        return [now - then for now, then in zip(counts(), before, strict=True)]
    with op.nats(token=op.token("probe")):
        pass
    with pytest.raises(Refused):
        op.nats(token=op.token("nobody")).connect()
    until(lambda: more() == [0, 1, 0], lambda: f"one refusal: {before}, {counts()}")
    with suspended(op.callout.pid), Wire(op.address, op.ports["NATS"]) as wire:  # which waits as long as the server does
        assert wire.connect(user="oauthtoken", **{"pass": op.token("probe")}) == "Authorization Violation"
    until(lambda: more() == [1, 1, 0], lambda: f"a timeout: {before}, {counts()}")


# --- while it runs --------------------------------------------------------------------------------------------------
def test_an_account_is_added_while_it_runs(new_operator):
    """docs/operator-mode.md, "Adding an account": its key lies where the sandbox lets the service look, so a SIGHUP is enough."""
    op = new_operator("--account", "PLANT", resolver="full")
    op.write_permissions(permissions())
    op.write_keys()
    (op.folder / "idp").mkdir()  # not beside DIR: the sandbox lets the service look below each folder that it is told of a file in
    (op.folder / "jwks.json").rename(op.folder / "idp/jwks.json")
    op.start_server().start_callout(JWKS_PATH=str(op.folder / "idp/jwks.json"))
    with op.nats(token=op.token("probe")) as before:
        speaks(op, before, "AUTH_ACCOUNT")
        op.init("--account", "LAB")
        for account in ("LAB", "AUTH_SERVICE"):
            op.push(op.jwt(account))
        op.write_permissions(permissions(oauth2={"probe": {"azp": "probe", "account": "AUTH_ACCOUNT", "permissions": OWN},
                                                 "new": {"azp": "new", "account": "LAB", "permissions": OWN}}))
        op.callout.send_signal(signal.SIGHUP)
        until(lambda: comes_in(op, "new"), op.log.text)
        with op.nats(token=op.token("new")) as client:
            speaks(op, client, "LAB")
        assert not before.closed.is_set(), "somebody was thrown out"


def comes_in(op, azp):
    try:
        with op.nats(token=op.token(azp)):
            return True
    except Refused:
        return False


def test_a_lost_key_is_replaced_while_it_runs(new_operator):
    """docs/operator-mode.md, "Revoking": first listed, then given, then the old one out; at each step clients come in."""
    op = new_operator(resolver="full")
    op.up(permissions(oauth2={"probe": {"azp": "probe", "account": "AUTH_ACCOUNT", "permissions": OWN}}))
    for account in ("AUTH_SERVICE", "AUTH_ACCOUNT"):
        old, new = op.held(account), op.store_key(Key("A"))
        op.edit(account, lambda nats, new=new: nats.update(signing_keys=sorted([*nats["signing_keys"], new])))
        op.init()
        op.push(op.jwt(account))
        assert comes_in(op, "probe")
        op.held_path(account).write_bytes(op.key_path(new).read_bytes())
        op.init()
        offset = op.log.size()
        op.callout.send_signal(signal.SIGHUP)
        op.decided(offset, msg="reloaded")
        with op.nats(token=op.token("probe")) as client:
            speaks(op, client, "AUTH_ACCOUNT")
            op.edit(account, lambda nats, old=old: nats["signing_keys"].remove(old))
            op.init()
            op.push(op.jwt(account))
            until(lambda: comes_in(op, "probe"), op.log.text)
            time.sleep(1)
            assert not client.closed.is_set() and op.ready(), "a session that the new key signed, or the service's, ended"
            with op.nats(token=op.token("probe")) as another:
                speaks(op, another, "AUTH_ACCOUNT")


# --- its end --------------------------------------------------------------------------------------------------------
@with_memory
def test_a_session_ends_with_its_token(op):
    life = 4 * (1 if SLOW == 1 else 2)
    begin = time.time()
    with op.nats(token=op.token("probe", life=life)) as client:
        assert not client.closed.wait(max(0.0, begin + life - 2.5 - time.time())), "closed too early"
        assert client.closed.wait(life + 3.0 * SLOW), "still connected after the token's end"
        assert "authentication expired" in str(client.nc.last_error).lower()


@with_full
def test_what_was_minted_can_be_revoked(op):
    """nats-server revokes by iat: a user JWT without one could not be."""
    claims = op.claims("PLANT")
    with op.nats(token=op.token("fitter")) as client:
        speaks(op, client, "PLANT")
        claims["nats"]["revocations"] = {"*": int(time.time()) + 1}
        op.push(op.sign(claims))
        assert client.closed.wait(10 * SLOW), "still connected"
        assert "revoked" in str(client.nc.last_error).lower()
    del claims["nats"]["revocations"]
    op.push(op.sign({**claims, "iat": claims["iat"] + 5}))


# --- NACK side by side ----------------------------------------------------------------------------------------------
@pytest.mark.parametrize("account", ["AUTH_ACCOUNT", "NACK"])
def test_nack_makes_streams_while_clients_come_in(op, account):
    with op.with_creds(account, "nack") as nack, op.nats(token=op.token("probe")) as client:
        made = json.loads(nack.request("$JS.API.STREAM.CREATE.S", json.dumps({"name": "S", "subjects": ["own.kept.>"], "storage": "memory"}).encode()).data)
        assert "error" not in made, made

        def stored():
            with op.nats(token=op.token("probe")) as another:  # a login for each look
                another.publish("own.kept.a", b"x")
                another.flush()
            return json.loads(nack.request("$JS.API.STREAM.INFO.S").data)["state"]["messages"]

        try:
            if account == "AUTH_ACCOUNT":
                until(stored, "nothing in the stream")
            else:
                assert stored() == 0, "an account has its streams for itself"
            client.publish("$JS.API.STREAM.DELETE.S", b"")
            client.refused("publish", "$JS.API.STREAM.DELETE.S")
            nack.publish("own.kept.a", b"NACK has the rights of the API alone")
            nack.refused("publish", "own.kept.a")
        finally:
            assert json.loads(nack.request("$JS.API.STREAM.DELETE.S").data).get("success")


# --- placement ------------------------------------------------------------------------------------------------------
def seed_of(op, account):
    return str(op.key_path(op.claims(account)["nats"]["signing_keys"][-1]))


def test_an_account_that_the_callout_account_does_not_allow(new_operator):
    """Configured with its key, but not in allowed_accounts: nats-server refuses, whatever the service signs."""
    op = new_operator("--nack")

    def change(config):
        config["accounts"]["NACK"] = {"id": op.id("NACK"), "signing-seed-file": seed_of(op, "NACK")}

    op.up(permissions(oauth2={"x": {"azp": "x", "account": "NACK", "permissions": OWN}, "probe": {"azp": "probe", "account": "AUTH_ACCOUNT", "permissions": OWN}}), change)
    with pytest.raises(Refused):
        op.nats(token=op.token("x")).connect()
    op.decided(msg="admitted", account="NACK")
    until(lambda: "not permitted as valid account option" in op.server_log(), op.server_log)
    with op.nats(token=op.token("probe")) as client:
        speaks(op, client, "AUTH_ACCOUNT")


def test_scoped_key(new_operator):
    """The template gives the permissions, with the entry's name in it; what the document says does not count, and the start says so."""
    op = new_operator("--account", "PLANT")
    seed = op.scope("PLANT", {"pub": {"allow": ["dev.{{name()}}.>"]}, "sub": {"allow": ["dev.{{name()}}.>", "_INBOX.>"]}})
    op.init()  # renders the server's configuration with the changed account

    def change(config):
        config["accounts"]["PLANT"] = {"id": op.id("PLANT"), "signing-seed-file": str(seed), "scoped": True}

    done = op.check(change)
    assert done.returncode == 0 and "scoped" in done.stdout + done.stderr, done
    op.up(permissions(), change)
    with op.nats(token=op.token("fitter")) as client:
        heard = client.subscribe("dev.fitter.a")
        client.publish("dev.fitter.a", b"mine")
        assert heard.receive().data == b"mine"
        client.publish("dev.probe.a", b"another's")
        client.refused("publish", "dev.probe.a")
        client.publish("own.a", b"of the document")
        client.refused("publish", "own.a")
    with op.nats(token=op.token("probe")) as client:
        speaks(op, client, "AUTH_ACCOUNT")


@pytest.fixture
def cluster(tmp_path):
    api = KubeApi(tmp_path)
    yield api.start()
    api.stop()


def kubernetes(cluster, op, **more):
    """A change of the configuration: this cluster's ServiceAccounts go to AUTH_ACCOUNT, and where their annotation says to PLANT."""
    def change(config):
        config["kubernetes"] = {"api-url": cluster.url, "api-ca": str(cluster.ca), "token-file": str(cluster.token_file), "issuer": cluster.issuer,
                                "account": "AUTH_ACCOUNT", "allowed-accounts": ["PLANT"]}
        config["readiness"] = {"require": ["kubernetes"]}
        config["accounts"]["PLANT"].update(more)
    return change


def test_service_accounts(new_operator, cluster):
    """Tokens of ServiceAccounts in operator mode: allowed, denied and hostile; the annotation places only where it may."""
    op = new_operator("--account", "PLANT", "--nack")
    cluster.account("plant", "chiller")
    cluster.account("plant", "in.plant", {"nats.io/account": "PLANT", "nats.io/allowed-pub-subjects": "extra.>,>,$SYS.>,_INBOX.>"})
    cluster.account("plant", "to-nack", {"nats.io/account": "NACK"})
    cluster.account("plant", "to-service", {"nats.io/account": "AUTH_SERVICE"})
    op.up(permissions(), kubernetes(cluster, op))
    with op.nats(token=cluster.token("plant", "chiller")) as one, op.nats(token=cluster.token("plant", "in.plant")) as other, \
            op.with_creds("AUTH_ACCOUNT", "admin") as here, op.with_creds("PLANT", "admin") as there:
        heard_here, heard_there = here.subscribe("plant.x"), there.subscribe("plant.x")
        one.publish("plant.x", b"of AUTH_ACCOUNT")
        other.publish("plant.x", b"of PLANT")
        assert heard_here.receive().data == b"of AUTH_ACCOUNT" and heard_there.receive().data == b"of PLANT"
        other.publish("extra.x", b"")
        other.flush()
        for subject in ("other.x", "$SYS.REQ.USER.AUTH", "_INBOX.x"):
            other.publish(subject, b"")
            other.refused("publish", subject)
        assert not other.errors or all("extra.x" not in e for e in other.errors)
        one.subscribe("_INBOX_plant_in_plant.x")
        one.refused("subscription", "_INBOX_plant_in_plant.x")
    for name in ("to-nack", "to-service"):
        with pytest.raises(Refused):
            op.nats(token=cluster.token("plant", name)).connect()
        op.decided(msg="refused", reason="account_not_allowed")
    for token in (cluster.token("plant", "chiller", audience="another"), cluster.token("plant", "chiller", seconds=-5)):
        with pytest.raises(Refused):
            op.nats(token=token).connect()


def test_service_accounts_by_a_scoped_key(new_operator, cluster):
    """A ServiceAccount's name may have dots; in the template it is one token."""
    op = new_operator("--account", "PLANT")
    seed = op.scope("PLANT", {"pub": {"allow": ["dev.{{name()}}.>"]}, "sub": {"allow": ["dev.{{name()}}.>", "_INBOX.>"]}})
    op.init()
    cluster.account("plant", "a.b", {"nats.io/account": "PLANT"})
    op.up(permissions(), kubernetes(cluster, op, **{"signing-seed-file": str(seed), "scoped": True}))
    with op.nats(token=cluster.token("plant", "a.b")) as client:
        heard = client.subscribe("dev.plant_a_b.x")
        client.publish("dev.plant_a_b.x", b"mine")
        assert heard.receive().data == b"mine"
        for subject in ("dev.plant.x", "dev.plant_a.b.x", "dev.x", "plant.x"):
            client.publish(subject, b"")
            client.refused("publish", subject)


@pytest.mark.parametrize("resolver", ["memory", "full"])
def test_an_account_added_while_all_runs(new_operator, resolver):
    """
    Pushed to the full resolver, which throws nobody out; the other reads it when the server reloads. A reload of nats-server asks again about
    every client, but without its token, so each is closed and has to come back (docs/operator-mode.md says so).
    """
    op = new_operator(resolver=resolver).up(permissions(oauth2={"probe": {"azp": "probe", "account": "AUTH_ACCOUNT", "permissions": OWN}}))
    present = op.nats(token=op.token("probe")).connect()
    keys = {p: p.read_bytes() for p in op.dir.rglob("*.nk")} | {p: p.read_bytes() for p in op.dir.rglob("*.creds")}
    op.init("--account", "LATER")
    assert {p: p.read_bytes() for p in keys} == keys, "a key or creds file was replaced"
    op.write_permissions(permissions(oauth2={"l": {"azp": "later", "account": "LATER", "permissions": OWN}, "probe": {"azp": "probe", "account": "AUTH_ACCOUNT", "permissions": OWN}}))
    if resolver == "full":
        for account in ("LATER", "AUTH_SERVICE"):
            op.push(op.jwt(account))
    else:
        op.server.send_signal(signal.SIGHUP)
        # before another comes, whom the reload would close as well
        assert present.closed.wait(10 * SLOW), "nats-server goes on without asking: say so in docs/operator-mode.md"
    op.callout.send_signal(signal.SIGHUP)

    def comes_in():
        try:
            with op.nats(token=op.token("later")) as client:
                return speaks(op, client, "LATER")
        except Refused:
            return None

    until(comes_in, op.log.text, every=0.2)
    if resolver == "full":
        speaks(op, present, "AUTH_ACCOUNT")
    present.close()


# --- configuration --------------------------------------------------------------------------------------------------
def refused(done, *words):
    """A start or a check that failed and told these."""
    assert done.returncode != 0, done.stdout
    text = done.stdout + done.stderr
    assert all(word in text for word in words), text


def test_faults_found_when_loading(new_operator):
    op = new_operator("--account", "PLANT")
    op.write_permissions(permissions())
    assert op.check().returncode == 0

    def without(config):
        del config["accounts"]["PLANT"]

    def change(**what):
        return lambda config: config["accounts"]["PLANT"].update(what)

    refused(op.check(without), "PLANT")
    refused(op.check(change(id=op.id("AUTH_SERVICE"))), "accounts.PLANT", "callout account")
    refused(op.check(change(id=op.id("AUTH_ACCOUNT"))), "accounts.PLANT", "same id")
    refused(op.check(change(**{"signing-seed-file": seed_of(op, "AUTH_ACCOUNT")})), "accounts.PLANT", "same seed")
    refused(op.check(change(id=PROBE.public)), "accounts.PLANT", "account")
    for one, other in (("AUTH_ACCOUNT", "PLANT"), ("PLANT", "AUTH_ACCOUNT")):  # whichever is loaded first
        stolen = {"signing-seed-file": str(op.key_path(op.id(other)))}
        refused(op.check(lambda config, one=one, stolen=stolen: config["accounts"][one].update(stolen)), f"accounts.{one}", f"the seed is that of accounts.{other}")
    refused(op.check(change(**{"signing-seed-file": str(op.key_path(op.claims("AUTH_SERVICE", "auth")["sub"]))})), "accounts.PLANT", "account seed")
    refused(op.check(change(**{"signing-seed-file": str(op.key_path(op.id("PLANT"))), "scoped": True})), "accounts.PLANT", "scope")
    refused(op.check(lambda config: config.update({"allowed-accounts": ["PLANT", "AUTH_ACCOUNT", "NOWHERE"]})), "NOWHERE")
    refused(op.check(lambda config: config["nats"].update({"issuer-account": PROBE.public})), "nats.issuer-account")
    for name in ("*", "a.b", ">", "a b", "a\tb"):
        op.write_permissions(permissions(oauth2={name: {"azp": "probe", "account": "AUTH_ACCOUNT", "permissions": OWN}}))
        refused(op.check(), "permissions.yaml")


def test_a_creds_file_alone_cannot_sign(new_operator):
    op = new_operator()
    op.write_permissions(permissions(oauth2={}))
    creds = {"NATS_CREDS_FILE": str(op.creds("AUTH_SERVICE", "auth")), "AUTH_CALLOUT_CONFIG": "",
             "AUTH_CALLOUT_PERMISSIONS_FILE": str(op.dir / "auth-callout/permissions.yaml")}
    done = program.run("run", env=op.callout_env(**creds))
    refused(done, "the creds file holds a user key", "cannot sign", "NATS_SIGNING_KEY_FILE")


@pytest.mark.parametrize("key", ["own", "signing"])
def test_creds_file_and_signing_key_file(new_operator, key):
    """By the environment alone, without accounts: clients are placed into the account whose key it is, and the start warns of it."""
    op = new_operator()
    op.write_permissions(permissions(nkey={}, mtls={}, oauth2={"probe": {"azp": "probe", "account": "AUTH_SERVICE", "permissions": OWN}}))
    seed = op.key_path(op.id("AUTH_SERVICE")) if key == "own" else seed_of(op, "AUTH_SERVICE")
    env = {"NATS_CREDS_FILE": str(op.creds("AUTH_SERVICE", "auth")), "NATS_SIGNING_KEY_FILE": str(seed), "AUTH_CALLOUT_CONFIG": "",
           "AUTH_CALLOUT_PERMISSIONS_FILE": str(op.dir / "auth-callout/permissions.yaml"),
           "AUTH_CALLOUT_NATS_XKEY_SEED_FILE": str(op.key_path(op.claims("AUTH_SERVICE")["nats"]["authorization"]["xkey"]))}
    if key == "signing":
        env["AUTH_CALLOUT_NATS_ISSUER_ACCOUNT"] = op.id("AUTH_SERVICE")
    op.start_server().start_callout(**env)
    until(lambda: "operator mode place every client" in op.log.text(), "the warning in the log")
    with op.nats(token=op.token("probe")) as client:
        speaks(op, client, "AUTH_SERVICE")
