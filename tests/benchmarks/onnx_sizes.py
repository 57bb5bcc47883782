"""Opset and size of exported runs, and how far ONNX Runtime is from torch on 1,000 rows.

    python -m tests.benchmarks.onnx_sizes

Trains for one epoch, on random vectors of the sizes that are named: size and arithmetic do not
depend on how good a model is.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import onnxruntime

from amber_cache.store import (
    DONE,
    CacheContent,
    make_embedding,
    utterance_table,
    votes_table,
    write_cache,
)
from amber_heads.exports.onnx_file import export_onnx
from amber_heads.using.loaded import load_run
from tests.commands import amber
from tests.small_caches import utterances

#: Modalities with their vectors' lengths, and the number of seeds, in five folds.
CASES = (
    ({"audio": 104, "text": 512}, 5, "the demo: mel, hash"),
    ({"audio": 768}, 5, "one base-size encoder"),
    ({"audio": 768, "text": 768}, 1, "two base-size encoders, one seed"),
    ({"audio": 768, "text": 768}, 5, "two base-size encoders"),
)


def main() -> None:
    """Print a row a case."""
    print("| inputs | models | parameters each | file | opset | greatest difference to torch |")
    print("|---|---:|---:|---:|---:|---:|")
    for sizes, seeds, name in CASES:
        with tempfile.TemporaryDirectory() as folder:
            print(_row(Path(folder), sizes, seeds, name), flush=True)


def _row(folder: Path, sizes: dict[str, int], seeds: int, name: str) -> str:
    _cache(folder / "cache.h5", sizes)
    loss = ("--loss", "js") if len(sizes) == 1 else ()
    how = ("--cache", "cache.h5", "--epochs", 1, "--seeds", seeds, "--quiet", *loss)
    finished = amber("fit", *how, "--out", "run", cwd=folder)
    assert finished.status == 0, finished.err
    report = export_onnx(folder / "run", folder / "run.onnx")
    parameters = load_run(folder / "run").architecture(0).num_parameters
    return (
        f"| {name} | {report.num_members} | {parameters:,} | {report.num_bytes / 1e6:.1f} MB | "
        f"{report.opset} | {_difference(folder / 'run', report.path):.1e} |"
    )


def _difference(run: Path, path: Path) -> float:
    loaded, random = load_run(run), np.random.default_rng(0)
    rows = {
        key: random.normal(size=(1000, one.dimension)).astype(np.float32)
        for key, one in loaded.inputs.items()
    }
    answers = loaded.predict_embeddings(rows)
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    names = [f"{head}_members" for head in answers.heads]
    found = np.stack(session.run(names, rows), axis=2)
    return float(np.abs(found - answers.distributions).max())


def _cache(path: Path, sizes: dict[str, int]) -> None:
    made, random = utterances(60), np.random.default_rng(0)
    embeddings = tuple(
        make_embedding(
            random.normal(size=(len(made), size)).astype(np.float32),
            modality=modality,
            name="random",
            status=np.full(len(made), DONE, np.uint8),
        )
        for modality, size in sizes.items()
    )
    tables = {"utterances": utterance_table(made), "votes": votes_table(made)}
    write_cache(path, CacheContent(corpus="", protocol="", embeddings=embeddings, **tables))


if __name__ == "__main__":
    main()
