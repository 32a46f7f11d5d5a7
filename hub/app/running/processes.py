"""Several processes of one role on one port: all cores, and one that dies takes only its own requests with it.

Each child is ``maillage serve --role web`` (or ``mllp``) on a socket of its own (SO_REUSEPORT: the system spreads
connections). The parent has the other roles, holds the port, starts dead children again, and stops them with itself. A
child whose parent has died notices and stops: the pipe between them has no other end any more."""

import logging
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from pathlib import Path

from hub.app.settings.model import Settings
from hub.app.settings.roles import Role
from hub.app.web.server import GRACE, bind

log = logging.getLogger(__name__)

ROLES = (Role.WEB, Role.MLLP)  #: that may have processes of their own; each has a table of the settings by its name
#: What a child is told: its number, its role, the port, the pipe's handle.
_TOLD = _CHILD, _ROLE, _PORT, _PIPE = tuple(f"MAILLAGE_CHILD_{name}" for name in ("NUMBER", "ROLE", "PORT", "PIPE"))
_LOOK = 0.2  #: seconds between two looks at the children
_STEADY = 10.0  #: seconds after which a child is not taken for one that can't start
_LONGEST_PAUSE = 30.0


class Child:
    """This process, when it is a child."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self.number = int(environment[_CHILD])
        self._role = Role(environment[_ROLE])
        self._port = int(environment[_PORT])
        self._pipe = int(environment[_PIPE])

    def settings(self, loaded: Settings) -> Settings:
        """Its own: the port that the parent holds, and a health port beside the parent's (``health.port`` + number)."""
        beside = loaded.health.port + self.number if loaded.health.port else 0
        return _with_port(loaded, self._role, self._port).model_copy(
            update={"health": loaded.health.model_copy(update={"port": beside})}
        )

    def end_with_parent(self, stopped: threading.Event) -> None:
        """Set the event when the parent has gone."""

        def wait() -> None:
            while os.read(self._pipe, 1):
                pass
            stopped.set()

        threading.Thread(target=wait, name="parent", daemon=True).start()


def this_child() -> Child | None:
    """What this process was told when it is a child. It tells nobody else."""
    if _CHILD not in os.environ:
        return None
    child = Child(os.environ)
    for name in _TOLD:
        del os.environ[name]
    return child


def wanted(settings: Settings, role: Role) -> int:
    """How many processes a role shall have; 1: it is in the process itself."""
    return int(getattr(settings, role.value).processes) if role in ROLES else 1


class Processes:
    """The parent's side. A context manager: the children end with it. ``first``: number of the first child."""

    def __init__(self, settings: Settings, role: Role, file: Path | None, first: int = 1) -> None:
        table = getattr(settings, role.value)
        self._socket = bind(table.host, table.port, shared=True)  # it never listens, it holds the port
        self.role = role
        self.numbers = range(first, first + wanted(settings, role))
        self._port = int(self._socket.getsockname()[1])
        self.settings = _with_port(settings, role, self._port)
        serve = ["serve", "--role", role.value, *(["--settings", str(file)] if file else [])]
        self._command = [sys.executable, "-c", "from hub.app.commands.entry import main; main()", *serve]
        self._read, self._write = os.pipe()
        self._children: dict[int, tuple[subprocess.Popen[bytes], float]] = {}
        self._pauses: dict[int, float] = {}
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._supervise, name=f"{role.value}-processes", daemon=True)

    @property
    def pids(self) -> dict[int, int]:
        """Number -> process id of the children that run."""
        return {number: child.pid for number, (child, _) in [*self._children.items()] if child.poll() is None}

    def missing(self) -> str:
        """For the readiness of the parent: "" when every child runs."""
        running, number = len(self.pids), len(self.numbers)
        return "" if running == number else f"{running} of {number} {self.role.value} processes run"

    def start(self) -> None:
        """Start the children, and keep them running."""
        for number in self.numbers:
            self._start(number)
        self._thread.start()

    def stop(self) -> None:
        """SIGTERM to each, so that running requests end; who takes too long is killed."""
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join()
        children = [child for child, _ in self._children.values()]
        for child in children:
            child.send_signal(signal.SIGTERM)
        until = time.monotonic() + 2 * GRACE + 10
        for child in children:
            try:
                child.wait(max(0.1, until - time.monotonic()))
            except subprocess.TimeoutExpired:
                log.warning("a process of the role %s did not stop in time: it is killed", self.role.value)
                child.kill()
                child.wait()
        self._children.clear()
        os.close(self._write)
        os.close(self._read)
        self._socket.close()

    def __enter__(self) -> "Processes":
        self.start()
        return self

    def __exit__(self, *_raised: object) -> None:
        self.stop()

    def _start(self, number: int) -> None:
        told = dict(zip(_TOLD, (str(number), self.role.value, str(self._port), str(self._read)), strict=True))
        # A session of its own: Ctrl-C at the terminal is the parent's, which then stops the children in order.
        child = subprocess.Popen(
            self._command,
            env={**os.environ, **told},
            pass_fds=(self._read,),
            stdin=subprocess.DEVNULL,
            start_new_session=True,
        )
        self._children[number] = (child, time.monotonic())

    def _supervise(self) -> None:
        due: dict[int, float] = {}
        while not self._stopping.wait(_LOOK):
            for number, (child, started) in [*self._children.items()]:
                if child.poll() is None:
                    continue
                now = time.monotonic()
                if number not in due:
                    steady = now - started > _STEADY
                    pause = 0.0 if steady else min(_LONGEST_PAUSE, max(1.0, 2 * self._pauses.get(number, 0.0)))
                    self._pauses[number] = pause
                    due[number] = now + pause
                    told = (self.role.value, number, child.returncode)
                    log.error("%s process %d ended (%d): it is started again", *told)
                if now >= due[number]:
                    del due[number]
                    self._start(number)


def _with_port(settings: Settings, role: Role, port: int) -> Settings:
    table = getattr(settings, role.value).model_copy(update={"port": port})
    return settings.model_copy(update={role.value: table})
