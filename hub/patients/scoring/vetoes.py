"""What forbids to join two identities without asking, whatever the score says: twins, families, newborns, doubt.

98 % of the wrong joins of a plain score are twins: name, date, place, address and phone agree and drown the one field
that does not. A higher threshold hardly helps, a veto does."""

from rapidfuzz.distance import OSA, JaroWinkler

from hub.patients import matching
from hub.patients.matching import COLLISION, HOMONYM, INS
from hub.patients.model import Identity, IdentityStatus
from hub.patients.scoring.features import Features
from hub.patients.scoring.phonetic import sound
from hub.patients.scoring.terms import ESTABLISHED, Terms

GIVEN = "given-name"
GIVEN_UNSURE = "given-name-unsure"  #: missing, an initial only, or written down very badly
SEX = "sex"
SEX_UNSURE = "sex-unsure"  #: differs, under the same given name
BORN = "birth-date"
GENERATION = "generation"
NEWBORN = "newborn"
DOUBTFUL = matching.DOUBT
NAMESAKE = "homonym"  #: its owner knows another of that name and date: only an INS can say that it is the same
PROVISIONAL = "provisional"
NAME = "name"

#: Vetoes that answer the question themselves: two people, or an identity that its owner has yet to check. A steward who
#: was asked about each pair of twins would see little else.
#: (A collision is a question of its own kind.)
SETTLED = frozenset({INS, COLLISION, GIVEN, SEX, BORN, GENERATION, PROVISIONAL, DOUBTFUL})

_ALIKE = 0.85  # given names that are perhaps one, written down badly
_GENERATION = 15  # years between a parent and a child who may share name, place and address
_LONG = 8  # letters of a given name in which two typing errors are believed
UNCHECKED = (IdentityStatus.PROVISIONAL, IdentityStatus.RETRIEVED)


def vetoes(mine: Identity, theirs: Identity, one: Features, other: Features, terms: Terms) -> tuple[str, ...]:
    """Every reason why the pair is not joined automatically, those of the rules first; () when it may be.

    ``one``, ``other``: the same two made comparable."""
    found = list(matching.vetoes(mine, theirs))
    if mine.status in UNCHECKED or theirs.status in UNCHECKED:
        found.append(PROVISIONAL)
    if (mine.attributes | theirs.attributes) & HOMONYM and (mine.ins is None or mine.ins != theirs.ins):
        found.append(NAMESAKE)
    if one.newborn or other.newborn:
        found.append(NEWBORN)
    elif reason := _given(one, other, terms):
        found.append(reason)
    if one.sex and other.sex and one.sex != other.sex:
        found.append(SEX if one.given != other.given else SEX_UNSURE)
    if reason := _born(one.born, other.born):
        found.append(reason)
    if not one.name or not other.name:
        found.append(NAME)
    return tuple(found)


def _given(one: Features, other: Features, terms: Terms) -> str:
    a, b = one.given, other.given
    if a and a == b:
        return ""
    if (a and a == other.name and b == one.name) or (a in other.givens or b in one.givens):
        # Name and given name in each other's place, or another one of the list: but of twins, only the same will do.
        return GIVEN if one.multiple or other.multiple else ""
    if not a or not b or (1 in (len(a), len(b)) and a[0] == b[0]):
        return "" if one.ins and one.ins == other.ins else GIVEN_UNSURE
    if one.multiple or other.multiple:
        return GIVEN
    known = min(terms.frequency("given", a), terms.frequency("given", b)) >= ESTABLISHED
    allowed = 2 if min(len(a), len(b)) >= _LONG else 1
    if OSA.distance(a, b, score_cutoff=allowed) <= allowed and (sound(a) == sound(b) or not known):
        return ""  # JULIE and JULIEN are two names, JULIE and JULEI are one
    return GIVEN if known or JaroWinkler.similarity(a, b) < _ALIKE else GIVEN_UNSURE


def _born(x: str, y: str) -> str:
    if not x or not y:
        return BORN
    if x == y or x[:4] == y[:4]:
        return ""
    if abs(int(x[:4]) - int(y[:4])) >= _GENERATION:
        return GENERATION
    return "" if x[4:] == y[4:] or OSA.distance(x, y, score_cutoff=1) <= 1 else BORN
