"""What tests and intervals draw as one: a speaker's utterances, or a dialogue's."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from amber_cache.errors import ConfigError
from amber_heads.configuration.options import ClusterName
from amber_heads.policies.codes import is_unknown
from amber_heads.policies.groups import GROUPED, group_by

#: In this order, where the user says nothing: errors of one speaker are alike.
PREFERRED: tuple[ClusterName, ...] = ("speaker", "dialogue", "session")


def clusters_by(
    kind: ClusterName | None, columns: Mapping[str, np.ndarray]
) -> tuple[ClusterName, np.ndarray]:
    """Which cluster each utterance is of.

    Args:
        kind: "speaker", "dialogue", "session" or "utterance" (each its own); None: the first of
            the three of which there are several.
        columns: (N,) strings: "speaker", "dialogue" and "session".

    Returns:
        The kind, and (N,) names or numbers.

    Raises:
        ConfigError: The kind that is asked for is not known of every utterance.
    """
    number = len(columns["speaker"])
    if kind == "utterance":
        return kind, np.arange(number)
    if kind is not None:
        return kind, _names(kind, columns)
    for one in PREFERRED:
        if _is_known(one, columns) and len(set(names := _names(one, columns))) > 1:
            return one, names
    return "utterance", np.arange(number)


def _is_known(kind: str, columns: Mapping[str, np.ndarray]) -> bool:
    unknown = is_unknown(columns[kind])
    return not unknown.all() and not is_unknown(columns["dialogue"][unknown]).any()


def _names(kind: str, columns: Mapping[str, np.ndarray]) -> np.ndarray:
    assert kind in GROUPED
    try:
        return group_by(kind, columns).names
    except ConfigError:
        raise ConfigError(
            f"--clusters {kind}: not every utterance's {kind} is known; use --clusters utterance"
        ) from None
