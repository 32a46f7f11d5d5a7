"""Every error class of the house, whatever a test happens to have imported, and an example of each."""

import importlib
import pkgutil

import connectors
import hub
import profiles
from hub.errors import HubError, all_errors

for package in (hub, profiles, connectors):
    for info in pkgutil.walk_packages(package.__path__, prefix=f"{package.__name__}."):
        if "migrations" not in info.name:
            importlib.import_module(info.name)

EVERY_ERROR = sorted(
    {kind for kind in all_errors() if kind.__module__.partition(".")[0] in ("hub", "profiles", "connectors")},
    key=lambda kind: (kind.__module__, kind.__qualname__),
)


def example(kind: type[HubError], message: str = "A safe text.", location: str = "there") -> HubError:
    """One of the kind, also of those whose constructor wants more."""
    error = kind.__new__(kind)
    HubError.__init__(error, message, location=location)
    return error
