"""TD2.1 (ITI-41): a submission set with its signature, accepted whole or refused with the code of the broken rule."""

import hashlib
import io
import uuid
from dataclasses import dataclass

from cryptography import x509
from lxml import etree
from pydicom import dcmread
from pydicom.errors import InvalidDicomError

from hub.testing.dmp import metadata, rights
from hub.testing.dmp.envelope import Element, Fault, Incoming, parse
from hub.testing.dmp.metadata import RIM, Broken, View
from hub.testing.dmp.signature import check_signature
from hub.testing.dmp.state import APPROVED, DEPRECATED, REPOSITORY, Document, Person, State
from hub.testing.dmp.trust import Trust
from hub.testing.dmp.vihf import Caller

XDSB, LCM = "urn:ihe:iti:xds-b:2007", "urn:oasis:names:tc:ebxml-regrep:xsd:lcm:3.0"
HAS_MEMBER = "urn:oasis:names:tc:ebxml-regrep:AssociationType:HasMember"
REPLACES = "urn:ihe:iti:2007:AssociationType:RPLC"
SIGNS = "urn:ihe:iti:2007:AssociationType:signs"
CDA = "{urn:hl7-org:v3}"
DOCUMENT_ERROR = "InvalidDocumentContent"


@dataclass(slots=True)
class Link:
    """An association of the submission."""

    type: str
    source: str
    target: str
    view: View


@dataclass(slots=True)
class Lot:
    """A submission as read."""

    set: View
    entries: list[View]
    links: list[Link]

    @property
    def signatures(self) -> list[View]:
        """Entries of signatures."""
        return [entry for entry in self.entries if entry.signature]

    @property
    def documents(self) -> list[View]:
        """The others."""
        return [entry for entry in self.entries if not entry.signature]


def read_lot(request: Element) -> Lot:
    """What a SubmitObjectsRequest holds. Raises Broken."""
    objects = request.find(f"{{{RIM}}}RegistryObjectList")
    if objects is None:
        raise Broken("XDSRegistryMetadataError", "There is no RegistryObjectList.")
    sets = [View(item) for item in objects.iterfind(f"{{{RIM}}}RegistryPackage")]
    if len(sets) != 1:
        raise Broken("XDSRegistryMetadataError", "There must be one SubmissionSet and no folder.")
    entries = [View(item) for item in objects.iterfind(f"{{{RIM}}}ExtrinsicObject")]
    links = [
        Link(item.get("associationType", ""), item.get("sourceObject", ""), item.get("targetObject", ""), View(item))
        for item in objects.iterfind(f"{{{RIM}}}Association")
    ]
    return Lot(sets[0], entries, links)


class Submissions:
    """Takes documents into the state."""

    def __init__(self, state: State, trust: Trust) -> None:
        self.state = state
        self.trust = trust

    def provide(self, message: Incoming, caller: Caller, person: Person, tls: x509.Certificate) -> None:
        """Raises Fault, Broken."""
        rights.may("TD2.1", caller, person)
        request = message.body.find(f"{{{LCM}}}SubmitObjectsRequest")
        if message.body.tag != f"{{{XDSB}}}ProvideAndRegisterDocumentSetRequest" or request is None:
            raise Fault("Client", "The request is not ProvideAndRegisterDocumentSetRequest.")
        if not message.mtom:
            raise Fault("Client", "ITI-41 travels as MTOM.")
        if self.state.faults.code:
            raise Broken(self.state.faults.code, "Refused on purpose.")
        if not person.open:
            raise Broken("DMPClosedRecord", "The record is closed.")
        if person.opposed:
            raise Broken("DMPPatientOpposition", "The person opposes that their record is fed.")
        lot = read_lot(request)
        contents = {item.get("id", ""): message.bytes_of(item) for item in message.body.iterfind(f"{{{XDSB}}}Document")}
        self._check(lot, contents, caller, person)
        self._check_links(lot, caller)
        signed = {view.identifier(metadata.UNIQUE): contents[view.id] for view in lot.documents}
        set_id = lot.set.identifier(metadata.SET_UNIQUE)
        check_signature(contents[lot.signatures[0].id], set_id, signed, self.trust, tls)
        for view in lot.documents:
            check_content(view, contents[view.id], person)
        self._keep(lot, contents, caller)

    def _check(self, lot: Lot, contents: dict[str, bytes], caller: Caller, person: Person) -> None:
        metadata.check(lot.set, metadata.SET)
        if len(lot.signatures) != 1 or not lot.documents:
            raise Broken("XDSRepositoryMetadataError", "A submission needs documents and one signature.")
        for view in lot.entries:
            if view.id not in contents:
                raise Broken("XDSMissingDocument", "A DocumentEntry has no Document.")
            metadata.check(view, metadata.SIGNATURE if view.signature else metadata.ENTRY)
            content, hashes, sizes = contents[view.id], view.slot("hash"), view.slot("size")
            if hashes and hashes[0].lower() != hashlib.sha1(content, usedforsecurity=False).hexdigest():
                raise Broken("XDSNonIdenticalHash", "hash is not that of the document.")
            if sizes and sizes[0] != str(len(content)):
                raise Broken("XDSNonIdenticalSize", "size is not that of the document.")
            if self.state.by_unique_id(view.identifier(metadata.UNIQUE)):
                raise Broken("XDSDuplicateUniqueIdInRegistry", "A uniqueId is known already.")
        if set(contents) != {view.id for view in lot.entries}:
            raise Broken("XDSMissingDocumentMetadata", "A Document has no DocumentEntry.")
        if lot.set.identifier(metadata.SET_UNIQUE) in self.state.sets:
            raise Broken("XDSDuplicateUniqueIdInRegistry", "The SubmissionSet's uniqueId is known already.")
        patients = {view.identifier(metadata.PATIENT) for view in lot.entries}
        patients.add(lot.set.identifier(metadata.SET_PATIENT))
        if patients != {person.cx} or caller.patient != person.cx:
            raise Broken("XDSPatientIdDoesNotMatch", "The submission is about several persons, or another one.")

    def _check_links(self, lot: Lot, caller: Caller) -> None:
        members = {
            link.target
            for link in lot.links
            if link.type == HAS_MEMBER
            and link.source == lot.set.id
            and link.view.slot("SubmissionSetStatus") == ["Original"]
        }
        if members != {view.id for view in lot.entries}:
            raise Broken("XDSRegistryMetadataError", "Every entry must be an original member of the SubmissionSet.")
        signing = [(link.source, link.target) for link in lot.links if link.type == SIGNS]
        if signing != [(lot.signatures[0].id, lot.set.id)]:
            raise Broken("XDSRegistryMetadataError", "The signature must sign the SubmissionSet.")
        own = {view.id for view in lot.documents}
        for link in lot.links:
            if link.type in (HAS_MEMBER, SIGNS):
                continue
            if link.type != REPLACES or link.source not in own:
                raise Broken("XDSRegistryMetadataError", "An association is not one of those that the record takes.")
            old = self.state.documents.get(link.target)
            if old is None or old.patient != caller.patient:
                raise Broken("UnresolvedReferenceException", "The replaced document is not known.")
            if old.status != APPROVED:
                raise Broken("XDSRegistryDeprecatedDocumentError", "The replaced document is not approved.")
            if old.structure != caller.structure and caller.person not in old.authors:
                raise Broken("XDSRegistryError", "Only its author replaces a document.")

    def _keep(self, lot: Lot, contents: dict[str, bytes], caller: Caller) -> None:
        ids = {view.id: _uuid(view.id) for view in (lot.set, *lot.entries)}
        for view in lot.entries:
            document = as_document(view, contents[view.id], caller, ids[view.id])
            document.set_id = ids[lot.set.id]
            self.state.documents[document.entry_id] = document
        for link in lot.links:
            self.state.associations.append((link.type, ids[link.source], ids.get(link.target, link.target)))
            if link.type == REPLACES:
                self.state.documents[link.target].status = DEPRECATED
                self.state.documents[ids[link.source]].replaces = link.target
        self.state.sets[lot.set.identifier(metadata.SET_UNIQUE)] = ids[lot.set.id]
        lot.set.element.set("id", ids[lot.set.id])
        lot.set.element.set("status", APPROVED)
        self.state.set_elements[ids[lot.set.id]] = (caller.patient, etree.tostring(lot.set.element, with_tail=False))


def _uuid(text: str) -> str:
    return text if text.startswith("urn:uuid:") else uuid.uuid4().urn


def as_document(view: View, content: bytes, caller: Caller, entry_id: str) -> Document:
    """An entry as the record keeps it."""
    persons = [text for item in view.authors(metadata.AUTHOR) for text in item["authorPerson"]]
    return Document(
        entry_id=entry_id,
        lid=entry_id,
        unique_id=view.identifier(metadata.UNIQUE),
        patient=view.identifier(metadata.PATIENT),
        element=etree.tostring(view.element, with_tail=False),
        content=content,
        mime_type=view.element.get("mimeType", ""),
        type_code=view.codes(metadata.TYPE)[0].code,
        format_code=view.codes(metadata.FORMAT)[0].code,
        confidentiality=tuple(code.code for code in view.codes(metadata.CONFIDENTIALITY)),
        authors=tuple(text.split("^")[0] for text in persons),
        structure=caller.structure,
        created=(view.slot("creationTime") or [""])[0],
        started=(view.slot("serviceStartTime") or [""])[0],
        references=tuple(view.slot("urn:ihe:iti:xds:2013:referenceIdList")),
        signature=view.signature,
    )


def as_answered(document: Document) -> Element:
    """The ExtrinsicObject as a query gives it."""
    element = parse(document.element)
    element.set("id", document.entry_id)
    element.set("lid", document.lid)
    element.set("status", document.status)
    for item in element.iter(f"{{{RIM}}}Classification"):
        item.set("classifiedObject", document.entry_id)
    for item in element.iter(f"{{{RIM}}}ExternalIdentifier"):
        item.set("registryObject", document.entry_id)
    for slot in element.findall(f"{{{RIM}}}Slot"):
        if slot.get("name") == "repositoryUniqueId":
            element.remove(slot)
    slot = etree.Element(f"{{{RIM}}}Slot", {"name": "repositoryUniqueId"})
    values = etree.SubElement(slot, f"{{{RIM}}}ValueList")
    etree.SubElement(values, f"{{{RIM}}}Value").text = REPOSITORY
    element.insert(0, slot)
    old = element.find(f"{{{RIM}}}VersionInfo")
    if old is not None:
        element.remove(old)
    last = max(
        (index for index, item in enumerate(element) if etree.QName(item).localname in ("Slot", "Name", "Description")),
    )
    element.insert(last + 1, etree.Element(f"{{{RIM}}}VersionInfo", {"versionName": str(document.version)}))
    return element


def check_content(view: View, content: bytes, person: Person) -> None:
    """The document itself: a manifest by the rules of DRIM-M, or a CDA about the same person. Raises Broken."""
    if view.element.get("mimeType") == "application/dicom":
        _check_manifest(view, content, person)
    else:
        _check_cda(content, person)


def _check_manifest(view: View, content: bytes, person: Person) -> None:
    try:
        ds = dcmread(io.BytesIO(content))
        studies = ds.CurrentRequestedProcedureEvidenceSequence
        good = {
            "SOPClassUID": ds.SOPClassUID == "1.2.840.10008.5.1.4.1.1.88.59",
            "SOPInstanceUID": ds.SOPInstanceUID == view.identifier(metadata.UNIQUE),
            "Modality": ds.Modality == "KO",
            "PatientID": ds.PatientID == person.ins,
            "SeriesNumber": ds.SeriesNumber == 59,
            "InstanceNumber": ds.InstanceNumber == 1,
            "TimezoneOffsetFromUTC": bool(ds.TimezoneOffsetFromUTC),
            "ValueType": ds.ValueType == "CONTAINER",
            "ContinuityOfContent": ds.ContinuityOfContent == "SEPARATE",
            "AccessionNumber": not ds.AccessionNumber,
            "ConceptNameCodeSequence": ds.ConceptNameCodeSequence[0].CodeValue == "113030",
            "CurrentRequestedProcedureEvidenceSequence": len(studies) == 1,
            "ReferencedRequestSequence": len(ds.ReferencedRequestSequence) == 1,
            "RetrieveURL": all(series.RetrieveURL.startswith("http") for series in studies[0].ReferencedSeriesSequence),
        }
    except (InvalidDicomError, AttributeError, IndexError, ValueError, EOFError):
        raise Broken(DOCUMENT_ERROR, "The document is no manifest.") from None
    for name, right in good.items():
        if not right:
            raise Broken(DOCUMENT_ERROR, f"The manifest's {name} is not as DRIM-M wants it.")


def _check_cda(content: bytes, person: Person) -> None:
    try:
        root = parse(content)
    except Fault:
        raise Broken(DOCUMENT_ERROR, "The document is no XML.") from None
    if root.tag != f"{CDA}ClinicalDocument":
        raise Broken(DOCUMENT_ERROR, "The document is no CDA.")
    ids = root.findall(f"{CDA}recordTarget/{CDA}patientRole/{CDA}id")
    if (person.oid, person.ins) not in {(item.get("root"), item.get("extension")) for item in ids}:
        raise Broken(DOCUMENT_ERROR, "The CDA does not name the person by their INS.")
