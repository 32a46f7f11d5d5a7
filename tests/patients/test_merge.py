"""A40: the owner merges two of its numbers; the old ones keep answering."""

from collections.abc import Callable

import pytest

from hub.context import Context
from hub.patients.authorities import AuthorityDirectory
from hub.patients.errors import AuthorityNotOwned, InsConflict, InvalidMerge, UnknownAuthority
from hub.patients.model import (
    CrossReference,
    Fed,
    FeedIdentity,
    Identity,
    IdentityStatus,
    MergeIdentities,
    TaskKind,
    Traits,
)
from hub.patients.service import PatientService
from hub.storage.engine import Database
from hub.values import PatientIdentifier
from tests.patients.conftest import DOMAIN, A, B, C, identity, ins

Feed = Callable[[Identity], Fed]


def number(value: str, authority: str = A) -> PatientIdentifier:
    return PatientIdentifier(value, authority)


@pytest.fixture
def merge(patients: PatientService) -> Callable[[Identity, str], Fed]:
    return lambda survivor, lost: patients.merge(
        MergeIdentities(survivor, number(lost, survivor.identifier.authority)), Context()
    )


Merge = Callable[[Identity, str], Fed]


def test_the_lost_number_and_its_person_answer_as_the_survivor(
    feed: Feed, merge: Merge, patients: PatientService
) -> None:
    kept, lost = feed(identity("1")), feed(identity("2"))
    fed = merge(identity("1"), "2")
    assert (fed.regional, fed.lost, fed.reason) == (kept.regional, lost.regional, "merge")
    for identifier in (number("1"), number("2"), kept.regional, lost.regional):
        assert patients.resolve(identifier) == kept.regional
    person = patients.person(number("2"))
    assert person is not None
    assert [item.identifier.value for item in person.identities] == ["1"]
    assert person.aliases == (lost.regional,)
    assert feed(identity("2", phone="0102030405")).reason == "merged"
    assert patients.cross_reference(CrossReference(number("2"), (A,)), Context()) == (number("1"),)


def test_other_hospitals_stay_with_their_person_unless_the_survivor_matches(
    feed: Feed, merge: Merge, patients: PatientService
) -> None:
    other = feed(identity("b", B))
    feed(identity("2"))
    provisional = feed(identity("1", status=IdentityStatus.PROVISIONAL))
    merge(identity("1", status=IdentityStatus.PROVISIONAL), "2")
    assert patients.resolve(number("2")) == provisional.regional
    assert patients.resolve(number("b", B)) == other.regional
    assert feed(identity("1")).regional == patients.resolve(number("b", B))


def test_a_survivor_that_matches_joins_when_its_rival_is_gone(
    feed: Feed, merge: Merge, patients: PatientService
) -> None:
    other = feed(identity("b", B))
    feed(identity("1"))
    feed(identity("2"))
    assert patients.resolve(number("2")) != other.regional
    merge(identity("2"), "1")
    everyone = {patients.resolve(item) for item in (number("1"), number("2"), number("b", B))}
    assert everyone == {other.regional}


def test_unknown_numbers_are_made(merge: Merge, patients: PatientService, feed: Feed) -> None:
    fed = merge(identity("1"), "2")
    assert fed.created
    assert patients.resolve(number("2")) == patients.resolve(number("1")) == fed.regional
    assert feed(identity("2")).reason == "merged"


def test_merging_there_and_back_and_in_chains_ends_somewhere(
    feed: Feed, merge: Merge, patients: PatientService
) -> None:
    for value in "123":
        feed(identity(value))
    merge(identity("2"), "1")
    merge(identity("3"), "2")
    assert patients.resolve(number("1")) == patients.resolve(number("3"))
    back = merge(identity("1"), "3")
    assert {patients.resolve(number(value)) for value in "123"} == {back.regional}
    person = patients.person(number("2"))
    assert person is not None
    assert [item.identifier.value for item in person.identities] == ["1"]


def test_a_merge_that_says_little_takes_nothing_away(feed: Feed, merge: Merge, patients: PatientService) -> None:
    feed(identity("1", ins=ins()))
    merge(Identity(number("1"), Traits()), "2")
    person = patients.person(number("1"))
    assert person is not None
    assert person.status is IdentityStatus.QUALIFIED
    assert person.traits.birth_name == "Le Goff"


def test_what_is_no_merge_is_refused(patients: PatientService, merge: Merge) -> None:
    with pytest.raises(InvalidMerge):
        merge(identity("1"), "1")
    with pytest.raises(InvalidMerge):
        patients.merge(MergeIdentities(identity("1"), number("1", B)), Context())


def test_an_authority_belongs_to_its_feed(patients: PatientService) -> None:
    with pytest.raises(AuthorityNotOwned):
        patients.feed(FeedIdentity(identity("1", C)), Context(source="HIS_A"))
    with pytest.raises(AuthorityNotOwned):
        patients.feed(FeedIdentity(identity("1", DOMAIN)), Context())
    with pytest.raises(UnknownAuthority):
        patients.feed(FeedIdentity(identity("1", "1.2.3")), Context())
    with pytest.raises(UnknownAuthority):
        patients.feed(FeedIdentity(Identity(PatientIdentifier("1", "", namespace="NOBODY"), Traits())), Context())


def test_a_namespace_alone_is_enough(patients: PatientService) -> None:
    patients.feed(FeedIdentity(Identity(PatientIdentifier("1", "", namespace="HOSP_A"), Traits())), Context())
    person = patients.person(PatientIdentifier("1", "", namespace="HOSP_A"))
    assert person is not None
    assert person.identities[0].identifier.namespace == "HOSP_A"
    assert person.identities[0].identifier.authority == A


@pytest.fixture
def sandbox(database: Database) -> PatientService:
    directory = AuthorityDirectory(database=database, accept_new=True)
    return PatientService(
        database=database,
        directory=directory,
        affinity_domain=DOMAIN,
        other_affinity_domains=["1.2.9"],
        external_index=True,
    )


def test_the_sandbox_learns_authorities(sandbox: PatientService, database: Database) -> None:
    sandbox.feed(FeedIdentity(Identity(PatientIdentifier("1", "", namespace="NEW"), Traits(birth_name="A"))), Context())
    sandbox.feed(FeedIdentity(identity("1", "1.2.3")), Context())
    again = AuthorityDirectory(database=database, accept_new=True)
    learned = again.by_namespace("NEW")
    assert learned is not None
    assert learned.oid.startswith("2.25.")
    assert {authority.oid for authority in again.all()} == {"1.2.3", learned.oid}
    assert sandbox.resolve(PatientIdentifier("1", learned.oid)) is not None


def test_an_external_index_says_who_is_who(sandbox: PatientService) -> None:
    regional = PatientIdentifier("X1", "1.2.9")
    context = Context()
    assert sandbox.feed(FeedIdentity(identity("X1", "1.2.9")), context).regional == regional
    assert sandbox.registered(regional)
    assert not sandbox.registered(PatientIdentifier("X2", "1.2.9"))
    local = identity("1", "1.2.3", birth_name="Martin", others=(regional,))
    assert sandbox.feed(FeedIdentity(local), context).regional == regional
    elsewhere = PatientIdentifier("X3", "1.2.9")
    moved = identity("1", "1.2.3", birth_name="Martin", others=(elsewhere,))
    assert sandbox.feed(FeedIdentity(moved), context).regional == elsewhere
    assert sandbox.resolve(regional) == regional


def test_an_external_merge_makes_an_alias(sandbox: PatientService) -> None:
    one, two = (PatientIdentifier(value, DOMAIN) for value in ("X1", "X2"))
    sandbox.feed(FeedIdentity(identity("X1", DOMAIN)), Context())
    sandbox.feed(FeedIdentity(identity("X2", DOMAIN)), Context())
    assert sandbox.resolve(two) == two
    sandbox.feed(FeedIdentity(identity("7", "1.2.3", birth_name="Martin", others=(two,))), Context())
    fed = sandbox.merge(MergeIdentities(identity("X1", DOMAIN), two), Context())
    assert (fed.regional, fed.lost) == (one, two)
    assert sandbox.equivalents(two) == (one, two)
    assert (sandbox.registered(one), sandbox.registered(two)) == (True, False)
    assert sandbox.resolve(PatientIdentifier("7", "1.2.3")) == one
    unknown = PatientIdentifier("X9", DOMAIN)
    sandbox.merge(MergeIdentities(identity("X1", DOMAIN), unknown), Context())
    assert sandbox.resolve(unknown) == one


def test_an_external_merge_of_two_ins_is_refused_and_asked(sandbox: PatientService) -> None:
    one, two = number("X1", DOMAIN), number("X2", DOMAIN)
    jean, marie = (
        identity(value, authority, birth_given=given, sex=sex, others=(regional,),
                 ins=ins(matricule), status=IdentityStatus.QUALIFIED)
        for value, authority, given, sex, regional, matricule in (
            ("1", A, "Jean", "M", one, "1790329019123"), ("2", B, "Marie", "F", two, "2790329019123"),
        )
    )  # fmt: skip
    for item in (jean, marie):
        sandbox.feed(FeedIdentity(item), Context())
    for lost in (two, one):
        kept = {one: two, two: one}[lost]
        with pytest.raises(InsConflict):
            sandbox.merge(MergeIdentities(identity(kept.value, DOMAIN), lost), Context())
    assert sandbox.resolve(number("1")) == one
    assert sandbox.resolve(number("2", B)) == two
    assert {task.kind for task in sandbox.tasks()} == {TaskKind.INS_CONFLICT}
