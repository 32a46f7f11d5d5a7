"""What one association brings to the hub's own archive."""

import logging
from collections.abc import Iterator

from hub.app.dimse.store import OutOfResources
from hub.connector.contract import ReceivedFile
from hub.errors import HubError
from hub.imaging.kept import Arrival, KeptObjects
from hub.wire.dimse.association import Association

log = logging.getLogger(__name__)


class Arrivals:
    """The studies of which one association has brought objects so far.

    ``may_keep``: None until it is known whether the sender may store; ``refused`` says why not, ``told`` whether the
    audit trail knows."""

    def __init__(self, kept: KeptObjects, association: Association) -> None:
        self.may_keep: bool | None = None
        self.speaks_for = ""
        self.refused: HubError | None = None
        self.told = False
        self._kept = kept
        self._calling = association.calling
        self._peer = association.peer.rpartition(":")[0]
        self._by_study: dict[str, Arrival] = {}

    def __iter__(self) -> Iterator[Arrival]:
        return iter(self._by_study.values())

    def add(self, file: ReceivedFile) -> None:
        """Note an object, durably for the first one of its study: before it is acknowledged. Raises OutOfResources."""
        arrival = self._by_study.get(file.study_instance_uid)
        if arrival is None:
            arrival = Arrival(file.study_instance_uid, self._calling, self.speaks_for, self._peer)
            try:
                self._kept.announce(arrival)
            except OSError as error:
                log.error("the arrival of objects can't be noted: %s", error.strerror)
                raise OutOfResources() from error
            self._by_study[file.study_instance_uid] = arrival
        arrival.files.append(file.path)
