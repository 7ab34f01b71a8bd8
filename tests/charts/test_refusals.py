"""
What `eventbus check` refuses, the umbrella chart refuses too, in the same words: every case of the tables of lib/site and lib/policy is
given to both, as the very same JSON.

Three things differ by nature. Helm keeps no lines. It reads a file as YAML first, so keys that stand there twice, and how a number was
written, are gone: the cases are made JSON for both, with the keys in Helm's order. And some things only auth-callout can know.
"""
import functools
import json
import os
import re
import shutil
import subprocess
import tempfile
from pathlib import Path

import helm
import pytest
import yaml
from random_sites import Maker

ROOT = helm.ROOT
PROGRAM = Path(os.environ.get("EB_BUILD", ROOT / "build")).resolve() / "eventbus/eventbus"
NOT_HERE = {  # cases whose document says nothing to Helm, with the reason
    "empty": "no values at all: Helm puts global: there",
    "null": "no values at all",
    "a list": "Helm's own reader refuses it",
    "no global": "Helm puts global: there",
    "global misspelt": "Helm puts global: there",
    "eventBus at the top": "Helm puts global: there",
    "global is no mapping": "Helm's own reader refuses it",
    "malformed": "Helm's own reader refuses it",
    "malformed behind the site": "Helm's own reader refuses it",
    "twice: global, eventBus, a key in it, a key deep in it": "Helm's reader keeps one of them and tells nothing",
}
# Findings that templates cannot make: what an address range is. auth-callout tells it when it starts.
NOT_IN_TEMPLATES = re.compile(r"\.src\[\d+\]$")
# What the environment of `eventbus check` has is of no meaning to a chart.
UNSET = re.compile(r"`\$\{\w+\}` is not set; see that the service has it$")
# The chart knows how many servers there are and what they may keep even where the document says nothing of them.
CHART_ONLY = re.compile(r"^global\.eventBus\.servers")


def plain(value):
    """As it is in JSON: keys are texts."""
    if isinstance(value, dict):
        return {key if isinstance(key, str) else json.dumps(key): plain(v) for key, v in value.items()}
    return [plain(v) for v in value] if isinstance(value, list) else value


def site_cases():
    """(title, values) of tests/data/site/findings.txt."""
    text = (ROOT / "tests/data/site/findings.txt").read_text()
    for part in re.split(r"^=== ", text, flags=re.M)[1:]:
        title, rest = part.split("\n", 1)
        if title not in NOT_HERE:
            yield title, plain(yaml.safe_load(("\n" + rest).split("\n--- s.yaml\n", 1)[1]))


def policy_cases():
    """(title, values) of tests/data/policy/findings.txt: the permissions of a CSC."""
    text = (ROOT / "tests/data/policy/findings.txt").read_text()
    for part in re.split(r"^=== ", text, flags=re.M)[1:]:
        title, rest = part.split("\n", 1)
        document = rest.split("---\n", 1)[1]
        try:
            permissions = yaml.safe_load(document)
        except yaml.YAMLError:
            continue  # what is no YAML reaches nobody
        if isinstance(permissions, dict):
            yield "permissions: " + title, {"global": {"eventBus": {"clusterType": "csc", "auth": {"permissions": plain(permissions)}}}}


CASES = [*site_cases(), *policy_cases()]


def without_lines(text):
    text = re.sub(r" \((?:first on )?line \d+\)", "", text)
    return re.sub(r", line \d+\)", ")", text)


def of_program(values, folder):
    """The findings of `eventbus check`: {(severity, path, text and mend)}."""
    path = folder / "site.json"
    path.write_text(json.dumps(values, sort_keys=True))
    env = {key: value for key, value in os.environ.items() if not re.fullmatch("[A-Z]{1,6}", key) or key == "PATH"}
    done = subprocess.run([PROGRAM, "check", "--site", path], capture_output=True, text=True, timeout=60, env=env)
    found = set()
    for line in done.stderr.splitlines():
        parts = re.fullmatch(r"(?:eventbus[^:]*: )?" + re.escape(str(path)) + r":(?:\d+:)? (error|warning): (.*)", line)
        assert parts, line
        if not UNSET.search(parts[2]):
            found.add((parts[1], without_lines(parts[2])))
    assert (done.returncode == 0) == (not any(severity == "error" for severity, _ in found)), done
    return found


@functools.cache
def small():
    """A chart of the umbrella's named templates alone, which tells the findings."""
    to = helm.folder() / "findings"
    shutil.copytree(helm.UMBRELLA / "templates", to / "templates", ignore=lambda _, names: [n for n in names if not n.startswith("_")])
    (to / "Chart.yaml").write_text("apiVersion: v2\nname: findings\nversion: 1.0.0\n")
    (to / "templates/findings.yaml").write_text('{{ include "eventbus.findings" . }}\n')
    return to


def of_chart(values, folder, version):
    path = folder / "values.json"
    path.write_text(json.dumps(values))
    found = yaml.load(helm.run(version, "template", "bus", small(), "-f", path), Loader=helm.Loader)
    return {(severity, f"{f['path']}: {f['text']}" + (f"; {f['mend']}" if f["mend"] else ""))
            for severity, key in (("error", "errors"), ("warning", "warnings")) for f in found[key]}


def test_the_tables_are_there():
    assert len(CASES) > 75
    titles = [title for title, _ in CASES]
    assert len(titles) == len(set(titles))
    text = (ROOT / "tests/data/site/findings.txt").read_text()
    assert not [title for title in NOT_HERE if f"\n=== {title}\n" not in text]


def compare(values, folder, version):
    wanted = {f for f in of_program(values, folder) if not NOT_IN_TEMPLATES.search(f[1].split(": ", 1)[0])}
    bus = values["global"].get("eventBus")
    told = isinstance(bus, dict) and bus.get("servers") is not None
    found = {f for f in of_chart(values, folder, version) if told or not CHART_ONLY.match(f[1])}
    assert found == wanted, values
    return wanted


@pytest.mark.parametrize("version", helm.HELMS)
@pytest.mark.parametrize("title,values", CASES, ids=[title for title, _ in CASES])
def test_same_words(tmp_path, title, values, version):
    compare(values, tmp_path, version)


@pytest.mark.parametrize("seed", range(4))
def test_same_words_for_what_nobody_thought_of(tmp_path, seed):
    maker = Maker(seed)
    told = sum(len(compare(maker.document(), tmp_path, 3 + i % 2)) for i in range(25))
    assert told > 50


# Keys of the charts alone, which values.schema.json judges before any template is read.
BY_SCHEMA = re.compile(r"^global\.eventBus\.(production|keysRevision|secrets|image|callout|nack|streamsWatch|surveyor|tests|networkPolicy"
                       r"|monitoring|gateway)\b")

BY_DEFAULTS = {  # cases to which the defaults of the umbrella's values.yaml add what was left out
    "no eventBus": "eventBus: is there, and clusterType is what is missing",
    "eventBus is no mapping": "Helm keeps its own mapping, with a warning",
    "memory on one server": "there are three",
    "no room for the streams": "8 GiB are room enough",
}


@functools.cache
def refusal(title):
    """(the case's errors without those of the schema's, what Helm says of the whole chart)"""
    values = dict(CASES)[title]
    with tempfile.TemporaryDirectory() as folder:
        errors = {f[1] for f in of_program(values, Path(folder)) if f[0] == "error" and not NOT_IN_TEMPLATES.search(f[1].split(": ", 1)[0])}
    if not errors or title in BY_DEFAULTS or any(BY_SCHEMA.match(error) for error in errors):
        return None
    return errors, helm.refused(values)


@pytest.mark.parametrize("title", [title for title, _ in CASES])
def test_the_chart_is_refused(title):
    """The same in the umbrella with all its charts: the first template that asks refuses, and it tells everything at once."""
    found = refusal(title)
    if found is None:
        return
    errors, said = found
    lines = {line[7:] for line in said.splitlines() if line.startswith("error: ")}
    assert {line for line in lines if not CHART_ONLY.match(line)} == {line for line in errors if not CHART_ONLY.match(line)}
    assert f"{len(lines)} error{'s' if len(lines) > 1 else ''}" in said


def test_most_cases_are_refused_by_the_chart():
    assert sum(refusal(title) is not None for title, _ in CASES) > 50


def test_no_secret_is_quoted():
    seed = "SUAAAAICAMCAKBQHBAEQUCYMBUHA6EARCIJRIFIWC4MBSGQ3DQOR4H776Y"
    values = {"global": {"eventBus": {"clusterType": "cpc", "clusterId": "1", "cscEndpoint": "nats://user:" + seed + "@h:1",
                                      "auth": {"permissions": {"nkey": {"a": {"public_key": seed, "account": "CPC"}}}}}}}
    said = helm.refused(values)
    assert "this is a seed, which is secret" in said and "the URL has a user or password in it" in said
    assert seed not in said
