"""What can be told to those who use a trained run: `amber predict` and `amber eval`.

Nothing here imports torch.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated

from amber_cache.records import Listing
from amber_heads.configuration.options import (
    ChoicesOption,
    KeepOption,
    ProtocolOption,
    RatersOption,
)

#: How a cache's name ends, among what is predicted.
CACHE_SUFFIXES = (".h5", ".hdf5")

#: Where a setting may stand that is extraction's too: amber.toml and the environment.
_SHARED_LEVELS = (1, 2)


@dataclass(frozen=True, kw_only=True)
class PredictConfig:
    """What `amber predict` is told beside the run and what to predict."""

    encoder: Annotated[
        tuple[tuple[str, str], ...],
        "MODALITY=NAME: where the run's encoder is, a folder or a hub id; of a cache, the entry",
    ] = ()
    audio_encoder: Annotated[str | None, "short for --encoder audio=NAME"] = None
    text_encoder: Annotated[str | None, "short for --encoder text=NAME"] = None
    window: Annotated[float | None, "seconds: predict windows of long recordings"] = None
    step: Annotated[float | None, "seconds from one window to the next [default: the window]"] = (
        None
    )
    transcribe: Annotated[
        str | None, "a speech-recognition model for what has no transcript: a folder or a hub id"
    ] = None
    conflict_from: Annotated[
        Path | None, "another run, whose heads were taught by the raters, to tell conflict from"
    ] = None
    members: Annotated[bool, "also what each model of the ensemble says"] = False
    device: Annotated[str, "cpu, cuda or cuda:1"] = "cpu"
    gpu: Annotated[bool, "short for --device cuda"] = False


@dataclass(frozen=True, kw_only=True)
class EvalConfig:
    """What `amber eval` is told beside the run: another cache, and how its labels are read."""

    cache: Annotated[Path, "the cache to judge the run on"] = Path("data/cache.h5")
    map: Annotated[
        Listing | None, "LABEL+LABEL=CLASS,...: the cache's labels that count as a class of the run"
    ] = None
    encoder: Annotated[
        tuple[tuple[str, str], ...], "MODALITY=NAME, where the cache holds more"
    ] = ()
    audio_encoder: Annotated[str | None, "short for --encoder audio=NAME"] = None
    text_encoder: Annotated[str | None, "short for --encoder text=NAME"] = None
    protocol: ProtocolOption = None
    keep: KeepOption = None
    raters: RatersOption = None
    choices: ChoicesOption = None
    subset: Annotated[tuple[Listing, ...], "COLUMN=VALUE,...: judge on these utterances alone"] = ()


def for_places(
    config: PredictConfig, origins: Mapping[str, int], places: Sequence[Path]
) -> PredictConfig:
    """Without a transcriber that amber.toml or the environment name, where a cache is predicted.

    They name it for `amber extract` too; a flag that has no effect is refused later.
    """
    is_cache = any(one.suffix.lower() in CACHE_SUFFIXES for one in places)
    if is_cache and origins["transcribe"] in _SHARED_LEVELS:
        return replace(config, transcribe=None)
    return config
