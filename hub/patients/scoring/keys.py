"""Blocking keys: who is worth comparing. Two identities meet when they have one key in common."""

from functools import lru_cache
from hashlib import blake2b

from hub.patients.scoring.features import Features, fictive
from hub.patients.scoring.phonetic import sound

VERSION = 1  #: raised when an identity gets other keys than before: those that are stored are made anew by a re-link
NO_VERSION = -1
MOST = 12  #: keys of one identity
_PREFIX = 3


@lru_cache(maxsize=1 << 13)
def keys(record: Features) -> tuple[tuple[str, int], ...]:
    """(what it is made of, signed 64-bit hash), each once. None for what names nobody."""
    return tuple((kind, _hash(text)) for text, kind in texts(record).items())


def texts(record: Features) -> dict[str, str]:
    """Text that is hashed -> what it is made of.

    name-born: each of birth name, used name and their parts with the birth date; given-born; sound-year: how the name
    sounds, three letters of the given name, the year; name-given-place: whatever the date; phone-given; ins. A
    date that is filled in when the real one is not known is met too often: the keys with it are narrower."""
    found: dict[str, str] = {}
    if record.ins:
        found[f"i|{record.ins}"] = "ins"
    name, given, born = record.name, record.given, record.born
    if born and given:
        narrow = f"|{given[:_PREFIX]}" if fictive(born) else ""
        for text in filter(None, (name, record.used, *record.parts)):
            found.setdefault(f"n|{text}|{born}{narrow}", "name-born")
        if narrow:
            narrow = f"|{sound(name)[:_PREFIX]}"
        for text in (given, *record.givens[:2]):
            found.setdefault(f"n|{text}|{born}{narrow}", "given-born")
    elif born and name:  # newborns without a given name
        found[f"n|{name}|{born}"] = "name-born"
    if given and name:
        start = given[:_PREFIX]
        for text in dict.fromkeys(filter(None, (name, record.used))):
            found[f"s|{sound(text)}|{start}|{born[:4]}"] = "sound-year"
        if record.place:
            found[f"x|{sound(name)}|{given}|{record.place}"] = "name-given-place"
    if record.phone and given:
        found[f"p|{record.phone}|{given}"] = "phone-given"
    return found if len(found) <= MOST else dict(list(found.items())[:MOST])


@lru_cache(maxsize=1 << 12)
def _hash(text: str) -> int:
    return int.from_bytes(digest(text), "big", signed=True)


def digest(text: str) -> bytes:
    """The hash as its eight bytes, the highest first."""
    return blake2b(text.encode(), digest_size=8).digest()
