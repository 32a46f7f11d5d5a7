"""Contextual calls in their room: sealed, short-lived, for the one who comes first."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta

import pytest

from hub.access.model import HUB, Principal
from hub.context import Context
from hub.drimbox.calls import CallService
from hub.drimbox.errors import CallContradicts, CallPersonUnknown, CallUnfit, CallUnknown
from hub.drimbox.exports import Archive, number_at
from hub.drimbox.model import Call, OpenCall, OpenedCall, ReceiveCall, Sought
from hub.errors import HubError
from hub.patients.model import Fed, FeedIdentity, Identity, IdentityStatus, Person, Traits
from hub.storage.engine import Database
from hub.values import PatientIdentifier, now

OID = "1.2.250.1.999.83"
INS = PatientIdentifier("279035121518989", "1.2.250.1.213.1.4.10")
LOCAL = PatientIdentifier("L-1", OID)
TRAITS = Traits("LÉGER", "ZOÉ", "ZOÉ", birth_date="19520316", sex="F")
CALL = Call(INS, LOCAL, TRAITS, Sought(modality="CT"), "TRUE")


class Patients:
    """One person, or nobody."""

    def __init__(self, *persons: Person) -> None:
        self.persons = list(persons)
        self.fed: list[FeedIdentity] = []

    def person(self, identifier: PatientIdentifier) -> Person | None:
        return next((one for one in self.persons if identifier in one.identifiers), None)

    def feed(self, command: FeedIdentity, context: Context) -> Fed:
        assert context.source == "HIS_A"
        self.fed.append(command)
        self.persons.append(made(command.identity))
        return Fed(self.persons[-1].regional, created=True)


def made(identity: Identity) -> Person:
    regional = PatientIdentifier(f"R-{identity.identifier.value}", "1.2.250.1.999.1.1")
    return Person(regional, identity.traits, identity.status, (identity,), ins=identity.ins)


KNOWN = made(Identity(LOCAL, TRAITS, IdentityStatus.QUALIFIED, ins=INS))


def service(database: Database, patients: Patients, *, feeds: bool = False, **more: object) -> CallService:
    return CallService(
        database=database, patients=patients, resolve=lambda item: item, may=lambda *_: feeds, **more,  # type: ignore[arg-type]
    )  # fmt: skip


def received(calls: CallService, call: Call = CALL) -> str:
    return calls.receive(ReceiveCall(call), Context(principal=Principal("his", source="HIS_A")))


def opened(calls: CallService, key: str, session: str = "one") -> OpenedCall:
    return calls.open(OpenCall(key), Context(principal=HUB, session=session))


def test_of_many_sessions_one_gets_it(database: Database) -> None:
    calls = service(database, Patients(KNOWN))
    key = received(calls)

    def attempt(number: int) -> bool:
        try:
            return opened(calls, key, f"session {number}").person == KNOWN.regional
        except CallUnknown:
            return False

    with ThreadPoolExecutor(8) as threads:
        assert sum(threads.map(attempt, range(8))) == 1


def test_the_first_session_may_come_again_and_nobody_after_its_time(database: Database) -> None:
    at = [now()]
    calls = service(database, Patients(KNOWN), clock=lambda: at[0], life=timedelta(minutes=10))
    key = received(calls)
    assert opened(calls, key).sought == Sought(modality="CT")
    assert opened(calls, key).person == KNOWN.regional
    for wrong in ("", "another", key.upper()):
        with pytest.raises(CallUnknown):
            opened(calls, wrong)
    with pytest.raises(CallUnknown):
        opened(calls, key, "")
    at[0] += timedelta(minutes=11)
    with pytest.raises(CallUnknown):
        opened(calls, key)
    calls.sweep()
    with database.reading() as work:
        assert work.connection.exec_driver_sql("SELECT COUNT(*) FROM drimbox_call").scalar() == 0


@pytest.mark.parametrize("word", ["", "false", "0", "non", "trueish"])
def test_who_was_not_informed_or_opposes_is_not_called_for(database: Database, word: str) -> None:
    with pytest.raises(CallUnfit, match="InformationEtOppositionConsultation"):
        received(service(database, Patients(KNOWN)), replace(CALL, informed=word))


@pytest.mark.parametrize(
    ("changed", "field"),
    [
        ({"traits": replace(TRAITS, birth_date="19520317")}, "Patient.birthDate"),
        ({"traits": replace(TRAITS, sex="M")}, "Patient.gender"),
        ({"traits": replace(TRAITS, birth_name="MARTIN")}, "Patient.name.family"),
        ({"national": replace(INS, value="279035121519088")}, "Patient.identifier.value"),
    ],
)
def test_contradictions_are_named_and_no_value_is(database: Database, changed: dict[str, object], field: str) -> None:
    calls = service(database, Patients(KNOWN), feeds=True)
    with pytest.raises(CallContradicts) as refused:
        opened(calls, received(calls, replace(CALL, **changed)))  # type: ignore[arg-type]
    assert field in refused.value.message
    for value in ("1952", "MARTIN", "2790"):
        assert value not in refused.value.message


def test_accents_and_case_are_no_contradiction(database: Database) -> None:
    calls = service(database, Patients(KNOWN))
    call = replace(CALL, traits=replace(TRAITS, birth_name="leger", sex="U"))
    assert opened(calls, received(calls, call)).person == KNOWN.regional


def test_two_numbers_of_two_persons(database: Database) -> None:
    other = made(Identity(PatientIdentifier("L-2", OID), TRAITS, IdentityStatus.VALIDATED))
    calls = service(database, Patients(KNOWN, other))
    with pytest.raises(CallContradicts, match="two different persons"):
        opened(calls, received(calls, replace(CALL, local=PatientIdentifier("L-2", OID))))


def test_an_unknown_patient_is_announced_by_who_may(database: Database) -> None:
    nobody = service(database, Patients())
    with pytest.raises(CallPersonUnknown):
        opened(nobody, received(nobody))
    patients = Patients()
    calls = service(database, patients, feeds=True)
    assert opened(calls, received(calls)).person.value == "R-L-1"
    (fed,) = patients.fed
    assert (fed.identity.ins, fed.identity.status) == (INS, IdentityStatus.QUALIFIED)


def test_the_number_at_an_archive_must_be_one() -> None:
    archive = Archive("PACS", OID, "LYON")
    assert number_at(KNOWN, archive) == LOCAL
    second = Identity(PatientIdentifier("L-2", OID), TRAITS)
    for person in (
        replace(KNOWN, identities=(*KNOWN.identities, second)),
        replace(KNOWN, identities=()),
        replace(KNOWN, identities=(replace(KNOWN.identities[0], active=False),)),
    ):
        with pytest.raises(HubError, match="no number at this archive, or several"):
            number_at(person, archive)
