"""Which questions to sources fetch what is wanted: few of them, however many instances are named."""

import logging
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from hub.documents.errors import UnknownCommunity
from hub.errors import HubError, Unavailable
from hub.imaging.contents import IndexedContents
from hub.imaging.errors import UnknownInstance
from hub.imaging.locate import Archives
from hub.imaging.model import FailedInstance, InstanceRequest

log = logging.getLogger(__name__)

#: From so many wanted instances of a series on, the series is asked for as a whole; from so many of a study on that the
#: index does not know, its sources are asked what they hold of it.
_MANY = 4
_BySeries = Mapping[str, Mapping[str, InstanceRequest]]  #: what is wanted of a study: by series, then by instance


@dataclass(frozen=True, slots=True)
class Part:
    """One question to a source: a study, a series or an instance, and which of its instances are wanted."""

    request: InstanceRequest
    sources: tuple[str, ...]
    wanted: Mapping[str, InstanceRequest]  #: by SOPInstanceUID; empty: all, and nobody knows which these are
    whole: bool = False  #: everything is wanted, also what is newer than the index


class Planner:
    """``home``: the homeCommunityId (URN) that requests may name; "": any. ``silence``: seconds that a source may take
    to tell what it holds of a study."""

    def __init__(self, archives: Archives, contents: IndexedContents, *, home: str, silence: float) -> None:
        self.archives = archives
        self.contents = contents
        self.home = home
        self.silence = silence

    def plan(
        self, requests: Sequence[InstanceRequest], sources_of: Callable[[InstanceRequest], Sequence[str]]
    ) -> tuple[list[Part], list[FailedInstance]]:
        """The questions, and what can't be had, whatever the sources say. ``sources_of``: who is to be asked, or why
        nobody; called once for each study and place that is named."""
        failures: list[FailedInstance] = []
        located: dict[InstanceRequest, tuple[str, ...] | HubError] = {}
        groups: dict[tuple[str, tuple[str, ...]], dict[str, dict[str, InstanceRequest]]] = {}
        for request in dict.fromkeys(requests):
            where = replace(request, series_instance_uid="", sop_instance_uid="")
            if where not in located:
                located[where] = self._located(where, sources_of)
            sources = located[where]
            if isinstance(sources, HubError):
                failures.append(FailedInstance(request, sources))
                continue
            series = groups.setdefault((request.study_instance_uid, sources), {})
            series.setdefault(request.series_instance_uid, {})[request.sop_instance_uid] = request
        parts: list[Part] = []
        for (study, asked), wanted in groups.items():
            parts += self._of_study(study, asked, wanted, failures)
        return parts, failures

    def rest(self, source: str, remaining: Iterable[InstanceRequest]) -> list[Part]:
        """What others did not give, as questions to one that may have it."""
        studies: dict[str, dict[str, dict[str, InstanceRequest]]] = {}
        for request in remaining:
            series = studies.setdefault(request.study_instance_uid, {})
            series.setdefault(request.series_instance_uid, {})[request.sop_instance_uid] = request
        return [part for study, wanted in studies.items() for part in self._of_study(study, (source,), wanted, [])]

    def _located(
        self, request: InstanceRequest, sources_of: Callable[[InstanceRequest], Sequence[str]]
    ) -> tuple[str, ...] | HubError:
        if request.home and self.home and request.home != self.home:
            return UnknownCommunity()
        try:
            return tuple(sources_of(request))
        except HubError as error:
            return error

    def _of_study(
        self, study: str, sources: tuple[str, ...], every: _BySeries, failures: list[FailedInstance]
    ) -> Iterator[Part]:
        single = [request for wanted in every.values() if "" not in wanted for request in wanted.values()]
        held: set[tuple[str, str]] = set()
        if len(single) >= _MANY:
            held = set(self.contents.instances(study, "", sources))
            unknown = _without(single, held)
            if len(unknown) >= _MANY:
                failed = self._absent(study, sources, unknown, held)
                failures += failed
                gone = {item.request for item in failed}
                every = {
                    at: {uid: one for uid, one in wanted.items() if one not in gone} for at, wanted in every.items()
                }
        sizes = Counter(series for series, _ in held)
        for series, wanted in every.items():
            yield from self._of_series(study, series, sources, wanted, sizes[series])

    def _of_series(
        self, study: str, series: str, sources: tuple[str, ...], wanted: Mapping[str, InstanceRequest], size: int
    ) -> Iterator[Part]:
        if "" in wanted:  # the series or the study itself is asked for
            expected = {
                uid: replace(wanted[""], series_instance_uid=series_uid, sop_instance_uid=uid)
                for series_uid, uid in self.contents.instances(study, series, sources)
            }
            yield Part(wanted[""], sources, expected, whole=True)
        elif series and len(wanted) >= _MANY and len(wanted) * 2 >= size > 0:  # most of it: cheaper than many questions
            yield Part(InstanceRequest(study, series), sources, wanted)
        else:
            for uid, request in wanted.items():
                yield Part(request, sources, {uid: request})

    def _absent(
        self,
        study: str,
        sources: Sequence[str],
        unknown: Sequence[InstanceRequest],
        held: set[tuple[str, str]],
    ) -> list[FailedInstance]:
        """Those that no source holds. What they say they hold is added to ``held``; where one does not tell it, what is
        wanted counts as held, and is asked for."""
        error: HubError = UnknownInstance()
        for source in sources:
            try:
                found = self.archives.describe(source, study, self.silence)
            except Unavailable as failure:
                self.archives.note(source, failure)
                error = failure
            except HubError as failure:
                log.info("source %s does not tell what it holds: %s", source, failure.code)
                held |= {(item.series_instance_uid, item.sop_instance_uid) for item in unknown}
                return []
            else:
                self.archives.note(source, None)
                if found is not None:
                    held |= {(one.series_instance_uid, item.sop_instance_uid) for one, item in found.instances}
        return [FailedInstance(request, error) for request in _without(unknown, held)]


def _without(requests: Iterable[InstanceRequest], held: set[tuple[str, str]]) -> list[InstanceRequest]:
    """The requests for what is not held."""
    uids = {uid for _, uid in held}
    return [
        item
        for item in requests
        if item.sop_instance_uid not in uids
        or (item.series_instance_uid and (item.series_instance_uid, item.sop_instance_uid) not in held)
    ]
