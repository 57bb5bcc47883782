"""What the systems of several run directories are called, so that no two share a name.

A run is called after its loss; where several have the same, what differs in their settings is
added ("amber2 kappa=8"), and where that is nothing or too much, the folder's name.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from amber_heads.reading.stored import StoredRun

#: What a run's figures do not follow from, or what all runs of one report share.
_SILENT = {"cache", "seeds", "device", "gpu", "loss", "epochs_done", "select_by", "grid"}

#: A name with more differences than these is no name.
_MOST_DIFFERENCES = 3


def split_head(label: str, *, is_comparison: bool) -> tuple[str, str]:
    """A stored head's system and head: "late average/" has no head, "fusion" no system.

    >>> split_head("amber2/fusion", is_comparison=True), split_head("fusion", is_comparison=False)
    (('amber2', 'fusion'), ('', 'fusion'))
    """
    if not is_comparison:
        return "", label
    system, _, head = label.rpartition("/")
    return (system, head) if system else (head, "")


def name_runs(runs: Sequence[StoredRun], names: Mapping[Path, str]) -> dict[Path, str]:
    """A name for each run of one system, unique among them; given names first."""
    losses = {run.path: _loss(run) for run in runs}
    named = {}
    for run in runs:
        alike = [one for one in runs if losses[one.path] == losses[run.path]]
        named[run.path] = names.get(run.path) or _told_apart(run, alike, losses[run.path])
    counts = Counter(named.values())
    return {
        path: name if counts[name] == 1 else f"{name} ({path.name})" for path, name in named.items()
    }


def _loss(run: StoredRun) -> str:
    settings = (run.summary.get("selected") or {}).get("settings") or [{}]
    losses = dict.fromkeys(str(one.get("loss") or "") for one in settings)
    return " or ".join(one for one in losses if one) or run.path.name


def _told_apart(run: StoredRun, alike: Sequence[StoredRun], loss: str) -> str:
    """The loss and what sets this run apart from the others with it."""
    if len(alike) == 1:
        return loss
    commands = {str(one.config.get("command")) for one in alike}
    words = [str(run.config.get("command"))] if len(commands) > 1 else []
    if run.config.get("command") != "grid" or len(commands) == 1:
        words += _differences(run, [one for one in alike if _command(one) == _command(run)])
    if len(words) > _MOST_DIFFERENCES:
        words = [run.path.name]
    return " ".join([loss, *words])


def _differences(run: StoredRun, others: Sequence[StoredRun]) -> list[str]:
    own = _flat(run.config.get("settings", {}))
    told = [_flat(one.config.get("settings", {})) for one in others]
    return [
        f"{key.replace('_', '-')}={value}"
        for key, value in own.items()
        if value not in (None, "") and any(one.get(key) != value for one in told)
    ]


def _flat(settings: Mapping[str, Any]) -> dict[str, str | None]:
    flat: dict[str, str | None] = {}
    for key, value in settings.items():
        if isinstance(value, Mapping):
            flat |= {
                f"{inner}" if key == "encoder" else f"{key} {inner}": str(one)
                for inner, one in value.items()
            }
        elif key not in _SILENT:
            flat[key] = None if value is None else _plain(value)
    return flat


def _plain(value: object) -> str:
    if isinstance(value, list):
        return "+".join(map(str, value))
    return format(value, "g") if isinstance(value, float) else str(value)


def _command(run: StoredRun) -> str:
    return str(run.config.get("command"))
