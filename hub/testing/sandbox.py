"""Start ``maillage sandbox`` as a process of its own, for tests: ours and those of whoever builds against the hub."""

import contextlib
import json
import os
import signal
import ssl
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Any, ClassVar, Self

import httpx

from hub.errors import Unavailable

START_SECONDS = 180.0
STOP_SECONDS = 30.0


class SandboxProcess:
    """A running sandbox. ``description`` is the JSON object that it printed; ``log`` what it wrote to stderr.

    Use it as a context manager: ``with SandboxProcess("--open") as box: box["fhir"]``. ``command``: what stands for
    ``maillage``."""

    command: ClassVar[Sequence[str]] = (sys.executable, "-c", "from hub.app.commands.entry import main; main()")

    def __init__(self, *arguments: str, environment: Mapping[str, str] | None = None) -> None:
        self.arguments: Sequence[str] = arguments
        self.environment = dict(environment or {})
        self.description: dict[str, Any] = {}
        self._lines: list[str] = []
        self._process: subprocess.Popen[str] | None = None
        self._reader: threading.Thread | None = None

    def __getitem__(self, key: str) -> Any:
        return self.description[key]

    @property
    def log(self) -> str:
        """Standard error so far."""
        return "".join(self._lines)

    @property
    def process(self) -> subprocess.Popen[str]:
        """The process, while it runs or after."""
        if self._process is None:
            raise Unavailable("The sandbox was not started.")
        return self._process

    def start(self) -> Self:
        """Start and wait for the description. Raises Unavailable with the log's end."""
        self._process = subprocess.Popen(
            [*self.command, "sandbox", *self.arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, **self.environment},
        )
        self._reader = threading.Thread(target=self._read_log, daemon=True)
        self._reader.start()
        guard = threading.Timer(START_SECONDS, self._process.kill)
        guard.start()
        try:
            assert self._process.stdout is not None
            line = self._process.stdout.readline()
        finally:
            guard.cancel()
        if not line:
            self.stop()
            raise Unavailable(f"The sandbox did not start: {self.log[-4000:]}")
        self.description = json.loads(line)
        return self

    def stop(self) -> int:
        """SIGTERM, then wait; killed when that takes too long. The exit code."""
        process = self.process
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        if self._reader is not None:
            self._reader.join(5)
        for stream in (process.stdout, process.stderr):
            if stream is not None:
                with contextlib.suppress(OSError):
                    stream.close()
        return int(process.returncode)

    def kill(self) -> None:
        """SIGKILL: nothing is cleaned up."""
        self.process.kill()
        self.process.wait()

    def client(self, *, token: bool = True, certificate: bool = False, **options: Any) -> httpx.Client:
        """An HTTP client that trusts the sandbox's authority and shows a token or the client certificate."""
        context = ssl.create_default_context(cafile=self["ca"])
        if certificate:
            context.load_cert_chain(self["client_cert"], self["client_key"])
        headers = {"Authorization": f"Bearer {self['token']}"} if token else {}
        return httpx.Client(verify=context, headers=headers, timeout=30, **options)

    def _read_log(self) -> None:
        assert self._process is not None
        assert self._process.stderr is not None
        for line in self._process.stderr:
            self._lines.append(line)

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()
