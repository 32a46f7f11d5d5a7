"""A process that records without end, and says so on its standard output, until it is killed: see test_audit."""

import sys
from pathlib import Path

from hub.audit.service import AuditService
from hub.storage.engine import Database
from tests.audit.builders import record


def main(url: str, spool: str) -> None:
    service = AuditService(database=Database(url), spool=Path(spool)).start()
    while True:
        (context,) = record(service)
        print(context.correlation_id, flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
