"""Studies as JSON text for the index: compact, complete, stable (the same study gives the same bytes)."""

import hashlib
import unicodedata
from dataclasses import replace
from typing import Any

import orjson

from hub.imaging.model import Instance, Series, Study
from hub.values import Uid


def dump_series(series: tuple[Series, ...]) -> str:
    """All series with their instances."""
    return orjson.dumps(_compact(orjson.loads(orjson.dumps(series)))).decode()


def dump_summary(study: Study) -> str:
    """What the index has no column for, without the series."""
    return orjson.dumps(_compact(orjson.loads(orjson.dumps(replace(study, series=()))))).decode()


def load_study(summary: str, series: str = "[]") -> Study:
    """The study again; without ``series`` its series are left out."""
    values = orjson.loads(summary)
    values["study_instance_uid"] = _uid(values["study_instance_uid"])
    values.setdefault("source", "")
    values["modalities"] = tuple(values.get("modalities", ()))
    values["procedure_codes"] = tuple(tuple(code) for code in values.get("procedure_codes", ()))
    values["series"] = tuple(_series(item) for item in orjson.loads(series))
    return Study(**values)


def fold(text: str) -> str:
    """A name without case and accents, as it is searched for."""
    plain = unicodedata.normalize("NFD", text.strip().rstrip("^"))
    return "".join(letter for letter in plain if not unicodedata.combining(letter)).casefold()


def digest(study: Study, *further: str) -> str:
    """SHA-256 of everything that a manifest says about the study: the same content, whatever its order, gives the
    same digest."""
    series = sorted(
        (
            replace(item, instances=tuple(sorted(item.instances, key=lambda one: one.sop_instance_uid)))
            for item in study.series
        ),
        key=lambda item: item.series_instance_uid,
    )
    same = replace(study, series=tuple(series), modalities=tuple(sorted(study.modalities)))
    content = orjson.dumps([same, list(further)])
    return hashlib.sha256(content).hexdigest()


def _compact(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _compact(item) for key, item in value.items() if item not in ("", None, [])}
    return [_compact(item) for item in value] if isinstance(value, list) else value


def _series(values: dict[str, Any]) -> Series:
    values.setdefault("modality", "")
    values["series_instance_uid"] = _uid(values["series_instance_uid"])
    values["instances"] = tuple(_instance(item) for item in values.get("instances", ()))
    return Series(**values)


def _instance(values: dict[str, Any]) -> Instance:
    values["sop_instance_uid"] = _uid(values["sop_instance_uid"])
    values.setdefault("sop_class_uid", "")
    return Instance(**values)


def _uid(text: str) -> Uid:
    return str.__new__(Uid, text)  # it was a UID when it was kept; archives' oddities pass
