"""How a command's encoders are loaded, and whether those that made a cache's entries are the same.

torch is imported when a device is asked for or an encoder is loaded, and not before.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

from amber_cache.audio import RESAMPLER
from amber_cache.config import ExtractConfig
from amber_cache.encoders import names as known
from amber_cache.encoders.hf_files import (
    WEIGHT_FILES,
    encoder_id,
    file_looks,
    local_checkpoint,
    sha256,
)
from amber_cache.errors import ConfigError, EncoderError
from amber_cache.jobs.wanted import Wanted


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadedEntry:
    """An entry that is wanted, its encoder (an `encoders.base.Encoder`), and its attributes.

    Entries of one encoder share the object.
    """

    wanted: Wanted
    encoder: Any
    attrs: Mapping[str, Any]

    @property
    def modality(self) -> str:
        """What it encodes."""
        return self.wanted.modality

    @property
    def key(self) -> tuple[str, str]:
        """Modality and name."""
        return self.wanted.key


def chosen_device(config: ExtractConfig) -> str:
    """What the command runs on: "cpu", "cuda", "cuda:1".

    Raises:
        ConfigError: There is no such device at all.
        EncoderError: It is not there.
    """
    device = "cuda" if config.gpu and config.device == "cpu" else config.device
    if not re.fullmatch(r"cpu|cuda(:\d+)?", device):
        raise ConfigError(f"--device {device}: must be cpu, cuda or cuda:N")
    if device.startswith("cuda"):
        require_cuda(device, asked="--gpu" if config.gpu else f"--device {device}")
    return device


def require_cuda(device: str, *, asked: str) -> None:
    """Refuse a CUDA device that is not there.

    Raises:
        EncoderError: As said.
    """
    import torch

    if not torch.cuda.is_available():
        raise EncoderError(f"{asked}: no CUDA device is available here; leave it out for the CPU")
    if int(device.partition(":")[2] or 0) >= torch.cuda.device_count():
        raise EncoderError(f"{asked}: there are {torch.cuda.device_count()} CUDA devices")


def load_entries(
    wanted: Sequence[Wanted], *, device: str, stop: Callable[[], None] = lambda: None
) -> list[LoadedEntry]:
    """Load every encoder once, whichever number of its layers is wanted.

    Args:
        wanted: What the command is about.
        device: Where models run.
        stop: Called between two encoders; raises where the command is to end.

    Raises:
        EncoderError: One can't be had, or does not have a layer.
    """
    from amber_cache.encoders.hf_common import check_layers
    from amber_cache.encoders.registry import load_encoder

    encoders: dict[tuple[str, str], Any] = {}
    loaded = []
    for one in wanted:
        place = one.modality, one.encoder
        if place not in encoders:
            stop()
            encoders[place] = load_encoder(*place, device=device, precision=one.precision)
        check_layers([one.layer], info=encoders[place].info)
        loaded.append(LoadedEntry(wanted=one, encoder=encoders[place], attrs={}))
    return [replace(one, attrs=_attributes(one)) for one in loaded]


def is_unchanged(wanted: Wanted, attrs: Mapping[str, Any]) -> bool:
    """Whether an entry was certainly made by the encoder that a name means now.

    Nothing is loaded: a built-in encoder is known by its version, a model by its revision and its
    weight files, which are read only if they look otherwise than when the entry was made. The hub
    is not asked for a newer revision of what is on this disk.
    """
    must: dict[str, Any] = {
        "encoder": encoder_id(wanted.encoder),
        "layer": wanted.layer,
        "pooling": wanted.pooling,
        "precision": wanted.precision,
    }
    if wanted.asr is not None:
        must |= wanted.asr.entry_attrs
    if known.is_builtin(wanted.encoder):
        must["revision"] = known.BUILTIN_REVISIONS[wanted.encoder]
    elif (found := local_checkpoint(wanted.encoder)) is None:
        return False
    else:
        must["revision"], files = found
        if attrs.get(WEIGHT_FILES) != file_looks(files):
            must["weights_sha256"] = _weights_sha256(files)
    return all(attrs.get(key) == value for key, value in must.items())


def _attributes(one: LoadedEntry) -> dict[str, Any]:
    """What a cache says of how an entry was made."""
    info, wanted = one.encoder.info, one.wanted
    attrs = {
        "encoder": info.encoder,
        "revision": info.revision,
        "weights_sha256": info.weights_sha256,
        "layer": wanted.layer,
        "pooling": wanted.pooling,
        "precision": wanted.precision,
        "sampling_rate_hz": info.sampling_rate_hz,
        "libraries": dict(info.libraries),
    }
    if wanted.asr is not None:
        attrs |= wanted.asr.entry_attrs
    if info.sampling_rate_hz:
        attrs["resampler"] = RESAMPLER
    if info.weights_sha256 and (found := local_checkpoint(wanted.encoder)):
        attrs[WEIGHT_FILES] = file_looks(found[1])
    return attrs


def _weights_sha256(files: Sequence[Path]) -> str:
    """SHA-256 over weight files, worked out once as long as they look the same."""
    return _hashed(tuple(files), tuple(file_looks(files)))


@lru_cache(maxsize=16)
def _hashed(files: tuple[Path, ...], looks: tuple[str, ...]) -> str:
    return sha256(files)
