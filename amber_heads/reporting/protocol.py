"""The experiment in words and numbers, as Markdown for a paper's experimental section.

Citations are Pandoc's ([@key]), resolved by references.bib beside it. Whatever came from a corpus
or a configuration is escaped: no word of it is markup, a citation or a LaTeX command.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

from amber_heads.counting import counted
from amber_heads.metrics import HEADLINE, METRICS
from amber_heads.reading.evidence import Evidence, System
from amber_heads.reporting.contents import Contents
from amber_heads.reporting.departures import departures
from amber_heads.reporting.difference_tables import p_value
from amber_heads.reporting.differences import PRIMARY
from amber_heads.reporting.escaping import markdown
from amber_heads.reporting.parts import Part
from amber_heads.reporting.protocol_data import (
    cite,
    corpus_and_labels,
    encoders_used,
    folds_and_leakage,
    listed,
    pipe_table,
)
from amber_heads.reporting.references import OF_CORPUS, OF_METRIC, REFERENCES
from amber_heads.reporting.scores import SYSTEM
from amber_heads.tabular.interval_words import confidence

_LIBRARIES = ("torch", "numpy", "scipy", "h5py")


def write_protocol(contents: Contents, models: Mapping[Path, Any]) -> str:
    """The whole text.

    Args:
        models: What model.json tells, by run; without those that have none.
    """
    evidence = contents.evidence
    leading = contents.parts[0].choices.leading
    config = evidence.configs[leading.run]
    sections = [
        f"# Protocol: {markdown(evidence.corpus or 'a corpus without a name')}",
        _what_was_run(contents, config),
        corpus_and_labels(evidence, config),
        folds_and_leakage(evidence, leading),
        encoders_used(models),
        _systems(evidence),
        _metrics(),
        _statistics(contents.parts[0]),
        _findings(contents),
        _departures(evidence, leading, config),
        _policies(contents, config),
        _versions(contents),
    ]
    return "\n\n".join(one for one in sections if one) + "\n"


def cited_in(text: str) -> list[str]:
    """The keys of the references that a protocol cites."""
    return [one for one in REFERENCES if re.search(rf"@{one}\b", text)]


def _what_was_run(contents: Contents, config: Mapping[str, Any]) -> str:
    evidence = contents.evidence
    told = config.get("settings", {})
    names = list(dict.fromkeys(one.name for one in evidence.systems))
    demo = "**The corpus is synthetic; no figure here says anything about people.** "
    return (
        f"{demo if evidence.corpus == 'demo' else ''}"
        f"Heads for {markdown(listed(told.get('modalities') or ['the given modalities']))} were "
        f"trained on frozen embeddings by AmbER2 [@wu2026amber2] and what it is compared with: "
        f"{markdown(listed(names))}. The corpus is {markdown(evidence.corpus or 'unknown')}"
        f"{cite(OF_CORPUS.get(evidence.corpus))} under the protocol "
        f"{markdown(evidence.protocol or 'given by options')}: "
        f"{counted(len(evidence.ids), 'tested utterance')}, {len(evidence.classes)} classes "
        f"({markdown(listed(evidence.classes))}), "
        f"{counted(len(set(evidence.fold.tolist())), 'fold')} and "
        f"{counted(len(evidence.seeds), 'seed')}."
    )


def _systems(evidence: Evidence) -> str:
    rows = []
    for name in dict.fromkeys(one.name for one in evidence.systems):
        own = [one for one in evidence.systems if one.name == name]
        summary = evidence.summaries[own[0].run]
        heads = ", ".join(one.head for one in own if one.head) or "-"
        rows.append((name, heads, _settings_in_words(own[0].settings), _chosen_by(summary)))
    text = (
        "Heads are two-layer perceptrons; the fusion head reads a gated sum of the modalities. "
        "AdamW [@loshchilov2019adamw]; the epoch is that of the best validation JS. CB-CE weighs "
        "classes by their effective number [@cui2019class; @wu2024emosuperb]; late selection by "
        "entropy follows [@chua2025entropy]."
    )
    return f"## Systems and hyper-parameters\n\n{text}\n\n" + pipe_table(
        ("system", "heads", "settings", "chosen"), rows
    )


def _settings_in_words(settings: Sequence[Mapping[str, Any]]) -> str:
    """Each setting once; several values where folds differ."""
    keys = dict.fromkeys(key for one in settings for key in one)
    told = []
    for key in keys:
        values = [one.get(key) for one in settings]
        distinct = list(dict.fromkeys(_value(one) for one in values if one is not None))
        if len(distinct) == 1:
            told.append(f"{key} {distinct[0]}")
        elif distinct:
            told.append(f"{key} by fold {', '.join(_value(one) for one in values)}")
    return "; ".join(told) or "none of its own"


def _chosen_by(summary: Mapping[str, Any]) -> str:
    selected = summary.get("selected") or {}
    cells = len(summary.get("configurations") or ())
    if selected.get("how") == "single" or cells <= 1:
        return "as given"
    if selected.get("how") == "pooled":
        return f"{selected.get('by')} of {cells} cells, one for all folds (optimistic)"
    return f"{selected.get('by', 'validation js')} in each fold, {cells} cells"


def _metrics() -> str:
    rows = [
        (name, one.description, {"min": "lower", "max": "higher"}.get(one.direction, "-"))
        for name, one in METRICS.items()
    ]
    lines = pipe_table(("metric", "definition", "better"), rows).splitlines()
    cited = [
        f"{line} {cite(OF_METRIC.get(name)).strip() or '-'} |"
        for line, name in zip(lines[2:], METRICS, strict=True)
    ]
    head = [lines[0] + " source |", lines[1] + "---|"]
    text = (
        "A seed's figure is computed on its pooled out-of-fold predictions; mean and standard "
        "deviation (n - 1) are over seeds. Calibration is after [@guo2017calibration], the Brier "
        "score's parts after [@stephenson2008brier], selective prediction after "
        "[@geifman2017selective]."
    )
    return f"## Metrics\n\n{text}\n\n" + "\n".join([*head, *cited])


def _statistics(part: Part) -> str:
    if not part.compared:
        return "## Statistics\n\nOne system was given: nothing is compared."
    clusters = part.clusters
    first = part.compared[PRIMARY][0].difference
    tested = (
        f"by a permutation test that swaps whole {clusters.kind} clusters ({clusters.number}); the "
        f"smallest p they allow is {p_value(first.smallest_p)}"
    )
    if first.num_seeds < 2:
        tested = "by no test: with one seed a difference may be the seed's"
    return (
        "## Statistics\n\n"
        f"Systems are paired by utterance and compared on {PRIMARY.upper()}, averaged over seeds, "
        f"{tested}; intervals are by the bootstrap over the same clusters "
        f"({confidence(clusters.number)}, expanded percentiles); F1 is computed anew in each "
        "resample. Holm's correction [@holm1979simple] is over all systems against the reference "
        f"{markdown(part.choices.reference.label if part.choices.reference else '')}."
    )


def _findings(contents: Contents) -> str:
    """The main head of each system, on the six metrics."""
    blocks = ["## Figures"]
    for part in contents.parts:
        labels = {one.label for one in part.choices.shown}
        rows = [
            (one.label, *(f"{one.figures[m].mean:.3f}" for m in HEADLINE))
            for one in part.scores
            if (one.kind == SYSTEM and one.label in labels) or one.kind == "floor"
        ]
        one_rater = part.raters.reference.values
        rows.append(("one rater more", *(f"{one_rater[m]:.3f}" for m in HEADLINE)))
        if part.name != "test":
            blocks.append(f"On {markdown(part.name)}:")
        blocks.append(pipe_table(("system", *HEADLINE), rows))
    return "\n\n".join([*blocks, "All tables stand in tables/, all numbers in data.json."])


def _departures(evidence: Evidence, leading: System, config: Mapping[str, Any]) -> str:
    rows = departures(evidence, leading, config)
    table = pipe_table(("what", "the paper", "here", "why"), rows)
    return f"## Where this departs from the paper\n\nFor {markdown(leading.label)}:\n\n{table}"


def _policies(contents: Contents, config: Mapping[str, Any]) -> str:
    heading = "## How much the figures move with the label policy"
    if not contents.variants:
        cache = markdown(config.get("settings", {}).get("cache", "CACHE"))
        return (
            f"{heading}\n\nNo run under another label policy was given. `amber fit --keep "
            f"any-vote` and `amber fit --raters all` on the same cache ({cache}), named behind the "
            "others in `amber report`, fill this table."
        )
    keys = ("loss", "keep", "raters", "choices", "test_set", "n")
    rows = [
        (
            *(str(one[key]) for key in keys),
            *("-" if one[m] is None else f"{one[m]:.3f}" for m in HEADLINE),
        )
        for one in contents.variants
    ]
    text = "Other utterances and other soft labels: the rows can't be paired."
    return f"{heading}\n\n{text}\n\n" + pipe_table((*keys, *HEADLINE), rows)


def _versions(contents: Contents) -> str:
    rows = [
        (
            path.name,
            str(one.get("command")),
            str(one.get("amber_version")),
            str(one.get("hash")),
            str(one.get("data")),
        )
        for path, one in contents.evidence.configs.items()
    ]
    libraries = ", ".join(f"{name} {metadata.version(name)}" for name in _LIBRARIES)
    table = pipe_table(("run", "command", "amber", "hash", "hash of the data"), rows)
    return f"## Versions\n\n{table}\n\nThis report was made with {libraries}."


def _value(value: object) -> str:
    return format(value, "g") if isinstance(value, float) else str(value)
