"""What is right at which moment, while it changes: what a login may do, and since when and until when."""
import collections
import itertools
import threading
import time

REFUSAL = None


class Rights(collections.namedtuple("Rights", "account pub sub")):
    @property
    def words(self):
        return self.pub | self.sub


def rights(pub, sub=None, account="CSC"):
    """From blank separated words; sub=None: the same."""
    return Rights(account, frozenset(pub.split()), frozenset((pub if sub is None else sub).split()))


class History:
    """What was true when. A change begins with change() and is all there is from settled() on."""

    def __init__(self, value):
        self._lock = threading.Lock()
        self._steps = [[time.monotonic(), None, value]]

    def change(self, value):
        with self._lock:
            self._steps.append([time.monotonic(), None, value])

    def settled(self):
        with self._lock:
            for step in self._steps[:-1]:
                step[1] = step[1] or time.monotonic()

    @property
    def now(self):
        return self._steps[-1][2]

    def between(self, begin, end):
        with self._lock:
            return [value for since, to, value in self._steps if since <= end and (to is None or to >= begin)]


def possible(*parts):
    """
    parts: (history, view), view(value) being what that value makes of the login: Rights, True (no objection) or REFUSAL. The function tells for a
    time from, to what the login may have ended with: a list of Rights and REFUSAL.
    """
    def told(begin, end):
        found = []
        for views in itertools.product(*([view(value) for value in history.between(begin, end)] for history, view in parts)):
            verdict = REFUSAL if any(view is REFUSAL for view in views) else next(view for view in views if view is not True)
            if verdict not in found:
                found.append(verdict)
        return found
    return told


def always(what):
    return lambda _begin, _end: [what]
