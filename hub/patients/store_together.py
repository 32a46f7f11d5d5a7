"""The statements by which a batch of feeds reads what concerns it (``store_batch``).

PostgreSQL makes a plan for good where its estimates do not depend on the values. Those of ``unnest`` and
``generate_series`` do, unless a sub-select gives the value: such a statement would be planned again each time."""

from collections.abc import Mapping

from sqlalchemy import JSON, column, text

from hub.patients.store import MEMBER_COLUMNS
from hub.patients.store_tables import IDENTITY, PERSON, TASK
from hub.storage.prepared import Prepared

MOST = 200  #: candidates by one key; where there are more the database is asked
_COLUMNS = ", ".join(f"m.{column.name}" for column in MEMBER_COLUMNS)
#: After ``found``: everybody in use of their persons, and the persons with the numbers that they had besides.
_WITH_THEM = {
    "postgresql": f"""
        , everybody AS MATERIALIZED (
            SELECT id FROM found
            UNION
            SELECT o.id FROM found AS f
            CROSS JOIN LATERAL (SELECT x.person FROM patients_identity AS x WHERE x.id = f.id LIMIT 1) AS y
            CROSS JOIN LATERAL (
                SELECT x.id FROM patients_identity AS x WHERE x.person = y.person AND x.active OFFSET 0
            ) AS o
        )
        SELECT {_COLUMNS}, p.value, p.authority, p.survivor, p.external, ARRAY(
            SELECT ARRAY[a.value, a.authority] FROM patients_person AS a WHERE a.survivor = p.id
        ) AS aliases FROM everybody AS e
        CROSS JOIN LATERAL (SELECT x.* FROM patients_identity AS x WHERE x.id = e.id LIMIT 1) AS m
        CROSS JOIN LATERAL (SELECT x.* FROM patients_person AS x WHERE x.id = m.person LIMIT 1) AS p
    """,  # noqa: S608 (our own columns)
    "sqlite": f"""
        , everybody AS MATERIALIZED (
            SELECT id FROM found
            UNION
            SELECT o.id FROM found AS f CROSS JOIN patients_identity AS y ON y.id = f.id
            CROSS JOIN patients_identity AS o ON o.id IN (  -- a join would read the whole table for a Bloom filter
                SELECT x.id FROM patients_identity AS x WHERE x.person = y.person AND x.active
            )
        )
        SELECT {_COLUMNS}, p.value, p.authority, p.survivor, p.external, (
            SELECT json_group_array(json_array(a.value, a.authority))
            FROM patients_person AS a INDEXED BY ix_patients_person_survivor WHERE a.survivor = p.id
        ) AS aliases FROM everybody AS e
        CROSS JOIN patients_identity AS m ON m.id = e.id CROSS JOIN patients_person AS p ON p.id = m.person
    """,  # noqa: S608
}
#: Those with one of the numbers or keys.
_BY_KEYS = {
    "postgresql": f"""
        WITH found AS MATERIALIZED (
            SELECT k.id
            FROM unnest((SELECT CAST(:numbers AS varchar[])), (SELECT CAST(:authorities AS varchar[])))
            AS a(value, authority)
            CROSS JOIN LATERAL (
                SELECT x.id FROM patients_identity AS x
                WHERE x.value = a.value COLLATE "C" AND x.authority = a.authority COLLATE "C" LIMIT 1
            ) AS k
            UNION
            SELECT k.id FROM unnest((SELECT CAST(:ins AS varchar[]))) AS a(value)
            CROSS JOIN LATERAL (
                SELECT x.id FROM patients_identity AS x
                WHERE x.ins_value = a.value COLLATE "C" AND x.active ORDER BY x.id LIMIT {MOST + 1}
            ) AS k
            UNION
            SELECT k.id FROM unnest((SELECT CAST(:strict AS bigint[]))) AS a(value)
            CROSS JOIN LATERAL (
                SELECT x.id FROM patients_identity AS x
                WHERE x.strict_key = a.value AND x.active ORDER BY x.id LIMIT {MOST + 1}
            ) AS k
        )
    """,  # noqa: S608 (a number)
    "sqlite": f"""
        WITH found AS MATERIALIZED (
            SELECT x.id FROM json_each(:pairs) AS a CROSS JOIN patients_identity AS x
            ON x.value = json_extract(a.value, '$[0]') AND x.authority = json_extract(a.value, '$[1]')
            UNION
            SELECT x.id FROM json_each(:ins) AS a CROSS JOIN patients_identity AS x ON x.id IN (
                SELECT y.id FROM patients_identity AS y
                WHERE y.ins_value = a.value AND y.active ORDER BY y.id LIMIT {MOST + 1}
            )
            UNION
            SELECT x.id FROM json_each(:strict) AS a CROSS JOIN patients_identity AS x ON x.id IN (
                SELECT y.id FROM patients_identity AS y
                WHERE y.strict_key = a.value AND y.active ORDER BY y.id LIMIT {MOST + 1}
            )
        )
    """,  # noqa: S608
}
#: Those of some rows.
_BY_ROWS = {
    "postgresql": "WITH found AS MATERIALIZED (SELECT unnest((SELECT CAST(:keys AS bigint[]))) AS id)",
    "sqlite": "WITH found AS MATERIALIZED (SELECT value AS id FROM json_each(:keys))",
}
_TAKEN = {
    "postgresql": """
        SELECT m.value FROM unnest((SELECT CAST(:numbers AS varchar[]))) AS a(value) JOIN patients_person AS m
        ON m.value = a.value COLLATE "C" AND m.authority = :authority
    """,
    "sqlite": """
        SELECT m.value FROM json_each(:numbers) AS a CROSS JOIN patients_person AS m
        ON m.value = a.value AND m.authority = :authority
    """,
}
_IDS = {
    "postgresql": "SELECT nextval(pg_get_serial_sequence('{table}', 'id')) "
    "FROM generate_series(1, (SELECT CAST(:count AS bigint)))",
    "sqlite": "SELECT coalesce(max(id), 0) FROM {table} WHERE 0 < :count",
}
NUMBERED = (IDENTITY.name, PERSON.name)
_PERSON_COLUMNS = tuple(PERSON.c[name] for name in ("value", "authority", "survivor", "external"))
_ALIASES = {"postgresql": column("aliases"), "sqlite": column("aliases", JSON)}


def _read(found: Mapping[str, str]) -> Prepared:
    return Prepared(
        lambda dialect: text(found[dialect] + _WITH_THEM[dialect]).columns(
            *MEMBER_COLUMNS, *_PERSON_COLUMNS, _ALIASES[dialect]
        )
    )


READ = _read(_BY_KEYS)
READ_ROWS = _read(_BY_ROWS)
TAKEN_NUMBERS = Prepared(lambda dialect: text(_TAKEN[dialect]))
NEXT = {
    table: Prepared(lambda dialect, name=table: text(_IDS[dialect].format(table=name)))  # type: ignore[misc]
    for table in (*NUMBERED, TASK.name)
}
