"""No container engine runs where this is tested: the files are checked against their schema, the steps are run."""

import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from hub.app.settings.model import Settings

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


def test_nginx_configuration_is_valid(tmp_path: Path) -> None:
    nginx = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")
    if nginx is None:
        pytest.skip("nginx is not installed")
    for name in ("nginx", "ca"):
        subprocess.run(
            ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=test", "-days", "1",
             "-keyout", tmp_path / f"{name}.key", "-out", tmp_path / f"{name}.crt"],
            check=True, capture_output=True,
        )  # fmt: skip
    text = (
        (ROOT / "docker/config/nginx.conf")
        .read_text()
        .replace("/pki/", f"{tmp_path}/")
        .replace("http://web:", "http://127.0.0.1:")
    )
    # Debian 12's nginx knows the older spelling of the same switch.
    text = text.replace("listen 8443 ssl;\n        http2 on;", "listen 8443 ssl http2;").replace(
        "/run/nginx.pid", f"{tmp_path}/pid"
    )
    (tmp_path / "nginx.conf").write_text(text)
    result = subprocess.run([nginx, "-t", "-c", tmp_path / "nginx.conf"], capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
