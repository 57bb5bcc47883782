"""The list of utterances that a reader sorts and filters, compact enough for ten thousand."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float

from amber_heads.formulas.agreement import entropy_per_utterance, js_per_utterance
from amber_heads.reading.evidence import Evidence, System
from amber_heads.statistics.ensembles import seed_ensemble

#: Heads beside the raters: more columns than these are no list any more.
MOST_HEADS = 5

#: A probability is stored in steps of 1 / SHARES: three digits, as they are shown.
SHARES = 1000


@dataclass(frozen=True)
class Utterances:
    """Every tested utterance, with the mean of the seeds' distributions.

    Attributes:
        heads: (label, (N, C) distributions, (N,) JS to the raters), the leading one first.
        conflict: (N,), or None where no heads were trained apart.
        texts: By id; None unless they were asked for. Likewise `audio`, as data URIs.
    """

    evidence: Evidence
    heads: tuple[tuple[str, np.ndarray, np.ndarray], ...]
    entropy: Float[np.ndarray, " utterance"]
    conflict: np.ndarray | None
    texts: Mapping[str, str] | None = None
    audio: Mapping[str, str] | None = None


def list_utterances(
    evidence: Evidence, shown: Sequence[System], conflict: np.ndarray | None
) -> Utterances:
    """Collect the list: the leading system's heads first, then the others'."""
    own = [one for one in evidence.systems if one.name == shown[0].name and one is not shown[0]]
    systems = list({one.label: one for one in (shown[0], *shown[1:2], *own, *shown[2:])}.values())
    heads = []
    for one in systems[:MOST_HEADS]:
        mean = seed_ensemble(one.test)
        heads.append((one.label, mean, js_per_utterance(evidence.target, mean)))
    return Utterances(
        evidence=evidence,
        heads=tuple(heads),
        entropy=entropy_per_utterance(evidence.target),
        conflict=conflict,
    )


def as_island(found: Utterances) -> dict[str, Any]:
    """The list as the page's script reads it: columns, with names as numbers."""
    evidence = found.evidence
    speakers, sets = _coded(evidence.speaker), _coded(evidence.test_set)
    sessions = _coded(evidence.session)
    ids = evidence.ids.tolist()
    return {
        "classes": list(evidence.classes),
        "ids": ids,
        "speakers": speakers[0],
        "speaker": speakers[1],
        "sessions": sessions[0],
        "session": sessions[1],
        "sets": sets[0],
        "set": sets[1],
        "folds": list(range(int(evidence.fold.max()) + 1)),
        "fold": evidence.fold.tolist(),
        "votes": [_short(one) for one in evidence.votes.ravel().tolist()],
        "entropy": _rounded(found.entropy),
        "conflict": None if found.conflict is None else _rounded(found.conflict),
        "heads": [
            {"label": label, "p": _steps(mean), "js": _rounded(js)}
            for label, mean, js in found.heads
        ],
        "texts": None if found.texts is None else [found.texts.get(one, "") for one in ids],
        "audio": None if found.audio is None else dict(found.audio),
    }


def utterance_rows(found: Utterances) -> list[dict[str, object]]:
    """The list as rows of a CSV file, with whole numbers of votes and full precision."""
    evidence = found.evidence
    rows: list[dict[str, object]] = []
    for i, name in enumerate(evidence.ids.tolist()):
        row: dict[str, object] = {
            "id": name,
            **{key: str(getattr(evidence, key)[i]) for key in ("speaker", "session", "test_set")},
            "fold": int(evidence.fold[i]),
            "entropy": float(found.entropy[i]),
            "conflict": None if found.conflict is None else float(found.conflict[i]),
        }
        row |= {f"votes {c}": v for c, v in zip(evidence.classes, evidence.votes[i], strict=True)}
        for label, mean, js in found.heads:
            row |= {f"{label} {c}": p for c, p in zip(evidence.classes, mean[i], strict=True)}
            row[f"{label} js"] = float(js[i])
        if found.texts is not None:
            row["text"] = found.texts.get(name, "")
        rows.append(row)
    return rows


def _coded(names: np.ndarray) -> tuple[list[str], list[int]]:
    values, codes = np.unique(names, return_inverse=True)
    return values.tolist(), codes.tolist()


def _steps(shares: np.ndarray) -> list[int | None]:
    scaled = np.round(shares * SHARES).ravel().tolist()
    return [None if one != one else int(one) for one in scaled]


def _rounded(values: np.ndarray) -> list[float | None]:
    return [None if one != one else round(one, 4) for one in values.tolist()]


def _short(value: float) -> float | int:
    return int(value) if value == int(value) else round(value, 3)
