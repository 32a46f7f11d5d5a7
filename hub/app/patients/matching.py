"""The score, as the settings want it."""

from hub.app.settings.model import Matching
from hub.patients.scoring import Scorer
from hub.patients.scoring.model import default, read
from hub.patients.service import Weigh
from hub.patients.store_keys import KeyStore
from hub.patients.weighing import Policy, Weighing


def weigh(settings: Matching) -> Weigh | None:
    """What weighs identities in a unit of work; None where matching is off. Raises ModelRefused."""
    if not settings.enabled:
        return None
    scorer, policy = scorer_of(settings), policy_of(settings)
    return lambda work, store: Weighing(scorer, KeyStore(work), store, policy)


def scorer_of(settings: Matching) -> Scorer:
    """The model of the settings, else the hub's own. Raises ModelRefused."""
    return Scorer(read(settings.model) if settings.model is not None else default())


def policy_of(settings: Matching) -> Policy:
    """When it decides."""
    return Policy(settings.automatic, settings.review, settings.provisional)
