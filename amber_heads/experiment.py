"""From a configuration and a cache to a finished run directory: what all commands that train do.

A fit is a grid of one cell; what a comparison measures of its table stands in compare.py. The
steps: read the data under the label policy, part it, lay out the table of runs, train it, select on
validation, measure, write.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from amber_cache.store import amber_version
from amber_heads import results as files
from amber_heads.configuration.checks import check_memory, check_trainers
from amber_heads.configuration.options import (
    CompareConfig,
    GridConfig,
    RunSettings,
    TrainingConfig,
    told,
)
from amber_heads.contents import (
    first_entries,
    last_entries,
    prediction_arrays,
    require_tables,
    table_files,
)
from amber_heads.data import Dataset
from amber_heads.preparation import Guard, Prepared, guard, prepare
from amber_heads.progress import Progress, no_progress

if TYPE_CHECKING:
    from amber_heads.stack.material import Material
    from amber_heads.training import Training

Tell = Callable[[Sequence[str]], None]


@dataclass(frozen=True)
class Outcome:
    """A finished run directory.

    Attributes:
        summary: What summary.json holds.
        stored: It stood there already, and nothing was trained.
        notes: What the user should be told, one line each.
    """

    folder: Path
    summary: Mapping[str, Any]
    stored: bool
    notes: tuple[str, ...] = ()


def run_experiment(
    config: TrainingConfig,
    origins: Mapping[str, int],
    *,
    config_file: Path | None = None,
    out: Path | None = None,
    overwrite: bool = False,
    workers: int | None = None,
    backend: str = "threading",
    memory: float | None = None,
    progress: Progress = no_progress,
    tell: Tell = lambda lines: None,
) -> Outcome:
    """Train what a configuration asks for, or find it done.

    Args:
        config: A `FitConfig`, a `GridConfig` for a search, or a `CompareConfig` for a comparison.
        origins: Where each setting came from; see `settings.complete`.
        config_file: The run's config.json that `config` was read from.
        out: The run directory; None: named after the configuration and the data.
        overwrite: Train anew where it stands already.
        workers: How many stacks train at once; the figures do not depend on it.
        backend: See `checks.BACKENDS`.
        memory: GiB that runs that train at once may take; None: what suits the device.
        progress: Told (stage, done, total).
        tell: Told, before the training starts, what the folds leak and what else must be known.

    Raises:
        AmberError: The cache, the configuration or the folder can't be used.
    """
    command = _command(config)
    former = files.read_config(config_file, command=command) if config_file else None
    prepared = prepare(config, origins)
    check_trainers(workers, backend, on_cpu=prepared.config.device == "cpu")
    check_memory(memory)
    fingerprint = prepared.fingerprint
    description = files.make_config(
        command, _plain(prepared.config), fingerprint=fingerprint, version=amber_version()
    )
    notes: tuple[str, ...] = ()
    if former is not None and former.get("data") != fingerprint:
        notes = (f"--config {config_file}: ran on other data; the figures will differ",)
    folder = out or files.default_folder(description)
    stored = files.stored_summary(folder, description, overwrite=overwrite)
    if stored is not None:
        require_tables(folder, stored)
        return Outcome(folder, stored, stored=True, notes=notes)
    leaks = guard(prepared)
    told = _first(lambda: tell([*prepared.notes, *leaks.block, *leaks.warnings]), progress)
    from amber_heads.compare import measure_comparison
    from amber_heads.processes import Processes
    from amber_heads.training import How, train

    how = How(Path(folder).parent, Processes(workers, backend), anew=overwrite, memory_gib=memory)
    training = train(prepared, how, told)
    if isinstance(prepared.config, CompareConfig):
        summary, content = measure_comparison(prepared, leaks, training, told)
    else:
        summary, content = _measured(prepared, command, leaks, training, told)
    description |= {"leakage": leaks.in_brief, "warnings": list(leaks.warnings)}
    files.write_run(folder, description, content)
    training.finish()
    return Outcome(folder, files.without_nan(summary), stored=False, notes=notes)


def _command(config: TrainingConfig) -> str:
    if isinstance(config, CompareConfig):
        return "compare"
    return "grid" if isinstance(config, GridConfig) else "fit"


def _first(once: Callable[[], None], progress: Progress) -> Progress:
    """A `Progress` before whose first stage something is done: after all that may be refused."""
    waiting = [once]

    def told(stage: str, done: int, total: int, note: str = "") -> None:
        while waiting:
            waiting.pop()()
        progress(stage, done, total, note)

    return told


def _measured(
    prepared: Prepared, command: str, leaks: Guard, training: Training, progress: Progress
) -> tuple[dict[str, Any], dict[str, bytes]]:
    """The summary, and every file of the run directory but config.json."""
    from amber_heads import summary as figures

    dataset, settings = prepared.dataset, training.settings
    by_fold = [settings[one] for one in training.choice]
    progress("measuring", 0, 1)
    found = figures.Results(
        training.results,
        target=dataset.target,
        folds=prepared.folds,
        seeds=training.seeds,
        heads=training.heads,
    )
    summary = _summary(prepared, command, leaks, found, settings, training.choice)
    summary |= _layer_weights(prepared, found, by_fold)
    content = {
        "summary.json": files.json_bytes(summary),
        "runs.csv": files.csv_bytes(figures.run_rows(found)),
        "curves.csv": files.csv_bytes(figures.curve_rows(found)),
        "predictions.h5": _predictions(prepared, found, by_fold),
        **_model(prepared, training.material, found, by_fold),
        **table_files(summary),
    }
    progress("measuring", 1, 1)
    return summary, content


def _summary(
    prepared: Prepared,
    command: str,
    leaks: Guard,
    found: Any,
    settings: Sequence[RunSettings],
    choice: Sequence[int],
) -> dict[str, Any]:
    from amber_heads.selection import at_the_edge, judging_head
    from amber_heads.summary import read_at_another_head

    config, folds = prepared.config, prepared.folds
    chosen = [settings[one] for one in choice]
    return {
        **first_entries(prepared, command, heads=found.heads, seeds=found.seeds),
        "configurations": [
            {
                "settings": told(one),
                "judged_by": judging_head(one, found.heads),
                "selected_in_folds": [f for f, c in enumerate(choice) if c == number],
                "heads": found.chosen([one] * len(folds)),
            }
            for number, one in enumerate(settings)
        ],
        "selected": {
            "how": getattr(config, "select", "nested") if len(settings) > 1 else "single",
            "by": f"validation {getattr(config, 'select_by', 'js')}",
            "edges": at_the_edge(settings, choice),
            "settings": [told(one) for one in chosen],
            "heads": found.chosen(chosen),
            "judged_by": [judging_head(one, found.heads) for one in chosen],
            "judged": found.figures(_judged(found, chosen)),
            "read_at_another_head": read_at_another_head(chosen, found.heads),
        },
        "floors": found.floors(),
        "diverged_runs": [one.run.name for one in found.results if one.diverged],
        **last_entries(prepared, leaks),
    }


def _layer_weights(
    prepared: Prepared, found: Any, by_fold: Sequence[RunSettings]
) -> dict[str, Any]:
    """What summed layers came to weigh, where there are any."""
    from amber_heads.learned_layers import learned_layers

    def rows(settings: RunSettings, fold: int) -> list[np.ndarray]:
        return [found.result(settings, fold, seed).parameters for seed in found.seeds]

    weights = learned_layers(prepared.datasets, by_fold, rows)
    return {"layer_weights": weights} if weights else {}


def _judged(found: Any, by_fold: Sequence[RunSettings]) -> Any:
    """Each fold's distributions by the head that its settings are judged by."""
    from amber_heads.selection import judging_head

    head = [found.heads.index(judging_head(one, found.heads)) for one in by_fold]

    def predict(test: str, seed: int, fold: int) -> Any:
        return found.result(by_fold[fold], fold, found.seeds[seed]).tests[test][:, head[fold]]

    return predict


def _predictions(prepared: Prepared, found: Any, by_fold: Sequence[RunSettings]) -> bytes:
    from amber_heads.summary import out_of_fold_predictions, validation_predictions

    arrays = {
        **prediction_arrays(prepared.dataset, prepared.folds),
        "test": out_of_fold_predictions(found, by_fold),
        "validation": validation_predictions(found, by_fold),
    }
    attributes = {"classes": prepared.dataset.classes, "heads": found.heads, "seeds": found.seeds}
    return files.predictions_bytes(arrays, attributes)


def _model(
    prepared: Prepared,
    material_of: Callable[[RunSettings], Material],
    found: Any,
    by_fold: Sequence[RunSettings],
) -> dict[str, bytes]:
    """The selected weights of every fold and seed, and what is needed to use them again."""
    tensors: dict[str, np.ndarray] = {}
    for f, settings in enumerate(by_fold):
        material = material_of(settings)
        architecture = material.architecture(settings.hidden)
        for seed in found.seeds:
            row = found.result(settings, f, seed).parameters
            for name, (start, end) in architecture.spans.items():
                shaped = row[start:end].reshape(architecture.shapes[name])
                tensors[f"fold{f}/seed{seed}/{name}"] = shaped
        for m, modality in enumerate(material.modalities):
            # (feature,), or (layer, feature) where layers are summed.
            shape = (material.num_layers[m], -1) if material.num_layers[m] > 1 else (-1,)
            for kind in ("mean", "scale"):
                values = getattr(material.standardization, kind)[m][f].numpy()
                tensors[f"fold{f}/{modality}.{kind}"] = values.reshape(shape)
    from amber_heads.stack.featurizer import SCALE

    modalities = [_modalities(prepared.datasets[one.encoders], SCALE) for one in by_fold]
    description = {
        "format": files.FORMAT,
        "format_version": files.FORMAT_VERSION,
        "classes": list(prepared.dataset.classes),
        "heads": list(found.heads),
        "seeds": list(found.seeds),
        "folds": [fold.name for fold in found.folds],
        "settings": [told(one) for one in by_fold],
        "standardize": prepared.config.standardize,
        # One list for all folds, but where each may have encoders of its own.
        "modalities": modalities if len(prepared.datasets) > 1 else modalities[0],
    }
    return {
        "model.safetensors": files.model_bytes(tensors),
        "model.json": files.json_bytes(description),
    }


def _modalities(dataset: Dataset, scale: float) -> list[dict[str, Any]]:
    """What a model reads: each modality's entry, and how it was made.

    Layers that are summed weigh softmax(scale * scores).
    """
    summed = {name: {"layers": list(some), "scale": scale} for name, some in dataset.layers.items()}
    return [
        {
            "name": name,
            "dimension": int(vectors.shape[1]) // dataset.num_layers(name),
            "entry": dataset.encoders[name],
            **dataset.encoder_attributes[name],
            **summed.get(name, {}),
        }
        for name, vectors in dataset.inputs.items()
    ]


def _plain(config: TrainingConfig) -> dict[str, Any]:
    """The configuration as JSON holds it; `amber_cache.config.resolve` reads it back."""
    plain: dict[str, Any] = {}
    for one in fields(config):
        value = getattr(config, one.name)
        if one.name == "layer":  # written out as an entry (layer_choice.py)
            continue
        if one.name in ("encoder", "grid"):
            value = dict(value)
        elif isinstance(value, Path):
            value = str(value)
        plain[one.name] = list(value) if isinstance(value, tuple) else value
    return plain
