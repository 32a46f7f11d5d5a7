"""Where notifications may be sent: closed unless a setting names the host (no request forgery through the hub)."""

from collections.abc import Iterable
from urllib.parse import urlsplit

from hub.subscriptions.errors import ConsumerNotPermitted

LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})
MOST_CHARACTERS = 1000
_PORTS = {"http": 80, "https": 443}


class Consumers:
    """``permitted``: hosts, each with or without a port (``host``, ``host:8443``, ``[::1]:8443``)."""

    def __init__(self, permitted: Iterable[str] = ()) -> None:
        self.permitted = frozenset(item.strip().lower() for item in permitted)

    def check(self, address: str) -> str:
        """``scheme://host:port`` of a permitted address. Raises ConsumerNotPermitted."""
        if len(address) > MOST_CHARACTERS or not address.isascii() or not address.isprintable():
            raise ConsumerNotPermitted("The consumer's address is not a URL.")
        if any(character in address for character in ' \\"<>^`{|}'):
            raise ConsumerNotPermitted("The consumer's address is not a URL.")
        try:
            parts = urlsplit(address)
            host, port = (parts.hostname or "").lower(), parts.port
        except ValueError:
            raise ConsumerNotPermitted("The consumer's address is not a URL.") from None
        if parts.scheme not in _PORTS or not host or parts.fragment or "@" in parts.netloc:
            raise ConsumerNotPermitted("The consumer's address must be an https URL without user or fragment.")
        if parts.scheme == "http" and host not in LOOPBACK:
            raise ConsumerNotPermitted("Notifications leave this machine by https only.")
        port = port or _PORTS[parts.scheme]
        name = f"[{host}]" if ":" in host else host
        if not {host, name, f"{name}:{port}"} & self.permitted:
            raise ConsumerNotPermitted("The setting subscriptions.consumers does not name the consumer's host.")
        return f"{parts.scheme}://{name}:{port}"
