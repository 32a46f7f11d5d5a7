"""Assertion -> signed bytes: SAML 2.0 (saml-core 2.3), enveloped signature after the Issuer (5.4), exc-c14n."""

import base64
from datetime import UTC, datetime
from typing import Any

import xmlsec
from lxml import etree

from hub.access.assertion_model import Assertion, Attribute, Coded, Confirmation, Name
from hub.errors import Misconfigured
from hub.values import new_uuid
from hub.wire.saml.names import ALGORITHMS, DS, HL7, SAML, URI_FORMAT, XSI, ds, saml
from hub.wire.soap.names import SECURITY, WSSE
from hub.wire.soap.names import soap as soap_name
from hub.wire.xml import Element, parse_xml, serialise

_NAMESPACES = {"saml2": SAML, "xsi": XSI}
_UNPREFIXED: Any = {None: HL7}
_TYPE = f"{{{XSI}}}type"


def new_id() -> str:
    """An assertion's ID: an NCName."""
    return f"_{new_uuid().removeprefix('urn:uuid:')}"


def issue(assertion: Assertion, key: bytes, certificate: bytes, algorithm: str = "rsa-sha256") -> bytes:
    """The signed assertion. ``key``, ``certificate``: PEM; the certificate stands in KeyInfo.

    ``algorithm``: a name of ``names.ALGORITHMS``. Raises Misconfigured when these do not fit."""
    root = _assertion(assertion)
    method = ALGORITHMS.get(algorithm)
    if method is None:
        raise Misconfigured("The algorithm is not one that assertions can be signed with.", location="algorithm")
    xmlsec.tree.add_ids(root, ["ID"])
    try:
        context = xmlsec.SignatureContext()
        context.key = xmlsec.Key.from_memory(key, xmlsec.constants.KeyDataFormatPem)
        context.key.load_cert_from_memory(certificate, xmlsec.constants.KeyDataFormatPem)
        context.sign(_template(root, method.uri, method.digest, assertion.id))
    except (xmlsec.Error, TypeError, ValueError):
        raise Misconfigured("Assertions can't be signed with this key, certificate and algorithm.") from None
    return serialise(root)


def security(signed: bytes) -> Element:
    """The wsse:Security header that carries a signed assertion (WS-Security SAML Token Profile 1.1)."""
    header = etree.Element(SECURITY, {soap_name("mustUnderstand"): "1"}, nsmap={"wsse": WSSE})
    header.append(parse_xml(signed))
    return header


def _template(root: Element, method: str, digest: str, identifier: str) -> Element:
    signature = etree.Element(ds("Signature"), nsmap={"ds": DS})
    root.insert(1, signature)
    info = etree.SubElement(signature, ds("SignedInfo"))
    canonical = str(xmlsec.constants.TransformExclC14N.href)
    etree.SubElement(info, ds("CanonicalizationMethod"), {"Algorithm": canonical})
    etree.SubElement(info, ds("SignatureMethod"), {"Algorithm": method})
    reference = etree.SubElement(info, ds("Reference"), {"URI": f"#{identifier}"})
    transforms = etree.SubElement(reference, ds("Transforms"))
    for name in (str(xmlsec.constants.TransformEnveloped.href), canonical):
        etree.SubElement(transforms, ds("Transform"), {"Algorithm": name})
    etree.SubElement(reference, ds("DigestMethod"), {"Algorithm": digest})
    etree.SubElement(reference, ds("DigestValue"))
    etree.SubElement(signature, ds("SignatureValue"))
    data = etree.SubElement(etree.SubElement(signature, ds("KeyInfo")), ds("X509Data"))
    etree.SubElement(data, ds("X509Certificate"))
    return signature


def _assertion(assertion: Assertion) -> Element:
    head = {"ID": assertion.id, "IssueInstant": _time(assertion.issued_at), "Version": "2.0"}
    root = etree.Element(saml("Assertion"), head, nsmap=_NAMESPACES)
    _name(root, "Issuer", assertion.issuer)
    subject = etree.SubElement(root, saml("Subject"))
    _name(subject, "NameID", assertion.subject)
    for confirmation in assertion.confirmations:
        _confirmation(subject, confirmation)
    _conditions(root, assertion)
    _authentication(root, assertion)
    statement = etree.SubElement(root, saml("AttributeStatement"))
    for attribute in assertion.attributes:
        _attribute(statement, attribute)
    return root


def _name(parent: Element, tag: str, name: Name) -> None:
    optional = {"Format": name.format, "NameQualifier": name.qualifier}
    etree.SubElement(parent, saml(tag), {k: v for k, v in optional.items() if v}).text = name.text


def _confirmation(subject: Element, confirmation: Confirmation) -> None:
    element = etree.SubElement(subject, saml("SubjectConfirmation"), {"Method": confirmation.method})
    optional = {
        "NotBefore": _time(confirmation.not_before),
        "NotOnOrAfter": _time(confirmation.not_on_or_after),
        "Recipient": confirmation.recipient,
    }
    present = {k: v for k, v in optional.items() if v}
    if not present and not confirmation.certificates:
        return
    data = etree.SubElement(element, saml("SubjectConfirmationData"), present)
    for certificate in confirmation.certificates:
        data.set(_TYPE, "saml2:KeyInfoConfirmationDataType")
        x509 = etree.SubElement(etree.SubElement(data, ds("KeyInfo"), nsmap={"ds": DS}), ds("X509Data"))
        etree.SubElement(x509, ds("X509Certificate")).text = base64.b64encode(certificate).decode()


def _conditions(root: Element, assertion: Assertion) -> None:
    optional = {"NotBefore": _time(assertion.not_before), "NotOnOrAfter": _time(assertion.not_on_or_after)}
    present = {k: v for k, v in optional.items() if v}
    if not present and not assertion.audiences and not assertion.one_time:
        return
    conditions = etree.SubElement(root, saml("Conditions"), present)
    for restriction in assertion.audiences:
        element = etree.SubElement(conditions, saml("AudienceRestriction"))
        for audience in sorted(restriction):
            etree.SubElement(element, saml("Audience")).text = audience
    if assertion.one_time:
        etree.SubElement(conditions, saml("OneTimeUse"))


def _authentication(root: Element, assertion: Assertion) -> None:
    head = {"AuthnInstant": _time(assertion.authenticated_at)}
    if assertion.session_ends is not None:
        head["SessionNotOnOrAfter"] = _time(assertion.session_ends)
    context = etree.SubElement(etree.SubElement(root, saml("AuthnStatement"), head), saml("AuthnContext"))
    etree.SubElement(context, saml("AuthnContextClassRef")).text = assertion.context_class
    if assertion.context_declaration:
        etree.SubElement(context, saml("AuthnContextDecl")).text = assertion.context_declaration


def _attribute(statement: Element, attribute: Attribute) -> None:
    head = {"Name": attribute.name}
    if attribute.friendly:
        head["FriendlyName"] = attribute.friendly
    if attribute.name.startswith("urn:"):
        head["NameFormat"] = URI_FORMAT
    element = etree.SubElement(statement, saml("Attribute"), head)
    for value in attribute.values:
        place = etree.SubElement(element, saml("AttributeValue"))
        if isinstance(value, Coded):
            _coded(place, value)
        else:
            place.text = value


def _coded(place: Element, value: Coded) -> None:
    child = etree.SubElement(place, f"{{{HL7}}}{value.element}", nsmap=_UNPREFIXED)
    child.set(_TYPE, "CE")
    child.set("code", value.code)
    child.set("codeSystem", value.system)
    for name, text in (("codeSystemName", value.system_name), ("displayName", value.display)):
        if text:
            child.set(name, text)


def _time(value: datetime | None) -> str:
    return value.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z") if value else ""
