"""Which source holds a study: the index first, then the sources themselves, all at once."""

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from hub.connector.contract import Connector, CutShort, DescribesStudy, FindsStudies, StudyQuery
from hub.errors import HubError, Misconfigured
from hub.imaging.errors import UnknownImagingSource
from hub.imaging.fanout import Call, FanOut, Reply
from hub.imaging.model import SourceInfo, Study
from hub.imaging.ports import Sources

log = logging.getLogger(__name__)


class Archives:
    """The configured sources by name, by patient authority, by repository OID; and questions to several of them."""

    def __init__(self, sources: Sources, infos: Iterable[SourceInfo], fanout: FanOut | None = None) -> None:
        self.sources = sources
        self.infos: Mapping[str, SourceInfo] = {info.name: info for info in infos}
        self.fanout = fanout or FanOut()

    def info(self, name: str) -> SourceInfo:
        """A source by name. Raises UnknownImagingSource."""
        if name not in self.infos:
            raise UnknownImagingSource()
        return self.infos[name]

    def of_authority(self, oid: str) -> tuple[SourceInfo, ...]:
        """The sources that hold an authority's patient numbers."""
        return tuple(info for info in self.infos.values() if oid and info.authority_oid == oid)

    def of_repository(self, oid: str) -> SourceInfo:
        """The source with this OID as an imaging document source. Raises UnknownImagingSource."""
        for info in self.infos.values():
            if info.repository_unique_id == oid:
                return info
        raise UnknownImagingSource()

    def connector(self, name: str) -> Connector:
        """A source's open connector. Raises UnknownImagingSource, or why it can't be opened."""
        self.info(name)
        return self.sources.get(name)

    def capable(self, name: str, capability: Any) -> Any:
        """The connector, which fulfils the capability's protocol. Raises Misconfigured when it does not."""
        connector = self.connector(name)
        if not isinstance(connector, capability):
            raise Misconfigured(f"The source {name} can't do this.")
        return connector

    def ask(
        self, names: Iterable[str], question: Callable[[str, float], Any], *, at_most: float = float("inf")
    ) -> Iterator[Reply]:
        """Put ``question(name, timeout)`` to the sources at once; replies as they come, each within its deadline."""
        calls = {}
        for name in names:
            deadline = min(self.info(name).deadline, at_most)
            calls[name] = Call(_bind(question, name, deadline), deadline)
        for reply in self.fanout.ask(calls):
            self.note(reply.source, reply.error)
            yield reply

    def note(self, name: str, error: HubError | None) -> None:
        """Keep in mind how a source did, for the operator."""
        if error is None:
            self.sources.contacted(name)
        else:
            self.sources.failed(name, error.message, error.code)

    def find(self, name: str, query: StudyQuery, timeout: float) -> Sequence[Study]:
        """Studies at one source; CutShort when it may hold more. Raises ConnectorError."""
        found: Sequence[Study] = self.capable(name, FindsStudies).find_studies(query, timeout=timeout)
        return CutShort(found) if 0 < query.limit <= len(found) else found

    def describe(self, name: str, study_instance_uid: str, timeout: float) -> Study | None:
        """A study with its instances; None when the source does not hold it. Raises ConnectorError."""
        described: Study | None = self.capable(name, DescribesStudy).describe_study(study_instance_uid, timeout=timeout)
        return described

    def holders(self, study_instance_uid: str) -> tuple[list[Study], HubError | None]:
        """What those say of the study who hold it, asked live; and the error of a source that could not say."""
        query = StudyQuery(study_instance_uid=study_instance_uid, limit=2)
        found, error = [], None
        for reply in self.ask(self.infos, lambda name, timeout: self.find(name, query, timeout)):
            if reply.error is not None:
                log.warning("source %s could not be asked: %s", reply.source, reply.error.code)
                error = reply.error
                continue
            same = [study for study in reply.value if study.study_instance_uid == study_instance_uid]
            found += [replace(study, source=reply.source) for study in same[:1]]
        return found, error


def _bind(question: Callable[[str, float], Any], name: str, deadline: float) -> Callable[[], Any]:
    return lambda: question(name, deadline)
