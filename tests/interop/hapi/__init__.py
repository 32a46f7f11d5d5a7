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
    return judged({name: json.dumps(resource) for name, resource in resources.items()})[0]


def judged(texts: Mapping[str, str]) -> tuple[list[Issue], dict[str, Any]]:
    """(what makes resources invalid, those that are XML as JSON); each text is one line of JSON or XML."""
    names = list(texts)
    sent = "".join(f"{text}\n" for text in texts.values())
    rows = [
        line.split("\t", 3) for line in java.run(Path(__file__).parent, "Validate", sent, seconds=SECONDS).splitlines()
    ]
    assert rows.pop() == ["judged", str(len(names))], "the validator did not see every resource"
    found = [Issue(names[int(number)], severity.lower(), place, text) for number, severity, place, text in rows]
    read = {item.name: json.loads(item.text) for item in found if item.severity == "json"}
    return [item for item in found if item.severity in ("fatal", "error")], read
