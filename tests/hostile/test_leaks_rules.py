"""What a rule of the region refuses is not there either, in any protocol, for systems and for persons: answered as what
nobody has, not counted, with as many statements, on both databases."""

from collections.abc import Iterator

import pytest

from hub.app.settings.model import Storage
from hub.app.settings.rights import Rights, RightsRule
from hub.testing.postgres import PostgresqlServer
from tests.hostile.leaking import ABOUT_PERSONS, PROBES, plain
from tests.hostile.leaking_people import NEVER, populated
from tests.hostile.leaking_region import Region, Target

#: Nothing is read of anybody who did not say yes.
OPT_IN = RightsRule(name="opt-in", allows=False, why="The region asks first.", consented=False)


@pytest.fixture(scope="module", params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgresql)])
def region(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Region]:
    folder = tmp_path_factory.mktemp("hub")
    url = f"sqlite:///{folder / 'hub.sqlite'}"
    if request.param == "postgresql":
        server: PostgresqlServer = request.getfixturevalue("postgresql_server")
        url = server.url(server.create_database())
    storage = Storage(database=url, content=folder)
    with populated(folder, storage=storage, rights=Rights(rules=(OPT_IN,)), said="IC") as found:
        found.says("hidden", "NA")
        yield found


def nothing(region: Region, name: str) -> Target:
    """For comparison: somebody who said yes and has nothing; else UIDs that nobody has."""
    return region.people["empty"] if name in ABOUT_PERSONS else region.people["hidden"].guessed()


@pytest.mark.parametrize("name", PROBES)
def test_what_is_refused_is_answered_as_what_is_not_there(region: Region, name: str) -> None:
    ask, hidden, other = PROBES[name], region.people["hidden"], nothing(region, name)
    refused = plain(ask(region, hidden), hidden)
    assert refused == plain(ask(region, other), other)
    neighbour = region.people["shown"]
    if name not in NEVER:
        assert plain(ask(region, neighbour), neighbour) != plain(ask(region, other), other)


@pytest.mark.parametrize("name", PROBES)
def test_as_many_statements_whether_it_is_refused_or_not_there(
    region: Region, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    ask, hidden, other = PROBES[name], region.people["hidden"], nothing(region, name)
    counts = []
    for target in (hidden, other):
        ask(region, target)  # what is remembered is remembered now
        with region.counted(monkeypatch) as statements:
            ask(region, target)
        counts.append([statement[:160] for statement in statements])
    assert len(counts[0]) == len(counts[1]), "\n".join(["", *counts[0], "-", *counts[1]])
