"""The HL7 reference validator judges the AuditEvents of every transaction, as JSON and as XML."""

import json
import re
from dataclasses import replace
from typing import Any

import pytest

from hub.audit.model import AuditOutcome
from hub.pipeline.catalogue import discover
from hub.wire.fhir.audit_event import audit_event
from hub.wire.fhir.audit_feed import feed
from hub.wire.fhir.xml import from_xml, to_xml
from tests.interop import hapi
from tests.wire.atna.test_messages import BY_DOCTOR, OWN, RECORD

pytestmark = pytest.mark.interop


def events() -> dict[str, dict[str, Any]]:
    found = {}
    for bound in discover():
        audit = bound.transaction.audit
        record = replace(
            RECORD, transaction=bound.id, event_code=audit.code, event_display=audit.display, action=audit.action
        )
        found[bound.id] = audit_event(record, OWN)
    http = replace(RECORD, transaction="ITI-67", called="/fhir/DocumentReference", query_form="http")
    others = {
        "by a doctor": BY_DOCTOR,
        "refused": replace(RECORD, outcome=AuditOutcome.SERIOUS_FAILURE, error_code="access-denied", detail="No."),
        "bare": replace(RECORD, objects=(), query="", peer="", called="", principal_id="", correlation_id="c"),
        "sent": replace(RECORD, scheme="internal", source="RIS_B", action="C", event_code="110107"),
        "over FHIR": http,
        "over FHIR, of nobody": replace(http, objects=()),
    }
    found |= {name: audit_event(record, OWN) for name, record in others.items()}
    return {**found, "a feed": feed([RECORD, BY_DOCTOR], OWN)}


@pytest.mark.timeout(600)
def test_json_and_xml() -> None:
    """Both in one JVM: it takes longer to start than to judge."""
    made = events()
    wrong = {"no agent": {key: value for key, value in made["by a doctor"].items() if key != "agent"}}
    xml = {f"{name} as XML": re.sub(r"\s*[\r\n]+\s*", " ", to_xml(event).decode()) for name, event in made.items()}
    found, _ = hapi.judged({**{name: json.dumps(event) for name, event in {**made, **wrong}.items()}, **xml})
    assert {item.name for item in found} >= set(wrong)  # it does judge
    invalid = [f"{item.name}: {item.place}: {item.text}" for item in found if item.name not in wrong]
    assert not invalid, "\n".join(invalid)
    for name, event in made.items():
        assert from_xml(xml[f"{name} as XML"].encode()) == event, name
