"""TD0.2 and TD0.3 on the wire: PRPA_IN201307UV02 and its answer, setAuthorization."""

from lxml import etree

from connectors.dmp.config import DmpConfig
from hub.connector.contract import SourceLied
from hub.connector.record import Authorisation, RecordStatus, Standing
from hub.values import PatientIdentifier
from hub.wire.hl7v3.datatypes import add
from hub.wire.hl7v3.names import INTERACTIONS, v3
from hub.wire.hl7v3.transmission import Party, new_id, open_message
from hub.wire.xml import Element

QUESTION, ANSWER = "PRPA_IN201307UV02", "PRPA_IN201308UV02"
TRIGGER = "PRPA_TE201307UV02"
TEST_EXISTENCE = ("TEST_EXST", "1.2.250.1.213.1.1.4.11")
HABILITATIONS = "urn:si-dmp-habilitations"
_AUTHORISATIONS = {"VALIDE": Authorisation.VALID, "INTERDIT": Authorisation.FORBIDDEN}


def write_question(patient: PatientIdentifier, config: DmpConfig) -> Element:
    """Whether the person has a record (TD0.2)."""
    body = open_message(QUESTION, Party(config.sender), Party(config.device), accept="AL")
    act = add(body, "controlActProcess", classCode="CACT", moodCode="EVN")
    add(act, "code", code=TRIGGER, codeSystem=INTERACTIONS)
    add(act, "reasonCode", code=TEST_EXISTENCE[0], codeSystem=TEST_EXISTENCE[1])
    query = add(act, "queryByParameter")
    new_id().write(query, "queryId")
    add(query, "statusCode", code="new")
    identifier = add(add(query, "parameterList"), "patientIdentifier")
    add(identifier, "value", root=patient.authority, extension=patient.value)
    add(identifier, "semanticsText", "Patient.id")
    return body


def read_status(body: Element) -> RecordStatus:
    """The answer to TD0.2. Raises SourceLied."""
    if body.tag != v3(ANSWER):
        raise SourceLied("The record's answer is not PRPA_IN201308UV02.")
    code = body.find(f".//{v3('queryAck')}/{v3('queryResponseCode')}")
    told = code.get("code") if code is not None else ""
    if told == "NF":
        return RecordStatus(Standing.MISSING)
    patient = body.find(f".//{v3('patient')}")
    if told != "OK" or patient is None:
        raise SourceLied("The record's answer has neither a person nor NF.")
    state = patient.find(v3("statusCode"))
    lines = {}
    for line in body.iterfind(v3("attentionLine")):
        word, value = line.find(v3("keyWordText")), line.find(v3("value"))
        if word is not None and value is not None:
            lines[word.get("code", "")] = value.get("code") or value.get("value") or ""
    facts = {}
    for about in patient.iter(v3("administrativeObservation")):
        name, value = about.find(v3("code")), about.find(v3("value"))
        if name is not None and value is not None:
            facts[name.get("code", "")] = value.get("value") == "true"
    return RecordStatus(
        Standing.OPEN if state is not None and state.get("code") == "active" else Standing.CLOSED,
        _AUTHORISATIONS.get(lines.get("AUTORISATION", ""), Authorisation.NONE),
        attending=lines.get("STATUT_MT") == "true",
        internet=facts.get("COMPTE_INTERNET_OUVERT", False),
        attached=facts.get("RATTACHEMENT_ENS", False),
    )


def write_authorisation(patient: PatientIdentifier, *, withdraw: bool) -> Element:
    """setAuthorization (TD0.3)."""
    body = etree.Element(f"{{{HABILITATIONS}}}setAuthorization", nsmap={"hab": HABILITATIONS})
    etree.SubElement(body, f"{{{HABILITATIONS}}}patientId").text = f"{patient.cx}^NH"
    etree.SubElement(body, f"{{{HABILITATIONS}}}action").text = "SUPPRESSION" if withdraw else "AJOUT"
    return body


def check_authorised(body: Element) -> None:
    """Raises SourceLied when the answer does not say that it was done."""
    status = body.findtext(f"{{{HABILITATIONS}}}status")
    if body.tag != f"{{{HABILITATIONS}}}setAuthorizationResponse" or status != "OK":
        raise SourceLied("The record does not say that the authorisation was set.")
