"""HL7 v3 messages as a source or a consumer writes them by hand: nothing of the hub's own code is used here."""

import itertools
from collections.abc import Iterable, Sequence
from xml.sax.saxutils import escape, quoteattr

from lxml import etree

V3 = "urn:hl7-org:v3"
DEVICE, HUB = "1.2.250.1.999.60.1", "1.2.250.1.999.60.9"
INTERACTIONS = "2.16.840.1.113883.1.6"
GENDERS = "2.16.840.1.113883.5.1"
RELIABILITY = "2.16.840.1.113883.12.445"
ADD, REVISE, MERGE = "PRPA_IN201301UV02", "PRPA_IN201302UV02", "PRPA_IN201304UV02"
_NUMBER = itertools.count(1)

ZOE = (
    '<name use="L"><given qualifier="BR">ZOÉ</given><given>MARIE</given><family qualifier="BR">LÉGER</family>'
    '<family qualifier="SP">D\'ORVAL</family><given qualifier="CL">ZOÉ</given></name>'
)
DETAILS = (
    '<telecom value="tel:+33298000000" use="HP"/>'
    f'<administrativeGenderCode code="F" codeSystem="{GENDERS}"/><birthTime value="19790328"/>'
    '<multipleBirthInd value="true"/>'
    "<addr><streetAddressLine>3 rue de l'Église</streetAddressLine><city>Brest</city>"
    "<postalCode>29200</postalCode><country>FRA</country></addr>"
)
MOTHER = (
    '<personalRelationship classCode="PRS"><code code="MTH" codeSystem="2.16.840.1.113883.5.111"/>'
    '<relationshipHolder1 classCode="PSN" determinerCode="INSTANCE"><name><family>ÉTÉ</family></name>'
    "</relationshipHolder1></personalRelationship>"
)
BORN_AT = '<birthPlace classCode="BIRTHPL"><addr><county>51215</county></addr></birthPlace>'


def identifier(number: str, root: str, tag: str = "id") -> str:
    """II."""
    return f'<{tag} root="{root}" extension={quoteattr(number)}/>'


def other(number: str, root: str) -> str:
    """A number of the person that another organisation gave."""
    scope = f'<scopingOrganization classCode="ORG" determinerCode="INSTANCE"><id root="{root}"/></scopingOrganization>'
    return f'<asOtherIDs classCode="PAT">{identifier(number, root)}{scope}</asOtherIDs>'


def status(*codes: str) -> str:
    """Reliability of the identity, as PID-32 says it."""
    return "".join(
        '<subjectOf typeCode="SBJ"><administrativeObservation classCode="OBS" moodCode="EVN">'
        f'<code code="PID-32"/><value xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:type="CE" '
        f'code="{code}" codeSystem="{RELIABILITY}"/></administrativeObservation></subjectOf>'
        for code in codes
    )


def person(
    number: str, root: str, *, name: str = ZOE, details: str = DETAILS, others: str = "", after: str = ""
) -> str:
    """A patient. ``others``: asOtherIDs; ``after``: what follows the person."""
    provider = (
        f'<providerOrganization classCode="ORG" determinerCode="INSTANCE"><id root="{root}"/>'
        '<contactParty classCode="CON"/></providerOrganization>'
    )
    return (
        f'<patient classCode="PAT">{identifier(number, root)}<statusCode code="active"/>'
        f'<patientPerson classCode="PSN" determinerCode="INSTANCE">{name}{details}{others}{MOTHER if details else ""}'
        f"{BORN_AT if details else ''}</patientPerson>{provider}{after}</patient>"
    )


def message(interaction: str, act: str, *, element: str = "", device: str = DEVICE, extra: str = "") -> str:
    """The transmission wrapper around a control act's content."""

    def party(kind: str, code: str, root: str) -> str:
        return (
            f'<{kind} typeCode="{code}"><device classCode="DEV" determinerCode="INSTANCE"><id root="{root}"/>'
            f"</device></{kind}>"
        )

    name = element or interaction
    return (
        f'<{name} xmlns="{V3}" ITSVersion="XML_1.0"><id root="2.25.7" extension="M{next(_NUMBER)}"/>'
        f'<creationTime value="20261122"/><interactionId root="{INTERACTIONS}" extension="{interaction}"/>'
        '<processingCode code="P"/><processingModeCode code="T"/><acceptAckCode code="AL"/>'
        f"{party('receiver', 'RCV', HUB)}{party('sender', 'SND', device)}{extra}"
        f'<controlActProcess classCode="CACT" moodCode="EVN">{act}</controlActProcess></{name}>'
    )


def feed(interaction: str, patient: str, *, replaced: str = "", device: str = DEVICE) -> str:
    """ITI-44. ``replaced``: the number that is merged (an id element)."""
    prior = (
        '<replacementOf typeCode="RPLC"><priorRegistration classCode="REG" moodCode="EVN"><statusCode code="obsolete"/>'
        f'<subject1 typeCode="SBJ"><priorRegisteredRole classCode="PAT">{replaced}</priorRegisteredRole></subject1>'
        "</priorRegistration></replacementOf>"
    )
    act = (
        f'<code code="{interaction.replace("_IN", "_TE")}" codeSystem="{INTERACTIONS}"/>'
        '<subject typeCode="SUBJ" contextConductionInd="false"><registrationEvent classCode="REG" moodCode="EVN">'
        f'<id nullFlavor="NA"/><statusCode code="active"/><subject1 typeCode="SBJ">{patient}</subject1>'
        f'<custodian typeCode="CST"><assignedEntity classCode="ASSIGNED"><id root="{device}"/></assignedEntity>'
        f"</custodian>{prior if replaced else ''}</registrationEvent></subject>"
    )
    return message(interaction, act, device=device)


def merge(survivor: str, lost: str, root: str) -> str:
    """A merge of two numbers of one domain, without a name."""
    nameless = person(survivor, root, name="<name>Unknown</name>", details="")
    return feed(MERGE, nameless, replaced=identifier(lost, root))


def pix_query(number: str, root: str, domains: Sequence[str] = (), *, query: str = "q") -> str:
    """ITI-45."""
    sources = "".join(
        f'<dataSource><value root="{domain}"/><semanticsText>DataSource.id</semanticsText></dataSource>'
        for domain in domains
    )
    act = (
        f'<code code="PRPA_TE201309UV02" codeSystem="{INTERACTIONS}"/><queryByParameter>'
        f'<queryId root="2.25.8" extension="{query}"/><statusCode code="new"/><responsePriorityCode code="I"/>'
        f"<parameterList>{sources}<patientIdentifier>{identifier(number, root, 'value')}"
        "<semanticsText>Patient.id</semanticsText></patientIdentifier></parameterList></queryByParameter>"
    )
    return message("PRPA_IN201309UV02", act)


def parameter(name: str, *values: str) -> str:
    """A parameter of ITI-47."""
    return f"<{name}>{''.join(values)}<semanticsText>{name}</semanticsText></{name}>"


def named(family: str = "", given: str = "", use: str = "") -> str:
    """livingSubjectName."""
    parts = (f"<given>{escape(given)}</given>" if given else "") + (
        f"<family>{escape(family)}</family>" if family else ""
    )
    return parameter("livingSubjectName", f"<value{f' use={quoteattr(use)}' if use else ''}>{parts}</value>")


def pdq_query(parameters: str, *, quantity: int | None = None, query: str = "q") -> str:
    """ITI-47. The parameters in the schema's order."""
    first = "" if quantity is None else f'<initialQuantity value="{quantity}"/>'
    act = (
        f'<code code="PRPA_TE201305UV02" codeSystem="{INTERACTIONS}"/><queryByParameter>'
        f'<queryId root="2.25.9" extension="{query}"/><statusCode code="new"/><responseModalityCode code="R"/>'
        f'<responsePriorityCode code="I"/>{first}<parameterList>{parameters}</parameterList></queryByParameter>'
    )
    return message("PRPA_IN201305UV02", act)


def more(query: str, *, start: int | None = None, quantity: int | None = None, cancel: bool = False) -> str:
    """QUQI_IN000003UV01: more of an answer, or no more."""
    numbers = "".join(
        f'<{name} value="{value}"/>'
        for name, value in (("startResultNumber", start), ("continuationQuantity", quantity))
        if value is not None
    )
    code = "aborted" if cancel else "waitContinuedQueryResponse"
    act = (
        f'<code code="PRPA_TE000003UV01" codeSystem="{INTERACTIONS}"/><queryContinuation>'
        f'<queryId root="2.25.9" extension="{query}"/>{numbers}<statusCode code="{code}"/></queryContinuation>'
    )
    element = "QUQI_IN000003UV01_Cancel" if cancel else "QUQI_IN000003UV01"
    taken = '<acknowledgement><typeCode code="AA"/><targetMessage><id root="2.25.7"/></targetMessage></acknowledgement>'
    return message("QUQI_IN000003UV01", act, element=element, extra=taken)


def first(body: etree._Element, path: str) -> etree._Element | None:
    """The first element at a path of local names, anywhere."""
    return body.find(".//" + "/".join(f"{{{V3}}}{name}" for name in path.split("/")))


def code(body: etree._Element, path: str) -> str:
    """The code of the first element at a path."""
    found = first(body, path)
    return "" if found is None else found.get("code") or ""


def every(body: etree._Element, path: str) -> list[etree._Element]:
    """All elements at a path of local names, anywhere."""
    return body.findall(".//" + "/".join(f"{{{V3}}}{name}" for name in path.split("/")))


def ids(elements: Iterable[etree._Element]) -> list[tuple[str, str]]:
    """(number, authority) of II elements."""
    return [(item.get("extension") or "", item.get("root") or "") for item in elements]
