"""The demo corpus: synthetic speech and simulated raters, a manifest that ships with amber.

It is looked for under data/demo of the working directory, then of the checkout, then in the
installed package.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from amber_cache.corpora.manifest import read_manifest
from amber_cache.errors import CorpusError
from amber_cache.records import Corpus

_PLACES = (
    Path("data/demo"),
    Path(__file__).parents[2] / "data" / "demo",
    Path(__file__).parent / "demo_data",
)


_OTHER = "it stands in data/demo of a checkout of amber; name another corpus with --corpus"


def is_demo(place: Path) -> bool:
    """Whether a folder, or its manifest, is where the demo corpus ships."""
    folder = place.parent if place.name == "manifest.csv" else place
    return (folder / "manifest.csv").is_file() and any(
        one.is_dir() and one.samefile(folder) for one in _PLACES
    )


def read_demo(root: Path | None = None, *, votes_file: Path | None = None) -> Corpus:
    """Read the demo corpus from `root`, or from where it ships.

    Raises:
        CorpusError: It is not there, or `votes_file` is given: the demo brings its own votes.
    """
    if votes_file is not None:
        raise CorpusError(
            "--votes-file: the demo corpus brings its own votes; use --corpus manifest"
        )
    for place in _PLACES if root is None else (root,):
        if (place / "manifest.csv").is_file():
            corpus = read_manifest(place / "manifest.csv")
            return replace(
                corpus,
                name="demo",
                protocol="demo-4",
                encoders=(("audio", "mel"), ("text", "hash")),
            )
    if root is not None and root.is_file():
        raise CorpusError(f"{root}: is a file, not the demo corpus; give --corpus manifest with it")
    where = root if root is not None else Path("data/demo")
    raise CorpusError(
        f"{where}: the demo corpus is not there (no manifest.csv); "
        + ("start in a checkout of amber, or give --corpus and --root" if root is None else _OTHER)
    )
