"""Waiting for something by asking again until a deadline."""
import time

POLL_SECONDS = 0.01


def wait_for(condition, what, timeout=30.0, poll=POLL_SECONDS):
    """The first true value of `condition()`; fails the test, saying what was waited for, after `timeout` seconds."""
    deadline = time.monotonic() + timeout
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"after {timeout} s still not: {what}; last: {value!r}")
        time.sleep(poll)
