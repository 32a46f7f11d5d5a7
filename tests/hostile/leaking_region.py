"""A running hub with patients alike, of whom one will oppose, and who asks it."""

import itertools
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from pydicom import dcmread
from pydicom.data import get_testdata_file
from pydicom.dataset import Dataset
from pynetdicom import AE
from pynetdicom.sop_class import (
    CTImageStorage,
)
from sqlalchemy import event

from hub.app.settings.model import (
    Archive,
    Authority,
    DimsePort,
    HealthPort,
    Mllp,
    Security,
    Settings,
    Storage,
    User,
    Web,
)
from hub.app.settings.sharing import OnDemand
from hub.app.wiring import Hub
from hub.storage.prepared import Prepared
from hub.values import PatientIdentifier
from hub.wire.hl7v2.client import MllpClient
from tests.interop.by_hand import (
    Entry,
    Integrator,
    Set,
    oid,
)

OID = "1.2.250.1.999.71"
GET_SETS = "urn:uuid:51224314-5390-4169-9b91-b1980040715a"
_COUNTER = itertools.count(1)
_ENDPOINTS = (
    *("xds_registry", "xds_repository", "xca_initiating", "xca_responding"),
    *("xcpd_responding", "fhir"),
)


@dataclass(frozen=True, kw_only=True)
class Target:
    """What is asked about: somebody's number and record, as far as an outsider can know or guess it."""

    number: str
    regional: str  #: CX
    study: str
    series: str
    instance: str
    document: str  #: uniqueId
    entry: str  #: entryUUID
    owner: str  #: entryUUID of the submission set
    name: str
    accession: str = ""
    offer: str = ""  #: uniqueId of the on-demand document of theirs
    offer_entry: str = ""  #: its entryUUID

    def guessed(self) -> "Target":
        """The same about what nobody has: numbers of the same length."""
        turn = str.maketrans("123456789", "234567891")
        other = "urn:uuid:00000000-0000-4000-8000-0000000000"
        return replace(
            self,
            study=self.study[:-6] + self.study[-6:].translate(turn),
            series=self.series[:-6] + self.series[-6:].translate(turn),
            instance=self.instance[:-6] + self.instance[-6:].translate(turn),
            document=self.document[:-6] + self.document[-6:].translate(turn),
            entry=f"{other}01",
            owner=f"{other}02",
            accession=self.accession[:-6] + self.accession[-6:].translate(turn),
            offer=self.offer[:-6] + self.offer[-6:].translate(turn),
            offer_entry=f"{other}03",
        )


@dataclass
class Region:
    """The hub, and who asks it."""

    hub: Hub
    vendor: Integrator
    people: dict[str, Target] = field(default_factory=dict)
    browser: httpx.Client | None = None  #: of a clinician who is signed in
    arrived: list[str] = field(default_factory=list)  #: at the station to which images are moved

    def send(self, text: str) -> None:
        with MllpClient("127.0.0.1", self.hub.mllp.port, timeout=120) as client:
            answer = client.send(text.encode())
        assert b"MSA|AA" in answer, answer

    def adt(self, number: str, name: str, zfa: str = "") -> None:
        """A PAM-FR identity feed, with what the patient says."""
        msh = (
            f"MSH|^~\\&|HIS_A|HOSPITAL_A|HUB|REGION|20260310110000||ADT^A28^ADT_A05|m{next(_COUNTER)}|P|2.5^FRA^2.11"
            "|||||FRA|UNICODE UTF-8"
        )
        pid = f"PID|1||{number}^^^HOSPITAL_A&{OID}&ISO^PI||{name}^ZOE^ZOE MARIE^^^^L||19520316|F|||^^^^^^BDL^^75112"
        pid += "|" * 21 + "VALI"
        self.send("\r".join([msh, "EVN||20260310110000", pid, "PV1||N", *([zfa] if zfa else []), ""]))

    def says(self, who: str, consultation: str, feeding: str = "INO") -> None:
        """ZFA-9 and ZFA-11, each time a day after the time before."""
        target, day = self.people[who], (date(2020, 1, 1) + timedelta(days=next(_COUNTER))).strftime("%Y%m%d")
        self.adt(target.number, target.name, f"ZFA|ACTIF|20200101|||||||{feeding}|{day}|{consultation}|{day}")

    def opposes(self, who: str) -> None:
        """Consultation."""
        self.says(who, "INC")

    def relents(self, who: str) -> None:
        """Consents again."""
        self.says(who, "IC")

    @contextmanager
    def counted(self, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
        """The statements that the hub sends to its database meanwhile for who asks: not those of the audit trail and
        of workers."""
        found: list[str] = []
        execute = Prepared._execute

        def note(statement: str) -> None:
            if not threading.current_thread().name.startswith(("audit", "exchange", "worker")):
                found.append(" ".join(statement.split()))

        def prepared(self: Prepared, connection: Any, values: Any) -> Any:
            note(self.compiled(connection.dialect).text)
            return execute(self, connection, values)

        def plainly(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
            note(statement)

        engine = self.hub.database.engine
        event.listen(engine, "before_cursor_execute", plainly)
        try:
            with monkeypatch.context() as patch:
                patch.setattr(Prepared, "_execute", prepared)
                yield found
        finally:
            event.remove(engine, "before_cursor_execute", plainly)


def settings(directory: Path, station: int = 0, users: tuple[User, ...] = ()) -> Settings:
    return Settings(
        authorities=(Authority(namespace="HOSPITAL_A", oid=OID),),
        archive=Archive(senders={"MODALITY": "HOSPITAL_A"}, stable_after=0.2),
        web=Web(port=0),
        mllp=Mllp(port=0),
        dimse=DimsePort(port=0, destinations={"STATION": f"127.0.0.1:{station}"} if station else {}),
        users=users,
        on_demand=OnDemand(study_list=True),
        health=HealthPort(port=0),
        security=Security(node_authentication=False),
        storage=Storage(database=f"sqlite:///{directory / 'hub.sqlite'}", content=directory),
    )


@contextmanager
def running(given: Settings) -> Iterator[Region]:
    """The hub with these settings."""
    hub = Hub(given)
    hub.start()
    try:
        url = hub.public_url()
        box = {name: f"{url}/{name.replace('_', '/')}" for name in _ENDPOINTS}
        with Integrator(box) as vendor:
            yield Region(hub, vendor)
    finally:
        hub.stop()


def image(number: str, name: str) -> Dataset:
    """A CT image of somebody."""
    ds = dcmread(get_testdata_file("CT_small.dcm"))
    ds.PatientID, ds.PatientName, ds.IssuerOfPatientID = number, f"{name}^ZOE", ""
    ds.StudyInstanceUID, ds.SeriesInstanceUID, ds.SOPInstanceUID = oid(), oid(), oid()
    ds.file_meta.MediaStorageSOPInstanceUID = ds.SOPInstanceUID
    ds.AccessionNumber = str(ds.StudyInstanceUID).replace(".", "")[-12:]
    return ds


def bring_in(
    region: Region, who: str, number: str, name: str, *, codes: dict[str, str] | None = None, said: str = ""
) -> None:
    """A person with one image and one document; a patient without anything where the name says so. ``said``: of
    consultation (ZFA-11)."""
    region.adt(number, name, f"ZFA|ACTIF|20200101|||||||INO|20200101|{said}|20200101" if said else "")

    regional = region.hub.patients.resolve(PatientIdentifier(number, OID))
    assert regional is not None
    ds = image(number, name)
    uid = oid()
    if who != "empty":
        store(region, ds)
        content = f"report {number}".encode()
        entry = Entry(patient=regional.cx, uid=uid, content=content, codes=codes or {})
        answer = region.vendor.provide([entry], Set(patient=regional.cx))
        assert answer.outcome == "Success", answer.errors
    found = region.hub.documents.entry(uid) if who != "empty" else None
    owner = ""
    if found is not None:
        answer = region.vendor.ask(GET_SETS, {"uuid": f"('{found.id}')"})
        owner = str(answer.objects("RegistryPackage")[0].get("id"))
    region.people[who] = Target(
        number=number,
        name=name,
        regional=regional.cx,
        study=str(ds.StudyInstanceUID),
        series=str(ds.SeriesInstanceUID),
        instance=str(ds.SOPInstanceUID),
        document=uid,
        entry=found.id if found else "",
        owner=owner,
        accession=str(ds.AccessionNumber),
    )


def store(region: Region, ds: Dataset) -> None:
    """C-STORE from the modality."""
    ae = AE("MODALITY")
    ae.add_requested_context(CTImageStorage, ds.file_meta.TransferSyntaxUID)
    port = int(region.hub.dimse_address().rpartition(":")[2])
    association = ae.associate("127.0.0.1", port, ae_title="MAILLAGE")
    assert association.is_established
    assert association.send_c_store(ds).Status == 0
    association.release()
