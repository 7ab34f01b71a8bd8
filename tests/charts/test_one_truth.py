"""
One truth: for the sites of tests/data/charts/sites.yaml the umbrella chart makes the accounts, logins, links, permissions and streams that
`eventbus render` writes. Compared by what they mean: nats.conf is parsed, and each key is told by the Secret that it comes from, in the
chart by the environment of its StatefulSet and what `eventbus secrets manifests` puts into the Secrets.
"""
import json
import re

import helm
import natsconf
import pytest
import yaml
from sites import SITES, Tree, name_of, run, values_of

FILES = {"cert_file", "key_file", "ca_file"}


@pytest.fixture(scope="module")
def tree(tmp_path_factory):
    return Tree(tmp_path_factory.mktemp("truth") / "secrets")


def named(value, keys, variables):
    """Every key in it by its name; a variable by what it holds."""
    if isinstance(value, dict):
        return {key: named(v, keys, variables) for key, v in value.items()}
    if isinstance(value, list):
        return [named(v, keys, variables) for v in value]
    if isinstance(value, natsconf.Variable):
        value = variables[value]
    return keys.get(value, value) if isinstance(value, str) else value


def ordered(value):
    """Lists sorted: no order in them means anything to a server."""
    if isinstance(value, dict):
        return {key: ordered(v) for key, v in value.items()}
    if isinstance(value, list):
        return sorted((ordered(v) for v in value), key=lambda v: json.dumps(v, sort_keys=True))
    return value


def placement(servers):
    nodes = [{"address": f"127.44.0.{i + 1}"} for i in range(servers["replicas"])]
    return {"servers": nodes, "xkey": servers.get("xkey", True), "debug": servers.get("debug", False),
            "authTimeout": servers.get("authTimeout", 50), "jetstream": servers["jetstream"],
            "mtls": {"main": servers.get("leafUrls") or ["nats://event-bus:7422"]}}


class Program:
    """What `eventbus render` writes for the document that the chart hands to its own programs."""

    def __init__(self, document, tree, folder):
        bus = document["global"]["eventBus"]
        (folder / "site.json").write_text(json.dumps(document))
        (folder / "place.json").write_text(json.dumps(placement(bus["servers"])))
        run("render", "--site", folder / "site.json", "--placement", folder / "place.json", "--secrets", tree.root, "--out", folder / "out")
        self.out, self.keys = folder / "out", tree.names(name_of(bus))
        self.permissions = named(yaml.safe_load((self.out / "permissions.yaml").read_text()), self.keys, {})
        self.streams = json.loads((self.out / "streams.json").read_text())

    def server(self, name):
        seeds = self.out / f"{name}-seeds.conf"
        variables = dict(line.split(": ") for line in seeds.read_text().splitlines()) if seeds.exists() else {}
        files = sorted(self.out.glob(f"{name}.conf")) + sorted(self.out.glob(f"{name}-[0-9].conf"))
        return named(natsconf.parse(files[0].read_text()), self.keys, variables) if files else None


class Chart:
    def __init__(self, bus, tree, version):
        self.manifests = helm.render(values_of(bus), version)
        self.keys, self.secrets = tree.names(name_of(bus)), tree.secrets(name_of(bus))
        self.document = json.loads(self.manifests.get("ConfigMap", "event-bus-site")["data"]["site.json"])
        self.streams = json.loads(self.manifests.get("ConfigMap", "event-bus-streams")["data"]["streams.json"])
        text = self.manifests.get("ConfigMap", "event-bus-permissions")["data"]["permissions.yaml"]
        pod = self.manifests.get("Deployment", "event-bus-auth-callout")["spec"]["template"]["spec"]
        held = self.held(pod["containers"][0])
        text = re.sub(r"\$\{(NATS_\w+)\}", lambda m: held[m[1]], text)  # as auth-callout replaces it
        self.permissions = named(yaml.safe_load(text), self.keys, {})

    def held(self, container):
        """The environment that a container gets of the site's Secrets; a key that is not there fails as kubelet would, if it is not optional."""
        held = {}
        for source in container.get("envFrom", []):
            held |= self.manifests.get("ConfigMap", source["configMapRef"]["name"])["data"]
        refs = {e["name"]: e["valueFrom"]["secretKeyRef"] for e in container["env"] if "secretKeyRef" in e.get("valueFrom", {})}
        for name, ref in refs.items():
            if not ref.get("optional") or ref["key"] in self.secrets[ref["name"]]:
                held[name] = self.secrets[ref["name"]][ref["key"]].strip()
        return held

    def server(self, name):
        sets = [d for d in self.manifests.of("StatefulSet") if d["metadata"]["name"] == name]
        if not sets:
            return None
        container = next(c for c in sets[0]["spec"]["template"]["spec"]["containers"] if c["name"] == "nats")
        text = self.manifests.get("ConfigMap", f"{name}-config")["data"]["nats.conf"]
        self.environment, self.text = self.held(container), text
        variables = {**{e["name"]: e.get("value", "of the pod") for e in container["env"]}, **self.environment}
        return without(named(natsconf.parse(text), self.keys, variables), self.manifests.get("ConfigMap", "event-bus-env")["data"].values())


def without(value, nobody):
    """A login by nobody's key, which stands where another may come, is none: the program leaves it out."""
    if isinstance(value, dict):
        return {key: without(v, nobody) for key, v in value.items()}
    if isinstance(value, list):
        return [without(v, nobody) for v in value if (v.get("nkey") if isinstance(v, dict) else v) not in nobody]
    return value


def parts(server):
    """What both have to say of a server; the chart alone says where its files are mounted and which ports it has."""
    found = {key: server.get(key) for key in ("accounts", "authorization", "system_account", "max_control_line", "feature_flags", "debug")}
    leaf = server.get("leafnodes", {})
    found["leafnodes"] = {key: leaf.get(key) for key in ("authorization", "tls", "remotes", "reconnect")}
    mqtt = server["mqtt"]
    found["mqtt"] = {key: mqtt.get(key) for key in ("stream_replicas", "js_domain")}
    found["mqtt"]["tls"] = {key: v if key not in FILES else "file" for key, v in mqtt.get("tls", {}).items()}
    found["jetstream"] = {key: server.get("jetstream", {}).get(key) for key in ("domain", "max_memory_store", "max_file_store")}
    return ordered(found)


def both(name, tree, folder, version):
    chart = Chart(SITES[name], tree, version)
    return Program(chart.document, tree, folder), chart


@pytest.mark.parametrize("version", helm.HELMS)
@pytest.mark.parametrize("name", SITES)
def test_servers(tmp_path, tree, name, version):
    program, chart = both(name, tree, tmp_path, version)
    assert parts(chart.server("event-bus")) == parts(program.server("main"))
    mtls = program.server("mtls")
    assert (mtls is None) == (SITES[name].get("mtls", {}).get("enabled") is False)
    assert (chart.server("event-bus-mtls") is None) == (mtls is None)
    if mtls:
        assert parts(chart.server("event-bus-mtls")) == parts(mtls)


def test_servers_while_the_login_of_auth_callout_is_rotated(tmp_path):
    """Both let in the old key beside the new one, with the same rights, at no other time."""
    tree = Tree(tmp_path / "secrets")
    names = {name_of(bus): name for name, bus in SITES.items()}
    for site, name in names.items():
        old = tmp_path / "old"
        run("key", "generate", "--user", "--out", old)
        to = tree.root / site / "nkeys/nats-authx-user/pubkey-old"
        to.write_text(run("key", "public", old))
        to.chmod(0o600)
        old.unlink()
        (tmp_path / site).mkdir()
        program, chart = both(name, tree, tmp_path / site, 3)
        server = program.server("main")
        assert parts(chart.server("event-bus")) == parts(server)
        logins = {user.pop("nkey"): user for user in server["accounts"]["AUTHX"]["users"] if user["nkey"].startswith("nats-authx-user/")}
        assert list(logins) == ["nats-authx-user/pubkey", "nats-authx-user/pubkey-old"] and len({json.dumps(u) for u in logins.values()}) == 1
        assert set(logins) <= set(server["authorization"]["auth_callout"]["auth_users"])
        assert "pubkey-old" not in json.dumps([chart.permissions, program.permissions, program.server("mtls")])


@pytest.mark.parametrize("name", SITES)
def test_permissions_and_streams(tmp_path, tree, name):
    program, chart = both(name, tree, tmp_path, 3)
    assert ordered(chart.permissions) == ordered(program.permissions)
    assert [s["name"] for s in chart.streams] == [s["name"] for s in program.streams]
    assert ordered(chart.streams) == ordered(program.streams)


# The words of NACK's resource for those of JetStream's API.
WORDS = {"name": "name", "subjects": "subjects", "retention": "retention", "storage": "storage", "replicas": "num_replicas", "maxBytes": "max_bytes",
         "discard": "discard", "maxMsgsPerSubject": "max_msgs_per_subject", "discardPerSubject": "discard_new_per_subject",
         "firstSequence": "first_seq", "maxAge": "max_age", "duplicateWindow": "duplicate_window", "republish": "republish", "sources": "sources"}


def of_nack(spec):
    stream = {WORDS[key]: value for key, value in spec.items() if key != "preventDelete"}
    for key in ("max_age", "duplicate_window"):
        if key in stream:
            number, unit = re.fullmatch(r"(\d+)(ns|s)", stream[key]).groups()
            stream[key] = int(number) * {"ns": 1, "s": 10**9}[unit]
    if stream["max_age"] == 0:  # always written: NACK takes silence for a year
        del stream["max_age"]
    if not stream.get("sources", True):  # written where there could be some: NACK takes silence for those that are there
        del stream["sources"]
    if "republish" in stream:
        stream["republish"] = {"src": stream["republish"]["source"], "dest": stream["republish"]["destination"]}
    if stream.get("sources") == []:  # written, so that the last one goes
        del stream["sources"]
    for source in stream.get("sources", []):
        source["opt_start_seq"] = source.pop("optStartSeq")
        source["external"] = {"api": source.pop("externalApiPrefix"), "deliver": source.pop("externalDeliverPrefix")}
        source["subject_transforms"] = [{"src": t["source"], "dest": t["dest"]} for t in source.pop("subjectTransforms")]
    return stream


@pytest.mark.parametrize("version", helm.HELMS)
@pytest.mark.parametrize("name", SITES)
def test_streams_of_nack(tmp_path, tree, name, version):
    program, chart = both(name, tree, tmp_path, version)
    resources = chart.manifests.of("Stream")
    assert ordered([of_nack(json.loads(json.dumps(d["spec"]))) for d in resources]) == ordered(program.streams)
    for d in resources:
        assert d["spec"]["preventDelete"] is True and d["metadata"]["annotations"]["helm.sh/resource-policy"] == "keep"
        assert re.fullmatch(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?", d["metadata"]["name"])


@pytest.mark.parametrize("name", SITES)
def test_servers_get_no_seed_but_of_their_own_links(tree, name):
    bus = SITES[name]
    chart = Chart(bus, tree, 3)
    links = {"event-bus": bus["clusterType"] == "cpc", "event-bus-mtls": True}
    for server, dials in links.items():
        if chart.server(server) is None:
            continue
        seeds = {variable for variable, value in chart.environment.items() if value.startswith("S")}
        remotes = natsconf.parse(chart.text).get("leafnodes", {}).get("remotes", [])
        assert seeds == {remote["nkey"] for remote in remotes}
        assert bool(seeds) == dials
        # nothing is asked for that the file does not use, and no key stands in the file itself
        assert {v for v in chart.environment} == set(re.findall(r"\$((?:NATS|LEAF|MTLS)_\w+)", chart.text))
        assert not re.search(r"\b[SU][A-Z2-7]{50,}", chart.text)


@pytest.mark.parametrize("servers, replicas", [(None, 3), (1, 1), (2, 1), (3, 3), (5, 3)])
def test_replicas_that_nobody_wrote(servers, replicas, tree, tmp_path):
    """In the chart, in the document that it hands to `eventbus`, and, where that says how many servers, in an operator's own file."""
    bus = {"clusterType": "csc", "servers": {"replicas": servers} if servers else {}}
    chart = Chart(bus, tree, 3)
    assert chart.document["global"]["eventBus"]["mqttStreams"] == {"maxAge": "3h", "maxBytes": 67108864, "storage": "file", "replicas": replicas}
    assert {s["spec"]["replicas"] for s in chart.manifests.of("Stream")} == {replicas}
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    told = [Program(chart.document, tree, tmp_path / "a").streams]
    if servers:
        jetstream = {"maxMemory": 268435456, "maxFile": 8589934592}
        told.append(Program({"global": {"eventBus": {**bus, "servers": {"replicas": servers, "jetstream": jetstream}}}}, tree, tmp_path / "b").streams)
    assert [{s["num_replicas"] for s in streams} for streams in (*told, chart.streams)] == [{replicas}] * (len(told) + 1)
