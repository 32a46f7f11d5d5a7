"""Whom the objects of other communities are about, as this one numbers its persons: what rights are looked up by."""

import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from itertools import islice

from hub.documents.model import Association, DocumentEntry
from hub.errors import DeadlineExceeded, Invalid
from hub.federation.discovery import DiscoveryService
from hub.federation.errors import DiscoveryRefused
from hub.federation.inquiry import Queried
from hub.federation.model import Community, CommunityAnswer, Reference
from hub.federation.responding import Patients
from hub.patients.model import Traits
from hub.values import PatientIdentifier


class Owners:
    """Finds out whom a community's own numbers mean here. Nobody: the person is not known here, and has said nothing
    here either."""

    def __init__(self, patients: Patients, discovery: DiscoveryService | None) -> None:
        self.patients = patients
        self.discovery = discovery

    def told(self, answer: CommunityAnswer, community: Community, client: Queried) -> CommunityAnswer:
        """The answer with whom its objects are about. Raises what asking the community does, and DeadlineExceeded:
        each number that is not known here costs a question."""
        until = time.monotonic() + community.deadline
        numbers: dict[PatientIdentifier, list[str]] = {}
        for item in answer.objects:
            if not isinstance(item, Association | Reference):
                sources = numbers.setdefault(item.patient_id, [])
                sources += [item.source_patient_id] if isinstance(item, DocumentEntry) else []
        remembered = self._remembered(community, numbers)
        owners: dict[PatientIdentifier, tuple[PatientIdentifier, ...]] = {}
        for number, sources in numbers.items():
            found = remembered.get(number) or self._known([number, *map(_identifier, dict.fromkeys(sources))])
            if not found and self.discovery is not None and community.discovers:
                if time.monotonic() > until:
                    raise DeadlineExceeded()
                found = _recognised(self.discovery, number, community, client)
            owners[number] = found
        return replace(answer, owners=owners)

    def _remembered(
        self, community: Community, numbers: Iterable[PatientIdentifier]
    ) -> Mapping[PatientIdentifier, tuple[PatientIdentifier, ...]]:
        """As the community itself told when persons of ours were looked for there."""
        if self.discovery is None or not community.discovers:
            return {}
        return self.discovery.owners(community.home, numbers)

    def _known(self, identifiers: Sequence[PatientIdentifier | None]) -> tuple[PatientIdentifier, ...]:
        """The first that means somebody here: the community's number, else its source's."""
        known = (item for item in identifiers if item is not None and self.patients.equivalents(item))
        return tuple(islice(known, 1))


def _recognised(
    discovery: DiscoveryService, number: PatientIdentifier, community: Community, client: Queried
) -> tuple[PatientIdentifier, ...]:
    """Asks the community who that is (ITI-55 by its own number) and looks for them here; one that tells nothing about
    a number is as one that tells of a stranger."""
    try:
        return discovery.recognised(community, client.discover(Traits(), [number]))
    except DiscoveryRefused:
        return ()


def _identifier(text: str) -> PatientIdentifier | None:
    try:
        return PatientIdentifier.from_cx(text) if text else None
    except Invalid:
        return None
