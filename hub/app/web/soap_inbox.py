"""Feeds that come by SOAP: who sends them, and how a kept one is carried out again (ITI-44)."""

from collections.abc import Iterable

from hub.app.settings.model import Feed
from hub.context import Context
from hub.pipeline.catalogue import Bound, Catalogue
from hub.pipeline.pipeline import Pipeline
from hub.pipeline.transaction import Durability
from hub.wire.hl7v3.transmission import sending_device
from hub.wire.soap.message import Limits, Receive, SoapMessage
from hub.wire.soap.names import SOAP_TYPE
from hub.wire.soap.reading import parse_request


class SoapInbox:
    """``feeds``: their devices give a source its configured name. ``receive``: where attachments would be spooled."""

    WIRE = "soap"

    def __init__(self, pipeline: Pipeline, catalogue: Catalogue, feeds: Iterable[Feed], receive: Receive) -> None:
        self._pipeline = pipeline
        self._catalogue = catalogue
        self._names = {str(feed.device): feed.name for feed in feeds if feed.device}
        self._receive = receive

    def source(self, message: SoapMessage, bound: Bound) -> str:
        """Which feed a message is of: its configured name, else the device that it names; "" for what is no feed."""
        if bound.transaction.durability is not Durability.INBOX:
            return ""
        device = sending_device(message.body)
        return self._names.get(device, device)

    def process(self, raw: bytes, context: Context) -> None:
        """Carry out a kept message again. Raises HubError."""
        message = parse_request(SOAP_TYPE, [raw], self._receive, Limits(), elsewhere=True)
        try:
            self._pipeline.replay(self._catalogue[context.transaction], message, context)
        finally:
            message.discard()
