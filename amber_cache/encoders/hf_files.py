"""Where a checkpoint's files are: a local folder, or the cache that the hub's own client keeps.

Weights are looked for as safetensors first, then as .bin. Nothing is guessed: what a folder lacks
is named in the error. transformers and the hub's client are imported only where they are needed.
"""

from __future__ import annotations

import hashlib
import json
import re
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from amber_cache.errors import EncoderError

#: The attribute of an entry that says how its weight files looked: they need not be read again
#: as long as they look so. It differs from machine to machine.
WEIGHT_FILES = "weight_files"

#: What stands beside the weights: configuration, vocabulary, how inputs are made.
CONFIG_FILES = ["*.json", "*.txt", "*.model"]

_WEIGHT_NAMES = ("model.safetensors", "pytorch_model.bin")


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint:
    """A model's files on this disk.

    Attributes:
        encoder: The hub id, or the local folder's own name.
        revision: The hub's commit; "" for a local folder.
        config: What config.json holds.
        weights: The weight files, sorted by name; all safetensors or all .bin.
    """

    encoder: str
    folder: Path
    revision: str
    config: dict[str, Any]
    weights: tuple[Path, ...]


def encoder_id(name: str) -> str:
    """A hub id as it is; a local folder's own name, so that no path gets into a cache.

    >>> encoder_id("facebook/wav2vec2-base")
    'facebook/wav2vec2-base'
    """
    folder = local_folder(name)
    return name if folder is None else folder.resolve().name


def local_folder(name: str) -> Path | None:
    """The folder that a name means; None for a hub id, and for what can't be a path.

    >>> local_folder("facebook/wav2vec2-base") is None
    True
    """
    try:
        folder = Path(name).expanduser()
        return folder if folder.is_dir() or folder.is_absolute() else None
    except (OSError, RuntimeError, ValueError):  # too long, nobody's home, a zero byte
        return None


def find_checkpoint(name: str, *, families: Sequence[str], builtin: str) -> Checkpoint:
    """Find a model in a local folder, or get it from the hub.

    Args:
        name: A local folder or a hub id; the folder wins.
        families: The values of config.json's model_type that are supported.
        builtin: The built-in encoder that an error names as the way out.

    Raises:
        EncoderError: There is no such model, the hub is out of reach, or a file is missing.
    """
    local = local_folder(name)
    is_local = local is not None and local.is_dir()
    folder = local if local is not None and is_local else _from_hub(name, builtin=builtin)
    config = read_json(folder / "config.json", encoder=name)
    family = config.get("model_type")
    if family not in families:
        raise EncoderError(
            f"encoder {name}: model_type {family!r} is not supported; use one of "
            f"{', '.join(families)}, or the built-in encoder {builtin!r}"
        )
    return Checkpoint(
        encoder=encoder_id(name),
        folder=folder,
        revision="" if is_local else folder.name,  # the hub's cache: snapshots/<commit>
        config=config,
        weights=_weight_files(folder, encoder=name),
    )


def read_config(name: str, *, builtin: str) -> dict[str, Any]:
    """What a model's config.json holds; the hub is asked only for what is not on this disk.

    Raises:
        EncoderError: There is no such model, or the file can't be read.
    """
    local = local_folder(name)
    folder = local if local is not None and local.is_dir() else None
    if folder is None and (found := local_checkpoint(name)) is not None and found[1]:
        folder = found[1][0].parent
    return read_json((folder or _from_hub(name, builtin=builtin)) / "config.json", encoder=name)


def local_checkpoint(name: str) -> tuple[str, tuple[Path, ...]] | None:
    """Revision and weight files of a model that is on this disk; None where that is not sure.

    The hub is not asked whether it has a newer revision.
    """
    folder = local_folder(name)
    try:
        if folder is not None:
            return "", _weight_files(folder, encoder=name)
        from huggingface_hub import snapshot_download

        snapshot = Path(snapshot_download(name, local_files_only=True))
        return snapshot.name, _weight_files(snapshot, encoder=name)
    except Exception:  # the full way of loading it says what is wrong
        return None


def model_files(name: str) -> tuple[Path, str, tuple[Path, ...]]:
    """Folder, revision and weight files of any model; the hub is asked for what is not here.

    Raises:
        EncoderError: There is no such model, the hub is out of reach, or a file is missing.
    """
    local = local_folder(name)
    is_local = local is not None and local.is_dir()
    if not is_local and (found := local_checkpoint(name)) is not None and found[1]:
        return found[1][0].parent, found[0], found[1]
    folder = local if local is not None and is_local else _from_hub(name)
    return folder, "" if is_local else folder.name, _weight_files(folder, encoder=name)


def file_looks(paths: Sequence[Path]) -> list[str]:
    """Name, size and time of change of files: as long as they agree, so do the bytes."""
    found = [(path.name, path.stat()) for path in paths]
    return [f"{one.st_size} {one.st_mtime_ns} {name}" for name, one in found]


def read_json(path: Path, *, encoder: str) -> dict[str, Any]:
    """Read one of a checkpoint's JSON files.

    Raises:
        EncoderError: It is missing or is not a JSON object.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise EncoderError(
            f"encoder {encoder}: its folder has no {path.name}; download the whole model"
        ) from None
    except (OSError, ValueError) as error:
        raise EncoderError(
            f"encoder {encoder}: {path.name} can't be read: {one_line(error)}"
        ) from error
    if not isinstance(content, dict):
        raise EncoderError(f"encoder {encoder}: {path.name} is not a JSON object")
    return content


@contextmanager
def quiet() -> Iterator[None]:
    """Keep the log lines and progress bars of transformers and the hub off the terminal.

    What matters of them (weights that are missing) is checked and said by amber itself.
    """
    from transformers.utils import logging

    verbosity, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    with warnings.catch_warnings():
        # Said where HF_HUB_DISABLE_PROGRESS_BARS is set, whose word then counts.
        warnings.filterwarnings("ignore", "Cannot (enable|disable) progress bars")
        logging.set_verbosity_error()
        logging.disable_progress_bar()
        try:
            yield
        finally:
            logging.set_verbosity(verbosity)
            if bars:
                logging.enable_progress_bar()


def sha256(paths: Sequence[Path]) -> str:
    """SHA-256 over the files' bytes, in the order given."""
    digest = hashlib.sha256()
    for path in paths:
        with path.open("rb") as file:
            while chunk := file.read(1 << 20):
                digest.update(chunk)
    return digest.hexdigest()


def one_line(error: Exception) -> str:
    """An exception as one short line."""
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text[:160]}" if text else type(error).__name__


def _from_hub(name: str, *, builtin: str = "") -> Path:
    way_out = "give a local folder that holds the downloaded model"
    if builtin:
        way_out += f", or use the built-in encoder {builtin!r}"
    if not re.fullmatch(r"[\w.-]+(/[\w.-]+)?", name):
        raise EncoderError(f"encoder {name}: there is no such folder; {way_out}")
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import RepositoryNotFoundError

    try:
        with quiet(), warnings.catch_warnings():
            # The client warns where it falls back to files that it already has: that is fine.
            warnings.simplefilter("ignore", UserWarning)
            wanted = [*CONFIG_FILES, "model*.safetensors"]
            folder = Path(snapshot_download(name, allow_patterns=wanted))
            if not any(folder.glob("model*.safetensors")):
                snapshot_download(name, allow_patterns=["pytorch_model*.bin"])
    except RepositoryNotFoundError as error:
        raise EncoderError(
            f"encoder {name}: the hub has no such model, or it is private; {way_out}"
        ) from error
    except Exception as error:  # the client lets through what its HTTP libraries raise
        raise EncoderError(
            f"encoder {name}: there is no such folder here, the hub can't be reached and the model "
            f"is not in its cache "
            f"({one_line(error)}); {way_out}"
        ) from error
    return folder


def _weight_files(folder: Path, *, encoder: str) -> tuple[Path, ...]:
    """The files that transformers will read: safetensors before .bin, one file before shards."""
    for name in _WEIGHT_NAMES:
        if (folder / name).is_file():
            return (folder / name,)
        index = folder / f"{name}.index.json"
        if index.is_file():
            names = set(read_json(index, encoder=encoder).get("weight_map", {}).values())
            shards = tuple(folder / shard for shard in sorted(names))
            lacking = [shard.name for shard in shards if not shard.is_file()]
            if lacking or not shards:
                raise EncoderError(
                    f"encoder {encoder}: {index.name} names weight files that are missing: "
                    f"{', '.join(lacking) or 'none named'}; download the whole model"
                )
            return shards
    raise EncoderError(
        f"encoder {encoder}: its folder has no weights ({' or '.join(_WEIGHT_NAMES)}, whole or "
        "in shards); download the whole model"
    )
