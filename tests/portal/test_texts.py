import re
from pathlib import Path
from string import Formatter

import pytest

import hub.portal
from hub.app.audit.sinks import CollectorUnavailable, EventRefused
from hub.audit.model import AuditOutcome
from hub.connector.contract import ConnectorError, SourceLied
from hub.errors import DeadlineExceeded, HubError, InternalError
from hub.exchange.model import DeliveryState, MessageState
from hub.imaging import archive, publication
from hub.imaging.errors import ImagesMissing, ReportIncomplete, SeveralPatients, SeveralStudies, StudyNotThereYet
from hub.imaging.model import SourceState, StudyState
from hub.patients import matching
from hub.patients.model import IdentityStatus
from hub.patients.scoring import vetoes
from hub.portal.texts import LANGUAGES, choose
from hub.portal.texts.reasons import FRENCH, french
from hub.portal.visit import Phrases
from hub.wire.dicomweb.client import AnswerTooLarge, ServerBusy, ServerRefused, ServerUnreachable
from hub.wire.dimse.errors import AssociationFailed, NoContext, PeerSilent

FR, EN = LANGUAGES["fr"], LANGUAGES["en"]
Titled = list[type[HubError]]
ROOT = Path(hub.portal.__file__).parent
ASKED_FIRST = "same INS or strict traits within one authority"  #: what follows in the table
SOURCES = [*ROOT.glob("templates/**/*.html"), *ROOT.glob("*.py")]


def test_both_languages_say_the_same_things() -> None:
    assert FR.keys() == EN.keys()
    for key, text in FR.items():
        assert _placeholders(text) == _placeholders(EN[key]), key
        assert text.strip(), key
        assert EN[key].strip(), key


def _placeholders(text: str) -> set[str]:
    return {name for _, name, _, _ in Formatter().parse(text) if name}


def test_every_text_that_a_page_names_exists() -> None:
    named = set()
    for path in SOURCES:
        named |= set(re.findall(r"""\b(?:t|t\.counted|phrases)\(["']([a-z_]+\.[a-z_.]+)["'][,)]""", path.read_text()))
    assert len(named) > 100
    assert named <= FR.keys(), named - FR.keys()


def test_every_state_has_a_text() -> None:
    for prefix, states in {
        "message_state": MessageState,
        "delivery_state": DeliveryState,
        "study_state": StudyState,
        "sources.state": SourceState,
        "status": IdentityStatus,
        "outcome": AuditOutcome,
    }.items():
        for state in states:
            assert f"{prefix}.{state.value}" in FR


@pytest.mark.parametrize(
    ("cookie", "header", "expected"),
    [
        ("", "", "fr"),
        ("en", "fr", "en"),
        ("xx", "en-GB,en;q=0.9,fr;q=0.8", "en"),
        ("", "de, fr;q=0.5, en;q=0.7", "en"),
        ("", "de, en;q=0", "fr"),
        ("", "en;q=nonsense", "fr"),
    ],
)
def test_the_language_is_the_visitors(cookie: str, header: str, expected: str) -> None:
    assert choose(cookie, header) == expected
    assert expected in LANGUAGES


def test_every_reason_of_the_closed_set_is_told_in_french() -> None:
    own = [publication.UNKNOWN_PATIENT, publication.UNKNOWN_REPORT_PATIENT, publication.NO_PATIENT]
    own += [publication.OTHER_PATIENT, publication.OTHER_ACCESSION, archive.SEVERAL_PATIENTS]
    sources: Titled = [
        ConnectorError,
        *ConnectorError.__subclasses__(),
        *SourceLied.__subclasses__(),
        DeadlineExceeded,
    ]
    wires: Titled = [
        ServerUnreachable,
        ServerBusy,
        ServerRefused,
        AnswerTooLarge,
        AssociationFailed,
        PeerSilent,
        NoContext,
    ]
    rooms: Titled = [
        StudyNotThereYet,
        ImagesMissing,
        SeveralStudies,
        SeveralPatients,
        ReportIncomplete,
        InternalError,
    ]
    for sentence in [*own, *(error.title for error in (*sources, *wires, *rooms))]:
        assert french(sentence), sentence


def test_every_question_to_a_steward_is_told_in_french() -> None:
    """What ``hub.patients`` asks with, word for word; values that are filled in are examples."""
    asking = ("linking.py", "owners.py", "service.py", "stewardship.py")
    source = "".join((ROOT.parent / "patients" / name).read_text() for name in asking)
    asked = set(re.findall(r"""\bask(?:_alone|_each)?\(\s*TaskKind\.[^()]*?f?"([^"]+)"[^"]*?\)""", source))
    asked |= set(re.findall(r"""(?:reason = |)f?"((?:linked to a number|refused: )[^"]+)\"""", source))
    assert len(asked) >= 13, asked
    for sentence in asked:
        told = sentence.replace("{changed}", "birth-name").replace("{context.transaction}", "ITI-8")
        assert french(told), sentence


def test_every_veto_has_a_text() -> None:
    named = {matching.SAME_AUTHORITY, matching.INS, matching.COLLISION, matching.DOUBT}
    source = Path(vetoes.__file__).read_text()
    named |= {str(getattr(vetoes, name)) for name in re.findall(r"^([A-Z_]+) = \"", source, re.MULTILINE)}
    assert len(named) >= 12
    assert {f"veto.{name}" for name in named} <= FR.keys()


def test_what_became_of_a_collector_is_told_in_french() -> None:
    """The hub's own sentences, word for word; values that are filled in are examples."""
    source = "".join((ROOT.parent / "app" / "audit" / name).read_text() for name in ("sinks.py", "forwarding.py"))
    said = set(re.findall(r'(?<!")"((?:The collector|TLS with|The hub)[^"]*\.(?:\{words\})?)"', source))
    said -= {CollectorUnavailable.title, EventRefused.title}  # never without words of its own
    assert len(said) >= 9, said
    for sentence in said:
        numbered = re.sub(r"\{(?:status|taken|len\(records\))\}", "422", sentence)
        for words in ("", " It answers 422."):
            told = re.sub(r"\{[^}]+\}", "connection refused", numbered.replace("{words}", words))
            assert french(told), told


def test_what_is_wrong_with_a_message_is_told_in_french() -> None:
    """The sentences of the reader of HL7 v2 that operators meet, and those alone."""
    readers = (*(ROOT.parent / "wire" / "hl7v2").glob("*.py"), *(ROOT.parents[1] / "profiles").rglob("*.py"))
    said = "".join(path.read_text() for path in readers)
    known = list(FRENCH)
    begin, end = known.index("The message does not begin with an MSH segment."), known.index(ASKED_FIRST)
    assert [sentence for sentence in known[begin:end] if sentence not in said] == []
    assert french("The MRG segment is missing.") == "Le segment MRG est absent."


def test_no_line_begins_with_a_colon() -> None:
    """French: what stands before a colon, and within quotation marks, stays with it."""
    for key, text in FR.items():
        assert "\u2019" not in text, (key, "one apostrophe everywhere")
        assert not re.search(r" [:;?!»]|«[^\u00a0]|[^\u00a0]»", text), (key, text)
    assert FR["overview.processed"] == "Traités (24\u00a0h)"
    assert FR["life.of"] == "Vie de «\u00a0{title}\u00a0»"


def test_a_reason_with_numbers_and_one_that_nobody_knows() -> None:
    assert Phrases("fr").reason("The source says 99 instances and lists 2.") == (
        "La source annonce 99 instances et en liste 2.",
        "fr",
    )
    assert Phrases("fr").reason("Somebody else's words.") == ("Somebody else's words.", "en")
    assert Phrases("en").reason("The source does not answer.") == ("The source does not answer.", "en")
