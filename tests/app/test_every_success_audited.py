"""What succeeds is in the trail exactly once: every transaction of the catalogue is carried out here, over real
sockets, and its records are counted. A new transaction without a case fails."""

from collections.abc import Callable, Iterator
from contextlib import suppress

import pytest

from hub.access.service import hash_password
from hub.app.settings.model import Authority, User
from hub.app.settings.sharing import Mobile, Subscriptions
from hub.app.wiring import Hub
from hub.audit.model import AuditOutcome, AuditRecord, AuditSearch
from hub.pipeline.catalogue import discover
from hub.pipeline.transaction import Direction
from tests.access.oauth_hub import TokenHub, token_hub
from tests.app.succeeding import DOCUMENTS
from tests.app.succeeding_people import OTHER, PEOPLE, TOKENS
from tests.hostile import leaking_region
from tests.hostile.leaking_people import CLINICIAN, PASSWORD, signed_in, station
from tests.hostile.leaking_region import Region, bring_in
from tests.waiting import until

SUCCESS = {**DOCUMENTS, **PEOPLE}
GENERATED = {"practiceSettingCode": "AMBULATOIRE^Ambulatoire^1.2.250.1.213.1.1.4.9"}


@pytest.fixture(scope="module")
def region(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Region]:
    arrived: list[str] = []
    clinician = User(login=CLINICIAN, name="Marie", password_argon2=hash_password(PASSWORD), roles=("clinician",))
    with station(arrived) as port:
        given = leaking_region.settings(tmp_path_factory.mktemp("hub"), port, (clinician,))
        more = {
            "authorities": (*given.authorities, Authority(namespace="HOSPITAL_B", oid=OTHER)),
            "subscriptions": Subscriptions(consumers=("127.0.0.1",)),
            "mhd": Mobile.model_validate({"generated": GENERATED}),
        }
        with leaking_region.running(given.model_copy(update=more)) as found:
            found.arrived = arrived
            bring_in(found, "shown", "PX2", "BROCHAND")
            browser = signed_in(found)
            yield found
            browser.close()


@pytest.fixture(scope="module")
def tokens(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TokenHub]:
    with token_hub(tmp_path_factory.mktemp("oauth")) as site:
        yield site


def test_every_transaction_has_a_case() -> None:
    wanted = {
        bound.id
        for bound in discover()
        if bound.transaction.direction is not Direction.INITIATOR and bound.transaction.bindings
    }
    assert wanted == {*SUCCESS, *TOKENS}
    assert not SUCCESS.keys() & TOKENS.keys()


def gained(hub: Hub, transaction: str, wanted: int, act: Callable[[], object]) -> list[AuditRecord]:
    """The records of the transaction that an act leaves: of its success."""
    found = left_by(hub, transaction, wanted, act)
    assert {record.outcome for record in found} == {AuditOutcome.SUCCESS}
    return found


def left_by(hub: Hub, transaction: str, wanted: int, act: Callable[[], object]) -> list[AuditRecord]:
    """The records of the transaction that an act leaves."""

    def records() -> tuple[AuditRecord, ...]:
        assert hub.audit.flush(60)
        return hub.audit.search(AuditSearch(transaction=transaction, limit=500)).records

    before = {record.id for record in records()}
    act()
    until(lambda: len(records()) >= len(before) + wanted)
    found = [record for record in records() if record.id not in before]
    assert len(found) == wanted, [(record.outcome, record.error_code) for record in found]
    return found


@pytest.mark.parametrize("transaction", sorted(SUCCESS))
def test_a_success_is_recorded_once(region: Region, transaction: str) -> None:
    case, wanted = SUCCESS[transaction]
    found = gained(region.hub, transaction, wanted, lambda: case(region, region.people["shown"]))
    if transaction in ("RAD-69", "RAD-75", "RAD-107", "RAD-16", "RAD-8"):
        told = {item.kind: item.reference for record in found for item in record.objects}
        assert told["sop class"]
        study, _, number = told["accession"].partition("|")
        assert (study, number) == (told["study"], study.replace(".", "")[-12:])


@pytest.mark.parametrize("transaction", sorted(TOKENS))
def test_a_token_s_success_is_recorded_once(tokens: TokenHub, transaction: str) -> None:
    gained(tokens.hub, transaction, 1, lambda: TOKENS[transaction](tokens))


@pytest.mark.parametrize("transaction", ["ITI-43", "ITI-39", "XCA-ITI-43", "RAD-69", "RAD-75", "XCA-RAD-69"])
def test_an_answer_of_which_nothing_came_is_no_success(region: Region, transaction: str) -> None:
    case, wanted = SUCCESS[transaction]
    target = region.people["shown"].guessed()

    def act() -> None:
        with suppress(AssertionError):  # of a case that looks whether something came
            case(region, target)

    (record,) = left_by(region.hub, transaction, wanted, act)
    assert record.outcome is AuditOutcome.MINOR_FAILURE
    assert record.error_code in {"document-unique-id-error", "unknown-instance", "unknown-study"}
