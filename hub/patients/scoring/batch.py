"""The same comparisons for a batch: settings for Splink, whose columns are those of ``Features``. Only text here."""

from collections.abc import Iterable
from typing import Any

from hub.patients.scoring.kinds import DIFFERENT, KINDS
from hub.patients.scoring.model import Model
from hub.patients.scoring.terms import RAREST

ID = "id"
LISTS = ("parts", "givens")  #: columns of several values


def columns(kinds: Iterable[str]) -> dict[str, str]:
    """Column -> SQL type, of what the comparisons read."""
    wanted = dict.fromkeys(column for kind in kinds for column in KINDS[kind].columns)
    return {column: "VARCHAR[]" if column in LISTS else "VARCHAR" for column in wanted}


def settings(kinds: Iterable[str], model: Model | None = None, frequencies: Iterable[str] = ()) -> dict[str, Any]:
    """Splink's settings. ``frequencies``: columns with known term frequencies; ``model``: its m, u and prior."""
    chosen, known = tuple(kinds), frozenset(frequencies)
    document: dict[str, Any] = {
        "link_type": "dedupe_only",
        "unique_id_column_name": ID,
        "retain_matching_columns": False,
        "retain_intermediate_calculation_columns": True,
        "comparisons": [_comparison(kind, model, known) for kind in chosen],
        "blocking_rules_to_generate_predictions": [],
    }
    if model is not None:
        document["probability_two_random_records_match"] = model.prior
    return document


def _comparison(kind: str, model: Model | None, frequencies: frozenset[str]) -> dict[str, Any]:
    rule = KINDS[kind]
    learned = {}
    if model is not None:
        [found] = [item for item in model.comparisons if item.kind == kind]
        learned = {level.name: level for level in found.levels}
    levels: list[dict[str, Any]] = [
        {"sql_condition": rule.unknown, "label_for_charts": "unknown", "is_null_level": True}
    ]
    for name, condition in (*rule.levels, (DIFFERENT, "ELSE")):
        level: dict[str, Any] = {"sql_condition": condition, "label_for_charts": name}
        if learned:
            level |= {"m_probability": learned[name].m, "u_probability": learned[name].u}
        if rule.term in frequencies and name in rule.by_term:
            level |= {"tf_adjustment_column": rule.term, "tf_adjustment_weight": 1.0, "tf_minimum_u_value": RAREST}
        levels.append(level)
    return {"output_column_name": kind, "comparison_levels": levels}
