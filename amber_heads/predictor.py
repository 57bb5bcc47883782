"""A trained run from Python: one utterance in, an answer out, nothing written.

    run = amber_heads.load("runs/fit-0a1b2c3d")
    said = run.predict(audio="clip.wav", text="I can't believe it.")
    said.distribution                    # {"neutral": 0.1, ...}, the answer
    said.entropy, said.spread            # how ambiguous, how unsure

All models of the run answer, and their mean is the answer.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

from amber_cache.errors import ConfigError
from amber_heads.configuration.options import FUSION
from amber_heads.using.answers import Answers
from amber_heads.using.loaded import LoadedRun, load_run
from amber_heads.using.members import TAUGHT_BY_STUDENT, answer_head

__all__ = ["Prediction", "Predictor", "load"]


@dataclass(frozen=True, kw_only=True)
class Prediction:
    """What a run says of one utterance.

    Attributes:
        answer: The head whose distribution is the answer: the run's, or a modality's own where
            another modality is missing.
        heads: By head that could answer, its distribution by class.
        entropy: Bits of the answer: 0 to log2 C; how ambiguous the run takes it to be.
        spread: Mean JS of the models to their mean; None for a single model. How unsure they are.
        conflict: Mean JS between the modality heads; None where there are not two. How far voice
            and words lie apart.
        conflict_mark: What must be known of it; "" for nothing.
        missing: The modalities that were not given.
    """

    answer: str
    heads: Mapping[str, Mapping[str, float]]
    entropy: float
    spread: float | None
    conflict: float | None
    conflict_mark: str
    missing: tuple[str, ...]

    @property
    def distribution(self) -> Mapping[str, float]:
        """The answer, by class."""
        return self.heads[self.answer]

    @property
    def top(self) -> str:
        """The answer's first class of the highest probability."""
        return max(self.distribution, key=lambda name: self.distribution[name])


class Predictor:
    """A run that is ready to answer; its encoders are loaded when they are first needed.

    Attributes:
        run: The models, and all that is known of them.
    """

    def __init__(
        self, run: LoadedRun, *, encoders: Mapping[str, str] | None = None, device: str = "cpu"
    ) -> None:
        """Keep a run.

        Args:
            encoders: By modality, where the run's encoder is now (a folder, a hub id); needed for
                one that was a local folder.
            device: Of the encoders: "cpu", "cuda", "cuda:1".
        """
        self.run = run
        self._encoders, self._device = dict(encoders or {}), device
        self._embedders: dict[str, Any] = {}

    def predict(
        self,
        *,
        audio: str | Path | np.ndarray | None = None,
        text: str | None = None,
        sampling_rate_hz: int | None = None,
    ) -> Prediction:
        """What the run says of one utterance.

        Args:
            audio: A file's path, or a mono waveform (samples,) of floats in [-1, 1].
            text: What is said; None or blank: missing, and another head answers.
            sampling_rate_hz: Of the waveform; None: the encoder's own.

        Raises:
            UtteranceError: It can't be decoded or encoded.
            ConfigError: No head that the raters taught can answer without what is missing.
            EncoderError: An encoder is not here, or is not the run's.
        """
        given = {"audio": audio, "text": text if text and text.strip() else None}
        if all(one is None for one in given.values()):
            raise ConfigError("predict needs audio, text, or both")
        missing = {m.modality for m in self.run.inputs.values() if given.get(m.modality) is None}
        head = answer_head(self.run, missing)
        vectors = {}
        for key, entry in self.run.inputs.items():
            source = given.get(entry.modality)
            if source is None:
                vectors[key] = np.full((1, entry.width), np.nan, dtype=np.float32)
            else:
                rate = sampling_rate_hz if isinstance(source, np.ndarray) else None
                embedder = self._embedder(key)
                vectors[key] = embedder.embed(source, sampling_rate_hz=rate)[np.newaxis]
        return _prediction(self.run, self.run.predict_embeddings(vectors), head, missing)

    def predict_embeddings(
        self, inputs: Mapping[str, Float[np.ndarray, "utterance ... _"]]
    ) -> Answers:
        """What every model says of vectors that the run's encoders made; see `LoadedRun`.

        `.mean` is the ensemble's (N, H, C), `.entropy`, `.spread` and `.conflict` what follows.
        """
        return self.run.predict_embeddings(inputs)

    def _embedder(self, key: str) -> Any:
        if key not in self._embedders:
            from amber_cache import embed  # what makes vectors; nothing else of stage one is needed

            entry = self.run.inputs[key]
            self._embedders[key] = embed.load_embedder(
                entry.modality,
                entry.attrs,
                layers=entry.layer_numbers,
                encoder=self._encoders.get(entry.modality),
                device=self._device,
            )
        return self._embedders[key]


def load(
    run: str | Path, *, encoders: Mapping[str, str] | None = None, device: str = "cpu"
) -> Predictor:
    """Load a run directory, to predict with it; arguments as `Predictor`'s.

    Raises:
        RunError: It is none, or is damaged.
    """
    return Predictor(load_run(run), encoders=encoders, device=device)


def _prediction(run: LoadedRun, answers: Answers, head: str, missing: set[str]) -> Prediction:
    """The only row of some answers."""
    number = answers.heads.index(head)
    spread, conflict = float(answers.spread[0, number]), float(answers.conflict[0])
    has_conflict = conflict == conflict
    alone = [one for one in run.heads if one != FUSION]
    is_marked = has_conflict and any(one not in run.supervised for one in alone)
    return Prediction(
        answer=head,
        heads={
            name: dict(zip(answers.classes, answers.mean[0, h].tolist(), strict=True))
            for h, name in enumerate(answers.heads)
            if not np.isnan(answers.mean[0, h]).any()
        },
        entropy=float(answers.entropy[0, number]),
        spread=spread if spread == spread else None,
        conflict=conflict if has_conflict else None,
        conflict_mark=TAUGHT_BY_STUDENT if is_marked else "",
        missing=tuple(one for one in run.heads if one in missing),
    )
