"""What other communities said to a search of MHD, beside what they gave (MHD: 1:33.6.2, 2:3.67.4.2.2)."""

from collections.abc import Collection, Iterable, Mapping
from typing import Any

from hub.documents.sharing_model import CommunityStatus


def community_outcomes(communities: Iterable[CommunityStatus]) -> list[dict[str, Any]]:
    """One OperationOutcome with an issue for each community; none where no other was asked."""
    issues = [_issue(status) for status in communities]
    return [{"resourceType": "OperationOutcome", "issue": issues}] if issues else []


def without_strangers(resource: dict[str, Any], strangers: Collection[str]) -> dict[str, Any]:
    """A resource whose subject, unknown here, is no Patient of this server: the number alone is told."""
    if f"urn:uuid:{resource['id']}" in strangers:
        resource["subject"] = {name: value for name, value in resource["subject"].items() if name != "reference"}
    return resource


def _issue(status: CommunityStatus) -> Mapping[str, Any]:
    if not status.answered:
        code = "timeout" if status.late else "incomplete"
        return _said("warning", code, f"{status.name} did not answer. {status.reason}")
    text = f"{status.name} answered: {status.count} found. {status.reason}"
    return _said("warning", "incomplete", text) if status.partial else _said("information", "informational", text)


def _said(severity: str, code: str, text: str) -> Mapping[str, Any]:
    return {"severity": severity, "code": code, "diagnostics": text.strip()}
