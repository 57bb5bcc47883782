"""How often an interval over clusters holds the truth, in words."""

from __future__ import annotations

from amber_heads.statistics.confidence import CONFIDENCE, most_held


def confidence(num_clusters: int) -> str:
    """What an interval over so many clusters may be called; there is none over a single one.

    >>> confidence(10), confidence(2), confidence(1)
    ('95%', 'at most 50%', 'none')
    """
    if num_clusters < 2:
        return "none"
    held = most_held(num_clusters)
    return f"{held:.0%}" if held == CONFIDENCE else f"at most {100 * held:g}%"


def interval_column(num_clusters: int) -> str:
    """How a column of intervals over so many clusters is headed.

    >>> interval_column(10), interval_column(5), interval_column(1)
    ('95% interval', 'at most 93.75% interval', '95% interval')
    """
    if num_clusters < 2:  # dashes stand in it
        return f"{CONFIDENCE:.0%} interval"
    return f"{confidence(num_clusters)} interval"


def few_clusters_notes(number: int, kind: str) -> list[str]:
    """That so few clusters can't give a 95% interval; nothing of more."""
    if number < 2 or most_held(number) == CONFIDENCE:
        return []
    return [
        f"AN INTERVAL FROM {number} CLUSTERS ({kind}) holds the truth in {confidence(number)} of "
        "cases, not in 95%: no resample reaches beyond the outermost of them."
    ]
