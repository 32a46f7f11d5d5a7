"""TD0.2 (does the record exist, am I authorised) and TD0.3 (declare oneself authorised) of the simulated record."""

import datetime
import uuid

from lxml import etree

from hub.testing.dmp import rights
from hub.testing.dmp.envelope import Element, Fault, Incoming
from hub.testing.dmp.state import DEVICE, Person
from hub.testing.dmp.vihf import Caller

V3, HABILITATIONS = "urn:hl7-org:v3", "urn:si-dmp-habilitations"
INTERACTIONS = "2.16.840.1.113883.1.6"
TEST_EXISTENCE = ("TEST_EXST", "1.2.250.1.213.1.1.4.11")
AUTHORISATION, VALUES = "1.2.250.1.213.4.1.2.6.1", "1.2.250.1.213.4.1.2.6.2"
ATTENDING, INTERNET, ATTACHED = "1.2.250.1.213.4.1.2.6.3", "1.2.250.1.213.4.1.2.9", "1.2.250.1.213.4.1.2.3"


def exists(message: Incoming, caller: Caller, person: Person | None) -> Element:
    """PRPA_IN201307UV02 -> PRPA_IN201308UV02. ``person``: None where nobody has a record. Raises Fault."""
    asked = _query(message.body)
    if f"{asked[1]}^^^&{asked[0]}&ISO^NH" != caller.patient:
        raise Fault("DMPInvalidVIHF", "The VIHF is about another person than the question.")
    if person is not None:
        rights.may("TD0.2", caller, person)
    return _answer(message.body, caller, person)


def _query(body: Element) -> tuple[str, str]:
    if body.tag != f"{{{V3}}}PRPA_IN201307UV02" or body.get("ITSVersion") != "XML_1.0":
        raise Fault("Client", "The request is not PRPA_IN201307UV02.")
    said = body.find(f"{{{V3}}}interactionId")
    reason = body.find(f".//{{{V3}}}controlActProcess/{{{V3}}}reasonCode")
    if said is None or (said.get("root"), said.get("extension")) != (INTERACTIONS, "PRPA_IN201307UV02"):
        raise Fault("Client", "interactionId is another one.")
    if reason is None or (reason.get("code"), reason.get("codeSystem")) != TEST_EXISTENCE:
        raise Fault("Client", "reasonCode is not TEST_EXST.")
    receiver = body.find(f"{{{V3}}}receiver/{{{V3}}}device/{{{V3}}}id")
    if receiver is None or receiver.get("root") != DEVICE:
        raise Fault("Client", "The receiver is another device.")
    values = body.findall(f".//{{{V3}}}parameterList/{{{V3}}}patientIdentifier/{{{V3}}}value")
    if len(values) != 1 or body.find(f".//{{{V3}}}queryByParameter/{{{V3}}}queryId") is None:
        raise Fault("Client", "The question must name one person and have an id.")
    return values[0].get("root", ""), values[0].get("extension", "")


def _answer(question: Element, caller: Caller, person: Person | None) -> Element:
    root = etree.Element(f"{{{V3}}}PRPA_IN201308UV02", {"ITSVersion": "XML_1.0"}, nsmap={None: V3})  # type: ignore[dict-item]
    _add(root, "id", root=f"2.25.{uuid.uuid4().int}")
    _add(root, "creationTime", value=datetime.datetime.now(datetime.UTC).strftime("%Y%m%d%H%M%S+0000"))
    _add(root, "interactionId", root=INTERACTIONS, extension="PRPA_IN201308UV02")
    if person is not None:
        known = {caller.person, caller.structure}
        state = "INTERDIT" if known & person.blocked else "VALIDE" if known & person.authorised else "INEXISTANT"
        line = _line(root, "AUTORISATION", AUTHORISATION)
        _add(line, "value", code=state, codeSystem=VALUES)
        line = _line(root, "STATUT_MT", ATTENDING)
        _add(line, "value", value=str(bool(person.attending) and caller.person == person.attending).lower())
    acknowledgement = _add(root, "acknowledgement")
    _add(acknowledgement, "typeCode", code="AA")
    target = question.find(f"{{{V3}}}id")
    assert target is not None
    _add(_add(acknowledgement, "targetMessage"), "id", **{str(k): str(v) for k, v in target.attrib.items()})
    act = _add(root, "controlActProcess", classCode="CACT", moodCode="EVN")
    _add(act, "code", code="PRPA_TE201308UV02", codeSystem=INTERACTIONS)
    _add(act, "reasonCode", code=TEST_EXISTENCE[0], codeSystem=TEST_EXISTENCE[1])
    if person is not None:
        subject = _add(_add(act, "subject", typeCode="SUBJ"), "registrationEvent", classCode="REG", moodCode="EVN")
        _add(subject, "statusCode", code="active")
        patient = _add(_add(subject, "subject1", typeCode="SBJ"), "patient", classCode="PAT")
        _add(patient, "id", root=person.oid, extension=person.ins)
        _add(patient, "statusCode", code="active" if person.open else "terminated")
        for code, system, flag in (
            ("COMPTE_INTERNET_OUVERT", INTERNET, person.internet),
            ("RATTACHEMENT_ENS", ATTACHED, person.attached),
        ):
            about = _add(_add(patient, "subjectOf", typeCode="SBJ"), "administrativeObservation", classCode="OBS")
            _add(about, "code", code=code, codeSystem=system)
            _add(about, "value", value=str(flag).lower())
    ack = _add(act, "queryAck")
    _add(ack, "queryResponseCode", code="NF" if person is None else "OK")
    return root


def authorise(message: Incoming, caller: Caller, person: Person) -> Element:
    """setAuthorization: the caller declares themselves authorised, or takes it back. Raises Fault."""
    rights.may("TD0.3", caller, person)
    body = message.body
    if body.tag != f"{{{HABILITATIONS}}}setAuthorization":
        raise Fault("Client", "The request is not setAuthorization.")
    values = {etree.QName(item).localname: (item.text or "").strip() for item in body}
    if values.get("patientId") != caller.patient:
        raise Fault("DMPInvalidVIHF", "The VIHF is about another person than the request.")
    if caller.person in person.blocked:
        raise Fault("DMPAccessDenied", "The person has blocked this professional.")
    action = values.get("action")
    if action == "AJOUT":
        person.authorised.add(caller.person)
    elif action == "SUPPRESSION":
        person.authorised.discard(caller.person)
    else:
        raise Fault("Client", "The action is AJOUT or SUPPRESSION.")
    answer = etree.Element(f"{{{HABILITATIONS}}}setAuthorizationResponse", nsmap={None: HABILITATIONS})  # type: ignore[dict-item]
    etree.SubElement(answer, f"{{{HABILITATIONS}}}status").text = "OK"
    return answer


def _line(parent: Element, word: str, system: str) -> Element:
    line = _add(parent, "attentionLine")
    _add(line, "keyWordText", code=word, codeSystem=system)
    return line


def _add(parent: Element, name: str, **attributes: str) -> Element:
    return etree.SubElement(parent, f"{{{V3}}}{name}", attributes)
