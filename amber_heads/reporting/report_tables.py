"""Every table of one test set, by the name of its files."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from amber_heads.counting import counted
from amber_heads.metrics import HEADLINE
from amber_heads.reporting.ambiguity_levels import Levels
from amber_heads.reporting.difference_tables import which
from amber_heads.reporting.parts import Part
from amber_heads.reporting.score_tables import (
    FURTHER,
    MAIN,
    level_table,
    metric_name,
    raters_rows,
    score_table,
    told,
)
from amber_heads.reporting.scores import ENSEMBLE
from amber_heads.tables import Table

ALL_RATERS = (
    "One rater more: a left-out vote against the distribution of the others. It is a reference and "
    "no ceiling: with few votes a good model beats it."
)


def scores_tables(part: Part, *, mark: str) -> dict[str, Table]:
    """The main table, and the further metrics."""
    tables = {}
    for name, metrics, what in (
        ("scores", MAIN, "Results"),
        ("further-scores", FURTHER, "Further metrics"),
    ):
        tables[name] = score_table(
            part.scores,
            title=f"{mark}{what}{which(part)}",
            metrics=metrics,
            one_rater=part.raters.reference.values,
            perfect=part.raters.floor.overall.values,
            leading=part.choices.leading.label,
            notes=_score_notes(part) if name == "scores" else (),
        )
    return tables


def level_tables(levels: Levels, *, name: str, mark: str) -> dict[str, Table]:
    """The primary metric first; the others behind it."""
    return {
        f"{name}-{metric}": level_table(
            levels, metric, title=f"{mark}{metric_name(metric)} by {levels.what}"
        )
        for metric in HEADLINE
    }


def raters_table(part: Part, *, mark: str) -> dict[str, Table]:
    """The one-rater reference and the noise floor by number of votes."""
    reference, floor = part.raters.reference, part.raters.floor
    rows: list[tuple[str, ...]] = []
    by_votes = [
        (str(n), one, floor.by_votes.get(n)) for n, one in sorted(reference.by_votes.items())
    ]
    for votes, one, claimed in [("all", reference, floor.overall), *by_votes]:
        values = None if claimed is None else claimed.values
        lines = raters_rows(HEADLINE, one.values, values, num_keys=1)
        for line, number in zip(
            lines, (one.num_utterances, claimed.num_utterances if claimed else 0), strict=True
        ):
            rows.append((votes, line[0], str(number), *line[1:]))
        if values is not None:
            ends = (f"[{values[m].low:.3f}, {values[m].high:.3f}]" for m in HEADLINE)
            rows.append((votes, "its 95% interval", "", *ends))
    notes = [ALL_RATERS]
    if floor.overall.values is None:
        notes.append(f"No noise floor is claimed: {floor.overall.why_not}.")
    else:
        notes.append(
            "A perfect model predicts each utterance's true distribution, which is known through "
            "its votes alone: a Dirichlet-multinomial estimate with its 95% interval, from "
            "utterances of five votes and more."
        )
    return {
        "raters": Table(
            title=f"{mark}What raters and their number allow{which(part)}",
            columns=("votes", "what", "utterances", *map(metric_name, HEADLINE)),
            rows=tuple(rows),
            notes=tuple(notes),
            num_keys=2,
            breaks=frozenset(i for i in range(1, len(rows)) if rows[i][0] != rows[i - 1][0]),
        )
    }


def calibration_tables(part: Part, *, mark: str) -> dict[str, Table]:
    """Errors, Brier's parts, temperature; and the area under risk-coverage curves."""
    tables = {}
    if part.calibrated:
        tables["calibration"] = Table(
            title=f"{mark}Calibration{which(part)}",
            columns=(
                "system", "ECE soft ↓", "ECE hard, 15 bins", "Brier ↓", "reliability ↓",
                "resolution ↑", "uncertainty", "T", "JS at T ↓", "ECE soft at T ↓",
            ),
            rows=tuple(_calibration_row(one) for one in part.calibrated),
            notes=(
                "ECE soft: the top class's probability against the raters' share of it, which a "
                "perfect soft model has at 0; ECE hard against its being the raters' top class.",
                "Brier's parts are of ten bins a class; what they leave of the score is within "
                "bins. T: temperature fitted to each fold's validation JS; above 1 flattens.",
            ),
        )  # fmt: skip
    if part.selective:
        tables["selective"] = Table(
            title=f"{mark}Selective prediction{which(part)}",
            columns=("system", "by", "area ↓", "best order", "no order"),
            rows=tuple(
                (one.label, one.by, *(f"{x:.3f}" for x in (one.area, one.best_area, one.risk[-1])))
                for one in part.selective
            ),
            notes=(
                "Area under the curve of mean JS over coverage, of the seeds' mean distributions. "
                "Best order: by the utterances' own JS; no order: all are kept.",
            ),
            num_keys=2,
        )
    return tables


def variants_table(rows: Sequence[Mapping[str, Any]], *, mark: str) -> dict[str, Table]:
    """How much the figures move with the label policy."""
    if not rows:
        return {}
    keys = ("loss", "keep", "raters", "choices", "test_set", "n")
    return {
        "label-policies": Table(
            title=f"{mark}Figures under other label policies",
            columns=("loss", "--keep", "--raters", "--choices", "test set", "n")
            + tuple(map(metric_name, HEADLINE)),
            rows=tuple(
                (*(str(one[key]) for key in keys), *(told(one[m], None) for m in HEADLINE))
                for one in rows
            ),
            notes=("Other utterances and other soft labels: these rows can't be paired.",),
            num_keys=5,
        )
    }


def _score_notes(part: Part) -> list[str]:
    evidence = part.evidence
    seeds, folds = len(evidence.seeds), len(set(evidence.fold.tolist()))
    spread = "mean ± standard deviation over seeds" if seeds > 1 else "one seed: no deviation"
    utterances = counted(len(evidence.ids), "utterance")
    notes = [f"{utterances}, {counted(folds, 'fold')}, {counted(seeds, 'seed')}; {spread}."]
    notes.append("Bold name: the leading system; bold figure: the best of single heads.")
    if any(one.kind == ENSEMBLE for one in part.scores):
        notes.append("Ensemble: the mean of the seeds' distributions.")
    if len(evidence.classes) == 2:
        notes.append("R2 is not printed: with two classes it is always 1 or 0.")
    diverged = [
        one.label
        for one in part.scores
        if one.kind != ENSEMBLE and math.isnan(one.figures["js"].mean)
    ]
    if diverged:
        notes.append(f"A seed diverged, so that there is no mean: {', '.join(diverged)}.")
    return [*notes, ALL_RATERS]


def _calibration_row(one: Any) -> tuple[str, ...]:
    scaled = one.scaled
    return (
        one.label,
        f"{one.ece_soft:.3f}",
        f"{one.ece_hard_15:.3f}",
        *(
            f"{value:.3f}"
            for value in (
                one.brier.brier,
                one.brier.reliability,
                one.brier.resolution,
                one.brier.uncertainty,
            )
        ),
        "-" if one.temperature is None else f"{one.temperature:.2f}",
        *(told(scaled.get(name), None) for name in ("js", "ece_soft")),
    )
