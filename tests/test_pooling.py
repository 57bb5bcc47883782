"""Pooling against NumPy, by hand, and on what it must refuse or ignore."""

import numpy as np
import pytest
import torch

from amber_cache.errors import ConfigError
from amber_cache.pooling import POOLINGS, first_frame, masked_mean, masked_mean_std, pool


def _frames_and_mask() -> tuple[torch.Tensor, torch.Tensor]:
    random = torch.Generator().manual_seed(0)
    frames = torch.randn(3, 7, 5, generator=random) + 100
    mask = torch.arange(7) < torch.tensor([7, 1, 4])[:, None]
    return frames, mask


def test_mean_equals_numpy_row_by_row() -> None:
    frames, mask = _frames_and_mask()
    wanted = [frames[row, mask[row]].double().numpy().mean(axis=0) for row in range(3)]
    np.testing.assert_allclose(masked_mean(frames, mask).numpy(), wanted, rtol=1e-6)


def test_mean_std_equals_numpy_row_by_row() -> None:
    frames, mask = _frames_and_mask()
    own = [frames[row, mask[row]].double().numpy() for row in range(3)]
    wanted = [np.concatenate([rows.mean(axis=0), rows.std(axis=0)]) for rows in own]
    np.testing.assert_allclose(masked_mean_std(frames, mask).numpy(), wanted, rtol=1e-5)


def test_first_is_the_first_frame_under_the_mask() -> None:
    frames = torch.arange(12.0).reshape(2, 3, 2)
    mask = torch.tensor([[True, True, False], [False, True, True]])
    assert first_frame(frames, mask).tolist() == [[0.0, 1.0], [8.0, 9.0]]


@pytest.mark.parametrize("name", POOLINGS)
@pytest.mark.parametrize("rubbish", [float("nan"), float("inf"), 1e30])
def test_what_stands_outside_the_mask_does_not_matter(name: str, rubbish: float) -> None:
    frames, mask = _frames_and_mask()
    spoilt = frames.masked_fill(~mask[..., None], rubbish)
    assert torch.equal(pool(name, spoilt, mask), pool(name, frames, mask))


@pytest.mark.parametrize("name", POOLINGS)
def test_nan_under_the_mask_is_not_hidden(name: str) -> None:
    frames, mask = _frames_and_mask()
    frames[0, 0, 0] = float("nan")
    assert pool(name, frames, mask)[0, 0].isnan()


@pytest.mark.parametrize("name", POOLINGS)
def test_any_number_of_batch_axes(name: str) -> None:
    frames, mask = _frames_and_mask()
    whole = pool(name, frames, mask)
    assert torch.equal(pool(name, frames[0], mask[0]), whole[0])
    stacked = pool(name, frames.expand(2, *frames.shape), mask.expand(2, *mask.shape))
    assert torch.equal(stacked, whole.expand(2, *whole.shape))


def test_bfloat16_frames_are_summed_in_float32() -> None:
    frames = torch.ones(1, 1000, 1, dtype=torch.bfloat16)  # a bfloat16 sum of ones stops at 256
    mean = masked_mean(frames, torch.ones(1, 1000, dtype=torch.bool))
    assert mean.dtype == torch.float32
    assert mean.item() == 1.0


def test_float64_frames_stay_float64() -> None:
    frames, mask = _frames_and_mask()
    assert masked_mean(frames.double(), mask).dtype == torch.float64


@pytest.mark.parametrize("name", POOLINGS)
def test_a_row_without_a_frame_is_refused(name: str) -> None:
    mask = torch.tensor([[True, True], [False, False]])
    with pytest.raises(ValueError, match=r"rows \[1\] of the mask have no frame"):
        pool(name, torch.zeros(2, 2, 3), mask)


def test_an_unknown_pooling_is_refused_with_the_known_ones() -> None:
    with pytest.raises(ConfigError, match="'max' does not exist; choose one of mean, mean-std"):
        pool("max", torch.zeros(1, 1, 1), torch.ones(1, 1, dtype=torch.bool))
