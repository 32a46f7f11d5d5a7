"""Which study is meant, and what its source holds of it now."""

from dataclasses import dataclass, fields, replace

from hub.connector.contract import StudyQuery
from hub.errors import HubError
from hub.exchange.model import Delivery
from hub.imaging.errors import SeveralStudies, StudyNotThereYet
from hub.imaging.locate import Archives
from hub.imaging.model import Study, StudyState
from hub.imaging.store import ImagingStore
from hub.storage.engine import Database


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is to be published, as far as the feed told it."""

    study_instance_uid: str = ""
    accession_number: str = ""
    order_number: str = ""
    authority: str = ""  #: OID of the patient numbers of the feed
    source: str = ""  #: name of the archive
    tries: int = 0  #: how often its images were looked for in vain
    instances: int = 0  #: objects that the hub's own archive held when this was queued; 0: not asked for by it
    copies: bool = False  #: nothing is published: what other archives hold of what arrives here is looked for

    @classmethod
    def of(cls, delivery: Delivery) -> "Wanted":
        """From a delivery's payload."""
        return cls(**{item.name: delivery.payload[item.name] for item in fields(cls) if item.name in delivery.payload})


class StudyFinder:
    """Finds a study by whatever a feed told of it, and asks its source."""

    def __init__(self, database: Database, archives: Archives) -> None:
        self.database = database
        self.archives = archives

    def describe(self, wanted: Wanted) -> Study:
        """The study as its source describes it now, emptied when the source holds nothing of it any more.

        Raises StudyNotThereYet, SeveralStudies, ConnectorError."""
        wanted = self._completed(wanted)
        names = self._candidates(wanted)
        uid = wanted.study_instance_uid or self._by_accession(wanted, names)
        failure: HubError | None = None
        withdrawn: Study | None = None
        sent: Study | None = None  # to the hub's own archive, by whom it was made or by whom it is kept
        for reply in self.archives.ask(names, lambda name, timeout: self.archives.describe(name, uid, timeout)):
            if reply.error is not None:
                failure = reply.error
            elif reply.value is not None and any(series.instances for series in reply.value.series):
                described: Study = reply.value
                if not self.archives.info(reply.source).own:
                    return described
                sent = described
            else:
                withdrawn = withdrawn or self._known(reply.source, uid)
        if sent is not None:
            return sent
        if failure is not None:
            raise failure
        if withdrawn is not None:
            return withdrawn
        raise StudyNotThereYet()

    def _completed(self, wanted: Wanted) -> Wanted:
        """With what orders and the index know of it."""
        if wanted.study_instance_uid and wanted.source:
            return wanted
        with self.database.reading() as work:
            store = ImagingStore(work)
            if not wanted.study_instance_uid:
                orders = store.orders(
                    accession_number=wanted.accession_number, number=wanted.order_number, authority=wanted.authority
                )
                uids = {row.study_instance_uid for row in orders if row.study_instance_uid}
                if len(uids) == 1:
                    wanted = replace(wanted, study_instance_uid=uids.pop())
                accessions = {row.accession_number for row in orders if row.accession_number}
                if not wanted.accession_number and len(accessions) == 1:
                    wanted = replace(wanted, accession_number=accessions.pop())
            if not wanted.source and wanted.study_instance_uid:
                known = store.sources_of(wanted.study_instance_uid)
                if len(known) == 1 and known[0] in self.archives.infos:
                    wanted = replace(wanted, source=known[0])
        return wanted

    def _candidates(self, wanted: Wanted) -> list[str]:
        if wanted.source:
            return [wanted.source]
        own = self.archives.of_authority(wanted.authority)
        return [info.name for info in self.archives.infos.values() if not own or info in own or info.own]

    def _by_accession(self, wanted: Wanted, names: list[str]) -> str:
        if not wanted.accession_number:
            raise StudyNotThereYet()
        query = StudyQuery(accession_number=wanted.accession_number, limit=10)
        failure: HubError | None = None
        found: set[str] = set()
        for reply in self.archives.ask(names, lambda name, timeout: self.archives.find(name, query, timeout)):
            if reply.error is not None:
                failure = reply.error
                continue
            same = [study for study in reply.value if study.accession_number.strip() == wanted.accession_number]
            found |= {study.study_instance_uid for study in same}
        if len(found) > 1:
            raise SeveralStudies()
        if not found:
            raise failure or StudyNotThereYet()
        return found.pop()

    def _known(self, source: str, uid: str) -> Study | None:
        """The indexed study, emptied: its source holds nothing of it any more."""
        with self.database.reading() as work:
            for item in ImagingStore(work).studies([uid]):
                if item.study.source == source and item.state is not StudyState.ORDERED:
                    return replace(item.study, series=(), series_count=0, instance_count=0)
        return None
