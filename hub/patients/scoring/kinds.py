"""The comparisons: for each kind its named levels, best first, in Python for one pair and in SQL for a batch.

The two say the same (a test holds them together). A level is tried only when those before it did not hold; the last one
is "different". Nothing known on one side: no level at all, no weight."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

from rapidfuzz.distance import OSA, JaroWinkler

from hub.patients.scoring.features import Features, fictive

Compare = Callable[[Features, Features], int]
UNKNOWN = -1  #: nothing to compare
DIFFERENT = "different"
_similar = JaroWinkler.similarity
# A hair under 0.92, 0.85, 0.9: similarities that are those numbers exactly are not left to rounding.
_CLOSE, _NEAR = 0.91999, 0.84999
_ADDRESS_CLOSE = 0.89999


@dataclass(frozen=True, slots=True)
class Kind:
    """One way to compare. ``levels``: (name, SQL condition); ``unknown``: SQL of what can't be compared.

    ``term``: the column whose frequency adjusts the levels of ``by_term`` (rare values say more)."""

    compare: Compare
    unknown: str
    levels: tuple[tuple[str, str], ...]
    columns: tuple[str, ...]
    term: str = ""
    by_term: tuple[str, ...] = ("exact",)

    @property
    def names(self) -> tuple[str, ...]:
        """Every level's name, "different" last."""
        return (*(name for name, _ in self.levels), DIFFERENT)


def _name(a: Features, b: Features) -> int:
    x, y, u, v = a.name, b.name, a.used, b.used
    if not x or not y:
        return UNKNOWN
    if x == y:
        return 0
    if v == x or (u and u in (y, v)):
        return 1
    if x == b.given and y == a.given:
        return 2
    theirs = b.parts
    for part in a.parts:
        if part in theirs:
            return 3
    best = _similar(x, y, score_cutoff=_NEAR)
    if u:
        best = max(best, _similar(u, y, score_cutoff=_NEAR))
    if v:
        best = max(best, _similar(x, v, score_cutoff=_NEAR))
        if u:
            best = max(best, _similar(u, v, score_cutoff=_NEAR))
    return 4 if best >= _CLOSE else 5 if best >= _NEAR else 6


def _pairs_at_least(least: float) -> str:
    crossings = (("name", "name"), ("used", "name"), ("name", "used"), ("used", "used"))
    return " OR ".join(f"jaro_winkler_similarity({one}_l, {other}_r) >= {least}" for one, other in crossings)


def _given(a: Features, b: Features) -> int:
    x, y = a.given, b.given
    if not x or not y or (x != y and x == b.name and y == a.name):
        return UNKNOWN
    if x == y:
        return 0
    if x in b.givens or y in a.givens:
        return 1
    if (len(x) == 1 or len(y) == 1) and x[0] == y[0]:
        return 2
    near = _similar(x, y, score_cutoff=_NEAR)
    return 3 if near >= _CLOSE else 4 if near >= _NEAR else 5


def _born(a: Features, b: Features) -> int:
    x, y = a.born, b.born
    if not x or not y:
        return UNKNOWN
    if x == y:
        return 1 if fictive(x) else 0
    return _dates(x, y)


@lru_cache(maxsize=1 << 14)
def _dates(x: str, y: str) -> int:
    """Of two that differ."""
    year = x[:4] == y[:4]
    if year and x[4:6] == y[6:] and x[6:] == y[4:6]:
        return 2
    if year and (fictive(x) or fictive(y)):
        return 3
    if OSA.distance(x, y, score_cutoff=1) <= 1:
        return 4
    if year:
        return 5
    return 6 if x[4:] == y[4:] and not fictive(x) else 7


def _fictive(side: str) -> str:
    return (
        f"(right(born_{side}, 4) IN ('0101', '3112', '1231') OR born_{side}[5:6] NOT BETWEEN '01' AND '12' "
        f"OR born_{side}[7:8] = '00')"
    )


def _place(a: Features, b: Features) -> int:
    if not a.place or not b.place:
        return UNKNOWN
    if a.place == b.place:
        return 0
    return 1 if a.department and a.department == b.department else 2


def _sex(a: Features, b: Features) -> int:
    if not a.sex or not b.sex:
        return UNKNOWN
    return 0 if a.sex == b.sex else 1


def _home(a: Features, b: Features) -> int:
    if not a.postcode or not b.postcode:
        return UNKNOWN
    if a.postcode == b.postcode:
        x, y = a.address, b.address
        if x and y:
            if x == y:
                return 0
            if _similar(x, y, score_cutoff=_ADDRESS_CLOSE) >= _ADDRESS_CLOSE:
                return 1
        return 2
    return 3 if a.area and a.area == b.area else 4


def _phone(a: Features, b: Features) -> int:
    x, y = a.phone, b.phone
    if not x or not y:
        return UNKNOWN
    if x == y:
        return 0
    return 1 if OSA.distance(x, y, score_cutoff=1) <= 1 else 2


def _ins(a: Features, b: Features) -> int:
    if not a.ins or not b.ins:
        return UNKNOWN
    return 0 if a.ins == b.ins else 1


def _missing(column: str) -> str:
    return f"{column}_l IS NULL OR {column}_r IS NULL"


def _same(column: str) -> str:
    return f"{column}_l = {column}_r"


def _text(column: str) -> Kind:
    def compare(a: Features, b: Features) -> int:
        x, y = getattr(a, column), getattr(b, column)
        if not x or not y:
            return UNKNOWN
        if x == y:
            return 0
        if OSA.distance(x, y, score_cutoff=1) <= 1:
            return 1
        near = _similar(x, y, score_cutoff=_NEAR)
        return 2 if near >= _CLOSE else 3 if near >= _NEAR else 4

    close = f"jaro_winkler_similarity({column}_l, {column}_r) >= "
    return Kind(
        compare,
        _missing(column),
        (
            ("exact", _same(column)),
            ("one-letter", f"damerau_levenshtein({column}_l, {column}_r) <= 1"),
            ("close", f"{close}{_CLOSE}"),
            ("near", f"{close}{_NEAR}"),
        ),
        (column,),
        term=column,
    )


_SWAPPED = "name_l = given_r AND given_l = name_r"
_YEAR = "born_l[1:4] = born_r[1:4]"

KINDS: dict[str, Kind] = {
    "name": Kind(
        _name,
        _missing("name"),
        (
            ("exact", _same("name")),
            ("birth-and-used", "name_l = used_r OR used_l = name_r OR used_l = used_r"),
            ("swapped", _SWAPPED),
            ("part", "list_has_any(parts_l, parts_r)"),
            ("close", _pairs_at_least(_CLOSE)),
            ("near", _pairs_at_least(_NEAR)),
        ),
        ("name", "used", "parts", "given"),
        term="name",
    ),
    "given": Kind(
        _given,
        f"{_missing('given')} OR (given_l <> given_r AND {_SWAPPED})",
        (
            ("exact", _same("given")),
            ("listed", "list_contains(givens_r, given_l) OR list_contains(givens_l, given_r)"),
            ("initial", "(length(given_l) = 1 OR length(given_r) = 1) AND given_l[1] = given_r[1]"),
            ("close", f"jaro_winkler_similarity(given_l, given_r) >= {_CLOSE}"),
            ("near", f"jaro_winkler_similarity(given_l, given_r) >= {_NEAR}"),
        ),
        ("given", "givens", "name"),
        term="given",
    ),
    "born": Kind(
        _born,
        _missing("born"),
        (
            ("exact", f"born_l = born_r AND NOT {_fictive('l')}"),
            ("fictive", "born_l = born_r"),
            ("day-month-swapped", f"{_YEAR} AND born_l[5:6] = born_r[7:8] AND born_l[7:8] = born_r[5:6]"),
            ("partial", f"{_YEAR} AND ({_fictive('l')} OR {_fictive('r')})"),
            ("one-digit", "damerau_levenshtein(born_l, born_r) <= 1"),
            ("year", _YEAR),
            ("day-and-month", f"born_l[5:8] = born_r[5:8] AND NOT {_fictive('l')}"),
        ),
        ("born",),
    ),
    "place": Kind(
        _place,
        _missing("place"),
        (("exact", _same("place")), ("department", _same("department"))),
        ("place", "department"),
        term="place",
    ),
    "sex": Kind(_sex, _missing("sex"), (("exact", _same("sex")),), ("sex",)),
    "home": Kind(
        _home,
        _missing("postcode"),
        (
            ("address", "postcode_l = postcode_r AND address_l = address_r"),
            (
                "address-close",
                f"postcode_l = postcode_r AND jaro_winkler_similarity(address_l, address_r) >= {_ADDRESS_CLOSE}",
            ),
            ("postcode", _same("postcode")),
            ("area", _same("area")),
        ),
        ("postcode", "address", "area"),
        term="postcode",
        by_term=("postcode",),
    ),
    "phone": Kind(
        _phone,
        _missing("phone"),
        (("exact", _same("phone")), ("one-digit", "damerau_levenshtein(phone_l, phone_r) <= 1")),
        ("phone",),
    ),
    "ins": Kind(_ins, _missing("ins"), (("exact", _same("ins")),), ("ins",)),
    "address": _text("address"),
    "city": _text("city"),
    "postcode": _text("postcode"),
    "number": _text("phone"),
}
