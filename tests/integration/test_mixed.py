"""
Every kind of credential against one process while everything changes that may change: nobody gets a verdict, or a right, that is not his at that
moment. Good clients and bad ones log in over NATS and MQTT at a bounded rate, ask for what they may and for what they may not, leave and come
again; meanwhile annotations, ServiceAccounts, keys, the permissions document and the way to the API server change. EB_CHURN_SECONDS: how long
(default 60); EB_CHURN_SEED repeats an order of changes.

What is right is kept as a history (mixed/history.py): a change has a beginning, before it is made, and an end, when a login has shown it. A login that
lies wholly outside has one right verdict, one that touches it two. Each decision is found again in the service's log, with its reason.
"""
import collections
import contextlib
import os
import random
import time

import pytest

from harness.metrics import METHODS
from harness.stream import IN, REFUSED
from harness.wait import SLOW, until
from mixed.bed import Bed, fitting, told
from mixed.churn import Churn, Crowd
from test_soak import figures

SECONDS = float(os.environ.get("EB_CHURN_SECONDS") or 60)
KEPT = 3             # descriptors: connections to the API that are kept for the next question
MEMORY = 4.0 * SLOW  # seconds that the service remembers an API that could not be asked


def look(bed):
    """Threads and descriptors while nobody logs in and the watch is there."""
    until(bed.watching, "the watch")
    return figures(bed.site.bus.pid("csc/auth-callout"))


def judge_heard(bed):
    """What was published was heard in its account, and nowhere and nothing else."""
    owner = {seen.mark: seen for seen in bed.seen}

    def heard():
        for observer in bed.observers.values():
            observer.flush()
        for account, subscription in bed.heard.items():
            for message in subscription.received():
                if message.data.startswith(b"probe ") and not message.subject.startswith("$"):
                    word, _, mark = message.subject.partition(".")
                    found[int(mark)].append((account, word))
        return not [s for s in bed.seen if not right(s)]

    def right(seen):
        return seen.case.handshake or any(sorted(found[seen.mark]) == (sorted((may.account, word) for word in may.pub & seen.probed) if may else [])
                                          for may in fitting(seen))
    found = collections.defaultdict(list)
    with contextlib.suppress(AssertionError):
        until(heard, "all to be heard", timeout=5 * SLOW)
    assert set(found) <= set(owner), "of nobody"
    wrong = [(seen, sorted(found[seen.mark])) for seen in bed.seen if not right(seen)]
    assert not wrong, f"{len(wrong)} were heard otherwise: " + "\n".join(f"{told(seen)}: {words}" for seen, words in wrong[:3])
    return sum(len(words) for words in found.values())


def judge_log(bed, offset):
    """Each callout was one login of ours, decided by its method and for a reason that it has; returns the counts by method and reason."""
    log = {}
    for line in bed.site.log.since(offset):
        if "method" in line:
            key = line.get("mqtt_id") or (line["server"], line["client_id"])
            assert key not in log, f"twice: {line}"
            log[key] = line
    wrong, counts = [], collections.Counter()
    for seen in bed.seen:
        if seen.case.handshake:
            continue
        line = log.pop(seen.login.key, None)
        reasons = {"ok"} if seen.login.outcome == IN else set(seen.case.reasons)
        if seen.case.method == "kubernetes" and seen.login.outcome == REFUSED and set(bed.reach.between(seen.begin - MEMORY, seen.end)) != {"up"}:
            reasons.add("kubernetes_unavailable")
        accounts = {may.account for may in fitting(seen) if may}
        if not line or line["method"] != seen.case.method or line["reason"] not in reasons or (accounts and line["account"] not in accounts):
            wrong.append((seen.kind, line, reasons, accounts))
        else:
            counts[line["method"], line["reason"]] += 1
    assert not wrong, f"{len(wrong)} decided otherwise: {wrong[:5]}"
    assert not log, f"decisions that nobody asked for: {list(log.values())[:5]}"
    return counts


def judge_metrics(before, now, counts):
    total, refused = sum(counts.values()), sum(n for (_method, reason), n in counts.items() if reason != "ok")
    for name, want in [("auth_requests_total", total), ("auth_errors_total", refused), ("auth_request_duration_seconds_count", total),
                       *((f"auth_{method}_attempts_total", sum(n for (m, _r), n in counts.items() if m == method)) for method in METHODS)]:
        assert now[name] - before[name] == want, f"{name}: {now[name] - before[name]} instead of {want}"
    failures = {key: value - before.all_failures().get(key, 0) for key, value in now.all_failures().items()}
    assert {key: n for key, n in failures.items() if n} == {key: n for key, n in counts.items() if key[1] != "ok"}
    for name in ("auth_dropped_late_total", "auth_dropped_queue_full_total", "auth_answer_failures_total", "auth_nats_link_lost_total",
                 "auth_permissions_reload_failures_total", "auth_config_reload_failures_total"):
        assert now[name] == before[name], name


@pytest.fixture
def bed(run_root):
    seed = int(os.environ.get("EB_CHURN_SEED") or random.randrange(10**6))
    print(f"EB_CHURN_SEED={seed}")
    bed = Bed(run_root / "mixed/site", seed)
    try:
        yield bed.up()
    finally:
        bed.down()


@pytest.mark.long
@pytest.mark.timeout(int(SECONDS) * 2 + 600)
def test_no_wrong_verdict(bed):
    churn, begin = Churn(bed), time.monotonic()
    before, offset = bed.site._settled(), bed.site.log.size()
    looks = []
    for seconds in (SECONDS / 4, SECONDS * 3 / 4):
        with Crowd(bed) as crowd:
            churn.run(crowd, seconds)
        assert not crowd.errors, crowd.errors
        looks.append(look(bed))
    took, logins = time.monotonic() - begin, len(bed.seen)
    by_kind = collections.Counter((seen.kind, seen.login.outcome) for seen in bed.seen)
    print(f"{logins} logins in {took:.0f} s; {len(bed.faults)} wrong\nchanges {dict(churn.counts)}, longest {dict(churn.longest)}\n{looks}")
    for (kind, outcome), n in sorted(by_kind.items()):
        print(f"  {kind:45} {outcome:8} {n}")
    bed.check()
    counts, heard = judge_log(bed, offset), judge_heard(bed)
    judge_metrics(before, bed.site._settled(), counts)
    print(f"{heard} messages heard, each where it belongs; decisions {dict(counts)}")
    missing = set(crowd.kinds) - {seen.kind for seen in bed.seen}
    assert not missing or SECONDS < 60, missing
    assert not bed.site.log.find(offset, level="error")
    assert looks[1]["threads"] <= looks[0]["threads"] and looks[1]["files"] <= looks[0]["files"] + KEPT, looks
