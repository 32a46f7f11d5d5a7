"""An import links as the same messages, one by one and in that order, would."""

import random
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from hub.app.patients.matching import weigh
from hub.app.settings.model import Matching
from hub.context import Context
from hub.errors import HubError
from hub.patients.authorities import AuthorityDirectory
from hub.patients.bulk import BulkService
from hub.patients.bulk_errors import ImportElsewhere
from hub.patients.bulk_model import Entry
from hub.patients.forms import forms
from hub.patients.model import FeedIdentity, Identity, IdentityStatus, MergeIdentities
from hub.patients.service import PatientService
from hub.patients.store_tables import IDENTITY, LINK, NAME, PERSON, TASK
from hub.storage.engine import Database
from hub.testing.population import population
from hub.usecase import Command, Dispatcher
from tests.patients.conftest import DOMAIN, A, B, identity, ins

ROUND = 120
_NUMBERED = ("id", "person", "home", "survivor", "updated_at")  #: an identity's columns that differ


@pytest.fixture
def apart(tmp_path: Path) -> Iterator[Database]:
    """A database of its own, for what is done one by one."""
    database = Database(f"sqlite:///{tmp_path}/apart.sqlite")
    database.create_all()
    yield database
    database.dispose()


def index(database: Database, *, score: bool) -> PatientService:
    directory = AuthorityDirectory(database=database, accept_new=True)
    patients = PatientService(database=database, directory=directory, affinity_domain=DOMAIN)
    patients.weigh = weigh(Matching(enabled=True)) if score else None
    return patients


def bulk(patients: PatientService) -> BulkService:
    dispatch = Dispatcher([patients])
    return BulkService(patients=patients, carry_out=dispatch)


def entries(commands: Sequence[Command]) -> list[Entry]:
    """Every other one with the forms that a reader in a process of its own adds."""
    return [
        Entry(number, number, command, forms=forms(command.identity.traits))
        if number % 2 and isinstance(command, FeedIdentity)
        else Entry(number, number, command)
        for number, command in enumerate(commands, 1)
    ]


def run(service: BulkService, commands: Sequence[Command], size: int) -> Any:
    at = service.begin("import", "source")
    every = entries(commands)
    for start in range(0, len(every), size):
        at = service.take(at, every[start : start + size], Context)
    return at


def story(seed: int) -> list[Command]:
    """Announcements of a few families, some of them again, changed, with another's INS, merged."""
    chance = random.Random(seed)
    people = [found for _, found in population(seed, ROUND)]
    commands: list[Command] = [FeedIdentity(item) for item in people]
    for item in chance.sample(people, 30):
        other = chance.choice(people)
        commands += [
            FeedIdentity(item),
            FeedIdentity(replace(item, traits=replace(item.traits, phone="0600000000"))),
            FeedIdentity(replace(item, traits=replace(item.traits, birth_name=other.traits.birth_name))),
            FeedIdentity(replace(item, ins=other.ins, status=IdentityStatus.QUALIFIED)),
        ][: chance.randint(1, 4)]
    chance.shuffle(commands)
    for _ in range(4):
        own = people[0].identifier.authority
        one, lost = chance.sample([item for item in people if item.identifier.authority == own], 2)
        commands.insert(chance.randrange(len(commands)), MergeIdentities(one, lost.identifier))
    return commands


def picture(database: Database) -> dict[str, Any]:
    """Who is with whom, by which edges, and what is asked: without ids and times."""
    with database.engine.connect() as connection:
        rows = connection.execute(select(IDENTITY)).mappings().all()
        links = connection.execute(select(LINK)).mappings().all()
        tasks = connection.execute(select(TASK)).mappings().all()
        names = connection.execute(select(NAME.c.key, NAME.c.identity)).all()
        survivors = dict(connection.execute(select(PERSON.c.id, PERSON.c.survivor)).all())
    number = {row["id"]: (row["value"], row["authority"]) for row in rows}
    persons: dict[int, set[Any]] = {}
    for row in rows:
        persons.setdefault(survivors[row["person"]] or row["person"], set()).add(number[row["id"]])
    described = {
        number[row["id"]]: {name: value for name, value in row.items() if name not in _NUMBERED} for row in rows
    }
    return {
        "identities": described,
        "names": sorted((key, number[identity]) for key, identity in names),
        "persons": sorted(sorted(members) for members in persons.values()),
        "links": sorted((number[r["one"]], number[r["other"]], r["rule"], r["ended_why"]) for r in links),
        "tasks": sorted((r["kind"], number[r["identity"]], r["closed_at"] is None) for r in tasks),
    }


@pytest.mark.parametrize("score", [False, True])
@pytest.mark.parametrize("seed", [1, 2])
@pytest.mark.parametrize("size", [7, 1000])
def test_same_persons_same_links(database: Database, apart: Database, seed: int, size: int, score: bool) -> None:
    commands = story(seed)
    one_by_one = index(apart, score=score)
    dispatch, refused = Dispatcher([one_by_one]), 0
    for command in commands:
        try:
            dispatch(command, Context())
        except HubError:
            refused += 1
    done = run(bulk(index(database, score=score)), commands, size)
    assert picture(database) == picture(apart)
    assert (done.position, done.refused) == (len(commands), refused)


def test_a_record_that_fails_is_refused_alone(patients: PatientService) -> None:
    bad = FeedIdentity(identity("9", "1.2.3.4"))  # nobody's authority
    service = bulk(patients)
    done = run(service, [FeedIdentity(identity("1")), bad, FeedIdentity(identity("2", B)), bad, bad], 1000)
    assert (done.taken, done.refused, done.created, done.linked) == (2, 3, 1, 1)
    assert [(item.record, item.code) for item in service.refusals("import")] == [
        (2, "unknown-authority"), (4, "unknown-authority"), (5, "unknown-authority")
    ]  # fmt: skip
    assert service.reasons("import") == [("unknown-authority", 3)]


def test_records_that_fail_for_what_is_known_are_refused_among_others(patients: PatientService) -> None:
    """More of them than a batch is tried again for: merges of a number with itself, between announcements."""
    commands: list[Command] = []
    for number in range(60):
        mine = identity(str(number), birth_name=f"Martin{chr(65 + number % 26)}{number // 26}")
        commands += [FeedIdentity(mine), MergeIdentities(mine, mine.identifier)]
    done = run(bulk(patients), commands, 1000)
    assert (done.position, done.taken, done.created, done.refused) == (120, 60, 60, 60)
    found = list(bulk(patients).refusals("import"))
    assert [item.record for item in found] == list(range(2, 121, 2))
    assert {item.code for item in found} == {"invalid-merge"}


def test_only_one_goes_on_with_an_import(patients: PatientService) -> None:
    service = bulk(patients)
    at = service.begin("import", "source")
    service.take(at, entries([FeedIdentity(identity("1"))]), Context)
    with pytest.raises(ImportElsewhere):
        service.take(at, entries([FeedIdentity(identity("2"))]), Context)
    assert patients.person(identity("2").identifier) is None


def test_a_trial_leaves_nothing(patients: PatientService) -> None:
    service = bulk(patients)
    at = service.begin("import", "source")
    known = [FeedIdentity(identity("1", ins=ins())), FeedIdentity(identity("9", "1.2.3.4"))]
    after, refused = service.trial(at, entries(known), Context)
    assert (after.taken, [item.record for item in refused]) == (1, [2])
    assert patients.person(identity("1").identifier) is None
    assert service.begin("import", "source").position == 0


def test_identities_keep_their_form(patients: PatientService) -> None:
    sent: Identity = identity("1", A, attributes=frozenset({"HOMO"}))
    run(bulk(patients), [FeedIdentity(sent)], 10)
    found = patients.person(sent.identifier)
    assert found is not None
    assert found.identities[0].attributes == {"HOMO"}
    assert found.identities[0].traits == sent.traits
