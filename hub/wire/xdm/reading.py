"""A stranger's package: nothing is unpacked by the names in it, and never more than was announced and is allowed."""

import hashlib
import re
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import unquote

from hub.documents.model import DocumentEntry, Submission
from hub.errors import HubError
from hub.wire.ebxml.names import lcm
from hub.wire.ebxml.submissions import read_submission
from hub.wire.xdm.errors import PackageInvalid, PackageTooLarge
from hub.wire.xml import parse_xml

_METADATA = re.compile(r"IHE_XDM/([^/]{1,64})/METADATA\.XML", re.IGNORECASE)
_SAFE = re.compile(r"[^/\\:\x00-\x1f][^\\:\x00-\x1f]{0,254}")
_CHUNK = 256 * 1024
_MAX_METADATA = 32 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Limits:
    """How much is read: parts, and bytes when unpacked."""

    parts: int = 10_000
    size: int = 8 * 1024 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class ReadPackage:
    """One submission of a package. ``files``: DocumentEntry id -> where its bytes were put; ``name``: its directory."""

    submission: Submission
    files: dict[str, Path]
    name: str = ""


@contextmanager
def opened(file: Path, limits: Limits) -> Iterator[zipfile.ZipFile]:
    """The package, its directory checked. Raises PackageInvalid, PackageTooLarge."""
    try:
        with zipfile.ZipFile(file) as archive:
            parts = archive.infolist()
            if len(parts) > limits.parts or sum(part.file_size for part in parts) > limits.size:
                raise PackageTooLarge()
            names = [part.filename.upper() for part in parts]
            if len(set(names)) != len(names):
                raise PackageInvalid("The package has two parts of one name.")
            if any(part.flag_bits & 0x1 for part in parts):
                raise PackageInvalid("The package is encrypted.")
            yield archive
    except (zipfile.BadZipFile, OSError, NotImplementedError, EOFError, RuntimeError, ValueError) as error:
        raise PackageInvalid() from error


def read_package(file: Path, directory: Path, limits: Limits | None = None) -> tuple[ReadPackage, ...]:
    """Every submission of the package, its documents put into ``directory`` under names of our own.

    Raises PackageInvalid, PackageTooLarge, RegistryMetadataError, Malformed: then nothing may be used of it."""
    bounds = limits or Limits()
    with opened(file, bounds) as archive:
        names = {part.filename.upper(): part for part in archive.infolist()}
        found = sorted(name for name in names if _METADATA.fullmatch(name))
        if not found:
            raise PackageInvalid("The package has no IHE_XDM/SUBSET01/METADATA.XML (ITI TF-2: 3.32.4.1.2).")
        return tuple(_subset(archive, names, name, directory / f"{number}") for number, name in enumerate(found, 1))


def _subset(archive: zipfile.ZipFile, names: dict[str, zipfile.ZipInfo], metadata: str, directory: Path) -> ReadPackage:
    directory.mkdir(parents=True)
    if names[metadata].file_size > _MAX_METADATA:
        raise PackageTooLarge()
    root = parse_xml(b"".join(_chunks(archive, names[metadata])))
    request = root if root.tag == lcm("SubmitObjectsRequest") else root.find(f".//{lcm('SubmitObjectsRequest')}")
    if request is None:
        raise PackageInvalid("METADATA.XML holds no SubmitObjectsRequest.", location=metadata)
    submission = read_submission(request)
    base = metadata.rpartition("/")[0]
    files: dict[str, Path] = {}
    entries = []
    for number, entry in enumerate(submission.entries, 1):
        part = _part_of(entry, number, base, names)
        path = directory / f"{number:05}"
        entries.append(_kept(archive, part, entry, number, path))
        files[entry.id] = path
    return ReadPackage(replace(submission, entries=tuple(entries)), files, base.rpartition("/")[2])


def _part_of(entry: DocumentEntry, number: int, base: str, names: dict[str, zipfile.ZipInfo]) -> zipfile.ZipInfo:
    """The part that a URI means, relative to METADATA.XML, also with ``../`` (ITI TF-2: 3.32.4.1.2.2).

    It is only ever looked up among the package's own names. Raises PackageInvalid."""
    for candidate in (entry.uri, unquote(entry.uri)):
        place = _place(base, candidate)
        part = names.get(place.upper()) if place else None
        if part is not None and not part.is_dir():
            return part
    raise PackageInvalid(f"Document {number} is not in the package where its URI says.", location=entry.id[:80])


def _place(base: str, uri: str) -> str:
    """The name in the package that a relative URI means; "" where it leads out of the package, or is none."""
    if not _SAFE.fullmatch(uri):
        return ""
    steps = base.split("/")
    for step in uri.split("/"):
        if step == "..":
            if not steps:
                return ""
            steps.pop()
        elif step not in ("", "."):
            steps.append(step)
    return "/".join(steps)


def _kept(
    archive: zipfile.ZipFile, part: zipfile.ZipInfo, entry: DocumentEntry, number: int, path: Path
) -> DocumentEntry:
    """The bytes in a file, and the entry with their size and hash. Raises PackageInvalid where it says others."""
    sha1, size = hashlib.sha1(usedforsecurity=False), 0
    with path.open("wb") as file:
        for chunk in _chunks(archive, part):
            sha1.update(chunk)
            size += len(chunk)
            file.write(chunk)
    if entry.size not in (None, size) or entry.hash.lower() not in ("", sha1.hexdigest()):
        raise PackageInvalid(f"Document {number} is not the one that its size and hash say.", location=entry.id[:80])
    return replace(entry, size=size, hash=sha1.hexdigest(), uri="")


def _chunks(archive: zipfile.ZipFile, part: zipfile.ZipInfo) -> Iterator[bytes]:
    """The part's bytes, never more than its directory entry announces. Raises PackageInvalid, PackageTooLarge."""
    left = part.file_size
    try:
        with archive.open(part) as stream:
            while chunk := stream.read(_CHUNK):
                left -= len(chunk)
                if left < 0:
                    raise PackageTooLarge()
                yield chunk
    except HubError:
        raise
    except Exception as error:  # zlib.error and whatever damaged bytes make the library raise
        raise PackageInvalid("A part of the package is damaged.") from error
