"""Reads and validates the settings file: every mistake at once, each with its key and its line."""

import difflib
import ipaddress
import json
import os
import re
import tomllib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from pydantic import BaseModel, ValidationError

from hub.access.model import EXPIRY_TOLD
from hub.app.settings.model import LOOPBACK, Settings
from hub.app.settings.nodes import Client
from hub.app.settings.rights import CONFIDENTIALITY
from hub.app.settings.toml_lines import Path as KeyPath
from hub.app.settings.toml_lines import key_lines, line_of
from hub.errors import Misconfigured
from hub.patients.model import INS_AUTHORITIES
from hub.values import now
from hub.wire.hl7v2.charset import codec_named

ENVIRONMENT = "MAILLAGE_SETTINGS"
DEFAULT_FILE = Path("maillage.toml")
PREFIX = "MAILLAGE_"
#: (table, key) whose values must differ within the table.
_UNIQUE = (
    ("authorities", "oid"), ("sources", "name"), ("clients", "name"), ("users", "login"),
    ("communities", "name"), ("communities", "home_community_id"), ("notifications", "name"),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Mistake:
    """One thing that is wrong in the file. Never holds the value: it may be a secret."""

    key: str
    line: int  #: 0: not in the file (a default, or a key that is missing altogether)
    message: str

    def __str__(self) -> str:
        where = f"line {self.line}: " if self.line else ""
        return f"{where}{self.key}: {self.message}" if self.key else f"{where}{self.message}"


class SettingsRefused(Misconfigured):
    """The settings file has mistakes; ``mistakes`` holds all of them."""

    code = "settings-refused"
    title = "The settings are not valid."

    def __init__(self, file: str = "", mistakes: tuple[Mistake, ...] = ()) -> None:
        super().__init__(f"{file}: " + "; ".join(str(mistake) for mistake in mistakes) if mistakes else "")
        self.mistakes = mistakes


def default_file() -> Path | None:
    """``$MAILLAGE_SETTINGS``, else ``maillage.toml`` here, else None: every setting has a safe default."""
    named = os.environ.get(ENVIRONMENT, "")
    if named:
        return Path(named)
    return DEFAULT_FILE if DEFAULT_FILE.exists() else None


def load(file: Path | None) -> Settings:
    """The settings of the file, or the defaults. Raises SettingsRefused with every mistake."""
    if file is None:
        return parse("", "the environment")
    try:
        text = file.read_text(encoding="utf-8")
    except OSError as error:
        raise SettingsRefused(str(file), (Mistake("", 0, f"{file} can't be read: {error.strerror}"),)) from error
    except UnicodeDecodeError as error:
        raise SettingsRefused(str(file), (Mistake("", 0, f"{file} is not UTF-8"),)) from error
    return parse(text, str(file))


def parse(text: str, name: str = "settings") -> Settings:
    """The settings in a TOML text. Raises SettingsRefused."""
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        line = getattr(error, "lineno", 0) or _line_in(str(error))
        raise SettingsRefused(name, (Mistake("", line, f"not TOML: {error}"),)) from error
    lines = key_lines(text)
    mistakes: list[Mistake] = []
    try:
        data = _with_environment(data, os.environ)
    except ValueError as error:
        raise SettingsRefused(name, (Mistake(f"${PREFIX}*", 0, "a value in brackets must be JSON"),)) from error
    settings: Settings | None = None
    try:
        settings = Settings.model_validate(data)
    except ValidationError as error:
        mistakes += mistakes_of(error, lines, Settings)
    if settings is not None:
        mistakes += _beyond_types(settings, lines)
    if mistakes or settings is None:
        raise SettingsRefused(name, tuple(sorted(mistakes, key=lambda mistake: mistake.line)))
    return settings


def warnings(settings: Settings) -> Iterator[str]:
    """What is allowed and yet deserves a second look."""
    security, web = settings.security, settings.web
    if not security.node_authentication:
        yield (
            "security.node_authentication is off: every program on this machine may do everything. "
            "For demonstrations only."
        )
    if security.accept_new_authorities:
        yield "security.accept_new_authorities is on: any feed may bring its own numbering. For the sandbox only."
    outside = [name for name in ("web", "mllp", "dimse") if getattr(settings, name).host not in LOOPBACK]
    if outside and settings.tls.certificate is None and not (outside == ["web"] and web.trusted_proxy):
        yield f"{', '.join(outside)} listens beyond this machine without TLS: set tls.certificate, tls.key and tls.ca."
    if security.node_authentication and not settings.clients and not settings.users:
        yield "there are no clients and no users: nobody can call."
    if security.node_authentication and not settings.dimse.callers and not settings.archive.senders:
        yield (
            "dimse.callers and archive.senders are empty: only DICOM systems that show a certificate of [[clients]] "
            "can call."
        )
    if settings.storage.database.startswith("sqlite") and len(settings.sources) > 20:
        yield "storage.database is SQLite: a region of this size wants PostgreSQL."
    for community in settings.communities:
        urls = (community.query_url, community.retrieve_url, community.imaging_url)
        if any(url and url.startswith("http:") and urlsplit(url).hostname not in LOOPBACK for url in urls):
            yield f"communities.{community.name}: a URL is http: patients' data would travel in clear."
    if settings.tls.ca is not None or settings.tls.certificate is not None:
        from hub.app.keys import expiry  # noqa: PLC0415 (certificates are read only where there are any)

        yield from expiry.warnings(settings, now())
    for client in settings.clients:
        yield from _ageing(client)
    known = {authority.namespace for authority in settings.authorities}
    for source in settings.sources:
        if (source.authority or source.name) not in known and not security.accept_new_authorities:
            yield f"sources.{source.name}: no authority has the namespace {source.authority or source.name}."


def _ageing(client: Client) -> Iterator[str]:
    last = client.token_expires
    if last is None:
        return
    today = now().date()
    if last < today:
        yield f"clients.{client.name}: the token ended on {last}: it is refused."
    elif last - today <= EXPIRY_TOLD:
        yield f"clients.{client.name}: the token ends on {last}: give the system a new one."


def _with_environment(data: dict[str, Any], environment: Mapping[str, str]) -> dict[str, Any]:
    """``MAILLAGE_STORAGE__DATABASE`` takes the place of ``storage.database``: secrets need not be in the file."""
    for name, value in environment.items():
        if name.startswith(PREFIX) and "__" in name:
            *tables, key = name.removeprefix(PREFIX).lower().split("__")
            table = data
            for part in tables:
                table = table.setdefault(part, {})
            table[key] = json.loads(value) if value.startswith(("[", "{")) else value
    return data


def mistakes_of(
    error: ValidationError, lines: dict[KeyPath, int], model: type[BaseModel], table: KeyPath = ()
) -> Iterator[Mistake]:
    """What pydantic refused, by key and line, as people say it. ``table``: where the model's keys stand."""
    for item in error.errors(include_url=False, include_input=False):
        path: KeyPath = (*table, *item["loc"])
        message = item["msg"].removeprefix("Value error, ")
        if item["type"] == "extra_forbidden":
            message = "there is no such setting" + _suggestion(item["loc"], model)
        elif item["type"] == "missing":
            message = "is required"
        yield Mistake(dotted(path), line_of(lines, path), message)


def _suggestion(path: KeyPath, model: type[BaseModel]) -> str:
    table: Any = model
    for part in path[:-1]:
        if isinstance(part, str):
            field = getattr(table, "model_fields", {}).get(part)
            table = model_of(field.annotation) if field else None
    close = difflib.get_close_matches(str(path[-1]), getattr(table, "model_fields", {}), n=1)
    return f"; did you mean {close[0]}?" if close else ""


def model_of(annotation: Any) -> type[BaseModel] | None:
    """The settings table inside an annotation (``tuple[Source, ...]``, ``Tls``), None when it holds none."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next(
        (found for part in getattr(annotation, "__args__", ()) if (found := model_of(part)) is not None),
        None,
    )


def _beyond_types(settings: Settings, lines: dict[KeyPath, int]) -> Iterator[Mistake]:
    """Rules between keys, and files that must exist."""

    def mistake(path: KeyPath, message: str) -> Mistake:
        return Mistake(dotted(path), line_of(lines, path), message)

    tls = settings.tls
    if (tls.certificate is None) != (tls.key is None):
        yield mistake(("tls",), "certificate and key are needed together")
    if tls.certificate is not None and tls.ca is None and tls.client_certificates != "none":
        yield mistake(("tls", "client_certificates"), "client certificates can't be verified without tls.ca")
    files: dict[KeyPath, Path | None] = {("tls", name): getattr(tls, name) for name in ("certificate", "key", "ca")}
    files |= {("tls", "crls", index): file for index, file in enumerate(tls.crls)}
    files |= {("cards", "authorities", index): file for index, file in enumerate(settings.cards.authorities)}
    files |= {("clients", index, "ca"): client.ca for index, client in enumerate(settings.clients)}
    files |= {("vocabulary",): settings.vocabulary, ("viewer",): settings.viewer}
    for path, file in files.items():
        if file is not None and not file.exists():
            yield mistake(path, "there is no such file")
    if settings.web.trusted_proxy:
        try:
            ipaddress.ip_address(settings.web.trusted_proxy)
        except ValueError:
            yield mistake(("web", "trusted_proxy"), "must be an IP address")
    named: dict[KeyPath, str] = {("mllp", "default_charset"): settings.mllp.default_charset}
    named |= {("feeds", index, "charset"): feed.charset for index, feed in enumerate(settings.feeds) if feed.charset}
    for path, charset in named.items():
        try:
            codec_named(charset)
        except LookupError:
            yield mistake(path, "names no character set that can carry HL7 v2")
    yield from _names(settings, mistake)
    yield from _domains(settings, mistake)
    yield from _rights(settings, mistake)


def _rights(settings: Settings, mistake: Callable[[KeyPath, str], Mistake]) -> Iterator[Mistake]:
    """The region's rules have names of their own, and ask for codes that there are."""
    names: set[str] = set()
    codes = CONFIDENTIALITY
    if settings.vocabulary is not None and any(rule.confidentiality for rule in settings.rights.rules):
        from hub.app.sharing.vocabulary import VocabularyRefused, read  # noqa: PLC0415 (read only where it is needed)

        try:
            codes |= {code for code, _ in read(settings.vocabulary).get("confidentialityCode", ())}
        except VocabularyRefused as error:
            if settings.vocabulary.exists():
                yield mistake(("vocabulary",), error.message)
    for index, rule in enumerate(settings.rights.rules):
        if rule.name in names:
            yield mistake(("rights", "rules", index, "name"), "is used twice")
        names.add(rule.name)
        for place, code in enumerate(rule.confidentiality):
            if code not in codes:
                path = ("rights", "rules", index, "confidentiality", place)
                yield mistake(path, "is no confidentiality code of HL7, TRE_A07 or the vocabulary")


def _domains(settings: Settings, mistake: Callable[[KeyPath, str], Mistake]) -> Iterator[Mistake]:
    """Domains of interest must be some that the hub knows."""
    region = settings.region
    known = {region.affinity_domain, *region.other_affinity_domains, *INS_AUTHORITIES}
    known |= {authority.oid for authority in settings.authorities}
    for index, recipient in enumerate(settings.notifications):
        for place, domain in enumerate(recipient.domains):
            if domain not in known and not settings.security.accept_new_authorities:
                yield mistake(("notifications", index, "domains", place), "is no authority of this region")


def _names(settings: Settings, mistake: Callable[[KeyPath, str], Mistake]) -> Iterator[Mistake]:
    """Names that must differ, and fingerprints."""
    for name, key in _UNIQUE:
        seen: set[str] = {settings.region.home_community_id} if key == "home_community_id" else set()
        for index, item in enumerate(getattr(settings, name)):
            value = getattr(item, key)
            if value in seen:
                yield mistake((name, index, key), "is used twice")
            seen.add(value)
    for index, source in enumerate(settings.sources):
        if source.name == settings.archive.name:
            yield mistake(("sources", index, "name"), "is the name of the hub's own archive (archive.name)")
    for index, client in enumerate(settings.clients):
        if client.token_expires is not None and not client.token_sha256:
            yield mistake(("clients", index, "token_expires"), "there is no token_sha256 that could expire")
        if client.certificate_subject is not None and client.ca is None and settings.tls.ca is None:
            yield mistake(("clients", index, "certificate_subject"), "no authority vouches for it: set ca, or tls.ca")
        for key in ("certificate_sha256", "token_sha256"):
            value = getattr(client, key)
            if value and not _is_sha256(value):
                yield mistake(("clients", index, key), "must be a SHA-256: 64 hexadecimal digits")


def _is_sha256(value: str) -> bool:
    return len(value) == 64 and all(character in "0123456789abcdefABCDEF" for character in value)


def dotted(path: KeyPath) -> str:
    """``sources[1].kind``."""
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text


def _line_in(message: str) -> int:
    found = re.search(r"line (\d+)", message)
    return int(found.group(1)) if found else 0
