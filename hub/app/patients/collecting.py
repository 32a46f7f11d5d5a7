"""When cycles are looked for in commands that make and drop very much."""

import gc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial


@contextmanager
def between() -> Iterator[Callable[[], object]]:
    """Cycles are looked for when the caller says so (what is given, called between two batches), among what was made
    since: within a batch nearly all is still wanted, and what is older is walked through in vain."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield partial(gc.collect, 0)
    finally:
        if enabled:
            gc.enable()
