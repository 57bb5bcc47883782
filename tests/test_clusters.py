"""What tests draw as one: speakers where they are known, else dialogues, else what is asked for."""

from __future__ import annotations

import numpy as np
import pytest

from amber_cache.errors import ConfigError
from amber_heads.policies.clusters import clusters_by


def _columns(speaker: str, dialogue: str, session: str = "ssss") -> dict[str, np.ndarray]:
    """One letter an utterance; a blank is unknown."""
    names = {"speaker": speaker, "dialogue": dialogue, "session": session}
    return {
        name: np.array([one.strip() for one in text], dtype=object) for name, text in names.items()
    }


@pytest.mark.parametrize(
    ("speaker", "dialogue", "kind", "names"),
    [
        ("aabb", "wxyz", "speaker", ["a", "a", "b", "b"]),
        ("aab ", "xxyy", "speaker", ["a", "a", "b", "b"]),  # goes by its dialogue
        ("    ", "xxyy", "dialogue", ["x", "x", "y", "y"]),
        ("aaaa", "xxyy", "dialogue", ["x", "x", "y", "y"]),  # one speaker is no sample
        ("    ", "    ", "utterance", [0, 1, 2, 3]),
        ("aab ", "    ", "utterance", [0, 1, 2, 3]),
    ],
)
def test_the_first_kind_that_is_known_and_has_several_is_taken(
    speaker: str, dialogue: str, kind: str, names: list[object]
) -> None:
    found, clusters = clusters_by(None, _columns(speaker, dialogue))
    assert (found, clusters.tolist()) == (kind, names)


def test_what_is_asked_for_is_taken() -> None:
    columns = _columns("aabb", "wxyz", "stst")
    assert clusters_by("session", columns)[1].tolist() == ["s", "t", "s", "t"]
    assert clusters_by("utterance", columns)[1].tolist() == [0, 1, 2, 3]


def test_what_is_not_known_is_refused() -> None:
    with pytest.raises(ConfigError, match="--clusters speaker: not every utterance's speaker"):
        clusters_by("speaker", _columns("    ", "    "))
