"""Wait for what must come, on a machine that may be slow."""

import time
from collections.abc import Callable

PATIENCE = 60.0  #: seconds


def until(condition: Callable[[], bool]) -> bool:
    """Whether the condition came true in time."""
    deadline = time.monotonic() + PATIENCE
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True
