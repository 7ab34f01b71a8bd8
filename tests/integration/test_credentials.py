"""Each kind of credential gets in, may do what its entry says, and nothing else (MQTT and NATS)."""
import contextlib
import json
import ssl
import subprocess
import time
import uuid

import pytest

from harness.mqtt import SUBSCRIBE_FAILED
from harness.permissions import NARROW_NOAUTH
from harness.spare import NatsTls
from harness.tokens import claims_of
from harness.wait import until

# A credential with the entry `deny-wins` or its like: allow t.>, deny t.secret.>, in both directions.
T = {"allowed": "t.a", "denied": "t.secret.a", "elsewhere": "elsewhere.a"}
ANON = {"allowed": "anon.a", "denied": "anon.secret.a", "elsewhere": "elsewhere.a"}


@pytest.fixture(scope="module")
def nats_tls(shared_site):
    """A nats-server of the site that takes client certificates from NATS clients, as the mTLS server does from MQTT clients."""
    server = NatsTls(shared_site).start()
    yield server
    server.stop()


def tls_context(paths):
    ca, cert, key = paths
    context = ssl.create_default_context(cafile=str(ca))
    context.check_hostname = False
    context.load_cert_chain(str(cert), str(key))
    return context


def open_client(site, kind, protocol, nats_tls):
    """A client, not connected, whose permissions are T (ANON for nobody in particular)."""
    if kind == "oauth2":
        token = site.idp.token(azp="deny-wins")
        return site.mqtt(token) if protocol == "mqtt" else site.nats(token)
    if kind == "mtls":
        tls = site.issue_tls("deny-wins.csc")
        return site.mqtts(tls) if protocol == "mqtt" else nats_tls.client(tls=tls_context(tls))
    if kind == "nkey":
        return site.nkey_client("deny-wins")
    return site.mqtt() if protocol == "mqtt" else site.nats()


@contextlib.contextmanager
def narrow_anonymous(site, kind):
    if kind != "noauth":
        yield T
        return
    with site.permissions_changed(lambda doc: doc.update(noauth=NARROW_NOAUTH)):
        yield ANON


# An nkey over MQTT does not exist: MQTT has no nonce to sign.
KINDS = [("oauth2", "mqtt"), ("oauth2", "nats"), ("mtls", "mqtt"), ("mtls", "nats"), ("nkey", "nats"), ("noauth", "mqtt"), ("noauth", "nats")]
ENTRY = {"oauth2": "deny-wins", "mtls": "t-deny-wins", "nkey": "t-deny-wins", "noauth": "noauth"}


@pytest.mark.parametrize("kind,protocol", KINDS)
def test_allowed_and_denied(site, observer, nats_tls, kind, protocol):
    everything = observer.subscribe(">")
    with narrow_anonymous(site, kind) as subjects:
        with site.decision(kind, entry=ENTRY[kind], account="CSC", kind=protocol):
            client = open_client(site, kind, protocol, nats_tls).connect()
        with contextlib.closing(client):
            (mqtt_rights if protocol == "mqtt" else nats_rights)(client, observer, everything, subjects)


def topic(subject):
    return subject.replace(".", "/")


def mqtt_rights(client, observer, everything, subjects):
    mark = uuid.uuid4().hex.encode()
    for qos in (0, 1, 2):
        assert client.subscribe(topic(subjects["allowed"]), qos) == qos
    for name in ("denied", "elsewhere"):
        for qos in (0, 1, 2):
            assert client.subscribe(topic(subjects[name]), qos) == SUBSCRIBE_FAILED, (name, qos)
    # what is not allowed is dropped without a word; the allowed one behind it shows that it was processed
    for qos in (0, 1, 2):
        for name in ("denied", "elsewhere"):
            for retain in (False, True):
                client.publish(topic(subjects[name]), mark + b" no", qos, retain)
        client.publish(topic(subjects["allowed"]), mark + b" %d" % qos, qos)
        assert client.receive()[:2] == (topic(subjects["allowed"]), mark + b" %d" % qos)
    until(lambda: everything.heard(mark + b" 2", subjects["allowed"]), "the observer to hear the last one")
    observer.flush()
    assert not everything.heard(mark + b" no")
    # nothing was retained under the forbidden names either
    client.publish(topic(subjects["allowed"]), b"kept", 1, retain=True)
    assert client.receive()[1] == b"kept"
    assert retained(observer, subjects) == ["allowed"]
    client.publish(topic(subjects["allowed"]), b"", 1, retain=True)
    client.receive()
    # and what others say there does not come
    observer.publish(subjects["denied"], b"not for you")
    observer.publish(subjects["elsewhere"], b"not for you")
    observer.publish(subjects["allowed"], b"for you")
    assert client.receive()[1] == b"for you"


def retained(observer, subjects):
    """Which of the subjects have a retained message, as the server's own stream says."""
    answer = json.loads(observer.request("$JS.API.STREAM.INFO.$MQTT_rmsgs", b'{"subjects_filter":">"}').data)
    kept = {subject.removeprefix("$MQTT.rmsgs.") for subject in answer["state"].get("subjects") or ()}
    return [name for name, subject in subjects.items() if subject in kept]


def nats_rights(client, observer, everything, subjects):
    mark = uuid.uuid4().hex.encode()
    own = client.subscribe(subjects["allowed"])
    for name in ("denied", "elsewhere"):
        client.subscribe(subjects[name])
        client.refused("subscription", subjects[name])
        client.publish(subjects[name], mark + b" no")
        client.refused("publish", subjects[name])
    client.publish(subjects["allowed"], mark)
    assert own.receive().data == mark
    until(lambda: everything.heard(mark, subjects["allowed"]), "the observer to hear it")
    observer.flush()
    assert not everything.heard(mark + b" no")
    observer.publish(subjects["denied"], b"not for you")
    observer.publish(subjects["elsewhere"], b"not for you")
    observer.publish(subjects["allowed"], b"for you")
    assert own.receive().data == b"for you"


@pytest.mark.parametrize("kind,protocol", [("oauth2", "nats"), ("mtls", "nats"), ("nkey", "nats"), ("noauth", "nats")])
def test_responses(site, token, nats_tls, kind, protocol):
    """resp {max: 2, ttl: 1s}: two answers to each request and no third, none when the time is over, and nothing unasked."""
    subject = f"svc.{kind}.x"
    with narrow_anonymous(site, kind):
        if kind == "oauth2":
            responder = site.nats(token(azp="responder"))
        elif kind == "mtls":
            responder = nats_tls.client(tls=tls_context(site.issue_tls("responder.csc")))
        elif kind == "nkey":
            responder = site.nkey_client("responder")
        else:
            responder = site.nats()
        with responder, site.nats(token(azp="requester")) as requester:
            requests = responder.subscribe(subject)
            inbox = "_INBOX." + uuid.uuid4().hex
            answers = requester.subscribe(inbox)
            responder.publish(inbox, b"unasked")
            responder.refused("publish", inbox)
            # over the leaf of the other server the interest has to arrive first
            until(lambda: (requester.publish(subject, b"?", reply=inbox), requester.flush(), requests.received())[-1], "a request to arrive")
            responder.flush()
            requests.received()
            for attempt in range(10):
                second = inbox.replace("_INBOX.", f"_INBOX.{attempt}a")
                answers = requester.subscribe(second)
                started = time.monotonic()
                requester.publish(subject, b"?", reply=second)
                reply = requests.receive().reply
                for i in range(3):
                    responder.publish(reply, b"%d" % i)
                responder.refused("publish", reply)
                if time.monotonic() - started < 0.9:  # else the machine was too slow for the ttl, and says nothing about max
                    break
            assert [answers.receive().data, answers.receive().data] == [b"0", b"1"]
            requester.flush()
            assert not answers.received()
            # the time to answer is the entry's ttl
            third = inbox.replace("_INBOX.", "_INBOX.3")
            answers = requester.subscribe(third)
            requester.publish(subject, b"?", reply=third)
            reply = requests.receive().reply
            late = time.monotonic() + 1.3
            until(lambda: time.monotonic() > late, "the ttl to pass", every=0.1)
            responder.publish(reply, b"late")
            responder.refused("publish", reply)
            requester.flush()
            assert not answers.received()


@pytest.mark.parametrize("azp,resp", [("responder", {"max": 2, "ttl": 1_000_000_000}), ("ttl-number", {"max": 3, "ttl": 7_000_000_000})])
def test_resp_ttl_is_nanoseconds_on_the_wire(asker, token, azp, resp):
    assert asker.ask(connect={"user": "oauthtoken", "pass": token(azp=azp)}).user["nats"]["resp"] == resp


def placed(site, name, port="MONITOR"):
    return [c["account"] for c in site.connections(port) if c.get("authorized_user") == name or c.get("name_tag") == name]


@pytest.mark.parametrize("who", ["token mqtt", "token nats", "certificate", "nkey", "anonymous", "own account"])
def test_the_account_is_the_entrys(site, observer, token, who):
    """The server's monitoring says in which account a client is; what it says in another account is not heard in ours."""
    ours = observer.subscribe(">")
    mark = uuid.uuid4().hex.encode()
    if who == "token mqtt":
        client, subject, account = site.mqtt(token("launchlayer-client")), "launchlayer.x", "LaunchLayer"
    elif who == "token nats":
        client, subject, account = site.nats(token("launchlayer-client")), "launchlayer.x", "LaunchLayer"
    elif who == "nkey":
        client, subject, account = site.nkey_client("other-account"), "nk.x", "LaunchLayer"
    elif who == "anonymous":
        client, subject, account = site.nats(), "anon.x", "CSC"
    elif who == "own account":
        client, subject, account = site.nats(token(azp="all-own")), "anything.x", "CSC"
    else:
        client, subject, account = site.mqtts(), "test.x", "CSC"
    method = {"nkey": "nkey", "anonymous": "noauth", "certificate": "mtls"}.get(who, "oauth2")
    with site.decision(method, account=account) as decision:
        client.connect()
    with contextlib.closing(client):
        port = "MTLS_MONITOR" if who == "certificate" else "MONITOR"
        assert account in placed(site, decision.line["entry"], port)
        client.publish(topic(subject) if "mqtt" in who or who == "certificate" else subject, mark)
        if hasattr(client, "flush"):
            client.flush()
        else:
            client.barrier()
        if account == "CSC":
            until(lambda: ours.heard(mark), "it to be heard")
        else:
            observer.flush()
            assert not ours.heard(mark)


def test_a_certificate_is_placed_in_the_entrys_account(asker, site):
    """The account of the entry, also where the mTLS server of the site does not have that account."""
    cert = site.ca().issue("other-account.csc")
    answer = asker.ask(client={"type": "mqtt", "mqtt_id": "x"}, tls={"version": "1.3", "verified_chains": [[cert.pem, site.ca().pem]]})
    assert answer.user["aud"] == "LaunchLayer" and answer.user["name"] == "t-other-account"


@pytest.mark.parametrize("claims,entry", [
    ({"sub": "subject-1", "azp": "azp-1"}, "by-both"), ({"sub": "subject-1", "azp": "unknown"}, "by-subject"),
    ({"sub": "subject-1", "azp": None}, "by-subject"), ({"sub": "other", "azp": "azp-1"}, "by-azp"), ({"sub": None, "azp": "azp-1"}, "by-azp")])
def test_the_entry_of_a_token(site, token, claims, entry):
    with site.decision("oauth2", entry=entry):
        with site.mqtt(token(**claims)):
            pass


@pytest.mark.parametrize("names,entry", [
    ([("dns", "device-1.example.com")], "t-by-dns"), ([("email", "device-1@example.com")], "t-by-email"),
    ([("uri", "spiffe://example.com/device-1")], "t-by-uri"), ([("dns", "other.example.com"), ("dns", "device-1.example.com")], "t-by-dns")])
def test_the_entry_of_a_certificate_by_alternative_name(site, names, entry):
    from harness import certificates
    tls = site.issue_tls(None, names=[getattr(certificates, kind)(value) for kind, value in names])
    with site.decision("mtls", entry=entry):
        with site.mqtts(tls):
            pass


@pytest.mark.parametrize("alg", ["RS256", "ES256"])
@pytest.mark.parametrize("how", ["mqtt", "mqtt any user", "nats password", "nats token"])
def test_where_a_token_stands(site, token, alg, how):
    jwt = token(alg=alg)
    clients = {"mqtt": lambda: site.mqtt(jwt), "mqtt any user": lambda: site.mqtt(user="any name", password=jwt),
               "nats password": lambda: site.nats(jwt), "nats token": lambda: site.nats(token=None, **{})}
    client = clients[how]() if how != "nats token" else token_client(site, jwt)
    with site.decision("oauth2", entry="mqtt-client"):
        with client:
            pass


def token_client(site, jwt):
    from harness.natsio import NatsClient
    return NatsClient(site.url(), token=jwt)


@pytest.mark.parametrize("protocol", ["mqtt", "nats password", "nats token"])
def test_a_token_of_6_kib(site, token, protocol):
    jwt = token(pad=4400)
    assert 6144 <= len(jwt) < 7168
    client = {"mqtt": lambda: site.mqtt(jwt), "nats password": lambda: site.nats(jwt), "nats token": lambda: token_client(site, jwt)}[protocol]()
    with site.decision("oauth2", entry="mqtt-client"):
        client.connect()
    with contextlib.closing(client):
        if protocol == "mqtt":
            assert client.subscribe("test/big", 1) == 1
            client.publish("test/big", b"x", 1)
            assert client.receive()[1] == b"x"
        else:
            own = client.subscribe("test.big")
            client.publish("test.big", b"x")
            assert own.receive().data == b"x"


def test_a_filter_with_all_below(site, observer, token):
    """t/# is granted by the rule t.>, to MQTT clients with t itself; what is denied below it does not come, live or retained, at any QoS."""
    mark = uuid.uuid4().hex
    with site.mqtt(token(azp="deny-wins")) as client, site.nats(token(azp="deny-wins")) as nats:
        for qos in (0, 1, 2):
            observer_says(site, qos, mark)
            assert client.subscribe("t/#", qos) == qos
            observer_says(site, qos, mark)
            client.barrier()
            got = until(lambda: (m := list(client.messages.queue)) and m[-1][1] == b"end" and m, "the end")
            assert {topic for topic, *_ in got} == {"t/open", "t"}, got
            client.received()
            client.unsubscribe("t/#")
        nats.subscribe("t")
        nats.refused("subscription", "t")


def observer_says(site, qos, mark):
    with site.mqtt() as anybody:
        for name in ("t/secret/x", "t/open", "t/secret/y", "t"):
            anybody.publish(name, "end" if name == "t" else mark, qos, retain=name != "t")


def test_the_commands_that_up_prints(site):
    """`make up` again changes nothing and prints commands: each does what its heading says."""
    pids = [site.bus.pid(name) for name in PROCESSES]
    text = site.bus("up")
    assert [site.bus.pid(name) for name in PROCESSES] == pids
    commands = text[text.index("Try it:"):text.index("make status")].splitlines()[1:]
    assert sum("mosquitto" in line for line in commands) == 8
    script, expected, refused = [], [], False
    for line in commands:
        refused = refused or line.startswith("  # refused")
        if line.startswith("  mosquitto"):
            script += [f"echo '>>>'; {line.strip()} 2>&1; echo \"<<< $?\""]
            expected += [(line.split()[0], refused)]
        elif not line.startswith("  #"):
            script += [line.strip()]
    done = subprocess.run(["bash", "-c", "\n".join(script)], capture_output=True, text=True, timeout=90)
    results = [part.split("<<< ") for part in done.stdout.split(">>>\n")[1:]]
    for (program, refused), (output, status), line in zip(expected, results, [c for c in commands if "mosquitto" in c], strict=True):
        if refused:
            assert "denied" in output or "refused" in output, (line, output, status)
        else:
            assert status.strip() == "0" and (program == "mosquitto_pub" or "hello by" in output), (line, output, status)


PROCESSES = ("demo-idp", "csc/nats-main", "csc/auth-callout", "csc/nats-mtls", "csc/streams-watch")


def test_mosquitto_commands(site, token):
    """What a user types: published retained, read back, with each kind of credential; denied and refused."""
    jwt = token()
    for options in ({"user": "oauthtoken", "password": jwt}, {"mtls": True, "tls": site.client_tls()}):
        done = site.mosquitto("mosquitto_pub", "-t", "test/hello", "-m", "hi", "-q", 1, "-r", **options)
        assert done.returncode == 0, done.stderr
        done = site.mosquitto("mosquitto_sub", "-t", "test/hello", "-q", 1, "-C", 1, "-W", 10, "-v", **options)
        assert (done.returncode, done.stdout) == (0, "test/hello hi\n"), done
        done = site.mosquitto("mosquitto_sub", "-t", "BMS/x", "-C", 1, "-W", 10, **options)
        assert "denied" in done.stderr + done.stdout, done
    done = site.mosquitto("mosquitto_pub", "-t", "demo/hello", "-m", "by nobody", "-q", 1, "-r")
    assert done.returncode == 0, done.stderr
    done = site.mosquitto("mosquitto_sub", "-t", "demo/#", "-q", 1, "-C", 1, "-W", 10, "-v")
    assert done.stdout == "demo/hello by nobody\n", done
    with site.decision("noauth", "unrecognized_credentials"):
        done = site.mosquitto("mosquitto_pub", "-t", "test/hello", "-m", "x", user="somebody", password="guess work")
    assert done.returncode != 0 and "not authorised" in done.stderr, done


def test_a_session_has_the_credentials_end(asker, token, site):
    """user JWT exp: the token's, at most 5 % early; the certificate's likewise; none for infrastructure."""
    jwt = token()
    end = claims_of(jwt)["exp"]
    for _ in range(5):
        got = asker.ask(connect={"user": "oauthtoken", "pass": jwt}).user["exp"]
        assert end - 300 * 0.05 - 1 <= got <= end
    key = site.key("t-observer")
    user = asker.ask(client={"nonce": "abc"}, connect={"nkey": key.public, "sig": signature(key, "abc")}).user
    assert "exp" not in user


def signature(key, nonce):
    from harness.tokens import b64
    return b64(key.sign(nonce.encode()))
