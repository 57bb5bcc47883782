"""Which settings a table's test parts are judged with: chosen on validation only.

Nested: for each fold apart. Pooled: one setting for all folds, which is optimistic where validation
parts rotate, since every test part has then been seen. A value that is chosen at the edge of its
axis says that the axis may be too short.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Float

from amber_heads.configuration.settings import RunSettings
from amber_heads.folds import Fold
from amber_heads.metrics import METRICS, evaluate
from amber_heads.stack.runs import RunResult


def judging_head(settings: RunSettings, heads: Sequence[str]) -> str:
    """The head that settings are judged by: the student, else fusion or the only one."""
    return settings.student or heads[-1]


def select(
    results: Sequence[RunResult],
    *,
    settings: Sequence[RunSettings],
    heads: Sequence[str],
    num_folds: int,
    how: str,
    by: str = "js",
    target: Float[np.ndarray, "utterance class"] | None = None,
    folds: Sequence[Fold] = (),
) -> tuple[int, ...]:
    """Which settings each fold's test part is judged with: an index into `settings` by fold.

    The criterion is a metric over validation, at the best epoch, of the head that the settings are
    judged by, averaged over seeds: fold by fold ("nested") or over all folds ("pooled"). The first
    of equals wins; settings of which a run diverged are chosen last.

    Args:
        by: One of `METRICS` that is better high or low.
        target: The soft labels; needed for all but js, which the runs have from training.
        folds: Needed likewise.
    """
    scores = np.zeros((len(settings), num_folds))
    counts = np.zeros_like(scores)
    number = {one: i for i, one in enumerate(settings)}
    for result in results:
        head = list(heads).index(judging_head(result.run.settings, heads))
        score = _score(result, head, by=by, target=target, folds=folds)
        scores[number[result.run.settings], result.run.fold] += score
        counts[number[result.run.settings], result.run.fold] += 1
    scores /= counts
    if how == "pooled":
        return (int(scores.mean(axis=1).argmin()),) * num_folds
    return tuple(int(choice) for choice in scores.argmin(axis=0))


def at_the_edge(settings: Sequence[RunSettings], choice: Sequence[int]) -> list[dict[str, Any]]:
    """Axes of which a chosen value is the lowest or the highest, and the wider axis to try.

    Returns:
        One entry an axis and edge: setting, value, folds (how many chose it) and try, the axis with
        one more value in the same ratio. An edge at 0 has nothing below it and is none.
    """
    found = []
    for name in RunSettings.__slots__:
        values = {getattr(one, name) for one in settings}
        numbers = sorted(
            v for v in values if isinstance(v, int | float) and not isinstance(v, bool)
        )
        if len(numbers) < 2 or len(numbers) < len(values):
            continue
        chosen = [getattr(settings[one], name) for one in choice]
        for edge, beside in ((numbers[0], numbers[1]), (numbers[-1], numbers[-2])):
            if edge in chosen and edge > 0:
                beyond = edge * edge / beside if beside else edge * 2
                beyond = max(1, round(beyond)) if isinstance(edge, int) else float(f"{beyond:.2g}")
                if beyond in numbers:
                    continue
                wider = sorted([*numbers, beyond])
                found.append(
                    {
                        "setting": name,
                        "value": edge,
                        "folds": chosen.count(edge),
                        "try": ",".join(f"{one:g}" for one in wider),
                    }
                )
    return found


def _score(
    result: RunResult,
    head: int,
    *,
    by: str,
    target: Float[np.ndarray, "utterance class"] | None,
    folds: Sequence[Fold],
) -> float:
    """What is chosen by: lower is better, infinite where the run diverged."""
    if result.diverged:
        return float("inf")
    if by == "js":
        return float(result.validation_js[result.best_epoch[head] - 1, head])
    assert target is not None  # asked for by `select`
    part = folds[result.run.fold].validation
    value = evaluate(target[part], result.validation[:, head])[by]
    return value if METRICS[by].direction == "min" else -value
