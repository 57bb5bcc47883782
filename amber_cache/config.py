"""Flags, environment, files and defaults become one frozen, typed configuration.

A configuration is a frozen dataclass whose fields are `Annotated[type, "help"]`; the command line,
the `AMBER_*` variables and amber.toml are all read by those types and with the same words
(`lambda_mai` is `--lambda-mai`, `AMBER_LAMBDA_MAI` and `lambda-mai` in the file).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from amber_cache.configuration.settings import Setting, settings_of
from amber_cache.configuration.sources import Origin, refuse_unknown_keys, resolve
from amber_cache.configuration.types import (
    ALL_LAYERS,
    EncoderName,
    Encoders,
    Layer,
    Layers,
    Listings,
    Pairs,
)
from amber_cache.configuration.values import coerce
from amber_cache.errors import ConfigError

__all__ = [
    "ALL_LAYERS",
    "CORPUS_HELP",
    "EncoderName",
    "Encoders",
    "ExtractConfig",
    "ImportConfig",
    "Layer",
    "Layers",
    "Listings",
    "Origin",
    "Pairs",
    "ROOT_HELP",
    "Setting",
    "coerce",
    "refuse_mixture",
    "refuse_unknown_keys",
    "resolve",
    "settings_of",
    "with_shards_cache",
]

CORPUS_HELP = (
    "which reader: demo, manifest, iemocap, msp-podcast, crema-d, audformat or audformat:LABELS"
)
ROOT_HELP = (
    "where the corpus stands (manifest: its .csv, .jsonl or .parquet; audformat: its folder)"
)


@dataclass(frozen=True, kw_only=True)
class ExtractConfig:
    """What `amber extract` does: which corpus, through which encoders, into which cache."""

    corpus: Annotated[str, CORPUS_HELP] = "demo"
    root: Annotated[Path | None, ROOT_HELP] = None
    votes_file: Annotated[Path | None, "the votes, where they are not beside the manifest"] = None
    cache: Annotated[Path, "the cache to write or to add to"] = Path("data/cache.h5")
    encoder: Annotated[
        Encoders, "a hub id, a local folder, mel or hash; repeatable, for one modality too"
    ] = ()
    audio_encoder: Annotated[str | None, "short for --encoder audio=NAME"] = None
    text_encoder: Annotated[str | None, "short for --encoder text=NAME"] = None
    transcribe: Annotated[
        str | None,
        "a speech-recognition model (a folder or a hub id): text encoders get its transcripts too",
    ] = None
    layer: Annotated[
        Layers, "which layer's output: -1 the last, 0 the input embedding; a list 0,6,12, or all"
    ] = (Layer(-1),)
    pooling: Annotated[Literal["mean", "mean-std", "first"], "frames to one vector"] = "mean"
    precision: Annotated[
        Literal["float32", "bfloat16", "float16", "tf32"], "arithmetic of the encoder"
    ] = "float32"
    check: Annotated[
        int, "utterances that are computed again at the end, alone and in float32; 0 for none"
    ] = 4
    device: Annotated[str, "cpu, cuda or cuda:1"] = "cpu"
    gpu: Annotated[bool, "short for --device cuda"] = False
    decoders: Annotated[
        int | None,
        "threads that decode ahead of the encoder [default: 2; for a GPU one a core, up to 8]",
    ] = None
    shard: Annotated[str | None, "K/N: only that part of all batches; amber merge joins them"] = (
        None
    )


@dataclass(frozen=True, kw_only=True)
class ImportConfig:
    """What `amber import` does: which features of which corpus, into which cache."""

    corpus: Annotated[str, CORPUS_HELP] = "manifest"
    root: Annotated[Path | None, ROOT_HELP] = None
    votes_file: Annotated[Path | None, "the votes, where they are not beside the manifest"] = None
    cache: Annotated[Path, "the cache to write or to add to"] = Path("data/cache.h5")
    features: Annotated[Pairs, "MODALITY=PATH: .npz, .npy, .csv or .parquet; repeatable"] = ()
    encoder: Annotated[Pairs, "MODALITY=NAME: what made them [default: the file's name]"] = ()


def with_shards_cache(config: ExtractConfig, *, is_cache_given: bool) -> ExtractConfig:
    """Give a shard a cache of its own, unless the user has named one for it.

    >>> config = ExtractConfig(shard="0/4")
    >>> with_shards_cache(config, is_cache_given=False).cache.as_posix()
    'data/cache.shard-0-of-4.h5'
    """
    if config.shard is None or is_cache_given:
        return config
    place, _, number = config.shard.partition("/")
    name = f"{config.cache.stem}.shard-{place}-of-{number}{config.cache.suffix}"
    return dataclasses.replace(config, cache=config.cache.parent / name)


def refuse_mixture(of_run: Mapping[str, object], of_cache: Mapping[str, object]) -> None:
    """Refuse what `amber export` can't do: a run and a cache at once, or neither whole.

    Args:
        of_run: RUN, and where it goes, by option; None where not given.
        of_cache: --cache, --out, and how it is shared.

    Raises:
        ConfigError: As said.
    """
    runs, caches = (
        [name for name, one in some.items() if one is not None] for some in (of_run, of_cache)
    )
    if runs and caches:
        raise ConfigError(f"{caches[0]} has no effect with {runs[0]}; export one at a time")
    if caches and not {"--cache", "--out"} <= set(caches):
        raise ConfigError("a cache is shared with --cache CACHE --out FILE")
    if not caches and ("RUN" not in runs or len(runs) < 2):
        raise ConfigError(
            "nothing is asked for; give RUN --onnx FILE, RUN --hub FOLDER, or --cache CACHE --out "
            "FILE"
        )
