"""A hub for integrators: empty, on free loopback ports, with its own test authority; gone without a trace."""

import json
import logging
import secrets
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from argon2 import PasswordHasher
from pydantic import TypeAdapter, ValidationError

from hub.app.keys import pki
from hub.app.running import logs
from hub.app.sandbox.keys import CLIENT, Keys
from hub.app.settings.file import mistakes_of
from hub.app.settings.model import (
    LOOPBACK,
    Archive,
    Authority,
    DimsePort,
    Logging,
    Matching,
    Mllp,
    Patients,
    Region,
    Security,
    Settings,
    Source,
    Storage,
    User,
    Web,
)
from hub.app.settings.nodes import Cards, Client, Tls
from hub.app.settings.roles import Role
from hub.app.settings.sharing import Community, Gateways, Subscriptions
from hub.app.wiring import Hub
from hub.errors import Invalid, Misconfigured

log = logging.getLogger(__name__)

USER = "sandbox"
#: Key of the description -> the transaction whose endpoint it names, and the path while there is none.
ENDPOINTS: Mapping[str, tuple[str, str]] = {
    "xds_registry": ("ITI-18", "/xds/registry"),
    "xds_repository": ("ITI-43", "/xds/repository"),
    "xds_imaging": ("RAD-69", "/xds/imaging"),
    "xca_responding": ("ITI-38", "/xca/responding"),
    "xca_initiating": ("XCA-ITI-18", "/xca/initiating"),
    "xcpd_responding": ("ITI-55", "/xcpd/responding"),
    "pixv3": ("ITI-44", "/pix/manager"),
    "pdqv3": ("ITI-47", "/pdq/supplier"),
    "dsub_broker": ("ITI-52", "/dsub/broker"),
    "dsub_pullpoints": ("ITI-69", "/dsub/pullpoints"),
}
#: Settings whose value an option is -> the option.
OPTIONS: Mapping[tuple[int | str, ...], str] = {
    ("affinity_domain",): "--affinity-domain",
    ("other_affinity_domains", 0): "--affinity-domain",
    ("repository_unique_id",): "--repository-id",
    ("home_community_id",): "--home-community",
    ("database",): "--db",
    ("destinations",): "--source",
}
ALL_ROLES = ("clinician", "operator", "steward", "officer")


class SandboxOption(Invalid):
    """An option of ``maillage sandbox`` can't be read."""

    code = "sandbox-option"
    title = "An option of the sandbox can't be read."


@dataclass(frozen=True, kw_only=True, slots=True)
class Options:
    """The command's options."""

    database: str = ""
    data: Path | None = None
    sources: tuple[str, ...] = ()
    communities: tuple[str, ...] = ()
    affinity_domains: tuple[str, ...] = ()
    repository_id: str = ""
    home_community: str = ""
    authorities: Path | None = None
    vocabulary: Path | None = None
    seed: str = ""
    matching: bool = False
    open: bool = False


class Sandbox:
    """A running hub. A context manager: everything temporary is removed at the end."""

    def __init__(self, options: Options) -> None:
        self.options = options
        self.temporary = options.data is None
        self.data = (options.data or Path(tempfile.mkdtemp(prefix="maillage-sandbox-"))).resolve()
        self.keys = Keys(self.data / "pki")
        self.token = secrets.token_urlsafe(32)
        self.password = secrets.token_urlsafe(12)
        self._hub: Hub | None = None
        try:
            self.authorities = read_authorities(options.authorities) if options.authorities else ()
            self.settings = self._settings()
        except BaseException:
            self._clean()
            raise

    @property
    def hub(self) -> Hub:
        """The hub while it runs."""
        if self._hub is None:
            raise Misconfigured("The sandbox does not run.")
        return self._hub

    def __enter__(self) -> Self:
        logs.configure(self.settings.logging.level, self.settings.logging.format)
        try:
            self._hub = Hub(self.settings)
            self._hub.patients.directory.anybody = True  # its one client is nobody's feed
            self._hub.start(frozenset(Role))
            self._seed()
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        try:
            if self._hub is not None:
                self._hub.stop()
        finally:
            self._clean()

    def description(self) -> dict[str, Any]:
        """Where everything is, and how to get in."""
        hub, region = self.hub, self.settings.region
        base = hub.public_url()
        paths = {bound.id: binding.path for binding, bound in reversed([*hub.soap_endpoints()])}  # the first ones
        return {
            **{key: base + paths.get(transaction, path) for key, (transaction, path) in ENDPOINTS.items()},
            "fhir": f"{base}/fhir",
            "dicomweb": f"{base}/dicom-web",
            "portal": f"{base}/portal",
            "mllp": hub.mllp_address(),
            "dimse": hub.dimse_address(),
            "affinity_domain": region.affinity_domain,
            "repository_unique_id": region.repository_unique_id,
            "home_community_id": region.home_community_id,
            "authorities": [
                authority.model_dump(include={"namespace", "oid", "type", "application", "facility"})
                for authority in self.authorities
            ],
            "token": self.token,
            **self.keys.told(base),
            "database": self.settings.storage.database,
            "portal_user": USER,
            "portal_password": self.password,
        }

    def _settings(self) -> Settings:
        options = self.options
        self.keys.make()
        region: dict[str, Any] = {"name": "Sandbox", "external_index": True}
        if options.affinity_domains:
            first, *others = options.affinity_domains
            region |= {"affinity_domain": first, "other_affinity_domains": tuple(others)}
        if options.repository_id:
            region["repository_unique_id"] = options.repository_id
        if options.home_community:
            region["home_community_id"] = options.home_community
        sources = [parse_source(text) for text in options.sources]
        tls = Tls() if options.open else self.keys.tls()
        try:
            return Settings(
                region=Region(**region),
                authorities=self._authorities(),
                archive=Archive(stable_after=1.0),
                sources=tuple(source for source, _ in sources),
                communities=tuple(map(parse_community, options.communities)),
                clients=(
                    Client(
                        name=CLIENT,
                        certificate_sha256=pki.fingerprint(self.keys.directory / "client.crt"),
                        token_sha256=sha256(self.token.encode()).hexdigest(),
                        permissions=("*",),
                        organisation="Sandbox",
                    ),
                    *(() if options.open else (self.keys.any_node(),)),
                ),
                cards=Cards() if options.open else self.keys.cards(),
                saml=self.keys.saml(),
                oauth=self.keys.oauth(),
                users=(
                    User(
                        login=USER,
                        name="Sandbox",
                        password_argon2=PasswordHasher(time_cost=1, memory_cost=8192).hash(self.password),
                        roles=ALL_ROLES,
                        organisation="Sandbox",
                    ),
                ),
                tls=tls,
                web=Web(port=0),
                mllp=Mllp(port=0, processing_ids=("P", "T", "D")),
                dimse=DimsePort(port=0, destinations={title: place for _, pair in sources for title, place in pair}),
                security=Security(
                    node_authentication=not options.open, accept_new_authorities=options.authorities is None
                ),
                gateways=Gateways(reply_hosts=("127.0.0.1", "localhost")),
                storage=Storage(
                    database=options.database or f"sqlite:///{self.data / 'hub.sqlite'}",
                    content=self.data / "content",
                ),
                subscriptions=Subscriptions(consumers=LOOPBACK),
                logging=Logging(format="text"),
                vocabulary=options.vocabulary,
                patients=Patients(matching=Matching(enabled=options.matching)),
            )
        except ValidationError as error:
            mistake = error.errors(include_input=False)[0]
            place = mistake["loc"]
            raise SandboxOption(said(mistake), location=OPTIONS.get(place[:2]) or OPTIONS.get(place[:1], "")) from error

    def _authorities(self) -> tuple[Authority, ...]:
        """Those of the file, and those that the seed's people need."""
        if not self.options.seed or self.options.authorities is None:
            return self.authorities
        known = {authority.oid for authority in self.authorities}
        return (*self.authorities, *(one for one in seeded_authorities() if one.oid not in known))

    def _seed(self) -> None:
        if self.options.seed == "demo":
            from hub.app.demo import seed  # noqa: PLC0415 (only where asked for)

            seed(self.hub)

    def _clean(self) -> None:
        if self.temporary:
            shutil.rmtree(self.data, ignore_errors=True)


def said(mistake: Any) -> str:
    """What pydantic says of a value, as people say it."""
    return str(mistake["msg"]).removeprefix("Value error, ")


def seeded_authorities() -> tuple[Authority, ...]:
    """Of the demo's two hospitals."""
    from hub.app.demo.region import hospitals  # noqa: PLC0415 (only where asked for)

    return tuple(Authority(namespace=one.source, oid=one.authority, name=one.title) for one in hospitals())


def parse_source(text: str) -> tuple[Source, list[tuple[str, str]]]:
    """``NAME=dicomweb:URL`` or ``NAME=dimse:AET@HOST:PORT``: the source, and the C-MOVE destinations that it means."""
    name, _, rest = text.partition("=")
    kind, _, where = rest.partition(":")
    if name and kind == "dicomweb" and where.startswith(("http://", "https://")):
        return Source(name=name, kind=kind, authority=name, config={"url": where}), []
    title, _, place = where.partition("@")
    host, _, port = place.rpartition(":")
    if name and kind == "dimse" and title and host and port.isdigit():
        config = {"host": host, "port": int(port), "ae_title": title}
        return Source(name=name, kind=kind, authority=name, config=config), [(title, place)]
    raise SandboxOption("A source is NAME=dicomweb:URL or NAME=dimse:AET@HOST:PORT.", location="--source")


def parse_community(text: str) -> Community:
    """``NAME=OID@URL``: the community whose gateway is at ``URL/xca/responding``.

    With ``#xcpd`` behind the URL persons are discovered there first, at ``URL/xcpd/responding``."""
    name, _, rest = text.partition("=")
    oid, _, place = rest.partition("@")
    base, _, option = place.partition("#")
    base = base.rstrip("/")
    try:
        if option not in ("", "xcpd"):
            raise SandboxOption("Behind a community's URL only #xcpd is understood.", location="--community")
        return Community(
            name=name,
            home_community_id=oid,
            query_url=f"{base}/xca/responding",
            discovery_url=f"{base}/xcpd/responding" if option else None,
        )
    except ValidationError as error:
        raise SandboxOption("A community is NAME=OID@URL.", location="--community") from error


def read_authorities(file: Path) -> tuple[Authority, ...]:
    """The JSON list of a file. Raises SandboxOption."""
    try:
        rows = json.loads(file.read_text(encoding="utf-8"))
        return TypeAdapter(tuple[Authority, ...]).validate_python(rows)
    except OSError as error:
        raise SandboxOption(f"The file can't be read: {error.strerror}.", location="--authorities") from error
    except (UnicodeDecodeError, json.JSONDecodeError) as error:
        raise SandboxOption("The file is not readable JSON.", location="--authorities") from error
    except ValidationError as error:
        first = next(mistakes_of(error, {}, Authority))
        told = str(first) if first.key else "The file must hold a JSON list of authorities."
        raise SandboxOption(told, location="--authorities") from error
