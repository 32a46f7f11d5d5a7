"""Encounters: the identity that they announce, and the visit that they are about (PAM, ITI-31; PDQ, ITI-22)."""

from collections.abc import Callable, Sequence

from hub.context import Context
from hub.patients.details import DetailsService
from hub.patients.errors import SearchTooBroad
from hub.patients.model import Fed, FeedIdentity, Person
from hub.patients.portions import PortionService
from hub.patients.portions_model import Asked
from hub.patients.service import PatientService
from hub.patients.store_visits import NUMBER, POINT_OF_CARE, VisitStore
from hub.patients.visits_model import FeedVisit, FindVisits, Visit, VisitAction, VisitPage
from hub.storage.engine import Database
from hub.usecase import Command, use_case
from hub.values import PatientIdentifier

Moved = Callable[[PatientIdentifier, FeedVisit, Context], None]
MOST = 500  #: persons that a question about visits looks at


class VisitService:
    """Beside the patients room's own service: what it knows of visits is of no matter to who is who."""

    def __init__(
        self,
        *,
        database: Database,
        patients: PatientService,
        portions: PortionService,
        details: DetailsService | None = None,
    ) -> None:
        self.database = database
        self.details = details or DetailsService(database=database, patients=patients)
        self.patients = patients
        self.portions = portions
        self.moved: list[Moved] = []  #: called for every encounter, in its unit of work

    @use_case
    def feed(self, command: FeedVisit, context: Context) -> Fed:
        """Take in an encounter. Raises UnknownAuthority, AuthorityNotOwned, and as ``PatientService.feed``."""
        with self.database.transaction() as work:
            number = self.patients.directory.resolve(command.identity.identifier, context)
            known = self._known(number, context) if command.historic or not command.described else None
            if known is None:
                known = self.patients.feed(command, context)
            else:
                self.patients.hear(number, command.said, context)
            if not command.historic and known.reason != "merged":
                self.details.keep(number, command.details)
                self._move(VisitStore(work), number, command)
            for moved in self.moved:
                moved(number, command, context)
            return known

    def ahead(self, commands: Sequence[tuple[Command, Context]]) -> None:
        """As the patients room's, for the identities."""
        self.patients.ahead([(command, its) for command, its in commands if isinstance(command, FeedIdentity)])

    def _known(self, number: PatientIdentifier, context: Context) -> Fed | None:
        self.patients.directory.check_owner(number, context)
        person = self.patients.person(number)
        if person is None:
            return None
        context.touch("patient", person.regional.cx)
        context.led_to("person", person.regional.cx)
        return Fed(person.regional, reason="known")

    @staticmethod
    def _move(store: VisitStore, number: PatientIdentifier, command: FeedVisit) -> None:
        visit, before = command.visit, store.get(number)
        sets, other = command.action is VisitAction.SET, False
        if before is not None:
            other = None not in (before.number, visit.number) and before.number != visit.number
            same_movement = bool(visit.movement) and visit.movement == before.movement
            older = before.at is not None and visit.at is not None and visit.at < before.at
            if older and not same_movement:
                return  # a straggler
        begun = store.begun(number, visit.number) if visit.number is not None and (other or before is None) else None
        if begun is not None:  # it began under a number that was merged into this one
            store.remove(begun)
        if sets:
            store.put(number, visit)
        elif before is not None and not other:  # else it is the end of another stay
            store.remove(number)

    @use_case
    def find(self, command: FindVisits, context: Context) -> VisitPage:
        """Who is there. Raises SearchTooBroad, UnknownDomain."""
        self.patients.check_domains(command.domains)
        with self.database.reading() as work:
            store = VisitStore(work)
            persons = {person.regional: person for person in self._persons(store, command)}
            every = [
                (persons[regional], visit) for regional, visit in store.of_persons(persons) if _fits(visit, command)
            ]
        page = tuple(every[command.start : command.start + command.limit])
        for person, _ in page:
            context.touch("patient", person.regional.cx)
        return VisitPage(page, len(every), max(0, len(every) - command.start - len(page)))

    def _persons(self, store: VisitStore, command: FindVisits) -> list[Person]:
        """Those who may answer: by what is asked of the person, else by what selects visits."""
        if command.asked != Asked():
            return self.portions.matching(command.asked, Context())
        number, place = command.fields.get(NUMBER, ""), command.fields.get(POINT_OF_CARE, "")
        if not (number or place or command.account):
            raise SearchTooBroad()
        found = store.where(number=number, account=command.account, place=place, limit=MOST + 1)
        if len(found) > MOST:
            raise SearchTooBroad("Too many people answer this description: say more about the one you mean.")
        every = (self.patients.person(item) for item in found)
        return [person for person in every if person is not None and person.identities]


def _fits(visit: Visit, command: FindVisits) -> bool:
    if command.account and (visit.account is None or visit.account.value != command.account):
        return False
    return all(_among(visit.fields.get(number, ""), part, wanted) for (number, part), wanted in command.fields.items())


def _among(field: str, component: int, wanted: str) -> bool:
    """Whether a repetition's component begins so; a number is asked whole."""
    for repetition in field.split("~"):
        parts = repetition.split("^")
        value = parts[component - 1] if component <= len(parts) else ""
        if value.upper().startswith(wanted.upper()):
            return True
    return False
