"""A proof that is about one person finds nobody else, in any identity question: others are answered as if nobody knew
them, with as many statements; the audit record names nobody who was not told."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from hub.app.patients.about_one import QUESTIONS
from hub.app.wiring import Hub
from hub.context import Context
from hub.errors import HubError
from hub.federation.model import DiscoverPatient, LocatePatient
from hub.patients.lookup_model import Criterion, FindNumbers, MatchPerson, SearchPersons, Trait
from hub.patients.model import CrossReference, FeedIdentity, FindPersons, GetPerson, Identity, IdentityStatus, Traits
from hub.patients.portions_model import Asked, AskedName, ContinueDemographics, QueryDemographics
from hub.patients.visits_model import FindVisits
from hub.usecase import Command
from hub.values import PatientIdentifier
from tests.access.rights_world import DOCTOR, PATIENT, SYSTEM
from tests.hostile import leaking_region
from tests.hostile.leaking_region import OID, Region

ANNE = Traits(birth_name="QUILLERE", birth_given="ANNE", birth_date="19520316", sex="F", birth_place="75112")
BERT = Traits(birth_name="BROCHAND", birth_given="BERT", birth_date="19610709", sex="M", birth_place="69123")
NOBODY = Traits(birth_name="ZZTOPNOM", birth_given="CARL", birth_date="19700101", sex="M", birth_place="13055")
NUMBERS = {"anne": ("PX1", ANNE), "bert": ("PX2", BERT), "nobody": ("PX9", NOBODY)}


@pytest.fixture(scope="module")
def region(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Region]:
    hub = Hub(leaking_region.settings(tmp_path_factory.mktemp("hub")))
    hub.prepare()
    for who in ("anne", "bert"):
        number, traits = NUMBERS[who]
        feed = FeedIdentity(Identity(PatientIdentifier(number, OID), traits, IdentityStatus.VALIDATED))
        hub.dispatch(feed, Context(principal=SYSTEM))
    try:
        yield Region(hub, None)  # type: ignore[arg-type]
    finally:
        hub.stop()


def regional(region: Region, who: str) -> PatientIdentifier:
    found = region.hub.patients.resolve(PatientIdentifier(NUMBERS[who][0], OID))
    return found or PatientIdentifier("R00000000000", region.hub.settings.region.affinity_domain)


def questions(region: Region, who: str) -> dict[str, Command]:
    """Every identity question about somebody, by their numbers and by their traits."""
    number, traits = NUMBERS[who]
    local, theirs = PatientIdentifier(number, OID), regional(region, who)
    stranger = Identity(PatientIdentifier("x", ""), traits)
    asked = Asked(names=(AskedName(traits.birth_name),), born=(traits.birth_date, traits.birth_date))
    family = Criterion(Trait.FAMILY, (traits.birth_name,))
    return {
        "GetPerson": GetPerson(local),
        "GetPerson, regional": GetPerson(theirs),
        "CrossReference": CrossReference(local),
        "FindNumbers": FindNumbers(local),
        "FindNumbers, regional": FindNumbers(PatientIdentifier(theirs.value, ""), regional=True),
        "FindPersons, number": FindPersons(identifier=local),
        "FindPersons, typed": FindPersons(identifier_value=number),
        "FindPersons, name": FindPersons(name=traits.birth_name, birth_date=traits.birth_date),
        "SearchPersons, ids": SearchPersons(ids=(theirs.value,)),
        "SearchPersons, identifiers": SearchPersons(identifiers=((local,),)),
        "SearchPersons, family": SearchPersons(criteria=(family,)),
        "SearchPersons, counted": SearchPersons(criteria=(family,), limit=0),
        "MatchPerson": MatchPerson(stranger),
        "MatchPerson, certain": MatchPerson(stranger, only_certain=True),
        "MatchPerson, number": MatchPerson(stranger, numbers=(local,)),
        "QueryDemographics": QueryDemographics(asked),
        "QueryDemographics, portions": QueryDemographics(asked, query="q1", quantity=0),
        "ContinueDemographics": ContinueDemographics("q-nobody-asked"),
        "FindVisits": FindVisits(asked),
        "DiscoverPatient": DiscoverPatient(traits),
        "DiscoverPatient, number": DiscoverPatient(traits, (local,)),
        "LocatePatient": LocatePatient(local),
    }


NAMES = sorted([
    "GetPerson", "GetPerson, regional", "CrossReference", "FindNumbers", "FindNumbers, regional", "FindPersons, number",
    "FindPersons, typed", "FindPersons, name", "SearchPersons, ids", "SearchPersons, identifiers",
    "SearchPersons, family", "SearchPersons, counted", "MatchPerson", "MatchPerson, certain", "MatchPerson, number",
    "QueryDemographics", "QueryDemographics, portions", "ContinueDemographics", "FindVisits", "DiscoverPatient",
    "DiscoverPatient, number", "LocatePatient",
])  # fmt: skip
#: What is answered with nobody to whoever asks: there are no visits, no stored portions, nobody is certain.
EMPTY = {"FindVisits", "ContinueDemographics", "QueryDemographics, portions", "MatchPerson, certain"}


def ask(region: Region, command: Command, context: Context) -> Any:
    try:
        return region.hub.dispatch(command, context)
    except HubError as error:
        return type(error), error.location, str(error)


def test_every_identity_question_is_asked(region: Region) -> None:
    asked = questions(region, "anne")
    assert sorted(asked) == NAMES
    assert {type(command) for command in asked.values()} == set(QUESTIONS)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("proof", ["professional's", "patient's"])
def test_others_are_nobody(region: Region, name: str, proof: str, monkeypatch: pytest.MonkeyPatch) -> None:
    me = replace(DOCTOR if proof == "professional's" else PATIENT, about=regional(region, "anne").cx)
    found, counts = [], []
    for who in ("bert", "nobody"):
        command, context = questions(region, who)[name], Context(principal=me)
        ask(region, command, Context(principal=me))  # what is remembered is remembered now
        with region.counted(monkeypatch) as statements:
            found.append(ask(region, command, context))
        counts.append([statement[:160] for statement in statements])
        assert not [item for item in context.touched if item.kind == "patient"]
    assert found[0] == found[1]
    assert len(counts[0]) == len(counts[1]), "\n".join(["", *counts[0], "-", *counts[1]])
    if name not in EMPTY:
        assert ask(region, questions(region, "bert")[name], Context(principal=SYSTEM)) != found[0]


@pytest.mark.parametrize("name", sorted(set(NAMES) - EMPTY - {"SearchPersons, counted"}))
def test_the_one_person_is_found(region: Region, name: str) -> None:
    me, command = replace(DOCTOR, about=regional(region, "anne").cx), questions(region, "anne")[name]
    context = Context(principal=me)
    assert ask(region, command, context) == ask(region, command, Context(principal=SYSTEM))
    told = {item.reference for item in context.touched if item.kind == "patient"}
    assert told == {regional(region, "anne").cx}


def test_a_patient_s_proof_that_names_nobody(region: Region) -> None:
    me = replace(PATIENT, about="")
    for name, command in questions(region, "anne").items():
        nobody = ask(region, questions(region, "nobody")[name], Context(principal=me))
        assert ask(region, command, Context(principal=me)) == nobody, name
