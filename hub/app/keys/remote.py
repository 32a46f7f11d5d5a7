"""Public keys that somebody else publishes (a JWK set), as they are now."""

import threading
import time
from collections.abc import Callable
from typing import TypeVar

from hub.access.tokens_errors import TokenKey
from hub.wire.jose.keys import Keys

T = TypeVar("T")

KEPT_SECONDS = 3600.0
#: An unknown key may have been published since the set was fetched: it is fetched again, at most so often.
AGAIN_SECONDS = 10.0


class RemoteKeys:
    """``fetch``: gets the set. Safe between threads; what ``fetch`` raises is raised."""

    def __init__(self, fetch: Callable[[], Keys]) -> None:
        self._fetch = fetch
        self._lock = threading.Lock()
        self._kept: tuple[float, Keys] | None = None

    def use(self, work: Callable[[Keys], T]) -> T:
        """With the keys as they were fetched; once more with fresh ones when a key is not among them."""
        try:
            return work(self._current(KEPT_SECONDS))
        except TokenKey:
            with self._lock:
                age = time.monotonic() - self._kept[0] if self._kept else 0.0
            if age < AGAIN_SECONDS:
                raise
        return work(self._current(AGAIN_SECONDS))

    def _current(self, oldest: float) -> Keys:
        with self._lock:
            kept = self._kept
        if kept is None or time.monotonic() - kept[0] > oldest:
            kept = (time.monotonic(), self._fetch())
            with self._lock:
                self._kept = kept
        return kept[1]
