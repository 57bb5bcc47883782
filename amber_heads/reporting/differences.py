"""Each system against the reference: difference, interval, test, and Holm over the family.

The head that a system is judged by is held against the reference's; its other heads against the
reference's of the same name, since an audio head against a fusion head would say nothing of the
loss. Each of these is a family for Holm: all systems by their main head, all audio heads, and so
on. js is primary; the other metrics have families of their own. A floor is shown, and in none.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace

import numpy as np

from amber_cache.errors import ConfigError
from amber_heads.comparing.twins import twins
from amber_heads.metrics import HEADLINE, METRICS
from amber_heads.policies.codes import is_unknown
from amber_heads.policies.groups import GROUPED, group_by
from amber_heads.reading.evidence import Evidence, System
from amber_heads.reporting.choices import floor_predictions, main_head
from amber_heads.stats import Difference, adjusted, paired_differences

#: The family of what is one training with another system: shown, and counted with that alone.
TWIN = "twin"

#: Probabilities of one training in two runs differ by less, in float32 and among other runs.
_REPEATED = 1e-6

#: What all is judged by first.
PRIMARY = "js"

#: A difference whose adjusted p is below this is called significant.
LEVEL = 0.05


@dataclass(frozen=True)
class Compared:
    """One system less the reference, in one metric; `family` is "" for a floor, TWIN for a twin."""

    label: str
    reference: str
    difference: Difference
    family: str

    @property
    def is_system(self) -> bool:
        """And no floor, which no test counts."""
        return bool(self.family)

    @property
    def is_better(self) -> bool:
        """On the better side of the reference, whatever the metric's direction."""
        lower = METRICS[self.difference.metric].direction == "min"
        return self.difference.mean < 0 if lower else self.difference.mean > 0

    @property
    def is_significant(self) -> bool:
        """By Holm's p over the family; never where no test was made."""
        return self.difference.p_adjusted < LEVEL

    @property
    def marker(self) -> str:
        """matplotlib's: a triangle towards smaller or larger values."""
        return "<" if self.difference.mean < 0 else ">"

    def as_row(self) -> dict[str, object]:
        """For a CSV file."""
        return {"system": self.label, "reference": self.reference, **asdict(self.difference)}


@dataclass(frozen=True)
class Clusters:
    """What belongs together when systems are compared.

    Attributes:
        names: (N,) the cluster of each utterance.
        kind: "speaker", "dialogue", "session", or "utterance" where none of these is known.
    """

    names: np.ndarray
    kind: str

    @property
    def number(self) -> int:
        """How many there are."""
        return len(np.unique(self.names))


def clusters_of(evidence: Evidence, wanted: str | None) -> Clusters:
    """By speaker, or what was asked for; an unknown speaker goes by its dialogue.

    Raises:
        ConfigError: What was asked for is unknown in these runs, or no such thing.
    """
    if wanted is not None and wanted not in GROUPED:
        raise ConfigError(f"--clusters {wanted}: must be one of {', '.join(GROUPED)}")
    columns = {name: getattr(evidence, name) for name in GROUPED}
    for kind in [wanted] if wanted else ["speaker", "dialogue", "session"]:
        if is_unknown(columns[kind]).all():
            continue
        try:
            return Clusters(group_by(kind, columns).names, kind)
        except ConfigError:
            continue
    if wanted is not None:
        raise ConfigError(f"--clusters {wanted}: some utterances have none in these runs")
    return Clusters(evidence.ids, "utterance")


def twins_of(evidence: Evidence) -> dict[str, str]:
    """Labels of heads that train as another that is there, and which; a run given twice too."""
    alike = twins({one.label: (one.settings, one.head) for one in evidence.systems})
    for number, one in enumerate(evidence.systems):
        for other in evidence.systems[:number]:
            if other.label not in alike and _is_repeated(one, other):
                alike.setdefault(one.label, other.label)
    return alike


def _is_repeated(one: System, other: System) -> bool:
    """The same predictions out of two runs, but for rounding."""
    if one.run == other.run or one.head != other.head:
        return False
    return np.allclose(one.test, other.test, rtol=0, atol=_REPEATED, equal_nan=True)


def compare_all(
    evidence: Evidence, reference: System, clusters: Clusters
) -> dict[str, list[Compared]]:
    """By metric of `HEADLINE`: every system and the training mean against the reference."""
    pairs = _pairs(evidence, reference)
    found = [_compared(evidence, one, clusters) for one in pairs]
    return {metric: _in_families([one[metric] for one in found]) for metric in HEADLINE}


@dataclass(frozen=True)
class _Pair:
    """What is held against what; `family`: a floor's is "", which no test counts, or TWIN."""

    label: str
    test: np.ndarray
    against: System
    family: str


def _pairs(evidence: Evidence, reference: System) -> list[_Pair]:
    """Every head but the reference's own, then the training mean."""
    own = {one.head: one for one in evidence.systems if one.name == reference.name}
    names = dict.fromkeys(one.name for one in evidence.systems if one.name != reference.name)
    pairs, alike = [], twins_of(evidence)
    for name in names:
        heads = [one for one in evidence.systems if one.name == name]
        main = main_head(heads)
        for one in heads:
            against = reference if one is main else own.get(one.head, reference)
            family = TWIN if one.label in alike else "main" if one is main else one.head
            pairs.append(_Pair(one.label, one.test, against, family))
    pairs.sort(key=lambda one: one.family not in ("main", TWIN))  # each in the systems' order
    mean = floor_predictions(evidence)["training mean"]
    return [*pairs, _Pair("training mean", mean, reference, "")]


def _in_families(rows: Sequence[Compared]) -> list[Compared]:
    """With Holm's p within each family."""
    filled = list(rows)
    families = dict.fromkeys(one.family for one in rows if one.is_system)
    for family in families.keys() - {TWIN}:
        places = [i for i, one in enumerate(rows) if one.family == family]
        found = adjusted([rows[i].difference for i in places])
        for i, one in zip(places, found, strict=True):
            filled[i] = replace(rows[i], difference=one)
    return filled


def _compared(evidence: Evidence, pair: _Pair, clusters: Clusters) -> dict[str, Compared]:
    found = paired_differences(
        evidence.target, pair.test, pair.against.test, metrics=HEADLINE, clusters=clusters.names
    )
    return {
        name: Compared(pair.label, pair.against.label, one, pair.family)
        for name, one in found.items()
    }


def smallest_p(found: Sequence[Compared]) -> float:
    """The smallest p that the clusters allow; NaN where no test was made."""
    known = [
        one.difference.smallest_p for one in found if not math.isnan(one.difference.smallest_p)
    ]
    return min(known, default=math.nan)
