"""Words follow the persons that identities belong to, at the next question: links, merges, changed numbers."""

import threading

import pytest

from hub.access.consents import ConsentService
from hub.access.model import Principal, Scheme
from hub.access.rights import RightsService
from hub.access.rights_model import Choice, Kind, Matter, RecordConsent, Said, Thing
from hub.context import Context
from hub.patients.authorities import AuthorityDirectory
from hub.patients.known import KnownPersons
from hub.patients.model import Authority, FeedIdentity, IdentityStatus, MergeIdentities
from hub.patients.service import PatientService
from hub.patients.steward_model import ChangeIdentifier
from hub.storage.engine import Database
from hub.values import PatientIdentifier, now
from tests.access.rights_world import consent
from tests.patients.conftest import DOMAIN, A, B, identity, ins

SYSTEM = Context(principal=Principal("HIS", scheme=Scheme.CERTIFICATE), source="HIS")


class Site:
    """A region with its rights."""

    def __init__(self, database: Database) -> None:
        directory = AuthorityDirectory(database=database, configured=[Authority(A, "A"), Authority(B, "B")])
        self.patients = PatientService(database=database, directory=directory, affinity_domain=DOMAIN)
        self.rights = RightsService(database=database, people=KnownPersons(self.patients))
        self.consents = ConsentService(self.rights)
        self.patients.heard.append(self.consents.heard)

    def feed(self, value: str, authority: str, choice: Choice | None = None, **more: object) -> PatientIdentifier:
        said = (Said(Matter.CONSULTATION, choice, now()),) if choice is not None else ()
        known = identity(value, authority, status=IdentityStatus.QUALIFIED, **more)  # type: ignore[arg-type]
        return self.patients.feed(FeedIdentity(known, said=said), SYSTEM).regional

    def shown(self, *identifiers: PatientIdentifier) -> list[bool]:
        return list(self.rights.visible([Thing(Kind.DOCUMENT, item) for item in identifiers], SYSTEM))


@pytest.fixture
def site(database: Database) -> Site:
    return Site(database)


def number(value: str, authority: str = A) -> PatientIdentifier:
    return PatientIdentifier(value, authority)


def test_linking_and_parting(site: Site) -> None:
    one = site.feed("1", A, birth_name="MARTIN")
    other = site.feed("2", B, Choice.OPPOSITION, ins=ins())
    assert site.shown(one, other, number("1"), number("2", B)) == [True, False, True, False]
    site.feed("1", A, ins=ins())  # one person now
    assert site.shown(one, other, number("1"), number("2", B), ins()) == [False] * 5
    site.feed("1", A, birth_name="MARTIN", ins=ins("1810329019124"))  # and two again
    assert site.shown(number("1"), number("2", B)) == [True, False]
    site.feed("2", B, Choice.CONSENT, ins=ins())
    assert site.shown(number("1"), number("2", B)) == [True, True]


def test_a_merge_takes_the_words_along(site: Site) -> None:
    site.feed("1", A, Choice.OPPOSITION, birth_name="MARTIN")
    kept = site.feed("2", A, birth_name="DURAND")
    assert site.shown(kept) == [True]
    site.patients.merge(MergeIdentities(identity("2", A, birth_name="DURAND"), number("1")), SYSTEM)
    assert site.shown(kept, number("1"), number("2")) == [False] * 3
    site.feed("2", A, Choice.CONSENT, birth_name="DURAND")
    assert site.shown(kept, number("1")) == [True] * 2


def test_a_changed_number_takes_the_words_along(site: Site) -> None:
    site.feed("1", A, Choice.OPPOSITION)
    site.patients.change_identifier(ChangeIdentifier(identity("9", A), number("1")), SYSTEM)
    assert site.shown(number("9"), number("1")) == [False, False]


def test_words_under_the_regional_number_and_the_ins(site: Site) -> None:
    one = site.feed("1", A, ins=ins())
    site.consents.record(RecordConsent(consent(identity=one)), SYSTEM)
    assert site.shown(number("1"), ins()) == [False, False]
    site.consents.record(RecordConsent(consent(Choice.CONSENT, identity=ins(), days=0)), SYSTEM)
    assert site.shown(number("1"), one) == [True, True]


def test_what_a_refused_message_says_is_not_kept(site: Site) -> None:
    one = site.feed("1", A)

    def refused() -> None:
        with site.patients.database.transaction():
            site.feed("1", A, Choice.OPPOSITION)
            assert site.shown(one) == [False]
            raise RuntimeError

    with pytest.raises(RuntimeError):
        refused()
    assert site.shown(one) == [True]


def test_many_persons_at_once(site: Site) -> None:
    persons = [site.feed(str(item), A, birth_name=f"N{item}") for item in range(1, 12)]
    for item in (3, 7):
        site.feed(str(item), A, Choice.OPPOSITION, birth_name=f"N{item}")
    nobody = PatientIdentifier("nobody", DOMAIN)
    assert site.shown(*persons, nobody) == [item not in (3, 7) for item in range(1, 12)] + [True]


def test_feeds_and_questions_at_the_same_time(site: Site) -> None:
    one = site.feed("1", A)
    failed: list[BaseException] = []

    def work(choice: Choice) -> None:
        try:
            for _ in range(5):
                site.feed("1", A, choice)
                site.shown(one)
        except BaseException as error:
            failed.append(error)

    threads = [threading.Thread(target=work, args=(choice,)) for choice in (Choice.CONSENT, Choice.OPPOSITION) * 2]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert failed == []
    site.feed("1", A, Choice.OPPOSITION)
    assert site.shown(one) == [False]
