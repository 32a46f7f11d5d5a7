"""French names made comparable: upper case, no accents, no ligatures, apostrophes and hyphens as blanks."""

import re
import unicodedata
from functools import lru_cache

from hub.patients.model import Traits

_LIGATURES = str.maketrans({"Œ": "OE", "Æ": "AE", "Ø": "O", "Đ": "D", "Ð": "D", "Ł": "L", "Þ": "TH", "ẞ": "SS"})
_OTHER = re.compile(r"[\W_]+")
PARTICLES = frozenset({
    "D", "DE", "DU", "DES", "L", "LA", "LE", "LES", "EL", "AL", "BEN", "BIN", "VAN", "VON", "DER", "DEN", "DA", "DAS",
    "DO", "DOS", "DI", "DEL",
})  # fmt: skip
_MOST_KEYS = 10
_IDEOGRAPHS = "\u3400"  #: Han, then Yi and Hangul syllables; below it letters, syllabaries of few signs

#: Fillers that name nobody: never a reason to link.
NOBODY = frozenset({
    "INCONNU", "INCONNUE", "ANONYME", "X", "XX", "XXX", "SP", "SANSPRENOM", "SANSNOM", "NOM", "PRENOM", "BEBE", "FILLE",
    "ENFANT", "GARCON", "FILLEDE", "GARCONDE", "NOUVEAUNE", "TEST", "NC", "NR", "UNKNOWN",
})  # fmt: skip

_NEWBORN = re.compile(
    r"^(?:BEBE|BB|FILLE|FILS|GARCON|ENFANT|NOUVEAU NE|NOUVEAUNE|NNE?|JUMEAU|JUMELLE)(?: D| [A-Z]$|\b)"
)


@lru_cache(maxsize=1 << 16)
def words(text: str) -> str:
    """``"Le Gœff-d'Été"`` -> ``"LE GOEFF D ETE"``. Other scripts keep their letters, without marks."""
    upper = text.upper()
    if not upper.isascii():
        upper = upper.translate(_PLAIN)
        if not upper.isascii():
            upper = _bare(upper)
    return upper if upper.isascii() and upper.isalnum() else _OTHER.sub(" ", upper).strip()


def _bare(text: str) -> str:
    """Without ligatures and marks."""
    parts = unicodedata.normalize("NFKD", text.translate(_LIGATURES))
    bare = "".join(part for part in parts if not unicodedata.combining(part))
    return unicodedata.normalize("NFC", bare).upper()  # letters that only a decomposed one has


_LATIN = {chr(code): _bare(chr(code)) for code in range(0xC0, 0x250)}
_PLAIN = str.maketrans({letter: bare for letter, bare in _LATIN.items() if bare.isascii()})  # what most marks are on


def glued(text: str) -> str:
    """Without blanks: ``LE GOFF`` and ``LEGOFF``, ``JEAN-PIERRE`` and ``JEAN PIERRE`` are the same name."""
    return words(text).replace(" ", "")


@lru_cache(maxsize=1 << 14)
def newborn(given: str) -> bool:
    """Whether a given name is what a maternity writes before there is one: BEBE, FILLE DE ANNE. Twins share it."""
    return _NEWBORN.match(words(given)) is not None


def given_names(traits: Traits) -> tuple[str, ...]:
    """Every given name, each once: the first birth given name (glued too), the list, the used one."""
    single = [words(traits.birth_given), words(traits.used_given)]
    every = [*single, *words(traits.given_names).split(), *(part for name in single for part in name.split())]
    return tuple(dict.fromkeys(name for name in every if name))


@lru_cache(maxsize=1 << 14)
def _keys(name: str) -> tuple[str, ...]:
    text = words(name)
    parts = text.split()
    rest, without = list(parts), []
    while len(rest) > 1 and rest[0] in PARTICLES:
        rest = rest[1:]
        without.append(" ".join(rest))
    singles = [part for part in rest if part not in PARTICLES and len(part) > 1]
    return tuple(dict.fromkeys([text, "".join(parts), *without, *singles]))


def name_keys(traits: Traits) -> tuple[str, ...]:
    """What a family name is looked up under: whole, glued, without particles, each part; birth and used name."""
    keys = dict.fromkeys([*_keys(traits.birth_name), *_keys(traits.used_name)])
    return tuple(key for key in keys if key)[:_MOST_KEYS]


def selects(name: str) -> bool:
    """Whether a family name, or its beginning, narrows enough to be looked for: two letters, or a sign of a script
    that writes a whole syllable or word by one (many Chinese and Korean families have one)."""
    text = words(name)
    return len(text) > 1 or text >= _IDEOGRAPHS


MOST_LETTERS = 100  #: of a key that is looked for: an index holds no longer ones
_DIGITS = 9  #: of a telephone number that count, from its end: with and without the country's prefix
_PHONE, _MOTHER, _PLACE = "#T", "#M", "#P"  # no name begins so


def phone_key(number: str) -> str:
    """What a telephone number is looked up under: 01.23.45.67.89 and +33 1 23 45 67 89 are one; "" for fewer digits."""
    digits = "".join(character for character in number if character.isascii() and character.isdigit())[-_DIGITS:]
    return f"{_PHONE}{digits}" if len(digits) == _DIGITS else ""


def mother_key(name: str) -> str:
    """What a mother's maiden name, or its beginning, is looked up under; "" for less than two letters."""
    text = glued(name)
    return f"{_MOTHER}{text}"[:MOST_LETTERS] if len(text) > 1 else ""


def place_key(text: str) -> str:
    """What a line of an address, a postal code or a town, or its beginning, is looked up under; "" for a letter."""
    found = words(text)
    return f"{_PLACE}{found}"[:MOST_LETTERS] if len(found) > 1 else ""


def search_keys(traits: Traits) -> tuple[str, ...]:
    """Everything that an identity is looked up under, besides its numbers and its birth date."""
    found = [key[:MOST_LETTERS] for key in name_keys(traits)]
    if traits.phone:
        found.append(phone_key(traits.phone))
    if traits.mother_name:
        found.append(mother_key(traits.mother_name))
    found += [place_key(text) for text in (traits.address, traits.city, traits.postal_code) if text]
    return tuple(key for key in dict.fromkeys(found) if key)
