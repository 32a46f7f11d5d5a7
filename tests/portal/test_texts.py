import re
from pathlib import Path
from string import Formatter

import pytest

import hub.portal
from hub.audit.model import AuditOutcome
from hub.exchange.model import DeliveryState, MessageState
from hub.imaging.model import SourceState, StudyState
from hub.patients.model import IdentityStatus
from hub.portal.texts import LANGUAGES, choose
from hub.portal.texts.en import EN
from hub.portal.texts.fr import FR

ROOT = Path(hub.portal.__file__).parent
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
