"""What a search in the national record leaves out for somebody who looks for one examination."""

from dataclasses import replace

import pytest

from hub.documents.model import DocumentEntry, ReferenceId
from hub.record.narrowing import Schemes
from hub.record.reading_model import Narrow
from hub.values import Code
from tests.connectors.dmp_site import kos, study


@pytest.fixture(scope="module")
def entry() -> DocumentEntry:
    made = kos(study()).entry
    codes = (Code("CT", "1.2.250.1.213.1.1.5.618"), Code("67734004", "2.16.840.1.113883.6.96"))
    references = (ReferenceId("1.2.3", "", "2016"), ReferenceId("ACC-1", "1.2", "2013"))
    return replace(made, event_codes=codes, reference_ids=references, service_start_time="20251220101500")


@pytest.mark.parametrize(
    ("narrow", "fits"),
    [
        (Narrow(), True),
        (Narrow(modality="CT", region="67734004", started="20251220"), True),
        (Narrow(modality="MR"), False),
        (Narrow(region="774007"), False),
        (Narrow(started="20251221"), False),
        (Narrow(study_instance_uid="1.2.3"), True),
        (Narrow(study_instance_uid="1.2.4"), False),
        (Narrow(accession_number="ACC-1"), True),
        (Narrow(study_instance_uid="1.2.4", accession_number="ACC-1"), True),
        (Narrow(accession_number="ACC-2"), False),
    ],
)
def test_only_what_may_be_it(entry: DocumentEntry, narrow: Narrow, fits: bool) -> None:
    assert Schemes().fits(entry, narrow) is fits


def test_what_an_entry_does_not_tell_excludes_nothing(entry: DocumentEntry) -> None:
    bare = replace(entry, event_codes=(Code("CT", "1.2.9"),), service_start_time="")
    assert Schemes().fits(bare, Narrow(modality="MR", region="1", started="20250101"))
