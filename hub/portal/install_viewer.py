"""``python -m hub.portal.install_viewer``: OHIF from npm at a pinned version and hash, trimmed and patched.

It is packed by npm (so that the machine's own registry settings hold), checked, and laid out for the path ``/ohif/``.
Running it again changes nothing.
"""

import argparse
import hashlib
import shutil
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from hub.errors import Misconfigured, Unavailable

PACKAGE = "@ohif/app"
VERSION = "3.13.2"
SHA512 = (
    "5997719a9986eeba85816f5924b71b82bdd70ad2e2d4a0cd3e831a798e4f3dee"
    "a3e06e1f8c48e393271933a0ba664d85f3b04ac457e9abe8dde715d907d13c10"
)
DESTINATION = Path("build/ohif")
BASE = "/ohif/"
LAYOUT = "2"  #: raised when trimming or patching changes, so that an older installation is renewed
STAMP = ".maillage"
#: Not needed for reading images: neural network runtimes, microscopy, source maps, everything that calls elsewhere.
DROPPED_FOLDERS = ("ort", "dicom-microscopy-viewer", "customizations")
DROPPED_FILES = (
    "sw.js",
    "init-service-worker.js",
    "app-config.js",
    "google.js",
    "silent-refresh.html",
    "oidc-client.min.js",
    "_headers",
    "_redirects",
    "serve.json",
)
PUBLIC_PATH = ('__webpack_require__.p = "/"', f'__webpack_require__.p = "{BASE}"')


def install(destination: Path = DESTINATION, *, archive: Path | None = None) -> bool:
    """Install the viewer. False: it was already there. Raises Misconfigured or Unavailable."""
    stamp = f"{PACKAGE}@{VERSION} {SHA512} layout {LAYOUT}\n"
    marker = destination / STAMP
    if marker.is_file() and marker.read_text() == stamp:
        return False
    with tempfile.TemporaryDirectory() as folder:
        packed = archive or pack(Path(folder))
        check(packed)
        destination.parent.mkdir(parents=True, exist_ok=True)
        fresh = Path(tempfile.mkdtemp(prefix=f".{destination.name}-", dir=destination.parent))
        try:
            unpack(packed, fresh)
            patch(fresh)
            (fresh / STAMP).write_text(stamp)
            fresh.chmod(0o755)
            if destination.exists():
                shutil.rmtree(destination)
            fresh.rename(destination)
        finally:
            shutil.rmtree(fresh, ignore_errors=True)
    return True


def pack(folder: Path) -> Path:
    """The package's archive through npm. Raises Misconfigured without npm, Unavailable when it can't be had."""
    npm = shutil.which("npm")
    if npm is None:
        raise Misconfigured("npm is needed to install the viewer (Debian: apt-get install npm).")
    command = [npm, "pack", f"{PACKAGE}@{VERSION}", "--silent", "--pack-destination", str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600, check=False, cwd=folder)  # noqa: S603
    archives = sorted(folder.glob("*.tgz"))
    if done.returncode != 0 or not archives:
        raise Unavailable(f"npm could not get {PACKAGE}@{VERSION}: is a package registry reachable?")
    return archives[0]


def check(archive: Path) -> None:
    """Refuses an archive that is not the pinned one. Raises Misconfigured."""
    with archive.open("rb") as file:
        found = hashlib.file_digest(file, "sha512").hexdigest()
    if found != SHA512:
        raise Misconfigured(f"{PACKAGE}@{VERSION} does not have the pinned hash: it was not installed.")


def unpack(archive: Path, destination: Path) -> None:
    """What of the archive's ``dist`` folder the hub serves."""
    with tarfile.open(archive) as tar:
        for member, path in _wanted(tar):
            target = destination / path
            target.parent.mkdir(parents=True, exist_ok=True)
            source = tar.extractfile(member)
            if source is None:
                continue
            with source, target.open("wb") as file:
                shutil.copyfileobj(source, file)


def _wanted(tar: tarfile.TarFile) -> Iterator[tuple[tarfile.TarInfo, PurePosixPath]]:
    root = PurePosixPath("package/dist")
    for member in tar:
        name = PurePosixPath(member.name)
        if not member.isfile() or ".." in name.parts or not name.is_relative_to(root):
            continue
        path = name.relative_to(root)
        if path.parts[0] in DROPPED_FOLDERS or path.name in DROPPED_FILES or path.suffix == ".map":
            continue
        yield member, path


def patch(directory: Path) -> None:
    """Moves the build under ``/ohif/`` and takes out its inline scripts and its service worker.

    Raises Misconfigured when the build does not look as expected: a half patched viewer is never installed."""
    index = directory / "index.html"
    html = _without_scripts(index.read_text(encoding="utf-8"))
    html = html.replace('="/', f'="{BASE}')
    if f'src="{BASE}app-config.js"' not in html:
        raise Misconfigured("The viewer's index.html does not load app-config.js.")
    index.write_text(html, encoding="utf-8")
    patched = 0
    for path in directory.glob("*.js"):
        text = path.read_text(encoding="utf-8")
        if PUBLIC_PATH[0] in text:
            patched += 1
            path.write_text(text.replace(*PUBLIC_PATH), encoding="utf-8")
    if not patched:
        raise Misconfigured("The viewer's public path was not found.")
    for path in directory.glob("*.css"):
        text = path.read_text(encoding="utf-8")
        path.write_text(text.replace("url(/", f"url({BASE}"), encoding="utf-8")


def _without_scripts(html: str) -> str:
    """Inline scripts go to app-config.js (the content security policy forbids them), the service worker goes."""
    parts, rest = [], html
    while (start := rest.find("<script")) >= 0:
        end = rest.index("</script>", start) + len("</script>")
        script = rest[start:end]
        parts.append(rest[:start])
        if " src=" in script and "init-service-worker" not in script:
            parts.append(script)
        rest = rest[end:]
    return "".join([*parts, rest])


def main(arguments: list[str] | None = None) -> int:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m hub.portal.install_viewer", description=__doc__.splitlines()[0])
    parser.add_argument("--to", type=Path, default=DESTINATION, help=f"directory (default: {DESTINATION})")
    parser.add_argument("--archive", type=Path, help="an archive that was packed before, instead of npm")
    options = parser.parse_args(arguments)
    try:
        installed = install(options.to, archive=options.archive)
    except (Misconfigured, Unavailable) as error:
        sys.stderr.write(f"{error.message}\n")
        return 1
    sys.stdout.write(f"{PACKAGE} {VERSION} {'installed in' if installed else 'was already in'} {options.to}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
