"""Any bytes in: exactly one answer, exactly one audit record, nothing of the patient in either, on every wire.

Hypothesis makes the bytes, the same ones at each run."""

import contextlib
import json
import socket
from collections.abc import Callable, Iterator
from hashlib import sha256
from http.client import HTTPConnection
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hub.app.settings.model import DimsePort, Mllp, Security, Settings, Storage, Web
from hub.app.settings.nodes import Client
from hub.app.settings.roles import Role
from hub.app.wiring import Hub
from hub.audit.model import AuditSearch
from tests.hostile.conftest import SECRET, clean

EXAMPLES = settings(
    max_examples=120,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.data_too_large],
)


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hub]:
    directory = tmp_path_factory.mktemp("hub")
    every = Client(name="every", token_sha256=sha256(b"every").hexdigest(), permissions=("*",))
    hub = Hub(
        Settings(
            clients=(every,),
            web=Web(port=0),
            mllp=Mllp(port=0),
            dimse=DimsePort(port=0),
            security=Security(node_authentication=False, accept_new_authorities=True),
            storage=Storage(database=f"sqlite:///{directory}/hub.sqlite", content=Path(directory) / "content"),
        )
    )
    hub.start({Role.WEB, Role.MLLP, Role.DIMSE})
    yield hub
    hub.stop()


@pytest.fixture
def audited(hub: Hub, caplog: pytest.LogCaptureFixture) -> Callable[[], int]:
    """Counts the audit records that came since it was last asked; no record and no line tells a patient or a defect."""
    seen: set[str] = set()

    def new() -> int:
        assert hub.audit.flush(60)
        records = [item for item in hub.audit.search(AuditSearch(limit=100)).records if item.id not in seen]
        seen.update(item.id for item in records)
        assert not [item for item in records if SECRET in item.detail]
        assert not [item for item in records if item.error_code == "internal"]
        assert not [line for line in caplog.records if line.levelname in ("ERROR", "CRITICAL")], caplog.text
        assert SECRET not in caplog.text
        return len(records)

    new()
    return new


# HL7 v2 over MLLP

_MESSAGE = "\r".join(
    [
        "MSH|^~\\&|HIS|HOSP|HUB|REGION|20260101120000||ADT^A28^ADT_A05|1|P|2.5|||||FRA|UNICODE UTF-8",
        "EVN||20260101",
        f"PID|1||4711^^^&1.2.250.1.999.77&ISO^PI||{SECRET}^ANNE^^^^^L||19700101|F",
        "PV1||N",
        "",
    ]
).encode()
_DELIMITERS = st.sampled_from([b"|", b"^", b"~", b"\\", b"\r", b"\n", b"&", b""])
_EVENTS = [b"ADT^A28", b"ADT^A40", b"QBP^Q23", b"QBP^Q22", b"ORM^O01", b"ORU^R01", b"XXX"]


@st.composite
def er7(draw: st.DrawFn) -> bytes:
    """A good message with some of it replaced, or just bytes."""
    if draw(st.booleans()):
        return draw(st.binary(min_size=1, max_size=300)).replace(b"\x1c", b"").replace(b"\x0b", b"") or b"x"
    text = _MESSAGE.replace(b"ADT^A28", draw(st.sampled_from(_EVENTS)))
    for _ in range(draw(st.integers(1, 4))):
        start = draw(st.integers(0, len(text)))
        end = min(len(text), start + draw(st.integers(0, 40)))
        put = draw(
            st.one_of(st.sampled_from([b"|", b"^", b"~", b"\\", b"\r", b"\n", b"&", b""]), st.binary(max_size=20))
        )
        text = text[:start] + put.replace(b"\x1c", b"").replace(b"\x0b", b"") + text[end:]
    return text or b"x"


@EXAMPLES
@given(message=er7())
def test_mllp(hub: Hub, audited: Callable[[], int], message: bytes) -> None:
    host, _, port = hub.mllp_address().partition(":")
    with socket.create_connection((host, int(port)), timeout=60) as peer:
        peer.sendall(b"\x0b" + message + b"\x1c\r")
        peer.shutdown(socket.SHUT_WR)
        answer = b"".join(iter(lambda: peer.recv(65536), b""))
    assert answer.count(b"\x0b") == 1, answer
    assert answer.endswith(b"\x1c\r")
    assert b"\rMSA|" in answer
    if b"\rMSA|AA" not in answer:
        # MSH repeats what the sender wrote in its own
        clean(answer.partition(b"\r")[2].decode("utf-8", "replace"))
    assert audited() == 1


_NAMES = (
    "_id", "identifier", "patient", "patient.identifier", "status", "birthdate", "family", "_count", "started",
    "StudyDate", "PatientID", "00100020", "limit", "offset", "includefield", "_format", "date", "_sort",
)  # fmt: skip
_KEYS = (
    "resourceType", "entry", "resource", "type", "identifier", "value", "system", "parameter", "name", "status",
    "content", "attachment", "data", "url", "subject", "reference", "meta", "profile",
)  # fmt: skip
_WORDS = st.one_of(
    st.sampled_from(
        ["1", "1.2.3", "metadata", "_search", "_history", "..", "$match", SECRET, "*", "", "studies", "-1"]
    ),
    st.text(max_size=20),
)
_PARAMETERS = st.lists(
    st.tuples(
        st.one_of(
            st.sampled_from(_NAMES),
            st.text(max_size=10),
        ),
        _WORDS,
    ),
    max_size=4,
)
_JSON: st.SearchStrategy[Any] = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False, allow_infinity=False), _WORDS),
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.dictionaries(
            st.one_of(
                st.sampled_from(
                    [
                        "resourceType",
                        "entry",
                        "resource",
                        "type",
                        "identifier",
                        "value",
                        "system",
                        "parameter",
                        "name",
                        "status",
                        "content",
                        "attachment",
                        "data",
                        "url",
                        "subject",
                        "reference",
                        "meta",
                        "profile",
                    ]
                ),
                st.text(max_size=8),
            ),
            inner,
            max_size=5,
        ),
    ),
    max_leaves=20,
)


def ask(hub: Hub, method: str, path: str, body: bytes | None = None, kind: str = "") -> tuple[int, str, str]:
    """(status, media type, body) of exactly one answer on a connection of its own."""
    host, _, port = hub.public_url().removeprefix("http://").partition(":")
    connection = HTTPConnection(host, int(port), timeout=60)
    try:
        headers = {"Authorization": "Bearer every", "Connection": "close"} | ({"Content-Type": kind} if kind else {})
        connection.request(method, path, body, headers)
        answer = connection.getresponse()
        return answer.status, answer.headers.get("Content-Type", ""), answer.read().decode("utf-8", "replace")
    finally:
        connection.close()


def _query(parameters: list[tuple[str, str]]) -> str:
    return "&".join(f"{quote(name, safe='')}={quote(value, safe='')}" for name, value in parameters)


@EXAMPLES
@given(
    resource=st.sampled_from(["Patient", "ImagingStudy", "DocumentReference", "List"]),
    parameters=_PARAMETERS,
    posted=st.booleans(),
)
def test_fhir_search(
    hub: Hub, audited: Callable[[], int], resource: str, parameters: list[tuple[str, str]], posted: bool
) -> None:
    query = _query(parameters)
    if posted:
        form = "application/x-www-form-urlencoded"
        status, media, text = ask(hub, "POST", f"/fhir/{resource}/_search", query.encode(), form)
    else:
        status, media, text = ask(hub, "GET", f"/fhir/{resource}?{query}")
    assert status < 500, text
    assert media.startswith("application/fhir+json")
    if status >= 400:
        assert '"OperationOutcome"' in text
        clean(text)
    assert audited() == 1


_PERSONS = tuple(f"/Patient/${name}" for name in ("match", "ihe-pix", "link", "unlink", "explain"))


@EXAMPLES
@given(
    body=st.one_of(st.binary(max_size=200), _JSON.map(lambda item: json.dumps(item).encode("utf-8", "replace"))),
    path=st.sampled_from(
        ["", "/DocumentReference/$generate-metadata", "/$process-message", "/Subscription", *_PERSONS]
    ),
)
def test_fhir_body(hub: Hub, audited: Callable[[], int], body: bytes, path: str) -> None:
    status, media, text = ask(hub, "POST", f"/fhir{path}", body, "application/fhir+json")
    assert 400 <= status < 500, text
    assert media.startswith("application/fhir+json")
    assert '"OperationOutcome"' in text
    clean(text)
    assert audited() == 1


@EXAMPLES
@given(
    parameters=_PARAMETERS,
    level=st.sampled_from(["studies", "studies/1.2.3/series", "studies/1.2.3/series/1.2/instances"]),
)
def test_dicomweb_search(hub: Hub, audited: Callable[[], int], parameters: list[tuple[str, str]], level: str) -> None:
    status, _, text = ask(hub, "GET", f"/dicom-web/{level}?{_query(parameters)}")
    assert status < 500, text
    if status >= 400:
        clean(text)
    assert audited() == 1


@EXAMPLES
@given(
    study=_WORDS.filter(lambda word: word not in ("", "..") and "/" not in word),
    tail=st.sampled_from(
        ["", "/metadata", "/series/1.2", "/series/1.2/instances/1.3", "/series/1.2/instances/1.3/frames/1"]
    ),
)
def test_dicomweb_retrieval(hub: Hub, audited: Callable[[], int], study: str, tail: str) -> None:
    status, _, text = ask(hub, "GET", f"/dicom-web/studies/{quote(study, safe='')}{tail}")
    assert 400 <= status < 500, text
    clean(text)
    assert audited() == 1


# DICOM upper layer


@EXAMPLES
@given(kind=st.integers(0, 9), body=st.binary(max_size=200), honest=st.booleans())
def test_dimse(hub: Hub, audited: Callable[[], int], kind: int, body: bytes, honest: bool) -> None:
    host, _, port = hub.dimse_address().partition("@")[2].partition(":")
    length = len(body) if honest else len(body) * 7 + 1
    with socket.create_connection((host, int(port)), timeout=60) as peer:
        answer = b""
        with contextlib.suppress(OSError):  # it may hang up first
            peer.sendall(bytes([kind, 0]) + length.to_bytes(4, "big") + body)
            peer.shutdown(socket.SHUT_WR)
        with contextlib.suppress(OSError):
            answer = b"".join(iter(lambda: peer.recv(65536), b""))
    # A-ASSOCIATE-RJ, A-ABORT, or (to who aborts, or says nothing whole) silence: never a data transfer
    assert answer[:1] in (b"", b"\x03", b"\x07"), answer
    assert audited() <= 1
