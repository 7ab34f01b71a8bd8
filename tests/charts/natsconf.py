"""
Reads nats-server's configuration into Python values, so that two files can be compared by what they mean: as `eventbus render` writes
it, and as the official chart does, JSON with marks taken out.
"""
import re

UNITS = {"K": 1000, "KB": 1 << 10, "M": 10**6, "MB": 1 << 20, "G": 10**9, "GB": 1 << 30}
TOKEN = re.compile(r"""\s+|(?:\#|//)[^\n]*|(?P<text>"(?:[^"\\]|\\.)*"|'[^']*')|(?P<mark>[{}\[\],:=;])"""
                   r"""|(?P<word>[^\s{}\[\],:=;"'#]+(?::[^\s{}\[\],;"']+)*)""")


class Variable(str):
    """$NAME, whose value the environment has."""


def _tokens(text):
    at, found = 0, []
    while at < len(text):
        match = TOKEN.match(text, at)
        assert match, f"not understood: {text[at:at + 40]!r}"
        at = match.end()
        if match.lastgroup:
            found.append((match.lastgroup, match[match.lastgroup]))
    return found


def _text(quoted):
    return re.sub(r"\\(x[0-9a-f]{2}|u[0-9a-f]{4}|.)", lambda m: chr(int(m[1][1:], 16)) if len(m[1]) > 1 else m[1], quoted[1:-1])


def _word(word):
    if word.startswith("$"):
        return Variable(word[1:])
    if word in ("true", "false"):
        return word == "true"
    number = re.fullmatch(r"(-?\d+)([KMG]B?)?", word)
    return int(number[1]) * UNITS.get(number[2], 1) if number else word


class _Reader:
    def __init__(self, text):
        self.tokens, self.at = _tokens(text), 0

    def peek(self):
        return self.tokens[self.at] if self.at < len(self.tokens) else ("mark", "")

    def take(self, *marks):
        """Steps over one of these marks; True where it was there."""
        found = self.peek()[0] == "mark" and self.peek()[1] in marks
        self.at += found
        return found

    def value(self):
        if self.take("{"):
            return self.map("}")
        if self.take("["):
            items = []
            while not self.take("]"):
                items.append(self.value())
                self.take(",")
            return items
        kind, text = self.peek()
        self.at += 1
        assert kind != "mark", f"a value expected, got {text!r}"
        return _text(text) if kind == "text" else _word(text)

    def map(self, end):
        found = {}
        while not self.take(end):
            kind, key = self.peek()
            assert kind != "mark" and self.at < len(self.tokens), f"a key expected, got {key!r}"
            self.at += 1
            if kind == "word" and key == "include":
                found.setdefault("include", []).append(self.value())
            else:
                self.take(":", "=")
                key = _text(key) if kind == "text" else key.rstrip(":")
                assert key not in found, f"{key} twice"
                found[key] = self.value()
            self.take(",", ";")
        return found


def parse(text):
    whole = text.lstrip().startswith("{")  # the chart's is one map in braces
    reader = _Reader(text if whole else "{" + text + "\n}")
    found = reader.value()
    assert reader.at == len(reader.tokens), "more behind the end"
    return found
