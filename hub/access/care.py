"""Who cares for whom, and who broke the glass."""

from dataclasses import replace
from datetime import datetime, timedelta

from hub.access.model import Purpose
from hub.access.rights import RightsService
from hub.access.rights_errors import NotAProfessional, ReasonNeeded, UnknownPatient
from hub.access.rights_facts import caller, who
from hub.access.rights_model import BreakGlass, Broken, DeclareCare, FindBroken, Kind, SeeBroken, Thing
from hub.access.rules import OWN_DOCTOR
from hub.access.store_rights import Care, RightsStore
from hub.context import Context
from hub.errors import Invalid
from hub.usecase import use_case
from hub.values import PatientIdentifier

ADMISSION, DECLARED = "admission", "declared"
_FEWEST, _MOST = 10, 1000  #: characters of a reason


class CareService:
    """Care relationships and broken glass. ``structures``: the structure of each authority of patient numbers;
    ``after``: so long after a stay its structure still cares."""

    def __init__(
        self, rights: RightsService, *, structures: dict[str, str] | None = None, after: timedelta = timedelta(0)
    ) -> None:
        self.rights = rights
        self.database = rights.database
        self.structures = structures or {}
        self.after = after

    @use_case
    def break_glass(self, command: BreakGlass, context: Context) -> Broken:
        """For this person and this professional, for a limited time; the officer is told.

        Raises ReasonNeeded, NotAProfessional, UnknownPatient."""
        if not caller(context, self.rights.settings).facts.professional:
            raise NotAProfessional()
        reason = " ".join(command.reason.split())
        if not _FEWEST <= len(reason) <= _MOST:
            raise ReasonNeeded()
        regional = self._known(command.patient, context)
        context.purpose = Purpose.BREAK_GLASS
        context.principal = replace(context.principal, reason=reason)  # the audit record tells it
        broken = self.rights.tell(regional, context, self.rights.clock(), reason)
        context.touch("patient", regional.cx)
        return broken

    @use_case
    def broken(self, command: FindBroken, context: Context) -> tuple[Broken, ...]:  # noqa: ARG002
        """Broken glass, the newest first."""
        with self.database.reading() as work:
            return tuple(RightsStore(work).newest_glass(max(1, min(command.limit, 500)), before=command.before))

    @use_case
    def see(self, command: SeeBroken, context: Context) -> None:
        """The officer has looked at it; a second time changes nothing."""
        with self.database.transaction() as work:
            name = context.principal.name or context.principal.id
            RightsStore(work).see_glass(command.key, name, self.rights.clock())
        context.touch("glass", str(command.key))

    @use_case
    def declare(self, command: DeclareCare, context: Context) -> None:
        """A care relationship begins, goes on until, or ends. Raises UnknownPatient, NotAProfessional."""
        if not caller(context, self.rights.settings).facts.professional:
            raise NotAProfessional()
        if command.kind not in (DECLARED, OWN_DOCTOR):
            raise Invalid("A care relationship is declared, or that of the patient's own doctor.", location="kind")
        regional, at = self._known(command.patient, context), self.rights.clock()
        by = context.principal.name or context.principal.id
        care = Care(regional, command.actor or who(context.principal), command.kind, at, command.until, author=by)
        with self.database.transaction() as work:
            store = RightsStore(work)
            going = [item for item in store.care(self.rights.numbers(regional)) if _goes_on(item, care, at)]
            if going:
                store.end_care([item.key for item in going], command.until)
            elif command.until is None or command.until > at:
                store.add_care(care, at)
        context.touch("patient", regional.cx)

    # The patients room's side, in a message's unit of work

    def admitted(self, identity: PatientIdentifier, at: datetime, source: str) -> None:
        """A hospital says that the patient is there: its structure cares for them."""
        self._stay(identity, at, source, over=False)

    def discharged(self, identity: PatientIdentifier, at: datetime, source: str) -> None:
        """The stay is over."""
        self._stay(identity, at, source, over=True)

    def _stay(self, identity: PatientIdentifier, at: datetime, source: str, *, over: bool) -> None:
        structure = self.structures.get(identity.authority)
        if structure is None:
            return
        now = self.rights.clock()
        care = Care(identity, structure, ADMISSION, min(at, now), source=source)
        with self.database.transaction() as work:
            store = RightsStore(work)
            store.lock(f"care:{identity.value}^{identity.authority}")
            known = [item for item in store.care([(identity.value, identity.authority)]) if _goes_on(item, care, now)]
            if over:
                store.end_care([item.key for item in known], min(at, now) + self.after)
            elif not known:
                store.add_care(care, now)
            else:
                store.end_care([item.key for item in known], None)

    def _known(self, patient: PatientIdentifier, context: Context) -> PatientIdentifier:
        known = self.rights.people.known([patient]).get(patient)
        if known is None or not self.rights.visible([Thing(Kind.PERSON, patient)], context)[0]:
            raise UnknownPatient()
        return known.regional


def _goes_on(item: Care, like: Care, at: datetime) -> bool:
    same = (item.actor, item.kind) == (like.actor, like.kind)
    return same and (item.until is None or item.until > at)
