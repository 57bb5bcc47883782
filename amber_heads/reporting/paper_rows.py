"""A test set's scores as rows of the paper's tables, whichever commands made the runs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from amber_heads.configuration.systems import systems_of
from amber_heads.reading.evidence import Evidence, System
from amber_heads.reporting.choices import main_head
from amber_heads.reporting.differences import PRIMARY
from amber_heads.reporting.parts import Part
from amber_heads.reporting.scores import FLOOR, SYSTEM, Score
from amber_heads.tabular.scores import KINDS, NONE, Scored


def rows_of_part(part: Part) -> list[Scored]:
    """Systems, their seeds' ensembles, floors; stars are by the part's own tests."""
    tested = part.compared.get(PRIMARY, ())
    p = {one.label: one.difference.p_adjusted for one in tested if one.is_system}
    found = {(one.name, one.head): one for one in part.evidence.systems}
    floors = [
        Scored(name=one.name, head="", kind="floor", figures=_figures(one))
        for one in part.scores
        if one.kind == FLOOR
    ]
    rows = [
        _row(part.evidence, found[one.name, one.head], one, p)
        for kind, _ in KINDS
        for one in part.scores
        if one.kind == kind
    ]
    return rows + floors


def summary_of_part(part: Part) -> dict[str, Any]:
    """What tables say of the data: the first run's words, and the encoders of all runs."""
    evidence = part.evidence
    summaries = list(evidence.shown.values())
    tested = part.compared.get(PRIMARY, ())
    return {
        **summaries[0],
        "encoders": encoders_of(evidence),
        "notes": [*summaries[0].get("notes", ()), *_who_reads_what(evidence)],
        "seeds": evidence.seeds,
        "diverged_runs": _diverged(evidence),
        "reference": tested[0].reference if tested else "",
    }


def _row(evidence: Evidence, system: System, score: Score, p: Mapping[str, float]) -> Scored:
    alike = [one for one in evidence.systems if one.name == system.name]
    return Scored(
        name=score.name,
        head=score.head,
        kind="system" if score.kind == SYSTEM else "ensemble",
        figures=_figures(score),
        paper=_paper(system),
        is_judged=main_head(alike) is system,
        p=p.get(system.label, NONE) if score.kind == SYSTEM else NONE,
    )


def _paper(system: System) -> str:
    """By name in a comparison, whose variants share their losses; else by loss."""
    if system.own_name:
        found = systems_of(()).get(system.own_name)
        return "" if found is None else found.paper
    losses = {one["loss"] for one in system.settings}
    return next(iter(losses)) if losses in ({"cb-ce"}, {"amber2"}) else ""


def _figures(score: Score) -> dict[str, tuple[float, float]]:
    return {name: (one.mean, one.std) for name, one in score.figures.items()}


def _diverged(evidence: Evidence) -> list[str]:
    """Of the runs that lack a figure here; a grid's cell that was not selected is none of them."""
    lacking = {one.run for one in evidence.systems if np.isnan(one.test).any()}
    return [name for path in lacking for name in evidence.summaries[path]["diverged_runs"]]


def encoders_of(evidence: Evidence) -> dict[str, list[str]]:
    """Every encoder of each modality in any run, in the order that runs name them."""
    found: dict[str, dict[str, None]] = {}
    for summary in evidence.shown.values():
        for modality, names in _encoders(summary).items():
            found.setdefault(modality, {}).update(dict.fromkeys(names))
    return {modality: list(names) for modality, names in found.items()}


def _who_reads_what(evidence: Evidence) -> list[str]:
    """Where runs have other encoders, those of each system."""
    told = {path: _encoders(summary) for path, summary in evidence.shown.items()}
    if all(one == next(iter(told.values())) for one in told.values()):
        return []
    runs = {one.name: told[one.run] for one in evidence.systems}
    listed = [
        f"{name} reads " + ", ".join(f"{key}={' or '.join(names)}" for key, names in one.items())
        for name, one in runs.items()
    ]
    return ["Encoders differ, and differences are theirs too: " + "; ".join(listed)]


def _encoders(summary: Mapping[str, Any]) -> dict[str, list[str]]:
    given = (summary.get("encoders") or {}).items()
    return {key: [one] if isinstance(one, str) else list(one) for key, one in given}
