"""What all tables of results say alike: figures, names of metrics, headings, notes on the data.

A figure is mean +- standard deviation over seeds, to three places.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from amber_heads.counting import counted
from amber_heads.leakage_words import leakage_name
from amber_heads.metrics import HEADLINE, METRICS

#: What the main tables show: the paper's six, and what its F1 column probably is.
SHOWN = (*HEADLINE, "f1_multilabel")

#: How tables call a setting whose name they don't show as it is.
AXIS_NAMES = {"lambda_mai": "lambda_MAI", "lambda_rai": "lambda_RAI", "expert_loss": "expert loss"}

F1_NOTE = "f1_multilabel is probably what the paper's F1 column holds."

_NAMES = {"js": "JS", "bc": "BC", "r2": "R2", "f1": "F1", "wf1": "W-F1", "acc": "ACC"}
_ARROWS = {"min": " ↓", "max": " ↑", "": ""}


def figure(mean: float | None, std: float | None) -> str:
    """Mean and standard deviation to three places; a dash where there is no figure."""
    if mean is None or mean != mean:
        return "-"
    return f"{mean:.3f}" if std is None or std != std else f"{mean:.3f} ± {std:.3f}"


def heading_mark(corpus: str) -> str:
    """What every table of the demo corpus is headed; nothing for any other."""
    return "SYNTHETIC DEMO: " if corpus == "demo" else ""


def column_names(names: Sequence[str]) -> list[str]:
    """Metrics as columns are headed, with an arrow that says which way is better."""
    return [_NAMES.get(name, name) + _ARROWS[METRICS[name].direction] for name in names]


def figures_of(metrics: Mapping[str, Any], *, over: str = "") -> list[str]:
    """The metrics that tables show, over seeds or ("fold_") over folds."""
    return [figure(metrics[name][f"{over}mean"], metrics[name][f"{over}std"]) for name in SHOWN]


def floor_rows(summary: Mapping[str, Any], test: str) -> list[tuple[str, ...]]:
    """One row a floor: its name and figures."""
    return [(name, *figures_of(by_test[test])) for name, by_test in summary["floors"].items()]


def heading(summary: Mapping[str, Any], title: str, test: str) -> str:
    """A table's title: what, on which corpus, through which encoders, by which losses."""
    losses = dict.fromkeys(one["settings"]["loss"] for one in summary["configurations"])
    return f"{heading_of_data(summary, title, test)}, {' and '.join(losses)}"


def heading_of_data(summary: Mapping[str, Any], title: str, test: str) -> str:
    """The same of a table of several systems, whose losses differ."""
    corpus = summary["corpus"] or "a corpus without a name"
    encoders = ", ".join(f"{key}={_either(one)}" for key, one in summary["encoders"].items())
    which = f", {test}" if len(summary["test_sets"]) > 1 else ""
    return f"{heading_mark(summary['corpus'])}{title} on {corpus}{which} ({encoders})"


def data_notes(summary: Mapping[str, Any]) -> tuple[str, ...]:
    """On which utterances, what was left out, what leaks, what diverged."""
    seeds, folds = len(summary["seeds"]), len(summary["folds"])
    spread = "mean ± std over seeds" if seeds > 1 else "one seed has no standard deviation"
    used = summary["utterances"]["used"]
    counts = (counted(used, "utterance"), counted(folds, "fold"), counted(seeds, "seed"))
    notes = [f"{', '.join(counts)}; {spread}."]
    if left_out := summary["utterances"]["left_out"]:
        listed = "; ".join(f"{count} {reason}" for reason, count in left_out.items())
        notes.append(f"Left out: {listed}.")
    if len(summary["classes"]) == 2:
        notes.append("R2 is not printed: with two classes it is always 1 or 0.")
    for column, found in summary["leakage"].items():
        shared = counted(found["test_utterances"], "test utterance")
        if found["test_utterances"]:
            notes.append(f"Leakage: training has the {leakage_name(column)} of {shared} too.")
    notes += [f"{one}." for one in (*summary.get("notes", ()), *summary.get("warnings", ()))]
    if diverged := len(summary["diverged_runs"]):
        notes.append(f"{counted(diverged, 'run')} diverged: their figures are missing.")
    return tuple(notes)


def _either(names: str | Sequence[str]) -> str:
    return names if isinstance(names, str) else " or ".join(names)


def setting_text(value: object) -> str:
    """A setting as tables show it; a dash where the loss does not listen to it."""
    if value is None:
        return "-"
    return format(value, "g") if isinstance(value, float) else str(value)
