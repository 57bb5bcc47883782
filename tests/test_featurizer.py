"""Learned sums of layers: their arithmetic, and runs with them against the plain loop."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor

from amber_heads.data import Dataset
from amber_heads.engine import Stack, train_stack
from amber_heads.folds import Fold
from amber_heads.grid import stack_bytes, train_table
from amber_heads.heads import Architecture, initial_parameters
from amber_heads.learned_layers import layer_weights
from amber_heads.stack.featurizer import layer_sums
from amber_heads.stack.material import Material
from amber_heads.stack.network import Minibatches, backward, forward, parameter_gradients
from amber_heads.stack.runs import Run, RunResult
from tests.reference_data import settings, small_dataset, unlike_folds
from tests.reference_loop import PlainModel, plain_twin, stack_names

FOLDS = unlike_folds()
SIZES = {"audio": 7, "text": 5, "face": 4}
RUNS = (
    Run(settings("amber2", "fusion"), 0, 0),
    Run(settings("cb-ce", weight_decay=0.3), 1, 1),
    Run(settings("amber2", "audio", kappa=8.0, expert_loss=1.0), 2, 0),
    Run(settings("js", dropout=0.4), 2, 2),
    Run(settings("amber2", "fusion", attach_weights=True), 0, 0),
)
NAMES = [f"{r.settings.loss}-{r.settings.student}-{r.fold}-{r.seed}" for r in RUNS]
every_run = pytest.mark.parametrize("number", range(len(RUNS)), ids=NAMES)


def layered(sizes: dict[str, int], layers: dict[str, int]) -> Dataset:
    """Inputs whose layers are on unlike scales and tell unlike things."""
    wide = small_dataset({name: size * layers.get(name, 1) for name, size in sizes.items()})
    names = {m: tuple(f"e@layer{n}" for n in range(number)) for m, number in layers.items()}
    return replace(wide, layers=names)


BOTH = layered({"audio": 7, "text": 5}, {"audio": 3, "text": 2})
ONE = layered({"audio": 7, "text": 5}, {"audio": 4})


def short(runs: Sequence[Run]) -> list[Run]:
    """The same for a few epochs."""
    return [replace(run, settings=replace(run.settings, epochs=3)) for run in runs]


def drawn(*shape: int, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, generator=generator, dtype=torch.float64)


def assert_same_bytes(found: RunResult, wanted: RunResult) -> None:
    assert found.run == wanted.run
    for name in ("training_loss", "validation_js", "best_epoch", "parameters", "validation"):
        assert getattr(found, name).tobytes() == getattr(wanted, name).tobytes(), name
    assert found.tests["test"].tobytes() == wanted.tests["test"].tobytes()


def test_a_sum_is_that_of_the_layers_by_their_softmax_weights() -> None:
    scores, layers = drawn(3, 2, 4) / 30, drawn(2, 4, 5, 6, seed=1)
    sums = layer_sums(scores, layers, [0, 0, 1], readers=(slice(0, 1), slice(1, None)))
    torch.testing.assert_close(sums.weights.sum(-1), torch.ones(3, 2).double())
    for run, shared in enumerate([0, 0, 1]):
        for reader in range(2):
            odds = (30 * scores[run, reader]).exp()
            wanted = sum(o * x for o, x in zip(odds / odds.sum(), layers[shared], strict=True))
            torch.testing.assert_close(sums.vectors[run, reader], wanted)


@pytest.mark.parametrize(
    "layers", [{"audio": 3}, {"audio": 3, "text": 2}, {"text": 4}, {"face": 2, "audio": 13}]
)
@pytest.mark.parametrize("of_run", [[0, 0, 0, 0], [0, 1, 2, 3], [0, 0, 1, 1]])
def test_parameters_have_the_gradient_that_autograd_gives(
    layers: dict[str, int], of_run: Sequence[int]
) -> None:
    names = ["audio"] if layers == {"audio": 3} else [*SIZES]
    inputs = tuple((name, SIZES[name]) for name in names)
    model = Architecture(inputs, 6, 3, tuple(layers.get(name, 1) for name in names))
    rows = torch.stack([initial_parameters(model, seed=seed) for seed in range(4)])
    for number, views in enumerate(v for v in model.stacked_views(rows).layers if v is not None):
        views += drawn(*views.shape, seed=5 + number) / 30
    shapes = [(layers[m], 9, SIZES[m]) if m in layers else (9, SIZES[m]) for m in names]
    shared = [drawn(max(of_run) + 1, *shape, seed=1) for shape in shapes]
    weight, keep = (
        drawn(4, 9, len(model.heads), 3, seed=2),
        [(drawn(4, 6, 9, seed=30 + head) > 0).double() * 2 for head in range(len(model.heads))],
    )

    views = model.stacked_views(rows)
    done = forward(model, views, Minibatches(shared, of_run), keep=keep)
    logits = done.logits.detach().requires_grad_()
    (gradient,) = torch.autograd.grad((weight * logits.log_softmax(-1)).sum(), logits)
    deltas = backward(model, views, done, gradient, keep=keep)
    found = torch.full_like(rows, torch.nan)
    for runs in (range(1), range(1, 4)):
        out = model.stacked_views(found[runs.start : runs.stop])
        parameter_gradients(done, deltas, runs, out=out)

    for run in range(4):
        plain = PlainModel(dict(inputs), 6, 3, layers).double()
        named = model.views(rows[run].unsqueeze(0))
        plain.start_from({name: one[0] for name, one in named.items()})
        x = [one[of_run[run]] for one in shared]
        x = [one.transpose(0, 1) if one.dim() == 3 else one for one in x]
        p = plain.probabilities(x, [one[run].T for one in keep])
        sum((weight[run, :, h] * p[n].log()).sum() for h, n in enumerate(model.heads)).backward()
        wanted = stack_names({n: one.grad for n, one in plain.named_parameters()})  # type: ignore[misc]
        own = model.views(found[run].unsqueeze(0))
        assert wanted.keys() == own.keys()
        for name, one in wanted.items():
            torch.testing.assert_close(own[name][0], one, rtol=0, atol=1e-12, msg=name)


def test_layers_of_one_modality_change_no_other_shape_and_no_first_value() -> None:
    inputs = (("audio", 7), ("text", 5))
    plain, summed = Architecture(inputs, 6, 4), Architecture(inputs, 6, 4, (3, 1))
    assert Architecture(inputs, 6, 4, (1, 1)).shapes == plain.shapes
    assert {n: s for n, s in summed.shapes.items() if n not in plain.shapes} == {
        "audio.layers.scores": (3,),
        "fusion.layers.audio.scores": (3,),
    }
    start = initial_parameters(summed, seed=4)
    assert torch.equal(start[: plain.num_parameters], initial_parameters(plain, seed=4))
    assert not start[plain.num_parameters :].any()
    owned = sorted(span for head in summed.heads for span in summed.head_spans(head))
    assert [start for start, _ in owned] == [0, *(end for _, end in owned[:-1])]
    assert owned[-1][1] == summed.num_parameters


@pytest.mark.parametrize("dataset", [BOTH, ONE], ids=["both", "one"])
@every_run
def test_in_float64_a_run_in_a_stack_is_that_of_the_plain_loop(
    dataset: Dataset, number: int, stacks: dict[int, tuple[Stack, list[RunResult]]]
) -> None:
    stack, results = stacks[id(dataset)]
    plain = plain_twin(RUNS[number], dataset, stack.material)
    assert len(plain.losses) >= 50
    views = stack.architecture.views(stack.rows[stack.places.index(number)].unsqueeze(0))
    wanted = stack_names(plain.states[-1])
    assert wanted.keys() == views.keys()
    for name, one in wanted.items():
        torch.testing.assert_close(views[name][0], one, rtol=0, atol=1e-8, msg=name)
    assert wanted["fusion.layers.audio.scores"].abs().max() > 1e-2  # they have learned something
    result = results[number]
    np.testing.assert_allclose(result.training_loss, plain.training_loss, rtol=0, atol=1e-8)
    np.testing.assert_allclose(result.validation_js, plain.validation_js, rtol=0, atol=1e-8)
    best = plain.best_epochs(RUNS[number].settings.student)
    tested = plain.predict(FOLDS[RUNS[number].fold].tests["test"], best)
    np.testing.assert_allclose(result.tests["test"], tested, rtol=0, atol=1e-7)


@pytest.fixture(scope="module")
def stacks() -> dict[int, tuple[Stack, list[RunResult]]]:
    found = {}
    for dataset in (BOTH, ONE):
        stack = Stack(RUNS, Material(dataset, FOLDS, dtype=torch.float64))
        for epoch in range(1, stack.epochs + 1):
            stack.train_epoch(epoch)
            stack.validate(epoch)
        found[id(dataset)] = stack, stack.results()
    return found


def test_a_run_has_the_same_bytes_whatever_shares_its_stack() -> None:
    material, runs = Material(BOTH, FOLDS), short(RUNS)
    whole = train_stack(runs, material)
    for number, run in enumerate(runs):
        assert_same_bytes(train_stack([run], material)[0], whole[number])
    order = [3, 0, 1, 4, 2]
    for place, one in enumerate(train_stack([runs[number] for number in order], material)):
        assert_same_bytes(one, whole[order[place]])
    for found, wanted in zip(train_table(runs, material, size=2), whole, strict=True):
        assert_same_bytes(found, wanted)


def test_what_another_process_puts_together_trains_to_the_same_bytes() -> None:
    material = Material(BOTH, FOLDS)
    again, runs = Material.from_parts(material.parts), short(RUNS[:1])
    assert_same_bytes(train_stack(runs, again)[0], train_stack(runs, material)[0])


def test_a_run_that_diverges_changes_no_byte_of_its_neighbours() -> None:
    material, runs = Material(BOTH, FOLDS), short(RUNS[:2])
    wild = Run(settings("cb-ce", lr=1e30, epochs=3), 1, 4)
    *others, last = train_stack([*runs, wild], material)
    assert last.diverged
    for found, wanted in zip(others, train_stack(runs, material), strict=True):
        assert_same_bytes(found, wanted)


def test_a_modality_head_learns_the_same_weights_whatever_others_there_are() -> None:
    alone = layered({"audio": 7}, {"audio": 3})
    np.testing.assert_array_equal(alone.inputs["audio"], BOTH.inputs["audio"])
    run = Run(settings("cb-ce", epochs=4), 0, 3)
    found, weights = [], []
    for dataset in (alone, BOTH):
        material = Material(dataset, FOLDS, dtype=torch.float64)
        (result,) = train_stack([run], material)
        found.append(result)
        row = result.parameters
        weights.append(layer_weights(material.architecture(12), "audio", row)["audio"])
    np.testing.assert_allclose(weights[0], weights[1], rtol=0, atol=1e-7)
    np.testing.assert_allclose(
        found[0].validation_js[:, 0], found[1].validation_js[:, 0], atol=1e-10
    )


def test_the_sum_of_a_layer_with_itself_is_that_layer() -> None:
    plain = small_dataset({"audio": 7, "text": 5})
    audio = plain.inputs["audio"]
    twice = replace(
        plain,
        inputs={**plain.inputs, "audio": np.concatenate([audio, 10 * audio, audio + 5], axis=1)},
        layers={"audio": ("e@layer0", "e@layer1", "e@layer2")},
    )
    for run in short(RUNS[:2]):
        (found,), (wanted,) = (
            train_stack([run], Material(one, FOLDS, dtype=torch.float64)) for one in (twice, plain)
        )
        # Layers are standardised each by itself, so that the three are one; float32 holds them.
        np.testing.assert_allclose(found.validation_js, wanted.validation_js, rtol=0, atol=1e-5)


def test_the_layer_that_tells_something_comes_to_weigh_most() -> None:
    plain = small_dataset({"audio": 7})
    noise = np.random.default_rng(0).normal(size=(3, *plain.inputs["audio"].shape))
    layers = [*noise[:2].astype(np.float32), plain.inputs["audio"], noise[2].astype(np.float32)]
    told = replace(
        plain,
        inputs={"audio": np.concatenate(layers, axis=1)},
        layers={"audio": tuple(f"e@layer{n}" for n in range(4))},
    )
    material = Material(told, FOLDS)
    for result in train_stack([Run(settings("js"), fold, 0) for fold in range(3)], material):
        weights = layer_weights(material.architecture(12), "audio", result.parameters)["audio"]
        assert weights.sum() == pytest.approx(1)
        assert weights[2] > 0.4


def test_bfloat16_layers_give_about_the_same_run() -> None:
    exact = Material(BOTH, FOLDS)
    low = Material(BOTH, FOLDS, product_dtype=torch.bfloat16)
    for found, wanted in zip(
        train_stack(short(RUNS), low), train_stack(short(RUNS), exact), strict=True
    ):
        assert found.parameters.dtype == np.float32
        assert not np.array_equal(found.validation_js, wanted.validation_js)
        np.testing.assert_allclose(found.validation_js, wanted.validation_js, rtol=0, atol=0.05)


def test_each_layer_is_standardised_by_itself_and_stands_before_the_batch() -> None:
    material = Material(BOTH, FOLDS, dtype=torch.float64)
    index = torch.from_numpy(FOLDS[1].train).unsqueeze(0)
    audio, text = material.batch(index, torch.tensor([1]))
    assert audio.shape == (1, 3, len(FOLDS[1].train), 7)
    assert text.shape == (1, 2, len(FOLDS[1].train), 5)
    torch.testing.assert_close(audio.mean(2), torch.zeros(1, 3, 7).double(), rtol=0, atol=1e-9)
    known = BOTH.inputs["audio"][FOLDS[1].train].astype(np.float64)
    wanted = (known - known.mean(axis=0)) / known.std(axis=0)
    np.testing.assert_allclose(audio[0, 2], wanted[:, 14:], rtol=0, atol=1e-9)
    assert material.architecture(12).inputs == (("audio", 7), ("text", 5))


def test_the_plan_of_memory_counts_the_layers() -> None:
    plain = Material(small_dataset({"audio": 7, "text": 5}), FOLDS)
    one, more = settings("js"), Material(layered(SIZES, {"audio": 13}), FOLDS)
    fewer = Material(layered(SIZES, {"audio": 2}), FOLDS)
    assert stack_bytes(plain, one) < stack_bytes(fewer, one) < stack_bytes(more, one)


def test_the_folds_do_not_see_each_others_layers() -> None:
    fold: Fold = FOLDS[0]
    inputs = {name: vectors.copy() for name, vectors in BOTH.inputs.items()}
    for vectors in inputs.values():
        vectors[fold.tests["test"]] = 1e6
    changed = Material(replace(BOTH, inputs=inputs), FOLDS)
    run = [Run(settings("js", epochs=2), 0, 0)]
    (found,), (wanted,) = train_stack(run, changed), train_stack(run, Material(BOTH, FOLDS))
    assert found.validation.tobytes() == wanted.validation.tobytes()
