"""Probes and scrapes go on while the service ends: it ends all the same, with what it holds still whole until nobody asks any more."""
import threading

from harness.wait import until


def test_probes_during_the_stop(new_site):
    site = new_site()
    done = threading.Event()

    def probe(path):
        while not done.is_set():
            try:
                site.http(path)
            except OSError:
                pass

    threads = [threading.Thread(target=probe, args=(path,)) for path in ("/readyz", "/metrics") for _ in range(2)]
    for thread in threads:
        thread.start()
    try:
        for _ in range(3):
            offset = site.log.size()
            site.bus("stop", "csc/auth-callout")
            until(lambda offset=offset: [line for line in site.log.since(offset) if line["msg"] == "stopped"], "the last line of a whole stop")
            site.bus("start", "csc/auth-callout")
    finally:
        done.set()
        for thread in threads:
            thread.join()
