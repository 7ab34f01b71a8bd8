"""A stand-in for nats-surveyor 0.9.10, for machines whose module proxy does not serve it: it logs in with the same key, asks the same
questions in SYS on each scrape, waits for as many answers, and shows the figures under the names and labels that the real one has.
Only what rules and dashboards may use is here. What it cannot prove: that the real one names its metrics so (METRICS below was
written down from its source), and how it behaves in trouble.
    surveyor.py --servers URLS --nkey SEED-FILE --count N --addr ADDRESS --port PORT --accounts --jsz all --timeout 1s
"""
import argparse
import asyncio
import json
import signal
import time
from datetime import datetime

import nats

S, J = ("server_cluster", "server_name", "server_id"), ("server_id", "server_name", "cluster_name")
A = ("account", "account_name")
STREAM = (*A, "cluster_name", "raft_group", "server_id", "server_name", "stream", "stream_leader")
CONSUMER = (*STREAM, "consumer_name", "consumer_leader")

# name: (type, labels). Counters have no _total, as there.
METRICS = {
    "nats_up": ("gauge", ()), "nats_survey_surveyed_count": ("gauge", ()), "nats_survey_expected_count": ("gauge", ()),
    "nats_survey_poll_error_count": ("counter", ()),
    "nats_core_info": ("gauge", (*S, "server_version")),
    **{f"nats_core_{name}": ("gauge", S) for name in (
        "start_time", "uptime", "mem_bytes", "core_count", "cpu_percentage", "connection_count", "active_account_count", "subs_count",
        "slow_consumer_count", "rtt_nanoseconds", "route_count", "gateway_count")},
    **{f"nats_core_{name}": ("counter", S) for name in (
        "total_connection_count", "sent_msgs_count", "sent_bytes", "recv_msgs_count", "recv_bytes")},
    "nats_core_jetstream_enabled": ("gauge", J),
    **{f"nats_core_jetstream_{name}": ("gauge", J) for name in (
        "filestore_size_bytes", "memstore_size_bytes", "filestore_used_bytes", "filestore_reserved_bytes", "memstore_used_bytes",
        "memstore_reserved_bytes", "accounts", "ha_assets")},
    **{f"nats_core_jetstream_{name}": ("counter", J) for name in ("api_requests", "api_errors")},
    **{f"nats_core_account_{name}": ("gauge", (*S, *A)) for name in ("conn_count", "leaf_count", "sub_count", "slow_consumer_count")},
    **{f"nats_core_account_{name}": ("counter", (*S, *A)) for name in ("bytes_sent", "bytes_recv", "msgs_sent", "msgs_recv")},
    **{f"nats_core_account_jetstream_{name}": ("gauge", A) for name in (
        "memory_used", "storage_used", "memory_reserved", "storage_reserved", "stream_count")},
    **{f"nats_stream_{name}": ("gauge", STREAM) for name in (
        "total_messages", "total_bytes", "first_seq", "last_seq", "consumer_count", "subject_count")},
    **{f"nats_consumer_{name}": ("gauge", CONSUMER) for name in (
        "delivered_consumer_seq", "delivered_stream_seq", "ack_floor_consumer_seq", "ack_floor_stream_seq", "num_ack_pending", "num_pending",
        "num_redelivered", "num_waiting")},
}


class Survey:
    """The figures of one scrape."""

    def __init__(self):
        self.samples = {}

    def put(self, name, labels, value):
        kind, wanted = METRICS[name]
        assert set(labels) == set(wanted), (name, labels)
        self.samples.setdefault(name, []).append((labels, value))

    def text(self):
        lines = []
        for name, rows in self.samples.items():
            lines += [f"# HELP {name} {name}", f"# TYPE {name} {METRICS[name][0]}"]
            for labels, value in rows:
                inner = ",".join(f'{k}="{str(v)}"' for k, v in labels.items())
                lines.append(f"{name}{{{inner}}} {value}" if inner else f"{name} {value}")
        return "\n".join(lines) + "\n"


def server_labels(server):
    return {"server_cluster": server.get("cluster", ""), "server_name": server["name"], "server_id": server["id"]}


def jetstream_labels(server):
    return {"server_id": server["id"], "server_name": server["name"], "cluster_name": server.get("cluster", "")}


def seconds(text):
    return datetime.fromisoformat(text[:19] + "+00:00").timestamp()


def put_server(survey, answer, rtt_ns):
    server, z = answer["server"], answer["statsz"]
    labels, mine = server_labels(server), jetstream_labels(server)
    survey.put("nats_core_info", {**labels, "server_version": server["ver"]}, 1)
    for name, value in {
            "start_time": int(seconds(z["start"]) * 1e9), "uptime": time.time() - seconds(z["start"]), "mem_bytes": z["mem"],
            "core_count": z["cores"], "cpu_percentage": z["cpu"], "connection_count": z["connections"],
            "total_connection_count": z["total_connections"], "active_account_count": z["active_accounts"],
            "subs_count": z["subscriptions"], "sent_msgs_count": z["sent"]["msgs"], "sent_bytes": z["sent"]["bytes"],
            "recv_msgs_count": z["received"]["msgs"], "recv_bytes": z["received"]["bytes"], "slow_consumer_count": z["slow_consumers"],
            "rtt_nanoseconds": rtt_ns, "route_count": len(z.get("routes", [])), "gateway_count": len(z.get("gateways", []))}.items():
        survey.put(f"nats_core_{name}", labels, value)
    js = z.get("jetstream")
    survey.put("nats_core_jetstream_enabled", mine, 1 if js else 0)
    if js:
        config, stats = js["config"], js["stats"]
        for name, value in {
                "filestore_size_bytes": config["max_storage"], "memstore_size_bytes": config["max_memory"],
                "filestore_used_bytes": stats["storage"], "filestore_reserved_bytes": stats["reserved_storage"],
                "memstore_used_bytes": stats["memory"], "memstore_reserved_bytes": stats["reserved_memory"],
                "accounts": stats["accounts"], "ha_assets": stats["ha_assets"],
                "api_requests": stats["api"]["total"], "api_errors": stats["api"]["errors"]}.items():
            survey.put(f"nats_core_jetstream_{name}", mine, value)


def put_accounts(survey, answer):
    for one in answer["data"]["account_statz"]:
        labels = {**server_labels(answer["server"]), "account": one["acc"], "account_name": one["name"]}
        for name, value in {
                "conn_count": one["conns"], "leaf_count": one["leafnodes"], "sub_count": one["num_subscriptions"],
                "slow_consumer_count": one["slow_consumers"], "bytes_sent": one["sent"]["bytes"], "bytes_recv": one["received"]["bytes"],
                "msgs_sent": one["sent"]["msgs"], "msgs_recv": one["received"]["msgs"]}.items():
            survey.put(f"nats_core_account_{name}", labels, value)


def put_jetstream(survey, answers):
    accounts = {}
    for answer in answers:
        for one in answer["data"].get("account_details", []):
            account = {"account": one["id"], "account_name": one["name"]}
            sums = accounts.setdefault(one["id"], (account, {}))[1]
            for name, value in {"memory_used": one["memory"], "storage_used": one["storage"], "memory_reserved": one["reserved_memory"],
                                "storage_reserved": one["reserved_storage"], "stream_count": len(one.get("stream_detail", []))}.items():
                sums[name] = sums.get(name, 0) + value
            for stream in one.get("stream_detail", []):
                put_stream(survey, answer["server"], account, stream)
    for account, sums in accounts.values():
        for name, value in sums.items():
            survey.put(f"nats_core_account_jetstream_{name}", account, value)


def put_stream(survey, server, account, stream):
    cluster, state = stream.get("cluster", {}), stream["state"]
    labels = {**account, **jetstream_labels(server), "raft_group": cluster.get("raft_group", ""), "stream": stream["name"],
              "stream_leader": cluster.get("leader", "")}
    for name, value in {
            "total_messages": state["messages"], "total_bytes": state["bytes"], "first_seq": state["first_seq"],
            "last_seq": state["last_seq"], "consumer_count": state["consumer_count"], "subject_count": state.get("num_subjects", 0)}.items():
        survey.put(f"nats_stream_{name}", labels, value)
    for one in stream.get("consumer_detail", []):
        mine = {**labels, "consumer_name": one["name"], "consumer_leader": one.get("cluster", {}).get("leader", "")}
        for name, value in {
                "delivered_consumer_seq": one["delivered"]["consumer_seq"], "delivered_stream_seq": one["delivered"]["stream_seq"],
                "ack_floor_consumer_seq": one["ack_floor"]["consumer_seq"], "ack_floor_stream_seq": one["ack_floor"]["stream_seq"],
                "num_ack_pending": one["num_ack_pending"], "num_pending": one["num_pending"], "num_redelivered": one["num_redelivered"],
                "num_waiting": one["num_waiting"]}.items():
            survey.put(f"nats_consumer_{name}", mine, value)


class Surveyor:
    def __init__(self, options):
        self.options = options
        self.nc = None
        self.trouble = 0

    async def connect(self):
        self.nc = await nats.connect(self.options.servers.split(","), nkeys_seed=self.options.nkey, name="NATS_Surveyor",
                                     max_reconnect_attempts=-1, reconnect_time_wait=0.2, error_cb=self.on_error)

    async def on_error(self, error):
        print(f"surveyor: {error}", flush=True)
        self.trouble += 1

    async def ask(self, subject, body=None):
        """Answers of the servers, until there are as many as expected or the time is over."""
        answers, enough = [], asyncio.Event()
        since = time.monotonic_ns()

        async def on_answer(message):
            answers.append((json.loads(message.data), time.monotonic_ns() - since))
            if len(answers) >= self.options.count:
                enough.set()
        inbox = self.nc.new_inbox()
        subscription = await self.nc.subscribe(inbox, cb=on_answer)
        try:
            await self.nc.publish(subject, json.dumps(body).encode() if body else b"", reply=inbox)
            await asyncio.wait_for(enough.wait(), self.options.timeout)
        except (asyncio.TimeoutError, nats.errors.Error):
            pass
        finally:
            if self.nc.is_connected:
                await subscription.unsubscribe()
        return answers

    async def scrape(self):
        survey = Survey()
        up = self.nc is not None and self.nc.is_connected
        survey.put("nats_up", {}, int(up))
        servers = await self.ask("$SYS.REQ.SERVER.PING") if up else []
        survey.put("nats_survey_surveyed_count", {}, len(servers))
        survey.put("nats_survey_expected_count", {}, self.options.count)
        survey.put("nats_survey_poll_error_count", {}, self.trouble)
        for answer, rtt_ns in servers:
            put_server(survey, answer, rtt_ns)
        if up and self.options.accounts:
            for answer, _ in await self.ask("$SYS.REQ.ACCOUNT.PING.STATZ"):
                put_accounts(survey, answer)
        if up and self.options.jsz:
            answers = await self.ask("$SYS.REQ.SERVER.PING.JSZ", {"accounts": True, "streams": True, "consumer": True, "raft": True})
            put_jetstream(survey, [answer for answer, _ in answers])
        return survey.text()

    async def serve(self, reader, writer):
        try:
            line = (await reader.readline()).decode().split()
            while (await reader.readline()).strip():
                pass
            path = line[1] if len(line) > 1 else ""
            status, body = ("200 OK", await self.scrape()) if path == "/metrics" else ("200 OK", "ok\n") if path == "/healthz" else (
                "404 Not Found", "try /metrics\n")
            head = f"HTTP/1.1 {status}\r\nContent-Type: text/plain; version=0.0.4\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
            writer.write((head + body).encode())
            await writer.drain()
        except ConnectionError:
            pass
        finally:
            writer.close()


async def main():
    parser = argparse.ArgumentParser()
    for name in ("--servers", "--nkey", "--addr", "--jsz"):
        parser.add_argument(name, required=name != "--jsz")
    for name in ("--count", "--port"):
        parser.add_argument(name, type=int, required=True)
    parser.add_argument("--accounts", action="store_true")
    parser.add_argument("--timeout", type=lambda text: float(text.removesuffix("s")), default=3.0)
    surveyor = Surveyor(parser.parse_args())
    await surveyor.connect()
    server = await asyncio.start_server(surveyor.serve, surveyor.options.addr, surveyor.options.port)
    ended = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, ended.set)
    await ended.wait()
    server.close()


if __name__ == "__main__":
    asyncio.run(main())
