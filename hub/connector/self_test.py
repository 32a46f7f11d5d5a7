"""How a connector's self-test is carried out: step by step, until one fails."""

import time
from collections.abc import Callable, Iterable

from hub.connector.contract import Check, ConnectorError


def carry_out(steps: Iterable[tuple[str, Callable[[], str]]]) -> list[Check]:
    """Each step (its name, and what tells what it found) with its outcome; those after a failure are not tried.

    A step fails by raising ConnectorError."""
    done: list[Check] = []
    for name, step in steps:
        started = time.monotonic()
        try:
            passed, detail = True, step()
        except ConnectorError as error:
            passed, detail = False, error.message
        done.append(Check(name, passed, detail, int((time.monotonic() - started) * 1000)))
        if not passed:
            break
    return done
