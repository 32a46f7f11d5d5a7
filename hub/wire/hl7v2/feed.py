"""What identity and encounter feeds have in common: an ADT message to its command (ITI TF-2: 3.8, 3.30, 3.31)."""

from collections.abc import Callable, Mapping

from hub.context import Context
from hub.patients.details_model import FeedDetails
from hub.patients.doubts_model import WARNING
from hub.patients.model import FeedIdentity, Identity, MergeIdentities
from hub.patients.steward_model import ChangeIdentifier, OwnerLink, OwnerUnlink, WithdrawIdentity
from hub.patients.visits_model import FeedVisit, VisitAction
from hub.values import PatientIdentifier
from hub.wire.hl7v2 import french
from hub.wire.hl7v2.doubts import doubt
from hub.wire.hl7v2.errors import Hl7Invalid, SegmentMissing
from hub.wire.hl7v2.events import EVENTS, Effect, Event
from hub.wire.hl7v2.message import Hl7Message, Segment
from hub.wire.hl7v2.pid import identity, patient_numbers
from hub.wire.hl7v2.visit import check_class, visit

Feed = FeedIdentity | FeedVisit | MergeIdentities | OwnerLink | OwnerUnlink | ChangeIdentifier | WithdrawIdentity
_ACTIONS = {
    Effect.VISIT: VisitAction.SET,
    Effect.DISCHARGE: VisitAction.DISCHARGE,
    Effect.CANCEL: VisitAction.CANCEL,
}
_NULL = '""'  #: HL7's word that a value is deleted; an empty field says nothing
#: Field of PID -> the traits that go with it.
_TRAITS = {
    6: ("mother_name",),
    7: ("birth_date",),
    8: ("sex",),
    11: ("address", "city", "postal_code", "country", "birth_place"),
    13: ("phone",),
}


def feed(message: Hl7Message, context: Context | None = None) -> Feed:
    """The command of an ADT message. Raises SegmentMissing, FieldMissing, DataTypeError, TableValueUnknown.

    ``context`` is told of what is not taken although the message is."""
    code = message.event.partition("^")[2]
    event = EVENTS[code]
    french.check(message)
    if event.effect not in _PAIRS:
        _about_one(message)
    found = _DECODE[event.effect](message, code, event)
    pid = message.first("PID")
    reason = doubt(pid) if context is not None and pid is not None else ""
    if context is not None and reason:
        context.led_to(WARNING, reason)
    return found


def _about_one(message: Hl7Message) -> None:
    for name in ("PID", "MRG"):
        second = next((segment for segment in message.all(name) if segment.index > 1), None)
        if second is not None:
            raise Hl7Invalid("One message must be about one patient.", location=f"{name}[2]")


def _identity(message: Hl7Message, code: str, event: Event) -> FeedIdentity:
    return _announced(identity(message, names_required=event.named), message, code)


def _announced(who: Identity, message: Hl7Message, code: str) -> FeedIdentity:
    pid, told = message.require("PID"), french.details(message)
    said, cleared, checked = french.said(message), _cleared(pid), bool(pid.field(32))
    if not told:
        return FeedIdentity(who, code, said=said, partial=True, cleared=cleared, checked=checked)
    return FeedDetails(who, code, said=said, partial=True, cleared=cleared, checked=checked, details=told)


def _cleared(pid: Segment) -> frozenset[str]:
    """The traits that PID deletes."""
    found = frozenset[str]()
    if _NULL in pid.text:
        found = frozenset(name for number, names in _TRAITS.items() if pid.field(number) == _NULL for name in names)
    return found | {"multiple_birth"} if pid.field(24) else found


def _visit(message: Hl7Message, code: str, event: Event) -> FeedIdentity:
    if event.transaction == "ITI-31":
        check_class(message)
    moved = french.movement(message, required=code == "Z99")
    found = visit(message, moved.id)
    who = identity(message, names_required=event.named)
    if found is None:
        return _announced(who, message, code)
    effect = _effect(event.effect, code, moved)
    described = bool(who.traits.birth_name or who.traits.used_name)
    pid = message.require("PID")
    return FeedVisit(
        who,
        code,
        said=french.said(message),
        partial=True,
        cleared=_cleared(pid),
        checked=bool(pid.field(32)),
        details=french.details(message),
        visit=found,
        action=_ACTIONS[effect],
        historic=moved.historic,
        described=described,
    )


def _effect(effect: Effect, code: str, moved: french.Movement) -> Effect:
    """Of Z99: what the original event means."""
    original = EVENTS.get(moved.original) if code == "Z99" else None
    return original.effect if original is not None and original.effect in _ACTIONS else effect


def _merge(message: Hl7Message, code: str, event: Event) -> MergeIdentities:  # noqa: ARG001
    mrg = message.require("MRG")
    survivor = identity(message, names_required=event.named)  # what remains is the number; the name may be left out
    lost = _other(mrg, survivor, "A number can't be merged into itself.")
    return MergeIdentities(survivor, lost, details=french.details(message), said=french.said(message))


def _change(message: Hl7Message, code: str, event: Event) -> ChangeIdentifier:  # noqa: ARG001
    mrg = message.require("MRG")
    changed = identity(message, names_required=event.named)
    old = _other(mrg, changed, "A number can't be changed into itself.")
    return ChangeIdentifier(changed, old, french.details(message), french.said(message))


def _other(mrg: Segment, kept: Identity, wrong: str) -> PatientIdentifier:
    mrg.require(1)
    number = patient_numbers(mrg, 1).local
    own = kept.identifier
    if number == own and (number.authority or number.namespace == own.namespace):
        raise Hl7Invalid(wrong, location=mrg.at(1))
    return number


def _two(message: Hl7Message) -> tuple[Segment, Segment]:
    pids = list(message.all("PID"))
    message.require("PID")
    if len(pids) < 2:
        raise SegmentMissing("The second PID segment is missing.", location="PID[2]")
    if len(pids) > 2:
        raise Hl7Invalid("A link is between two patient numbers.", location="PID[3]")
    return pids[0], pids[1]


def _link(message: Hl7Message, code: str, event: Event) -> OwnerLink:  # noqa: ARG001
    one, other = (identity(message, names_required=event.named, pid=pid) for pid in _two(message))
    return OwnerLink(one, other, french.details_of_two(message), french.said_of_two(message))


def _unlink(message: Hl7Message, code: str, event: Event) -> OwnerUnlink:  # noqa: ARG001
    one, other = (patient_numbers(pid).local for pid in _two(message))
    return OwnerUnlink(one, other, french.said_of_two(message))


def _withdraw(message: Hl7Message, code: str, event: Event) -> WithdrawIdentity:  # noqa: ARG001
    return WithdrawIdentity(patient_numbers(message.require("PID")).local)


_PAIRS = frozenset({Effect.LINK, Effect.UNLINK})
_DECODE: Mapping[Effect, Callable[[Hl7Message, str, Event], Feed]] = {
    Effect.IDENTITY: _identity,
    Effect.VISIT: _visit,
    Effect.DISCHARGE: _visit,
    Effect.CANCEL: _visit,
    Effect.MERGE: _merge,
    Effect.LINK: _link,
    Effect.UNLINK: _unlink,
    Effect.CHANGE: _change,
    Effect.WITHDRAW: _withdraw,
}
