"""Many at once, and everything that can happen in whatever order."""

import random
import threading
from collections.abc import Callable

import pytest

from hub.context import Context
from hub.patients import matching
from hub.patients.errors import InsConflict
from hub.patients.model import FeedIdentity, Identity, IdentityStatus, MergeIdentities
from hub.patients.scoring import Scorer
from hub.patients.service import PatientService
from hub.patients.store import PatientStore
from hub.patients.store_keys import KeyStore
from hub.patients.weighing import Policy, Weighing
from hub.storage.engine import UnitOfWork
from hub.values import PatientIdentifier
from tests.patients.conftest import A, B, C, identity, ins

WAYS: dict[str, Callable[[int], Identity]] = {
    "ins": lambda number: identity("1", (A, B)[number % 2], ins=ins(), birth_place=""),
    "traits": lambda number: identity("1", (A, B)[number % 2]),
    "one number": lambda _number: identity("1"),
}


def weigh(work: UnitOfWork, store: PatientStore) -> Weighing:
    return Weighing(SCORER, KeyStore(work), store, Policy())


SCORER = Scorer()


def test_eight_feeds_at_once_that_announce_the_same_person_by_score(patients: PatientService) -> None:
    """No INS, no birth place, and a letter more or less: only the score can say it."""
    patients.weigh = weigh
    feeds = [
        identity("1", f"1.2.250.1.999.20.{place}", birth_place="", phone="0298000000", postal_code="29019",
                 birth_name=("Le Goff-Kermarec", "Le Gof-Kermarec")[place % 2])
        for place in range(8)
    ]  # fmt: skip
    patients.directory.accept_new = True
    start = threading.Barrier(len(feeds))
    failures: list[Exception] = []

    def contact(item: Identity) -> None:
        start.wait()
        try:
            patients.feed(FeedIdentity(item), Context())
        except Exception as error:
            failures.append(error)

    threads = [threading.Thread(target=contact, args=(item,)) for item in feeds]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert len({patients.resolve(item.identifier) for item in feeds}) == 1
    rules = {link.rule for link in patients.links(feeds[0].identifier)}
    assert rules == {"score"}


@pytest.mark.parametrize("way", WAYS)
def test_simultaneous_first_contacts_make_one_person(patients: PatientService, way: str) -> None:
    start = threading.Barrier(32)
    found: set[PatientIdentifier] = set()
    failures: list[Exception] = []

    def contact(number: int) -> None:
        start.wait()
        try:
            found.add(patients.feed(FeedIdentity(WAYS[way](number)), Context(source="HIS_C")).regional)
        except Exception as error:
            failures.append(error)

    threads = [threading.Thread(target=contact, args=(number,)) for number in range(32)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert len(found) == 1
    person = patients.person(found.pop())
    assert person is not None
    assert len(person.identities) == (1 if way == "one number" else 2)


def random_identity(chance: random.Random) -> Identity:
    return identity(
        str(chance.randrange(4)),
        chance.choice((A, B, C)),
        ins=chance.choice((None, None, ins(), ins("1790329019123"))),
        status=chance.choice((IdentityStatus.VALIDATED, IdentityStatus.VALIDATED, IdentityStatus.PROVISIONAL)),
        birth_date=chance.choice(("19790315", "19790315", "19800101")),
        sex=chance.choice(("F", "F", "F", "M")),
        attributes=frozenset(chance.choice(((), (), (), (), ("DOUT",), ("HOMO",)))),
    )


@pytest.mark.parametrize("seed", range(4))
def test_whatever_happens_the_rules_hold(patients: PatientService, seed: int) -> None:
    """After any sequence of feeds and merges: one identity of an authority a person, nothing contradicts, every number
    that was ever given still answers, and a lost number answers as its survivor."""
    chance = random.Random(seed)
    given: set[PatientIdentifier] = set()
    survivor_of: dict[PatientIdentifier, PatientIdentifier] = {}
    for step in range(120):
        one = random_identity(chance)
        lost = PatientIdentifier(str(chance.randrange(4)), one.identifier.authority)
        if chance.random() < 0.15 and lost != one.identifier:
            try:
                fed = patients.merge(MergeIdentities(one, lost), Context(source="HIS_C"))
            except InsConflict:
                continue
            survivor_of[lost] = one.identifier
            survivor_of.pop(one.identifier, None)
        else:
            fed = patients.feed(FeedIdentity(one), Context(source="HIS_C"))
        given.add(fed.regional)
        if step % 10 == 9:
            check(patients, given)
        for merged, survivor in survivor_of.items():
            assert patients.resolve(merged) == patients.resolve(survivor)


def check(patients: PatientService, given: set[PatientIdentifier]) -> None:
    seen: dict[PatientIdentifier, PatientIdentifier] = {}
    for regional in given:
        person = patients.person(regional)
        assert person is not None
        assert regional in (person.regional, *person.aliases)
        authorities = [item.identifier.authority for item in person.identities]
        assert len(authorities) == len(set(authorities))
        for one in person.identities:
            assert seen.setdefault(one.identifier, person.regional) == person.regional
            assert patients.resolve(one.identifier) == person.regional
            allies = [other for other in person.identities if matching.basis(one, other)]
            assert len(person.identities) == 1 or allies
            for other in person.identities:
                assert not matching.contradiction(one, other)


def test_feeds_and_merges_at_once_end_in_order(patients: PatientService) -> None:
    """Threads with different hospitals' feeds of the same few people: the rules hold afterwards."""
    given: set[PatientIdentifier] = set()
    failures: list[Exception] = []

    def hospital(seed: int) -> None:
        chance = random.Random(seed)
        for _ in range(40):
            one = random_identity(chance)
            try:
                given.add(patients.feed(FeedIdentity(one), Context(source="HIS_C")).regional)
            except Exception as error:
                failures.append(error)

    threads = [threading.Thread(target=hospital, args=(seed,)) for seed in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    check(patients, given)
