"""Who may see a report that is shared already: its sender says otherwise (MODIF_CONF_CODE of MetaDMPMSS)."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Protocol

from hub.context import Context
from hub.documents.model import (
    Association,
    AssociationType,
    Author,
    DocumentEntry,
    Registered,
    Submission,
    SubmissionSet,
    UpdateDocuments,
)
from hub.imaging.metadata import Vocabulary, confidentiality, dtm
from hub.imaging.model import Report
from hub.imaging.ports import Withdrawals
from hub.imaging.reports import FINAL
from hub.imaging.store_reports import ReportStore
from hub.storage.engine import Database
from hub.values import new_uid, new_uuid, now


class Updates(Protocol):
    """The documents room, as far as it changes metadata (ITI-57)."""

    def update(self, command: UpdateDocuments, context: Context) -> Registered:
        """Raises DocumentError."""
        ...


class Masking:
    """Gives the entries of reports other confidentiality codes, in the commit of the message that asks for it."""

    def __init__(
        self, *, database: Database, updates: Updates, withdrawals: Withdrawals, vocabulary: Vocabulary, source_id: str
    ) -> None:
        self.database = database
        self.updates = updates
        self.withdrawals = withdrawals
        self.vocabulary = vocabulary
        self.source_id = source_id

    def asked(self, told: Sequence[tuple[Report, str]], context: Context) -> None:
        """Reports came: those that say so, and that are shared, are shown to others from now on."""
        for report, unique_id in told:
            if report.sending is None or report.status not in FINAL or not report.sending.says("MODIF_CONF_CODE"):
                continue
            with self.database.transaction() as work:
                registered = ReportStore(work).registered(unique_id, report.source)
                for entry in self.withdrawals.approved(registered):
                    self._show(entry, report.sending.masks, context)

    def _show(self, entry: DocumentEntry, masks: Sequence[str], context: Context) -> None:
        codes = confidentiality(self.vocabulary, masks)
        if {code.key for code in codes} == {code.key for code in entry.confidentiality_codes}:
            return
        owner = SubmissionSet(
            id=new_uuid(),
            unique_id=new_uid(),
            source_id=self.source_id,
            patient_id=entry.patient_id,
            submission_time=dtm(now()),
            content_type_code=self.vocabulary.content_type,
            authors=(Author(institutions=entry.authors[0].institutions if entry.authors else ()),),
            title=entry.title,
        )
        fresh = replace(entry, id=new_uuid(), confidentiality_codes=codes)
        member = Association(
            new_uuid(), AssociationType.HAS_MEMBER, owner.id, fresh.id, "Original", previous_version=entry.version
        )
        self.updates.update(UpdateDocuments(Submission(owner, (fresh,), associations=(member,))), context)
        context.led_to("document-masked" if masks else "document-unmasked", entry.unique_id)
