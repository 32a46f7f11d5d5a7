"""``maillage access``: the matrix and its explanations, on a database with a patient who opposes."""

from pathlib import Path

from typer.testing import CliRunner

from hub.access.rights_model import Choice, Matter, Said
from hub.access.rules import RULES
from hub.app.commands.main import app
from hub.app.settings.model import Authority, Settings, Storage
from hub.app.settings.roles import Role
from hub.app.wiring import Hub
from hub.context import Context
from hub.errors import HubError
from hub.patients.model import FeedIdentity
from tests.patients.conftest import A, identity


def run(*arguments: str) -> str:
    found = CliRunner().invoke(app, ["access", *arguments])
    assert found.exit_code == 0, found.output
    return found.output


def test_the_matrix() -> None:
    printed = run("rules")
    assert all(rule.name in printed for rule in RULES)


def test_explanations(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'hub.sqlite'}"
    file = tmp_path / "maillage.toml"
    file.write_text(f'[storage]\ndatabase = "{url}"\ncontent = "{tmp_path / "content"}"\n')
    hub = Hub(
        Settings(
            authorities=(Authority(namespace="HOSP_A", oid=A),),
            storage=Storage(database=url, content=tmp_path / "content"),
        )
    )
    hub.start({Role.WORKER})
    try:
        said = (Said(Matter.CONSULTATION, Choice.OPPOSITION),)
        hub.patients.feed(FeedIdentity(identity("1", A), said=said), Context())
    finally:
        hub.stop()
    known = ("--settings", str(file), "--professional", "899700000001", "--patient", f"1^^^&{A}&ISO")
    printed = run("explain", *known)
    assert "hidden opposition" in printed
    assert "shown  identity" in printed
    assert "shown  author" in run("explain", *known, "--author", "899700000001")
    glass = ("--purpose", "bris_de_glace", "--code", "N")
    assert "hidden break-glass-without-reason" in run("explain", *known, *glass)
    assert "shown  break-glass" in run("explain", *known, *glass, "--reason", "Unconscious")
    for mistyped in (("--purpose", "bris-de-glace"), ("--role", "clinican")):
        assert CliRunner().invoke(app, ["access", "explain", *known, *mistyped]).exit_code == 2, mistyped
    nobody = CliRunner().invoke(app, ["access", "explain", *known[:-1], f"nobody^^^&{A}&ISO"])
    assert isinstance(nobody.exception, HubError)
    assert nobody.exception.code == "patient-not-known"
    with file.open("a") as settings:
        settings.write('[[rights.rules]]\nname = "ours"\nallows = false\nwhy = "Our nurses."\nprofessions = ["60"]\n')
    assert "hidden ours: Our nurses." in run("explain", *known, "--profession", "60")
    assert "hidden opposition" in run("explain", *known, "--profession", "10")
