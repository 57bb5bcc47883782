"""Stage two: a cache is read and heads are trained on it, a whole table of runs at once.

Nothing is imported here, so that the command line starts fast; take names from their modules, which
import only those above them. `amber_heads.load(run)` alone can be called at once: it gives a
`predictor.Predictor`. What ends in a slash is a room of several modules, with its own list.

    configuration/  what can be asked for, completed and checked
    progress        how work tells how far it has come
    counting        counts as words
    files/          files as others will find them
    formulas/       arithmetic on distributions
    policies/       which votes, utterances and entries count, and what must stay together
    losses          AmbER2, class-balanced CE, soft CE, KL, JS
    metrics         every metric with its definition
    data            cache -> aligned arrays under a label policy
    folds           training, validation and test parts
    floors          predictions that look at no input
    leakage         what the parts share
    leakage_words   and how that is told
    preparation     configuration, data, folds and leaks, before anything trains
    heads           modality heads, gate and fusion head, stacked: shapes and first values
    stack/          what a stack of runs is made of
    engine          training, validation and best epochs of a stack
    processes       who trains: here, or joblib's backends
    trained         finished chunks on disk
    grid            a table of runs -> results, chunk by chunk
    combinations    the same over encoders
    selection       which settings, by validation alone
    training        all of that for a configuration
    summary         results -> figures over seeds and folds
    learned_layers  what the layers came to weigh
    statistics/     intervals, tests, noise, calibration
    stats           paired tests and intervals, as they are called; Holm
    comparing/      a trained table -> systems, and what sets them apart
    tabular/        tables as they are printed and stored
    tables          a run's summary -> its tables
    results         read and write a run directory
    reading/        run directories, read again within bounds
    contents        what all run directories say of data and folds
    compare         a trained table -> systems, differences, anatomy
    ambiguity       where raters and modalities disagree
    experiment      all of it together
    using/          what was trained, on new material and on other corpora
    predictor       one utterance from Python: `load`
    predict         `amber predict`
    evaluate_run    `amber eval`
    exports/        for other programs and for a model hub
    exporting       what is asked for of these
    overviews/      what is in a corpus or a cache
    plots           that as figures
    reporting/      evidence -> what a report says
    report          all of that in one folder
    printing        what the command line prints of all this
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from amber_heads.predictor import Predictor

__all__ = ["load"]


def load(
    run: str | Path, *, encoders: Mapping[str, str] | None = None, device: str = "cpu"
) -> Predictor:
    """Load a run directory, to predict with it: `amber_heads.predictor.load`.

    torch is imported now, and not when this package is.
    """
    from amber_heads.predictor import load as load_predictor

    return load_predictor(run, encoders=encoders, device=device)
