"""What a hostile file is, and what may stand in any file's place."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

#: How many levels of JSON are too many.
DEEP = 200_000


@dataclass(frozen=True)
class Hostile:
    """One trap.

    Attributes:
        kind: What it pretends to be, a key of `hostile_files.COMMANDS`.
        make: Puts it into an empty folder, or one with a sound run in it.
        ignored: It is passed over, and the command does what it would without it (exit status 0);
            all others are refused (exit status 2).
        either: Whichever of the two: no command needs what is wrong, and some look at it.
    """

    kind: str
    name: str
    make: Callable[[Path], None]
    ignored: bool = False
    either: bool = False


def _fifo(path: Path) -> None:
    path.unlink(missing_ok=True)
    os.mkfifo(path)


def _link(target: str) -> Callable[[Path], None]:
    def make(path: Path) -> None:
        path.unlink(missing_ok=True)
        path.symlink_to(target.format(name=path.name))

    return make


def _folder(path: Path) -> None:
    path.unlink(missing_ok=True)
    path.mkdir()


#: What may stand where a file is meant: it never answers, never ends, or leads nowhere.
WEIRD_FILES: dict[str, Callable[[Path], None]] = {
    "a-fifo": _fifo,
    "a-link-to-an-endless-device": _link("/dev/zero"),
    "a-link-to-itself": _link("{name}"),
    "a-link-to-nothing": _link("gone/{name}"),
    "a-folder": _folder,
}

#: JSON that is none, or more than it seems; each stands for a whole file.
BAD_JSON: dict[str, bytes] = {
    "deep-lists": b"[" * DEEP,
    "deep-and-closed": b'{"settings":' + b"[" * DEEP + b"]" * DEEP + b"}",
    "deep-objects": b'{"a":' * DEEP,
    "million-lists": b"[" + b"[]," * 5_000_000 + b"[]]",
    "long-number": b'{"format_version": ' + b"9" * 100_000 + b"}",
    "not-utf-8": b'{"format": "\xff\xfe"}',
    "utf-16": '{"format": "amber-run"}'.encode("utf-16"),
    "cut-off": b'{"format": "amber-run", "settings": {"kappa"',
    "nan": b'{"format": "amber-run", "format_version": 1, "settings": {"kappa": NaN}}',
    "infinity": b'{"format": "amber-run", "settings": {"lr": -Infinity}}',
    "twice-the-same-key": b'{"settings": {"kappa": 2, "kappa": 4}}',
    "a-list": b'["format", "amber-run"]',
    "a-number": b"1",
    "zero-bytes": bytes(1000),
    "empty": b"",
}
