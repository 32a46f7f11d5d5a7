"""Namespaces and fixed names of SOAP 1.2, WS-Addressing 1.0, XOP and WS-Security."""

SOAP = "http://www.w3.org/2003/05/soap-envelope"
SOAP_1_1 = "http://schemas.xmlsoap.org/soap/envelope/"
WSA = "http://www.w3.org/2005/08/addressing"
XOP = "http://www.w3.org/2004/08/xop/include"
WSSE = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-secext-1.0.xsd"
XML_LANG = "{http://www.w3.org/XML/1998/namespace}lang"
#: What the hub adds to a fault's Detail.
DETAIL = "urn:maillage:fault"

ANONYMOUS = f"{WSA}/anonymous"
NO_REPLY = f"{WSA}/none"
RELATES_TO_NOTHING = f"{WSA}/unspecified"
ADDRESSING_FAULT = f"{WSA}/fault"
SOAP_FAULT = f"{WSA}/soap/fault"

SOAP_TYPE = "application/soap+xml"
XOP_TYPE = "application/xop+xml"
MTOM_TYPE = "multipart/related"

#: Roles of a header block that is meant for us (SOAP 1.2-1: 2.2); no role means the ultimate receiver.
OUR_ROLES = frozenset({"", f"{SOAP}/role/next", f"{SOAP}/role/ultimateReceiver"})


def soap(name: str) -> str:
    """Clark notation in the envelope's namespace."""
    return f"{{{SOAP}}}{name}"


def wsa(name: str) -> str:
    """Clark notation in WS-Addressing's namespace."""
    return f"{{{WSA}}}{name}"


#: Header blocks of IHE that the hub understands where they are mandatory (ITI TF-2: 3.55.4.1.2.5, 3.80.4.1.2).
OF_IHE = frozenset({"{urn:ihe:iti:xcpd:2009}CorrelationTimeToLive", "{urn:ihe:iti:xdr:2014}homeCommunityBlock"})
INCLUDE = f"{{{XOP}}}Include"
SECURITY = f"{{{WSSE}}}Security"
