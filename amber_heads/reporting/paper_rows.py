"""A test set's scores as rows of the paper's tables, whichever commands made the runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

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
    summaries = [one for path, one in evidence.summaries.items() if path not in evidence.variants]
    tested = part.compared.get(PRIMARY, ())
    return {
        **summaries[0],
        "encoders": _encoders(summaries),
        "seeds": evidence.seeds,
        "diverged_runs": [name for one in summaries for name in one["diverged_runs"]],
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


def _encoders(summaries: Sequence[Mapping[str, Any]]) -> dict[str, list[str]]:
    """Every encoder of each modality, in the order that runs name them."""
    found: dict[str, dict[str, None]] = {}
    for summary in summaries:
        for modality, given in summary["encoders"].items():
            names = [given] if isinstance(given, str) else given
            found.setdefault(modality, {}).update(dict.fromkeys(names))
    return {modality: list(names) for modality, names in found.items()}
