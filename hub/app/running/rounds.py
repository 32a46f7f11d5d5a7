"""A thread that does its rounds until it is stopped."""

import logging
import threading
from collections.abc import Callable

log = logging.getLogger(__name__)

AFTER_A_FAILURE = 60.0  #: seconds until the next round, where one failed that should have told how long to wait


class Rounds:
    """``step``: one round; returns the seconds until the next one. ``first``: seconds until the first one."""

    def __init__(self, name: str, step: Callable[[], float], *, first: float = 0.0) -> None:
        self.name = name
        self.step = step
        self.first = first
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Start the thread."""
        self._stopping.clear()
        self._thread = threading.Thread(target=self._run, name=self.name, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End it; a round that runs longer than a while ends with the process."""
        self._stopping.set()
        if self._thread is not None:
            self._thread.join(10.0)
            self._thread = None

    def _run(self) -> None:
        seconds = self.first
        while not self._stopping.wait(seconds):
            try:
                seconds = self.step()
            except Exception:
                log.exception("%s: a round failed; the next one tries again", self.name)
                seconds = AFTER_A_FAILURE
