"""What summed layers came to weigh, as a table."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from amber_heads.counting import counted
from amber_heads.tabular.rendering import Table
from amber_heads.tabular.table_words import figure, heading_mark


def layers_table(summary: Mapping[str, Any]) -> Table:
    """One row a summed layer, with its weight in each head that reads it."""
    rows: list[tuple[str, ...]] = []
    breaks, shares = set(), []
    for one in summary["layer_weights"]:
        breaks.add(len(rows))
        shares.append(f"1/{len(one['layers'])} = {1 / len(one['layers']):.3f}")
        weights = [
            [figure(*pair) for pair in zip(found["mean"], found["std"], strict=True)]
            for found in one["heads"].values()
        ]
        columns = zip(one["layers"], *weights, strict=True)
        rows += [(f"{one['modality']}: {name}", *cells) for name, *cells in columns]
    own, *fusion = summary["layer_weights"][0]["heads"]
    runs = max(found["runs"] for one in summary["layer_weights"] for found in one["heads"].values())
    note = f"Softmax weights, mean ± std over {counted(runs, 'run')} (folds and seeds)"
    return Table(
        title=f"{heading_mark(summary['corpus'])}Layers' weights, as learned",
        columns=("layer", "own head" if fusion else f"{own} head", *(f"{h} head" for h in fusion)),
        rows=tuple(rows),
        notes=(f"{note}; they start at {', '.join(dict.fromkeys(shares))}.",),
        breaks=frozenset(breaks - {0}),
    )
