"""What a process of the hub does."""

from enum import StrEnum


class Role(StrEnum):
    """One role; a small site's process has all of them."""

    WEB = "web"  #: SOAP, FHIR, DICOMweb, portal
    MLLP = "mllp"  #: HL7 v2 feeds and queries
    DIMSE = "dimse"  #: DICOM
    WORKER = "worker"  #: the outbox, and messages that were only received so far
