"""Names of the French core profiles (Interop'Santé, FR Core 2.2) and of IHE's patient profiles (PDQm, PIXm, PMIR)."""

from collections.abc import Mapping

from hub.patients.model import IdentityStatus

_CORE = "https://hl7.fr/ig/fhir/core"
PATIENT = f"{_CORE}/StructureDefinition/fr-core-patient"
PATIENT_INS = f"{_CORE}/StructureDefinition/fr-core-patient-ins"
RELIABILITY = f"{_CORE}/StructureDefinition/fr-core-identity-reliability"
INSEE_CODE = f"{_CORE}/StructureDefinition/fr-core-address-insee-code"
GIVEN_NAMES = f"{_CORE}/StructureDefinition/fr-core-patient-birth-list-given-name"
STATUS = f"{_CORE}/CodeSystem/fr-core-cs-identity-status"
COMMENT = f"{_CORE}/CodeSystem/fr-core-cs-identity-status-comment"
METHOD = f"{_CORE}/CodeSystem/fr-core-cs-method-collection"
VALIDATION_MODE = f"{_CORE}/CodeSystem/fr-core-cs-mode-validation-identity"
IDENTIFIER_TYPE = f"{_CORE}/CodeSystem/fr-core-cs-v2-0203"
COMMUNE = "https://mos.esante.gouv.fr/NOS/TRE_R13-CommuneOM/FHIR/TRE-R13-CommuneOM"

V2_0203 = "http://terminology.hl7.org/CodeSystem/v2-0203"
BIRTH_PLACE = "http://hl7.org/fhir/StructureDefinition/patient-birthPlace"
MOTHER = "http://hl7.org/fhir/StructureDefinition/patient-mothersMaidenName"
MATCH_GRADE = "http://hl7.org/fhir/StructureDefinition/match-grade"

PDQM_PATIENT = "https://profiles.ihe.net/ITI/PDQm/StructureDefinition/IHE.PDQm.Patient"
PMIR = "https://profiles.ihe.net/ITI/PMIR"

#: The statuses' display names.
STATUSES: Mapping[IdentityStatus, str] = {
    IdentityStatus.PROVISIONAL: "Identité provisoire",
    IdentityStatus.RETRIEVED: "Identité récupérée",
    IdentityStatus.VALIDATED: "Identité validée",
    IdentityStatus.QUALIFIED: "Identité qualifiée",
}
#: RNIV's attributes and marks beside the status: the codes that FR Core has too, with their display names.
COMMENTS: Mapping[str, str] = {
    "VIDE": "Identité non encore qualifiée",
    "DOUB": "Doublon",
    "DESA": "Identité désactivée",
    "DPOT": "Doublon potentiel",
    "DOUA": "Doublon avéré",
    "COLP": "Collision potentielle",
    "COLV": "Collision avérée",
    "FILI": "Filiation",
    "CACH": "Identité cachée",
    "ANOM": "Anonyme",
    "IDVER": "Identité vérifiée par le patient",
    "RECD": "Identité reçue d'un autre domaine",
    "IDRA": "Identité rapprochée dans un autre domaine",
    "USUR": "Identité usurpée",
    "HOMD": "Homonyme détecté",
    "INVA": "Identité invalidée",
    "HOMA": "Homonyme avéré (attribut d'identité homonyme)",
    "FICT": "Identité fictive (attribut d'identité fictive)",
    "DOUT": "Identité douteuse (attribut d'identité douteuse)",
}
#: ZFD-5 and ZFD-7: the codes that FR Core has too.
METHODS = frozenset({"SM", "CV", "INSI", "CB", "RFID", "AV"})
DOCUMENTS = frozenset({"CN", "PA", "CS", "eCN", "IN", "AV", "LECV", "AN", "LEP", "CC", "ANCV", "CIMS"})
#: HL7 table 0001 <-> administrative-gender.
GENDERS: Mapping[str, str] = {"M": "male", "F": "female", "O": "other", "A": "other"}
SEXES: Mapping[str, str] = {"male": "M", "female": "F", "other": "O", "unknown": "U"}
