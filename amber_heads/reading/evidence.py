"""Several run directories as one body of predictions on the same utterances.

Everything that a report says follows from here: each system's out-of-fold distributions seed by
seed, the raters' votes, and what the runs' summaries tell. Runs of other data, classes or folds are
refused, since a paired comparison of them would mean nothing. A run that differs in its label
policy alone (--keep, --raters, --choices) is kept aside as a variant, by its own summary.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from amber_cache.errors import RunError
from amber_heads.floors import FLOORS, training_means
from amber_heads.reading.same_data import common_seeds, is_variant, refuse_other
from amber_heads.reading.stored import Row, StoredRun, read_run
from amber_heads.reading.system_names import name_runs, split_head

#: A folder with any of these is a run directory, if a damaged one.
_FILES_OF_A_RUN = ("config.json", "summary.json", "runs.csv", "predictions.h5")

#: So many run directories are named to who names the folder that holds them.
_MOST_NAMED = 5


@dataclass(frozen=True, kw_only=True)
class System:
    """One system's distributions for every tested utterance.

    Attributes:
        name: "amber2", "late average"; unique together with `head`.
        head: "audio", "text", "fusion"; "" for a system without heads.
        own_name: What its comparison calls it; "" where a run has one system.
        test: (S, N, C) out of fold; NaN where a run diverged.
        validation: (F, S, N, C), NaN outside a fold's validation part; None where not kept.
        beside: (F, S, V, C) likewise, of the utterances that are validated on and never tested.
        settings: One a fold, as summary.json told them; () where it did not.
    """

    name: str
    head: str
    test: Float[np.ndarray, "seed utterance class"]
    validation: np.ndarray | None
    settings: tuple[Mapping[str, Any], ...]
    run: Path
    own_name: str = ""
    beside: np.ndarray | None = None

    @property
    def label(self) -> str:
        """Name and head: "amber2 fusion"."""
        return f"{self.name} {self.head}".strip()


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """What the runs of one report share, and their systems. N counts tested utterances.

    Attributes:
        fold: (N,) number of the fold that tests an utterance.
        test_set: (N,) the test set's name.
        training_mean: (N, C) mean soft label of the training part of each utterance's fold.
        seeds: Those that all runs have; `test` of every system is in their order.
        summaries: summary.json by run. Likewise `configs`, and the rows of runs.csv and curves.csv.
        problems: What was left out, and why; each names its run.
        variants: Runs under another label policy, which stand in `summaries` alone.
        beside_target: (V, C) soft labels of `System.beside`.
    """

    corpus: str
    protocol: str
    classes: tuple[str, ...]
    ids: np.ndarray
    target: Float[np.ndarray, "utterance class"]
    votes: Float[np.ndarray, "utterance class"]
    speaker: np.ndarray
    dialogue: np.ndarray
    session: np.ndarray
    fold: Int[np.ndarray, " utterance"]
    test_set: np.ndarray
    training_mean: Float[np.ndarray, "utterance class"]
    seeds: tuple[int, ...]
    test_sets: tuple[str, ...]
    systems: tuple[System, ...]
    summaries: Mapping[Path, Mapping[str, Any]]
    curves: Mapping[Path, tuple[Row, ...]] = field(default_factory=dict)
    configs: Mapping[Path, Mapping[str, Any]] = field(default_factory=dict)
    runs: Mapping[Path, tuple[Row, ...]] = field(default_factory=dict)
    problems: tuple[str, ...] = ()
    variants: tuple[Path, ...] = ()
    beside_target: np.ndarray | None = None

    @property
    def shown(self) -> dict[Path, Mapping[str, Any]]:
        """The summaries of the runs whose systems are there: without the variants."""
        return {k: one for k, one in self.summaries.items() if k not in self.variants}

    def of_test_set(self, name: str) -> Evidence:
        """The same, of one test set's utterances alone."""
        rows = self.test_set == name
        columns = ("ids", "target", "votes", "speaker", "dialogue", "session", "fold", "test_set")
        kept = {one: getattr(self, one)[rows] for one in (*columns, "training_mean")}
        systems = tuple(
            replace(
                one,
                test=one.test[:, rows],
                validation=None if one.validation is None else one.validation[:, :, rows],
            )
            for one in self.systems
        )
        return replace(self, **kept, systems=systems, test_sets=(name,))

    def system(self, label: str) -> System:
        """A system by its label.

        Raises:
            RunError: None is called that.
        """
        for one in self.systems:
            if one.label == label:
                return one
        known = ", ".join(one.label for one in self.systems)
        raise RunError(f"there is no system {label!r}; the runs have {known}")


def read_evidence(runs: Sequence[Path], *, names: Mapping[Path, str] | None = None) -> Evidence:
    """Read run directories of the same data.

    Args:
        runs: Their folders; the first that can be read is what others must agree with.
        names: What some of the runs shall be called.

    Raises:
        RunError: A folder is not there, runs are of other data, classes or folds, or none of them
            can be used.
    """
    stored, problems = _readable(runs)
    first = stored[0]
    variants = [one for one in stored[1:] if is_variant(one, first)]
    alike = [one for one in stored if one not in variants]
    for one in alike[1:]:
        refuse_other(one, first)
    seeds, told = common_seeds(alike)
    rows = first.tested
    if not rows.any():
        raise RunError(f"{first.path}: no fold tests any utterance")
    test_set = first.texts["test_set"][rows]
    return Evidence(
        corpus=str(first.summary.get("corpus") or ""),
        protocol=str(first.summary.get("protocol") or ""),
        classes=first.classes,
        ids=first.texts["id"][rows],
        target=first.target[rows],
        votes=first.votes[rows],
        **{name: first.texts[name][rows] for name in ("speaker", "dialogue", "session")},
        fold=first.fold[rows],
        test_set=test_set,
        training_mean=training_means(first.target, first.training, first.fold)[rows],
        seeds=seeds,
        test_sets=tuple(dict.fromkeys([*first.summary.get("test_sets", ()), *test_set.tolist()])),
        systems=tuple(_systems(alike, seeds, dict(names or {}))),
        summaries={one.path: one.summary for one in stored},
        curves={one.path: one.curves for one in stored},
        configs={one.path: one.config for one in stored},
        runs={one.path: one.runs for one in stored},
        problems=(*problems, *told),
        variants=tuple(one.path for one in variants),
        beside_target=first.target[~rows],
    )


def _readable(runs: Sequence[Path]) -> tuple[list[StoredRun], list[str]]:
    """The runs that can be read, and what is wrong with the others."""
    stored: list[StoredRun] = []
    problems: list[str] = []
    for path in dict.fromkeys(runs):
        if not any((path / name).is_file() for name in _FILES_OF_A_RUN):
            raise RunError(
                f"{path}: is no run directory; name folders that amber fit, grid or compare wrote"
                f"{_runs_within(path)}"
            )
        try:
            stored.append(read_run(path))
        except RunError as error:
            problems.append(str(error))
    if not stored:
        raise RunError(
            "; ".join(one.removeprefix("left out: ") for one in problems)
            or "name at least one run directory"
        )
    return stored, [f"left out: {one}" for one in problems]


def _runs_within(path: Path) -> str:
    """The run directories that stand in a folder which is none, for who names the folder of all."""
    found = sorted(one.parent.name for one in path.glob("*/summary.json"))
    return f"; it holds {', '.join(found[:_MOST_NAMED])}" if found else ""


def _systems(
    runs: Sequence[StoredRun], seeds: Sequence[int], names: Mapping[Path, str]
) -> Iterator[System]:
    plain = name_runs([one for one in runs if not _is_comparison(one)], names)
    taken: set[tuple[str, str]] = set()
    for run in runs:
        rows = [run.seeds.index(seed) for seed in seeds]
        for number, label in enumerate(run.heads):
            own, head = split_head(label, is_comparison=_is_comparison(run))
            if own in FLOORS:  # which a comparison stores; reports make them anew, to the same bits
                continue
            given = f"{names[run.path]}: {own}" if run.path in names else own
            name = plain.get(run.path) or given
            if (name, head) in taken:
                name = f"{name} ({run.path.name})"
            taken.add((name, head))
            yield _system(run, number, rows, name=name, own_name=own, head=head)


def _system(
    run: StoredRun,
    number: int,
    seeds: Sequence[int],
    *,
    name: str,
    own_name: str,
    head: str,
) -> System:
    kept = None if run.validation is None else run.validation[:, seeds, number].astype(np.float64)
    return System(
        name=name,
        own_name=own_name,
        head=head,
        test=run.test[seeds, number][:, run.tested].astype(np.float64),
        validation=None if kept is None else kept[:, :, run.tested],
        beside=None if kept is None else kept[:, :, ~run.tested],
        settings=_settings(run, own_name),
        run=run.path,
    )


def _settings(run: StoredRun, name: str) -> tuple[Mapping[str, Any], ...]:
    """One a fold: a plain run's selected ones, or what a comparison tells of one system."""
    if _is_comparison(run):
        told = (run.summary.get("systems") or {}).get(name) or {}
    else:
        told = run.summary.get("selected") or {}
    return tuple(told.get("settings") or ()) if isinstance(told, Mapping) else ()


def _is_comparison(run: StoredRun) -> bool:
    return run.config.get("command") == "compare"
