"""``maillage doctor record``: what is wrong with the national record, in words."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from hub.app.commands.main import app
from hub.app.outside.record_doctor import examine
from hub.app.settings.record import NationalRecord
from hub.testing.dmp.pki import AUTHENTICATION, AUTHORITY, SEAL, STRUCTURE, issue, make_pki
from hub.testing.dmp.server import DmpSimulator
from hub.testing.ports import free_port
from tests.connectors.dmp_site import settings as connector_settings


@pytest.fixture(scope="module")
def dmp(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DmpSimulator]:
    with DmpSimulator(make_pki(tmp_path_factory.mktemp("pki"))) as simulator:
        yield simulator


def record(dmp: DmpSimulator, **changed: Any) -> NationalRecord:
    config = connector_settings(dmp, **changed)
    return NationalRecord(structure=STRUCTURE, structure_name="CH A", config=config)


def said(settings: NationalRecord) -> tuple[list[bool], str]:
    findings = list(examine(settings))
    return [item.good for item in findings], findings[-1].text


def test_all_is_well(dmp: DmpSimulator) -> None:
    good, last = said(record(dmp))
    assert good == [True] * 6
    assert last.startswith("The VIHF: the record reads it")


def test_nothing_is_set() -> None:
    assert said(NationalRecord()) == ([False], "There is no national record: [record.config] is empty.")


def test_what_is_wrong_is_told(dmp: DmpSimulator, tmp_path: Path) -> None:
    pki = dmp.pki
    ended = issue(pki, AUTHENTICATION, "ended", STRUCTURE, name="ended", days=0)
    other = issue(pki, SEAL, "other", "1750999999", name="other")
    seal = pki / f"{SEAL}.crt"
    for changed, words in (
        ({"tls_certificate": ended, "tls_key": ended.with_suffix(".key")}, "tls_certificate: it has expired"),
        ({"seal_certificate": other, "seal_key": other.with_suffix(".key")}, "OU is not the structure"),
        (
            {"tls_certificate": seal, "tls_key": pki / f"{SEAL}.key", "seal_certificate": pki / f"{AUTHENTICATION}.crt",
             "seal_key": pki / f"{AUTHENTICATION}.key"},
            "not for connections",
        ),
        ({"url": f"https://127.0.0.1:{free_port()}/x"}, "The connection: "),
        ({"tls_certificate": tmp_path / "none.crt"}, ""),
        ({"vihf_version": "9.9"}, "misconfigured"),
    ):  # fmt: skip
        good, last = said(record(dmp, **changed))
        assert good[-1] is False
        assert good.count(False) == 1
        assert words in last, changed
    stranger = make_pki(tmp_path / "stranger")
    keys = {"tls_certificate": stranger / f"{AUTHENTICATION}.crt", "tls_key": stranger / f"{AUTHENTICATION}.key"}
    good, last = said(record(dmp, **keys))
    assert good[-1] is False
    assert last.startswith("Mutual TLS: ")
    good, last = said(record(dmp, tls_ca=stranger / f"{AUTHORITY}.crt"))
    assert last.startswith("Mutual TLS: ")


def test_the_command(tmp_path: Path) -> None:
    file = tmp_path / "maillage.toml"
    file.write_text("[region]\nname = 'R'\n")
    answer = CliRunner().invoke(app, ["doctor", "record", "--settings", str(file)])
    assert answer.exit_code == 1
    assert "There is no national record" in answer.output
