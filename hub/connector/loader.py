"""Finds connectors by entry point, reads their settings, and keeps the configured sources open."""

import contextlib
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from importlib.metadata import entry_points
from typing import Any

from pydantic import ValidationError

from hub.connector.contract import (
    ENTRY_POINTS,
    Capability,
    Check,
    Connector,
    ConnectorConfig,
    Environment,
    Level,
    Manifest,
    SourceUnavailable,
)
from hub.connector.record import RECORD_CALLS
from hub.errors import HubError, Misconfigured, NotFound
from hub.values import now


class UnknownKind(Misconfigured):
    """A source names a kind of connector that is not installed."""

    code = "unknown-connector"
    title = "No connector of this kind is installed."


class BadSourceSettings(Misconfigured):
    """A source's settings are not what its connector takes."""

    code = "bad-source-settings"
    title = "The settings of a source are wrong."


class UnknownSource(NotFound):
    """No source of this name is configured."""

    code = "unknown-source"
    title = "No source of this name is configured."


@dataclass(frozen=True, slots=True)
class SourceConfig:
    """One configured source, as plain values."""

    name: str
    kind: str
    title: str = ""
    authority: str = ""  #: namespace of the authority whose patient numbers it holds; default: the name
    repository_unique_id: str = ""
    deadline: float = 10.0
    charset: str = ""
    config: Mapping[str, Any] = field(default_factory=dict)


@dataclass(slots=True)
class SourceHealth:
    """What the operator sees of a source."""

    name: str
    kind: str
    title: str
    last_contact: datetime | None = None
    last_error: str = ""
    last_error_code: str = ""
    last_error_at: datetime | None = None
    failures_in_a_row: int = 0

    @property
    def healthy(self) -> bool | None:
        """None while the source was never asked."""
        if self.last_contact is None and self.last_error_at is None:
            return None
        return self.failures_in_a_row == 0


@dataclass(frozen=True, slots=True)
class OpenSource:
    """A configured source whose connector is open; every call through ``connector`` is noted in its health."""

    name: str
    connector: Connector
    config: SourceConfig
    manifest: Manifest


def manifests() -> dict[str, Manifest]:
    """Every installed connector's manifest, by kind."""
    found = {}
    for point in entry_points(group=ENTRY_POINTS):
        manifest = point.load()
        if not isinstance(manifest, Manifest):
            raise Misconfigured(f"The entry point {point.name} of {ENTRY_POINTS} is not a Manifest.")
        found[manifest.kind] = manifest
    return found


def read_config(source: SourceConfig, manifest: Manifest) -> ConnectorConfig:
    """The connector's settings. Raises BadSourceSettings that names every wrong key."""
    values = dict(source.config)
    if source.charset and "charset" in manifest.config.model_fields:
        values.setdefault("charset", source.charset)
    try:
        return manifest.config.model_validate(values)
    except ValidationError as error:
        wrong = "; ".join(
            f"sources.{source.name}.config.{'.'.join(map(str, item['loc'])) or '?'}: "
            + item["msg"].removeprefix("Value error, ")
            for item in error.errors(include_input=False, include_url=False, include_context=False)
        )
        raise BadSourceSettings(wrong, location=f"sources.{source.name}") from error


_CALLS = ("find_studies", "describe_study", "pass_through", "store")


class Watched:
    """A connector with the capabilities of the one that it wraps; how every call went is noted."""

    def __init__(self, connector: Connector, contacted: Callable[[], None], failed: Callable[[str, str], None]) -> None:
        self.name = connector.name
        self.check = connector.check
        self.close = connector.close
        self._contacted = contacted
        self._failed = failed
        for method in (*_CALLS, *RECORD_CALLS):
            if hasattr(connector, method):
                setattr(self, method, self._call(getattr(connector, method)))
        for method in ("retrieve", "metadata"):
            if hasattr(connector, method):
                setattr(self, method, self._stream(getattr(connector, method)))

    def _call(self, method: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **named: Any) -> Any:
            with self._noted():
                return method(*args, **named)

        return call

    def _stream(self, method: Callable[..., Iterator[Any]]) -> Callable[..., Iterator[Any]]:
        def stream(*args: Any, **named: Any) -> Iterator[Any]:
            with self._noted():
                yield from method(*args, **named)

        return stream

    @contextlib.contextmanager
    def _noted(self) -> Iterator[None]:
        try:
            yield
        except HubError as error:
            self._failed(error.message, error.code)
            raise
        self._contacted()


class Sources:
    """The configured sources, opened at first use. Thread-safe."""

    def __init__(
        self,
        sources: Iterable[SourceConfig],
        environment: Environment | None = None,
        installed: Mapping[str, Manifest] | None = None,
    ) -> None:
        self._manifests = dict(installed if installed is not None else manifests())
        self._environment = environment or Environment()
        self._lock = threading.Lock()
        self._open: dict[str, OpenSource] = {}
        self._configs: dict[str, SourceConfig] = {}
        self._settings: dict[str, ConnectorConfig] = {}
        self._health: dict[str, SourceHealth] = {}
        self._closed = False
        for source in sources:
            self._add(source)

    def _add(self, source: SourceConfig) -> None:
        if source.name in self._configs:
            raise BadSourceSettings(f"Two sources are named {source.name}.", location=f"sources.{source.name}")
        manifest = self._manifests.get(source.kind)
        if manifest is None:
            known = ", ".join(sorted(self._manifests)) or "none"
            raise UnknownKind(
                f"sources.{source.name}.kind: {source.kind} is not installed (installed: {known}).",
                location=f"sources.{source.name}.kind",
            )
        self._settings[source.name] = read_config(source, manifest)
        self._configs[source.name] = source
        self._health[source.name] = SourceHealth(source.name, source.kind, source.title or source.name)

    @property
    def names(self) -> tuple[str, ...]:
        """Names in the configured order."""
        return tuple(self._configs)

    def __iter__(self) -> Iterator[OpenSource]:
        for name in self.names:
            yield self.get(name)

    def __len__(self) -> int:
        return len(self._configs)

    def __contains__(self, name: object) -> bool:
        return name in self._configs

    def config(self, name: str) -> SourceConfig:
        """How a source is configured. Raises UnknownSource."""
        if name not in self._configs:
            raise UnknownSource(source=name)
        return self._configs[name]

    def manifest(self, name: str) -> Manifest:
        """The manifest of a source's connector. Raises UnknownSource."""
        return self._manifests[self.config(name).kind]

    def can(self, name: str, capability: Capability) -> bool:
        """Whether a source's connector offers a capability at all."""
        return self.manifest(name).capabilities.get(capability, Level.NONE) is not Level.NONE

    def get(self, name: str) -> OpenSource:
        """The source with its connector open. Raises UnknownSource, ConnectorError."""
        source = self.config(name)
        with self._lock:
            if self._closed:
                raise SourceUnavailable("The hub is stopping.", source=name)
            if name not in self._open:
                manifest = self._manifests[source.kind]
                opened = manifest.open(name, self._settings[name], self._environment)
                connector = Watched(opened, partial(self.contacted, name), partial(self.failed, name))
                self._open[name] = OpenSource(name, connector, source, manifest)
            return self._open[name]

    def check(self, name: str) -> Sequence[Check]:
        """A source's self-test, noted in its health."""
        steps = self.get(name).connector.check()
        failed = next((step for step in steps if not step.passed), None)
        if failed is None:
            self.contacted(name)
        else:
            self.failed(name, f"{failed.name}: {failed.detail}", "check-failed")
        return steps

    def contacted(self, name: str) -> None:
        """Note that a source answered."""
        health = self._health.get(name)
        if health is not None:
            health.last_contact, health.failures_in_a_row = now(), 0

    def failed(self, name: str, reason: str, code: str = "source-unavailable") -> None:
        """Note that a source failed; ``reason`` is a safe sentence."""
        health = self._health.get(name)
        if health is not None:
            health.last_error, health.last_error_code, health.last_error_at = reason, code, now()
            health.failures_in_a_row += 1

    def health(self) -> tuple[SourceHealth, ...]:
        """What the operator sees, in the configured order."""
        return tuple(self._health.values())

    def close(self) -> None:
        """Close every connector, for good: who waits for one waits no longer."""
        with self._lock:
            self._closed = True
            for source in self._open.values():
                source.connector.close()
            self._open.clear()
