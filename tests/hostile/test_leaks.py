"""Nothing tells that there is something to hide: an opposed person's record is answered as what is not there, in every
protocol, from the very next request on; with as many statements to the database."""

import time
from collections.abc import Callable, Iterator

import pytest

from hub.app.wiring import Hub
from hub.imaging.model import StudyState
from tests.hostile import leaking
from tests.hostile.leaking import ABOUT_PERSONS, PROBES, Region, Target, bring_in, plain
from tests.interop.by_hand import Integrator

#: Of these nothing is shown in the first place: the objects have no folders, no related documents.
_NEVER = {
    f"{wire} {name}" for wire in ("ITI-18", "ITI-38") for name in ("GetFoldersForDocument", "GetRelatedDocuments")
}


def eventually(what: Callable[[], object], seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < end, "it did not come to be"
        time.sleep(0.05)


@pytest.fixture(scope="module")
def region(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Region]:
    hub = Hub(leaking.settings(tmp_path_factory.mktemp("hub")))
    hub.start()
    try:
        url = hub.public_url()
        box = {"xds_registry": f"{url}/xds/registry", "xds_repository": f"{url}/xds/repository", "fhir": f"{url}/fhir"}
        with Integrator(box) as vendor:
            found = Region(hub, vendor)
            bring_in(found, "hidden", "PX1", "QUILLERE")
            bring_in(found, "shown", "PX2", "BROCHAND")
            bring_in(found, "empty", "PX3", "ZZTOPNOM")
            for who in ("hidden", "shown"):
                study = found.people[who].study
                eventually(lambda study=study: hub.imaging.indexed(study).state is StudyState.PUBLISHED)  # type: ignore[misc]
            yield found
    finally:
        hub.stop()


@pytest.fixture
def opposed(region: Region) -> Iterator[Region]:
    region.opposes("hidden")
    yield region
    region.relents("hidden")


def nothing(region: Region, name: str) -> Target:
    """For comparison: somebody who is known and has nothing; else UIDs that nobody has."""
    return region.people["empty"] if name in ABOUT_PERSONS else region.people["hidden"].guessed()


@pytest.mark.parametrize("name", PROBES)
def test_what_is_hidden_is_answered_as_what_is_not_there(opposed: Region, name: str) -> None:
    ask, hidden, other = PROBES[name], opposed.people["hidden"], nothing(opposed, name)
    assert plain(ask(opposed, hidden), hidden) == plain(ask(opposed, other), other)
    neighbour = opposed.people["shown"]
    if name not in _NEVER:
        assert plain(ask(opposed, neighbour), neighbour) != plain(ask(opposed, other), other)


@pytest.mark.parametrize("name", PROBES)
def test_an_opposition_counts_at_the_next_request_and_so_does_its_end(region: Region, name: str) -> None:
    ask, hidden = PROBES[name], region.people["hidden"]
    before = plain(ask(region, hidden), hidden)
    region.opposes("hidden")
    try:
        while_opposed = plain(ask(region, hidden), hidden)
    finally:
        region.relents("hidden")
    assert plain(ask(region, hidden), hidden) == before
    assert (while_opposed != before) is (name not in _NEVER)


@pytest.mark.parametrize("name", PROBES)
def test_as_many_statements_whether_it_is_hidden_or_not_there(
    opposed: Region, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    ask, hidden, other = PROBES[name], opposed.people["hidden"], nothing(opposed, name)
    counts = []
    for target in (hidden, other):
        ask(opposed, target)  # what is remembered is remembered now
        with opposed.counted(monkeypatch) as statements:
            ask(opposed, target)
        counts.append([statement[:160] for statement in statements])
    assert len(counts[0]) == len(counts[1]), "\n".join(["", *counts[0], "-", *counts[1]])
