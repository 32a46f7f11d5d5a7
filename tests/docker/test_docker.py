"""No container engine runs where this is tested: the files are checked against their schema, the steps are run."""

import json
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from ruamel.yaml import YAML

from hub.access.professions import roles_of
from hub.app.provider.sign_in import BACK, SIGNED_OUT
from hub.app.settings.model import Settings
from hub.wire.oidc.claims import situations

ROOT = Path(__file__).parents[2]


def test_compose_file_follows_its_schema() -> None:
    result = subprocess.run(
        [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec", "docker/compose.yaml"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stdout + result.stderr


def test_compose_settings_are_valid() -> None:
    Settings.model_validate(tomllib.loads((ROOT / "docker/config/maillage.toml").read_text()))


def test_the_hub_knows_the_provider_of_the_compose_file() -> None:
    """Addresses, names and secrets of the three files fit together; what the provider tells makes a doctor."""
    compose = YAML(typ="safe").load((ROOT / "docker/compose.yaml").read_text())
    realm = json.loads((ROOT / "docker/config/realm.json").read_text())
    settings = Settings.model_validate(tomllib.loads((ROOT / "docker/config/maillage.toml").read_text()))
    provider, services = settings.pro_sante_connect, compose["services"]
    name = services["identity"]["environment"]["KC_HOSTNAME"]
    assert provider.issuer == f"{name}/realms/{realm['realm']}"
    inside = [provider.discovery, *provider.endpoints.values()]
    assert all(urlsplit(str(url)).hostname in services for url in inside)
    assert all(urlsplit(str(url)).path.startswith(urlsplit(provider.issuer).path) for url in inside)
    (client,) = realm["clients"]
    assert client["clientId"] == provider.client_id
    assert client["redirectUris"] == [settings.web.public_url + BACK]
    assert client["attributes"]["post.logout.redirect.uris"] == settings.web.public_url + SIGNED_OUT
    assert provider.client_secret_file == Path("/run/secrets/oidc")
    assert all("oidc" in services[role]["secrets"] for role in ("web", "feeds"))
    secret = compose["secrets"]["oidc"]["environment"]
    assert client["secret"] == f"${{{secret}}}"
    asked = (ROOT / "docker/env.example").read_text()
    needed = set(re.findall(r"\$\{(\w+)", (ROOT / "docker/compose.yaml").read_text() + json.dumps(realm)))
    assert all(f"{variable}=\n" in asked for variable in needed)
    (scope,) = realm["clientScopes"]
    assert {*client["defaultClientScopes"], "openid"} == {*provider.scope.split()}
    told = {mapper["config"].get("claim.name"): mapper["config"] for mapper in scope["protocolMappers"]}
    assert told.pop("acr")["claim.value"] in provider.acr
    user = realm["users"][0]
    claims = {
        claim: config.get("claim.value") or user[config["user.attribute"]]
        for claim, config in told.items()
        if claim and config["userinfo.token.claim"] == "true"
    }
    (doctor,) = situations(claims)
    assert (doctor.id, doctor.family, doctor.structure) == ("899700000001", "BERNARD", "1690000001")
    assert "clinician" in roles_of(doctor)


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_the_image_builds_in_a_clean_directory(tmp_path: Path) -> None:
    """The Dockerfile's build stage is one RUN: the script that runs here on a clean copy of what git would give."""
    steps = [line for line in (ROOT / "docker/Dockerfile").read_text().splitlines() if line.startswith("RUN /src/")]
    assert steps == ["RUN /src/docker/build.sh /opt/maillage"]
    source = tmp_path / "src"
    source.mkdir()
    for name in ("pyproject.toml", "README.md"):
        shutil.copy(ROOT / name, source / name)
    for name in ("hub", "profiles", "connectors", "docker", "requirements"):
        shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
    target = tmp_path / "opt"
    subprocess.run([source / "docker/build.sh", target, sys.executable], cwd=tmp_path, check=True, timeout=580)
    for command in (["--help"], ["serve", "--help"], ["transactions", "--json"]):
        subprocess.run([target / "bin/maillage", *command], cwd=tmp_path, check=True, capture_output=True, timeout=60)
