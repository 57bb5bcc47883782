"""A run's model card: Markdown under YAML front matter, as model hubs show it; pure.

Every figure comes from the run's own summary. Names of speakers, sessions and dialogues stay out
of it, as do ids, transcripts and paths.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from amber_cache.store import without_folders
from amber_heads.counting import counted
from amber_heads.leakage import KINDS
from amber_heads.leakage_words import leakage_name
from amber_heads.metrics import HEADLINE
from amber_heads.tables import Table, results_table, to_markdown
from amber_heads.using.loaded import InputEntry

#: What of a modality's entry is told.
_TOLD = ("encoder", "revision", "weights_sha256", "layer", "pooling", "precision")

#: What of the settings is told; `subset` by its columns alone, since its values may be names.
_POLICY = ("protocol", "classes", "keep", "raters", "choices")
_PARTS = ("folds", "num_folds", "validation", "fold_seed", "seeds", "standardize")


@dataclass(frozen=True)
class Licence:
    """What binds a model that was trained on a corpus.

    Attributes:
        identifier: As model hubs know it.
        name: Where hubs know none.
    """

    identifier: str
    text: str
    name: str = ""


_BOUND = (
    "Research only: the corpus's licence binds. It was granted to whoever trained this, it covers "
    "what is computed from the recordings, and it must be read before these weights are passed on "
    "or used for anything but research."
)

LICENCES: dict[str, Licence] = {
    "demo": Licence("cc0-1.0", "The demo corpus (synthetic speech, simulated raters) is CC0."),
    "crema-d": Licence(
        "odbl", "CREMA-D is under the Open Database License (ODbL) 1.0, which asks for attribution."
    ),
    "iemocap": Licence("other", f"IEMOCAP is licensed by its makers. {_BOUND}", "iemocap-licence"),
    "msp-podcast": Licence(
        "other", f"MSP-Podcast is licensed by its makers. {_BOUND}", "msp-podcast-licence"
    ),
}

_UNKNOWN = Licence(
    "other", f"amber does not know under which licence this corpus is. {_BOUND}", "corpus-licence"
)


def licence_of(corpus: str) -> Licence:
    """What is known of a corpus's licence; a cautious text for one that amber does not know."""
    return LICENCES.get(corpus, _UNKNOWN)


def model_card(
    summary: Mapping[str, Any],
    settings: Mapping[str, Any],
    inputs: Sequence[InputEntry],
    *,
    supervised: Sequence[str],
    num_models: int,
) -> str:
    """The card of a run.

    Args:
        summary: What summary.json holds.
        settings: The configuration's.
        inputs: What the models read.
        supervised: Heads that the raters themselves taught.
        num_models: Members of the ensemble.
    """
    summary = _without_names(summary)
    parts = [
        _title(summary),
        _inputs(summary, inputs, num_models),
        _data(summary, settings),
        _training(summary, settings, supervised),
        _results(summary),
        _leakage(summary),
        _use(summary),
        f"## Licence\n\n{licence_of(str(summary['corpus'])).text}",
        _METHOD,
    ]
    return front_matter(summary) + "\n\n".join(parts) + "\n"


def front_matter(summary: Mapping[str, Any]) -> str:
    """What a hub reads: YAML whose values are JSON, which YAML includes."""
    corpus = str(summary["corpus"])
    licence = licence_of(corpus)
    told: dict[str, Any] = {"license": licence.identifier}
    if licence.name:
        told["license_name"] = licence.name
        told["license_link"] = "README.md"
    told |= {
        "library_name": "amber-ser",
        "pipeline_tag": "audio-classification",
        "tags": ["speech-emotion-recognition", "soft-labels", "rater-disagreement"],
        "metrics": list(HEADLINE),
        "model-index": [{"name": _name(summary), "results": _index(summary)}],
    }
    lines = [f"{key}: {json.dumps(value, allow_nan=False)}" for key, value in told.items()]
    return "\n".join(["---", *lines, "---", "", ""])


def _name(summary: Mapping[str, Any]) -> str:
    return f"amber-{summary['corpus'] or 'corpus'}-{summary['command']}"


def _index(summary: Mapping[str, Any]) -> list[dict[str, Any]]:
    """One result a test set: the judged head's mean over seeds."""
    found = []
    for test, figures in summary["selected"]["judged"].items():
        metrics = [
            {"type": name, "value": round(figures[name]["mean"], 4), "name": name}
            for name in HEADLINE
            if figures[name]["mean"] is not None
        ]
        corpus = str(summary["corpus"] or "corpus")
        found.append(
            {
                "task": {"type": "audio-classification", "name": "emotion distribution"},
                "dataset": {"type": corpus, "name": corpus, "split": test},
                "metrics": metrics,
            }
        )
    return found


def _title(summary: Mapping[str, Any]) -> str:
    is_demo = summary["corpus"] == "demo"
    mark = "**SYNTHETIC DEMO**: its figures say nothing about speech. " * is_demo
    return (
        f"# {_name(summary)}\n\n{mark}Gives, for an utterance, the distribution of labels that "
        "raters would give it, by the method AmbER2 (arXiv 2601.18010). It reads the embeddings of "
        "frozen encoders, which are not part of this folder.\n\n"
        '```python\nimport amber_heads\n\nrun = amber_heads.load("this-folder")\n```'
    )


def _inputs(summary: Mapping[str, Any], inputs: Sequence[InputEntry], num_models: int) -> str:
    rows = tuple(
        (one.modality, *(_text(one.attrs.get(key, "")) for key in _TOLD), _features(one))
        for one in inputs
    )
    table = Table("Inputs", ("modality", *_TOLD, "features"), rows)
    heard = "".join(_heard(one) for one in inputs)
    classes, heads = (", ".join(map(_text, summary[name])) for name in ("classes", "heads"))
    return (
        f"## Input and output\n\n{to_markdown(table).strip()}\n\n{heard}Other encoders, layers or "
        "poolings give vectors that mean something else. Out comes a distribution over "
        f"{classes}, of each of the heads {heads}: the mean of {num_models} models, one a fold and "
        "seed, whose spread says how unsure they are."
    )


def _heard(entry: InputEntry) -> str:
    """Whose text an input is of, where it is not the corpus's own."""
    if "transcriber" not in entry.attrs:
        return ""
    told = [f"weights {str(entry.attrs.get('transcriber_sha256'))[:8]}"]
    if revision := entry.attrs.get("transcriber_revision"):
        told.insert(0, f"revision {_text(revision)}")
    who = _text(without_folders(str(entry.attrs["transcriber"])))
    of = f"{_text(entry.modality)} of {_text(without_folders(entry.entry))}"
    return (
        f"The {of} is what {who} heard in the audio ({', '.join(told)}), not "
        "what people wrote: text from elsewhere, and by another model, is untested.\n\n"
    )


def _features(entry: InputEntry) -> str:
    """Of a vector; where layers are summed, how many of them too."""
    return " x ".join(map(str, entry.shape))


def _data(summary: Mapping[str, Any], settings: Mapping[str, Any]) -> str:
    left_out = summary["utterances"]["left_out"]
    lines = [f"- corpus: {_text(summary['corpus'] or 'unknown')}"]
    lines += _settings_lines(settings, _POLICY)
    if subset := settings.get("subset"):
        columns = sorted({str(one).partition("=")[0] for one in subset})
        lines.append(f"- subset by: {_text(', '.join(columns))}")
    lines.append(f"- utterances used: {summary['utterances']['used']}")
    lines += [f"- left out: {count} {_text(reason)}" for reason, count in left_out.items()]
    return "## Data\n\nThe label is the raters' vote shares.\n\n" + "\n".join(lines)


def _training(
    summary: Mapping[str, Any], settings: Mapping[str, Any], supervised: Sequence[str]
) -> str:
    selected = summary["selected"]
    chosen = list(dict.fromkeys(json.dumps(one) for one in selected["settings"]))
    lines = _settings_lines(settings, _PARTS)
    lines += [f"- selected: {selected['how']}, by {selected['by']}"]
    lines += [f"- {_text(_spelled(json.loads(one)))}" for one in chosen]
    heads = ", ".join(map(_text, supervised)) or "none"
    lines.append(f"- heads that learned from the raters themselves: {heads}")
    return "## Training\n\n" + "\n".join(lines)


def _spelled(settings: Mapping[str, Any]) -> str:
    told = {key: value for key, value in settings.items() if value is not None}
    return ", ".join(f"{key.replace('_', '-')} {value}" for key, value in told.items())


def _results(summary: Mapping[str, Any]) -> str:
    tables = []
    for test in summary["test_sets"]:
        tables.append(to_markdown(results_table(summary, test)).strip())
    return (
        "## Results\n\nOut of fold. Mean and standard deviation over seeds; below the heads stand "
        "the floors, which look at no input, and each head's mean and spread over folds, which is "
        "how much other speakers change it. A figure close to the floors shows no skill.\n\n"
        + "\n\n".join(tables)
    )


def _leakage(summary: Mapping[str, Any]) -> str:
    lines = [
        f"- {leakage_name(kind)}: {one['test_utterances']} of {one['known']} test utterances "
        f"({one['share']:.1%}) share theirs with training"
        for kind in KINDS
        if (one := summary["leakage"].get(kind)) and one["test_utterances"]
    ]
    lines += [f"- {_text(one)}" for one in summary.get("warnings", [])]
    if diverged := summary.get("diverged_runs"):
        lines.append(f"- {counted(len(diverged), 'run')} diverged")
    nothing = (
        "Of what is known of speakers, sessions, dialogues and transcripts, nothing is shared."
    )
    told = "\n".join(lines) or nothing
    return f"## Leakage and warnings\n\n{told}"


def _use(summary: Mapping[str, Any]) -> str:
    raters = ", ".join(map(_text, summary["classes"]))
    return (
        "## Intended use and limits\n\nFor research on how people disagree about emotion in "
        "speech. It estimates what such raters would say of such recordings; it does not know what "
        "anybody feels. Not for decisions about people: hiring, teaching, policing, health, credit "
        "or the like. Other languages, microphones, ages and cultures than the corpus's are "
        "untested, and figures drop there. It knows only these labels: "
        f"{raters}. Embeddings, and a model made of them, can tell of the speakers that they were "
        "made from."
    )


_METHOD = (
    "## Citing\n\nJingyao Wu, Grace Lin, Yinuo Song, Rosalind Picard. AmbER2: Dual Ambiguity-"
    "Aware Emotion Recognition Applied to Speech and Text. ICASSP 2026, arXiv:2601.18010. Please "
    "cite the corpus and the encoders too."
)


def _settings_lines(settings: Mapping[str, Any], names: Sequence[str]) -> list[str]:
    return [
        f"- {name.replace('_', ' ')}: {_text(settings[name])}"
        for name in names
        if settings.get(name) not in (None, "")
    ]


def _without_names(summary: Mapping[str, Any]) -> dict[str, Any]:
    """A summary without a subset's values, which may be names, and without folders."""
    subset = "outside the subset"
    utterances = dict(summary["utterances"])
    utterances["left_out"] = {
        subset if reason.startswith(subset) else reason: count
        for reason, count in utterances["left_out"].items()
    }
    encoders = {
        modality: without_folders(one) if isinstance(one, str) else [*map(without_folders, one)]
        for modality, one in summary["encoders"].items()
    }
    return {**summary, "utterances": utterances, "encoders": encoders}


def _text(value: object) -> str:
    """A value as a line of Markdown that can't become anything but text."""
    line = " ".join(str(value).split())
    return re.sub(r"([\\`*_<>|\[\]])", r"\\\1", line) if line else ""
