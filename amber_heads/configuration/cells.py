"""The cells of the table that a configuration asks for: one a fit, a grid's, or a comparison's.

Cells that differ only in what their loss does not listen to are one cell, whoever asks for them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from amber_heads.configuration.axes import parse_axes
from amber_heads.configuration.options import (
    FUSION,
    LOSS_SETTINGS,
    RUN_SETTINGS,
    CompareConfig,
    RunSettings,
    TrainingConfig,
    encoder_axis,
)
from amber_heads.configuration.systems import Recipe, systems_of

#: What AmbER2's loss is told where the user says nothing.
LOSS_DEFAULTS: dict[str, Any] = {
    "student": FUSION,
    "kappa": 4.0,
    "lambda_rai": 1.0,
    "lambda_mai": 0.5,
    "attach_weights": False,
}


def expand(config: TrainingConfig) -> tuple[RunSettings, ...]:
    """The settings of every cell, in table order; one for a plain fit."""
    if isinstance(config, CompareConfig):
        found = systems_of(config.modalities)
        cells = [one for name in config.systems for one in cells_of(found[name], config)]
        return tuple(dict.fromkeys(cells))
    axes = parse_axes(config)
    modalities = {encoder_axis(one): one for one in config.modalities}
    table: list[dict[str, Any]] = [_common(config)]
    for name, values in axes.items():
        table = [{**cell, name: value} for cell in table for value in values]
    return tuple(dict.fromkeys(_run_settings(cell, modalities) for cell in table))


def cells_of(recipe: Recipe, config: CompareConfig) -> tuple[RunSettings, ...]:
    """What a system of a comparison trains."""
    return tuple(_run_settings({**_common(config), **cell}, {}) for cell in recipe.cells)


def default_expert_loss(student: str | None) -> float:
    """The printed equations leave the other heads unsupervised under a unimodal student."""
    return 0.0 if student in (None, FUSION) else 1.0


def _common(config: TrainingConfig) -> dict[str, Any]:
    """By setting; None, or no smoothing, where a comparison's systems say it each for itself."""
    silent = {"smoothing": 0.0}
    return {name: getattr(config, name, silent.get(name)) for name in RUN_SETTINGS}


def _run_settings(cell: Mapping[str, Any], modalities: Mapping[str, str]) -> RunSettings:
    heard = LOSS_SETTINGS[cell["loss"]]
    values = {n: cell[n] for n in RUN_SETTINGS}
    for name in LOSS_SETTINGS["amber2"]:
        if name not in heard:
            values[name] = None
        elif values[name] is None and name != "expert_loss":
            values[name] = LOSS_DEFAULTS[name]
    if "expert_loss" in heard and values["expert_loss"] is None:
        values["expert_loss"] = default_expert_loss(values["student"])
    if values["lambda_mai"] == 0:  # cells that differ in what it silences are one
        values |= {name: LOSS_DEFAULTS[name] for name in ("kappa", "attach_weights")}
    encoders = tuple((m, cell[axis]) for axis, m in modalities.items() if axis in cell)
    return RunSettings(**values, encoders=encoders)
