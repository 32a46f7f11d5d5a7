"""FHIR, DICOMweb and the portal with parameters that can't be, counts without end, and paths that lead elsewhere."""

import uuid

import pytest

from tests.hostile.conftest import SECRET, clean
from tests.interop.by_hand import Integrator
from tests.waiting import until

FHIR = [
    "ImagingStudy?_count=-1", "ImagingStudy?_count=99999999999999999999", "ImagingStudy?_count=1e9",
    "ImagingStudy?_offset=-5", "ImagingStudy?_offset=99999999999999999999", "ImagingStudy?_count=999999999",
    "ImagingStudy?_offset=999999999", "ImagingStudy?colour=1", "ImagingStudy?started=yesterday",
    "ImagingStudy?started=9999-99-99", "ImagingStudy?started=ge2024-13-01", "ImagingStudy?identifier=|",
    "ImagingStudy?patient.identifier=|", f"ImagingStudy?patient.identifier=http://x|{SECRET}",
    f"ImagingStudy?patient=Practitioner/{SECRET}", "ImagingStudy?_id=" + "1," * 5000, "ImagingStudy?_id=%00",
    "ImagingStudy?_id=%ff%fe", "ImagingStudy?_id=1&_id=2", "ImagingStudy?modality=" + "C" * 60_000,
    "ImagingStudy?_format=xml", "ImagingStudy/..%2f..%2f..%2fetc%2fpasswd", "ImagingStudy/%00", "ImagingStudy/1.2.3.4",
    f"ImagingStudy/{SECRET}'--", "ImagingStudy/" + "1" * 5000, "Patient?birthdate=foo", "Patient?family=%",
    "Patient?family=%25%25%25", "Patient?_cursor=" + SECRET, "Patient?_cursor=%7B%22a%22%3A1%7D", "Patient?_count=0",
    "Patient?identifier=urn:oid:1.2.3|' OR 1=1 --",
    "Patient/%2e%2e%2f%2e%2e%2fetc%2fpasswd",
    "Patient?" + "&".join(f"_id={n}" for n in range(500)), "Observation?code=1",
    "ImagingStudy/1/_history", "$everything",
]  # fmt: skip
DICOMWEB = [
    "studies?limit=-1", "studies?limit=99999999999999999999", "studies?offset=99999999999999999999", "studies?limit=a",
    "studies?offset=-1", "studies?limit=1000000000", "studies?00100020=" + SECRET * 100, "studies?99999999=1",
    "studies?includefield=nonsense", "studies?includefield=" + "00100010," * 5000, "studies?StudyDate=tomorrow",
    "studies?StudyDate=99999999-", "studies?fuzzymatching=perhaps", "studies?StudyInstanceUID=../../etc/passwd",
    "studies?PatientName=*", "studies?PatientName=%00", "studies?PatientName=%ff", "studies?Rows=1",
    "studies/..%2f..%2fetc%2fpasswd", "studies/1.2.3", "studies/1.2.3/metadata", "studies/%00/metadata",
    f"studies/{SECRET}", "studies/1.2.3/series/../../..", "studies/" + "1." * 5000 + "1",
    "studies/1.2.3/series/1.2/instances/1.3/frames/0", "studies/1.2.3/series/1.2/instances/1.3/frames/-1",
    "studies/1.2.3/series/1.2/instances/1.3/frames/99999999999999999999",
    "studies/1.2.3/series/1.2/instances/1.3/frames/" + ",".join(map(str, range(1, 5000))),
    "studies/1.2.3/series/1.2/instances/1.3/rendered?quality=9999", "studies/1.2.3/bulkdata/../../../etc/passwd",
    "series?limit=a", "instances?limit=a", "workitems", "studies?" + "&".join(f"PatientID={n}" for n in range(500)),
]  # fmt: skip
ELSEWHERE = [
    "portal/static/..%2f..%2f..%2fetc%2fpasswd", "portal/static/../../../../etc/passwd", "viewer/../../etc/passwd",
    "portal/viewer/..%2f..%2fpyproject.toml", "portal/static/%00", "..%2f..%2fetc/passwd", "//etc/passwd",
    "portal/operator/messages/' OR 1=1", f"portal/persons/{SECRET}", "xds/registry", "metrics/../fhir", "portal/%ff",
    "portal/language/../../x", "portal/language/fr?next=//evil.example/", "health/ready?x=" + "a" * 60_000,
]  # fmt: skip


@pytest.mark.parametrize("path", FHIR, ids=lambda text: text[:40])
def test_fhir(opened: Integrator, path: str) -> None:
    response = opened.http.get(f"{opened.box['fhir']}/{path}")
    assert response.status_code < 500, response.text
    if response.status_code >= 400:
        assert response.json()["resourceType"] == "OperationOutcome", response.text
        clean(response.text)
    assert "root:" not in response.text
    assert len(response.content) < 2_000_000


@pytest.mark.parametrize("path", DICOMWEB, ids=lambda text: text[:40])
def test_dicomweb(opened: Integrator, path: str) -> None:
    response = opened.http.get(f"{opened.box['dicomweb']}/{path}")
    assert response.status_code < 500, response.text
    if response.status_code >= 400:
        clean(response.text)
    assert "root:" not in response.text


@pytest.mark.parametrize("path", ELSEWHERE, ids=lambda text: text[:40])
def test_paths_that_lead_elsewhere(opened: Integrator, path: str) -> None:
    root = opened.box["portal"].removesuffix("/portal")
    response = opened.http.get(f"{root}/{path}")
    assert response.status_code < 500, response.text
    assert "root:" not in response.text
    assert "[tool." not in response.text
    assert "evil.example" not in response.headers.get("location", "")
    clean(response.text)


@pytest.mark.parametrize("path", ["fhir/Binary/..%2f..%2fetc%2fpasswd", "portal/static/..%2f..%2fpyproject.toml"])
def test_who_climbs_is_in_the_trail_once(opened: Integrator, path: str) -> None:
    root, asked = opened.box["portal"].removesuffix("/portal"), uuid.uuid4().hex
    answer = opened.http.get(f"{root}/{path}", headers={"X-Correlation-Id": asked})
    assert answer.status_code == 404

    def told() -> list[str]:
        found = opened.http.get(f"{opened.box['audit']}/AuditEvent?date=ge2020-01-01&_count=50").json()
        events = [entry["resource"] for entry in found.get("entry", [])]
        return [event["outcomeDesc"] for event in events if answer.headers["x-correlation-id"] in str(event)]

    until(told)
    assert told() == ["not-found: A path may not lead upwards."]


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "TRACE", "OPTIONS", "FOO"])
def test_other_methods(opened: Integrator, method: str) -> None:
    for url in (
        f"{opened.box['fhir']}/ImagingStudy/1",
        f"{opened.box['dicomweb']}/studies",
        opened.box["xds_registry"],
    ):
        response = opened.http.request(method, url, content=SECRET.encode())
        assert 400 <= response.status_code < 500 or response.status_code == 501
        clean(response.text)


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("application/x-www-form-urlencoded", b"identifier=" + b"a" * 1_000_000),
        ("application/x-www-form-urlencoded", b"&" * 1_000_000),
        ("application/x-www-form-urlencoded", b"\xff\xfe"),
        ("multipart/form-data; boundary=x", b"--x\r\n\r\n\r\n--x--"),
        ("application/json", b"[" * 1_000_000),
        ("", b""),
    ],
)
def test_searches_by_post(opened: Integrator, kind: str, body: bytes) -> None:
    response = opened.post(f"{opened.box['fhir']}/ImagingStudy/_search", kind, body)
    assert response.status_code < 500
    clean(response.text)


@pytest.mark.parametrize("kind", ["multipart/related; type=application/dicom; boundary=x", "application/dicom", "x"])
@pytest.mark.parametrize(
    "body", [b"", b"--x\r\nContent-Type: application/dicom\r\n\r\n" + b"\xff" * 5000, b"\0" * 1000]
)
def test_stored_garbage(opened: Integrator, kind: str, body: bytes) -> None:
    response = opened.post(f"{opened.box['dicomweb']}/studies", kind, body)
    assert 400 <= response.status_code < 500
    clean(response.text)


def test_a_correlation_id_is_not_believed_blindly(opened: Integrator) -> None:
    url = f"{opened.box['fhir']}/ImagingStudy"
    good = uuid.uuid4().hex
    assert opened.http.get(url, headers={"X-Correlation-Id": good}).headers["x-correlation-id"] == good
    bad = opened.http.get(url, headers={"X-Correlation-Id": f"{SECRET} <script>"}).headers["x-correlation-id"]
    assert SECRET not in bad
