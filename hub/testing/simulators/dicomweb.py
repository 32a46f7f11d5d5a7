"""A small DICOMweb archive on FastAPI: QIDO-RS, WADO-RS and STOW-RS over a directory, and ways to misbehave."""

import asyncio
import threading
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import uvicorn
from fastapi import FastAPI, Request, Response
from fastapi.responses import JSONResponse, StreamingResponse
from pydicom import dcmread

from hub.connector.contract import StudyQuery
from hub.connector.matching import matches
from hub.errors import HubError
from hub.imaging.model import Study
from hub.testing.ports import free_port
from hub.testing.simulators.archive import Archive, Held
from hub.testing.sites import DimseAddress
from hub.wire import dicom, multipart
from hub.wire.dicomweb.media import boundary, multipart_type
from hub.wire.dimse.part10 import chunks_of

JSON = "application/dicom+json"


@dataclass(frozen=True, slots=True)
class WebMisbehaviour:
    """What a simulated DICOMweb server does wrong."""

    delay: float = 0.0  #: seconds before every answer
    hang: bool = False  #: never answers
    status: int = 0  #: answers everything with this status
    declared_instances: int | None = None  #: says so many instances whatever it has
    not_json: bool = False
    cut_multipart: bool = False  #: ends in the middle of the last object
    single_part: bool = False  #: sends one object without multipart
    ignore_keys: bool = False  #: answers every search with all that it has
    page_size: int = 0  #: never more matches than this
    empty_204: bool = False  #: 204 instead of an empty array
    other_study: bool = False  #: sends objects of whatever study


class DicomwebSimulator:
    """Listens on loopback until stopped."""

    kind = "dicomweb-simulator"
    simulated = True
    dimse: DimseAddress | None = None

    def __init__(self, directory: Path, *, wrong: WebMisbehaviour | None = None, bearer: str = "") -> None:
        self.archive = Archive(directory / "objects")
        self.wrong = wrong or WebMisbehaviour()
        self.bearer = bearer
        self.requests: list[str] = []
        self._stopped = False
        port = free_port()
        self.dicomweb_url = f"http://127.0.0.1:{port}/dicom-web"
        settings = uvicorn.Config(self._app(), host="127.0.0.1", port=port, log_level="error", lifespan="off")
        self._server = uvicorn.Server(settings)
        self._thread = threading.Thread(target=self._server.run, daemon=True)
        self._thread.start()
        while not self._server.started:
            time.sleep(0.01)

    def store(self, files: Iterable[Path]) -> int:
        """Put files in."""
        return self.archive.add(files)

    def stop(self) -> None:
        """Stop listening."""
        self._stopped = True
        self._server.should_exit = self._server.force_exit = True
        self._thread.join(10)

    def _app(self) -> FastAPI:
        app = FastAPI()
        root = "/dicom-web/studies"

        @app.middleware("http")
        async def before(request: Request, call_next: Any) -> Response:
            self.requests.append(f"{request.method} {request.url.path}?{request.url.query}")
            while self.wrong.hang and not self._stopped:
                await asyncio.sleep(0.05)
            await asyncio.sleep(self.wrong.delay)
            if self.bearer and request.headers.get("authorization") != f"Bearer {self.bearer}":
                return Response(status_code=401)
            if self.wrong.status:
                return Response(status_code=self.wrong.status)
            if self.wrong.not_json and request.method == "GET":
                return Response("<html>oops</html>", media_type="text/html")
            answer: Response = await call_next(request)
            return answer

        @app.get(root)
        def studies(request: Request) -> Response:
            found = [study for study in self.archive.studies() if self.wrong.ignore_keys or _fits(study, request)]
            return self._json([self._declared(dicom.attributes(study)) for study in found], request)

        @app.get(root + "/{study}/series")
        def series(study: str, request: Request) -> Response:
            found = [
                self._declared(dicom.attributes(item, one))
                for item in self.archive.studies()
                if item.study_instance_uid == study
                for one in item.series
            ]
            return self._json(found, request)

        @app.get(root + "/{study}/series/{series}/instances")
        def instances(study: str, series: str, request: Request) -> Response:
            found = [
                dicom.attributes(item, one, instance)
                for item in self.archive.studies()
                if item.study_instance_uid == study
                for one, instance in item.instances
                if one.series_instance_uid == series
            ]
            return self._json(found, request)

        for path in (root + "/{study}", root + "/{study}/series/{series}",
                     root + "/{study}/series/{series}/instances/{instance}"):  # fmt: skip
            app.get(path)(self._retrieve)
            app.get(path + "/metadata")(self._metadata)
        app.post(root)(self._stow)
        return app

    def _json(self, found: list[dict[str, Any]], request: Request) -> Response:
        offset = int(request.query_params.get("offset", 0))
        limit = int(request.query_params.get("limit", 10_000))
        page = found[offset : offset + min(limit, self.wrong.page_size or limit)]
        if not page and self.wrong.empty_204:
            return Response(status_code=204)
        return JSONResponse([dicom.to_json(item) for item in page], media_type=JSON)

    def _declared(self, values: dict[str, Any]) -> dict[str, Any]:
        if self.wrong.declared_instances is not None:
            values["NumberOfStudyRelatedInstances"] = self.wrong.declared_instances
        return values

    def _retrieve(self, study: str, series: str = "", instance: str = "") -> Response:
        held = self.archive.find("" if self.wrong.other_study else study, series, instance)
        if not held:
            return Response(status_code=404)
        if self.wrong.single_part and len(held) == 1:
            return StreamingResponse(chunks_of(held[0].path), media_type="application/dicom")
        limit = boundary()
        return StreamingResponse(self._parts(held, limit), headers={"Content-Type": multipart_type(limit)})

    def _parts(self, held: list[Held], limit: str) -> Iterator[bytes]:
        parts = (multipart.Part({"Content-Type": "application/dicom"}, chunks_of(item.path)) for item in held)
        body = multipart.write(parts, limit)
        if not self.wrong.cut_multipart:
            yield from body
            return
        whole = b"".join(body)
        yield whole[: len(whole) - 200]

    def _metadata(self, study: str, series: str = "", instance: str = "") -> Response:
        held = self.archive.find(study, series, instance)
        if not held:
            return Response(status_code=404)
        headers = (dcmread(item.path, stop_before_pixels=True) for item in held)
        found = [header.to_json_dict(bulk_data_threshold=4096, suppress_invalid_tags=True) for header in headers]
        return JSONResponse(found, media_type=JSON)

    async def _stow(self, request: Request) -> Response:
        raw = await request.body()
        stored = 0
        try:
            for part in multipart.read(iter((raw,)), request.headers.get("content-type", "")):
                stored += self.archive.put(b"".join(part.chunks))
        except HubError as error:
            return JSONResponse({"error": error.code}, status_code=400)
        return JSONResponse({"00081199": {"vr": "SQ", "Value": [{}] * stored}}, media_type=JSON)


def _fits(study: Study, request: Request) -> bool:
    asked = request.query_params
    start, dash, end = asked.get("StudyDate", "").partition("-")
    query = StudyQuery(
        patient_ids=tuple(filter(None, [asked.get("PatientID", "")])),
        study_instance_uid=asked.get("StudyInstanceUID", ""),
        accession_number=asked.get("AccessionNumber", ""),
        modalities=tuple(filter(None, asked.get("ModalitiesInStudy", "").split(","))),
        started_from=start,
        started_to=end if dash else start,
        patient_name=asked.get("PatientName", ""),
        patient_birth_date=asked.get("PatientBirthDate", ""),
    )
    return matches(study, query)
