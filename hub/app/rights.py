"""The rights of the settings, and who tells them what."""

import logging
from collections.abc import Callable
from datetime import timedelta
from typing import TYPE_CHECKING

from hub.access.care import CareService
from hub.access.consents import ConsentService
from hub.access.region_rules import RegionRule
from hub.access.rights import RightsService
from hub.access.rights_facts import RightsSettings
from hub.access.rights_model import Kind
from hub.app.settings.model import Settings
from hub.context import Context
from hub.documents.store_showing import StudyManifests
from hub.patients.known import KnownPersons
from hub.patients.visits_model import FeedVisit, VisitAction
from hub.storage.engine import Database
from hub.values import PatientIdentifier, now

if TYPE_CHECKING:
    from hub.app.rooms import Rooms

log = logging.getLogger(__name__)


def build(settings: Settings, database: Database) -> RightsService:
    """The rights; they are told of the patients room once that is there (``connect``)."""
    rights = settings.rights
    return RightsService(
        database=database,
        settings=RightsSettings(
            care_relationship=rights.care_relationship,
            break_glass_minutes=rights.break_glass_minutes,
            regulators=frozenset(rights.regulators),
            indirect_reads=rights.indirect_reads,
            occupational=frozenset(rights.occupational_specialities),
            rules=region_rules(settings),
        ),
    )


def region_rules(settings: Settings) -> tuple[RegionRule, ...]:
    """The region's own rules."""
    return tuple(
        RegionRule(
            name=rule.name,
            allows=rule.allows,
            why=rule.why,
            source=rule.source,
            kind=frozenset(map(Kind, rule.kind)),
            confidentiality=frozenset(rule.confidentiality),
            person=rule.person,
            roles=frozenset(rule.roles),
            professions=frozenset(rule.professions),
            specialities=frozenset(rule.specialities),
            structures=frozenset(rule.structures),
            purpose=frozenset(rule.purpose),
            emergency=rule.emergency,
            minor=rule.minor,
            in_care=rule.in_care,
            consented=rule.consented,
        )
        for rule in settings.rights.rules
    )


def connect(rooms: "Rooms") -> tuple[ConsentService, CareService]:
    """The patients room tells whom identifiers mean, what patients said, and where they are."""
    rooms.rights.people = KnownPersons(rooms.patients)
    settings = rooms.settings.rights
    consents = ConsentService(rooms.rights, rooms.patients.settled)
    care = CareService(rooms.rights, structures=dict(settings.structures), after=timedelta(days=settings.care_days))
    rooms.rights.manifests = StudyManifests(rooms.database)
    rooms.patients.heard.append(consents.heard)
    rooms.sweeps.append(lambda: _noted(consents.ended()))
    if settings.structures:
        rooms.visits.moved.append(_stays(care))
    return consents, care


def _noted(ended: int) -> None:
    if ended:
        log.info("oppositions are over: what they held is looked at again", extra={"count": ended})


def _stays(care: CareService) -> Callable[[PatientIdentifier, FeedVisit, Context], None]:
    def moved(identity: PatientIdentifier, command: FeedVisit, context: Context) -> None:
        if command.historic:
            return
        at = command.visit.at or now()
        if command.action is VisitAction.SET:
            care.admitted(identity, at, context.source)
        else:
            care.discharged(identity, at, context.source)

    return moved
