# ruff: noqa: PLR0917, E501
"""People, studies and documents of the small region in memory (``tests.portal.fake``)."""

import base64
from typing import Any

from hub.documents.model import (
    Author,
    DocumentEntry,
)
from hub.imaging.model import (
    IndexedStudy,
    Series,
    Study,
    StudyState,
)
from hub.patients.model import Identity, IdentityStatus, Person, Traits
from hub.values import Code, PatientIdentifier, Uid, now

REGION = "1.2.250.1.999.1.1"
A, B, INS = "1.2.250.1.71.4.2.1", "1.2.250.1.71.4.2.2", "1.2.250.1.213.1.4.11"
STRANGER = PatientIdentifier("REG-000999", REGION)

MARTIN = Person(
    regional=PatientIdentifier("REG-000417", REGION),
    traits=Traits(
        birth_name="MARTIN",
        birth_given="JEANNE",
        given_names="JEANNE MARIE CECILE",
        used_name="DURAND",
        used_given="JEANNE",
        birth_date="19560512",
        sex="F",
        birth_place="13055",
    ),
    status=IdentityStatus.QUALIFIED,
    identities=(
        Identity(PatientIdentifier("A-10023", A, "PI", "CHA"), Traits(birth_name="MARTIN"), IdentityStatus.QUALIFIED),
        Identity(PatientIdentifier("778812", B, "PI", "CSR"), Traits(birth_name="MARTIN"), IdentityStatus.VALIDATED),
    ),
    ins=PatientIdentifier("256051305500113", INS, "INS"),
)
OTHER = Person(
    regional=PatientIdentifier("REG-000902", REGION),
    traits=Traits(birth_name="MARTINEAU", birth_given="LOUIS", birth_date="20250201", sex="M"),
    status=IdentityStatus.PROVISIONAL,
    identities=(Identity(PatientIdentifier("A-55", A, "PI", "CHA"), Traits(birth_name="MARTINEAU")),),
)


def _study(
    uid: str, source: str, started: str, modality: str, text: str, series: tuple[Series, ...], **more: Any
) -> Study:
    counts = sum(one.instance_count or 0 for one in series)
    return Study(
        Uid(uid),
        source,
        "A-10023",
        started=started,
        modalities=(modality,),
        description=text,
        series=series,
        series_count=len(series),
        instance_count=counts,
        **more,
    )


def _series(uid: str, number: int, modality: str, text: str, count: int, part: str = "CHEST") -> Series:
    return Series(
        Uid(uid),
        modality,
        number,
        text,
        part,
        started=f"202403121415{number:02}",
        instance_count=count,
        manufacturer="SIEMENS",
    )


CT = IndexedStudy(
    _study(
        "1.2.826.0.1.3680043.8.1",
        "PACS_A",
        "20240312141500",
        "CT",
        "TDM thoracique avec injection",
        (
            _series("1.2.826.0.1.3680043.8.1.1", 1, "CT", "Topogramme", 2),
            _series("1.2.826.0.1.3680043.8.1.2", 2, "CT", "Thorax 1.0 Br40", 312),
            _series("1.2.826.0.1.3680043.8.1.3", 3, "CT", "Thorax 1.0 Bl57 poumon", 312),
        ),
        accession_number="ACC-2024-118",
        institution="Centre hospitalier d'Aix",
        referring_physician="BERNARD^PAUL",
    ),
    MARTIN.regional,
    StudyState.PUBLISHED,
    manifest_id="2.25.4711",
    report_ids=("2.25.100",),
    updated_at=now(),
)
MR = IndexedStudy(
    _study(
        "1.2.826.0.1.3680043.8.2",
        "PACS_B",
        "20231104093000",
        "MR",
        "IRM du genou droit",
        (_series("1.2.826.0.1.3680043.8.2.1", 1, "MR", "DP FS SAG", 28, "KNEE"),),
    ),
    MARTIN.regional,
    StudyState.HELD,
    held_because="The patient's identity has not arrived yet.",
    updated_at=now(),
)
OLD = IndexedStudy(
    _study(
        "1.2.826.0.1.3680043.8.3",
        "PACS_B",
        "20190214110000",
        "US",
        "Échographie abdominale",
        (_series("1.2.826.0.1.3680043.8.3.1", 1, "US", "Foie", 14, "ABDOMEN"),),
    ),
    None,
    StudyState.INDEXED,
)


PDF = base64.b64encode(b"%PDF-1.4\n%%EOF\n").decode()
CDA = """<?xml version="1.0" encoding="UTF-8"?>
<ClinicalDocument xmlns="urn:hl7-org:v3"><title>Compte rendu de scanner thoracique</title>
<effectiveTime value="20240312153000+0100"/>
<recordTarget><patientRole><patient><name><family>MARTIN</family><given>JEANNE</given></name>
<administrativeGenderCode code="F"/><birthTime value="19560512"/></patient></patientRole></recordTarget>
<author><assignedAuthor><assignedPerson><name><prefix>Dr</prefix><given>Sophie</given><family>Leroy</family></name>
</assignedPerson><representedOrganization><name>Centre hospitalier d'Aix</name></representedOrganization></assignedAuthor>
</author><custodian><assignedCustodian><representedCustodianOrganization><name>Centre hospitalier d'Aix</name>
</representedCustodianOrganization></assignedCustodian></custodian>
<component><structuredBody>
<component><section><title>Indication</title><text>Toux persistante, <content styleCode="Bold">recherche de
nodule</content>. <script>alert(1)</script></text></section></component>
<component><section><title>Technique</title><text><paragraph>Acquisition hélicoïdale après injection de 80 mL.</paragraph>
<table><caption>Dose</caption><thead><tr><th>Série</th><th>PDL (mGy.cm)</th><th></th></tr></thead>
<tbody><tr><td onclick="x()">Thorax</td><td>212</td><td/></tr></tbody></table></text></section></component>
<component><section><title>Résultats</title><text><list><item>Pas de nodule suspect.</item>
<item>Pas d'adénopathie médiastinale.</item></list></text>
<component><section><title>Cœur</title><text><paragraph>Silhouette normale.</paragraph></text></section></component>
</section></component>
<component><section><title>Conclusion</title><text>Examen normal.</text></section></component>
</structuredBody></component></ClinicalDocument>"""


def entry(unique_id: str, mime_type: str, title: str, created: str) -> DocumentEntry:
    return DocumentEntry(
        id=f"urn:uuid:{unique_id}",
        unique_id=unique_id,
        patient_id=MARTIN.regional,
        mime_type=mime_type,
        title=title,
        creation_time=created,
        repository_unique_id="1.2.250.1.999.1.2",
        authors=(Author("801234567897^Leroy^Sophie", ("Centre hospitalier d'Aix^^^^^&1.2&ISO",)),),
        type_code=Code("18748-4", "2.16.840.1.113883.6.1", "Compte rendu d'imagerie médicale"),
    )
