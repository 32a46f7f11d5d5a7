"""A steward's part: two hospitals contradict each other about one INS; nobody is joined, and somebody is asked."""

from dataclasses import replace

from hub.app.demo.people import signed_in
from hub.app.demo.region import INS_TEST, STEWARD, Hospital
from hub.app.demo.stage import Stage
from hub.patients.model import Traits
from hub.testing import hl7

#: Another person of the public test platforms, as A has them; B has mistyped the day of birth.
_INS = "162018885045327"
_TRAITS = Traits(
    birth_name="PAT-SIX", birth_given="ALAIN", given_names="ALAIN", birth_date="19620115", sex="M", birth_place="88160"
)


def ask(stage: Stage) -> None:
    """ADT^A28 of both hospitals, then the worklist."""
    a, b = stage.pair
    title = "Two hospitals contradict each other about one INS: a steward is asked"
    with stage.report.step(title, "HIS A, HIS B, a steward", "HL7 ADT^A28, portal") as step:
        for one, traits in ((a, _TRAITS), (b, replace(_TRAITS, birth_date="19620125"))):
            stage.send(step, hl7.adt(one.sender("HIS"), _patient(one, traits), "A28"))
        visitor = signed_in(stage, STEWARD).open("/portal/steward")
        tasks = visitor.links("/portal/steward/task/")
        step.expect(tasks, "the worklist shows no question")
        page = visitor.open(tasks[0]).text
        for one in stage.pair:
            step.expect(one.title in page, f"the question does not show what {one.title} says")
        step.identifiers = {"ins": _INS}
        step.counts = {"questions": len(tasks)}
        step.received = "not joined; both identities side by side in the stewards' worklist"
        step.link = f"{stage.url}/portal/steward"


def _patient(one: Hospital, traits: Traits) -> hl7.Patient:
    number = hl7.local(f"{one.local_id}6", one.source, one.authority)
    return hl7.Patient(identifier=number, traits=traits, ins=hl7.ins(_INS, INS_TEST))
