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


def few_clusters_notes(number: int, kind: str) -> list[str]:
    """That so few clusters can't give the interval a table is headed with; else nothing."""
    if number < 2 or most_held(number) == CONFIDENCE:
        return []
    return [
        f"AN INTERVAL FROM {number} CLUSTERS ({kind}) holds the truth in {confidence(number)} of "
        "cases, not in 95%: no resample reaches beyond the outermost of them."
    ]
