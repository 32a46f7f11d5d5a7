"""What is known of several identities that come at once, in one statement."""

from collections.abc import Sequence
from typing import Any

import orjson
from sqlalchemy import Connection, text

from hub.patients.model import Identity
from hub.storage.prepared import Prepared

_KNOWN_OF = {
    "postgresql": """
        SELECT 'number', m.value, m.authority
        FROM unnest(
            (SELECT CAST(:numbers AS varchar[])), (SELECT CAST(:authorities AS varchar[]))
        ) AS a(value, authority)
        CROSS JOIN LATERAL (
            SELECT x.value, x.authority FROM patients_identity AS x
            WHERE x.value = a.value COLLATE "C" AND x.authority = a.authority COLLATE "C" LIMIT 1
        ) AS m
        UNION ALL
        SELECT 'ins', m.ins_value, '' FROM unnest((SELECT CAST(:ins AS varchar[]))) AS a(value)
        CROSS JOIN LATERAL (
            SELECT x.ins_value FROM patients_identity AS x WHERE x.ins_value = a.value COLLATE "C" LIMIT 1
        ) AS m
        UNION ALL
        SELECT 'strict', CAST(m.strict_key AS varchar), '' FROM unnest((SELECT CAST(:strict AS bigint[]))) AS a(value)
        CROSS JOIN LATERAL (
            SELECT x.strict_key FROM patients_identity AS x WHERE x.strict_key = a.value LIMIT 1
        ) AS m
    """,
    "sqlite": """
        SELECT 'number', m.value, m.authority FROM json_each(:pairs) AS a CROSS JOIN patients_identity AS m
        ON m.value = json_extract(a.value, '$[0]') AND m.authority = json_extract(a.value, '$[1]')
        UNION ALL
        SELECT 'ins', m.ins_value, '' FROM json_each(:ins) AS a
        CROSS JOIN patients_identity AS m ON m.ins_value = a.value
        UNION ALL
        SELECT 'strict', CAST(m.strict_key AS text), '' FROM json_each(:strict) AS a
        CROSS JOIN patients_identity AS m ON m.strict_key = a.value
    """,
}
_LOOK = Prepared(lambda dialect: text(_KNOWN_OF[dialect]))


def absent(connection: Connection, identities: Sequence[tuple[Identity, int | None]]) -> set[tuple[str, str, str]]:
    """What of the identities (with their strict keys) no row has: ("number", value, authority), ("ins", value, ""),
    ("strict", key, "")."""
    pairs = [[identity.identifier.value, identity.identifier.authority] for identity, _ in identities]
    ins = [identity.ins.value for identity, _ in identities if identity.ins]
    strict = [key for _, key in identities if key is not None]
    values: dict[str, Any] = {
        "numbers": [value for value, _ in pairs],
        "authorities": [authority for _, authority in pairs],
        "ins": ins,
        "strict": strict,
    }
    if connection.dialect.name == "sqlite":
        values = {name: orjson.dumps(value).decode() for name, value in {**values, "pairs": pairs}.items()}
    asked = {
        *(("number", value, authority) for value, authority in pairs),
        *(("ins", value, "") for value in ins),
        *(("strict", str(key), "") for key in strict),
    }
    return asked - set(_LOOK.rows(connection, values))
