"""A French imaging report as CDA R2, for tests and the demo (CI-SIS volet Structuration minimale)."""

import base64
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from xml.sax.saxutils import escape, quoteattr

from hub.patients.model import Traits
from hub.values import PatientIdentifier, Uid, new_uid, now

_NS = 'xmlns="urn:hl7-org:v3" xmlns:ps3-20="urn:dicom-org:ps3-20" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"'
_FINESS = "1.2.250.1.71.4.2.2"
_RPPS = "1.2.250.1.71.4.2.1"


@dataclass(frozen=True, kw_only=True, slots=True)
class ReportAuthor:
    """The radiologist and the place of work."""

    number: str = "801234567897"
    family: str = "MARTIN"
    given: str = "Claire"
    organisation: str = "CENTRE HOSPITALIER A"
    organisation_number: str = "1750000123"


@dataclass(frozen=True, kw_only=True, slots=True)
class ImagingReport:
    """What the CDA says. ``pdf``: a body that is no XML (CDA level 1), else ``text`` as sections (level 3)."""

    patient_ids: Sequence[PatientIdentifier]
    traits: Traits
    study_instance_uid: str
    accession_number: str
    placer_number: str
    text: str = "Pas d'anomalie décelable."
    title: str = "Compte rendu d'imagerie médicale"
    accession_issuer: str = "1.2.250.1.999.9.1"
    placer_issuer: str = "1.2.250.1.999.9.2"
    author: ReportAuthor = field(default_factory=ReportAuthor)
    document_id: str = field(default_factory=new_uid)
    set_id: str = field(default_factory=new_uid)
    version: int = 1
    replaces: str = ""
    modality: str = "CR"
    procedure: tuple[str, str] = ("36643-5", "Radiographie du thorax 2 incidences")
    region: tuple[str, str] = ("67734004", "thoracique")
    created: str = ""
    pdf: bytes = b""


def build_report(report: ImagingReport) -> bytes:
    """The document as UTF-8 XML."""
    report = replace(report, created=report.created or now().strftime("%Y%m%d%H%M%S+0000"))
    parts = [
        f'<?xml version="1.0" encoding="UTF-8"?>\n<ClinicalDocument {_NS} classCode="DOCCLIN" moodCode="EVN">',
        '<realmCode code="FR"/><typeId root="2.16.840.1.113883.1.3" extension="POCD_HD000040"/>',
        *(f'<templateId root="{root}"/>' for root in ("2.16.840.1.113883.2.8.2.1", "1.2.250.1.213.1.1.1.1")),
        f'<id root="{Uid(report.document_id)}"/>',
        '<code code="18748-4" codeSystem="2.16.840.1.113883.6.1" displayName="CR d\'imagerie médicale"/>',
        f'<title>{escape(report.title)}</title><effectiveTime value="{report.created}"/>',
        '<confidentialityCode code="N" codeSystem="2.16.840.1.113883.5.25" displayName="Normal"/>',
        f'<languageCode code="fr-FR"/><setId root="{report.set_id}"/><versionNumber value="{report.version}"/>',
        _record_target(report),
        _author(report.author, report.created),
        f'<custodian><assignedCustodian><representedCustodianOrganization classCode="ORG">'
        f"{_organisation(report.author)}</representedCustodianOrganization></assignedCustodian></custodian>",
        _legal_authenticator(report.author, report.created),
        _order(report),
        _service_event(report),
        _replaced(report),
        "<component>",
        _body(report),
        "</component></ClinicalDocument>",
    ]
    return "".join(parts).encode()


def _record_target(report: ImagingReport) -> str:
    t = report.traits
    ids = "".join(f"<id root={quoteattr(i.authority)} extension={quoteattr(i.value)}/>" for i in report.patient_ids)
    gender = {"M": "M", "F": "F"}.get(t.sex, "U")
    used = f'<family qualifier="CL">{escape(t.used_name)}</family>' if t.used_name else ""
    place = (
        f"<birthplace><place><addr><county>{escape(t.birth_place)}</county></addr></place></birthplace>"
        if t.birth_place
        else ""
    )
    return (
        f"<recordTarget><patientRole>{ids}<patient><name>"
        f'<family qualifier="BR">{escape(t.birth_name)}</family>{used}'
        f"<given>{escape(t.given_names or t.birth_given)}</given>"
        f'<given qualifier="BR">{escape(t.birth_given)}</given></name>'
        f'<administrativeGenderCode code="{gender}" codeSystem="2.16.840.1.113883.5.1"/>'
        f'<birthTime value="{t.birth_date}"/>{place}</patient></patientRole></recordTarget>'
    )


def _organisation(author: ReportAuthor) -> str:
    number = quoteattr(author.organisation_number)
    return f'<id root="{_FINESS}" extension={number}/><name>{escape(author.organisation)}</name>'


def _professional(author: ReportAuthor) -> str:
    return (
        f'<id root="{_RPPS}" extension={quoteattr(author.number)}/><assignedPerson><name>'
        f"<family>{escape(author.family)}</family><given>{escape(author.given)}</given></name></assignedPerson>"
        f"<representedOrganization>{_organisation(author)}</representedOrganization>"
    )


def _author(author: ReportAuthor, created: str) -> str:
    return f'<author><time value="{created}"/><assignedAuthor>{_professional(author)}</assignedAuthor></author>'


def _legal_authenticator(author: ReportAuthor, created: str) -> str:
    return (
        f'<legalAuthenticator><time value="{created}"/><signatureCode code="S"/>'
        f"<assignedEntity>{_professional(author)}</assignedEntity></legalAuthenticator>"
    )


def _order(report: ImagingReport) -> str:
    return (
        f'<inFulfillmentOf><order classCode="ACT" moodCode="RQO">'
        f'<id root="{report.placer_issuer}" extension={quoteattr(report.placer_number)}/>'
        f'<ps3-20:accessionNumber root="{report.accession_issuer}" extension={quoteattr(report.accession_number)}/>'
        "</order></inFulfillmentOf>"
    )


def _service_event(report: ImagingReport) -> str:
    code, display = report.procedure
    region, region_name = report.region
    return (
        f'<documentationOf><serviceEvent><id root="{Uid(report.study_instance_uid)}"/>'
        f'<code code="{code}" codeSystem="2.16.840.1.113883.6.1" displayName={quoteattr(display)}>'
        f'<translation code="{report.modality}" codeSystem="1.2.840.10008.2.16.4"><qualifier>'
        '<name code="121139" codeSystem="1.2.840.10008.2.16.4"/></qualifier></translation>'
        f'<translation code="{region}" codeSystem="2.16.840.1.113883.6.96" displayName={quoteattr(region_name)}>'
        '<qualifier><name code="39111-0" codeSystem="2.16.840.1.113883.6.1"/></qualifier></translation></code>'
        f'<effectiveTime><low value="{report.created}"/></effectiveTime></serviceEvent></documentationOf>'
    )


def _replaced(report: ImagingReport) -> str:
    if not report.replaces:
        return ""
    parent = f'<parentDocument><id root="{report.replaces}"/></parentDocument>'
    return f'<relatedDocument typeCode="RPLC">{parent}</relatedDocument>'


def _body(report: ImagingReport) -> str:
    if report.pdf:
        content = base64.b64encode(report.pdf).decode()
        return f'<nonXMLBody><text mediaType="application/pdf" representation="B64">{content}</text></nonXMLBody>'
    paragraphs = "".join(f"<paragraph>{escape(line)}</paragraph>" for line in report.text.splitlines())
    return (
        "<structuredBody><component><section>"
        '<code code="18782-3" codeSystem="2.16.840.1.113883.6.1" displayName="Résultats"/><title>Résultats</title>'
        f"<text>{paragraphs}</text></section></component></structuredBody>"
    )
