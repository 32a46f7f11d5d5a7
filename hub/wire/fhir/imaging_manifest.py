"""The FHIR manifest of a study: a document Bundle as IHE RAD MADO asks for, from what the KOS manifest is made of.

RAD MADO: 6.X.3, 6.X.5 and the profiles MadoFhirBundle, MadoComposition, MadoImagingStudy, MadoPatient,
MadoWadoEndpoint, MadoCreator, MadoCreatorOrganization, MadoRequestedProcedure of its implementation guide (FHIR R4).
"""

import html
import uuid
from collections.abc import Iterable
from datetime import datetime
from typing import Any

import orjson

from hub.imaging.manifest_model import KeyObject, ManifestSpec
from hub.imaging.model import Instance, Series
from hub.imaging.regions_model import MADO, Region, regions
from hub.values import PatientIdentifier
from hub.wire.dicom_text import clean
from hub.wire.fhir.codes import filled
from hub.wire.fhir.imaging_study import SCHEMES, SIDES, started

PROFILE = "https://profiles.ihe.net/RAD/MADO/StructureDefinition/"
_DEVICE_TYPE = "https://profiles.ihe.net/RAD/MADO/CodeSystem/MadoDeviceType"
_DCM = "http://dicom.nema.org/resources/ontology/DCM"
_SNOMED = "http://snomed.info/sct"
_V2_0203 = "http://terminology.hl7.org/CodeSystem/v2-0203"
_URI = "urn:ietf:rfc:3986"
_CONNECTION = "http://terminology.hl7.org/CodeSystem/endpoint-connection-type"
_PAYLOAD = "http://terminology.hl7.org/CodeSystem/endpoint-payload-type"
_ABSENT = "http://hl7.org/fhir/StructureDefinition/data-absent-reason"
_FINESS = "urn:oid:1.2.250.1.71.4.2.2"
_GENDERS = {"M": "male", "F": "female", "O": "other"}
_KIND = {
    "coding": [{"system": "http://loinc.org", "code": "18748-4", "display": "Diagnostic imaging study"}],
}
_CATEGORY = {
    "coding": [
        {
            "system": "http://hl7.eu/fhir/eu-health-data-api/CodeSystem/eehrxf-document-priority-category-cs",
            "code": "Medical-Imaging",
            "display": "Medical-Imaging",
        }
    ]
}


def fhir_manifest(spec: ManifestSpec) -> bytes:
    """The manifest as JSON text: the same spec gives the same bytes."""
    return orjson.dumps(manifest_bundle(spec), option=orjson.OPT_INDENT_2)


def manifest_bundle(spec: ManifestSpec) -> dict[str, Any]:
    """The document Bundle."""
    made = _Bundle(spec)
    resources = [
        made.composition(),
        made.imaging_study(),
        made.patient(),
        made.endpoint(),
        made.device(),
        made.organization(),
        *made.requests(),
    ]
    return {
        "resourceType": "Bundle",
        "meta": {"profile": [f"{PROFILE}MadoFhirBundle"]},
        "language": "en",
        "identifier": made.identifier,
        "type": "document",
        "timestamp": spec.created.isoformat(timespec="seconds"),
        "entry": [{"fullUrl": f"urn:uuid:{item['id']}", "resource": filled(item)} for item in resources],
    }


class _Bundle:
    """The resources of one manifest, which refer to each other by fullUrl."""

    def __init__(self, spec: ManifestSpec) -> None:
        self.spec = spec
        self.study = spec.study
        self.shared = tuple(series for series in spec.study.series if series.instances)
        self.identifier = {"system": _URI, "value": f"urn:oid:{spec.sop_instance_uid}"}
        self.title = clean(spec.study.description) or ", ".join(self.modalities)

    @property
    def modalities(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(series.modality or "OT" for series in self.shared))

    def id(self, kind: str) -> str:
        """A resource's id: always the same for the same manifest."""
        return str(uuid.uuid5(uuid.NAMESPACE_OID, f"{self.spec.sop_instance_uid}/{kind}"))

    def refer(self, kind: str, display: str = "") -> dict[str, Any]:
        return filled({"reference": f"urn:uuid:{self.id(kind)}", "type": kind, "display": display})

    def resource(self, kind: str, profile: str, **values: Any) -> dict[str, Any]:
        meta = {"profile": [f"{PROFILE}{profile}"]}
        return filled({"resourceType": kind, "id": self.id(kind), "meta": meta, **values})

    def time(self, text: str) -> str:
        """A DICOM date and time as a dateTime; a time without an offset is in the hub's zone."""
        zone = self.study.timezone
        if len(text) >= 14 and not zone:
            local = datetime.strptime(text[:14], "%Y%m%d%H%M%S").replace(tzinfo=self.spec.created.tzinfo)
            zone = local.strftime("%z")[:5]
        return started(text, zone)

    # the resources

    def composition(self) -> dict[str, Any]:
        number, issuer = self.spec.accession
        rows = [
            ("Study Instance UID", str(self.study.study_instance_uid)),
            ("Started", self.time(self.study.started)),
            ("Modalities", ", ".join(self.modalities)),
            ("Anatomical regions", ", ".join(MADO[one][1] for one in self.regions())),
            ("Accession number", f"{number} ({issuer})" if issuer else number),
            ("Number of series", str(len(self.shared))),
        ]
        return self.resource(
            "Composition",
            "MadoComposition",
            text=_narrative(self.title, rows),
            identifier=self.identifier,
            status="final",
            type=_KIND,
            category=[_CATEGORY],
            subject=self.refer("Patient"),
            date=self.spec.created.isoformat(timespec="seconds"),
            author=[self.refer("Device", "Maillage"), self.refer("Organization", self.institution)],
            title=self.title,
            event=[{"detail": [self.refer("ImagingStudy")]}],
            section=[self._section(series) for series in self.shared],
        )

    def _section(self, series: Series) -> dict[str, Any]:
        rows = [
            ("Series Instance UID", str(series.series_instance_uid)),
            ("Modality", series.modality),
            ("Description", clean(series.description)),
            ("Number of instances", str(len(series.instances))),
        ]
        title = f"Series {series.number}" if series.number is not None else f"Series {series.modality}"
        return {"title": title, "text": _narrative(title, rows), "entry": [self.refer("Endpoint")]}

    def regions(self) -> tuple[Region, ...]:
        """As in the KOS manifest, where one is required."""
        return regions(self.shared) or (Region.WHOLE_BODY,)

    def imaging_study(self) -> dict[str, Any]:
        study = self.study
        procedures = [_concept(code) for code in self.spec.procedures]
        return self.resource(
            "ImagingStudy",
            "MadoImagingStudy",
            extension=[
                _extension("MadoAnatomicalRegionExtension", "valueCodeableConcept", _snomed(*MADO[one]))
                for one in self.regions()
            ],
            identifier=[study_identifier(study.study_instance_uid)],
            status="available",
            modality=[{"system": _DCM, "code": item} for item in self.modalities],
            subject=self.refer("Patient"),
            started=self.time(study.started),
            basedOn=[self.refer("ServiceRequest") | {"identifier": self._accession()}] if self._accession() else [],
            numberOfSeries=len(self.shared),
            numberOfInstances=sum(len(series.instances) for series in self.shared),
            procedureCode=procedures or [{"text": self.title}],
            description=clean(study.description),
            series=[self._series(series) for series in self.shared],
        )

    def _series(self, series: Series) -> dict[str, Any]:
        side = SIDES.get(series.laterality)
        part = clean(series.body_part)
        return filled(
            {
                "uid": str(series.series_instance_uid),
                "number": _unsigned(series.number),
                "modality": {"system": _DCM, "code": series.modality or "OT"},
                "description": clean(series.description),
                "numberOfInstances": len(series.instances),
                "endpoint": [self.refer("Endpoint")],
                "bodySite": {"display": part} if part else {},
                "laterality": {"system": _SNOMED, "code": side[0], "display": side[1]} if side else {},
                "started": self.time(series.started),
                "instance": [
                    _instance(item, self.spec.key_objects.get(item.sop_instance_uid)) for item in series.instances
                ],
            }
        )

    def patient(self) -> dict[str, Any]:
        study = self.study
        family, _, rest = study.patient_name.split("=")[0].partition("^")
        given = [clean(part) for part in rest.split("^")[:2] if clean(part)]
        name = filled({"family": clean(family), "given": given, "text": " ".join([*given, clean(family)]).strip()})
        numbers = dict.fromkeys((self.spec.patient, *self.spec.other_patient_ids))
        day = study.patient_birth_date
        return self.resource(
            "Patient",
            "MadoPatient",
            identifier=[_number(item) for item in numbers],
            name=[name] if name else [],
            gender=_GENDERS.get(study.patient_sex, "unknown"),
            birthDate=f"{day[:4]}-{day[4:6]}-{day[6:8]}" if len(day) == 8 else "",
        )

    def endpoint(self) -> dict[str, Any]:
        url, place = self.spec.retrieve_url, self.spec.source.repository_unique_id
        unknown = {"extension": [{"url": _ABSENT, "valueCode": "unknown"}]}
        payload = {"coding": [{"system": _PAYLOAD, "code": "none", "display": "None"}], "text": "DICOM WADO-RS"}
        return self.resource(
            "Endpoint",
            "MadoWadoEndpoint",
            extension=[_extension("MadoRetrieveLocationUIDExtension", "valueString", place)] if place else [],
            status="active",
            connectionType={"system": _CONNECTION, "code": "dicom-wado-rs"},
            name=self.institution,
            payloadType=[payload],
            payloadMimeType=["application/dicom"],
            address=url or "http://notspecified",
            _address={} if url else unknown,
        )

    def device(self) -> dict[str, Any]:
        return self.resource(
            "Device",
            "MadoCreator",
            manufacturer="Maillage",
            deviceName=[{"name": "Maillage", "type": "user-friendly-name"}],
            type={"coding": [{"system": _DEVICE_TYPE, "code": "mado-creator", "display": "MADO Creator"}]},
            owner=self.refer("Organization", self.institution),
        )

    @property
    def institution(self) -> str:
        source = self.spec.source
        return clean(self.study.institution or source.title or source.name)

    def organization(self) -> dict[str, Any]:
        number = self.spec.source.organisation_id
        return self.resource(
            "Organization",
            "MadoCreatorOrganization",
            identifier=[{"system": _FINESS, "value": number}] if number else [],
            name=self.institution,
        )

    def requests(self) -> list[dict[str, Any]]:
        """The order, where the study has an accession number."""
        accession, order = self._accession(), self.spec.order
        if not accession:
            return []
        owner = self.spec.source.authority_oid
        further = [
            _typed(kind, value, order.placer_issuer or owner if kind == "PLAC" else owner)
            for kind, value in (("PLAC", order.placer_number), ("FILL", order.filler_number))
            if value
        ]
        codes = [_concept(code) for code in self.spec.procedures[:1]]
        request = self.resource(
            "ServiceRequest",
            "MadoRequestedProcedure",
            identifier=[accession, *further],
            status="completed",
            intent="order",
            category=[_snomed("363679005", "Imaging")],
            code=codes[0] if codes else {},
            subject=self.refer("Patient"),
        )
        return [request]

    def _accession(self) -> dict[str, Any]:
        number, issuer = self.spec.accession
        if not number:
            return {}
        coding = [
            {"system": _V2_0203, "code": "ACSN", "display": "Accession ID"},
            {"system": _DCM, "code": "121022", "display": "Accession Number"},
        ]
        system = f"urn:oid:{issuer}" if issuer else ""
        return filled({"type": {"coding": coding}, "system": system, "value": clean(number)})


def study_identifier(study_instance_uid: str) -> dict[str, Any]:
    """MadoStudyInstanceUidIdentifier."""
    kind = {"coding": [{"system": _DCM, "code": "110180", "display": "Study Instance UID"}]}
    return {"type": kind, "system": "urn:dicom:uid", "value": f"urn:oid:{study_instance_uid}"}


def _instance(instance: Instance, key: KeyObject | None) -> dict[str, Any]:
    extensions = []
    if instance.frames is not None and instance.frames > 1:
        extensions.append(_extension("MadoNumberOfFrames", "valueInteger", instance.frames))
    if key is not None and key.title[0]:
        extensions.append(_extension("MadoKeyObjectDocumentTitle", "valueCodeableConcept", _concept(key.title)))
    return filled(
        {
            "extension": extensions,
            "uid": str(instance.sop_instance_uid),
            "sopClass": {"system": _URI, "code": f"urn:oid:{instance.sop_class_uid}"},
            "number": _unsigned(instance.number),
            "title": clean(key.description, 1024) if key else clean(instance.title),
        }
    )


def _unsigned(number: int | None) -> int | None:
    return number if number is not None and number >= 0 else None


def _extension(name: str, kind: str, value: Any) -> dict[str, Any]:
    return {"url": f"{PROFILE}{name}", kind: value}


def _snomed(code: str, display: str) -> dict[str, Any]:
    return {"coding": [{"system": _SNOMED, "code": code, "display": display}]}


def _concept(code: tuple[str, str, str]) -> dict[str, Any]:
    value, scheme, meaning = code
    shown = clean(meaning) or value
    return {"coding": [filled({"system": SCHEMES.get(scheme, ""), "code": value, "display": shown})], "text": shown}


def _number(identifier: PatientIdentifier) -> dict[str, Any]:
    system = f"urn:oid:{identifier.authority}" if identifier.authority else ""
    return filled({"system": system, "value": clean(identifier.value)})


def _typed(kind: str, value: str, issuer: str) -> dict[str, Any]:
    system = f"urn:oid:{issuer}" if issuer else ""
    return filled({"type": {"coding": [{"system": _V2_0203, "code": kind}]}, "system": system, "value": clean(value)})


def _narrative(title: str, rows: Iterable[tuple[str, str]]) -> dict[str, Any]:
    lines = "".join(
        f"<tr><td>{html.escape(name)}</td><td>{html.escape(value)}</td></tr>" for name, value in rows if value
    )
    body = f"<p>{html.escape(title)}</p><table><tbody>{lines}</tbody></table>"
    return {"status": "generated", "div": f'<div xmlns="http://www.w3.org/1999/xhtml">{body}</div>'}
