import pytest

from hub.errors import HubError, Invalid, Malformed
from hub.patients.model import Traits
from hub.testing.cda import ImagingReport, build_report
from hub.values import PatientIdentifier
from hub.wire import cda

IPP = PatientIdentifier("123", "1.2.250.1.999.2.1")
REPORT = ImagingReport(
    patient_ids=[PatientIdentifier("279035121518989", "1.2.250.1.213.1.4.10"), IPP],
    traits=Traits(birth_name="PAT-TROIS", birth_given="DOMINIQUE", birth_date="19790328", sex="F", birth_place="51215"),
    study_instance_uid="1.2.3.4",
    accession_number="ACC & 1",
    placer_number="PL-1",
    version=3,
    replaces="1.2.9",
    created="20260102030405+0100",
)


def test_header() -> None:
    header = cda.read(build_report(REPORT))
    assert header.document_id == REPORT.document_id
    assert header.set_id == REPORT.set_id
    assert header.version == 3
    assert header.title == REPORT.title
    assert header.effective_time == "20260102030405+0100"
    assert header.patient_ids == tuple(REPORT.patient_ids)
    assert header.study_instance_uid == "1.2.3.4"
    assert (header.accession_number, header.accession_issuer) == ("ACC & 1", REPORT.accession_issuer)
    assert (header.placer_number, header.placer_issuer) == ("PL-1", REPORT.placer_issuer)
    assert header.author == "801234567897^MARTIN^Claire^^^^^^&1.2.250.1.71.4.2.1&ISO^D^^^IDNPS"
    assert header.author_institution == "CENTRE HOSPITALIER A^^^^^&1.2.250.1.71.4.2.2&ISO^IDNST^^^1750000123"
    assert header.custodian == header.author_institution
    assert header.legal_authenticator == header.author
    assert header.replaces == "1.2.9"
    assert header.confidentiality == "N"
    assert [(act.value, act.qualifier) for act in header.acts] == [
        ("36643-5", ""),
        ("CR", "121139"),
        ("67734004", "39111-0"),
    ]
    assert header.type_code == cda.Act("18748-4", "2.16.840.1.113883.6.1", "CR d'imagerie médicale")


def test_id_with_extension() -> None:
    raw = build_report(REPORT).replace(
        f'<id root="{REPORT.document_id}"/>'.encode(), b'<id root="1.2.3" extension="D7"/>'
    )
    assert cda.read(raw).document_id == "1.2.3^D7"


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"%PDF-1.4",
        b"<ClinicalDocument/>",
        b'<ClinicalDocument xmlns="urn:hl7-org:v3"/>',
        b'<!DOCTYPE x [<!ENTITY a "b">]><ClinicalDocument xmlns="urn:hl7-org:v3"><id root="1.2"/></ClinicalDocument>',
        b'<ClinicalDocument xmlns="urn:hl7-org:v3">' + b"<a>" * 100_000,
    ],
)
def test_what_is_no_cda(raw: bytes) -> None:
    with pytest.raises(Malformed):
        cda.read(raw)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('versionNumber value="3"', 'versionNumber value="three"'),
        ('root="1.2.250.1.213.1.4.10"', 'root="NIR"'),
        ('root="1.2.3.4"', 'root="study"'),
        ('<effectiveTime value="2026', '<effectiveTime value="on 2026'),
    ],
)
def test_values_that_break_a_rule(old: str, new: str) -> None:
    with pytest.raises(Invalid) as caught:
        cda.read(build_report(REPORT).decode().replace(old, new).encode())
    assert caught.value.location


def test_delimiters_in_names_can_not_forge_components() -> None:
    raw = build_report(REPORT).replace(b"<family>MARTIN</family>", b"<family>MAR^TIN&amp;1|~</family>")
    assert cda.read(raw).author.startswith("801234567897^MAR TIN 1^Claire^")


def test_every_cut_is_refused() -> None:
    whole = build_report(REPORT)
    for position in range(0, len(whole) - 1, 37):
        with pytest.raises(HubError):
            cda.read(whole[:position])
