"""The server's side of DICOMweb: queries in, matches, instances and metadata out (PS3.18: 10.4, 10.6)."""

import fnmatch
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from hub.errors import Invalid
from hub.imaging.model import (
    FailedInstance,
    FindStudies,
    IndexedStudy,
    Instance,
    InstanceRequest,
    InstanceStream,
    PassedThrough,
    RetrievedInstance,
    Series,
    SourceState,
    SourceStatus,
    StudyAnswer,
)
from hub.values import Oid, PatientIdentifier
from hub.wire import multipart
from hub.wire.dicom import attributes, to_json
from hub.wire.dicom_keys import days, divided
from hub.wire.dicomweb.attributes import CONTROL, INCLUDED, attribute_of, keyword_of, known_keyword
from hub.wire.dicomweb.media import DICOM, JSON, XML, boundary, choose, json_array, multipart_type
from hub.wire.dicomweb.native import native_parts
from hub.wire.http import HttpRequest, HttpResponse

#: What every source had to say to a search: ``PACS_A;state=answered;count=3;ms=12``.
SOURCES_HEADER = "X-Maillage-Sources"
_LITERAL = "The fuzzymatching parameter is not supported. Only literal matching has been performed."  #: PS3.18: 8.3.4.2
_NAMES = frozenset({"PatientName", "ReferringPhysicianName"})
_MAX_LIMIT = 1000
_AHEAD = 512 * 1024  #: bytes of instances that are waited for before the answer's head is sent
_MOST_NAMED = 20
_BULK = re.compile(r"^.*?(/studies/.*)$")
#: The issuer's OID as a sequence attribute: IssuerOfPatientIDQualifiersSequence.UniversalEntityID.
_ISSUER = re.compile(r"(00100024|IssuerOfPatientIDQualifiersSequence)\.(00400032|UniversalEntityID)")


def find_studies(message: HttpRequest, level: str) -> FindStudies:
    """A search's criteria. Raises Invalid for a key that can't be one, or a value that is none."""
    keys = _keys(message, level)
    named = message.path_parameters
    uids = (named["study"],) if "study" in named else _list(keys.get("StudyInstanceUID", ""))
    start, end = days("StudyDate", keys["StudyDate"]) if "StudyDate" in keys else ("", "")
    exact, further = divided(keys)
    command = FindStudies(
        # Viewers put wildcards around numbers; a number is exact, or it would find other persons.
        person=_person(keys["PatientID"].strip("*"), keys.get("IssuerOfPatientID", ""))
        if "PatientID" in keys
        else None,
        study_instance_uids=uids,
        accession_number=exact.get("AccessionNumber", ""),
        modalities=_list(exact.get("ModalitiesInStudy", "") or keys.get("Modality", "")),
        started_from=start,
        started_to=end,
        patient_name=keys.get("PatientName", ""),
        patient_birth_date=exact.get("PatientBirthDate", ""),
        keys=further,
        live=True,
        level=level,
        series_instance_uid=named.get("series") or keys.get("SeriesInstanceUID", ""),
        sop_instance_uid=keys.get("SOPInstanceUID", ""),
        limit=min(_number(message, "limit", _MAX_LIMIT), _MAX_LIMIT),
        offset=_number(message, "offset", 0),
    )
    _fuzzy(message)
    if level == "STUDY":
        return command
    if len(uids) != 1:
        raise Invalid(
            "Series and instances are searched for within one study: name its StudyInstanceUID.", section="PS3.18: 10.6"
        )
    # The study is one: the page is cut from its series or instances when they are encoded.
    return replace(command, limit=1, offset=0, modalities=())


def _keys(message: HttpRequest, level: str) -> dict[str, str]:
    """Matching keys by keyword; empty and universal ones (``*``) do not restrict."""
    found = {}
    for name, text in message.query:
        if name in CONTROL:
            continue
        keyword = "IssuerOfPatientID" if _ISSUER.fullmatch(name) else keyword_of(name)
        attribute_of(keyword, level)
        if text.strip("*"):
            found[keyword] = text
    return found


def encode_matches(answer: StudyAnswer, message: HttpRequest, level: str) -> HttpResponse:
    """The matches as DICOM JSON, or XML for who prefers it; what the sources said in a header, and a warning when one
    did not answer. Raises NotAcceptable."""
    chosen, _ = choose(accepted(message), (JSON, XML))
    limit, offset = _number(message, "limit", _MAX_LIMIT), _number(message, "offset", 0)
    objects = list(_objects(answer.studies, message, level))
    total, more = answer.total, answer.more
    if level != "STUDY":
        total = len(objects)
        objects = objects[offset : offset + limit]
        more = total > offset + limit
    headers = {SOURCES_HEADER: ", ".join(_source(status) for status in answer.statuses)}
    cut = [status for status in answer.statuses if status.state is SourceState.CUT]
    missing = [status for status in answer.statuses if not status.whole and status not in cut]
    warnings = [_LITERAL] if _fuzzy(message) and _NAMES & set(_keys(message, level)) else []
    warnings += [*_not_included(message, level), *(f"{status.source}: {status.reason}" for status in cut)]
    if missing:
        names = ", ".join(f"{status.source} {status.state.value}" for status in missing)
        warnings.append(f"Incomplete: {names}")
    if more:  # PS3.18: 8.3.4.4; how many is not always known, where archives were asked live
        left = f"{total - offset - len(objects)} " if total is not None else ""
        warnings.append(f"There are {left}additional results that can be requested")
    if warnings:
        headers["Warning"] = ", ".join(f'299 maillage "{text}"' for text in warnings)
    if not objects and (not missing or chosen == XML):  # no part, no multipart message
        return HttpResponse(204, b"", "", headers)
    if chosen == XML:
        text = boundary()
        return HttpResponse(200, multipart.write(native_parts(objects), text), multipart_type(text, XML), headers)
    return HttpResponse(200, b"".join(json_array(objects)), JSON, headers)


def _not_included(message: HttpRequest, level: str) -> list[str]:
    """A warning where an includefield is none, or names what no answer of this level has (PS3.18: 8.3.4.3)."""
    wanted = {name for text in message.parameters("includefield") for name in text.split(",") if name}
    known = {item: keyword for item in wanted - {"all"} if (keyword := known_keyword(item))}
    warnings = (
        ["An includefield names no attribute known here and was ignored."] if wanted - {"all"} - set(known) else []
    )
    absent = sorted({keyword for keyword in known.values() if keyword not in INCLUDED[level]})
    if absent:
        warnings.append(f"Not available, though asked for by includefield: {', '.join(absent[:_MOST_NAMED])}")
    return warnings


def _fuzzy(message: HttpRequest) -> bool:
    """Whether fuzzy matching of names is asked for. Raises Invalid."""
    text = message.parameter("fuzzymatching", "false")
    if text not in ("true", "false"):
        raise Invalid("fuzzymatching is true or false.", location="fuzzymatching")
    return text == "true"


def _objects(studies: Sequence[IndexedStudy], message: HttpRequest, level: str) -> Iterator[dict[str, Any]]:
    wanted = _keys(message, level)
    for item in studies:
        base = f"{message.base}/studies/{item.study.study_instance_uid}"
        if level == "STUDY":
            yield _object(base, attributes(item.study), item)
            continue
        for series in item.study.series:
            if not _series_fits(series, wanted):
                continue
            url = f"{base}/series/{series.series_instance_uid}"
            if level == "SERIES":
                yield _object(url, attributes(item.study, series), item)
                continue
            for instance in series.instances:
                if _instance_fits(instance, wanted):
                    place = f"{url}/instances/{instance.sop_instance_uid}"
                    yield _object(place, attributes(item.study, series, instance), item)


def _object(url: str, values: dict[str, Any], item: IndexedStudy) -> dict[str, Any]:
    values["RetrieveURL"] = url
    values["InstanceAvailability"] = "ONLINE"
    values["RetrieveAETitle"] = ""
    found = to_json(values)
    del found["00080054"]
    if item.person is not None:
        found["00101002"] = {"vr": "SQ", "Value": [_other_id(item.person)]}
    return found


def _other_id(person: PatientIdentifier) -> dict[str, Any]:
    """The regional identifier (OtherPatientIDsSequence)."""
    item = {"PatientID": person.value, "TypeOfPatientID": "TEXT"}
    qualifiers = [{"UniversalEntityID": person.authority, "UniversalEntityIDType": "ISO"}]
    found = to_json(item | {"IssuerOfPatientIDQualifiersSequence": qualifiers})
    del found["00080005"]
    return found


def _series_fits(series: Series, wanted: Mapping[str, str]) -> bool:
    modalities = _list(wanted.get("Modality", ""))
    number = wanted.get("SeriesNumber", "")
    uids = _list(wanted.get("SeriesInstanceUID", ""))
    return (
        (not modalities or series.modality in modalities)
        and _text_fits(series.description, wanted.get("SeriesDescription", ""))
        and _text_fits(series.body_part, wanted.get("BodyPartExamined", ""))
        and (not number or _same_number(number, series.number))
        and (not uids or series.series_instance_uid in uids)
    )


def _text_fits(value: str, wanted: str) -> bool:
    """Wildcard matching whatever the case (PS3.4: C.2.2.2.4)."""
    return not wanted or fnmatch.fnmatchcase(value.casefold(), wanted.casefold().replace("[", "[[]"))


def _instance_fits(instance: Instance, wanted: Mapping[str, str]) -> bool:
    number = wanted.get("InstanceNumber", "")
    classes = _list(wanted.get("SOPClassUID", ""))
    uids = _list(wanted.get("SOPInstanceUID", ""))
    return (
        (not number or _same_number(number, instance.number))
        and (not classes or instance.sop_class_uid in classes)
        and (not uids or instance.sop_instance_uid in uids)
    )


def _same_number(text: str, number: int | None) -> bool:
    try:
        return int(text) == number
    except ValueError:
        return False


def accepted(message: HttpRequest) -> str:
    """The Accept header; the query parameter of the same name goes before it (PS3.18: 8.3.3.1)."""
    return message.parameter("accept") or message.headers.get("accept", "")


def request_of(message: HttpRequest) -> InstanceRequest:
    """The study, series or instance that a path names."""
    named = message.path_parameters
    return InstanceRequest(named["study"], named.get("series", ""), named.get("instance", ""))


def encode_instances(stream: InstanceStream) -> HttpResponse:
    """Instances as multipart/related, streamed. 206 with a warning where some are known to fail before the head is sent
    (PS3.18: 8.5.1): a small answer is waited for as a whole. A larger one of which a later instance fails breaks off.

    Raises the first failure when nothing at all could be had."""
    first, failures = _first(stream)
    if first is None:
        raise failures[0].error if failures else Invalid("Nothing was asked for.")
    text = boundary()
    pieces = multipart.write((_part(item) for item in _retrieved(first, stream, failures)), text)
    ahead: list[bytes] = []
    size = 0
    for piece in pieces:
        ahead.append(piece)
        size += len(piece)
        if size >= _AHEAD:
            break
    else:
        return HttpResponse(206 if failures else 200, b"".join(ahead), multipart_type(text), _warning(failures))
    body = _rest(ahead, pieces, failures, len(failures))
    return HttpResponse(206 if failures else 200, body, multipart_type(text), _warning(failures), lasting=True)


def _warning(failures: Sequence[FailedInstance]) -> Mapping[str, str]:
    return {"Warning": f'299 maillage "{len(failures)} instances could not be had"'} if failures else {}


def _rest(
    ahead: Sequence[bytes], pieces: Iterator[bytes], failures: Sequence[FailedInstance], told: int
) -> Iterator[bytes]:
    yield from ahead
    yield from pieces
    if len(failures) > told:
        raise failures[-1].error  # the head is sent: an answer that breaks off is not taken for the whole


def encode_single(stream: InstanceStream) -> HttpResponse:
    """One instance as application/dicom. Raises why it could not be had."""
    first, failures = _first(stream)
    if first is None:
        raise failures[0].error if failures else Invalid("Nothing was asked for.")
    return HttpResponse(
        200, _whole(first.chunks, stream), f"{DICOM}; transfer-syntax={first.transfer_syntax}", lasting=True
    )


def _first(stream: InstanceStream) -> tuple[RetrievedInstance | None, list[FailedInstance]]:
    failures: list[FailedInstance] = []
    for item in stream:
        if isinstance(item, RetrievedInstance):
            return item, failures
        failures.append(item)
    return None, failures


def _retrieved(
    first: RetrievedInstance, rest: InstanceStream, failures: list[FailedInstance]
) -> Iterator[RetrievedInstance]:
    try:
        yield first
        for item in rest:
            if isinstance(item, RetrievedInstance):
                yield item
            else:
                failures.append(item)
    finally:
        _close(rest)


def _whole(chunks: Iterator[bytes], stream: InstanceStream) -> Iterator[bytes]:
    try:
        yield from chunks
    finally:
        _close(stream)


def _close(stream: Any) -> None:
    close = getattr(stream, "close", None)
    if close is not None:
        close()


def _part(item: RetrievedInstance) -> multipart.Part:
    return multipart.Part({"Content-Type": f"{DICOM}; transfer-syntax={item.transfer_syntax}"}, item.chunks)


def encode_metadata(objects: Iterable[Mapping[str, Any]], message: HttpRequest) -> HttpResponse:
    """Metadata, object by object as they come; bulk data is reached through the hub. Raises NotAcceptable."""
    chosen, _ = choose(accepted(message), (JSON, XML))
    found = (rewritten(item, message.base) for item in objects)
    if chosen == XML:
        text = boundary()
        return HttpResponse(200, multipart.write(native_parts(found), text), multipart_type(text, XML), lasting=True)
    return HttpResponse(200, json_array(found), JSON, lasting=True)


def rewritten(value: Any, base: str) -> Any:
    """A DICOM JSON object whose bulk data URIs lead through the hub, not to a source that callers can't reach."""
    if isinstance(value, Mapping):
        found = {}
        for key, item in value.items():
            match = _BULK.match(item) if key == "BulkDataURI" and isinstance(item, str) else None
            found[key] = f"{base}{match.group(1)}" if match else rewritten(item, base)
        return found
    if isinstance(value, list):
        return [rewritten(item, base) for item in value] if value and not isinstance(value[0], str | int) else value
    return value


def encode_passed(passed: PassedThrough) -> HttpResponse:
    """A source's own answer."""
    return HttpResponse(200, passed.chunks, passed.media_type, dict(passed.headers), lasting=True)


def _person(number: str, issuer: str) -> PatientIdentifier:
    """Whom a PatientID means; without an issuer, the one person of the region who has that number."""
    if "^" in number:
        return PatientIdentifier.from_cx(number)
    return PatientIdentifier(number, str(Oid(issuer)) if issuer else "")


def _list(text: str) -> tuple[str, ...]:
    return tuple(part for part in re.split(r"[,\\]", text) if part)


def _number(message: HttpRequest, name: str, default: int) -> int:
    text = message.parameter(name)
    if not text:
        return default
    if not (text.isdecimal() and text.isascii() and len(text) < 10):
        raise Invalid(f"{name} is a whole number.", location=name)
    return int(text)


def _source(status: SourceStatus) -> str:
    return f"{status.source};state={status.state.value};count={status.count};ms={status.milliseconds}"
