"""A shared cache trains as its source does, and holds nothing of what it must not tell."""

from __future__ import annotations

import os
import stat
from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pytest

from amber_cache.store import open_cache, ratings_table, verify_cache, write_cache
from tests.commands import Finished, amber
from tests.exported_runs import with_long_names
from tests.small_caches import small_cache, utterances

FAST = ("--epochs", 2, "--hidden", 4, "--seeds", 2, "--num-folds", 3, "--quiet")


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("shared")
    made = with_long_names(utterances())
    path = small_cache(folder / "data" / "cache.h5", made)
    with open_cache(path) as cache:
        content = replace(cache.content(), ratings=ratings_table(made))
    write_cache(path, content)
    finished = share(folder)
    assert finished.status == 0, finished.err
    return folder


def share(folder: Path, *more: object, out: str = "shared.h5") -> Finished:
    return amber("export", "--cache", "data/cache.h5", "--out", out, *more, cwd=folder)


def all_texts(path: Path) -> set[str]:
    """Every text that HDF5 can give out: names, attributes, datasets."""
    found: set[str] = set()

    def visit(name: str, node: h5py.Group | h5py.Dataset) -> None:
        found.add(name)
        for key, value in node.attrs.items():
            found.update([key, *map(str, np.asarray(value, dtype=object).ravel())])
        if isinstance(node, h5py.Dataset) and node.dtype.kind == "O":
            found.update(one.decode() for one in node[()])

    with h5py.File(path) as file:
        visit("/", file)
        file.visititems(visit)
    return found


def private(path: Path) -> set[str]:
    with open_cache(path) as cache:
        table = cache.utterances
        names = {*table.id, *table.speaker, *table.session, *table.dialogue, *table.text}
        names |= {*table.audio_path, *cache.votes.rater}
        assert cache.ratings is not None
        names |= {*cache.ratings.rater}
    return {name for name in names if name not in ("", "Unknown")} | {str(path), str(path.parent)}


@pytest.mark.parametrize(
    ("votes", "how"),
    [
        ("per-rater", ("--folds", "speaker")),
        ("per-rater", ("--folds", "dialogue")),
        ("per-rater", ("--folds", "random", "--choices", "all")),
        ("per-rater", ("--folds", "official")),
        ("aggregated", ("--folds", "session")),
        ("aggregated", ("--folds", "speaker", "--choices", "all")),
    ],
    ids=lambda one: one if isinstance(one, str) else "-".join(one[1::2]),
)
def test_it_trains_to_the_same_figures(
    place: Path, tmp_path: Path, votes: str, how: tuple[str, ...]
) -> None:
    shared = tmp_path / "shared.h5"
    assert share(place, "--votes", votes, out=str(shared)).status == 0
    fast = (*FAST[:-3], "--quiet") if "official" in how else FAST
    rows = []
    for name, cache in (("source", place / "data" / "cache.h5"), ("shared", shared)):
        out = tmp_path / name
        finished = amber("fit", "--cache", cache, *fast, *how, "--out", out)
        assert finished.status == 0, finished.err
        rows.append((out / "runs.csv").read_bytes())
    assert rows[0] == rows[1]


@pytest.mark.parametrize("votes", ["per-rater", "aggregated"])
def test_nothing_that_is_private_is_in_it(place: Path, tmp_path: Path, votes: str) -> None:
    shared = tmp_path / "shared.h5"
    assert share(place, "--votes", votes, out=str(shared)).status == 0
    data, texts = shared.read_bytes(), all_texts(shared)
    for name in private(place / "data" / "cache.h5"):
        assert name.encode() not in data
        assert not [text for text in texts if name in text]
    salt = (place / "data" / "cache.h5.salt").read_bytes().strip()
    assert salt not in data


def test_it_is_a_sound_cache(place: Path) -> None:
    report = verify_cache(place / "shared.h5")
    assert (report.ok, report.unprotected) == (True, ())


def test_vectors_and_counts_are_the_sources(place: Path, tmp_path: Path) -> None:
    share(place, "--votes", "aggregated", out=str(tmp_path / "shared.h5"))
    with open_cache(place / "data" / "cache.h5") as one, open_cache(tmp_path / "shared.h5") as two:
        for modality in one.modalities:
            first, second = one.embeddings(modality), two.embeddings(modality)
            np.testing.assert_array_equal(first.vectors, second.vectors)
        assert set(two.votes.rater) == {""}
        counts = [
            np.bincount(c.votes.utterance[c.votes.primary] * 9 + c.votes.label[c.votes.primary])
            for c in (one, two)
        ]
        np.testing.assert_array_equal(*counts)
        assert list(two.utterances.style) == list(one.utterances.style)
        assert np.isnan(two.utterances.duration_s).all()


def test_the_same_salt_gives_the_same_names_and_another_others(place: Path, tmp_path: Path) -> None:
    salt = tmp_path / "salt"
    names = []
    for more in ((), (), ("--salt-file", salt)):
        out = tmp_path / f"{len(names)}.h5"
        assert share(place, *more, out=str(out)).status == 0
        with open_cache(out) as cache:
            names.append(list(cache.utterances.id))
    assert names[0] == names[1] != names[2]
    assert names[2] == sorted(names[2])
    assert stat.S_IMODE(os.stat(salt).st_mode) == 0o600


def test_what_is_left_in_is_told_with_the_warning(place: Path, tmp_path: Path) -> None:
    finished = share(place, out=str(tmp_path / "shared.h5"))
    for said in ("What is left in", "speaker: hashed", "style: as it is: improvised, scripted"):
        assert said in finished.err
    assert "not anonymous" in finished.err
    assert "licence still binds" in finished.err


def test_columns_are_kept_as_chosen(place: Path, tmp_path: Path) -> None:
    out = tmp_path / "shared.h5"
    assert share(place, "--keep-columns", "split,duration_s", out=str(out)).status == 0
    with open_cache(out) as cache:
        assert set(cache.utterances.style) == {""}
        assert "test1" in set(cache.utterances.split)


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (("--keep-columns", "text"), "text: is never shared"),
        (("--keep-columns", "speaker"), "can't be kept as it is"),
        (("--votes", "some"), "choose from per-rater, aggregated"),
        (("--salt-file", "data/cache.h5"), "three different files"),
        (("--salt-file", "short"), "the salt has 3 bytes"),
    ],
)
def test_what_can_not_be_shared_is_refused(
    place: Path, more: tuple[str, ...], message: str
) -> None:
    (place / "short").write_text("abc", encoding="utf-8")
    refused = share(place, *more, out="never.h5")
    assert (refused.status, (place / "never.h5").exists()) == (2, False)
    assert message in refused.err


def test_only_a_shared_cache_is_written_over(place: Path, tmp_path: Path) -> None:
    own = small_cache(tmp_path / "own.h5")
    before = own.read_bytes()
    assert share(place, "--overwrite", out=str(own)).status == 2
    assert own.read_bytes() == before
    assert share(place, out="data/cache.h5").status == 2
    out = tmp_path / "shared.h5"
    assert share(place, out=str(out)).status == 0
    assert share(place, out=str(out)).status == 2
    assert share(place, "--overwrite", out=str(out)).status == 0
