"""Subjects in the settings: exact ones and patterns."""

from pathlib import Path

import pytest

from hub.app.keys import pki
from hub.wire.x509.names import NameUnreadable, SubjectPattern, exact_name, subject_fits


def test_an_exact_name_is_the_whole_name(authority: Path) -> None:
    subject = pki.load(authority / "organisation.crt").subject
    whole = subject.rfc4514_string()
    assert subject_fits(whole, subject)
    assert not subject_fits(whole.replace("C=FR", "C=DE"), subject)
    assert not subject_fits("CN=hub.example", subject)


def test_multi_valued_parts_have_no_order(authority: Path) -> None:
    subject = pki.load(authority / "cps.crt").subject
    assert subject_fits("SN=DURAND+CN=899700000001+GN=Anne,TITLE=Médecin,C=FR", subject)
    assert not subject_fits("SN=DURAND,CN=899700000001,GN=Anne,TITLE=Médecin,C=FR", subject)


@pytest.mark.parametrize(
    ("patterns", "fits"),
    [
        ({"CN": "*.example"}, True),
        ({"CN": "hub.example", "OU": "1750100125"}, True),
        ({"CN": "*.example", "OU": "1750100126"}, False),
        ({"CN": "hubxexample"}, False),
        ({"CN": "hub.*.example"}, False),
        ({"O": "HOPITAL ?"}, False),
    ],
)
def test_patterns(authority: Path, patterns: dict[str, str], fits: bool) -> None:
    assert subject_fits(patterns, pki.load(authority / "organisation.crt").subject) is fits


@pytest.mark.parametrize("text", ["", "no name", "CN", "=x"])
def test_names_that_can_not_be_read(text: str) -> None:
    with pytest.raises(NameUnreadable):
        exact_name(text)


@pytest.mark.parametrize("patterns", [{}, {"C": "FR"}, {"CN": ""}])
def test_patterns_that_can_not_be_read(patterns: dict[str, str]) -> None:
    with pytest.raises(NameUnreadable):
        SubjectPattern(patterns)
