"""The outbox as everybody sees it who puts something there: what must happen once the open unit of work is committed.

The exchange room's service is it (``hub/exchange/service.py``)."""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, Protocol

from hub.context import Context

#: ``Outbox.enqueue`` alone: destination, kind, payload, context -> the delivery's id.
Enqueue = Callable[[str, str, Mapping[str, Any], Context], str]


class Outbox(Protocol):
    """Takes deliveries."""

    def enqueue(
        self,
        destination: str,
        kind: str,
        payload: Mapping[str, Any],
        context: Context,
        *,
        key: str = "",
        due_at: datetime | None = None,
    ) -> str:
        """Have something delivered once the open unit of work is committed; the delivery's id.

        ``payload``: JSON values. With ``key`` a delivery of the same destination, kind and key that still waits takes
        the newer payload (and ``due_at``) instead of a second one being queued."""
        ...


class LimitedOutbox(Outbox, Protocol):
    """One that says how often it tries."""

    @property
    def max_attempts(self) -> int:
        """After so many transient failures a delivery is given up."""
        ...
