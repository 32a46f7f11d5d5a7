"""What those who listen to changes of persons are given."""

from collections.abc import Callable, Iterator

from hub.values import PatientIdentifier


class LookedForOnce:
    """Numbers that the first who wants them has looked for: few do."""

    def __init__(self, look: Callable[[], tuple[PatientIdentifier, ...]]) -> None:
        self._look = look
        self._found: tuple[PatientIdentifier, ...] | None = None

    def __iter__(self) -> Iterator[PatientIdentifier]:
        if self._found is None:
            self._found = self._look()
        return iter(self._found)
