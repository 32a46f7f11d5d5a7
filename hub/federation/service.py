"""One search over the whole region: the index first, live sources beside it, each with its own deadline."""

import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from hub.access.rights_model import Rights
from hub.connector.contract import CutShort
from hub.connector.matching import keys_match
from hub.context import Context
from hub.errors import DeadlineExceeded
from hub.federation.errors import NoSuchSource
from hub.federation.matching import matches, merge, source_query
from hub.imaging.elsewhere import Elsewhere
from hub.imaging.fanout import FanOut, Reply
from hub.imaging.hiding import ShownStudies
from hub.imaging.locate import Archives
from hub.imaging.model import (
    FindStudies,
    IndexedStudy,
    Series,
    SourceInfo,
    SourceState,
    SourceStatus,
    Study,
    StudyAnswer,
    StudyState,
)
from hub.imaging.ports import Patients, Sources
from hub.imaging.readers import StudyReaders
from hub.imaging.store import ImagingStore
from hub.storage.engine import Database
from hub.usecase import use_case
from hub.values import PatientIdentifier

INDEX = "index"
_BLOCK, _MOST_READ = 1000, 20_000  #: studies of the index that are read where it can't tell the page by itself
_CUT = f"Only the newest {_MOST_READ} studies were looked through."
_MORE = "It may hold more than it told: narrow the search."


@dataclass(frozen=True, slots=True)
class _Person:
    """Whom a question is about: the regional identifiers, and the numbers at each source."""

    regional: PatientIdentifier | None
    equivalents: tuple[PatientIdentifier, ...]
    numbers: Mapping[str, frozenset[str]]


class FederationService:
    """Finds studies. ``affinity_domain``: the authority of an identifier that comes without one.

    ``max_studies``: what one live source is asked for at most, and the largest page."""

    def __init__(
        self,
        *,
        database: Database,
        sources: Sources,
        infos: Iterable[SourceInfo],
        patients: Patients,
        affinity_domain: str = "",
        max_studies: int = 500,
        fanout: FanOut | None = None,
        rights: Rights,
    ) -> None:
        self.rights = rights
        self.database = database
        self.patients = patients
        self.affinity_domain = affinity_domain
        self.max_studies = max_studies
        self.archives = Archives(sources, infos, fanout)
        self.shown = ShownStudies(database, self.archives)
        self.elsewhere: Elsewhere | None = None  #: studies of other regions
        self.readers = StudyReaders(database, self.archives, self.rights)

    @use_case
    def find(self, command: FindStudies, context: Context) -> StudyAnswer:
        """Studies, each once, and what every source said. Raises NoSuchSource.

        An unknown person has no studies: that is an answer, not an error."""
        answer = StudyAnswer(())
        for partial in self.find_as_answered(command, context):
            answer = partial
        return answer

    def find_as_answered(self, command: FindStudies, context: Context) -> Iterator[StudyAnswer]:
        """The growing answer: first from the index, then again after every source; the last one is complete."""
        query = self._query(command)
        remote = self._open_elsewhere(query, context)
        if remote is not None:
            yield remote
            return
        if not set(query.sources) <= set(self.archives.infos):
            raise NoSuchSource()
        person = self._person(query, context)
        if query.person is not None:
            context.touch("patient", query.person.cx)
        indexed, total, status = self._from_index(query, person, context)
        indexed += self._open_of(person, query, context)
        live = self._live_sources(query, indexed)
        if not live:
            yield self._answer(query, indexed, [status], total, context)
            return
        statuses = {name: SourceStatus(name, SourceState.LATE) for name in live}
        found = list(indexed)
        yield self._answer(query, found, [status], total, context, done=False)
        timeout = context.remaining(float("inf"))
        for reply in self._ask(query, person, live, statuses, timeout):
            studies = self._accepted(reply, query, person, context)
            statuses[reply.source] = _status(reply, len(studies))
            found += [item for item in studies if not _known(item, indexed)]
            said = [status, *(statuses[name] for name in live if statuses[name].reason or name == reply.source)]
            yield self._answer(query, found, said, total, context, done=False)
        yield self._answer(query, found, [status, *(statuses[name] for name in live)], total, context)

    def _open_elsewhere(self, query: FindStudies, context: Context) -> StudyAnswer | None:
        """A study of another region that is open in the caller's session, when it alone is asked for."""
        if self.elsewhere is None or not context.session or len(query.study_instance_uids) != 1 or query.sources:
            return None
        found = self.elsewhere.opened(query.study_instance_uids[0], context)
        if found is None or query.person not in (None, found.indexed.person):
            return None
        context.touch("study", found.study.study_instance_uid)
        return StudyAnswer((_narrowed(found.indexed, query),), (found.status,), 1)

    def _open_of(self, person: _Person | None, query: FindStudies, context: Context) -> list[IndexedStudy]:
        """Of a person whose studies a viewer lists: those of other regions that are open in its session."""
        if self.elsewhere is None or not context.session or person is None or person.regional is None:
            return []
        if not query.live or query.sources or query.study_instance_uids:
            return []
        found = self.elsewhere.of_person(person.regional, context)
        return [item.indexed for item in found if matches(item.study, query, None)]

    # the question

    def _query(self, command: FindStudies) -> FindStudies:
        person = command.person
        if person is not None and not person.authority:
            person = self.patients.meant_by(person.value) or PatientIdentifier(person.value, self.affinity_domain)
        limit = max(0, min(command.limit, self.max_studies))
        return replace(command, person=person, limit=limit, offset=max(0, command.offset))

    def _person(self, query: FindStudies, context: Context) -> _Person | None:
        if query.person is None:
            return None
        regional = self.patients.resolve(query.person)
        person = self.patients.person(query.person)
        same = self.patients.equivalents(regional or query.person)
        if not self._may_ask(regional or query.person, context):
            regional, person, same = None, None, ()  # as somebody whom nobody knows
        every = person.identifiers if person is not None else (query.person,)
        numbers = {
            info.name: frozenset(
                item.value for item in every if item.authority and item.authority == info.authority_oid
            )
            for info in self.archives.infos.values()
        }
        return _Person(regional, tuple(same) or ((regional,) if regional is not None else ()), numbers)

    def _may_ask(self, patient: PatientIdentifier, context: Context) -> bool:
        """Whether the caller may read anything of the person, wherever it is."""
        if self.rights.plain(context):
            return True
        things = [self.readers.thing(name, patient) for name in self.archives.infos]
        return any(self.readers.may(things, context, note=False)) or not things

    def _from_index(
        self, query: FindStudies, person: _Person | None, context: Context
    ) -> tuple[list[IndexedStudy], int | None, SourceStatus]:
        started = time.monotonic()
        # A live answer is merged before it is cut into pages, so the index gives everything up to the page's end.
        page = replace(query, limit=query.offset + query.limit, offset=0) if query.live else query
        found, told, total = self._page(query, page, person, context)
        while query.live and total is not None and told < min(total, query.offset + query.limit):  # some are hidden
            page = replace(page, limit=page.limit + query.offset + query.limit - told)
            found, told, total = self._page(query, page, person, context)
        milliseconds = int((time.monotonic() - started) * 1000)
        state, reason = (SourceState.CUT, _CUT) if total is None else (SourceState.INDEX, "")
        return found, total, SourceStatus(INDEX, state, told, milliseconds, reason)

    def _page(
        self, query: FindStudies, page: FindStudies, person: _Person | None, context: Context
    ) -> tuple[list[IndexedStudy], int, int | None]:
        """(the rows of the page's studies, how many studies these are, how many there are in all): not the hidden."""
        persons = person.equivalents if person is not None else ()
        total: int | None
        with self.database.reading() as work:
            store = ImagingStore(work)
            if self.rights.plain(context) and not query.keys:
                uids, total = store.find(page, persons)
            else:
                uids, total = self._sifted(store, page, persons, context)
            found = store.studies(uids, deep=query.level != "STUDY")
            if split := _split(found):
                found = [item for item in found if item.study.study_instance_uid not in split]
                found += store.studies(split, deep=True)
        if query.sources:
            found = [item for item in found if item.study.source in query.sources]
        shown = self.shown.indexed(found)
        left = {item.study.study_instance_uid for item in shown}
        gone = {item.study.study_instance_uid for item in found} - left
        return shown, len(left), total - len(gone) if total is not None else None

    def _sifted(
        self, store: ImagingStore, page: FindStudies, persons: Sequence[PatientIdentifier], context: Context
    ) -> tuple[list[str], int | None]:
        """The page of what meets every key and the caller may read, and how many there are; None when they are too many
        to be read."""
        found: list[str] = []
        plain = self.rights.plain(context)
        for start in range(0, _MOST_READ, _BLOCK):
            uids, _ = store.find(replace(page, limit=_BLOCK, offset=start), persons)
            fit = _fitting(store, uids, page) if page.keys else uids
            may = fit if plain else self.readers.known(fit, context)
            found += [uid for uid in fit if uid in may]
            if len(uids) < _BLOCK:
                return found[page.offset : page.offset + page.limit], len(found)
        return found[page.offset : page.offset + page.limit], None

    def _live_sources(self, query: FindStudies, indexed: Sequence[IndexedStudy]) -> list[str]:
        wanted = set(query.study_instance_uids)
        deep = query.level != "STUDY"
        held = {item.study.study_instance_uid for item in indexed if item.study.series or not deep}
        if wanted and wanted <= held:
            return []  # the index knows every study that is asked for by name
        if not query.live and not (deep and len(wanted) == 1):
            return []
        asked = query.sources or self.archives.infos
        return [name for name in asked if not self.archives.info(name).own]  # the index is that one's catalogue

    # the sources

    def _ask(
        self,
        query: FindStudies,
        person: _Person | None,
        live: Sequence[str],
        statuses: dict[str, SourceStatus],
        timeout: float,
    ) -> Iterator[Reply]:
        asked = []
        for name in live:
            if person is not None and not person.numbers.get(name):
                statuses[name] = SourceStatus(name, SourceState.ANSWERED, reason="The person has no number there.")
            else:
                asked.append(name)

        def question(name: str, seconds: float) -> Sequence[Study]:
            if query.level != "STUDY" and len(query.study_instance_uids) == 1:
                study = self.shown.described(self.archives.describe(name, query.study_instance_uids[0], seconds))
                return [study] if study is not None else []
            return self._search(name, query, person, seconds)

        yield from self.archives.ask(asked, question, at_most=timeout)

    def _search(self, name: str, query: FindStudies, person: _Person | None, seconds: float) -> Sequence[Study]:
        numbers = person.numbers.get(name, frozenset()) if person is not None else frozenset[str]()
        asked = source_query(query, numbers, self.max_studies)
        if not query.study_instance_uids:
            answer = self.archives.find(name, asked, seconds)
            told = self.shown.told(name, answer, seconds)
            return CutShort(told) if isinstance(answer, CutShort) else told
        found: list[Study] = []
        for uid in query.study_instance_uids:
            found += self.archives.find(name, replace(asked, study_instance_uid=uid), seconds)
        return self.shown.told(name, found, seconds)

    def _accepted(
        self, reply: Reply, query: FindStudies, person: _Person | None, context: Context
    ) -> list[IndexedStudy]:
        if reply.error is not None:
            return []
        numbers = person.numbers if person is not None else None
        kept = [study for study in reply.value if matches(study, query, numbers)]
        if not self.rights.plain(context):
            allowed = self.readers.may([self.readers.told(study) for study in kept], context)
            kept = [study for study, may in zip(kept, allowed, strict=True) if may]
        regional: dict[tuple[str, str], PatientIdentifier | None] = {}
        found = []
        for study in kept:
            info = self.archives.info(reply.source)
            key = (study.patient_id, study.issuer or info.authority_oid)
            if key not in regional:
                known = person.regional if person is not None else None
                regional[key] = known or (self.patients.resolve(PatientIdentifier(*key)) if all(key) else None)
            found.append(IndexedStudy(study, regional[key], StudyState.INDEXED))
        return found

    # the answer

    def _answer(
        self,
        query: FindStudies,
        found: Sequence[IndexedStudy],
        statuses: Sequence[SourceStatus],
        total: int | None,
        context: Context,
        *,
        done: bool = True,
    ) -> StudyAnswer:
        """``total``: of the index; that of everything is known where all have answered and nothing is left."""
        merged = merge(found)
        end = query.offset + (query.limit if query.live else len(merged))
        known = end + 1 if total is None and len(merged) >= query.limit > 0 else total or 0
        more = max(known, len(merged)) > end
        if not done or len(statuses) > 1:
            whole = done and total is not None and total <= end and all(status.whole for status in statuses)
            total = len(merged) if whole else None
        if query.live:
            merged = merged[query.offset : end]
        for item in merged[:50]:
            context.touch("study", item.study.study_instance_uid)
        return StudyAnswer(tuple(_narrowed(item, query) for item in merged), tuple(statuses), total, more=more)


def _split(found: Iterable[IndexedStudy]) -> list[str]:
    """The studies without their content of which there are several copies: each may hold a part of it."""
    copies = Counter(
        item.study.study_instance_uid
        for item in found
        if item.state not in (StudyState.ORDERED, StudyState.WITHDRAWN) and not item.study.series
    )
    return [uid for uid, count in copies.items() if count > 1]


def _fitting(store: ImagingStore, uids: Sequence[str], query: FindStudies) -> list[str]:
    """Those of the studies that meet the further keys."""
    fit = {item.study.study_instance_uid for item in store.studies(uids) if keys_match(item.study, query.keys)}
    return [uid for uid in uids if uid in fit]


def _known(item: IndexedStudy, indexed: Sequence[IndexedStudy]) -> bool:
    """The index has this very copy, with what the hub knows beyond the source."""
    here = (item.study.source, item.study.study_instance_uid)
    return any(
        (one.study.source, one.study.study_instance_uid) == here and one.state is not StudyState.ORDERED
        for one in indexed
    )


def _status(reply: Reply, count: int) -> SourceStatus:
    if reply.error is None:
        state, reason = (SourceState.CUT, _MORE) if isinstance(reply.value, CutShort) else (SourceState.ANSWERED, "")
        return SourceStatus(reply.source, state, count, reply.milliseconds, reason)
    late = isinstance(reply.error, DeadlineExceeded)
    state = SourceState.LATE if late else SourceState.FAILED
    return SourceStatus(reply.source, state, 0, reply.milliseconds, reply.error.message)


def _narrowed(item: IndexedStudy, query: FindStudies) -> IndexedStudy:
    """Only the series and instances that are asked for."""
    if query.level == "STUDY":
        return item
    series = tuple(
        _narrowed_series(one, query)
        for one in item.study.series
        if query.series_instance_uid in ("", one.series_instance_uid)
    )
    return replace(item, study=replace(item.study, series=series))


def _narrowed_series(series: Series, query: FindStudies) -> Series:
    if query.level == "SERIES" or not query.sop_instance_uid:
        return series
    instances = tuple(one for one in series.instances if one.sop_instance_uid == query.sop_instance_uid)
    return replace(series, instances=instances)
