"""From the final report to the national record and back: every state, over TLS against the simulator."""

import io
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from pydicom import dcmread

from hub.access.rights_model import Matter
from hub.context import Context
from hub.documents.model import DocumentEntry
from hub.documents.store import DocumentStore
from hub.exchange.model import DeliveryState, Page
from hub.imaging.manifest_model import Flavour
from hub.record.errors import PublicationNotFound, PublicationNotHeld
from hub.record.model import ADVICE, ListPublications, PublicationState, Reason, RetryHeld, RetryPublication
from hub.storage.engine import Database
from hub.testing.dmp.pki import make_pki
from hub.testing.dmp.server import DmpSimulator
from hub.testing.dmp.state import APPROVED, DELETED, DEPRECATED, Faults, Person
from hub.values import Code, PatientIdentifier
from tests.connectors.dmp_site import INS
from tests.imaging.archive import STUDY
from tests.record.national import Nation, nation

OTHER = PatientIdentifier("207058575627097", INS.authority, "INS")
BOTH = {"manifest": "sent", "report": "sent"}


@pytest.fixture(scope="session")
def pki(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_pki(tmp_path_factory.mktemp("dmp-pki"))


@pytest.fixture
def dmp(pki: Path) -> Iterator[DmpSimulator]:
    with DmpSimulator(pki) as simulator:
        yield simulator


@pytest.fixture
def region(database: Database, tmp_path: Path, dmp: DmpSimulator) -> Iterator[Nation]:
    made = nation(database, tmp_path, dmp)
    yield made
    made.rooms.imaging.close()
    made.connector.close()


def person(region: Nation) -> Person:
    return region.dmp.state.persons[f"{INS.cx}^NH"]


def test_a_final_report_brings_report_and_manifest(region: Nation) -> None:
    region.qualify()
    report = region.report()
    region.work()
    assert region.states() == BOTH
    there = region.there(APPROVED)
    assert there["18748-4"].unique_id == report
    manifest = dcmread(io.BytesIO(there["IMG-KOS"].content))
    assert manifest.PatientID == INS.value
    assert manifest.AccessionNumber == ""
    assert manifest.SOPInstanceUID == there["IMG-KOS"].unique_id
    series = manifest.CurrentRequestedProcedureEvidenceSequence[0].ReferencedSeriesSequence[0]
    assert series.RetrieveURL.startswith(f"https://hub.example/dicom-web/studies/{STUDY}/series/")
    region.work()
    sends = [item for item in region.dmp.state.asked if item.action.endswith("ProvideAndRegisterDocumentSet-b")]
    assert len(sends) == 2


def test_a_region_that_publishes_drim_m_sends_its_own_manifest(
    database: Database, tmp_path: Path, dmp: DmpSimulator
) -> None:
    region = nation(database, tmp_path, dmp, Flavour.DRIM_M)
    regional = region.qualify()
    region.report()
    region.work()
    assert region.states() == BOTH
    own = region.rooms.found(regional, mime="application/dicom")
    assert [entry.unique_id for entry in own] == [region.there()["IMG-KOS"].unique_id]
    region.rooms.imaging.close()
    region.connector.close()


def test_a_correction_replaces(region: Nation) -> None:
    region.qualify()
    first = region.report()
    region.work()
    second = region.report(status="C")
    region.work()
    assert region.states() == {"manifest": "sent", "report": "replaced"}
    states = {item.unique_id: item.status for item in region.dmp.state.of(f"{INS.cx}^NH")}
    assert (states[first], states[second]) == (DEPRECATED, APPROVED)


def test_a_cancellation_deletes_report_and_manifest(region: Nation) -> None:
    region.qualify()
    report = region.report()
    region.work()
    region.report(status="D", document_id=report)
    region.work()
    assert region.states() == {"manifest": "no-report", "report": "withdrawn"}
    assert {item.status for item in region.there().values()} == {DELETED}


def test_an_unqualified_identity_waits_until_it_is_qualified(region: Nation) -> None:
    region.qualify(None)
    region.report()
    region.work()
    assert set(region.states().values()) == {Reason.NOT_QUALIFIED.value}
    assert region.dmp.state.asked == []
    region.qualify()
    region.work()
    assert region.states()["report"] == "sent"
    assert region.there(APPROVED)["IMG-KOS"]


def test_another_number_moves_what_was_sent(region: Nation) -> None:
    region.qualify()
    region.report()
    region.work()
    region.dmp.state.add(Person(OTHER.value, OTHER.authority))
    row = next(item for item in region.publications() if item.kind == "manifest")
    with region.service.database.transaction() as work:
        work.connection.exec_driver_sql(
            f"UPDATE record_publication SET record_patient = '{OTHER.cx}', state = 'held', reason = 'refused'"
            f" WHERE id = '{row.id}'"
        )
    region.desk.retry(RetryPublication(row.id), Context())
    region.work()  # in the other record there is nothing of it: it is sent to the right one, which knows it already
    assert region.states() == {"manifest": "replaced", "report": "sent"}


def test_a_number_that_is_corrected_moves_what_was_sent_by_itself(region: Nation) -> None:
    region.dmp.state.add(Person(OTHER.value, OTHER.authority))
    region.qualify()
    region.report()
    region.work()
    assert region.states() == BOTH
    asked = len(region.dmp.state.asked)
    region.qualify()  # the same again: nobody asks the record
    region.work()
    assert len(region.dmp.state.asked) == asked
    region.qualify(OTHER)
    region.work()
    assert {item.status for item in region.there().values()} == {DELETED}

    def theirs() -> set[str]:
        return {item.type_code for item in region.dmp.state.of(f"{OTHER.cx}^NH") if item.status == APPROVED}

    assert theirs() == set(), "a manifest goes nowhere without its report"
    held = next(item for item in region.publications() if item.kind == "report")
    assert (held.reason, held.detail) == (Reason.METADATA, "uniqueId"), "signed: it can't be given another number here"
    region.report(status="C", ins=OTHER)
    region.work()
    assert theirs() == {"18748-4", "IMG-KOS"}
    assert region.states() == {"manifest": "replaced", "report": "replaced"}


def test_a_number_that_is_taken_away_is_told(region: Nation) -> None:
    region.qualify()
    region.report()
    region.work()
    region.qualify(None)
    region.work()
    assert set(region.states().values()) == {Reason.NOT_QUALIFIED.value}
    assert all(item.record_unique_id for item in region.publications()), "what stands there is not forgotten"
    region.qualify()
    region.work()
    assert region.states()["report"] == "sent"
    assert region.there(APPROVED)["IMG-KOS"]


def test_a_report_that_was_taken_back_and_comes_again_is_not_told_as_sent(region: Nation) -> None:
    region.qualify()
    first = region.report()
    region.work()
    region.report(status="D", document_id=first)
    region.work()
    region.report(document_id=first)
    region.work()
    assert region.states()["report"] != "sent"
    assert "18748-4" not in region.there(APPROVED)


def test_what_is_registered_again_while_it_is_being_deleted_is_sent(
    region: Nation, monkeypatch: pytest.MonkeyPatch
) -> None:
    region.qualify()
    region.report()
    region.work()
    uids = [item.unique_id for item in region.publications() if item.kind == "manifest"]
    with region.service.database.reading() as work:
        again = DocumentStore(work).get(DocumentEntry, "unique_id", uids)
    region.service.withdrawn(again, Context())
    delete = region.service._delete

    def slowly(row: Any) -> None:
        delete(row)
        while again:
            region.service.registered((again.pop(),), Context())

    monkeypatch.setattr(region.service, "_delete", slowly)
    region.work()
    assert region.states() == {"manifest": "replaced", "report": "sent"}
    assert "IMG-KOS" in region.there(APPROVED)


def test_an_opposition_holds(region: Nation) -> None:
    regional = region.qualify()
    region.opposed.persons.add(regional)
    region.report()
    region.work()
    assert set(region.states().values()) == {Reason.OPPOSITION.value}
    assert region.dmp.state.asked == []
    region.opposed.persons.clear()
    region.service.said(regional, Matter.CONSULTATION, Context())
    region.worker.run_pending()  # what is put off is not due yet
    assert set(region.states().values()) == {Reason.OPPOSITION.value}
    region.service.said(regional, Matter.FEEDING, Context())  # by the portal, as a Consent, or because it is over
    region.work()
    assert region.states() == BOTH


@pytest.mark.parametrize(
    ("changed", "reason"),
    [({"open": False}, Reason.CLOSED), ({"opposed": True}, Reason.OPPOSITION)],
    ids=["closed", "opposed"],
)
def test_what_the_record_says_holds_and_is_looked_at_again(
    region: Nation, changed: dict[str, bool], reason: Reason
) -> None:
    for name, value in changed.items():
        setattr(person(region), name, value)
    region.qualify()
    region.report()
    region.work()
    assert region.states() == {"manifest": Reason.NO_REPORT.value, "report": reason.value}
    assert ADVICE[reason].next
    waiting = region.rooms.exchange.deliveries(Page(state=DeliveryState.WAITING))
    assert waiting  # the next look
    for name, value in changed.items():
        setattr(person(region), name, not value)
    region.work()
    assert region.states() == BOTH


def test_nobody_s_record(region: Nation) -> None:
    region.dmp.state.persons.clear()
    region.qualify()
    region.report()
    region.work()
    assert region.states() == {"manifest": Reason.NO_REPORT.value, "report": Reason.NO_RECORD.value}


def test_a_refused_certificate_is_tried_again_when_the_operator_says_so(region: Nation) -> None:
    region.dmp.state.faults = Faults(refuse_certificate=True)
    region.qualify()
    region.report()
    region.work()
    assert region.states() == {"manifest": Reason.NO_REPORT.value, "report": Reason.CERTIFICATE.value}
    assert not region.rooms.exchange.deliveries(Page(state=DeliveryState.WAITING))
    region.dmp.state.faults = Faults()
    region.work()
    assert region.states() == {"manifest": Reason.NO_REPORT.value, "report": Reason.CERTIFICATE.value}
    assert region.desk.retry_held(RetryHeld(Reason.CERTIFICATE), Context()) == 1
    region.work()
    assert region.states() == BOTH


def test_a_record_that_is_down_is_tried_again(region: Nation) -> None:
    region.dmp.state.faults = Faults(down=True)
    region.qualify()
    region.report()
    region.work()
    assert region.states() == {"manifest": Reason.NO_REPORT.value, "report": Reason.UNAVAILABLE.value}
    assert {item.state for item in region.publications() if item.kind == "report"} == {PublicationState.WAITING}
    region.dmp.state.faults = Faults()
    region.work()
    assert region.states() == BOTH


def test_a_lost_answer_is_no_second_document(region: Nation) -> None:
    region.qualify()
    region.report()
    region.dmp.state.faults = Faults(lose_answer=2)  # of the question whether there is a record, then of a submission
    region.work()
    region.work()
    assert region.states() == BOTH
    assert len(region.dmp.state.of(f"{INS.cx}^NH")) == 2


def test_a_document_that_the_record_does_not_take(region: Nation) -> None:
    region.service.codes = {"practice_setting_code": Code("CARDIO", "1.2.3", "Cardiologie")}
    region.qualify()
    region.report()
    region.work()
    assert region.states() == {"manifest": Reason.NO_REPORT.value, "report": Reason.METADATA.value}
    assert {item.detail for item in region.publications()} == {"practiceSettingCode", ""}
    counts = region.desk.publications(ListPublications(), Context()).counts
    assert counts == {("held", "metadata-unfit"): 1, ("held", "no-report"): 1}


def test_masked_in_the_region_masked_in_the_record(region: Nation) -> None:
    regional = region.qualify()
    region.report()
    region.work()
    entry = next(item for item in region.rooms.found(regional) if item.mime_type == "text/xml")
    mask = Code("MASQUE_PS", "1.2.250.1.213.1.1.4.13", "Masqué aux professionnels de santé")
    masked = replace(entry, confidentiality_codes=(*entry.confidentiality_codes, mask))
    region.service.registered((masked,), Context())
    row = next(item for item in region.publications() if item.kind == "report")

    class Masked:
        def approved(self, _ids: object) -> tuple[object, ...]:
            return (masked,)

    region.service.entries = Masked()  # type: ignore[assignment]
    region.work()
    assert "MASQUE_PS" in region.there()["18748-4"].confidentiality
    assert region.there()["18748-4"].version == 2
    assert row.record_unique_id == region.there()["18748-4"].unique_id


def test_only_what_is_held_is_tried_again(region: Nation) -> None:
    region.qualify()
    region.report()
    region.work()
    with pytest.raises(PublicationNotHeld):
        region.desk.retry(RetryPublication(region.publications()[0].id), Context())
    with pytest.raises(PublicationNotFound):
        region.desk.retry(RetryPublication("nothing"), Context())


def test_a_manifest_waits_for_its_report(database: Database, tmp_path: Path, dmp: DmpSimulator) -> None:
    region = nation(database, tmp_path, dmp)
    region.qualify()
    report = region.report()
    region.work()
    region.report(status="D", document_id=report)
    region.work()
    assert region.states()["manifest"] == Reason.NO_REPORT.value
    region.report()
    region.work()
    assert region.there(APPROVED)["18748-4"]
    kinds = [(item.kind, item.state.value) for item in region.publications()]
    assert sorted(kinds) == [("manifest", "replaced"), ("report", "sent"), ("report", "withdrawn")]
    region.rooms.imaging.close()
    region.connector.close()


def test_a_manifest_never_stands_in_the_record_without_a_report(region: Nation) -> None:
    region.qualify()
    region.dmp.state.faults = Faults(code="XDSRegistryMetadataError")
    region.report()
    region.worker.run_pending()
    assert region.states() == {"manifest": Reason.NO_REPORT.value, "report": Reason.METADATA.value}
    region.dmp.state.faults = Faults()
    region.work()
    assert region.there() == {}
    region.desk.retry_held(RetryHeld(Reason.METADATA), Context())
    region.worker.run_pending()
    assert region.states() == BOTH
    assert [item.type_code for item in region.dmp.state.of(f"{INS.cx}^NH")] == ["18748-4", "IMG-KOS"]


def test_a_report_that_can_not_follow_its_person_takes_its_manifest_with_it(region: Nation) -> None:
    region.qualify()
    region.report()
    region.work()
    region.dmp.state.add(Person(OTHER.value, OTHER.authority, open=False))
    region.qualify(OTHER)
    region.work()
    assert region.states() == {"manifest": Reason.NO_REPORT.value, "report": Reason.CLOSED.value}
    assert {item.status for item in region.there().values()} == {DELETED}


def test_a_deletion_from_a_closed_record_is_never_given_up(region: Nation) -> None:
    region.service.looks = 1
    region.qualify()
    report = region.report()
    region.work()
    person(region).open = False
    region.report(status="D", document_id=report)
    region.work()
    held = {item.kind: item for item in region.publications()}
    assert {(item.reason, item.given_up) for item in held.values()} == {(Reason.CLOSED, False)}
    assert min(item.attempts for item in held.values()) > region.service.looks
    assert held["report"].leaving
    person(region).open = True
    region.work()
    assert region.states() == {"manifest": "no-report", "report": "withdrawn"}
    assert {item.status for item in region.there().values()} == {DELETED}


def test_what_is_no_longer_looked_at_is_told(region: Nation) -> None:
    region.service.looks = 1
    person(region).open = False
    region.qualify()
    region.report()
    region.worker.run_pending()
    told = {item.kind: (item.reason, item.given_up) for item in region.publications()}
    assert told["report"] == (Reason.CLOSED, False)
    region.work()
    told = {item.kind: (item.reason, item.given_up) for item in region.publications()}
    assert told == {"report": (Reason.CLOSED, True), "manifest": (Reason.NO_REPORT, False)}
    assert not region.rooms.exchange.deliveries(Page(state=DeliveryState.WAITING))
    person(region).open = True
    assert region.desk.retry_held(RetryHeld(Reason.CLOSED), Context()) == 1
    region.worker.run_pending()
    assert region.states() == BOTH


def test_advice_for_every_reason() -> None:
    assert set(ADVICE) == set(Reason)
    assert all(advice.means and advice.next for advice in ADVICE.values())
