"""All numbers of a report, as plain data; tables, figures and words only say them again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, is_dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from amber_cache.errors import ConfigError
from amber_heads.formulas.agreement import entropy_per_utterance
from amber_heads.metrics import HEADLINE
from amber_heads.reading.evidence import Evidence
from amber_heads.reporting.choices import choose, modality_conflict, modality_heads
from amber_heads.reporting.curves import Curves, curves_of
from amber_heads.reporting.parts import Part, make_part
from amber_heads.reporting.recordings import read_audio, read_texts
from amber_heads.reporting.utterances import Utterances, list_utterances
from amber_heads.statistics.levels import NUM_LEVELS

#: More levels of ambiguity than these have no room in a figure.
MOST_LEVELS = 12


@dataclass(frozen=True, kw_only=True)
class ReportConfig:
    """What is asked of a report.

    Attributes:
        runs: Run directories.
        names: What some of them shall be called.
        reference: A system's label or name; None: CB-CE where it is given.
        clusters: "speaker", "dialogue", "session"; None: the first that is known.
        levels: Number of quantiles of entropy; None: distinct values or equal widths.
        with_text: Transcripts, from `cache`. `with_audio`: sound, from files below `root`.
    """

    runs: tuple[Path, ...]
    names: Mapping[Path, str]
    reference: str | None = None
    clusters: str | None = None
    levels: int | None = None
    with_text: bool = False
    with_audio: bool = False
    cache: Path = Path("data/cache.h5")
    root: Path = Path("data/demo")


def parse_names(given: Sequence[str], runs: Sequence[Path]) -> dict[Path, str]:
    """--name NAME=RUN, several, as names by run.

    Raises:
        ConfigError: It is not of that form, names no given run, or two runs alike.
    """
    names: dict[Path, str] = {}
    for one in given:
        name, _, run = one.partition("=")
        if not name.strip() or Path(run) not in runs:
            known = ", ".join(map(str, runs))
            raise ConfigError(f"--name {one}: must be NAME=RUN, with a RUN of {known}")
        if name in names.values():
            raise ConfigError(f"--name {one}: another run is called {name} already")
        names[Path(run)] = name.strip()
    return names


def parse_levels(given: str | None) -> int | None:
    """--levels quantiles, or how many; None for levels by what the entropies are.

    Raises:
        ConfigError: It is neither.
    """
    if given in (None, ""):
        return None
    if given == "quantiles":
        return NUM_LEVELS
    if given.isdecimal() and 1 < int(given) <= MOST_LEVELS:
        return int(given)
    raise ConfigError(f"--levels {given}: must be quantiles, or their number, 2 to {MOST_LEVELS}")


@dataclass(frozen=True, kw_only=True)
class Contents:
    """Everything that a report says.

    Attributes:
        parts: One a test set.
        variants: What runs under another label policy scored, a row each.
    """

    config: ReportConfig
    evidence: Evidence
    parts: tuple[Part, ...]
    curves: tuple[Curves, ...]
    utterances: Utterances
    variants: tuple[Mapping[str, Any], ...]

    @property
    def mark(self) -> str:
        """What figures and tables of the demo are headed."""
        return "SYNTHETIC DEMO: " if self.evidence.corpus == "demo" else ""


def gather(evidence: Evidence, config: ReportConfig) -> Contents:
    """Compute all numbers of a report.

    Raises:
        AmberError: Reference or clusters are not there, or cache or audio can't be read.
    """
    shown = choose(evidence, reference=config.reference).shown
    heads = modality_heads(evidence)
    conflict = modality_conflict(heads) if heads else None
    utterances = _with_recordings(list_utterances(evidence, shown, conflict), config)
    parts = tuple(
        make_part(
            evidence.of_test_set(name),
            reference=config.reference,
            clusters=config.clusters,
            quantiles=config.levels,
        )
        for name in evidence.test_sets
        if (evidence.test_set == name).any()
    )
    return Contents(
        config=config,
        evidence=evidence,
        parts=parts,
        curves=tuple(curves_of(evidence, list(dict.fromkeys(one.name for one in shown)))),
        utterances=utterances,
        variants=tuple(_variants(evidence)),
    )


def as_data(contents: Contents) -> dict[str, Any]:
    """The numbers for data.json: plain dictionaries, lists and numbers.

    Predictions stay in the runs and the list of utterances in tables/utterances.csv.
    """
    evidence = contents.evidence
    return {
        "corpus": evidence.corpus,
        "protocol": evidence.protocol,
        "classes": list(evidence.classes),
        "seeds": list(evidence.seeds),
        "num_utterances": len(evidence.ids),
        "runs": {str(path): one.get("hash") for path, one in evidence.configs.items()},
        "problems": list(evidence.problems),
        "systems": [
            {"label": one.label, "run": str(one.run), "settings": list(one.settings)}
            for one in evidence.systems
        ],
        "variants": [dict(one) for one in contents.variants],
        "parts": {part.name: _part_data(part) for part in contents.parts},
        "curves": [_plain(one) for one in contents.curves],
    }


def _part_data(part: Part) -> dict[str, Any]:
    reference = part.choices.reference
    return {
        "n": len(part.evidence.ids),
        "reference": None if reference is None else reference.label,
        "leading": part.choices.leading.label,
        "clusters": {"kind": part.clusters.kind, "number": part.clusters.number},
        "scores": [{"label": one.label, **_plain(one)} for one in part.scores],
        "differences": {
            metric: [one.as_row() for one in rows] for metric, rows in part.compared.items()
        },
        "one_rater": _plain(part.raters.reference),
        "noise_floor": _plain(part.raters.floor),
        "entropy_levels": _plain(part.entropy_levels),
        "conflict_levels": _plain(part.conflict_levels),
        "conflict_heads": None if part.conflict is None else part.conflict[1],
        "calibration": [_plain(one) for one in part.calibrated],
        "selective": [_plain(one) for one in part.selective],
        "confusions": [_plain(one) for one in part.confusions],
        "heat_maps": [_plain(one) for one in part.heat_maps],
        "absent": [list(one) for one in part.absent],
    }


def _plain(value: Any) -> Any:
    """Dataclasses, arrays and paths as what JSON can say; keys as text."""
    if is_dataclass(value) and not isinstance(value, type):
        value = asdict(value)
    if isinstance(value, Mapping):
        return {str(key): _plain(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    if isinstance(value, np.ndarray | np.generic):
        return value.tolist()
    return str(value) if isinstance(value, Path) else value


def _with_recordings(found: Utterances, config: ReportConfig) -> Utterances:
    for wanted, option in ((config.with_text, "--with-text"), (config.with_audio, "--with-audio")):
        if wanted and not config.cache.is_file():
            raise ConfigError(
                f"{option}: there is no cache {config.cache}; name the one that the runs were "
                "trained on with --cache"
            )
    ids = found.evidence.ids
    texts = read_texts(config.cache, ids.tolist()) if config.with_text else None
    audio = None
    if config.with_audio:
        order = np.argsort(-entropy_per_utterance(found.evidence.target), kind="stable")
        audio = read_audio(config.cache, config.root, ids[order].tolist())
    return replace(found, texts=texts, audio=audio)


def _variants(evidence: Evidence) -> list[dict[str, Any]]:
    """Runs under other label policies, and beside them the plain runs, from their summaries."""
    if not evidence.variants:
        return []
    rows = []
    for path, summary in evidence.summaries.items():
        selected = summary.get("selected") or {}
        if not (selected.get("judged") and selected.get("settings")):
            continue
        settings = evidence.configs[path].get("settings", {})
        for test, metrics in selected["judged"].items():
            row = {
                "loss": " or ".join(
                    dict.fromkeys(str(one.get("loss")) for one in selected["settings"])
                ),
                **{key: str(settings.get(key) or "-") for key in ("keep", "raters", "choices")},
                "test_set": test,
                "n": int(summary["utterances"]["used"]),
            }
            rows.append(row | {name: metrics[name]["mean"] for name in HEADLINE})
    return rows
