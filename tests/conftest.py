"""Fixtures for every test: a clean database of both kinds, a free port; and under CI no test may be skipped."""

import gc
import os
import shutil
import sys
from collections.abc import Generator, Iterator
from pathlib import Path

import pytest
from _pytest.terminal import TerminalReporter
from playwright.sync_api import Playwright, sync_playwright

from hub.storage.engine import Database
from hub.storage.migrate import load_stores
from hub.testing import ports
from hub.testing.postgres import PostgresqlMissing, PostgresqlServer
from hub.testing.sandbox import SandboxProcess
from tests import tapped
from tests.turns import in_turn

UNCHECKED = pytest.StashKey[str]()
CI = os.environ.get("CI", "").lower() in ("1", "true", "yes")


@pytest.fixture(scope="session")
def playwright() -> Iterator[Playwright]:
    """What starts browsers: one per process, it refuses to be started twice."""
    with sync_playwright() as playwright:
        yield playwright


@pytest.fixture(scope="session")
def postgresql_server() -> Iterator[PostgresqlServer]:
    """One PostgreSQL server per test process. Skips, with the reason, where PostgreSQL is missing."""
    try:
        server = PostgresqlServer()
    except PostgresqlMissing as error:
        pytest.skip(f"{error.message} `python -m tests.setup` tells how to get it.")
    try:
        yield server.start()
    finally:
        server.stop()


@pytest.fixture(scope="session")
def postgresql_template(postgresql_server: PostgresqlServer) -> str:
    """Name of a database that holds every table: copied for each test."""
    load_stores()
    name = postgresql_server.create_database()
    database = Database(postgresql_server.url(name))
    database.create_all()
    database.dispose()
    return name


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file that holds every table: copied for each test."""
    load_stores()
    path = tmp_path_factory.mktemp("template") / "hub.sqlite"
    database = Database(f"sqlite:///{path}")
    database.create_all()
    database.dispose()
    return path


@pytest.fixture
def sqlite_url(tmp_path: Path) -> str:
    """URL of an empty SQLite file."""
    return f"sqlite:///{tmp_path / 'hub.sqlite'}"


@pytest.fixture
def postgresql_url(postgresql_server: PostgresqlServer) -> Iterator[str]:
    """URL of an empty PostgreSQL database."""
    name = postgresql_server.create_database()
    yield postgresql_server.url(name)
    postgresql_server.drop_database(name)


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgresql)])
def database(request: pytest.FixtureRequest) -> Iterator[Database]:
    """A clean database with every table, once of each kind."""
    if request.param == "sqlite":
        database = Database(request.getfixturevalue("sqlite_url"))
        shutil.copyfile(request.getfixturevalue("sqlite_template"), str(database.url.database))
        yield database
        database.dispose()
        return
    template = request.getfixturevalue("postgresql_template")
    server: PostgresqlServer = request.getfixturevalue("postgresql_server")
    name = server.create_database(template=template)
    database = Database(server.url(name), pool_size=5)
    yield database
    database.dispose()
    server.drop_database(name)


@pytest.fixture
def free_port() -> int:
    """A loopback port that was free a moment ago. Where possible bind port 0 instead."""
    return ports.free_port()


def _forbid_skip(report: pytest.TestReport | pytest.CollectReport) -> None:
    if CI and report.skipped and not hasattr(report, "wasxfail"):
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longrepr
        report.outcome = "failed"
        report.longrepr = f"Skipped under CI, where everything must run: {reason}"


class _Descriptors:
    """What earlier tests left open in cycles is closed in time: pynetdicom's clients (``select``) can't use a
    descriptor beyond 1023, and the collector comes by seldom where so much is loaded."""

    folder = Path("/proc/self/fd")
    step = 200
    most = 400

    def look(self) -> None:
        if self.count() > self.most:
            gc.collect()
            self.most = self.count() + self.step

    def count(self) -> int:
        return sum(1 for _ in self.folder.iterdir()) if self.folder.is_dir() else 0


_DESCRIPTORS = _Descriptors()


@pytest.hookimpl(trylast=True)
def pytest_runtest_teardown() -> None:
    """After each test's own teardown."""
    _DESCRIPTORS.look()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Under CI a skipped test is a failed one."""
    report = yield
    _forbid_skip(report)
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    """Under CI a skipped module is a failed one."""
    report = yield
    _forbid_skip(report)
    return report


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Beside others the files take turns."""
    if hasattr(config, "workerinput"):
        items[:] = in_turn(items)


# Every SOAP message that is sent in a test is checked by the public schemas (``tests/tapped.py``).

INVALID = Path(__file__).parents[1] / "build" / "invalid-messages"
#: Exit code, beside pytest's own.
NOT_VALID = 10


def pytest_configure(config: pytest.Config) -> None:
    """Tap this process and the sandboxes that it starts."""
    try:
        tapped.fetch()
    except pytest.skip.Exception as error:  # who needs them skips, with the same reason
        config.stash[UNCHECKED] = str(error)
        return
    if not hasattr(config, "workerinput"):
        shutil.rmtree(INVALID, ignore_errors=True)
    os.environ[tapped.VARIABLE] = str(INVALID)
    tapped.install(INVALID)
    SandboxProcess.command = (sys.executable, "-m", "tests.tapped")


def pytest_sessionfinish(session: pytest.Session) -> None:
    """A message that is not valid fails the session, in a way that ``tests/again.py`` doesn't take for failed tests."""
    if not hasattr(session.config, "workerinput") and any(INVALID.glob("*")):
        session.exitstatus = NOT_VALID


def pytest_terminal_summary(terminalreporter: TerminalReporter, config: pytest.Config) -> None:
    """Which messages were not valid, or why none was checked."""
    if reason := config.stash.get(UNCHECKED, ""):
        terminalreporter.write_line(f"messages were not checked by the public schemas: {reason}", yellow=True)
    found = sorted(INVALID.glob("*"))
    for path in found[:20]:
        terminalreporter.write_line(f"not valid: {path.name}: {path.read_text(errors='replace')[:1000]}", red=True)
    if found:
        terminalreporter.write_line(f"{len(found)} messages that the hub sent are not valid: {INVALID}", red=True)
