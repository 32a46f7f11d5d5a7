"""Messages in, deliveries out: durable, ordered, visible. Frozen values."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

from hub.context import Touched
from hub.usecase import Command


class MessageState(StrEnum):
    """An inbox message's life. Only RECEIVED is still to be worked on."""

    RECEIVED = "received"  #: bytes safe, effect to come (enhanced mode)
    PROCESSED = "processed"
    REFUSED = "refused"  #: can't be processed as it is; replayable, with its reason
    DISCARDED = "discarded"  #: an operator put it away


class DeliveryState(StrEnum):
    """A delivery's life."""

    WAITING = "waiting"
    RUNNING = "running"
    DONE = "done"
    DEAD = "dead"  #: given up; an operator can replay it
    DISCARDED = "discarded"


@dataclass(frozen=True, slots=True)
class InboxMessage:
    """One kept message."""

    id: str
    transaction: str
    wire: str
    source: str
    control_id: str  #: MSH-10 or its like
    event: str  #: ADT^A28
    state: MessageState
    received_at: datetime
    processed_at: datetime | None = None
    attempts: int = 0
    reason: str = ""
    error_code: str = ""
    correlation_id: str = ""
    effects: tuple[Touched, ...] = ()
    size: int = 0
    peer: str = ""  #: network address that it came from
    raw: bytes = field(default=b"", repr=False)  #: only where asked for


@dataclass(frozen=True, slots=True)
class Delivery:
    """One piece of work for one destination, carried out at least once, in order per destination."""

    id: str
    destination: str  #: "source:PACS_A", "node:RIS_B"
    kind: str  #: which handler: "publish-study"
    payload: Mapping[str, Any]
    state: DeliveryState = DeliveryState.WAITING
    key: str = ""  #: a waiting delivery of the same kind and key is not queued twice
    attempts: int = 0
    created_at: datetime | None = None
    due_at: datetime | None = None
    done_at: datetime | None = None
    reason: str = ""
    error_code: str = ""
    message_id: str = ""  #: the inbox message that caused it
    correlation_id: str = ""
    effects: tuple[Touched, ...] = ()


@dataclass(frozen=True, slots=True)
class ReplayMessage(Command):
    """An operator has a refused message processed again. Outcome: InboxMessage."""

    message_id: str


@dataclass(frozen=True, slots=True)
class ReplayDelivery(Command):
    """An operator has a dead delivery tried again. Outcome: Delivery."""

    delivery_id: str


@dataclass(frozen=True, slots=True)
class Page:
    """Filters and paging of the operator's lists (newest first)."""

    state: str = ""
    source: str = ""
    text: str = ""
    before: str = ""  #: id after which the page starts
    limit: int = 50


@dataclass(frozen=True, slots=True)
class DiscardMessage(Command):
    """An operator puts a refused message away. Outcome: InboxMessage."""

    message_id: str


@dataclass(frozen=True, slots=True)
class DiscardDelivery(Command):
    """An operator puts a dead or waiting delivery away. Outcome: Delivery."""

    delivery_id: str


@dataclass(frozen=True, slots=True)
class Summary:
    """Counts by state, for the operator's page. PROCESSED and DONE are those of the last 24 hours."""

    messages: Mapping[MessageState, int]
    deliveries: Mapping[DeliveryState, int]
    oldest_message: datetime | None = None  #: when the oldest RECEIVED message came
    oldest_delivery: datetime | None = None  #: when the oldest WAITING or RUNNING delivery was made
