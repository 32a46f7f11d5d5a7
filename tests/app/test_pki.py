"""The private test authority: proper extensions, keys for their owner only, nothing replaced silently."""

import stat
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import pkcs12
from cryptography.x509.oid import ExtendedKeyUsageOID
from typer.testing import CliRunner

from hub.app.commands.pki import pki_app
from hub.app.keys import pki
from hub.errors import Invalid


def test_a_node_is_server_and_client_on_this_machine(tmp_path: Path) -> None:
    pki.init(tmp_path)
    certificate = pki.load(pki.issue(tmp_path, "ris-b", ("ris.b.example", "10.1.2.3")))
    authority = pki.load(tmp_path / "ca.crt")
    certificate.verify_directly_issued_by(authority)
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert {"localhost", "ris-b", "ris.b.example"} <= set(names.get_values_for_type(x509.DNSName))
    assert {"127.0.0.1", "10.1.2.3"} <= {str(address) for address in names.get_values_for_type(x509.IPAddress)}
    usage = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert set(usage) == {ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH}
    assert certificate.extensions.get_extension_for_class(x509.KeyUsage).value.digital_signature
    assert authority.extensions.get_extension_for_class(x509.KeyUsage).value.key_cert_sign
    assert stat.S_IMODE((tmp_path / "ris-b.key").stat().st_mode) == 0o600
    assert len(pki.fingerprint(tmp_path / "ris-b.crt")) == 64


def test_an_authority_is_not_replaced(tmp_path: Path) -> None:
    pki.init(tmp_path)
    with pytest.raises(pki.AuthorityExists):
        pki.init(tmp_path)


@pytest.mark.parametrize("name", ["", "ca", "../up", "a b"])
def test_names_that_no_file_may_have(tmp_path: Path, name: str) -> None:
    pki.init(tmp_path)
    with pytest.raises(Invalid):
        pki.issue(tmp_path, name)


def test_without_an_authority(tmp_path: Path) -> None:
    with pytest.raises(pki.AuthorityMissing):
        pki.issue(tmp_path, "his")


def test_a_list_keeps_what_was_revoked(tmp_path: Path) -> None:
    pki.init(tmp_path)
    serials = set()
    for name in ("a", "b"):
        serials.add(pki.load(pki.issue(tmp_path, name)).serial_number)
        pki.revoke(tmp_path, name)
    found = x509.load_pem_x509_crl((tmp_path / "ca.crl").read_bytes())
    assert {entry.serial_number for entry in found} == serials
    with pytest.raises(Invalid):
        pki.revoke(tmp_path, "unheard")


def test_key_and_certificate_for_a_browser(tmp_path: Path) -> None:
    pki.init(tmp_path)
    pki.issue(tmp_path, "a")
    path = pki.export(tmp_path, "a", "secret")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    key, certificate, others = pkcs12.load_key_and_certificates(path.read_bytes(), b"secret")
    assert key is not None
    assert certificate == pki.load(tmp_path / "a.crt")
    assert others == [pki.load(tmp_path / "ca.crt")]
    with pytest.raises(Invalid):
        pki.export(tmp_path, "unheard", "secret")


def test_the_commands(tmp_path: Path) -> None:
    place = ["-d", str(tmp_path)]
    for command in (["init"], ["card", "dr", "--layout", "cps-old", "--password", "x"], ["crl"], ["revoke", "dr"]):
        assert CliRunner().invoke(pki_app, [*command, *place]).exit_code == 0, command
    assert (tmp_path / "dr.p12").exists()
    assert "dr" in CliRunner().invoke(pki_app, ["show", *place]).output
