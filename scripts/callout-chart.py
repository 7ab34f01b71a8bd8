#!/usr/bin/env python3
"""
What the chart deploy/auth-callout says a second time, made from where it stands first:
  values.schema.json   the options of the service (definitions/serviceConfig), from `auth-callout generate-config --markdown`
  README.md            the table of values, from values.yaml and its comments
    scripts/callout-chart.py            exit status 1 where one of them is not as it would be written
    scripts/callout-chart.py --write    writes them
EB_BUILD names the build folder (default build/). Needs PyYAML: .deps/venv/bin/python has it.
"""
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import yaml

TOP = Path(__file__).resolve().parents[1]
CHART = TOP / "deploy/auth-callout"
AUTH_CALLOUT = Path(os.environ.get("EB_BUILD") or TOP / "build") / "auth-callout/auth-callout"
BEGIN, END = "<!-- begin: values -->", "<!-- end: values -->"


# --- options of the service ---------------------------------------------------------------------------------------------------
def options(markdown):
    """The tables of the reference page: {prefix: {key: kind}}; the two kinds of items of `issuers` are one."""
    found, prefix = {}, ""
    for line in markdown.splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")] if line.startswith("|") else []
        if not cells or set(cells[0]) <= {"-"}:
            continue
        if not cells[0].startswith("`") or cells[0] in ("`issuers[].`", "`accounts.NAME.`"):
            prefix = cells[0].strip("`") if cells[0].startswith("`") else ""
            column = next(i for i, cell in enumerate(cells) if cell == "value")
            continue
        found.setdefault(prefix, {})[cells[0].strip("`")] = cells[column]
    return found


def of_kind(kind):
    """The schema of a value; None where it is a secret, which has no place in a ConfigMap."""
    if kind in ("secret", "secrets"):
        return None
    if kind.startswith("one of "):
        return {"enum": kind.removeprefix("one of ").split(",")}
    if kind.startswith("number "):
        low, high = map(int, re.findall(r"\d+", kind))
        return {"anyOf": [{"type": "integer", "minimum": low, "maximum": high}, {"const": "auto"}]}
    if between := re.fullmatch(r"([\d.]+) to ([\d.]+)", kind):
        low, high = map(float, between.groups())
        return {"type": "number", "minimum": low, "maximum": high}
    one = {"type": "string", "minLength": 1}
    return {"text": one, "file": one, "true or false": {"type": "boolean"}, "duration": {"anyOf": [one, {"type": "integer", "minimum": 0}]},
            "list": {"anyOf": [one, {"type": "array", "items": one}]}, "files": {"anyOf": [one, {"type": "array", "items": one}]}}[kind]


def closed(properties):
    return {"type": "object", "additionalProperties": False, "properties": properties}


def tree(flat):
    """Options with dots in their names, as objects in objects; secrets are left out, so they are refused."""
    made = {}
    for name, kind in flat.items():
        schema = of_kind(kind)
        if schema is None:
            continue
        *blocks, last = name.split(".")
        at = made
        for block in blocks:
            at = at.setdefault(block, closed({}))["properties"]
        at[last] = schema
    return made


def service_config():
    markdown = subprocess.run([AUTH_CALLOUT, "generate-config", "--markdown"], check=True, capture_output=True, text=True).stdout
    tables = options(markdown)
    top = tree(tables[""])
    item = closed(tree(tables["issuers[]."])) | {"required": ["name"]}
    account = {"type": "object", "additionalProperties": closed(tree(tables["accounts.NAME."]))}
    return closed(top | {"issuers": {"type": "array", "items": item}, "accounts": account})


def schema_text():
    path = CHART / "values.schema.json"
    schema = json.loads(path.read_text())
    schema["definitions"]["serviceConfig"] = service_config()
    return path, json.dumps(schema, indent=2) + "\n"


# --- values -------------------------------------------------------------------------------------------------------------------
def rows(text):
    """(path, default, comment) of each value with a comment; what is below one without values of its own is a part of its default."""
    values, stack, comment, found = yaml.safe_load(text), [], [], []
    for line in text.splitlines():
        bare = line.strip()
        if bare.startswith("#"):
            comment = [] if bare.startswith("# ---") else [*comment, bare.lstrip("# ")]
            continue
        key = re.match(r"^( *)([A-Za-z]+):(?: |$)", line)
        if key:
            depth = len(key[1]) // 2
            stack[depth:] = [key[2]]
            if comment:
                default = values
                for part in stack:
                    default = default[part]
                found.append((".".join(stack), default, " ".join(comment)))
        comment = []
    return found


def table_text():
    path = CHART / "README.md"
    text = path.read_text()
    lines = ["| value | default | meaning |", "|---|---|---|"]
    for name, default, comment in rows((CHART / "values.yaml").read_text()):
        lines.append(f"| `{name}` | `{json.dumps(default)}` | {comment.replace('|', chr(92) + '|')} |")
    before, rest = text.split(BEGIN)
    return path, f"{before}{BEGIN}\n" + "\n".join(lines) + f"\n{END}{rest.split(END)[1]}"


def main():
    if sys.argv[1:] not in ([], ["--write"]):
        sys.exit(__doc__.strip())
    stale = 0
    for path, text in (schema_text(), table_text()):
        if path.read_text() == text:
            continue
        if sys.argv[1:]:
            path.write_text(text)
        else:
            stale = 1
            print(f"{path.relative_to(TOP)} does not say what it is made from; run scripts/callout-chart.py --write", file=sys.stderr)
    sys.exit(stale)


if __name__ == "__main__":
    main()
