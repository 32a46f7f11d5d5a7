"""The configured sources as plain values for the connectors' loader; and their own settings checked beforehand."""

from collections.abc import Iterator
from pathlib import Path

from pydantic import ValidationError

from hub.app.settings.file import Mistake, dotted, mistakes_of
from hub.app.settings.model import Settings
from hub.app.settings.toml_lines import key_lines, line_of
from hub.connector.contract import Connector
from hub.connector.loader import SourceConfig, Sources, manifests
from hub.errors import Invalid
from hub.imaging.archive import KIND


def source_configs(settings: Settings) -> Iterator[SourceConfig]:
    """The settings' sources as plain values."""
    for source in settings.sources:
        yield SourceConfig(
            name=source.name,
            kind=source.kind,
            title=source.title,
            authority=source.authority,
            repository_unique_id=source.repository_unique_id or "",
            deadline=source.deadline,
            charset=source.charset,
            config=source.config,
        )
    own = settings.archive
    yield SourceConfig(own.name, KIND, own.title, repository_unique_id=own.repository_unique_id or "")


def check_sources(settings: Settings, file: Path | None) -> tuple[Mistake, ...]:
    """Mistakes in the sources' own settings, by key and line."""
    lines = key_lines(file.read_text(encoding="utf-8")) if file is not None else {}
    installed = manifests()
    mistakes = []
    for index, source in enumerate(settings.sources):
        path: tuple[str | int, ...] = ("sources", index)
        manifest = installed.get(source.kind)
        if manifest is None:
            known = ", ".join(sorted(installed)) or "none"
            place = (*path, "kind")
            mistakes.append(Mistake(dotted(place), line_of(lines, place), f"no such connector (installed: {known})"))
            continue
        try:
            manifest.config.model_validate(dict(source.config))
        except Invalid as error:  # a domain value's own rule
            place = (*path, "config")
            mistakes.append(Mistake(dotted(place), line_of(lines, place), error.message))
        except ValidationError as error:
            mistakes += mistakes_of(error, lines, manifest.config, (*path, "config"))
    return tuple(mistakes)


class Connectors:
    """The loader's sources as the imaging rooms ask for them: by name, the connector itself."""

    def __init__(self, sources: Sources) -> None:
        self._sources = sources

    def get(self, name: str) -> Connector:
        """The open connector. Raises UnknownSource, ConnectorError."""
        return self._sources.get(name).connector

    def contacted(self, name: str) -> None:
        """Note that the source answered."""
        self._sources.contacted(name)

    def failed(self, name: str, reason: str, code: str = "source-unavailable") -> None:
        """Note that it failed; ``reason`` is a safe sentence."""
        self._sources.failed(name, reason, code)
