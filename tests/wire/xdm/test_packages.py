"""XDM packages: unzip reads ours, and a stranger's is never trusted."""

import io
import shutil
import subprocess
import zipfile
from pathlib import Path

import pytest
from lxml import etree, html

from hub.errors import HubError
from hub.values import PatientIdentifier
from hub.wire.xdm.errors import PackageInvalid, PackageTooLarge
from hub.wire.xdm.reading import Limits, read_package
from hub.wire.xdm.writing import PackedDocument, write_package
from tests.documents.builders import ANNE, entry
from tests.wire.ebxml.schemas import validate

CONTENTS = (b"<ClinicalDocument/>", b"%PDF-1.7 " + bytes(5000), b"")


@pytest.fixture
def package(tmp_path: Path) -> Path:
    documents = []
    for number, content in enumerate(CONTENTS):
        path = tmp_path / f"in{number}"
        path.write_bytes(content)
        kind = ("text/xml", "application/pdf", "text/plain")[number]
        documents.append(PackedDocument(entry(title=f"<T{number}>", mime_type=kind, home="urn:oid:1.2"), path))
    file = tmp_path / "package.zip"
    with file.open("wb") as out:
        write_package(out, documents, ANNE, source_id="1.2.3", institution="CH d'Aix & co")
    return file


@pytest.mark.interop
@pytest.mark.skipif(shutil.which("unzip") is None, reason="unzip is not installed")
def test_unzip_reads_what_is_written(package: Path, tmp_path: Path) -> None:
    subprocess.run(["unzip", "-q", str(package), "-d", str(tmp_path / "out")], check=True)
    there = sorted(str(path.relative_to(tmp_path / "out")) for path in (tmp_path / "out").rglob("*") if path.is_file())
    subset = "IHE_XDM/SUBSET01"
    assert there == [
        f"{subset}/DOC00001.XML", f"{subset}/DOC00002.PDF", f"{subset}/DOC00003.TXT", f"{subset}/METADATA.XML",
        "INDEX.HTM", "README.TXT",
    ]  # fmt: skip
    assert (tmp_path / "out" / subset / "DOC00002.PDF").read_bytes() == CONTENTS[1]
    index = html.parse(str(tmp_path / "out" / "INDEX.HTM")).getroot()
    links = [link.get("href") for link in index.iter("a")]
    assert all((tmp_path / "out" / link).is_file() for link in links)
    assert "<T0>" in index.text_content()
    assert etree.parse(str(tmp_path / "out" / subset / "METADATA.XML")).getroot().tag.endswith("SubmitObjectsRequest")


def test_what_is_written_is_read(package: Path, tmp_path: Path) -> None:
    [found] = read_package(package, tmp_path / "read")
    assert found.submission.submission_set.patient_id == ANNE
    assert [found.files[item.id].read_bytes() for item in found.submission.entries] == list(CONTENTS)
    assert [item.title for item in found.submission.entries] == ["<T0>", "<T1>", "<T2>"]
    assert {item.home for item in found.submission.entries} == {""}
    assert len(found.submission.associations) == 3


def test_nothing_to_export() -> None:
    with pytest.raises(PackageInvalid):
        write_package(io.BytesIO(), [], PatientIdentifier("1", "1.2"), source_id="1.2", institution="")


def rewritten(package: Path, target: Path, **changes: bytes) -> Path:
    """The package with parts changed (by their last name), or others added."""
    left = dict(changes)
    with zipfile.ZipFile(package) as before, zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as after:
        for part in before.infolist():
            name = part.filename.rpartition("/")[2].replace(".", "_")
            after.writestr(part.filename, left.pop(name, before.read(part)))
        for name, content in left.items():
            after.writestr(name, content)
    return target


def metadata(package: Path) -> bytes:
    with zipfile.ZipFile(package) as archive:
        return archive.read("IHE_XDM/SUBSET01/METADATA.XML")


@pytest.mark.parametrize(
    "uri", ["../../INDEX.HTM", "/etc/passwd", "..\\x", "C:/x", "./../x", ".", "", "%2e%2e/METADATA.XML", "NONE.XML"]
)
def test_a_uri_leads_nowhere_else(package: Path, tmp_path: Path, uri: str) -> None:
    wrong = metadata(package).replace(b"DOC00001.XML", uri.encode())
    with pytest.raises(HubError) as caught:
        read_package(rewritten(package, tmp_path / "bad.zip", METADATA_XML=wrong), tmp_path / "read")
    assert caught.value.code in ("xdm-package", "registry-metadata-error")


@pytest.mark.parametrize("uri", ["../../SHARED/A.XML", "./../SUBSET01/../../SHARED/A.XML", "..%2F../shared/a.xml"])
def test_a_uri_may_lead_to_another_directory_of_the_package(package: Path, tmp_path: Path, uri: str) -> None:
    moved = metadata(package).replace(b"DOC00001.XML", uri.encode())
    other = rewritten(package, tmp_path / "x.zip", METADATA_XML=moved, **{"SHARED/A.XML": CONTENTS[0]})
    [found] = read_package(other, tmp_path / "read")
    assert found.files[found.submission.entries[0].id].read_bytes() == CONTENTS[0]
    assert found.name == "SUBSET01"


def test_index_and_read_me_are_read_as_they_were_written(tmp_path: Path) -> None:
    path = tmp_path / "in"
    path.write_bytes(b"x")
    file = tmp_path / "package.zip"
    with file.open("wb") as out:
        write_package(
            out, [PackedDocument(entry(title="Première"), path)], ANNE,
            source_id="1.2.3", institution="Hôpital", contact="+33 1 00 00 00 00",
        )  # fmt: skip
    with zipfile.ZipFile(file) as archive:
        index, read_me = archive.read("INDEX.HTM"), archive.read("README.TXT")
    etree.fromstring(index.partition(b"\n")[2])  # XHTML
    assert "Première" in "".join(
        str(text) for text in html.fromstring(index).itertext()
    )  # as a browser finds the encoding
    text = read_me.decode("utf-8-sig")
    assert read_me.startswith(b"\xef\xbb\xbfH")
    assert "Contact: +33 1 00 00 00 00" in text
    assert ANNE.value not in text


def test_names_in_the_zip_are_never_paths_here(package: Path, tmp_path: Path) -> None:
    bad = rewritten(package, tmp_path / "bad.zip", **{"../../evil": b"x", "/abs": b"x"})
    read_package(bad, tmp_path / "a" / "b" / "read")
    assert sorted(path.name for path in (tmp_path / "a" / "b" / "read").iterdir()) == ["1"]
    assert not (tmp_path / "a" / "evil").exists()


def test_other_bytes_than_the_metadata_says(package: Path, tmp_path: Path) -> None:
    with pytest.raises(PackageInvalid, match="size and hash"):
        read_package(rewritten(package, tmp_path / "bad.zip", DOC00001_XML=b"<Other/>"), tmp_path / "read")


def test_entities_are_refused(package: Path, tmp_path: Path) -> None:
    bomb = b'<!DOCTYPE x [<!ENTITY a "b">]><x>&a;</x>'
    with pytest.raises(HubError):
        read_package(rewritten(package, tmp_path / "bad.zip", METADATA_XML=bomb), tmp_path / "read")


def test_bombs_are_not_unpacked(package: Path, tmp_path: Path) -> None:
    with pytest.raises(PackageTooLarge):
        read_package(package, tmp_path / "a", Limits(size=1000))
    with pytest.raises(PackageTooLarge):
        read_package(package, tmp_path / "b", Limits(parts=3))
    bomb = rewritten(package, tmp_path / "bomb.zip", DOC00002_PDF=bytes(50_000_000))
    raw = bytearray(bomb.read_bytes())
    with zipfile.ZipFile(bomb) as archive:
        size = archive.getinfo("IHE_XDM/SUBSET01/DOC00002.PDF").file_size.to_bytes(4, "little")
    lying = bytes(raw).replace(size, (5009).to_bytes(4, "little"))
    bomb.write_bytes(lying)
    with pytest.raises(HubError):
        read_package(bomb, tmp_path / "c")
    assert sum(path.stat().st_size for path in (tmp_path / "c").rglob("*") if path.is_file()) < 1_000_000


@pytest.mark.interop
def test_the_metadata_fits_the_public_schema(package: Path) -> None:
    validate(etree.fromstring(metadata(package)), "ebRS30/lcm.xsd")


@pytest.mark.parametrize("content", [b"", b"PK", b"not a zip" * 100])
def test_what_is_no_zip(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "x.zip"
    file.write_bytes(content)
    with pytest.raises(PackageInvalid):
        read_package(file, tmp_path / "read")


def test_damaged_anywhere_is_one_error(package: Path, tmp_path: Path) -> None:
    raw = package.read_bytes()
    for number, position in enumerate(range(0, len(raw), 37)):
        damaged = tmp_path / "damaged.zip"
        damaged.write_bytes(raw[:position] + bytes([raw[position] ^ 0xFF]) + raw[position + 1 :])
        try:
            read_package(damaged, tmp_path / f"read{number}")
        except HubError:
            continue


def test_two_parts_of_one_name_and_no_metadata(package: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(package, "a") as archive:
        archive.writestr("ihe_xdm/subset01/doc00001.xml", b"other")
    with pytest.raises(PackageInvalid, match="two parts"):
        read_package(package, tmp_path / "read")
    with zipfile.ZipFile(tmp_path / "empty.zip", "w") as archive:
        archive.writestr("README.TXT", "")
    with pytest.raises(PackageInvalid, match="METADATA"):
        read_package(tmp_path / "empty.zip", tmp_path / "read2")
