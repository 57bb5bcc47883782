"""Text models: padding changes nothing, long texts are cut with a note, broken folders refused.

The reference is transformers' own tokenizer and model on one text alone.
"""

import shutil
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoModel, AutoTokenizer

from amber_cache.encoders import load_encoder
from amber_cache.errors import EncoderError, UtteranceError
from amber_cache.pooling import masked_mean
from tests.tiny_models import TEXT_MODELS, edit_json, embed, relative_error, save_text_model, saver

TOLERANCE = 1e-5
TEXTS = [
    "You is so very happy",
    "no",
    "  the cat sat on the mat, far away; yes!  ",
    "angry " * 30,
    "Gr\u00fc\u00dfe \u4f60",
]


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    return saver(tmp_path_factory.mktemp("text_models"), save_text_model)


@pytest.fixture
def copied(checkpoint: Callable[[str], Path], tmp_path: Path) -> Path:
    """A checkpoint of this test's own, to be broken."""
    return Path(shutil.copytree(checkpoint("bert"), tmp_path / "tiny-bert"))


def alone(folder: Path, texts: list[str], *, layer: int = -1) -> torch.Tensor:
    """Transformers' own mean over the tokens of each text by itself."""
    model = AutoModel.from_pretrained(folder).eval()
    tokenizer = AutoTokenizer.from_pretrained(folder)
    rows = []
    for text in texts:
        inputs = tokenizer(text.strip(), return_tensors="pt", return_token_type_ids=False)
        with torch.no_grad():
            output = model(**inputs, output_hidden_states=True)
        rows.append(output.hidden_states[layer][0].mean(dim=0))
    return torch.stack(rows)


@pytest.mark.parametrize("family", TEXT_MODELS)
def test_padded_batch_equals_each_text_alone(
    family: str, checkpoint: Callable[[str], Path]
) -> None:
    folder = checkpoint(family)
    encoder = load_encoder("text", str(folder))
    wanted = alone(folder, TEXTS)
    assert relative_error(embed(encoder, TEXTS), wanted) < TOLERANCE
    assert relative_error(embed(encoder, TEXTS[::-1]).flip(0), wanted) < TOLERANCE
    singles = torch.cat([embed(encoder, [text]) for text in TEXTS])
    assert relative_error(singles, wanted) < TOLERANCE


@pytest.mark.parametrize("family", ["bert", "xlm-roberta", "distilbert"])
@pytest.mark.parametrize("layer", [0, 1, 2])
def test_inner_layers_equal_each_text_alone(
    family: str, layer: int, checkpoint: Callable[[str], Path]
) -> None:
    folder = checkpoint(family)
    found = embed(load_encoder("text", str(folder)), TEXTS, layer=layer)
    assert relative_error(found, alone(folder, TEXTS, layer=layer)) < TOLERANCE


@pytest.mark.parametrize("family", ["bert", "xlm-roberta"])
def test_without_the_mask_it_would_fail(family: str, checkpoint: Callable[[str], Path]) -> None:
    folder = checkpoint(family)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    texts = [text.strip() for text in TEXTS]
    inputs = tokenizer(texts, padding=True, return_tensors="pt")
    own = inputs.attention_mask.bool()
    with torch.no_grad():
        model = AutoModel.from_pretrained(folder).eval()
        frames = model(inputs.input_ids, torch.ones_like(inputs.input_ids)).last_hidden_state
    assert relative_error(masked_mean(frames, own), alone(folder, TEXTS)) > 100 * TOLERANCE


def test_special_tokens_are_under_the_mask(checkpoint: Callable[[str], Path]) -> None:
    encoder = load_encoder("text", str(checkpoint("bert")))
    batch = [encoder.prepare("happy cat"), encoder.prepare("cat")]
    assert encoder.encode(batch).mask.tolist() == [[True] * 4, [True] * 3 + [False]]


@pytest.mark.parametrize("family", TEXT_MODELS)
def test_long_text_is_cut_to_the_positions_and_says_so(
    family: str, checkpoint: Callable[[str], Path]
) -> None:
    encoder = load_encoder("text", str(checkpoint(family)))
    long, fits = encoder.prepare("cat " * 39), encoder.prepare("cat " * 38)
    assert long.note == "truncated from 41 to 40 tokens"
    assert fits.note == ""
    assert long.values.tolist() == fits.values.tolist()
    assert encoder.encode([long]).frames.shape == (1, 1, 40, 32)


def test_tokenizer_with_a_lower_limit_wins(copied: Path) -> None:
    edit_json(copied / "tokenizer_config.json", model_max_length=12)
    prepared = load_encoder("text", str(copied)).prepare("cat " * 30)
    assert prepared.note == "truncated from 32 to 12 tokens"


@pytest.mark.parametrize("empty", ["", "  \t\n", "\u3000"])
def test_empty_text_is_refused(empty: str, checkpoint: Callable[[str], Path]) -> None:
    with pytest.raises(UtteranceError, match="^empty text$"):
        load_encoder("text", str(checkpoint("bert"))).prepare(empty)


def test_text_that_tokenises_to_nothing_is_refused(checkpoint: Callable[[str], Path]) -> None:
    with pytest.raises(UtteranceError, match="no token of the text"):
        load_encoder("text", str(checkpoint("bert"))).prepare("\u200b\u200b")


def test_a_waveform_is_refused(checkpoint: Callable[[str], Path]) -> None:
    with pytest.raises(UtteranceError, match=r"needs a text, got an array of shape \(3,\)"):
        load_encoder("text", str(checkpoint("bert"))).prepare(np.zeros(3, dtype=np.float32))


def test_info_says_what_the_checkpoint_is(copied: Path) -> None:
    info = load_encoder("text", str(copied)).info
    assert (info.encoder, info.modality, info.sampling_rate_hz) == ("tiny-bert", "text", 0)
    assert (info.dimension, info.num_layers, len(info.weights_sha256)) == (32, 2, 64)


def test_weights_as_bert_was_published_load(copied: Path) -> None:
    """bert-base-uncased: no `pooler`, a head beside the model, LayerNorm's gamma and beta."""
    wanted = embed(load_encoder("text", str(copied)), TEXTS)
    weights = {
        f"bert.{name}".replace("LayerNorm.weight", "LayerNorm.gamma").replace(
            "LayerNorm.bias", "LayerNorm.beta"
        ): tensor
        for name, tensor in load_file(copied / "model.safetensors").items()
        if not name.startswith("pooler")
    }
    weights["cls.predictions.bias"] = torch.zeros(3)
    save_file(weights, copied / "model.safetensors", metadata={"format": "pt"})
    assert torch.equal(embed(load_encoder("text", str(copied)), TEXTS), wanted)


def test_a_plain_vocabulary_is_tokenizer_enough(copied: Path) -> None:
    """Older BERT folders hold vocab.txt and no tokenizer.json."""
    for name in ("tokenizer.json", "tokenizer_config.json"):
        (copied / name).unlink()
    tokens = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "cat", "sat"]
    (copied / "vocab.txt").write_text("\n".join(tokens) + "\n", encoding="utf-8")
    assert load_encoder("text", str(copied)).prepare("Cat sat").values.tolist() == [2, 5, 6, 3]


def test_a_missing_tokenizer_is_named(copied: Path) -> None:
    (copied / "tokenizer.json").unlink()
    with pytest.raises(EncoderError, match="has no tokenizer"):
        load_encoder("text", str(copied))


def test_a_broken_tokenizer_is_refused(copied: Path) -> None:
    (copied / "tokenizer.json").write_text("{}", encoding="utf-8")
    with pytest.raises(EncoderError, match="the tokenizer can't be loaded"):
        load_encoder("text", str(copied))


def test_a_tokenizer_of_another_model_is_refused(copied: Path) -> None:
    weights = load_file(copied / "model.safetensors")
    table = weights["embeddings.word_embeddings.weight"]
    weights["embeddings.word_embeddings.weight"] = table[:20].clone()
    save_file(weights, copied / "model.safetensors", metadata={"format": "pt"})
    edit_json(copied / "config.json", vocab_size=20)
    with pytest.raises(EncoderError, match=r"the tokenizer has \d+ tokens, the model 20"):
        load_encoder("text", str(copied))


def test_an_audio_model_is_no_text_model(copied: Path) -> None:
    edit_json(copied / "config.json", model_type="wav2vec2")
    message = "'wav2vec2' is not supported; use one of bert, .* built-in encoder 'hash'"
    with pytest.raises(EncoderError, match=message):
        load_encoder("text", str(copied))


def test_texts_prepared_in_threads_are_those_prepared_one_by_one(
    checkpoint: Callable[[str], Path],
) -> None:
    """A tokenizer's truncation is state that threads share."""
    encoder = load_encoder("text", str(checkpoint("bert")))
    texts = [word * length for length in range(1, 80) for word in ("sad ", "you ", "mat ")]
    wanted = [encoder.prepare(text).values for text in texts]
    with ThreadPoolExecutor(8) as pool:
        found = [prepared.values for prepared in pool.map(encoder.prepare, texts)]
    assert all(np.array_equal(one, other) for one, other in zip(found, wanted, strict=True))
