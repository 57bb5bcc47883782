"""Which of the given systems stand for which, and the floors that all are held against."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from amber_heads.configuration.settings import FUSION
from amber_heads.floors import FLOORS
from amber_heads.formulas.agreement import js_between
from amber_heads.reading.evidence import Evidence, System

#: The paper's method and its baseline, by the loss that a system is named after.
OURS, BASELINE = "amber2", "cb-ce"

#: Losses that give every head a supervision of its own: their heads are trained apart.
APART = ("cb-ce", "js", "soft-ce", "kl", "soft ce", "plain js")

#: More lines than these can't be told apart in one figure.
MOST_LINES = 6


@dataclass(frozen=True)
class Choices:
    """Who is compared with whom.

    Attributes:
        reference: What differences are taken to; None where only one system is given.
        leading: The system that the page speaks of first: AmbER2 where it is given.
        shown: One head a system, for figures; the leading one first.
    """

    reference: System | None
    leading: System
    shown: tuple[System, ...]


def choose(evidence: Evidence, *, reference: str | None = None) -> Choices:
    """Pick reference, leading system and what figures show.

    Args:
        reference: A system's label, or its name where its own head is meant; None: CB-CE where it
            is given, else the first system.

    Raises:
        RunError: No system is called that.
    """
    main = _main_heads(evidence.systems)
    against = _reference(evidence, main, reference)
    ours = [one for one in _of_loss(main, OURS) if one is not against]
    leading = [*ours, *(one for one in main if one is not against), *main][0]
    pair = [one for one in (leading, against) if one is not None]
    is_papers = bool(ours) and against in _of_loss(main, BASELINE)
    others = [one for one in main if all(one is not other for other in pair)]
    shown = pair if is_papers and len(main) > MOST_LINES else [*pair, *others]
    shown = list({one.label: one for one in shown}.values())[:MOST_LINES]
    lone = against is None or (len(evidence.systems) == 1)
    return Choices(reference=None if lone else against, leading=leading, shown=tuple(shown))


def main_head(systems: Sequence[System]) -> System:
    """Of one system's heads the one it is judged by: its student, else fusion, else the last."""
    student = str((systems[0].settings or ({},))[0].get("student") or "")
    for wanted in (student, FUSION, ""):
        for one in systems:
            if one.head == wanted:
                return one
    return systems[-1]


def floor_predictions(evidence: Evidence) -> dict[str, Float[np.ndarray, "seed utterance class"]]:
    """What is predicted without looking at any input, by name; one row a seed.

    The draw goes fold by fold and test set by test set with a generator of (seed, fold), so that
    it is the one in summary.json.
    """
    shape = (len(evidence.seeds), *evidence.target.shape)
    drawn = np.zeros(shape)
    for s, seed in enumerate(evidence.seeds):
        for rows, fold in _tested_together(evidence):
            mean = evidence.training_mean[rows[0]]
            if np.isnan(mean).any():  # its training part is not among the stored utterances
                drawn[s, rows] = np.nan
                continue
            random = np.random.default_rng([seed, fold])
            classes = random.choice(shape[2], size=len(rows), p=mean / mean.sum())
            drawn[s, rows] = np.eye(shape[2])[classes]
    flat = np.broadcast_to(evidence.training_mean, shape)
    return dict(zip(FLOORS, (flat, drawn, np.full(shape, 1 / shape[2])), strict=True))


def modality_heads(evidence: Evidence) -> tuple[System, ...]:
    """The modality heads of a system whose heads were trained apart; () where none is given.

    CB-CE first, then plain JS and other losses that every head has for itself.
    """
    for wanted in APART:
        heads = [one for one in evidence.systems if one.head not in ("", FUSION)]
        named = dict.fromkeys(one.name for one in _of_loss(heads, wanted))
        for name in named:
            found = tuple(one for one in heads if one.name == name)
            if len(found) > 1:
                return found
    return ()


def modality_conflict(systems: Sequence[System]) -> Float[np.ndarray, " utterance"]:
    """(N,) mean JS over pairs of heads, of the seeds' mean distributions, out of fold."""
    return js_between(np.nanmean(one.test, axis=0) for one in systems)


def _main_heads(systems: Sequence[System]) -> list[System]:
    names = dict.fromkeys(one.name for one in systems)
    return [main_head([one for one in systems if one.name == name]) for name in names]


def _reference(evidence: Evidence, main: Sequence[System], wanted: str | None) -> System | None:
    if wanted is not None:
        named = [one for one in main if one.name == wanted]
        return named[0] if named else evidence.system(wanted)
    return [*_of_loss(main, BASELINE), *main, None][0]


def _of_loss(systems: Sequence[System], loss: str) -> list[System]:
    """The one called after a loss; where none is, those called or trained so, in their order."""
    exact = [one for one in systems if one.name == loss]
    return exact or [one for one in systems if one.name.split(" ")[0] == loss or _only(one, loss)]


def _only(system: System, loss: str) -> bool:
    return {str(told.get("loss")) for told in system.settings} == {loss}


def _tested_together(evidence: Evidence) -> Iterator[tuple[np.ndarray, int]]:
    for fold in range(int(evidence.fold.max()) + 1):
        for name in evidence.test_sets:
            rows = np.flatnonzero((evidence.fold == fold) & (evidence.test_set == name))
            if len(rows):
                yield rows, fold
