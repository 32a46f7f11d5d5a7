"""What forbids to join two identities without asking, whatever the score says: twins, families, newborns, doubt.

98 % of the wrong joins of a plain score are twins: name, date, place, address and phone agree and drown the one field
that does not. A higher threshold hardly helps, a veto does."""

from rapidfuzz.distance import OSA

from hub.patients.scoring.features import Features, Standing
from hub.patients.scoring.phonetic import sound
from hub.patients.scoring.terms import ESTABLISHED, Terms

SAME_AUTHORITY = "same-authority"
INS = "ins"
GIVEN = "given-name"
GIVEN_UNSURE = "given-name-unsure"  #: missing, or an initial only
SEX = "sex"
BORN = "birth-date"
GENERATION = "generation"
NEWBORN = "newborn"
DOUBTFUL = "doubtful"
PROVISIONAL = "provisional"
NAME = "name"

#: Vetoes that answer the question themselves: two people, or an identity that its owner has yet to check. A steward who
#: was asked about each pair of twins would see little else.
SETTLED = frozenset({INS, GIVEN, SEX, BORN, GENERATION, PROVISIONAL, DOUBTFUL})

_GENERATION = 15  # years between a parent and a child who may share name, place and address
_LONG = 8  # letters of a given name in which two typing errors are believed


def vetoes(one: Features, other: Features, mine: Standing, theirs: Standing, terms: Terms) -> tuple[str, ...]:
    """Every reason why the pair is not joined automatically; () when it may be."""
    found = []
    if mine.authority == theirs.authority:
        found.append(SAME_AUTHORITY)
    if mine.provisional or theirs.provisional:
        found.append(PROVISIONAL)
    if mine.doubtful or theirs.doubtful:
        found.append(DOUBTFUL)
    if one.newborn or other.newborn:
        found.append(NEWBORN)
    elif reason := _given(one, other, terms):
        found.append(reason)
    if one.ins and other.ins and one.ins != other.ins:
        found.append(INS)
    if one.sex and other.sex and one.sex != other.sex:
        found.append(SEX)
    if reason := _born(one.born, other.born):
        found.append(reason)
    if not one.name or not other.name:
        found.append(NAME)
    return tuple(found)


def _given(one: Features, other: Features, terms: Terms) -> str:
    a, b = one.given, other.given
    if not a or not b or (1 in (len(a), len(b)) and a[0] == b[0]):
        return GIVEN_UNSURE
    if a == b or (a == other.name and b == one.name):  # the last: name and given name in each other's place
        return ""
    if one.multiple or other.multiple:  # of twins, nothing but the same given name will do
        return GIVEN
    return "" if a in other.givens or b in one.givens or _typing_error(a, b, terms) else GIVEN


def _typing_error(a: str, b: str, terms: Terms) -> bool:
    allowed = 2 if min(len(a), len(b)) >= _LONG else 1
    if OSA.distance(a, b, score_cutoff=allowed) > allowed:
        return False
    if sound(a) == sound(b):
        return True
    # JULIE and JULIEN are two names; JULIE and JULEI are one.
    return min(terms.frequency("given", a), terms.frequency("given", b)) < ESTABLISHED


def _born(x: str, y: str) -> str:
    if not x or not y:
        return BORN
    if x == y or x[:4] == y[:4]:
        return ""
    if abs(int(x[:4]) - int(y[:4])) >= _GENERATION:
        return GENERATION
    return "" if x[4:] == y[4:] or OSA.distance(x, y, score_cutoff=1) <= 1 else BORN
