"""Whom identifiers mean, with everything that rights are looked up by: many at once."""

from collections.abc import Iterable, Iterator, Mapping

from hub.access.rights_model import KnownPerson
from hub.patients.model import INS_AUTHORITIES
from hub.patients.questions import Questions
from hub.patients.store_numbers import Among, Numbered, NumberReader, noted
from hub.values import PatientIdentifier


class KnownPersons:
    """The patients room, as the access room asks it."""

    def __init__(self, patients: Questions) -> None:
        self._patients = patients

    def known(self, identifiers: Iterable[PatientIdentifier]) -> Mapping[PatientIdentifier, KnownPerson]:
        """The persons whom identifiers mean, also by numbers that are no longer in use. Who is not there is nobody, or
        not one person. One question to the database, also for nobody; none about those of whom the same unit of work,
        which only reads, has found out already."""
        wanted = dict.fromkeys(identifiers)
        with self._patients.database.reading() as work:
            before = noted(work)
            asked = [
                (identifier, place)
                for identifier in wanted
                if identifier not in before
                for place in self._places(self._patients.lenient(identifier))
            ]
            answers = NumberReader(work).persons([place for _, place in asked]) if asked or not wanted else []
        found = {identifier: person for identifier in wanted if (person := before.get(identifier)) is not None}
        for (identifier, _), person in zip(asked, answers, strict=True):
            if person is not None and identifier not in found:
                found[identifier] = person
        return {identifier: _known(person) for identifier, person in found.items()}

    def _places(self, identifier: PatientIdentifier) -> Iterator[tuple[Among, PatientIdentifier]]:
        """Where an identifier is looked up."""
        domains = self._patients.affinity_domains
        if not identifier.authority:  # an id of a Patient: a regional number
            yield from ((Among.REGIONAL, PatientIdentifier(identifier.value, domain)) for domain in domains)
        elif identifier.authority in INS_AUTHORITIES:
            yield Among.INS, identifier
        else:
            yield (Among.REGIONAL if identifier.authority in domains else Among.LOCAL), identifier


def _known(person: Numbered) -> KnownPerson:
    return KnownPerson(person.regional, tuple(dict.fromkeys(person.numbers)), frozenset(person.born))
