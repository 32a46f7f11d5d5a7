"""The rights of the settings."""

from hub.access.rights import RightsService
from hub.access.rights_facts import RightsSettings
from hub.app.settings import Settings
from hub.storage.engine import Database


def build(settings: Settings, database: Database) -> RightsService:
    """The rights room; it is told of the patients room once that is there."""
    rights = settings.rights
    return RightsService(
        database=database,
        settings=RightsSettings(
            care_relationship=rights.care_relationship,
            break_glass_minutes=rights.break_glass_minutes,
            regulators=frozenset(rights.regulators),
            indirect_reads=rights.indirect_reads,
            occupational=frozenset(rights.occupational_specialities),
        ),
    )
