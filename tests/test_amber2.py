import inspect
import math

import numpy as np
import pytest
import torch
from torch import Tensor

from amber_heads.formulas.amber2 import amber2_loss, expert_weights, mai_loss, rai_loss
from amber_heads.formulas.divergence import js_divergence

# As users have them, without the shape checker that the tests run under.
plain_expert_weights = inspect.unwrap(expert_weights)
plain_amber2_loss = inspect.unwrap(amber2_loss)


def numpy_js(p: np.ndarray, q: np.ndarray) -> float:
    """Jensen-Shannon divergence of one pair in bits, class by class."""
    total = 0.0
    for a, b in zip(p, q, strict=True):
        total += a * math.log2(2 * a / (a + b)) / 2 if a > 0 else 0
        total += b * math.log2(2 * b / (a + b)) / 2 if b > 0 else 0
    return total


def numpy_amber2(
    student: np.ndarray,
    experts: np.ndarray,
    target: np.ndarray,
    *,
    kappa: float,
    lambda_mai: float,
    lambda_rai: float = 1.0,
) -> tuple[float, np.ndarray]:
    """Eq. 3-6 for one utterance, written as they are printed: the loss and u."""
    rai = numpy_js(target, student)
    divergences = np.array([numpy_js(expert, target) for expert in experts])
    # Less the smallest, which Eq. 5 does not change with, so that kappa = 1e4 does not underflow.
    powers = np.exp(-kappa * (divergences - divergences.min()))
    weights = powers / powers.sum()
    mai = sum(u * numpy_js(student, expert) for u, expert in zip(weights, experts, strict=True))
    return lambda_rai * rai + lambda_mai * mai, weights


def random_case(
    num_classes: int, num_experts: int, rows: int = 20
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Student, experts and vote shares; the first row is one-hot all over, the second all even."""
    rng = np.random.default_rng([num_classes, num_experts])
    student = rng.dirichlet(np.ones(num_classes), size=rows)
    experts = rng.dirichlet(np.ones(num_classes), size=(rows, num_experts))
    target = rng.multinomial(4, np.full(num_classes, 1 / num_classes), size=rows) / 4
    one_hot = np.eye(num_classes)[0]
    student[0], experts[0], target[0] = one_hot[::-1], one_hot, one_hot
    student[1], experts[1], target[1] = [np.full(num_classes, 1 / num_classes)] * 3
    return student, experts, target


def logs(*arrays: np.ndarray, dtype: torch.dtype = torch.float64) -> list[Tensor]:
    return [torch.tensor(array, dtype=dtype).log() for array in arrays]


@pytest.mark.parametrize("num_classes", range(2, 10))
@pytest.mark.parametrize("num_experts", [1, 2, 3, 4])
def test_loss_and_weights_equal_the_equations(num_classes: int, num_experts: int) -> None:
    student, experts, target = random_case(num_classes, num_experts)
    for kappa in (0, 2.0, 8.0, 1e4):
        pairs = [
            numpy_amber2(*row, kappa=kappa, lambda_mai=0.7, lambda_rai=1.3)
            for row in zip(student, experts, target, strict=True)
        ]
        for dtype, tolerance in ((torch.float64, 1e-10), (torch.float32, 1e-6)):
            log_student, log_experts = logs(student, experts, dtype=dtype)
            y = torch.tensor(target, dtype=dtype)
            loss = amber2_loss(
                log_student, log_experts, y, kappa=kappa, lambda_mai=0.7, lambda_rai=1.3
            )
            np.testing.assert_allclose(loss, [loss for loss, _ in pairs], atol=tolerance)
            # At kappa 1e4 a float32 divergence's last bit, 6e-8, moves u by up to 2e-4.
            if dtype is torch.float64 or kappa < 100:
                u = expert_weights(log_experts, y, kappa=kappa)
                np.testing.assert_allclose(u, [u for _, u in pairs], atol=tolerance)


def test_a_case_by_hand() -> None:
    # Raters agree, so y = (1, 0). The audio head has it right, D_A = 0; the text head and the
    # student are even, D_T = L_RAI = 0.3113 = h. With kappa = ln(2) / h, u = (2/3, 1/3);
    # J_A = h and J_T = 0, so that L = h + 1/2 * 2/3 * h = 4/3 h.
    h = (math.log2(4 / 3) + 0.5 * math.log2(2 / 3) + 0.5) / 2
    student, experts = logs(np.array([0.5, 0.5]), np.array([[1.0, 0.0], [0.5, 0.5]]))
    target = torch.tensor([1.0, 0.0], dtype=torch.float64)
    u = expert_weights(experts, target, kappa=math.log(2) / h)
    np.testing.assert_allclose(u, [2 / 3, 1 / 3], rtol=1e-12)
    loss = amber2_loss(student, experts, target, kappa=math.log(2) / h, lambda_mai=0.5)
    assert loss.item() == pytest.approx(4 / 3 * h, rel=1e-12)
    assert rai_loss(student, target).item() == pytest.approx(h, rel=1e-12)
    assert mai_loss(student, experts, weights=u).item() == pytest.approx(2 / 3 * h, rel=1e-12)


@pytest.mark.parametrize("num_experts", [1, 2, 4])
def test_weights_sum_to_one_and_favour_the_expert_nearest_to_the_raters(num_experts: int) -> None:
    _, experts, target = random_case(4, num_experts, rows=200)
    y, (log_experts,) = torch.tensor(target), logs(experts)
    divergence = js_divergence(log_experts, y.log().unsqueeze(-2))
    assert (expert_weights(log_experts, y, kappa=0) == 1 / num_experts).all()
    for kappa in (2, 1e4):
        u = expert_weights(log_experts, y, kappa=kappa)
        torch.testing.assert_close(u.sum(-1), torch.ones(200, dtype=torch.float64))
        best = u.gather(-1, divergence.argmin(-1, keepdim=True)).squeeze(-1)
        torch.testing.assert_close(best, u.amax(-1))


def test_the_order_of_experts_and_classes_does_not_matter() -> None:
    student, experts, target = random_case(5, 3)
    log_student, log_experts = logs(student, experts)
    y = torch.tensor(target)
    loss = amber2_loss(log_student, log_experts, y, kappa=4, lambda_mai=0.5)
    swapped = amber2_loss(log_student, log_experts.flip(-2), y, kappa=4, lambda_mai=0.5)
    renamed = amber2_loss(
        log_student.flip(-1), log_experts.flip(-1), y.flip(-1), kappa=4, lambda_mai=0.5
    )
    torch.testing.assert_close(swapped, loss)
    torch.testing.assert_close(renamed, loss)
    u = expert_weights(log_experts, y, kappa=4)
    torch.testing.assert_close(expert_weights(log_experts.flip(-2), y, kappa=4), u.flip(-1))


def test_each_lambda_weighs_its_own_term() -> None:
    student, experts, target = random_case(4, 2)
    (log_student, log_experts), y = logs(student, experts), torch.tensor(target)
    rai = rai_loss(log_student, y)
    u = expert_weights(log_experts, y, kappa=2)
    mai = mai_loss(log_student, log_experts, weights=u)
    supervised = js_divergence(log_experts, y.log().unsqueeze(-2)).sum(-1)

    def loss(**lambdas: float) -> Tensor:
        return amber2_loss(log_student, log_experts, y, kappa=2, **lambdas)

    torch.testing.assert_close(loss(lambda_mai=0), rai)
    torch.testing.assert_close(loss(lambda_mai=1, lambda_rai=0), mai)
    torch.testing.assert_close(
        loss(lambda_mai=0.3, lambda_rai=2, expert_loss=0.7), 2 * rai + 0.3 * mai + 0.7 * supervised
    )


@pytest.mark.parametrize("num_experts", [1, 2, 3])
@pytest.mark.parametrize("target", [[1.0, 0, 0, 0], [0.5, 0.25, 0.25, 0], [0.25] * 4])
def test_gradient_equals_finite_differences(num_experts: int, target: list[float]) -> None:
    logits = torch.randn(
        1 + num_experts, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64
    ).requires_grad_()
    y = torch.tensor(target, dtype=torch.float64)

    def loss(logits: Tensor) -> Tensor:
        log_p = logits.log_softmax(-1)
        settings = {"kappa": 4.0, "lambda_mai": 0.7, "expert_loss": 0.2}
        return amber2_loss(log_p[0], log_p[1:], y, detach_weights=False, **settings)

    assert torch.autograd.gradcheck(loss, (logits,))


def test_detached_gradient_is_that_of_constant_weights() -> None:
    logits = torch.randn(
        3, 4, generator=torch.Generator().manual_seed(1), dtype=torch.float64, requires_grad=True
    )
    y = torch.tensor([0.5, 0.5, 0.0, 0.0], dtype=torch.float64)
    log_p = logits.log_softmax(-1)
    u = expert_weights(log_p[1:], y, kappa=8).detach()
    by_hand = rai_loss(log_p[0], y) + 0.7 * mai_loss(log_p[0], log_p[1:], weights=u)
    loss = amber2_loss(log_p[0], log_p[1:], y, kappa=8, lambda_mai=0.7)
    (expected,) = torch.autograd.grad(by_hand, logits, retain_graph=True)
    (gradient,) = torch.autograd.grad(loss, logits)
    torch.testing.assert_close(gradient, expected)
    assert (gradient[1:].abs().sum(-1) > 0).all()  # experts learn from the student


def test_attached_weights_push_the_expert_farther_from_the_student_away_from_the_raters() -> None:
    kappa, lambda_mai = 4.0, 0.7
    logits = torch.tensor(
        [[1.0, 0.2, 0.1, 0.0], [-1.0, 0.5, 0.3, 0.9], [1.2, 0.1, 0.0, 0.1]],
        dtype=torch.float64,
        requires_grad=True,
    )
    y = torch.tensor([0.75, 0.25, 0.0, 0.0], dtype=torch.float64)
    log_p = logits.log_softmax(-1)
    divergence = js_divergence(log_p[1:], y.log())  # D_A, D_T
    far, near = js_divergence(log_p[0], log_p[1:]).tolist()  # J_A, J_T
    u_a, u_t = expert_weights(log_p[1:], y, kappa=kappa).tolist()
    (d_divergence,) = torch.autograd.grad(divergence[0], logits, retain_graph=True)
    attached, detached = (
        torch.autograd.grad(
            amber2_loss(
                log_p[0],
                log_p[1:],
                y,
                kappa=kappa,
                lambda_mai=lambda_mai,
                detach_weights=detach,
            ),
            logits,
            retain_graph=True,
        )[0]
        for detach in (False, True)
    )
    assert far > near
    through_weights = -lambda_mai * kappa * u_a * u_t * (far - near)  # dL / dD_A < 0
    torch.testing.assert_close((attached - detached)[1], through_weights * d_divergence[1])
    assert (attached - detached)[1].abs().max() > 1e-3


@pytest.mark.parametrize("size", [200.0, 1e4])
@pytest.mark.parametrize("detach", [True, False])
def test_float32_underflow_leaves_loss_and_gradient_finite(size: float, detach: bool) -> None:
    signs = torch.tensor([[1.0, -1, -1], [-1, 1, -1], [1, -1, 1]])
    logits = (signs * size).requires_grad_()
    log_p = logits.log_softmax(-1)
    y = torch.tensor([1.0, 0.0, 0.0])
    loss = amber2_loss(log_p[0], log_p[1:], y, kappa=1e4, lambda_mai=0.5, detach_weights=detach)
    loss.backward()
    # The student is right; the second expert is nearest: JS((1, 0, 0), (1/2, 0, 1/2)) = 0.3113.
    assert loss.item() == pytest.approx(0.5 * 0.31127812, abs=1e-6)
    assert logits.grad is not None
    assert torch.isfinite(logits.grad).all()


def test_a_stack_with_a_setting_for_each_run_equals_each_run_alone() -> None:
    generator = torch.Generator().manual_seed(2)
    log_p = torch.randn(3, 7, 4, 5, generator=generator, dtype=torch.float64).log_softmax(-1)
    y = torch.randn(3, 7, 5, generator=generator, dtype=torch.float64).softmax(-1)
    kappa, lambda_mai, lambda_rai = torch.tensor(
        [[0.0, 2.0, 8.0], [0.3, 0.5, 0.0], [1.0, 0.0, 2.0]], dtype=torch.float64
    ).unsqueeze(-1)
    stacked = amber2_loss(
        log_p[..., 0, :],
        log_p[..., 1:, :],
        y,
        kappa=kappa,
        lambda_mai=lambda_mai,
        lambda_rai=lambda_rai,
    )
    u = expert_weights(log_p[..., 1:, :], y, kappa=kappa)
    for run in range(3):
        settings = {"kappa": kappa[run].item(), "lambda_mai": lambda_mai[run].item()}
        alone = amber2_loss(
            log_p[run, :, 0],
            log_p[run, :, 1:],
            y[run],
            lambda_rai=lambda_rai[run].item(),
            **settings,
        )
        torch.testing.assert_close(stacked[run], alone, rtol=1e-12, atol=1e-14)
        alone_u = expert_weights(log_p[run, :, 1:], y[run], kappa=kappa[run].item())
        torch.testing.assert_close(u[run], alone_u, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("name", ["kappa", "lambda_mai", "lambda_rai", "expert_loss"])
@pytest.mark.parametrize("value", [-1, -0.5, math.nan, math.inf])
def test_a_setting_that_is_negative_or_not_finite_is_refused(name: str, value: float) -> None:
    student, experts, target = random_case(3, 2)
    settings = {"kappa": 1.0, "lambda_mai": 1.0, name: value}
    with pytest.raises(ValueError, match=f"^{name} is {value}; it must be a finite number"):
        amber2_loss(*logs(student, experts), torch.tensor(target), **settings)
    if name == "kappa":
        with pytest.raises(ValueError, match="^kappa is"):
            expert_weights(*logs(experts), torch.tensor(target), kappa=value)


@pytest.mark.parametrize("shape", [(6, 3), (3,), (2, 6, 2, 3), (6, 0, 3)])
def test_experts_without_an_axis_of_their_own_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="log_experts has shape .* need an axis of their own"):
        plain_expert_weights(torch.zeros(shape), torch.ones(6, 3) / 3, kappa=1)


def test_other_numbers_of_classes_are_refused() -> None:
    target = torch.ones(6, 3) / 3
    with pytest.raises(ValueError, match="log_experts has 4 classes and target 3"):
        plain_expert_weights(torch.zeros(6, 2, 4), target, kappa=1)
    with pytest.raises(ValueError, match="log_student has 1 classes and target 3"):
        plain_amber2_loss(torch.zeros(6, 1), torch.zeros(6, 2, 3), target, kappa=1, lambda_mai=1)
