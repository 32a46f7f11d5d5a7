"""What a simulated archive holds: files in a directory, described by their headers."""

import threading
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from pydicom import dcmread

from hub.imaging.model import Study
from hub.wire.dicom import DatasetReader, study_of_instances
from hub.wire.dicom_head import Head, peek
from hub.wire.dimse.part10 import chunks_of


@dataclass(frozen=True, slots=True)
class Held:
    """One object of the archive."""

    head: Head
    path: Path


class Archive:
    """Files by study, series and instance. Thread-safe."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        directory.mkdir(parents=True, exist_ok=True)
        self._lock = threading.Lock()
        self._held: dict[str, Held] = {}
        for path in directory.glob("*.dcm"):
            self._note(path)

    def add(self, files: Iterable[Path]) -> int:
        """Copy files in; how many."""
        return sum(self.put(path.read_bytes()) for path in files)

    def put(self, raw: bytes) -> bool:
        """Keep one Part 10 file; False when it is none that an archive can keep."""
        head, _ = peek(iter((raw,)))
        if not head.study_instance_uid or not head.series_instance_uid:
            return False
        path = self.directory / f"{head.sop_instance_uid}.dcm"
        path.write_bytes(raw)
        self._note(path)
        return True

    def _note(self, path: Path) -> None:
        head, _ = peek(chunks_of(path))
        with self._lock:
            self._held[head.sop_instance_uid] = Held(head, path)

    def find(self, study: str = "", series: str = "", instance: str = "") -> list[Held]:
        """Objects under a study, a series or an instance; "" for all."""
        with self._lock:
            held = list(self._held.values())
        return sorted(
            (
                item
                for item in held
                if study in ("", item.head.study_instance_uid)
                and series in ("", item.head.series_instance_uid)
                and instance in ("", item.head.sop_instance_uid)
            ),
            key=lambda item: item.path.name,
        )

    def studies(self) -> Iterator[Study]:
        """Every study, from the headers."""
        for uid in dict.fromkeys(item.head.study_instance_uid for item in self.find()):
            readers = (DatasetReader(dcmread(item.path, stop_before_pixels=True)) for item in self.find(uid))
            study = study_of_instances(readers, "")
            if study is not None:
                yield study
