"""The connector to the national record, over TLS, against the simulator; and the simulator's own strictness."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from connectors.dmp import MANIFEST
from connectors.dmp.connector import DmpConnector
from hub.access.model import Purpose
from hub.connector.contract import ConnectorError, SourceLied, SourceMisconfigured, SourceUnavailable
from hub.connector.record import (
    ORGANISATION,
    Asker,
    Authorisation,
    Life,
    NoRecord,
    RecordCertificateRefused,
    RecordClosed,
    RecordHasIt,
    RecordMetadataUnfit,
    RecordNotAuthorised,
    RecordOpposed,
    RecordQuery,
    RecordRefused,
    Standing,
)
from hub.errors import Category
from hub.testing.connector_kit import check_manifest
from hub.testing.dmp.pki import AUTHENTICATION, SEAL, STRUCTURE, issue, make_pki
from hub.testing.dmp.server import DmpSimulator
from hub.testing.dmp.state import APPROVED, ARCHIVED, DELETED, DEPRECATED, Faults, Person
from hub.values import Code, PatientIdentifier
from tests.connectors.dmp_site import CONSULTING, DOCTOR, INS, connect, kos, lot, report, study

SECONDS = 20.0
MASK = Code("MASQUE_PS", "1.2.250.1.213.1.1.4.13", "Masqué aux professionnels de santé")


@pytest.fixture(scope="module")
def pki(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_pki(tmp_path_factory.mktemp("dmp-pki"))


@pytest.fixture
def dmp(pki: Path) -> Iterator[DmpSimulator]:
    with DmpSimulator(pki) as simulator:
        simulator.state.add(Person(INS.value, INS.authority, authorised={DOCTOR.id}))
        yield simulator


@pytest.fixture
def connector(dmp: DmpSimulator) -> Iterator[DmpConnector]:
    opened = connect(dmp)
    yield opened
    opened.close()


def person(dmp: DmpSimulator) -> Person:
    return dmp.state.persons[f"{INS.cx}^NH"]


def sent(connector: DmpConnector) -> tuple[str, str]:
    """uniqueIds of a manifest and a report that the record holds."""
    made = study()
    manifest, written = kos(made), report(made)
    connector.submit(lot(manifest, written), ORGANISATION, timeout=SECONDS)
    return manifest.entry.unique_id, written.entry.unique_id


def test_the_manifest_and_the_self_test(dmp: DmpSimulator, connector: DmpConnector) -> None:
    check_manifest(MANIFEST, connector)
    assert all(step.passed for step in connector.check()), connector.check()


# TD0.2, TD0.3


def test_whether_there_is_a_record(dmp: DmpSimulator, connector: DmpConnector) -> None:
    found = connector.status(INS, CONSULTING, timeout=SECONDS)
    assert (found.standing, found.authorisation, found.attending) == (Standing.OPEN, Authorisation.VALID, False)
    assert found.internet
    assert found.attached
    assert connector.status(INS, ORGANISATION, timeout=SECONDS).standing is Standing.OPEN
    person(dmp).open = False
    assert connector.status(INS, ORGANISATION, timeout=SECONDS).standing is Standing.CLOSED
    nobody = PatientIdentifier("207058575627097", INS.authority)
    assert connector.status(nobody, ORGANISATION, timeout=SECONDS).standing is Standing.MISSING


def test_a_professional_declares_themselves_authorised(dmp: DmpSimulator, connector: DmpConnector) -> None:
    person(dmp).authorised.clear()
    with pytest.raises(RecordNotAuthorised):
        connector.find(RecordQuery(INS), CONSULTING, timeout=SECONDS)
    connector.authorise(INS, CONSULTING, timeout=SECONDS)
    assert connector.status(INS, CONSULTING, timeout=SECONDS).authorisation is Authorisation.VALID
    assert connector.find(RecordQuery(INS), CONSULTING, timeout=SECONDS) == ()
    connector.authorise(INS, CONSULTING, withdraw=True, timeout=SECONDS)
    with pytest.raises(RecordNotAuthorised):
        connector.find(RecordQuery(INS), CONSULTING, timeout=SECONDS)
    with pytest.raises(RecordRefused):
        connector.authorise(INS, ORGANISATION, timeout=SECONDS)
    person(dmp).blocked.add(DOCTOR.id)
    with pytest.raises(RecordNotAuthorised):
        connector.authorise(INS, CONSULTING, timeout=SECONDS)


# TD2.1


def test_manifest_and_report_are_sent_found_and_fetched(dmp: DmpSimulator, connector: DmpConnector) -> None:
    made = study()
    manifest, written = kos(made), report(made)
    connector.submit(lot(manifest, written), ORGANISATION, timeout=SECONDS)
    kept = {item.unique_id: item for item in dmp.state.of(f"{INS.cx}^NH")}
    assert kept[manifest.entry.unique_id].content == manifest.content
    assert kept[written.entry.unique_id].content == written.content
    found = connector.find(RecordQuery(INS), CONSULTING, timeout=SECONDS)
    assert {entry.unique_id for entry in found} == set(kept)
    kinds = connector.find(RecordQuery(INS, types=("IMG-KOS^^1.2.250.1.213.1.1.4.12",)), CONSULTING, timeout=SECONDS)
    assert [entry.unique_id for entry in kinds] == [manifest.entry.unique_id]
    assert kinds[0].patient_id == INS
    about = RecordQuery(INS, references=("ACC-1",))
    assert len(connector.find(about, CONSULTING, timeout=SECONDS)) == 2
    later = RecordQuery(INS, created_from="20990101")
    assert connector.find(later, CONSULTING, timeout=SECONDS) == ()
    fetched = connector.fetch(INS, written.entry.unique_id, CONSULTING, timeout=SECONDS)
    assert (fetched.content, fetched.mime_type) == (written.content, "text/xml")
    with pytest.raises(RecordRefused):
        connector.fetch(INS, "1.2.3.4", CONSULTING, timeout=SECONDS)


def test_a_correction_replaces(dmp: DmpSimulator, connector: DmpConnector) -> None:
    made = study()
    first, second = report(made), report(made)
    connector.submit(lot(first), ORGANISATION, timeout=SECONDS)
    located = connector.locate(INS, [first.entry.unique_id], ORGANISATION, timeout=SECONDS)
    old = located[first.entry.unique_id]
    connector.submit(lot(replace(second, replaces=old.id)), ORGANISATION, timeout=SECONDS)
    states = {item.unique_id: item.status for item in dmp.state.of(f"{INS.cx}^NH")}
    assert states == {first.entry.unique_id: DEPRECATED, second.entry.unique_id: APPROVED}
    with pytest.raises(RecordRefused):  # what is replaced already
        connector.submit(lot(replace(report(made), replaces=old.id)), ORGANISATION, timeout=SECONDS)


def test_the_same_document_twice_is_told(connector: DmpConnector) -> None:
    made = report(study())
    connector.submit(lot(made), ORGANISATION, timeout=SECONDS)
    with pytest.raises(RecordHasIt):
        connector.submit(lot(made), ORGANISATION, timeout=SECONDS)


def test_unfit_metadata_never_leave(dmp: DmpSimulator, connector: DmpConnector) -> None:
    made = report(study())
    for attribute, changed in (
        ("uniqueId", {"unique_id": "1.2.3^4"}),
        ("legalAuthenticator", {"legal_authenticators": ()}),
        ("author", {"authors": ()}),
        ("confidentialityCode", {"confidentiality_codes": (MASK,)}),
        ("classCode", {"class_code": Code("10", "1.2.250.1.213.1.1.4.1", "CR")}),
        ("formatCode", {"mime_type": "application/pdf"}),
        ("languageCode", {"language_code": "en-US"}),
    ):
        unfit = replace(made, entry=replace(made.entry, **changed))
        with pytest.raises(RecordMetadataUnfit) as refused:
            connector.submit(lot(unfit), ORGANISATION, timeout=SECONDS)
        assert refused.value.location == attribute
    assert dmp.state.asked == []


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ({"open": False}, RecordClosed),
        ({"opposed": True}, RecordOpposed),
    ],
)
def test_what_the_person_decided(
    dmp: DmpSimulator, connector: DmpConnector, changed: dict[str, bool], expected: type[ConnectorError]
) -> None:
    for name, value in changed.items():
        setattr(person(dmp), name, value)
    with pytest.raises(expected):
        connector.submit(lot(report(study())), ORGANISATION, timeout=SECONDS)
    assert dmp.state.of(f"{INS.cx}^NH") == []


def test_nobody_s_record_is_not_fed(connector: DmpConnector) -> None:
    nobody = PatientIdentifier("207058575627097", INS.authority)
    made = report(study())
    with pytest.raises(NoRecord):
        connector.submit(lot(made, patient=nobody), ORGANISATION, timeout=SECONDS)
    with pytest.raises(RecordRefused):  # no INS at all: nothing is asked
        connector.status(PatientIdentifier("PA-1", "1.2.250.1.999.2.1"), ORGANISATION, timeout=SECONDS)


# TD3.1, TD3.2: rights by mode


def test_the_indirect_mode_does_not_consult(connector: DmpConnector) -> None:
    manifest, _ = sent(connector)
    with pytest.raises(RecordNotAuthorised):
        connector.find(RecordQuery(INS), ORGANISATION, timeout=SECONDS)
    with pytest.raises(RecordNotAuthorised):
        connector.fetch(INS, manifest, ORGANISATION, timeout=SECONDS)
    assert set(connector.locate(INS, [manifest], ORGANISATION, timeout=SECONDS)) == {manifest}


def test_a_masked_document_is_seen_by_its_author_and_through_broken_glass(
    dmp: DmpSimulator, connector: DmpConnector
) -> None:
    _, written = sent(connector)
    entry = connector.locate(INS, [written], ORGANISATION, timeout=SECONDS)[written]
    connector.change_confidentiality(entry, (*entry.confidentiality_codes, MASK), ORGANISATION, timeout=SECONDS)
    other = replace(DOCTOR, id="899900063480")
    person(dmp).authorised.add(other.id)
    asker = Asker(other, reinforced=True)
    assert written not in {item.unique_id for item in connector.find(RecordQuery(INS), asker, timeout=SECONDS)}
    assert written in {item.unique_id for item in connector.find(RecordQuery(INS), CONSULTING, timeout=SECONDS)}
    urgent = Asker(other, Purpose.BREAK_GLASS, "Inconscient", reinforced=True)
    assert written in {item.unique_id for item in connector.find(RecordQuery(INS), urgent, timeout=SECONDS)}
    person(dmp).glass = False
    with pytest.raises(RecordNotAuthorised):
        connector.find(RecordQuery(INS), urgent, timeout=SECONDS)


# TD3.3


def test_documents_are_archived_brought_back_and_deleted(dmp: DmpSimulator, connector: DmpConnector) -> None:
    manifest, _ = sent(connector)

    def entry() -> None:
        found = connector.locate(INS, [manifest], ORGANISATION, timeout=SECONDS)[manifest]
        states.append(found.status)
        connector.change_life(found, lives.pop(0), ORGANISATION, timeout=SECONDS)

    states: list[str] = []
    lives = [Life.ARCHIVED, Life.APPROVED, Life.DELETED]
    for _ in range(3):
        entry()
    assert states == [APPROVED, ARCHIVED, APPROVED]
    kept = dmp.state.by_unique_id(manifest)
    assert kept is not None
    assert kept.status == DELETED
    assert connector.locate(INS, [manifest], ORGANISATION, timeout=SECONDS) == {}


def test_only_its_structure_deletes(dmp: DmpSimulator, connector: DmpConnector) -> None:
    manifest, _ = sent(connector)
    kept = dmp.state.by_unique_id(manifest)
    assert kept is not None
    found = connector.find(RecordQuery(INS), CONSULTING, timeout=SECONDS)
    kept.structure, kept.authors = "1999999999", ()
    entry = next(item for item in found if item.unique_id == manifest)
    with pytest.raises(RecordNotAuthorised):
        connector.change_life(entry, Life.DELETED, CONSULTING, timeout=SECONDS)


# what goes wrong


@pytest.mark.parametrize(
    ("faults", "expected"),
    [
        (Faults(down=True), SourceUnavailable),
        (Faults(hang=True), SourceUnavailable),
        (Faults(refuse_certificate=True), RecordCertificateRefused),
        (Faults(fault="Surprise"), RecordRefused),
        (Faults(code="XDSRegistryBusy"), SourceUnavailable),
        (Faults(code="XDSRepositoryError"), RecordRefused),
        (Faults(garbage=True), SourceLied),
    ],
    ids=["down", "hang", "certificate", "fault", "busy", "refused", "garbage"],
)
def test_faults(dmp: DmpSimulator, connector: DmpConnector, faults: Faults, expected: type[ConnectorError]) -> None:
    dmp.state.faults = faults
    with pytest.raises(expected) as raised:
        connector.submit(lot(report(study())), ORGANISATION, timeout=SECONDS)
    assert INS.value not in str(raised.value)
    assert (raised.value.category is Category.TRANSIENT) == (expected is SourceUnavailable)


def test_too_slow(dmp: DmpSimulator) -> None:
    dmp.state.faults = Faults(slow=30)
    connector = connect(dmp, timeout=1.0)
    with pytest.raises(SourceUnavailable):
        connector.status(INS, ORGANISATION, timeout=SECONDS)
    connector.close()


def test_another_authority_s_connection_certificate(dmp: DmpSimulator, tmp_path: Path) -> None:
    stranger = make_pki(tmp_path / "stranger")
    connector = connect(
        dmp, tls_certificate=stranger / f"{AUTHENTICATION}.crt", tls_key=stranger / f"{AUTHENTICATION}.key"
    )
    with pytest.raises(RecordCertificateRefused):
        connector.status(INS, ORGANISATION, timeout=SECONDS)
    assert [step.passed for step in connector.check()] == [True, True, True, False]
    connector.close()


def test_the_seal_is_another_certificate(dmp: DmpSimulator, pki: Path) -> None:
    both = {"seal_certificate": pki / f"{AUTHENTICATION}.crt", "seal_key": pki / f"{AUTHENTICATION}.key"}
    with pytest.raises(SourceMisconfigured):
        connect(dmp, **both)
    issue(pki, AUTHENTICATION, "second", STRUCTURE, name="second")
    connector = connect(dmp, seal_certificate=pki / "second.crt", seal_key=pki / "second.key")
    with pytest.raises(RecordCertificateRefused):
        connector.status(INS, ORGANISATION, timeout=SECONDS)
    assert dmp.state.asked[-1].status == "DMPInvalidCertificate"
    issue(pki, SEAL, "foreign", "1999999999", name="foreign")
    connector = connect(dmp, seal_certificate=pki / "foreign.crt", seal_key=pki / "foreign.key")
    with pytest.raises(SourceMisconfigured):
        connector.status(INS, ORGANISATION, timeout=SECONDS)
    assert dmp.state.asked[-1].status == "DMPInvalidVIHF"


def test_missing_files_and_closed_connectors(dmp: DmpSimulator, tmp_path: Path) -> None:
    with pytest.raises(SourceMisconfigured):
        connect(dmp, tls_key=tmp_path / "none")
    with pytest.raises(SourceMisconfigured):
        connect(dmp, seal_key=tmp_path / "none")
    connector = connect(dmp)
    connector.close()
    with pytest.raises(SourceUnavailable):
        connector.status(INS, ORGANISATION, timeout=SECONDS)
