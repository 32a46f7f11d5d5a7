"""Settings translated for the rooms: authorities, sources, codes. Rooms do not know the settings file."""

import uuid
from collections.abc import Callable, Iterable
from hashlib import sha256
from pathlib import Path
from typing import cast

from hub.app.settings.model import Settings, Source
from hub.imaging.model import SourceInfo
from hub.patients.authorities import AuthorityDirectory
from hub.patients.model import Authority, IdentityStatus

_ISO = "ISO"  #: the type of an OID (CX-4.3), which some write for the type of the number (CX-5)


def authorities(settings: Settings) -> Iterable[Authority]:
    """The configured authorities with the feed that owns each."""
    feeds = {(feed.application, feed.facility): feed.name for feed in settings.feeds}
    for item in settings.authorities:
        yield Authority(
            oid=item.oid,
            namespace=item.namespace,
            type="PI" if item.type == _ISO else item.type,
            name=item.name,
            application=item.application,
            facility=item.facility,
            feed=feeds.get((item.application, item.facility), ""),
            trust=item.trust,
            unstated=IdentityStatus(item.unstated),
        )


class LiveSourceInfo:
    """A configured archive, as ``SourceInfo``; its authority may be learned only later (sandbox)."""

    def __init__(self, source: Source, directory: AuthorityDirectory, repository_unique_id: str) -> None:
        self.name = source.name
        self.title = source.title or source.name
        self.namespace = source.authority or source.name
        self.deadline = source.deadline
        self.repository_unique_id = source.repository_unique_id or derived_oid(repository_unique_id, source.name)
        self.ae_title = str(source.config.get("ae_title", ""))
        self.organisation_id = ""
        self.own = False
        self._directory = directory

    @property
    def authority_oid(self) -> str:
        """OID of the authority whose patient numbers it holds."""
        known = self._directory.by_namespace(self.namespace)
        # What the directory itself gives an authority that comes without an OID.
        return known.oid if known else f"2.25.{uuid.uuid5(uuid.NAMESPACE_OID, self.namespace).int}"


def source_infos(settings: Settings, directory: AuthorityDirectory) -> tuple[SourceInfo, ...]:
    """What the imaging rooms need to know of every configured source, and of the hub's own archive."""
    repository, own = settings.region.repository_unique_id, settings.archive
    archive = SourceInfo(
        own.name,
        title=own.title or own.name,
        repository_unique_id=own.repository_unique_id or derived_oid(repository, own.name),
        own=True,
    )
    infos = [LiveSourceInfo(source, directory, repository) for source in settings.sources]
    return (*cast("tuple[SourceInfo, ...]", tuple(infos)), archive)


def authority_of_sender(settings: Settings, directory: AuthorityDirectory) -> Callable[[str, str], str]:
    """Whose patient numbers a sender of objects uses, as OID: what ``archive.senders`` says of its AE title, what the
    source has that it is (or speaks for), or the authority that is called as it is; "" where nothing tells."""
    sources = {source.name: source.authority or source.name for source in settings.sources}
    titles = {source.config.get("ae_title"): source.authority or source.name for source in settings.sources}

    def authority_of(calling: str, speaks_for: str) -> str:
        namespace = settings.archive.senders.get(calling) or sources.get(speaks_for) or titles.get(calling) or calling
        known = directory.by_namespace(namespace)
        return known.oid if known else ""

    return authority_of


def derived_oid(root: str, name: str) -> str:
    """A stable OID for a source that has none configured: the root with a number made from the name."""
    number = int.from_bytes(sha256(name.encode()).digest()[:4])
    oid = f"{root}.{number}"
    return oid if len(oid) <= 64 else f"2.25.{uuid.uuid5(uuid.NAMESPACE_OID, oid).int}"


def viewer_directory(settings: Settings) -> Path | None:
    """The installed viewer: the configured directory, else ``build/ohif`` when it is there."""
    default = Path("build/ohif")
    return settings.viewer or (default if (default / "index.html").exists() else None)
