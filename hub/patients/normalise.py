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

#: Fillers that name nobody: never a reason to link.
NOBODY = frozenset({
    "INCONNU", "INCONNUE", "ANONYME", "X", "XX", "XXX", "SP", "SANSPRENOM", "SANSNOM", "NOM", "PRENOM", "BEBE", "FILLE",
    "ENFANT", "GARCON", "FILLEDE", "GARCONDE", "NOUVEAUNE", "TEST", "NC", "NR", "UNKNOWN",
})  # fmt: skip


@lru_cache(maxsize=1 << 16)
def words(text: str) -> str:
    """``"Le Gœff-d'Été"`` -> ``"LE GOEFF D ETE"``. Other scripts keep their letters, without marks."""
    upper = text.upper()
    if not upper.isascii():
        parts = unicodedata.normalize("NFKD", upper.translate(_LIGATURES))
        bare = "".join(part for part in parts if not unicodedata.combining(part))
        upper = unicodedata.normalize("NFC", bare).upper()  # letters that only a decomposed one has
    return _OTHER.sub(" ", upper).strip()


def glued(text: str) -> str:
    """Without blanks: ``LE GOFF`` and ``LEGOFF``, ``JEAN-PIERRE`` and ``JEAN PIERRE`` are the same name."""
    return words(text).replace(" ", "")


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
