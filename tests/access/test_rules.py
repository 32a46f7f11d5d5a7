"""Every line of the matrix, by its name: docs/reference/rights.md points here."""

from dataclasses import fields, replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.access.model import Purpose
from hub.access.rights_model import Kind
from hub.access.rules import BY_NAME, RULES, Facts, decide

CLINICIAN: dict[str, Any] = {"person": True, "roles": frozenset({"clinician"})}
CARES = {**CLINICIAN, "care_asserted": True}
GLASS = {**CLINICIAN, "purpose": Purpose.BREAK_GLASS}
CENTRE_15 = {**CLINICIAN, "purpose": Purpose.REGULATION}


def of(role: str, **more: Any) -> dict[str, Any]:
    return {"person": True, "roles": frozenset({role}), "about": True, **more}


def codes(*values: str) -> frozenset[str]:
    return frozenset(values)


MASKED, REPRESENTATIVES = codes("N", "MASQUE_PS"), codes("N", "INVISIBLE_REPRESENTANTS_LEGAUX")

#: rule -> requests that it decides; what comes before it in the table is there to be passed.
CASES: dict[str, list[dict[str, Any]]] = {
    "hub": [{"internal": True}, {"internal": True, "opposed": True}],
    "nobody": [{"known": False}, {"known": False, "kind": Kind.PERSON}],
    "another-patient": [{**CARES, "about": False}, {**CARES, "about": False, "kind": Kind.PERSON, "own": True}],
    "patient-unnamed": [of("patient", about=None), of("representative", about=None, minor=True)],
    "identity": [
        {"kind": Kind.PERSON, "opposed": True},
        {**CLINICIAN, "kind": Kind.PERSON, "blocked": True},
        {**of("secretary", about=None), "kind": Kind.PERSON},
    ],
    "author": [
        {**CARES, "own": True, "opposed": True},
        {**CARES, "own": True, "confidentiality": MASKED},
        {"own": True, "opposed": True},
        {**CLINICIAN, "own": True, "blocked": True},
    ],
    "role-without-reading": [
        *(of(role, about=None) for role in ("author", "secretary", "device", "operator", "steward", "officer")),
        {"person": True},
        of("secretary", about=None, own_structure=True),
    ],
    "authors-structure": [
        {**CLINICIAN, "own_structure": True, "opposed": True},
        {**CLINICIAN, "own_structure": True, "confidentiality": MASKED},
        {"own_structure": True, "opposed": True},
    ],
    "blocked": [
        {**CARES, "blocked": True},
        {**GLASS, "reason": True, "blocked": True},
        {**CENTRE_15, "regulator": True, "blocked": True},
    ],
    "invisible-to-patient": [of("patient", confidentiality=codes("N", "INVISIBLE_PATIENT"))],
    "invisible-to-representatives": [
        of("representative", minor=True, confidentiality=REPRESENTATIVES),
        of("representative", minor=True, confidentiality=codes("N", "INVISIBLE_REP_LEGAUX")),
    ],
    "patient": [
        of("patient"),
        of("patient", opposed=True),
        of("patient", confidentiality=MASKED),
        of("patient", confidentiality=REPRESENTATIVES),
    ],
    "representative-of-minor": [of("representative", minor=True)],
    "representative-of-adult": [of("representative")],
    "indirect": [{**CARES, "indirect": True}],
    "occupational-health": [{**CARES, "occupational": True}],
    "emergency-opposed": [
        {**GLASS, "reason": True, "emergency_opposed": True},
        {**CENTRE_15, "regulator": True, "emergency_opposed": True},
        {**CARES, "glass": True, "emergency_opposed": True},
    ],
    "regulation": [{**CENTRE_15, "regulator": True, "opposed": True, "confidentiality": MASKED}],
    "regulation-elsewhere": [CENTRE_15],
    "break-glass": [
        {**GLASS, "reason": True, "opposed": True, "confidentiality": MASKED},
        {**CLINICIAN, "glass": True, "opposed": True},
    ],
    "break-glass-without-reason": [GLASS, {"purpose": Purpose.BREAK_GLASS, "reason": True}],
    "consented-by-name": [
        {**CLINICIAN, "consented_by_name": True, "opposed": True},
        {**CLINICIAN, "consented_by_name": True, "confidentiality": codes("V")},
        {**CLINICIAN, "consented_by_name": True, "occupational": True},
        of("representative", consented_by_name=True),
    ],
    "opposition": [{**CARES, "opposed": True}, {"opposed": True}, {"opposed": True, "kind": Kind.STUDY}],
    "masked": [{**CARES, "confidentiality": MASKED}, {**CARES, "confidentiality": MASKED, "consented_by_name": True}],
    "very-restricted": [{**CARES, "confidentiality": codes("V")}],
    "system": [{}, {"confidentiality": MASKED}, {"confidentiality": codes("R")}, {"kind": Kind.STUDY}],
    "care-relationship": [
        CARES,
        {**CARES, "confidentiality": codes("R")},
        {**CLINICIAN, "care": frozenset({"admission"})},
        {**CLINICIAN, "care": frozenset({"medecin_traitant"}), "confidentiality": MASKED},
    ],
    "restricted": [
        {**CLINICIAN, "confidentiality": codes("R")},
        {**CLINICIAN, "confidentiality": codes("R"), "consented": True},
    ],
    "consented": [{**CLINICIAN, "consented": True}],
    "closed": [CLINICIAN, {**CLINICIAN, "purpose": "RESEARCH"}],
}


@pytest.mark.parametrize("name", [rule.name for rule in RULES])
def test_rule(name: str) -> None:
    """A rule without a case fails here."""
    assert CASES[name]
    for case in CASES[name]:
        assert decide(Facts(**case)).name == name, case


def test_names_are_unique_and_every_case_has_its_rule() -> None:
    assert len(BY_NAME) == len(RULES)
    assert set(CASES) == set(BY_NAME)


def test_what_hides_says_nothing_of_the_patient() -> None:
    for rule in RULES:
        if not rule.allows:
            assert "patient" not in rule.says.lower()
            assert "hidden" not in rule.says.lower()


FACTS = st.builds(
    Facts,
    kind=st.sampled_from(Kind),
    confidentiality=st.frozensets(
        st.sampled_from(["N", "R", "V", "MASQUE_PS", "INVISIBLE_PATIENT", "INVISIBLE_REPRESENTANTS_LEGAUX"])
    ),
    roles=st.frozensets(st.sampled_from(["clinician", "patient", "representative", "secretary", "officer"])),
    about=st.sampled_from([None, True, False]),
    purpose=st.sampled_from(["normal", "bris_de_glace", "centre_15", "RESEARCH"]),
    care=st.frozensets(st.sampled_from(["medecin_traitant", "admission", "declared"])),
    **{field.name: st.booleans() for field in fields(Facts) if field.type is bool or field.type == "bool"},
)


@given(FACTS)
def test_more_opposition_never_shows_more(facts: Facts) -> None:
    shown = decide(facts).allows
    for more in ({"opposed": True}, {"emergency_opposed": True}, {"blocked": True, "consented_by_name": False}):
        assert shown or not decide(replace(facts, **more)).allows  # type: ignore[arg-type]


@given(FACTS)
def test_more_confidentiality_never_shows_more(facts: Facts) -> None:
    for code in ("R", "V", "MASQUE_PS", "INVISIBLE_PATIENT", "INVISIBLE_REPRESENTANTS_LEGAUX"):
        stricter = replace(facts, confidentiality=facts.confidentiality | {code})
        assert decide(facts).allows or not decide(stricter).allows
