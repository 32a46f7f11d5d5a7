"""Namespaces and fixed identifiers of ebXML 3.0 and of XDS metadata (ITI TF-3: 4.2.3)."""

RIM = "urn:oasis:names:tc:ebxml-regrep:xsd:rim:3.0"
LCM = "urn:oasis:names:tc:ebxml-regrep:xsd:lcm:3.0"
QUERY = "urn:oasis:names:tc:ebxml-regrep:xsd:query:3.0"
RS = "urn:oasis:names:tc:ebxml-regrep:xsd:rs:3.0"
XDSB = "urn:ihe:iti:xds-b:2007"
IHERAD = "urn:ihe:rad:xdsi-b:2009"
RMD = "urn:ihe:iti:rmd:2017"
NAMESPACES = {"rim": RIM, "rs": RS}

SUCCESS = "urn:oasis:names:tc:ebxml-regrep:ResponseStatusType:Success"
FAILURE = "urn:oasis:names:tc:ebxml-regrep:ResponseStatusType:Failure"
PARTIAL_SUCCESS = "urn:ihe:iti:2007:ResponseStatusType:PartialSuccess"
ERROR = "urn:oasis:names:tc:ebxml-regrep:ErrorSeverityType:Error"
WARNING = "urn:oasis:names:tc:ebxml-regrep:ErrorSeverityType:Warning"

#: objectType of everything that is not a DocumentEntry is this and the element's name.
OBJECT_TYPE = "urn:oasis:names:tc:ebxml-regrep:ObjectType:RegistryObject:"

SUBMISSION_SET_NODE = "urn:uuid:a54d6aa5-d40d-43f9-88c5-b4633d873bdd"
FOLDER_NODE = "urn:uuid:d9d542f3-6cc4-48b6-8870-ea235fbc94c2"
LIMITED_ENTRY_NODE = "urn:uuid:ab9b591b-83ab-4d03-8f5d-f93b1fb92e85"
LIMITED_SUBMISSION_SET_NODE = "urn:uuid:5003a9db-8d8d-49e6-bf0c-990e34ac7707"
LIMITED_FOLDER_NODE = "urn:uuid:2c144a76-29a9-4b7c-af54-b25409fe7d03"

ENTRY_AUTHOR = "urn:uuid:93606bcf-9494-43ec-9b4e-a7748d1a838d"
SUBMISSION_SET_AUTHOR = "urn:uuid:a7058bb9-b4e4-4307-ba5b-e3f0ab85e12d"
ASSOCIATION_DOCUMENTATION = "urn:uuid:abd807a3-4432-4053-87b4-fd82c643d1f3"
REFERENCE_ID_LIST = "urn:ihe:iti:xds:2013:referenceIdList"


def rim(name: str) -> str:
    """Clark notation."""
    return f"{{{RIM}}}{name}"


def rs(name: str) -> str:
    """Clark notation."""
    return f"{{{RS}}}{name}"


def lcm(name: str) -> str:
    """Clark notation."""
    return f"{{{LCM}}}{name}"


def query(name: str) -> str:
    """Clark notation."""
    return f"{{{QUERY}}}{name}"


def xdsb(name: str) -> str:
    """Clark notation."""
    return f"{{{XDSB}}}{name}"


def rmd(name: str) -> str:
    """Clark notation."""
    return f"{{{RMD}}}{name}"


def iherad(name: str) -> str:
    """Clark notation."""
    return f"{{{IHERAD}}}{name}"
