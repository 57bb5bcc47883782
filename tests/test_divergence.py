import math
from collections.abc import Callable
from typing import TypeAlias

import numpy as np
import pytest
import scipy.spatial.distance
import scipy.stats
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from amber_heads.formulas.divergence import js_divergence, kl_divergence, soft_cross_entropy

INF = math.inf

Loss: TypeAlias = Callable[[Tensor, Tensor], Tensor]


def random_pair(num_classes: int, *, zeros: bool, rows: int = 200) -> tuple[Tensor, Tensor]:
    """Vote shares beside predictions, in float64; with zeros, most shares are 0."""
    rng = np.random.default_rng(num_classes)
    votes = rng.multinomial(5, np.full(num_classes, 1 / num_classes), size=rows) / 5
    target = votes if zeros else rng.dirichlet(np.ones(num_classes), size=rows)
    return torch.tensor(target), torch.tensor(rng.dirichlet(np.ones(num_classes), size=rows))


@pytest.mark.parametrize("num_classes", range(2, 10))
@pytest.mark.parametrize("zeros", [False, True])
def test_js_equals_scipys_distance_squared(num_classes: int, zeros: bool) -> None:
    p, q = random_pair(num_classes, zeros=zeros)
    expected = scipy.spatial.distance.jensenshannon(p, q, base=2, axis=-1) ** 2
    np.testing.assert_allclose(js_divergence(p.log(), q.log()), expected, atol=1e-12)
    single = js_divergence(p.float().log(), q.float().log())
    np.testing.assert_allclose(single, expected, atol=1e-6)


def test_js_by_hand() -> None:
    # p = (1, 0), q = (1/2, 1/2), m = (3/4, 1/4):
    # 2 JS = log2(1 / (3/4)) + 1/2 log2((1/2) / (3/4)) + 1/2 log2((1/2) / (1/4)).
    expected = (math.log2(4 / 3) + 0.5 * math.log2(2 / 3) + 0.5) / 2
    log_p, log_q = torch.tensor([1.0, 0.0]).log(), torch.tensor([0.5, 0.5]).log()
    assert js_divergence(log_p, log_q).item() == pytest.approx(expected, abs=1e-7)


@pytest.mark.parametrize(
    ("p", "q", "expected"),
    [
        ([1, 0, 0], [1, 0, 0], 0),
        ([1, 0, 0], [0, 1, 0], 1),
        ([0.5, 0.5, 0], [0, 0, 1], 1),
        ([1, 0, 0], [0.5, 0.5, 0], 0.31127812445913283),
    ],
)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_zeros_on_either_side_or_both_leave_value_and_gradient_finite(
    p: list[float], q: list[float], expected: float, dtype: torch.dtype
) -> None:
    log_p = torch.tensor(p, dtype=dtype).log().requires_grad_()
    log_q = torch.tensor(q, dtype=dtype).log().requires_grad_()
    value = js_divergence(log_p, log_q)
    value.backward()
    assert value.item() == pytest.approx(expected, abs=1e-6)
    assert log_p.grad is not None
    assert log_q.grad is not None
    assert torch.isfinite(log_p.grad).all()
    assert (log_p.grad[torch.tensor(p) == 0] == 0).all()
    assert (log_q.grad[torch.tensor(q) == 0] == 0).all()


def test_js_gradient_equals_finite_differences() -> None:
    generator = torch.Generator().manual_seed(0)
    target = torch.tensor([[1.0, 0, 0, 0], [0.5, 0.5, 0, 0], [0.25] * 4], dtype=torch.float64)
    logits = torch.randn(3, 4, generator=generator, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(
        lambda z: js_divergence(z.log_softmax(-1), target.log()), (logits,)
    )
    # Both sides at once, as the student and an expert are, and without the softmax's constraint.
    other = torch.randn(2, 1, 4, generator=generator, dtype=torch.float64).log_softmax(-1)
    pair = (logits.detach().log_softmax(-1).requires_grad_(), other.requires_grad_())
    assert torch.autograd.gradcheck(js_divergence, pair)


def test_gradient_through_log_softmax_of_an_impossible_class_is_finite() -> None:
    logits = torch.tensor([[0.3, -INF, 1.0], [-INF, 2.0, -INF]], requires_grad=True)
    target = torch.tensor([[0.5, 0.5, 0.0], [1.0, 0.0, 0.0]])
    js_divergence(logits.log_softmax(-1), target.log()).sum().backward()
    assert logits.grad is not None
    assert torch.isfinite(logits.grad).all()


def test_equal_distributions_give_zero_and_no_gradient_to_the_last_bit() -> None:
    logits = torch.randn(500, 8, generator=torch.Generator().manual_seed(1)) * 10
    log_p = logits.log_softmax(-1).requires_grad_()
    value = js_divergence(log_p, log_p.detach().clone())
    value.sum().backward()
    assert (value == 0).all()
    assert log_p.grad is not None
    assert (log_p.grad == 0).all()


@pytest.mark.parametrize("step", [1e-1, 1e-3, 1e-5, 1e-7])
def test_nearly_equal_distributions_in_float32(step: float) -> None:
    generator = torch.Generator().manual_seed(2)
    logits = torch.randn(500, 4, generator=generator)
    log_p = logits.log_softmax(-1)
    log_q = (logits + step * torch.randn(500, 4, generator=generator)).log_softmax(-1)
    log_p.requires_grad_()
    value = js_divergence(log_p, log_q)
    value.sum().backward()
    exact_log_p = log_p.detach().double().requires_grad_()
    exact = js_divergence(exact_log_p, log_q.double())
    exact.sum().backward()
    assert (value >= 0).all()
    torch.testing.assert_close(value.double(), exact, atol=3e-7 * step, rtol=1e-5)
    assert log_p.grad is not None
    assert exact_log_p.grad is not None
    torch.testing.assert_close(log_p.grad.double(), exact_log_p.grad, atol=1e-12, rtol=1e-5)


@pytest.mark.parametrize("size", [20.0, 200.0, 1e30])
def test_underflow_in_float32(size: float) -> None:
    logits = torch.tensor([[size, -size, 0.0], [-size, size, -size]], requires_grad=True)
    target = torch.tensor([[1.0, 0.0, 0.0], [1.0, 0.0, 0.0]])
    value = js_divergence(logits.log_softmax(-1), target.log())
    value.sum().backward()
    torch.testing.assert_close(value, torch.tensor([0.0, 1.0]), atol=1e-7, rtol=0)
    assert logits.grad is not None
    assert torch.isfinite(logits.grad).all()


def test_a_second_derivative_is_refused_rather_than_wrong() -> None:
    log_p = torch.tensor([0.5, 0.25, 0.25]).log().requires_grad_()
    squared = js_divergence(log_p, torch.tensor([1.0, 0.0, 0.0]).log()) ** 2
    (grad,) = torch.autograd.grad(squared, log_p, create_graph=True)
    with pytest.raises(RuntimeError, match="once_differentiable"):
        grad.sum().backward()


def test_not_a_number_stays_one() -> None:
    assert js_divergence(torch.tensor([math.nan, 0.0]), torch.tensor([0.0, -INF])).isnan()


logits_lists = st.lists(st.floats(-200, 200, width=32), min_size=6, max_size=6)


@settings(max_examples=100, deadline=None, derandomize=True)
@given(logits_lists, logits_lists)
def test_js_is_symmetric_and_bounded(first: list[float], second: list[float]) -> None:
    log_p, log_q = torch.tensor(first).log_softmax(-1), torch.tensor(second).log_softmax(-1)
    forward, backward = js_divergence(log_p, log_q), js_divergence(log_q, log_p)
    assert 0 <= forward.item() <= 1
    assert forward.item() == pytest.approx(backward.item(), abs=1e-7)
    permuted = js_divergence(log_p.flip(-1), log_q.flip(-1))
    assert forward.item() == pytest.approx(permuted.item(), abs=1e-6)


@pytest.mark.parametrize("num_classes", range(2, 10))
@pytest.mark.parametrize("zeros", [False, True])
def test_cross_entropy_and_kl_equal_scipys_entropy(num_classes: int, zeros: bool) -> None:
    y, p = random_pair(num_classes, zeros=zeros)
    kl = scipy.stats.entropy(y, p, axis=-1)
    np.testing.assert_allclose(kl_divergence(p.log(), y), kl, atol=1e-12)
    cross = kl + scipy.stats.entropy(y, axis=-1)
    np.testing.assert_allclose(soft_cross_entropy(p.log(), y), cross, atol=1e-12)


@pytest.mark.parametrize("loss", [soft_cross_entropy, kl_divergence])
def test_cross_entropy_and_kl_where_a_class_is_impossible(loss: Loss) -> None:
    log_p = torch.tensor([[0.0, -INF], [-INF, 0.0]], requires_grad=True)
    target = torch.tensor([[1.0, 0.0], [0.0, 1.0]])
    value = loss(log_p, target)
    value.sum().backward()
    assert value.tolist() == [0, 0]
    assert log_p.grad is not None
    assert torch.equal(log_p.grad, -target)
    assert loss(log_p, target.flip(0)).tolist() == [INF, INF]


@pytest.mark.parametrize("loss", [soft_cross_entropy, kl_divergence])
def test_cross_entropy_and_kl_have_the_gradient_p_minus_y(loss: Loss) -> None:
    y, _ = random_pair(4, zeros=True, rows=5)
    logits = torch.randn(5, 4, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    logits.requires_grad_()
    loss(logits.log_softmax(-1), y).sum().backward()
    torch.testing.assert_close(logits.grad, logits.detach().softmax(-1) - y)
