"""The score at work: candidates by blocking keys, each weighed with everybody of its person, vetoes before weights."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

from hub.patients.asking import evidence_of
from hub.patients.matching import SAME_AUTHORITY
from hub.patients.model import Identity
from hub.patients.scoring.vetoes import PROVISIONAL, SETTLED
from hub.patients.steward_model import Score
from hub.patients.store import Member, PatientStore
from hub.patients.store_batch import BatchStore
from hub.patients.store_links import LinkStore

SCORE = "score"
_NEARLY = 1e-9  # sums of the same weights in another order


class Scores(Protocol):
    """The model (``hub.patients.scoring.Scorer``)."""

    version: str

    def keys(self, identity: Identity) -> tuple[tuple[str, int], ...]:
        """Blocking keys."""
        ...

    def score(self, one: Identity, other: Identity) -> Score:
        """The whole reckoning."""
        ...

    def chance(self, one: Identity, other: Identity) -> float:
        """Its probability alone."""
        ...

    def vetoes(self, one: Identity, other: Identity) -> tuple[str, ...]:
        """Its vetoes alone."""
        ...


class Keys(Protocol):
    """The stored keys of identities in use."""

    def put(self, identity: int, keys: Sequence[int]) -> None:
        """These and no others are the identity's."""
        ...

    def put_all(self, keys: Mapping[int, Sequence[int]]) -> None:
        """As ``put``, of several identities."""
        ...

    def candidates(self, keys: Sequence[int], not_id: int) -> list[int]:
        """Identities with one of the keys, capped."""
        ...

    def gather(self, keys: Collection[int]) -> None:
        """Read at once who has them."""
        ...


@dataclass(frozen=True, slots=True)
class Policy:
    """When a score decides. ``provisional``: also about identities that nobody has checked yet."""

    automatic: float = 0.99
    review: float = 0.5
    provisional: bool = False


@dataclass(frozen=True, slots=True)
class Basis:
    """Why an identity is the same person."""

    rule: str
    evidence: str = ""
    version: str = ""


@dataclass(slots=True)
class Found:
    """Who may be the same person. ``allies``: who is; the others are questions."""

    candidates: list[Member] = field(default_factory=list)  #: same INS or strict traits
    allies: dict[Member, Basis] = field(default_factory=dict)
    possible: dict[Member, Score] = field(default_factory=dict)
    duplicates: dict[Member, Score] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.candidates or self.allies or self.possible or self.duplicates)

    def without(self, barred: Collection[int]) -> "Found":
        """Nothing of those that somebody said to be others."""
        if not barred:
            return self
        return Found(
            [item for item in self.candidates if item.id not in barred],
            {item: basis for item, basis in self.allies.items() if item.id not in barred},
            {item: score for item, score in self.possible.items() if item.id not in barred},
            {item: score for item, score in self.duplicates.items() if item.id not in barred},
        )


class Weighing:
    """A scorer, its stored keys and its policy, in one unit of work."""

    def __init__(self, scorer: Scores, keys: Keys, store: PatientStore, policy: Policy) -> None:
        self.scorer = scorer
        self.keys = keys
        self.store = store
        self.policy = policy
        self._known: dict[int, tuple[Identity, tuple[int, ...]]] = {}  # by object: an identity's keys are asked often

    def remember(self, member: Member) -> None:
        """The keys of an identity as it is now; none when it is in use no more."""
        self.keys.put(member.id, self._keys(member.identity) if member.identity.active else ())

    def remember_all(self, members: Iterable[Member], made: Mapping[int, Sequence[int]]) -> None:
        """As ``remember``, of several that nobody else changes now. ``made``: the keys of others."""
        its = {item.id: self._keys(item.identity) if item.identity.active else () for item in members}
        self.keys.put_all({**made, **its})

    def look(self, identity: Identity, not_id: int, found: Found) -> None:
        """Weigh whoever shares a key with the identity."""
        wanted = self._keys(identity)
        met = self.keys.candidates(wanted, not_id) if wanted else []
        for candidate in self.store.met(sorted(met)) if met else ():
            if candidate.identity.active:
                self._judge(identity, candidate, found)

    def judged(self, identity: Identity, candidate: Member) -> Found:
        """What the score says of an identity and another, which weigh enough. Vetoes first: they settle most pairs."""
        found = Found()
        if SETTLED.isdisjoint(self._vetoes(identity, candidate.identity)):
            self._judge(identity, candidate, found)
        return found

    def gather(self, store: BatchStore) -> None:
        """Read for several feeds at once whom they will be compared with. Call it under their locks."""
        wanted = [self._keys(identity) for identity in store.strangers()]
        self.keys.gather([key for keys in wanted for key in keys])
        met = {other for keys in wanted for other in self.keys.candidates(keys, 0)}
        store.meet(met, lambda: self.gather(store))

    def _judge(self, identity: Identity, candidate: Member, found: Found) -> None:
        if self.scorer.chance(identity, candidate.identity) < self.policy.review - _NEARLY:
            return  # most are: the whole reckoning is for those who may be the same
        score = self._score(identity, candidate.identity)
        if score.probability < self.policy.review or SETTLED & set(score.vetoes):
            return
        if SAME_AUTHORITY in score.vetoes:
            if score.probability >= self.policy.automatic:
                found.duplicates[candidate] = score
        elif score.probability >= self.policy.automatic and not score.vetoes:
            found.allies[candidate] = self._basis(score)
        else:
            found.possible[candidate] = score

    def bears(self, identity: Identity, members: Iterable[Member], allies: Mapping[Member, Basis]) -> bool:
        """Whether nobody of the person speaks against it: where a score alone says who it is."""
        if any(basis.rule != SCORE for basis in allies.values()):
            return True
        known = {ally.id for ally in allies}
        return all(self.holds(identity, other.identity) for other in members if other.id not in known)

    def decided(self, member: Member, others: Iterable[Member]) -> dict[Member, Basis]:
        """Those of others that the score alone says to be the same."""
        scores = {other: self._score(member.identity, other.identity) for other in others if other.identity.active}
        return {
            other: self._basis(score)
            for other, score in scores.items()
            if not score.vetoes and score.probability >= self.policy.automatic
        }

    def holds(self, one: Identity, other: Identity) -> bool:
        """Whether a link by score may stay: no veto, and not under review's threshold."""
        score = self._score(one, other)
        return other.active and not score.vetoes and score.probability >= self.policy.review

    def doubtful(self, member: Member, others: Sequence[Member], links: LinkStore) -> dict[Member, Score]:
        """Those that a score joined which would only be a question today."""
        edges = links.edges([member.id])
        linked = {edge.far(member.id) for edge in edges if edge.rule == SCORE}
        scores = {item: self._score(member.identity, item.identity) for item in others if item.id in linked}
        return {
            item: score for item, score in scores.items() if score.vetoes or score.probability < self.policy.automatic
        }

    def explain(self, one: Identity, other: Identity) -> tuple[Score, tuple[str, ...]]:
        """The reckoning, and the names of the keys on which the two meet."""
        theirs = {value: name for name, value in self.scorer.keys(other)}
        met = (name for name, value in self.scorer.keys(one) if value in theirs)
        return self._score(one, other), tuple(dict.fromkeys(met))

    def locks(self, identity: Identity) -> list[str]:
        """What two simultaneous first contacts of one person have in common."""
        return [f"key:{value}" for value in self._keys(identity)]

    def evidence(self, one: Identity, other: Identity) -> str:
        """What the score says of two, as JSON."""
        return evidence_of(self._score(one, other))

    def _keys(self, identity: Identity) -> tuple[int, ...]:
        known = self._known.get(id(identity))
        if known is not None:
            return known[1]
        keys = tuple([value for _, value in self.scorer.keys(identity)])
        self._known[id(identity)] = (identity, keys)
        return keys

    def _score(self, one: Identity, other: Identity) -> Score:
        score = self.scorer.score(one, other)
        return replace(score, vetoes=self._of_policy(score.vetoes)) if self.policy.provisional else score

    def _vetoes(self, one: Identity, other: Identity) -> tuple[str, ...]:
        return self._of_policy(self.scorer.vetoes(one, other))

    def _of_policy(self, vetoes: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(veto for veto in vetoes if veto != PROVISIONAL) if self.policy.provisional else vetoes

    def _basis(self, score: Score) -> Basis:
        return Basis(SCORE, evidence_of(score), score.model_version)
