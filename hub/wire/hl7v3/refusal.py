"""How an error is told in an acknowledgement: detail codes and XPaths (ITI TF-2: 3.44, 3.45, 3.47)."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from hub.context import Context
from hub.errors import Category, HubError, Unsupported, lookup
from hub.patients import doubts_model as doubts
from hub.wire.hl7v3.answer import close
from hub.wire.hl7v3.datatypes import need
from hub.wire.hl7v3.errors import REFUSALS
from hub.wire.hl7v3.names import ANSWER, CANCELLATION, CONTINUATION, PIX_ANSWER, PIX_QUERY
from hub.wire.hl7v3.transmission import (
    Detail,
    MessageId,
    Party,
    Transmission,
    add_acknowledgement,
    open_control_act,
    open_message,
    read_message_id,
    read_transmission,
    within,
)
from hub.wire.xml import Element

UNKNOWN_KEY = "204"
#: What is not kept -> AcknowledgementDetailCode: an unknown key, a value that is none.
_WARNINGS = {doubts.NUMBER_MERGED: UNKNOWN_KEY, doubts.INS_KEY: "SYN103", doubts.INS_NOT_QUALIFIED: "SYN103"}
ACCEPTED, ERRONEOUS, REJECTED = "CA", "CE", "CR"
"""Accept acknowledgements: taken; the content must change; not now, or never here."""


def details(error: HubError, locations: Iterable[str] = (), *, code: str = "") -> Sequence[Detail]:
    """One detail a location; the error's own location where none is named."""
    detail = code or lookup(REFUSALS, error).detail
    return [Detail(detail, error.message, place) for place in tuple(locations) or (within(error.location),)]


def warnings(context: Context) -> Sequence[Detail]:
    """What of an accepted feed was not kept."""
    place = "//subject1/patient/id"
    return [Detail(_WARNINGS[code], doubts.TEXTS[code], place, "W") for code in doubts.told(context)]


def accept_code(error: HubError) -> str:
    """CE, or CR where the same message may be taken later or is none for this hub."""
    return REJECTED if error.category is Category.TRANSIENT or isinstance(error, Unsupported) else ERRONEOUS


@dataclass(frozen=True, slots=True)
class QueryWrapper:
    """What of a query must be right for its answer to say what is wrong. ``element``: its queryByParameter, if any."""

    interaction: str
    transmission: Transmission
    query_id: MessageId
    element: Element = field(default=None, repr=False, compare=False)


def read_query_wrapper(body: Element) -> QueryWrapper:
    """Of a query, its continuation or its end. Raises Hl7v3Invalid."""
    name = str(body.tag).rpartition("}")[2]
    if name in (CONTINUATION, CANCELLATION):
        transmission = read_transmission(body, CONTINUATION, name)
        element = need(body, "controlActProcess", "queryContinuation")
        return QueryWrapper(name, transmission, read_message_id(element, "queryId"))
    transmission = read_transmission(body, name)
    element = need(body, "controlActProcess", "queryByParameter")
    return QueryWrapper(name, transmission, read_message_id(element, "queryId"), element)


def write_query_refusal(asked: QueryWrapper, error: HubError, told: Sequence[Detail]) -> Element:
    """PRPA_IN201306UV02, or for PIX 201310UV02, with AE and what is wrong."""
    pix = asked.interaction == PIX_QUERY
    interaction, to = PIX_ANSWER if pix else ANSWER, asked.transmission
    body = open_message(interaction, Party(to.receiver.device), to.sender, accept="NE")
    add_acknowledgement(body, to.id, "AE", told)
    act = open_control_act(body, interaction)
    counts = None if pix else (0, 0, 0)
    # What is not known is no mistake of the question's form (3.45.4.2.3, 3.47.4.1.3.3).
    response = "AE" if any(item.code == UNKNOWN_KEY for item in told) else lookup(REFUSALS, error).response
    close(act, asked.query_id, asked.element, response, status="aborted", counts=counts)
    return body
