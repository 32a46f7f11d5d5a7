"""The database itself refuses to change the trail: records are added, and leave only where a segment says so.

Statements that can be repeated: they run when the tables are made and after every migration."""

from hub.storage.tables import GUARDS

_REFUSED = "the audit trail is append-only"
_RETAINED = "NOT EXISTS (SELECT 1 FROM audit_segment AS s WHERE OLD.position BETWEEN s.first AND s.last)"
_NEVER = ("audit_record", "audit_object", "audit_segment")
#: (table, event, condition under which it is refused)
_RULES = (
    *((table, "UPDATE", "") for table in _NEVER),
    ("audit_record", "DELETE", _RETAINED),
    ("audit_object", "DELETE", _RETAINED),
    ("audit_segment", "DELETE", ""),
    ("audit_head", "UPDATE", "NEW.position <= OLD.position"),
    ("audit_head", "DELETE", ""),
)
_FUNCTION = f"""
CREATE OR REPLACE FUNCTION audit_refuse() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN RAISE EXCEPTION '{_REFUSED}' USING ERRCODE = 'insufficient_privilege'; END $$
"""
_KEPT = f"""
CREATE OR REPLACE FUNCTION audit_keep() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF {_RETAINED} THEN
    RAISE EXCEPTION '{_REFUSED}' USING ERRCODE = 'insufficient_privilege';
  END IF;
  RETURN OLD;
END $$
"""


def names() -> tuple[tuple[str, str], ...]:
    """(trigger, table) of every guard that both databases have."""
    return tuple((f"{table}_no_{event.lower()}", table) for table, event, _ in _RULES)


def _sqlite() -> list[str]:
    made = []
    for table, event, condition in _RULES:
        name, when = f"{table}_no_{event.lower()}", f"WHEN {condition} " if condition else ""
        made += [
            f"DROP TRIGGER IF EXISTS {name}",
            f"CREATE TRIGGER {name} BEFORE {event} ON {table} {when}BEGIN SELECT RAISE(ABORT, '{_REFUSED}'); END",
        ]
    return made


def _postgresql() -> list[str]:
    made = [_FUNCTION, _KEPT]
    for table, event, condition in _RULES:
        name = f"{table}_no_{event.lower()}"
        kept = condition == _RETAINED  # a subquery can't stand in a trigger's WHEN
        when = f"WHEN ({condition}) " if condition and not kept else ""
        function = "audit_keep" if kept else "audit_refuse"
        made += [
            f"DROP TRIGGER IF EXISTS {name} ON {table}",
            f"CREATE TRIGGER {name} BEFORE {event} ON {table} FOR EACH ROW {when}EXECUTE FUNCTION {function}()",
        ]
    for table in (*_NEVER, "audit_head"):
        name = f"{table}_no_truncate"
        made += [
            f"DROP TRIGGER IF EXISTS {name} ON {table}",
            f"CREATE TRIGGER {name} BEFORE TRUNCATE ON {table} FOR EACH STATEMENT EXECUTE FUNCTION audit_refuse()",
        ]
    return made


GUARDS["sqlite"]["audit"] = _sqlite()
GUARDS["postgresql"]["audit"] = _postgresql()
