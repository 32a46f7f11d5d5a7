"""The command as people type it: what it prints, and its exit codes."""

import json
import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from hub.app.keys import pki

WRONG = '[web]\nport = "x"\n\n[[sources]]\nname = "A"\nkind = "dicomweb"\nconfig = { uri = "http://127.0.0.1/" }\n'
ROOT = Path(__file__).parents[2]


def maillage(*arguments: str, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    environment = {key: value for key, value in os.environ.items() if not key.startswith("MAILLAGE")}
    return subprocess.run(
        [sys.executable, "-c", "from hub.app.commands.entry import main; main()", *arguments],
        cwd=cwd,
        env={**environment, "NO_COLOR": "1", "TERM": "dumb"},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


@pytest.mark.parametrize("module", ["hub.app.commands.main", "hub.app.settings.sources", "typer.core"])
def test_ctrl_c_ends_it_quietly_while_it_is_loading(module: str) -> None:
    entry = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["scripts"]["maillage"]
    script = f"""
import os, signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)  # who starts the tests may have it ignored
class Interrupt:
    def find_spec(self, name, *_):
        if name == {module!r}:
            os.kill(os.getpid(), signal.SIGINT)
sys.meta_path.insert(0, Interrupt())
from {entry.replace(":", " import ")}
main()
"""
    done = subprocess.run([sys.executable, "-c", script, "check"], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "")


def test_help_tells_every_command() -> None:
    done = maillage("--help")
    assert done.returncode == 0
    for command in ("serve", "check", "health", "transactions", "db", "pki", "imaging", "sandbox", "docs", "demo"):
        assert command in done.stdout


@pytest.mark.parametrize(
    ("command", "said"),
    [
        (("pki",), "[[clients]]"),
        (("pki", "show"), "[[clients]]"),
        (("doctor",), "[record]"),
        (("doctor", "record"), "[record]"),
    ],
)
def test_help_keeps_the_tables_of_the_settings(command: tuple[str, ...], said: str) -> None:
    shown = maillage(*command, "--help").stdout
    assert said in shown
    assert "`" not in shown


def test_check_names_every_mistake(tmp_path: Path) -> None:
    file = tmp_path / "wrong.toml"
    file.write_text(WRONG)
    done = maillage("check", "--settings", str(file))
    assert done.returncode == 1
    assert "line 2: web.port" in done.stdout
    file.write_text(WRONG.replace('"x"', "80"))
    done = maillage("check", "--settings", str(file))
    assert done.returncode == 1
    assert "line 7: sources[0].config.uri: there is no such setting; did you mean url?" in done.stdout
    assert "sources[0].config.url: is required" in done.stdout
    file.write_text(WRONG.replace('"x"', "80").replace("dicomweb", "telepathy"))
    assert "line 6: sources[0].kind: no such connector" in maillage("check", "--settings", str(file)).stdout


def test_what_is_told_keeps_its_brackets(tmp_path: Path) -> None:
    file = tmp_path / "nobody.toml"
    file.write_text("[web]\nport = 80\n")
    assert "[[clients]]" in maillage("check", "--settings", str(file)).stdout


def test_check_warns_of_open_doors(tmp_path: Path) -> None:
    file = tmp_path / "open.toml"
    file.write_text("[security]\nnode_authentication = false\n")
    done = maillage("check", "--settings", str(file))
    assert done.returncode == 0
    assert "warning security.node_authentication is off" in done.stdout


def test_serve_refuses_wrong_settings(tmp_path: Path) -> None:
    file = tmp_path / "wrong.toml"
    file.write_text(WRONG)
    done = maillage("serve", "--settings", str(file))
    assert done.returncode == 1
    assert "line 2: web.port" in done.stderr


def test_transactions_as_table_and_as_json() -> None:
    rows = json.loads(maillage("transactions", "--json").stdout)
    found = {row["id"]: row for row in rows}
    assert found["ITI-18"]["bindings"][0]["wire"] == "soap"
    assert found["ITI-8"]["permission"]
    table = maillage("transactions").stdout
    assert all(name in table for name in found)
    lines = {line.split()[0]: line for line in table.splitlines()}
    assert list(lines).index("ITI-8") < list(lines).index("ITI-18") < list(lines).index("ITI-41")
    assert "xds_b.iti18_registry_stored_query" in lines["ITI-18"]
    assert len(table.splitlines()) == len(found) + 1


def test_the_database_is_upgraded_once(tmp_path: Path) -> None:
    file = tmp_path / "maillage.toml"
    file.write_text(f'[storage]\ndatabase = "sqlite:///{tmp_path}/hub.sqlite"\n')
    assert maillage("db", "current", cwd=tmp_path).returncode == 1
    assert maillage("db", "upgrade", cwd=tmp_path).returncode == 0
    assert "upgraded by 0" in maillage("db", "upgrade", cwd=tmp_path).stdout
    assert maillage("db", "current", cwd=tmp_path).returncode == 0


def test_certificates_for_nodes(tmp_path: Path) -> None:
    directory = tmp_path / "pki"
    assert maillage("pki", "node", "his", "-d", str(directory)).returncode == 1
    assert maillage("pki", "init", "-d", str(directory), "--node", "hub").returncode == 0
    assert maillage("pki", "node", "his", "-d", str(directory), "--host", "his.example").returncode == 0
    shown = maillage("pki", "show", "-d", str(directory)).stdout
    assert pki.fingerprint(directory / "his.crt") in shown
    assert "hub" in shown


def test_health_of_a_hub_that_does_not_run(tmp_path: Path, free_port: int) -> None:
    file = tmp_path / "maillage.toml"
    file.write_text(f"[web]\nport = {free_port}\n[health]\nport = 0\n")
    done = maillage("health", cwd=tmp_path)
    assert done.returncode == 1
    assert json.loads(done.stdout) == {"status": "not-running"}


@pytest.mark.parametrize("arguments", [("sandbox", "--source", "x"), ("sandbox", "--seed", "x")])
def test_the_sandbox_refuses_what_it_can_not_read(arguments: tuple[str, ...]) -> None:
    done = maillage(*arguments)
    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr
