"""What stage two can be told: the label policy, the folds, the loss, the optimiser, the grid.

`FitConfig` is what a user may write; None stands for "as the protocol, the loss or the cache has
it". `complete` fills every such gap, refuses what has no effect, and gives the frozen
configuration that a run directory holds. Nothing here imports torch.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Annotated, Any, Literal

from amber_cache.errors import ConfigError

FUSION = "fusion"

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
}

_POLICY_DEFAULTS: dict[str, Any] = {
    "classes": "",
    "keep": "all-in",
    "raters": "external",
    "choices": "primary",
    "folds": "session",
}

_LOSS_DEFAULTS: dict[str, Any] = {
    "student": FUSION,
    "kappa": 4.0,
    "lambda_rai": 1.0,
    "lambda_mai": 0.5,
    "attach_weights": False,
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
    "lr",
    "weight_decay",
    "hidden",
    "dropout",
    "batch_size",
    "epochs",
)

#: Which of them only some losses listen to.
LOSS_SETTINGS: dict[str, tuple[str, ...]] = {
    "amber2": ("student", "lambda_rai", "lambda_mai", "kappa", "expert_loss", "attach_weights"),
    "cb-ce": (),
    "soft-ce": (),
    "kl": (),
    "js": (),
}


@dataclass(frozen=True, kw_only=True)
class FitConfig:
    """What `amber fit` trains, on which labels and folds, and how."""

    cache: Annotated[Path, "the cache to read"] = Path("data/cache.h5")
    encoder: Annotated[
        tuple[tuple[str, str], ...], "MODALITY=NAME, where the cache holds more"
    ] = ()
    audio_encoder: Annotated[str | None, "short for --encoder audio=NAME"] = None
    text_encoder: Annotated[str | None, "short for --encoder text=NAME"] = None
    modalities: Annotated[tuple[str, ...], "which of the cache's to use; all by default"] = ()
    protocol: Annotated[str | None, "label preset; the corpus's own by default"] = None
    classes: Annotated[str | None, 'in order, merged with "+": "neutral,happy+excited"'] = None
    keep: Annotated[
        Literal["all-in", "any-vote", "majority-mass", "consensus"] | None,
        "which utterances have a soft label",
    ] = None
    raters: Annotated[str | None, "external, all, or a kind of rater"] = None
    choices: Annotated[Literal["primary", "all"] | None, "count secondary choices too?"] = None
    folds: Annotated[Literal["session", "speaker", "random", "official"] | None, "test parts"] = (
        None
    )
    num_folds: Annotated[int, "how many"] = 5
    fold_seed: Annotated[int, "seed of random splits"] = 0
    validation: Annotated[
        Literal["next", "random"], "the next fold, or 20% of the training part"
    ] = "next"
    loss: Annotated[LossName, "training loss"] = "amber2"
    student: Annotated[str | None, "the head that the others teach [default: fusion]"] = None
    kappa: Annotated[float | None, "sharpness of the experts' weights, Eq. 5 [default: 4]"] = None
    lambda_rai: Annotated[float | None, "weight of the raters' term, Eq. 6 [default: 1]"] = None
    lambda_mai: Annotated[float | None, "weight of the experts' term, Eq. 6 [default: 0.5]"] = None
    expert_loss: Annotated[
        float | None, "weight of each expert's own JS to the raters [default: 0; 1 if unimodal]"
    ] = None
    attach_weights: Annotated[bool | None, "let gradients through the experts' weights"] = None
    seeds: Annotated[str, "how many, or a list: 0,7"] = "5"
    epochs: Annotated[int, "at most; the best by validation is kept"] = 30
    batch_size: Annotated[int, "utterances a step; the last, partial batch is kept"] = 128
    lr: Annotated[float, "AdamW's learning rate"] = 3e-4
    weight_decay: Annotated[float, "AdamW's weight decay"] = 1e-2
    hidden: Annotated[int, "width of the hidden layers"] = 256
    dropout: Annotated[float, "after each ReLU"] = 0.0
    standardize: Annotated[bool, "inputs, on each training split"] = True
    device: Annotated[str, "cpu, cuda or cuda:1"] = "cpu"


@dataclass(frozen=True, kw_only=True)
class GridConfig(FitConfig):
    """What `amber grid` searches: the same, over a grid of settings."""

    grid: Annotated[
        tuple[tuple[str, str], ...], "NAME=V,V,...: an axis [default: lambda-mai and kappa]"
    ] = ()
    select: Annotated[Literal["nested", "pooled"], "on validation, per fold or for all"] = "nested"
    select_by: Annotated[Literal["js"], "the validation metric to select on"] = "js"


@dataclass(frozen=True, slots=True, kw_only=True)
class RunSettings:
    """One row's settings; None where the loss does not listen to one."""

    loss: str
    student: str | None
    lambda_rai: float | None
    lambda_mai: float | None
    kappa: float | None
    expert_loss: float | None
    attach_weights: bool | None
    lr: float
    weight_decay: float
    hidden: int
    dropout: float
    batch_size: int
    epochs: int


#: The axes that `amber grid` has by itself, from the paper's section 4.2.
DEFAULT_GRID: tuple[tuple[str, str], ...] = (("lambda_mai", "0.3,0.5,0.7"), ("kappa", "2,4,8"))


def complete(
    config: FitConfig,
    origins: Mapping[str, int],
    *,
    protocol: str,
    modalities: Sequence[str],
) -> FitConfig:
    """Fill what the user left open, and refuse what is impossible or has no effect.

    Args:
        config: A `FitConfig` or a `GridConfig`.
        origins: By field, how near to the user its value came from (higher is nearer, 0 is the
            default): a setting that something nearer has made pointless is dropped, one at the
            same level is refused.
        protocol: The cache's own.
        modalities: The cache's own, in order.

    Raises:
        ConfigError: As said, in one line that names the option.
    """
    config = _complete_policy(config, protocol)
    config = _complete_modalities(config, modalities)
    axes = _axes(config, origins)
    losses = [str(value) for value in axes.get("loss", (config.loss,))]
    gaps: dict[str, Any] = {}
    for name, (reason, cause) in _without_effect(config, losses, modalities=config.modalities):
        if getattr(config, name) == _DEFAULTS[name]:
            continue
        if origins[name] >= origins.get(cause, 0):
            raise ConfigError(f"{_flag(name)} has no effect {reason}; leave it out")
        gaps[name] = _DEFAULTS[name]
    config = replace(config, **gaps)
    needed = {name for loss in losses for name in LOSS_SETTINGS[loss]}
    for name in LOSS_SETTINGS["amber2"]:
        if name in needed and name not in axes and getattr(config, name) is None:
            gaps[name] = _LOSS_DEFAULTS.get(name)
    config = replace(config, **gaps, seeds=",".join(map(str, parse_seeds(config.seeds))) + ",")
    if isinstance(config, GridConfig):
        grid = tuple((name, ",".join(map(str, values))) for name, values in axes.items())
        config = replace(config, grid=grid)
    for settings in expand(config):
        _check_run(settings, heads=heads_of(config.modalities))
    _check_numbers(config)
    return config


def expand(config: FitConfig) -> tuple[RunSettings, ...]:
    """The settings of every cell of the grid, in table order; one for a plain fit.

    Cells that differ only in what their loss does not listen to are one cell.
    """
    axes = _parsed_axes(config)
    cells: list[dict[str, Any]] = [{name: getattr(config, name) for name in RUN_SETTINGS}]
    for name, values in axes.items():
        cells = [{**cell, name: value} for cell in cells for value in values]
    return tuple(dict.fromkeys(_run_settings(cell) for cell in cells))


def parse_seeds(text: str) -> tuple[int, ...]:
    """Read `--seeds`: a number of seeds, or a list.

    Raises:
        ConfigError: It is neither, holds a seed twice or a negative one.

    Examples:
        >>> parse_seeds("3"), parse_seeds("0,7"), parse_seeds("7,")
        ((0, 1, 2), (0, 7), (7,))
    """
    try:
        numbers = [int(part) for part in text.split(",") if part.strip()]
    except ValueError:
        numbers = []
    seeds = range(numbers[0]) if len(numbers) == 1 and "," not in text else numbers
    if not seeds or min(seeds) < 0 or len(set(seeds)) < len(seeds):
        raise ConfigError(
            f"--seeds {text!r}: must be how many (5), or a list of different seeds (0,7)"
        )
    return tuple(seeds)


def heads_of(modalities: Sequence[str]) -> tuple[str, ...]:
    """The heads in order: one a modality, and fusion where there are several."""
    return (*modalities, FUSION) if len(modalities) > 1 else tuple(modalities)


_DEFAULTS = {one.name: one.default for one in fields(GridConfig)}


def _flag(name: str) -> str:
    return "--" + name.replace("_", "-")


def _complete_policy(config: FitConfig, protocol: str) -> FitConfig:
    name = protocol if config.protocol is None else config.protocol
    if name and name not in PROTOCOLS:
        raise ConfigError(
            f"--protocol {name}: no such protocol; choose from {', '.join(PROTOCOLS)}"
        )
    preset = {**_POLICY_DEFAULTS, **PROTOCOLS.get(name, {})}
    gaps = {key: value for key, value in preset.items() if getattr(config, key) is None}
    return replace(config, protocol=name, **gaps)


def _complete_modalities(config: FitConfig, on_offer: Sequence[str]) -> FitConfig:
    chosen = config.modalities or tuple(on_offer)
    if missing := [name for name in chosen if name not in on_offer]:
        raise ConfigError(
            f"--modalities: the cache has no {', '.join(missing)}; it has {', '.join(on_offer)}"
        )
    short = {"audio": config.audio_encoder, "text": config.text_encoder}
    encoders = dict(config.encoder)
    for modality, name in short.items():
        if name is not None and encoders.setdefault(modality, name) != name:
            raise ConfigError(f"--{modality}-encoder and --encoder {modality}=... disagree")
    if strangers := [name for name in encoders if name not in chosen]:
        raise ConfigError(f"--encoder {strangers[0]}=...: the modalities are {', '.join(chosen)}")
    return replace(
        config,
        modalities=tuple(dict.fromkeys(chosen)),
        encoder=tuple(encoders.items()),
        audio_encoder=None,
        text_encoder=None,
    )


def _axes(config: FitConfig, origins: Mapping[str, int]) -> dict[str, tuple[Any, ...]]:
    """The grid's axes, less those that a setting nearer to the user has fixed."""
    if not isinstance(config, GridConfig):
        return {}
    default = not config.grid
    if default and config.loss != "amber2":
        raise ConfigError(
            f"--loss {config.loss} does not listen to lambda-mai and kappa, the default grid; "
            "name one with --grid, for example --grid lr=1e-4,3e-4"
        )
    axes = _parsed_axes(replace(config, grid=DEFAULT_GRID) if default else config)
    level = origins.get("grid", 0)
    for name in [name for name in axes if origins.get(name, 0)]:
        if origins[name] <= level and not default:
            raise ConfigError(f"{_flag(name)} and --grid {name.replace('_', '-')}=... disagree")
        if getattr(config, name) is not None:
            del axes[name]
    return axes


def _parsed_axes(config: FitConfig) -> dict[str, tuple[Any, ...]]:
    axes: dict[str, tuple[Any, ...]] = {}
    for key, text in getattr(config, "grid", ()):
        name = key.replace("-", "_")
        if name not in RUN_SETTINGS:
            known = ", ".join(one.replace("_", "-") for one in RUN_SETTINGS)
            raise ConfigError(f"--grid {key}: no such axis; choose from {known}")
        parts = [part.strip() for part in text.split(",") if part.strip()]
        axes[name] = tuple(dict.fromkeys(_axis_value(key, name, part) for part in parts))
        if not axes[name]:
            raise ConfigError(f"--grid {key}={text}: no values")
    return axes


def _axis_value(key: str, name: str, text: str) -> Any:
    kinds: dict[str, Any] = {"loss": str, "student": str, "hidden": int, "batch_size": int}
    kinds["epochs"] = int
    if name == "attach_weights":
        kinds[name] = {"true": True, "false": False}.__getitem__
    try:
        value = kinds.get(name, float)(text)
    except (ValueError, KeyError):
        raise ConfigError(f"--grid {key}: {text!r} is no value for it") from None
    if name == "loss" and value not in LOSS_SETTINGS:
        raise ConfigError(f"--grid loss: {text!r} is not one of {', '.join(LOSS_SETTINGS)}")
    return value


def _without_effect(
    config: FitConfig, losses: Collection[str], *, modalities: Sequence[str]
) -> list[tuple[str, tuple[str, str]]]:
    """Settings that nothing listens to: (name, (why, the setting that is the cause))."""
    heard = {name for loss in losses for name in LOSS_SETTINGS[loss]}
    idle = [
        (name, (f"with --loss {', '.join(losses)}", "loss"))
        for name in LOSS_SETTINGS["amber2"]
        if name not in heard
    ]
    if config.lambda_mai == 0 and not idle:
        idle += [(n, ("with --lambda-mai 0", "lambda_mai")) for n in ("kappa", "attach_weights")]
    if config.folds == "official":
        idle += [(n, ("with --folds official", "folds")) for n in ("num_folds", "validation")]
    if config.folds in ("session", "official") and config.validation != "random":
        idle.append(("fold_seed", (f"with --folds {config.folds} and no random part", "folds")))
    return idle


def _run_settings(cell: Mapping[str, Any]) -> RunSettings:
    heard = LOSS_SETTINGS[cell["loss"]]
    values = {n: cell[n] for n in RUN_SETTINGS}
    for name in LOSS_SETTINGS["amber2"]:
        if name not in heard:
            values[name] = None
        elif values[name] is None and name != "expert_loss":
            values[name] = _LOSS_DEFAULTS[name]
    if "expert_loss" in heard and values["expert_loss"] is None:
        # The printed equations leave the other heads unsupervised under a unimodal student.
        values["expert_loss"] = 0.0 if values["student"] == FUSION else 1.0
    return RunSettings(**values)


def _check_run(settings: RunSettings, *, heads: Sequence[str]) -> None:
    if settings.loss == "amber2" and len(heads) == 1:
        raise ConfigError(
            f"--loss amber2 needs several modalities, and there is only {heads[0]}: it has no "
            "fusion and no expert; use --loss js, kl, soft-ce or cb-ce"
        )
    if settings.student is not None and settings.student not in heads:
        raise ConfigError(f"--student {settings.student}: choose from {', '.join(heads)}")
    for name in ("kappa", "lambda_rai", "lambda_mai", "expert_loss", "weight_decay"):
        value = getattr(settings, name)
        if value is not None and not 0 <= value < math.inf:
            raise ConfigError(f"{_flag(name)} is {value}; it must be a number of at least 0")
    if settings.lambda_rai == 0 and settings.lambda_mai == 0:
        raise ConfigError("--lambda-rai 0 and --lambda-mai 0 leave no loss for the student")
    if not 0 < settings.lr < math.inf:
        raise ConfigError(f"--lr is {settings.lr}; it must be positive")
    if not 0 <= settings.dropout < 1:
        raise ConfigError(f"--dropout is {settings.dropout}; it must be in [0, 1)")
    for name in ("hidden", "batch_size", "epochs"):
        if getattr(settings, name) < 1:
            raise ConfigError(f"{_flag(name)} is {getattr(settings, name)}; it must be at least 1")


def _check_numbers(config: FitConfig) -> None:
    fewest = 3 if config.validation == "next" else 2
    if config.folds != "official" and config.num_folds < fewest:
        raise ConfigError(
            f"--num-folds is {config.num_folds}; --validation {config.validation} needs at least "
            f"{fewest}: training, validation and test must all have utterances"
        )
    if config.fold_seed < 0:
        raise ConfigError(f"--fold-seed is {config.fold_seed}; it must be at least 0")
