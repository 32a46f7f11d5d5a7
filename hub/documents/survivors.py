"""Which identifier answers carry for a stored one: the surviving number of the person."""

from typing import Protocol

from hub.documents.codec import patient_key, patient_of
from hub.values import PatientIdentifier


class Known(Protocol):
    """The patients room, as far as it says who is meant."""

    def resolve(self, identifier: PatientIdentifier) -> PatientIdentifier | None:
        """The surviving identifier of the same person."""
        ...


class Survivors:
    """The identifier that answers carry for each stored one, looked up once per request."""

    def __init__(self, patients: Known) -> None:
        self._patients = patients
        self._known: dict[str, PatientIdentifier] = {}

    def __call__(self, identifier: PatientIdentifier) -> PatientIdentifier:
        """The identifier for a stored one."""
        return self.of_key(patient_key(identifier))

    def know(self, same: tuple[PatientIdentifier, ...]) -> None:
        """All of these mean the first."""
        self._known.update((patient_key(item), same[0]) for item in same)

    def of_key(self, key: str) -> PatientIdentifier:
        """The identifier for what a row keeps."""
        if key not in self._known:
            stored = patient_of(key)
            self._known[key] = self._patients.resolve(stored) or stored
        return self._known[key]
