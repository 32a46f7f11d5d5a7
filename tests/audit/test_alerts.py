"""Handshakes that fail, in the trail: one record each, until somebody makes a thousand of them."""

from collections.abc import Callable

import pytest

from hub.app.audit.alerts import MOST_IN_A_MINUTE, NodeAlerts
from hub.audit.model import AuditRecord, AuditSearch
from hub.audit.service import AuditService
from hub.storage.engine import Database


class Clock:
    """Seconds, by hand."""

    def __init__(self) -> None:
        self.at = 1000.0

    def __call__(self) -> float:
        return self.at


@pytest.fixture
def trail(database: Database) -> Callable[[AuditService], tuple[AuditRecord, ...]]:
    def records(service: AuditService) -> tuple[AuditRecord, ...]:
        assert service.flush()
        return service.search(AuditSearch(limit=500)).records[::-1]

    return records


def test_each_has_its_record(database: Database, trail: Callable[[AuditService], tuple[AuditRecord, ...]]) -> None:
    with AuditService(database=database) as service:
        alerts = NodeAlerts(service)
        alerts.refused("mllp", "certificate-expired", "192.0.2.7")
        alerts.refused("web", "not-tls", "")
        (record,) = trail(service)
    assert (record.transaction, record.peer, record.called) == ("TLS-HANDSHAKE", "192.0.2.7", "mllp")
    assert record.error_code == "not-authenticated"
    assert record.detail == "The TLS handshake on the port mllp failed: certificate-expired."


def test_of_a_flood_the_number_is_kept(
    database: Database, trail: Callable[[AuditService], tuple[AuditRecord, ...]]
) -> None:
    clock = Clock()
    with AuditService(database=database) as service:
        alerts = NodeAlerts(service, clock)
        for _ in range(MOST_IN_A_MINUTE + 40):
            alerts.refused("web", "no-certificate", "")
        assert len(trail(service)) == MOST_IN_A_MINUTE
        clock.at += 61
        alerts.refused("web", "no-certificate", "")
        *_, last = trail(service)
    assert last.detail.endswith("So did 40 before it that have no record.")
