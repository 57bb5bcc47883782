"""The encoders that need no weights: `mel` for speech, `hash` for text.

`prepare` does all the work; `encode` pads. Both run on the CPU in float32, are deterministic, and
have one output (layer -1). Their algorithm's version stands in `revision`.
"""

from __future__ import annotations

import hashlib
import unicodedata
from collections.abc import Iterator, Sequence

import numpy as np
import scipy
import torch
from jaxtyping import Float32

from amber_cache.encoders.base import Encoded, EncoderInfo, Prepared
from amber_cache.encoders.inputs import checked_text, checked_waveform
from amber_cache.encoders.names import BUILTIN_REVISIONS
from amber_cache.encoders.prosody import COLUMNS, FRAME_SAMPLES, SAMPLING_RATE_HZ, prosody_frames
from amber_cache.errors import EncoderError

#: Features of a `hash` frame.
HASH_DIMENSION = 512

_LIBRARIES = {"numpy": np.__version__, "scipy": scipy.__version__}


class MelEncoder:
    """Log-mel bands, energy, pitch and voicing every 10 ms; the columns are in `prosody.COLUMNS`.

    Every column is made such that its plain mean over the frames says something about the
    utterance: movement as absolute differences, spread as squares, pitch weighted by voicing.
    """

    device = "cpu"
    info = EncoderInfo(
        encoder="mel",
        modality="audio",
        dimension=len(COLUMNS),
        revision=BUILTIN_REVISIONS["mel"],
        sampling_rate_hz=SAMPLING_RATE_HZ,
        libraries=_LIBRARIES,
    )

    def prepare(self, source: np.ndarray | str) -> Prepared:
        """Compute the frames of one mono waveform at 16 kHz.

        Raises:
            UtteranceError: It is shorter than one window (400 samples), or not finite.
        """
        waveform = checked_waveform(source, encoder="mel", min_samples=FRAME_SAMPLES)
        return Prepared(prosody_frames(waveform))

    def encode(self, batch: Sequence[Prepared], *, layers: Sequence[int] = (-1,)) -> Encoded:
        """Pad the frames.

        Raises:
            EncoderError: A layer other than -1 is asked for.
        """
        return _padded(batch, layers=layers, info=self.info)


class HashEncoder:
    """One frame a word: its signed hashed unigram, bigram and character 3- to 5-grams.

    The three parts weigh alike and a frame's length is about 1, so that the mean over the words is
    a bag of n-grams normalised by length. Upper and lower case are one, as are the compatibility
    forms of Unicode (NFKC); any script works. Without letters and digits, the signs are the words.
    """

    device = "cpu"
    info = EncoderInfo(
        encoder="hash",
        modality="text",
        dimension=HASH_DIMENSION,
        revision=BUILTIN_REVISIONS["hash"],
        libraries=_LIBRARIES,
    )

    def prepare(self, source: np.ndarray | str) -> Prepared:
        """Compute the frames of one text.

        Raises:
            UtteranceError: It is empty.
        """
        words = split_words(checked_text(source, encoder="hash"))
        frames = np.zeros((len(words), HASH_DIMENSION), dtype=np.float32)
        for row, (word, following) in enumerate(zip(words, [*words[1:], ""], strict=True)):
            grams = list(_character_grams(word))
            # Parts of equal weight: w^2 summed over a part is 1/3.
            _add_hashed(frames[row], [f"word {word}"], weight=3**-0.5)
            _add_hashed(frames[row], [f"pair {word} {following}"], weight=3**-0.5)
            _add_hashed(frames[row], grams, weight=(3 * len(grams)) ** -0.5)
        return Prepared(frames)

    def encode(self, batch: Sequence[Prepared], *, layers: Sequence[int] = (-1,)) -> Encoded:
        """Pad the frames.

        Raises:
            EncoderError: A layer other than -1 is asked for.
        """
        return _padded(batch, layers=layers, info=self.info)


def split_words(text: str) -> list[str]:
    """The words of a text, NFKC and lower case; apostrophes inside a word stay.

    Letters, marks and numbers of any script make words (marks too: Hindi's vowel signs are some).

    >>> split_words("Don't YOU dare -- it's \uff21")
    ["don't", 'you', 'dare', "it's", 'a']
    >>> split_words("?! ...")
    ['?!', '...']
    """
    plain = unicodedata.normalize("NFKC", text).lower().replace("\u2019", "'")
    kept = "".join(c if c == "'" or unicodedata.category(c)[0] in "LMN" else " " for c in plain)
    words = [word for part in kept.split() if (word := part.strip("'"))]
    return words or plain.split()


def _character_grams(word: str) -> Iterator[str]:
    """3- to 5-grams of a word with its boundaries; the whole of a shorter one."""
    bounded = f"<{word}>"
    for size in (3, 4, 5):
        for start in range(len(bounded) - size + 1):
            yield f"gram {bounded[start : start + size]}"


def _add_hashed(
    frame: Float32[np.ndarray, " feature"], features: Sequence[str], *, weight: float
) -> None:
    """Add each feature with a hashed sign at a hashed place (Weinberger et al., 2009)."""
    for feature in features:
        # blake2b, since Python's own hash differs from process to process.
        digest = hashlib.blake2b(feature.encode("utf-8", "surrogatepass"), digest_size=8).digest()
        place, sign = int.from_bytes(digest[:4], "little"), 1 - 2 * (digest[4] & 1)
        frame[place % HASH_DIMENSION] += sign * weight


def _padded(batch: Sequence[Prepared], *, layers: Sequence[int], info: EncoderInfo) -> Encoded:
    """Frames of several utterances, zeros behind each."""
    wrong = [layer for layer in layers if layer != -1]
    if wrong:
        raise EncoderError(
            f"the built-in encoder {info.encoder!r} has one output, got layer {wrong[0]}; "
            "leave --layer out"
        )
    lengths = [utterance.values.shape[0] for utterance in batch]
    frames = torch.zeros(len(layers), len(batch), max(lengths), info.dimension)
    mask = torch.zeros(len(batch), max(lengths), dtype=torch.bool)
    for row, (utterance, length) in enumerate(zip(batch, lengths, strict=True)):
        frames[:, row, :length] = torch.from_numpy(utterance.values)
        mask[row, :length] = True
    return Encoded(frames, mask)
