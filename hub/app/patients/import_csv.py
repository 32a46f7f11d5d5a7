"""CSV to identities: which column says what, and how values are written.

A file with this hub's column names, or with the usual French ones, needs no mapping. Else a TOML file maps::

    date_format = "%d/%m/%Y"
    [columns]
    id = "IPP"
    birth_name = "NOM_NAISSANCE"
    [values.sex]
    H = "M"
"""

import csv
import io
import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache
from pathlib import Path
from typing import Any

from hub.errors import HubError, Invalid
from hub.patients.bulk_errors import ImportColumns, ImportFile, ImportRecord, ImportValue
from hub.patients.model import INS_AUTHORITIES, FeedIdentity, Identity, IdentityStatus, Traits
from hub.values import Oid, PatientIdentifier, known_date

_NIR = "1.2.250.1.213.1.4.8"
_LONGEST = 10_000  #: characters of a value
_DELIMITERS = ";,\t|"
_TRAITS = (
    *("birth_name", "birth_given", "given_names", "used_name", "used_given", "birth_date", "sex", "birth_place"),
    *("address", "city", "postal_code", "country", "phone", "mother_name", "multiple_birth"),
)
#: Columns, and other names that they go by in a heading (compared without case, blanks, accents' variants).
COLUMNS: Mapping[str, tuple[str, ...]] = {
    "id": ("ipp", "identifiant", "patient_id", "local_id"),
    "authority": ("autorite", "oid", "authority_oid"),
    "birth_name": ("nom_naissance", "nom_de_naissance", "nom_patronymique", "nom"),
    "birth_given": ("premier_prenom", "premier_prenom_naissance", "prenom_naissance", "prenom"),
    "given_names": ("prenoms", "liste_prenoms", "prenoms_naissance"),
    "used_name": ("nom_utilise", "nom_usage", "nom_d_usage"),
    "used_given": ("prenom_utilise", "prenom_usage"),
    "birth_date": ("date_naissance", "date_de_naissance", "ddn"),
    "sex": ("sexe", "gender"),
    "birth_place": ("lieu_naissance", "code_lieu_naissance", "cog_naissance", "insee_naissance"),
    "address": ("adresse",),
    "city": ("ville", "commune"),
    "postal_code": ("code_postal", "cp"),
    "country": ("pays",),
    "phone": ("telephone", "tel"),
    "mother_name": ("nom_mere",),
    "multiple_birth": ("naissance_multiple", "jumeau"),
    "status": ("statut", "statut_identite"),
    "attributes": ("attributs",),
    "ins": ("matricule_ins", "ins_matricule", "nir"),
    "ins_oid": ("oid_ins",),
}
_SEX = {
    "": "", "M": "M", "F": "F", "O": "O", "U": "U", "H": "M", "1": "M", "2": "F", "MALE": "M", "FEMALE": "F",
    "MASCULIN": "M", "FEMININ": "F", "FÉMININ": "F", "I": "U",
}  # fmt: skip
_YES = frozenset({"Y", "YES", "TRUE", "1", "O", "OUI"})
_NO = frozenset({"", "N", "NO", "FALSE", "0", "NON"})
_DATES = (
    (re.compile(r"(\d{4})(?:-?(\d{2})(?:-?(\d{2}))?)?"), (1, 2, 3)),
    (re.compile(r"(\d{2})[/.-](\d{2})[/.-](\d{4})"), (3, 2, 1)),
)
_ACCENTS = str.maketrans("éèêëàâîïôûùç", "eeeeaaiiouuc")


@dataclass(frozen=True, slots=True)
class CsvMapping:
    """A mapping file: our column -> the file's heading; ``values``: column -> what is written -> what it means."""

    columns: Mapping[str, str] = field(default_factory=dict)
    values: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    date_format: str = ""


def read_mapping(file: Path) -> CsvMapping:
    """From TOML. Raises ImportColumns."""
    try:
        found = tomllib.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ImportColumns("The mapping is not a readable TOML file.", location=str(file)) from error
    columns, values, form = found.pop("columns", {}), found.pop("values", {}), found.pop("date_format", "")
    if found:
        raise ImportColumns("The mapping may have date_format, [columns] and [values].", location=min(found))
    if not isinstance(columns, dict) or not isinstance(values, dict) or not isinstance(form, str):
        raise ImportColumns("The mapping may have date_format (text), [columns] and [values].")
    for name in (*columns, *values):
        if name not in COLUMNS:
            raise ImportColumns(f"There is no column {name!r}: {', '.join(COLUMNS)}.", location=name[:80])
    if not all(isinstance(item, str) for item in columns.values()):
        raise ImportColumns("A column is mapped to one heading.", location="columns")
    for name, table in values.items():
        if not isinstance(table, dict) or not all(isinstance(item, str) for item in table.values()):
            raise ImportColumns("Values are mapped to text.", location=f"values.{name}")
    return CsvMapping(columns, values, form)


class CsvRows:
    """Rows of a file that has a heading. Raises ImportFile, ImportColumns."""

    def __init__(
        self,
        handle: io.BufferedReader,
        encoding: str,
        *,
        delimiter: str = "",
        authority: str = "",
        mapping: CsvMapping | None = None,
    ) -> None:
        self.authority = authority
        self.mapping = mapping or CsvMapping()
        # What is no text of the character set comes through as surrogates, and its row is refused.
        text = io.TextIOWrapper(handle, encoding=encoding, errors="surrogateescape", newline="")
        heading = text.readline(1 << 16)
        if not heading.strip():
            raise ImportFile("The file has no heading.")
        self.delimiter = delimiter or max(_DELIMITERS, key=heading.count)
        names = next(csv.reader([heading], delimiter=self.delimiter))
        # Strict: a quotation mark that is never closed, or that ends within a value, must not swallow people.
        self._reader = csv.reader(text, delimiter=self.delimiter, strict=True)
        self._width = len(names)
        self._places = _places(names, self.mapping)
        if "authority" not in self._places and not authority:
            raise ImportColumns(
                "The patient numbers' authority is in no column: give --authority.", location="authority"
            )

    def rows(self) -> Iterator[tuple[int, Any]]:
        """(line, row) of every row; what can't be read is an error in its place."""
        while True:
            line = self._reader.line_num + 2
            try:
                row: Any = next(self._reader)
            except StopIteration:
                return
            except csv.Error:
                row = ImportRecord("The row is not CSV, or longer than the limit.")
            if row:
                yield line, row

    def decode(self, row: Any) -> FeedIdentity:
        """A row's identity. Raises ImportRecord, ImportValue."""
        if isinstance(row, HubError):
            raise row
        if len(row) != self._width:
            raise ImportRecord("The row has another number of columns than the heading.")
        if not "".join(row).isprintable():
            row = [_clean(value) for value in row]
        found = {name: row[place].strip() for name, place in self._places.items()}
        for name, table in self.mapping.values.items():
            if name in found:
                found[name] = table.get(found[name], found[name])
        return FeedIdentity(self._identity(found))

    def _identity(self, found: dict[str, str]) -> Identity:
        if not found["id"]:
            raise ImportValue("The patient number is missing.", location="id")
        if max(map(len, found.values())) > _LONGEST:
            raise ImportValue("A value is too long.")
        values: dict[str, Any] = {name: found[name] for name in _TRAITS if found.get(name)}
        if not (values.get("birth_name") or values.get("used_name")):
            raise ImportValue("The name is missing.", location="birth_name")
        if "birth_date" in values:
            values["birth_date"] = birth_date(values["birth_date"], self.mapping.date_format)
        if "sex" in values:
            values["sex"] = _of(_SEX, values["sex"], "sex")
        if "multiple_birth" in values:
            values["multiple_birth"] = _yes(values["multiple_birth"])
        status = _of(_STATUSES, found.get("status", ""), "status")
        oid = _oid(found.get("authority") or self.authority, "authority")
        return Identity(
            identifier=PatientIdentifier(found["id"], oid, "PI"),
            traits=Traits(**values),
            status=status,
            attributes=frozenset(re.split(r"[ ,;|]+", found["attributes"].upper())) - {""}
            if found.get("attributes") else frozenset(),
            ins=_ins(found),
        )  # fmt: skip


_STATUSES = {"": IdentityStatus.PROVISIONAL, **{item.value: item for item in IdentityStatus}}


def _ins(found: Mapping[str, str]) -> PatientIdentifier | None:
    matricule = found.get("ins", "").replace(" ", "")
    if not matricule:
        return None
    oid = found.get("ins_oid") or _NIR
    if oid not in INS_AUTHORITIES:
        raise ImportValue("This is no OID of the INS.", location="ins_oid")
    return PatientIdentifier(matricule, oid, "INS")


def _of(table: Mapping[str, Any], value: str, column: str) -> Any:
    found = table.get(value.upper())
    if found is None:
        raise ImportValue("The value is not one of the column's.", location=column)
    return found


def _yes(value: str) -> bool:
    if value.upper() not in _YES | _NO:
        raise ImportValue("The value is neither yes nor no.", location="multiple_birth")
    return value.upper() in _YES


@lru_cache(maxsize=1 << 16)
def birth_date(text: str, form: str = "") -> str:
    """YYYY[MM[DD]] of an ISO or French date, or one of the format that the mapping gives; 00 for what is unknown.

    Raises ImportValue."""
    if form:
        try:
            return datetime.strptime(text, form).strftime("%Y%m%d")
        except ValueError:
            raise ImportValue("The date does not have the mapping's form.", location="birth_date") from None
    for pattern, order in _DATES:
        match = pattern.fullmatch(text)
        if match is not None:
            digits = "".join(match[number] or "" for number in order)
            if digits[4:6] <= "12" and digits[6:8] <= "31":
                return known_date(digits)
    raise ImportValue("The date is neither YYYY-MM-DD nor DD/MM/YYYY.", location="birth_date")


@lru_cache(maxsize=1 << 10)
def _oid(text: str, column: str) -> str:
    try:
        return Oid.from_urn(text)
    except Invalid:
        raise ImportValue("This is no OID.", location=column) from None


def _clean(value: str) -> str:
    """Line ends and unusual blanks as blanks. Raises ImportRecord for what is no text."""
    if value.isprintable():
        return value
    text = " ".join(value.split())
    for letter in text:
        if "\ud800" <= letter <= "\udfff":
            raise ImportRecord("The row is not text of the file's character set.")
        if letter < " " or "\x7f" <= letter <= "\x9f":
            raise ImportRecord("The row holds a control character.")
    return text


def _places(names: Sequence[str], mapping: CsvMapping) -> dict[str, int]:
    """Our column -> its place."""
    plain = [_plain(name) for name in names]
    headings = {name: place for place, name in enumerate(plain)}
    places: dict[str, int] = {}
    for column, aliases in COLUMNS.items():
        given = mapping.columns.get(column)
        if given is not None and _plain(given) not in headings:
            raise ImportColumns("The heading that the mapping names is not in the file.", location=column)
        wanted = (given,) if given is not None else (column, *aliases)
        found = [headings[_plain(name)] for name in wanted if _plain(name) in headings]
        if found:
            if plain.count(plain[found[0]]) > 1:  # which of them holds it nobody can say
                raise ImportColumns("Two columns have the same heading.", location=column)
            if column == "id" and len(found) > 1:  # a row's number of another table, perhaps
                raise ImportColumns("Two columns may be the patient number: say which in a mapping.", location=column)
            places[column] = found[0]
    for column in ("id", "birth_name"):
        if column not in places:
            raise ImportColumns(f"The heading has no column for {column}.", location=column)
    return places


def _plain(name: str) -> str:
    text = name.lstrip("\ufeff").strip().lower().translate(_ACCENTS)
    return re.sub(r"[^a-z0-9]+", "_", text).strip("_")
