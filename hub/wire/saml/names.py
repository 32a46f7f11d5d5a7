"""Namespaces and fixed names: SAML 2.0, XML Signature, XSPA and XUA, VIHF; algorithms by the names of the settings."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

SAML = "urn:oasis:names:tc:SAML:2.0:assertion"
DS = "http://www.w3.org/2000/09/xmldsig#"
XSI = "http://www.w3.org/2001/XMLSchema-instance"
HL7 = "urn:hl7-org:v3"
WSU_ID = "{http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-utility-1.0.xsd}Id"
XML_ID = "{http://www.w3.org/XML/1998/namespace}id"

EXCLUSIVE = "http://www.w3.org/2001/10/xml-exc-c14n#"
ENVELOPED = f"{DS}enveloped-signature"
INCLUSIVE_NAMESPACES = f"{{{EXCLUSIVE}}}InclusiveNamespaces"
URI_FORMAT = "urn:oasis:names:tc:SAML:2.0:attrname-format:uri"

SUBJECT_ID = "urn:oasis:names:tc:xspa:1.0:subject:subject-id"
ORGANIZATION = "urn:oasis:names:tc:xspa:1.0:subject:organization"
ORGANIZATION_ID = "urn:oasis:names:tc:xspa:1.0:subject:organization-id"
NPI = "urn:oasis:names:tc:xspa:1.0:subject:npi"
PURPOSE = "urn:oasis:names:tc:xspa:1.0:subject:purposeofuse"
ROLE = "urn:oasis:names:tc:xacml:2.0:subject:role"
RESOURCE = "urn:oasis:names:tc:xacml:2.0:resource:resource-id"
HOME_COMMUNITY = "urn:ihe:iti:xca:2010:homeCommunityId"
PROVIDER = "urn:ihe:iti:xua:2017:subject:provider-identifier"
CONFIDENTIALITY = "urn:oasis:names:tc:xspa:1.0:resource:patient:hl7:confidentiality-code"

VERSION = "VIHF_Version"
STRUCTURE = "Identifiant_Structure"
SECTOR = "Secteur_Activite"
MODE = "Authentification_mode"
MODE_CAPITAL = "Authentification_Mode"
RESOURCE_URN = "Ressource_URN"
REASON = "Mode_Acces_Raison"
SOFTWARE_ID = "LPS_ID"
SOFTWARE_NAME = "LPS_Nom"
SOFTWARE_VERSION = "LPS_Version"
HOMOLOGATION = "LPS_ID_HOMOLOGATION_DMP"

PURPOSES = "1.2.250.1.213.1.1.4.248"  #: TRE_R248, access modes


@dataclass(frozen=True, slots=True)
class Algorithm:
    """How a signature is made: identifiers of the method and of its digest, ``key`` is rsa or ecdsa."""

    uri: str
    key: str
    hash: str
    digest: str


_MORE = "http://www.w3.org/2001/04/xmldsig-more#"
DIGESTS: Mapping[str, str] = {
    f"{DS}sha1": "sha1",
    "http://www.w3.org/2001/04/xmlenc#sha256": "sha256",
    f"{_MORE}sha384": "sha384",
    "http://www.w3.org/2001/04/xmlenc#sha512": "sha512",
}
_DIGEST_URI = {name: uri for uri, name in DIGESTS.items()}

#: Everything that can be permitted. HMAC and what else is not here can't be.
ALGORITHMS: Mapping[str, Algorithm] = {
    f"{key}-{name}": Algorithm(f"{DS if (key, name) == ('rsa', 'sha1') else _MORE}{key}-{name}", key, name, uri)
    for key in ("rsa", "ecdsa")
    for name, uri in _DIGEST_URI.items()
}


@cache
def saml(name: str) -> str:
    """Clark notation in SAML's namespace."""
    return f"{{{SAML}}}{name}"


@cache
def ds(name: str) -> str:
    """Clark notation in XML Signature's namespace."""
    return f"{{{DS}}}{name}"
