"""From what a user wrote to what is trained: gaps are filled, and what has no effect is refused.

`complete` gives the frozen configuration that a run directory holds, `expand` the rows of the
table that it asks for. Nothing here imports torch.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields, replace
from typing import Any, TypeVar

from amber_cache.errors import ConfigError
from amber_cache.records import Listing
from amber_heads.configuration.axes import (
    axis_text,
    encoder_levels,
    encoders_without_axes,
    parse_axes,
)
from amber_heads.configuration.cells import LOSS_DEFAULTS, default_expert_loss, expand
from amber_heads.configuration.checks import check_folds, check_run, flag
from amber_heads.configuration.options import (
    DEFAULT_GRID,
    FUSION,
    LOSS_SETTINGS,
    PROTOCOLS,
    RUN_SETTINGS,
    CompareConfig,
    FitConfig,
    GridConfig,
    OverviewConfig,
    RunSettings,
    TrainingConfig,
    heads_of,
)
from amber_heads.configuration.systems import (
    AMBER2_SETTINGS,
    Recipe,
    choose_reference,
    choose_systems,
    heard_settings,
    systems_of,
)

#: A configuration with label settings.
Policed = TypeVar("Policed", TrainingConfig, OverviewConfig)

__all__ = [
    "FUSION",
    "CompareConfig",
    "FitConfig",
    "GridConfig",
    "OverviewConfig",
    "RunSettings",
    "TrainingConfig",
    "complete",
    "complete_fold_seed",
    "complete_policy",
    "expand",
    "heads_of",
    "parse_seeds",
]

#: The level of amber.toml among the origins of settings; see `complete`.
FILE_LEVEL = 1

#: How many seeds `--seeds N` may ask for: more is a seed taken for a number of seeds.
MOST_SEEDS = 1000

_POLICY_DEFAULTS: dict[str, Any] = {
    "classes": "",
    "keep": "all-in",
    "raters": "external",
    "choices": "primary",
    "folds": "session",
}


def complete(
    config: TrainingConfig,
    origins: Mapping[str, int],
    *,
    protocol: str,
    modalities: Sequence[str],
) -> TrainingConfig:
    """Fill what the user left open, and refuse what is impossible or has no effect.

    Args:
        config: A `FitConfig`, a `GridConfig` or a `CompareConfig`; another of the same is given.
        origins: By field, how near to the user its value came from (higher is nearer, 0 is the
            default): a setting that something nearer has made pointless is dropped, one at the
            same level is refused.
        protocol: The cache's own.
        modalities: The cache's own, in order.

    Raises:
        ConfigError: As said, in one line that names the option.
    """
    if config.gpu:
        config = replace(
            config, gpu=False, device="cuda" if config.device == "cpu" else config.device
        )
    config = _complete_precision(config)
    config = complete_policy(config, protocol)
    levels = encoder_levels(config, origins)
    config = _complete_modalities(config, modalities)
    config = _complete_systems(config) if isinstance(config, CompareConfig) else config
    axes = _axes(config, {**origins, **levels})
    dropped = _refuse_or_drop(config, axes, origins)
    axes = {name: values for name, values in axes.items() if name not in dropped}
    config = replace(config, **{name: _DEFAULTS[name] for name in {*dropped, *axes} & {*_DEFAULTS}})
    config = replace(config, encoder=encoders_without_axes(config.encoder, axes))
    config = replace(config, **_loss_gaps(config, axes), seeds=_listed(parse_seeds(config.seeds)))
    if isinstance(config, GridConfig):
        grid = tuple((name, ",".join(map(axis_text, values))) for name, values in axes.items())
        config = replace(config, grid=grid)
    for settings in expand(config):
        check_run(settings, heads=heads_of(config.modalities))
    check_folds(config)
    return config


def complete_fold_seed(
    config: TrainingConfig, origins: Mapping[str, int], *, num_groups: int | None
) -> TrainingConfig:
    """Refuse or drop a fold seed where nothing is drawn, as `complete` does with other settings.

    Args:
        config: A completed configuration.
        origins: As in `complete`.
        num_groups: How many sessions or speakers are put into folds; None: utterances are.

    Raises:
        ConfigError: Each group is a fold, and no validation part is drawn.
    """
    draws = num_groups is None or num_groups > config.num_folds or config.validation == "random"
    if draws or config.fold_seed == _DEFAULTS["fold_seed"] or config.folds == "official":
        return config
    causes = ("folds", "num_folds", "validation")
    if origins.get("fold_seed", 0) < max(origins.get(name, 0) for name in causes):
        return replace(config, fold_seed=_DEFAULTS["fold_seed"])
    raise ConfigError(
        f"--fold-seed has no effect where each {config.folds} is a fold and no part is drawn; "
        "leave it out"
    )


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
    if len(numbers) == 1 and "," not in text:
        if numbers[0] > MOST_SEEDS:
            raise ConfigError(
                f"--seeds {text}: is how many, at most {MOST_SEEDS}; for that one seed alone "
                f"write --seeds {text},"
            )
        numbers = list(range(numbers[0]))
    if not numbers or not 0 <= min(numbers) <= max(numbers) < 2**63 or _has_twins(numbers):
        raise ConfigError(
            f"--seeds {text!r}: must be how many (5), or a list of different seeds (0,7), "
            "none of them negative"
        )
    return tuple(numbers)


_DEFAULTS: dict[str, Any] = {one.name: one.default for one in fields(GridConfig)}


def _complete_precision(config: TrainingConfig) -> TrainingConfig:
    on_gpu = config.device.startswith("cuda")
    if config.precision == "tf32" and not on_gpu:
        raise ConfigError("--precision tf32 has no effect on a CPU; use float32 or bfloat16")
    if config.precision is None:
        return replace(config, precision="tf32" if on_gpu else "float32")
    return config


def complete_policy(config: Policed, protocol: str) -> Policed:
    """Fill the label settings that the user left open, by the protocol or amber's own defaults.

    Raises:
        ConfigError: There is no such protocol.
    """
    name = protocol if config.protocol is None else config.protocol
    if name and name not in PROTOCOLS:
        raise ConfigError(
            f"--protocol {name}: no such protocol; choose from {', '.join(PROTOCOLS)}"
        )
    preset = {**_POLICY_DEFAULTS, **PROTOCOLS.get(name, {})}
    gaps = {key: value for key, value in preset.items() if getattr(config, key, value) is None}
    return replace(config, protocol=name, **gaps)


def _complete_modalities(config: TrainingConfig, on_offer: Sequence[str]) -> TrainingConfig:
    chosen = config.modalities or tuple(on_offer)
    if FUSION in chosen:
        raise ConfigError(
            f"the cache has a modality named {FUSION}, which is the name of a head; leave it out "
            "with --modalities"
        )
    if dotted := [name for name in chosen if "." in name]:
        raise ConfigError(
            f"the cache has a modality named {dotted[0]}; a dot parts the names of a model's "
            "tensors: leave it out with --modalities"
        )
    if missing := [name for name in chosen if name not in on_offer]:
        raise ConfigError(
            f"--modalities: the cache has no {', '.join(missing)}; it has {', '.join(on_offer)}"
        )
    short = {"audio": config.audio_encoder, "text": config.text_encoder}
    encoders = dict(config.encoder)
    for modality in encoders:
        named = [name for one, name in config.encoder if one == modality]
        if len(named) > 1:
            raise ConfigError(
                f"--encoder names {', '.join(named)} for {modality}, and a run trains "
                f"on one; `amber grid --grid {modality}-encoder={','.join(named)}` compares them"
            )
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


def _axes(config: TrainingConfig, origins: Mapping[str, int]) -> dict[str, tuple[Any, ...]]:
    """The grid's axes, less those that a setting nearer to the user has fixed."""
    if not isinstance(config, GridConfig):
        return {}
    if not config.grid and config.loss != "amber2":
        raise ConfigError(
            f"--loss {config.loss} does not listen to lambda-mai and kappa, the default grid; "
            "name one with --grid, for example --grid lr=1e-4,3e-4"
        )
    axes = parse_axes(config if config.grid else replace(config, grid=DEFAULT_GRID))
    for name in tuple(axes):
        level, level_of_grid = origins.get(name, 0), origins.get("grid", 0)
        if level <= FILE_LEVEL:  # what amber.toml sets for every command takes no axis away
            continue
        fixed = name not in RUN_SETTINGS or getattr(config, name) != _DEFAULTS[name]
        if level > level_of_grid if config.grid else fixed:
            del axes[name]
        elif level == level_of_grid and fixed:
            option = flag(name) if name in _DEFAULTS else "--encoder"
            raise ConfigError(f"{option} and --grid {flag(name)[2:]}=... disagree")
    return axes


def _refuse_or_drop(
    config: TrainingConfig, axes: Mapping[str, Sequence[Any]], origins: Mapping[str, int]
) -> set[str]:
    """The settings and axes that something nearer to the user has made pointless.

    Raises:
        ConfigError: One is pointless, and what makes it so is no nearer.
    """
    dropped = set()
    for name, why, cause in _without_effect(config, axes):
        if name not in axes and getattr(config, name) == _DEFAULTS[name]:
            continue
        level, level_of_cause = (
            origins.get("grid" if one in axes else one, 0) for one in (name, cause)
        )
        if level >= level_of_cause:
            option = f"--grid {flag(name)[2:]}" if name in axes else flag(name)
            raise ConfigError(f"{option} has no effect {why}; leave it out")
        dropped.add(name)
    return dropped


def _loss_gaps(config: TrainingConfig, axes: Mapping[str, Sequence[Any]]) -> dict[str, Any]:
    """What the losses that are asked for listen to and the user left open."""
    if isinstance(config, CompareConfig):
        heard = heard_settings(_recipes(config), lambda_mai=config.lambda_mai)
        return {n: LOSS_DEFAULTS[n] for n in AMBER2_SETTINGS if n in heard and _is_open(config, n)}
    needed = {name for loss in _losses(config, axes) for name in LOSS_SETTINGS[loss]} - set(axes)
    gaps = {n: v for n, v in LOSS_DEFAULTS.items() if n in needed and _is_open(config, n)}
    if "expert_loss" in needed and _is_open(config, "expert_loss") and "student" not in axes:
        student = gaps.get("student", getattr(config, "student", None))
        gaps["expert_loss"] = default_expert_loss(student)
    return gaps


def _is_open(config: TrainingConfig, name: str) -> bool:
    return getattr(config, name) is None


def _losses(config: TrainingConfig, axes: Mapping[str, Sequence[Any]]) -> tuple[str, ...]:
    """Those of a fit's or a grid's cells."""
    return tuple(axes.get("loss", (getattr(config, "loss", None),)))


def _recipes(config: CompareConfig) -> list[Recipe]:
    found = systems_of(config.modalities)
    return [found[name] for name in config.systems]


def _complete_systems(config: CompareConfig) -> CompareConfig:
    here: dict[str, Any] = {"modalities": config.modalities, "lambda_mai": config.lambda_mai}
    systems = choose_systems(config.systems, **here)
    return replace(config, systems=systems, reference=choose_reference(config.reference, systems))


def _listed(seeds: Sequence[int]) -> Listing:
    """As `parse_seeds` reads a list, one seed too."""
    return Listing(",".join(map(str, seeds)) + ",")


def _has_twins(numbers: Sequence[int]) -> bool:
    return len(set(numbers)) < len(numbers)


def _without_effect(
    config: TrainingConfig, axes: Mapping[str, Sequence[Any]]
) -> list[tuple[str, str, str]]:
    """Settings that nothing listens to: (name, why, the setting that is the cause)."""
    if isinstance(config, CompareConfig):
        idle = _idle_in_comparison(config)
    else:
        idle = _idle_with_losses(config, axes)
    if config.folds == "official":
        parting = ("num_folds", "validation", "fold_seed")
        idle += [(name, "with --folds official", "folds") for name in parting]
    return idle


def _idle_with_losses(
    config: TrainingConfig, axes: Mapping[str, Sequence[Any]]
) -> list[tuple[str, str, str]]:
    losses = _losses(config, axes)
    heard = {name for loss in losses for name in LOSS_SETTINGS[loss]}
    why = f"with --loss {', '.join(losses)}"
    idle = [(name, why, "loss") for name in LOSS_SETTINGS["amber2"] if name not in heard]
    if not idle and _is_zero("lambda_mai", config, axes):
        idle += [(n, "with --lambda-mai 0", "lambda_mai") for n in ("kappa", "attach_weights")]
    elif not idle and _is_zero("kappa", config, axes):
        idle.append(("attach_weights", "with --kappa 0", "kappa"))
    return idle


def _idle_in_comparison(config: CompareConfig) -> list[tuple[str, str, str]]:
    able = heard_settings(_recipes(config), lambda_mai=None)
    heard = heard_settings(_recipes(config), lambda_mai=config.lambda_mai)
    idle = [(n, "on the systems compared", "systems") for n in AMBER2_SETTINGS if n not in able]
    return idle + [(n, "with --lambda-mai 0", "lambda_mai") for n in sorted(able - heard)]


def _is_zero(name: str, config: TrainingConfig, axes: Mapping[str, Sequence[Any]]) -> bool:
    return all(value == 0 for value in axes.get(name, (getattr(config, name),)))
