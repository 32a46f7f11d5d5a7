"""ITI-106's ``$generate-metadata``: a CDA or FHIR document in, the reference of its DocumentReference out.

MHD 4.2: 2:3.106, OperationDefinition generate-metadata.
"""

from typing import Any

from hub.documents.sharing_model import DescribeDocument, Published
from hub.errors import Invalid
from hub.wire import cda
from hub.wire.cda import metadata
from hub.wire.fhir import composition, exact, search
from hub.wire.fhir.body import bytes_of, resource_in
from hub.wire.fhir.codes import text
from hub.wire.fhir.document_reference import bare
from hub.wire.fhir.people import first, listed
from hub.wire.fhir.r4 import MEDIA_TYPE
from hub.wire.http import HttpRequest, HttpResponse

_NAME = "DocumentReference01"
_XML = ("text/xml", "application/xml", "application/cda+xml", "application/hl7-cda+xml")
_WHERE = "Parameters.parameter"


def read_document(message: HttpRequest) -> DescribeDocument:
    """The document of the operation's only parameter, or of a body that is the document itself (FHIR R4: 3.2.0.6).

    Raises Malformed, Invalid, CdaMalformed, CdaInvalid."""
    resource_in(message, "Parameters", "Binary", "Bundle")
    found = exact.loads(message.body)
    if found["resourceType"] == "Parameters":
        count, parameter = len(listed(found, "parameter")), first(found, "parameter")
        found = parameter.get("resource")
        if count != 1 or parameter.get("name") != "document" or not isinstance(found, dict):
            raise Invalid("The one parameter is document, a Binary or a Bundle.", location=_WHERE)
    if found.get("resourceType") == "Bundle":
        return _fhir(found, exact.dumps(found))
    if found.get("resourceType") != "Binary":
        raise Invalid("The document is a Binary or a Bundle.", location=_WHERE)
    data, media_type = bytes_of(found, "Binary.data"), text(found, "contentType").partition(";")[0].strip().lower()
    if media_type == MEDIA_TYPE:
        document = exact.loads(data)
        if isinstance(document, dict) and document.get("resourceType") == "Bundle":
            return _fhir(document, data)
    elif media_type in _XML and cda.is_cda(data):
        entry, patients = metadata.read_entry(data, _NAME)
        return DescribeDocument(entry, data, patients)
    raise Invalid("Metadata can be read out of CDA and of FHIR documents in JSON only.", location="Binary.contentType")


def answer_generated(outcome: Published) -> HttpResponse:
    """Parameters with the reference of the DocumentReference."""
    reference = {"reference": f"DocumentReference/{bare(outcome.entry.id)}"}
    made = {"name": "DocumentReference", "valueReference": reference}
    return search.answer({"resourceType": "Parameters", "parameter": [made]})


def _fhir(document: dict[str, Any], data: bytes) -> DescribeDocument:
    entry, patients = composition.read_entry(document, _NAME)
    return DescribeDocument(entry, data, patients)
