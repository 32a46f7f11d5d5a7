"""Carries notices of changed cross-references to consumers of HL7 v3 (ITI-46)."""

import ssl
from collections.abc import Callable
from uuid import NAMESPACE_OID, uuid5

import httpx

from hub.app.settings.sharing import NotificationRecipient
from hub.errors import Malformed, PeerRefused, Unavailable
from hub.patients.notices import Notice
from hub.wire.hl7v3.names import REVISED, action
from hub.wire.hl7v3.registration import check_acknowledgement, write_update_notification
from hub.wire.hl7v3.transmission import MessageId, Party
from hub.wire.http_client import cut_off_after
from hub.wire.soap.client import SoapClient, SoapFault
from hub.wire.soap.message import Limits, Receive
from hub.wire.xml import Element
from profiles.pixv3.iti46_pix_update_notification import TRANSACTION as ITI_46

SECONDS = 30.0  #: silence that is borne, and half of what one notice may take altogether
_LIMITS = Limits(envelope=1024 * 1024, body=1024 * 1024, parts=1)


class SoapNoticeSender:
    """ITI-46: PRPA_IN201302UV02. ``device``: the hub's, an OID. Redirects are not followed, no proxy is used."""

    transaction = ITI_46

    def __init__(self, device: str, tls: Callable[[], ssl.SSLContext], receive: Receive) -> None:
        self._device = device
        self._tls = tls
        self._receive = receive

    def send(self, recipient: NotificationRecipient, notice: Notice, key: str) -> None:
        """Raises Unavailable (tried again) or PeerRefused."""
        own = MessageId(f"2.25.{uuid5(NAMESPACE_OID, f'{self._device}.{key}').int}")
        body = write_update_notification(notice.identifiers, own, Party(self._device), Party(recipient.device or ""))
        verify: ssl.SSLContext | bool = self._tls() if recipient.address.startswith("https:") else True
        http = httpx.Client(verify=verify, timeout=SECONDS, trust_env=False, follow_redirects=False)
        with cut_off_after(2 * SECONDS, http.close), SoapClient(http, self._receive, _LIMITS) as client:
            check_acknowledgement(self._call(client, recipient.address, body), body)

    @staticmethod
    def _call(client: SoapClient, address: str, body: Element) -> Element:
        try:
            answer = client.call(address, action(REVISED), body)
        except SoapFault as fault:
            if fault.fault_code == "Receiver":
                raise Unavailable("The consumer answered with a SOAP fault of its own.") from None
            raise PeerRefused("The consumer refused the message with a SOAP fault.") from None
        except Malformed:  # a page of a proxy that stands before the consumer, for instance
            raise Unavailable("The consumer's answer is no SOAP message.") from None
        answer.discard()
        return answer.body
