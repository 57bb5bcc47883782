"""A run's models as one ONNX file, for programs that have neither amber nor torch."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from amber_cache.errors import RunError
from amber_cache.store import PUBLIC_ENTRY_ATTRIBUTES, amber_version, without_folders
from amber_heads.exports.onnx_graph import OPSET, build_graph
from amber_heads.exports.places import write_export
from amber_heads.using.loaded import InputEntry, LoadedRun, load_run
from amber_heads.using.members import left_out_models

#: One protocol-buffers message holds no more.
MOST_BYTES = (1 << 31) - 1


@dataclass(frozen=True, kw_only=True)
class OnnxReport:
    """What was written.

    Attributes:
        inputs: By name, the features of a vector; where layers are summed, layers and features.
        notes: What must be known of it, one line each.
    """

    path: Path
    opset: int
    num_bytes: int
    num_members: int
    inputs: dict[str, int | list[int]]
    outputs: tuple[str, ...]
    classes: tuple[str, ...]
    notes: tuple[str, ...] = ()

    @property
    def last_line(self) -> str:
        """What was written, in a line."""
        return (
            f"{self.path}: {self.num_bytes / 1e6:.1f} MB, opset {self.opset}, {self.num_members} "
            f"models; from {', '.join(self.inputs)} to {', '.join(self.outputs)}"
        )


def export_onnx(folder: str | Path, file: Path, *, overwrite: bool = False) -> OnnxReport:
    """Write a run directory's models, all folds and seeds, to one ONNX file.

    Models that diverged are left out, as they are of every prediction.

    Raises:
        RunError: The run can't be read, its folds read different encoders, the models are more than
            an ONNX file holds, the package onnx is missing, or the file can't be written.
    """
    run = load_run(folder)
    _refuse_unlike_folds(run)
    model = _built(run)
    data = model.SerializeToString(deterministic=True)
    write_export(file, data, overwrite=overwrite)
    return OnnxReport(
        path=file,
        opset=OPSET,
        num_bytes=len(data),
        num_members=len(run.members),
        inputs={
            one.modality: list(one.shape) if one.layers else one.dimension
            for one in run.modalities[0]
        },
        outputs=tuple(one.name for one in model.graph.output),
        classes=run.classes,
        notes=_notes(run),
    )


def metadata_of(run: LoadedRun) -> dict[str, str]:
    """What the file says of itself: lists and objects as JSON."""
    inputs = [
        {
            "name": one.modality,
            "dimension": one.dimension,
            "entry": without_folders(one.entry),
            **{key: _public(one.attrs[key]) for key in PUBLIC_ENTRY_ATTRIBUTES if key in one.attrs},
            **_layers(one),
        }
        for one in run.modalities[0]
    ]
    told = {
        "classes": list(run.classes),
        "heads": list(run.heads),
        "judged_by": run.judged_by,
        "supervised_heads": list(run.supervised),
        "inputs": inputs,
        "members": [{"fold": fold, "seed": seed} for fold, seed in run.members],
    }
    texts = {key: json.dumps(value) for key, value in told.items()}
    run_hash = str(run.config.get("hash", ""))
    return {"amber_version": amber_version(), "amber_run": run_hash, **texts}


def _layers(entry: InputEntry) -> dict[str, object]:
    return {"layers": [without_folders(one) for one in entry.layers]} if entry.layers else {}


def _public(value: object) -> object:
    return without_folders(value) if isinstance(value, str) else value


def _built(run: LoadedRun) -> Any:
    try:
        import onnx
    except ImportError:
        raise RunError(
            'an ONNX file needs the package onnx: pip install "amber-ser[onnx]"'
        ) from None
    if not run.members:
        raise RunError(f"{run.folder}: all of its models have diverged; train it again")
    size = sum(4 * run.architecture(fold).num_parameters for fold, _ in run.members)
    if size > MOST_BYTES:
        raise RunError(
            f"{run.folder}: {len(run.members)} models take {size / 1e9:.1f} GB, an ONNX file holds "
            "2.1; train with fewer --seeds or a smaller --hidden"
        )
    model = build_graph(run, metadata=metadata_of(run))
    onnx.checker.check_model(model, full_check=True)
    return model


def _refuse_unlike_folds(run: LoadedRun) -> None:
    """One input a modality can't be two encoders' vectors."""
    if several := [key for key in run.inputs if "/" in key]:
        raise RunError(
            f"{run.folder}: its folds chose different encoders ({', '.join(several)}), and an ONNX "
            "file reads one a modality; train with one of them"
        )


def _notes(run: LoadedRun) -> tuple[str, ...]:
    notes = [*left_out_models(run)]
    if run.precision != "float32":
        notes.append(
            f"the run multiplies in {run.precision}, the file in float32: answers differ slightly"
        )
    if unsupervised := [head for head in run.heads if head not in run.supervised]:
        notes.append(
            f"{', '.join(unsupervised)}: learned from {run.judged_by} alone, not from the raters"
        )
    return tuple(notes)
