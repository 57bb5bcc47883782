"""The gain over CB-CE, taken apart: a chain of systems, each of which changes one thing.

The steps' differences add up to the difference between the two ends, since each is a mean over the
same seeds and utterances.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Shaped

from amber_heads.statistics.ensembles import seed_ensemble
from amber_heads.stats import Difference, paired_difference

#: Each link and what sets it apart from the one before.
CHAIN: tuple[tuple[str, str], ...] = (
    ("cb-ce", ""),
    ("soft-ce", "no class weights"),
    ("js", "JS for cross-entropy"),
    ("amber2 kappa 0", "MAI, experts alike"),
    ("amber2", "kappa: better experts weigh more"),
)

ENSEMBLE = "seed ensemble"

WHOLE = "in all"

#: What is taken apart.
METRIC = "js"


@dataclass(frozen=True, kw_only=True)
class Step:
    """One change, and what it does to the metric.

    Attributes:
        what: The change; several, where a link of the chain is missing.
        before: The system without it. Likewise `after`: with it.
        difference: Of `after` less `before`.
    """

    what: str
    before: str
    after: str
    difference: Difference


def anatomy(
    target: Float[np.ndarray, "utterance class"],
    predictions: Mapping[str, Float[np.ndarray, "seed utterance class"]],
    *,
    clusters: Shaped[np.ndarray, " utterance"],
    **options: int,
) -> tuple[Step, ...]:
    """Every step from CB-CE to the seed ensemble of the chain's last system, then the whole.

    Args:
        predictions: By system, of the head that it is judged by. Seeds that diverged in any link
            are left out of all.
        clusters: See `paired_difference`, as `options`.

    Returns:
        Nothing where CB-CE is missing, or stands alone.
    """
    links = _links(predictions)
    if len(links) < 2 or links[0][0] != CHAIN[0][0]:
        return ()
    rows = _sound({name: predictions[name] for name, _ in links})
    last = links[-1][0]
    ends = f"{last}, {ENSEMBLE}"
    if len(rows[last]):
        rows[ends] = seed_ensemble(rows[last])[None]
    else:  # every seed has diverged somewhere
        rows = {name: predictions[name] for name, _ in links}
        rows[ends] = np.full_like(rows[last][:1], np.nan)
    pairs = [
        *((what, links[i][0], name) for i, (name, what) in enumerate(links[1:])),
        (ENSEMBLE, last, ends),
        (WHOLE, links[0][0], ends),
    ]
    return tuple(
        Step(
            what=what,
            before=before,
            after=after,
            difference=paired_difference(
                target, rows[after], rows[before], metric=METRIC, clusters=clusters, **options
            ),
        )
        for what, before, after in pairs
    )


def _links(predictions: Mapping[str, object]) -> list[tuple[str, str]]:
    """The chain's systems that are there; what a missing one would have changed is its next's."""
    links: list[tuple[str, str]] = []
    pending: list[str] = []
    for name, what in CHAIN:
        pending += [what] if what else []
        if name in predictions:
            links.append((name, " + ".join(pending)))
            pending = []
    return links


def _sound(
    predictions: Mapping[str, Float[np.ndarray, "seed utterance class"]],
) -> dict[str, Float[np.ndarray, "sound utterance class"]]:
    """The seeds that diverged in none of the systems."""
    sound = ~np.any([np.isnan(one).any(axis=(1, 2)) for one in predictions.values()], axis=0)
    return {name: one[sound] for name, one in predictions.items()}
