"""Namespaces, interactions and code systems of HL7 v3 as IHE uses it."""

V3 = "urn:hl7-org:v3"
XCPD = "urn:ihe:iti:xcpd:2009"
XSI_TYPE = "{http://www.w3.org/2001/XMLSchema-instance}type"
XSI = "http://www.w3.org/2001/XMLSchema-instance"

QUERY = "PRPA_IN201305UV02"
ANSWER = "PRPA_IN201306UV02"
ADDED = "PRPA_IN201301UV02"
REVISED = "PRPA_IN201302UV02"
MERGED = "PRPA_IN201304UV02"
PIX_QUERY = "PRPA_IN201309UV02"
PIX_ANSWER = "PRPA_IN201310UV02"
CONTINUATION = "QUQI_IN000003UV01"
CANCELLATION = "QUQI_IN000003UV01_Cancel"  #: the element; its interactionId is CONTINUATION
ACKNOWLEDGEMENT = "MCCI_IN000002UV01"
#: Trigger event of each interaction's control act.
TRIGGERS = {
    QUERY: "PRPA_TE201305UV02",
    ANSWER: "PRPA_TE201306UV02",
    ADDED: "PRPA_TE201301UV02",
    REVISED: "PRPA_TE201302UV02",
    MERGED: "PRPA_TE201304UV02",
    PIX_QUERY: "PRPA_TE201309UV02",
    PIX_ANSWER: "PRPA_TE201310UV02",
}

INTERACTIONS = "2.16.840.1.113883.1.6"
GENDERS = "2.16.840.1.113883.5.1"
ACT_CODES = "2.16.840.1.113883.5.4"
RELATIONSHIPS = "2.16.840.1.113883.5.111"
MATCH_OBSERVATION = "IHE_PDQ"
#: HL7 v2 table 0445 in its French form: what PID-32 says (RNIV).
RELIABILITY = "2.16.840.1.113883.12.445"
#: XCPD's own code systems (ITI TF-2: 3.55.4.2.2.5 to .7).
MORE_ATTRIBUTES = "1.3.6.1.4.1.19376.1.2.27.1"
HEALTH_DATA_LOCATOR = "1.3.6.1.4.1.19376.1.2.27.2"
REASONS = "1.3.6.1.4.1.19376.1.2.27.3"


def action(interaction: str) -> str:
    """The WS-Addressing action of an interaction (ITI TF-2: V.3)."""
    return f"{V3}:{interaction}"


def v3(name: str) -> str:
    """Clark notation in HL7's namespace."""
    return f"{{{V3}}}{name}"


def xcpd(name: str) -> str:
    """Clark notation in XCPD's namespace."""
    return f"{{{XCPD}}}{name}"
