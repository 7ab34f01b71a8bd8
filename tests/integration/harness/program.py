"""auth-callout run by hand: check-config, generate-config, and starts that have to fail."""
import json
import os
import subprocess

from .bus import AUTH_CALLOUT
from .wait import SLOW


def run(*args, env=None, timeout=20 * SLOW):
    """The completed process, output as text. The environment holds nothing of ours but env."""
    clean = {k: v for k, v in os.environ.items() if k in ("PATH", "HOME", "ASAN_OPTIONS", "UBSAN_OPTIONS", "TSAN_OPTIONS", "LSAN_OPTIONS")}
    return subprocess.run([*AUTH_CALLOUT.split(), *map(str, args)], env=clean | (env or {}), capture_output=True, text=True, timeout=timeout)


class Configured:
    """The configuration of a site, with another permissions document; nothing of the site's own is changed."""

    def __init__(self, site, folder):
        self.site = site
        self.file = folder / "permissions.json"
        self.args = ["--config", site.dir / "conf/auth-callout.yaml", "--permissions.file", self.file, "--host.port", "0",
                     "--observability.metrics.prometheus.port", "0"]

    def check(self, document, env=None, *more):
        """check-config with this document, an object or the text itself."""
        self.file.write_text(document if isinstance(document, str) else json.dumps(document, indent=1))
        return run("check-config", *self.args, *more, env=env)

    def start(self, document, env=None, *more):
        """A start that is expected to end by itself; TimeoutExpired where it does not."""
        self.file.write_text(document if isinstance(document, str) else json.dumps(document, indent=1))
        return run("run", *self.args, *more, env=env)
