"""Tiny checkpoints with random, seeded weights, saved as the hub's are: nothing is downloaded.

Every parameter and buffer is moved away from its initial value, since a norm with weight 1, bias 0
and mean 0 would hide what padding does to it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
from torch import Tensor
from transformers import (
    AutoConfig,
    AutoModel,
    AutoModelForCTC,
    PreTrainedTokenizerFast,
    Wav2Vec2CTCTokenizer,
    Wav2Vec2FeatureExtractor,
    Wav2Vec2Processor,
)

from amber_cache.encoders import Encoder
from amber_cache.pooling import masked_mean

_AUDIO_SIZE: dict[str, Any] = {
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 48,
    "conv_dim": [32] * 7,
    "num_conv_pos_embeddings": 16,
    "num_conv_pos_embedding_groups": 4,
}

#: The audio models under test: name -> (model_type, what differs in its configuration).
AUDIO_MODELS: dict[str, tuple[str, dict[str, Any]]] = {
    "wav2vec2-group": ("wav2vec2", {"feat_extract_norm": "group"}),
    "wav2vec2-layer": (
        "wav2vec2",
        {"feat_extract_norm": "layer", "do_stable_layer_norm": True, "conv_bias": True},
    ),
    "hubert-group": ("hubert", {"feat_extract_norm": "group"}),
    "hubert-batch-norm": ("hubert", {"feat_extract_norm": "layer", "conv_pos_batch_norm": True}),
    "wavlm-group": ("wavlm", {"feat_extract_norm": "group", "num_buckets": 32}),
    "wavlm-layer": (
        "wavlm",
        {"feat_extract_norm": "layer", "do_stable_layer_norm": True, "num_buckets": 32},
    ),
    "data2vec-audio": ("data2vec-audio", {"num_conv_pos_embeddings": 3, "conv_pos_kernel_size": 9}),
}

_TEXT_SIZE: dict[str, Any] = {
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 48,
    "hidden_dim": 48,  # DistilBERT's word for it
}

#: The text models under test: model_type -> (positions, whether they start behind the padding id).
TEXT_MODELS: dict[str, tuple[int, bool]] = {
    "bert": (40, False),
    "electra": (40, False),
    "distilbert": (40, False),
    "deberta-v2": (40, False),
    "roberta": (42, True),
    "xlm-roberta": (42, True),
    "camembert": (42, True),
    "mpnet": (42, True),
}

_WORDS = "the a cat dog sat ran on mat far away so very happy sad angry no yes you me it is was"


def save_audio_model(folder: Path, name: str, *, do_normalize: bool = True, seed: int = 0) -> Path:
    """Save one of `AUDIO_MODELS` with its preprocessor."""
    family, options = AUDIO_MODELS[name]
    _random_model(family, {**_AUDIO_SIZE, **options}, seed=seed).save_pretrained(folder)
    Wav2Vec2FeatureExtractor(do_normalize=do_normalize).save_pretrained(folder)
    return folder


def save_text_model(folder: Path, family: str, *, seed: int = 0) -> Path:
    """Save one of `TEXT_MODELS` with a word-level tokenizer that falls back to letters."""
    num_positions, starts_behind_padding = TEXT_MODELS[family]
    tokenizer = _tokenizer(pad_id=1 if starts_behind_padding else 0)
    options = {
        "vocab_size": len(tokenizer),
        "max_position_embeddings": num_positions,
        "pad_token_id": tokenizer.pad_token_id,
        "relative_attention": family == "deberta-v2",
    }
    _random_model(family, {**_TEXT_SIZE, **options}, seed=seed).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def save_ctc_model(folder: Path, *, seed: int = 0) -> Path:
    """Save a wav2vec2 that transcribes (CTC) into letters, with its processor."""
    letters = ["<pad>", "<s>", "</s>", "<unk>", "|", *"abcdefghijklmnopqrstuvwxyz"]
    folder.mkdir(parents=True)
    vocabulary = folder / "vocab.json"
    vocabulary.write_text(json.dumps({one: place for place, one in enumerate(letters)}))
    config = AutoConfig.for_model(
        "wav2vec2", **_AUDIO_SIZE, vocab_size=len(letters), pad_token_id=0
    )
    torch.manual_seed(seed)
    model = AutoModelForCTC.from_config(config).eval()
    with torch.no_grad():  # far apart, so that letters win over the blank
        model.lm_head.weight.mul_(50)
    model.save_pretrained(folder)
    tokenizer = Wav2Vec2CTCTokenizer(str(vocabulary), word_delimiter_token="|")
    Wav2Vec2Processor(Wav2Vec2FeatureExtractor(), tokenizer).save_pretrained(folder)
    return folder


def edit_json(path: Path, **changes: object) -> None:
    """Change entries of a JSON file; None takes one out."""
    content = json.loads(path.read_text(encoding="utf-8"))
    kept = {key: value for key, value in (content | changes).items() if value is not None}
    path.write_text(json.dumps(kept), encoding="utf-8")


def speech_like(num_samples: int, *, seed: int) -> np.ndarray:
    """A loud start, a trend and an offset, so that every statistic of it depends on its length."""
    random = np.random.default_rng(seed)
    time = np.arange(num_samples) / 16_000
    wave = np.sin(2 * np.pi * (110 + 40 * seed) * time) * np.exp(-time) + 0.05 * time
    return (0.3 * wave + 0.05 * random.standard_normal(num_samples) + 0.02).astype(np.float32)


def saver(root: Path, save: Callable[[Path, str], Path]) -> Callable[[str], Path]:
    """Save a checkpoint by name when it is first asked for; give its folder."""

    def saved(name: str) -> Path:
        return root / name if (root / name).is_dir() else save(root / name, name)

    return saved


def embed(encoder: Encoder, sources: Sequence[np.ndarray | str], *, layer: int = -1) -> Tensor:
    """The mean over each utterance's frames, all in one padded batch."""
    encoded = encoder.encode([encoder.prepare(source) for source in sources], layers=[layer])
    return masked_mean(encoded.frames[0], encoded.mask)


def relative_error(found: Tensor, wanted: Tensor) -> float:
    """Largest relative L2 error of a row."""
    distance = torch.linalg.vector_norm(found.double() - wanted.double(), dim=-1)
    return float((distance / torch.linalg.vector_norm(wanted.double(), dim=-1)).max())


def _random_model(family: str, options: dict[str, Any], *, seed: int) -> torch.nn.Module:
    config = AutoConfig.for_model(family, **options)
    random = torch.Generator().manual_seed(seed)
    torch.manual_seed(seed)
    model = AutoModel.from_config(config).eval()
    with torch.no_grad():
        for name, tensor in [*model.named_parameters(), *model.named_buffers()]:
            if name.endswith("running_var"):
                tensor.copy_(0.5 + torch.rand(tensor.shape, generator=random))
            elif tensor.is_floating_point():
                tensor.add_(0.1 * torch.randn(tensor.shape, generator=random))
    return model


def _tokenizer(*, pad_id: int) -> PreTrainedTokenizerFast:
    special = ["<s>", "<pad>", "</s>"] if pad_id else ["<pad>", "<s>", "</s>"]
    letters = [
        piece for letter in "abcdefghijklmnopqrstuvwxyz" for piece in (letter, f"##{letter}")
    ]
    vocabulary = [*special, "<unk>", "<mask>", *_WORDS.split()[2:], *letters]
    ids = {token: place for place, token in enumerate(vocabulary)}
    core = Tokenizer(models.WordPiece(ids, unk_token="<unk>"))
    core.normalizer = normalizers.BertNormalizer()
    core.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    core.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", special_tokens=[("<s>", ids["<s>"]), ("</s>", ids["</s>"])]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=core,
        bos_token="<s>",
        cls_token="<s>",
        eos_token="</s>",
        sep_token="</s>",
        pad_token="<pad>",
        unk_token="<unk>",
        mask_token="<mask>",
        model_max_length=10_000,
    )
