"""What an integrator writes by hand: SOAP 1.2 with ebXML, ER7 over MLLP. Nothing of the hub's own code is used here."""

import base64
import itertools
import socket
import ssl
import time
import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from email.message import Message
from email.parser import BytesParser
from email.policy import HTTP
from typing import Any, Self
from xml.sax.saxutils import escape, quoteattr

import httpx
from lxml import etree

from hub.testing.sandbox import SandboxProcess
from tests.tapped import problem

RIM, LCM, XDSB = (
    "urn:oasis:names:tc:ebxml-regrep:xsd:rim:3.0",
    "urn:oasis:names:tc:ebxml-regrep:xsd:lcm:3.0",
    "urn:ihe:iti:xds-b:2007",
)
QUERY, RS = "urn:oasis:names:tc:ebxml-regrep:xsd:query:3.0", "urn:oasis:names:tc:ebxml-regrep:xsd:rs:3.0"
SOAP, WSA = "http://www.w3.org/2003/05/soap-envelope", "http://www.w3.org/2005/08/addressing"
XOP = "http://www.w3.org/2004/08/xop/include"
NS = {"rim": RIM, "rs": RS, "xdsb": XDSB, "query": QUERY, "s": SOAP, "wsa": WSA}
ACTION = "urn:ihe:iti:2007:"
APPROVED = "urn:oasis:names:tc:ebxml-regrep:StatusType:Approved"
DEPRECATED = "urn:oasis:names:tc:ebxml-regrep:StatusType:Deprecated"
HAS_MEMBER = "urn:oasis:names:tc:ebxml-regrep:AssociationType:HasMember"
RELATION = "urn:ihe:iti:2007:AssociationType:"
ENTRY_CODES = {
    "classCode": ("urn:uuid:41a5887f-8865-4c09-adf7-e362475b143a", "11"),
    "confidentialityCode": ("urn:uuid:f4f85eac-e6cb-4883-b524-f2705394840f", "N"),
    "formatCode": ("urn:uuid:a09d5840-386c-46f2-b5ad-9c3699a4309d", "FMT"),
    "healthcareFacilityTypeCode": ("urn:uuid:f33fb8ac-18af-42cc-ae0e-ed0b0bdb91e1", "SA01"),
    "practiceSettingCode": ("urn:uuid:cccf5598-8b07-4b77-a05e-ae952c785ead", "RAD"),
    "typeCode": ("urn:uuid:f0306f51-975f-434e-a61c-c59651d33983", "18748-4"),
}
FIND_DOCUMENTS = "urn:uuid:14d4debf-8f97-4251-9a74-a90016b0af0d"
GET_DOCUMENTS = "urn:uuid:5c4f972b-d56b-40ac-a5fc-c8ca9b40b9d4"
GET_ALL = "urn:uuid:10b545ea-725c-446d-9b95-8aeb444eddf3"
GET_ASSOCIATIONS = "urn:uuid:a7ae438b-4bc2-4642-93e9-be891f7bb155"
FIND_SETS = "urn:uuid:f26abbcb-ac74-4422-8a30-edb644bbc1a9"
SCHEME = "1.2.250.1.999.50"
_NUMBER = itertools.count(1)


def oid() -> str:
    """A new OID below 2.25."""
    return f"2.25.{uuid.uuid4().int}"


def slot(name: str, values: Iterable[str]) -> str:
    """A Slot."""
    inner = "".join(f"<rim:Value>{escape(value)}</rim:Value>" for value in values)
    return f"<rim:Slot name={quoteattr(name)}><rim:ValueList>{inner}</rim:ValueList></rim:Slot>"


def code(owner: str, scheme: str, value: str, coding: str = SCHEME) -> str:
    """A Classification that is a code."""
    return (
        f'<rim:Classification id="c{next(_NUMBER)}" classifiedObject={quoteattr(owner)} '
        f'classificationScheme="{scheme}" nodeRepresentation={quoteattr(value)}>'
        f"{slot('codingScheme', [coding])}"
        f"<rim:Name><rim:LocalizedString value={quoteattr(value)}/></rim:Name></rim:Classification>"
    )


def classified(owner: str, node: str) -> str:
    """A Classification that says what an object is."""
    return (
        f'<rim:Classification id="n{next(_NUMBER)}" classifiedObject={quoteattr(owner)} classificationNode="{node}"/>'
    )


def identifier(owner: str, scheme: str, name: str, value: str) -> str:
    """An ExternalIdentifier."""
    return (
        f'<rim:ExternalIdentifier id="e{next(_NUMBER)}" registryObject={quoteattr(owner)} '
        f'identificationScheme="{scheme}" value={quoteattr(value)}>'
        f'<rim:Name><rim:LocalizedString value="{name}"/></rim:Name></rim:ExternalIdentifier>'
    )


@dataclass(frozen=True, kw_only=True)
class Entry:
    """A DocumentEntry with its document."""

    patient: str
    id: str = "Document01"
    uid: str = field(default_factory=oid)
    content: bytes = b"a report"
    slots: Mapping[str, Iterable[str]] = field(default_factory=dict)
    codes: Mapping[str, str] = field(default_factory=dict)  #: attribute -> code
    without: frozenset[str] = frozenset()  #: attributes and slots that are left out
    mime_type: str = "text/plain"
    object_type: str = "urn:uuid:7edca82f-054d-47f2-a032-9b2a5b5186c1"
    node: str = ""  #: a classification node

    @property
    def xml(self) -> str:
        """The ExtrinsicObject."""
        slots = {
            "creationTime": ["20260101120000"],
            "languageCode": ["fr-FR"],
            "sourcePatientId": ["4711^^^&1.2.3.4&ISO"],
            **self.slots,
        }
        identifiers = {
            "patientId": ("urn:uuid:58a6f841-87b3-4a3e-92fd-a8ffeff98427", self.patient),
            "uniqueId": ("urn:uuid:2e82c1f6-a085-4c72-9da3-8640a32e42ab", self.uid),
        }
        return (
            f'<rim:ExtrinsicObject id={quoteattr(self.id)} mimeType="{self.mime_type}" objectType="{self.object_type}">'
            + "".join(slot(name, values) for name, values in slots.items() if name not in self.without)
            + '<rim:Name><rim:LocalizedString value="Compte rendu"/></rim:Name>'
            + "".join(
                code(self.id, scheme, self.codes.get(name, value))
                for name, (scheme, value) in ENTRY_CODES.items()
                if name not in self.without
            )
            + "".join(
                identifier(self.id, scheme, f"XDSDocumentEntry.{name}", value)
                for name, (scheme, value) in identifiers.items()
                if name not in self.without
            )
            + (classified(self.id, self.node) if self.node else "")
            + "</rim:ExtrinsicObject>"
        )


@dataclass(frozen=True, kw_only=True)
class Folder:
    """A Folder."""

    patient: str
    id: str = "Folder01"
    uid: str = field(default_factory=oid)
    codes: tuple[str, ...] = ("STROKE",)
    title: str = "Dossier"
    slots: Mapping[str, Iterable[str]] = field(default_factory=dict)
    node: str = ""  #: a further classification node

    @property
    def xml(self) -> str:
        """The RegistryPackage."""
        identifiers = {
            "patientId": ("urn:uuid:f64ffdf0-4b97-4e06-b79f-a52b38ec2f8a", self.patient),
            "uniqueId": ("urn:uuid:75df8f67-9973-4fbe-a900-df66cefecc5a", self.uid),
        }
        return (
            f"<rim:RegistryPackage id={quoteattr(self.id)}>"
            + "".join(slot(name, values) for name, values in self.slots.items())
            + (f"<rim:Name><rim:LocalizedString value={quoteattr(self.title)}/></rim:Name>" if self.title else "")
            + classified(self.id, "urn:uuid:d9d542f3-6cc4-48b6-8870-ea235fbc94c2")
            + (classified(self.id, self.node) if self.node else "")
            + "".join(code(self.id, "urn:uuid:1ba97051-7806-41a8-a48b-8fce7af683c5", value) for value in self.codes)
            + "".join(
                identifier(self.id, scheme, f"XDSFolder.{name}", value) for name, (scheme, value) in identifiers.items()
            )
            + "</rim:RegistryPackage>"
        )


@dataclass(frozen=True, kw_only=True)
class Set:
    """A SubmissionSet."""

    patient: str
    id: str = "SubmissionSet01"
    uid: str = field(default_factory=oid)
    source: str = "1.2.250.1.999.60"
    without: frozenset[str] = frozenset()
    slots: Mapping[str, Iterable[str]] = field(default_factory=dict)
    node: str = ""  #: a further classification node

    @property
    def xml(self) -> str:
        """The RegistryPackage."""
        identifiers = {
            "patientId": ("urn:uuid:6b5aea1a-874d-4603-a4bc-96a0a7b38446", self.patient),
            "uniqueId": ("urn:uuid:96fdda7c-d067-4183-912e-bf5ee74998a8", self.uid),
            "sourceId": ("urn:uuid:554ac39e-e3fe-47fe-b233-965d2a147832", self.source),
        }
        return (
            f"<rim:RegistryPackage id={quoteattr(self.id)}>"
            + slot("submissionTime", ["20260101120000"])
            + "".join(slot(name, values) for name, values in self.slots.items())
            + classified(self.id, "urn:uuid:a54d6aa5-d40d-43f9-88c5-b4633d873bdd")
            + (classified(self.id, self.node) if self.node else "")
            + (
                ""
                if "contentTypeCode" in self.without
                else code(self.id, "urn:uuid:aa543740-bdda-424e-8c96-df4873be8500", "04")
            )
            + "".join(
                identifier(self.id, scheme, f"XDSSubmissionSet.{name}", value)
                for name, (scheme, value) in identifiers.items()
                if name not in self.without
            )
            + "</rim:RegistryPackage>"
        )


def association(
    kind: str,
    source: str,
    target: str,
    *,
    status: str = "",
    slots: Mapping[str, Iterable[str]] | None = None,
    name: str = "",
) -> str:
    """An Association; ``status``: SubmissionSetStatus; ``name``: its id."""
    own = name or f"as{next(_NUMBER)}"
    inner = slot("SubmissionSetStatus", [status]) if status else ""
    inner += "".join(slot(each, values) for each, values in (slots or {}).items())
    return (
        f'<rim:Association id="{own}" associationType="{kind}" sourceObject={quoteattr(source)} '
        f"targetObject={quoteattr(target)}>{inner}</rim:Association>"
    )


def submission(entries: Iterable[Entry], owner: Set, *more: str) -> str:
    """A SubmitObjectsRequest."""
    entries = tuple(entries)
    members = (association(HAS_MEMBER, owner.id, item.id, status="Original") for item in entries)
    inner = "".join((*(item.xml for item in entries), owner.xml, *members, *more))
    return (
        f'<lcm:SubmitObjectsRequest xmlns:lcm="{LCM}" xmlns:rim="{RIM}"><rim:RegistryObjectList>{inner}'
        "</rim:RegistryObjectList></lcm:SubmitObjectsRequest>"
    )


def query(query_id: str, parameters: Mapping[str, Any], *, returns: str = "LeafClass", home: str = "") -> str:
    """An AdhocQueryRequest. A parameter's value is the text of its Value, or a list of such; names without ``$``."""
    slots = "".join(
        slot(f"${name}", [value] if isinstance(value, str) else value)
        for name, several in parameters.items()
        for value in (several if isinstance(several, tuple) else (several,))
    )
    at = f' home="{home}"' if home else ""
    return (
        f'<query:AdhocQueryRequest xmlns:query="{QUERY}" xmlns:rim="{RIM}">'
        f'<query:ResponseOption returnComposedObjects="true" returnType="{returns}"/>'
        f'<rim:AdhocQuery id="{query_id}"{at}>{slots}</rim:AdhocQuery></query:AdhocQueryRequest>'
    )


def envelope(action: str, body: str, url: str = "") -> bytes:
    """A SOAP 1.2 message."""
    return (
        f'<s:Envelope xmlns:s="{SOAP}" xmlns:a="{WSA}"><s:Header><a:Action s:mustUnderstand="1">{action}</a:Action>'
        f"<a:MessageID>urn:uuid:{uuid.uuid4()}</a:MessageID><a:To>{escape(url)}</a:To></s:Header>"
        f"<s:Body>{body}</s:Body></s:Envelope>"
    ).encode()


def package(
    root: bytes, parts: Mapping[str, bytes], action: str = "", *, mark: str = "MIMEBoundary"
) -> tuple[str, bytes]:
    """Content-Type and body of an MTOM package. ``parts``: Content-ID -> bytes."""
    body = [
        f'--{mark}\r\nContent-Type: application/xop+xml; charset=UTF-8; type="application/soap+xml"\r\n'
        "Content-Transfer-Encoding: binary\r\nContent-ID: <root@x>\r\n\r\n".encode(),
        root,
    ]
    for name, content in parts.items():
        head = f"\r\n--{mark}\r\nContent-Type: text/plain\r\nContent-Transfer-Encoding: binary\r\n"
        body += [f"{head}Content-ID: <{name}>\r\n\r\n".encode(), content]
    body.append(f"\r\n--{mark}--\r\n".encode())
    kind = (
        f'multipart/related; type="application/xop+xml"; start="<root@x>"; start-info="application/soap+xml"; '
        f'boundary="{mark}"; action="{action}"'
    )
    return kind, b"".join(body)


def provision(
    entries: Iterable[Entry], owner: Set, *more: str, documents: Mapping[str, bytes] | None = None, url: str = ""
) -> tuple[str, bytes]:
    """Content-Type and body of an ITI-41 request. ``documents``: as in ``Integrator.provide``."""
    entries = tuple(entries)
    contents = {item.id: item.content for item in entries} if documents is None else documents
    names = {name: f"doc{number}@x" for number, name in enumerate(contents)}
    listed = "".join(
        f'<xdsb:Document id="{name}"><xop:Include xmlns:xop="{XOP}" href="cid:{part}"/></xdsb:Document>'
        for name, part in names.items()
    )
    body = (
        f'<xdsb:ProvideAndRegisterDocumentSetRequest xmlns:xdsb="{XDSB}">{submission(entries, owner, *more)}'
        f"{listed}</xdsb:ProvideAndRegisterDocumentSetRequest>"
    )
    action = ACTION + "ProvideAndRegisterDocumentSet-b"
    return package(envelope(action, body, url), {names[name]: one for name, one in contents.items()}, action)


@dataclass(frozen=True)
class Answer:
    """What came back."""

    status: int
    root: etree._Element
    parts: Mapping[str, bytes] = field(default_factory=dict)

    @property
    def body(self) -> etree._Element:
        """The SOAP body's element."""
        found = self.root.find("s:Body", NS)
        assert found is not None
        return found[0]

    @property
    def outcome(self) -> str:
        """Success, Failure, PartialSuccess; or the fault's code."""
        fault = self.root.find("s:Body/s:Fault", NS)
        if fault is not None:
            return "Fault " + str(fault.findtext("s:Code/s:Value", namespaces=NS)).rpartition(":")[2]
        carrier = self.body if self.body.get("status") else self.body.find("rs:RegistryResponse", NS)
        assert carrier is not None
        return str(carrier.get("status")).rpartition(":")[2]

    @property
    def errors(self) -> list[str]:
        """Error codes."""
        return [str(item.get("errorCode")) for item in self.root.iter(f"{{{RS}}}RegistryError")]

    @property
    def locations(self) -> list[str]:
        """Locations of the errors."""
        return [str(item.get("location") or "") for item in self.root.iter(f"{{{RS}}}RegistryError")]

    def objects(self, kind: str) -> list[etree._Element]:
        """Registry objects of a kind: ExtrinsicObject, RegistryPackage, Association, ObjectRef."""
        return list(self.root.iter(f"{{{RIM}}}{kind}"))

    @property
    def uids(self) -> list[str]:
        """uniqueIds of the returned entries."""
        return [unique_id(item) for item in self.objects("ExtrinsicObject")]

    def documents(self) -> dict[str, bytes]:
        """Retrieved documents by uniqueId."""
        found = {}
        for row in self.root.iter(f"{{{XDSB}}}DocumentResponse"):
            document = row.find("xdsb:Document", NS)
            assert document is not None
            where = document.find(f"{{{XOP}}}Include")
            content = (
                base64.b64decode(document.text or "")
                if where is None
                else self.parts[str(where.get("href")).removeprefix("cid:")]
            )
            found[str(row.findtext("xdsb:DocumentUniqueId", namespaces=NS))] = content
        return found


def unique_id(item: etree._Element) -> str:
    """An entry's uniqueId."""
    for row in item.iterfind("rim:ExternalIdentifier", NS):
        if row.get("identificationScheme") == "urn:uuid:2e82c1f6-a085-4c72-9da3-8640a32e42ab":
            return str(row.get("value"))
    return ""


def slot_values(item: etree._Element, name: str) -> list[str]:
    """A slot's values."""
    return [
        str(value.text) for row in item.iterfind("rim:Slot", NS) if row.get("name") == name
        for value in row.iterfind("rim:ValueList/rim:Value", NS)
    ]  # fmt: skip


class Integrator:
    """A system of a vendor that talks to a sandbox."""

    def __init__(self, box: SandboxProcess | Mapping[str, str]) -> None:
        self.box = box
        self.secure = str(box["fhir"]).startswith("https")
        self.http = box.client() if isinstance(box, SandboxProcess) and self.secure else httpx.Client(timeout=30)

    @property
    def process(self) -> SandboxProcess:
        """The sandbox, where it is a process of its own."""
        assert isinstance(self.box, SandboxProcess)
        return self.box

    def post(self, url: str, content_type: str, body: Any, **headers: str) -> httpx.Response:
        """Any bytes to any address."""
        return self.http.post(url, content=body, headers={"Content-Type": content_type, **headers})

    def call(self, where: str, action: str, body: str, parts: Mapping[str, bytes] | None = None) -> Answer:
        """A SOAP call; an MTOM package when there are ``parts`` (or none in an empty mapping)."""
        url = self.box[where]
        root = envelope(action, body, url)
        if parts is None:
            content_type, content = f'application/soap+xml; charset=UTF-8; action="{action}"', root
        else:
            content_type, content = package(root, parts, action)
        return self._checked(root, read(self.post(url, content_type, content)))

    @staticmethod
    def _checked(root: bytes, answer: Answer) -> Answer:
        """What was taken without a complaint is valid by the public schemas too."""
        if answer.root.find("s:Body/s:Fault", NS) is None and not answer.errors:
            for body in etree.fromstring(root).iterfind("s:Body/*", NS):
                assert not (found := problem(body)), found
        return answer

    def provide(
        self, entries: Iterable[Entry], owner: Set, *more: str, documents: Mapping[str, bytes] | None = None
    ) -> Answer:
        """ITI-41. ``documents``: entry id -> bytes, where they are not those of the entries."""
        url = self.box["xds_repository"]
        return read(self.post(url, *provision(entries, owner, *more, documents=documents, url=url)))

    def register(self, entries: Iterable[Entry], owner: Set, *more: str) -> Answer:
        """ITI-42."""
        return self.call("xds_registry", ACTION + "RegisterDocumentSet-b", submission(entries, owner, *more))

    def ask(self, query_id: str, parameters: Mapping[str, Any], **options: str) -> Answer:
        """ITI-18."""
        return self.call("xds_registry", ACTION + "RegistryStoredQuery", query(query_id, parameters, **options))

    def find(self, patient: str, status: str = APPROVED, **more: Any) -> Answer:
        """FindDocuments; further parameters without their prefix."""
        asked = {"PatientId": f"'{patient}'", "Status": f"('{status}')", **more}
        return self.ask(FIND_DOCUMENTS, {f"XDSDocumentEntry{name}": value for name, value in asked.items()})

    def retrieve(self, *wanted: tuple[str, str], mtom: bool = True) -> Answer:
        """ITI-43 of (repositoryUniqueId, documentUniqueId) pairs."""
        rows = "".join(
            f"<xdsb:DocumentRequest><xdsb:RepositoryUniqueId>{repository}</xdsb:RepositoryUniqueId>"
            f"<xdsb:DocumentUniqueId>{document}</xdsb:DocumentUniqueId></xdsb:DocumentRequest>"
            for repository, document in wanted
        )
        body = f'<xdsb:RetrieveDocumentSetRequest xmlns:xdsb="{XDSB}">{rows}</xdsb:RetrieveDocumentSetRequest>'
        return self.call("xds_repository", ACTION + "RetrieveDocumentSet", body, {} if mtom else None)

    def mllp(self) -> "Mllp":
        """A connection to the HL7 port."""
        tls = None
        if self.secure:
            tls = ssl.create_default_context(cafile=self.box["ca"])
            tls.load_cert_chain(self.box["client_cert"], self.box["client_key"])
        host, _, port = self.box["mllp"].rpartition(":")
        return Mllp(host, int(port), tls)

    def feed(self, message: bytes) -> str:
        """The answer to one message on a connection of its own."""
        with self.mllp() as connection:
            return connection.send(message)

    def announce(self, number: str, oid_of_authority: str, **traits: str) -> str:
        """Feed an identity (ADT^A28); its CX."""
        answer = self.feed(identity("A28", f"{number}^^^&{oid_of_authority}&ISO^PI", **traits))
        assert "MSA|AA" in answer, answer
        return f"{number}^^^&{oid_of_authority}&ISO"

    def close(self) -> None:
        """Close the HTTP connections."""
        self.http.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def read(response: httpx.Response) -> Answer:
    """A SOAP answer, plain or a package; what ebRS and IHE publish a schema for is valid by it."""
    answer = _read(response)
    for body in answer.root.iterfind("s:Body/*", NS):
        assert not (found := problem(body)), found
    return answer


def _read(response: httpx.Response) -> Answer:
    kind = response.headers.get("content-type", "")
    if not kind.startswith("multipart/"):
        return Answer(response.status_code, etree.fromstring(response.content))
    message = BytesParser(policy=HTTP).parsebytes(f"Content-Type: {kind}\r\n\r\n".encode() + response.content)
    root, *others = ((str(part["Content-ID"]).strip("<>"), _payload(part)) for part in message.iter_parts())
    return Answer(response.status_code, etree.fromstring(root[1]), dict(others))


def _payload(part: Message) -> bytes:
    found = part.get_payload(decode=True)
    assert isinstance(found, bytes)
    return found


class Mllp:
    """A connection that sends and waits for the answer."""

    def __init__(self, host: str, port: int, tls: ssl.SSLContext | None = None, timeout: float = 30) -> None:
        plain = socket.create_connection((host, port), timeout=timeout)
        self.socket = tls.wrap_socket(plain, server_hostname=host) if tls else plain
        self._rest = b""

    def send(self, message: bytes) -> str:
        """Frame, send, wait."""
        self.socket.sendall(b"\x0b" + message + b"\x1c\r")
        return self.answer()

    def answer(self) -> str:
        """The next answer. Raises ConnectionError when the peer closes."""
        while b"\x1c\r" not in self._rest:
            piece = self.socket.recv(65536)
            if not piece:
                raise ConnectionResetError("closed")
            self._rest += piece
        found, _, self._rest = self._rest.partition(b"\x1c\r")
        return found.lstrip(b"\x0b").decode("utf-8", "replace")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()


def header(event: str, control_id: str = "", sender: str = "HIS|HOSP", charset: str = "UNICODE UTF-8") -> str:
    """An MSH segment."""
    control_id = control_id or uuid.uuid4().hex[:20]
    stamp = time.strftime("%Y%m%d%H%M%S")
    return f"MSH|^~\\&|{sender}|HUB|REGION|{stamp}||{event}|{control_id}|P|2.5|||||FRA|{charset}"


def identity(
    event: str,
    pid3: str,
    *,
    name: str = "DUPONT^JEANNE",
    birth: str = "19700101",
    sex: str = "F",
    status: str = "VALI",
    control_id: str = "",
    sender: str = "HIS|HOSP",
    merged: str = "",
) -> bytes:
    """An ADT message by hand; ``merged``: MRG-1."""
    structure = "ADT_A39" if event == "A40" else "ADT_A05" if event in ("A28", "A31") else "ADT_A01"
    segments = [
        header(f"ADT^{event}^{structure}", control_id, sender),
        "EVN||20260101120000",
        f"PID|1||{pid3}||{name}^^^^^L||{birth}|{sex}{'|' * 24}{status}",
        f"MRG|{merged}" if merged else "PV1||N",
        "",
    ]
    return "\r".join(segments).encode()
