"""Peers whose proof fails in the TLS handshake: no transaction begins, the trail has a Security Alert (ITI-19)."""

import logging
import threading
import time
from collections import Counter, deque
from collections.abc import Callable

from hub.app.keys.handshakes import CERTIFICATE_REASONS
from hub.audit.errors import AuditUnavailable
from hub.audit.service import AuditService
from hub.context import Context
from hub.errors import NotAuthenticated
from hub.pipeline.transaction import AuditEvent, Kind, Transaction

log = logging.getLogger(__name__)

#: Anybody can make handshakes fail as fast as they like: of more in a minute only the number is kept.
MOST_IN_A_MINUTE = 60

HANDSHAKE = Transaction(
    id="TLS-HANDSHAKE",
    title="TLS handshake",
    profile="ATNA",
    initiator="Secure Node",
    responder="Secure Node",
    bindings=(),
    section="ITI TF-2: 3.19",
    kind=Kind.QUERY,
    permission="",
    audit=AuditEvent("110113", "Security Alert", "E", type_code="110126"),
)
"""What a node that could not prove itself is audited as: node authentication (PS3.16: CID 402)."""


class NodeAlerts:
    """Records them. Safe between threads. ``clock``: seconds."""

    def __init__(self, audit: AuditService, clock: Callable[[], float] = time.monotonic) -> None:
        self._audit = audit
        self._clock = clock
        self._lock = threading.Lock()
        self._recorded: deque[float] = deque(maxlen=MOST_IN_A_MINUTE)
        self._left_out: Counter[tuple[str, str]] = Counter()

    def refused(self, port: str, reason: str, peer: str) -> None:
        """A handshake failed. Those that say nothing of a certificate (a scanner, another protocol) are no alert."""
        if reason not in CERTIFICATE_REASONS:
            return
        with self._lock:
            at = self._clock()
            if len(self._recorded) == MOST_IN_A_MINUTE and at - self._recorded[0] < 60:
                self._left_out[port, reason] += 1
                return
            self._recorded.append(at)
            more = self._left_out.pop((port, reason), 0)
        said = f"The TLS handshake on the port {port} failed: {reason}."
        if more:
            said += f" So did {more} before it that have no record."
        context = Context(peer=peer, transaction=HANDSHAKE.id, called=port)
        try:
            self._audit.record(HANDSHAKE, context, NotAuthenticated(said), 0)
        except AuditUnavailable:
            log.error("a TLS handshake on the port %s failed (%s), and the trail takes no record", port, reason)
