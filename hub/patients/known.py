"""Whom identifiers mean, with everything that rights are looked up by: many at once."""

from collections.abc import Iterable, Mapping

from hub.access.rights_model import KnownPerson
from hub.patients.model import INS_AUTHORITIES
from hub.patients.questions import Questions
from hub.patients.store_numbers import NumberReader
from hub.patients.store_search import PatientReader
from hub.values import PatientIdentifier


class KnownPersons:
    """The patients room, as the access room asks it."""

    def __init__(self, patients: Questions) -> None:
        self._patients = patients

    def known(self, identifiers: Iterable[PatientIdentifier]) -> Mapping[PatientIdentifier, KnownPerson]:
        """The persons whom identifiers mean, also by numbers that are no longer in use. Who is not there is nobody, or
        not one person."""
        with self._patients.database.reading() as work:
            reader, keys = PatientReader(work), {}
            for identifier in set(identifiers):
                found = self._person(reader, self._patients.lenient(identifier))
                if found is not None:
                    keys[identifier] = found
            numbers = NumberReader(work).numbers(list(set(keys.values())))  # for nobody as well: it costs as much
        persons = {
            key: KnownPerson(regional, tuple(dict.fromkeys(every)), frozenset(born))
            for key, (regional, every, born) in numbers.items()
        }
        return {identifier: persons[key] for identifier, key in keys.items() if key in persons}

    def _person(self, reader: PatientReader, identifier: PatientIdentifier) -> int | None:
        if not identifier.authority:  # an id of a Patient: a regional number
            every = (PatientIdentifier(identifier.value, domain) for domain in self._patients.affinity_domains)
            return next((key for item in every if (key := reader.regional(item)) is not None), None)
        if identifier.authority in INS_AUTHORITIES:
            found = reader.ins(identifier)
            return found[0] if len(found) == 1 else None
        if identifier.authority in self._patients.affinity_domains:
            return reader.regional(identifier)
        return reader.local(identifier)
