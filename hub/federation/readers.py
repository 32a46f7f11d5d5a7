"""What other communities answered, as one caller may see it: this region's rights hold for them as well."""

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
    """The answer without what the caller may not read. ``patient``: whom this region was asked about; an object whose
    metadata are not told is judged by the person alone."""
    if rights.plain(context) or not answer.objects:
        return answer
    judged = {item.id: thing for item in answer.objects if (thing := _thing(item, patient)) is not None}
    allowed = dict(zip(judged, seen(rights, list(judged.values()), context), strict=True))
    kept = [item for item in answer.objects if allowed.get(item.id, True)]
    there = [
        item
        for item in kept
        if not isinstance(item, Association) or (allowed.get(item.source, True) and allowed.get(item.target, True))
    ]
    return replace(answer, objects=tuple(there))


def _thing(item: RegistryObject | Reference, patient: PatientIdentifier | None) -> Thing | None:
    if isinstance(item, Association | Reference):
        return Thing(Kind.DOCUMENT, patient) if patient is not None else None
    return thing_of(replace(item, patient_id=patient) if patient is not None else item)
