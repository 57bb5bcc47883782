"""What the files of a run directory say of data, folds and tables, whichever command wrote them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from amber_cache.errors import RunError
from amber_cache.store import text_array
from amber_heads import results as files
from amber_heads.data import Dataset
from amber_heads.folds import Fold
from amber_heads.leakage import shared_only
from amber_heads.preparation import Guard, Prepared
from amber_heads.tables import tables_of, to_csv, to_latex, to_markdown


def first_entries(
    prepared: Prepared, command: str, *, heads: Sequence[str], seeds: Sequence[int]
) -> dict[str, Any]:
    """What a summary begins with: the corpus, its classes, encoders and folds."""
    dataset, folds = prepared.dataset, prepared.folds
    return {
        "format": files.FORMAT,
        "format_version": files.FORMAT_VERSION,
        "command": command,
        "corpus": dataset.corpus,
        "protocol": prepared.config.protocol,
        "classes": list(dataset.classes),
        "heads": list(heads),
        "encoders": _encoders(prepared),
        "seeds": list(seeds),
        "folds": [_described(fold) for fold in folds],
        "test_sets": list(dict.fromkeys(name for fold in folds for name in fold.tests)),
        "axes": [name for name, _ in getattr(prepared.config, "grid", ())],
    }


def last_entries(prepared: Prepared, leaks: Guard) -> dict[str, Any]:
    """What a summary ends with: who was used and left out, what leaks, what must be known."""
    dataset = prepared.dataset
    return {
        "utterances": {"used": len(dataset), "left_out": dict(dataset.left_out)},
        "leakage": shared_only(leaks.leakage),
        "notes": list(prepared.notes),
        "warnings": list(leaks.warnings),
    }


def prediction_arrays(dataset: Dataset, folds: Sequence[Fold]) -> dict[str, np.ndarray]:
    """What predictions.h5 says of the utterances, beside the predictions."""
    fold_of = np.full(len(dataset), -1, dtype=np.int64)
    test_set = text_array([""] * len(dataset))
    for number, fold in enumerate(folds):
        for name, index in fold.tests.items():
            fold_of[index], test_set[index] = number, name
    return {
        "id": dataset.ids,
        "target": dataset.target,
        "votes": dataset.counts,
        **{name: dataset.columns[name] for name in ("speaker", "dialogue", "session")},
        "fold": fold_of,
        "test_set": test_set,
    }


def table_files(summary: Mapping[str, Any]) -> dict[str, bytes]:
    """Every table as CSV, Markdown and LaTeX."""
    written: dict[str, bytes] = {}
    for name, table in tables_of(summary).items():
        written[f"{name}.csv"] = to_csv(table).encode()
        written[f"{name}.md"] = to_markdown(table).encode()
        written[f"{name}.tex"] = to_latex(table).encode()
    return written


def require_tables(folder: Path, summary: Mapping[str, Any]) -> None:
    """Refuse a stored summary that no table can be made of.

    Raises:
        RunError: As said.
    """
    try:
        tables_of(summary)
    # What another hand wrote may lack anything and hold anything anywhere, so none is listed.
    except Exception as error:
        raise RunError(
            f"{folder / 'summary.json'}: is no run's summary ({error!r}); --overwrite makes it anew"
        ) from None


def _encoders(prepared: Prepared) -> dict[str, Any]:
    """By modality, the entry's name; a list of them where the encoder is an axis."""
    axes: dict[str, list[str]] = {}
    for pairs in prepared.datasets:
        for modality, name in pairs:
            axes.setdefault(modality, []).append(name)
    several = {modality: list(dict.fromkeys(names)) for modality, names in axes.items()}
    return {**prepared.dataset.encoders, **several}


def _described(fold: Fold) -> dict[str, Any]:
    tests = {name: len(index) for name, index in fold.tests.items()}
    return {
        "name": fold.name,
        "train": len(fold.train),
        "validation": len(fold.validation),
        **tests,
    }
