"""RAD-55: every parameter by its rule, and a sandbox that curl reads."""

import io
import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image
from pydicom import dcmread
from pydicom.data import get_testdata_file

from hub.context import Context
from hub.errors import HubError
from hub.imaging.model import InstanceRequest, Rendering, RetrieveObject
from hub.testing.sandbox import SandboxProcess
from hub.testing.simulators.dicomweb import DicomwebSimulator
from hub.wire.dicomweb.errors import refusal
from hub.wire.http import HttpRequest
from profiles.xds_i_b import rad55_wado_uri as wado
from tests.imaging.archive import STUDY, part10, study_files

GIVEN = {"requestType": "WADO", "studyUID": "1.2", "seriesUID": "1.2.3", "objectUID": "1.2.3.4"}
EXPLICIT, JPEG2000, IMPLICIT = "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.4.91", "1.2.840.10008.1.2"


def decoded(accept: str = "", **more: str) -> RetrieveObject:
    query = tuple((GIVEN | more).items())
    return wado.decode(HttpRequest("GET", "/wado", query=query, headers={"accept": accept}), Context())


def test_an_object_as_it_is() -> None:
    request = InstanceRequest("1.2", "1.2.3", "1.2.3.4")
    assert decoded(contentType="application/dicom") == RetrieveObject(request, ("application/dicom",), (EXPLICIT,))
    with_syntax = decoded(contentType="application/dicom", transferSyntax=JPEG2000, unknown="x")
    assert with_syntax.transfer_syntaxes == (JPEG2000, EXPLICIT)


def test_a_picture() -> None:
    found = decoded(
        contentType="image/png;q=0.1, image/jpeg", rows="100", columns="200", region="0.1,0,0.9,1",
        windowCenter="-40.5", windowWidth="400", frameNumber="3", imageQuality="80",
    )  # fmt: skip
    assert found.media_types == ("image/jpeg", "image/png")
    assert found.rendering == Rendering(3, "-40.5,400", 100, 200, (0.1, 0.0, 0.9, 1.0), 80)


@pytest.mark.parametrize(
    ("accept", "media_types"),
    [("", ()), ("*/*", ()), ("text/html, image/*;q=0.8", ("image/jpeg", "image/png")), ("image/png", ("image/png",))],
)
def test_without_content_type_the_accept_header_says_it(accept: str, media_types: tuple[str, ...]) -> None:
    assert decoded(accept).media_types == media_types


@pytest.mark.parametrize(
    ("wrong", "location", "status"),
    [
        ({"requestType": "wado"}, "requestType", 400),
        ({"studyUID": "1.2/.."}, "studyUID", 400),
        ({"seriesUID": ""}, "seriesUID", 400),
        ({"objectUID": "x"}, "objectUID", 400),
        ({"contentType": "text/html"}, "", 406),
        ({"charset": "\n\n<"}, "charset", 400),
        ({"anonymize": "yes"}, "anonymize", 501),
        ({"annotation": "patient"}, "annotation", 501),
        ({"presentationUID": "1.2"}, "presentationUID", 501),
        ({"presentationSeriesUID": "1.2"}, "presentationSeriesUID", 501),
        ({"transferSyntax": IMPLICIT, "contentType": "application/dicom"}, "transferSyntax", 400),
        ({"transferSyntax": EXPLICIT, "contentType": "image/jpeg"}, "transferSyntax", 400),
        ({"rows": "0"}, "rows", 400),
        ({"columns": "-1"}, "columns", 400),
        ({"region": "0,0,1"}, "region", 400),
        ({"region": "0.5,0,0.5,1"}, "region", 400),
        ({"windowCenter": "40"}, "windowWidth", 400),
        ({"windowWidth": "40"}, "windowCenter", 400),
        ({"windowCenter": "nan", "windowWidth": "1"}, "windowCenter", 400),
        ({"windowCenter": "1", "windowWidth": "0.5"}, "windowWidth", 400),
        ({"frameNumber": "0"}, "frameNumber", 400),
        ({"frameNumber": "1", "contentType": "application/dicom"}, "frameNumber", 400),
        ({"imageQuality": "101"}, "imageQuality", 400),
    ],
)
def test_every_parameter_has_its_rule(wrong: dict[str, str], location: str, status: int) -> None:
    with pytest.raises(HubError) as caught:
        decoded(**wrong)
    assert caught.value.location == location
    assert refusal(caught.value, None, Context()).status == status


@pytest.mark.parametrize("missing", sorted(GIVEN))
def test_what_is_needed(missing: str) -> None:
    query = tuple((name, text) for name, text in GIVEN.items() if name != missing)
    with pytest.raises(HubError) as caught:
        wado.decode(HttpRequest("GET", "/wado", query=query), Context())
    assert caught.value.location == missing


def test_a_parameter_given_twice() -> None:
    query = (*GIVEN.items(), ("studyUID", "1.2.9"))
    with pytest.raises(HubError, match="studyUID may be given once"):
        wado.decode(HttpRequest("GET", "/wado", query=query), Context())


class Curl:
    """curl as a viewer of old would be used."""

    def __init__(self, box: SandboxProcess, directory: Path) -> None:
        self.box = box
        self.file = directory / "answer"

    def get(self, number: int, *, path: str = "/wado", token: bool = True, **more: str) -> tuple[int, str, bytes]:
        values = {"requestType": "WADO", "studyUID": STUDY, "seriesUID": f"{STUDY}.{number}"}
        values |= {"objectUID": f"{STUDY}.{number}.1"} | more
        base = str(self.box["dicomweb"]).removesuffix("/dicom-web")
        url = f"{base}{path}?" + "&".join(f"{name}={text}" for name, text in values.items())
        command = ["curl", "-s", "-o", str(self.file), "-w", "%{http_code} %{content_type}", "--cacert", self.box["ca"]]
        if token:
            command += ["-H", f"Authorization: Bearer {self.box['token']}"]
        done = subprocess.run([*command, url], capture_output=True, text=True, check=True, timeout=120)
        status, _, media_type = done.stdout.partition(" ")
        return int(status), media_type, self.file.read_bytes()


@pytest.fixture(scope="module")
def curl(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Curl]:
    root = tmp_path_factory.mktemp("wado")
    archive = DicomwebSimulator(root / "archive")
    broken = dcmread(str(get_testdata_file("JPEG2000.dcm")))
    broken.StudyInstanceUID, broken.SeriesInstanceUID = STUDY, f"{STUDY}.6"
    broken.SOPInstanceUID = broken.file_meta.MediaStorageSOPInstanceUID = f"{STUDY}.6.1"
    broken.file_meta.TransferSyntaxUID = "1.2.840.10008.1.2.4.102"  # a film, of which nothing is decoded
    frames = study_files(names=("examples_palette.dcm",) * 7)[6]
    for ds in (*study_files(), broken, frames):
        archive.archive.put(part10(ds))
    try:
        with SandboxProcess("--source", f"PACS=dicomweb:{archive.dicomweb_url}") as box:
            yield Curl(box, root)
    finally:
        archive.stop()


@pytest.mark.interop
@pytest.mark.parametrize("path", ["/wado", "/dicom-web/wado"])
def test_the_original_bytes(curl: Curl, path: str) -> None:
    status, media_type, content = curl.get(1, path=path, contentType="application/dicom")
    assert (status, media_type) == (200, f"application/dicom; transfer-syntax={EXPLICIT}")
    assert content == part10(study_files()[0])


@pytest.mark.interop
def test_as_stored_and_as_asked_for(curl: Curl) -> None:
    stored = part10(study_files()[3])
    for syntax in (JPEG2000, "*"):
        assert curl.get(4, contentType="application%2Fdicom", transferSyntax=syntax)[2] == stored
    _, _, plain = curl.get(4, contentType="application/dicom")
    assert dcmread(io.BytesIO(plain)).file_meta.TransferSyntaxUID == EXPLICIT
    # a syntax that nobody makes: the default one (PS3.18: 9.1.2.2.2)
    _, _, other = curl.get(1, contentType="application/dicom", transferSyntax="1.2.840.10008.1.2.4.80")
    assert other == part10(study_files()[0])


@pytest.mark.interop
@pytest.mark.parametrize("number", [1, 2, 3, 4, 5])
def test_pictures_of_every_syntax(curl: Curl, number: int) -> None:
    status, media_type, content = curl.get(number, contentType="image/jpeg", rows="64", columns="640")
    assert (status, media_type) == (200, "image/jpeg")
    image = Image.open(io.BytesIO(content))
    assert image.format == "JPEG"
    assert image.size[1] == 64


@pytest.mark.interop
def test_a_region_and_a_window(curl: Curl) -> None:
    whole = curl.get(1, contentType="image/png", windowCenter="40", windowWidth="400")[2]
    part = curl.get(1, contentType="image/png", windowCenter="40", windowWidth="400", region="0.25,0.5,0.75,1")[2]
    expected = Image.open(io.BytesIO(whole)).crop((32, 64, 96, 128))
    assert Image.open(io.BytesIO(part)).tobytes() == expected.tobytes()


@pytest.mark.interop
def test_what_is_usual_without_a_wish(curl: Curl) -> None:
    assert curl.get(1)[1] == "image/jpeg"


@pytest.mark.interop
def test_what_cannot_be_had(curl: Curl) -> None:
    cases = (
        (curl.get(6, contentType="image/jpeg"), 406, "not-rendered"),
        (curl.get(6, contentType="application/dicom"), 406, "transfer-syntax-not-possible"),
        (curl.get(1, contentType="text/html"), 406, "not-acceptable"),
        (curl.get(1, objectUID="1.2.3", contentType="application/dicom"), 404, "unknown-instance"),
        (curl.get(1, contentType="image/jpeg", frameNumber="2"), 404, "no-such-frame"),
        (curl.get(1, requestType="QIDO"), 400, "wado-uri-parameter"),
        (curl.get(1, token=False), 401, "not-authenticated"),
    )
    for (status, _, content), wanted, code in cases:
        assert (status, json.loads(content)["code"]) == (wanted, code)
