"""Asks a running hub of the same settings how it is."""

from typing import Any

import httpx

from hub.app.keys.tls import client_context
from hub.app.settings.model import Settings


def ask_health(settings: Settings) -> tuple[bool, dict[str, Any]]:
    """Whether the hub of these settings is ready, and what it says: at its web port, else at its health port."""
    secure = settings.tls.certificate is not None
    places = [(settings.web.host, settings.web.port, secure), (settings.health.host, settings.health.port, False)]
    for host, port, tls in places:
        if not port:
            continue
        address = "127.0.0.1" if host in ("0.0.0.0", "") else "::1" if host == "::" else host  # noqa: S104 (compared)
        url = f"{'https' if tls else 'http'}://{f'[{address}]' if ':' in address else address}:{port}/health/ready"
        verify = client_context(settings.tls) if tls else False
        try:
            with httpx.Client(verify=verify, timeout=4, trust_env=False) as client:
                answer = client.get(url)
        except httpx.HTTPError:
            continue
        if answer.headers.get("content-type") == "application/json":
            return answer.status_code == 200, answer.json()
    return False, {"status": "not-running"}
