"""`--map`: which labels of another corpus count as which class of a run."""

from __future__ import annotations

import numpy as np
import pytest

from amber_cache.errors import ConfigError
from amber_heads.using.label_map import make_label_map, parse_label_map

CLASSES = ("neutral", "happy", "angry", "sad")
GROUPS = (("neutral",), ("happy", "excited"), ("angry",), ("sad",))


def test_without_a_map_each_class_counts_its_own_labels() -> None:
    known = {"neutral", "happy", "excited", "angry", "sad", "fear"}
    found = make_label_map({}, GROUPS, known=known, voted=known)
    assert found.classes == CLASSES
    assert found.labels["happy"] == ("happy", "excited")
    assert found.dropped == ()
    assert found.told() == ["Labels: happy+excited counts as happy."]


def test_a_mapped_class_counts_what_is_listed_and_nothing_else() -> None:
    known = {"neutral", "joy", "glee", "happy", "rage", "sad", "angry"}
    given = parse_label_map("joy+glee=happy,rage=angry", CLASSES)
    found = make_label_map(given, GROUPS, known=known, voted=known)
    assert found.labels["happy"] == ("joy", "glee")
    assert found.labels["angry"] == ("rage",)
    assert found.as_classes == "neutral,joy+glee,rage,sad"


def test_a_label_that_is_mapped_away_leaves_its_own_class() -> None:
    given = parse_label_map("happy+excited+sad=happy", CLASSES)
    known = {"neutral", "happy", "excited", "sad", "angry"}
    found = make_label_map(given, GROUPS, known=known, voted=known)
    assert found.classes == ("neutral", "happy", "angry")
    assert found.dropped == ("sad",)


def test_dropped_classes_leave_the_predictions_too() -> None:
    known = {"neutral", "sad"}
    found = make_label_map({}, GROUPS, known=known, voted=known)
    assert (found.classes, found.dropped) == (("neutral", "sad"), ("happy", "angry"))
    p = np.array([[0.1, 0.2, 0.4, 0.3], [0.0, 0.5, 0.5, 0.0], [np.nan] * 4])
    wanted = [[0.25, 0.75], [0.5, 0.5], [np.nan, np.nan]]
    np.testing.assert_allclose(found.restricted(p, CLASSES), wanted)
    assert "No counted vote for happy, angry" in found.told()[0]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("happy", "must be LABEL"),
        ("=happy", "must be LABEL"),
        ("joy+=happy", "must be LABEL"),
        ("joy=glad", "the run has no such class; it has neutral, happy"),
        ("joy=happy,glee=happy", "happy stands in it twice"),
        ("joy=happy,joy=sad", "joy is mapped twice"),
    ],
)
def test_what_is_no_map_is_refused(text: str, reason: str) -> None:
    with pytest.raises(ConfigError, match=reason):
        parse_label_map(text, CLASSES)


def test_labels_that_are_not_there_are_refused() -> None:
    with pytest.raises(ConfigError, match="has no label joy; it has neutral, sad"):
        make_label_map(
            {"happy": ("joy",)}, GROUPS, known={"neutral", "sad"}, voted={"neutral", "sad"}
        )
    with pytest.raises(ConfigError, match="leaves neutral of the run's classes"):
        make_label_map({}, GROUPS, known={"neutral", "fear"}, voted={"neutral", "fear"})
