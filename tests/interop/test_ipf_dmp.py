"""IPF's validator of XDS (Java; not written here) judges what the connector to the national record sends (ITI-41)."""

import base64
from pathlib import Path

import pytest
from lxml import etree

from connectors.dmp import MANIFEST, lots
from connectors.dmp.config import DmpConfig
from hub.connector.record import Lot
from hub.documents.model import DocumentEntry
from hub.testing.dmp.pki import AUTHENTICATION, SEAL, STRUCTURE, make_pki
from hub.values import new_uuid
from hub.wire.ebxml.names import xdsb
from hub.wire.ebxml.submissions import write_submission
from tests import java
from tests.connectors.dmp_site import kos, lot, report, study

pytestmark = [pytest.mark.interop, pytest.mark.timeout(600)]
PROJECT = Path(__file__).parent / "ipf"


def request(made: Lot, pki: Path, *, broken: bool = False) -> str:
    """ITI-41 with its documents inline, in base64.

    Where the French forms go beyond IHE's they are left out: the type of patientId (^NH) and of sourcePatientId (^PI),
    and that of an institution's number (XON.7, IDNST)."""
    config = MANIFEST.config.model_validate(
        {
            "url": "https://127.0.0.1:1/x",
            "tls_certificate": pki / f"{AUTHENTICATION}.crt",
            "tls_key": pki / f"{AUTHENTICATION}.key",
            "seal_certificate": pki / f"{SEAL}.crt",
            "seal_key": pki / f"{SEAL}.key",
            "structure": STRUCTURE,
            "structure_name": "A",
            "responsible": "801234567897",
            "responsible_family": "MARTIN",
            "homologation": "TEST",
        }
    )
    assert isinstance(config, DmpConfig)
    seal = lots.Seal((pki / f"{SEAL}.key").read_bytes(), (pki / f"{SEAL}.crt").read_bytes())
    prepared = lots.prepare(made, config, seal)
    root = etree.Element(xdsb("ProvideAndRegisterDocumentSetRequest"))
    root.append(write_submission(prepared.submission))
    contents = {
        part.content_id: b"".join(bytes(chunk) for chunk in part.chunks if isinstance(chunk, bytes))
        for part in prepared.parts
    }
    for entry_id, content_id in prepared.content_ids.items():
        document = etree.SubElement(root, xdsb("Document"), {"id": entry_id})
        document.text = base64.b64encode(contents[content_id]).decode()
    text = etree.tostring(root).replace(b"&amp;ISO^IDNST^^^", b"&amp;ISO^^^^").replace(b"&amp;ISO^PI<", b"&amp;ISO<")
    if broken:
        text = text.replace(b"urn:uuid:f0306f51-975f-434e-a61c-c59651d33983", b"urn:uuid:nothing")
    return base64.b64encode(text).decode()


def test_what_is_sent_is_valid_for_ipf(tmp_path: Path) -> None:
    pki, made = make_pki(tmp_path / "pki"), study()
    replacing = report(made)
    replacing = type(replacing)(replacing.entry, replacing.content, new_uuid())
    assert isinstance(replacing.entry, DocumentEntry)
    lines = [
        request(lot(kos(made)), pki),
        request(lot(report(made)), pki),
        request(lot(kos(made), report(made)), pki),
        request(lot(replacing), pki),
        request(lot(report(made)), pki, broken=True),
    ]
    said = java.run(PROJECT, "Judge", "\n".join(lines), seconds=120).split("\n")
    assert said[:4] == ["ok"] * 4, said
    assert said[4] != "ok"
