"""Lists of trusted DRIMboxes for tests: written here, signed by signxml."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from lxml import etree
from signxml.algorithms import CanonicalizationMethod, SignatureConstructionMethod, SignatureMethod
from signxml.xades.xades import XAdESDataObjectFormat, XAdESSigner

from tests.saml import KeyPair, pair

NAMESPACE = "https://github.com/ansforge/DRIM-M_DATA"
SIGNER = "C=FR,O=ANS,OU=318751275100020,CN=Liste Blanche DRIM-M"
#: (db, DNCertificatOperateur)
Box = tuple[str, str]


class Authority:
    """Vouches for the signer; ``signer``: of the list."""

    def __init__(self, number: int = 40, signer: str = SIGNER, **options: object) -> None:
        self.ca = pair(subject="C=FR,O=ANS,CN=AC des tests", number=number, ca=True)
        self.signer = pair(subject=signer, number=number + 1, by=self.ca, **options)  # type: ignore[arg-type]

    def crl(self, *revoked: KeyPair, days: int = 7, started: timedelta = timedelta(hours=1)) -> bytes:
        at = datetime.now(UTC) - started
        builder = x509.CertificateRevocationListBuilder().issuer_name(self.ca.certificate.subject)
        builder = builder.last_update(at).next_update(at + timedelta(days=days))
        for one in revoked:
            entry = x509.RevokedCertificateBuilder().serial_number(one.certificate.serial_number)
            builder = builder.add_revoked_certificate(entry.revocation_date(at).build())
        return builder.sign(self.ca.key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


def plain(boxes: Sequence[Box], generated: str = "2026-01-02T03:04:05Z", version: str = "1.0.0") -> bytes:
    rows = "".join(
        f"<Domaine><Identifiant>{number}</Identifiant><db>{db}</db><vi>vi{number}.test</vi>"
        f"<Denomination>Opérateur {number}</Denomination><DNCertificatOperateur>{subject}</DNCertificatOperateur>"
        f"<SupportContact>support@example.org</SupportContact><DateMAJ>2026-01-01</DateMAJ></Domaine>\n"
        for number, (db, subject) in enumerate(boxes, 1)
    )
    return (
        f'<?xml version="1.0" encoding="UTF-8"?>\n<ListeBlancheDRIM-M xmlns="{NAMESPACE}" versionFormat="{version}">\n'
        f"<DateDeGeneration>{generated}</DateDeGeneration><ListeDomaines>{rows}</ListeDomaines></ListeBlancheDRIM-M>"
    ).encode()


def sign(document: bytes, by: KeyPair, *, algorithm: str = "RSA_SHA256", c14n: str = "") -> bytes:
    """XAdES-BASELINE-B, enveloped."""
    signer = XAdESSigner(
        method=SignatureConstructionMethod.enveloped,
        signature_algorithm=SignatureMethod[algorithm],
        c14n_algorithm=CanonicalizationMethod(c14n) if c14n else CanonicalizationMethod.CANONICAL_XML_1_1,
        data_object_format=XAdESDataObjectFormat(Description="", MimeType="text/xml"),
    )
    root = signer.sign(etree.fromstring(document), key=by.key_pem, cert=by.pem.decode(), always_add_key_value=False)
    return bytes(etree.tostring(root, xml_declaration=True, encoding="UTF-8"))


def signed(boxes: Sequence[Box], authority: Authority, **options: str) -> bytes:
    return sign(plain(boxes, **options), authority.signer)
