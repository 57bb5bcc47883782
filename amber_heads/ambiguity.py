"""Where raters, voice and words disagree, and what a model made of it: from run directories.

The conflict between modalities is the mean JS between heads that were trained apart, each on its
own supervision: AmbER2 pulls its own heads together, and would understate it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from jaxtyping import Float

from amber_cache.errors import RunError
from amber_cache.store import open_cache
from amber_heads.configuration.settings import FUSION
from amber_heads.floors import training_means
from amber_heads.formulas.agreement import entropy_per_utterance, js_between, js_per_utterance
from amber_heads.reading.prediction_files import open_predictions
from amber_heads.tables import Table, figure, heading_mark

_BAR_WIDTH = 10
_PARTS = ("agree", "between", "disagree")


@dataclass(frozen=True)
class Predictions:
    """What predictions.h5 holds of the utterances that a fold tests, averaged over seeds.

    Attributes:
        target: (N, C) the raters' soft labels.
        mean: (H, N, C) mean over seeds of the out-of-fold distributions.
        floor: (N, C) mean soft label of the training part of each utterance's fold.
    """

    ids: np.ndarray
    classes: tuple[str, ...]
    heads: tuple[str, ...]
    target: np.ndarray
    mean: np.ndarray
    floor: np.ndarray


def read_predictions(folder: Path) -> Predictions:
    """Read a run directory's out-of-fold predictions.

    Raises:
        RunError: They are missing or can't be read.
    """
    with open_predictions(folder) as file:
        heads, classes = file.words("heads"), file.words("classes")
        ids = file.texts("id")
        target = file.array("target", (len(ids), len(classes)))
        fold = file.folds(len(ids))
        test = file.array("test", (None, len(heads), *target.shape))
        floor = training_means(target, file.training(fold), fold)
        tested = fold >= 0
        return Predictions(
            ids=ids[tested],
            classes=classes,
            heads=heads,
            target=target[tested],
            mean=test.mean(axis=0, dtype=np.float64)[:, tested],
            floor=floor[tested],
        )


def modality_conflict(predictions: Predictions) -> Float[np.ndarray, " utterance"]:
    """Mean JS, in [0, 1], over pairs of modality heads; zero where there is only one."""
    rows = predictions.mean[[head != FUSION for head in predictions.heads]]
    return js_between(rows) if len(rows) > 1 else np.zeros(len(predictions.ids))


def ambiguity_tables(folder: Path, *, alone: Path, cache: Path, number: int = 5) -> list[Table]:
    """What a run made of conflict, and its most ambiguous utterances one by one.

    Args:
        folder: The run that is looked at.
        alone: A run whose modality heads were trained apart (`--loss cb-ce`), on the same data.
        cache: For the transcripts.
        number: How many utterances: the raters' entropy counts first, then the conflict.

    Raises:
        RunError: The two runs are not of the same utterances and classes.
    """
    run, apart = read_predictions(folder), read_predictions(alone)
    if list(run.ids) != list(apart.ids) or run.classes != apart.classes:
        raise RunError(f"{folder} and {alone} are runs on different utterances or classes")
    conflict, entropy = modality_conflict(apart), entropy_per_utterance(run.target)
    with open_cache(cache) as opened:
        texts = dict(zip(opened.utterances.id, opened.utterances.text, strict=True))
        mark = heading_mark(opened.corpus)
    order = np.lexsort((-conflict, -entropy))[:number].tolist()
    tables = [
        conflict_table(run, conflict, entropy),
        *(_utterance_table(run, row, conflict, entropy, texts) for row in order),
    ]
    return [replace(table, title=mark + table.title) for table in tables]


def conflict_table(
    run: Predictions,
    conflict: Float[np.ndarray, " utterance"],
    entropy: Float[np.ndarray, " utterance"],
) -> Table:
    """Each head's JS where the modalities agree, and where they don't: thirds by conflict."""
    js = [js_per_utterance(run.target, p) for p in (*run.mean, run.floor)]
    rows = [
        (
            f"{name} third",
            str(len(part)),
            *(figure(float(values[part].mean()), None) for values in (conflict, entropy, *js)),
        )
        for name, part in zip(_PARTS, np.array_split(np.argsort(conflict), 3), strict=True)
        if len(part)
    ]
    return Table(
        title="Where the modalities disagree (mean of the seeds' distributions)",
        columns=(
            "modalities",
            "n",
            "conflict",
            "raters' entropy, bits",
            *(f"JS of {head} ↓" for head in run.heads),
            "JS of the training mean ↓",
        ),
        rows=tuple(rows),
        notes=("Conflict: JS between modality heads that were trained apart, out of fold.",),
    )


def _utterance_table(
    run: Predictions,
    row: int,
    conflict: Float[np.ndarray, " utterance"],
    entropy: Float[np.ndarray, " utterance"],
    texts: dict[str, str],
) -> Table:
    identifier = str(run.ids[row])
    who = [("raters", run.target[row]), *zip(run.heads, run.mean[:, row], strict=True)]
    return Table(
        title=f"{identifier}: {texts[identifier]!r}  (raters' entropy {entropy[row]:.2f} bits, "
        f"conflict {conflict[row]:.2f})",
        columns=("", *run.classes),
        rows=tuple(
            (name, *(f"{_bar(p)} {p:.2f}" for p in values.tolist())) for name, values in who
        ),
        emphasis=frozenset({0}),
    )


def _bar(share: float) -> str:
    filled = round(float(share) * _BAR_WIDTH)
    return "█" * filled + "░" * (_BAR_WIDTH - filled)
