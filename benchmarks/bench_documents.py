"""Documents through ITI-41 and ITI-43: one of 1 GiB beside nginx with the same bytes, 10,000 in one answer, and
durable submissions a second (ITI-41, ITI-42)."""

import hashlib
import http.client
import itertools
import os
import random
import shutil
import statistics
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Self
from urllib.parse import urlsplit

from sqlalchemy import insert

from benchmarks.figures import Figure, cpu_seconds, peak_mb
from benchmarks.registry_filler import AFFINITY_DOMAIN, document, fill, patient_number, submission
from hub.app.demo import ask
from hub.documents.rows import entry_row
from hub.documents.store import ENTRY
from hub.storage.content import ContentStore
from hub.storage.engine import Database
from hub.testing.ports import free_port
from hub.testing.postgres import PostgresqlMissing, PostgresqlServer
from hub.testing.sandbox import SandboxProcess
from hub.wire.ebxml.submissions import write_provided, write_submission
from hub.wire.soap.message import Outgoing
from hub.wire.soap.names import ANONYMOUS
from hub.wire.soap.writing import build_envelope, mtom_package, plain_type
from hub.wire.xml import serialise

PROVIDE = "urn:ihe:iti:2007:ProvideAndRegisterDocumentSet-b"
REGISTER = "urn:ihe:iti:2007:RegisterDocumentSet-b"
SUCCESS = b"ResponseStatusType:Success"
MEMORY_MB = 300.0
SENDERS = 8
ROUNDS = 3
PATIENTS = 50
ENTRIES = 1_000


def run(*, quick: bool) -> Iterator[Figure]:
    size, many, submissions = (8 << 20, 200, 40) if quick else (1 << 30, 10_000, 1_600)
    yield from _large(size)
    yield from _many(many)
    with tempfile.TemporaryDirectory() as folder:
        yield from _submitted("SQLite", f"sqlite:///{folder}/hub.sqlite", submissions)
    try:
        server = PostgresqlServer(durable=True)
    except PostgresqlMissing as error:
        yield Figure("documents", "PostgreSQL", 0.0, "submissions/s", note=f"not measured: {error.message}")
        return
    with server:
        yield from _submitted("PostgreSQL", server.url(server.create_database()), submissions)


def _box(url: str, folder: str | Path) -> SandboxProcess:
    return SandboxProcess("--open", "--db", url, "--data", str(folder), "--affinity-domain", AFFINITY_DOMAIN)


def _large(size: int) -> Iterator[Figure]:
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        root.chmod(0o755)  # nginx's worker is another user
        url = f"sqlite:///{root}/hub.sqlite"
        fill(url, ENTRIES)
        with _box(url, root / "hub") as box, Nginx(root / "nginx") as nginx:
            idle = peak_mb(box.process.pid)
            before = cpu_seconds(box.process.pid)
            _write(root / "document", size)
            rounds = [_up_and_down(root, root / "document", number, box, nginx) for number in range(ROUNDS)]
            used = (cpu_seconds(box.process.pid) - before) / ROUNDS
            peak = peak_mb(box.process.pid)
            limit = statistics.median(_sha1(root / "document") for _ in range(ROUNDS))
    bare_up, up, bare_down, down = (statistics.median(values) for values in zip(*rounds, strict=True))
    what = f"one document of {size >> 20} MiB, one client (curl), median of {ROUNDS} rounds in turn"
    yield Figure(
        "documents", "ITI-41 of a large document", up, "MB/s", "nginx, the same body into a file", bare_up,
        "at least 0.5", up >= 0.5 * bare_up,
        f"{what}; hashed, registered and on the disk before Success, nginx syncs nothing; the hub's own CPU: "
        f"{used:.1f} s for both ways",
    )  # fmt: skip
    yield Figure(
        "documents", "ITI-41 of a large document, beside its limit", up, "MB/s", "SHA-1 of the same bytes alone", limit,
        note="XDS wants the SHA-1, which takes one core: nothing that is asked of ITI-41 can be faster",
    )  # fmt: skip
    yield Figure(
        "documents", "ITI-43 of a large document", down, "MB/s", "nginx, the same file", bare_down,
        "at least 0.5", down >= 0.5 * bare_down, what,
    )  # fmt: skip
    yield Figure(
        "documents", "peak memory of the hub after both", peak, "MB", "before", idle, f"under {MEMORY_MB:.0f} MB",
        peak < MEMORY_MB, "VmHWM of the whole sandbox process",
    )  # fmt: skip


def _up_and_down(
    root: Path, data: Path, number: int, box: SandboxProcess, nginx: "Nginx"
) -> tuple[float, float, float, float]:
    """MB/s up to nginx, up to the hub, down from nginx, down from the hub: of one document that is new to both."""
    given, content_type, entry = _package(root, data, number)
    size = data.stat().st_size
    put = ("-X", "POST", "-T", str(given), "-H", "Expect:")
    bare_up = _curl(*put, f"{nginx.url}/upload", size=size, up=True)
    up = _curl(*put, "-H", f"Content-Type: {content_type}", box["xds_repository"], size=size, up=True)
    shutil.copy(data, nginx.files / "document")
    bare_down = _curl("-o", "/dev/null", f"{nginx.url}/document", size=size)
    wanted = {"repository": box["repository_unique_id"], "unique_id": entry}
    asked, asked_type = _request(root, box, [wanted])
    down = _curl(
        "-o", "/dev/null", "-H", f"Content-Type: {asked_type}", "--data-binary", f"@{asked}", box["xds_repository"],
        size=size,
    )  # fmt: skip
    return bare_up, up, bare_down, down


def _sha1(path: Path) -> float:
    """MB/s."""
    with path.open("rb") as file:
        started = time.perf_counter()
        hashlib.file_digest(file, "sha1")
        return path.stat().st_size / (time.perf_counter() - started) / 1e6


def _many(count: int) -> Iterator[Figure]:
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        url = f"sqlite:///{root}/hub.sqlite"
        fill(url, ENTRIES)
        with _box(url, root / "hub") as box:
            repository = box["repository_unique_id"]
            wanted = [
                {"repository": repository, "unique_id": unique_id}
                for unique_id in _register_many(url, root / "hub" / "content", repository, count)
            ]
            asked, asked_type = _request(root, box, wanted)
            handles = _Handles(box.process.pid)
            started = time.perf_counter()
            with handles:
                answer = root / "answer"
                _curl(
                    "-o", str(answer), "-H", f"Content-Type: {asked_type}", "--data-binary", f"@{asked}",
                    box["xds_repository"], size=count * 2000,
                )  # fmt: skip
            elapsed = time.perf_counter() - started
            given = answer.read_bytes().count(b"Content-Type: text/xml\r\n")
            if given != count:
                raise RuntimeError(f"{given} documents came of {count}")
            peak = peak_mb(box.process.pid)
    yield Figure(
        "documents", f"{count:,} documents in one ITI-43", count / elapsed, "documents/s",
        note=f"{elapsed:.1f} s from the request to the last byte; at most {handles.most} file handles",
    )  # fmt: skip
    yield Figure(
        "documents", f"peak memory of the hub, {count:,} documents", peak, "MB",
        goal=f"under {MEMORY_MB:.0f} MB", met=peak < MEMORY_MB,
    )  # fmt: skip


def _register_many(url: str, content: Path, repository: str, count: int) -> list[str]:
    """Documents of one patient as rows and files: what ITI-41 would leave."""
    choose = random.Random(count)
    store = ContentStore(content)
    database = Database(url)
    rows = []
    for number in range(count):
        data = f"<document number='{number}'>".encode() + bytes(2000) + b"</document>"
        address = hashlib.sha1(data, usedforsecurity=False).hexdigest()
        path = store.directory / address[:2] / address[2:4] / address
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        made = document(patient_number(0), choose)
        entry = replace(made, size=len(data), repository_unique_id=repository, mime_type="text/xml")
        rows.append(entry_row(entry, address, datetime(2026, 1, 1, tzinfo=UTC)))
    with database.transaction() as work:
        work.connection.execute(insert(ENTRY), rows)
    database.dispose()
    return [row["unique_id"] for row in rows]


def _submitted(database: str, url: str, count: int) -> Iterator[Figure]:
    fill(url, ENTRIES)
    with tempfile.TemporaryDirectory() as folder, _box(url, folder) as box:
        for name, action, place in (
            ("ITI-42", REGISTER, box["xds_registry"]),
            ("ITI-41", PROVIDE, box["xds_repository"]),
        ):
            try:
                rate, used = _submit(box.process.pid, place, action, count)
            except RuntimeError as error:
                raise RuntimeError(f"{error}; the hub's log ends with: {box.log[-2000:]}") from error
            yield Figure(
                "documents", f"{name}, {database}, {SENDERS} connections", rate, "submissions/s",
                note=f"one document each{' of 2 KB' if name == 'ITI-41' else ''}, all on the disk before Success; "
                f"the hub's own CPU: {used:.1f} ms a submission",
            )  # fmt: skip


def _submit(process: int, url: str, action: str, count: int) -> tuple[float, float]:
    share = count // SENDERS
    batches = [[_submission(action, number, patient) for patient in range(share)] for number in range(SENDERS)]
    done: list[int] = []

    def sender(batch: list[tuple[str, bytes]]) -> None:
        place = urlsplit(url)
        connection = http.client.HTTPConnection(place.hostname or "", place.port, timeout=60)
        for content_type, body in batch:
            connection.request("POST", place.path, body, {"Content-Type": content_type})
            answer = connection.getresponse().read()
            if SUCCESS not in answer:
                raise RuntimeError(f"a submission was not taken: {answer[:1000]!r}")
        connection.close()
        done.append(len(batch))

    senders = [threading.Thread(target=sender, args=(batch,)) for batch in batches]
    before, started = cpu_seconds(process), time.perf_counter()
    for thread in senders:
        thread.start()
    for thread in senders:
        thread.join()
    elapsed = time.perf_counter() - started
    if sum(done) != share * SENDERS:
        raise RuntimeError("a connection ended before its time")
    return sum(done) / elapsed, (cpu_seconds(process) - before) * 1000 / sum(done)


def _submission(action: str, sender: int, number: int) -> tuple[str, bytes]:
    choose = random.Random(f"{action} {sender} {number}")
    made = submission(patient_number(number % PATIENTS), choose)
    if action == REGISTER:
        return plain_type(action), serialise(build_envelope(write_submission(made), action, reply_to=ANONYMOUS))
    entry = replace(made.entries[0], hash="", size=None, repository_unique_id="")
    made = replace(made, entries=(entry,))
    data = choose.randbytes(2000)
    return _mtom(write_provided(made, {entry.id: "1@benchmark"}), action, iter([data]))


def _mtom(body: object, action: str, chunks: Iterator[bytes]) -> tuple[str, bytes]:
    envelope = build_envelope(body, action, reply_to=ANONYMOUS)
    content_type, made = mtom_package(envelope, [Outgoing("1@benchmark", "text/xml", chunks)], action)
    return content_type, b"".join(made)


def _package(root: Path, data: Path, number: int) -> tuple[Path, str, str]:
    """An ITI-41 of the file behind a number: the body as a file, its Content-Type, the document's uniqueId."""
    made = submission(patient_number(0), random.Random(number))
    entry = replace(made.entries[0], hash="", size=None, repository_unique_id="")
    body = write_provided(replace(made, entries=(entry,)), {entry.id: "1@benchmark"})
    envelope = build_envelope(body, PROVIDE, reply_to=ANONYMOUS)
    with data.open("rb") as file:
        chunks = itertools.chain([b"%d" % number], iter(lambda: file.read(1 << 20), b""))
        content_type, pieces = mtom_package(envelope, [Outgoing("1@benchmark", "text/xml", chunks)], PROVIDE)
        path = root / "package"
        with path.open("wb") as out:
            for piece in pieces:
                out.write(piece)
            os.fsync(out.fileno())  # else the disk would be busy with it while the hub waits for its own
    return path, content_type, entry.unique_id


def _request(root: Path, box: SandboxProcess, wanted: list[dict[str, str]]) -> tuple[Path, str]:
    envelope = build_envelope(ask.retrieve(wanted), ask.RETRIEVE, to=box["xds_repository"], reply_to=ANONYMOUS)
    content_type, pieces = mtom_package(envelope, (), ask.RETRIEVE)
    path = root / "request"
    path.write_bytes(b"".join(pieces))
    return path, content_type


def _write(path: Path, size: int) -> None:
    block = os.urandom(1 << 20)
    with path.open("wb") as file:
        for _ in range(size >> 20):
            file.write(block)


def _curl(*arguments: str, size: int, up: bool = False) -> float:
    """MB/s. Raises RuntimeError when fewer bytes went, or the answer is no success."""
    started = time.perf_counter()
    shown = "\n%{size_upload} %{size_download}"
    done = subprocess.run(["curl", "-sS", "--fail", "-w", shown, *arguments], check=True, capture_output=True)
    elapsed = time.perf_counter() - started
    text, _, sizes = done.stdout.rpartition(b"\n")
    sent, received = map(int, sizes.split())
    if (sent if up else received) < size or b"Failure" in text:
        raise RuntimeError(f"curl moved {sent} and {received} bytes of {size}: {text[:1000]!r}")
    return size / elapsed / 1e6


class _Handles:
    """The most file handles that a process has open meanwhile."""

    def __init__(self, process: int) -> None:
        self._directory = Path(f"/proc/{process}/fd")
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._look)
        self.most = 0

    def _look(self) -> None:
        while not self._ended.wait(0.01):
            self.most = max(self.most, sum(1 for _ in self._directory.iterdir()))

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()


class Nginx:
    """nginx that gives files out, and takes bodies into files (which it lets go of at once)."""

    def __init__(self, directory: Path) -> None:
        self.files = directory / "files"
        self.files.mkdir(parents=True)
        self._port, inner = free_port(), free_port()
        self.url = f"http://127.0.0.1:{self._port}"
        names = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        temporary = "".join(f"{name}_temp_path {directory}/{name};" for name in names)
        upload = "client_max_body_size 0; client_body_in_file_only clean; proxy_pass_request_body off;"
        upload += f" proxy_set_header Content-Length ''; proxy_pass http://127.0.0.1:{inner};"
        settings = directory / "nginx.conf"
        settings.write_text(
            f"daemon off; pid {directory}/pid; error_log {directory}/error.log; worker_processes 1;"
            f" events {{ worker_connections 64; }} http {{ access_log off; sendfile on; {temporary}"
            f" server {{ listen 127.0.0.1:{inner}; location / {{ return 200 taken; }} }}"
            f" server {{ listen 127.0.0.1:{self._port}; root {self.files};"
            f" location /upload {{ {upload} }} }} }}"
        )
        self._command = [shutil.which("nginx") or "/usr/sbin/nginx", "-c", str(settings)]
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(self._command, stderr=subprocess.DEVNULL)
        probe = ["curl", "-s", "--retry-connrefused", "--retry", "20", "--retry-delay", "1", "-o", "/dev/null"]
        subprocess.run([*probe, self.url], check=True)
        return self

    def __exit__(self, *_: object) -> None:
        if self._process is not None:
            self._process.terminate()
            self._process.wait(10)
