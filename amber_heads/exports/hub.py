"""A run's models as a folder for a model hub: weights, what is needed to use them, a model card.

The folder is read by `load_run` like a run directory. It holds no ids, transcripts, paths, and no
names of speakers, sessions or dialogues: folds are numbered, and what an entry says of itself is
kept by a list of what may be said.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from amber_cache.errors import RunError
from amber_cache.store import PUBLIC_ENTRY_ATTRIBUTES, read_bounded, without_folders
from amber_heads import results as files
from amber_heads.exports.model_card import model_card
from amber_heads.using.loaded import InputEntry, LoadedRun, load_run

#: What a hub folder's config.json says it is.
KIND = "hub"

#: Settings that name a place, or values that may be names.
_PRIVATE = ("cache", "subset", "device", "gpu")

_MOST_WEIGHT_BYTES = 1 << 36


@dataclass(frozen=True, kw_only=True)
class HubReport:
    """What was written.

    Attributes:
        stored: It stood there already.
    """

    folder: Path
    files: Mapping[str, int]
    stored: bool = False
    notes: tuple[str, ...] = ()

    @property
    def last_line(self) -> str:
        """What is there, in a line."""
        done = "holds this already" if self.stored else "written"
        size = sum(self.files.values()) / 1e6
        return f"{self.folder}: {done}: {', '.join(sorted(self.files))} ({size:.1f} MB)"


def export_hub(folder: str | Path, out: Path, *, overwrite: bool = False) -> HubReport:
    """Write a run directory's models to a folder for a model hub.

    Raises:
        RunError: The run can't be read; the folder holds something else, or can't be written.
    """
    folder = Path(folder)
    run = load_run(folder)
    summary = files.read_json(folder / "summary.json")
    settings = run.config.get("settings")
    content = {
        "model.json": files.json_bytes(_model(run)),
        "model.safetensors": _weights(folder / "model.safetensors"),
        "README.md": _card(folder, run, summary, settings if isinstance(settings, dict) else {}),
    }
    config = hub_config(run.config)
    sizes = {name: len(data) for name, data in content.items()}
    whole = {"config.json": files.json_bytes({**config, "files": sizes}), **content}
    found = {name: len(data) for name, data in whole.items()}
    if _stands(out, whole, overwrite=overwrite):
        return HubReport(folder=out, files=found, stored=True)
    files.write_run(out, config, content)
    return HubReport(folder=out, files=found)


def hub_config(config: Mapping[str, Any]) -> dict[str, Any]:
    """A run's config.json without places and names."""
    settings = config.get("settings")
    told = {
        key: value
        for key, value in (settings if isinstance(settings, dict) else {}).items()
        if key not in _PRIVATE
    }
    if isinstance(told.get("encoder"), dict):
        told["encoder"] = {key: without_folders(str(one)) for key, one in told["encoder"].items()}
    kept = ("format", "format_version", "amber_version", "command", "hash", "data")
    return {key: config[key] for key in kept if key in config} | {
        "exported": KIND,
        "library_name": "amber-ser",
        "settings": told,
    }


def _model(run: LoadedRun) -> dict[str, Any]:
    """What model.json holds, with folds by number and entries by what may be said of them."""
    each = [[_entry(one) for one in fold] for fold in run.modalities]
    same = all(one == each[0] for one in each)
    return {
        "format": files.FORMAT,
        "format_version": files.FORMAT_VERSION,
        "classes": list(run.classes),
        "heads": list(run.heads),
        "seeds": list(run.seeds),
        "folds": [str(number + 1) for number in range(len(run.folds))],
        "settings": [dict(one) for one in run.settings],
        "modalities": each[0] if same else each,
    }


def _entry(entry: InputEntry) -> dict[str, Any]:
    told = {key: entry.attrs[key] for key in PUBLIC_ENTRY_ATTRIBUTES if key in entry.attrs}
    if "encoder" in told:
        told["encoder"] = without_folders(str(told["encoder"]))
    layers = [without_folders(one) for one in entry.layers]
    summed = {"layers": layers, "scale": entry.scale} if layers else {}
    return {
        "name": entry.modality,
        "dimension": entry.dimension,
        "entry": without_folders(entry.entry),
        **told,
        **summed,
    }


def _card(
    folder: Path, run: LoadedRun, summary: Mapping[str, Any], settings: Mapping[str, Any]
) -> bytes:
    try:
        card = model_card(
            summary,
            settings,
            tuple(run.inputs.values()),
            supervised=run.supervised,
            num_models=len(run.members),
        )
    except (KeyError, TypeError, ValueError, AttributeError, IndexError) as error:
        raise RunError(
            f"{folder}/summary.json: no model card can be made of it ({error!r})"
        ) from None
    return card.encode()


def _weights(path: Path) -> bytes:
    try:
        return read_bounded(path, most_bytes=_MOST_WEIGHT_BYTES)
    except (OSError, ValueError) as error:
        raise RunError(f"{path}: can't be read: {error}") from None


def _stands(folder: Path, content: Mapping[str, bytes], *, overwrite: bool) -> bool:
    """Whether the folder holds exactly this; True only where there is nothing to write.

    Raises:
        RunError: It holds something that no export wrote, or another export.
    """
    if not folder.exists() or (folder.is_dir() and not any(folder.iterdir())):
        return False
    if not folder.is_dir() or not (folder / "config.json").is_file():
        raise RunError(f"--hub {folder}: holds something that no export wrote; name another")
    there = files.read_json(folder / "config.json")
    if there.get("exported") != KIND:
        raise RunError(f"--hub {folder}: is a run directory, not an export; name another folder")
    strangers = sorted({one.name for one in folder.iterdir()} - set(content))
    if strangers:
        raise RunError(
            f"--hub {folder}: also holds {', '.join(strangers)}, which no export wrote; move that "
            "away, or name another folder"
        )
    same = all(
        (folder / name).is_file()
        and (folder / name).stat().st_size == len(data)
        and (folder / name).read_bytes() == data
        for name, data in content.items()
    )
    if not same and not overwrite:
        raise RunError(f"--hub {folder}: holds another export; --overwrite replaces it")
    return same
