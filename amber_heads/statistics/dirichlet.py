"""The Dirichlet that raters' true distributions come from, fitted to their votes.

Votes n of an utterance are multinomial given its true distribution, which is Dirichlet(alpha); they
are then Dirichlet-multinomial (Minka 2000, Estimating a Dirichlet distribution). But for a term
without alpha the log-likelihood of all utterances is

    sum_c sum_k G_c(k) log(alpha_c + k) - sum_k G(k) log(A + k),   A = sum_c alpha_c,  k = 0, 1, ...

where G_c(k) utterances have more than k votes for class c, and G(k) more than k votes at all. So
these numbers are all that a fit looks at, however many utterances there are. It is maximised over
log alpha.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.optimize
from jaxtyping import Float

#: Where log alpha is looked for: votes that agree without exception, or that spread no more than
#: one and the same distribution lets them, have their maximum at infinity.
BOUND = 9.0


@dataclass(frozen=True, slots=True, kw_only=True)
class FittedDirichlet:
    """The fit, and how else it might have come out.

    Attributes:
        alpha: 0 for a class without votes.
        resampled: Fits to as many utterances, drawn with replacement.
    """

    alpha: Float[np.ndarray, " class"]
    resampled: Float[np.ndarray, "resample class"]


def fit_dirichlet(
    votes: Float[np.ndarray, "utterance class"], *, num_resamples: int = 0, seed: int = 0
) -> FittedDirichlet:
    """Fit a Dirichlet to vote counts by maximum likelihood.

    Utterances may have any number of votes; those with one say nothing of how far raters agree.
    Where the likelihood has no maximum (every utterance's votes are for one class, or there is no
    more disagreement between utterances than within them), log alpha ends at a bound of +-9.
    Without an utterance all of alpha is 0.
    """
    if not len(votes):
        return FittedDirichlet(
            alpha=np.zeros(votes.shape[1]), resampled=np.zeros((num_resamples, votes.shape[1]))
        )
    patterns, times = np.unique(votes, axis=0, return_counts=True)
    exceeded = _exceeded(patterns)
    start = np.log(np.maximum(votes.mean(axis=0) / votes.sum(axis=1).mean(), 1e-3))
    alpha = _fit(np.tensordot(times / len(votes), exceeded, 1), start)
    drawn = np.random.default_rng(seed).multinomial(
        len(votes), times / len(votes), size=num_resamples
    )
    start = np.log(np.where(alpha > 0, alpha, 1))
    resampled = [_fit(np.tensordot(one / len(votes), exceeded, 1), start) for one in drawn]
    return FittedDirichlet(
        alpha=alpha, resampled=np.array(resampled).reshape(num_resamples, len(alpha))
    )


def _exceeded(patterns: Float[np.ndarray, "pattern class"]) -> Float[np.ndarray, "pattern row k"]:
    """1 where there are more than k votes for a class; in the last row, more than k at all."""
    number = patterns.sum(axis=1, keepdims=True)
    steps = np.arange(int(number.max()))
    return (np.concatenate([patterns, number], axis=1)[..., None] > steps).astype(np.float64)


def _fit(
    exceeded: Float[np.ndarray, "row k"], start: Float[np.ndarray, " class"]
) -> Float[np.ndarray, " class"]:
    """Alpha from G, as a share of the utterances: the classes' rows, then the last of all votes."""
    voted = exceeded[:-1, 0] > 0
    rows = exceeded[np.append(voted, True)]
    found = scipy.optimize.minimize(
        negative_log_likelihood,
        start[voted],
        args=(rows,),
        jac=_gradient,
        method="L-BFGS-B",
        bounds=[(-BOUND, BOUND)] * int(voted.sum()),
        options={"ftol": 1e-13, "gtol": 1e-8},
    )
    alpha = np.zeros(len(start))
    alpha[voted] = np.exp(found.x)
    return alpha


def negative_log_likelihood(
    logs: Float[np.ndarray, " class"], exceeded: Float[np.ndarray, "row k"]
) -> float:
    """Minus the mean log-likelihood of an utterance, by log alpha."""
    alpha, steps = np.exp(logs), np.arange(exceeded.shape[1])
    of_classes = (exceeded[:-1] * np.log(alpha[:, None] + steps)).sum()
    return float(exceeded[-1] @ np.log(alpha.sum() + steps) - of_classes)


def _gradient(
    logs: Float[np.ndarray, " class"], exceeded: Float[np.ndarray, "row k"]
) -> Float[np.ndarray, " class"]:
    alpha, steps = np.exp(logs), np.arange(exceeded.shape[1])
    of_all = (exceeded[-1] / (alpha.sum() + steps)).sum()
    return np.asarray(alpha * (of_all - (exceeded[:-1] / (alpha[:, None] + steps)).sum(axis=1)))
