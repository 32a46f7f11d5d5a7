"""TD3.1 (ITI-18), TD3.2 (ITI-43) and TD3.3 (ITI-57) of the simulated record."""

import re
import uuid
from collections.abc import Callable, Mapping

from lxml import etree

from hub.testing.dmp import metadata, rights
from hub.testing.dmp.envelope import XOP, Element, Fault, Incoming, parse
from hub.testing.dmp.metadata import RIM, Broken, View
from hub.testing.dmp.state import APPROVED, ARCHIVED, DELETED, DEPRECATED, REPOSITORY, Document, Person, State
from hub.testing.dmp.submission import LCM, XDSB, as_answered, as_document, read_lot
from hub.testing.dmp.vihf import Caller

QUERY, RS = "urn:oasis:names:tc:ebxml-regrep:xsd:query:3.0", "urn:oasis:names:tc:ebxml-regrep:xsd:rs:3.0"
SUCCESS = "urn:oasis:names:tc:ebxml-regrep:ResponseStatusType:Success"
FAILURE = "urn:oasis:names:tc:ebxml-regrep:ResponseStatusType:Failure"
FIND, GET = "urn:uuid:14d4debf-8f97-4251-9a74-a90016b0af0d", "urn:uuid:5c4f972b-d56b-40ac-a5fc-c8ca9b40b9d4"
FIND_SETS = "urn:uuid:f26abbcb-ac74-4422-8a30-edb644bbc1a9"
ASSOCIATIONS = "urn:uuid:a7ae438b-4bc2-4642-93e9-be891f7bb155"
GET_BOTH = "urn:uuid:bab9529a-4a10-40b3-a01f-f68a615d247a"
BY_REFERENCE = "urn:uuid:12941a89-e02e-4be5-967c-ce4bfc8fe492"
BATCH = 20
STATUSES = frozenset({APPROVED, DEPRECATED, ARCHIVED, DELETED})
UPDATE_STATUS = "urn:ihe:iti:2010:AssociationType:UpdateAvailabilityStatus"
_VALUE = re.compile(r"'((?:[^']|'')*)'|([0-9]+)")
#: What may become of a document (TD3.3c, TD3.3d and back).
CHANGES: Mapping[str, frozenset[str]] = {
    APPROVED: frozenset({ARCHIVED, DELETED}),
    ARCHIVED: frozenset({APPROVED, DELETED}),
    DEPRECATED: frozenset({DELETED}),
}
Parameters = dict[str, list[str]]


def response(status: str, code: str = "", text: str = "", tag: str = f"{{{RS}}}RegistryResponse") -> Element:
    """A RegistryResponse."""
    body = etree.Element(tag, {"status": status}, nsmap={"rs": RS})
    if code:
        severity = "urn:oasis:names:tc:ebxml-regrep:ErrorSeverityType:Error"
        listed = etree.SubElement(body, f"{{{RS}}}RegistryErrorList", {"highestSeverity": severity})
        attributes = {"codeContext": text, "errorCode": code, "severity": severity}
        etree.SubElement(listed, f"{{{RS}}}RegistryError", attributes)
    return body


def failed_query(code: str, text: str) -> Element:
    """An AdhocQueryResponse that says why not."""
    body = response(FAILURE, code, text, f"{{{QUERY}}}AdhocQueryResponse")
    etree.SubElement(body, f"{{{RIM}}}RegistryObjectList")
    return body


class Registry:
    """Questions and changes."""

    def __init__(self, state: State) -> None:
        self.state = state
        self.queries: Mapping[str, Callable[[Parameters, Caller, Person], list[Element]]] = {
            FIND: self._find,
            BY_REFERENCE: self._by_reference,
            GET: self._get,
            GET_BOTH: self._get_both,
            ASSOCIATIONS: self._associations,
            FIND_SETS: self._find_sets,
        }

    # TD3.1

    def query(self, message: Incoming, caller: Caller, person: Person) -> Element:
        """ITI-18. Raises Fault, Broken."""
        rights.may("TD3.1", caller, person)
        adhoc = message.body.find(f"{{{RIM}}}AdhocQuery")
        option = message.body.find(f"{{{QUERY}}}ResponseOption")
        if message.body.tag != f"{{{QUERY}}}AdhocQueryRequest" or adhoc is None or option is None:
            raise Fault("Client", "The request is no AdhocQueryRequest.")
        run = self.queries.get(adhoc.get("id", ""))
        if run is None:
            raise Broken("XDSUnknownStoredQuery", "The stored query is not offered.")
        if caller.mode == rights.INDIRECT and adhoc.get("id") not in (GET, BY_REFERENCE):
            raise Fault("DMPAccessDenied", "The indirect mode finds the reference of its own documents only.")
        if not person.open:
            raise Broken("DMPClosedRecord", "The record is closed.")
        found = run(_parameters(adhoc), caller, person)
        body = etree.Element(f"{{{QUERY}}}AdhocQueryResponse", {"status": SUCCESS}, nsmap={"rim": RIM, "query": QUERY})
        listed = etree.SubElement(body, f"{{{RIM}}}RegistryObjectList")
        whole = option.get("returnType") == "LeafClass"
        for item in found:
            listed.append(item if whole else etree.Element(f"{{{RIM}}}ObjectRef", {"id": item.get("id", "")}))
        return body

    def _visible(self, caller: Caller, person: Person) -> list[Document]:
        return [
            item for item in self.state.of(person.cx) if item.status != DELETED and rights.shown(item, caller, person)
        ]

    def _person(self, parameters: Parameters, name: str, person: Person) -> None:
        if name not in parameters:
            raise Broken("XDSStoredQueryMissingParam", name)
        if parameters[name] != [person.cx]:
            raise Broken("XDSUnknownPatientId", "The patient is not that of the VIHF.")

    def _find(self, parameters: Parameters, caller: Caller, person: Person) -> list[Element]:
        self._person(parameters, "$XDSDocumentEntryPatientId", person)
        return [as_answered(item) for item in self._filtered(parameters, caller, person)]

    def _filtered(self, parameters: Parameters, caller: Caller, person: Person) -> list[Document]:
        wanted = parameters.get("$XDSDocumentEntryStatus")
        if not wanted:
            raise Broken("XDSStoredQueryMissingParam", "$XDSDocumentEntryStatus")
        if not set(wanted) <= STATUSES:
            raise Broken("XDSRegistryError", "A status is unknown.")
        kept = [item for item in self._visible(caller, person) if item.status in wanted]
        for name, scheme in (
            ("TypeCode", metadata.TYPE),
            ("ClassCode", metadata.CLASS),
            ("FormatCode", metadata.FORMAT),
            ("EventCodeList", metadata.EVENT),
        ):
            coded = set(parameters.get(f"$XDSDocumentEntry{name}", ()))
            if coded:
                kept = [item for item in kept if coded & {f"{one.code}^^{one.scheme}" for one in _codes(item, scheme)}]
        for name, attribute in (("CreationTime", "created"), ("ServiceStartTime", "started")):
            start = parameters.get(f"$XDSDocumentEntry{name}From", [""])[0]
            end = parameters.get(f"$XDSDocumentEntry{name}To", [""])[0]
            kept = [
                item
                for item in kept
                if (not start or getattr(item, attribute).ljust(14, "0") >= start.ljust(14, "0"))
                and (not end or getattr(item, attribute).ljust(14, "0") < end.ljust(14, "0"))
            ]
        return kept

    def _by_reference(self, parameters: Parameters, caller: Caller, person: Person) -> list[Element]:
        self._person(parameters, "$XDSDocumentEntryPatientId", person)
        wanted = parameters.get("$XDSDocumentEntryReferenceIdList")
        if not wanted:
            raise Broken("XDSStoredQueryMissingParam", "$XDSDocumentEntryReferenceIdList")
        return [
            as_answered(item)
            for item in self._filtered(parameters, caller, person)
            if set(wanted) & {text for full in item.references for text in (full, full.split("^")[0])}
        ]

    def _named(self, parameters: Parameters, caller: Caller, person: Person) -> list[Document]:
        uuids, uniques = parameters.get("$XDSDocumentEntryEntryUUID"), parameters.get("$XDSDocumentEntryUniqueId")
        if bool(uuids) == bool(uniques):
            raise Broken("XDSStoredQueryParamNumber", "Either entryUUID or uniqueId.")
        wanted = set(uuids or uniques or ())
        if len(wanted) > BATCH:
            raise Broken("XDSStoredQueryParamNumber", f"At most {BATCH} documents at a time.")
        return [item for item in self._visible(caller, person) if {item.entry_id, item.unique_id} & wanted]

    def _get(self, parameters: Parameters, caller: Caller, person: Person) -> list[Element]:
        return [as_answered(item) for item in self._named(parameters, caller, person)]

    def _get_both(self, parameters: Parameters, caller: Caller, person: Person) -> list[Element]:
        found = self._named(parameters, caller, person)
        return [as_answered(item) for item in found] + self._links({item.entry_id for item in found})

    def _associations(self, parameters: Parameters, caller: Caller, person: Person) -> list[Element]:
        visible = {item.entry_id for item in self._visible(caller, person)}
        return self._links(set(parameters.get("$uuid", ())) & visible)

    def _links(self, ids: set[str]) -> list[Element]:
        return [
            etree.Element(
                f"{{{RIM}}}Association",
                {
                    "id": uuid.uuid5(uuid.NAMESPACE_URL, kind + source + target).urn,
                    "objectType": "urn:oasis:names:tc:ebxml-regrep:ObjectType:RegistryObject:Association",
                    "associationType": kind,
                    "sourceObject": source,
                    "targetObject": target,
                    "status": APPROVED,
                },
            )
            for kind, source, target in self.state.associations
            if {source, target} & ids
        ]

    def _find_sets(self, parameters: Parameters, caller: Caller, person: Person) -> list[Element]:  # noqa: ARG002
        self._person(parameters, "$XDSSubmissionSetPatientId", person)
        return [parse(data) for patient, data in self.state.set_elements.values() if patient == person.cx]

    # TD3.2

    def retrieve(self, message: Incoming, caller: Caller, person: Person) -> tuple[Element, dict[str, bytes]]:
        """ITI-43. Raises Fault, Broken."""
        rights.may("TD3.2", caller, person)
        if message.body.tag != f"{{{XDSB}}}RetrieveDocumentSetRequest":
            raise Fault("Client", "The request is no RetrieveDocumentSetRequest.")
        body = etree.Element(f"{{{XDSB}}}RetrieveDocumentSetResponse", nsmap={"xdsb": XDSB})
        body.append(response(SUCCESS))
        parts = {}
        for wanted in message.body.iterfind(f"{{{XDSB}}}DocumentRequest"):
            repository = wanted.findtext(f"{{{XDSB}}}RepositoryUniqueId")
            unique_id = wanted.findtext(f"{{{XDSB}}}DocumentUniqueId") or ""
            if repository != REPOSITORY:
                raise Broken("XDSUnknownRepositoryId", "The repository is another one.")
            found = [item for item in self._visible(caller, person) if item.unique_id == unique_id]
            if not found:
                raise Broken("XDSDocumentUniqueIdError", "The document is not known.")
            name = f"{uuid.uuid4().hex}@dmp"
            item = etree.SubElement(body, f"{{{XDSB}}}DocumentResponse")
            for tag, text in (
                ("RepositoryUniqueId", REPOSITORY),
                ("DocumentUniqueId", unique_id),
                ("mimeType", found[0].mime_type),
            ):
                etree.SubElement(item, f"{{{XDSB}}}{tag}").text = text
            document = etree.SubElement(item, f"{{{XDSB}}}Document")
            etree.SubElement(document, f"{{{XOP}}}Include", {"href": f"cid:{name}"})
            parts[name] = found[0].content
        return body, parts

    # TD3.3

    def update(self, message: Incoming, caller: Caller, person: Person) -> Element:
        """ITI-57. Raises Fault, Broken."""
        rights.may("TD3.3", caller, person)
        if message.body.tag != f"{{{LCM}}}SubmitObjectsRequest":
            raise Fault("Client", "The request is no SubmitObjectsRequest.")
        if not person.open:
            raise Broken("DMPClosedRecord", "The record is closed.")
        lot = read_lot(message.body)
        metadata.check(lot.set, metadata.SET)
        changes = [link for link in lot.links if link.type == UPDATE_STATUS]
        if bool(changes) == bool(lot.entries):
            raise Broken("XDSMetadataUpdateError", "Either statuses or new versions are changed.")
        for link in changes:
            if link.source != lot.set.id:
                raise Broken("XDSMetadataUpdateError", "The change must come from the SubmissionSet.")
            before, after = link.view.slot("OriginalStatus"), link.view.slot("NewStatus")
            document = self._changeable(link.target, caller, person)
            if before != [document.status]:
                raise Broken("XDSMetadataUpdateError", "OriginalStatus is not the status.")
            if len(after) != 1 or after[0] not in CHANGES.get(document.status, frozenset()):
                raise Broken("XDSMetadataUpdateError", "This change of status is not possible.")
            document.status = after[0]
        for view in lot.entries:
            self._new_version(view, lot.links, caller, person)
        self.state.sets[lot.set.identifier(metadata.SET_UNIQUE)] = uuid.uuid4().urn
        return response(SUCCESS)

    def _changeable(self, entry_id: str, caller: Caller, person: Person) -> Document:
        document = self.state.documents.get(entry_id)
        if document is None or document.patient != person.cx or document.status == DELETED:
            raise Broken("UnresolvedReferenceException", "The document is not known.")
        rights.changes(document, caller, person)
        return document

    def _new_version(self, view: View, links: list, caller: Caller, person: Person) -> None:  # type: ignore[type-arg]
        lid = view.element.get("lid", "")
        old = next((item for item in self.state.documents.values() if item.lid == lid), None)
        if old is None:
            raise Broken("XDSMetadataUpdateError", "lid is not known.")
        document = self._changeable(old.entry_id, caller, person)
        member = [link for link in links if link.target == view.id]
        if len(member) != 1 or member[0].view.slot("PreviousVersion") != [str(document.version)]:
            raise Broken("XDSMetadataVersionError", "PreviousVersion is not the version.")
        metadata.check(view, metadata.ENTRY[:-1])
        fresh = as_document(view, document.content, caller, uuid.uuid4().urn)
        if (fresh.unique_id, fresh.patient) != (document.unique_id, document.patient):
            raise Broken("XDSMetadataIdentifierError", "A new version keeps its uniqueId and its patient.")
        if _but_confidentiality(view.element) != _but_confidentiality(parse(document.element)):
            raise Broken("UnmodifiableMetadataError", "Only the confidentiality is changed.")
        fresh.lid, fresh.version, fresh.set_id = document.lid, document.version + 1, document.set_id
        fresh.structure, fresh.status = document.structure, document.status
        del self.state.documents[document.entry_id]
        self.state.documents[fresh.entry_id] = fresh
        self.state.associations = [
            (kind, *(fresh.entry_id if end == document.entry_id else end for end in ends))  # type: ignore[misc]
            for kind, *ends in self.state.associations
        ]


def _but_confidentiality(element: Element) -> tuple[object, ...]:
    view = View(element)
    schemes = (metadata.CLASS, metadata.TYPE, metadata.FORMAT, metadata.FACILITY, metadata.PRACTICE)
    codes = tuple((item.code, item.scheme) for scheme in schemes for item in view.codes(scheme))
    slots = tuple(tuple(view.slot(name)) for name in ("hash", "creationTime", "serviceStartTime", "legalAuthenticator"))
    return (codes, slots, view.text("Name"), str(view.authors(metadata.AUTHOR)))


def _codes(document: Document, scheme: str) -> list[metadata.Coded]:
    return View(parse(document.element)).codes(scheme)


def _parameters(adhoc: Element) -> Parameters:
    found: Parameters = {}
    for slot in adhoc.iterfind(f"{{{RIM}}}Slot"):
        values = found.setdefault(slot.get("name", ""), [])
        for value in slot.iterfind(f"{{{RIM}}}ValueList/{{{RIM}}}Value"):
            values += [
                match[1].replace("''", "'") if match[1] is not None else match[2]
                for match in _VALUE.finditer(value.text or "")
            ]
    return found
