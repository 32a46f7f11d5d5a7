"""The nightly check: what is published is compared with what the sources hold, and repaired."""

import logging
from datetime import datetime, timedelta

from hub.access.model import HUB
from hub.app.running.rounds import Rounds
from hub.context import Context
from hub.errors import HubError
from hub.imaging.life import ManifestLife
from hub.imaging.manifest_model import CheckManifests

log = logging.getLogger(__name__)

_LONGEST_WAIT = 60.0  #: seconds: the clock may be set meanwhile


class NightlyCheck:
    """A thread of the worker role. ``at``: HH:MM in the hub's time zone, "" : never. One process checks."""

    def __init__(self, life: ManifestLife, *, at: str, repair: bool) -> None:
        self.life = life
        self.at = at
        self.repair = repair
        self._due = datetime.min
        self._rounds = Rounds("nightly-check", self._round)

    def start(self) -> None:
        """Start the thread."""
        if self.at:
            self._due = next_time(self._now(), self.at)
            self._rounds.start()

    def stop(self) -> None:
        """End it; a check that runs ends with the process, and the next night starts another."""
        self._rounds.stop()

    def _round(self) -> float:
        """Check when it is time; seconds until the clock is looked at again."""
        if self._now() >= self._due:
            self.run(self._due)
            self._due = next_time(self._now(), self.at)
        return min(_LONGEST_WAIT, max(0.0, (self._due - self._now()).total_seconds()))

    def run(self, due: datetime) -> None:
        """The check of one night, unless another process does it."""
        slot = f"nightly-{due.date().isoformat()}"
        try:
            report = self.life.check(CheckManifests(self.repair, slot), Context(principal=HUB))
        except HubError as error:
            log.error("the nightly check failed: %s", error.code)
        except Exception:
            log.exception("the nightly check failed; the next night tries again")
        else:
            if report is None:
                log.info("another process checks the manifests tonight")

    def _now(self) -> datetime:
        return datetime.now(self.life.publisher.settings.zone)


def next_time(moment: datetime, at: str) -> datetime:
    """The next HH:MM after a moment, in the moment's zone."""
    hour, minute = (int(part) for part in at.split(":"))
    today = moment.replace(hour=hour, minute=minute, second=0, microsecond=0)
    return today if today > moment else today + timedelta(days=1)
