"""Fixtures for every test: a clean database of both kinds, a free port; and under CI no test may be skipped."""

import importlib
import os
import pkgutil
import socket
from collections.abc import Generator, Iterator
from pathlib import Path

import pytest

import hub
from hub.storage.engine import Database
from hub.testing.postgres import PostgresqlMissing, PostgresqlServer

CI = os.environ.get("CI", "").lower() in ("1", "true", "yes")


def load_stores() -> None:
    """Import every room's tables."""
    for room in pkgutil.iter_modules(hub.__path__, prefix="hub."):
        if room.ispkg and any(module.name == "store" for module in pkgutil.iter_modules(_path(room.name))):
            importlib.import_module(f"{room.name}.store")


def _path(package: str) -> list[str]:
    return list(importlib.import_module(package).__path__)


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
        load_stores()
        database = Database(request.getfixturevalue("sqlite_url"))
        database.create_all()
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
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _forbid_skip(report: pytest.TestReport | pytest.CollectReport) -> None:
    if CI and report.skipped and not hasattr(report, "wasxfail"):
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longrepr
        report.outcome = "failed"
        report.longrepr = f"Skipped under CI, where everything must run: {reason}"


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
