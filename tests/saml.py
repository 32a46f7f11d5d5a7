"""Issuers of assertions for tests: throw-away keys, and signxml as a signer and a reader of its own."""

import uuid
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import NameOID
from lxml import etree
from signxml.algorithms import SignatureConstructionMethod
from signxml.signer import XMLSigner

PrivateKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey
_PARTS = {"C": NameOID.COUNTRY_NAME, "ST": NameOID.STATE_OR_PROVINCE_NAME, "O": NameOID.ORGANIZATION_NAME}
_PARTS |= {"OU": NameOID.ORGANIZATIONAL_UNIT_NAME, "CN": NameOID.COMMON_NAME}


@lru_cache(maxsize=32)
def private_key(kind: str, number: int = 0) -> PrivateKey:
    """One key of a kind (rsa, ecdsa) for the whole run."""
    return rsa.generate_private_key(65537, 2048) if kind == "rsa" else ec.generate_private_key(ec.SECP256R1())


@dataclass(frozen=True)
class KeyPair:
    """A key and its certificate."""

    key: PrivateKey
    certificate: x509.Certificate

    @property
    def key_pem(self) -> bytes:
        """PKCS#8."""
        none = serialization.NoEncryption()
        return self.key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, none)

    @property
    def pem(self) -> bytes:
        """The certificate."""
        return self.certificate.public_bytes(serialization.Encoding.PEM)

    @property
    def der(self) -> bytes:
        """The certificate."""
        return self.certificate.public_bytes(serialization.Encoding.DER)

    def written(self, directory: Path, name: str) -> Path:
        """The certificate in a file."""
        path = directory / f"{name}.crt"
        path.write_bytes(self.pem)
        (directory / f"{name}.key").write_bytes(self.key_pem)
        return path


def pair(
    *,
    subject: str = "C=FR,ST=Rhône (69),O=CH TEST,OU=1690000001,CN=cachet",
    kind: str = "rsa",
    number: int = 0,
    by: KeyPair | None = None,
    ca: bool = False,
    days: int = 30,
    started: timedelta = timedelta(days=1),
) -> KeyPair:
    """A key pair, signed by itself or by another. ``subject``: least specific part first."""
    key = private_key(kind, number)
    parts = [part.split("=", 1) for part in subject.split(",")]
    name = x509.Name([x509.NameAttribute(_PARTS[part], value) for part, value in parts])
    start = datetime.now(UTC) - started
    builder = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(by.certificate.subject if by else name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(start)
        .not_valid_after(start + timedelta(days=days))
        .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
    )
    return KeyPair(key, builder.sign(by.key if by else key, hashes.SHA256()))


CONTEXT_CLASS = "urn:oasis:names:tc:SAML:2.0:ac:classes:X509"
SUBJECT_ID, ROLE = "urn:oasis:names:tc:xspa:1.0:subject:subject-id", "urn:oasis:names:tc:xacml:2.0:subject:role"
PURPOSE = "urn:oasis:names:tc:xspa:1.0:subject:purposeofuse"
RESOURCE = "urn:oasis:names:tc:xacml:2.0:resource:resource-id"
WSSE = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-secext-1.0.xsd"
SAML = "urn:oasis:names:tc:SAML:2.0:assertion"
DS = "http://www.w3.org/2000/09/xmldsig#"


def instant(seconds: float = 0) -> str:
    """So many seconds from now, as SAML writes it."""
    return (datetime.now(UTC) + timedelta(seconds=seconds)).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def coded(name: str, element: str, code: str, system: str) -> str:
    """An attribute that is a code."""
    xsi = "http://www.w3.org/2001/XMLSchema-instance"
    return (
        f'<saml:Attribute Name="{name}"><saml:AttributeValue><{element} xmlns="urn:hl7-org:v3" xmlns:xsi="{xsi}" '
        f'xsi:type="CE" code="{code}" codeSystem="{system}"/></saml:AttributeValue></saml:Attribute>'
    )


def text(name: str, *values: str) -> str:
    """An attribute that is text."""
    told = "".join(f"<saml:AttributeValue>{value}</saml:AttributeValue>" for value in values)
    return f'<saml:Attribute Name="{name}">{told}</saml:Attribute>'


@dataclass(frozen=True)
class Draft:
    """An assertion to be signed, piece by piece: a test changes the piece that it is about."""

    issuer: str
    audience: str
    id: str = field(default_factory=lambda: f"_{uuid.uuid4()}")
    subject: str = "899700000001"
    attributes: str = text(SUBJECT_ID, "MARTIN Anne") + coded(ROLE, "Role", "10", "1.2.250.1.71.1.2.7")
    issued: float = 0
    starts: float | None = -5
    ends: float | None = 300
    confirmation: str = '<saml:SubjectConfirmation Method="urn:oasis:names:tc:SAML:2.0:cm:bearer"/>'
    conditions: str = ""
    authentication: str | None = None
    more: str = ""
    version: str = "2.0"

    @property
    def xml(self) -> str:
        """Unsigned, with a place for the signature."""
        starts = f' NotBefore="{instant(self.starts)}"' if self.starts is not None else ""
        ends = f' NotOnOrAfter="{instant(self.ends)}"' if self.ends is not None else ""
        audience = (
            f"<saml:AudienceRestriction><saml:Audience>{self.audience}</saml:Audience></saml:AudienceRestriction>"
        )
        authentication = (
            f'<saml:AuthnStatement AuthnInstant="{instant()}"><saml:AuthnContext><saml:AuthnContextClassRef>'
            f"{CONTEXT_CLASS}</saml:AuthnContextClassRef></saml:AuthnContext></saml:AuthnStatement>"
        )
        return (
            f'<saml:Assertion xmlns:saml="{SAML}" ID="{self.id}" IssueInstant="{instant(self.issued)}" '
            f'Version="{self.version}"><saml:Issuer>{self.issuer}</saml:Issuer>'
            f'<ds:Signature xmlns:ds="{DS}" Id="placeholder"/>'
            f"<saml:Subject><saml:NameID>{self.subject}</saml:NameID>{self.confirmation}</saml:Subject>"
            f"<saml:Conditions{starts}{ends}>{audience if self.audience else ''}{self.conditions}</saml:Conditions>"
            f"{authentication if self.authentication is None else self.authentication}"
            f"<saml:AttributeStatement>{self.attributes}</saml:AttributeStatement>{self.more}</saml:Assertion>"
        )


def sign(
    xml: str,
    keys: KeyPair,
    *,
    algorithm: str = "",
    digest: str = "sha256",
    shown: KeyPair | None = None,
    sha1: bool = False,
) -> bytes:
    """Signed by signxml: enveloped, exclusive C14N. ``shown``: whose certificate KeyInfo claims it to be."""
    kind = "rsa" if isinstance(keys.key, rsa.RSAPrivateKey) else "ecdsa"
    signer = (_OldSigner if sha1 else XMLSigner)(
        method=SignatureConstructionMethod.enveloped,
        signature_algorithm=algorithm or f"{kind}-sha256",
        digest_algorithm=digest,
        c14n_algorithm="http://www.w3.org/2001/10/xml-exc-c14n#",
    )
    root = etree.fromstring(xml)
    identifier = root.get("ID")
    certificates = (shown or keys).pem.decode()
    signed = signer.sign(root, key=keys.key_pem, cert=certificates, reference_uri=f"#{identifier}", id_attribute="ID")
    return etree.tostring(signed)


class _OldSigner(XMLSigner):
    """One that still signs with SHA-1."""

    def check_deprecated_methods(self) -> None:
        """Nothing is deprecated."""


def header(*blocks: bytes) -> bytes:
    """wsse:Security around what is to be shown."""
    return f'<wsse:Security xmlns:wsse="{WSSE}">'.encode() + b"".join(blocks) + b"</wsse:Security>"
