"""Waiting for conditions. Nothing in the tests sleeps for a guessed time."""
import os
import time

# Programs built with a sanitizer are several times slower.
SLOW = 5 if os.environ.get("EB_SANITIZER") else 1
PATIENCE = 15.0 * SLOW


def until(condition, what, timeout=PATIENCE, every=0.02):
    """Calls condition() until it returns something true, and returns that; AssertionError with `what` after timeout seconds."""
    end = time.monotonic() + timeout
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise AssertionError(f"not within {timeout:g} s: {what() if callable(what) else what}")
        time.sleep(every)
