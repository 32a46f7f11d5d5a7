"""Wait for what must come, on a machine that may be slow."""

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

PATIENCE = 240.0  #: seconds; who waits in vain fails, so it may be long


def until(condition: Callable[[], T], seconds: float = PATIENCE) -> T:
    """What the condition gives once that is true. Fails when it never is."""
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < deadline, "it never came"
        time.sleep(0.02)
    return found
