"""Is it the same person? Comparisons for French names, keys, weights and vetoes: pure, no database."""

from hub.patients.scoring.model import Model
from hub.patients.scoring.scorer import Scorer, bits, prepared, probability
from hub.patients.scoring.terms import Terms
from hub.patients.scoring.vetoes import SETTLED

__all__ = ["SETTLED", "Model", "Scorer", "Terms", "bits", "prepared", "probability"]
