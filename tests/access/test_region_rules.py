"""A region's own rules: what each condition asks for, where they stand, and what they can't do."""

from dataclasses import fields, replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.access.consents import ConsentService
from hub.access.model import Professional, Purpose
from hub.access.region_rules import RegionRule, table
from hub.access.rights_model import Choice, ExplainAccess, Kind, Matter, RecordConsent
from hub.access.rules import RULES, Facts, decide, ruling
from hub.context import Context
from hub.storage.engine import Database
from tests.access.rights_world import AT_A, DOCTOR, DOCTOR_ID, HUB, SYSTEM, World, consent, document
from tests.access.test_rules import CARES, CASES, CLINICIAN, FACTS, GLASS, codes, of

REFUSES = RegionRule("region-refuses", allows=False)
ALLOWS = RegionRule("region-allows", allows=True)
NURSE = {**CARES, "vouched": Professional("1", profession="60", specialities=("SM25",), structure="S1")}
EITHER = st.none() | st.booleans()


def some(*values: Any) -> st.SearchStrategy[frozenset[Any]]:
    return st.frozensets(st.sampled_from(values), max_size=2)


WHO = st.builds(
    Professional,
    id=st.just("1"),
    profession=st.sampled_from(["10", "60"]),
    specialities=st.sampled_from([(), ("SM25",), ("SM32", "SM25")]),
    structure=st.sampled_from(["", "S1", "S2"]),
)
SOMEBODY = st.builds(lambda facts, who: replace(facts, vouched=who), FACTS, st.none() | WHO)
RULES_OF_REGIONS = st.builds(
    RegionRule,
    name=st.sampled_from(["region-a", "region-b"]),
    allows=st.booleans(),
    kind=some(Kind.DOCUMENT, Kind.STUDY),
    confidentiality=some("N", "R", "MASQUE_PS"),
    person=EITHER,
    roles=some("clinician", "representative", "officer"),
    professions=some("10", "60"),
    specialities=some("SM25", "SM32"),
    structures=some("S1", "S2"),
    purpose=some(*Purpose),
    emergency=EITHER,
    minor=EITHER,
    in_care=EITHER,
    consented=EITHER,
)
#: Allowances before which no rule of a region stands.
UNTOUCHED = {"hub", "identity", "author", "authors-structure", "patient", "representative-of-minor"}


@given(SOMEBODY, st.lists(RULES_OF_REGIONS, min_size=1, max_size=4))
def test_a_region_opens_nothing_that_a_rule_refuses(facts: Facts, rules: list[RegionRule]) -> None:
    before, now = decide(facts), decide(facts, table(rules))
    if now.allows and not before.allows:
        assert before.name == "closed"
        assert now.name.startswith("region-")
    if before.name in UNTOUCHED:
        assert now is before
    if now.name not in {rule.name for rule in rules}:
        assert now is before


@given(SOMEBODY, RULES_OF_REGIONS)
def test_a_rule_that_does_not_concern_a_caller_holds_for_nothing_of_theirs(facts: Facts, rule: RegionRule) -> None:
    """The short cut for systems (``RightsService.plain``) rests on it."""
    assert rule.concerns(facts) or not rule.holds(facts)


@given(SOMEBODY, RULES_OF_REGIONS, RULES_OF_REGIONS)
def test_a_refusal_more_never_shows_more(facts: Facts, one: RegionRule, other: RegionRule) -> None:
    refusing = replace(other, allows=False)
    assert decide(facts, table([one])).allows or not decide(facts, table([one, refusing])).allows


def test_without_rules_the_table_is_the_hub_s_own() -> None:
    assert table(()) is RULES


def test_their_places() -> None:
    names = [rule.name for rule in table([ALLOWS, REFUSES, replace(REFUSES, name="second")])]
    first = names.index("region-refuses")
    assert names[first - 1 : first + 3] == ["emergency-opposed", "region-refuses", "second", "regulation"]
    assert names[-3:] == ["consented", "region-allows", "closed"]
    assert [name for name in names if name in CASES] == [rule.name for rule in RULES]


def test_what_a_rule_says_is_not_the_region_s_to_write() -> None:
    rule = replace(REFUSES, why="Patients of ward 5", source="Law").line()
    assert ruling(rule).reason == ruling(decide(Facts(known=False))).reason
    assert (rule.why, rule.source) == ("Patients of ward 5", "Law")


#: condition -> facts for which it holds, facts for which it does not
CONDITIONS: dict[str, tuple[Any, dict[str, Any], list[dict[str, Any]]]] = {
    "kind": (frozenset({Kind.STUDY}), {"kind": Kind.STUDY}, [{}]),
    "confidentiality": (codes("R", "V"), {"confidentiality": codes("N", "R")}, [{}, {"confidentiality": codes("N")}]),
    "person": (True, CLINICIAN, [{}]),
    "roles": (codes("clinician"), CLINICIAN, [{}, of("representative", consented_by_name=True)]),
    "professions": (
        codes("60"),
        NURSE,
        [{}, CARES, {**NURSE, "vouched": Professional("1", profession="10")}, {**NURSE, "person": False}],
    ),
    "specialities": (codes("SM25", "SM32"), NURSE, [{}, CARES, {**NURSE, "vouched": Professional("1")}]),
    "structures": (codes("S1"), NURSE, [{}, CARES, {**NURSE, "vouched": Professional("1", structure="S2")}]),
    "purpose": (codes("normal"), {"purpose": "TREATMENT"}, [{"purpose": "bris_de_glace"}, {"purpose": "RESEARCH"}]),
    "emergency": (False, CARES, [{**GLASS, "reason": True}, {**CARES, "glass": True}]),
    "minor": (True, {"minor": True}, [{}]),
    "in_care": (False, CLINICIAN, [CARES, {}, {"care_asserted": True}]),
    "consented": (False, CARES, [{**CARES, "consented": True}, {**CARES, "consented_by_name": True}]),
}


@pytest.mark.parametrize("name", [item.name for item in fields(RegionRule)][4:])
def test_conditions(name: str) -> None:
    wanted, fits, others = CONDITIONS[name]
    rule = replace(REFUSES, **{name: wanted})
    assert decide(Facts(**fits), table([rule])).name == "region-refuses"
    for other in others:
        assert decide(Facts(**other), table([rule])).name != "region-refuses", other


def test_all_that_is_asked_for_must_hold() -> None:
    rule = replace(REFUSES, kind=frozenset({Kind.STUDY}), professions=codes("60"), minor=True)
    whole = {**NURSE, "kind": Kind.STUDY, "minor": True}
    assert rule.holds(Facts(**whole))
    for less in ({"kind": Kind.DOCUMENT}, {"vouched": None}, {"minor": False}):
        assert not rule.holds(Facts(**{**whole, **less}))


def test_systems_are_refused_what_a_rule_says(database: Database) -> None:
    """The short cut that spares a system its look-ups knows of the rules."""
    world = World(database, rules=(replace(REFUSES, confidentiality=codes("R")),))
    asked = Context(principal=SYSTEM)
    assert not world.rights.plain(asked)
    assert world.rule(SYSTEM, document("R")) == ("region-refuses", False)
    assert world.rule(SYSTEM, document("N")) == ("system", True)
    assert world.rule(SYSTEM, document("R", authors="HIS")) == ("author", True)
    assert world.rule(SYSTEM, document("R", kind=Kind.PERSON)) == ("identity", True)
    assert world.rule(HUB, document("R")) == ("hub", True)
    assert world.rights.plain(Context(principal=HUB))


def test_what_is_about_persons_spares_systems_as_ever(database: Database) -> None:
    for more in ({"person": True}, {"roles": codes("clinician")}, {"structures": codes("S1")}, {"in_care": False}):
        assert World(database, rules=(replace(REFUSES, **more),)).rights.plain(Context(principal=SYSTEM)), more
    assert World(database, rules=(replace(ALLOWS, kind=frozenset({Kind.STUDY})),)).rights.plain(
        Context(principal=SYSTEM)
    )


def test_professionals_by_what_is_kept_of_the_patient(database: Database) -> None:
    opt_in = replace(REFUSES, consented=False, emergency=False)
    world = World(database, rules=(opt_in,))
    assert world.rule(DOCTOR) == ("region-refuses", False)
    ConsentService(world.rights).record(RecordConsent(consent(Choice.CONSENT)), Context(principal=SYSTEM))
    assert world.rule(DOCTOR) == ("care-relationship", True)
    ConsentService(world.rights).record(
        RecordConsent(consent(Choice.OPPOSITION, Matter.CONSULTATION, days=-0.5)), Context(principal=SYSTEM)
    )
    assert world.rule(DOCTOR) == ("region-refuses", False)
    glass = replace(DOCTOR, purpose=Purpose.BREAK_GLASS, reason="Unconscious")
    assert world.rule(glass) == ("break-glass", True)


def test_what_is_closed_is_opened_to_whom_a_rule_names(database: Database) -> None:
    opened = replace(ALLOWS, specialities=codes("SM26"), kind=frozenset({Kind.STUDY}))
    world = World(database, care_relationship="known", rules=(opened,))
    assert world.rule(DOCTOR, document(kind=Kind.STUDY)) == ("region-allows", True)
    assert world.rule(DOCTOR, document(kind=Kind.DOCUMENT)) == ("closed", False)
    assert world.rule(DOCTOR, document("R", kind=Kind.STUDY)) == ("restricted", False)
    ConsentService(world.rights).record(RecordConsent(consent()), Context(principal=SYSTEM))
    assert world.rule(DOCTOR, document(kind=Kind.STUDY)) == ("opposition", False)


def test_explained(database: Database) -> None:
    world = World(database, rules=(replace(REFUSES, professions=codes("60"), kind=frozenset({Kind.STUDY})),))
    asked = ExplainAccess(DOCTOR_ID, AT_A, profession="60")
    *_, study = ConsentService(world.rights).explain(asked, Context(principal=SYSTEM))
    assert (study.thing.kind, study.ruling.rule, study.ruling.allowed) == (Kind.STUDY, "region-refuses", False)
    assert study.passed[-1] == "emergency-opposed"
    doctor = ConsentService(world.rights).explain(replace(asked, profession="10"), Context(principal=SYSTEM))
    assert doctor[-1].ruling.rule == "care-relationship"
    assert "region-refuses" in doctor[-1].passed
