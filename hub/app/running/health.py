"""Whether this process is alive, and whether each of its roles can work."""

import logging
import shutil
import socket
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError

from hub.storage import migrate
from hub.storage.engine import Database

log = logging.getLogger(__name__)

MINIMUM_FREE = 256 * 1024 * 1024  #: bytes on the content's disk below which nothing more is accepted

Probe = Callable[[], str]  #: "" when well, else a safe sentence


@dataclass(frozen=True, slots=True)
class Health:
    """What the probes said: name -> "" or why not."""

    results: Mapping[str, str]

    @property
    def ready(self) -> bool:
        """Whether everything is well."""
        return not any(self.results.values())

    def document(self) -> dict[str, object]:
        """For the answer's JSON."""
        checks = {name: reason or "ok" for name, reason in self.results.items()}
        return {"status": "ready" if self.ready else "not-ready", "checks": checks}


def look(probes: Mapping[str, Probe]) -> Health:
    """Run every probe."""
    return Health({name: probe() for name, probe in probes.items()})


def database_probe(database: Database) -> Probe:
    """The database answers."""

    def probe() -> str:
        try:
            with database.engine.connect() as connection:
                connection.execute(text("SELECT 1"))
        except SQLAlchemyError:
            log.warning("the database does not answer", exc_info=True)
            return "the database does not answer"
        return ""

    return probe


def migrations_probe(database: Database) -> Probe:
    """The tables are those of this version; once that holds it is not asked again."""
    current = False

    def probe() -> str:
        nonlocal current
        if not current:
            try:
                current = not migrate.pending(database)
            except SQLAlchemyError:
                log.warning("the database does not tell its revision", exc_info=True)
        return "" if current else "the database's tables are not up to date: run `maillage db upgrade`"

    return probe


def disk_probe(directory: Path) -> Probe:
    """There is room for content."""

    def probe() -> str:
        try:
            free = shutil.disk_usage(directory).free
        except OSError:
            return "the content directory is not there"
        return "" if free > MINIMUM_FREE else "the disk of the content directory is nearly full"

    return probe


def running_probe(is_running: Callable[[], bool], what: str) -> Probe:
    """A thread of ours runs."""
    return lambda: "" if is_running() else f"{what} does not run"


def listening_probe(host: str, port: int) -> Probe:
    """A port of ours takes connections."""
    address = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 (compared)

    def probe() -> str:
        try:
            with socket.create_connection((address, port), timeout=2):
                return ""
        except OSError:
            return f"port {port} takes no connections"

    return probe
