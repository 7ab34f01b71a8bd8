"""The log of auth-callout: one JSON object a line."""
import json


class Log:
    def __init__(self, path):
        self.path = path
        self._read, self._decisions = 0, 0

    def size(self):
        return self.path.stat().st_size if self.path.exists() else 0

    def text(self):
        return self.path.read_bytes().decode("utf-8", "replace") if self.path.exists() else ""

    def since(self, offset=0):
        """Whole lines behind a byte offset, as objects. A line that is no JSON object fails the test."""
        return self._whole_lines(offset)[0]

    def _whole_lines(self, offset):
        """The lines, and the offset behind them."""
        if not self.path.exists():
            return [], offset
        with self.path.open("rb") as f:
            f.seek(offset)
            data = f.read()
        end = data.rfind(b"\n") + 1
        return [json.loads(line) for line in data[:end].splitlines() if line.startswith(b"{")], offset + end

    def find(self, offset=0, **fields):
        """Lines behind offset that have all these fields."""
        return [line for line in self.since(offset) if all(line.get(k) == v for k, v in fields.items())]

    def decisions(self):
        """How many decisions the service has logged since it started last."""
        if self.size() < self._read:
            self._read = 0
        lines, self._read = self._whole_lines(self._read)
        for line in lines:
            self._decisions = 0 if line.get("msg") == "started" else self._decisions + ("method" in line)
        return self._decisions
