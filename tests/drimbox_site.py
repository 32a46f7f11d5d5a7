"""A hub as DRIMbox consumer: the simulated national record, another region's box, an OpenID provider, an archive."""

import ssl
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote_plus

import httpx

from hub.app.keys import pki
from hub.app.settings.model import Settings
from hub.app.settings.roles import Role
from hub.app.wiring import Hub
from hub.audit.model import AuditRecord, AuditSearch
from hub.connector.record import ORGANISATION
from hub.context import Context
from hub.imaging.model import Study
from hub.patients.model import FeedIdentity, Identity, IdentityStatus, Traits
from hub.testing.dicom import Label, synthetic_ct
from hub.testing.dmp.pki import STRUCTURE, make_pki
from hub.testing.dmp.server import DmpSimulator
from hub.testing.dmp.state import Person as RecordPerson
from hub.testing.drimbox import Held, Source
from hub.values import PatientIdentifier
from tests.connectors.dmp_site import INS, connect, kos, lot
from tests.connectors.dmp_site import settings as record_settings
from tests.drimbox import Authority, signed
from tests.interop.oidc_provider import CLIENT, DOCTOR_ID, SECRET, OpenIdProvider
from tests.sign_in import Person

OID, ELSEWHERE = "1.2.250.1.999.83", "1.2.250.1.999.84"
LOCAL = PatientIdentifier("LYON-7", OID)
TRAITS = Traits(
    "PAT-TROIS", "DOMINIQUE", "DOMINIQUE", sex="F", birth_date="19790301", birth_place="35238"
)  # fmt: skip
ANS = Authority()


@dataclass
class Introspecting:
    """The tokens that the provider says are active, as a source asks about them."""

    issuer: str
    refuse: bool = False
    seen: list[str] = field(default_factory=list)

    def __contains__(self, token: object) -> bool:
        self.seen.append(str(token))
        answer = httpx.post(
            f"{self.issuer}/token/introspection",
            data={"token": str(token)},
            auth=(quote_plus(CLIENT), quote_plus(SECRET)),
            timeout=30,
        )
        return not self.refuse and answer.status_code == 200 and bool(answer.json()["active"])


class Browser(Person):
    """Somebody's browser, over TLS. Like a browser it does not say which certificates it could show."""

    def __init__(self, url: str, ca: Path, language: str = "en") -> None:
        httpx.Client.__init__(
            self,
            base_url=url,
            headers={"Accept-Language": language},
            timeout=60,
            verify=ssl.create_default_context(cafile=str(ca)),
        )

    def enter(self, account: str = DOCTOR_ID, situation: str = "1") -> httpx.Response:
        """Through the provider, to the first page."""
        page = self.go(self.at_provider(account))
        if page.url.path == "/portal/sign-in/situation":
            page = self.submit(page, "/portal/sign-in/situation", situation=situation)
        return page

    def csrf(self, page: httpx.Response) -> str:
        """Of a page."""
        return page.text.split('name="csrf" value="', 1)[1].split('"', 1)[0]


@dataclass
class Consumer:
    """Everything together."""

    hub: Hub
    pki: Path
    dmp: DmpSimulator
    source: Source
    tokens: Introspecting
    provider: OpenIdProvider
    study: Study
    files: Path
    manifest: str  #: SOPInstanceUID

    @property
    def url(self) -> str:
        return self.hub.public_url()

    def browser(self) -> Browser:
        return Browser(self.url, self.pki / "ca.crt")

    def his(self, name: str = "his") -> httpx.Client:
        """The hospital's system, with its certificate."""
        context = ssl.create_default_context(cafile=str(self.pki / "ca.crt"))
        if name:
            context.load_cert_chain(self.pki / f"{name}.crt", self.pki / f"{name}.key")
        return httpx.Client(base_url=self.url, verify=context, timeout=60)

    def records(self, transaction: str = "") -> list[AuditRecord]:
        """The trail, newest first."""
        assert self.hub.audit.flush(60)
        found = self.hub.audit.search(AuditSearch(limit=300)).records
        return [record for record in found if transaction in ("", record.transaction)]

    def trust(self, place: str, generated: str) -> None:
        """The list names one source of images."""
        subject = pki.load(self.pki / "box.crt").subject.rfc4514_string()
        fresh = self.pki / "list.new"
        fresh.write_bytes(signed([(place, subject)], ANS, generated=generated))
        fresh.replace(self.pki / "list.xml")

    @property
    def place(self) -> str:
        """Where the source is, as the list names it."""
        return self.source.url.removeprefix("https://").partition("/")[0]


def call(**changed: str) -> dict[str, str]:
    """A contextual call for the person."""
    fields = {
        "Patient.identifier.value": INS.value,
        "Patient.identifier.system": f"urn:oid:{INS.authority}",
        "Patient.name.family": "PAT-TROIS",
        "Patient.name.given": "DOMINIQUE",
        "Patient.gender": "female",
        "Patient.birthDate": "1979-03-01",
        "Address.district": "35238",
        "InformationEtOppositionConsultation": "true",
        "PatientID": LOCAL.value,
        "PatientIDIssuer": OID,
    }
    given = {**fields, **{name.replace("__", "."): value for name, value in changed.items()}}
    return {name: value for name, value in given.items() if value != "-"}


@contextmanager
def consumer(
    root: Path,
    provider: OpenIdProvider,
    database: str,
    archive: dict[str, Any] | None = None,
    *,
    size: int = 64,
    **more: Any,
) -> Iterator[Consumer]:
    """``archive``: kind and config of the source PACS_A."""
    keys = root / "pki"
    pki.init(keys)
    for node in ("hub", "box", "his", "other"):
        pki.issue(keys, node)
    (keys / "ans.crt").write_bytes(ANS.ca.pem)
    (keys / "ans.crl").write_bytes(ANS.crl())
    secret = root / "secret"
    secret.write_text(f"{SECRET}\n")
    files = root / "files"
    study = synthetic_ct(
        files, Label("ELSEWHERE-1", "PAT-TROIS^DOMINIQUE", "19790301", "F", "ACC-1"), slices=3, size=size, series=2
    )  # fmt: skip
    tokens = Introspecting(provider.issuer)
    with ExitStack() as stack:
        held = {
            (str(series.series_instance_uid), str(instance.sop_instance_uid)): b""
            for series, instance in study.instances
        }
        from pydicom import dcmread

        for path in files.glob("*.dcm"):
            ds = dcmread(path, stop_before_pixels=True)
            held[str(ds.SeriesInstanceUID), str(ds.SOPInstanceUID)] = path.read_bytes()
        source = stack.enter_context(Source(keys / "ca.crt", keys / "box.crt", keys / "box.key"))
        source.tokens = tokens  # type: ignore[assignment]
        manifest = kos(study, source.url)
        source.manifests[manifest.entry.unique_id] = Held(study.study_instance_uid, held)
        dmp = DmpSimulator(make_pki(root / "dmp")).start()
        stack.callback(dmp.stop)
        dmp.state.add(RecordPerson(INS.value, INS.authority, authorised={STRUCTURE}))
        connector = connect(dmp)
        connector.submit(lot(manifest), ORGANISATION, timeout=60)
        connector.close()
        settings = {
            "authorities": [{"namespace": "LYON", "oid": OID}],
            "sources": [{"name": "PACS_A", "authority": "LYON", **archive}] if archive else [],
            "clients": [
                {
                    "name": name,
                    "certificate_sha256": pki.fingerprint(keys / f"{name}.crt"),
                    "permissions": permissions,
                }
                for name, permissions in (("his", ["drimbox.call", "patients.feed"]), ("other", ["documents.query"]))
            ],
            "pro_sante_connect": {"issuer": provider.issuer, "client_id": CLIENT, "client_secret_file": secret},
            "record": {
                "structure": STRUCTURE,
                "structure_name": "CH",
                "config": record_settings(dmp),
                "publish": False,
            },
            "tls": {
                "certificate": keys / "hub.crt",
                "key": keys / "hub.key",
                "ca": keys / "ca.crt",
                "client_certificates": "optional",
            },
            "drimbox": {
                "white_list": keys / "list.xml",
                "authorities": [keys / "ans.crt"],
                "crls": [keys / "ans.crl"],
                "operators": [keys / "ca.crt"],
                "certificate": keys / "hub.crt",
                "key": keys / "hub.key",
                "timeout": 30,
                "export_to": ["PACS_A"] if archive else [],
            },
            "imaging": {"check_at": ""},
            "web": {"port": 0},
            "storage": {"database": database, "content": root / "content"},
            **more,
        }
        hub = Hub(Settings.model_validate(settings))
        made = Consumer(hub, keys, dmp, source, tokens, provider, study, files, manifest.entry.unique_id)
        made.trust(made.place, "2026-01-01T00:00:00Z")
        hub.start({Role.WEB, Role.WORKER})
        stack.callback(hub.stop)
        provider.register(hub.public_url())
        yield made


def known(site: Consumer, number: PatientIdentifier = LOCAL) -> PatientIdentifier:
    """The person is known by the local number and the INS."""
    identity = Identity(number, TRAITS, IdentityStatus.QUALIFIED, ins=INS)
    return site.hub.patients.feed(FeedIdentity(identity), Context()).regional
