"""What goes to a steward, and what closes a question again."""

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence

import orjson

from hub.context import Context
from hub.patients import matching
from hub.patients.model import Identity, TaskKind
from hub.patients.steward_model import Score
from hub.patients.store import Member, PatientStore
from hub.patients.store_tasks import Question, TaskRecord

#: What the index itself finds out anew whenever an identity that it is about changes.
DERIVED = frozenset({TaskKind.DUPLICATE, TaskKind.COLLISION, TaskKind.BRIDGE, TaskKind.POSSIBLE, TaskKind.WRONG_JOIN})


class Asking:
    """Asks stewards, each question once."""

    def __init__(self, store: PatientStore, context: Context) -> None:
        self.store = store
        self.context = context
        self._doubted: list[TaskRecord] = []  # open, and gone unless they are asked again

    def ask(
        self, kind: TaskKind, member: Member, others: Iterable[Member], reason: str, score: Score | None = None
    ) -> None:
        """One question about an identity and others."""
        everybody = list({item.id: item for item in others if item.id != member.id}.values())
        if everybody:
            self._ask(kind, member, everybody, reason, score)

    def ask_alone(self, kind: TaskKind, member: Member, reason: str) -> None:
        """One question about an identity by itself."""
        self._ask(kind, member, [], reason)

    def _ask(
        self, kind: TaskKind, member: Member, everybody: Sequence[Member], reason: str, score: Score | None = None
    ) -> None:
        evidence = evidence_of(score) if score is not None else ""
        question = Question(
            kind,
            member.id,
            tuple(item.id for item in everybody),
            reason,
            fingerprint([member, *everybody], evidence),
            evidence,
        )
        if self._stands(question):
            return
        if self.store.tasks.ask(question, self.context.message_id):
            self.context.led_to("task", kind.value)

    def _stands(self, question: Question) -> bool:
        """Whether it is a doubted question that is asked again for the same evidence: it stays, and is as old as it
        was."""
        everybody = {question.identity, *question.others}
        for task in self._doubted:
            if task.kind is question.kind and task.everybody == everybody:
                self._doubted.remove(task)
                if task.fingerprint == question.fingerprint:
                    return True
                self.store.tasks.close([task.id])
                return False
        return False

    def ask_each(self, kind: TaskKind, member: Member, scores: Mapping[Member, Score], reason: str) -> None:
        """One question for each of others, with its score."""
        for other, score in scores.items():
            self.ask(kind, member, [other], reason, score)

    def reconsider(self, member: Member) -> set[int]:
        """The identity changed: its questions are closed, to be asked anew where they still stand.

        The identities whose own questions named it, and have to be looked at again."""
        about = self.store.tasks.about(member.id)
        if not about:
            return set()
        self.store.tasks.close(task.id for task in about if task.kind in DERIVED)
        self.store.tasks.changed(task.id for task in about if task.kind not in DERIVED)
        return {task.identity for task in about if task.kind in DERIVED and task.identity != member.id}

    def doubt(self, member: Member) -> None:
        """Something near the identity changed: what is asked about it goes with ``drop_doubted`` unless it is asked
        again meanwhile."""
        about = self.store.tasks.about(member.id)
        self._doubted = [task for task in about if task.kind in DERIVED]
        self.store.tasks.changed(task.id for task in about if task.kind not in DERIVED)

    def drop_doubted(self) -> None:
        """See ``doubt``."""
        self.store.tasks.close(task.id for task in self._doubted)
        self._doubted = []

    def gone(self, member: Member) -> set[int]:
        """The identity is in use no more: nothing is asked of it. As ``reconsider``."""
        about = self.store.tasks.about(member.id)
        self.store.tasks.close(task.id for task in about)
        return {task.identity for task in about if task.identity != member.id}

    def agreed(self, member: Member, contradicts: Callable[[Identity, Identity], bool]) -> None:
        """Close what was asked about changes that are in agreement again."""
        closed = [task.id for task in self.store.tasks.about(member.id) if self._agree(task, contradicts)]
        self.store.tasks.close(closed)

    def settled(self, one: Member, other: Member) -> None:
        """Somebody decided about the two: what was asked about just them is answered."""
        pair = frozenset((one.id, other.id))
        self.store.tasks.close(task.id for task in self.store.tasks.about(one.id) if task.everybody == pair)

    def _agree(self, task: TaskRecord, contradicts: Callable[[Identity, Identity], bool]) -> bool:
        if task.kind not in (TaskKind.STRICT_TRAITS, TaskKind.INS_CONFLICT):
            return False
        members = self.store.by_ids(task.everybody)
        first = members[0]
        if len(members) == 1:  # asked by itself: somebody who agrees with it is linked to it again
            members = self.store.members(first.person)
            if len(members) == 1:
                return False
        return len({item.person for item in members}) == 1 and not any(
            contradicts(first.identity, item.identity) for item in members if item.id != first.id
        )


def evidence_of(score: Score) -> str:
    """What was weighed, as JSON: names of fields and levels, weights; never a value of anybody's."""
    return orjson.dumps(
        {
            "weight": round(score.weight, 3),
            "probability": round(score.probability, 6),
            "fields": [[item.field, item.level, round(item.weight, 3)] for item in score.fields],
            "vetoes": list(score.vetoes),
            "model": score.model_version,
        }
    ).decode()


def fingerprint(members: Sequence[Member], evidence: str = "") -> int:
    """Of what was compared: the same while nothing of it changes."""
    text = evidence or repr([(item.id, looked_at(item.identity)) for item in sorted(members, key=lambda m: m.id)])
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "big", signed=True)


def looked_at(identity: Identity) -> tuple[object, ...]:
    """What the rules look at."""
    strict = matching.strict(identity.traits)
    return (strict, identity.traits.given_names, identity.status, identity.ins, sorted(identity.attributes))
