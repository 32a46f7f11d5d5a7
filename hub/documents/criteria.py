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
    LIKE = auto()  #: one of the object's texts is like one of the patterns; decided after reading


@dataclass(frozen=True, slots=True)
class Clause:
    """One condition; all clauses of a search must hold. ``field``: a column, or an attribute of several values."""

    field: str
    operator: Operator
    values: tuple[str, ...]


def like(pattern: str) -> Callable[[str], bool]:
    """SQL's LIKE: ``%`` any run of characters, ``_`` one (ITI TF-2: 3.18.4.1.2.3.5). The same on every database."""
    first, *others = [re.escape(run).replace("_", ".") for run in pattern.split("%")]
    expression = first
    if others:
        # Atomic groups: the first place where a run fits is taken, so that no pattern can make matching explode.
        expression += "".join(f"(?>.*?{run})" for run in others[:-1]) + f".*{others[-1]}"
    compiled = re.compile(expression, re.DOTALL)
    return lambda text: compiled.fullmatch(text) is not None


def authors_match(clauses: Iterable[Clause]) -> Callable[[Any], bool]:
    """Decides the LIKE clauses of a search for an object that has been read: each of them about its authorPersons."""
    tests = [[like(pattern) for pattern in clause.values] for clause in clauses if clause.operator is Operator.LIKE]

    def decide(item: Any) -> bool:
        persons = [author.person for author in item.authors if author.person]
        return all(any(test(person) for test in alternatives for person in persons) for alternatives in tests)

    return decide
