"""How much a file may claim to hold: a header of a few bytes can promise terabytes."""

from __future__ import annotations

from pathlib import Path

from amber_cache.errors import CorpusError

#: A file may claim so many times its size (it may be compressed), and so much besides.
MOST_TIMES, MOST_BESIDES_BYTES = 64, 64_000_000


def refuse_claim(path: Path, claimed_bytes: int) -> None:
    """Refuse a file that claims far more than its size can hold, before anything is read.

    Raises:
        CorpusError: As said, with both sizes.
    """
    size = path.stat().st_size
    if claimed_bytes > MOST_TIMES * size + MOST_BESIDES_BYTES:
        raise CorpusError(
            f"{path}: claims {claimed_bytes} bytes of content, more than its {size} bytes should "
            "hold; if it is sound, save it without compression"
        )
