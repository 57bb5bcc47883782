"""What can be told to those who use a trained run: `amber predict` and `amber eval`.

Nothing here imports torch.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from amber_cache.records import Listing
from amber_heads.configuration.options import (
    ChoicesOption,
    KeepOption,
    ProtocolOption,
    RatersOption,
)


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
