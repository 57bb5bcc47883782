import dataclasses

import pytest
import torch
from torch import Tensor

from amber_heads import losses
from amber_heads.configuration.options import LOSS_SETTINGS
from amber_heads.losses import LOSSES, LossTerms

NUM_RUNS, NUM_ROWS, NUM_HEADS, NUM_CLASSES = 4, 6, 3, 5


def random_stack(dtype: torch.dtype = torch.float64) -> tuple[Tensor, Tensor, LossTerms]:
    """Logits of all heads, vote shares with zeros, and settings that differ from run to run."""
    generator = torch.Generator().manual_seed(0)
    shape = (NUM_RUNS, NUM_ROWS, NUM_HEADS, NUM_CLASSES)
    logits = torch.randn(shape, generator=generator, dtype=dtype)
    votes = torch.randint(0, 3, (NUM_RUNS, NUM_ROWS, NUM_CLASSES), generator=generator).to(dtype)
    votes[..., 0] += 1  # nobody is left without a vote
    terms = LossTerms(
        kappa=torch.tensor([0.0, 2, 8, 1e4], dtype=dtype),
        lambda_rai=torch.tensor([1.0, 0, 1, 2], dtype=dtype),
        lambda_mai=torch.tensor([0.5, 1, 0, 3], dtype=dtype),
        expert_loss=torch.tensor([0.0, 0, 1, 0.5], dtype=dtype),
        class_weights=torch.rand(NUM_RUNS, NUM_CLASSES, generator=generator, dtype=dtype),
    )
    return logits, votes / votes.sum(-1, keepdim=True), terms


PER_RUN = ("kappa", "lambda_rai", "lambda_mai", "expert_loss", "class_weights")


def one_run(terms: LossTerms, run: int) -> LossTerms:
    return dataclasses.replace(
        terms, **{field: getattr(terms, field)[run : run + 1] for field in PER_RUN}
    )


def test_the_names_are_those_of_the_command_line() -> None:
    assert list(LOSSES) == ["amber2", "cb-ce", "soft-ce", "kl", "js"]
    assert all(name == loss.name for name, loss in LOSSES.items())
    assert [loss.name for loss in LOSSES.values() if loss.needs_student] == ["amber2"]
    assert list(LOSS_SETTINGS) == list(LOSSES)
    for name, loss in LOSSES.items():
        assert loss.needs_student == ("student" in LOSS_SETTINGS[name])


@pytest.mark.parametrize("name", LOSSES)
@pytest.mark.parametrize("detach", [True, False])
def test_a_run_in_a_stack_equals_the_run_alone(name: str, detach: bool) -> None:
    logits, target, terms = random_stack()
    terms = dataclasses.replace(terms, detach_weights=detach)
    logits.requires_grad_()
    stacked = LOSSES[name].compute(logits.log_softmax(-1), target, terms)
    (gradient,) = torch.autograd.grad(stacked.sum(), logits)
    assert stacked.shape == (NUM_RUNS, NUM_ROWS)
    for run in range(NUM_RUNS):
        alone = logits[run : run + 1].detach().requires_grad_()
        loss = LOSSES[name].compute(
            alone.log_softmax(-1), target[run : run + 1], one_run(terms, run)
        )
        torch.testing.assert_close(stacked[run : run + 1], loss, rtol=1e-12, atol=1e-14)
        (alone_gradient,) = torch.autograd.grad(loss.sum(), alone)
        torch.testing.assert_close(gradient[run : run + 1], alone_gradient, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("detach", [True, False])
def test_amber2_takes_the_first_head_as_student_and_each_runs_settings(detach: bool) -> None:
    logits, target, terms = random_stack()
    log_heads = logits.log_softmax(-1)
    terms = dataclasses.replace(terms, detach_weights=detach)
    stacked = LOSSES["amber2"].compute(log_heads, target, terms)
    for run in range(NUM_RUNS):
        expected = losses.amber2_loss(
            log_heads[run, :, 0],
            log_heads[run, :, 1:],
            target[run],
            kappa=terms.kappa[run].item(),
            lambda_mai=terms.lambda_mai[run].item(),
            lambda_rai=terms.lambda_rai[run].item(),
        )
        divergence = losses.js_divergence(log_heads[run, :, 1:], target[run].log().unsqueeze(-2))
        expected = expected + terms.expert_loss[run] * divergence.sum(-1)
        torch.testing.assert_close(stacked[run], expected, rtol=1e-12, atol=1e-14)


def test_detaching_reaches_the_gradient() -> None:
    logits, target, terms = random_stack()
    logits.requires_grad_()
    gradients = []
    for detach in (True, False):
        terms = dataclasses.replace(terms, detach_weights=detach)
        loss = LOSSES["amber2"].compute(logits.log_softmax(-1), target, terms)
        gradients.append(torch.autograd.grad(loss[1].sum(), logits)[0][1])
    difference = (gradients[0] - gradients[1]).abs()
    assert difference[:, 0].max() < 1e-12  # u does not depend on the student
    assert difference[:, 1:].max() > 1e-3


@pytest.mark.parametrize("name", ["cb-ce", "soft-ce", "kl", "js"])
def test_losses_without_a_student_sum_over_heads(name: str) -> None:
    logits, target, terms = random_stack()
    log_heads = logits.log_softmax(-1)
    stacked = LOSSES[name].compute(log_heads, target, terms)
    expected = torch.zeros(NUM_RUNS, NUM_ROWS, dtype=torch.float64)
    for run in range(NUM_RUNS):
        for head in range(NUM_HEADS):
            log_p, y = log_heads[run, :, head], target[run]
            weights = terms.class_weights[run]
            expected[run] += {
                "cb-ce": lambda p, y, w: losses.class_balanced_cross_entropy(p, y, class_weights=w),
                "soft-ce": lambda p, y, w: losses.soft_cross_entropy(p, y),
                "kl": lambda p, y, w: losses.kl_divergence(p, y),
                "js": lambda p, y, w: losses.js_divergence(p, y.log()),
            }[name](log_p, y, weights)
    torch.testing.assert_close(stacked, expected, rtol=1e-12, atol=1e-14)
    assert not LOSS_SETTINGS[name]
    # What a loss says has no effect has none.
    others = dataclasses.replace(terms, kappa=terms.kappa + 1, lambda_mai=terms.lambda_mai + 1)
    assert torch.equal(LOSSES[name].compute(log_heads, target, others), stacked)


@pytest.mark.parametrize("name", LOSSES)
def test_float32_losses_stay_finite_where_probabilities_underflow(name: str) -> None:
    logits, target, terms = random_stack(torch.float32)
    logits = (logits * 200).requires_grad_()
    loss = LOSSES[name].compute(logits.log_softmax(-1), target, terms)
    loss.sum().backward()
    assert loss.dtype == torch.float32
    assert torch.isfinite(loss).all()
    assert logits.grad is not None
    assert torch.isfinite(logits.grad).all()


@pytest.mark.parametrize("name", LOSSES)
def test_training_on_a_loss_brings_every_head_that_it_trains_to_the_raters(name: str) -> None:
    _, target, terms = random_stack()
    ones = torch.ones(NUM_RUNS, dtype=torch.float64)
    terms = dataclasses.replace(
        terms, kappa=4 * ones, lambda_rai=ones, lambda_mai=0.5 * ones, expert_loss=ones
    )
    terms = dataclasses.replace(terms, class_weights=torch.ones_like(terms.class_weights))
    shape = (NUM_RUNS, NUM_ROWS, NUM_HEADS, NUM_CLASSES)
    logits = torch.randn(shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    logits.requires_grad_()
    optimizer = torch.optim.Adam([logits], lr=0.1)
    for _ in range(300):
        optimizer.zero_grad()
        LOSSES[name].compute(logits.log_softmax(-1), target, terms).sum().backward()
        optimizer.step()
    distance = losses.js_divergence(logits.log_softmax(-1), target.log().unsqueeze(-2))
    assert distance.max() < 0.01


@pytest.mark.parametrize("name", LOSSES)
def test_no_loss_looks_into_a_tensor(name: str) -> None:
    # On a GPU that would wait for it at every step; on the meta device, without values, it raises.
    logits, target, terms = random_stack(torch.float32)
    logits = logits.to("meta").requires_grad_()
    terms = dataclasses.replace(
        terms, **{field: getattr(terms, field).to("meta") for field in PER_RUN}
    )
    loss = LOSSES[name].compute(logits.log_softmax(-1), target.to("meta"), terms)
    loss.sum().backward()
    assert loss.shape == (NUM_RUNS, NUM_ROWS)
