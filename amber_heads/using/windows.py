"""Long recordings, a window at a time: where the windows lie."""

from __future__ import annotations

import math

from amber_cache.errors import ConfigError

#: What a recording may be cut into: an hour with a step of 0.1 s.
MOST_WINDOWS = 100_000

#: Times closer than this are the same: file lengths are whole samples.
_TOLERANCE_S = 1e-6


def windows(duration_s: float, *, window_s: float, step_s: float) -> list[tuple[float, float]]:
    """Start and end of each window; the last one ends with the recording.

    All are of one length, so the last may overlap the one before by more than the others do. A
    recording that is no longer than a window is one window.

    Raises:
        ConfigError: There would be more than `MOST_WINDOWS`.

    >>> windows(5.0, window_s=2.0, step_s=2.0)
    [(0.0, 2.0), (2.0, 4.0), (3.0, 5.0)]
    """
    last = max(0.0, duration_s - window_s)
    number = math.floor(last / step_s + _TOLERANCE_S) + 1
    if number > MOST_WINDOWS:
        raise ConfigError(
            f"--window {window_s:g} --step {step_s:g}: a recording of {duration_s:g} s has "
            f"{number} windows, more than {MOST_WINDOWS}; use a longer step"
        )
    starts = [place * step_s for place in range(number)]  # no sum, whose rounding would grow
    if last - starts[-1] > _TOLERANCE_S:
        starts.append(last)
    return [(start, min(start + window_s, duration_s)) for start in starts]


def checked_window(window_s: float | None, step_s: float | None) -> tuple[float, float] | None:
    """`--window` and `--step`, completed; None where there are no windows.

    Raises:
        ConfigError: One is not positive, a step leaves gaps, or it stands alone.
    """
    if window_s is None:
        if step_s is not None:
            raise ConfigError(f"--step {step_s:g} has no effect without --window; leave it out")
        return None
    step_s = window_s if step_s is None else step_s
    for name, value in (("--window", window_s), ("--step", step_s)):
        if not 0 < value < float("inf"):
            raise ConfigError(f"{name} is {value}; it must be a positive number of seconds")
    if step_s > window_s:
        raise ConfigError(
            f"--step {step_s:g} is longer than --window {window_s:g}, and would leave gaps; use "
            "at most the window"
        )
    return window_s, step_s
