"""Writes the Grafana dashboards from the panels below, so that a change can be read as a change.
    .deps/venv/bin/python scripts/dashboards.py          writes deploy/nats-event-bus/monitoring/dashboards/*.json
    .deps/venv/bin/python scripts/dashboards.py --check  fails where a file is not what this script writes
Every expression names its site by $site; tests/monitoring proves on a running bus that what panels name exists.
"""
import json
import pathlib
import sys

OUT = pathlib.Path(__file__).resolve().parent.parent / "deploy/nats-event-bus/monitoring/dashboards"
METHODS = ("oauth2", "mtls", "nkey", "noauth", "kubernetes")
SOURCE = {"type": "prometheus", "uid": "${datasource}"}
S = 'site=~"$site"'
RATE = "$__rate_interval"
GREEN, YELLOW, RED = "green", "yellow", "red"


def steps(*above):
    """Colours from a value on: steps((80, YELLOW), (95, RED)) is green below 80."""
    first = above[0][1] if above and above[0][0] is None else GREEN
    rest = above[1:] if above and above[0][0] is None else above
    return [{"color": first, "value": None}] + [{"color": color, "value": value} for value, color in rest]


def panel(kind, title, description, queries, unit, width, height=8, thresholds=None, legend_calcs=(), **more):
    """queries: (expression, legend) pairs. unit: a Grafana unit, for instance reqps, s, bytes, percentunit."""
    lines = thresholds is not None and kind == "timeseries"
    custom = {"drawStyle": "line", "fillOpacity": 10, "showPoints": "never", "spanNulls": False,
              "thresholdsStyle": {"mode": "line" if lines else "off"}} if kind == "timeseries" else {}
    custom |= more.pop("custom", {})
    options = {
        "timeseries": {"legend": {"displayMode": "table" if legend_calcs else "list", "placement": "bottom", "calcs": list(legend_calcs)},
                       "tooltip": {"mode": "multi", "sort": "desc"}},
        "stat": {"reduceOptions": {"calcs": ["lastNotNull"], "values": False}, "colorMode": "value", "graphMode": "area", "textMode": "auto"},
        "heatmap": {"calculate": False, "yAxis": {"unit": unit}, "color": {"mode": "scheme", "scheme": "Oranges", "steps": 64},
                    "cellGap": 1, "tooltip": {"show": True}},
        "table": {"showHeader": True, "cellHeight": "sm"},
    }[kind] | more.pop("options", {})
    table = kind == "table"
    return {
        "type": kind, "title": title, "description": description, "datasource": SOURCE, "size": (width, height),
        "fieldConfig": {"defaults": {"unit": unit, "min": more.pop("min", 0), "custom": custom,
                                     "thresholds": {"mode": "absolute", "steps": thresholds or steps()}}, "overrides": []},
        "options": options,
        "targets": [{"refId": chr(ord("A") + i), "expr": expression, "legendFormat": legend, "datasource": SOURCE, "editorMode": "code",
                     "instant": table, "range": not table,
                     "format": "heatmap" if kind == "heatmap" else "table" if table else "time_series"}
                    for i, (expression, legend) in enumerate(queries)],
        **more,
    }


def stat(title, description, expression, unit, thresholds=None, legend="{{site}}"):
    return panel("stat", title, description, [(expression, legend)], unit, 4, 4, thresholds)


def table(title, description, expression, columns, unit, width, value):
    """columns: label -> heading, in this order; the value stands last, unless its heading is None."""
    names = list(columns) + ["Value"]
    return panel("table", title, description, [(expression, "")], unit, width, transformations=[
        {"id": "organize", "options": {
            "excludeByName": {"Time": True} | ({} if value else {"Value": True}), "indexByName": {name: i for i, name in enumerate(names)},
            "renameByName": columns | ({"Value": value} if value else {})}}])


def by_method(template):
    return [(template.format(m=m), m) for m in METHODS]


def variable(name, label, query, hidden=False):
    return {"name": name, "label": label, "type": "query", "datasource": SOURCE, "definition": query, "hide": 2 if hidden else 0,
            "query": {"query": query, "refId": name}, "refresh": 2, "multi": True, "includeAll": True, "allValue": ".+", "sort": 1,
            "current": {"selected": True, "text": ["All"], "value": ["$__all"]}}


def dashboard(uid, title, description, variables, rows):
    panels, y = [], 0
    for heading, members in rows:
        panels.append({"id": len(panels) + 1, "type": "row", "title": heading, "collapsed": False, "panels": [],
                       "gridPos": {"x": 0, "y": y, "w": 24, "h": 1}})
        y += 1
        x = tallest = 0
        for one in members:
            width, height = one.pop("size")
            if x + width > 24:
                x, y, tallest = 0, y + tallest, 0
            panels.append({"id": len(panels) + 1, "gridPos": {"x": x, "y": y, "w": width, "h": height}, **one})
            x, tallest = x + width, max(tallest, height)
        y += tallest
    return {
        "uid": uid, "title": title, "description": description, "tags": ["event-bus", "nats"], "schemaVersion": 39, "version": 1,
        "editable": True, "graphTooltip": 1, "refresh": "30s", "time": {"from": "now-3h", "to": "now"}, "timezone": "browser",
        "templating": {"list": [{"name": "datasource", "label": "Data source", "type": "datasource", "query": "prometheus", "refresh": 1,
                                 "hide": 0, "current": {}}, *variables]},
        "annotations": {"list": [{
            "name": "Alerts", "datasource": SOURCE, "enable": True, "iconColor": "red", "titleFormat": "{{alertname}}",
            "expr": 'ALERTS{alertname=~"Auth.+|EventBus.+", alertstate="firing", site=~"$site"}', "step": "60s"}]},
        "links": [{"type": "dashboards", "title": "Event Bus", "tags": ["event-bus"], "asDropdown": True, "keepTime": True, "includeVars": True}],
        "panels": panels,
    }


def authentication():
    requests = f"sum by (site) (rate(auth_requests_total{{{S}}}[{RATE}]))"
    duration = f"sum by (site, le) (rate(auth_request_duration_seconds_bucket{{{S}}}[{RATE}]))"
    return dashboard(
        "event-bus-auth", "Event Bus: authentication", "Who logs in, who is refused and why, and how auth-callout does.",
        [variable("site", "Site", "label_values(auth_ready, site)")],
        [("Overview", [
            stat("Ready", "auth-callout processes whose /readyz answers 200. With none, no new client gets in.",
                 f"sum by (site) (auth_ready{{{S}}})", "none", steps((None, RED), (1, YELLOW), (2, GREEN))),
            stat("Logins", "Requests of the servers, for each login of a client.", requests, "reqps"),
            stat("Not admitted", "Share of requests that did not end in an admission: refused, invalid or dropped.",
                 f"sum by (site) (rate(auth_errors_total{{{S}}}[{RATE}])) / {requests}", "percentunit", steps((0.2, YELLOW), (0.5, RED))),
            stat("p99", "99 of 100 requests are answered within this time of their arrival.",
                 f"histogram_quantile(0.99, {duration})", "s", steps((0.5, YELLOW), (2, RED))),
            stat("Without an answer", "Requests of the last hour that were dropped, invalid or lost: those clients waited the whole "
                 "authorization.timeout.",
                 " + ".join(f"sum by (site) (increase(auth_{what}_total{{{S}}}[1h]))"
                            for what in ("dropped_late", "dropped_queue_full", "answer_failures", "invalid_requests")),
                 "none", steps((1, YELLOW), (100, RED))),
            stat("First to end", "Time until the first certificate or JWT that auth-callout uses ends.",
                 f"min by (site) ((auth_credential_expires_timestamp_seconds{{{S}}} > 0) - time())", "s",
                 steps((None, RED), (2 * 86400, YELLOW), (14 * 86400, GREEN))),
        ]), ("Logins", [
            panel("timeseries", "Logins by method", "Attempts a second, by the kind of credential that was shown.",
                  by_method(f"sum (rate(auth_{{m}}_attempts_total{{{{{S}}}}}[{RATE}]))"), "reqps", 12, legend_calcs=("mean", "max")),
            panel("timeseries", "Refusals by method and reason", "Refused attempts a second. docs/operations.md explains each reason.",
                  [(f"sum by (reason) (rate(auth_{m}_failures_total{{{S}}}[{RATE}])) > 0", f"{m}: {{{{reason}}}}") for m in METHODS],
                  "reqps", 12, legend_calcs=("mean", "max")),
            panel("timeseries", "Invalid requests", "Requests that are none, by reason. Keys of server and service differ, or somebody "
                  "forges them.", [(f"sum by (site, reason) (rate(auth_invalid_requests_total{{{S}}}[{RATE}])) > 0", "{{site}}: {{reason}}")],
                  "reqps", 8),
            panel("timeseries", "Refused at the servers", "As the servers tell, a second. timeout: no answer in time. refused: by the answer. other: by "
                  "the server itself. All are 0 where observability.metrics.server-refusals is off.",
                  [(f"sum by (site, reason) (rate(auth_server_refusals_total{{{S}}}[{RATE}]))", "{{site}}: {{reason}}")], "reqps", 8),
            panel("timeseries", "Dropped and lost", "Requests without an answer: older than the server waits, too many waiting, or not "
                  "handed to NATS.",
                  [(f"sum by (site) (rate(auth_dropped_late_total{{{S}}}[{RATE}]))", "{{site}}: late"),
                   (f"sum by (site) (rate(auth_dropped_queue_full_total{{{S}}}[{RATE}]))", "{{site}}: queue full"),
                   (f"sum by (site) (rate(auth_answer_failures_total{{{S}}}[{RATE}]))", "{{site}}: answer lost")],
                  "reqps", 8, thresholds=steps((0.1, RED))),
            panel("timeseries", "Waiting", "Requests that wait for a worker, and how many a second are parked for a key, a ServiceAccount or a "
                  "TokenReview.",
                  [(f"sum by (site, instance) (auth_queue_depth{{{S}}})", "{{site}} {{instance}}: waiting"),
                   (f"sum by (site) (rate(auth_parked_total{{{S}}}[{RATE}]))", "{{site}}: parked a second")], "short", 24,
                  thresholds=steps((4096, YELLOW), (8192, RED))),
        ]), ("Latency", [
            panel("timeseries", "From arrival to answer", "Quantiles of all replicas of a site together.",
                  [(f"histogram_quantile({q}, {duration})", f"{{{{site}}}} {name}") for q, name in ((0.5, "p50"), (0.9, "p90"), (0.99, "p99"))],
                  "s", 12, thresholds=steps((0.5, RED)), legend_calcs=("mean", "max")),
            panel("heatmap", "Distribution", "How many requests took how long.",
                  [(f"sum by (le) (increase(auth_request_duration_seconds_bucket{{{S}}}[{RATE}]))", "{{le}}")], "s", 12),
        ]), ("Issuers of tokens", [
            panel("timeseries", "Usable keys", "Of each issuer; with 0 every token of it is refused.",
                  [(f"min by (site, issuer) (auth_issuer_keys{{{S}}})", "{{site}}: {{issuer}}")], "none", 8,
                  thresholds=steps((None, RED), (1, GREEN))),
            panel("timeseries", "Age of the key set", "Since the last good fetch. Old keys stay in use while fetches fail.",
                  [(f"time() - (auth_issuer_keys_last_success_timestamp_seconds{{{S}}} > 0)", "{{site}} {{instance}}: {{issuer}}")], "s", 8,
                  thresholds=steps((900, YELLOW), (86400, RED))),
            panel("timeseries", "Fetches that failed", "A second, of each issuer's key set.",
                  [(f"sum by (site, issuer) (rate(auth_issuer_key_fetch_failures_total{{{S}}}[{RATE}]))", "{{site}}: {{issuer}}")], "reqps", 8,
                  thresholds=steps((0.01, RED))),
        ]), ("The service", [
            panel("timeseries", "Links to NATS", "Links whose subscription the server has confirmed, of each process.",
                  [(f"auth_nats_links_up{{{S}}}", "{{site}} {{instance}}")], "none", 8, thresholds=steps((None, RED), (1, GREEN))),
            panel("timeseries", "Links lost and rebuilt", "In each hour before. Rebuilt: closed for good, by login errors for instance.",
                  [(f"sum by (site) (increase(auth_nats_link_lost_total{{{S}}}[1h]))", "{{site}}: lost"),
                   (f"sum by (site) (increase(auth_nats_link_rebuilt_total{{{S}}}[1h]))", "{{site}}: rebuilt")], "none", 8,
                  thresholds=steps((1, YELLOW))),
            panel("timeseries", "MQTT open", "1 while MQTT logins are answered: the site's streams are known to be as specified.",
                  [(f"auth_mqtt_gate_open{{{S}}}", "{{site}} {{instance}}")], "none", 8, thresholds=steps((None, RED), (1, GREEN))),
            panel("timeseries", "Resident memory", "Of each process.",
                  [(f"process_resident_memory_bytes{{{S}}} and auth_ready", "{{site}} {{instance}}")],
                  "bytes", 8, thresholds=steps((200e6, YELLOW))),
            panel("timeseries", "Permissions in force", "Entries of the document. A step is somebody's change.",
                  [(f"max by (site, instance) (auth_permissions_entries{{{S}}})", "{{site}} {{instance}}")], "none", 8),
            panel("timeseries", "Changes refused", "Documents and files of the hour before that were not taken; the old stayed in force.",
                  [(f"sum by (site) (increase(auth_{what}_reload_failures_total{{{S}}}[1h]))", f"{{{{site}}}}: {what}")
                   for what in ("permissions", "config", "ca", "seed", "mqtt_streams")], "none", 8, thresholds=steps((1, RED))),
            table("Ends", "When what auth-callout uses ends; the first of several certificates.",
                  f"(auth_credential_expires_timestamp_seconds{{{S}}} > 0) * 1000",
                  {"site": "Site", "instance": "Process", "credential": "What"}, "dateTimeAsIso", 8, "Ends at"),
        ]), ("Kubernetes (with an issuer of kind kubernetes)", [
            panel("timeseries", "ServiceAccounts known", "As each issuer's API server lists them.",
                  [(f"max by (site, issuer) (auth_kubernetes_serviceaccounts{{{S}}})", "{{site}}: {{issuer}}")], "none", 8),
            panel("timeseries", "Silence of the API server", "Since it last said something of the ServiceAccounts; about once a minute it does.",
                  [(f"auth_kubernetes_age_seconds{{{S}}}", "{{site}} {{instance}}: {{issuer}}")], "s", 8, thresholds=steps((300, RED)), min=-1),
            panel("timeseries", "Dropped from annotations", "Items that are not granted, by reason, in the hour before.",
                  [(f"sum by (site, reason) (increase(auth_kubernetes_annotation_drops_total{{{S}}}[1h])) > 0", "{{site}}: {{reason}}")], "none", 8,
                  thresholds=steps((1, YELLOW))),
        ])])


def servers():
    stream = f'nats_stream_total_bytes{{{S}, stream=~"XL_RETAINED|[$]MQTT_.+"}}'
    per_server = "{{site}} {{server_name}}"
    of_stream = "{{site}} {{account_name}} {{stream}}"
    of_consumer = "{{site}} {{stream}} {{consumer_name}}"

    leafs = f'nats_core_account_leaf_count{{{S}, account_name!~"[$]G"}}'

    def each(metric):
        return f"sum by (site, server_name) ({metric}{{{S}}})"

    def rate(metric, by="site, server_name"):
        return f"sum by ({by}) (rate({metric}{{{S}}}[{RATE}]))"
    return dashboard(
        "event-bus-servers", "Event Bus: servers, links and streams",
        "What nats-surveyor sees of each site: servers, leaf links, traffic, JetStream.",
        [variable("site", "Site", "label_values(nats_survey_expected_count, site)")],
        [("Overview", [
            stat("Servers missing", "Servers of the site that do not answer in SYS, the mTLS server among those that should.",
                 f"nats_survey_expected_count{{{S}}} - nats_survey_surveyed_count{{{S}}}", "none", steps((1, RED))),
            stat("Clients", "Connections to all servers of the site.", f"sum by (site) (nats_core_connection_count{{{S}}})", "none"),
            stat("Messages in", "Received by the site's servers, what they pass on to each other included.",
                 rate("nats_core_recv_msgs_count", "site"), "mps"),
            stat("Leaf connections", "Of all servers and accounts; those within a site count at both ends.",
                 f"sum by (site) (nats_core_account_leaf_count{{{S}}})", "none", steps((None, RED), (1, GREEN))),
            stat("Slow consumers", "Connections cut off within the last hour since they did not read fast enough.",
                 f"sum by (site) (increase(nats_core_slow_consumer_count{{{S}}}[1h]))", "none", steps((1, YELLOW), (10, RED))),
            stat("Fullest stream", "Of the streams of the site's document: bytes used of maxBytes.",
                 f"max by (site) (max by (site, stream) ({stream}) / on (site) group_left () eventbus:stream_max_bytes)", "percentunit",
                 steps((0.8, YELLOW), (0.95, RED))),
        ]), ("Servers", [
            panel("timeseries", "Clients by server", "Connections of clients.", [(each("nats_core_connection_count"), per_server)], "none", 8,
                  thresholds=steps((60000, RED))),
            panel("timeseries", "New connections", "A second. Many without a growing number of clients: they come again and again.",
                  [(rate("nats_core_total_connection_count"), per_server)], "cps", 8),
            panel("timeseries", "Slow consumers", "In each 10 minutes before.",
                  [(f"sum by (site, server_name) (increase(nats_core_slow_consumer_count{{{S}}}[10m]))", per_server)], "none", 8,
                  thresholds=steps((1, RED))),
            panel("timeseries", "CPU", "In cores: 1 is one core in full use.", [(f"sum by (site, server_name) (nats_core_cpu_percentage{{{S}}}) / 100", per_server)], "none", 8),
            panel("timeseries", "Memory", "Resident, of each server.", [(each("nats_core_mem_bytes"), per_server)], "bytes", 8),
            panel("timeseries", "Answer time", "How long a server took to answer the survey; it counts the way by the leaf connection.",
                  [(f"max by (site, server_name) (nats_core_rtt_nanoseconds{{{S}}})", per_server)], "ns", 8, thresholds=steps((500e6, RED))),
            table("Versions", "The servers that answer, each with its version.",
                  f"group by (site, server_name, server_version) (nats_core_info{{{S}}})",
                  {"site": "Site", "server_name": "Server", "server_version": "nats-server"}, "none", 12, None),
            table("Uptime", "Since the server's start.", f"max by (site, server_name) (nats_core_uptime{{{S}}})",
                  {"site": "Site", "server_name": "Server"}, "s", 12, "Up for"),
        ]), ("Traffic", [
            panel("timeseries", "Messages by server", "Received and sent, a second.",
                  [(rate("nats_core_recv_msgs_count"), per_server + " in"), (rate("nats_core_sent_msgs_count"), per_server + " out")], "mps", 8),
            panel("timeseries", "Bytes by server", "Received and sent, a second.",
                  [(rate("nats_core_recv_bytes"), per_server + " in"), (rate("nats_core_sent_bytes"), per_server + " out")], "Bps", 8),
            panel("timeseries", "Messages by account", "Received from clients and leaf connections of the account, a second.",
                  [(rate("nats_core_account_msgs_recv", "site, account_name"), "{{site}} {{account_name}}")], "mps", 8),
        ]), ("Links", [
            panel("timeseries", "Leaf connections by account", "A step down is a link that went. At a CPC account CSC is the link to the CSC.",
                  [(f"sum by (site, account_name) ({leafs})", "{{site}} {{account_name}}")], "none", 12),
            table("Leaf connections by server", "The mTLS server needs one each of the data account, AUTHX and SYS.",
                  f"sum by (site, server_name, account_name) ({leafs})",
                  {"site": "Site", "server_name": "Server", "account_name": "Account"}, "none", 12, "Connections"),
        ]), ("Streams", [
            panel("timeseries", "Bytes of maxBytes", "At 100 % the oldest messages go, whether they have crossed to the other sites or not.",
                  [(f"max by (site, account_name, stream) ({stream}) / on (site) group_left () eventbus:stream_max_bytes", of_stream)],
                  "percentunit", 8, thresholds=steps((0.8, YELLOW), (0.95, RED))),
            panel("timeseries", "Messages", "Kept in each stream.",
                  [(f"max by (site, account_name, stream) (nats_stream_total_messages{{{S}}})", of_stream)], "none", 8),
            panel("timeseries", "Stored", "Messages a second that each stream takes.",
                  [(f"max by (site, account_name, stream) (rate(nats_stream_last_seq{{{S}}}[{RATE}]))", of_stream)], "mps", 8),
            panel("timeseries", "Waiting for consumers",
                  "Messages that a consumer has yet to be sent: of MQTT sessions and of other sites that pull.",
                  [(f"topk(10, max by (site, stream, consumer_name) (nats_consumer_num_pending{{{S}}}))", of_consumer)], "none", 8),
            panel("timeseries", "Not acknowledged", "Messages sent to a consumer and not acknowledged. nats-server stops at 1,024 a session.",
                  [(f"topk(10, max by (site, stream, consumer_name) (nats_consumer_num_ack_pending{{{S}}}))", of_consumer)], "none", 8,
                  thresholds=steps((900, YELLOW), (1024, RED))),
            panel("timeseries", "Consumers", "Of each stream; MQTT sessions with subscriptions of QoS 1 and 2 have one each.",
                  [(f"max by (site, account_name, stream) (nats_stream_consumer_count{{{S}}})", of_stream)], "none", 8),
        ]), ("JetStream", [
            panel("timeseries", "Storage used", "Of what the server may use.",
                  [(f"nats_core_jetstream_{store}_used_bytes{{{S}}} / (nats_core_jetstream_{store}_size_bytes{{{S}}} > 0)", f"{per_server} {what}")
                   for store, what in (("filestore", "files"), ("memstore", "memory"))],
                  "percentunit", 8, thresholds=steps((0.8, YELLOW), (0.95, RED))),
            panel("timeseries", "Storage by account", "Used by each account.",
                  [(f"max by (site, account_name) (nats_core_account_jetstream_storage_used{{{S}}})", "{{site}} {{account_name}}")], "bytes", 8),
            panel("timeseries", "API",
                  "Requests a second, and those that failed. A login of a new MQTT session has some that fail: it looks for what is not there.",
                  [(rate("nats_core_jetstream_api_requests"), per_server), (rate("nats_core_jetstream_api_errors"), per_server + " failed")],
                  "reqps", 8),
        ])])


DASHBOARDS = {"authentication.json": authentication, "servers.json": servers}


def main():
    stale = []
    for name, make in DASHBOARDS.items():
        text = json.dumps(make(), indent=1, ensure_ascii=False) + "\n"
        path = OUT / name
        if "--check" in sys.argv[1:]:
            if not path.is_file() or path.read_text() != text:
                stale.append(name)
        else:
            OUT.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
    stale += [path.name for path in OUT.glob("*.json") if path.name not in DASHBOARDS]
    if stale:
        sys.exit(f"{OUT}: not what scripts/dashboards.py writes: {', '.join(stale)}; run .deps/venv/bin/python scripts/dashboards.py")


if __name__ == "__main__":
    main()
