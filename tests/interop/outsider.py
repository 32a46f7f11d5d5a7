"""Somebody outside who has nothing but what ``maillage sandbox`` prints: keys, certificates, lists, assertions and
tokens made with tools of their own (cryptography, signxml, joserfc, httpx). Nothing of the hub's code is used here."""

import base64
import hmac
import json
import ssl
import time
import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from joserfc import jwt
from joserfc.jwk import ECKey
from lxml import etree
from signxml.algorithms import SignatureConstructionMethod
from signxml.signer import XMLSigner

from tests.interop.by_hand import (
    ACTION,
    APPROVED,
    FIND_DOCUMENTS,
    XDSB,
    Answer,
    Mllp,
    envelope,
    package,
    provision,
    query,
    read,
)

WSSE = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-secext-1.0.xsd"
SAML = "urn:oasis:names:tc:SAML:2.0:assertion"
G15, R248 = "1.2.250.1.71.1.2.7", "1.2.250.1.213.1.1.4.248"
BEARER = "urn:oasis:names:tc:SAML:2.0:cm:bearer"
READING = ACTION + "RegistryStoredQuery"


@dataclass(frozen=True)
class Pair:
    """A certificate and its key: in memory, and both in one PEM file."""

    key: ec.EllipticCurvePrivateKey
    certificate: x509.Certificate
    file: Path

    @property
    def thumbprint(self) -> str:
        """``x5t#S256`` (RFC 8705)."""
        return _b64(self.certificate.fingerprint(hashes.SHA256()))


def _b64(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def key_pem(key: Any) -> bytes:
    """PKCS#8."""
    none = serialization.NoEncryption()
    return bytes(key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, none))


def system_name(name: str) -> x509.Name:
    """CN, O, C."""
    attributes = {NameOID.COUNTRY_NAME: "FR", NameOID.ORGANIZATION_NAME: "Vendor", NameOID.COMMON_NAME: name}
    return x509.Name([x509.NameAttribute(kind, value) for kind, value in attributes.items()])


def professional_name(identity: str, family: str, given: str) -> x509.Name:
    """IGC-Santé, persons: C, O, title, and one RDN that holds GN, SN and CN."""
    person = {NameOID.COMMON_NAME: identity, NameOID.SURNAME: family, NameOID.GIVEN_NAME: given}
    return x509.Name([
        x509.RelativeDistinguishedName([x509.NameAttribute(NameOID.COUNTRY_NAME, "FR")]),
        x509.RelativeDistinguishedName([x509.NameAttribute(NameOID.ORGANIZATION_NAME, "ASIP-SANTE")]),
        x509.RelativeDistinguishedName([x509.NameAttribute(NameOID.TITLE, "Médecin")]),
        x509.RelativeDistinguishedName([x509.NameAttribute(kind, value) for kind, value in person.items()]),
    ])  # fmt: skip


def octets(text: str) -> bytes:
    """A DER UTF8String."""
    raw = text.encode()
    return bytes((0x0C, len(raw))) + raw


class Authority:
    """What one does with ``ca`` and ``ca_key``."""

    def __init__(self, certificate: Path, key: Path, directory: Path) -> None:
        self.certificate = x509.load_pem_x509_certificate(certificate.read_bytes())
        self.key: Any = serialization.load_pem_private_key(key.read_bytes(), None)
        self.directory = directory

    def issue(  # a certificate's parts
        self,
        name: x509.Name | str,
        *,
        starts: timedelta = timedelta(hours=-1),
        days: float = 2,
        extensions: Iterable[tuple[str, bytes]] = (),
        alone: bool = False,
    ) -> Pair:
        """A certificate for TLS clients. ``alone``: signed with its own key. ``extensions``: OID, DER."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = system_name(name) if isinstance(name, str) else name
        start = datetime.now(UTC) + starts
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(subject if alone else self.certificate.subject)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(start)
            .not_valid_after(start + timedelta(days=days))
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH]), critical=False)
        )
        for oid, der in extensions:
            extension = x509.UnrecognizedExtension(x509.ObjectIdentifier(oid), der)
            builder = builder.add_extension(extension, critical=False)
        certificate = builder.sign(key if alone else self.key, hashes.SHA256())
        file = self.directory / f"{uuid.uuid4().hex}.pem"
        file.write_bytes(certificate.public_bytes(serialization.Encoding.PEM) + key_pem(key))
        return Pair(key, certificate, file)

    def card(self, identity: str, family: str = "DURAND", given: str = "Zoé", profession: str = "10") -> Pair:
        """A CPS of IGC-Santé: type of card 0 (CPS), profession, speciality."""
        extensions = (
            ("1.2.250.1.71.1.2.2", b"\x04\x01\x00"),
            ("1.2.250.1.71.1.2.7", octets(profession)),
            ("1.2.250.1.71.4.2.5", octets("SM44")),
        )
        return self.issue(professional_name(identity, family, given), extensions=extensions)

    def revocations(self, revoked: Iterable[Pair]) -> bytes:
        """A list in PEM."""
        at = datetime.now(UTC)
        builder = x509.CertificateRevocationListBuilder().issuer_name(self.certificate.subject)
        builder = builder.last_update(at - timedelta(minutes=1)).next_update(at + timedelta(days=1))
        for one in revoked:
            row = x509.RevokedCertificateBuilder().serial_number(one.certificate.serial_number)
            builder = builder.add_revoked_certificate(row.revocation_date(at - timedelta(minutes=1)).build())
        return builder.sign(self.key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


def foreign_authority(like: x509.Certificate, directory: Path) -> Authority:
    """Another authority, which has the name of the real one."""
    key = ec.generate_private_key(ec.SECP256R1())
    at = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(like.subject)
        .issuer_name(like.subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(at - timedelta(days=1))
        .not_valid_after(at + timedelta(days=9))
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    directory.mkdir(exist_ok=True)
    (directory / "ca.crt").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    (directory / "ca.key").write_bytes(key_pem(key))
    return Authority(directory / "ca.crt", directory / "ca.key", directory)


# --- assertions


def instant(seconds: float = 0) -> str:
    """So many seconds from now, as SAML and FHIR write it."""
    return (datetime.now(UTC) + timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z"


def attribute(name: str, *values: str) -> str:
    """A SAML attribute; values are text or elements."""
    inner = "".join(f"<saml:AttributeValue>{value}</saml:AttributeValue>" for value in values)
    return f'<saml:Attribute Name="{name}">{inner}</saml:Attribute>'


def coded(element: str, code: str, system: str) -> str:
    """A code as XSPA has it."""
    return (
        f'<{element} xmlns="urn:hl7-org:v3" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" '
        f'xsi:type="CE" code="{code}" codeSystem="{system}"/>'
    )


XSPA = "urn:oasis:names:tc:xspa:1.0:subject:"
PURPOSE = XSPA + "purposeofuse"
AUTHENTICATED = (
    '<saml:AuthnStatement AuthnInstant="{at}"><saml:AuthnContext><saml:AuthnContextClassRef>'
    "urn:oasis:names:tc:SAML:2.0:ac:classes:X509</saml:AuthnContextClassRef></saml:AuthnContext></saml:AuthnStatement>"
)


class OldSigner(XMLSigner):
    """One that still signs with SHA-1."""

    def check_deprecated_methods(self) -> None:
        """Nothing is deprecated."""


@dataclass(frozen=True, kw_only=True)
class Said:
    """What an assertion says; a test changes what it is about."""

    issuer: str
    audience: str
    subject: str = "899700000001"
    name: str = "MARTIN Anne"
    role: str = "10"
    purpose: str = "normal"
    reason: str = ""
    about: str = ""  #: resource-id: CX of a patient
    starts: float = -5
    ends: float = 300
    statements: str | None = None
    more: str = ""

    def xml(self) -> str:
        """Unsigned, with a place for the signature."""
        told = attribute(XSPA + "subject-id", self.name)
        told += attribute("urn:oasis:names:tc:xacml:2.0:subject:role", coded("Role", self.role, G15))
        told += attribute(PURPOSE, coded("PurposeOfUse", self.purpose, R248))
        told += attribute(XSPA + "organization", "Cabinet du Port")
        if self.reason:
            told += attribute(REASON, self.reason)
        if self.about:
            told += attribute("urn:oasis:names:tc:xacml:2.0:resource:resource-id", self.about.replace("&", "&amp;"))
        statements = AUTHENTICATED.format(at=instant()) if self.statements is None else self.statements
        return (
            f'<saml:Assertion xmlns:saml="{SAML}" ID="_{uuid.uuid4()}" IssueInstant="{instant(min(0, self.starts))}" '
            f'Version="2.0"><saml:Issuer>{self.issuer}</saml:Issuer>'
            '<ds:Signature xmlns:ds="http://www.w3.org/2000/09/xmldsig#" Id="placeholder"/>'
            f'<saml:Subject><saml:NameID>{self.subject}</saml:NameID><saml:SubjectConfirmation Method="{BEARER}"/>'
            f'</saml:Subject><saml:Conditions NotBefore="{instant(self.starts)}" NotOnOrAfter="{instant(self.ends)}">'
            f"<saml:AudienceRestriction><saml:Audience>{self.audience}</saml:Audience></saml:AudienceRestriction>"
            f"</saml:Conditions>{statements}<saml:AttributeStatement>{told}</saml:AttributeStatement>{self.more}"
            "</saml:Assertion>"
        )


REASON = "Mode_Acces_Raison"


def signed(xml: str, key: bytes, certificate: bytes, algorithm: str = "", digest: str = "sha256") -> bytes:
    """By signxml: enveloped, exclusive C14N."""
    private = serialization.load_pem_private_key(key, None)
    kind = "ecdsa" if isinstance(private, ec.EllipticCurvePrivateKey) else "rsa"
    signer = (OldSigner if digest == "sha1" else XMLSigner)(
        method=SignatureConstructionMethod.enveloped,
        signature_algorithm=algorithm or f"{kind}-{digest}",
        digest_algorithm=digest,
        c14n_algorithm="http://www.w3.org/2001/10/xml-exc-c14n#",
    )
    root = etree.fromstring(xml)
    reference = f"#{root.get('ID')}"
    return etree.tostring(
        signer.sign(root, key=key, cert=certificate.decode(), reference_uri=reference, id_attribute="ID")
    )


def security(*blocks: bytes) -> bytes:
    """wsse:Security."""
    return f'<wsse:Security xmlns:wsse="{WSSE}">'.encode() + b"".join(blocks) + b"</wsse:Security>"


# --- the outsider


class Outsider:
    """An integrator with the sandbox's JSON object, and nothing else."""

    def __init__(self, told: Mapping[str, Any], directory: Path) -> None:
        self.told = told
        self.directory = directory
        self.authority = Authority(Path(told["ca"]), Path(told["ca_key"]), directory)
        self.node = self.authority.issue("my-system")
        self.saml_key, self.saml_cert = (Path(told["saml"][name]).read_bytes() for name in ("key", "cert"))
        self._clients: dict[tuple[Path | None, str], httpx.Client] = {}

    def tls(self, shown: Pair | None) -> ssl.SSLContext:
        """The sandbox's authority is believed, a certificate shown."""
        found = ssl.create_default_context(cafile=self.told["ca"])
        if shown is not None:
            found.load_cert_chain(shown.file)
        return found

    def http(self, shown: Pair | None = None, token: str = "") -> httpx.Client:
        """A client with a certificate, a bearer token, both or nothing."""
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        return httpx.Client(verify=self.tls(shown), headers=headers, timeout=60)

    def place(self, port: str) -> tuple[str, int]:
        """Host and port of web, mllp or dimse."""
        text = urlsplit(self.told["portal"]).netloc if port == "web" else str(self.told[port]).rpartition("@")[2]
        host, _, number = text.rpartition(":")
        return host, int(number)

    def mllp(self, shown: Pair | None) -> Mllp:
        """A connection to the HL7 port."""
        host, port = self.place("mllp")
        return Mllp(host, port, self.tls(shown))

    # assertions

    def says(self, **changes: Any) -> Said:
        """An assertion's draft, of the issuer that the sandbox believes."""
        return Said(**{"issuer": self.told["saml"]["issuer"], "audience": self.told["saml"]["audience"], **changes})

    def sign(self, xml: str, **options: str) -> bytes:
        """With ``saml.key``."""
        return signed(xml, self.saml_key, self.saml_cert, **options)

    def assertion(self, **changes: Any) -> bytes:
        """A good one, with changes."""
        return self.sign(self.says(**changes).xml())

    # tokens

    def token(self, *, without: Sequence[str] = (), key: Any = None, head: Mapping[str, str] | None = None,
              **claims: Any) -> str:  # fmt: skip
        """A bearer token of one's own, with what an integrator would think of; ``head``: header changes."""
        jwk, at = self.told["token_key"], int(time.time())
        said: dict[str, Any] = {"iss": self.told["token_issuer"], "aud": self.told["token_audience"], "sub": "my-app"}
        said |= {"client_id": "my-app", "iat": at, "exp": at + 120, "jti": uuid.uuid4().hex, "scope": "system/*.read"}
        said = {name: value for name, value in (said | claims).items() if name not in without}
        header = {"alg": jwk["alg"], "kid": jwk["kid"], **(head or {})}
        return jwt.encode(header, said, key or ECKey.import_key(jwk), algorithms=[header["alg"]])

    def confused(self) -> str:
        """HS256, its secret the public key as everybody can read it."""
        payload = self.token().split(".")[1]
        head = {"alg": "HS256", "kid": self.told["token_key"]["kid"]}
        said = f"{_b64(json.dumps(head).encode())}.{payload}"
        secret = ECKey.import_key(self.told["token_key"]).as_pem(private=False)
        return f"{said}.{_b64(hmac.digest(secret, said.encode(), 'sha256'))}"

    def unsigned(self) -> str:
        """alg none."""
        payload = self.token().split(".")[1]
        return f"{_b64(json.dumps({'alg': 'none', 'typ': 'JWT'}).encode())}.{payload}."

    # SOAP

    def soap(self, where: str, action: str, body: str, *, block: bytes = b"", shown: Pair | None = None,
             token: str = "", parts: Mapping[str, bytes] | None = None) -> httpx.Response:  # fmt: skip
        """A call. ``block``: wsse:Security; ``shown``: the certificate, by default the system's own, unless a token."""
        url = self.told[where]
        root = envelope(action, body, url).replace(b"</s:Header>", block + b"</s:Header>")
        kind, content = f'application/soap+xml; charset=UTF-8; action="{action}"', root
        if parts is not None:
            kind, content = package(root, parts, action)
        with self.http(shown if shown or token else self.node, token) as client:
            return client.post(url, content=content, headers={"Content-Type": kind})

    def find(self, patient: str, *, assertion: bytes = b"", returns: str = "LeafClass", **how: Any) -> httpx.Response:
        """ITI-18 FindDocuments."""
        asked = {"XDSDocumentEntryPatientId": f"'{patient}'", "XDSDocumentEntryStatus": f"('{APPROVED}')"}
        block = how.pop("block", security(assertion) if assertion else b"")
        return self.soap("xds_registry", READING, query(FIND_DOCUMENTS, asked, returns=returns), block=block, **how)

    def retrieve(self, document: str, *, assertion: bytes = b"", **how: Any) -> Answer:
        """ITI-43 of one document."""
        body = (
            f'<xdsb:RetrieveDocumentSetRequest xmlns:xdsb="{XDSB}"><xdsb:DocumentRequest><xdsb:RepositoryUniqueId>'
            f"{self.told['repository_unique_id']}</xdsb:RepositoryUniqueId><xdsb:DocumentUniqueId>{document}"
            "</xdsb:DocumentUniqueId></xdsb:DocumentRequest></xdsb:RetrieveDocumentSetRequest>"
        )
        block = security(assertion) if assertion else b""
        return read(self.soap("xds_repository", ACTION + "RetrieveDocumentSet", body, block=block, parts={}, **how))

    def provide(self, entries: Any, owner: Any, shown: Pair | None = None, block: bytes = b"") -> Answer:
        """ITI-41."""
        url = self.told["xds_repository"]
        kind, content = provision(entries, owner, url=url)
        content = content.replace(b"</s:Header>", block + b"</s:Header>")
        with self.http(shown or self.node) as client:
            return read(client.post(url, content=content, headers={"Content-Type": kind}))

    # the trail

    def trail(self, since: str, **asked: str) -> list[dict[str, Any]]:
        """AuditEvents from an instant on, oldest last, but those about the reading of the trail itself."""
        found: list[dict[str, Any]] = []
        with self.http(token=self.told["token"]) as client:
            answer = client.get(f"{self.told['audit']}/AuditEvent", params={"date": f"ge{since}", **asked})
            while True:
                assert answer.status_code == 200, answer.text
                page = answer.json()
                found += [row["resource"] for row in page.get("entry", [])]
                further = [link["url"] for link in page.get("link", []) if link["relation"] == "next"]
                if not further:
                    return [event for event in found if not reads_trail(event)]
                answer = client.get(further[0])


def reads_trail(event: Mapping[str, Any]) -> bool:
    """ITI-81."""
    return any(code.get("code") == "ITI-81" for code in event.get("subtype", []))
