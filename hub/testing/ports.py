"""Ports for servers that can't choose one themselves."""

import random
import socket

#: Below those that systems give to whoever asks for any: nobody gets one of these between here and the server's start.
_FROM, _TO = 20_000, 32_000


def free_port(count: int = 1) -> int:
    """A TCP port on loopback that nothing listens on; the first of ``count`` in a row."""
    while True:
        first = random.randrange(_FROM, _TO - count)
        if all(_free(first + more) for more in range(count)):
            return first


def _free(port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
