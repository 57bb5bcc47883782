"""Which labels of another corpus count as which class of a run: `--map`, and what follows from it.

A class that the map names counts the labels that it lists there and no others; any other class
counts its own labels. A class for which the other corpus has no counted vote is dropped, from the
raters' distribution and from the model's, and what is left of both is renormalised: raters who were
never offered it can't have chosen it.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from amber_cache.errors import ConfigError


@dataclass(frozen=True)
class LabelMap:
    """The classes that are judged, in the run's order.

    Attributes:
        classes: The run's, by name.
        labels: By class, the other corpus's labels that count as it.
        dropped: The run's classes that no counted vote names.
    """

    classes: tuple[str, ...]
    labels: Mapping[str, tuple[str, ...]]
    dropped: tuple[str, ...]

    @property
    def as_classes(self) -> str:
        """As `--classes` has it, but that a class bears its first label's name."""
        return ",".join("+".join(self.labels[name]) for name in self.classes)

    @property
    def is_plain(self) -> bool:
        """Whether no class is dropped."""
        return not self.dropped

    def restricted(
        self, prediction: Float[np.ndarray, "*batch every"], every: Sequence[str]
    ) -> Float[np.ndarray, "*batch class"]:
        """Distributions over the judged classes alone, renormalised.

        Where all of it lies on dropped classes, the judged ones share it evenly: nothing is known.

        Args:
            every: The run's classes, on the last axis.
        """
        if self.is_plain:
            return prediction
        kept = prediction[..., [list(every).index(name) for name in self.classes]]
        total = kept.sum(axis=-1, keepdims=True)
        even = np.full_like(kept, 1 / len(self.classes))
        return np.asarray(np.divide(kept, total, out=even, where=(total > 0) | np.isnan(total)))

    def told(self) -> list[str]:
        """What a table says of it; nothing where every class is its own label."""
        merged = [
            f"{'+'.join(labels)} counts as {name}"
            for name, labels in self.labels.items()
            if name in self.classes and labels != (name,)
        ]
        notes = [f"Labels: {'; '.join(merged)}."] if merged else []
        if self.dropped:
            notes.append(
                f"No counted vote for {', '.join(self.dropped)}: dropped, from the predictions "
                "too, and what is left renormalised."
            )
        return notes


def parse_label_map(text: str | None, classes: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """Read `--map`: by class of the run, the labels that count as it.

    Raises:
        ConfigError: It is no map, names a class that the run does not have, or a label twice.

    >>> parse_label_map("happy+excited=happy, rage=angry", ["happy", "angry", "sad"])
    {'happy': ('happy', 'excited'), 'angry': ('rage',)}
    """
    found: dict[str, tuple[str, ...]] = {}
    for part in text.split(",") if text else ():
        listed, equals, name = (one.strip().lower() for one in part.rpartition("="))
        labels = tuple(one.strip() for one in listed.split("+"))
        if not equals or not name or not all(labels):
            raise ConfigError(f"--map {text!r}: must be LABEL+LABEL=CLASS,... as in joy+glee=happy")
        if name not in classes:
            raise ConfigError(
                f"--map ...={name}: the run has no such class; it has {', '.join(classes)}"
            )
        if name in found:
            raise ConfigError(f"--map: {name} stands in it twice; write LABEL+LABEL={name}")
        found[name] = labels
    every = [label for labels in found.values() for label in labels]
    if twice := sorted({label for label in every if every.count(label) > 1}):
        raise ConfigError(f"--map: the label {', '.join(twice)} is mapped twice")
    return found


def make_label_map(
    given: Mapping[str, tuple[str, ...]],
    groups: Sequence[Sequence[str]],
    *,
    known: Collection[str],
    voted: Collection[str],
) -> LabelMap:
    """The map for a cache.

    Args:
        given: As `parse_label_map` gives it.
        groups: The run's classes with the labels that each merges; the first names the class.
        known: The cache's labels.
        voted: Those that have a counted vote.

    Raises:
        ConfigError: A label that was named is not there, or fewer than two classes are left.
    """
    if strangers := [one for labels in given.values() for one in labels if one not in known]:
        raise ConfigError(
            f"--map: the cache has no label {', '.join(strangers)}; it has "
            f"{', '.join(sorted(known))}"
        )
    taken = {label for labels in given.values() for label in labels}
    labels = {}
    for group in groups:
        own = tuple(one for one in group if one not in taken)
        listed = given.get(group[0], own)
        labels[group[0]] = tuple(one for one in listed if one in known)
    classes = tuple(name for name, some in labels.items() if set(some) & set(voted))
    if len(classes) < 2:
        raise ConfigError(
            f"the cache's votes name {', '.join(sorted(voted)) or 'no label'}, which leaves "
            f"{', '.join(classes) or 'none'} of the run's classes ({', '.join(labels)}); say with "
            "--map LABEL=CLASS,... what counts as which"
        )
    dropped = tuple(name for name in labels if name not in classes)
    return LabelMap(classes, {name: labels[name] for name in labels if labels[name]}, dropped)
