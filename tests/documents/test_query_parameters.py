"""Every stored query with every parameter, in every good and bad form: what is accepted, and which code refuses it.

The table says what the standard says (ITI TF-2: 3.18.4.1.2.3.7, 3.51.4.1.2.3), apart from the hub's own. A row is a
name and letters: R required, M several values, A repeated slots mean AND, X one of the alternatives, and the kind:
p patient, s status, c code, t time, r reference id, v availability, n number, w text, l pattern.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import pytest

from hub.documents.errors import (
    DocumentError,
    RegistryError,
    StoredQueryMissingParam,
    StoredQueryParamNumber,
    UnknownStoredQuery,
)
from hub.documents.model import APPROVED, DEPRECATED, ONLINE
from hub.documents.queries import MULTI_PATIENT, QUERIES, Question, read
from hub.wire.ebxml.errors import problem_of
from hub.wire.ebxml.names import rim
from hub.wire.ebxml.queries import read_query, write_query
from hub.wire.ebxml.writing import write_slot
from hub.wire.xml import parse_xml, serialise

DE, SS, FOL = "$XDSDocumentEntry", "$XDSSubmissionSet", "$XDSFolder"
_TIMES = [
    f"{DE}{name}{end} t" for name in ("CreationTime", "ServiceStartTime", "ServiceStopTime") for end in ("From", "To")
]
_EXCLUDABLE = [
    *(f"{DE}{name} Mc" for name in ("ClassCode", "TypeCode", "PracticeSettingCode", "HealthcareFacilityTypeCode")),
    f"{DE}FormatCode Mc",
    f"{DE}EventCodeList MAc",
    f"{DE}ConfidentialityCode MAc",
    f"{DE}AuthorPerson Ml",
    f"{DE}Type Mw",
]
_FIND = [
    *(f"{DE}Status RMs", *_EXCLUDABLE, *_TIMES),
    *(f"{DE}LogicalID Mw", f"{DE}DocumentAvailability Mv", "$MetadataLevel n"),
]
_ONE, _MANY = f"{DE}PatientId Rp", f"{DE}PatientId Mp"
_NARROW = [f"{DE}FormatCode Mc", f"{DE}ConfidentialityCode MAc", f"{DE}Type Mw"]
_LINKS = ["$XDSAssociationStatus Ms", "$MetadataLevel n"]
_FOLDERS = [f"{FOL}Status RMs", f"{FOL}LastUpdateTimeFrom t", f"{FOL}LastUpdateTimeTo t", "$MetadataLevel n"]

TABLE: Mapping[str, list[str]] = {
    "FindDocuments": [_ONE, *_FIND],
    "FindDocumentsByReferenceId": [_ONE, *_FIND, f"{DE}ReferenceIdList RMAr"],
    "FindDocumentsExclude": [
        *(_ONE, *_FIND, f"{DE}ReferenceIdList MAr"),
        *(row.replace(" ", "Exclude ") for row in [*_EXCLUDABLE, f"{DE}ReferenceIdList MAr"]),
    ],
    "FindSubmissionSets": [
        *(f"{SS}PatientId Rp", f"{SS}Status RMs", f"{SS}SourceId Mw", f"{SS}AuthorPerson l", f"{SS}ContentType Mc"),
        *(f"{SS}SubmissionTimeFrom t", f"{SS}SubmissionTimeTo t", "$MetadataLevel n"),
    ],
    "FindFolders": [f"{FOL}PatientId Rp", *_FOLDERS, f"{FOL}CodeList MAc"],
    "GetAll": ["$patientId Rp", f"{DE}Status RMs", f"{SS}Status RMs", f"{FOL}Status RMs", *_NARROW, *_LINKS],
    "GetDocuments": [f"{DE}EntryUUID XMw", f"{DE}UniqueId XMw", f"{DE}LogicalID XMw", "$MetadataLevel n"],
    "GetFolders": [f"{FOL}EntryUUID XMw", f"{FOL}UniqueId XMw", f"{FOL}LogicalID XMw", "$MetadataLevel n"],
    "GetAssociations": ["$uuid RMw", *_LINKS],
    "GetDocumentsAndAssociations": [f"{DE}EntryUUID XMw", f"{DE}UniqueId XMw", *_LINKS],
    "GetSubmissionSets": ["$uuid RMw", *_LINKS],
    "GetSubmissionSetAndContents": [f"{SS}EntryUUID Xw", f"{SS}UniqueId Xw", *_NARROW, *_LINKS],
    "GetFolderAndContents": [f"{FOL}EntryUUID Xw", f"{FOL}UniqueId Xw", *_NARROW, *_LINKS],
    "GetFoldersForDocument": [f"{DE}EntryUUID Xw", f"{DE}UniqueId Xw", "$MetadataLevel n"],
    "GetRelatedDocuments": [
        *(f"{DE}EntryUUID Xw", f"{DE}UniqueId Xw", "$AssociationTypes RMw", f"{DE}Type Mw"),
        *_LINKS,
    ],
    "FindDocumentsForMultiplePatients": [_MANY, *_FIND],
    "FindFoldersForMultiplePatients": [f"{FOL}PatientId Mp", *_FOLDERS, f"{FOL}CodeList MAc"],
    "FindDocumentsByReferenceIdForMultiplePatients": [_MANY, *_FIND, f"{DE}ReferenceIdList RMAr"],
}
SOME_OF = {
    "FindDocumentsForMultiplePatients": [
        f"{DE}{name}" for name in ("PatientId", "ClassCode", "EventCodeList", "HealthcareFacilityTypeCode")
    ],
    "FindFoldersForMultiplePatients": [f"{FOL}PatientId", f"{FOL}CodeList"],
}
EVERY = {query.name: query for query in (*QUERIES.values(), *MULTI_PATIENT.values())}

#: kind -> (a good value as it stands on the wire, bad ones)
VALUES: Mapping[str, tuple[str, tuple[str, ...]]] = {
    "p": ("'R1^^^&1.2.3&ISO'", ("'R1'", "'R1^^^&&ISO'", "'^^^&1.2.3&ISO'", "5")),
    "s": (f"'{APPROVED}'", ("'Approved'", "'approved'", f"'{APPROVED.upper()}'", "1")),
    "c": ("'A^^1.2.3'", ("'A'", "'A^^'", "'^^1.2.3'", "'A^B^1.2.3'", "'A^^1.2^3'", "7")),
    "t": ("20240102", ("'yesterday'", "20241301", "202", "'2024-01-02'", "202401022500")),
    "r": ("'A1^^^&1.2&ISO^urn:ihe:iti:xds:2013:accession'", ("'A1'", "'A1^^^&1.2&ISO'", "'^^^&1.2&ISO^t'")),
    "v": (f"'{ONLINE}'", ("'Online'",)),
    "n": ("1", ("'one'", "'-1'")),
    "w": ("'urn:uuid:11111111-2222-4333-8444-555555555555'", ("''", f"'{'x' * 1001}'")),
    "l": ("'%O''Brien_'", ("''",)),
}


@dataclass(frozen=True)
class Row:
    """One parameter of one query."""

    query: str
    name: str
    letters: str

    @property
    def good(self) -> str:
        """A good value, without parentheses."""
        return VALUES[self.letters[-1]][0]

    @property
    def bad(self) -> tuple[str, ...]:
        """Bad values, without parentheses."""
        return VALUES[self.letters[-1]][1]

    @property
    def multiple(self) -> bool:
        """Whether it takes a list."""
        return "M" in self.letters

    def form(self, *values: str) -> list[str]:
        """The values in the form that the parameter wants."""
        return [f"({','.join(values)})"] if self.multiple else list(values)


def rows() -> Iterator[Row]:
    for query, texts in TABLE.items():
        for text in texts:
            name, letters = text.split(" ")
            yield Row(query, name, letters)


ROWS = list(rows())


def of(query: str) -> list[Row]:
    return [row for row in ROWS if row.query == query]


def base(query: str, row: Row | None = None) -> dict[str, list[list[str]]]:
    """What the query needs at least, without the row's own parameter: name -> slots -> Values."""
    chosen = {item.name: [item.form(item.good)] for item in of(query) if "R" in item.letters}
    alternatives = [item for item in of(query) if "X" in item.letters]
    if alternatives and (row is None or "X" not in row.letters):
        chosen[alternatives[0].name] = [alternatives[0].form(alternatives[0].good)]
    for name in SOME_OF.get(query, [])[:2]:
        item = next(item for item in of(query) if item.name == name)
        chosen[name] = [item.form(item.good)]
    if row is not None:
        chosen.pop(row.name, None)
    return chosen


def asked(query: str, slots: Mapping[str, list[list[str]]]) -> Question:
    """The question as a registry reads it off the wire."""
    request = write_query(EVERY[query].id, {})
    adhoc = request.find(rim("AdhocQuery"))
    for name, several in slots.items():
        for values in several:
            write_slot(adhoc, name, values)
    command = read_query(parse_xml(serialise(request)))
    queries = MULTI_PATIENT if EVERY[query].id in MULTI_PATIENT else QUERIES
    return read(command.query_id, command.parameters, command.lists, queries=queries)


def refused(row: Row, *slots: list[str]) -> str:
    """The XDS code of the refusal, which must name the parameter."""
    with pytest.raises(DocumentError) as caught:
        asked(row.query, {**base(row.query, row), row.name: list(slots)})
    assert caught.value.location == row.name
    assert "R1" not in caught.value.message
    return problem_of(caught.value).code


def test_the_table_is_that_of_the_hub() -> None:
    assert set(TABLE) == set(EVERY)
    for name, query in EVERY.items():
        assert set(query.by_name) == {row.name for row in of(name)}


by_row = pytest.mark.parametrize("row", ROWS, ids=lambda row: f"{row.query}-{row.name}")


@by_row
def test_the_good_form_is_read(row: Row) -> None:
    question = asked(row.query, {**base(row.query, row), row.name: [row.form(row.good)]})
    assert question.values[row.name] == (row.good.strip("'").replace("''", "'"),)


@by_row
def test_how_many_values(row: Row) -> None:
    two = [row.good, row.good]
    if row.multiple:
        question = asked(row.query, {**base(row.query, row), row.name: [row.form(*two)]})
        assert len(question.values[row.name]) == 2
        split = asked(row.query, {**base(row.query, row), row.name: [[f"({row.good})", f"({row.good})"]]})
        assert split.values == question.values
    else:
        assert refused(row, two) == "XDSStoredQueryParamNumber"
        assert refused(row, [f"({row.good},{row.good})"]) == "XDSStoredQueryParamNumber"


@by_row
def test_parentheses_stand_where_a_list_is_taken(row: Row) -> None:
    wrong = [row.good] if row.multiple else [f"({row.good})"]
    assert refused(row, wrong) == "XDSRegistryError"


@by_row
def test_a_repeated_slot(row: Row) -> None:
    slots = [row.form(row.good), row.form(row.good)]
    if "A" in row.letters:
        assert len(asked(row.query, {**base(row.query, row), row.name: slots}).values[row.name]) == 2
    else:
        assert refused(row, *slots) == "XDSStoredQueryParamNumber"


@by_row
def test_bad_values(row: Row) -> None:
    for bad in row.bad:
        assert refused(row, row.form(bad)) == "XDSRegistryError", bad
        if row.multiple:
            assert refused(row, row.form(row.good, bad)) == "XDSRegistryError", bad


@by_row
def test_broken_syntax(row: Row) -> None:
    for broken in (
        "'",
        "'a",
        "a'",
        "'a''",
        "text",
        "('a'",
        "'a')",
        "('a',)",
        "('a' 'b')",
        "()",
        "('a'',)",
        "-1",
        '"a"',
    ):
        assert refused(row, [broken]) == "XDSRegistryError", broken
    assert refused(row, []) in ("XDSRegistryError", "XDSStoredQueryMissingParam")


@by_row
def test_names_are_exact(row: Row) -> None:
    for other in {row.name.lower(), row.name.upper(), f"{row.name}x", f"{row.name}Scheme"} - {row.name}:
        slots = {**base(row.query, row), other: [row.form(row.good)]}
        if row.letters[0] in "RX":
            with pytest.raises(StoredQueryMissingParam):
                asked(row.query, slots)
        elif row.name not in SOME_OF.get(row.query, []):
            assert other not in asked(row.query, slots).values
    with pytest.raises(RegistryError):
        asked(row.query, {**base(row.query), row.name[1:]: [row.form(row.good)]})


@by_row
def test_what_is_required(row: Row) -> None:
    if "R" in row.letters:
        with pytest.raises(StoredQueryMissingParam) as caught:
            asked(row.query, base(row.query, row))
        assert caught.value.location == row.name
    elif "X" in row.letters:
        with pytest.raises(StoredQueryMissingParam):
            asked(row.query, base(row.query, row))
    else:
        assert row.name not in asked(row.query, base(row.query, row)).values or row.name in (
            f"{DE}Type",
            "$XDSAssociationStatus",
        )


@by_row
def test_alternatives_exclude_each_other(row: Row) -> None:
    others = [item for item in of(row.query) if item is not row and {"X"} & set(item.letters) & set(row.letters)]
    if row.name.endswith("Exclude"):
        others = [item for item in of(row.query) if item.name == row.name.removesuffix("Exclude")]
    for other in others:
        slots = {**base(row.query, row), row.name: [row.form(row.good)], other.name: [other.form(other.good)]}
        with pytest.raises(StoredQueryParamNumber) as caught:
            asked(row.query, slots)
        assert caught.value.location in (row.name, other.name)


@pytest.mark.parametrize("query", SOME_OF)
def test_one_of_these_at_least(query: str) -> None:
    least = {name: slots for name, slots in base(query).items() if name not in SOME_OF[query]}
    with pytest.raises(StoredQueryMissingParam) as caught:
        asked(query, least)
    assert caught.value.location in SOME_OF[query]
    for name in SOME_OF[query]:
        row = next(item for item in of(query) if item.name == name)
        assert asked(query, {**least, name: [row.form(row.good)]}).values[name]


def test_stable_only_unless_said_otherwise() -> None:
    for name, query in EVERY.items():
        types = f"{DE}Type"
        if types in query.by_name:
            assert len(asked(name, base(name)).values[types]) == 1
    excluded = asked("FindDocumentsExclude", {**base("FindDocumentsExclude"), f"{DE}TypeExclude": [["('urn:uuid:1')"]]})
    assert f"{DE}Type" not in excluded.values


def test_a_code_with_its_scheme_may_have_the_old_scheme_beside_it() -> None:
    slots = base("FindDocuments")
    slots |= {f"{DE}ClassCode": [["('A^^1.2')"]], f"{DE}ClassCodeScheme": [["('1.2')"]]}
    assert asked("FindDocuments", slots).values[f"{DE}ClassCode"] == ("A^^1.2",)


def test_quotes_and_what_looks_like_syntax() -> None:
    name = f"{DE}AuthorPerson"
    for text, value in (
        ("('O''Brien')", ("O'Brien",)),
        ("('''')", ("'",)),
        ("('a,b','(c)')", ("a,b", "(c)")),
        ("('x'')','y')", ("x')", "y")),
        ("('%')", ("%",)),
        ("('a\\','b')", ("a\\", "b")),
        ("('é<&>')", ("é<&>",)),
    ):
        question = asked("FindDocuments", {**base("FindDocuments"), name: [[text]]})
        assert question.values[name] == value


@pytest.mark.parametrize("query", EVERY.values(), ids=lambda query: query.name)
def test_ids(query: object) -> None:
    own, other = (QUERIES, MULTI_PATIENT) if query.id in QUERIES else (MULTI_PATIENT, QUERIES)  # type: ignore[attr-defined]
    with pytest.raises(UnknownStoredQuery):
        read(query.id, {}, queries=other)  # type: ignore[attr-defined]
    with pytest.raises(StoredQueryMissingParam):
        read(query.id.upper().replace("URN:UUID", "urn:uuid"), {}, queries=own)  # type: ignore[attr-defined]


def test_both_states() -> None:
    slots = {**base("FindDocuments"), f"{DE}Status": [[f"('{APPROVED}')", f"('{DEPRECATED}')"]]}
    assert asked("FindDocuments", slots).values[f"{DE}Status"] == (APPROVED, DEPRECATED)
