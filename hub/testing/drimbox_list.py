"""Lists of trusted DRIMboxes for tests and the demo: XAdES-BASELINE-B, enveloped, written with nothing of the hub's."""

import base64
import hashlib
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from xml.sax.saxutils import escape

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from lxml import etree

NAMESPACE = "https://github.com/ansforge/DRIM-M_DATA"
#: The signer's common name and organisational unit, as the list's readers expect them.
SIGNER, SIGNER_UNIT = "Liste Blanche DRIM-M", "318751275100020"
_DS = "http://www.w3.org/2000/09/xmldsig#"
_XADES = "http://uri.etsi.org/01903/v1.3.2#"
_C14N = "http://www.w3.org/2001/10/xml-exc-c14n#"
_SHA256 = "http://www.w3.org/2001/04/xmlenc#sha256"


def white_list(boxes: Sequence[tuple[str, str]], certificate: bytes, key: bytes) -> bytes:
    """The signed list. ``boxes``: (host[:port] that gives images, subject of the operator's certificate); PEM."""
    rows = "".join(
        f"<Domaine><Identifiant>{number}</Identifiant><db>{escape(place)}</db><vi>vi{number}.test</vi>"
        f"<Denomination>Box {number}</Denomination><DNCertificatOperateur>{escape(subject)}</DNCertificatOperateur>"
        "<SupportContact>support@example.org</SupportContact><DateMAJ>2026-01-01</DateMAJ></Domaine>"
        for number, (place, subject) in enumerate(boxes, 1)
    )
    at = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    text = (
        f'<ListeBlancheDRIM-M xmlns="{NAMESPACE}" versionFormat="1.0.0"><DateDeGeneration>{at}</DateDeGeneration>'
        f"<ListeDomaines>{rows}</ListeDomaines></ListeBlancheDRIM-M>"
    )
    root = etree.fromstring(text.encode())
    whole = _digest(_c14n(root))
    der = x509.load_pem_x509_certificate(certificate).public_bytes(serialization.Encoding.DER)
    root.append(etree.fromstring(_signature(whole, der, at).encode()))
    (signature,) = root.findall(f"{{{_DS}}}Signature")
    (properties,) = signature.iter(f"{{{_XADES}}}SignedProperties")
    signature.findall(f".//{{{_DS}}}DigestValue")[1].text = _digest(_c14n(properties))
    private = serialization.load_pem_private_key(key, None)
    assert isinstance(private, rsa.RSAPrivateKey)
    info = _c14n(signature[0])
    signed = private.sign(info, padding.PKCS1v15(), hashes.SHA256())
    signature[1].text = base64.b64encode(signed).decode()
    return bytes(etree.tostring(root, xml_declaration=True, encoding="UTF-8"))


def empty_crl(certificate: bytes, key: bytes) -> bytes:
    """A fresh revocation list of an authority that has revoked nobody; PEM."""
    authority, at = x509.load_pem_x509_certificate(certificate), datetime.now(UTC) - timedelta(minutes=5)
    private = serialization.load_pem_private_key(key, None)
    assert isinstance(private, rsa.RSAPrivateKey)
    builder = x509.CertificateRevocationListBuilder().issuer_name(authority.subject)
    builder = builder.last_update(at).next_update(at + timedelta(days=7))
    return builder.sign(private, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


def _signature(whole: str, der: bytes, at: str) -> str:
    transform = f'<ds:Transform Algorithm="{_C14N}"/>'
    method = f'<ds:DigestMethod Algorithm="{_SHA256}"/>'
    return (
        f'<ds:Signature xmlns:ds="{_DS}" Id="list"><ds:SignedInfo>'
        f'<ds:CanonicalizationMethod Algorithm="{_C14N}"/>'
        '<ds:SignatureMethod Algorithm="http://www.w3.org/2001/04/xmldsig-more#rsa-sha256"/>'
        f'<ds:Reference URI=""><ds:Transforms><ds:Transform Algorithm="{_DS}enveloped-signature"/>{transform}'
        f"</ds:Transforms>{method}<ds:DigestValue>{whole}</ds:DigestValue></ds:Reference>"
        '<ds:Reference URI="#list-properties" Type="http://uri.etsi.org/01903#SignedProperties">'
        f"<ds:Transforms>{transform}</ds:Transforms>{method}<ds:DigestValue/></ds:Reference></ds:SignedInfo>"
        "<ds:SignatureValue/><ds:KeyInfo><ds:X509Data>"
        f"<ds:X509Certificate>{base64.b64encode(der).decode()}</ds:X509Certificate></ds:X509Data></ds:KeyInfo>"
        f'<ds:Object><xades:QualifyingProperties xmlns:xades="{_XADES}" Target="#list">'
        '<xades:SignedProperties Id="list-properties"><xades:SignedSignatureProperties>'
        f"<xades:SigningTime>{at}</xades:SigningTime><xades:SigningCertificateV2><xades:Cert><xades:CertDigest>"
        f"{method}<ds:DigestValue>{_digest(der)}</ds:DigestValue></xades:CertDigest></xades:Cert>"
        "</xades:SigningCertificateV2></xades:SignedSignatureProperties></xades:SignedProperties>"
        "</xades:QualifyingProperties></ds:Object></ds:Signature>"
    )


def _c14n(element: etree._Element) -> bytes:
    return bytes(etree.tostring(element, method="c14n", exclusive=True, with_tail=False))


def _digest(content: bytes) -> str:
    return base64.b64encode(hashlib.sha256(content).digest()).decode()
