"""Patients' words: who they follow, which one counts, what they hide."""

import threading
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hub.access.care import CareService
from hub.access.consents import ConsentService
from hub.access.model import Principal, Purpose
from hub.access.rights_errors import (
    ConsentAboutAnother,
    ConsentAlreadyOver,
    ConsentChanged,
    ConsentFromTheFuture,
    NotAProfessional,
    ReasonNeeded,
    UnknownConsent,
    UnknownPatient,
)
from hub.access.rights_model import (
    BreakGlass,
    Choice,
    Consent,
    DeclareCare,
    ExplainAccess,
    FindBroken,
    FindConsents,
    GetConsent,
    KeptConsent,
    Kind,
    Matter,
    NotForYou,
    RecordConsent,
    Said,
    SeeBroken,
)
from hub.context import Context
from hub.storage.engine import Database
from hub.values import PatientIdentifier
from tests.access.rights_world import (
    AT_A,
    AT_B,
    CLINIC,
    DOCTOR,
    DOCTOR_ID,
    LOOPBACK,
    MARIE,
    MOTHER,
    NOON,
    PATIENT,
    PAUL,
    REGION,
    SECRETARY,
    SYSTEM,
    USER,
    World,
    consent,
    document,
    professional,
)

EVERYBODY = (SYSTEM, LOOPBACK, DOCTOR, USER)


def record(world: World, word: Consent, *, version: int = 0, by: Principal = SYSTEM, day: bool = False) -> KeptConsent:
    return ConsentService(world.rights).record(RecordConsent(word, version, day), Context(principal=by))


@pytest.fixture
def world(database: Database) -> World:
    return World(database)


@pytest.mark.parametrize("kind", [Kind.DOCUMENT, Kind.STUDY])
def test_opposition_hides_from_everybody_at_once_and_consent_shows_again(world: World, kind: Kind) -> None:
    record(world, consent())
    assert {world.rule(who, document(kind=kind)) for who in EVERYBODY} == {("opposition", False)}
    assert world.rule(DOCTOR, document(kind=kind, patient=PAUL)) == ("care-relationship", True)
    assert world.rule(SYSTEM, document(kind=Kind.PERSON)) == ("identity", True)
    with pytest.raises(NotForYou):
        world.rights.require(document(kind=kind), Context(principal=SYSTEM))
    record(world, consent(Choice.CONSENT, days=0))
    assert all(world.rule(who, document(kind=kind))[1] for who in EVERYBODY)


def test_whoever_made_it_sees_it(world: World) -> None:
    record(world, consent())
    assert world.rule(DOCTOR, document(authors=DOCTOR_ID)) == ("author", True)
    assert world.rule(DOCTOR, document(authors=CLINIC)) == ("authors-structure", True)
    assert world.rule(SYSTEM, document(authors="HIS")) == ("author", True)
    assert world.rule(DOCTOR, document(authors="HIS")) == ("authors-structure", True)  # through its own software
    assert world.rule(replace(SYSTEM, source="PACS"), document(authors="PACS")) == ("author", True)
    assert world.rule(LOOPBACK, document(authors="loopback")) == ("opposition", False)
    assert world.rule(SECRETARY, document(authors="Clinic")) == ("role-without-reading", False)


def test_a_word_follows_its_identity(world: World) -> None:
    record(world, consent(identity=AT_B))
    assert world.rule(SYSTEM) == ("system", True)
    world.persons.put(MARIE, AT_A, PAUL, AT_B)  # linked: one person now
    assert world.rule(SYSTEM) == ("opposition", False)
    assert world.rule(SYSTEM, document(patient=AT_A)) == ("opposition", False)
    world.persons.put(MARIE, AT_A)
    world.persons.put(PAUL, AT_B)
    assert world.rule(SYSTEM) == ("system", True)
    assert world.rule(SYSTEM, document(patient=PAUL)) == ("opposition", False)


def test_the_newest_date_counts_whatever_came_first(world: World) -> None:
    record(world, consent(days=-1))
    late = record(world, consent(Choice.CONSENT, days=-5))
    assert late.superseded_at is not None
    assert world.rule(SYSTEM) == ("opposition", False)
    assert world.rights.said(MARIE, Matter.CONSULTATION) is Choice.OPPOSITION
    assert world.rights.said(MARIE, Matter.FEEDING) is Choice.UNKNOWN
    found = ConsentService(world.rights).find(FindConsents(MARIE, history=True), Context(principal=SYSTEM))
    assert [item.consent.choice for item in found] == [Choice.OPPOSITION, Choice.CONSENT]


def test_not_collected_takes_back_ones_own_word_only(world: World) -> None:
    world.persons.put(MARIE, AT_A, AT_B)
    record(world, consent(identity=AT_A, days=-3))
    record(world, consent(Choice.UNKNOWN, identity=AT_B, days=-1))
    assert world.rule(SYSTEM) == ("opposition", False)
    record(world, consent(Choice.UNKNOWN, identity=AT_A, days=-1))
    assert world.rule(SYSTEM) == ("system", True)


def test_a_feed_that_has_collected_nothing_takes_back_its_own_word_only(world: World) -> None:
    """The patient told somebody else: a Consent, the portal, or another feed."""
    service, feed = ConsentService(world.rights), Context(principal=SYSTEM, source="HIS_A")
    nothing = [Said(Matter.CONSULTATION, Choice.UNKNOWN, NOON)]
    record(world, consent(days=-3))
    service.heard(consent().identity, nothing, feed)
    assert world.rule(SYSTEM) == ("opposition", False)
    service.heard(consent().identity, [Said(Matter.CONSULTATION, Choice.OPPOSITION, NOON - timedelta(days=2))], feed)
    service.heard(consent().identity, nothing, replace(feed, source="HIS_B"))
    assert world.rule(SYSTEM) == ("opposition", False)
    service.heard(consent().identity, nothing, feed)
    assert world.rule(SYSTEM) == ("system", True)


def test_the_same_word_again_is_kept_once(world: World) -> None:
    one = record(world, consent())
    assert record(world, consent()).key == one.key


def test_a_word_that_ends_lets_the_one_before_come_back(world: World) -> None:
    record(world, consent(days=-3))
    record(world, consent(Choice.CONSENT, days=-1, until=NOON + timedelta(days=2)))
    assert world.rule(SYSTEM) == ("system", True)
    world.at = NOON + timedelta(days=3)
    assert world.rule(SYSTEM) == ("opposition", False)


def test_words_by_name(world: World) -> None:
    record(world, consent(actor=DOCTOR_ID))
    assert world.rule(DOCTOR) == ("blocked", False)
    assert world.rule(professional(id="8998", purpose=Purpose.BREAK_GLASS, reason="unconscious")) == ("blocked", False)
    assert world.rule(USER) == ("care-relationship", True)
    record(world, consent(days=-2))
    record(world, consent(Choice.CONSENT, days=-1, actor=CLINIC))
    assert world.rule(DOCTOR) == ("blocked", False)  # no to the doctor, yes to the structure
    record(world, consent(Choice.CONSENT, days=0, actor=DOCTOR_ID))
    assert world.rule(DOCTOR) == ("consented-by-name", True)
    record(world, consent(days=0))
    assert world.rule(USER) == ("opposition", False)


def test_a_later_opposition_to_everybody_ends_a_yes_by_name(world: World) -> None:
    record(world, consent(Choice.CONSENT, days=-2, actor=DOCTOR_ID))
    assert world.rule(DOCTOR, document("V")) == ("consented-by-name", True)
    record(world, consent(days=-1))
    assert world.rule(DOCTOR) == ("opposition", False)


def test_what_is_refused(world: World) -> None:
    with pytest.raises(ConsentFromTheFuture):
        record(world, consent(days=1))
    with pytest.raises(ConsentAlreadyOver):
        record(world, consent(days=-1, until=NOON - timedelta(days=2)))
    for by in (SYSTEM, replace(DOCTOR, about=PAUL.cx)):
        with pytest.raises(UnknownPatient):
            record(world, consent(identity=PatientIdentifier("nobody" if by is SYSTEM else MARIE.value, REGION)), by=by)
    with pytest.raises(UnknownConsent):
        ConsentService(world.rights).get(GetConsent("nothing"), Context(principal=SYSTEM))
    kept = record(world, consent())
    with pytest.raises(UnknownConsent):
        ConsentService(world.rights).get(GetConsent(kept.consent.id), Context(principal=replace(DOCTOR, about=PAUL.cx)))


def test_versions_of_a_word(world: World) -> None:
    kept = record(world, consent())
    again = record(world, replace(kept.consent, choice=Choice.CONSENT), version=1)
    assert (again.version, again.consent.id) == (2, kept.consent.id)
    assert world.rule(SYSTEM) == ("system", True)
    with pytest.raises(ConsentChanged):
        record(world, kept.consent, version=1)
    with pytest.raises(ConsentAboutAnother):
        record(world, replace(kept.consent, identity=PAUL), version=2)
    moved = record(world, replace(kept.consent, matter=Matter.FEEDING), version=2)
    assert moved.version == 3
    assert world.rights.said(MARIE, Matter.FEEDING) is Choice.OPPOSITION
    found = ConsentService(world.rights).get(GetConsent(kept.consent.id), Context(principal=SYSTEM))
    assert (found.version, found.consent.matter) == (3, Matter.FEEDING)


def test_a_feeds_date_in_the_future_says_no_more_than_today(world: World) -> None:
    service = ConsentService(world.rights)
    service.heard(AT_A, [Said(Matter.CONSULTATION, Choice.OPPOSITION, NOON + timedelta(days=300))], Context())
    assert world.rule(SYSTEM) == ("opposition", False)
    record(world, consent(Choice.CONSENT, days=0))
    assert world.rule(SYSTEM) == ("system", True)


def test_a_feed_that_tells_the_day_only_comes_after_what_else_was_said_that_day(world: World) -> None:
    world.persons.put(MARIE, AT_A, AT_B)
    service = ConsentService(world.rights)
    midnight = NOON.replace(hour=0, minute=0, second=0, microsecond=0)
    record(world, replace(consent(Choice.CONSENT, identity=AT_B), at=NOON - timedelta(hours=1)))
    for choice, rule in (
        (Choice.OPPOSITION, "opposition"), (Choice.CONSENT, "system"), (Choice.CONSENT, "system"),
        (Choice.OPPOSITION, "opposition"), (Choice.OPPOSITION, "opposition"),
    ):  # fmt: skip
        service.heard(AT_A, [Said(Matter.CONSULTATION, choice, midnight, day=True)], Context(source="HIS_A"))
        assert world.rule(SYSTEM)[0] == rule
    record(world, consent(Choice.CONSENT, identity=AT_B, days=0))
    service.heard(AT_A, [Said(Matter.CONSULTATION, Choice.OPPOSITION, midnight, day=True)], Context(source="HIS_A"))
    assert world.rule(SYSTEM)[0] == "system"  # the feed said so before
    yesterday = midnight - timedelta(days=1)
    service.heard(AT_A, [Said(Matter.CONSULTATION, Choice.OPPOSITION, yesterday, day=True)], Context(source="HIS_A"))
    assert world.rule(SYSTEM)[0] == "system"


@pytest.mark.parametrize(
    ("actor", "rules"),
    [("", ("opposition", "care-relationship")), (DOCTOR_ID, ("blocked", "consented-by-name"))],
)
def test_a_word_of_a_day_comes_after_what_else_was_said_that_day(
    world: World, actor: str, rules: tuple[str, str]
) -> None:
    midnight = NOON.replace(hour=0, minute=0, second=0, microsecond=0)
    record(world, replace(consent(Choice.CONSENT, actor=actor), at=NOON - timedelta(hours=1)))
    for choice, rule in zip((Choice.OPPOSITION, Choice.CONSENT), rules, strict=True):
        record(world, replace(consent(choice, actor=actor), at=midnight), day=True)
        assert world.rule(DOCTOR)[0] == rule
    record(world, replace(consent(actor=actor), at=midnight - timedelta(days=1)), day=True)
    assert world.rule(DOCTOR)[0] == rules[1]


def test_a_day_that_has_begun_further_east_and_a_clock_that_goes_ahead(world: World) -> None:
    midnight = NOON.replace(hour=0, minute=0, second=0, microsecond=0)
    kept = record(world, replace(consent(), at=NOON + timedelta(seconds=30)))
    assert kept.consent.at == NOON
    assert world.rule(SYSTEM) == ("opposition", False)
    kept = record(world, replace(consent(Choice.CONSENT), at=midnight + timedelta(days=1)), day=True)
    assert kept.consent.at == NOON
    assert world.rule(SYSTEM) == ("system", True)
    with pytest.raises(ConsentFromTheFuture):
        record(world, replace(consent(), at=midnight + timedelta(days=2)), day=True)
    with pytest.raises(ConsentFromTheFuture):
        record(world, replace(consent(), at=NOON + timedelta(minutes=2)))


def test_a_feed_that_repeats_itself_without_a_date_says_nothing_new(world: World) -> None:
    world.persons.put(MARIE, AT_A, AT_B)
    service = ConsentService(world.rights)
    for days in (3, 1):
        record(world, consent(Choice.CONSENT, identity=AT_B, days=-2))
        told_at = NOON - timedelta(days=days)
        service.heard(AT_A, [Said(Matter.CONSULTATION, Choice.OPPOSITION, None, told_at)], Context())
        assert world.rule(SYSTEM) == ("system", True)
    service.heard(AT_A, [Said(Matter.CONSULTATION, Choice.OPPOSITION, NOON - timedelta(days=1))], Context())
    assert world.rule(SYSTEM) == ("opposition", False)


# The glass


def test_the_glass_is_broken_by_an_assertion_with_a_reason_and_told_once(world: World) -> None:
    record(world, consent())
    glass = professional(purpose=Purpose.BREAK_GLASS, reason="")
    assert world.rule(glass) == ("break-glass-without-reason", False)
    glass = replace(glass, reason="Unconscious, found in the street")
    assert world.rule(glass) == ("break-glass", True)
    assert world.rule(glass) == ("break-glass", True)
    assert world.rule(DOCTOR) == ("break-glass", True)  # for the time of the settings
    care = CareService(world.rights)
    [told] = care.broken(FindBroken(), Context())
    assert (told.professional, told.structure, told.patient) == (DOCTOR_ID, CLINIC, MARIE)
    assert (told.reason, told.purpose) == ("Unconscious, found in the street", "bris_de_glace")
    care.see(SeeBroken(told.key), Context(principal=replace(USER, name="Officer")))
    [seen] = care.broken(FindBroken(), Context())
    assert (seen.seen_by, seen.seen_at) == ("Officer", NOON)
    world.at += timedelta(minutes=61)
    assert world.rule(DOCTOR) == ("opposition", False)
    assert world.rule(glass) == ("break-glass", True)
    assert len(care.broken(FindBroken(), Context())) == 2


def test_the_glass_is_broken_in_the_portal_for_one_person_and_one_professional(world: World) -> None:
    for patient in (MARIE, PAUL):
        record(world, consent(identity=patient))
    care = CareService(world.rights)
    care.break_glass(BreakGlass(AT_A, "Unconscious after a fall"), Context(principal=USER))
    assert world.rule(USER) == ("break-glass", True)
    assert world.rule(USER, document(patient=PAUL)) == ("opposition", False)
    assert world.rule(replace(USER, id="other")) == ("opposition", False)
    record(world, consent(matter=Matter.EMERGENCY, days=0))
    assert world.rule(USER) == ("emergency-opposed", False)


def test_breaking_says_the_same_whatever_there_is(world: World) -> None:
    care = CareService(world.rights)
    record(world, consent(matter=Matter.EMERGENCY))
    for patient in (MARIE, PAUL):
        assert care.break_glass(BreakGlass(patient, "Unconscious after a fall"), Context(principal=USER)).reason
    for reason in ("", "   why   ", "x" * 1001):
        with pytest.raises(ReasonNeeded):
            care.break_glass(BreakGlass(MARIE, reason), Context(principal=USER))
    for who in (SYSTEM, SECRETARY, PATIENT):
        with pytest.raises(NotAProfessional):
            care.break_glass(BreakGlass(MARIE, "Unconscious after a fall"), Context(principal=who))
    with pytest.raises(UnknownPatient):
        care.break_glass(BreakGlass(PatientIdentifier("X", REGION), "Unconscious, a fall"), Context(principal=USER))


def test_regulation_is_for_the_structures_of_the_settings(database: Database) -> None:
    world = World(database, regulators=frozenset({CLINIC}))
    record(world, consent())
    call = professional(purpose=Purpose.REGULATION)
    assert world.rule(call) == ("regulation", True)
    assert world.rule(professional(purpose=Purpose.REGULATION, structure="other")) == ("regulation-elsewhere", False)
    record(world, consent(matter=Matter.EMERGENCY))
    assert world.rule(call) == ("emergency-opposed", False)


def test_regulation_opens_nothing_else_and_hides_no_reason(database: Database) -> None:
    world = World(database, regulators=frozenset({CLINIC}))
    record(world, consent())
    for _ in range(2):  # told once
        assert world.rights.visible([document()], Context(principal=professional(purpose=Purpose.REGULATION))) == [True]
    assert world.rule(professional()) == ("opposition", False)
    care = CareService(world.rights)
    care.break_glass(BreakGlass(MARIE, "Unconscious after a fall"), Context(principal=professional()))
    assert world.rule(professional()) == ("break-glass", True)
    told = care.broken(FindBroken(), Context())
    assert [(item.purpose == Purpose.REGULATION, item.reason) for item in told] == [
        (False, "Unconscious after a fall"),
        (True, ""),
    ]


def test_two_break_it_at_once_and_it_is_told_once(world: World) -> None:
    glass = Context(principal=professional(purpose=Purpose.BREAK_GLASS, reason="Unconscious after a fall"))
    threads = [threading.Thread(target=world.rights.visible, args=([document()], glass)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert len(CareService(world.rights).broken(FindBroken(), Context())) == 1


# Care, patients, minors, modes


def test_known_relationships_only(database: Database) -> None:
    world = World(database, care_relationship="known")
    care = CareService(world.rights, structures={AT_A.authority: CLINIC}, after=timedelta(days=1))
    assert world.rule(DOCTOR) == ("closed", False)
    assert world.rule(DOCTOR, document("R")) == ("restricted", False)
    care.admitted(AT_A, NOON, "HIS_A")
    care.admitted(AT_A, NOON, "HIS_A")
    assert world.rule(DOCTOR, document("R")) == ("care-relationship", True)
    assert world.rule(professional(structure="elsewhere")) == ("closed", False)
    care.discharged(AT_A, NOON, "HIS_A")
    assert world.rule(DOCTOR) == ("care-relationship", True)
    world.at = NOON + timedelta(days=2)
    assert world.rule(DOCTOR) == ("closed", False)
    care.declare(DeclareCare(MARIE), Context(principal=DOCTOR))
    assert world.rule(DOCTOR) == ("care-relationship", True)
    care.declare(DeclareCare(MARIE, until=world.at), Context(principal=DOCTOR))
    assert world.rule(DOCTOR) == ("closed", False)
    record(world, consent(Choice.CONSENT))
    assert world.rule(DOCTOR) == ("consented", True)
    with pytest.raises(NotAProfessional):
        care.declare(DeclareCare(MARIE), Context(principal=SYSTEM))


def test_the_patients_own_doctor_sees_what_is_masked(world: World) -> None:
    masked = document("N", "MASQUE_PS")
    assert world.rule(DOCTOR, masked) == ("masked", False)
    CareService(world.rights).declare(DeclareCare(MARIE, "medecin_traitant"), Context(principal=DOCTOR))
    assert world.rule(DOCTOR, masked) == ("care-relationship", True)


@pytest.mark.parametrize(
    ("born", "rule"), [("20090311", "minor"), ("20080310", "adult"), ("2009", "minor"), ("", "adult")]
)
def test_representatives_read_of_minors(world: World, born: str, rule: str) -> None:
    world.persons.put(MARIE, AT_A, born=born)
    assert world.rule(MOTHER)[0] == f"representative-of-{rule}"
    assert world.rule(MOTHER, document(patient=PAUL)) == ("another-patient", False)
    assert world.rule(PATIENT) == ("patient", True)


def test_a_proof_about_one_patient_follows_them(world: World) -> None:
    about = replace(DOCTOR, about=AT_A.cx)
    assert world.rule(about) == ("care-relationship", True)
    assert world.rule(about, document(patient=PAUL, kind=Kind.PERSON)) == ("another-patient", False)
    nobody = PatientIdentifier("nobody", REGION)
    assert world.rule(about, document(patient=nobody)) == ("another-patient", False)
    assert world.rule(replace(about, about=nobody.cx), document(patient=nobody)) == ("care-relationship", True)


def test_modes_and_specialities(database: Database) -> None:
    world = World(database, indirect_reads=False)
    assert world.rule(replace(DOCTOR, level="INDIRECTE")) == ("indirect", False)
    assert world.rule(replace(DOCTOR, level="INDIRECTE_RENFORCEE")) == ("care-relationship", True)
    assert world.rule(professional(specialities=("SM25",))) == ("occupational-health", False)


def test_explanations(world: World) -> None:
    record(world, consent())
    found = ConsentService(world.rights).explain(ExplainAccess(DOCTOR_ID, AT_A), Context(principal=SYSTEM))
    assert {(item.thing.kind, item.ruling.rule) for item in found} == {
        (Kind.PERSON, "identity"),
        (Kind.DOCUMENT, "opposition"),
        (Kind.STUDY, "opposition"),
    }
    assert "author" in found[-1].passed
    glass = ExplainAccess(DOCTOR_ID, AT_A, purpose="bris_de_glace", reason="Unconscious")
    assert ConsentService(world.rights).explain(glass, Context(principal=SYSTEM))[1].ruling.rule == "break-glass"
    assert CareService(world.rights).broken(FindBroken(), Context()) == ()


WORDS = st.lists(
    st.tuples(
        st.sampled_from(Choice),
        st.sampled_from(Matter),
        st.integers(-5, 0),
        st.sampled_from([AT_A, AT_B, MARIE]),
        st.sampled_from(["", DOCTOR_ID, CLINIC]),
    ),
    max_size=6,
)
CALLERS = (
    *EVERYBODY,
    professional(purpose=Purpose.BREAK_GLASS, reason="Unconscious after a fall"),
    professional(purpose=Purpose.REGULATION),
    MOTHER,
)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    words=WORDS, last=st.tuples(st.sampled_from(Matter), st.sampled_from(["", DOCTOR_ID, CLINIC])), order=st.randoms()
)
def test_one_more_opposition_never_shows_more(database: Database, words: Any, last: Any, order: Any) -> None:
    world = World(database, regulators=frozenset({CLINIC}))
    mine = PatientIdentifier(f"P{order.getrandbits(60)}", REGION)
    under = {item: PatientIdentifier(f"{mine.value}{item.value}", item.authority) for item in (MARIE, AT_A, AT_B)}
    world.persons.put(mine, *under.values())
    for choice, matter, days, identity, actor in words:
        record(world, consent(choice, matter, days=days, identity=under[identity], actor=actor))
    things = [document(*codes, patient=mine) for codes in (("N",), ("R",), ("V",), ("N", "MASQUE_PS"))]
    asked = [Context(principal=replace(who, about=mine.cx if who is MOTHER else "")) for who in CALLERS]
    before = [[ruling.allowed for ruling in world.rights.rulings(things, one)] for one in asked]
    record(world, consent(Choice.OPPOSITION, last[0], days=0, identity=mine, actor=last[1]))
    after = [[ruling.allowed for ruling in world.rights.rulings(things, one)] for one in asked]
    for one, other in zip(before, after, strict=True):
        assert all(earlier or not later for earlier, later in zip(one, other, strict=True))
