"""Draw the README's picture: the results table of a run directory, as `amber fit` prints it.

Usage: python tests/benchmarks/draw_readme.py RUN .github/fit.svg
"""

from __future__ import annotations

import io
import re
import sys
from pathlib import Path

from rich.console import Console

from amber_heads.results import read_json
from amber_heads.tables import tables_of, to_rich


def main(run: Path, target: Path) -> None:
    """Print the run's first table into an SVG file that asks for nothing from elsewhere."""
    console = Console(width=138, record=True, file=io.StringIO(), highlight=False)
    for table in tables_of(read_json(run / "summary.json")).values():
        console.print(to_rich(table))
    drawn = console.export_svg(title="amber fit --kappa 4")
    drawn = re.sub(r"@font-face \{.*?\}", "", drawn, flags=re.DOTALL)
    target.write_text(drawn.replace("Fira Code", "monospace"), encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
