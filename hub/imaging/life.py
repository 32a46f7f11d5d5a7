"""The proof that what is published equals what the sources hold, and the repair where it does not.

Every study with a manifest is described by its source anew, and compared instance by instance with the manifest that
the registry hands out. What differs is published again through the outbox, like any other study.
"""

import logging
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from hub.context import Context
from hub.errors import HubError, NotFound
from hub.imaging.errors import ManifestUnreadable
from hub.imaging.finding import Wanted
from hub.imaging.manifest import read_manifest
from hub.imaging.manifest_model import CheckManifests, CheckReport, Difference, Finding
from hub.imaging.ports import Published, Withdrawals
from hub.imaging.publication import Publisher
from hub.imaging.service import ImagingService
from hub.imaging.store import ImagingStore
from hub.imaging.store_life import LifeStore
from hub.storage.engine import Database
from hub.usecase import use_case
from hub.values import new_key, now

log = logging.getLogger(__name__)

_PAGE = 100
_FINDINGS = 1000
_SOURCES_AT_ONCE = 8


class ManifestLife:
    """Checks what is published; each source in its own pace, several at once."""

    def __init__(
        self, *, database: Database, imaging: ImagingService, documents: Published, withdrawals: Withdrawals
    ) -> None:
        self.database = database
        self.imaging = imaging
        self.publisher: Publisher = imaging.publisher
        self.documents = documents
        self.withdrawals = withdrawals

    @use_case
    def check(self, command: CheckManifests, context: Context) -> CheckReport | None:
        """Compare, and queue repairs where asked; None when another process has the slot."""
        check_id, started = command.slot or new_key(), now()
        with self.database.transaction() as work:
            store = LifeStore(work)
            if not store.begin(check_id, started):
                return None
            sources = store.sources()
        checked, findings = 0, list[Finding]()
        with ThreadPoolExecutor(_SOURCES_AT_ONCE, "manifest-check") as pool:
            for count, found in pool.map(lambda source: self._check_source(source, command, context), sources):
                checked += count
                findings += found
        unreachable = sum(item.difference is Difference.UNREACHABLE for item in findings)
        differing = len(findings) - unreachable
        report = CheckReport(
            check_id,
            started,
            now(),
            checked,
            differing,
            unreachable,
            differing if command.repair else 0,
            tuple(findings[:_FINDINGS]),
        )
        with self.database.transaction() as work:
            LifeStore(work).end(report)
        log.info("manifests checked: %d, differing: %d, unreachable: %d", checked, differing, unreachable)
        return report

    def last(self) -> CheckReport | None:
        """The newest check, finished or not; None when there was none."""
        with self.database.reading() as work:
            return next(LifeStore(work).latest(), None)

    def _check_source(self, source: str, command: CheckManifests, context: Context) -> tuple[int, list[Finding]]:
        count, findings = 0, []
        for row in self._rows(source):
            count += 1
            finding = self._compare(row)
            if finding is None:
                continue
            findings.append(finding)
            log.warning(
                "study %s: published and held differ: %s", row.study_instance_uid, finding.difference,
                extra={"source": source},
            )  # fmt: skip
            if command.repair and finding.difference is not Difference.UNREACHABLE:
                self._repair(finding, context)
        return count, findings

    def _rows(self, source: str) -> Iterator[Any]:
        after = ""
        while True:
            with self.database.reading() as work:
                rows = LifeStore(work).alive(source, after, _PAGE)
            yield from rows
            if len(rows) < _PAGE:
                return
            after = rows[-1].study_instance_uid

    def _compare(self, row: Any) -> Finding | None:
        uid, source = row.study_instance_uid, row.source
        try:
            found = self.publisher.look(
                self.publisher.finder.describe(Wanted(uid, authority=row.patient_authority, source=source))
            )
        except HubError as error:
            log.warning("a study could not be asked for: %s", error.code, extra={"source": source})
            return Finding(uid, source, Difference.UNREACHABLE)
        held = {str(instance.sop_instance_uid) for _, instance in found.study.instances}
        shown = self._published(row)
        if not held:
            return Finding(uid, source, Difference.GONE, surplus=len(shown or ()))
        if shown is None:
            return Finding(uid, source, Difference.REGISTRY, missing=len(held))
        if shown != held:
            return Finding(uid, source, Difference.CONTENT, len(held - shown), len(shown - held))
        with self.database.reading() as work:
            digest = self.publisher.digest(ImagingStore(work), found)
        return None if digest == row.manifest_digest else Finding(uid, source, Difference.METADATA)

    def _published(self, row: Any) -> set[str] | None:
        """Instances that the registered manifest names; None when the registry does not hand it out."""
        if not self.withdrawals.approved([row.manifest_entry]):
            return None
        try:
            manifest = read_manifest(self.documents.open_content(row.manifest_id).path.read_bytes())
        except (NotFound, ManifestUnreadable, OSError):
            return None
        return {instance for series in manifest.series for _, instance in series.instances}

    def _repair(self, finding: Finding, context: Context) -> None:
        with self.database.transaction() as work:
            if finding.difference is Difference.REGISTRY:
                LifeStore(work).forget_manifest(finding.source, finding.study_instance_uid)
            self.imaging.look_again([finding.study_instance_uid], context)
