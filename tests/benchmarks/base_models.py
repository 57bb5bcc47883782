"""What the benchmarks of extraction share: base-size models with random weights, IEMOCAP's lengths.

IEMOCAP's utterances are 4.5 s long on average, with a standard deviation of 3.2 s, from 0.6 to 34 s
(facts of the corpus); a log-normal distribution of that mean and deviation is cut to that range.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float64

WORDS = ["the", "a", "cat", "dog", "sat", "on", "mat", "so", "very", "happy", "sad", "angry", "you"]

_MEAN_S, _DEVIATION_S, _LEAST_S, _MOST_S = 4.5, 3.2, 0.6, 34.0


def save_base_models(folder: Path) -> dict[str, Path]:
    """Base-size wav2vec2 (group norm) and BERT, as the hub would give them; modality -> folder."""
    from transformers import (
        BertConfig,
        BertModel,
        Wav2Vec2Config,
        Wav2Vec2FeatureExtractor,
        Wav2Vec2Model,
    )

    from tests.tiny_models import save_text_model

    torch.manual_seed(0)
    audio, text = folder / "wav2vec2-base-size", folder / "bert-base-size"
    Wav2Vec2Model(Wav2Vec2Config()).save_pretrained(audio)
    Wav2Vec2FeatureExtractor(do_normalize=True).save_pretrained(audio)
    save_text_model(text, "bert")  # for its tokenizer; the model is put in its place
    BertModel(BertConfig()).save_pretrained(text)
    return {"audio": audio, "text": text}


def iemocap_lengths_s(number: int, *, seed: int = 0) -> Float64[np.ndarray, " clip"]:
    """Seconds of so many clips with IEMOCAP's distribution of lengths."""
    spread = np.log(1 + (_DEVIATION_S / _MEAN_S) ** 2)
    centre = np.log(_MEAN_S) - spread / 2
    drawn = np.random.default_rng(seed).lognormal(centre, spread**0.5, number)
    return np.clip(drawn, _LEAST_S, _MOST_S)


def spoken_text(duration_s: float, *, seed: int) -> str:
    """As many words as are said in so many seconds, two and a half a second."""
    random = np.random.default_rng(seed)
    return " ".join(random.choice(WORDS, max(1, round(2.5 * duration_s))))
