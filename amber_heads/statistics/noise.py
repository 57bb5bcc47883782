"""What few raters let anybody score: one more rater, and a model that knows the truth.

The one-rater reference holds each vote against the votes of the others. It is a reference and no
ceiling: a single vote says one class with all its weight, and a model that spreads its probability
comes closer to the others' distribution than that; with three votes a good one does.

The noise floor is what a perfect model would score: one that predicts each utterance's true
distribution, and is judged by the few votes that were drawn from it. The true distributions are
taken to be from one Dirichlet, whose parameters are fitted to the counts by maximum likelihood
(they are then Dirichlet-multinomial). Given its votes n, an utterance's true distribution is
Dirichlet(alpha + n); it is drawn again and again and held against the soft label. Below five
votes an utterance that is a statement about the Dirichlet rather than about the raters, and none is
made.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from jaxtyping import Bool, Float, Shaped

from amber_heads.metrics import METRICS
from amber_heads.statistics.dirichlet import fit_dirichlet
from amber_heads.statistics.resampled import measure_parts

#: Fewest votes an utterance of which a noise floor is claimed.
FEWEST_VOTES = 5

#: Draws of all true distributions, and the share of them that lies in an interval.
NUM_DRAWS, CONFIDENCE = 100, 0.95


@dataclass(frozen=True, slots=True, kw_only=True)
class OneRater:
    """A left-out vote, as a prediction of the distribution of the others.

    Attributes:
        values: Every metric; NaN where there is no utterance, and for r2 with two classes.
        num_utterances: With two votes or more.
        num_left_out: With fewer.
        by_votes: The same by the number of votes, which is that with the left-out one.
        by_part: By the name of what was asked for.
    """

    values: dict[str, float]
    num_utterances: int
    num_left_out: int = 0
    by_votes: dict[int, OneRater] = field(default_factory=dict)
    by_part: dict[str, OneRater] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Expected:
    """What a perfect model would score: the mean over draws, and 95% of them.

    The interval holds what is unknown of the true distributions and, by fits to resampled
    utterances, of the Dirichlet. It narrows with the number of utterances; that they are no
    Dirichlet's at all is not in it.
    """

    mean: float
    low: float
    high: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Floor:
    """The noise floor of some utterances.

    Attributes:
        values: By metric; None where no claim is made, for the reason in `why_not`.
        num_utterances: With five votes or more.
        num_left_out: With fewer.
    """

    values: dict[str, Expected] | None
    num_utterances: int
    num_left_out: int = 0
    why_not: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class NoiseFloor:
    """The noise floor of a corpus.

    Attributes:
        alpha: (C,) of the fitted Dirichlet, 0 for a class without votes; None without a fit.
        by_votes: By number of votes, fewer than five included: there without values.
        by_part: By the name of what was asked for, a level of ambiguity for one.
    """

    alpha: Float[np.ndarray, " class"] | None
    overall: Floor
    by_votes: dict[int, Floor]
    by_part: dict[str, Floor]


def one_rater_reference(
    votes: Shaped[np.ndarray, "utterance class"],
    *,
    parts: Mapping[str, Bool[np.ndarray, " utterance"]] | None = None,
) -> OneRater:
    """Hold each vote, as a one-hot prediction, against the distribution of the other votes.

    An utterance counts once, its votes in equal shares, so that every metric is the mean over
    which vote is left out; F1 and calibration are of all pairs so weighted.

    Args:
        votes: How many raters chose each class.
        parts: Masks of utterances that a reference is wanted for apart; they may overlap.

    Raises:
        ValueError: These are no counts.
    """
    votes, parts = _counts(votes), parts or {}
    number = votes.sum(axis=1)
    several = number > 1
    sizes = np.unique(number[several]).astype(int).tolist()
    masks = [np.ones(len(votes), dtype=bool), *(number == size for size in sizes), *parts.values()]
    found = [
        OneRater(
            values=values,
            num_utterances=int((mask & several).sum()),
            num_left_out=int((mask & ~several).sum()),
        )
        for mask, values in zip(masks, _of_left_out(votes, np.stack(masks)), strict=True)
    ]
    by_votes, by_part = found[1 : 1 + len(sizes)], found[1 + len(sizes) :]
    return replace(
        found[0],
        by_votes=dict(zip(sizes, by_votes, strict=True)),
        by_part=dict(zip(parts, by_part, strict=True)),
    )


def noise_floor(
    votes: Shaped[np.ndarray, "utterance class"],
    *,
    parts: Mapping[str, Bool[np.ndarray, " utterance"]] | None = None,
    metrics: Sequence[str] = tuple(METRICS),
    num_draws: int = NUM_DRAWS,
    seed: int = 0,
) -> NoiseFloor:
    """Estimate what a model that knows the true distributions would score on these votes.

    Args:
        votes: How many raters chose each class.
        parts: Masks of utterances that a floor is wanted for apart; they may overlap.

    Raises:
        ValueError: These are no counts.
    """
    votes, parts = _counts(votes), parts or {}
    number = votes.sum(axis=1)
    sizes = np.unique(number).astype(int).tolist()
    masks = [np.ones(len(votes), dtype=bool), *(number == size for size in sizes), *parts.values()]
    enough = number >= FEWEST_VOTES
    fitted = fit_dirichlet(votes[enough], num_resamples=num_draws, seed=seed)
    drawn = _scores(
        votes[enough],
        fitted.resampled,
        parts=np.stack(masks)[:, enough].astype(np.float64),
        metrics=metrics,
        seed=seed,
    )
    floors = [
        _floor(drawn[:, row], metrics, mask & enough, asked=mask) for row, mask in enumerate(masks)
    ]
    return NoiseFloor(
        alpha=fitted.alpha if enough.any() else None,
        overall=floors[0],
        by_votes=dict(zip(sizes, floors[1 : 1 + len(sizes)], strict=True)),
        by_part=dict(zip(parts, floors[1 + len(sizes) :], strict=True)),
    )


def _scores(
    votes: Float[np.ndarray, "utterance class"],
    alphas: Float[np.ndarray, "draw class"],
    *,
    parts: Float[np.ndarray, "part utterance"],
    metrics: Sequence[str],
    seed: int,
) -> Float[np.ndarray, "draw part metric"]:
    """The metrics of true distributions, drawn given the votes, against the soft labels."""
    if not len(votes):
        return np.empty((len(alphas), len(parts), len(metrics)))
    random = np.random.default_rng([seed, 1])
    target = votes / votes.sum(axis=1, keepdims=True)
    found = []
    for alpha in alphas:
        drawn = random.standard_gamma(votes + alpha)
        true = drawn / drawn.sum(axis=1, keepdims=True)
        found.append(measure_parts(target, true, metrics=metrics, weights=parts))
    return np.stack(found)


def _floor(
    drawn: Float[np.ndarray, "draw metric"],
    metrics: Sequence[str],
    counted: Bool[np.ndarray, " utterance"],
    *,
    asked: Bool[np.ndarray, " utterance"],
) -> Floor:
    number = int(counted.sum())
    left_out = int(asked.sum()) - number
    if not number:
        why_not = f"fewer than {FEWEST_VOTES} votes an utterance" if left_out else "no utterance"
        return Floor(values=None, num_utterances=0, num_left_out=left_out, why_not=why_not)
    low, high = np.quantile(drawn, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2], axis=0).tolist()
    values = zip(metrics, drawn.mean(axis=0).tolist(), low, high, strict=True)
    return Floor(
        values={name: Expected(mean=mean, low=a, high=b) for name, mean, a, b in values},
        num_utterances=number,
        num_left_out=left_out,
    )


def _of_left_out(
    votes: Float[np.ndarray, "utterance class"], masks: Bool[np.ndarray, "part utterance"]
) -> list[dict[str, float]]:
    """By part, every metric over pairs of a left-out vote and the others, by its share."""
    number, metrics = votes.sum(axis=1), tuple(METRICS)
    utterance, chosen = np.nonzero(votes * (number > 1)[:, None])
    if not len(utterance):
        return [dict.fromkeys(metrics, math.nan) for _ in masks]
    left = np.eye(votes.shape[1])[chosen]
    others = (votes[utterance] - left) / (number[utterance] - 1)[:, None]
    share = votes[utterance, chosen] / number[utterance]
    found = measure_parts(others, left, metrics=metrics, weights=masks[:, utterance] * share)
    return [dict(zip(metrics, row, strict=True)) for row in found.tolist()]


def _counts(votes: Shaped[np.ndarray, "utterance class"]) -> Float[np.ndarray, "utterance class"]:
    counts = np.asarray(votes, dtype=np.float64)
    if counts.ndim != 2 or counts.shape[1] < 2 or not len(counts):
        raise ValueError(
            f"votes have shape {counts.shape}; they need (utterances, classes), with at least one"
            " utterance and two classes"
        )
    bad = ~((counts >= 0) & (counts == np.floor(counts)) & np.isfinite(counts)).all(axis=1)
    if bad.any():
        row = int(bad.argmax())
        raise ValueError(
            f"votes: row {row} is {counts[row].tolist()}; it must be whole numbers of raters,"
            " not shares of them"
        )
    return counts
