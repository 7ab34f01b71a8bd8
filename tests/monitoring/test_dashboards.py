"""The dashboards by themselves: what scripts/dashboards.py writes, and what a reader of a panel needs."""
import re
import subprocess
import sys

import yaml

from monitoring import DASHBOARD_FILES, PROMTOOL, TOP, dashboards, expressions, panels

SCRIPT = TOP / "scripts/dashboards.py"


def test_the_files_are_what_the_script_writes():
    done = subprocess.run([sys.executable, SCRIPT, "--check"], capture_output=True, text=True, timeout=30)
    assert done.returncode == 0, done.stderr


def test_another_file_would_be_noticed():
    path, text = DASHBOARD_FILES[0], DASHBOARD_FILES[0].read_text()
    try:
        path.write_text(text.replace("30s", "31s", 1))
        done = subprocess.run([sys.executable, SCRIPT, "--check"], capture_output=True, text=True, timeout=30)
    finally:
        path.write_text(text)
    assert done.returncode != 0 and path.name in done.stderr


def test_there_are_the_two():
    assert {board["uid"] for board in dashboards().values()} == {"event-bus-auth", "event-bus-servers"}


def test_a_dashboard_can_be_pointed_elsewhere():
    for name, board in dashboards().items():
        variables = {v["name"]: v for v in board["templating"]["list"]}
        assert variables["datasource"]["type"] == "datasource" and variables["datasource"]["query"] == "prometheus", name
        assert variables["site"]["multi"] and variables["site"]["includeAll"] and variables["site"]["datasource"]["uid"] == "${datasource}", name
        assert "id" not in board and board["schemaVersion"] >= 36 and board["title"] and board["description"], name


def test_every_panel_explains_itself():
    for name, panel in panels():
        where = f"{name}: {panel['title']}"
        defaults = panel["fieldConfig"]["defaults"]
        assert len(panel["description"]) > 15 and panel["description"].endswith("."), where
        assert defaults["unit"] and defaults["thresholds"]["steps"][0]["value"] is None, where
        values = [step["value"] for step in defaults["thresholds"]["steps"][1:]]
        assert values == sorted(values), where
        assert panel["datasource"]["uid"] == "${datasource}", where
        assert panel["targets"] and [t["refId"] for t in panel["targets"]] == [chr(65 + i) for i in range(len(panel["targets"]))], where
        for target in panel["targets"]:
            assert 'site=~"$site"' in target["expr"], f"{where}: the variable site does not choose"
            assert target["datasource"]["uid"] == "${datasource}", where
            if "rate(" in target["expr"]:
                assert "[$__rate_interval]" in target["expr"], f"{where}: a rate over a fixed time"


def test_panels_do_not_overlap():
    for name, board in dashboards().items():
        assert len({panel["id"] for panel in board["panels"]}) == len(board["panels"]), name
        taken = {}
        for panel in board["panels"]:
            at = panel["gridPos"]
            assert 0 <= at["x"] and at["x"] + at["w"] <= 24, (name, panel["title"])
            for cell in ((x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])):
                assert cell not in taken, f"{name}: {panel['title']} lies over {taken[cell]}"
                taken[cell] = panel["title"]


def test_legends_name_labels_that_the_expression_has():
    for name, panel in panels():
        for target in panel["targets"]:
            kept = {label.strip() for labels in re.findall(r"\bby \(([^)]*)\)", target["expr"]) for label in labels.split(",")}
            for label in re.findall(r"{{(\w+)}}", target["legendFormat"]):
                assert not kept or label in kept, f"{name}: {panel['title']}: {label} in a legend is lost by the expression"


def test_promtool_takes_every_expression(tmp_path):
    found = expressions()
    made = [{"record": f"check:{i}", "expr": expression} for i, (_, expression) in enumerate(found)]
    path = tmp_path / "all.yaml"
    path.write_text(yaml.safe_dump({"groups": [{"name": "all", "rules": made}]}))
    done = subprocess.run([PROMTOOL, "check", "rules", str(path)], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0 and f"{len(found)} rules found" in done.stdout, done.stdout + done.stderr
