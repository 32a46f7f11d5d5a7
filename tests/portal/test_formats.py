from datetime import date

import pytest

from hub.portal import formats
from hub.portal.visit import Phrases


@pytest.mark.parametrize(
    ("typed", "expected"),
    [
        ("12/03/1958", "19580312"),
        ("1.3.1958", "19580301"),
        ("12 03 1958", "19580312"),
        ("12031958", "19580312"),
        ("1958-03-12", "19580312"),
        ("19580312", "19580312"),
        ("1958", "1958"),
        ("", ""),
        ("31/02/1958", None),
        ("hier", None),
    ],
)
def test_dates_as_people_type_them(typed: str, expected: str | None) -> None:
    assert formats.typed_date(typed) == expected


@pytest.mark.parametrize(
    ("typed", "expected"),
    [
        (" 1 85 05 78 006 084 91 ", "185057800608491"),
        ("2 69 05 2A 588 157 80", "26905 2A588157 80".replace(" ", "")),
        ("A-10023", "A-10023"),
        ("AB 12", "AB 12"),
    ],
)
def test_identifiers_as_people_type_them(typed: str, expected: str) -> None:
    assert formats.typed_identifier(typed) == expected


def test_figures_as_people_read_them() -> None:
    for language, expected in (("fr", "1\u202f234\u202f567"), ("en", "1,234,567")):
        assert formats.figure(1_234_567, language) == expected
        assert [formats.figure(value, language) for value in (0, 999, "#", "–")] == ["0", "999", "#", "–"]
        assert expected in Phrases(language).counted("trail.count", 1_234_567)
        assert expected in Phrases(language)("steward.orphans_count", count=1_234_567)


def test_dates_as_people_read_them() -> None:
    assert formats.day("20240312141500", "fr") == "12/03/2024"
    assert formats.day("20240312", "en") == "12 Mar 2024"
    assert formats.day("202403", "fr") == "03/2024"
    assert formats.day("", "fr") == ""
    assert formats.day("nonsense", "en") == ""
    assert formats.clock("20240312141500") == "14:15"
    assert formats.clock("20240312") == ""
    assert formats.machine("20240312141500") == "2024-03-12T14:15"


@pytest.mark.parametrize(
    ("born", "expected"),
    [
        ("19560512", ("years", 67)),
        ("20240212", ("months", 1)),
        ("20240313", None),
        ("1956", None),
        ("19561399", None),
    ],
)
def test_ages(born: str, expected: tuple[str, int] | None) -> None:
    assert formats.age(born, date(2024, 3, 12)) == expected


def test_sizes_and_names() -> None:
    assert formats.size(12) == "12\u00a0B"
    assert formats.size(3400) == "3.4\u00a0kB"
    assert formats.size(None) == ""
    assert formats.component("801234567897^Leroy^Sophie", 3, 2) == "Sophie Leroy"
    assert formats.person_name("BERNARD^PAUL^^Dr=x") == "BERNARD PAUL"
