"""PRPA_IN201306UV02: who was found, or why nobody was, written and read strictly (ITI TF-2: 3.55.4.2)."""

import copy
from collections.abc import Sequence
from dataclasses import dataclass

from hub.errors import HubError, lookup
from hub.patients.model import Traits
from hub.values import PatientIdentifier
from hub.wire.hl7v3.datatypes import add, child, need, oid
from hub.wire.hl7v3.errors import REFUSALS, Hl7v3Invalid, Refusal
from hub.wire.hl7v3.names import ACT_CODES, ANSWER, HEALTH_DATA_LOCATOR, MORE_ATTRIBUTES, REASONS, v3
from hub.wire.hl7v3.person import read_patient, write_patient
from hub.wire.hl7v3.query import PatientQuery
from hub.wire.hl7v3.transmission import (
    Detail,
    MessageId,
    Party,
    add_acknowledgement,
    open_control_act,
    open_message,
    read_transmission,
    within,
)
from hub.wire.xml import Element

_LOCATOR = {True: "SupportsHealthDataLocator", False: "NotHealthDataLocator"}
_RESPONSES = ("OK", "NF", "AE", "QE")
_MOST_SUBJECTS = 1000


@dataclass(frozen=True, slots=True)
class Subject:
    """A person in an answer: the number to ask with, further numbers, traits, and whose number it is."""

    identifier: PatientIdentifier
    others: tuple[PatientIdentifier, ...]
    traits: Traits
    community: str = ""  #: the custodian's homeCommunityId (an OID)
    match: int = 100
    locator: bool = False  #: the custodian answers ITI-56


@dataclass(frozen=True, slots=True)
class PatientAnswer:
    """An answer as it came. ``requested``: codes of attributes that are asked for; ``reasons``: of what went wrong."""

    acknowledgement: str  #: AA, AE, AR
    response: str  #: OK, NF, AE, QE
    target: MessageId
    subjects: tuple[Subject, ...] = ()
    requested: tuple[str, ...] = ()
    reasons: tuple[str, ...] = ()


def write_answer(
    query: PatientQuery,
    sender: Party,
    subjects: Sequence[Subject],
    requested: Sequence[str] = (),
    *,
    authority: str = "",
) -> Element:
    """OK with the subjects, or with the attributes that are asked for; NF when there is neither."""
    response = "OK" if subjects or requested else "NF"
    body = _open(query, sender)
    add_acknowledgement(body, query.transmission.id, "AA")
    act = _act(body, authority)
    for subject in subjects:
        _write_subject(act, subject)
    if requested:
        issue = _issue(act)
        for code in requested:
            trigger = add(
                add(issue, "triggerFor", typeCode="TRIG"), "actOrderRequired", classCode="ACT", moodCode="RQO"
            )
            add(trigger, "code", code=code, codeSystem=MORE_ATTRIBUTES)
    close(act, query.query_id, query.element, response, counts=(len(subjects), len(subjects), 0))
    return body


def write_refusal(query: PatientQuery, sender: Party, error: HubError, *, refusal: Refusal | None = None) -> Element:
    """AE, with the detail of the acknowledgement and XCPD's reason."""
    row = refusal or lookup(REFUSALS, error)
    body = _open(query, sender)
    add_acknowledgement(body, query.transmission.id, "AE", [Detail(row.detail, error.message, within(error.location))])
    act = _act(body, "")
    mitigation = add(_issue(act), "mitigatedBy", typeCode="MITGT")
    management = add(mitigation, "detectedIssueManagement", classCode="ACT", moodCode="EVN")
    add(management, "code", code=row.reason, codeSystem=REASONS)
    close(act, query.query_id, query.element, row.response, status="aborted", counts=(0, 0, 0))
    return body


def _open(query: PatientQuery, sender: Party) -> Element:
    return open_message(ANSWER, sender, query.transmission.sender, accept="NE")


def _act(body: Element, authority: str) -> Element:
    act = open_control_act(body, ANSWER)
    if authority:
        device = add(add(act, "authorOrPerformer", typeCode="AUT"), "assignedDevice", classCode="ASSIGNED")
        add(device, "id", root=authority)
    return act


def _issue(act: Element) -> Element:
    reason = add(act, "reasonOf", typeCode="RSON")
    issue = add(reason, "detectedIssueEvent", classCode="ALRT", moodCode="EVN")
    add(issue, "code", code="ActAdministrativeDetectedIssueCode", codeSystem=ACT_CODES)
    return issue


def _write_subject(act: Element, subject: Subject) -> None:
    holder = add(act, "subject", typeCode="SUBJ", contextConductionInd="false")
    event = add(holder, "registrationEvent", classCode="REG", moodCode="EVN")
    add(event, "statusCode", code="active")
    inner = add(event, "subject1", typeCode="SBJ")
    write_patient(inner, subject.identifier, subject.others, subject.traits, match=subject.match)
    entity = add(add(event, "custodian", typeCode="CST"), "assignedEntity", classCode="ASSIGNED")
    add(entity, "id", root=subject.community)
    add(entity, "code", code=_LOCATOR[subject.locator], codeSystem=HEALTH_DATA_LOCATOR)


def close(  # noqa: PLR0917 (the parts, in their order)
    act: Element,
    query_id: MessageId,
    element: Element | None,
    response: str,
    status: str = "deliveredResponse",
    counts: tuple[int, int, int] | None = None,
) -> None:
    """queryAck, with the numbers found, told and left, and the question repeated."""
    ack = add(act, "queryAck")
    query_id.write(ack, "queryId")
    add(ack, "statusCode", code=status)
    add(ack, "queryResponseCode", code=response)
    for name, count in zip(("Total", "Current", "Remaining"), counts or (), strict=False):
        add(ack, f"result{name}Quantity", value=str(count))
    if element is not None:
        act.append(copy.deepcopy(element))


def read_patient_answer(body: Element) -> PatientAnswer:
    """A PRPA_IN201306UV02. Raises Hl7v3Invalid, naming the element."""
    read_transmission(body, ANSWER)
    acknowledgement = need(body, "acknowledgement")
    code = need(acknowledgement, "typeCode").get("code") or ""
    target = need(acknowledgement, "targetMessage", "id")
    act = need(body, "controlActProcess")
    response = need(act, "queryAck", "queryResponseCode").get("code") or ""
    if response not in _RESPONSES:
        raise Hl7v3Invalid("queryResponseCode is none of OK, NF, AE, QE.", location="queryAck/queryResponseCode")
    events = act.findall(f"{v3('subject')}/{v3('registrationEvent')}")
    if len(events) > _MOST_SUBJECTS:
        raise Hl7v3Invalid("The answer has too many subjects.", location="controlActProcess/subject")
    return PatientAnswer(
        code,
        response,
        MessageId(target.get("root") or "", target.get("extension") or ""),
        tuple(map(_read_subject, events)) if response == "OK" else (),
        tuple(_codes(act, "triggerFor", "actOrderRequired", MORE_ATTRIBUTES)),
        tuple(_codes(act, "mitigatedBy", "detectedIssueManagement", REASONS)),
    )


def _read_subject(event: Element) -> Subject:
    identifiers, traits = read_patient(need(event, "subject1", "patient"))
    if not identifiers:
        raise Hl7v3Invalid("A patient needs an id with root and extension.", location="patient/id")
    entity = child(event, "custodian", "assignedEntity")
    community, code = (child(entity, "id"), child(entity, "code")) if entity is not None else (None, None)
    root = (community.get("root") or "") if community is not None else ""
    return Subject(
        identifiers[0],
        identifiers[1:],
        traits,
        oid(root.removeprefix("urn:oid:"), "custodian/assignedEntity/id") if root else "",
        locator=code is not None and code.get("code") == _LOCATOR[True],
    )


def _codes(act: Element, relation: str, kind: str, system: str) -> list[str]:
    path = f"{v3('reasonOf')}/{v3('detectedIssueEvent')}/{v3(relation)}/{v3(kind)}/{v3('code')}"
    return [item.get("code") or "" for item in act.findall(path) if item.get("codeSystem") == system][:20]
