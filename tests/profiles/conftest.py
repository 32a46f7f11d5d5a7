"""One running hub of each database for the tests of a module."""

from collections.abc import Iterator

import pytest

from hub.app.wiring import Hub
from hub.testing.postgres import PostgresqlServer
from tests.profiles.running import Region, settings


@pytest.fixture(scope="module", params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgresql)])
def region(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Region]:
    content = tmp_path_factory.mktemp("hub")
    server: PostgresqlServer | None = None
    url = f"sqlite:///{content / 'hub.sqlite'}"
    if request.param == "postgresql":
        server = request.getfixturevalue("postgresql_server")
        name = server.create_database()
        url = server.url(name)
    hub = Hub(settings(url, content))
    hub.start()
    yield Region(hub)
    hub.stop()
    if server is not None:
        server.drop_database(name)
