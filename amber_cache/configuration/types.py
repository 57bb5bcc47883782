"""What a setting may be besides text, numbers, paths and switches."""

from __future__ import annotations

from typing import NewType

from amber_cache.records import Listing

#: `modality=name` pairs, as `--encoder` takes them.
Pairs = tuple[tuple[str, str], ...]

#: An encoder, as the user names it: a hub id, a local folder, or a built-in name.
EncoderName = NewType("EncoderName", str)

#: `modality=encoder` pairs of which one modality may have several.
Encoders = tuple[tuple[str, EncoderName], ...]

#: The number of a layer; -1 is the last.
Layer = NewType("Layer", int)

#: Layers as `--layer` takes them: "6", "0,6,12"; none stands for all of them.
Layers = tuple[Layer, ...]

ALL_LAYERS: Layers = ()

#: Texts that may hold commas themselves, as `--subset` takes them.
Listings = tuple[Listing, ...]
