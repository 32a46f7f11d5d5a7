"""Whatever is said in whatever order, what must hold holds."""

import itertools
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import select

from hub.context import Context
from hub.errors import HubError
from hub.patients.authorities import AuthorityDirectory
from hub.patients.grouping import group
from hub.patients.linking import AUTOMATIC
from hub.patients.model import FeedIdentity, Identity, IdentityStatus, MergeIdentities
from hub.patients.service import PatientService
from hub.patients.steward_model import (
    ChangeIdentifier,
    LinkIdentities,
    OwnerLink,
    OwnerUnlink,
    UnlinkIdentities,
    WithdrawIdentity,
)
from hub.patients.stewardship import Stewardship
from hub.patients.store_links import NO_MATCH, Edge
from hub.patients.store_tables import IDENTITY, LINK
from hub.storage.engine import Database
from hub.values import PatientIdentifier
from tests.patients.conftest import DOMAIN, identity, ins

EXAMPLES = itertools.count(1)
NUMBERS = st.tuples(st.integers(0, 2), st.integers(0, 2))  # which hospital, which number
SAID = st.tuples(
    NUMBERS,
    st.sampled_from((0, 0, 0, 1, 2)),  # which INS
    st.sampled_from((True, True, True, False)),  # checked
    st.sampled_from(("19790315", "19790315", "19800101")),
    st.sampled_from(("F", "F", "F", "M")),
)
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("feed"), SAID),
        st.tuples(st.just("feed"), SAID),
        st.tuples(st.sampled_from(("a40", "a47")), SAID, st.integers(0, 2)),
        st.tuples(st.just("a24"), SAID, SAID),
        st.tuples(st.sampled_from(("a37", "link", "unlink", "undone")), NUMBERS, NUMBERS),
        st.tuples(st.just("a29"), NUMBERS),
    ),
    min_size=4,
    max_size=24,
)


class World:
    """A few people of three hospitals, apart from those of every other example."""

    def __init__(self, database: Database) -> None:
        self.key = next(EXAMPLES)
        directory = AuthorityDirectory(database=database, accept_new=True)
        self.patients = PatientService(database=database, directory=directory, affinity_domain=DOMAIN)
        self.stewards = Stewardship(patients=self.patients)
        self.given: set[PatientIdentifier] = set()

    def number(self, which: tuple[int, int]) -> PatientIdentifier:
        return PatientIdentifier(str(which[1]), f"1.2.3.{self.key}.{which[0]}")

    def identity(self, said: tuple[Any, ...]) -> Identity:
        which, number, checked, born, sex = said
        return identity(
            str(which[1]),
            f"1.2.3.{self.key}.{which[0]}",
            birth_name=f"Le Goff {self.key}",
            ins=ins(f"2790329{2 * self.key + number:06d}") if number else None,
            status=IdentityStatus.VALIDATED if checked else IdentityStatus.PROVISIONAL,
            birth_date=born,
            sex=sex,
        )

    def say(self, step: tuple[Any, ...]) -> None:
        patients, stewards, context = self.patients, self.stewards, Context()
        kind, first, second = (*step, None)[:3]
        sayings: dict[str, Callable[[], Any]] = {
            "feed": lambda: patients.feed(FeedIdentity(self.identity(first)), context),
            "a40": lambda: patients.merge(
                MergeIdentities(self.identity(first), self.number((first[0][0], second))), context
            ),
            "a47": lambda: patients.change_identifier(
                ChangeIdentifier(self.identity(first), self.number((first[0][0], second))), context
            ),
            "a24": lambda: patients.owner_link(OwnerLink(self.identity(first), self.identity(second)), context),
            "a37": lambda: patients.owner_unlink(OwnerUnlink(self.number(first), self.number(second)), context),
            "a29": lambda: patients.withdraw(WithdrawIdentity(self.number(first)), context),
            "link": lambda: stewards.link(LinkIdentities(self.number(first), self.number(second), "x"), context),
            "unlink": lambda: stewards.unlink(UnlinkIdentities(self.number(first), self.number(second), "x"), context),
            "undone": lambda: self.undone(self.number(first), self.number(second)),
        }
        before = self.persons()
        try:
            said = sayings[kind]()
        except HubError:
            assert self.persons() == before  # all or nothing
            return
        if said is not None and hasattr(said, "regional"):
            self.given.add(said.regional)

    def undone(self, one: PatientIdentifier, other: PatientIdentifier) -> None:
        before = self.persons()
        both = {self.patients.resolve(one), self.patients.resolve(other)}
        self.stewards.link(LinkIdentities(one, other, "x"), Context())
        others = {key: group for key, group in before.items() if self.patients.resolve(key) == key and key not in both}
        joined = {key: group for key, group in self.persons().items() if key in others}
        self.stewards.unlink(UnlinkIdentities(one, other, "x"), Context())
        if len(both) == 2 and joined == others:
            assert self.persons() == before

    def rows(self) -> list[Any]:
        with self.patients.database.reading() as work:
            query = select(IDENTITY.c.id, IDENTITY.c.person, IDENTITY.c.value, IDENTITY.c.authority, IDENTITY.c.active)
            return list(work.connection.execute(query.where(IDENTITY.c.authority.like(f"1.2.3.{self.key}.%"))))

    def persons(self) -> dict[PatientIdentifier, frozenset[PatientIdentifier]]:
        """Every regional number, and which hospitals' numbers it means."""
        found: dict[PatientIdentifier, frozenset[PatientIdentifier]] = {}
        for regional in self.given:
            person = self.patients.person(regional)
            assert person is not None
            found[regional] = frozenset(item.identifier for item in person.identities)
            for alias in person.aliases:
                found.setdefault(alias, found[regional])
        return found

    def edges(self) -> list[Edge]:
        ids = [row[0] for row in self.rows()]
        with self.patients.database.reading() as work:
            query = select(LINK.c.id, LINK.c.one, LINK.c.other, LINK.c.rule)
            return [
                Edge(*row)
                for row in work.connection.execute(query.where(LINK.c.one.in_(ids), LINK.c.ended_at.is_(None)))
            ]

    def check(self) -> None:
        rows, live = self.rows(), self.edges()
        edges = [edge for edge in live if edge.rule != NO_MATCH]
        person = {row[0]: row[1] for row in rows}
        for key, owner in person.items():  # persons are what live edges connect
            assert group(key, edges) == {other for other in person if person[other] == owner}
        for key, _, value, authority, active in rows:
            regional = self.patients.resolve(PatientIdentifier(value, authority))
            assert regional is not None
            found = self.patients.person(regional)
            assert found is not None
            assert active == (PatientIdentifier(value, authority) in {item.identifier for item in found.identities})
            assert key in person
        for regional in self.given:
            assert self.patients.resolve(regional) is not None
        self.check_no_matches(live, edges)

    def check_no_matches(self, live: list[Edge], edges: list[Edge]) -> None:
        """Nothing that the hub did by itself brings together whom somebody parted."""
        by_people = [edge for edge in edges if edge.rule not in AUTOMATIC]
        for barred in (edge for edge in live if edge.rule == NO_MATCH):
            if barred.other in group(barred.one, edges):
                assert barred.other in group(barred.one, by_people)


@pytest.mark.filterwarnings("ignore::hypothesis.errors.NonInteractiveExampleWarning")
def test_what_must_hold_holds(database: Database) -> None:
    @settings(max_examples=40, deadline=None, database=None, derandomize=True, suppress_health_check=list(HealthCheck))
    @given(STEPS)
    def hold(steps: list[tuple[Any, ...]]) -> None:
        world = World(database)
        for step in steps:
            world.say(step)
        world.check()

    hold()
