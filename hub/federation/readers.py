"""What other communities answered, as one caller may see it: this region's rights hold for them as well."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from hub.access.rights_model import Kind, Rights, Thing, seen
from hub.context import Context
from hub.documents.model import Association, RegistryObject
from hub.documents.showing import thing_of
from hub.federation.model import CommunityAnswer, Reference
from hub.patients.model import Person
from hub.values import PatientIdentifier


class Strangers:
    """A patients room that knows nobody."""

    def equivalents(self, identifier: PatientIdentifier) -> tuple[PatientIdentifier, ...]:  # noqa: ARG002
        """None."""
        return ()

    def person(self, identifier: PatientIdentifier) -> Person | None:  # noqa: ARG002
        """Nobody."""
        return None


def may_ask(rights: Rights, patient: PatientIdentifier | None, context: Context) -> bool:
    """Whether others may be asked about the person for this caller: else they are asked as about a stranger."""
    if patient is None or rights.plain(context):
        return True
    return rights.visible([Thing(Kind.DOCUMENT, patient)], context)[0]


def shown(
    rights: Rights, answer: CommunityAnswer, patient: PatientIdentifier | None, context: Context
) -> CommunityAnswer:
    """The answer without what the caller may not read. ``patient``: whom this region was asked about; None: each object
    is judged by all whom it is about (``owners``). One whose metadata are not told is judged by the person alone."""
    if rights.plain(context) or not answer.objects:
        return answer
    judged = {item.id: _things(item, patient, answer.owners) for item in answer.objects}
    things = list(dict.fromkeys(thing for every in judged.values() for thing in every))
    may = dict(zip(things, seen(rights, things, context), strict=True))
    allowed = {key: all(may[thing] for thing in every) for key, every in judged.items()}
    kept = [item for item in answer.objects if allowed[item.id]]
    there = [
        item
        for item in kept
        if not isinstance(item, Association) or (allowed.get(item.source, True) and allowed.get(item.target, True))
    ]
    return replace(answer, objects=tuple(there))


def _things(
    item: RegistryObject | Reference,
    patient: PatientIdentifier | None,
    owners: Mapping[PatientIdentifier, Sequence[PatientIdentifier]],
) -> list[Thing]:
    if isinstance(item, Association | Reference):
        return [Thing(Kind.DOCUMENT, patient)] if patient is not None else []
    persons = (patient,) if patient is not None else owners.get(item.patient_id) or (item.patient_id,)
    return [thing_of(replace(item, patient_id=person)) for person in persons]
