"""Where a run departs from the paper, and why: a row a difference, from its own settings."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from amber_heads.reading.evidence import Evidence, System

Row = tuple[str, str, str, str]

#: (setting, the paper's value, why another one may do).
_TRAINING = (
    ("lr", 3e-4, "given with --lr"),
    ("weight_decay", 1e-2, "given with --weight-decay"),
    ("batch_size", 128, "given with --batch-size"),
    ("epochs", 30, "given with --epochs"),
)

#: What the paper leaves open: (setting, what was done, why).
_OPEN = (
    ("hidden", "hidden width", "a default of amber"),
    ("dropout", "dropout", "none unless asked for"),
)

_GRIDS = {"lambda_mai": "0.3, 0.5, 0.7", "kappa": "2, 4, 8"}
_CORPORA = ("iemocap", "msp-podcast")


def departures(evidence: Evidence, leading: System, config: Mapping[str, Any]) -> list[Row]:
    """(what, the paper, here, why), for the system that a report speaks of first."""
    told = config.get("settings", {})
    return [
        *_of_data(evidence, told),
        *_of_settings(leading.settings),
        *_always(told, leading.settings),
    ]


def _of_data(evidence: Evidence, told: Mapping[str, Any]) -> Iterator[Row]:
    if evidence.corpus not in _CORPORA:
        yield "corpus", "IEMOCAP and MSP-Podcast", evidence.corpus or "unknown", "the data at hand"
    encoders = told.get("encoder") or {}
    named = (
        {key: str(one) for key, one in encoders.items()} if isinstance(encoders, Mapping) else {}
    )
    papers = {"audio": "wav2vec2", "text": "bert"}
    for modality, name in named.items():
        if papers.get(modality, "no such modality") not in name:
            there = {"audio": "wav2vec2", "text": "BERT"}.get(modality, "not used")
            yield (
                f"{modality} encoder",
                there,
                name,
                "given with --encoder, or the corpus's default",
            )
    if told.get("keep", "all-in") != "all-in":
        why = "the paper's counts fit utterances whose votes all lie in the classes"
        yield "utterances kept", "all-in, as far as its counts tell", str(told["keep"]), why
    if told.get("raters", "external") != "external":
        yield (
            "raters",
            "external raters, as far as its counts tell",
            str(told["raters"]),
            "--raters",
        )
    if evidence.corpus == "msp-podcast" and told.get("folds") != "random":
        yield "folds", "five random ones, which share speakers", str(told.get("folds")), "--folds"
    if (number := len(set(evidence.fold.tolist()))) != 5:
        yield "number of folds", "5", str(number), "--folds and --num-folds"
    if len(evidence.seeds) != 5:
        yield "seeds", "5", str(len(evidence.seeds)), "--seeds"


def _of_settings(settings: Sequence[Mapping[str, Any]]) -> Iterator[Row]:
    for name, papers, why in _TRAINING:
        values = _values(settings, name)
        if values and any(abs(float(one) - papers) > 1e-12 for one in values):
            yield name.replace("_", " "), f"{papers:g}", _listed(values), why
    for name, words in _GRIDS.items():
        values = _values(settings, name)
        if values and len(settings) and len({tuple(sorted(one)) for one in settings}) == 1:
            chosen = _listed(values)
            if not set(map(float, values)) <= set(map(float, words.split(","))):
                yield name, f"one of {words}", chosen, f"--{name.replace('_', '-')}"
    if _values(settings, "smoothing") not in ([], [0.0]):
        yield "label smoothing", "none", _listed(_values(settings, "smoothing")), "--smoothing"


def _always(told: Mapping[str, Any], settings: Sequence[Mapping[str, Any]]) -> Iterator[Row]:
    for name, words, why in _OPEN:
        if values := _values(settings, name):
            yield words, "not given", _listed(values), why
    if "standardize" in told:
        done = "on the training part" if told["standardize"] else "none"
        yield "standardised inputs", "not given", done, "a default of amber, or --standardize"
    attached = _values(settings, "attach_weights")
    if attached:
        detached = "attached" if any(attached) else "detached"
        why = (
            "with gradients through u, an expert that is farther from the student is pushed away "
            "from the raters"
        )
        yield "gradient through the expert weights u", "not given", detached, why
    if (expert := _values(settings, "expert_loss")) and any(expert):
        why = "Eq. 6 gives the experts no supervision of their own"
        yield "loss of the experts' own", "none in Eq. 6", _listed(expert), why
    yield (
        "F1",
        "probably that of classes above 1/C",
        "macro F1 of the top class; f1_multilabel beside it",
        "the published F1 is larger than W-F1 allows",
    )
    yield "unit of JS", "not given; its figures fit base 2", "base 2, the divergence", "in [0, 1]"


def _values(settings: Sequence[Mapping[str, Any]], name: str) -> list[Any]:
    found = (one.get(name) for one in settings)
    return list(dict.fromkeys(one for one in found if one is not None))


def _listed(values: Sequence[Any]) -> str:
    return ", ".join(f"{one:g}" if isinstance(one, int | float) else str(one) for one in values)
