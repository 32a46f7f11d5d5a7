"""The story, step by step, over real sockets. Each step checks what came back; nothing is taken on trust."""

import hashlib
import io
import tempfile
import time
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
from pydicom import dcmread

from hub.app.demo import ask
from hub.app.demo.browser import Visitor
from hub.app.demo.region import INS, LOGIN, OPERATOR, PASSWORD, TRAITS, Hospital, Sites
from hub.app.demo.report import Report, Step, wait_for
from hub.app.wiring import Hub
from hub.audit.model import AuditOutcome
from hub.exchange.model import Page
from hub.imaging.model import Study, StudyState
from hub.testing import hl7
from hub.testing.cda import ImagingReport, ReportAuthor, build_report
from hub.testing.dicom import relabelled
from hub.wire.hl7v2.client import MllpClient
from hub.wire.multipart import read as read_parts
from hub.wire.soap.client import SoapClient, spool_to

IMAGES = ["1.2.840.10008.1.2.4.90", "1.2.840.10008.1.2.4.91", "1.2.840.10008.1.2.1", "1.2.840.10008.1.2"]
PUBLISHED_WITHIN = 60.0


@dataclass
class Story:
    """The running region and what the steps have learned so far."""

    hub: Hub
    sites: Sites
    pair: tuple[Hospital, Hospital]
    report: Report
    directory: Path
    regional: str = ""
    studies: dict[str, Study] = field(default_factory=dict)
    entries: list[dict[str, str]] = field(default_factory=list)

    def tell(self) -> None:
        """All of it. Raises StepFailed at the first step that did not happen."""
        with ExitStack() as stack:
            self.url = self.hub.public_url()
            host, _, port = self.hub.mllp_address().rpartition(":")
            self.feeds = stack.enter_context(MllpClient(host, int(port)))
            self.http = stack.enter_context(httpx.Client(timeout=60.0, trust_env=False))
            spool = Path(stack.enter_context(tempfile.TemporaryDirectory()))
            self.soap = SoapClient(self.http, spool_to(spool))
            for one in self.pair:
                self.announce(one)
            self.cross_reference()
            for one in self.pair:
                self.acquire(one)
                self.order(one)
            for one in self.pair:
                self.sign_report(one)
            for one in self.pair:
                self.published(one)
            self.find_documents()
            self.retrieve_documents()
            for one in self.pair:
                self.retrieve_images(one)
            self.qido_and_wado()
            self.imaging_study()
            self.demographics()
            self.clinician()
            self.operator()
            self.audit()

    # 1. who

    def announce(self, one: Hospital) -> None:
        """HIS -> hub: ADT^A28 (A) or ADT^A04 (B)."""
        event = "A28" if one.letter == "A" else "A04"
        with self.report.step(
            f"HIS {one.letter} announces the person", f"HIS {one.letter}", f"HL7 ADT^{event}"
        ) as step:
            self._send(step, hl7.adt(one.sender("HIS"), one.patient, event))
            step.identifiers = {
                "local": one.local_id,
                "authority": one.authority,
                **({"ins": INS} if one.qualified else {}),
            }

    def cross_reference(self) -> None:
        """ITI-9: B's number gives A's and the regional one."""
        a, b = self.pair
        domain = self.hub.settings.region.affinity_domain
        with self.report.step("One person, one regional identifier", "any system", "ITI-9 PIX query") as step:
            answer = self._ask(step, hl7.pix_query(b.sender("HIS"), b.patient.identifier))
            step.expect("|OK|" in answer, "the PIX query was not answered OK")
            found = {
                part.split("^")[3].split("&")[1]: part.split("^")[0] for part in _segment(answer, "PID")[3].split("~")
            }
            step.expect(found.get(a.authority) == a.local_id, "A's number is not among the cross references")
            self.regional = found.get(domain, "")
            step.expect(self.regional, "there is no regional identifier among the cross references")
            step.identifiers = {"regional": self.regional, "A": a.local_id, "B": b.local_id}
            step.received = f"regional identifier {self.regional} over {a.local_id} (A) and {b.local_id} (B)"

    # 2. acquired, ordered, reported

    def acquire(self, one: Hospital) -> None:
        """A modality stores the study in the hospital's own archive."""
        site = self.sites.a if one.letter == "A" else self.sites.b
        name = f"{site.kind}{' (simulated)' if site.simulated else ''}"
        with self.report.step(
            f"A study is made and stored in PACS {one.letter}", f"PACS {one.letter}", f"DICOM, {name}"
        ) as step:
            directory = self.directory / f"images-{one.letter.lower()}"
            self.studies[one.letter] = study = relabelled(directory, one.label, one.files)
            taken = site.store(sorted(directory.glob("*.dcm")))
            step.expect(taken == study.instance_count, f"the archive took {taken} of {study.instance_count} images")
            step.counts = {"images": taken, "series": study.series_count or 0}
            step.identifiers = {"study": study.study_instance_uid}
            step.received = f"{taken} images in {study.series_count} series, kept by {name}"

    def order(self, one: Hospital) -> None:
        """RIS -> hub: ORM^O01 (A) or OMI^O23 (B)."""
        build = hl7.orm if one.letter == "A" else hl7.omi
        event = "ORM^O01" if one.letter == "A" else "OMI^O23"
        with self.report.step(f"RIS {one.letter} sends the order", f"RIS {one.letter}", f"HL7 {event}") as step:
            self._send(step, build(one.sender("RIS"), one.patient, one.examination))
            step.identifiers = {"accession": one.accession, "placer order": one.placer}

    def sign_report(self, one: Hospital) -> None:
        """RIS -> hub: ORU^R01 with a CDA, final."""
        ids = [one.patient.identifier, *([one.patient.ins] if one.patient.ins else [])]
        cda = build_report(
            ImagingReport(
                patient_ids=ids, traits=TRAITS, study_instance_uid=one.study_instance_uid,
                accession_number=one.accession, placer_number=one.placer, text=one.report,
                title=f"Compte rendu : {one.procedure[1]}", modality=one.modality,
                procedure=("24725-4", one.procedure[1]) if one.letter == "A" else ("24556-3", one.procedure[1]),
                region=("774007", "tête et cou") if one.letter == "A" else ("63337009", "abdominopelvien"),
                author=ReportAuthor(organisation=one.title),
            )
        )  # fmt: skip
        with self.report.step(
            f"RIS {one.letter} sends the final report", f"RIS {one.letter}", "HL7 ORU^R01 with CDA"
        ) as step:
            self._send(step, hl7.oru(one.sender("RIS"), one.patient, one.examination, cda))
            step.counts = {"CDA bytes": len(cda)}

    # 3. published

    def published(self, one: Hospital) -> None:
        """The hub asked the archive, indexed, built the manifest and registered it with the report."""
        protocol = "QIDO-RS" if one.letter == "A" else "C-FIND"
        study = self.studies[one.letter]
        with self.report.step(
            f"The hub asks PACS {one.letter} and publishes the study", "Maillage", f"{protocol}, KOS, ITI-41 rules"
        ) as step:
            indexed = wait_for(lambda: self._published(study.study_instance_uid), seconds=PUBLISHED_WITHIN)
            step.expect(
                indexed,
                f"the study was not published within {PUBLISHED_WITHIN:.0f} s: {self._why(study.study_instance_uid)}",
            )
            step.expect(
                indexed.study.instance_count == study.instance_count,
                "the index counts other images than the archive holds",
            )
            step.expect(indexed.report_ids, "the report was not registered with the manifest")
            step.counts = {"images": indexed.study.instance_count}
            step.identifiers = {
                "study": study.study_instance_uid,
                "manifest": indexed.manifest_id,
                "report": indexed.report_ids[0],
            }
            step.received = f"{indexed.study.instance_count} images indexed, manifest and report registered; images stay in PACS {one.letter}"

    def _published(self, uid: str) -> Any:
        try:
            found = self.hub.imaging.indexed(uid)
        except LookupError:
            return None
        except Exception as error:  # not indexed yet
            if getattr(error, "code", "") in ("unknown-study", "not-found"):
                return None
            raise
        return found if found.state is StudyState.PUBLISHED else None

    def _why(self, uid: str) -> str:
        reasons = [
            item.reason for item in self.hub.exchange.deliveries(_page()) if item.reason and uid in str(item.payload)
        ]
        return "; ".join(dict.fromkeys(reasons)) or "no delivery says why"

    # 5. systems

    def find_documents(self) -> None:
        """ITI-18 FindDocuments by the regional identifier."""
        with self.report.step(
            "A system finds manifests and reports", "document consumer", "ITI-18 FindDocuments"
        ) as step:
            patient = f"{self.regional}^^^&{self.hub.settings.region.affinity_domain}&ISO"
            answer = self.soap.call(f"{self.url}/xds/registry", ask.STORED_QUERY, ask.find_documents(patient))
            step.expect(answer.body.get("status", "").endswith(":Success"), "the query was not answered Success")
            self.entries = ask.entries(answer.body)
            kinds = sorted(entry["mime_type"] for entry in self.entries)
            step.expect(
                kinds == ["application/dicom"] * 2 + ["text/xml"] * 2,
                f"expected two manifests and two reports, got {kinds}",
            )
            step.counts = {"entries": len(self.entries)}
            reports = [entry["title"] for entry in self.entries if entry["mime_type"] == "text/xml"]
            step.received = f"2 manifests, 2 reports ({'; '.join(reports)})"

    def retrieve_documents(self) -> None:
        """ITI-43: the bytes are those that the registry promises, the manifests name every image."""
        with self.report.step("It retrieves them", "document consumer", "ITI-43, MTOM") as step:
            answer = self.soap.call(f"{self.url}/xds/repository", ask.RETRIEVE, ask.retrieve(self.entries), mtom=True)
            found = {uid: Path(part.path).read_bytes() for uid, part in ask.received(answer)}
            answer.discard()
            for entry in self.entries:
                content = found.get(entry["unique_id"], b"")
                digest = hashlib.sha1(content, usedforsecurity=False).hexdigest()
                step.expect(
                    digest == entry["hash"] and str(len(content)) == entry["size"],
                    "a document's bytes are not those registered",
                )
                if entry["mime_type"] == "application/dicom":
                    self._manifest_names_every_image(step, content)
            step.counts = {"documents": len(found), "bytes": sum(map(len, found.values()))}
            step.received = f"{len(found)} documents, size and SHA-1 as registered; the manifests name every image"

    def _manifest_names_every_image(self, step: Step, content: bytes) -> None:
        manifest = dcmread(io.BytesIO(content))
        evidence = manifest.CurrentRequestedProcedureEvidenceSequence[0]
        named = {
            sop.ReferencedSOPInstanceUID
            for series in evidence.ReferencedSeriesSequence
            for sop in series.ReferencedSOPSequence
        }
        study = next((s for s in self.studies.values() if s.study_instance_uid == evidence.StudyInstanceUID), None)
        step.expect(study is not None, "a manifest is about another study")
        assert study is not None
        step.expect(
            named == {str(item.sop_instance_uid) for _, item in study.instances},
            "a manifest names other images than the archive holds",
        )

    def retrieve_images(self, one: Hospital) -> None:
        """RAD-69: the hub fetches from the archive and streams through; pixels are the original ones."""
        study = self.studies[one.letter]
        protocol = "WADO-RS" if one.letter == "A" else "C-GET"
        with self.report.step(
            f"It reads the images of hospital {one.letter}", "imaging consumer", f"RAD-69, MTOM (hub: {protocol})"
        ) as step:
            manifest = next(item for item in self.hub.infos() if item.name == one.source)
            images = [(str(series.series_instance_uid), str(item.sop_instance_uid)) for series, item in study.instances]
            body = ask.retrieve_images(study.study_instance_uid, images, manifest.repository_unique_id, IMAGES)
            answer = self.soap.call(f"{self.url}/xds/imaging", ask.RETRIEVE_IMAGES, body, mtom=True)
            size = 0
            found = {}
            for uid, part in ask.received(answer):
                found[uid] = dcmread(part.path)
                size += part.size
            answer.discard()
            originals = {
                str(d.SOPInstanceUID): d
                for d in map(dcmread, sorted((self.directory / f"images-{one.letter.lower()}").glob("*.dcm")))
            }
            step.expect(found.keys() == originals.keys(), f"{len(found)} of {len(originals)} images came")
            for uid, image in found.items():
                step.expect(image.PixelData == originals[uid].PixelData, "an image's pixels are not the original ones")
            step.counts = {"images": len(found), "bytes": size}
            step.received = f"{len(found)} images, {size:,} bytes, pixel data identical to the originals"

    def qido_and_wado(self) -> None:
        """RAD-129 and RAD-107 on the same study."""
        study = self.studies["A"]
        with self.report.step("It reads them on the web too", "imaging consumer", "QIDO-RS, WADO-RS") as step:
            root = f"{self.url}/dicom-web/studies"
            found = self.http.get(
                root,
                params={"StudyInstanceUID": study.study_instance_uid},
                headers={"Accept": "application/dicom+json"},
            )
            found.raise_for_status()
            step.expect(
                [item["0020000D"]["Value"][0] for item in found.json()] == [study.study_instance_uid],
                "QIDO-RS does not list the study once",
            )
            with self.http.stream(
                "GET", f"{root}/{study.study_instance_uid}",
                headers={"Accept": 'multipart/related; type="application/dicom"; transfer-syntax=*'},
            ) as answer:  # fmt: skip
                answer.raise_for_status()
                parts = [
                    b"".join(part.chunks) for part in read_parts(answer.iter_bytes(), answer.headers["content-type"])
                ]
            step.expect(
                len(parts) == study.instance_count, f"WADO-RS gave {len(parts)} of {study.instance_count} images"
            )
            step.counts = {"studies": 1, "images": len(parts), "bytes": sum(map(len, parts))}
            step.received = f"1 study by QIDO-RS, {len(parts)} images by WADO-RS"
            step.link = f"{root}?StudyInstanceUID={study.study_instance_uid}"

    def imaging_study(self) -> None:
        """FHIR R4 ImagingStudy: search by the person, read one."""
        domain = self.hub.settings.region.affinity_domain
        with self.report.step("A FHIR client finds the studies", "FHIR client", "FHIR R4 ImagingStudy") as step:
            bundle = self.http.get(
                f"{self.url}/fhir/ImagingStudy", params={"patient.identifier": f"urn:oid:{domain}|{self.regional}"}
            )
            bundle.raise_for_status()
            found = [
                e["resource"] for e in bundle.json().get("entry", []) if e["resource"]["resourceType"] == "ImagingStudy"
            ]
            step.expect(len(found) == 2, f"expected 2 ImagingStudy resources, got {len(found)}")
            read = self.http.get(f"{self.url}/fhir/ImagingStudy/{found[0]['id']}")
            read.raise_for_status()
            step.expect(read.json()["id"] == found[0]["id"], "the read gave another resource")
            step.counts = {"found": len(found)}
            step.received = "; ".join(
                f"{r.get('description', '')} ({r.get('numberOfInstances')} images)" for r in found
            )
            step.link = f"{self.url}/fhir/ImagingStudy/{found[0]['id']}"

    def demographics(self) -> None:
        """ITI-21: by name and birth date."""
        a = self.pair[0]
        with self.report.step("A system finds the person by name and birth date", "any system", "ITI-21 PDQ") as step:
            criteria = {"@PID.5.1.1": TRAITS.birth_name, "@PID.7": TRAITS.birth_date}
            answer = self._ask(step, hl7.pdq_query(a.sender("HIS"), criteria))
            people = [line for line in answer.split("\r") if line.startswith("PID|")]
            step.expect(len(people) == 1 and self.regional in people[0], f"expected the one person, got {len(people)}")
            step.counts = {"persons": 1}
            step.received = "1 person, with every number"

    # 4. the clinician of B, and 6. the operator

    def clinician(self) -> None:
        """Signs in, finds the person by INS, sees one timeline, opens a study and a report, reads an image."""
        a = self.pair[0]
        with self.report.step("A clinician of B finds the person in the portal", "clinician of B", "portal") as step:
            visitor = self._sign_in(LOGIN)
            visitor.open("/portal/search").send("/portal/search", **self._search_fields(visitor, INS))
            links = visitor.links("/portal/person/")
            if links:
                visitor.open(links[0])
            step.expect(TRAITS.birth_name in visitor.text, "the search by INS does not lead to the person")
            person = visitor.url
            for one in self.pair:
                step.expect(one.title in visitor.text, f"the timeline does not show the study's origin {one.title}")
                step.expect(one.procedure[1] in visitor.text, f"the timeline does not show {one.procedure[1]}")
            step.received = "one timeline: " + "; ".join(f"{one.procedure[1]} ({one.title})" for one in self.pair)
            step.link = f"{self.url}/portal"
        with self.report.step("The clinician opens A's study and reads its report", "clinician of B", "portal") as step:
            titles = {
                href: visitor.page.xpath(f"//a[@href='{href}']")[0].text_content()
                for href in visitor.links("/portal/study/")
            }
            study = next((href for href, title in titles.items() if a.procedure[1] in title), "")
            step.expect(study, "the timeline does not link to the study")
            visitor.open(study)
            step.expect(str(a.modality) in visitor.text, "the study page does not list the series")
            visitor.open(person)
            shown = []
            for href in visitor.links("/portal/document/"):
                shown.append(visitor.open(href).text)
                visitor.open(person)
            step.expect(any("scanner cérébral normal" in text for text in shown), "the report's text is not shown")
            step.received = "series table, report with its conclusion"
        with self.report.step("The images open in the viewer", "clinician of B", "OHIF, WADO-RS frames") as step:
            self._view(step, visitor)

    def _view(self, step: Step, visitor: Visitor) -> None:
        study = self.studies["A"]
        if self.hub.settings.viewer is not None:
            page = visitor.http.get(f"{self.url}/ohif/viewer", params={"StudyInstanceUIDs": study.study_instance_uid})
            page.raise_for_status()
            step.expect("app-config.js" in page.text, "the viewer's page is not OHIF's")
        root = f"{self.url}/dicom-web/studies/{study.study_instance_uid}"
        read = 0
        for series in study.series:
            metadata = visitor.http.get(
                f"{root}/series/{series.series_instance_uid}/metadata", headers={"Accept": "application/dicom+json"}
            )
            metadata.raise_for_status()
            step.expect(len(metadata.json()) == len(series.instances), "the series' metadata is not complete")
            for item in series.instances:
                frame = visitor.http.get(
                    f"{root}/series/{series.series_instance_uid}/instances/{item.sop_instance_uid}/frames/1",
                    headers={"Accept": 'multipart/related; type="application/octet-stream"; transfer-syntax=*'},
                )
                frame.raise_for_status()
                step.expect(len(frame.content) > 1000, "a frame is empty")
                read += 1
        installed = (
            "" if self.hub.settings.viewer is not None else " (OHIF is not installed: only its requests were made)"
        )
        step.counts = {"frames": read}
        step.received = f"{read} frames streamed from PACS A with the clinician's session{installed}"
        step.link = f"{self.url}/ohif/viewer?StudyInstanceUIDs={study.study_instance_uid}"

    def operator(self) -> None:
        """The operator's page shows each message, its state and what it led to."""
        with self.report.step("The operator sees every message and what it led to", "operator", "portal") as step:
            visitor = self._sign_in(OPERATOR).open("/portal/operator/messages")
            shown = visitor.text
            events = ("ADT^A28", "ADT^A04", "ORM^O01", "OMI^O23", "ORU^R01")
            for event in events:
                step.expect(event in shown, f"the list of messages does not show {event}")
            summary = self.hub.exchange.summary()
            step.received = f"{', '.join(events)}: all processed"
            refused = [m for m in self.hub.exchange.messages(_page()) if m.state.value != "processed"]
            step.expect(not refused, f"{len(refused)} messages were not processed")
            step.expect(
                all(m.effects for m in self.hub.exchange.messages(_page()) if m.event.startswith(("ADT", "OR", "OM"))),
                "a message led to nothing",
            )
            step.counts = {"messages": sum(getattr(summary, "messages", {}).values())}
            step.link = f"{self.url}/portal/operator"

    def audit(self) -> None:
        """Every step left a record."""
        with self.report.step("Every step left an audit record", "Maillage", "audit trail") as step:
            time.sleep(0.2)
            records = self.hub.audit.recent(limit=500)
            seen = {record.transaction for record in records if record.outcome is AuditOutcome.SUCCESS}
            wanted = {"ITI-9", "ITI-18", "ITI-21", "ITI-43", "RAD-28", "RAD-69", "RAD-107", "RAD-129", "PORTAL-SEARCH"}
            step.expect(wanted <= seen, f"no record of {', '.join(sorted(wanted - seen))}")
            verdict = self.hub.audit.verify()
            step.expect(verdict, "the chain of audit records is broken")
            step.counts = {"records": len(records)}
            step.received = f"{len(records)} records of {len(seen)} kinds, chain verified"
            step.link = f"{self.url}/portal/operator/audit"

    # inside

    def _send(self, step: Step, message: bytes) -> None:
        answer = self._ask(step, message)
        code = _segment(answer, "MSA")[1]
        error = answer.partition("\rERR|")[2].partition("\r")[0]
        step.expect(code == "AA", f"answered {code}: {error}")
        step.received = f"MSA|{code}: on disk, and visible to the next question"

    def _ask(self, step: Step, message: bytes) -> str:
        step.sent = f"{len(message)} bytes"
        return self.feeds.send(message).decode("utf-8", "replace")

    def _sign_in(self, login: str) -> Visitor:
        visitor = Visitor(self.url).open("/portal/sign-in")
        form = next(item for item in visitor.page.forms if "sign-in" in (item.get("action") or ""))
        names = [name for name in form.fields if name not in ("csrf", "next")]
        return visitor.send("sign-in", **dict(zip(names, (login, PASSWORD), strict=False)))

    @staticmethod
    def _search_fields(visitor: Visitor, text: str) -> dict[str, str]:
        form = next(item for item in visitor.page.forms if "/portal/search" in (item.get("action") or ""))
        first = next(name for name in form.fields if name != "csrf")
        return {first: text}


def _segment(message: str, name: str) -> list[str]:
    return next((line.split("|") for line in message.split("\r") if line.startswith(f"{name}|")), [""] * 40)


def _page() -> Page:
    return Page(limit=500)
