"""A table's rows from predictions, of whichever runs: what `scores` looks up, computed anew."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float

from amber_heads.ensembles import seed_ensemble
from amber_heads.evidence import Evidence, System
from amber_heads.floors import FLOORS
from amber_heads.metrics import METRICS
from amber_heads.scores import KINDS, NONE, Figures, Scored, floors_of
from amber_heads.summary import measure
from amber_heads.systems import systems_of


def scores_of_evidence(evidence: Evidence, test: str) -> list[Scored]:
    """The same from predictions, of whichever runs; without tests, which are the report's."""
    part = evidence.of_test_set(test)
    systems = [one for one in part.systems if one.name not in FLOORS]
    rows = [
        Scored(
            name=one.name,
            head=one.head,
            kind=kind,
            figures=_measured(part.target, one.test if kind == "system" else _mean_seed(one.test)),
            paper=_paper(one, evidence),
            is_judged=_is_judged(one, evidence),
            is_expert=_is_expert(one, evidence),
        )
        for kind, _ in KINDS
        for one in systems
    ]
    return rows + floors_of(next(iter(evidence.summaries.values())), test)


def _mean_seed(
    test: Float[np.ndarray, "seed utterance class"],
) -> Float[np.ndarray, "1 utterance class"]:
    return seed_ensemble(test)[None]


def _measured(
    target: Float[np.ndarray, "utterance class"],
    test: Float[np.ndarray, "seed utterance class"],
) -> Figures:
    by_seed = [measure(target, one) for one in test]
    found = {}
    for name in METRICS:
        values = [one[name] for one in by_seed]
        std = float(np.std(values, ddof=1)) if len(values) > 1 else NONE
        found[name] = (float(np.mean(values)), std)
    return found


def _paper(system: System, evidence: Evidence) -> str:
    """By name in a comparison, whose variants share their losses; else by loss."""
    if _command(system, evidence) == "compare":
        found = systems_of(()).get(system.name)
        return "" if found is None else found.paper
    losses = {one["loss"] for one in system.settings}
    return next(iter(losses)) if losses in ({"cb-ce"}, {"amber2"}) else ""


def _command(system: System, evidence: Evidence) -> str:
    return str(evidence.configs[system.run].get("command"))


def _is_judged(system: System, evidence: Evidence) -> bool:
    summary = evidence.summaries[system.run]
    if _command(system, evidence) == "compare":
        return bool(summary["systems"][system.name]["judged_by"] == system.head)
    return system.head in summary["selected"]["judged_by"]


def _is_expert(system: System, evidence: Evidence) -> bool:
    summary = evidence.summaries[system.run]
    is_comparison = _command(system, evidence) == "compare"
    where = summary["systems"][system.name] if is_comparison else summary["selected"]
    return system.head in where["read_at_another_head"]
