"""
The table of values in deploy/nats-event-bus/README.md, made from values.yaml: a key whose comment begins with `# --` is a row.

  values_table.py           prints it
  values_table.py --write   puts it into README.md, between the marks
"""
import re
import sys
from pathlib import Path

import yaml

CHART = Path(__file__).resolve().parents[2] / "deploy/nats-event-bus"
BEGIN, END = "<!-- values: made by tests/charts/values_table.py --write -->", "<!-- end of values -->"


def rows(text):
    """(path, default, what it is) of every documented key."""
    values = yaml.safe_load(text)
    found, stack, comment = [], [], None
    for line in text.splitlines():
        told = re.match(r"^\s*# (-- )?(.*)$", line)
        if told:
            comment = told[2] if told[1] else f"{comment} {told[2]}" if comment is not None else None
            continue
        key = re.match(r"^( *)([A-Za-z][\w-]*):", line)
        if key:
            depth = len(key[1])
            stack = [(d, k) for d, k in stack if d < depth] + [(depth, key[2])]
            if comment is not None:
                value = values
                for _, k in stack:
                    value = value[k]
                found.append((".".join(k for _, k in stack), value, comment))
        if line.strip():
            comment = None
    return found


def documented(text):
    return {path for path, _, _ in rows(text)}


def leaves(values, path=""):
    """Paths of all that is no mapping, and of empty ones."""
    if isinstance(values, dict) and values:
        return {p for k, v in values.items() for p in leaves(v, f"{path}.{k}" if path else k)}
    return {path}


def default(value):
    return "" if value in (None, "") else f"`{yaml.safe_dump(value, default_flow_style=True, width=1000).removesuffix('...' + chr(10)).strip()}`"


def table(text):
    lines = ["| below `global.eventBus` | default | |", "|---|---|---|"]
    lines += [f"| `{path.removeprefix('global.eventBus.')}` | {default(value)} | {what} |" for path, value, what in rows(text)]
    return "\n".join(lines)


def main():
    made = table((CHART / "values.yaml").read_text())
    if sys.argv[1:] != ["--write"]:
        print(made)
        return
    readme = CHART / "README.md"
    before, rest = readme.read_text().split(BEGIN)
    readme.write_text(f"{before}{BEGIN}\n{made}\n{END}{rest.split(END)[1]}")


if __name__ == "__main__":
    main()
