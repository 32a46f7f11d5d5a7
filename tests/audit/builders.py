"""Records for tests."""

from collections.abc import Iterable

from hub.audit.service import AuditService
from hub.audit.store_guards import names
from hub.context import Context
from hub.errors import HubError
from hub.pipeline.transaction import AuditEvent, Kind, Transaction
from hub.storage.engine import Database


def transaction(name: str = "ITI-18") -> Transaction:
    return Transaction(
        id=name,
        title=name,
        profile="XDS.b",
        initiator="Document Consumer",
        responder="Document Registry",
        bindings=(),
        section="",
        kind=Kind.QUERY,
        permission="documents.query",
        audit=AuditEvent("110112", "Query", "E"),
    )


def record(
    service: AuditService,
    count: int = 1,
    *,
    name: str = "ITI-18",
    touched: Iterable[tuple[str, str]] = (("patient", "R1^^^&1.2&ISO"),),
    error: HubError | None = None,
) -> list[Context]:
    contexts = []
    for _ in range(count):
        context = Context(peer="192.0.2.7")
        for kind, reference in touched:
            context.touch(kind, reference)
        service.record(transaction(name), context, error, 12)
        contexts.append(context)
    return contexts


def disarm(database: Database) -> None:
    """What an attacker does who may change the tables themselves: the guards are gone."""
    with database.transaction() as work:
        for trigger, table in names():
            work.connection.exec_driver_sql(f"DROP TRIGGER {trigger}{'' if database.sqlite else f' ON {table}'}")
