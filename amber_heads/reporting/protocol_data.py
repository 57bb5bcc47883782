"""A protocol's sections on data: corpus, labels, folds, leakage, encoders; and how tables look."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from amber_heads.formulas.classification import top_classes
from amber_heads.leakage_words import leakage_name
from amber_heads.reading.evidence import Evidence, System
from amber_heads.reporting.escaping import markdown


def corpus_and_labels(evidence: Evidence, config: Mapping[str, Any]) -> str:
    """The label policy, who was left out, utterances by class and fold."""
    told = config.get("settings", {})
    votes = evidence.votes.sum(axis=1)
    summary = next(iter(evidence.summaries.values()))
    used = summary.get("utterances") or {}
    left_out = "; ".join(f"{n} {markdown(why)}" for why, n in (used.get("left_out") or {}).items())
    policy = ", ".join(
        f"{key} {markdown(told[key])}"
        for key in ("classes", "keep", "raters", "choices", "subset", "smoothing")
        if told.get(key) not in (None, "", 0, 0.0)
    )
    text = (
        f"A soft label is the share of each class among the votes of an utterance. Policy: "
        f"{policy or 'unknown'}. An utterance has {votes.min():g} to {votes.max():g} counted votes "
        f"({votes.mean():.2f} on average). Used: {used.get('used', len(evidence.ids))}; left out: "
        f"{left_out or 'none'}."
    )
    return "\n\n".join(["## Corpus and labels", text, _class_table(evidence)])


def _class_table(evidence: Evidence) -> str:
    """Utterances by arg max, and soft mass, of each class in each fold's test part."""
    truth = top_classes(evidence.target).argmax(-1)
    rows = []
    for fold in np.unique(evidence.fold):
        inside = evidence.fold == fold
        cells = [
            f"{(truth[inside] == c).sum()} ({evidence.target[inside, c].sum():.1f})"
            for c in range(len(evidence.classes))
        ]
        rows.append((_fold_name(evidence, int(fold)), str(inside.sum()), *cells))
    totals = [
        f"{(truth == c).sum()} ({evidence.target[:, c].sum():.1f})"
        for c in range(len(evidence.classes))
    ]
    rows.append(("all", str(len(truth)), *totals))
    table = pipe_table(("fold", "tested", *evidence.classes), rows)
    return f"Utterances by the raters' first top class, in brackets the soft mass:\n\n{table}"


def folds_and_leakage(evidence: Evidence, leading: System) -> str:
    """Each fold's parts, and what they share."""
    summary = evidence.summaries[leading.run]
    folds = summary.get("folds") or []
    keys = list(dict.fromkeys(key for one in folds for key in one))
    table = pipe_table(keys, [[str(one.get(key, "")) for key in keys] for one in folds])
    leakage = summary.get("leakage") or {}
    told = [
        f"training has the {leakage_name(kind)} of {one['test_utterances']} test utterances too"
        for kind, one in leakage.items()
        if one.get("test_utterances")
    ]
    said = (
        "; ".join(told) + "." if told else "no speaker, session, dialogue or transcript is shared."
    )
    return f"## Folds and leakage\n\n{table}\n\nLeakage: {said}"


def encoders_used(models: Mapping[Path, Any]) -> str:
    """What made the embeddings, with the hash of its weights; "" where no run tells it."""
    modalities = [one for model in models.values() for one in model.get("modalities") or ()]
    flat = [one for item in modalities for one in (item if isinstance(item, list) else [item])]
    keys = ("name", "encoder", "revision", "layer", "pooling", "precision", "dimension")
    rows = list(
        dict.fromkeys(
            (*(str(one.get(key, "")) for key in keys), str(one.get("weights_sha256") or "-"))
            for one in flat
        )
    )
    if not rows:
        return ""
    papers = [
        one
        for word, one in (("wav2vec2", "[@baevski2020wav2vec]"), ("bert", "[@devlin2019bert]"))
        if any(word in row[1].lower() for row in rows)
    ]
    text = " ".join(
        ["Encoders are frozen; each clip is encoded without padding's influence.", *papers]
    )
    columns = ("modality", *keys[1:], "SHA-256 of the weights")
    return f"## Encoders\n\n{text}\n\n{pipe_table(columns, rows)}"


def _fold_name(evidence: Evidence, fold: int) -> str:
    folds = next(iter(evidence.summaries.values())).get("folds") or []
    return str(folds[fold].get("name", fold)) if fold < len(folds) else str(fold)


def pipe_table(columns: Sequence[object], rows: Iterable[Sequence[object]]) -> str:
    """A Markdown table whose cells are escaped."""
    lines = [[markdown(one) for one in columns], ["---"] * len(columns)]
    lines += [[markdown(cell) for cell in row] for row in rows]
    return "\n".join("| " + " | ".join(one) + " |" for one in lines)


def cite(key: str | None) -> str:
    """A citation behind a word; nothing where there is no reference."""
    return f" [@{key}]" if key else ""


def listed(names: Sequence[object]) -> str:
    """Names as a sentence has them: "a, b and c"."""
    told = [str(one) for one in names]
    return " and ".join([", ".join(told[:-1]), told[-1]]) if len(told) > 1 else "".join(told)
