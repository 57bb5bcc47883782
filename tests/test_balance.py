import numpy as np
import pytest
import torch

from amber_heads.formulas.balance import class_balanced_cross_entropy, class_balanced_weights


def test_weights_by_hand_with_an_absent_class() -> None:
    # Four utterances, so beta = 3/4. Above 1/3: class 0 three times, class 1 once, class 2 never.
    target = torch.tensor([[1.0, 0, 0], [0.8, 0.2, 0], [0.7, 0, 0.3], [0, 1, 0]])
    raw = np.array([0.25 / (1 - 0.75**3), 0.25 / (1 - 0.75)])  # 16/37 and 1
    expected = [*(raw * 2 / raw.sum()), 0.0]
    weights = class_balanced_weights(target)
    assert weights.dtype == torch.float64
    np.testing.assert_allclose(weights, expected, rtol=1e-14)
    np.testing.assert_allclose(weights, [32 / 53, 74 / 53, 0], rtol=1e-14)


@pytest.mark.parametrize("num_classes", range(2, 10))
def test_weights_equal_a_plain_loop(num_classes: int) -> None:
    target = np.random.default_rng(num_classes).dirichlet(np.ones(num_classes) / 2, size=300)
    beta, weights = 299 / 300, []
    for label in range(num_classes):
        count = sum(row[label] > 1 / num_classes for row in target)
        weights.append((1 - beta) / (1 - beta**count) if count else 0.0)
    present = sum(weight > 0 for weight in weights)
    expected = np.array(weights) * present / sum(weights)
    np.testing.assert_allclose(class_balanced_weights(torch.tensor(target)), expected, rtol=1e-12)


@pytest.mark.parametrize("num_classes", [3, 5, 6, 7, 9])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_an_even_share_is_not_above_chance(num_classes: int, dtype: torch.dtype) -> None:
    even = torch.ones(1, num_classes, dtype=dtype) / num_classes
    one_hot = torch.zeros(1, num_classes, dtype=dtype)
    one_hot[0, 1] = 1
    weights = class_balanced_weights(torch.cat([even, even, one_hot]))
    assert torch.equal(weights, one_hot[0].double())


def test_the_order_of_utterances_and_one_utterance_alone() -> None:
    target = torch.rand(50, 4, generator=torch.Generator().manual_seed(0)).softmax(-1)
    assert torch.equal(class_balanced_weights(target), class_balanced_weights(target.flip(0)))
    assert class_balanced_weights(torch.tensor([[0.0, 1.0]])).tolist() == [0, 1]


def test_beta_can_be_fixed() -> None:
    target = torch.eye(3)[[0, 0, 1]]
    assert class_balanced_weights(target, beta=0).tolist() == [1, 1, 0]
    raw = np.array([1 / (1 + 0.9), 1])
    np.testing.assert_allclose(
        class_balanced_weights(target, beta=0.9)[:2], raw * 2 / raw.sum(), rtol=1e-12
    )


@pytest.mark.parametrize("beta", [-0.1, 1, 1.5, float("nan")])
def test_a_beta_out_of_range_is_refused(beta: float) -> None:
    with pytest.raises(ValueError, match=f"beta is {beta}; it must be at least 0 and below 1"):
        class_balanced_weights(torch.eye(2), beta=beta)


@pytest.mark.parametrize("target", [torch.full((3, 4), 0.25), torch.zeros(0, 4)])
def test_targets_without_any_preferred_class_are_refused(target: torch.Tensor) -> None:
    with pytest.raises(ValueError, match=f"none of {len(target)} utterances has a class above 1/4"):
        class_balanced_weights(target)


def test_the_loss_equals_its_formula() -> None:
    rng = np.random.default_rng(4)
    y, p = rng.multinomial(5, [0.25] * 4, size=40) / 5, rng.dirichlet(np.ones(4), size=40)
    w = np.array([0.5, 2.0, 0.0, 1.5])
    arguments = {"class_weights": torch.tensor(w)}
    loss = class_balanced_cross_entropy(torch.tensor(p).log(), torch.tensor(y), **arguments)
    np.testing.assert_allclose(loss, -(y @ w) * (y * np.log(p)).sum(-1), rtol=1e-12)
    by_class = class_balanced_cross_entropy(
        torch.tensor(p).log(), torch.tensor(y), weighting="class", **arguments
    )
    np.testing.assert_allclose(by_class, -(w * y * np.log(p)).sum(-1), rtol=1e-12)


@pytest.mark.parametrize("weighting", ["utterance", "class"])
def test_an_impossible_class_that_nobody_chose_costs_nothing(weighting: str) -> None:
    log_p = torch.tensor([[0.0, -torch.inf]], requires_grad=True)
    target, weights = torch.tensor([[1.0, 0.0]]), torch.tensor([0.5, 1.5], dtype=torch.float64)
    loss = class_balanced_cross_entropy(log_p, target, class_weights=weights, weighting=weighting)
    loss.sum().backward()
    assert loss.dtype == torch.float32
    assert loss.item() == 0
    assert log_p.grad is not None
    assert log_p.grad.tolist() == [[-0.5, 0]]


def test_each_run_of_a_stack_has_its_own_weights() -> None:
    generator = torch.Generator().manual_seed(5)
    log_p = torch.randn(3, 6, 4, generator=generator).log_softmax(-1)
    target = torch.randn(3, 6, 4, generator=generator).softmax(-1)
    weights = torch.rand(3, 1, 4, generator=generator)
    stacked = class_balanced_cross_entropy(log_p, target, class_weights=weights)
    for run in range(3):
        alone = class_balanced_cross_entropy(log_p[run], target[run], class_weights=weights[run, 0])
        torch.testing.assert_close(stacked[run], alone)
