"""A real OpenID provider (npm ``oidc-provider``) with Pro Santé Connect's claims. npm fetches it into ``build/``."""

import hashlib
import json
import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import httpx
import pytest

from tests.wire.oidc.people import ONE_PLACE, TWO_PLACES, claims

HERE = Path(__file__).parent / "oidc"
BUILD = Path(__file__).parents[2] / "build"
FETCH_SECONDS = 600
CLIENT, SECRET = "maillage", "a secret of the tests / with + signs"
NUMBER, NURSE = "899700000001", "899700000002"
DOCTOR_ID, NURSE_ID = f"f:550dc1c8:{NUMBER}", f"f:550dc1c8:{NURSE}"
STRANGER_ID = "f:550dc1c8:899700000003"  #: of a profession that has no role
PEOPLE = {
    DOCTOR_ID: TWO_PLACES,
    NURSE_ID: ONE_PLACE,
    STRANGER_ID: claims(number="899700000003", SubjectRole=["1^1.2.3"], SubjectRefPro={"exercices": []}),
}


@cache
def installed() -> Path:
    """The directory where the provider can be run. Skips the test where npm is missing, or can fetch nothing."""
    npm = shutil.which("npm")
    if npm is None or shutil.which("node") is None:
        pytest.skip("node or npm is not installed (package npm)")
    files = sorted(HERE.iterdir())
    digest = hashlib.sha256(b"\0".join(file.read_bytes() for file in files)).hexdigest()[:12]
    target = BUILD / f"oidc-provider-{digest}"
    if target.is_dir():
        return target
    BUILD.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=BUILD) as scratch:
        made = Path(scratch) / "made"
        shutil.copytree(HERE, made)
        command = [npm, "ci", "--silent", "--ignore-scripts", "--no-audit", "--no-fund"]
        done = subprocess.run(command, cwd=made, capture_output=True, timeout=FETCH_SECONDS, check=False)
        if done.returncode:
            pytest.skip("npm can't fetch oidc-provider: is a package registry reachable?")
        try:
            made.rename(target)
        except OSError:  # another test process was faster
            if not target.is_dir():
                raise
    return target


class OpenIdProvider:
    """One running provider."""

    def __init__(self, people: Mapping[str, Mapping[str, Any]] = PEOPLE) -> None:
        directory = installed()
        self._process = subprocess.Popen(
            ["node", "provider.mjs"], cwd=directory, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps({"people": people}) + "\n")
        self._process.stdin.flush()
        self.issuer: str = json.loads(self._process.stdout.readline())["issuer"]

    def register(self, hub: str, **more: Any) -> None:
        """The hub at this URL is a client."""
        self.steer(
            "client",
            client_id=CLIENT,
            client_secret=SECRET,
            redirect_uris=[f"{hub}/portal/sign-in/provider/back"],
            post_logout_redirect_uris=[f"{hub}/portal/sign-in?bye=1"],
            backchannel_logout_uri=f"{hub}/portal/sign-in/provider/logout",
            backchannel_logout_session_required=True,
            grant_types=["authorization_code", "refresh_token", "urn:openid:params:grant-type:ciba"],
            backchannel_token_delivery_mode="poll",
            userinfo_signed_response_alg="RS256",
            **more,
        )

    def steer(self, what: str, **given: Any) -> Any:
        """Do what no client can."""
        return httpx.post(f"{self.issuer}/test/{what}", json=given, timeout=30).raise_for_status().json()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._process.terminate()
        self._process.communicate(timeout=30)
