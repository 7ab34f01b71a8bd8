"""What happens on the servers of test_mixed.py: a crowd that comes and goes, and everything that changes meanwhile."""
import collections
import contextlib
import json
import os
import random
import signal
import threading
import time

from harness.stream import IN
from harness.wait import PATIENCE, SLOW, until

from .bed import NOTES, REMOVABLE, SHIFTS
from .history import rights

RATE = 25.0          # logins a second, of all together
THREADS = 8
SETTLES = 60 * SLOW  # seconds that a change may take to show: a key that nobody asked for in the last 10 s, a watch that waits to try again
CLUSTER_KEYS = 20    # the cluster adds no more: its old ones stay


class Crowd:
    """Logs in on a few threads, so many times a second, every kind as often as any other."""

    def __init__(self, bed):
        self.bed, self.kinds = bed, bed.kinds()
        self.stop, self.errors = threading.Event(), []
        self._deck, self._slot, self._lock = [], time.monotonic(), threading.Lock()
        self._threads = [threading.Thread(target=self._run, daemon=True) for _ in range(THREADS)]

    def _next(self):
        with self._lock:
            if not self._deck:
                self._deck = [(kind, make) for kind, makes in self.kinds.items() for make in [self.bed.random.choice(makes)]]
                self.bed.random.shuffle(self._deck)
            self._slot = max(self._slot + 1 / RATE, time.monotonic() - 1)
            return *self._deck.pop(), self._slot

    def _run(self):
        try:
            while not self.stop.is_set():
                kind, make, slot = self._next()
                self.stop.wait(max(0, slot - time.monotonic()))
                case = make()
                if case:
                    self.bed.attempt(kind, case)
        except Exception as error:  # a fault of the test itself
            self.errors.append(error)
            self.stop.set()

    def __enter__(self):
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_exc):
        self.stop.set()
        for thread in self._threads:
            thread.join(PATIENCE * 4)


class Churn:
    """What changes. Each step is followed by a login that shows it, and then only the new is right."""

    def __init__(self, bed):
        self.bed, self.counts, self.longest = bed, collections.Counter(), collections.Counter()
        self.random = random.Random(bed.seed)

    @contextlib.contextmanager
    def step(self, name, *histories):
        begin = time.monotonic()
        yield
        for history in histories:
            history.settled()
        self.counts[name] += 1
        self.longest[name] = max(self.longest[name], round(time.monotonic() - begin, 2))

    def shown(self, kind, make, good, what, every=0.1):
        """Logs in until it ends as it must in the end."""
        def once():
            self.bed.check()
            return good(self.bed.attempt(kind, make()).login)
        until(once, what, timeout=SETTLES, every=every)

    def at_once(self, kind, *cases):
        """Whom the change is about comes first behind it; the crowd may take seconds to."""
        for case in cases:
            self.bed.attempt(kind, case)
        self.bed.check()

    # --- ServiceAccounts ---------------------------------------------------------------------------------------------
    def kube_shown(self):
        """An account that is changed last: when a login has its change, all that came before is in force, too."""
        bed = self.bed
        history, _token, uid = bed.accounts["mark/canary"]
        note = NOTES[(NOTES.index(next(iter(history.now.rights.pub & set(NOTES)))) + 1) % len(NOTES)]
        history.change(history.now._replace(rights=rights(f"mark {note}", "mark")))
        bed.api.annotate("mark", "canary", allowed_pub_subjects=f"{note}.>")
        self.shown("serviceaccount canary", lambda: bed.kubernetes("mark/canary", "nats"), lambda login: note in (login.published or ()), "a change to show")
        history.settled()

    def some_account(self):
        return self.random.choice([name for name in self.bed.accounts if name != "mark/canary"])

    def annotate(self, shown=True):
        bed, name = self.bed, self.some_account()
        history = bed.accounts[name][0]
        namespace, short = name.split("/")
        note, place = self.random.choice(NOTES), self.random.choice(["CSC", "LaunchLayer", None])
        with self.step("annotate", *[history] * shown):
            history.change(history.now._replace(rights=rights(f"{namespace} {note}", namespace, place or "CSC")))
            bed.api.annotate(namespace, short, allowed_pub_subjects=f"{note}.>", account=place)
            if shown:
                self.kube_shown()
        if shown:
            self.at_once(f"serviceaccount {name}", *(bed.kubernetes(name, how) for how in ("nats", "mqtt")))
        return history

    def recreate(self, shown=True, for_a_while=False):
        bed, name = self.bed, self.some_account()
        history, token, uid = bed.accounts[name]
        namespace, short = name.split("/")
        with self.step("recreate", *[history] * shown):
            bed.old_tokens.setdefault(name, []).append((token, uid))
            history.change(None)
            bed.api.delete_account(namespace, short)
            if for_a_while:
                self.kube_shown()
                history.settled()
                self.at_once(f"serviceaccount {name}", *(bed.kube_case(name, token, uid, how) for how in ("nats", "mqtt")))
                self.pause(1.5)
            bed.make_account(name, history, self.random.choice(NOTES), self.random.choice(["LaunchLayer", None]))
            if shown:
                self.kube_shown()
        if shown:
            self.at_once("bad serviceaccount replaced", *(bed.kube_case(name, token, uid, how) for how in ("nats", "mqtt")))
            self.at_once(f"serviceaccount {name}", *(bed.kubernetes(name, how) for how in ("nats", "mqtt")))
        return history

    def delete_for_a_while(self):
        self.recreate(for_a_while=True)

    def signing_key(self):
        """A cluster publishes its next key before it signs with it; the old one's tokens go on."""
        bed = self.bed
        if len(bed.api.keys) >= CLUSTER_KEYS:
            return
        with self.step("cluster key", bed.kube_keys):
            bed.kube_keys.change(bed.kube_keys.now | {len(bed.api.keys)})
            bed.api.rotate_signing_key()
            history, _token, uid = bed.accounts["mark/canary"]
            bed.accounts["mark/canary"] = history, bed.api.token("mark", "canary", seconds=7200), uid
            self.shown("serviceaccount canary", lambda: bed.kubernetes("mark/canary", "nats"), lambda login: login.outcome == IN, "the cluster's new key",
                       every=0.5)
        self.kube_shown()

    # --- the API -----------------------------------------------------------------------------------------------------
    def cut(self):
        with self.step("watch cut", self.bed.reach):
            self.bed.reach.change("cut")
            self.bed.api.cut()
            self.bed.reach.change("up")
            self.kube_shown()

    def gone(self):
        with self.step("watch gone"):
            self.bed.api.end_watches(gone=True)
            self.kube_shown()

    def away(self):
        """Changes that are made meanwhile are found afterwards; until then what was known stays in force."""
        bed = self.bed
        bed.reach.change("away")
        with self.step("API away", bed.reach):
            bed.api.stop()
            changed = [self.annotate(shown=False), self.recreate(shown=False)]
            if self.random.random() < 0.5:
                bed.api.forget_history()
            self.pause(2.0)
            bed.api.start()
            bed.reach.change("up")
            self.kube_shown()
            for history in changed:
                history.settled()
        self.at_once("serviceaccount", *(bed.kubernetes(name, "mqtt") for name in bed.accounts))

    # --- rules -------------------------------------------------------------------------------------------------------
    def rewrite(self):
        bed = self.bed
        doc = json.loads(json.dumps(bed.doc))
        bed.shift += 1
        for i, entry in enumerate(("shifting", "second-shifting")):
            word = SHIFTS[(bed.shift + i) % len(SHIFTS)]
            doc["oauth2"][entry]["permissions"] = {side: {"allow": [f"{word}.>"]} for side in ("pub", "sub")}
        for section, entry in REMOVABLE:
            if self.random.random() < 0.5:
                del doc[section][entry]
        word = SHIFTS[bed.shift % len(SHIFTS)]
        with self.step("rules", bed.rules):
            bed.rules.change(bed.rules_of(doc))
            bed.site.write_permissions(doc, wait=False)
            self.shown("token first shifting", lambda: bed.oauth2("first", "shifting", "shifting", "nats"), lambda login: word in (login.published or ()),
                       "the new rules")
        self.at_once("rules", bed.oauth2("first", "removable", "removable", "mqtt"), bed.oauth2("second", "removable", "second-removable", "bare"),
                     bed.certificate("removable", "t-removable", "mqtt"), bed.nkey("removable"), bed.oauth2("second", "shifting", "second-shifting", "mqtt"))

    def sighup(self):
        with self.step("SIGHUP"):
            os.kill(self.bed.site.bus.pid("csc/auth-callout"), signal.SIGHUP)
            self.kube_shown()

    # --- keys --------------------------------------------------------------------------------------------------------
    def rotate(self, name, drop):
        issuer = self.bed.issuers[name]
        with self.step("keys dropped" if drop else "keys added"):
            issuer.rotate(drop)
            entry = "mqtt-client" if name == "first" else "second-client"
            self.shown(f"token {name} newest key", lambda: self.bed.oauth2(name, "mqtt-client", entry, "nats", issuer.newest),
                       lambda login: login.outcome == IN, f"the new key of {name}", every=0.5)
            issuer.end_rotation(drop)
        if drop:
            self.at_once(f"bad token {name} dropped key", *(self.bed.dropped(name, how) for how in ("nats", "mqtt")))

    # --- all of it ---------------------------------------------------------------------------------------------------
    def pause(self, seconds):
        self.crowd.stop.wait(seconds)

    def until_done(self, end, steps, pause):
        while time.monotonic() < end and not self.crowd.stop.is_set():
            for step in self.random.sample(steps, len(steps)):
                if time.monotonic() >= end or self.crowd.stop.is_set():
                    return
                step()
                self.pause(pause)

    def run(self, crowd, seconds):
        """Keys beside all the rest: a new one may take ten seconds to be asked for."""
        self.crowd, errors = crowd, []
        end = time.monotonic() + seconds

        def keys():
            try:
                self.until_done(end, [lambda n=n, d=d: self.rotate(n, d) for n in self.bed.issuers for d in (False, True)], 1)
            except BaseException as error:
                errors.append(error)
                crowd.stop.set()
        beside = threading.Thread(target=keys, daemon=True)
        beside.start()
        steps = [self.annotate, self.annotate, self.recreate, self.recreate, self.delete_for_a_while, self.signing_key, self.cut, self.gone, self.away,
                 self.rewrite, self.rewrite, self.sighup]
        self.until_done(end, steps, 0.3)
        beside.join(SETTLES * 3)
        if errors:
            raise errors[0]
