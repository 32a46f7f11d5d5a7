"""Consents as the hub tells them, judged by the HL7 reference validator."""

import json
from datetime import timedelta

import pytest

from hub.access.rights_model import Choice, Consent, KeptConsent, Matter
from hub.values import PatientIdentifier
from hub.wire.fhir.consent import consent
from tests.access.rights_world import MARIE, NOON
from tests.interop import hapi

pytestmark = pytest.mark.interop

AT_HOSPITAL = PatientIdentifier("1", "1.2.250.1.999.10.1")


def kept(choice: Choice, matter: Matter = Matter.CONSULTATION, **more: object) -> KeptConsent:
    said = Consent("c1", AT_HOSPITAL, matter, choice, NOON, **more)  # type: ignore[arg-type]
    return KeptConsent(1, 1, said, "HIS", NOON, None, MARIE)


def test_every_consent_is_valid() -> None:
    resources = {
        "opposition": consent(kept(Choice.OPPOSITION), NOON),
        "consent to a doctor": consent(
            kept(Choice.CONSENT, actor="899700000001", until=NOON + timedelta(days=1)), NOON
        ),
        "to a structure": consent(kept(Choice.OPPOSITION, Matter.EMERGENCY, actor="1750100125"), NOON),
        "withdrawn": consent(kept(Choice.UNKNOWN, Matter.FEEDING), NOON),
    }
    wrong = {"no scope": {name: value for name, value in resources["opposition"].items() if name != "scope"}}
    found = hapi.errors({**json.loads(json.dumps(resources)), **wrong})
    assert {item.name for item in found} == set(wrong), [f"{item.name}: {item.place}: {item.text}" for item in found]
