"""What must be done now and then: bytes that nobody refers to leave the content store."""

import logging
from collections.abc import Callable, Iterable

from hub.app.running.rounds import Rounds
from hub.storage.content import ContentStore

log = logging.getLogger(__name__)


class Housekeeping:
    """A thread of the worker role. ``known``: whether somebody refers to a content's SHA-256. ``every`` in seconds.
    ``also``: what else is let go of, each round.

    A refused submission's bytes are left behind on purpose, as another may refer to the same ones; they go here, when
    they are old enough that no unit of work can still be about to name them."""

    def __init__(
        self,
        content: ContentStore,
        known: Callable[[str], bool],
        *,
        every: float = 3600.0,
        also: Iterable[Callable[[], None]] = (),
    ) -> None:
        self.also = tuple(also)
        self.content = content
        self.known = known
        self.every = every
        self._rounds = Rounds("housekeeping", self._round, first=every)

    def start(self) -> None:
        """Start the thread."""
        self._rounds.start()

    def stop(self) -> None:
        """End it."""
        self._rounds.stop()

    def _round(self) -> float:
        try:
            gone = self.content.sweep(self.known)
        except Exception:
            log.exception("the content store could not be swept; the next round tries again")
        else:
            log.info("content store swept: %d files that nobody refers to removed", gone)
        for sweep in self.also:
            try:
                sweep()
            except Exception:
                log.exception("something could not be swept; the next round tries again")
        return self.every
