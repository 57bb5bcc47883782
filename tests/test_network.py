"""The way forward and back that is written out, against PyTorch's autograd."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
import torch
from torch import Tensor

from amber_heads.heads import Architecture, initial_parameters
from amber_heads.stack.network import Minibatches, backward, forward, parameter_gradients
from tests.reference_loop import PlainModel

SIZES = {"audio": 7, "text": 5, "face": 4}
BATCH, RUNS = 9, 4


def model_of(*names: str) -> Architecture:
    return Architecture(tuple((name, SIZES[name]) for name in names), 6, 3)


def drawn(*shape: int, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, generator=generator, dtype=torch.float64)


def plain_gradients(
    model: Architecture, row: Tensor, x: list[Tensor], weight: Tensor, masks: list[Tensor] | None
) -> Tensor:
    """Autograd through ordinary modules: the gradient of sum(weight * log p), as a row."""
    plain = PlainModel(dict(model.inputs), 6, 3).double()
    views = model.views(row.unsqueeze(0))
    plain.start_from({name: one[0] for name, one in views.items()})
    p = plain.probabilities(x, masks)
    sum((weight[:, h] * p[name].log()).sum() for h, name in enumerate(model.heads)).backward()
    found = torch.zeros_like(row).unsqueeze(0)
    names, sizes = model.views(found), [size for _, size in model.inputs]
    for name, parameter in plain.named_parameters():
        assert parameter.grad is not None
        if name == "fusion.gate.weight":
            for (modality, _), part in zip(
                model.inputs, torch.split(parameter.grad, sizes, dim=1), strict=True
            ):
                names[f"fusion.gate.{modality}.weight"][0] = part
        else:
            names[name][0] = parameter.grad
    return found[0]


@pytest.mark.parametrize("names", [("audio",), ("text", "audio"), ("audio", "text", "face")])
@pytest.mark.parametrize("of_run", [[0, 0, 0, 0], [0, 1, 2, 3], [0, 0, 1, 1]])
@pytest.mark.parametrize("drops", [False, True])
def test_parameters_have_the_gradient_that_autograd_gives(
    names: tuple[str, ...], of_run: Sequence[int], drops: bool
) -> None:
    model = model_of(*names)
    rows = torch.stack([initial_parameters(model, seed=seed) for seed in range(RUNS)])
    shared = [drawn(max(of_run) + 1, BATCH, size, seed=1) for _, size in model.inputs]
    weight = drawn(RUNS, BATCH, len(model.heads), 3, seed=2)
    keep = [(drawn(RUNS, 6, BATCH, seed=3 + h) > 0).double() * 2 for h in range(len(model.heads))]
    used, views = keep if drops else None, model.stacked_views(rows)

    done = forward(model, views, Minibatches(shared, of_run), keep=used)
    logits = done.logits.detach().requires_grad_()
    (gradient,) = torch.autograd.grad((weight * logits.log_softmax(-1)).sum(), logits)
    deltas = backward(model, views, done, gradient, keep=used)
    found = torch.full_like(rows, torch.nan)
    for runs in (range(1), range(1, RUNS)):
        out = model.stacked_views(found[runs.start : runs.stop])
        parameter_gradients(done, deltas, runs, out=out)

    for run in range(RUNS):
        x = [one[of_run[run]] for one in shared]
        masks = [one[run].T for one in keep] if drops else None
        wanted = plain_gradients(model, rows[run], x, weight[run], masks)
        torch.testing.assert_close(found[run], wanted, rtol=0, atol=1e-12)


def test_bfloat16_inputs_make_bfloat16_products_and_nothing_else() -> None:
    model = Architecture((("audio", 64), ("text", 48)), 32, 4)
    rows = torch.stack([initial_parameters(model, seed=seed) for seed in range(2)]).float()
    shared = [drawn(1, BATCH, size).float() for _, size in model.inputs]
    views = model.stacked_views(rows)
    exact = forward(model, views, Minibatches(shared, [0, 0]))
    low = forward(model, views, Minibatches([one.bfloat16() for one in shared], [0, 0]))
    assert low.logits.dtype == torch.float32
    assert not torch.equal(low.logits, exact.logits)
    torch.testing.assert_close(low.logits, exact.logits, rtol=0, atol=0.02)

    found, wanted = torch.empty_like(rows), torch.empty_like(rows)
    gradient = drawn(2, BATCH, 3, 4).float()
    for done, out in ((low, found), (exact, wanted)):
        deltas = backward(model, views, exact, gradient)
        parameter_gradients(done, deltas, range(2), out=model.stacked_views(out))
    assert found.dtype == torch.float32
    assert not torch.equal(found, wanted)
    assert (found - wanted).norm() < 0.01 * wanted.norm()
