"""A study that a third region keeps: the other region's doctor opens it by its manifest, as a DRIMbox consumer does.

The third region is a box of the test kit; its operator is on a signed list that the demo makes. Pro Santé Connect is
not there: the doctor's session holds a token as its provider would have given it, and the box knows that token."""

import io
import secrets
from contextlib import ExitStack
from dataclasses import replace
from datetime import UTC
from pathlib import Path
from typing import Any

import httpx
from cryptography import x509
from pydicom import dcmread

from hub.access.model import Principal
from hub.app.demo.region import INS, INS_TEST, TRAITS
from hub.app.demo.stage import Stage
from hub.app.settings.drimbox import Drimbox
from hub.app.settings.psc import ProSanteConnect
from hub.app.wiring import Hub
from hub.connector.record import ORGANISATION, Lot, RecordDocument
from hub.context import Context
from hub.documents.model import Author
from hub.drimbox.model import OpenedRemote, OpenRemote
from hub.imaging.manifest import build_manifest, read_manifest
from hub.imaging.manifest_model import Flavour, ManifestOrder, ManifestSpec
from hub.imaging.metadata import Publishing, manifest_entry
from hub.imaging.model import SourceInfo, Study
from hub.portal import actions
from hub.portal.visit import SESSION_COOKIE
from hub.record.reading_model import NationalDocument, ReadNational
from hub.testing.dicom import Label, relabelled
from hub.testing.dmp.pki import AUTHENTICATION, AUTHORITY, SEAL, SERVER, STRUCTURE, issue
from hub.testing.drimbox import Held, Source
from hub.testing.drimbox_list import SIGNER, SIGNER_UNIT, empty_crl, white_list
from hub.values import Code, PatientIdentifier, new_uid, now
from hub.wire.oidc.provider import Tokens

NUMBERS = "1.2.250.1.999.30.1"
PERSON = PatientIdentifier(INS, INS_TEST, "INS")
LOCAL = PatientIdentifier("R3-901", NUMBERS, "PI")
BOX, SIGNED_LIST = "region-3.test", "liste-blanche"
RADIOLOGIST = "801234567897^MARTIN^Claire^^^^^^&1.2.250.1.71.4.2.1&ISO^D^^^IDNPS"
HOSPITAL = f"CENTRE HOSPITALIER 3^^^^^&1.2.250.1.71.4.2.2&ISO^IDNST^^^{STRUCTURE}"
SYSTEM = f"{STRUCTURE}/3^DRIMbox 3^^^^^^^&1.2.250.1.71.4.2.1&ISO^U^^^EI"


def consumer_settings(stage: Stage, directory: Path) -> dict[str, Any]:
    """How the other region's hub asks other boxes; the list is written when the box is up."""
    pki = stage.dmp.pki
    issue(pki, SERVER, BOX, STRUCTURE, name=BOX)
    issue(pki, SEAL, SIGNER, SIGNER_UNIT, name=SIGNED_LIST)
    authority, key = (pki / f"{AUTHORITY}.crt").read_bytes(), (pki / f"{AUTHORITY}.key").read_bytes()
    (directory / "ans.crl").write_bytes(empty_crl(authority, key))
    (directory / "psc").write_text(secrets.token_urlsafe())
    return {
        "drimbox": Drimbox(
            white_list=directory / "list.xml",
            authorities=(pki / f"{AUTHORITY}.crt",),
            crls=(directory / "ans.crl",),
            operators=(pki / f"{AUTHORITY}.crt",),
            certificate=pki / f"{AUTHENTICATION}-2.crt",
            key=pki / f"{AUTHENTICATION}-2.key",
        ),
        "pro_sante_connect": ProSanteConnect(
            issuer="https://psc.demo.invalid",
            client_id="region-2",
            client_secret_file=directory / "psc",
        ),
    }


def tell(stage: Stage, hub: Hub, person: PatientIdentifier, doctor: Principal) -> None:
    """A third region publishes a study; the doctor of the second one reads it there. Raises StepFailed."""
    with ExitStack() as stack:
        pki = stage.dmp.pki
        token = secrets.token_urlsafe()
        box = stack.enter_context(Source(pki / f"{AUTHORITY}.crt", pki / f"{BOX}.crt", pki / f"{BOX}.key", {token}))
        study = _published(stage, hub, box)
        session = hub.access.open_session(doctor, provider="psc")
        assert hub.ways_in.provider is not None
        tokens = hub.ways_in.provider.tokens
        tokens.bind(session, tokens.held(Tokens(token, seconds=3600.0), doctor.id))
        _read(stage, hub, person, doctor, session, study, box)


def _published(stage: Stage, hub: Hub, box: Source) -> Study:
    title = "A third region publishes a study, its box is on the signed list"
    with stage.report.step(title, "region 3 (simulated)", "DMP TD2.1, liste blanche (XAdES)") as step:
        directory, pki = stage.directory / "images-3", stage.dmp.pki
        label = Label(
            LOCAL.value, f"{TRAITS.birth_name}^{TRAITS.birth_given}", TRAITS.birth_date, TRAITS.sex, "R3-ACC-1"
        )  # fmt: skip
        study = relabelled(directory, label, ("CT_small.dcm", "MR_small.dcm"))
        document = _manifest(study, box.url)
        files = {}
        for path in directory.glob("*.dcm"):
            head = dcmread(path, stop_before_pixels=True)
            files[str(head.SeriesInstanceUID), str(head.SOPInstanceUID)] = path.read_bytes()
        box.manifests[document.entry.unique_id] = Held(study.study_instance_uid, files)
        place = box.url.removeprefix("https://").partition("/")[0]
        subject = x509.load_pem_x509_certificate((pki / f"{BOX}.crt").read_bytes()).subject.rfc4514_string()
        signer = ((pki / f"{SIGNED_LIST}.{suffix}").read_bytes() for suffix in ("crt", "key"))
        assert hub.settings.drimbox.white_list is not None
        hub.settings.drimbox.white_list.write_bytes(white_list([(place, subject)], *signer))
        assert stage.hub.record is not None
        stage.hub.record.connector().submit(_lot(document), ORGANISATION, timeout=30.0)
        taken = stage.dmp.state.by_unique_id(document.entry.unique_id)
        step.expect(taken is not None, "the record did not take the manifest")
        step.expect(hub.trust_list is not None and hub.trust_list.source_of(box.url), "the signed list is not believed")
        step.identifiers = {"study": study.study_instance_uid, "manifest": document.entry.unique_id}
        step.received = "its manifest stands in the record; only the list says that its box may be asked"
        return study


def _read(  # noqa: PLR0917 (who reads what, where)
    stage: Stage, hub: Hub, person: PatientIdentifier, doctor: Principal, session: str, study: Study, box: Source
) -> None:
    title = "The doctor of the other region opens it, as a DRIMbox consumer"
    with stage.report.step(title, "doctor, other region", "DMP TD3.2, WADO-RS (mTLS, token, KOS UID)") as step:
        (unique_id,) = box.manifests
        context = Context(session=session)
        found: NationalDocument = hub.pipeline.perform(
            actions.NATIONAL_DOCUMENT, ReadNational(person, unique_id), doctor, context
        )
        manifest = read_manifest(found.content)
        opened: OpenedRemote = hub.pipeline.perform(
            actions.REMOTE, OpenRemote(person, manifest, found.content, found.entry.title), doctor, context
        )
        step.expect(opened.whole, f"the box does not answer: {[status.reason for status in opened.statuses]}")
        images: dict[str, bytes] = {}
        root = f"{hub.public_url()}/dicom-web/studies/{study.study_instance_uid}"
        with httpx.Client(cookies={SESSION_COOKIE: session}, timeout=60.0, trust_env=False) as viewer:
            listed = viewer.get(f"{root}/series").raise_for_status().json()
            for series, instance in study.instances:
                path = f"series/{series.series_instance_uid}/instances/{instance.sop_instance_uid}"
                answer = viewer.get(f"{root}/{path}", headers={"Accept": "application/dicom; transfer-syntax=*"})
                images[str(instance.sop_instance_uid)] = answer.raise_for_status().content
        for file in (stage.directory / "images-3").glob("*.dcm"):
            original = dcmread(file)
            copy = dcmread(io.BytesIO(images[str(original.SOPInstanceUID)]))
            step.expect(copy.PixelData == original.PixelData, "an image's pixels are not the original ones")
        others = httpx.get(f"{root}/series", timeout=60.0, trust_env=False)
        step.expect(others.status_code in (204, 401), "the study is open to who has no session")
        step.counts = {"series": len(listed), "images": len(images), "asked": len(box.asked)}
        step.received = f"{len(images)} images through the hub of their own region, pixel data identical"


def _manifest(study: Study, url: str) -> RecordDocument:
    """As DRIM-M has it, with the metadata that the record takes."""
    source = SourceInfo("PACS_3", "Centre hospitalier 3", NUMBERS, organisation_id=STRUCTURE)
    at = now().replace(microsecond=0)
    order = ManifestOrder("R3-ORD-1", NUMBERS)
    spec = ManifestSpec(
        study=study,
        source=source,
        sop_instance_uid=new_uid(),
        series_instance_uid=new_uid(),
        created=at,
        patient=PERSON,
        other_patient_ids=(LOCAL,),
        order=order,
        retrieve_url=url,
        flavour=Flavour.DRIM_M,
    )
    told = Publishing(study=study, source=source, person=PERSON, local=LOCAL, created=at, zone=UTC, order=order)
    entry = manifest_entry(told, "manifest", spec.sop_instance_uid)
    traits = (f"PID-5|{TRAITS.birth_name}^{TRAITS.birth_given}^^^^^L", f"PID-7|{TRAITS.birth_date}", "PID-8|F")
    entry = replace(
        entry,
        authors=(Author(SYSTEM, (HOSPITAL,)),),
        legal_authenticators=(RADIOLOGIST,),
        source_patient_id=f"{LOCAL.cx}^PI",
        source_patient_info=traits,
    )
    return RecordDocument(entry, build_manifest(spec))


def _lot(document: RecordDocument) -> Lot:
    return Lot(
        patient=PERSON,
        unique_id=new_uid(),
        source_id="1.2.250.1.999.1.4",
        submission_time=now().strftime("%Y%m%d%H%M%S"),
        content_type=Code("07", "1.2.250.1.213.2.2", "Consultation"),
        authors=(Author(SYSTEM, (HOSPITAL,)),),
        documents=(document,),
        title="Examen d'imagerie",
    )
