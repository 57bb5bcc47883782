"""What every encoder asks of one waveform or one text before it is encoded."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float32

from amber_cache.errors import UtteranceError


def checked_waveform(
    source: np.ndarray | str, *, encoder: str, min_samples: int
) -> Float32[np.ndarray, " samples"]:
    """One mono waveform as float32, long enough and finite.

    Raises:
        UtteranceError: It is no mono waveform, is too short, or holds NaN or infinity.
    """
    if isinstance(source, str) or source.ndim != 1:
        got = "text" if isinstance(source, str) else f"shape {source.shape}"
        raise UtteranceError(f"{encoder} needs one mono waveform, got {got}")
    if source.size < min_samples:
        raise UtteranceError(
            f"has {source.size} samples; {encoder} needs at least {min_samples} for one frame"
        )
    num_bad = int(np.count_nonzero(~np.isfinite(source)))
    if num_bad:
        raise UtteranceError(f"{num_bad} of its {source.size} samples are NaN or infinite")
    return np.ascontiguousarray(source, dtype=np.float32)


def checked_text(source: np.ndarray | str, *, encoder: str) -> str:
    """One text without white space around it.

    Raises:
        UtteranceError: It is no text, or an empty one.
    """
    if not isinstance(source, str):
        raise UtteranceError(f"{encoder} needs a text, got an array of shape {source.shape}")
    text = source.strip()
    if not text:
        raise UtteranceError("empty text")
    return text
