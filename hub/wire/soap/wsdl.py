"""WSDL 1.1 with the SOAP 1.2 binding of an endpoint, made from its operations (ITI TF-2: V.3.2).

Messages are declared by their elements only; what is in them the standards' schemas say."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from lxml import etree

from hub.wire.ebxml.names import iherad, lcm, query, rs, xdsb
from hub.wire.hl7v3.names import V3, v3
from hub.wire.xml import Element

WSDL = "http://schemas.xmlsoap.org/wsdl/"
SOAP12 = "http://schemas.xmlsoap.org/wsdl/soap12/"
XSD = "http://www.w3.org/2001/XMLSchema"
WSAM = "http://www.w3.org/2007/05/addressing/metadata"
POLICY = "http://schemas.xmlsoap.org/ws/2004/09/policy"
MTOM = "http://schemas.xmlsoap.org/ws/2004/09/policy/optimizedmimeserialization"
UTILITY = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-utility-1.0.xsd"
TARGET = "urn:maillage:wsdl"
HTTP = "http://schemas.xmlsoap.org/soap/http"
MEDIA_TYPE = "text/xml; charset=utf-8"

_REGISTRY = rs("RegistryResponse")
_ACK = v3("MCCI_IN000002UV01")
#: Request element -> answer element, where it is not the same name with Response.
ANSWERS: Mapping[str, str] = {
    query("AdhocQueryRequest"): query("AdhocQueryResponse"),
    lcm("SubmitObjectsRequest"): _REGISTRY,
    lcm("RemoveObjectsRequest"): _REGISTRY,
    xdsb("ProvideAndRegisterDocumentSetRequest"): _REGISTRY,
    "{urn:ihe:iti:rmd:2017}RemoveDocumentsRequest": _REGISTRY,
    iherad("RetrieveImagingDocumentSetRequest"): xdsb("RetrieveDocumentSetResponse"),
    v3("PRPA_IN201301UV02"): _ACK,
    v3("PRPA_IN201302UV02"): _ACK,
    v3("PRPA_IN201304UV02"): _ACK,
    v3("PRPA_IN201305UV02"): v3("PRPA_IN201306UV02"),
    v3("PRPA_IN201309UV02"): v3("PRPA_IN201310UV02"),
    v3("QUQI_IN000003UV01"): v3("PRPA_IN201306UV02"),
    v3("QUQI_IN000003UV01_Cancel"): _ACK,
}


@dataclass(frozen=True, slots=True)
class Operation:
    """One operation. ``actor``: who answers. Elements in Clark notation; ``mtom``: a package is required."""

    actor: str
    action: str
    response_action: str  #: "" : nothing is answered
    body: str
    mtom: bool = False
    documentation: str = ""

    @property
    def name(self) -> str:
        """The standard's: the actor, then the transaction; for HL7 v3 the interaction."""
        v3_body = self.body.startswith(f"{{{V3}}}")
        task = _local(self.body) if v3_body else re.split(r"[:/]", self.action)[-1]
        return f"{re.sub(r'[^A-Za-z0-9]', '', self.actor)}_{task}"

    @property
    def answer(self) -> str:
        """The answer's element."""
        known = ANSWERS.get(self.body)
        return known or f"{self.body.removesuffix('Request')}Response"


def write_wsdl(name: str, location: str, operations: Iterable[Operation]) -> bytes:
    """The document. ``name``: of the endpoint, "xds/registry"; ``location``: its URL.

    Operations that need an MTOM package have a binding and a port of their own: the policy belongs to a binding."""
    every = sorted(operations, key=lambda item: (item.mtom, item.name))
    title = "".join(part.title() for part in re.split(r"[^A-Za-z0-9]+", name) if part)
    spaces = _prefixes(every)
    root = etree.Element(_wsdl("definitions"), {"name": title, "targetNamespace": TARGET}, nsmap=spaces)
    for mtom in sorted({item.mtom for item in every}):
        _write_policy(root, mtom=mtom)
    _write_types(root, every)
    for item in every:
        _write_message(root, f"{item.name}_Message", item.body)
        if item.response_action:
            _write_message(root, f"{item.name}Response_Message", item.answer)
    groups = [(mtom, list(items)) for mtom, items in groupby(every, lambda item: item.mtom)]
    for mtom, items in groups:
        _write_port_type(root, _part(title, mtom=mtom), items)
    for mtom, items in groups:
        _write_binding(root, _part(title, mtom=mtom), items, mtom=mtom)
    service = _add(root, "service", name=f"{title}_Service")
    for mtom, _ in groups:
        part = _part(title, mtom=mtom)
        port = _add(service, "port", name=f"{part}_Port_Soap12", binding=f"tns:{part}_Binding_Soap12")
        etree.SubElement(port, f"{{{SOAP12}}}address", {"location": location})
    return bytes(etree.tostring(root, encoding="utf-8", xml_declaration=True, pretty_print=True))


def _part(title: str, *, mtom: bool) -> str:
    return f"{title}_Mtom" if mtom else title


def _policy(*, mtom: bool) -> str:
    return "Mtom" if mtom else "MtomOptional"


def _wsdl(name: str) -> str:
    return f"{{{WSDL}}}{name}"


def _add(parent: Element, name: str, /, **attributes: str) -> Element:
    return etree.SubElement(parent, _wsdl(name), attributes)


def _local(clark: str) -> str:
    return clark.rpartition("}")[2]


def _space(clark: str) -> str:
    return clark[1:].partition("}")[0]


def _elements(operations: Sequence[Operation]) -> list[str]:
    answers = (item.answer for item in operations if item.response_action)
    return list(dict.fromkeys([*(item.body for item in operations), *answers]))


def _prefixes(operations: Sequence[Operation]) -> Any:
    fixed = {"wsdl": WSDL, "soap12": SOAP12, "xsd": XSD, "wsam": WSAM, "wsp": POLICY, "wsu": UTILITY, "tns": TARGET}
    spaces = dict.fromkeys(map(_space, _elements(operations)))
    return fixed | {f"ns{number}": space for number, space in enumerate(spaces)}


def _qname(root: Element, clark: str) -> str:
    prefix = next(prefix for prefix, space in root.nsmap.items() if space == _space(clark))
    return f"{prefix}:{_local(clark)}"


def _write_policy(root: Element, *, mtom: bool) -> None:
    policy = etree.SubElement(root, f"{{{POLICY}}}Policy", {f"{{{UTILITY}}}Id": _policy(mtom=mtom)})
    every = etree.SubElement(etree.SubElement(policy, f"{{{POLICY}}}ExactlyOne"), f"{{{POLICY}}}All")
    addressing = etree.SubElement(every, f"{{{WSAM}}}Addressing")
    etree.SubElement(addressing, f"{{{POLICY}}}Policy")
    optimised = etree.SubElement(every, f"{{{MTOM}}}OptimizedMimeSerialization", nsmap={"wsoma": MTOM})
    if not mtom:
        optimised.set(f"{{{POLICY}}}Optional", "true")


def _write_types(root: Element, operations: Sequence[Operation]) -> None:
    types = _add(root, "types")
    for space, elements in groupby(sorted(_elements(operations)), _space):
        attributes = {"targetNamespace": space, "elementFormDefault": "qualified"}
        schema = etree.SubElement(types, f"{{{XSD}}}schema", attributes)
        for clark in elements:
            element = etree.SubElement(schema, f"{{{XSD}}}element", {"name": _local(clark)})
            kind = etree.SubElement(element, f"{{{XSD}}}complexType")
            sequence = etree.SubElement(kind, f"{{{XSD}}}sequence")
            anything = {"namespace": "##any", "processContents": "lax"}
            etree.SubElement(sequence, f"{{{XSD}}}any", {"minOccurs": "0", "maxOccurs": "unbounded", **anything})
            etree.SubElement(kind, f"{{{XSD}}}anyAttribute", anything)


def _write_message(root: Element, name: str, element: str) -> None:
    _add(_add(root, "message", name=name), "part", name="body", element=_qname(root, element))


def _write_port_type(root: Element, part: str, operations: Sequence[Operation]) -> None:
    ports = _add(root, "portType", name=f"{part}_PortType")
    for item in operations:
        operation = _add(ports, "operation", name=item.name)
        if item.documentation:
            _add(operation, "documentation").text = item.documentation
        action = f"{{{WSAM}}}Action"
        _add(operation, "input", message=f"tns:{item.name}_Message").set(action, item.action)
        if item.response_action:
            answer = _add(operation, "output", message=f"tns:{item.name}Response_Message")
            answer.set(action, item.response_action)


def _write_binding(root: Element, part: str, operations: Sequence[Operation], *, mtom: bool) -> None:
    binding = _add(root, "binding", name=f"{part}_Binding_Soap12", type=f"tns:{part}_PortType")
    etree.SubElement(binding, f"{{{POLICY}}}PolicyReference", {"URI": f"#{_policy(mtom=mtom)}"})
    etree.SubElement(binding, f"{{{SOAP12}}}binding", {"style": "document", "transport": HTTP})
    for item in operations:
        operation = _add(binding, "operation", name=item.name)
        attributes = {"soapAction": item.action, "soapActionRequired": "false"}
        etree.SubElement(operation, f"{{{SOAP12}}}operation", attributes)
        for way in ("input", "output")[: 2 if item.response_action else 1]:
            etree.SubElement(_add(operation, way), f"{{{SOAP12}}}body", {"use": "literal"})
