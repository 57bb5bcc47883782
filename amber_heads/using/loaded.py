"""A run directory's models, read, checked and ready to answer.

Their arithmetic is the training's own (network.py), with each fold's standardisation and the
precision that it was trained in. What reads the files stands in model_files.py.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from amber_cache.errors import RunError
from amber_heads.heads import Architecture
from amber_heads.stack.network import Minibatches, forward
from amber_heads.using.answers import Answers, Member, supervised_heads
from amber_heads.using.model_files import (
    InputEntry,
    fold_architecture,
    read_bounded,
    read_description,
)
from amber_heads.using.model_tensors import read_tensors

__all__ = ["InputEntry", "LoadedRun", "load_run"]

#: Utterances that are predicted at once.
PREDICTION_ROWS = 512

#: Up to so many are predicted by one thread: handing out products this small costs more than they
#: do, many times more where other programs want the cores too (bench_predict.py).
FEW_ROWS = 16


@dataclass(frozen=True, kw_only=True)
class LoadedRun:
    """The selected models of a run directory: one for every fold and seed.

    Attributes:
        config: What config.json holds.
        classes: In the order of every distribution.
        heads: One a modality, then fusion where there are several.
        folds: Their names.
        settings: One a fold: what its models were trained with (loss, student, hidden, ...).
        modalities: One a fold: what its models read, in the heads' order.
        rows: One a fold: its seeds' parameters.
        means: One a fold and modality: what is subtracted from an input; (L * D,) where layers are
            summed.
        scales: Likewise, what divides it then.
    """

    folder: Path
    config: Mapping[str, Any]
    classes: tuple[str, ...]
    heads: tuple[str, ...]
    seeds: tuple[int, ...]
    folds: tuple[str, ...]
    settings: tuple[Mapping[str, Any], ...]
    modalities: tuple[tuple[InputEntry, ...], ...]
    rows: tuple[Float[Tensor, "seed _"], ...]
    means: tuple[tuple[Float[Tensor, " _"], ...], ...]
    scales: tuple[tuple[Float[Tensor, " _"], ...], ...]

    @property
    def precision(self) -> str:
        """Of the products with the inputs: float32, tf32 or bfloat16."""
        settings = self.config.get("settings")
        return str((settings if isinstance(settings, dict) else {}).get("precision") or "float32")

    @cached_property
    def members(self) -> tuple[Member, ...]:
        """Every (fold, seed) whose training did not diverge; the others have no parameters."""
        return tuple(
            (fold, seed)
            for fold, rows in enumerate(self.rows)
            for seed, row in zip(self.seeds, rows, strict=True)
            if bool(torch.isfinite(row).all())
        )

    @property
    def diverged(self) -> tuple[Member, ...]:
        """The others."""
        every = [(fold, seed) for fold in range(len(self.folds)) for seed in self.seeds]
        return tuple(one for one in every if one not in self.members)

    @property
    def judged_by(self) -> str:
        """The head whose answer is the run's: the student, else fusion or the only one."""
        heads = {str(one.get("student") or self.heads[-1]) for one in self.settings}
        return heads.pop() if len(heads) == 1 else self.heads[-1]

    @property
    def supervised(self) -> tuple[str, ...]:
        """The heads that every fold's models were taught by the raters themselves."""
        found = [supervised_heads(one, self.heads) for one in self.settings]
        return tuple(head for head in self.heads if all(head in some for some in found))

    @cached_property
    def inputs(self) -> Mapping[str, InputEntry]:
        """Everything that is read, by its key: the modality, or where folds differ modality/entry.

        Folds differ where the encoder was an axis of the grid and each fold chose its own.
        """
        return {self.key(one): one for fold in self.modalities for one in fold}

    def key(self, entry: InputEntry) -> str:
        """The name under which `predict_embeddings` takes an entry's vectors."""
        same = {
            one.entry for fold in self.modalities for one in fold if one.modality == entry.modality
        }
        return entry.modality if len(same) == 1 else f"{entry.modality}/{entry.entry}"

    def architecture(self, fold: int) -> Architecture:
        """The shapes of a fold's models."""
        return fold_architecture(self.modalities[fold], self.settings[fold], self.classes)

    def member(self, fold: int, seed: int) -> Float[Tensor, " parameter"]:
        """One model's parameters, as a row that `architecture(fold)` tells the parts of.

        Raises:
            ValueError: There is no such fold or seed.
        """
        return self.rows[fold][self.seeds.index(seed)]

    def predict_embeddings(
        self,
        inputs: Mapping[str, Float[np.ndarray, "utterance ... _"]],
        *,
        members: Sequence[Member] | None = None,
    ) -> Answers:
        """What the models say of vectors, all of them or some.

        Args:
            inputs: By key (see `inputs`), (N, D) vectors, not standardised; where a run sums
                layers, all of them, as (N, L, D) or one behind the other as (N, L * D). A row of
                NaN is a missing one: heads that read it answer NaN, the others answer.
            members: Which; None for all that did not diverge.

        Raises:
            ValueError: A key is missing or unknown, or vectors are of another shape.
            RunError: All models have diverged.
        """
        vectors = self._checked(inputs)
        chosen = tuple(self.members if members is None else members)
        if not chosen:
            raise RunError(f"{self.folder}: all of its models have diverged; train it again")
        number = len(next(iter(vectors.values())))
        shape = (len(chosen), number, len(self.heads), len(self.classes))
        found = np.empty(shape, dtype=np.float32)
        with _threads(1 if number <= FEW_ROWS else torch.get_num_threads()):
            for fold in dict.fromkeys(fold for fold, _ in chosen):
                places = [place for place, (one, _) in enumerate(chosen) if one == fold]
                seeds = [chosen[place][1] for place in places]
                for start in range(0, number, PREDICTION_ROWS):
                    part = slice(start, start + PREDICTION_ROWS)
                    block = {key: one[part] for key, one in vectors.items()}
                    found[places, part] = self._distributions(fold, seeds, block)
        return Answers(members=chosen, heads=self.heads, classes=self.classes, distributions=found)

    @torch.no_grad()
    def _distributions(
        self, fold: int, seeds: Sequence[int], vectors: Mapping[str, Float[Tensor, "batch _"]]
    ) -> Float[np.ndarray, "seed batch head class"]:
        """What some of a fold's models say; standardised as when they were trained."""
        dtype = torch.bfloat16 if self.precision == "bfloat16" else torch.float32
        standardised = [
            _layers_first(((vectors[self.key(entry)] - mean) / scale).to(dtype), entry).unsqueeze(0)
            for entry, mean, scale in zip(
                self.modalities[fold], self.means[fold], self.scales[fold], strict=True
            )
        ]
        architecture = self.architecture(fold)
        rows = self.rows[fold]
        if tuple(seeds) != self.seeds:
            rows = rows[[self.seeds.index(seed) for seed in seeds]]
        inputs = Minibatches(standardised, [0] * len(rows))
        done = forward(architecture, architecture.stacked_views(rows), inputs)
        return np.asarray(done.logits.softmax(-1).numpy())

    def _checked(
        self, inputs: Mapping[str, Float[np.ndarray, "utterance ... _"]]
    ) -> dict[str, Float[Tensor, "utterance _"]]:
        if inputs.keys() != self.inputs.keys():
            raise ValueError(
                f"the run reads {', '.join(self.inputs)}; given were {', '.join(inputs) or 'none'}"
            )
        vectors = {
            key: torch.from_numpy(np.ascontiguousarray(one, dtype=np.float32))
            for key, one in inputs.items()
        }
        number = len(next(iter(vectors.values())))
        for key, entry in self.inputs.items():
            wanted = (number, *entry.shape)
            if vectors[key].shape not in (wanted, (number, entry.width)):
                raise ValueError(f"{key}: vectors of {tuple(vectors[key].shape)}, not {wanted}")
            vectors[key] = vectors[key].view(number, entry.width)
        return vectors


def load_run(folder: str | Path) -> LoadedRun:
    """Read a run directory's models.

    Raises:
        RunError: The folder is no run directory, a file is missing, damaged, newer, or its tensors
            are not those that model.json describes.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise RunError(f"{folder}: is no run directory; `amber fit` and `amber grid` write them")
    config, model = (read_bounded(folder / name) for name in ("config.json", "model.json"))
    described = read_description(model, place=folder / "model.json")
    tensors = read_tensors(folder / "model.safetensors", described)
    return LoadedRun(folder=folder, config=config, **described, **tensors)


def _layers_first(
    vectors: Float[Tensor, "batch _"], entry: InputEntry
) -> Float[Tensor, "*layer batch _"]:
    """Where layers are summed they stand before the batch, as in training."""
    if not entry.layers:
        return vectors
    return vectors.view(-1, *entry.shape).transpose(0, 1).contiguous()


@contextmanager
def _threads(number: int) -> Iterator[None]:
    """Compute with so many threads for as long as the context lasts."""
    before = torch.get_num_threads()
    torch.set_num_threads(number)
    try:
        yield
    finally:
        torch.set_num_threads(before)
