"""IPF's clients of PIXV3 and PDQV3 (Java, CXF; schemas and Gazelle's Schematron rules) against a sandbox."""

import base64
from pathlib import Path
from typing import Any

import pytest
from lxml import etree

from hub.testing.sandbox import SandboxProcess
from tests import java
from tests.wire.hl7v3 import messages
from tests.wire.hl7v3.messages import ADD, REVISE, ZOE, code, every, feed, ids, named, person

pytestmark = [pytest.mark.interop, pytest.mark.timeout(900)]  # the artifacts are fetched once
PROJECT = Path(__file__).parent / "ipf_hl7v3"
A, B = "1.2.250.1.999.81", "1.2.250.1.999.82"
SURE = messages.status("VALI")
OTHER = ZOE.replace("LÉGER", "LAMBERT")


def say(box: SandboxProcess, *said: tuple[str, str]) -> list[Any]:
    """What IPF was answered, each valid by its own rules."""
    lines = []
    for operation, text in said:
        url = box["pixv3" if operation in ("add", "revise", "merge", "pix") else "pdqv3"]
        lines.append(f"{operation} {url} {base64.b64encode(text.encode()).decode()}\n")
    output = java.run(PROJECT, "Messages", "".join(lines), seconds=300).splitlines()
    assert len(output) == len(said)
    answers = []
    for (operation, _), line in zip(said, output, strict=True):
        outcome, _, answer = line.partition("\t")
        assert outcome == "ok", f"{operation}: {outcome}"
        answers.append(etree.fromstring(base64.b64decode(answer)))
    return answers


def test_ipf_feeds_and_asks() -> None:
    java.program(PROJECT)  # skips before anything is started
    with SandboxProcess("--open") as box:
        answers = say(
            box,
            ("add", feed(ADD, person("A1", A, after=SURE))),
            ("add", feed(ADD, person("B1", B, after=SURE))),
            ("add", feed(ADD, person("B2", B, name=OTHER, after=SURE))),
            ("revise", feed(REVISE, person("A1", A, after=SURE))),
            ("pix", messages.pix_query("A1", A, [B])),
            ("merge", messages.merge("B1", "B2", B)),
            ("pix", messages.pix_query("B2", B, [A])),
            ("pix", messages.pix_query("NOBODY", A)),
            ("pix", messages.pix_query("A1", A, ["1.2.3.4"])),
            ("pdq", messages.pdq_query(named("Léger"))),
            ("pdq", messages.pdq_query(named("Personne"))),
            ("pdq", messages.pdq_query(named("Léger"), quantity=0, query="p")),
            ("continue", messages.more("p", quantity=5)),
            ("cancel", messages.more("p", cancel=True)),
        )
    accepted = [code(answer, "acknowledgement/typeCode") for answer in answers]
    assert accepted == ["CA"] * 4 + ["AA", "CA", "AA", "AE", "AE"] + ["AA"] * 4 + ["CA"]
    told = [code(answer, "queryAck/queryResponseCode") for answer in answers if every(answer, "queryAck")]
    assert told == ["OK", "OK", "AE", "AE", "OK", "NF", "OK", "OK"]
    assert ids(every(answers[4], "patient/id")) == [("B1", B)]
    assert ids(every(answers[6], "patient/id")) == [("A1", A)]
    assert [len(every(answer, "registrationEvent")) for answer in answers[9:13]] == [1, 0, 0, 1]
