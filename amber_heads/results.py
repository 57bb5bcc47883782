"""Read and write what a run directory holds; a directory that stands is whole.

NaN is written as null in JSON and as an empty cell in CSV.
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
import math
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from safetensors.numpy import save

from amber_cache.errors import RunError
from amber_cache.store import read_json as read_any_json
from amber_heads.files.whole_folders import refuse_unwritable, write_folder

FORMAT, FORMAT_VERSION = "amber-run", 1

#: Utterances to a compressed chunk of predictions.
_CHUNK_ROWS = 4096


def config_hash(command: str, settings: Mapping[str, object], fingerprint: str) -> str:
    """Hash of what a run's figures follow from: settings and data, not where the data stands."""
    told = {key: value for key, value in settings.items() if key != "cache"}
    text = json.dumps([command, told, fingerprint], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def make_config(
    command: str, settings: Mapping[str, object], *, fingerprint: str, version: str
) -> dict[str, Any]:
    """What config.json holds, but for the list of the files beside it."""
    return {
        "format": FORMAT,
        "format_version": FORMAT_VERSION,
        "amber_version": version,
        "command": command,
        "hash": config_hash(command, settings, fingerprint),
        "data": fingerprint,
        "settings": dict(settings),
    }


def read_config(path: Path, *, command: str) -> dict[str, Any]:
    """A run's config.json, to run it again.

    Raises:
        RunError: It is none, or one of another command.
    """
    config = read_json(path)
    if config.get("command") != command:
        raise RunError(
            f"--config {path}: is of amber {config.get('command')}; it runs again with "
            f"`amber {config.get('command')} --config {path}`"
        )
    return config


def default_folder(config: Mapping[str, Any]) -> Path:
    """runs/<command>-<first 8 of the hash>."""
    return Path("runs") / f"{config['command']}-{config['hash'][:8]}"


def stored_summary(
    folder: Path, config: Mapping[str, Any], *, overwrite: bool
) -> dict[str, Any] | None:
    """The summary that a folder already holds for this configuration; None: it must be trained.

    Raises:
        RunError: The folder holds another configuration, a run that is not whole, or something
            that no run wrote; or it can't be made. Nothing has changed then.
    """
    if not folder.exists() or (folder.is_dir() and not any(folder.iterdir())):
        refuse_unwritable(folder)
        return None
    if not folder.is_dir() or not (folder / "config.json").is_file():
        raise RunError(f"--out {folder}: holds something that is no run directory; name another")
    there = read_json(folder / "config.json")
    if overwrite:
        _refuse_strangers(folder, there)
        refuse_unwritable(folder)
        return None
    if there.get("hash") != config["hash"]:
        raise RunError(
            f"--out {folder}: holds a run of another configuration or other data; "
            "name another folder, or give --overwrite"
        )
    for name, size in _files(there).items():
        if not (folder / name).is_file() or (folder / name).stat().st_size != size:
            raise RunError(
                f"{folder}: is not whole, its {name} is missing or cut off; --overwrite makes it "
                "anew"
            )
    return read_json(folder / "summary.json")


def read_json(path: Path) -> dict[str, Any]:
    """One of a run directory's JSON files.

    Raises:
        RunError: It is missing, cut off, or not of this format or version.
    """
    try:
        content = read_any_json(path)
    except FileNotFoundError:
        raise RunError(
            f"{path}: is missing, so that {path.parent} is no whole run directory; the command "
            "that made it makes it anew with --overwrite"
        ) from None
    except (OSError, ValueError) as error:
        raise RunError(f"{path}: is cut off or damaged: {error}") from None
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise RunError(f"{path}: is not of an amber run directory")
    version = content.get("format_version", 0)
    if not isinstance(version, int) or version > FORMAT_VERSION:
        newer = f"was written by a newer amber (format {str(version)[:40]})"
        raise RunError(f"{path}: {newer}")
    return content


def json_bytes(content: Mapping[str, object]) -> bytes:
    """A JSON file's bytes; NaN becomes null."""
    return (json.dumps(without_nan(content), indent=1) + "\n").encode()


def without_nan(value: Any) -> Any:
    """The same, with None for every number that JSON can't say."""
    if isinstance(value, Mapping):
        return {key: without_nan(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [without_nan(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def csv_bytes(rows: Sequence[Mapping[str, object]]) -> bytes:
    """A CSV file's bytes: the first row's keys as header, numbers to 10 digits."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    if rows:
        writer.writerow(rows[0])
        writer.writerows([_cell(value) for value in row.values()] for row in rows)
    return text.getvalue().encode()


@dataclass(frozen=True)
class Stacked:
    """Arrays that a dataset has side by side on its second axis, written one by one.

    So that all of them never stand in memory twice.
    """

    parts: Sequence[np.ndarray]

    @property
    def shape(self) -> tuple[int, ...]:
        """Of the dataset."""
        first, *rest = self.parts[0].shape
        return (first, len(self.parts), *rest)

    @property
    def dtype(self) -> np.dtype[Any]:
        """Likewise."""
        return self.parts[0].dtype


def predictions_bytes(
    arrays: Mapping[str, np.ndarray | Stacked], attributes: Mapping[str, Sequence[object]]
) -> bytes:
    """predictions.h5: one dataset an array (text as UTF-8), lists as attributes.

    Arrays of more than two axes are compressed, an utterance block at a time: those of validation
    parts are NaN but for a fifth. The same arrays give the same bytes.
    """
    name = f"amber-predictions-{secrets.token_hex(8)}"
    with h5py.File(name, "w", driver="core", backing_store=False) as file:
        for key, values in arrays.items():
            if isinstance(values, Stacked):
                made = file.create_dataset(key, values.shape, values.dtype, **_stored(values))
                for place, part in enumerate(values.parts):
                    made[:, place] = part
            elif values.dtype == object:
                file.create_dataset(key, data=values, dtype=h5py.string_dtype())
            else:
                file.create_dataset(key, data=values, **_stored(values))
        for key, items in attributes.items():
            file.attrs[key] = list(items)
        file.flush()
        image: bytes = file.id.get_file_image()
    return image


def _stored(values: np.ndarray | Stacked) -> dict[str, Any]:
    """How a dataset is laid out: one fold, seed and head to a chunk, of so many utterances."""
    if len(values.shape) < 3 or 0 in values.shape:
        return {}
    *leading, utterances, classes = values.shape
    chunk = (*(1 for _ in leading), min(utterances, _CHUNK_ROWS), classes)
    return {"chunks": chunk, "compression": "gzip", "compression_opts": 4, "shuffle": True}


def model_bytes(tensors: Mapping[str, np.ndarray]) -> bytes:
    """model.safetensors."""
    return bytes(save({key: np.ascontiguousarray(value) for key, value in tensors.items()}))


def write_run(folder: Path, config: Mapping[str, Any], content: Mapping[str, bytes]) -> None:
    """Write a whole run directory, in the place of one that stood there.

    Args:
        folder: Its place; a symbolic link is followed.
        config: As `make_config` gives it; config.json holds it with every other file's size.
        content: The other files' bytes by name.

    Raises:
        RunError: The disk is full or the place not writable; nothing has changed then.
    """
    sizes = {name: len(data) for name, data in content.items()}
    write_folder(folder, {"config.json": json_bytes({**config, "files": sizes}), **content})


def _files(config: Mapping[str, Any]) -> dict[str, int]:
    """Every file that a run wrote beside its config.json, and its size in bytes.

    Raises:
        RunError: A name leads out of the run directory.
    """
    files = config.get("files")
    found = dict(files) if isinstance(files, dict) else {}
    for name in found:
        if Path(name).name != name or "\0" in name:
            raise RunError(f"config.json: {name[:80]!a} is no file of a run directory")
    return found


def _refuse_strangers(folder: Path, config: Mapping[str, Any]) -> None:
    """What somebody else put into a run directory would be gone with it."""
    strangers = sorted({one.name for one in folder.iterdir()} - {"config.json", *_files(config)})
    if strangers:
        raise RunError(
            f"--out {folder}: also holds {', '.join(strangers)}, which this run did not write; "
            "move that away, or name another folder"
        )


def _cell(value: object) -> object:
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return ""
    if isinstance(value, float):
        return format(value, ".10g")
    return value
