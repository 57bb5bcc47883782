"""What is settled before anything trains: the configuration, the data, the folds and their leaks.

Everything that a user should know of these is gathered here as lines: `notes` (who was grouped
how, which official test set has no labels) and the leakage guard's block and warnings.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from amber_cache.errors import CacheError, ConfigError
from amber_cache.store import Cache, data_hash, open_cache, text_array
from amber_heads.configuration.axes import encoders_without_axes, parse_axes, refuse_twins
from amber_heads.configuration.checks import check_smoothing
from amber_heads.configuration.options import Encoders, encoder_axis
from amber_heads.configuration.settings import (
    CompareConfig,
    GridConfig,
    TrainingConfig,
    complete,
    complete_fold_seed,
    expand,
)
from amber_heads.configuration.systems import left_out_note
from amber_heads.counting import counted
from amber_heads.data import Dataset, load_datasets
from amber_heads.folds import Fold, absent_test_sets, make_folds
from amber_heads.formulas.agreement import entropy_per_utterance
from amber_heads.leakage import measure_leakage
from amber_heads.leakage_words import leakage_block, leakage_warnings
from amber_heads.policies.clusters import clusters_by
from amber_heads.policies.groups import GROUPED, Groups, group_by
from amber_heads.policies.layer_choice import spell_out_layers
from amber_heads.policies.layers import layers_of, parse_name
from amber_heads.policies.subset import parse_subset, subset_texts


@dataclass(frozen=True)
class Prepared:
    """A configuration without gaps, and what it trains on.

    Attributes:
        datasets: By the encoders that a run's settings name: the same utterances through them.
        notes: What was done that the user did not ask for in so many words, one line each.
    """

    config: TrainingConfig
    datasets: Mapping[Encoders, Dataset]
    folds: tuple[Fold, ...]
    notes: tuple[str, ...]

    @property
    def dataset(self) -> Dataset:
        """The first; all others differ in their encoders and inputs alone."""
        return next(iter(self.datasets.values()))

    @property
    def fingerprint(self) -> str:
        """The data's; where there are several, of all their vectors."""
        found = [one.fingerprint for one in self.datasets.values()]
        return found[0] if len(found) == 1 else data_hash(text_array(found))


@dataclass(frozen=True)
class Guard:
    """What the folds leak.

    Attributes:
        leakage: As `measure_leakage` gives it.
        block: What is told before training, one line each.
        warnings: What must be known wherever the figures are shown.
    """

    leakage: Mapping[str, Any]
    block: tuple[str, ...]
    warnings: tuple[str, ...]

    @property
    def in_brief(self) -> dict[str, dict[str, Any]]:
        """The counts over all folds, as config.json keeps them."""
        short = ("values", "test_utterances", "known", "share")
        return {kind: {name: one[name] for name in short} for kind, one in self.leakage.items()}


def prepare(config: TrainingConfig, origins: Mapping[str, int]) -> Prepared:
    """Complete a configuration, read the data that it names, and part it.

    Args:
        origins: As in `settings.complete`.

    Raises:
        AmberError: The cache or the configuration can't be used.
    """
    with open_cache(config.cache) as cache:
        config, origins = spell_out_layers(config, origins, cache)
        config = complete(config, origins, protocol=cache.protocol, modalities=cache.modalities)
        config = _with_entries(config, cache)
        subset = parse_subset(config.subset, cache.utterances)
        combinations = list(dict.fromkeys(one.encoders for one in expand(config)))
        datasets = load_datasets(
            cache,
            combinations=[dict(config.encoder) | dict(one) for one in combinations],
            modalities=config.modalities,
            classes=str(config.classes),
            keep=str(config.keep),
            raters=str(config.raters),
            choices=str(config.choices),
            subset=subset,
        )
        splits = cache.utterances.split
    dataset = datasets[0]
    for settings in expand(config):
        check_smoothing(settings, num_classes=len(dataset.classes))
    kind = str(config.folds)
    groups = group_by(kind, dataset.columns) if kind in GROUPED else None
    num_groups = None if groups is None else len(set(groups.names))
    config = complete_fold_seed(config, origins, num_groups=num_groups)
    # The entries by name: the cache may hold more of them when this is run again.
    encoder = encoders_without_axes(tuple(dataset.encoders.items()), parse_axes(config))
    config = replace(config, encoder=encoder, subset=subset_texts(subset))
    notes = _notes(kind, groups, absent_test_sets(splits, dataset.columns["split"]))
    if isinstance(config, CompareConfig):
        config = replace(config, clusters=clusters_by(config.clusters, dataset.columns)[0])
        notes += left_out_note(
            config.systems, modalities=config.modalities, lambda_mai=config.lambda_mai
        )
    by_encoders = dict(zip(combinations, datasets, strict=True))
    return Prepared(config, by_encoders, _folds(config, dataset), notes)


def guard(prepared: Prepared) -> Guard:
    """Measure what the folds leak, and say it."""
    folds, dataset, config = prepared.folds, prepared.dataset, prepared.config
    leakage = measure_leakage(folds, dataset.columns)
    num_test = sum(len(test) for fold in folds for test in fold.tests.values())
    return Guard(
        leakage=leakage,
        block=tuple(leakage_block(leakage, num_test=num_test)),
        warnings=tuple(
            leakage_warnings(leakage, folds=str(config.folds), modalities=config.modalities)
        ),
    )


def _with_entries(config: TrainingConfig, cache: Cache) -> TrainingConfig:
    """The grid with the entries that its axes of encoders mean, by their names in the cache."""
    if not isinstance(config, GridConfig):
        return config
    axes, grid = parse_axes(config), dict(config.grid)
    for modality in config.modalities:
        axis = encoder_axis(modality)
        if axis in axes:
            key = axis.replace("_", "-")
            entries = [_entry(cache, modality, one, key=key) for one in axes[axis]]
            refuse_twins(key, entries)
            grid[axis] = ",".join(entries)
    return replace(config, grid=tuple(grid.items()))


def _entry(cache: Cache, modality: str, name: str, *, key: str) -> str:
    try:
        if parse_name(name).layer is None:
            layers_of(cache, modality, name)
            return parse_name(name).weighted
        return cache.entry(modality, name).name
    except (CacheError, ConfigError) as error:
        raise ConfigError(f"--grid {key}={name}: {error}") from None


def _folds(config: TrainingConfig, dataset: Dataset) -> tuple[Fold, ...]:
    return make_folds(
        str(config.folds),
        columns=dataset.columns,
        ambiguity=entropy_per_utterance(dataset.target),
        num_folds=config.num_folds,
        seed=config.fold_seed,
        validation=config.validation,
    )


def _notes(kind: str, groups: Groups | None, absent: Mapping[str, int]) -> tuple[str, ...]:
    notes = []
    if groups is not None and groups.num_by_dialogue:
        have = counted(groups.num_by_dialogue, "utterance has", "utterances have")
        notes.append(
            f"--folds {kind}: {have} no known {kind}; they go by "
            f"their dialogue, with the {kind} that most of it has"
        )
    if kind == "official":
        notes += [
            f"--folds official: none of the {size} utterances of {name} can be used (no label, or "
            "left out); it is not tested"
            for name, size in absent.items()
        ]
    return tuple(notes)
