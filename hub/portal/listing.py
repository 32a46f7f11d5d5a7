"""A long list that states and reasons narrow, page by page: letters, publications."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from hub.portal.visit import Visit

PAGE = 50


@dataclass(frozen=True, slots=True)
class Narrowed:
    """What of the list is asked for: ``?state=``, ``?reason=``, ``?offset=``; "" does not narrow."""

    state: str = ""
    reason: str = ""
    start: int = 0

    @classmethod
    def of(cls, visit: Visit, states: Collection[str], reasons: Collection[str]) -> "Narrowed":
        """What is no state, reason or number is left out."""
        state, reason = visit.query.get("state", ""), visit.query.get("reason", "")
        offset = visit.query.get("offset", "")
        return cls(
            state if state in states else "",
            reason if reason in reasons else "",
            int(offset) if offset.isdecimal() and len(offset) < 8 else 0,
        )

    @property
    def query(self) -> str:
        """The same, behind an offset."""
        return f"&state={self.state}&reason={self.reason}"

    def more(self, rows: Sequence[object]) -> int:
        """Where the next page starts, 0 where there is none; one row more than a page was asked for."""
        return self.start + PAGE if len(rows) > PAGE else 0


def notice(visit: Visit, done: str) -> tuple[str, str]:
    """(kind, text) of what the last form did; ``done``: the key of its text."""
    if code := visit.query.get("failed", ""):
        return "bad", visit.phrases.maybe(f"error.{code}", visit.phrases("error.title"))
    return ("good", visit.phrases(done)) if visit.query.get("done") else ("", "")
