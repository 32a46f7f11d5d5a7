"""Reads what the wire parsed as one of the stored queries, or says with the standard's own error what is wrong."""

from collections.abc import Callable, Iterator, Mapping, Set
from dataclasses import dataclass, field

from hub.documents import formats
from hub.documents.criteria import Clause, Operator
from hub.documents.errors import RegistryError, StoredQueryMissingParam, StoredQueryParamNumber, UnknownStoredQuery
from hub.documents.model import APPROVED, DEPRECATED, OFFLINE, ONLINE
from hub.documents.rules import printable
from hub.documents.stored_queries import MULTI_PATIENT, QUERIES, Parameter, Query, Value
from hub.errors import Invalid
from hub.values import PatientIdentifier

__all__ = ["MULTI_PATIENT", "QUERIES", "Parameter", "Query", "Question", "Value", "read"]

#: All values of a request together; well below what a statement can hold.
MOST_VALUES = 5000
Groups = tuple[tuple[str, ...], ...]


@dataclass(frozen=True, slots=True)
class Question:
    """A stored query that was read: whom it is about, what must hold, what it starts from."""

    query: Query
    patients: tuple[PatientIdentifier, ...] = ()
    clauses: Mapping[str, tuple[Clause, ...]] = field(default_factory=dict)  #: by parameter name
    values: Mapping[str, tuple[str, ...]] = field(default_factory=dict)  #: by parameter name

    @property
    def patient(self) -> PatientIdentifier | None:
        """Whom it is about; None where the query starts from something else."""
        return self.patients[0] if self.patients else None

    @property
    def level(self) -> int:
        """$MetadataLevel: 2 where who asks knows of metadata versions."""
        return int(self.values.get("$MetadataLevel", ("1",))[0])

    @property
    def subject(self) -> list[Clause]:
        """What the query starts from: the clause of the one given parameter of ``one_of``."""
        return [clause for name in self.query.one_of for clause in self.clauses.get(name, ())]

    def about(self, prefix: str) -> list[Clause]:
        """The clauses that narrow the answer, of the parameters whose names start with the prefix."""
        return [
            clause
            for name, clauses in self.clauses.items()
            if name.startswith(prefix) and name not in self.query.one_of
            for clause in clauses
        ]


def read(
    query_id: str,
    parameters: Mapping[str, Groups],
    lists: Set[str] | None = None,
    *,
    queries: Mapping[str, Query] = QUERIES,
) -> Question:
    """The question that a request asks. ``lists``: the parameters that stood in parentheses; None: not checked.
    ``queries``: those that may be asked.

    Raises UnknownStoredQuery, StoredQueryMissingParam, StoredQueryParamNumber, RegistryError; ``location`` is the
    parameter. Parameters that the query does not know are ignored (ITI TF-2: 3.18.4.1.2.3.4)."""
    query = queries.get(query_id.lower())
    if query is None:
        raise UnknownStoredQuery(location=printable(query_id))
    for name in parameters:
        if not name.startswith("$"):
            raise RegistryError("A parameter's name starts with $.", location=printable(name))
    given = {name.strip(): groups for name, groups in parameters.items()}
    _check_presence(query, given)
    if sum(len(group) for groups in given.values() for group in groups) > MOST_VALUES:
        raise RegistryError(f"A stored query may have {MOST_VALUES} values at most.")
    clauses, values, patients = {}, {}, []
    turned = {item.instead_of for item in query.parameters if given.get(item.name)}
    for parameter in query.parameters:
        default = (parameter.default,) if parameter.default and parameter.name not in turned else ()
        groups = given.get(parameter.name, default)
        if not groups:
            continue
        _check_number(parameter, groups)
        if lists is not None and parameter.name in given:
            _check_form(parameter, parameter.name in lists)
        values[parameter.name] = tuple(value for group in groups for value in group)
        if parameter.value is Value.PATIENT:
            patients = [_patient(parameter, text) for text in groups[0]]
        elif parameter.value is not Value.LEVEL:
            clauses[parameter.name] = tuple(_clauses(parameter, groups))
        elif not _is_level(groups[0][0]):
            raise RegistryError(f"{parameter.name} must be a number.", location=parameter.name)
    return Question(query, tuple(patients), clauses, values)


def _check_presence(query: Query, given: Mapping[str, Groups]) -> None:
    for parameter in query.parameters:
        if parameter.required and not given.get(parameter.name):
            raise StoredQueryMissingParam(
                f"{query.name} needs {parameter.name} (ITI TF-2: 3.18.4.1.2.3.7).", location=parameter.name
            )
    chosen = [name for name in query.one_of if given.get(name)]
    if len(chosen) > 1:
        raise _not_beside(query, *chosen[:2])
    wanted = query.one_of or query.some_of
    if wanted and not any(given.get(name) for name in wanted):
        raise StoredQueryMissingParam(
            f"{query.name} needs one of {', '.join(wanted)} (ITI TF-2: 3.18.4.1.2.3.7).", location=wanted[0]
        )
    for parameter in query.parameters:
        if parameter.instead_of and given.get(parameter.name) and given.get(parameter.instead_of):
            raise _not_beside(query, parameter.instead_of, parameter.name)


def _not_beside(query: Query, first: str, second: str) -> StoredQueryParamNumber:
    return StoredQueryParamNumber(
        f"{query.name} takes only one of {first}, {second} (ITI TF-2: 3.18.4.1.2.3.7).", location=second
    )


def _check_number(parameter: Parameter, groups: Groups) -> None:
    if not all(groups):
        raise RegistryError(f"{parameter.name} has an empty list of values.", location=parameter.name)
    if len(groups) > 1 and not parameter.and_or:
        raise StoredQueryParamNumber(f"{parameter.name} may stand only once.", location=parameter.name)
    if len(groups[0]) > 1 and not parameter.multiple:
        raise StoredQueryParamNumber(f"{parameter.name} takes one value.", location=parameter.name)


def _check_form(parameter: Parameter, listed: bool) -> None:
    if listed != parameter.multiple:
        raise RegistryError(
            f"{parameter.name} {'takes a list in parentheses' if parameter.multiple else 'takes one value, no list'} "
            "(ITI TF-2: 3.18.4.1.2.3.5).",
            location=parameter.name,
        )


def _patient(parameter: Parameter, text: str) -> PatientIdentifier:
    try:
        if not formats.is_short(text):
            raise Invalid("A patient identifier is short text.")
        return PatientIdentifier.from_cx(text)
    except Invalid as error:
        raise RegistryError(f"{parameter.name}: {error.message}", location=parameter.name) from error


def _clauses(parameter: Parameter, groups: Groups) -> Iterator[Clause]:
    operator, check, good = _READINGS[parameter.value]
    convert = _CONVERT.get(parameter.value, str)
    for group in groups:
        if not all(formats.is_short(value) and check(value) for value in group):
            raise RegistryError(
                f"{parameter.name}: a value must be {good} (ITI TF-2: 3.18.4.1.2.3.4).", location=parameter.name
            )
    converted = tuple(tuple(map(convert, group)) for group in groups)
    if parameter.value is Value.AVAILABILITY:  # an entry that does not say is online (MU: 4.2.3.2.30)
        converted = tuple((*group, "") if ONLINE in group else group for group in converted)
    if parameter.exclude:
        yield Clause(parameter.field, operator, (), without=converted)
    else:
        yield from (Clause(parameter.field, operator, group) for group in converted)


def _is_code(text: str) -> bool:
    parts = text.split("^")
    return len(parts) == 3 and bool(parts[0]) and not parts[1] and bool(parts[2])


def _is_level(text: str) -> bool:
    return text.isascii() and text.isdigit()


_READINGS: Mapping[Value, tuple[Operator, Callable[[str], bool], str]] = {
    Value.TEXT: (Operator.IN, bool, "not empty"),
    Value.CODE: (Operator.IN, _is_code, "code^^scheme"),
    Value.CODE_LIST: (Operator.HAS, _is_code, "code^^scheme"),
    Value.REFERENCE: (Operator.HAS, formats.is_cxi, "a CXi: id^^^authority^type"),
    Value.STATUS: (Operator.IN, frozenset({APPROVED, DEPRECATED}).__contains__, "Approved or Deprecated, as its URN"),
    Value.AVAILABILITY: (Operator.IS, frozenset({ONLINE, OFFLINE}).__contains__, "Online or Offline, as its URN"),
    Value.PERSON: (Operator.LIKE, formats.is_short, "a name pattern"),
    Value.FROM: (Operator.FROM, formats.is_dtm, "a DTM"),
    Value.BEFORE: (Operator.BEFORE, formats.is_dtm, "a DTM"),
}
_CONVERT = {Value.FROM: formats.pad_dtm, Value.BEFORE: formats.pad_dtm, Value.REFERENCE: formats.reference_key}
