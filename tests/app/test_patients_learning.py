"""``maillage patients train|evaluate|relink`` at a terminal."""

import json
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from hub.app.commands.main import app
from hub.app.patients.evaluation import evaluate, page
from hub.app.patients.matching import weigh
from hub.app.patients.relink import relink
from hub.app.patients.training import SplinkMissing, libraries
from hub.app.settings.model import Matching, Settings
from hub.context import Context
from hub.errors import HubError, Misconfigured
from hub.patients.authorities import AuthorityDirectory
from hub.patients.errors import ModelRefused
from hub.patients.model import Authority, FeedIdentity
from hub.patients.scoring.model import default, read
from hub.patients.service import PatientService
from hub.storage.engine import Database
from hub.testing.population import AUTHORITY, population
from tests.patients.scoring.people import A, B, someone

RUN = CliRunner()


def test_evaluation_says_what_vetoes_are_worth_and_draws_it() -> None:
    found = evaluate(default(), population(31, 3000))
    assert found.records == 3000
    assert found.pairs > 1000
    assert found.met > 0.97
    at = next(point for point in found.points if point.threshold == 0.99)
    assert at.precision >= at.plain_precision
    assert at.recall > 0.95
    recalls = [point.recall for point in found.points]
    assert recalls == sorted(recalls, reverse=True)
    drawn = page(found)
    assert drawn.count("<svg") == drawn.count("</svg>") == 3
    assert "<script" not in drawn
    assert "0.99" in drawn


def test_evaluate_prints_json_and_writes_the_page(tmp_path: Path) -> None:
    html = tmp_path / "model.html"
    done = RUN.invoke(app, ["patients", "evaluate", "--on", "population:5:500", "--html", str(html)])
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["model"] == default().version
    assert html.read_text("utf-8").startswith("<!doctype html>")


@pytest.mark.parametrize("records", [1, 2, 5])
def test_records_that_teach_nothing_are_no_model(tmp_path: Path, records: int) -> None:
    out = tmp_path / "model.json"
    done = RUN.invoke(app, ["patients", "train", "--out", str(out), "--from", f"population:3:{records}"])
    assert isinstance(done.exception, ModelRefused)
    assert not out.exists()


def test_where_nothing_can_be_written_nothing_is_begun(tmp_path: Path) -> None:
    for command in (["train", "--out"], ["evaluate", "--html"]):
        done = RUN.invoke(app, ["patients", *command, str(tmp_path / "nowhere" / "file")])
        assert isinstance(done.exception, FileNotFoundError)
        assert done.output == ""


@pytest.mark.parametrize("source", ["population", "population:x:5", "people:1:5", "DB"])
def test_evaluate_wants_people_whose_truth_is_known(source: str) -> None:
    done = RUN.invoke(app, ["patients", "evaluate", "--on", source])
    assert isinstance(done.exception, HubError)
    assert done.exception.code == "unknown-people"


def test_a_model_of_the_settings_that_is_broken_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "model.json"
    path.write_text("{}")
    with pytest.raises(ModelRefused, match="format"):
        weigh(Matching(enabled=True, model=path))


def test_thresholds_in_order() -> None:
    with pytest.raises(ValueError, match="review must not be above automatic"):
        Settings.model_validate({"patients": {"matching": {"automatic": 0.9, "review": 0.95}}})


def test_without_splink_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "splink", None)
    with pytest.raises(SplinkMissing, match="maillage\\[matching\\]"):
        libraries()


def test_relink_wants_matching_switched_on(tmp_path: Path) -> None:
    path = tmp_path / "maillage.toml"
    path.write_text(f'[storage]\ndatabase = "sqlite:///{tmp_path}/x.sqlite"\ncontent = "{tmp_path}/content"\n')
    done = RUN.invoke(app, ["patients", "relink", "--settings", str(path)])
    assert isinstance(done.exception, Misconfigured)


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_train_writes_a_model_that_is_read_again(tmp_path: Path) -> None:
    pytest.importorskip("splink")
    path = tmp_path / "model.json"
    done = RUN.invoke(
        app, ["patients", "train", "--from", "population:1:3000", "--out", str(path), "--expected", "100000"]
    )
    assert done.exit_code == 0, done.output
    model = read(path)
    assert (model.version, model.trained["expected"]) == ("model", 100000)


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_relink_finds_what_was_fed_before_matching_was_on(database: Database) -> None:
    pytest.importorskip("splink")
    authorities = [Authority(item) for item in (A, B, *(f"{AUTHORITY}.{number}" for number in range(1, 13)))]
    patients = PatientService(
        database=database,
        directory=AuthorityDirectory(database=database, configured=authorities),
        affinity_domain="1.2.250.1.999.1.1",
    )
    people = [identity for _, identity in population(41, 150)]
    pair = [
        patients.feed(FeedIdentity(item), Context()).regional
        for item in (*people, someone(A), someone(B, birth_name="Le Gof"))
    ][-2:]
    assert pair[0] != pair[1]
    settings = Matching(enabled=True)
    patients.weigh = weigh(settings)
    dry = relink(patients, settings, dry_run=True)
    assert dry.identities == 152
    assert dry.automatic >= 1
    assert dry.linked == 0
    done = relink(patients, settings, dry_run=False)
    assert done.pairs == dry.pairs
    assert done.linked >= 1
    joined = patients.person(someone(A).identifier)
    assert joined is not None
    assert {item.identifier.authority for item in joined.identities} == {A, B}
    again = relink(patients, settings, dry_run=False)
    assert again.linked == 0
    assert again.automatic < done.automatic
