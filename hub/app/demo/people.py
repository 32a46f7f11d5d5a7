"""People's part: a clinician of B finds and reads A's study in the portal; the operator sees how it got there."""

from hub.app.demo.browser import Visitor
from hub.app.demo.region import INS, LOGIN, OPERATOR, PASSWORD, TRAITS
from hub.app.demo.report import Step
from hub.app.demo.stage import EVERYTHING, Stage
from hub.audit.model import AuditOutcome

EVENTS = ("ADT^A28", "ADT^A04", "ORM^O01", "OMI^O23", "ORU^R01")
#: Transactions that the story must have left a record of.
AUDITED = frozenset(
    "ITI-9 ITI-18 ITI-21 ITI-43 RAD-28 RAD-69 RAD-107 RAD-129 TD2.1 PORTAL-SEARCH PORTAL-STUDY".split()  # noqa: SIM905
)
FRAME = {"Accept": 'multipart/related; type="application/octet-stream"; transfer-syntax=*'}


def clinician(stage: Stage) -> None:
    """Signs in, finds the person by INS, sees one timeline, reads report and images."""
    visitor = signed_in(stage, LOGIN)
    with stage.report.step("A clinician of B finds the person in the portal", "clinician of B", "portal") as step:
        visitor.open("/portal/search").send("/portal/search", **{_first_field(visitor, "/portal/search"): INS})
        links = visitor.links("/portal/person/")
        if links:
            visitor.open(links[0])
        step.expect(TRAITS.birth_name in visitor.text, "the search by INS does not lead to the person")
        person = visitor.url
        for one in stage.pair:
            step.expect(one.title in visitor.text, f"the timeline does not show the study's origin {one.title}")
            step.expect(one.procedure[1] in visitor.text, f"the timeline does not show {one.procedure[1]}")
        step.received = "one timeline: " + "; ".join(f"{one.procedure[1]} ({one.title})" for one in stage.pair)
        step.link = f"{stage.url}/portal"
    _study_and_report(stage, visitor, person)
    with stage.report.step("The images open in the viewer", "clinician of B", "OHIF, WADO-RS frames") as step:
        _view(stage, step, visitor)


def _study_and_report(stage: Stage, visitor: Visitor, person: str) -> None:
    a = stage.pair[0]
    title = "The clinician opens A's study and reads its report"
    with stage.report.step(title, "clinician of B", "portal") as step:
        titled = {href: visitor.page.xpath(f"//a[@href='{href}']")[0] for href in visitor.links("/portal/study/")}
        study = next((href for href, link in titled.items() if a.procedure[1] in link.text_content()), "")
        step.expect(study, "the timeline does not link to the study")
        step.expect(a.modality in visitor.open(study).text, "the study page does not list the series")
        visitor.open(person)
        shown = [visitor.open(href).text for href in visitor.links("/portal/document/")]
        step.expect(any("scanner cérébral normal" in text for text in shown), "the report's text is not shown")
        step.received = "series table, report with its conclusion"


def _view(stage: Stage, step: Step, visitor: Visitor) -> None:
    study = stage.studies["A"]
    page = f"{stage.url}/ohif/viewer?StudyInstanceUIDs={study.study_instance_uid}"
    installed = stage.hub.settings.viewer is not None
    if installed:
        step.expect(
            "app-config.js" in visitor.http.get(page).raise_for_status().text, "the viewer's page is not OHIF's"
        )
    read = 0
    for series in study.series:
        root = f"{stage.url}/dicom-web/studies/{study.study_instance_uid}/series/{series.series_instance_uid}"
        metadata = visitor.http.get(f"{root}/metadata", headers={"Accept": "application/dicom+json"})
        complete = len(metadata.raise_for_status().json()) == len(series.instances)
        step.expect(complete, "the series' metadata is not complete")
        for item in series.instances:
            frame = visitor.http.get(f"{root}/instances/{item.sop_instance_uid}/frames/1", headers=FRAME)
            step.expect(len(frame.raise_for_status().content) > 1000, "a frame is empty")
            read += 1
    step.counts = {"frames": read}
    how = "" if installed else " (OHIF is not installed: only its requests were made)"
    step.received = f"{read} frames streamed from PACS A with the clinician's session{how}"
    step.link = page


def operator(stage: Stage) -> None:
    """The operator's page shows each message, its state and what it led to."""
    with stage.report.step("The operator sees every message and what it led to", "operator", "portal") as step:
        visitor = signed_in(stage, OPERATOR).open("/portal/operator/messages")
        for event in EVENTS:
            step.expect(event in visitor.text, f"the list of messages does not show {event}")
        messages = stage.hub.exchange.messages(EVERYTHING)
        refused = [message for message in messages if message.state.value != "processed"]
        step.expect(not refused, f"{len(refused)} messages were not processed")
        idle = [message.event for message in messages if message.event in EVENTS and not message.effects]
        step.expect(not idle, f"{', '.join(idle)} led to nothing")
        step.counts = {"messages": len(messages)}
        step.received = f"{', '.join(EVENTS)}: all processed, each with what it led to"
        step.link = f"{stage.url}/portal/operator"


def audit(stage: Stage) -> None:
    """Every step left a record."""
    with stage.report.step("Every step left an audit record", "Maillage", "audit trail") as step:
        stage.hub.audit.flush()
        records = stage.hub.audit.recent(limit=500)
        seen = {record.transaction for record in records if record.outcome is AuditOutcome.SUCCESS}
        step.expect(seen >= AUDITED, f"no record of {', '.join(sorted(AUDITED - seen))}")
        step.expect(stage.hub.audit.verify().intact, "the chain of audit records is broken")
        step.counts = {"records": len(records)}
        step.received = f"{len(records)} records of {len(seen)} kinds, their chain verified"
        step.link = f"{stage.url}/portal/operator/audit"


def signed_in(stage: Stage, login: str) -> Visitor:
    """Somebody at the portal."""
    visitor = Visitor(stage.url).open("/portal/sign-in")
    form = next(item for item in visitor.page.forms if "sign-in" in (item.get("action") or ""))
    names = [name for name in form.fields if name not in ("csrf", "next")]
    return visitor.send("sign-in", **dict(zip(names, (login, PASSWORD), strict=False)))


def _first_field(visitor: Visitor, action: str) -> str:
    form = next(item for item in visitor.page.forms if action in (item.get("action") or ""))
    return str(next(name for name in form.fields if name != "csrf"))
