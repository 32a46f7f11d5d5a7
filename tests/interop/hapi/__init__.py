"""The HL7 reference validator as HAPI FHIR packages it: one JVM judges every resource of a batch.

Independent of ``fhir.resources``: structure, types, required bindings, the invariants of FHIR R4, references within a
Bundle.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests import java

SECONDS = 280


@dataclass(frozen=True)
class Issue:
    """What the validator says: ``name`` of the resource, place in it, words."""

    name: str
    severity: str  #: fatal, error, warning, information
    place: str
    text: str


def errors(resources: Mapping[str, Any]) -> list[Issue]:
    """What makes resources invalid, by their names; skips the test when the validator can't be had."""
    names = list(resources)
    sent = "".join(f"{json.dumps(resources[name])}\n" for name in names)
    rows = [
        line.split("\t", 3) for line in java.run(Path(__file__).parent, "Validate", sent, seconds=SECONDS).splitlines()
    ]
    assert rows.pop() == ["judged", str(len(names))], "the validator did not see every resource"
    found = [Issue(names[int(number)], severity.lower(), place, text) for number, severity, place, text in rows]
    return [item for item in found if item.severity in ("fatal", "error")]
