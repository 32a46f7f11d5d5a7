"""A throw-away PostgreSQL server on loopback: own data directory, own port, gone at the end."""

import os
import pwd
import secrets
import shutil
import subprocess
import tempfile
from pathlib import Path
from types import TracebackType
from typing import Self

import psycopg
from psycopg import sql

from hub.errors import Unavailable
from hub.storage.advice import ADVISED
from hub.testing.ports import free_port

ACCOUNT = "postgres"
_FAST = {"shared_buffers": "64MB", "fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}


class PostgresqlMissing(Unavailable):
    """PostgreSQL's server programs are not installed, or may not be run by this account."""

    code = "postgresql-missing"
    title = "PostgreSQL's server programs are not installed."


def programs() -> Path:
    """The directory that holds ``initdb`` and ``pg_ctl``, the newest version first. Raises PostgresqlMissing."""
    found = sorted(
        Path("/usr/lib/postgresql").glob("*/bin/initdb"),
        key=lambda path: int(path.parts[-3]) if path.parts[-3].isdigit() else 0,
        reverse=True,
    )
    on_path = shutil.which("initdb")
    if found:
        return found[0].parent
    if on_path:
        return Path(on_path).parent
    raise PostgresqlMissing()


class PostgresqlServer:
    """One server. Use it as a context manager, or call ``start`` and ``stop``.

    As root the programs run under the account ``postgres``, which the server insists on. ``durable``: commits reach
    the disk, and it is set up as is advised for production (benchmarks); else what it holds may be lost (tests)."""

    def __init__(self, *, durable: bool = False) -> None:
        self.durable = durable
        self.bin = programs()
        self._as: list[str] = []
        if os.geteuid() == 0:
            try:
                pwd.getpwnam(ACCOUNT)
            except KeyError as error:
                raise PostgresqlMissing(f"There is no account {ACCOUNT} to run PostgreSQL under.") from error
            self._as = ["runuser", "-u", ACCOUNT, "--"]
        self.directory = Path(tempfile.mkdtemp(prefix="maillage-pg-"))
        self.port = free_port()

    @property
    def user(self) -> str:
        """The superuser's name."""
        return ACCOUNT

    def url(self, database: str = "postgres") -> str:
        """SQLAlchemy URL of one database."""
        return f"postgresql+psycopg://{self.user}@127.0.0.1:{self.port}/{database}"

    def start(self) -> Self:
        """Make the cluster and start it."""
        if self._as:
            shutil.chown(self.directory, ACCOUNT)
        data = self.directory / "data"
        self._run(
            "initdb", "-D", str(data), "-U", self.user, "-A", "trust", "-E", "UTF8", "--locale=C.UTF-8", "--no-sync"
        )
        chosen = ADVISED if self.durable else _FAST
        settings = " ".join(f"-c {name}={value}" for name, value in chosen.items())
        options = (
            f"-p {self.port} -c listen_addresses=127.0.0.1 -c unix_socket_directories={self.directory} "
            f"-c max_connections=200 {settings}"
        )
        log = self.directory / "server.log"
        try:
            self._run("pg_ctl", "-D", str(data), "-w", "-t", "60", "-l", str(log), "-o", options, "start")
        except Unavailable as error:
            reason = log.read_text(errors="replace")[-2000:] if log.exists() else ""
            raise Unavailable(f"PostgreSQL did not start: {reason}") from error
        return self

    def stop(self) -> None:
        """Stop the server and remove what it wrote."""
        data = self.directory / "data"
        if (data / "postmaster.pid").exists():
            self._run("pg_ctl", "-D", str(data), "-m", "immediate", "-w", "stop")
        shutil.rmtree(self.directory, ignore_errors=True)

    def create_database(self, *, template: str = "template0") -> str:
        """A new database's name; a copy of ``template``."""
        name = f"t{secrets.token_hex(8)}"
        self._execute(sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(sql.Identifier(name), sql.Identifier(template)))
        return name

    def drop_database(self, name: str) -> None:
        """Remove a database, whoever is still connected."""
        self._execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))

    def _execute(self, statement: sql.Composed) -> None:
        where = f"host=127.0.0.1 port={self.port} user={self.user} dbname=postgres"
        with psycopg.connect(where, autocommit=True) as connection:
            connection.execute(statement)

    def _run(self, program: str, *arguments: str) -> None:
        done = subprocess.run(
            [*self._as, str(self.bin / program), *arguments],
            cwd=self.directory,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            check=False,
            timeout=120,
        )
        if done.returncode:
            raise Unavailable(f"{program} failed: {done.stderr.decode(errors='replace').strip()[-1000:]}")

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()
