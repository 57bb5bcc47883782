"""What an encoder is: a batch of waveforms or texts goes in, frames and a mask come out.

An encoder never pools and never writes. Its one promise: the frames of an utterance under the
mask do not depend on what else is in the batch, so that pooling and caching may rely on them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Bool, Float
from torch import Tensor

from amber_cache.records import Hertz


@dataclass(frozen=True, slots=True, kw_only=True)
class EncoderInfo:
    """What an encoder is, as a cache records it.

    Attributes:
        encoder: A hub id, a local folder's own name, or a built-in name.
        revision: The hub's commit where known, else "".
        weights_sha256: Hash of the weight files' bytes; "" for an encoder without weights.
        dimension: Features a frame.
        num_layers: Layers on offer besides the input embedding; 0 where there is but one output.
        sampling_rate_hz: What waveforms must be resampled to; 0 for text.
    """

    encoder: str
    modality: str
    dimension: int
    revision: str = ""
    weights_sha256: str = ""
    num_layers: int = 0
    sampling_rate_hz: Hertz = 0
    libraries: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Prepared:
    """One utterance, ready for a batch.

    Attributes:
        values: (samples,) float32 waveform, or (tokens,) int64 token ids, or what a built-in
            encoder makes of it, (time, feature) float32.
        note: What the user should be told ("truncated from 700 to 512 tokens"); "" for nothing.
    """

    values: np.ndarray
    note: str = ""


@dataclass(frozen=True, slots=True)
class Encoded:
    """The frames of a batch.

    Attributes:
        frames: One entry a requested layer on the first axis.
        mask: True where a frame belongs to its utterance; at least one a row.
    """

    frames: Float[Tensor, "layer batch time feature"]
    mask: Bool[Tensor, "batch time"]


@runtime_checkable
class Encoder(Protocol):
    """An encoder of one modality, loaded and on its device."""

    @property
    def info(self) -> EncoderInfo:
        """What it is, for the cache's attributes."""

    @property
    def device(self) -> str:
        """Where it runs: "cpu", "cuda", "cuda:1"."""

    def prepare(self, source: np.ndarray | str) -> Prepared:
        """Make one mono waveform (samples,) float32 at `sampling_rate_hz`, or one text, ready.

        Threads call it side by side while a batch is encoded.

        Raises:
            UtteranceError: It can't be encoded (too short, empty, not finite), with the reason.
        """

    def encode(self, batch: Sequence[Prepared], *, layers: Sequence[int] = (-1,)) -> Encoded:
        """Run the encoder over a batch; layer -1 is the last, 0 the input embedding.

        Raises:
            EncoderError: A layer does not exist.
        """
