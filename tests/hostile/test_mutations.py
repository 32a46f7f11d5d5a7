"""Messages of the newer transactions with one thing wrong, each in turn: never a defect, always a record."""

import copy
from collections import Counter
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any

import httpx
import pytest
from lxml import etree

from hub.app.settings.model import Settings, Storage, Web
from hub.app.settings.nodes import Client
from hub.app.settings.roles import Role
from hub.app.wiring import Hub
from hub.audit.model import AuditSearch
from hub.patients.model import Traits
from hub.pipeline.catalogue import discover
from hub.pipeline.transaction import Soap
from hub.values import PatientIdentifier
from hub.wire.hl7v3.query import write_patient_query
from hub.wire.hl7v3.transmission import Party
from tests.hostile.conftest import SECRET, clean
from tests.interop.by_hand import Entry, Set, envelope, submission
from tests.profiles.dsub.clients import WSNT, subscribe_body

ACTIONS = {(bound.id, binding.body.rpartition("}")[2]): binding for binding, bound in discover().bindings(Soap)}
PATIENT = f"{SECRET}^^^&1.2.250.1.999.1&ISO"
LCM, RIM, RMD = (
    "urn:oasis:names:tc:ebxml-regrep:xsd:lcm:3.0",
    "urn:oasis:names:tc:ebxml-regrep:xsd:rim:3.0",
    "urn:ihe:iti:rmd:2017",
)
#: Their answers repeat the question, or the ids of what the request names, as the standard wants.
ECHOES = ("ITI-52", "ITI-55", "ITI-62", "ITI-86")


def messages() -> dict[tuple[str, str], str]:
    entry = Entry(patient=PATIENT)
    query = write_patient_query(
        Traits(birth_name=SECRET, birth_given="ANNE", birth_date="19790328", sex="F", city="X"),
        (PatientIdentifier(SECRET, "1.2.3.1"), PatientIdentifier("279035121518989", "1.2.250.1.213.1.4.8")),
        *(Party("1.2.3.1", "1.2.3.1"), Party("1.2.3.2", "1.2.3.2")),
        authority="1.2.3.1",
    )
    patient = {"XDSDocumentEntryPatientId": [f"'{PATIENT}'"], "XDSDocumentEntryTypeCode": ["('x^^1.2.3')"]}
    return {
        ("ITI-52", "Subscribe"): subscribe_body("https://127.0.0.1:1/x", patient, until="P1D"),
        ("ITI-52", "Renew"): f'<w:Renew xmlns:w="{WSNT}"><w:TerminationTime>P1D</w:TerminationTime></w:Renew>',
        ("ITI-55", "PRPA_IN201305UV02"): etree.tostring(query, encoding="unicode"),
        ("ITI-57", "SubmitObjectsRequest"): submission([entry], Set(patient=PATIENT)),
        ("ITI-62", "RemoveObjectsRequest"): (
            f'<l:RemoveObjectsRequest xmlns:l="{LCM}" xmlns:r="{RIM}"><r:ObjectRefList>'
            '<r:ObjectRef id="urn:uuid:00000000-0000-4000-8000-000000000000"/></r:ObjectRefList>'
            "</l:RemoveObjectsRequest>"
        ),
        ("ITI-86", "RemoveDocumentsRequest"): (
            f'<m:RemoveDocumentsRequest xmlns:m="{RMD}" xmlns:x="urn:ihe:iti:xds-b:2007"><x:DocumentRequest>'
            "<x:RepositoryUniqueId>1.2.3</x:RepositoryUniqueId><x:DocumentUniqueId>1.2.3.4</x:DocumentUniqueId>"
            "</x:DocumentRequest></m:RemoveDocumentsRequest>"
        ),
    }


def mutations(text: str, most: int = 90) -> Iterator[bytes]:
    """Each element gone, twice or empty; each attribute gone or absurd; each text absurd."""
    root = etree.fromstring(text)
    count = sum(1 for _ in root.iter())
    step = max(1, count * 4 // most)
    for number, (place, way) in enumerate((place, way) for place in range(count) for way in range(4)):
        if number % step:
            continue
        changed: Any = copy.deepcopy(root)
        item = list(changed.iter())[place]
        if way == 0 and item is not changed:
            item.getparent().remove(item)
        elif way == 1 and item is not changed:
            item.addnext(copy.deepcopy(item))
        elif way == 2:
            item.text = SECRET * 400 + "\u202e'\");--"
        else:
            for name in item.attrib:
                item.set(name, SECRET + "9" * 500)
            item.set("absurd", SECRET)
        yield etree.tostring(changed)


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hub]:
    directory = tmp_path_factory.mktemp("hub")
    every = Client(name="every", token_sha256=sha256(b"every").hexdigest(), permissions=("*",))
    settings = Settings(
        clients=(every,),
        web=Web(port=0),
        storage=Storage(database=f"sqlite:///{directory}/hub.sqlite", content=Path(directory) / "content"),
    )
    hub = Hub(settings)
    hub.start({Role.WEB})
    yield hub
    hub.stop()


@pytest.mark.parametrize("kind", sorted(messages()), ids=" ".join)
def test_one_thing_wrong(hub: Hub, kind: tuple[str, str], caplog: pytest.LogCaptureFixture) -> None:
    binding = ACTIONS[kind]
    url = hub.public_url() + binding.path.replace("{subscription}", "1")
    headers = {
        "Authorization": "Bearer every",
        "Content-Type": f'application/soap+xml; charset=UTF-8; action="{binding.action}"',
    }
    count = 0
    with httpx.Client(headers=headers, timeout=60) as client:
        for body in mutations(messages()[kind]):
            answer = client.post(url, content=envelope(binding.action, body.decode(), url))
            assert answer.status_code in (200, 400, 401, 403, 404, 413, 500), answer.text
            if kind[0] not in ECHOES:
                clean(answer.text)
            count += 1
    assert hub.audit.flush(60)
    records = hub.audit.search(AuditSearch(limit=500)).records[:count]
    assert len(records) == count
    assert not [record.detail for record in records if SECRET in record.detail]
    assert Counter(record.error_code for record in records)["internal"] == 0
    assert not [record for record in caplog.records if record.levelname in ("ERROR", "CRITICAL")]
    assert SECRET not in caplog.text
