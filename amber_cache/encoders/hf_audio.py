"""wav2vec2, HuBERT, WavLM and data2vec-audio, such that padding changes nothing.

The frames of a clip in a padded batch equal those of the clip alone, as transformers gives them for
the stock feature extractor's output without a mask. Four things see to that: the waveform is
normalised over its own samples; the GroupNorm of convolution layer 0 takes its statistics over each
clip's own frames; the transformer gets the attention mask; and padded frames are zeroed again
before every positional convolution. Without them the pooled embedding is off by 17 to 96 %.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from amber_cache.encoders.base import Encoded, EncoderInfo, Prepared
from amber_cache.encoders.hf_common import (
    PRECISIONS,
    check_device,
    describe,
    hidden_states,
    inference,
    load_model,
    moved,
    staging,
)
from amber_cache.encoders.hf_files import find_checkpoint, read_json
from amber_cache.encoders.inputs import checked_waveform
from amber_cache.errors import EncoderError
from amber_cache.records import Hertz

#: The values of config.json's model_type that this file knows how to keep exact.
FAMILIES: tuple[str, ...] = ("wav2vec2", "hubert", "wavlm", "data2vec-audio")


@dataclass(slots=True)
class _Padding:
    """How far each clip of the running batch reaches; the patched layers read it."""

    first_layer_frames: list[int] = field(default_factory=list)
    mask: Bool[Tensor, "batch time"] | None = None


class _ClipGroupNorm(nn.Module):
    """GroupNorm over each clip's own frames; zeros behind them.

    The stock norm is run clip by clip, so that its statistics are those of the clip alone to the
    last bit; the loop costs nothing beside the convolutions.
    """

    def __init__(self, norm: nn.GroupNorm, *, padding: _Padding) -> None:
        super().__init__()
        self.norm = norm
        self.padding = padding

    def forward(
        self, frames: Float[Tensor, "batch feature time"]
    ) -> Float[Tensor, "batch feature time"]:
        normed = torch.zeros_like(frames)
        for clip, num_frames in enumerate(self.padding.first_layer_frames):
            own = frames[clip : clip + 1, :, :num_frames]
            normed[clip : clip + 1, :, :num_frames] = self.norm(own)
        return normed


class HfAudioEncoder:
    """A speech model of one of `FAMILIES`, loaded and on its device."""

    def __init__(
        self, model: Any, info: EncoderInfo, *, device: str, precision: str, normalize: bool
    ) -> None:
        self.info = info
        self.device = device
        self._model = model
        self._precision = precision
        self._normalize = normalize
        config = model.config
        self._convolutions = tuple(zip(config.conv_kernel, config.conv_stride, strict=True))
        self._min_samples = _receptive_field(self._convolutions)
        self._padding = _Padding()
        _make_padding_exact(model, self._padding)

    def prepare(self, source: np.ndarray | str) -> Prepared:
        """Check one mono waveform and normalise it as the checkpoint's preprocessor says.

        Raises:
            UtteranceError: It is too short for one frame, or holds NaN or infinity.
        """
        waveform = checked_waveform(
            source, encoder=self.info.encoder, min_samples=self._min_samples
        )
        if self._normalize:  # Wav2Vec2FeatureExtractor's own formula: silence stays finite
            waveform = (waveform - waveform.mean()) / np.sqrt(waveform.var() + 1e-7)
        return Prepared(waveform)

    def encode(self, batch: Sequence[Prepared], *, layers: Sequence[int] = (-1,)) -> Encoded:
        """Frames of 20 ms at 50 Hz for the usual models; layer 0 is the transformer's input.

        Raises:
            EncoderError: A layer does not exist.
        """
        lengths = [clip.values.shape[0] for clip in batch]
        size = len(batch), max(lengths)
        samples = staging(*size, dtype=torch.float32, device=self.device)
        for row, clip in zip(samples, batch, strict=True):
            row[: clip.values.shape[0]] = torch.from_numpy(clip.values)
        counts = [frame_counts(length, self._convolutions) for length in lengths]
        inputs = {
            "input_values": moved(samples, self.device).to(PRECISIONS[self._precision]),
            "attention_mask": _prefix_mask(lengths, device=self.device).long(),
        }
        self._padding.first_layer_frames = [count[0] for count in counts]
        self._padding.mask = _prefix_mask([count[-1] for count in counts], device=self.device)
        with inference(self._precision), warnings.catch_warnings():
            # WavLM hands PyTorch a bool and a float mask at once, which is deprecated but exact.
            warnings.filterwarnings("ignore", "Support for mismatched key_padding_mask")
            frames = hidden_states(self._model, inputs, layers=layers, info=self.info)
        return Encoded(frames, self._padding.mask)


def load_audio(
    name: str, *, device: str = "cpu", precision: str = "float32", builtin: str = "mel"
) -> HfAudioEncoder:
    """Load a speech model from a local folder or the hub.

    Raises:
        EncoderError: It can't be had, is not complete, or is of another architecture.
    """
    check_device(device, precision=precision)
    checkpoint = find_checkpoint(name, families=FAMILIES, builtin=builtin)
    if checkpoint.config.get("add_adapter"):
        raise EncoderError(
            f"encoder {name}: it has a down-sampling adapter (add_adapter), which is not "
            "supported; use the model without it"
        )
    preprocessor = read_json(checkpoint.folder / "preprocessor_config.json", encoder=name)
    for key, kind in (("do_normalize", bool), ("sampling_rate", int)):
        if not isinstance(preprocessor.get(key), kind):
            raise EncoderError(
                f"encoder {name}: preprocessor_config.json says {key} is "
                f"{preprocessor.get(key)!r}, wanted {kind.__name__}; download the whole model"
            )
    rate_hz: Hertz = preprocessor["sampling_rate"]
    model = load_model(checkpoint, device=device, precision=precision)
    return HfAudioEncoder(
        model,
        describe(checkpoint, model, modality="audio", rate_hz=rate_hz),
        device=device,
        precision=precision,
        normalize=preprocessor["do_normalize"],
    )


def frame_counts(num_samples: int, convolutions: Sequence[tuple[int, int]]) -> list[int]:
    """Frames after each (kernel, stride) convolution: floor((n - kernel) / stride) + 1.

    >>> standard = [(10, 5), *[(3, 2)] * 4, *[(2, 2)] * 2]
    >>> frame_counts(32000, standard)[-1], frame_counts(400, standard)[-1]
    (99, 1)
    """
    counts = []
    for kernel, stride in convolutions:
        num_samples = (num_samples - kernel) // stride + 1
        counts.append(num_samples)
    return counts


def _receptive_field(convolutions: Sequence[tuple[int, int]]) -> int:
    """Samples that one frame needs: 400 for the usual models."""
    field_length = 1
    for kernel, stride in reversed(convolutions):
        field_length = (field_length - 1) * stride + kernel
    return field_length


def _prefix_mask(lengths: Sequence[int], *, device: str) -> Bool[Tensor, "batch time"]:
    ends = torch.tensor(list(lengths), device=device)
    return torch.arange(max(lengths), device=device) < ends[:, None]


def _make_padding_exact(model: Any, padding: _Padding) -> None:
    """Patch a loaded model: length-masked GroupNorm, zeroed frames before positional convolutions.

    The zeroing stands directly before each convolution, since what comes between (batch norm,
    layer norm) turns the zeros that transformers wrote into something else.
    """

    def zero_padded_frames(_: nn.Module, inputs: tuple[Tensor]) -> tuple[Tensor]:
        (frames,) = inputs  # (batch, feature, time)
        assert padding.mask is not None
        return (frames.masked_fill(~padding.mask[:, None, :], 0.0),)

    first = model.feature_extractor.conv_layers[0]
    if isinstance(getattr(first, "layer_norm", None), nn.GroupNorm):
        first.layer_norm = _ClipGroupNorm(first.layer_norm, padding=padding)
    for module in model.encoder.pos_conv_embed.modules():
        if isinstance(module, nn.Conv1d):
            module.register_forward_pre_hook(zero_padded_frames)
