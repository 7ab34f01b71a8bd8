"""
The extra account LaunchLayer: a client of any site works with the CSC's JetStream, key-value buckets and object stores as if they were local,
with just the rights that are written; MQTT works, or is refused at once with the reason in the log.
"""
import asyncio
import os
import time
import uuid

import nats.errors
import nats.js.errors
import pytest
from nats.aio.msg import Msg
from nats.js.api import ConsumerConfig

from harness.mqtt import Closed, MqttClient, Refused
from harness.natsio import Refused as NotLetIn
from harness.natsio import run
from harness.wait import PATIENCE, SLOW, until

SITES = ("csc", "cpc-1", "cpc-2")
SOON = 2.5 * SLOW  # seconds; without JetStream an MQTT login of nats-server hangs for 5


@pytest.fixture(autouse=True)
def ordered_consumers(monkeypatch):
    """
    nats-py reads the positions of an ordered consumer's messages (watch, keys, history, objects) at fixed places of their reply subject, and
    fails where it names a domain, as it does with the feature flag js_ack_fc_v2. Here it is taught that form.
    """
    def fields(reply):
        words = (reply or "").split(".")
        return words[:2] + words[4:11] if len(words) >= 11 else words
    monkeypatch.setattr(Msg.Metadata, "_get_metadata_fields", staticmethod(fields))


def client_of(three_sites, site, server="main", name="launchlayer-client"):
    place = three_sites.places[site]
    return three_sites[site].nats(place.token(name), port="NATS" if server == "main" else "MTLS_NATS")


def unique(what):
    return f"{what}-{uuid.uuid4().hex[:8]}"


@pytest.fixture
def clients(three_sites):
    """A client of the account at each site."""
    found = {site: client_of(three_sites, site).connect() for site in SITES}
    yield found
    errors = {site: client.errors for site, client in found.items() if client.errors}
    for client in found.values():
        client.close()
    assert not errors, errors


def test_messages_go_everywhere(clients):
    """One subject space, at all sites: once each, whoever publishes."""
    subs, said = {site: client.subscribe("launchlayer.>") for site, client in clients.items()}, []

    def everywhere(site, subject, word):
        clients[site].publish(subject, word)
        clients[site].flush()
        return all(sub.heard(word) for sub in subs.values())

    for site in SITES:  # that a client at another site listens takes a moment to be known here
        mark = unique("ready").encode()
        until(lambda at=site, word=mark: everywhere(at, "launchlayer.ready", word), f"{site} to know who listens")
    for site in SITES:
        said.append((f"launchlayer.from.{site}", unique("hello").encode()))
        clients[site].publish(*said[-1])
    for subject, word in said:
        for there, sub in subs.items():
            until(lambda to=sub, what=word: to.heard(what), f"{subject} at {there}")
    for client in clients.values():
        client.flush()
    assert all(sub.heard(word) == [subject] for subject, word in said for sub in subs.values())


def test_answers_need_a_right(clients):
    """An answer goes to the asker's inbox, where the document lets nobody of the account publish: refused at the site of the one who answers."""
    async def serve(nc):
        async def answer(message):
            await message.respond(b"yes " + message.data)
        await nc.subscribe("launchlayer.serve.>", cb=answer)
        await nc.flush()
    run(serve(clients["csc"].nc))
    def asked():
        with pytest.raises((nats.errors.TimeoutError, asyncio.TimeoutError, nats.errors.NoRespondersError)):
            clients["cpc-1"].request("launchlayer.serve.x", b"?", timeout=0.5)
        return clients["csc"].errors
    until(asked, "the refusal of the answer")  # at first nobody may be known to serve
    assert all("_inbox" in e.lower() for e in clients["csc"].errors)
    clients["csc"].errors.clear()


@pytest.mark.parametrize("site", SITES)
def test_streams(clients, site):
    """Made, written, read by pull, push and ordered consumers from this site; what it holds is at the CSC, once."""
    name, subject, n = unique("s"), f"launchlayer.{unique('w')}", 50

    async def play():
        js = clients[site].nc.jetstream(timeout=5)
        assert (await js.account_info()).domain == "CSC"
        await js.add_stream(name=name, subjects=[subject + ".>"])
        acks = [await js.publish(f"{subject}.{i}", str(i).encode()) for i in range(n)]
        assert [a.seq for a in acks] == list(range(1, n + 1)) and {a.domain for a in acks} <= {"CSC", None}
        want = [str(i).encode() for i in range(n)]

        pull = await js.pull_subscribe(subject + ".>", durable="pull", stream=name)
        got = []
        while len(got) < n:
            for message in await pull.fetch(20, timeout=5):
                await message.ack_sync(5)
                got.append(message.data)
        assert got == want
        assert (await js.consumer_info(name, "pull")).num_ack_pending == 0

        push = await js.subscribe(subject + ".>", stream=name, config=ConsumerConfig(ack_policy="explicit"))
        got = []
        while len(got) < n:
            message = await push.next_msg(5)
            await message.ack()
            got.append(message.data)
        assert got == want
        ordered = await js.subscribe(subject + ".>", stream=name, ordered_consumer=True)
        assert [(await ordered.next_msg(5)).data for _ in range(n)] == want
        for sub in (push, ordered):
            await sub.unsubscribe()
    run(play(), 60)

    async def look(nc):
        js = nc.jetstream(timeout=5)
        info = await js.stream_info(name)
        first = await js.get_msg(name, 1)
        return info.state.messages, first.data
    for there in SITES:
        assert run(look(clients[there].nc), 15) == (n, b"0"), there

    async def away(nc):
        assert await nc.jetstream(timeout=5).delete_stream(name)
    run(away(clients["cpc-2"].nc), 15)


async def lists(call, expected):
    """What the library lists: it may take the end for come before the first entry on a slow machine, and then says that there is none."""
    end = time.monotonic() + PATIENCE
    while True:
        try:
            found = await call()
        except nats.js.errors.NoKeysError:
            found = []
        if found == expected or time.monotonic() > end:
            assert found == expected
            return
        await asyncio.sleep(0.05)


@pytest.mark.parametrize("site", SITES)
def test_key_value(clients, site):
    """A bucket made here; put, get, update, keys, watch and delete; the same bucket from every site."""
    bucket = unique("b")

    async def play():
        js = clients[site].nc.jetstream(timeout=5)
        kv = await js.create_key_value(bucket=bucket, history=5)
        first = await kv.put("a.b", b"1")
        assert (await kv.get("a.b")).value == b"1"
        watcher = await kv.watch("a.>")
        # the entry, and the library's None for "that was all so far", which it may put before the entry on a slow machine
        seen = [e for e in [await watcher.updates(5), await watcher.updates(5)] if e is not None]
        assert len(seen) == 1
        await kv.update("a.b", b"2", last=first)
        with pytest.raises(nats.js.errors.KeyWrongLastSequenceError):
            await kv.update("a.b", b"3", last=first)
        await kv.put("a.c", b"x")
        seen += [await watcher.updates(5), await watcher.updates(5)]
        assert [(e.key, e.value) for e in seen] == [("a.b", b"1"), ("a.b", b"2"), ("a.c", b"x")]
        await watcher.stop()

        async def keys():
            return sorted(await kv.keys())

        async def history():
            return [e.value for e in await kv.history("a.b")]
        await lists(keys, ["a.b", "a.c"])
        await lists(history, [b"1", b"2"])
        await kv.delete("a.c")
        with pytest.raises(nats.js.errors.KeyNotFoundError):
            await kv.get("a.c")
    run(play(), 60)

    async def other(nc, there):
        kv = await nc.jetstream(timeout=5).key_value(bucket)
        assert (await kv.get("a.b")).value == b"2"
        await kv.put(f"from.{there}", there.encode())
    for there in SITES:
        run(other(clients[there].nc, there), 15)

    async def end():
        js = clients["csc"].nc.jetstream(timeout=5)
        kv = await js.key_value(bucket)

        async def all_there():
            return {k: (await kv.get(k)).value for k in await kv.keys()}
        await lists(all_there, {"a.b": b"2", **{f"from.{s}": s.encode() for s in SITES}})
        assert await js.delete_key_value(bucket)
    run(end(), 15)


@pytest.mark.parametrize("site", SITES)
def test_object_store(clients, site):
    """An object of 300 kB put here and read at every site."""
    bucket, data = unique("o"), os.urandom(300_000)

    async def play():
        store = await clients[site].nc.jetstream(timeout=5).create_object_store(bucket)
        await store.put("thing", data)
        assert [x.name for x in await store.list()] == ["thing"]
    run(play(), 60)

    async def read(nc):
        store = await nc.jetstream(timeout=5).object_store(bucket)
        return (await store.get("thing")).data
    for there in SITES:
        assert run(read(clients[there].nc), 30) == data, there

    async def end():
        assert await clients["csc"].nc.jetstream(timeout=5).delete_object_store(bucket)
    run(end(), 15)


@pytest.mark.parametrize("site", SITES)
def test_rights_are_as_written(three_sites, site):
    """The same at each site."""
    with client_of(three_sites, site) as client, client_of(three_sites, "csc") as there:
        for subject in ("other.x", "sensor.x", "broadcast.x", "cpc.1.sensor.x", "$SYS.REQ.SERVER.PING", "$MQTT.msgs.x", "$XL.up.1.msgs", "_INBOX.x"):
            client.publish(subject, b"evil")
            client.refused("publish", subject)
        for subject in (">", "other.>", "sensor.>", "$MQTT.>", "$JS.API.>", "$KV.>"):
            run(client.nc.subscribe(subject))
            client.refused("subscription", subject)
        client.errors.clear()
        sub = there.subscribe("launchlayer.rights")
        until(lambda: (client.publish("launchlayer.rights", b"may"), client.flush(), not sub.messages.empty())[-1], "what it may say to come")
        assert not client.errors


@pytest.mark.parametrize("site", SITES)
def test_the_data_accounts_are_apart(three_sites, clients, site):
    """What is said in LaunchLayer is not heard in the data account of any site, nor the other way round."""
    with three_sites.places[site].observer() as observer:
        heard = observer.subscribe("launchlayer.>")
        sub = clients[site].subscribe("launchlayer.>")
        observer.publish("launchlayer.apart", b"of the data account")
        observer.flush()
        clients[site].publish("launchlayer.apart", b"of the extra account")
        assert sub.receive().data == b"of the extra account"
        assert heard.receive().data == b"of the data account"
        assert not sub.received() and not heard.received()


def attempt(three_sites, site, server):
    """What becomes of an MQTT login: (outcome, seconds)."""
    place, began = three_sites.places[site], time.monotonic()
    client = place.mqtt(server, "launchlayer-device", "token")
    try:
        client.connect()
    except (Refused, Closed) as error:
        return error, time.monotonic() - began, None
    return "in", time.monotonic() - began, client


@pytest.mark.parametrize("server", ["main", "mtls"])
@pytest.mark.parametrize("site", SITES)
def test_mqtt_clients_work_or_are_refused_at_once(three_sites, site, server):
    log = three_sites[site].log
    offset = log.size()
    outcome, took, client = attempt(three_sites, site, server)
    assert took < SOON, f"{outcome!r} only after {took:.1f} s"
    if client is None:
        assert isinstance(outcome, Refused), f"closed without a word: {outcome!r}"
        line = until(lambda: [x for x in log.since(offset) if "method" in x], "the decision in the log")[0]
        if (site, server) == ("csc", "mtls"):
            # let in by the service, but the mTLS server has the site's data account only
            assert 'No valid account "LaunchLayer"' in (three_sites[site].dir / "log/nats-mtls.log").read_text()
        else:
            assert line["reason"] == "connection_type", line
        return
    with client, client_of(three_sites, "csc") as there:
        sub = there.subscribe("launchlayer.mqtt")
        assert client.subscribe("launchlayer/back", 1) == 1
        client.publish("launchlayer/mqtt", b"by MQTT", 1)
        assert sub.receive(PATIENCE).data == b"by MQTT"
        client.publish("launchlayer/back", b"back", 2)
        assert client.receive()[:3] == ("launchlayer/back", b"back", 1)


@pytest.mark.parametrize("site", SITES)
def test_nats_clients_are_refused_at_once_by_the_mtls_server(three_sites, site):
    began = time.monotonic()
    with pytest.raises(NotLetIn):
        client_of(three_sites, site, "mtls").connect()
    assert time.monotonic() - began < SOON


def test_mqtt_works_at_least_where_the_jetstream_is(three_sites):
    outcome, _took, client = attempt(three_sites, "csc", "main")
    assert outcome == "in", outcome
    assert isinstance(client, MqttClient)
    client.close()
