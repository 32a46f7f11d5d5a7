"""No pattern of the hub explodes: each is fed what its own text suggests, over and over, within bounded work.

What is counted is the processor time of this process, so that a busy machine changes nothing."""

import contextlib
import importlib
import pkgutil
import re
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

import pytest
from cryptography import x509
from cryptography.x509.oid import NameOID

import connectors
import hub
import profiles
from hub.documents.criteria import like
from hub.errors import HubError
from hub.wire.dicomweb.media import parse_accept
from hub.wire.multipart import parse_content_type
from hub.wire.x509.names import SubjectPattern

LENGTH = 30_000  #: characters, half of what a request's head may have
SECONDS = 4.0  #: of the processor: what is linear takes a hundredth of it a text
#: Tools of ours: nothing that a caller says reaches them.
WITHIN = ("hub.testing", "hub.app.demo", "hub.app.sandbox.hub", "hub.storage.migrations")


@contextmanager
def bounded(what: str) -> Iterator[None]:
    """Fails when it takes the processor for longer than ``SECONDS``."""

    def late(_number: int, _frame: FrameType | None) -> None:
        raise AssertionError(f"{what} takes longer than {SECONDS} s of the processor")

    before = signal.signal(signal.SIGVTALRM, late)
    signal.setitimer(signal.ITIMER_VIRTUAL, SECONDS)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, before)


def patterns_in(value: object) -> Iterator[re.Pattern[str] | re.Pattern[bytes]]:
    """A module's value: a pattern, or a table that holds some."""
    if isinstance(value, re.Pattern):
        yield value
    elif isinstance(value, tuple | list | dict):
        for item in value.items() if isinstance(value, dict) else value:
            yield from patterns_in(item)


def every_pattern() -> dict[str, re.Pattern[str] | re.Pattern[bytes]]:
    """Every pattern that a module of the hub holds, each once."""
    found: dict[object, tuple[str, re.Pattern[str] | re.Pattern[bytes]]] = {}
    for package in (hub, profiles, connectors):
        for item in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            if item.name.startswith(WITHIN) or item.name.endswith("__main__"):
                continue
            for name, value in vars(importlib.import_module(item.name)).items():
                for number, pattern in enumerate(patterns_in(value)):
                    found.setdefault(pattern.pattern, (f"{item.name}.{name}.{number}", pattern))
    return dict(found.values())


PATTERNS = every_pattern()
#: Where the length is looked at before the pattern is.
SHORT = {"hub.mail.choosing._ADDRESS.0": 254}


def pumps(pattern: str) -> Iterator[str]:
    """Texts to be repeated: every character that the pattern names, those of its classes, and pairs of them."""
    plain = re.sub(r"\\[dwsDWSbBAZ]|\(\?[:=!<>a-zA-Z]*|[\[\](){}*+?|^$.\\]", "", pattern)
    letters = [*dict.fromkeys([*plain[:40], "0", "a", " ", '"', "A", "."])]
    yield from letters
    yield from (a + b for a in letters[:8] for b in letters[:8] if a != b)
    yield from ("0.", "1.0", "a.b", '""', '"\\', "aA0", "a=b;", "\r\n", "%41", "//")


def test_there_are_patterns() -> None:
    assert len(PATTERNS) > 80


@pytest.mark.parametrize("name", sorted(PATTERNS))
def test_a_pattern_that_does_not_fit(name: str) -> None:
    pattern = PATTERNS[name]
    text = pattern.pattern if isinstance(pattern.pattern, str) else pattern.pattern.decode("latin-1")
    with bounded(name):
        for pump in pumps(text):
            for end in ("", "\x00", "!"):
                length = SHORT.get(name, LENGTH)
                hostile = (pump * (length // len(pump)) + end)[: length + 1]
                given = hostile.encode("latin-1", "replace") if isinstance(pattern.pattern, bytes) else hostile
                for way in (pattern.fullmatch, pattern.match):
                    way(given)  # type: ignore[arg-type]


@pytest.mark.parametrize("pattern", ["%a" * 40 + "%b", "%_" * 200 + "b", "%" * 2000 + "b", "_%" * 200 + "%"])
def test_a_callers_own_pattern(pattern: str) -> None:
    with bounded("LIKE"):
        assert not like(pattern)("a" * 2000 + "c") or pattern.startswith("_%")


@pytest.mark.parametrize("pump", [",", ";", '"', '",', '";', ',"', ';"', 'a;b="c",', '"\\', "a,", 'a="', " ", "=;"])
def test_headers_with_lists(pump: str) -> None:
    """Accept and Content-Type hold lists with quoted texts."""
    with bounded("Accept"):
        for end in ("", '"'):
            assert isinstance(parse_accept((pump * LENGTH)[:LENGTH] + end), tuple)


@pytest.mark.parametrize("pump", [";", '; a="', '\\"', ";a=b", " ;", '; a="b"', '; a="\\', "\t", "; "])
def test_a_content_type(pump: str) -> None:
    with bounded("Content-Type"):
        for end in ("", '"', ";\x00"):
            with contextlib.suppress(HubError):
                parse_content_type("multipart/related" + (pump * LENGTH)[:LENGTH] + end)


def test_what_is_written_in_a_subject() -> None:
    """The settings' pattern, a stranger's certificate."""
    name = x509.Name([x509.NameAttribute(NameOID.ORGANIZATIONAL_UNIT_NAME, "a" * 5_000)])
    with bounded("subject"):
        assert not SubjectPattern({"OU": "*a*a*a*b"}).fits(name)
