"""The alerts by themselves: that promtool takes them, that each has tests, annotations and a section in docs/runbooks.md."""
import re
import subprocess

import pytest
import yaml

from monitoring import PROMTOOL, RULE_FILES, RULE_TESTS, TOP, alerts

RUNBOOKS = TOP / "docs/runbooks.md"


def promtool(*args):
    done = subprocess.run([PROMTOOL, *map(str, args)], capture_output=True, text=True, timeout=60)
    return done.returncode, done.stdout + done.stderr


def sections():
    return re.findall(r"^### (\S+)$", RUNBOOKS.read_text(), re.M)


@pytest.mark.parametrize("path", RULE_FILES, ids=lambda path: path.name)
def test_promtool_takes_the_rules(path):
    status, said = promtool("check", "rules", "--lint=all", "--lint-fatal", path)
    assert status == 0, said


@pytest.mark.parametrize("path", RULE_TESTS, ids=lambda path: path.name)
def test_the_alerts_fire_when_they_should_and_only_then(path):
    status, said = promtool("test", "rules", path)
    assert status == 0, said


def test_promtool_would_notice(tmp_path):
    text = RULE_TESTS[0].read_text().replace("../../../deploy", str(TOP / "deploy"))
    (tmp_path / "t.yaml").write_text(text.replace("values: '1 0x5'", "values: '1x6'"))
    assert promtool("test", "rules", tmp_path / "t.yaml")[0] != 0


def test_each_alert_is_seen_firing_and_not_firing():
    tests = [test for path in RULE_TESTS for test in yaml.safe_load(path.read_text())["tests"]]
    by_name = {test["name"]: test for test in tests}
    assert len(by_name) == len(tests), "two tests of one name"
    for name in alerts():
        fires, quiet = by_name.get(f"{name} fires"), by_name.get(f"{name} does not fire")
        assert fires and quiet, f"{name}: write the tests `{name} fires` and `{name} does not fire` in tests/monitoring/rules"
        told = [sample["labels"] for one in fires.get("promql_expr_test", []) for sample in one["exp_samples"]]
        told += [one["alertname"] for one in fires.get("alert_rule_test", []) if one["exp_alerts"]]
        assert any(name in text for text in told), f"{name} fires: nothing of that name is expected"
        asked = [(one["expr"], one["exp_samples"]) for one in quiet.get("promql_expr_test", [])]
        asked += [(one["alertname"], one["exp_alerts"]) for one in quiet.get("alert_rule_test", [])]
        assert asked and all(expected == [] for _, expected in asked), f"{name} does not fire: expect nothing there"
        assert all(expr == name or expr.startswith("ALERTS") for expr, _ in asked), f"{name} does not fire: ask for ALERTS"


def test_each_alert_says_what_it_means():
    for name, rule in alerts().items():
        assert set(rule["annotations"]) == {"summary", "description", "runbook_url"}, name
        assert rule["annotations"]["runbook_url"] == f"docs/runbooks.md#{name.lower()}", name
        assert rule["labels"]["severity"] in ("critical", "warning"), name
        assert 20 < len(rule["annotations"]["summary"]) < 120 and len(rule["annotations"]["description"]) > 30, name


def test_each_alert_has_its_runbook_and_each_runbook_its_alert():
    assert sections() == sorted(set(sections())), "one section an alert, in the order of their names"
    assert set(sections()) == set(alerts())
    for name in sections():
        body = RUNBOOKS.read_text().split(f"### {name}\n")[1].split("\n### ")[0]
        for part in ("**Meaning.**", "**Impact.**", "**Diagnosis.**", "**Mend.**"):
            assert part in body, f"{name} has no {part}"
        assert "```" in body, f"{name} has no command to look with"
