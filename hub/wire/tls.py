"""TLS under a protocol of the event loop, so that it is known whose handshake failed: the loop itself tells nobody."""

import asyncio
import ssl
from contextvars import ContextVar
from typing import Any

from uvloop.loop import SSLProtocol  # type: ignore[attr-defined]  # its stubs leave it out

PEER: ContextVar[str] = ContextVar("peer", default="")
"""Address of the peer while its handshake begins; "" at any other time."""


class _Secured(SSLProtocol):  # type: ignore[misc]
    """The loop's own TLS; it begins the handshake when the connection is made."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        name: Any = transport.get_extra_info("peername")
        token = PEER.set(str(name[0]) if name else "")
        try:
            super().connection_made(transport)
        finally:
            PEER.reset(token)


def secured(protocol: asyncio.BaseProtocol, context: ssl.SSLContext | None) -> asyncio.BaseProtocol:
    """What a server's factory makes of a connection's protocol: it sees what TLS has decrypted.

    None: nothing is encrypted. Within the running loop only, which must be uvloop's."""
    if context is None:
        return protocol
    made: asyncio.BaseProtocol = _Secured(asyncio.get_running_loop(), protocol, context, None, server_side=True)
    return made
