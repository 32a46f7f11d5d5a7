"""What is wrong with the national record's settings, certificates, connection and VIHF, in words."""

from collections.abc import Iterator

from hub.app.keys.doctor import Finding
from hub.app.settings.record import NationalRecord
from hub.connector.contract import Environment
from hub.connector.loader import SourceConfig, Sources, manifests
from hub.connector.record import ORGANISATION, KeepsRecords, Standing
from hub.errors import HubError
from hub.values import PatientIdentifier

#: A number of nobody, whose key is right: the record reads the whole request before it finds no such person.
NOBODY = "000000000000097"
#: What the steps of a connector's self-test are called here.
_STEPS = {
    "certificates": "The certificates",
    "keys": "The keys",
    "connection": "The connection",
    "certificate": "Mutual TLS",
}


def examine(settings: NationalRecord) -> Iterator[Finding]:
    """Each thing that was looked at; the first that is wrong is the last."""
    if not settings.enabled:
        yield Finding(False, "There is no national record: [record.config] is empty.")
        return
    sources = Sources(
        [SourceConfig(settings.name, settings.kind, deadline=settings.deadline, config=settings.config)],
        Environment(),
        manifests(),
    )
    try:
        yield from _examined(settings, sources)
    except HubError as error:
        yield Finding(False, f"{error.message} ({error.code})")
    finally:
        sources.close()


def _examined(settings: NationalRecord, sources: Sources) -> Iterator[Finding]:
    opened = sources.get(settings.name).connector
    yield Finding(True, "The settings are readable.")
    for check in opened.check():
        yield Finding(check.passed, f"{_STEPS.get(check.name, check.name)}: {check.detail}")
        if not check.passed:
            return
    if not isinstance(opened, KeepsRecords):
        yield Finding(False, "The connector named in [record] is not one to a national record.")
        return
    authority = settings.config.get("ins_authorities", ("1.2.250.1.213.1.4.8",))[0]
    nobody = PatientIdentifier(NOBODY, str(authority), "INS")
    found = opened.status(nobody, ORGANISATION, timeout=settings.deadline)
    if found.standing is Standing.MISSING:
        yield Finding(True, "The VIHF: the record reads it, and answers that a person whom nobody is has no record.")
    else:
        yield Finding(False, "The VIHF: the record knows a person whom nobody is; is it the right service?")
