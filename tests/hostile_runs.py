"""Run directories, configurations and kept chunks that nobody should open without care."""

from __future__ import annotations

import json
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from safetensors.numpy import load_file, save_file

from tests.hostile_kinds import BAD_JSON, DEEP, WEIRD_FILES, Hostile

#: What is told wrongly in a run's files: a path of keys, and a value.
Lie = tuple[tuple[str | int, ...], Any]

_SETTINGS: dict[str, Lie] = {
    "settings-a-list": (("settings",), [1, 2]),
    "settings-a-text": (("settings",), "kappa=4"),
    "huge-epochs": (("settings", "epochs"), 1e999),
    "huge-kappa": (("settings", "kappa"), 10**4000),
    "huge-fold-seed": (("settings", "fold_seed"), -(10**4000)),
    "huge-hidden": (("settings", "hidden"), 10**15),
    "huge-batches": (("settings", "batch_size"), -(10**30)),
    "huge-folds": (("settings", "num_folds"), 10**12),
    "many-seeds": (("settings", "seeds"), str(10**12)),
    "seeds-an-object": (("settings", "seeds"), {"a": 1}),
    "classes-in-classes": (("settings", "classes"), [[[["neutral"]]]]),
    "kappa-an-object": (("settings", "kappa"), {"x": [1]}),
    "encoder-of-lists": (("settings", "encoder"), {"audio": [["mel"]]}),
    "encoder-a-path": (("settings", "encoder"), {"audio": "../../../../etc/passwd"}),
    "encoder-with-zero-bytes": (("settings", "encoder"), {"audio": "mel\0"}),
    "modalities-of-numbers": (("settings", "modalities"), [1, 2]),
    "modalities-that-climb": (("settings", "modalities"), ["../audio"]),
    "another-command": (("command",), ["fit"]),
    "device-a-path": (("settings", "device"), "/dev/zero"),
    "loss-a-number": (("settings", "loss"), 3),
    "subset-of-objects": (("settings", "subset"), [{"speaker": {}}]),
}

_CONFIG: dict[str, Lie] = {
    "files-that-climb": (("files",), {"../../../etc/passwd": 1}),
    "files-from-the-root": (("files",), {"/etc/passwd": 1}),
    "files-with-zero-bytes": (("files",), {"a\0b": 1}),
    "files-of-wrong-size": (("files", "summary.json"), 10**30),
    "files-that-name-themselves": (("files", "config.json"), 1),
    "version-a-list": (("format_version",), [1]),
    "version-of-the-far-future": (("format_version",), 10**1000),
    "another-format": (("format",), {"amber-run": 1}),
    "another-hash": (("hash",), ["x"] * 1000),
}

_SUMMARY: dict[str, Lie] = {
    "no-heads": (("selected", "heads"), {}),
    "heads-of-numbers": (("selected", "heads"), [1, 2, 3]),
    "test-sets-that-climb": (("test_sets",), ["../../../etc"]),
    "test-sets-of-lists": (("test_sets",), [["test"]]),
    "floors-a-text": (("floors",), "training mean"),
    "no-selection": (("selected",), None),
    "encoders-a-number": (("encoders",), 3),
}

_MODEL: dict[str, Lie] = {
    "hidden-of-terabytes": (("settings", 0, "hidden"), 10**15),
    "hidden-negative": (("settings", 0, "hidden"), -4),
    "hidden-a-text": (("settings", 0, "hidden"), "4"),
    "dimension-of-terabytes": (("modalities", 0, "dimension"), 10**12),
    "dimension-zero": (("modalities", 0, "dimension"), 0),
    "modality-that-climbs": (("modalities", 0, "name"), "../../audio"),
    "modality-twice": (("modalities", 1, "name"), "audio"),
    "modality-named-fusion": (("modalities", 0, "name"), "fusion"),
    "no-modality": (("modalities",), []),
    "modalities-of-text": (("modalities",), ["audio", "text"]),
    "one-class": (("classes",), ["neutral"]),
    "million-classes": (("classes",), ["x"] * 1_000_000),
    "classes-of-numbers": (("classes",), [1, 2, 3, 4]),
    "seeds-negative": (("seeds",), [-1, 0]),
    "seeds-twice": (("seeds",), [0, 0]),
    "seeds-huge": (("seeds",), [10**4000, 1]),
    "folds-without-settings": (("settings",), []),
    "more-folds": (("folds",), ["x"] * 5000),
    "other-heads": (("heads",), ["a", "b", "c"]),
}


def hostile_runs() -> list[Hostile]:
    """Every run directory, configuration, kept chunk and predictions.h5."""
    return [*_configs(), *_run_files(), *_weights(), *_kept(), *_predictions()]


def _configs() -> list[Hostile]:
    bad = {f"json-{name}": _whole("config.json", data) for name, data in BAD_JSON.items()}
    weird = {name: _weird("config.json", make) for name, make in WEIRD_FILES.items()}
    lies = {n: _lie("run/config.json", lie, out="config.json") for n, lie in _SETTINGS.items()}
    made = {**bad, **weird, **lies}
    told = {name: _lie("run/config.json", lie) for name, lie in _SETTINGS.items()}
    return [
        *(Hostile("setting", f"setting-{name}", make) for name, make in made.items()),
        *(Hostile("told", f"told-{name}", make, either=True) for name, make in told.items()),
    ]


def _run_files() -> list[Hostile]:
    found = []
    for file, lies in (("config", _CONFIG), ("summary", _SUMMARY), ("model", _MODEL)):
        path = f"run/{file}.json"
        made = {f"{file}-json-{name}": _whole(path, data) for name, data in BAD_JSON.items()}
        made |= {f"{file}-{name}": _weird(path, make) for name, make in WEIRD_FILES.items()}
        found += [Hostile(file, name, make) for name, make in made.items()]
        told = {f"{file}-{name}": _lie(path, lie) for name, lie in lies.items()}
        kind = "listing" if file == "config" else file  # weights do not depend on the listing
        found += [Hostile(kind, name, make) for name, make in told.items()]
    return found


def _weights() -> list[Hostile]:
    path = "run/model.safetensors"
    made = {f"weights-{name}": _weird(path, make) for name, make in WEIRD_FILES.items()}
    made |= {f"weights-{name}": _rewritten(path, make) for name, make in _BAD_WEIGHTS.items()}
    made |= {f"weights-{name}": _tensors(path, make) for name, make in _BAD_TENSORS.items()}
    return [Hostile("model", name, make) for name, make in made.items()]


def _kept() -> list[Hostile]:
    made: dict[str, Callable[[Path], None]] = {}
    for name in _KEPT_TOO:
        made[f"kept-{name}"] = _rewritten("kept", _BAD_WEIGHTS[name])
    for name, change in _BAD_TENSORS.items():
        made[f"kept-{name}"] = _tensors("kept", change)
    for name in ("a-fifo", "a-link-to-an-endless-device", "a-folder"):
        made[f"kept-{name}"] = _weird("kept", WEIRD_FILES[name])
    for name, runs in {
        "runs-deep": "[" * DEEP,
        "runs-of-lists": "[[1]]",
        "runs-an-object": "{}",
        "runs-missing": '["0123456789abcdef"]',
    }.items():
        made[f"kept-{name}"] = _described(runs)
    return [Hostile("kept", name, make, ignored=True) for name, make in made.items()]


def _predictions() -> list[Hostile]:
    path = "run/predictions.h5"
    made: dict[str, Callable[[Path], None]] = {
        f"predictions-{name}": _weird(path, make) for name, make in WEIRD_FILES.items()
    }
    seen = {f"seen-{name}": _weird(path, make) for name, make in WEIRD_FILES.items()}
    del seen["seen-a-folder"]
    changes: dict[str, Callable[[h5py.File], object]] = {
        "elsewhere": lambda file: file.__setitem__("test", h5py.ExternalLink("/etc/passwd", "/x")),
        "of-terabytes": lambda file: file.create_dataset("test", (1 << 20,) * 4, "f4"),
        "of-text": lambda file: file.create_dataset("test", data=["a", "b"]),
        "of-two-axes": lambda file: file.create_dataset("test", data=np.ones((2, 2))),
        "missing": lambda file: None,
    }
    for name, change in changes.items():
        made[f"predictions-{name}"] = _replaced("test", change)
    made["predictions-of-endless-folds"] = _replaced("fold", _endless_folds)
    for name, change in _BAD_IDS.items():
        seen[f"seen-{name}"] = _replaced("id", change)
    seen["seen-validation-of-terabytes"] = _replaced("validation", _huge_in_an_older_file)
    seen["seen-training-of-terabytes"] = _replaced("training", _huge_training)
    return [
        *(Hostile("predictions", name, make) for name, make in made.items()),
        *(Hostile("seen", name, make) for name, make in seen.items()),
    ]


def _endless_folds(file: h5py.File) -> None:
    file.create_dataset("fold", data=np.full(24, 1 << 40))


def _huge_training(file: h5py.File) -> None:
    file.create_dataset("training", (3, 1 << 42), "?", chunks=(1, 1 << 20))


def _huge_in_an_older_file(file: h5py.File) -> None:
    del file["training"]  # only without it is the validation part looked at
    file.create_dataset("validation", (3, 2, 3, 1 << 40, 4), "f4", chunks=(1, 1, 1, 1 << 20, 4))


_BAD_IDS: dict[str, Callable[[h5py.File], object]] = {
    "ids-elsewhere": lambda file: file.__setitem__("id", h5py.ExternalLink("/etc/passwd", "/x")),
    "ids-by-a-link": lambda file: file.__setitem__("id", h5py.SoftLink("/speaker")),
    "ids-of-numbers": lambda file: file.create_dataset("id", data=np.arange(24)),
    "ids-of-gigabytes": lambda file: file.create_dataset("id", (1 << 34,), "S64"),
    "ids-of-two-axes": lambda file: file.create_dataset("id", data=[[b"a"], [b"b"]]),
    "ids-not-utf-8": lambda file: file.create_dataset("id", data=np.array([b"\xff"] * 24)),
    "ids-missing": lambda file: None,
}


def _header(content: object, size: int = 64) -> bytes:
    text = content if isinstance(content, bytes) else json.dumps(content).encode()
    return struct.pack("<Q", len(text)) + text + bytes(size)


def _one(shape: list[int], offsets: list[int], kind: str = "F32") -> dict[str, object]:
    return {"dtype": kind, "shape": shape, "data_offsets": offsets}


_BAD_WEIGHTS: dict[str, Callable[[bytes], bytes]] = {
    "header-longer-than-all": lambda data: struct.pack("<Q", 1 << 62) + data[8:],
    "header-of-a-gigabyte": lambda data: struct.pack("<Q", 1 << 30) + data[8:],
    "header-negative": lambda data: b"\xff" * 8 + data[8:],
    "header-deep": lambda data: _header(b"[" * DEEP),
    "header-a-list": lambda data: _header([1, 2, 3]),
    "header-of-noise": lambda data: _header(b"\xff" * 100),
    "header-same-key-twice": lambda data: _header(
        b'{"a":{"dtype":"F32","shape":[16],"data_offsets":[0,64]},'
        b'"a":{"dtype":"F32","shape":[16],"data_offsets":[0,64]}}'
    ),
    "offsets-that-overlap": lambda data: _header(
        {"a": _one([16], [0, 64]), "b": _one([8], [0, 32])}
    ),
    "offsets-with-holes": lambda data: _header({"a": _one([4], [48, 64])}),
    "offsets-behind-the-end": lambda data: _header({"a": _one([1 << 40], [0, 1 << 42])}),
    "offsets-negative": lambda data: _header({"a": _one([16], [-64, 0])}),
    "offsets-backwards": lambda data: _header({"a": _one([16], [64, 0])}),
    "shape-that-overflows": lambda data: _header({"a": _one([1 << 62, 1 << 62, 4], [0, 64])}),
    "shape-negative": lambda data: _header({"a": _one([-4, -4], [0, 64])}),
    "shape-other-than-data": lambda data: _header({"a": _one([17], [0, 64])}),
    "kind-unknown": lambda data: _header({"a": _one([16], [0, 64], "PICKLE")}),
    "cut-off": lambda data: data[: len(data) // 2],
    "empty": lambda data: b"",
    "four-bytes": lambda data: b"\x08\0\0\0",
    "a-pickle": lambda data: b"\x80\x04cos\nsystem\n(S'true'\ntR.",
}

#: Those that also stand in for what is kept of training; every one of them trains again.
_KEPT_TOO = ("header-longer-than-all", "header-deep", "offsets-that-overlap", "cut-off", "empty")

Tensors = dict[str, np.ndarray]

_BAD_TENSORS: dict[str, Callable[[Tensors], Tensors]] = {
    "nothing": lambda tensors: {"a": np.zeros(1)},
    "one-missing": lambda tensors: dict(list(tensors.items())[1:]),
    "of-whole-numbers": lambda tensors: {k: np.zeros(v.shape, np.int8) for k, v in tensors.items()},
    "of-half-precision": lambda tensors: {k: v.astype(np.float16) for k, v in tensors.items()},
    "flat": lambda tensors: {k: v.reshape(-1, 1, 1, 1) for k, v in tensors.items()},
}


def _place(folder: Path, path: str) -> Path:
    """A file of the folder; "kept" is the one file of finished runs."""
    if path != "kept":
        return folder / path
    return next((folder / ".trained").glob("*/*.safetensors"))


def _whole(path: str, data: bytes) -> Callable[[Path], None]:
    def make(folder: Path) -> None:
        (folder / path).write_bytes(data)

    return make


def _weird(path: str, make: Callable[[Path], None]) -> Callable[[Path], None]:
    return lambda folder: make(_place(folder, path))


def _lie(path: str, lie: Lie, *, out: str | None = None) -> Callable[[Path], None]:
    def make(folder: Path) -> None:
        content = json.loads((folder / path).read_text(encoding="utf-8"))
        *keys, last = lie[0]
        inner = content
        for key in keys:
            inner = inner[key]
        inner[last] = lie[1]
        (folder / (out or path)).write_text(_dumped(content), encoding="utf-8")

    return make


def _dumped(content: object) -> str:
    """As JSON; whole numbers of any length, and 1e999 for infinity."""
    return json.dumps(content).replace("Infinity", "1e999")


def _rewritten(path: str, change: Callable[[bytes], bytes]) -> Callable[[Path], None]:
    def make(folder: Path) -> None:
        place = _place(folder, path)
        place.write_bytes(change(place.read_bytes()))

    return make


def _tensors(path: str, change: Callable[[Tensors], Tensors]) -> Callable[[Path], None]:
    def make(folder: Path) -> None:
        place = _place(folder, path)
        _save(place, change(load_file(place)))

    return make


def _save(place: Path, tensors: Tensors) -> None:
    """With the metadata that was there."""
    data = place.read_bytes()
    header = json.loads(data[8 : 8 + struct.unpack("<Q", data[:8])[0]])
    save_file(tensors, place, metadata=header.get("__metadata__"))


def _described(runs: str) -> Callable[[Path], None]:
    def make(folder: Path) -> None:
        place = _place(folder, "kept")
        metadata = {"format": "amber-trained-1", "runs": runs, "parameters": "True"}
        save_file(load_file(place), place, metadata=metadata)

    return make


def _replaced(name: str, change: Callable[[h5py.File], object]) -> Callable[[Path], None]:
    """One dataset of predictions.h5, in another's place."""

    def make(folder: Path) -> None:
        with h5py.File(folder / "run" / "predictions.h5", "a") as file:
            del file[name]
            change(file)

    return make
