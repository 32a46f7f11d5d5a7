"""The rows that an import writes are those that the same messages write, one by one, to the last byte."""

import random
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

from sqlalchemy import text

from hub.app.patients import import_reading
from hub.app.patients.import_files import Reading, look
from hub.context import Context
from hub.errors import HubError
from hub.patients import matching
from hub.patients.bulk import BulkService
from hub.patients.bulk_model import Entry
from hub.patients.forms import forms
from hub.patients.model import FeedIdentity, Identity, IdentityStatus, Traits
from hub.patients.service import PatientService
from hub.testing.population import population
from hub.usecase import Dispatcher
from hub.values import PatientIdentifier
from tests.patients.conftest import A, identity, ins

_AT = datetime(2024, 5, 6, 7, 8, 9, 120, tzinfo=timezone(timedelta(hours=2)))
_ROWS = """
    SELECT substr(value, 2) AS number, active, status, attributes, CAST(traits AS text) AS traits,
        CAST(others AS text) AS others, ins_value, ins_authority, strict_key, birth_date, given, sex, postal_code,
        CAST(updated_at AS text) AS updated_at, survivor
    FROM patients_identity WHERE substr(value, 1, 1) = :kind ORDER BY number
"""
_NAMES = """
    SELECT substr(i.value, 2) AS number, n.key FROM patients_name AS n JOIN patients_identity AS i ON i.id = n.identity
    WHERE substr(i.value, 1, 1) = :kind ORDER BY number, n.key
"""
_PERSONS = """
    SELECT p.authority, p.external, p.survivor, i.home = p.id AS home, length(p.value) AS length, count(*) AS number
    FROM patients_person AS p JOIN patients_identity AS i ON i.person = p.id WHERE substr(i.value, 1, 1) = :kind
    GROUP BY 1, 2, 3, 4, 5
"""


def people() -> list[Identity]:
    """Of all kinds; nobody is linked, so that both ways write new rows only."""
    others = (PatientIdentifier("7\t\\N", "1.2.3", "PI"), PatientIdentifier("é\"'", "1.2.3.4", "", "NS"))
    odd = [
        identity("0", birth_name="O\\'Brïen\t\\.", used_name="\\N", address="1 rue\\n", city="Sõ\u2028\U0001f600"),
        identity("0", others=others, attributes=frozenset({"HOMO", "DOUT"})),
        identity("0", ins=ins(), birth_place="2A004", multiple_birth=True),
        identity("0", birth_name="", used_name="Dupont", birth_date="1980", status=IdentityStatus.PROVISIONAL),
    ]
    made = [replace_traits(item) for _, item in population(5, 400) if item.traits.birth_name]
    return [*odd, *made]


def replace_traits(item: Identity) -> Identity:
    """Unchecked: nothing joins it."""
    return Identity(item.identifier, item.traits, IdentityStatus.PROVISIONAL)


def of(kind: str, number: int, item: Identity) -> Identity:
    return Identity(
        PatientIdentifier(f"{kind}{number:04d}", A if kind == "O" else f"{A}.{number}"),
        item.traits, item.status, item.attributes, item.ins, item.others, _AT,
    )  # fmt: skip


def found(patients: PatientService, query: str, kind: str) -> list[dict[str, Any]]:
    with patients.database.engine.connect() as connection:
        return [dict(row) for row in connection.execute(text(query), {"kind": kind}).mappings()]


def test_rows_are_the_same_to_the_last_byte(patients: PatientService) -> None:
    """Enough of them for a COPY; one way in an order of its own, a fifth without forms that were reckoned ahead."""
    patients.directory.accept_new = True
    every = list(enumerate(people()))
    for number, item in every:
        patients.feed(FeedIdentity(of("O", number, item)), Context())
    # The same people once more would be asked about: with another date they are others, of the same form.
    service = BulkService(patients=patients, carry_out=Dispatcher([patients]))
    with patients.database.transaction() as work:
        for name in ("patients_task", "patients_task_about", "patients_link"):
            work.connection.execute(text(f"DELETE FROM {name}"))
        work.connection.execute(text("UPDATE patients_identity SET active = FALSE"))
    random.Random(1).shuffle(every)
    told = [
        Entry(place, place, FeedIdentity(of("I", number, item)), forms=forms(item.traits) if place % 5 else None)
        for place, (number, item) in enumerate(every, 1)
    ]
    at = service.take(service.begin("import", "source"), told, Context)
    assert (at.created, at.refused) == (len(every), 0)
    with patients.database.transaction() as work:
        work.connection.execute(text("UPDATE patients_identity SET active = TRUE"))
    for query in (_ROWS, _NAMES, _PERSONS):
        assert found(patients, query, "I") == found(patients, query, "O")


def test_forms_are_those_of_the_rules() -> None:
    for _, item in population(6, 200):
        its = forms(item.traits)
        assert matching.strict_key(item) == (its.strict if matching.decides(item) else None)
    assert forms(Traits()).strict is None


def test_a_reader_of_its_own_tells_the_same_records_with_their_forms(tmp_path: Path) -> None:
    lines = [f"{number};NAME{number};1980-01-02;{'X' * 300}" for number in range(9_000)]
    lines[8_500] = "8500;;1980-01-02;"
    file = tmp_path / "people.csv"
    file.write_text("\n".join(["id;birth_name;birth_date;address", *lines]))
    looked = look(file, None, "")
    assert looked.size > import_reading.ALONE
    reading = Reading(None, Context, authority=A)
    every = [entry for batch, _ in import_reading.batches(file, looked, reading, 0, 1000) for entry in batch]
    assert [entry.record for entry in every] == list(range(1, 9_001))
    assert isinstance(every[8_500].error, HubError)
    ahead = [entry for entry in every if entry.forms is not None]
    assert len(ahead) == 999
    for entry in ahead:
        assert isinstance(entry.command, FeedIdentity)
        assert entry.forms == forms(entry.command.identity.traits)
