"""IPF's XDS clients (Java, CXF; assertions signed by the JDK) as senders of assertions (ITI-40) to a closed sandbox."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from hub.testing.sandbox import SandboxProcess
from tests import java
from tests.interop.outsider import Outsider
from tests.interop.outsiders_patient import arrive
from tests.interop.outsiders_view import Left, people

pytestmark = [pytest.mark.interop, pytest.mark.timeout(600)]  # the artifacts are fetched once
PROJECT = Path(__file__).parent / "ipf"
USER, NAME = "899700000077", "LEROUX Jeanne"
ACCEPTED = ("ITI-41", "ITI-18", "ITI-43")
#: Scenario -> the reason that the trail has.
REFUSED = {
    "expired": "assertion-expired",
    "altered": "assertion-signature: The assertion was changed",
    "another key": "assertion-signature",
    "replayed": "assertion-replayed",
}


@dataclass(frozen=True)
class Played:
    """What IPF was answered, and what the trail gained meanwhile."""

    told: dict[str, str]
    events: list[dict[str, Any]]
    outside: Outsider
    since: str

    def of(self, *, failure: bool) -> list[dict[str, Any]]:
        """The events, oldest first."""
        return [event for event in reversed(self.events) if (event["outcome"] != "0") is failure]


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Played]:
    java.program(PROJECT)  # skips before anything is started
    with SandboxProcess() as box:
        outside = Outsider(box.description, tmp_path_factory.mktemp("ipf-xua"))
        number, _, domain = arrive(outside).regional.partition("^^^&")
        saml = box["saml"]
        given = {
            "registry": box["xds_registry"],
            "repository": box["xds_repository"],
            "imaging": box["xds_imaging"],
            "repositoryUniqueId": box["repository_unique_id"],
            "domain": domain.removesuffix("&ISO"),
            "patient": number,
            "ca": box["ca"],
            "client_cert": box["client_cert"],
            "client_key": box["client_key"],
            "saml_cert": saml["cert"],
            "saml_key": saml["key"],
            "issuer": saml["issuer"],
            "audience": saml["audience"],
            "user": USER,
            "name": NAME,
            "refusal": "401",  # CXF reads no fault that comes with it
        }
        left = Left(outside)
        output = java.run(PROJECT, "Xua", "".join(f"{key}={value}\n" for key, value in given.items()), seconds=240)
        told = dict(line.split("\t", 1) for line in output.splitlines())
        yield Played(told, left.events(), outside, left.since)


@pytest.mark.parametrize("scenario", [*ACCEPTED, *REFUSED])
def test_ipf(played: Played, scenario: str) -> None:
    assert played.told[scenario] == "ok"


def test_every_scenario_is_known(played: Played) -> None:
    assert tuple(played.told) == (*ACCEPTED, *REFUSED)


def test_the_trail_names_the_user_of_what_was_accepted(played: Played) -> None:
    accepted = played.of(failure=False)
    assert [event["subtype"][0]["code"] for event in accepted] == [*ACCEPTED, "ITI-18"]  # the last: not yet replayed
    for event in accepted:
        assert people(event)[USER] == NAME
        assert "sandbox" in people(event)  # the system, by its certificate
        assert event["purposeOfEvent"][0]["coding"][0]["code"] == "normal"
    found = played.outside.trail(played.since, user=USER, subtype="ITI-43")
    assert [row["id"] for row in found] == [accepted[2]["id"]]


def test_each_refusal_is_told_once(played: Played) -> None:
    refused = played.of(failure=True)
    assert [event["subtype"][0]["code"] for event in refused] == ["ITI-18"] * len(REFUSED)
    for event, reason in zip(refused, REFUSED.values(), strict=True):
        assert event["outcomeDesc"].startswith(reason)
        assert not people(event).keys() & {USER, "899700000666"}  # nobody is named by words that nobody vouched for
