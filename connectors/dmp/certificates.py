"""Whether the two certificates are what the record wants of an organisation (IGC-Santé, french.md 4.1), in words."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from connectors.dmp.config import DmpConfig
from hub.connector.contract import SourceMisconfigured
from hub.wire.x509.chain import extension

SOON = timedelta(days=30)


def look(config: DmpConfig, at: datetime | None = None) -> str:
    """What is right with them. Raises SourceMisconfigured for the first thing that is wrong."""
    at = at or datetime.now(UTC)
    said = []
    for name, path in (("tls_certificate", config.tls_certificate), ("seal_certificate", config.seal_certificate)):
        certificate = _read(name, path.read_bytes())
        for problem in _problems(certificate, config, at, seal=name == "seal_certificate"):
            raise SourceMisconfigured(f"{name}: {problem}")
        left = certificate.not_valid_after_utc - at
        soon = ", soon" if left < SOON else ""
        said.append(f"{name} is good until {certificate.not_valid_after_utc:%Y-%m-%d}{soon}")
    return "; ".join(said)


def _read(name: str, content: bytes) -> x509.Certificate:
    try:
        return x509.load_pem_x509_certificate(content)
    except ValueError:
        raise SourceMisconfigured(f"{name}: the file holds no certificate (PEM).") from None


def _problems(certificate: x509.Certificate, config: DmpConfig, at: datetime, *, seal: bool) -> Iterator[str]:
    if at < certificate.not_valid_before_utc:
        yield "it is not valid yet; or the clock is wrong."
    if at >= certificate.not_valid_after_utc:
        yield f"it has expired on {certificate.not_valid_after_utc:%Y-%m-%d}."
    units = {str(item.value) for item in certificate.subject.get_attributes_for_oid(NameOID.ORGANIZATIONAL_UNIT_NAME)}
    if config.structure not in units:
        yield "its OU is not the structure of the settings."
    usage = extension(certificate, x509.KeyUsage)
    purposes = extension(certificate, x509.ExtendedKeyUsage)
    if seal and usage is not None and not usage.content_commitment:
        yield "it is not for signatures (nonRepudiation): it may be the connection's."
    if not seal and purposes is not None and ExtendedKeyUsageOID.CLIENT_AUTH not in purposes:
        yield "it is not for connections (clientAuth): it may be the seal's."
