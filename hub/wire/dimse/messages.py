"""DIMSE requests and answers as the transactions see them."""

import io
import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from pydicom.dataset import Dataset
from pydicom.errors import BytesLengthException, InvalidDicomError
from pydicom.filebase import DicomBytesIO
from pydicom.filereader import read_dataset
from pydicom.filewriter import write_dataset

from hub.errors import Malformed
from hub.imaging.model import FailedInstance, RetrievedInstance, Study

#: What a hostile data set makes pydicom raise.
UNREADABLE = (InvalidDicomError, BytesLengthException, EOFError, ValueError, KeyError, OSError, NotImplementedError,
               AttributeError, TypeError, RecursionError, struct.error)  # fmt: skip
IMPLICIT_LITTLE, EXPLICIT_LITTLE = "1.2.840.10008.1.2", "1.2.840.10008.1.2.1"


@dataclass(frozen=True, slots=True)
class DimseRequest:
    """One request with its identifier, still encoded."""

    service: str  #: C-ECHO, C-FIND, C-GET, C-MOVE, C-STORE, N-CREATE
    sop_class: str
    calling: str = ""
    called: str = ""
    message_id: int = 0
    destination: str = ""  #: C-MOVE: the permitted destination, "" when it is not one
    transfer_syntax: str = IMPLICIT_LITTLE
    raw: bytes = field(default=b"", repr=False)  #: identifier as received
    acceptable: tuple[str, ...] = ()  #: transfer syntaxes that the receiver of instances takes
    stored: "StoredStudy | None" = None  #: C-STORE: what one association brought

    @property
    def control_id(self) -> str:
        """For the inbox."""
        return str(self.message_id)

    @property
    def event(self) -> str:
        """For the inbox and the log."""
        return self.service

    @property
    def identifier(self) -> Dataset:
        """The decoded identifier. Raises Malformed."""
        return decode(self.raw, self.transfer_syntax)


@dataclass(frozen=True, slots=True)
class StoredStudy:
    """Instances of one study that one association brought, safe on disk: as studies, one for each patient named."""

    study_instance_uid: str
    calling: str
    studies: tuple[Study, ...]
    speaks_for: str = ""  #: the configured source that the sender's certificate speaks for


@dataclass(frozen=True, slots=True)
class DimseAnswer:
    """A status, and what comes before it: matches (C-FIND) or instances (C-GET, C-MOVE)."""

    status: int = 0
    comment: str = ""
    matches: Iterable[Dataset] = ()
    instances: Iterator[RetrievedInstance | FailedInstance] | None = None

    @property
    def lasting(self) -> bool:
        """Whether it is yet to be carried out: how it ended is told by whoever does."""
        return self.instances is not None


def decode(raw: bytes, transfer_syntax: str) -> Dataset:
    """A data set from its encoded form. Raises Malformed."""
    try:
        found: Dataset = read_dataset(io.BytesIO(raw), transfer_syntax == IMPLICIT_LITTLE, True)
    except UNREADABLE as error:
        raise Malformed("The data set can't be read.") from error
    return found


def encode(dataset: Dataset, transfer_syntax: str) -> bytes:
    """A data set in implicit or explicit little endian."""
    target = DicomBytesIO()
    target.is_little_endian, target.is_implicit_VR = True, transfer_syntax == IMPLICIT_LITTLE
    write_dataset(target, dataset)
    return bytes(target.getvalue())
