"""What HL7 v3 messages are for (processingCode): one setting with HL7 v2 (``mllp.processing_ids``)."""

from collections.abc import Collection
from dataclasses import replace
from typing import Any

from hub.context import Context
from hub.pipeline.catalogue import Bound, Catalogue
from hub.pipeline.transaction import Direction, Soap
from hub.usecase import Command
from hub.wire.hl7v3.names import v3
from hub.wire.hl7v3.transmission import check_purpose
from hub.wire.soap.message import SoapMessage

_NAMESPACE = v3("")


def guarded(catalogue: Catalogue, taken: Collection[str]) -> Catalogue:
    """The catalogue with messages of other purposes refused: in each transaction's own form, with one audit record,
    kept where the transaction keeps its messages; also when a kept one is carried out again."""
    return Catalogue(tuple(_guarded(bound, taken) if _is_version3(bound) else bound for bound in catalogue))


def _is_version3(bound: Bound) -> bool:
    bodies = [binding.body for binding in bound.transaction.bindings if isinstance(binding, Soap)]
    answers = bound.transaction.direction is not Direction.INITIATOR
    return answers and any(body.startswith(_NAMESPACE) for body in bodies)


def _guarded(bound: Bound, taken: Collection[str]) -> Bound:
    decoded = bound.decode

    def decode(message: SoapMessage, context: Context) -> Command:
        check_purpose(message.body, taken)
        return decoded(message, context)

    read: Any = decode
    return replace(bound, decode=read)
