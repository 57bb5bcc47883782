"""What a configuration may hold and who may train it: refused in a line that names the option."""

from __future__ import annotations

import math
from collections.abc import Sequence
from importlib.util import find_spec

from amber_cache.errors import ConfigError
from amber_heads.configuration.options import RunSettings, TrainingConfig

#: One layer of a wider model takes a gigabyte for each run.
MOST_HIDDEN = 1 << 14

#: Who may train: threads of this process, or joblib's backends.
BACKENDS = ("threading", "loky", "dask", "ray")

_PACKAGES = {"dask": "distributed", "ray": "ray"}


def flag(name: str) -> str:
    """A setting's option: "--lambda-mai"."""
    return "--" + name.replace("_", "-")


def check_run(settings: RunSettings, *, heads: Sequence[str]) -> None:
    """Refuse settings that no run can have.

    Raises:
        ConfigError: As said.
    """
    if settings.loss == "amber2" and len(heads) == 1:
        raise ConfigError(
            f"--loss amber2 needs several modalities, and there is only {heads[0]}: it has no "
            "fusion and no expert; use --loss js, kl, soft-ce or cb-ce"
        )
    if settings.student is not None and settings.student not in heads:
        raise ConfigError(f"--student {settings.student}: choose from {', '.join(heads)}")
    for name in ("kappa", "lambda_rai", "lambda_mai", "expert_loss", "weight_decay", "patience"):
        value = getattr(settings, name)
        if value is not None and not 0 <= value < math.inf:
            raise ConfigError(f"{flag(name)} is {value}; it must be a number of at least 0")
    if settings.lambda_rai == 0 and settings.lambda_mai == 0:
        raise ConfigError("--lambda-rai 0 and --lambda-mai 0 leave no loss for the student")
    if not 0 < settings.lr < math.inf:
        raise ConfigError(f"--lr is {settings.lr}; it must be positive")
    for name in ("dropout", "smoothing"):
        if not 0 <= getattr(settings, name) < 1:
            raise ConfigError(f"{flag(name)} is {getattr(settings, name)}; it must be in [0, 1)")
    if settings.hidden > MOST_HIDDEN:
        raise ConfigError(f"--hidden is {settings.hidden}; it must be at most {MOST_HIDDEN}")
    for name in ("hidden", "batch_size", "epochs"):
        if getattr(settings, name) < 1:
            raise ConfigError(f"{flag(name)} is {getattr(settings, name)}; it must be at least 1")


def check_smoothing(settings: RunSettings, *, num_classes: int) -> None:
    """Refuse smoothing that leaves nothing to learn, or the opposite of it.

    At S = (C - 1) / C all labels are uniform; above it the raters' first choice comes out last.

    Raises:
        ConfigError: As said.
    """
    if settings.smoothing * num_classes >= num_classes - 1:
        raise ConfigError(
            f"--smoothing is {settings.smoothing}; with {num_classes} classes it must be below "
            f"{(num_classes - 1) / num_classes:.3g}, where every label is uniform"
        )


def check_folds(config: TrainingConfig) -> None:
    """Refuse numbers of folds that leave a part without utterances.

    Raises:
        ConfigError: As said.
    """
    fewest = 3 if config.validation == "next" else 2
    if config.folds != "official" and config.num_folds < fewest:
        raise ConfigError(
            f"--num-folds is {config.num_folds}; --validation {config.validation} needs at least "
            f"{fewest}: training, validation and test must all have utterances"
        )
    if config.fold_seed < 0:
        raise ConfigError(f"--fold-seed is {config.fold_seed}; it must be at least 0")


def check_trainers(workers: int | None, backend: str, *, on_cpu: bool) -> None:
    """Refuse workers that can't be had.

    Args:
        workers: How many stacks train at once; None: what suits the device.
        backend: One of `BACKENDS`.
        on_cpu: Whether they train on a CPU.

    Raises:
        ConfigError: Fewer than one, several on a GPU, or a backend that can't be had.
    """
    if workers is not None and (workers < 1 or (workers > 1 and not on_cpu)):
        raise ConfigError(f"--workers {workers}: must be at least 1, and 1 on a GPU")
    if backend not in BACKENDS:
        raise ConfigError(f"--backend {backend}: choose from {', '.join(BACKENDS)}")
    if backend != "threading" and (workers in (None, 1) or not on_cpu):
        raise ConfigError(f"--backend {backend} has no effect with one worker; give --workers too")
    package = _PACKAGES.get(backend)
    if package and find_spec(package) is None:
        raise ConfigError(
            f"--backend {backend} needs the package {package}; install it, or leave the option out"
        )


def check_memory(memory_gib: float | None) -> None:
    """Refuse a budget in which nothing trains.

    Raises:
        ConfigError: As said.
    """
    if memory_gib is not None and not 0 < memory_gib < math.inf:
        raise ConfigError(f"--memory is {memory_gib}; it must be positive, in GiB")
