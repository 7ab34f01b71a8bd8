"""A site's second auth-callout, started by hand with a configuration of its own."""
import contextlib
import subprocess

import yaml

from harness.bus import AUTH_CALLOUT
from harness.logs import Log


@contextlib.contextmanager
def started(site, change):
    """The site's second process, by hand, with another configuration; and its log."""
    site.bus("stop", "csc/auth-callout-2")
    conf, path = site.dir / "conf/auth-callout-2.yaml", site.dir / "log/auth-callout-2.log"
    good = conf.read_text()
    doc = yaml.safe_load(good)
    change(doc)
    conf.write_text(yaml.safe_dump(doc))
    with path.open("ab") as log:
        process = subprocess.Popen([*AUTH_CALLOUT.split(), "--config", str(conf)], stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    try:
        yield process, Log(path)
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()
        conf.write_text(good)
