"""From a configuration and a cache to a finished run directory: what `fit` and `grid` both do.

A fit is a grid of one cell. The steps: read the data under the label policy, part it, lay out the
table of runs, train it, select on validation, measure, write.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from amber_cache.store import amber_version, text_array
from amber_heads import results as files
from amber_heads.data import Dataset
from amber_heads.folds import Fold
from amber_heads.leakage import shared_only
from amber_heads.options import FitConfig, GridConfig, RunSettings, told
from amber_heads.preparation import Guard, Prepared, guard, prepare

if TYPE_CHECKING:
    from amber_heads.material import Material
    from amber_heads.training import Training

Progress = Callable[[str, int, int], None]
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
    config: FitConfig,
    origins: Mapping[str, int],
    *,
    config_file: Path | None = None,
    out: Path | None = None,
    overwrite: bool = False,
    workers: int | None = None,
    backend: str = "threading",
    memory: float | None = None,
    progress: Progress = lambda stage, done, total: None,
    tell: Tell = lambda lines: None,
) -> Outcome:
    """Train what a configuration asks for, or find it done.

    Args:
        config: A `FitConfig`, or a `GridConfig` for a search.
        origins: Where each setting came from; see `settings.complete`.
        config_file: The run's config.json that `config` was read from.
        out: The run directory; None: named after the configuration and the data.
        overwrite: Train anew where it stands already.
        workers: How many stacks train at once; the figures do not depend on it.
        backend: See `processes.BACKENDS`.
        memory: GiB that runs that train at once may take; None: what suits the device.
        progress: Told (stage, done, total).
        tell: Told, before the training starts, what the folds leak and what else must be known.

    Raises:
        AmberError: The cache, the configuration or the folder can't be used.
    """
    command = "grid" if isinstance(config, GridConfig) else "fit"
    former = files.read_config(config_file, command=command) if config_file else None
    prepared = prepare(config, origins)
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
        files.require_tables(folder, stored)
        return Outcome(folder, stored, stored=True, notes=notes)
    leaks = guard(prepared)
    told = _first(lambda: tell([*prepared.notes, *leaks.block, *leaks.warnings]), progress)
    from amber_heads.processes import Processes
    from amber_heads.training import How, train

    how = How(Path(folder).parent, Processes(workers, backend), anew=overwrite, memory_gib=memory)
    training = train(prepared, how, told)
    summary, content = _measured(prepared, command, leaks, training, told)
    description |= {"leakage": leaks.in_brief, "warnings": list(leaks.warnings)}
    files.write_run(folder, description, content)
    training.finish()
    return Outcome(folder, files.without_nan(summary), stored=False, notes=notes)


def _first(once: Callable[[], None], progress: Progress) -> Progress:
    """A `Progress` before whose first stage something is done: after all that may be refused."""
    waiting = [once]

    def told(stage: str, done: int, total: int) -> None:
        while waiting:
            waiting.pop()()
        progress(stage, done, total)

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
    content = {
        "summary.json": files.json_bytes(summary),
        "runs.csv": files.csv_bytes(figures.run_rows(found)),
        "curves.csv": files.csv_bytes(figures.curve_rows(found)),
        "predictions.h5": _predictions(dataset, found, by_fold),
        **_model(prepared, training.material, found, by_fold),
        **_tables(summary),
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

    config, dataset, folds = prepared.config, prepared.dataset, prepared.folds
    chosen = [settings[one] for one in choice]
    return {
        "format": files.FORMAT,
        "format_version": files.FORMAT_VERSION,
        "command": command,
        "corpus": dataset.corpus,
        "protocol": config.protocol,
        "classes": list(dataset.classes),
        "heads": list(found.heads),
        "encoders": _encoders(prepared),
        "seeds": list(found.seeds),
        "folds": [_described(fold) for fold in folds],
        "test_sets": list(found.test_sets),
        "axes": [name for name, _ in getattr(config, "grid", ())],
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
        "utterances": {"used": len(dataset), "left_out": dict(dataset.left_out)},
        "leakage": shared_only(leaks.leakage),
        "notes": list(prepared.notes),
        "warnings": list(leaks.warnings),
    }


def _encoders(prepared: Prepared) -> dict[str, Any]:
    """By modality, the entry's name; a list of them where the encoder is an axis."""
    axes: dict[str, list[str]] = {}
    for pairs in prepared.datasets:
        for modality, name in pairs:
            axes.setdefault(modality, []).append(name)
    several = {modality: list(dict.fromkeys(names)) for modality, names in axes.items()}
    return {**prepared.dataset.encoders, **several}


def _judged(found: Any, by_fold: Sequence[RunSettings]) -> Any:
    """Each fold's distributions by the head that its settings are judged by."""
    from amber_heads.selection import judging_head

    head = [found.heads.index(judging_head(one, found.heads)) for one in by_fold]

    def predict(test: str, seed: int, fold: int) -> Any:
        return found.result(by_fold[fold], fold, found.seeds[seed]).tests[test][:, head[fold]]

    return predict


def _described(fold: Fold) -> dict[str, Any]:
    tests = {name: len(index) for name, index in fold.tests.items()}
    return {
        "name": fold.name,
        "train": len(fold.train),
        "validation": len(fold.validation),
        **tests,
    }


def _predictions(dataset: Dataset, found: Any, by_fold: Sequence[RunSettings]) -> bytes:
    from amber_heads.summary import out_of_fold_predictions, validation_predictions

    fold_of = np.full(len(dataset), -1, dtype=np.int64)
    test_set = text_array([""] * len(dataset))
    for number, fold in enumerate(found.folds):
        for name, index in fold.tests.items():
            fold_of[index], test_set[index] = number, name
    arrays = {
        "id": dataset.ids,
        "target": dataset.target,
        "votes": dataset.counts,
        **{name: dataset.columns[name] for name in ("speaker", "dialogue", "session")},
        "fold": fold_of,
        "test_set": test_set,
        "test": out_of_fold_predictions(found, by_fold),
        "validation": validation_predictions(found, by_fold),
    }
    attributes = {"classes": dataset.classes, "heads": found.heads, "seeds": found.seeds}
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
            tensors[f"fold{f}/{modality}.mean"] = material.standardization.mean[m][f].numpy()
            tensors[f"fold{f}/{modality}.scale"] = material.standardization.scale[m][f].numpy()
    modalities = [_modalities(prepared.datasets[one.encoders]) for one in by_fold]
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


def _modalities(dataset: Dataset) -> list[dict[str, Any]]:
    """What a model reads: each modality's entry, and how it was made."""
    return [
        {
            "name": name,
            "dimension": int(vectors.shape[1]),
            "entry": dataset.encoders[name],
            **dataset.encoder_attributes[name],
        }
        for name, vectors in dataset.inputs.items()
    ]


def _tables(summary: Mapping[str, Any]) -> dict[str, bytes]:
    from amber_heads.tables import tables_of, to_csv, to_latex, to_markdown

    written: dict[str, bytes] = {}
    for name, table in tables_of(summary).items():
        written[f"{name}.csv"] = to_csv(table).encode()
        written[f"{name}.md"] = to_markdown(table).encode()
        written[f"{name}.tex"] = to_latex(table).encode()
    return written


def _plain(config: FitConfig) -> dict[str, Any]:
    """The configuration as JSON holds it; `amber_cache.config.resolve` reads it back."""
    plain: dict[str, Any] = {}
    for one in fields(config):
        value = getattr(config, one.name)
        if one.name in ("encoder", "grid"):
            value = dict(value)
        elif isinstance(value, Path):
            value = str(value)
        plain[one.name] = list(value) if isinstance(value, tuple) else value
    return plain
