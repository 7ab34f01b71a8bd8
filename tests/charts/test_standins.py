"""The stand-in of the chart nats does what the umbrella relies on: merge, patch, templates in values, unquoting, names."""
import json

import pytest
import yaml
from helm import HELMS, STANDINS, Refused, _files, conform, run

NATS = STANDINS / "nats"
BASE = {"config": {"jetstream": {"enabled": True}, "cluster": {"enabled": True}, "mqtt": {"enabled": True}, "leafnodes": {"enabled": True}}}


def render(values, helm=3, release="bus"):
    text = run(helm, "template", release, NATS, "-n", "ns", *_files([BASE, values]))
    return text, {(d["kind"], d["metadata"]["name"]): d for d in yaml.safe_load_all(text) if d}


def conf(values, name="bus-nats-config"):
    return render(values)[1]["ConfigMap", name]["data"]["nats.conf"]


def nats(values):
    pod = render(values)[1]["StatefulSet", "bus-nats"]["spec"]["template"]
    return pod, pod["spec"]["containers"][0]


def parsed(values):
    return json.loads(conf(values).replace("$SERVER_NAME", '"s"').replace("10Gi", "0"))


def test_both_helms_write_the_same_and_the_schemas_take_it():
    texts = [render({"natsBox": {"enabled": True}, "promExporter": {"enabled": True, "podMonitor": {"enabled": True}}}, helm)[0] for helm in HELMS]
    assert texts[0] == texts[1] and conform(texts[0]) == []


def test_maps_merge_and_lists_replace():
    made = parsed({"config": {"merge": {"leafnodes": {"x": 1}, "cluster": {"routes": ["only"]}, "max_payload": 5}}})
    assert made["leafnodes"] == {"no_advertise": True, "port": 7422, "x": 1} and made["cluster"]["routes"] == ["only"] and made["max_payload"] == 5
    assert list(made) == sorted(made)
    assert nats({"container": {"merge": {"env": [{"name": "A", "value": "b"}]}}})[1]["env"] == [{"name": "A", "value": "b"}]


PATCHES = [
    ([{"op": "add", "path": "/a", "value": 1}], "a", 1), ([{"op": "remove", "path": "/lame_duck_duration"}], "lame_duck_duration", None),
    ([{"op": "replace", "path": "/port", "value": 5}], "port", 5), ([{"op": "copy", "from": "/port", "path": "/b"}], "b", 4222),
    ([{"op": "move", "from": "/http_port", "path": "/mqtt/h"}], "http_port", None),
    ([{"op": "add", "path": "/cluster/routes/0", "value": "r"}], "cluster", ["r"]),
    ([{"op": "add", "path": "/c~1d~0e", "value": 2}], "c/d~e", 2), ([{"op": "test", "path": "/port", "value": 4222}], "port", 4222),
]


@pytest.mark.parametrize("patch, key, value", PATCHES)
def test_patches(patch, key, value):
    made = parsed({"config": {"patch": patch}})
    if key == "cluster":
        assert made[key]["routes"][0] == value[0] and len(made[key]["routes"]) == 4
    else:
        assert made.get(key) == value


@pytest.mark.parametrize("patch", [{"op": "remove", "path": "/none"}, {"op": "replace", "path": "/none", "value": 1},
                                   {"op": "add", "path": "/a/b", "value": 1}, {"op": "add", "path": "/cluster/routes/9", "value": 1}, {"op": "test", "path": "/port", "value": 1}])
def test_a_patch_of_what_is_not_there_fails(patch):
    with pytest.raises(Refused, match="patch: "):
        conf({"config": {"patch": [patch]}})


def test_templates_in_values():
    pod, container = nats({
        "container": {"env": {"a": {"$tplYamlSpread": "{{ dict \"X\" \"1\" \"Y\" (dict \"value\" .Release.Name) | toYaml }}"}},
                      "patch": [{"$tplYamlSpread": "[{op: add, path: /volumeMounts/-, value: {name: v, mountPath: /v}}]"}]},
        "podTemplate": {"merge": {"metadata": {"annotations": {"c": {"$tplYaml": "{{ .Chart.Name | quote }}"}}}}}})
    assert {"name": "X", "value": "1"} in container["env"] and {"name": "Y", "value": "bus"} in container["env"]
    assert container["volumeMounts"][-1] == {"name": "v", "mountPath": "/v"} and pod["metadata"]["annotations"] == {"c": "nats"}
    with pytest.raises(Refused, match="must be string or map"):
        nats({"container": {"env": {"N": 1}}})


def test_marks_lose_their_quotes_and_nothing_else_does():
    text = conf({"config": {"merge": {"a": "<< $A >>", "b": "<<$B>>", "c": "x << $C >>", "d": "<< 8MB >>", "e": {"$include": "../e.conf"},
                                      "f": "a>b&c<d"}}})
    assert '"a": $A,' in text and '"b": "<<$B>>"' in text and '"c": "x << $C >>"' in text and '"d": 8MB' in text
    assert "include ../e.conf;" in text and '"f": "a>b&c<d"' in text


@pytest.mark.parametrize("release, values, name", [("bus", {}, "bus-nats"), ("my-nats", {}, "my-nats"), ("bus", {"fullnameOverride": "x"}, "x"),
                                                   ("bus", {"nameOverride": "y"}, "bus-y")])
def test_names(release, values, name):
    made = render(values, release=release)[1]
    assert {("StatefulSet", name), ("Service", name), ("Service", f"{name}-headless"), ("ConfigMap", f"{name}-config"),
            ("PodDisruptionBudget", name)} <= set(made)
    assert made["StatefulSet", name]["spec"]["volumeClaimTemplates"][0]["metadata"]["name"] == f"{name}-js"
    ports = {p["name"] for p in made["Service", name]["spec"]["ports"]}
    assert ports == {"nats", "mqtt", "leafnodes"}, "cluster and monitor are off by default"
