"""The runs of a table whose encoders vary, trained one combination of encoders after the other.

Runs of one combination share its inputs. What is kept of them stands in a folder that is named
after those inputs, and goes by the runs' other settings: a fit through the same encoders, or a
grid over more of them, finds it there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace

from amber_cache.errors import InterruptError
from amber_heads.configuration.options import Encoders
from amber_heads.data import Dataset
from amber_heads.grid import interrupted, table_name, train_table
from amber_heads.processes import Processes
from amber_heads.progress import Progress
from amber_heads.stack.material import Material
from amber_heads.stack.runs import Run, RunResult
from amber_heads.trained import TrainedRuns


class Combinations:
    """Every combination of encoders: its data, its material, and what is kept of its runs.

    Args:
        datasets: By the encoders that runs' settings name; but one, under (), in most tables.
        stores: Likewise.
        make: Puts a dataset's material together; only the last one stays in memory.
    """

    def __init__(
        self,
        datasets: Mapping[Encoders, Dataset],
        stores: Mapping[Encoders, TrainedRuns],
        make: Callable[[Dataset], Material],
    ) -> None:
        self._datasets, self._stores, self._make = dict(datasets), dict(stores), make
        self._last: tuple[Encoders, Material] | None = None

    def material(self, encoders: Encoders) -> Material:
        """What the runs of a combination share."""
        if self._last is None or self._last[0] != encoders:
            self._last = None  # before the next takes its memory
            self._last = encoders, self._make(self._datasets[encoders])
        return self._last[1]

    def train(
        self,
        runs: Sequence[Run],
        *,
        budget: int | None,
        processes: Processes,
        progress: Progress,
    ) -> list[RunResult]:
        """Train the runs that are not kept already; results in their order.

        Raises:
            ConfigError: As `train_table`.
            RunError: As `train_table`.
            InterruptError: Ctrl-C came, and some runs are kept.
        """
        try:
            for encoders, part in self._parts(runs).items():
                train_table(
                    part,
                    self.material(encoders),
                    store=self._stores[encoders],
                    budget=budget,
                    processes=processes,
                    progress=self._named(progress, encoders),
                )
        except (KeyboardInterrupt, InterruptError):
            if kept := sum(_bare(run) in self._store(run) for run in runs):
                raise interrupted(kept, len(runs)) from None
            raise
        return [self.result(run) for run in runs]

    def result(self, run: Run) -> RunResult:
        """A kept run's result."""
        return replace(self._store(run).result(_bare(run)), run=run)

    def has_parameters(self, run: Run) -> bool:
        """Whether a run's parameters are kept too."""
        return self._store(run).has_parameters(_bare(run))

    def forget(self, runs: Iterable[Run]) -> None:
        """Take runs as not kept."""
        for run in runs:
            self._store(run).forget([_bare(run)])

    def start_anew(self, table: Sequence[Run]) -> None:
        """Take a table as never begun."""
        for encoders, part in self._parts(table).items():
            self._stores[encoders].start_anew(table_name(part), part)

    def drop_parameters(self) -> None:
        """Nobody needs the kept parameters any more."""
        for store in self._stores.values():
            store.drop_parameters()

    def _store(self, run: Run) -> TrainedRuns:
        return self._stores[run.settings.encoders]

    def _parts(self, runs: Iterable[Run]) -> dict[Encoders, list[Run]]:
        parts: dict[Encoders, list[Run]] = {}
        for run in runs:
            parts.setdefault(run.settings.encoders, []).append(_bare(run))
        return parts

    def _named(self, progress: Progress, encoders: Encoders) -> Progress:
        """A progress whose stages name the encoders, where there are several combinations."""
        if len(self._datasets) == 1:
            return progress
        names = ", ".join(f"{modality}={name}" for modality, name in encoders)

        def named(stage: str, done: int, total: int, note: str = "") -> None:
            progress(f"{names}: {stage}", done, total, note)

        return named


def _bare(run: Run) -> Run:
    """A run as it is called among those of its own encoders."""
    return replace(run, settings=replace(run.settings, encoders=()))
