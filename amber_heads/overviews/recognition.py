"""How far a speech-recognition model's transcripts are from the reference: word error rates.

Words are compared without case and punctuation, by jiwer (extra `asr`), which is imported when
there is something to compare. The rate is over all words of the corpus, not a mean over utterances.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from unicodedata import category

import numpy as np
from jaxtyping import Shaped

from amber_cache.store import DONE, FAILED, PENDING, Transcripts

NO_JIWER = "pip install 'amber-ser[asr]' for word error rates"
NO_WORDS = "no utterance has both a reference and a transcript"


@dataclass(frozen=True, slots=True, kw_only=True)
class Recognition:
    """What became of one model's transcripts.

    Attributes:
        heard: Utterances with a transcript; `silent` are those of them in which nothing was heard.
        compared: Those with a transcript, if an empty one, and words in the reference.
        words: Of the reference, in these.
        substitutions: Words that became others; likewise `deletions` and `insertions`.
        wer: Their sum over `words`; None where it can't be told, for the reason in `why_not`.
    """

    model: str
    heard: int
    silent: int
    failed: int
    pending: int
    compared: int = 0
    words: int = 0
    substitutions: int = 0
    deletions: int = 0
    insertions: int = 0
    wer: float | None = None
    why_not: str = ""


def recognition_of(
    reference: Shaped[np.ndarray, " utterance"], transcripts: Transcripts
) -> Recognition:
    """Count one model's transcripts, and compare them with the reference.

    Args:
        reference: What people wrote; "" where that is unknown.
    """
    done = transcripts.status == DONE
    blank = np.array([not text.strip() for text in transcripts.text], dtype=bool)
    counts: dict[str, Any] = {
        "model": transcripts.name,
        "heard": int(done.sum()),
        "silent": int((done & blank).sum()),
        "failed": int((transcripts.status == FAILED).sum()),
        "pending": int((transcripts.status == PENDING).sum()),
    }
    try:
        import jiwer  # noqa: F401
    except ImportError:
        return Recognition(**counts, why_not=NO_JIWER)
    rows = [row for row in np.flatnonzero(done).tolist() if _words(str(reference[row]))]
    if not rows:
        return Recognition(**counts, why_not=NO_WORDS)
    return Recognition(**counts, compared=len(rows), **_errors(reference, transcripts.text, rows))


def _errors(
    reference: Shaped[np.ndarray, " utterance"],
    heard: Shaped[np.ndarray, " utterance"],
    rows: Sequence[int],
) -> dict[str, Any]:
    """Over all words of some utterances."""
    import jiwer

    found = jiwer.process_words(
        [" ".join(_words(str(reference[row]))) for row in rows],
        [" ".join(_words(str(heard[row]))) for row in rows],
    )
    return {
        "words": found.hits + found.substitutions + found.deletions,
        "substitutions": found.substitutions,
        "deletions": found.deletions,
        "insertions": found.insertions,
        "wer": float(found.wer),
    }


def _words(text: str) -> list[str]:
    """A text's words without case and punctuation.

    >>> _words("Don't -- so it IS, then.")
    ['dont', 'so', 'it', 'is', 'then']
    """
    return "".join(one for one in text.lower() if category(one)[0] != "P").split()
