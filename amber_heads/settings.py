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
from amber_heads.axes import axis_text, encoder_levels, encoders_without_axes, parse_axes
from amber_heads.checks import check_folds, check_run, flag
from amber_heads.options import (
    DEFAULT_GRID,
    FUSION,
    LOSS_SETTINGS,
    PROTOCOLS,
    RUN_SETTINGS,
    FitConfig,
    GridConfig,
    OverviewConfig,
    RunSettings,
    encoder_axis,
    heads_of,
)

#: A configuration with label settings.
Policed = TypeVar("Policed", FitConfig, OverviewConfig)

__all__ = [
    "FUSION",
    "FitConfig",
    "GridConfig",
    "OverviewConfig",
    "RunSettings",
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

_LOSS_DEFAULTS: dict[str, Any] = {
    "student": FUSION,
    "kappa": 4.0,
    "lambda_rai": 1.0,
    "lambda_mai": 0.5,
    "attach_weights": False,
}


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
    if config.gpu:
        config = replace(
            config, gpu=False, device="cuda" if config.device == "cpu" else config.device
        )
    config = _complete_precision(config)
    config = complete_policy(config, protocol)
    levels = encoder_levels(config, origins)
    config = _complete_modalities(config, modalities)
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
    config: FitConfig, origins: Mapping[str, int], *, num_groups: int | None
) -> FitConfig:
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


def expand(config: FitConfig) -> tuple[RunSettings, ...]:
    """The settings of every cell of the grid, in table order; one for a plain fit.

    Cells that differ only in what their loss does not listen to are one cell.
    """
    axes = parse_axes(config)
    modalities = {encoder_axis(one): one for one in config.modalities}
    cells: list[dict[str, Any]] = [{name: getattr(config, name) for name in RUN_SETTINGS}]
    for name, values in axes.items():
        cells = [{**cell, name: value} for cell in cells for value in values]
    return tuple(dict.fromkeys(_run_settings(cell, modalities) for cell in cells))


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


def _complete_precision(config: FitConfig) -> FitConfig:
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


def _complete_modalities(config: FitConfig, on_offer: Sequence[str]) -> FitConfig:
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


def _axes(config: FitConfig, origins: Mapping[str, int]) -> dict[str, tuple[Any, ...]]:
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
    config: FitConfig, axes: Mapping[str, Sequence[Any]], origins: Mapping[str, int]
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


def _loss_gaps(config: FitConfig, axes: Mapping[str, Sequence[Any]]) -> dict[str, Any]:
    """What the losses that are asked for listen to and the user left open."""
    losses = axes.get("loss", (config.loss,))
    needed = {name for loss in losses for name in LOSS_SETTINGS[loss]} - set(axes)
    gaps = {n: v for n, v in _LOSS_DEFAULTS.items() if n in needed and getattr(config, n) is None}
    if "expert_loss" in needed and config.expert_loss is None and "student" not in axes:
        gaps["expert_loss"] = _default_expert_loss(gaps.get("student", config.student))
    return gaps


def _listed(seeds: Sequence[int]) -> Listing:
    """As `parse_seeds` reads a list, one seed too."""
    return Listing(",".join(map(str, seeds)) + ",")


def _has_twins(numbers: Sequence[int]) -> bool:
    return len(set(numbers)) < len(numbers)


def _without_effect(
    config: FitConfig, axes: Mapping[str, Sequence[Any]]
) -> list[tuple[str, str, str]]:
    """Settings that nothing listens to: (name, why, the setting that is the cause)."""
    losses = tuple(axes.get("loss", (config.loss,)))
    heard = {name for loss in losses for name in LOSS_SETTINGS[loss]}
    why = f"with --loss {', '.join(losses)}"
    idle = [(name, why, "loss") for name in LOSS_SETTINGS["amber2"] if name not in heard]
    if not idle and _is_zero("lambda_mai", config, axes):
        idle += [(n, "with --lambda-mai 0", "lambda_mai") for n in ("kappa", "attach_weights")]
    elif not idle and _is_zero("kappa", config, axes):
        idle.append(("attach_weights", "with --kappa 0", "kappa"))
    if config.folds == "official":
        parting = ("num_folds", "validation", "fold_seed")
        idle += [(name, "with --folds official", "folds") for name in parting]
    return idle


def _is_zero(name: str, config: FitConfig, axes: Mapping[str, Sequence[Any]]) -> bool:
    return all(value == 0 for value in axes.get(name, (getattr(config, name),)))


def _default_expert_loss(student: str | None) -> float:
    """The printed equations leave the other heads unsupervised under a unimodal student."""
    return 0.0 if student in (None, FUSION) else 1.0


def _run_settings(cell: Mapping[str, Any], modalities: Mapping[str, str]) -> RunSettings:
    heard = LOSS_SETTINGS[cell["loss"]]
    values = {n: cell[n] for n in RUN_SETTINGS}
    for name in LOSS_SETTINGS["amber2"]:
        if name not in heard:
            values[name] = None
        elif values[name] is None and name != "expert_loss":
            values[name] = _LOSS_DEFAULTS[name]
    if "expert_loss" in heard and values["expert_loss"] is None:
        values["expert_loss"] = _default_expert_loss(values["student"])
    if values["lambda_mai"] == 0:  # cells that differ in what it silences are one
        values |= {name: _LOSS_DEFAULTS[name] for name in ("kappa", "attach_weights")}
    encoders = tuple((m, cell[axis]) for axis, m in modalities.items() if axis in cell)
    return RunSettings(**values, encoders=encoders)
