"""What is told about leakage before anything is trained: a short block of counts, and warnings.

The rules know no corpus. A warning in capitals says that folds do not hold what they promise
(`--folds speaker`, `session` and `official` are taken to test speakers that training has not
heard), or that a text head can know its test sentences by heart.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from amber_heads.leakage import KINDS, LONG_TEXT, LONG_WORDS

#: Which values must not stand in training and test both, by the kind of folds.
_PROMISED = {
    "speaker": ("speaker",),
    "session": ("session", "speaker"),
    "dialogue": ("dialogue",),
    "official": ("speaker",),
}

#: The share of long test transcripts that may stand in training before it is told: in IEMOCAP
#: 0.007 of improvised lines do by chance, and 0.3 of the scripted ones.
_MANY = 0.05

_NAMES = {"text": "transcript", LONG_TEXT: f"transcript of {LONG_WORDS} words or more"}

Leakage = Mapping[str, Mapping[str, Any]]


def leakage_name(kind: str) -> str:
    """What a kind of value is called in a sentence."""
    return _NAMES.get(kind, kind)


def leakage_block(leakage: Leakage, *, num_test: int) -> list[str]:
    """A line for each kind of value: how many test utterances have one that training has too.

    Args:
        leakage: As `measure_leakage` gives it.
        num_test: How many utterances are tested.
    """
    lines = [f"leakage: of {num_test} test utterances, how many share with training ..."]
    for kind in KINDS:
        one, name = leakage[kind], leakage_name(kind)
        unknown = num_test - one["known"]
        told = "unknown for all of them" if not one["known"] else _told(one)
        if one["known"] and unknown and kind != LONG_TEXT:
            told += f"; unknown for {unknown}"
        if also := one["validation"]["test_utterances"]:
            told += f"; with validation: {also}"
        lines.append(f"  their {name}: {told}")
    return lines


def leakage_warnings(leakage: Leakage, *, folds: str, modalities: Sequence[str]) -> list[str]:
    """What the user must know, a line each.

    Args:
        leakage: As `measure_leakage` gives it.
        folds: The kind of folds.
        modalities: What the heads see; only a text head can learn transcripts.
    """
    warnings = [
        f"WARNING: --folds {folds} does not keep {kind}s apart here: training has the {kind} of "
        f"{_sets(leakage[kind])}"
        for kind in _PROMISED.get(folds, ())
        if leakage[kind]["test_utterances"]
    ]
    if folds == "random" and leakage["speaker"]["test_utterances"]:
        warnings.append(
            f"--folds random keeps no speakers apart: training has the speaker of "
            f"{_sets(leakage['speaker'])}; these are no figures for new speakers, --folds speaker "
            "gives them"
        )
    return warnings + (_of_texts(leakage) if "text" in modalities else [])


def _of_texts(leakage: Leakage) -> list[str]:
    if leakage["text"]["share"] > 0.5:
        return [
            f"WARNING: training has the transcript of {_sets(leakage['text'])}: a text head can "
            "learn them by heart, and its figures say nothing of new sentences"
        ]
    if leakage[LONG_TEXT]["share"] <= _MANY:
        return []
    warning = (
        f"training has the transcript of {_sets(leakage[LONG_TEXT])}, counting {LONG_WORDS} words "
        "or more: a text head can learn these by heart"
    )
    by_style = leakage[LONG_TEXT].get("by_style", {})
    shares = {style: one["share"] for style, one in by_style.items() if one["known"]}
    if (
        shares
        and (least := min(shares, key=lambda style: shares[style]))
        and (shares[least] <= _MANY)
    ):
        told = ", ".join(f"{style} {_percent(share)}" for style, share in shares.items())
        warning += f" ({told}; --subset style={least} is without them)"
    return [warning]


def _sets(one: Mapping[str, Any]) -> str:
    """Whom it touches: the test utterances, and which named test sets."""
    told = f"{one['test_utterances']} of {one['known']} test utterances ({_percent(one['share'])})"
    names = [row["test"] for row in one["per_fold"] if row["test_utterances"]]
    is_named = len({row["test"] for row in one["per_fold"]}) > 1
    return told + (f" in {', '.join(names)}" if is_named else "")


def _told(one: Mapping[str, Any]) -> str:
    if not one["test_utterances"]:
        return "none"
    touched, values = one["test_utterances"], one["values"]
    return f"{touched} of {one['known']} ({_percent(one['share'])}), {values} shared"


def _percent(share: float) -> str:
    if 0 < share < 0.01:
        return "under 1%"
    return f"{100 * share:.0f}%"
