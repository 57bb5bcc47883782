"""What stage two can be told: the label policy, the folds, the loss, the optimiser, the grid.

The configuration classes are what a user may write; None stands for "as the protocol, the loss or
the cache has it", and settings.py fills it in. `RunSettings` is one row of the table that is
trained. Nothing here imports torch.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from amber_cache.records import Listing

FUSION = "fusion"

#: The metrics that are better high or low; metrics.py, which brings NumPy, defines them.
MetricName = Literal[
    "js",
    "bc",
    "r2",
    "f1",
    "wf1",
    "acc",
    "f1_multilabel",
    "acc_tie",
    "r2_cod",
    "js_aer",
    "ece_hard_5",
    "ece_hard_15",
    "ece_soft",
    "brier",
]

#: (modality, entry of the cache), in the modalities' order.
Encoders = tuple[tuple[str, str], ...]

#: What tests may draw as one.
ClusterName = Literal["speaker", "dialogue", "session", "utterance"]

LossName = Literal["amber2", "cb-ce", "soft-ce", "kl", "js"]

#: What a label protocol sets unless the user says otherwise; None in the cache: all labels.
PROTOCOLS: dict[str, dict[str, Any]] = {
    "demo-4": {"classes": "neutral,happy+excited,angry,sad", "folds": "session"},
    "iemocap-4": {"classes": "neutral,happy+excited,angry,sad", "folds": "session"},
    "msp-podcast-8": {
        "classes": "neutral,happy,angry,sad,disgust,fear,surprise,contempt",
        "keep": "any-vote",
        "folds": "random",
    },
    # What raters heard alone; the twelve sentences say nothing about emotion.
    "crema-d-6": {
        "classes": "neutral,happy,angry,sad,disgust,fear",
        "raters": "voice",
        "folds": "speaker",
    },
}

#: The settings of one run, in the order of runs.csv; a grid may vary any of them.
RUN_SETTINGS: tuple[str, ...] = (
    "loss",
    "student",
    "lambda_rai",
    "lambda_mai",
    "kappa",
    "expert_loss",
    "attach_weights",
    "smoothing",
    "lr",
    "weight_decay",
    "hidden",
    "dropout",
    "batch_size",
    "epochs",
    "patience",
)

#: Which of them only some losses listen to.
LOSS_SETTINGS: dict[str, tuple[str, ...]] = {
    "amber2": ("student", "lambda_rai", "lambda_mai", "kappa", "expert_loss", "attach_weights"),
    "cb-ce": (),
    "soft-ce": (),
    "kl": (),
    "js": (),
}


# What training and looking at a corpus are told alike.
ProtocolOption = Annotated[str | None, "label preset; the corpus's own by default"]
ClassesOption = Annotated[Listing | None, 'in order, merged with "+": "neutral,happy+excited"']
KeepOption = Annotated[
    Literal["all-in", "any-vote", "majority-mass", "consensus"] | None,
    "which utterances have a soft label",
]
RatersOption = Annotated[str | None, "external, all, or a kind of rater"]
ChoicesOption = Annotated[Literal["primary", "all"] | None, "count secondary choices too?"]
FoldsOption = Annotated[
    Literal["session", "speaker", "dialogue", "random", "official"] | None, "test parts"
]


@dataclass(frozen=True, kw_only=True)
class TrainingConfig:
    """What every command that trains is told: on which labels and folds, and how."""

    cache: Annotated[Path, "the cache to read"] = Path("data/cache.h5")
    encoder: Annotated[
        tuple[tuple[str, str], ...], "MODALITY=NAME, where the cache holds more"
    ] = ()
    audio_encoder: Annotated[str | None, "short for --encoder audio=NAME"] = None
    text_encoder: Annotated[str | None, "short for --encoder text=NAME"] = None
    layer: Annotated[
        Listing | None,
        "a number, or weighted: a learned sum of all that the cache has of an encoder",
    ] = None
    modalities: Annotated[tuple[str, ...], "which of the cache's to use; all by default"] = ()
    protocol: ProtocolOption = None
    classes: ClassesOption = None
    keep: KeepOption = None
    raters: RatersOption = None
    choices: ChoicesOption = None
    subset: Annotated[
        tuple[Listing, ...], "COLUMN=VALUE,...: train and test on these utterances alone"
    ] = ()
    folds: FoldsOption = None
    num_folds: Annotated[int, "how many"] = 5
    fold_seed: Annotated[int, "seed of random splits"] = 0
    validation: Annotated[
        Literal["next", "random"], "the next fold, or 20% of the training part"
    ] = "next"
    kappa: Annotated[float | None, "sharpness of the experts' weights, Eq. 5 [default: 4]"] = None
    lambda_rai: Annotated[float | None, "weight of the raters' term, Eq. 6 [default: 1]"] = None
    lambda_mai: Annotated[float | None, "weight of the experts' term, Eq. 6 [default: 0.5]"] = None
    seeds: Annotated[Listing, "how many, or a list: 0,7"] = Listing("5")
    epochs: Annotated[int, "at most; the best by validation is kept"] = 30
    patience: Annotated[int, "epochs without a better one before a run stops; 0: never"] = 0
    batch_size: Annotated[int, "utterances a step; the last, partial batch is kept"] = 128
    lr: Annotated[float, "AdamW's learning rate"] = 3e-4
    weight_decay: Annotated[float, "AdamW's weight decay"] = 1e-2
    hidden: Annotated[int, "width of the hidden layers"] = 256
    dropout: Annotated[float, "after each ReLU"] = 0.0
    standardize: Annotated[bool, "inputs, on each training split"] = True
    precision: Annotated[
        Literal["float32", "tf32", "bfloat16"] | None,
        "of the products with the inputs [default: float32, on a GPU tf32]",
    ] = None
    device: Annotated[str, "cpu, cuda or cuda:1"] = "cpu"
    gpu: Annotated[bool, "short for --device cuda"] = False


@dataclass(frozen=True, kw_only=True)
class FitConfig(TrainingConfig):
    """What `amber fit` trains: the same, with one loss."""

    loss: Annotated[LossName, "training loss"] = "amber2"
    student: Annotated[str | None, "the head that the others teach [default: fusion]"] = None
    expert_loss: Annotated[
        float | None, "weight of each expert's own JS to the raters [default: 0; 1 if unimodal]"
    ] = None
    attach_weights: Annotated[bool | None, "let gradients through the experts' weights"] = None
    smoothing: Annotated[float, "of the labels that training sees: S in (1-S)y + S(1-y)/(C-1)"] = (
        0.0
    )


@dataclass(frozen=True, kw_only=True)
class GridConfig(FitConfig):
    """What `amber grid` searches: the same, over a grid of settings."""

    grid: Annotated[
        tuple[tuple[str, str], ...], "NAME=V,V,...: an axis [default: lambda-mai and kappa]"
    ] = ()
    select: Annotated[Literal["nested", "pooled"], "on validation, per fold or for all"] = "nested"
    select_by: Annotated[MetricName, "the validation metric to select on"] = "js"


@dataclass(frozen=True, kw_only=True)
class CompareConfig(TrainingConfig):
    """What `amber compare` trains: several systems, each with its own loss (systems.py)."""

    systems: Annotated[tuple[str, ...], "NAME,NAME,...; all by default"] = ()
    reference: Annotated[str, "the system that the others are tested against"] = "cb-ce"
    clusters: Annotated[
        ClusterName | None,
        "what tests and intervals draw as one [default: speaker, else dialogue, where known]",
    ] = None


@dataclass(frozen=True, kw_only=True)
class OverviewConfig:
    """What `amber corpus` looks at, under which label policy, and of which folds it tells leaks."""

    corpus: Annotated[str | None, "which reader; by default the one that knows the place"] = None
    votes_file: Annotated[Path | None, "the votes, where they are not beside the manifest"] = None
    durations: Annotated[bool, "read the lengths of a corpus's audio files"] = True
    protocol: ProtocolOption = None
    classes: ClassesOption = None
    keep: KeepOption = None
    raters: RatersOption = None
    choices: ChoicesOption = None
    folds: FoldsOption = None
    num_folds: Annotated[int, "how many"] = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class RunSettings:
    """One row's settings; None where the loss does not listen to one.

    Attributes:
        encoders: Of the modalities whose encoder is an axis, in their order; the others' are the
            same in every row.
    """

    loss: str
    student: str | None
    lambda_rai: float | None
    lambda_mai: float | None
    kappa: float | None
    expert_loss: float | None
    attach_weights: bool | None
    smoothing: float = 0.0
    lr: float
    weight_decay: float
    hidden: int
    dropout: float
    batch_size: int
    epochs: int
    patience: int
    encoders: Encoders = ()


#: The axes that `amber grid` has by itself, from the paper's section 4.2.
DEFAULT_GRID: tuple[tuple[str, str], ...] = (("lambda_mai", "0.3,0.5,0.7"), ("kappa", "2,4,8"))


def encoder_axis(modality: str) -> str:
    """The axis of a grid along which a modality's encoder changes: "audio_encoder"."""
    return modality.replace("-", "_") + "_encoder"


def told(settings: RunSettings) -> dict[str, Any]:
    """A row's settings as files have them: one entry a setting, and one an axis of encoders."""
    plain = asdict(settings)
    del plain["encoders"]
    return {**plain, **{encoder_axis(modality): name for modality, name in settings.encoders}}


def heads_of(modalities: Sequence[str]) -> tuple[str, ...]:
    """The heads in order: one a modality, and fusion where there are several."""
    return (*modalities, FUSION) if len(modalities) > 1 else tuple(modalities)
