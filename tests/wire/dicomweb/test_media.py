"""Accept headers as callers really send them, errors as HTTP statuses, and query attributes."""

import orjson
import pytest

from hub.context import Context
from hub.errors import (
    AccessDenied,
    DeadlineExceeded,
    HubError,
    Invalid,
    NotAuthenticated,
    NotFound,
    PeerRefused,
    Unavailable,
    all_errors,
)
from hub.wire.dicom_keys import days, divided
from hub.wire.dicomweb.attributes import attribute_of
from hub.wire.dicomweb.errors import NotAcceptable, refusal
from hub.wire.dicomweb.media import DICOM, JSON, choose, json_array, transfer_syntaxes


@pytest.mark.parametrize(
    "accept", ["", "*/*", "application/dicom+json", "application/json", "text/html, application/dicom+json;q=0.5"]
)
def test_json_is_chosen(accept: str) -> None:
    assert choose(accept, [JSON])[0] == JSON


@pytest.mark.parametrize("accept", ["text/html", "application/dicom+json;q=0"])
def test_nothing_acceptable(accept: str) -> None:
    with pytest.raises(NotAcceptable):
        choose(accept, [JSON])


@pytest.mark.parametrize(
    ("accept", "expected"),
    [
        ('multipart/related; type="application/dicom"; transfer-syntax=*', ("*",)),
        ("multipart/related; type=application/dicom; transfer-syntax=*", ("*",)),
        ('multipart/related; type="application/dicom"', ("1.2.840.10008.1.2.1",)),
        (
            'multipart/related; type="application/dicom"; transfer-syntax=1.2.3;q=0.5, '
            'multipart/related; type="application/dicom"; transfer-syntax="1.2.4"',
            ("1.2.4", "1.2.3"),
        ),
    ],
)
def test_transfer_syntaxes(accept: str, expected: tuple[str, ...]) -> None:
    assert transfer_syntaxes(accept) == expected


def test_images_are_no_dicom_objects() -> None:
    with pytest.raises(NotAcceptable):
        transfer_syntaxes('multipart/related; type="image/jpeg"')
    assert DICOM


def test_arrays_are_streamed() -> None:
    assert b"".join(json_array([])) == b"[]"
    assert orjson.loads(b"".join(json_array({"n": number} for number in range(3)))) == [{"n": 0}, {"n": 1}, {"n": 2}]


@pytest.mark.parametrize(
    ("error", "status"),
    [(NotFound(), 404), (Invalid(), 400), (AccessDenied(), 403), (NotAuthenticated(), 401), (Unavailable(), 503),
     (DeadlineExceeded(), 504), (PeerRefused(), 502), (NotAcceptable(), 406), (HubError(), 500)],
)  # fmt: skip
def test_statuses(error: HubError, status: int) -> None:
    answer = refusal(error, None, Context())
    assert answer.status == status
    assert isinstance(answer.body, bytes)
    assert orjson.loads(answer.body)["code"] == error.code


def test_every_error_has_a_status() -> None:
    for kind in all_errors():
        assert 400 <= refusal(kind(), None, Context()).status < 600 if kind.__init__ is HubError.__init__ else True


def test_query_attributes() -> None:
    assert attribute_of("00100020", "STUDY").keyword == "PatientID"
    assert attribute_of("Modality", "SERIES").tag == "00080060"
    for name, level in (("Modality", "STUDY"), ("Rows", "IMAGE"), ("Colour", "STUDY"), ("zzzzzzzz", "STUDY")):
        with pytest.raises(Invalid):
            attribute_of(name, level)
    assert days("StudyDate", "20260101-") == ("20260101", "")
    assert days("StudyDate", "20260101") == ("20260101", "20260101")
    for text in ("yesterday", "20261345", "-", "2026"):
        with pytest.raises(Invalid):
            days("StudyDate", text)


def test_keys_are_exact_or_further() -> None:
    keys = {"AccessionNumber": "A*", "PatientBirthDate": "19520316", "StudyTime": "10:15:00.5-12", "StudyID": "7"}
    assert divided(keys) == (
        {"PatientBirthDate": "19520316"},
        (("StudyTime", "101500-12"), ("AccessionNumber", "A*"), ("StudyID", "7")),
    )
    assert divided({"PatientBirthDate": "1952.03.16-"})[1] == (("PatientBirthDate", "19520316-"),)
    for wrong in ({"StudyTime": "noon"}, {"StudyTime": "1-2-3"}, {"PatientBirthDate": "1952"}):
        with pytest.raises(Invalid):
            divided(wrong)
