"""The Prometheus exposition of auth-callout, read as a table."""
import re
import subprocess
import urllib.request

METHODS = ("oauth2", "mtls", "nkey", "noauth", "kubernetes")
LINE = re.compile(r'^([a-zA-Z_:][a-zA-Z0-9_:]*)(\{[^}]*\})? (\S+)$')


def fetch(url):
    with urllib.request.urlopen(url, timeout=5) as answer:
        return answer.read().decode()


class Metrics(dict):
    """name{labels} -> value."""

    def __init__(self, text):
        super().__init__()
        self.text = text
        for line in text.splitlines():
            if line and not line.startswith("#"):
                match = LINE.match(line)
                assert match, f"not a sample: {line}"
                name = match[1] + (match[2] or "")
                assert name not in self, f"twice: {name}"
                self[name] = float(match[3])

    def failures(self, method, reason):
        return self[f'auth_{method}_failures_total{{reason="{reason}"}}']

    def all_failures(self):
        """(method, reason) -> count, of those that are not 0."""
        found = {}
        for name, value in self.items():
            match = re.match(r'auth_(\w+)_failures_total\{reason="(\w+)"\}', name)
            if match and value:
                found[match[1], match[2]] = value
        return found

    def invalid(self, reason):
        return self[f'auth_invalid_requests_total{{reason="{reason}"}}']


# Every metric that the contract names; the histogram by its parts.
CONTRACT = ["auth_requests_total", "auth_errors_total", "auth_request_duration_seconds_bucket",
            "auth_request_duration_seconds_sum", "auth_request_duration_seconds_count"]
CONTRACT += [f"auth_{m}_attempts_total" for m in METHODS] + [f"auth_{m}_failures_total" for m in METHODS]


def missing(metrics):
    """The names of the contract that have no series."""
    have = {re.sub(r"\{.*", "", name) for name in metrics}
    return [name for name in CONTRACT if name not in have]


def promtool(program, text):
    """What promtool has to say; the empty string is what we want."""
    done = subprocess.run([program, "check", "metrics"], input=text, capture_output=True, text=True, timeout=30)
    return "" if done.returncode == 0 and not done.stderr.strip() else done.stdout + done.stderr + f"(exit {done.returncode})"
