"""Which documents of a record may be of the examination that somebody looks for.

Done here and not by the record: its samples put two different things in the slot of a code's scheme, and an entry that
does not tell something is not to be lost for it."""

from collections.abc import Collection
from dataclasses import dataclass

from hub.documents.model import DocumentEntry
from hub.record.reading_model import Narrow


@dataclass(frozen=True, slots=True)
class Schemes:
    """Schemes under which entries tell modalities and anatomic regions: code systems, or value sets in their place."""

    modalities: Collection[str] = ("DCM", "1.2.840.10008.2.16.4", "1.2.250.1.213.1.1.5.618")
    regions: Collection[str] = ("2.16.840.1.113883.6.96", "1.2.250.1.213.1.1.5.695")

    def fits(self, entry: DocumentEntry, narrow: Narrow) -> bool:
        """Whether nothing that the entry says is against it."""
        numbers = {reference.value for reference in entry.reference_ids}
        wanted = {narrow.study_instance_uid, narrow.accession_number} - {""}
        if wanted and not wanted & numbers:
            return False
        day = entry.service_start_time[:8]
        if narrow.started and day and not day.startswith(narrow.started):
            return False
        return _coded(entry, narrow.modality, self.modalities) and _coded(entry, narrow.region, self.regions)


def _coded(entry: DocumentEntry, wanted: str, schemes: Collection[str]) -> bool:
    found = {code.value for code in entry.event_codes if code.scheme in schemes}
    return not wanted or not found or wanted in found
