"""Which speech-recognition model a name means, known by the hash of its weights.

Nothing is loaded here, and torch is not imported. Whether it is a model that transcribes is found
out when it is loaded (transcribe.py).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from amber_cache.encoders.hf_files import (
    CONFIG_FILES,
    WEIGHT_FILES,
    encoder_id,
    file_looks,
    model_files,
    sha256,
)
from amber_cache.encoders.names import is_builtin
from amber_cache.entry_names import ASR
from amber_cache.errors import ConfigError, EncoderError

_WAY_OUT = "name a local folder or a hub id of a speech-recognition model, with its processor"


@dataclass(frozen=True, slots=True, kw_only=True)
class AsrModel:
    """A speech-recognition model's files on this disk.

    Attributes:
        model: As the user names it.
        id: A hub id, or the local folder's own name.
        revision: The hub's commit; "" for a local folder.
        settings_sha256: Of what stands beside the weights in a local folder: vocabulary, features,
            how text is generated; "" for the hub's, which its commit tells.
        looks: Of the weight files.
    """

    model: str
    id: str
    folder: Path
    revision: str
    weights_sha256: str
    settings_sha256: str
    looks: tuple[str, ...]

    @property
    def name(self) -> str:
        """As a cache names it."""
        return self.id.replace("/", "--")

    @property
    def attrs(self) -> dict[str, Any]:
        """What a cache says of it beside its transcripts."""
        return {
            "model": self.id,
            "revision": self.revision,
            "weights_sha256": self.weights_sha256,
            "settings_sha256": self.settings_sha256,
            WEIGHT_FILES: list(self.looks),
        }

    @property
    def entry_attrs(self) -> dict[str, Any]:
        """What a cache says of it beside the vectors of its transcripts."""
        return {
            "transcriber": self.id,
            "transcriber_revision": self.revision,
            "transcriber_sha256": self.weights_sha256,
            "transcriber_settings_sha256": self.settings_sha256,
        }


def find_asr_model(model: str, *, known: Mapping[str, Mapping[str, Any]] | None = None) -> AsrModel:
    """Find a model in a local folder, or get it from the hub.

    Args:
        model: A local folder or a hub id; the folder wins.
        known: By a model's name, what a cache says of its transcripts: weights that look as they
            did then are not hashed again.

    Raises:
        ConfigError: There is no name, or it is an encoder's, or can't name an entry of a cache.
        EncoderError: There is no such model, or the hub is out of reach.
    """
    if not model.strip():  # as a path it would be the folder where one stands
        raise ConfigError(f"--transcribe {model!a}: names nothing; {_WAY_OUT}, or leave it out")
    name = encoder_id(model).replace("/", "--")
    if is_builtin(model):
        raise ConfigError(
            f"--transcribe {model}: is an encoder and transcribes nothing; {_WAY_OUT}"
        )
    if not name.isprintable() or name.strip(".@") != name or not name or ASR in name:
        raise ConfigError(
            f"--transcribe {model}: {name!a} can't name an entry of a cache; give the folder a "
            f"name without {ASR}, and without . or @ at its ends"
        )
    try:
        folder, revision, files = model_files(model)
    except EncoderError as error:
        raise cant_be_loaded(model, str(error).removeprefix(f"encoder {model}: ")) from error
    looks = file_looks(files)
    attrs = (known or {}).get(name, {})
    is_known = attrs.get(WEIGHT_FILES) == looks and "weights_sha256" in attrs
    return AsrModel(
        model=model,
        id=encoder_id(model),
        folder=folder,
        revision=revision,
        weights_sha256=str(attrs["weights_sha256"]) if is_known else _hashed(files, tuple(looks)),
        settings_sha256="" if revision else _settings_sha256(folder),
        looks=tuple(looks),
    )


def _settings_sha256(folder: Path) -> str:
    """SHA-256 over the small files beside the weights, each with its name."""
    found = {path.name: path for one in CONFIG_FILES for path in folder.glob(one)}
    listing = [[name, sha256([path])] for name, path in sorted(found.items()) if path.is_file()]
    return hashlib.sha256(json.dumps(listing).encode()).hexdigest()


@lru_cache(maxsize=16)
def _hashed(files: tuple[Path, ...], looks: tuple[str, ...]) -> str:
    """SHA-256 over weight files, worked out once as long as they look the same."""
    return sha256(files)


def cant_be_loaded(model: str, reason: str) -> EncoderError:
    """What is raised where a model can't be used, with the way out."""
    return EncoderError(f"--transcribe {model}: can't be loaded: {reason}; {_WAY_OUT}")
