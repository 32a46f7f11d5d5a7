"""``Patient/$link``, ``$unlink`` and ``$explain``: two numbers in, what became of them or why out."""

from typing import Any

from hub.errors import Invalid
from hub.patients.model import Link
from hub.patients.steward_model import Decided, ExplainPair, Explanation, LinkIdentities, Score, UnlinkIdentities
from hub.values import PatientIdentifier
from hub.wire.fhir import parameters
from hub.wire.fhir.parameters import Parameter
from hub.wire.fhir.patient import plain
from hub.wire.fhir.patient_reading import authority_of, number_of
from hub.wire.http import HttpRequest, HttpResponse

_MOST_CHARACTERS = 1000
_Row = tuple[str, str, Any]


def link_asked(message: HttpRequest) -> LinkIdentities:
    """Parameters: two ``identifier``, ``reason``. Raises Malformed, Invalid."""
    one, other, reason = _decision(message)
    return LinkIdentities(one, other, reason)


def unlink_asked(message: HttpRequest) -> UnlinkIdentities:
    """Parameters: two ``identifier``, ``reason``. Raises Malformed, Invalid."""
    one, other, reason = _decision(message)
    return UnlinkIdentities(one, other, reason)


def pair_asked(message: HttpRequest) -> ExplainPair:
    """Parameters or query: two ``identifier``. Raises Malformed, Invalid."""
    one, other = _pair(parameters.parameters_in(message, ("identifier",)))
    return ExplainPair(one, other)


def decision_told(outcome: Decided) -> HttpResponse:
    """Parameters: the persons as they are now, whether anything changed, whether a second steward must confirm."""
    rows: list[_Row] = [
        ("patient", "valueReference", {"reference": f"Patient/{item.value}", "identifier": plain(item)})
        for item in outcome.persons
    ]
    rows += [("changed", "valueBoolean", outcome.changed), ("pending", "valueBoolean", outcome.pending)]
    return parameters.written(rows)


def explanation_told(found: Explanation) -> HttpResponse:
    """Parameters: the outcome, the rule, what contradicts, the keys on which they meet, the score, the edges."""
    rows: list[_Row] = [
        *(("identifier", "valueIdentifier", plain(item.identifier)) for item in (found.one, found.other)),
        ("outcome", "valueCode", found.outcome),
    ]
    rows += [
        (name, "valueCode", text)
        for name, text in (("rule", found.rule), ("contradiction", found.contradiction))
        if text
    ]
    rows += [("key", "valueString", name) for name in found.keys]
    if found.score is not None:
        rows.append(("score", "part", _score(found.score)))
    rows += [("link", "part", _link(item)) for item in found.links]
    return parameters.written(rows)


def _score(score: Score) -> list[_Row]:
    rows: list[_Row] = [
        ("weight", "valueDecimal", round(score.weight, 4)),
        ("probability", "valueDecimal", round(score.probability, 6)),
    ]
    rows += [("model", "valueString", score.model_version)] if score.model_version else []
    rows += [("veto", "valueString", text) for text in score.vetoes]
    for item in score.fields:
        parts = [("field", "valueString", item.field), ("level", "valueString", item.level)]
        rows.append(("comparison", "part", [*parts, ("weight", "valueDecimal", round(item.weight, 4))]))
    return rows


def _link(link: Link) -> list[_Row]:
    rows: list[_Row] = [("rule", "valueCode", link.rule), ("since", "valueDateTime", _moment(link.since))]
    rows += [("ended", "valueDateTime", _moment(link.ended_at))] if link.ended_at is not None else []
    texts = (
        ("endedWhy", link.ended_why),
        ("author", link.author),
        ("reason", link.reason),
        ("model", link.model_version),
    )
    return rows + [(name, "valueString", text) for name, text in texts if text]


def _moment(moment: Any) -> str:
    return str(moment.isoformat(timespec="seconds"))


def _decision(message: HttpRequest) -> tuple[PatientIdentifier, PatientIdentifier, str]:
    found = parameters.parameters_in(message, ("identifier", "reason"))
    reason = parameters.one_text(found, "reason").strip()
    if len(reason) > _MOST_CHARACTERS:
        raise Invalid(f"A reason has at most {_MOST_CHARACTERS} characters.", location="reason")
    return (*_pair(found), reason)


def _pair(found: tuple[Parameter, ...]) -> tuple[PatientIdentifier, PatientIdentifier]:
    values = [_number(item) for item in found if item.name == "identifier"]
    if len(values) != 2 or values[0] == values[1]:
        raise Invalid("Two different identifiers are expected.", location="identifier")
    return values[0], values[1]


def _number(item: Parameter) -> PatientIdentifier:
    if item.kind == "valueIdentifier":
        return number_of(item.value, "identifier")
    system, _, value = str(item.value).partition("|")
    if item.kind != "valueString" or not value:
        raise Invalid("An identifier is [system]|[number], or a valueIdentifier.", location="identifier")
    oid, namespace = authority_of(system, "identifier")
    return PatientIdentifier(value, oid, "", namespace)
