"""Every SOAP message that a hub sends in a test is checked by the public schemas, in this process and in sandboxes.

``install`` patches the writers; what is not valid is written below the directory that MAILLAGE_INVALID names, and the
test session fails (``tests/conftest.py``). As a program: ``maillage``, tapped."""

import copy
import inspect
import os
import re
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from pathlib import Path
from typing import Any

from lxml import etree

from hub.app.sharing import subscriptions
from hub.wire.ebxml.names import LCM, QUERY, RS, XDSB
from hub.wire.soap import client, writing
from hub.wire.soap.names import SOAP, soap
from tests.wire.ebxml import schemas as ebxml
from tests.wire.hl7v3 import schemas as hl7v3
from tests.wire.wsn import schemas as wsn

VARIABLE = "MAILLAGE_INVALID"
#: What makes the envelopes of answers, and of requests and notifications.
WRITERS = ((writing, "_filled"), (client, "build_envelope"), (subscriptions, "build_envelope"))
_PLACE = re.compile(rb"cid:[^:<]+:")
_HL7 = "urn:hl7-org:v3"
_WSN = "http://docs.oasis-open.org/wsn/b-2"


def fetch() -> None:
    """Have every schema at hand; skips where they can't be had."""
    ebxml.wsdl_directory()
    hl7v3.directory()
    wsn.schema_directory()


def problem(body: Any) -> str:
    """What a public schema says against the element in a Body; "" where it is valid, or has no public schema."""
    namespace = etree.QName(body).namespace
    try:
        if namespace in (RS, QUERY, XDSB, LCM):
            ebxml.validate(body)
        elif namespace == _WSN:
            wsn.validate(body)
        elif namespace == _HL7:
            return "\n".join(hl7v3.problems(body) and hl7v3.problems(_own(body)))
    except AssertionError as error:
        return str(error) or "not valid"
    return ""


def _own(body: Any) -> Any:
    """What the hub says itself: an answer repeats the question as it came (ITI TF-2: 3.47.4.2.2), valid or not."""
    found = copy.deepcopy(body)
    for question in found.iter(f"{{{_HL7}}}queryByParameter"):
        if not found.findall(f".//{{{_HL7}}}queryAck"):
            break  # it is the hub's own question
        for item in list(question):
            question.remove(item)
        question.text = None
        etree.SubElement(question, f"{{{_HL7}}}queryId", root="1.2.3")
        etree.SubElement(question, f"{{{_HL7}}}statusCode", code="new")
        etree.SubElement(question, f"{{{_HL7}}}parameterList")
    return found


def _tell(directory: Path, found: str, message: bytes) -> None:
    directory.mkdir(parents=True, exist_ok=True)
    (directory / f"{uuid.uuid4().hex}.txt").write_bytes(found.encode() + b"\n\n" + message)


def install(directory: Path) -> None:
    """Check what is sent from now on, in this process."""

    def check(envelope: Any, message: bytes) -> None:
        for body in envelope.iterfind(f"{soap('Body')}/*"):
            found = problem(body) if etree.QName(body).namespace != SOAP else ""
            if found:
                _tell(directory, found, message)

    def filled(original: Callable[..., bytes]) -> Callable[..., bytes]:
        @wraps(original)
        def wrapper(*arguments: Any) -> bytes:
            message = original(*arguments)
            check(etree.fromstring(_PLACE.sub(b"", message), etree.XMLParser(huge_tree=True)), message)
            return message

        return wrapper

    def built(original: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(original)
        def wrapper(*arguments: Any, **options: Any) -> Any:
            envelope = original(*arguments, **options)
            check(copy.deepcopy(envelope), etree.tostring(envelope))
            return envelope

        return wrapper

    for module, name in WRITERS:
        wrap = filled if module is writing else built
        setattr(module, name, wrap(vars(module)[name]))


@contextmanager
def untapped() -> Iterator[None]:
    """For a test that has the hub's own writers make what no hub would send."""
    writer: Any = writing._filled
    writing._filled = inspect.unwrap(writer)
    try:
        yield
    finally:
        writing._filled = writer


def main() -> None:
    """``maillage``, tapped."""
    from hub.app.commands.main import main as maillage

    install(Path(os.environ[VARIABLE]))
    maillage()


if __name__ == "__main__":
    main()
