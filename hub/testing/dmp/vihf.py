"""The VIHF of a request: signature, each attribute present and of its form, mode, patient."""

import datetime
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from cryptography import x509
from cryptography.x509.oid import NameOID

from hub.testing.dmp.envelope import DS, SAML, Element, Fault, parse
from hub.testing.dmp.trust import Trust, common_name, signs, structure_of

HL7 = "urn:hl7-org:v3"
XSI = "{http://www.w3.org/2001/XMLSchema-instance}type"
X509_NAME = "urn:oasis:names:tc:SAML:1.1:nameid-format:X509SubjectName"
ROLE = "urn:oasis:names:tc:xacml:2.0:subject:role"
RESOURCE = "urn:oasis:names:tc:xacml:2.0:resource:resource-id"
PURPOSE = "urn:oasis:names:tc:xspa:1.0:subject:purposeofuse"
SUBJECT = "urn:oasis:names:tc:xspa:1.0:subject:subject-id"
SECRET = "urn:oasis:names:tc:xspa:1.0:resource:patient:hl7:confidentiality-code"
ENVELOPED, EXCLUSIVE = f"{DS}enveloped-signature", "http://www.w3.org/2001/10/xml-exc-c14n#"
SHORT = {"SN": NameOID.SURNAME, "GN": NameOID.GIVEN_NAME, "title": NameOID.TITLE}
#: AuthnContextClassRef as the samples have it.
CLASSES = frozenset(
    f"urn:oasis:names:tc:SAML:2.0:ac:classes:{name}"
    for name in ("SmartcardPKI", "TLSClient", "MobileTwoFactorUnregistered", "unspecified")
)
MODES = ("DIRECTE", "INDIRECTE", "INDIRECTE_RENFORCEE")
PURPOSES = "1.2.250.1.213.1.1.4.248"
#: Code systems of roles, and what a code of each looks like.
ROLES: Mapping[str, str] = {
    "1.2.250.1.71.1.2.7": r"(10|21|26|28|32|40|50|60|69|70|80|81|82|83|84|85|86|91|92|93|94|95|96|97|98)",
    "1.2.250.1.71.1.2.8": r"[0-9]{2}",
    "1.2.250.1.71.4.2.5": r"(SM|S|SI|SCD|SCH|CEX|PAC|C|CEC|DSM|FQ|QM|OP|CAPA)[0-9]{2,3}",
    "1.2.250.1.71.4.2.6": r"[A-H]",
    "1.2.250.1.213.1.1.4.6": r"(AUTOMATE|DISPOSITIF|SECRETARIAT_MEDICAL)",
}
PROFESSIONS, SPECIALITIES, SECTIONS = "1.2.250.1.71.1.2.7", "1.2.250.1.71.4.2.5", "1.2.250.1.71.4.2.6"
CX = r"[0-9]{6}[0-9AB][0-9]{8}\^\^\^&1\.2\.250\.1\.213\.1\.4\.(8|9|10|11)&ISO\^NH"
STRUCTURE = r"(0[0-9A-Z]+|1[0-9][0-9AB][0-9]{7}|2[0-9]{9}|3[0-9]{14}|4[0-9]{11}[0-9]{2}|[0-9]{2}B[0-9]{7})"
PERSON = r"(8[0-9]{11}|0[0-9A-Z]{9}|[1-6][0-9A-Z]+/[0-9A-Za-z]+)"


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks, as the VIHF says."""

    mode: str
    person: str  #: idNat_PS, or what an automated flow names
    structure: str
    patient: str  #: CX
    purpose: str
    roles: tuple[tuple[str, str], ...]
    secret: bool
    signer: x509.Certificate

    @property
    def doctor(self) -> bool:
        """Whether the first role is a professional's."""
        return bool(self.roles) and self.roles[0][1] == PROFESSIONS


def read_vihf(data: bytes, trust: Trust, tls: x509.Certificate, *, version: str = "") -> Caller:
    """The caller. Raises Fault with the code of the rule that is broken."""
    assertion = parse(data)
    _form(assertion)
    signer = _signed(assertion, trust, tls)
    values = _attributes(assertion)
    for name, rule in RULES.items():
        if name not in values:
            raise Fault("DMPInvalidVIHF", f"The attribute {name} is missing.")
        rule(name, values[name])
    if version and _text(values["VIHF_Version"]) != version:
        raise Fault("DMPInvalidVIHF", "The attribute VIHF_Version is not the version of this service.")
    mode = _text(_mode(values))
    if mode not in MODES:
        raise Fault("DMPInvalidVIHF", "The attribute Authentification_mode is unknown.")
    roles = tuple((role.get("code", ""), role.get("codeSystem", "")) for role in _typed(ROLE, values[ROLE], "Role"))
    _roles(roles)
    _subject(mode, values)
    structure = _text(values["Identifiant_Structure"])
    name_id = (assertion.findtext(f"{{{SAML}}}Subject/{{{SAML}}}NameID") or "").strip()
    _signer(mode, signer, structure, name_id)
    _issuer(assertion, signer)
    if mode == "INDIRECTE_RENFORCEE" and assertion.find(f".//{{{SAML}}}AuthnContextDecl") is None:
        raise Fault("DMPInvalidVIHF", "INDIRECTE_RENFORCEE needs an AuthnContextDecl.")
    if not re.fullmatch(PERSON, name_id):
        raise Fault("DMPInvalidVIHF", "The NameID is no national identifier of a professional.")
    purpose = _typed(PURPOSE, values[PURPOSE], "PurposeOfUse")[0].get("code", "")
    secret = SECRET in values
    return Caller(mode, name_id, structure, _text(values[RESOURCE]), purpose, roles, secret, signer)


def _form(assertion: Element) -> None:
    if assertion.get("Version") != "2.0" or not assertion.get("ID") or not assertion.get("IssueInstant"):
        raise Fault("DMPInvalidVIHF", "The assertion needs Version 2.0, an ID and an IssueInstant.")
    for name in ("Issuer", "Subject", "AuthnStatement", "AttributeStatement"):
        if len(assertion.findall(f"{{{SAML}}}{name}")) != 1:
            raise Fault("DMPInvalidVIHF", f"The assertion must hold one {name}.")
    if (assertion.findtext(f".//{{{SAML}}}AuthnContextClassRef") or "").strip() not in CLASSES:
        raise Fault("DMPInvalidVIHF", "AuthnContextClassRef is missing, or none of those that are known.")
    issuer = assertion.find(f"{{{SAML}}}Issuer")
    assert issuer is not None
    if issuer.get("Format") != X509_NAME or "CN=" not in (issuer.text or ""):
        raise Fault("DMPInvalidVIHF", "The Issuer must be the signer's subject (X509SubjectName).")
    conditions = assertion.find(f"{{{SAML}}}Conditions")
    if conditions is None:
        return
    if conditions.find(f"{{{SAML}}}AudienceRestriction") is not None:
        raise Fault("DMPInvalidVIHF", "A VIHF has no AudienceRestriction.")
    now, slack = datetime.datetime.now(datetime.UTC), datetime.timedelta(minutes=2)
    before, after = conditions.get("NotBefore"), conditions.get("NotOnOrAfter")
    if (before and now + slack < _instant(before)) or (after and now - slack >= _instant(after)):
        raise Fault("DMPInvalidVIHF", "The assertion is not valid now.")


def _instant(text: str) -> datetime.datetime:
    try:
        return datetime.datetime.fromisoformat(text.replace("Z", "+00:00"))
    except ValueError:
        raise Fault("DMPInvalidVIHF", "A time of the assertion can't be read.") from None


def _signed(assertion: Element, trust: Trust, tls: x509.Certificate) -> x509.Certificate:
    found = assertion.findall(f"{{{DS}}}Signature")
    if len(found) != 1:
        raise Fault("DMPInvalidSignature", "The assertion must have one signature of its own.")
    links = found[0].findall(f"{{{DS}}}SignedInfo/{{{DS}}}Reference")
    forms = [item.get("Algorithm") for item in found[0].iterfind(f"{{{DS}}}SignedInfo//{{{DS}}}Transform")]
    canonical = found[0].find(f"{{{DS}}}SignedInfo/{{{DS}}}CanonicalizationMethod")
    if forms != [ENVELOPED, EXCLUSIVE] or canonical is None or canonical.get("Algorithm") != EXCLUSIVE:
        raise Fault("DMPInvalidSignature", "The signature is enveloped, in the exclusive canonical form.")
    if len(links) != 1 or links[0].get("URI") != f"#{assertion.get('ID')}":
        raise Fault("DMPInvalidSignature", "The signature must be about the whole assertion.")
    signer = trust.verified(found[0], ("ID",))
    if signer == tls or not signs(signer):
        raise Fault("DMPInvalidCertificate", "The VIHF must be signed by a certificate for signatures.")
    return signer


def _attributes(assertion: Element) -> dict[str, Element]:
    found: dict[str, Element] = {}
    for attribute in assertion.iterfind(f"{{{SAML}}}AttributeStatement/{{{SAML}}}Attribute"):
        name = attribute.get("Name", "")
        if name in found:
            raise Fault("DMPInvalidVIHF", f"The attribute {name} stands twice.")
        found[name] = attribute
    return found


def _values(attribute: Element) -> list[Element]:
    return attribute.findall(f"{{{SAML}}}AttributeValue")


def _text(attribute: Element) -> str:
    values = _values(attribute)
    return (values[0].text or "").strip() if len(values) == 1 else ""


def _typed(name: str, attribute: Element, local: str) -> list[Element]:
    found = []
    for value in _values(attribute):
        child = value.find(f"{{{HL7}}}{local}")
        if child is None or child.get(XSI, "").rpartition(":")[2] != "CE" or not child.get("codeSystem"):
            raise Fault("DMPInvalidVIHF", f"The attribute {name} must hold {local} of HL7 v3 as CE.")
        found.append(child)
    if not found:
        raise Fault("DMPInvalidVIHF", f"The attribute {name} is empty.")
    return found


def _matching(pattern: str) -> Callable[[str, Element], None]:
    def rule(name: str, attribute: Element) -> None:
        if not re.fullmatch(pattern, _text(attribute)):
            raise Fault("DMPInvalidVIHF", f"The attribute {name} has not the form that it must have.")

    return rule


def _purpose(name: str, attribute: Element) -> None:
    found = _typed(name, attribute, "PurposeOfUse")
    if len(found) != 1 or found[0].get("codeSystem") != PURPOSES:
        raise Fault("DMPInvalidVIHF", f"The attribute {name} is not of the table of access modes.")
    if found[0].get("code") not in ("normal", "bris_de_glace", "centre_15"):
        raise Fault("DMPInvalidVIHF", f"The attribute {name} is no access mode.")


def _role(name: str, attribute: Element) -> None:
    for role in _typed(name, attribute, "Role"):
        pattern = ROLES.get(role.get("codeSystem", ""))
        if pattern is None or not re.fullmatch(pattern, role.get("code", "")):
            raise Fault("DMPInvalidVIHF", f"The attribute {name} has a code that the tables do not know.")


#: Each attribute that every mode needs, and its form.
RULES: Mapping[str, Callable[[str, Element], None]] = {
    "VIHF_Version": _matching(r"[34]\.0"),
    "Identifiant_Structure": _matching(STRUCTURE),
    "Secteur_Activite": _matching(r"SA[0-9]{2}\^1\.2\.250\.1\.71\.4\.2\.4"),
    ROLE: _role,
    RESOURCE: _matching(CX),
    "Ressource_URN": _matching(r"urn:dmp"),
    PURPOSE: _purpose,
    "LPS_Nom": _matching(r".{1,64}"),
    "LPS_Version": _matching(r".{1,32}"),
    "LPS_ID_HOMOLOGATION_DMP": _matching(r"[A-Za-z0-9-]{3,40}"),
}


def _mode(values: Mapping[str, Element]) -> Element:
    """The samples and the guides write its name differently."""
    found = [values[name] for name in ("Authentification_mode", "Authentification_Mode") if name in values]
    if len(found) != 1:
        raise Fault("DMPInvalidVIHF", "The attribute Authentification_mode is missing.")
    return found[0]


def _roles(roles: tuple[tuple[str, str], ...]) -> None:
    second = {"10": SPECIALITIES, "21": SECTIONS}.get(roles[0][0]) if roles[0][1] == PROFESSIONS else None
    if second and (len(roles) < 2 or roles[1][1] != second):
        raise Fault("DMPInvalidVIHF", "Doctors and pharmacists need a second role.")


def _subject(mode: str, values: Mapping[str, Element]) -> None:
    if mode != "DIRECTE" and (
        SUBJECT not in values or not any((item.text or "").strip() for item in _values(values[SUBJECT]))
    ):
        raise Fault("DMPInvalidVIHF", f"The attribute {SUBJECT} is missing.")


def _issuer(assertion: Element, signer: x509.Certificate) -> None:
    """Issuer is the subject of the certificate that signs, whatever the order of its parts."""
    text = assertion.findtext(f"{{{SAML}}}Issuer") or ""
    try:
        named = x509.Name.from_rfc4514_string(text, SHORT)
    except ValueError:
        raise Fault("DMPInvalidVIHF", "The Issuer is no distinguished name.") from None
    if {(item.oid, item.value) for item in named} != {(item.oid, item.value) for item in signer.subject}:
        raise Fault("DMPInvalidVIHF", "The Issuer is not the subject of the signer's certificate.")


def _signer(mode: str, signer: x509.Certificate, structure: str, name_id: str) -> None:
    if mode == "DIRECTE":
        if common_name(signer) != name_id:
            raise Fault("DMPInvalidVIHF", "In the direct mode the NameID is the card's holder.")
    elif structure_of(signer) != structure:
        raise Fault("DMPInvalidVIHF", "Identifiant_Structure is not the structure of the seal's certificate.")
