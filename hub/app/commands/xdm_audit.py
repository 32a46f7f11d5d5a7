"""What ``maillage xdm`` tells an audit record repository: media made and media read (ITI TF-2: 3.32.5, by ITI-20)."""

import getpass
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx

from hub.app.commands.xds_target import Target, tls_of
from hub.errors import HubError, Unavailable
from hub.values import PatientIdentifier, now
from hub.wire.fhir.audit_event import DCM, ENTITY, ROLE, TRANSACTIONS

EXPORT, IMPORT = ("110106", "Export", "R"), ("110107", "Import", "C")
_MEDIA = {EXPORT: ("110154", "Destination Media"), IMPORT: ("110155", "Source Media")}
_SUCCESS, _PARTIAL, _FAILURE = "0", "4", "8"


class TrailUnreached(Unavailable):
    """The audit record repository does not take the record: an export without one is not made."""

    code = "audit-unreached"
    title = "The audit record repository did not take the record."


@dataclass(slots=True)
class Told:
    """What the record says: about whom, which submission sets."""

    patients: set[PatientIdentifier] = field(default_factory=set)
    submission_sets: list[str] = field(default_factory=list)
    partial: bool = False  #: some of it was refused


@contextmanager
def recorded(where: Target, event: tuple[str, str, str]) -> Iterator[Told]:
    """One record of what is done inside, at its end, a failure as well. Raises TrailUnreached."""
    told = Told()
    try:
        yield told
    except BaseException as error:
        _tell(where, _event(event, told, _FAILURE, error.code if isinstance(error, HubError) else "stopped"))
        raise
    _tell(where, _event(event, told, _PARTIAL if told.partial else _SUCCESS, ""))


def _tell(where: Target, event: dict[str, Any]) -> None:
    if not where.audit:
        return
    headers = {"Content-Type": "application/fhir+json"}
    if where.token:
        headers["Authorization"] = f"Bearer {where.token}"
    try:
        with httpx.Client(verify=tls_of(where), timeout=where.timeout, trust_env=False) as client:
            answer = client.post(f"{where.audit.rstrip('/')}/AuditEvent", json=event, headers=headers)
    except httpx.HTTPError as error:
        raise TrailUnreached() from error
    if answer.status_code != httpx.codes.CREATED:
        raise TrailUnreached(f"The audit record repository answered {answer.status_code}.")


def _event(event: tuple[str, str, str], told: Told, outcome: str, reason: str) -> dict[str, Any]:
    code, display, action = event
    user = getpass.getuser()
    media, meaning = _MEDIA[event]
    return {
        "resourceType": "AuditEvent",
        "type": {"system": DCM, "code": code, "display": display},
        "subtype": [{"system": TRANSACTIONS, "code": "ITI-32", "display": "Distribute Document Set on Media"}],
        "action": action,
        "recorded": now().isoformat(timespec="milliseconds"),
        "outcome": outcome,
        **({"outcomeDesc": reason} if reason else {}),
        "agent": [
            {"who": {"identifier": {"value": user}}, "name": user, "requestor": True},
            {
                "type": {"coding": [{"system": DCM, "code": media, "display": meaning}]},
                "who": {"display": "XDM package"},
                "requestor": False,
            },
        ],
        "source": {"observer": {"display": "maillage xdm"}},
        "entity": list(_entities(told)),
    }


def _entities(told: Told) -> Iterable[dict[str, Any]]:
    for number in sorted(told.patients, key=lambda one: one.cx):
        yield _entity({"system": f"urn:oid:{number.authority}", "value": number.value}, "1", "1")
    for unique_id in told.submission_sets:
        yield _entity({"system": "urn:ietf:rfc:3986", "value": f"urn:oid:{unique_id}"}, "2", "20")


def _entity(identifier: dict[str, str], kind: str, role: str) -> dict[str, Any]:
    codings = {"type": {"system": ENTITY, "code": kind}, "role": {"system": ROLE, "code": role}}
    return {"what": {"identifier": identifier}, **codings}
