"""BERT, RoBERTa and their kin: token frames with the attention mask as the mask.

Special tokens count as frames, as in the paper's mean weighted by the attention mask. Batches are
padded on the right with the tokenizer's padding token, so that no position moves.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np
import torch

from amber_cache.encoders.base import Encoded, EncoderInfo, Prepared
from amber_cache.encoders.hf_common import (
    check_device,
    describe,
    hidden_states,
    inference,
    load_model,
    moved,
    staging,
)
from amber_cache.encoders.hf_files import find_checkpoint, one_line, quiet
from amber_cache.encoders.inputs import checked_text
from amber_cache.errors import EncoderError, UtteranceError

#: The values of config.json's model_type that are supported.
FAMILIES: tuple[str, ...] = (
    "bert",
    "roberta",
    "xlm-roberta",
    "camembert",
    "distilbert",
    "mpnet",
    "electra",
    "deberta-v2",
)

_TOKENIZER_FILES = (
    "tokenizer.json",
    "vocab.txt",
    "vocab.json",
    "sentencepiece.bpe.model",
    "spiece.model",
    "spm.model",
)


class HfTextEncoder:
    """A text model of one of `FAMILIES` with its tokenizer, loaded and on its device."""

    def __init__(
        self, model: Any, tokenizer: Any, info: EncoderInfo, *, device: str, precision: str
    ) -> None:
        self.info = info
        self.device = device
        self._model = model
        self._tokenizer = tokenizer
        self._precision = precision
        self._max_tokens = min(_position_limit(model), int(tokenizer.model_max_length))
        self._lock = Lock()

    def prepare(self, source: np.ndarray | str) -> Prepared:
        """Tokenise one text; cut it to what the model can take, and say so.

        Raises:
            UtteranceError: It is empty, or nothing of it is left after tokenisation.
        """
        text = checked_text(source, encoder=self.info.encoder)
        tokens = self._tokenize(text)
        num_tokens = len(tokens)
        if num_tokens <= self._tokenizer.num_special_tokens_to_add():
            raise UtteranceError(f"no token of the text {text[:40]!r} is left after tokenisation")
        note = ""
        if num_tokens > self._max_tokens:
            # Again with truncation, which keeps the special token at the end.
            tokens = self._tokenize(text, truncation=True, max_length=self._max_tokens)
            note = f"truncated from {num_tokens} to {len(tokens)} tokens"
        return Prepared(np.asarray(tokens, dtype=np.int64), note)

    def encode(self, batch: Sequence[Prepared], *, layers: Sequence[int] = (-1,)) -> Encoded:
        """One frame a token; layer 0 is the embedding of token and position.

        Raises:
            EncoderError: A layer does not exist.
        """
        longest = max(text.values.shape[0] for text in batch)
        size = len(batch), longest
        padding = int(self._tokenizer.pad_token_id)
        token_ids = staging(*size, fill=padding, dtype=torch.int64, device=self.device)
        mask = staging(*size, dtype=torch.bool, device=self.device)
        for row, text in enumerate(batch):
            num_tokens = text.values.shape[0]
            token_ids[row, :num_tokens] = torch.from_numpy(text.values)
            mask[row, :num_tokens] = True
        mask = moved(mask, self.device)
        inputs = {"input_ids": moved(token_ids, self.device), "attention_mask": mask.long()}
        with inference(self._precision):
            frames = hidden_states(self._model, inputs, layers=layers, info=self.info)
        return Encoded(frames, mask)

    def _tokenize(self, text: str, **options: object) -> list[int]:
        # A tokenizer keeps the truncation of its last call as state, and threads share it.
        # Not verbose: it would log that the text is too long, which prepare's note says.
        with self._lock:
            return list(self._tokenizer(text, verbose=False, **options)["input_ids"])


def load_text(
    name: str, *, device: str = "cpu", precision: str = "float32", builtin: str = "hash"
) -> HfTextEncoder:
    """Load a text model and its tokenizer from a local folder or the hub.

    Raises:
        EncoderError: It can't be had, is not complete, or is of another architecture.
    """
    check_device(device, precision=precision)
    checkpoint = find_checkpoint(name, families=FAMILIES, builtin=builtin)
    tokenizer = _load_tokenizer(checkpoint.folder, encoder=name)
    model = load_model(checkpoint, device=device, precision=precision)
    if len(tokenizer) > model.config.vocab_size:
        raise EncoderError(
            f"encoder {name}: the tokenizer has {len(tokenizer)} tokens, the model "
            f"{model.config.vocab_size}; they are not of one checkpoint, download it again"
        )
    info = describe(checkpoint, model, modality="text")
    return HfTextEncoder(model, tokenizer, info, device=device, precision=precision)


def _load_tokenizer(folder: Path, *, encoder: str) -> Any:
    from transformers import AutoTokenizer

    # Without this check, transformers 5 would make up an empty tokenizer.
    if not any((folder / name).is_file() for name in _TOKENIZER_FILES):
        raise EncoderError(
            f"encoder {encoder}: its folder has no tokenizer ({', '.join(_TOKENIZER_FILES)}); "
            "download the whole model"
        )
    with quiet():
        try:
            tokenizer = AutoTokenizer.from_pretrained(
                folder, trust_remote_code=False, local_files_only=True
            )
        except Exception as error:  # from_pretrained lets through what a dozen readers raise
            raise EncoderError(
                f"encoder {encoder}: the tokenizer can't be loaded: {one_line(error)}; "
                "download the whole model"
            ) from error
    if tokenizer.pad_token_id is None:
        raise EncoderError(
            f"encoder {encoder}: the tokenizer has no padding token; set pad_token in its "
            "tokenizer_config.json"
        )
    return tokenizer


def _position_limit(model: Any) -> int:
    """Tokens that the model has positions for.

    RoBERTa and its kin count positions from the padding index plus one: 514 rows, 512 tokens.
    """
    table = getattr(model.embeddings, "position_embeddings", None)
    if table is None:
        return int(model.config.max_position_embeddings)
    return int(table.num_embeddings) - (0 if table.padding_idx is None else table.padding_idx + 1)
