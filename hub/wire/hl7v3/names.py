"""Namespaces, interactions and code systems of HL7 v3 as IHE uses it."""

V3 = "urn:hl7-org:v3"
XCPD = "urn:ihe:iti:xcpd:2009"
XSI_TYPE = "{http://www.w3.org/2001/XMLSchema-instance}type"
XSI = "http://www.w3.org/2001/XMLSchema-instance"

QUERY = "PRPA_IN201305UV02"
ANSWER = "PRPA_IN201306UV02"
#: Trigger event of each interaction's control act.
TRIGGERS = {QUERY: "PRPA_TE201305UV02", ANSWER: "PRPA_TE201306UV02"}

INTERACTIONS = "2.16.840.1.113883.1.6"
GENDERS = "2.16.840.1.113883.5.1"
ACT_CODES = "2.16.840.1.113883.5.4"
RELATIONSHIPS = "2.16.840.1.113883.5.111"
MATCH_OBSERVATION = "IHE_PDQ"
#: XCPD's own code systems (ITI TF-2: 3.55.4.2.2.5 to .7).
MORE_ATTRIBUTES = "1.3.6.1.4.1.19376.1.2.27.1"
HEALTH_DATA_LOCATOR = "1.3.6.1.4.1.19376.1.2.27.2"
REASONS = "1.3.6.1.4.1.19376.1.2.27.3"


def v3(name: str) -> str:
    """Clark notation in HL7's namespace."""
    return f"{{{V3}}}{name}"


def xcpd(name: str) -> str:
    """Clark notation in XCPD's namespace."""
    return f"{{{XCPD}}}{name}"
