"""A card for tests: key and certificate in a PKCS#11 token (SoftHSM), as curl, openssl and browsers use one."""

import os
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

PIN = "1234"
LABEL = "CPS"
MODULES = (Path("/usr/lib/softhsm/libsofthsm2.so"),)
ENGINES = ("/usr/lib/*/engines-3/pkcs11.so",)
_TOOLS = ("softhsm2-util", "pkcs11-tool", "openssl", "curl")


def module() -> Path:
    """SoftHSM's library; skips where something that drives it is missing."""
    missing = [tool for tool in _TOOLS if shutil.which(tool) is None]
    missing += [] if MODULES[0].exists() else ["softhsm2"]
    missing += [] if _engine() else ["libengine-pkcs11-openssl"]
    if missing:
        pytest.skip(f"not installed: {', '.join(missing)}")
    return MODULES[0]


def _engine() -> Path | None:
    return next(iter(Path("/").glob(ENGINES[0].removeprefix("/"))), None)


@dataclass(frozen=True)
class TokenCard:
    """A token in a directory of its own; ``environment`` is what a process needs to see it."""

    directory: Path

    @property
    def environment(self) -> Mapping[str, str]:
        """Settings of SoftHSM and of OpenSSL's engine."""
        return {
            **os.environ,
            "SOFTHSM2_CONF": str(self.directory / "softhsm.conf"),
            "OPENSSL_CONF": str(self.directory / "openssl.cnf"),
        }

    @property
    def key(self) -> str:
        """The key's address."""
        return f"pkcs11:token={LABEL};object=auth;type=private;pin-value={PIN}"

    @property
    def certificate(self) -> str:
        """The certificate's address."""
        return f"pkcs11:token={LABEL};object=auth;type=cert"

    def run(self, *command: str, given: bytes = b"", seconds: float = 60) -> subprocess.CompletedProcess[bytes]:
        """Run a program that sees the card."""
        return subprocess.run(
            command, input=given, capture_output=True, env=self.environment, timeout=seconds, check=False
        )


def write_card(directory: Path, certificate: Path) -> TokenCard:
    """A new token that holds this key pair; the key can't be read out of it again."""
    library = module()
    (directory / "tokens").mkdir(parents=True)
    (directory / "softhsm.conf").write_text(
        f"directories.tokendir = {directory / 'tokens'}\nobjectstore.backend = file\n"
    )
    (directory / "openssl.cnf").write_text(
        "openssl_conf = conf\n[conf]\nengines = engines\n[engines]\npkcs11 = pkcs11\n[pkcs11]\nengine_id = pkcs11\n"
        f"dynamic_path = {_engine()}\nMODULE_PATH = {library}\ninit = 0\n"
    )
    card = TokenCard(directory)
    key, der = certificate.with_suffix(".key"), directory / "auth.der"
    done = [
        card.run("softhsm2-util", "--init-token", "--free", "--label", LABEL, "--pin", PIN, "--so-pin", PIN),
        card.run(
            "softhsm2-util", "--import", str(key), "--token", LABEL, "--label", "auth", "--id", "20", "--pin", PIN
        ),
        card.run("openssl", "x509", "-in", str(certificate), "-outform", "DER", "-out", str(der)),
        card.run(
            *("pkcs11-tool", "--module", str(library), "--login", "--pin", PIN, "--write-object", str(der)),
            *("--type", "cert", "--label", "auth", "--id", "20"),
        ),
    ]
    for one in done:
        assert one.returncode == 0, (one.args, one.stdout, one.stderr)
    return card
