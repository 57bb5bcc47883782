"""A tiny speech-recognition model, and corpora whose text it writes."""

from __future__ import annotations

import json
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from tokenizers.pre_tokenizers import ByteLevel
from transformers import (
    WhisperConfig,
    WhisperFeatureExtractor,
    WhisperForConditionalGeneration,
    WhisperProcessor,
    WhisperTokenizer,
)

from amber_cache.store import open_cache
from tests.commands import Finished
from tests.made_corpora import extract, read_rows, write_table

_SPECIAL = (
    *("<|endoftext|>", "<|startoftranscript|>", "<|en|>", "<|translate|>", "<|transcribe|>"),
    *("<|startoflm|>", "<|startofprev|>", "<|nospeech|>", "<|notimestamps|>"),
)
_SIZE = {
    "d_model": 16,
    "encoder_layers": 1,
    "decoder_layers": 1,
    "encoder_attention_heads": 2,
    "decoder_attention_heads": 2,
    "encoder_ffn_dim": 16,
    "decoder_ffn_dim": 16,
    "max_target_positions": 16,
}

#: Its entry beside `hash`, and the model's name.
MODEL, HEARD = "asr", "hash@asr-asr"


def deaf(model: Path) -> Path:
    """Have a model give blanks alone, so that it hears nothing."""
    weights = load_file(model / "model.safetensors")
    weights["lm_head.bias"][0] += 1e6
    save_file(weights, model / "model.safetensors", metadata={"format": "pt"})
    return model


def save_whisper_model(folder: Path, *, seed: int = 0) -> Path:
    """Save a Whisper of random weights that writes bytes, with its processor."""
    folder.mkdir(parents=True)
    pieces = [*sorted(ByteLevel.alphabet()), *_SPECIAL]
    ids = {piece: place for place, piece in enumerate(pieces)}
    (folder / "vocab.json").write_text(json.dumps(ids))
    (folder / "merges.txt").write_text("#version: 0.2\n")
    end = ids["<|endoftext|>"]
    tokenizer = WhisperTokenizer(str(folder / "vocab.json"), str(folder / "merges.txt"))
    tokenizer.add_special_tokens({"additional_special_tokens": list(_SPECIAL[1:])})
    config = WhisperConfig(
        **_SIZE,
        vocab_size=len(ids),
        pad_token_id=end,
        bos_token_id=end,
        eos_token_id=end,
        decoder_start_token_id=ids["<|startoftranscript|>"],
    )
    torch.manual_seed(seed)
    model = WhisperForConditionalGeneration(config).eval()
    told = model.generation_config
    told.is_multilingual, told.max_length = False, 12
    told.suppress_tokens, told.begin_suppress_tokens = [], list(range(128, len(ids)))
    told.no_timestamps_token_id = ids["<|notimestamps|>"]
    model.save_pretrained(folder)
    WhisperProcessor(WhisperFeatureExtractor(), tokenizer).save_pretrained(folder)
    return folder


def hear(manifest: Path, *options: object, model: Path | None = None) -> Finished:
    """Run `amber extract --transcribe` on a manifest, with the model beside it."""
    chosen = manifest.parent / MODEL if model is None else model
    return extract(manifest, "--transcribe", chosen, *options)


def transcripts(cache: Path, name: str = MODEL) -> dict[str, str]:
    """By id, what was heard."""
    with open_cache(cache) as opened:
        found = opened.transcripts[name]
        done = found.status == 1
        return dict(zip(opened.utterances.id[done], found.text[done], strict=True))


def with_text(manifest: Path, texts: dict[str, str], name: str) -> Path:
    """The same corpus with other text; gives its manifest."""
    rows = [{**row, "text": texts.get(row["id"], "")} for row in read_rows(manifest)]
    return write_table(manifest.parent / name, rows)
