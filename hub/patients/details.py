"""What hospitals say of identities beside their traits: kept with the number, shown with the person."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from hub.context import Context
from hub.patients.details_model import FeedDetails, IdentityDetails
from hub.patients.model import Fed, FeedIdentity
from hub.patients.service import PatientService
from hub.patients.store_details import DetailsStore
from hub.storage.engine import Database
from hub.usecase import Command, use_case
from hub.values import PatientIdentifier


class DetailsService:
    """Beside the patients room's own service: none of it says who is who."""

    def __init__(self, *, database: Database, patients: PatientService) -> None:
        self.database = database
        self.patients = patients

    @use_case
    def feed(self, command: FeedDetails, context: Context) -> Fed:
        """Take in an identity. Raises as ``PatientService.feed``."""
        with self.database.transaction():
            fed = self.patients.feed(command, context)
            if fed.reason != "merged":
                self.keep(self.patients.directory.resolve(command.identity.identifier, context), command.details)
            return fed

    def keep(self, identity: PatientIdentifier, told: Mapping[str, str]) -> None:
        """In the open unit of work."""
        if not told:
            return
        with self.database.transaction() as work:
            DetailsStore(work).keep(identity, told)

    def ahead(self, commands: Sequence[tuple[Command, Context]]) -> None:
        """As the patients room's, for the identities."""
        self.patients.ahead([(command, its) for command, its in commands if isinstance(command, FeedIdentity)])

    def of_person(self, regional: PatientIdentifier) -> tuple[IdentityDetails, ...]:
        """What is said of each identity of a person."""
        with self.database.reading() as work:
            found = DetailsStore(work).of_person(regional)
        return tuple(replace(one, identity=self.patients.directory.named(one.identity)) for one in found)
