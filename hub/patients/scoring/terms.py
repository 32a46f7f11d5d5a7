"""How often a value is met: two who are called LE GOUELLEC say more than two who are called MARTIN."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from hub.patients.scoring.features import Features
from hub.patients.scoring.kinds import KINDS

COLUMNS = ("name", "given", "place", "postcode")
RAREST = 1e-5  #: what is rarer, or not known, counts as this
ESTABLISHED = 1e-4  #: a given name that is met so often is a name of its own, not somebody's typing error


@dataclass(frozen=True, slots=True)
class Terms:
    """Relative frequencies, column by column."""

    values: Mapping[str, Mapping[str, float]] = field(default_factory=dict)

    def frequency(self, column: str, value: str) -> float:
        """Of one value, at least ``RAREST``."""
        return max(self.values.get(column, {}).get(value, RAREST), RAREST)

    def table(self, column: str) -> dict[str, float]:
        """The whole column, with ``RAREST`` as the least."""
        return {value: max(frequency, RAREST) for value, frequency in self.values.get(column, {}).items()}


def count(records: Iterable[Features], columns: Iterable[str] = COLUMNS, *, keep: int | None = None) -> Terms:
    """Learn from records. ``keep``: only so many of the most frequent values of each column."""
    wanted = tuple(columns)
    counts: dict[str, dict[str, int]] = {column: {} for column in wanted}
    for record in records:
        for column in wanted:
            value = getattr(record, column)
            if value:
                counts[column][value] = counts[column].get(value, 0) + 1
    learned = {}
    for column, found in counts.items():
        total = sum(found.values())
        ordered = sorted(found.items(), key=lambda item: (-item[1], item[0]))[:keep]
        learned[column] = {value: round(times / total, 9) for value, times in ordered if times / total > RAREST}
    return Terms(learned)


def columns_of(kinds: Iterable[str]) -> tuple[str, ...]:
    """The columns whose terms adjust the comparisons."""
    return tuple(dict.fromkeys(KINDS[kind].term for kind in kinds if KINDS[kind].term))
