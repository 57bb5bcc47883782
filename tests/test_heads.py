"""The stacked model: where its tensors lie, how they start, and what it computes."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
import pytest
import torch
from torch import Tensor

from amber_heads.heads import Architecture, initial_parameters
from amber_heads.stack.network import Minibatches
from amber_heads.stack.network import forward as stacked_forward
from tests.reference_loop import PlainModel

SIZES = {"audio": 7, "text": 5, "face": 4}


def architecture(*names: str, hidden: int = 6, num_classes: int = 4) -> Architecture:
    return Architecture(tuple((name, SIZES[name]) for name in names), hidden, num_classes)


def stacked_rows(model: Architecture, *, seeds: int = 3) -> Tensor:
    return torch.stack([initial_parameters(model, seed=seed) for seed in range(seeds)])


def inputs_of(model: Architecture, *, runs: int = 3, batch: int = 9) -> list[Tensor]:
    generator = torch.Generator().manual_seed(1)
    return [
        torch.randn(runs, batch, size, generator=generator, dtype=torch.float64)
        for _, size in model.inputs
    ]


def forward(
    model: Architecture,
    rows: Tensor,
    inputs: list[Tensor],
    *,
    keep: list[Tensor] | None = None,
) -> Tensor:
    """Log-probabilities, (run, batch, head, class)."""
    views = model.stacked_views(rows)
    minibatches = Minibatches(inputs, range(len(rows)))
    return stacked_forward(model, views, minibatches, keep=keep).logits.log_softmax(-1)


def own_tensors(model: Architecture, head: str, *, seed: int) -> dict[str, Tensor]:
    views = model.views(initial_parameters(model, seed=seed).unsqueeze(0))
    return {name: one[0] for name, one in views.items() if name.split(".")[0] == head}


def assert_equal_tensors(found: Mapping[str, Tensor], wanted: Mapping[str, Tensor]) -> None:
    assert list(found) == list(wanted)
    for name, one in wanted.items():
        assert torch.equal(found[name], one), name


def test_there_is_one_head_a_modality_and_a_fusion_head_for_several() -> None:
    assert architecture("audio").heads == ("audio",)
    assert architecture("text", "audio").heads == ("text", "audio", "fusion")
    assert architecture("face", "text", "audio").heads == ("face", "text", "audio", "fusion")


def test_spans_cover_a_row_once_and_a_head_at_a_time() -> None:
    model = architecture("audio", "text", "face")
    ends = [0, *(end for _, end in model.spans.values())]
    assert [start for start, _ in model.spans.values()] == ends[:-1]
    assert ends[-1] == model.num_parameters
    owned = sorted(span for head in model.heads for span in model.head_spans(head))
    assert [start for start, _ in owned] == [0, *(end for _, end in owned[:-1])]
    assert owned[-1][1] == model.num_parameters
    for name, (start, end) in model.spans.items():
        spans = model.head_spans(name.split(".")[0])
        assert any(first <= start and end <= last for first, last in spans)


def test_stacked_views_are_the_same_parameters() -> None:
    model = architecture("audio", "text", "face")
    rows = stacked_rows(model)
    named, stacked = model.views(rows), model.stacked_views(rows)
    for m, name in enumerate(SIZES):
        weights = [
            named[f"{name}.hidden.weight"],
            named[f"fusion.project.{name}.weight"],
            named[f"fusion.gate.{name}.weight"],
        ]
        assert torch.equal(stacked.first[m], torch.cat(weights, dim=1))
    assert torch.equal(stacked.output[:, 3], named["fusion.output.weight"])
    assert torch.equal(stacked.first_bias[0][:, 12:], named["fusion.gate.bias"])
    stacked.output_bias.zero_()
    assert not named["text.output.bias"].any()


def test_views_share_the_rows_memory() -> None:
    model = architecture("audio", "text")
    rows = stacked_rows(model)
    for view in model.views(rows).values():
        view.zero_()
    assert not rows.any()


def test_a_head_has_the_parameters_of_the_papers_description() -> None:
    shapes = architecture("audio", "text", hidden=6, num_classes=4).shapes
    assert shapes == {
        "audio.hidden.weight": (6, 7), "audio.hidden.bias": (6,),
        "audio.output.weight": (4, 6), "audio.output.bias": (4,),
        "text.hidden.weight": (6, 5), "text.hidden.bias": (6,),
        "text.output.weight": (4, 6), "text.output.bias": (4,),
        "fusion.project.audio.weight": (6, 7), "fusion.project.audio.bias": (6,),
        "fusion.project.text.weight": (6, 5), "fusion.project.text.bias": (6,),
        "fusion.gate.audio.weight": (6, 7), "fusion.gate.text.weight": (6, 5),
        "fusion.gate.bias": (6,),
        "fusion.hidden.weight": (6, 6), "fusion.hidden.bias": (6,),
        "fusion.output.weight": (4, 6), "fusion.output.bias": (4,),
    }  # fmt: skip


def test_initial_values_are_uniform_within_one_over_the_root_of_the_fan_in() -> None:
    model = architecture("audio", "text", "face", hidden=256)
    tensors = model.views(initial_parameters(model, seed=0).unsqueeze(0))
    for name, tensor in tensors.items():
        read = "fusion.gate" if "gate" in name else name.rpartition(".")[0]
        layers = [one for n, one in tensors.items() if n.startswith(read) and n.endswith("weight")]
        fan_in = sum(one.shape[2] for one in layers)
        values = tensor.flatten() * math.sqrt(fan_in)
        assert values.abs().max() <= 1
        if len(values) >= 1000:
            assert values.abs().max() > 0.99
            # A uniform variable on [-1, 1] has mean 0 and variance 1/3.
            assert abs(values.mean()) < 4 * math.sqrt(1 / 3 / len(values))
            assert values.var() == pytest.approx(1 / 3, rel=0.1)


def test_the_bound_is_that_of_torchs_own_linear_layer() -> None:
    torch.manual_seed(0)
    layer = torch.nn.Linear(7, 4096)
    drawn = initial_parameters(architecture("audio", hidden=4096), seed=0)[: 7 * 4096]
    assert drawn.abs().max().item() == pytest.approx(layer.weight.abs().max().item(), rel=1e-3)
    assert drawn.std().item() == pytest.approx(layer.weight.std().item(), rel=2e-2)


@pytest.mark.parametrize("others", [("text",), ("text", "face"), ("face",)])
def test_a_modality_head_starts_the_same_whatever_others_there_are(others: tuple[str, ...]) -> None:
    alone = own_tensors(architecture("audio"), "audio", seed=3)
    for names in (("audio", *others), (*others, "audio")):
        assert_equal_tensors(own_tensors(architecture(*names), "audio", seed=3), alone)


def test_heads_and_seeds_start_apart() -> None:
    sizes = (("a", 5), ("b", 5))
    model = Architecture(sizes, 6, 4)
    starts = [
        own_tensors(model, head, seed=seed)[f"{head}.hidden.weight"].flatten()
        for head in ("a", "b")
        for seed in (0, 1)
    ]
    assert len({tuple(one.tolist()) for one in starts}) == 4


def test_the_same_seed_gives_the_same_row_and_the_global_generators_stay_untouched() -> None:
    model = architecture("audio", "text")
    torch.manual_seed(5)
    before = torch.get_rng_state()
    first = initial_parameters(model, seed=8)
    np.random.default_rng(0).random()
    assert torch.equal(first, initial_parameters(model, seed=8))
    assert torch.equal(before, torch.get_rng_state())


@pytest.mark.parametrize("names", [("audio",), ("audio", "text"), ("text", "face", "audio")])
def test_each_run_computes_what_a_torch_module_with_its_weights_does(
    names: tuple[str, ...],
) -> None:
    model = architecture(*names)
    rows, inputs = stacked_rows(model), inputs_of(model)
    found = forward(model, rows, inputs)
    assert found.shape == (3, 9, len(model.heads), 4)
    torch.testing.assert_close(found.exp().sum(-1), torch.ones(3, 9, len(model.heads)).double())
    for run in range(3):
        plain = PlainModel({name: SIZES[name] for name in names}, 6, 4).double()
        plain.start_from({name: one[run] for name, one in model.views(rows).items()})
        wanted = plain.probabilities([x[run] for x in inputs])
        for number, head in enumerate(model.heads):
            torch.testing.assert_close(
                found[run, :, number].exp(), wanted[head], rtol=0, atol=1e-12
            )


def gated(logits: list[float], projected: list[float]) -> float:
    """The hidden value that the fusion head reads, for a gate that is its biases alone."""
    names = list(SIZES)[: len(projected)]
    model = Architecture(tuple((name, 1) for name in names), 1, 2)
    rows = torch.zeros(1, model.num_parameters, dtype=torch.float64)
    tensors = model.views(rows)
    for name, value in zip(names, projected, strict=True):
        tensors[f"fusion.project.{name}.bias"][:] = value
    tensors["fusion.gate.bias"][:] = torch.tensor(logits, dtype=torch.float64)
    tensors["fusion.hidden.weight"][:] = 1.0
    tensors["fusion.output.weight"][:] = torch.tensor([[1.0], [0.0]])
    log_p = forward(model, rows, [torch.zeros(1, 1, 1, dtype=torch.float64)] * len(names))
    return float(log_p[0, 0, -1, 0] - log_p[0, 0, -1, 1])


def test_the_gate_of_two_modalities_is_a_sigmoid_on_the_first() -> None:
    g = 1 / (1 + math.exp(-0.8))
    assert gated([0.8], [3.0, 5.0]) == pytest.approx(g * 3 + (1 - g) * 5, abs=1e-12)


def test_the_gate_of_three_modalities_is_a_softmax_with_a_fixed_zero_for_the_last() -> None:
    odds = [math.exp(0.8), math.exp(-1.1), 1.0]
    wanted = sum(o * p for o, p in zip(odds, [3.0, 5.0, 7.0], strict=True)) / sum(odds)
    assert gated([0.8, -1.1], [3.0, 5.0, 7.0]) == pytest.approx(wanted, abs=1e-12)


def test_a_closed_gate_leaves_one_modality() -> None:
    assert gated([1000.0], [3.0, 5.0]) == pytest.approx(3, abs=1e-12)
    assert gated([-1000.0], [3.0, 5.0]) == pytest.approx(5, abs=1e-12)
    assert gated([-1000.0, 1000.0], [3.0, 5.0, 7.0]) == pytest.approx(5, abs=1e-12)


def test_no_head_looks_at_what_is_not_its_own() -> None:
    model = architecture("audio", "text", "face")
    rows, inputs = stacked_rows(model), inputs_of(model)
    before = forward(model, rows, inputs)
    inputs[1] = inputs[1] + 1
    after = forward(model, rows, inputs)
    assert torch.equal(before[:, :, [0, 2]], after[:, :, [0, 2]])
    assert (before[:, :, [1, 3]] != after[:, :, [1, 3]]).any(-1).all()


def test_keep_scales_the_hidden_layer_of_each_head() -> None:
    model = architecture("audio", "text")
    rows, inputs = stacked_rows(model), inputs_of(model)
    keep = [torch.full((3, 6, 9), value, dtype=torch.float64) for value in (1.0, 0.0, 1.0)]
    free, dropped = forward(model, rows, inputs), forward(model, rows, inputs, keep=keep)
    assert torch.equal(free[:, :, [0, 2]], dropped[:, :, [0, 2]])
    only_bias = torch.log_softmax(model.views(rows)["text.output.bias"], dim=-1)
    torch.testing.assert_close(dropped[:, :, 1], only_bias[:, None].expand(3, 9, 4))
