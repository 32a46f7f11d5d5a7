"""What a stored query asks of the store: clauses, without a word of SQL."""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import Enum, auto
from typing import Any


class Operator(Enum):
    """How a clause compares."""

    IN = auto()  #: the column holds one of the values
    HAS = auto()  #: the object has one of the values among its values of the attribute
    FROM = auto()  #: the time is known and not before
    BEFORE = auto()  #: the time is known and before
    LIKE = auto()  #: an author is like one of the patterns; decided after reading
    IS = auto()  #: the attribute is one of the values; decided after reading


#: What the store leaves to ``decided``.
AFTERWARDS = frozenset({Operator.LIKE, Operator.IS})


@dataclass(frozen=True, slots=True)
class Clause:
    """One condition; all clauses of a search must hold. ``field``: a column, or an attribute of several values.

    ``without``: the other way round, groups of values, and what fulfils every group is left out."""

    field: str
    operator: Operator
    values: tuple[str, ...]
    without: tuple[tuple[str, ...], ...] = ()


def like(pattern: str) -> Callable[[str], bool]:
    """SQL's LIKE: ``%`` any run of characters, ``_`` one (ITI TF-2: 3.18.4.1.2.3.5). The same on every database."""
    first, *others = [re.escape(run).replace("_", ".") for run in pattern.split("%")]
    expression = first
    if others:
        # Atomic groups: the first place where a run fits is taken, so that no pattern can make matching explode.
        expression += "".join(f"(?>.*?{run})" for run in others[:-1]) + f".*{others[-1]}"
    compiled = re.compile(expression, re.DOTALL)
    return lambda text: compiled.fullmatch(text) is not None


def decided(clauses: Iterable[Clause]) -> Callable[[Any], bool] | None:
    """Decides the clauses that the store leaves to us, for an object that was read; None when there are none."""
    tests = [_test(clause) for clause in clauses if clause.operator in AFTERWARDS]
    return (lambda item: all(test(item) for test in tests)) if tests else None


def _test(clause: Clause) -> Callable[[Any], bool]:
    if not clause.without:
        return _holds(clause, clause.values)
    groups = [_holds(clause, group) for group in clause.without]
    return lambda item: not all(group(item) for group in groups)


def _holds(clause: Clause, values: tuple[str, ...]) -> Callable[[Any], bool]:
    if clause.operator is Operator.IS:
        return lambda item: getattr(item, clause.field) in values
    patterns = [like(pattern) for pattern in values]
    return lambda item: any(fits(author.person) for author in item.authors if author.person for fits in patterns)
