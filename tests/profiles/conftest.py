"""One running hub of each database for the tests of a module."""

from collections.abc import Iterator

import pytest

from tests.profiles.running import Region, running


@pytest.fixture(scope="module", params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgresql)])
def region(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Region]:
    with running(request, tmp_path_factory) as found:
        yield found
