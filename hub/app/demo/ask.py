"""What a foreign system asks the hub in the demo: messages written by hand, as its own developer would."""

from typing import Any
from xml.sax.saxutils import escape

from lxml import etree

from hub.wire.xml import parse_xml

RIM = "urn:oasis:names:tc:ebxml-regrep:xsd:rim:3.0"
XDSB = "urn:ihe:iti:xds-b:2007"
FIND_DOCUMENTS = "urn:uuid:14d4debf-8f97-4251-9a74-a90016b0af0d"
STORED_QUERY = "urn:ihe:iti:2007:RegistryStoredQuery"
RETRIEVE = "urn:ihe:iti:2007:RetrieveDocumentSet"
RETRIEVE_IMAGES = "urn:ihe:rad:2009:RetrieveImagingDocumentSet"
UNIQUE_ID = "urn:uuid:2e82c1f6-a085-4c72-9da3-8640a32e42ab"


def find_documents(patient_cx: str) -> Any:
    """ITI-18 FindDocuments, approved entries, LeafClass."""
    slots = {
        "$XDSDocumentEntryPatientId": f"'{patient_cx}'",
        "$XDSDocumentEntryStatus": "('urn:oasis:names:tc:ebxml-regrep:StatusType:Approved')",
    }
    values = "".join(
        f'<rim:Slot name="{name}"><rim:ValueList><rim:Value>{escape(value)}</rim:Value></rim:ValueList></rim:Slot>'
        for name, value in slots.items()
    )
    return parse_xml(
        f'<query:AdhocQueryRequest xmlns:query="urn:oasis:names:tc:ebxml-regrep:xsd:query:3.0" xmlns:rim="{RIM}">'
        '<query:ResponseOption returnComposedObjects="true" returnType="LeafClass"/>'
        f'<rim:AdhocQuery id="{FIND_DOCUMENTS}">{values}</rim:AdhocQuery></query:AdhocQueryRequest>'.encode()
    )


def entries(body: Any) -> list[dict[str, str]]:
    """What an AdhocQueryResponse lists: mime type, title, uniqueId, repository, hash, size."""
    found = []
    for item in body.iter(f"{{{RIM}}}ExtrinsicObject"):
        slots = {
            slot.get("name"): slot.findtext(f"{{{RIM}}}ValueList/{{{RIM}}}Value") or ""
            for slot in item.findall(f"{{{RIM}}}Slot")
        }
        unique = next(
            x.get("value")
            for x in item.findall(f"{{{RIM}}}ExternalIdentifier")
            if x.get("identificationScheme") == UNIQUE_ID
        )
        title = item.find(f"{{{RIM}}}Name/{{{RIM}}}LocalizedString")
        found.append(
            {
                "mime_type": item.get("mimeType") or "",
                "title": "" if title is None else title.get("value") or "",
                "unique_id": unique,
                "repository": slots.get("repositoryUniqueId", ""),
                "hash": slots.get("hash", ""),
                "size": slots.get("size", ""),
            }
        )
    return found


def retrieve(documents: list[dict[str, str]]) -> Any:
    """ITI-43 for all of them."""
    root = etree.Element(f"{{{XDSB}}}RetrieveDocumentSetRequest", nsmap={"xdsb": XDSB})
    for document in documents:
        _document(root, document["repository"], document["unique_id"])
    return root


def retrieve_images(study: str, images: list[tuple[str, str]], repository: str, syntaxes: list[str]) -> Any:
    """RAD-69 for (series UID, instance UID) pairs of one study."""
    rad = "urn:ihe:rad:xdsi-b:2009"
    root = etree.Element(f"{{{rad}}}RetrieveImagingDocumentSetRequest", nsmap={"iherad": rad, "xdsb": XDSB})
    wanted = etree.SubElement(root, f"{{{rad}}}StudyRequest", {"studyInstanceUID": study})
    series: dict[str, Any] = {}
    for series_uid, instance_uid in images:
        if series_uid not in series:
            series[series_uid] = etree.SubElement(wanted, f"{{{rad}}}SeriesRequest", {"seriesInstanceUID": series_uid})
        _document(series[series_uid], repository, instance_uid)
    listed = etree.SubElement(root, f"{{{rad}}}TransferSyntaxUIDList")
    for syntax in syntaxes:
        etree.SubElement(listed, f"{{{rad}}}TransferSyntaxUID").text = syntax
    return root


def received(message: Any) -> list[tuple[str, Any]]:
    """(DocumentUniqueId, attachment) of every DocumentResponse."""
    return [
        (str(item.findtext(f"{{{XDSB}}}DocumentUniqueId")), message.content(item.find(f"{{{XDSB}}}Document")))
        for item in message.body.iter(f"{{{XDSB}}}DocumentResponse")
    ]


def _document(parent: Any, repository: str, unique_id: str) -> None:
    request = etree.SubElement(parent, f"{{{XDSB}}}DocumentRequest")
    etree.SubElement(request, f"{{{XDSB}}}RepositoryUniqueId").text = repository
    etree.SubElement(request, f"{{{XDSB}}}DocumentUniqueId").text = unique_id
