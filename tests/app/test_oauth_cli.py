"""``maillage oauth``: the commands of the guide, one after the other."""

import json
from pathlib import Path

from typer.testing import CliRunner, Result

from hub.app.commands.main import app
from hub.wire.jose.keys import public_keys, signing_key
from tests.access.oauth_hub import token_hub


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(app, ["oauth", *map(str, arguments)])


def test_a_key_is_made_once(tmp_path: Path) -> None:
    file = tmp_path / "token.pem"
    for algorithm in ("ES256", "RS256", "PS256"):
        file = tmp_path / f"{algorithm}.pem"
        assert run("key", file, "--algorithm", algorithm).exit_code == 0
        assert file.stat().st_mode & 0o777 == 0o600
        assert public_keys(file.with_suffix(".jwks.json").read_bytes())
        assert "d" not in json.loads(file.with_suffix(".jwks.json").read_text())["keys"][0]
    before = file.read_bytes()
    again = run("key", file)
    assert again.exit_code == 1
    assert file.read_bytes() == before
    assert signing_key(before)


def test_a_client_gets_a_token_at_the_terminal(tmp_path: Path) -> None:
    made = tmp_path / "client.pem"
    assert run("key", made).exit_code == 0
    (tmp_path / "hub").mkdir()
    keys = {"ris": made.with_suffix(".jwks.json")}
    with token_hub(tmp_path / "hub", client_keys=keys) as site:
        ask = ("token", site.url, "--ca", site.directory / "ca.crt", "--scope", "system/ImagingStudy.rs")
        by_key = run(*ask, "--client", "ris", "--key", made)
        certificate = ("--cert", site.directory / "pacs.crt", "--cert-key", site.directory / "pacs.key")
        by_certificate = run(*ask, "--client", "pacs", *certificate)
        for answer, node in ((by_key, ""), (by_certificate, "pacs")):
            assert answer.exit_code == 0, answer.output
            with site.caller(node, answer.stdout.strip()) as http:
                assert http.get("/fhir/ImagingStudy").status_code == 200
        refused = run(*ask, "--client", "other", "--key", made)
        assert refused.exit_code == 1
        assert "invalid_client" in refused.output
    assert run(*ask, "--client", "ris", "--key", made).exit_code == 1, "nobody is there any more"
