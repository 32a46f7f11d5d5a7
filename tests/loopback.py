"""Settings of a hub that listens on any free port."""

from typing import Any

from hub.app.settings.model import DimsePort, HealthPort, Mllp, Web

#: For ``Settings(**PORTS, ...)``.
PORTS: dict[str, Any] = {
    "web": Web(port=0),
    "mllp": Mllp(port=0),
    "dimse": DimsePort(port=0),
    "health": HealthPort(port=0),
}
