"""Whom the student was told to trust: u of Eq. 5, recomputed from stored distributions.

u needs the raters' label, so that it is a matter of training. Out of fold it says what it would
have been: the softmax over experts of -kappa times their divergence from the raters.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from scipy.special import softmax

from amber_heads.formulas.agreement import entropy_per_utterance, js_per_utterance
from amber_heads.reading.evidence import Evidence, System


@dataclass(frozen=True)
class ExpertWeights:
    """u of one system's experts for every tested utterance, averaged over seeds.

    Attributes:
        experts: The heads other than the student.
        weights: (N, experts), rows summing to one.
        entropy: (N,) the raters' entropy in bits.
    """

    name: str
    student: str
    experts: tuple[str, ...]
    weights: Float[np.ndarray, "utterance expert"]
    entropy: Float[np.ndarray, " utterance"]


def expert_weights(
    experts: Float[np.ndarray, "expert seed utterance class"],
    target: Float[np.ndarray, "utterance class"],
    kappa: Float[np.ndarray, " utterance"],
) -> Float[np.ndarray, "utterance expert"]:
    """U in Eq. 5 by utterance and expert, averaged over seeds; NaN seeds are left out."""
    divergence = np.stack([[js_per_utterance(target, one) for one in head] for head in experts])
    seeds = ~np.isnan(divergence).any(axis=(0, 2))
    u = softmax(-kappa * divergence[:, seeds], axis=0)
    return np.asarray(u.mean(axis=1).T)


def weights_of(evidence: Evidence, leading: System) -> ExpertWeights | None:
    """The leading system's u; None where it has no kappa or no experts.

    Each utterance has the kappa of the fold that tests it.
    """
    students = {str(one.get("student") or "") for one in leading.settings}
    kappas = [one.get("kappa") for one in leading.settings]
    own = [one for one in evidence.systems if one.name == leading.name]
    if len(students) != 1 or not kappas or any(one is None for one in kappas):
        return None
    (student,) = students
    heads: Sequence[System] = [one for one in own if one.head != student]
    if not student or not heads or int(evidence.fold.max()) >= len(kappas):
        return None
    kappa = np.array(kappas, dtype=np.float64)[evidence.fold]
    stacked = np.stack([one.test for one in heads])
    return ExpertWeights(
        name=leading.name,
        student=student,
        experts=tuple(one.head for one in heads),
        weights=expert_weights(stacked, evidence.target, kappa),
        entropy=entropy_per_utterance(evidence.target),
    )
