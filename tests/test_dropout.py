"""Dropout draws from (seed, fold, epoch, head), so that a run draws in a stack as it does alone."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from amber_heads.heads import Architecture
from amber_heads.stack.dropout import Dropout
from amber_heads.stack.runs import Run
from tests.reference_data import settings

MODEL = Architecture((("audio", 7), ("text", 5)), 12, 4)
LIKE = torch.zeros(0, dtype=torch.float64)


def run(dropout: float, fold: int = 0, seed: int = 0, **changes: object) -> Run:
    return Run(settings("js", dropout=dropout, **changes), fold, seed)


def draws(
    runs: list[Run], *, epoch: int = 1, batch: int = 16, steps: int = 2
) -> list[list[Tensor]]:
    dropout = Dropout(runs, MODEL, epoch=epoch)
    drawn = [dropout.draw(range(len(runs)), batch, like=LIKE) for _ in range(steps)]
    assert all(one is not None for one in drawn)
    return [one for one in drawn if one is not None]


def test_nothing_is_drawn_where_no_run_drops_anything() -> None:
    assert Dropout([run(0.0), run(0.0, 1)], MODEL, epoch=1).draw(range(2), 16, like=LIKE) is None


def test_multipliers_are_zero_or_what_keeps_the_mean() -> None:
    (heads,) = draws([run(0.2, hidden=12, batch_size=16)], steps=1)
    assert [one.shape for one in heads] == [(1, 12, 16)] * 3
    for one in heads:
        assert set(one.unique().tolist()) == {0.0, 1.25}


@pytest.mark.parametrize("p", [0.1, 0.5, 0.9])
def test_as_many_are_dropped_as_was_asked_for(p: float) -> None:
    wide = Architecture((("audio", 7),), 400, 4)
    dropout = Dropout([run(p, hidden=400, batch_size=100)], wide, epoch=1)
    dropped = dropout.draw(range(1), 100, like=LIKE)
    assert dropped is not None
    assert (dropped[0] == 0).double().mean().item() == pytest.approx(p, abs=0.01)
    assert dropped[0].mean().item() == pytest.approx(1, abs=0.05)


def test_a_run_draws_in_a_stack_as_it_does_alone_however_short_its_batch_is() -> None:
    stack = [run(0.5, 1, 4), run(0.0), run(0.3, 2, 4), run(0.3, 1, 4)]
    together = draws(stack, batch=16)
    for place, one in enumerate(stack):
        if not one.settings.dropout:
            assert all((head[place] == 1).all() for step in together for head in step)
            continue
        alone = draws([one], batch=5)
        for found, wanted in zip(together, alone, strict=True):
            for head, own in zip(found, wanted, strict=True):
                assert torch.equal(head[place, :, :5], own[0])


def test_heads_steps_epochs_folds_and_seeds_draw_apart() -> None:
    seen = [
        tuple(head[0].flatten().tolist())
        for fold, seed, epoch in [(0, 0, 1), (1, 0, 1), (0, 1, 1), (0, 0, 2)]
        for step in draws([run(0.5, fold, seed)], epoch=epoch)
        for head in step
    ]
    assert len(set(seen)) == len(seen) == 24


def test_runs_that_rest_draw_nothing() -> None:
    runs = [run(0.5, 0), run(0.5, 1)]
    dropout, steady = (Dropout(runs, MODEL, epoch=1) for _ in range(2))
    dropout.draw(range(1, 2), 16, like=LIKE)
    found, wanted = dropout.draw(range(1), 16, like=LIKE), steady.draw(range(1), 16, like=LIKE)
    assert found is not None
    assert wanted is not None
    assert torch.equal(found[0], wanted[0])


def test_a_heads_draws_do_not_hang_on_the_other_heads() -> None:
    text = Architecture((("text", 5),), 12, 4)
    alone = Dropout([run(0.5)], text, epoch=3).draw(range(1), 16, like=LIKE)
    both = draws([run(0.5)], epoch=3, steps=1)[0]
    assert alone is not None
    assert torch.equal(alone[0], both[1])


def test_the_global_generator_stays_untouched() -> None:
    torch.manual_seed(1)
    before = torch.get_rng_state()
    draws([run(0.5)])
    assert torch.equal(before, torch.get_rng_state())
