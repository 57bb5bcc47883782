"""Which encoders a command means, how they are loaded, and whether a cache's are still the same.

torch is imported when a device is asked for or an encoder is loaded, and not before.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from amber_cache.config import ExtractConfig
from amber_cache.encoders import names as known
from amber_cache.encoders.hf_files import encoder_id, file_looks, local_checkpoint, sha256
from amber_cache.errors import ConfigError, EncoderError
from amber_cache.plan import WEIGHT_FILES
from amber_cache.records import Corpus


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadedEntry:
    """One encoder (an `encoders.base.Encoder`), and its entry's name and attributes."""

    modality: str
    name: str
    encoder: Any
    attrs: Mapping[str, Any]

    @property
    def key(self) -> tuple[str, str]:
        """Modality and name."""
        return self.modality, self.name


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


def encoder_names(config: ExtractConfig, corpus: Corpus) -> dict[str, str]:
    """The encoder of each modality: the corpus's or amber's own, but those that the user names.

    Raises:
        ConfigError: Options disagree, or have no effect.
    """
    given = dict(config.encoder)
    for modality, name in (("audio", config.audio_encoder), ("text", config.text_encoder)):
        if name is not None and given.setdefault(modality, name) != name:
            raise ConfigError(f"--{modality}-encoder and --encoder {modality}=... disagree")
    for modality in given:
        if modality not in corpus.modalities:
            raise ConfigError(
                f"--encoder {modality}=...: the corpus has {' and '.join(corpus.modalities)} only"
            )
    defaults = {**known.DEFAULT_ENCODERS, **dict(corpus.encoders)}
    names = {name: given.get(name, defaults[name]) for name in corpus.modalities}
    if all(map(known.is_builtin, names.values())) and (flags := _model_flags(config)):
        raise ConfigError(
            f"{flags[0]} has no effect on the built-in encoders ({', '.join(names.values())}), "
            "which have one output, in float32; leave it out"
        )
    return names


def builtin_notes(config: ExtractConfig, names: Mapping[str, str], device: str) -> list[str]:
    """What does not move a built-in encoder."""
    reasons = ["stays on the CPU"] if device != "cpu" else []
    reasons += [f"{flag} has no effect on it" for flag in _model_flags(config)]
    return [
        f"{name} is a built-in encoder: {reason}"
        for name in names.values()
        if known.is_builtin(name)
        for reason in reasons
    ]


def entry_key(config: ExtractConfig, modality: str, name: str) -> tuple[str, str]:
    """Modality and name of an encoder's entry; nothing is loaded."""
    config = _fitting(config, name)
    entry = known.entry_name(
        name, layer=config.layer, pooling=config.pooling, precision=config.precision
    )
    return modality, entry


def asked_settings(config: ExtractConfig, names: Mapping[str, str]) -> dict[str, Any]:
    """What vectors depend on, as the command asks for it."""
    return {
        "corpus": config.corpus,
        **{f"{modality} encoder": encoder_id(name) for modality, name in names.items()},
        "layer": config.layer,
        "pooling": config.pooling,
        "precision": config.precision,
    }


def load_entry(config: ExtractConfig, modality: str, name: str, *, device: str) -> LoadedEntry:
    """Load an encoder.

    Raises:
        EncoderError: It can't be had, or does not have the layer.
    """
    from amber_cache.encoders.hf_common import check_layers
    from amber_cache.encoders.registry import load_encoder

    config = _fitting(config, name)
    encoder = load_encoder(modality, name, device=device, precision=config.precision)
    check_layers([config.layer], info=encoder.info)
    info = encoder.info
    attrs = {
        "encoder": info.encoder,
        "revision": info.revision,
        "weights_sha256": info.weights_sha256,
        "layer": config.layer,
        "pooling": config.pooling,
        "precision": config.precision,
        "sampling_rate_hz": info.sampling_rate_hz,
        "libraries": dict(info.libraries),
    }
    if info.weights_sha256 and (found := local_checkpoint(name)):
        attrs[WEIGHT_FILES] = file_looks(found[1])
    _, entry = entry_key(config, modality, name)
    return LoadedEntry(modality=modality, name=entry, encoder=encoder, attrs=attrs)


def is_unchanged(config: ExtractConfig, name: str, attrs: Mapping[str, Any]) -> bool:
    """Whether an entry was certainly made by the encoder that a name means now.

    Nothing is loaded: a built-in encoder is known by its version, a model by its revision and its
    weight files, which are read only if they look otherwise than when the entry was made. The hub
    is not asked for a newer revision of what is on this disk.
    """
    config = _fitting(config, name)
    wanted: dict[str, Any] = {
        "encoder": encoder_id(name),
        "layer": config.layer,
        "pooling": config.pooling,
        "precision": config.precision,
    }
    if known.is_builtin(name):
        wanted["revision"] = known.BUILTIN_REVISIONS[name]
    elif (found := local_checkpoint(name)) is None:
        return False
    else:
        wanted["revision"], files = found
        if attrs.get(WEIGHT_FILES) != file_looks(files):
            wanted["weights_sha256"] = sha256(files)
    return all(attrs.get(key) == value for key, value in wanted.items())


def _fitting(config: ExtractConfig, name: str) -> ExtractConfig:
    """The configuration as an encoder takes it: a built-in one has one output, in float32."""
    return replace(config, layer=-1, precision="float32") if known.is_builtin(name) else config


def _model_flags(config: ExtractConfig) -> list[str]:
    """The given options that only an encoder with weights listens to."""
    flags = [f"--layer {config.layer}"] if config.layer != -1 else []
    return flags + ([f"--precision {config.precision}"] if config.precision != "float32" else [])
