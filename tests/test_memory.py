"""Where a batch does not fit the memory: it is halved, the run goes on, and so it stays."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from amber_cache.encoders import Encoded, Encoder, Prepared, load_encoder, registry
from amber_cache.jobs import encoding
from amber_cache.jobs.memory import Limits, fits, is_out_of_memory, within_memory
from amber_cache.sources import Source
from tests.made_corpora import (
    extract,
    read_cache,
    reasons,
    vectors,
    voice,
    write_audio,
    write_table,
)
from tests.test_cli_merge import content
from tests.tiny_models import save_audio_model

NUM, SAMPLES = 12, 6_000


class Narrow:
    """A real encoder on a device that holds so many padded samples at once."""

    def __init__(self, inner: Encoder, most: int, device: str = "cpu") -> None:
        self.inner, self.most, self.device = inner, most, device
        self.info = inner.info
        self.sizes: list[int] = []

    def prepare(self, source: np.ndarray | str) -> Prepared:
        return self.inner.prepare(source)

    def encode(self, batch: Sequence[Prepared], *, layers: Sequence[int] = (-1,)) -> Encoded:
        size = len(batch) * max(one.values.shape[0] for one in batch)
        self.sizes.append(size)
        if size > self.most:
            raise torch.OutOfMemoryError(f"CUDA out of memory: {size} of {self.most}")
        return self.inner.encode(batch, layers=layers)


@pytest.fixture(scope="module")
def w2v(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_audio_model(tmp_path_factory.mktemp("m") / "w2v", "wav2vec2-group")


@pytest.fixture
def manifest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Twelve clips of one length, four a batch."""
    monkeypatch.setitem(encoding.AUDIO_BUDGET_MS, "cpu", 4 * SAMPLES // 16)
    for number in range(NUM):
        write_audio(tmp_path / f"audio/u{number:02}.wav", voice(SAMPLES, seed=number))
    names = [f"u{number:02}" for number in range(NUM)]
    write_table(tmp_path / "votes.csv", [{"id": "u00", "rater": "r", "label": "sad"}])
    rows = [{"id": one, "audio": f"audio/{one}.wav"} for one in names]
    return write_table(tmp_path / "manifest.csv", rows)


def narrowed(patch: pytest.MonkeyPatch, most: int) -> list[Narrow]:
    """Every model that is loaded from now on has so much room; what was loaded."""
    made: list[Narrow] = []
    load: Callable[..., Encoder] = load_encoder

    def narrow(*place: str, **how: Any) -> Narrow:
        made.append(Narrow(load(*place, **how), most))
        return made[-1]

    patch.setattr(registry, "load_encoder", narrow)
    return made


def run(manifest: Path, w2v: Path, *options: object) -> Any:
    options = ("--check", "0", *options)  # it would encode through the same model
    return extract(manifest, *options, encoders=("--audio-encoder", w2v))


def test_a_batch_that_does_not_fit_is_halved_and_all_that_follow(
    manifest: Path, w2v: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(manifest, w2v, "--cache", manifest.parent / "wide.h5")
    made = narrowed(monkeypatch, 3 * SAMPLES)
    assert run(manifest, w2v).status == 0
    assert [size // SAMPLES for size in made[0].sizes] == [4, *[2] * 6]
    found = vectors(read_cache(manifest), "audio/w2v")
    (manifest.parent / "wide.h5").replace(manifest.parent / "cache.h5")
    for name, wanted in vectors(read_cache(manifest), "audio/w2v").items():
        assert np.linalg.norm(found[name] - wanted) <= 1e-5 * np.linalg.norm(wanted)


def test_a_job_that_goes_on_encodes_in_the_same_pieces_to_the_same_bytes(
    manifest: Path, w2v: Path
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        narrowed(patch, 3 * SAMPLES)
        run(manifest, w2v, "--cache", manifest.parent / "clean.h5")
        made = narrowed(patch, 3 * SAMPLES)
        ends_at(patch, 2)
        assert run(manifest, w2v).status == 130
        assert [size // SAMPLES for size in made[0].sizes] == [4, 2, 2]
    limits = json.loads((manifest.parent / "cache.h5.job/0.limits").read_text())
    assert limits == [[0, 2 * SAMPLES]]
    with pytest.MonkeyPatch.context() as patch:
        made = narrowed(patch, 99 * SAMPLES)  # there is more room by now, and it is not used
        assert run(manifest, w2v).status == 0
    assert [size // SAMPLES for size in made[0].sizes] == [2] * 4
    assert content(manifest.parent / "cache.h5") == content(manifest.parent / "clean.h5")


def ends_at(patch: pytest.MonkeyPatch, batch: int) -> None:
    """Ctrl-C while the batch before the n-th is encoded."""
    original, seen = encoding._encode_batch, [0]

    def hooked(*arguments: Any, **how: Any) -> Any:
        seen[0] += 1
        if seen[0] == batch - 1:
            os.kill(os.getpid(), signal.SIGINT)
        return original(*arguments, **how)

    patch.setattr(encoding, "_encode_batch", hooked)


def test_an_input_that_does_not_fit_alone_is_a_failure_with_its_reason(
    manifest: Path, w2v: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_audio(manifest.parent / "audio/u07.wav", voice(5 * SAMPLES, seed=7))
    made = narrowed(monkeypatch, 4 * SAMPLES)
    finished = run(manifest, w2v)
    assert finished.status == 1
    reason = "is too long for the memory of the device, even alone"
    assert reasons(read_cache(manifest), "audio/w2v") == {"u07": reason}
    assert f"failed: u07 (audio): {reason}" in finished.err
    assert len(made[0].sizes) == 4


@pytest.mark.parametrize(("most", "number"), [(100, 20), (24, 10), (7, 5), (1, 1)])
def test_a_gpus_budget_is_halved_until_a_batch_fits_with_a_quarter_to_spare(
    w2v: Path, most: int, number: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(encoding.AUDIO_BUDGET_MS, "cuda", 20 * SAMPLES // 16)
    encoder = Narrow(load_encoder("audio", str(w2v)), most * SAMPLES, device="cuda")
    inputs = [Source(lambda _: voice(SAMPLES), SAMPLES // 16)] * 40
    budget, batches = encoding.plan_rows(range(40), inputs, encoder)
    assert {len(batch) for batch in batches[:-1]} == {number}
    assert budget >= number * SAMPLES // 16


def test_other_errors_of_an_encoder_are_not_taken_for_want_of_memory() -> None:
    def broken(_: object) -> Any:
        raise RuntimeError("mat1 and mat2 shapes cannot be multiplied")

    items = [Prepared(np.zeros(4, np.float32))] * 2
    with pytest.raises(RuntimeError, match="mat1"):
        within_memory(items, broken, batch=0, limits=Limits())
    with pytest.raises(RuntimeError, match="mat1"):
        fits(items, broken)


def test_what_a_cpu_says_counts_too() -> None:
    with pytest.raises(RuntimeError) as told:
        torch.empty(2**52, dtype=torch.float64)
    assert is_out_of_memory(told.value)


def test_a_limit_holds_from_its_batch_on() -> None:
    kept: list[tuple[int, int]] = []
    limits = Limits([(3, 100)], lambda *one: kept.append(one))
    limits.halve(5, 90)
    assert [limits.most(batch) for batch in (2, 3, 4, 5, 9)] == [None, 100, 100, 45, 45]
    assert kept == [(5, 45)]
