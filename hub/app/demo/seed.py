"""What ``maillage sandbox --seed demo`` starts with: the demo's person in both hospitals, and a report of each."""

from zoneinfo import ZoneInfo

from hub.access.model import HUB
from hub.app.demo.region import TRAITS, Hospital, hospitals
from hub.app.wiring import Hub
from hub.context import Context
from hub.documents.model import Content, ProvideDocuments
from hub.imaging.metadata import Publishing, report_entry, submission
from hub.imaging.model import SourceInfo, Study
from hub.patients.model import FeedIdentity, Identity, IdentityStatus
from hub.testing.cda import ImagingReport, build_report
from hub.values import PatientIdentifier, Uid, now

ENTRY = "report"


def seed(hub: Hub) -> None:
    """Feed the person, register the reports. Raises what the use cases raise (an authority that isn't configured)."""
    for one in hospitals():
        context = Context(principal=HUB, source=f"HIS_{one.letter}")
        patient = one.patient
        identity = Identity(
            identifier=patient.identifier,
            traits=TRAITS,
            status=IdentityStatus.QUALIFIED if patient.ins else IdentityStatus.VALIDATED,
            ins=patient.ins,
        )
        fed = hub.dispatch(FeedIdentity(identity), context)
        _report(hub, one, fed.regional, context)


def _report(hub: Hub, one: Hospital, person: PatientIdentifier, context: Context) -> None:
    cda = ImagingReport(
        patient_ids=[one.patient.identifier],
        traits=TRAITS,
        study_instance_uid=one.study_instance_uid,
        accession_number=one.accession,
        placer_number=one.placer,
        text=one.report,
        modality=one.modality,
    )
    source = SourceInfo(one.source, title=one.title, authority_oid=one.authority, namespace=one.source)
    publishing = Publishing(
        study=Study(
            Uid(one.study_instance_uid),
            one.source,
            patient_id=one.local_id,
            accession_number=one.accession,
            description=one.procedure[1],
            started=one.study_date,
            modalities=(one.modality,),
        ),
        source=source,
        person=person,
        local=one.patient.identifier,
        created=now(),
        zone=ZoneInfo("Europe/Paris"),
    )
    entry = report_entry(publishing, ENTRY, cda.document_id, mime_type="text/xml", structured=True)
    received = hub.content.receive([build_report(cda)])
    content = Content(ENTRY, received.path, received.size, received.sha1)
    made = submission(publishing, (entry,), {}, source_id=hub.settings.region.source_id)
    hub.dispatch(ProvideDocuments(made, (content,)), context)
