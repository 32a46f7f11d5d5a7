"""Every code that the record may refuse with is a visible state that says what to do next, in every language."""

import pytest

from connectors.dmp.errors import CODES, refusal
from hub.connector.contract import SourceLied
from hub.connector.record import RecordHasIt
from hub.errors import Category, DeadlineExceeded, Unavailable, lookup
from hub.portal.texts import LANGUAGES
from hub.record.failures import REASONS
from hub.record.model import ADVICE, PublicationState, Reason

#: What each code becomes (french.md 2.2, 2.3; XDS's own; the simulator's where no public text gives one).
EXPECTED = {
    "DMPInvalidCertificate": Reason.CERTIFICATE,
    "DMPInvalidSignature": Reason.CERTIFICATE,
    "DMPInvalidVIHF": Reason.CONFIGURATION,
    "DMPNotFound": Reason.NO_RECORD,
    "DMPClosedRecord": Reason.CLOSED,
    "DMPPatientOpposition": Reason.OPPOSITION,
    "DMPAccessDenied": Reason.NOT_AUTHORISED,
    "DMPNotAuthorized": Reason.NOT_AUTHORISED,
    "XDSUnknownPatientId": Reason.NO_RECORD,
    "XDSRegistryMetadataError": Reason.METADATA,
    "XDSRepositoryMetadataError": Reason.METADATA,
    "InvalidDocumentContent": Reason.METADATA,
    "XDSRegistryBusy": Reason.UNAVAILABLE,
    "XDSRepositoryBusy": Reason.UNAVAILABLE,
    "XDSRegistryNotAvailable": Reason.UNAVAILABLE,
    "SomethingOfTheirOwn": Reason.REFUSED,
}


def test_every_code_of_the_table_is_expected_here() -> None:
    known = {code for code, kind in CODES.items() if kind is not RecordHasIt}  # what it has already is no refusal
    assert known == EXPECTED.keys() - {"SomethingOfTheirOwn"}


@pytest.mark.parametrize("code", sorted(EXPECTED))
def test_a_code_is_a_reason_with_advice(code: str) -> None:
    error = refusal(code)
    reason = lookup(REASONS, error)
    assert reason is EXPECTED[code]
    assert error.context["told"] == code
    assert (error.category is Category.TRANSIENT) == (reason is Reason.UNAVAILABLE), "tried again where time can help"


@pytest.mark.parametrize("reason", list(Reason))
def test_a_reason_says_what_it_means_and_what_to_do(reason: Reason) -> None:
    assert ADVICE[reason].means
    assert ADVICE[reason].next
    for language, texts in LANGUAGES.items():
        assert texts[f"record.means.{reason}"], language
        assert texts[f"record.next.{reason}"], language


@pytest.mark.parametrize("state", list(PublicationState))
def test_a_state_has_a_name(state: PublicationState) -> None:
    assert all(texts[f"record.state.{state}"] for texts in LANGUAGES.values())


def test_what_the_connection_says() -> None:
    assert lookup(REASONS, DeadlineExceeded()) is lookup(REASONS, Unavailable()) is Reason.UNAVAILABLE
    assert lookup(REASONS, SourceLied()) is Reason.INCONSISTENT
