"""`amber extract --shard` and `amber merge`: together they are one run, or they are refused."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import h5py
import pytest
import torch

from amber_cache.jobs import encoding
from amber_cache.store import verify_cache
from tests.commands import Finished, amber
from tests.made_corpora import (
    assert_refused,
    extract,
    files_under,
    make_corpus,
    read_cache,
    reasons,
    vectors,
    write_table,
)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A corpus with one broken clip, its three shards, and the cache of a run over everything."""
    folder = tmp_path_factory.mktemp("merge")
    manifest = make_corpus(folder, num=8)
    (folder / "audio/u5.wav").write_bytes(b"")
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(encoding.AUDIO_BUDGET_MS, "cpu", 1_200)
        patch.setitem(encoding.TEXT_BUDGET, "cpu", 30)
        assert extract(manifest, "--cache", folder / "one.h5").status == 1
        for place in range(3):
            assert shard(manifest, f"{place}/3").status == 1
    return manifest


@pytest.fixture
def manifest(made: Path, tmp_path: Path) -> Path:
    shutil.copytree(made.parent, tmp_path / "corpus")
    return tmp_path / "corpus" / "manifest.csv"


def shard(manifest: Path, which: str, *options: object) -> Finished:
    return extract(manifest, "--shard", which, "--cache", part(manifest, which), *options)


def part(manifest: Path, which: str) -> Path:
    return manifest.parent / f"part{which.replace('/', '-of-')}.h5"


def parts(manifest: Path, number: int = 3) -> list[Path]:
    return [part(manifest, f"{place}/{number}") for place in range(number)]


def content(path: Path) -> dict[str, bytes]:
    """Every dataset's dtype and bytes."""
    found: dict[str, bytes] = {}

    def take(name: str, node: object) -> None:
        if isinstance(node, h5py.Dataset):
            values = node[()]
            data = repr(values.tolist()).encode() if values.dtype == object else values.tobytes()
            found[name] = str(values.dtype).encode() + data

    with h5py.File(path) as file:
        file.visititems(take)
    return found


def test_shards_put_together_are_the_run_over_everything(manifest: Path) -> None:
    out = manifest.parent / "out.h5"
    finished = amber("merge", out, *reversed(parts(manifest)))
    assert finished.status == 1
    assert finished.out == f"{out}: written: 8 utterances of 3 shards, 1 failed\n"
    assert finished.err == "failed: u5 (audio): u5.wav is empty (0 bytes)\n"
    assert content(out) == content(manifest.parent / "one.h5")
    assert verify_cache(out).ok
    assert list(manifest.parent.glob("*.job")) == []


def test_each_shard_holds_its_own_rows_and_no_other(manifest: Path) -> None:
    for entry, num in (("audio/mel", 7), ("text/hash", 8)):
        rows = [set(vectors(read_cache(one / "any"), entry)) for one in _folders(manifest)]
        assert sum(map(len, rows)) == len(set.union(*rows)) == num
        assert all(rows)
    assert [reasons(read_cache(one / "any")) for one in _folders(manifest)] == [
        {"u5": "u5.wav is empty (0 bytes)"}
    ] * 3


def _folders(manifest: Path) -> list[Path]:
    """A folder for each part, where it is called cache.h5."""
    folders = []
    for number, path in enumerate(parts(manifest)):
        folder = manifest.parent / f"folder{number}"
        folder.mkdir(exist_ok=True)
        shutil.copy(path, folder / "cache.h5")
        folders.append(folder)
    return folders


def test_a_shard_without_a_cache_of_its_own_gets_one(manifest: Path) -> None:
    (manifest.parent / "data").mkdir()
    corpus = ("--corpus", "manifest", "--root", manifest, "--quiet")
    builtin = ("--audio-encoder", "mel", "--text-encoder", "hash")
    finished = amber("extract", *corpus, *builtin, "--shard", "1/2", cwd=manifest.parent)
    assert finished.status == 1
    assert [one.name for one in (manifest.parent / "data").iterdir()] == ["cache.shard-1-of-2.h5"]


def test_the_same_shard_again_has_nothing_to_do(manifest: Path) -> None:
    before = files_under(manifest.parent)
    finished = shard(manifest, "0/3")
    assert (finished.status, "nothing new" in finished.out) == (1, True)
    assert "left to the other shards; amber merge puts them together" in finished.err
    assert files_under(manifest.parent) == before


@pytest.mark.parametrize("options", [("--pooling", "first"), ("--shard", "1/3")])
def test_a_shards_cache_takes_nothing_else(manifest: Path, options: tuple[str, str]) -> None:
    refused = extract(manifest, "--shard", "0/3", "--cache", part(manifest, "0/3"), *options)
    assert_refused(refused, r"holds something else than shard \d/3 of this; delete it, or name")


def test_a_merged_cache_can_be_added_to(manifest: Path) -> None:
    shutil.copy(manifest.parent / "one.h5", manifest.parent / "cache.h5")
    amber("merge", manifest.parent / "merged.h5", *parts(manifest))
    finished = extract(manifest, "--cache", manifest.parent / "merged.h5")
    assert "0 new in audio/mel, 0 new in text/hash" in finished.out
    finished = extract(manifest, "--cache", manifest.parent / "merged.h5", "--pooling", "first")
    assert "7 new in audio/mel+first" in finished.out


def test_a_missing_shard_is_named(manifest: Path) -> None:
    out = manifest.parent / "out.h5"
    refused = amber("merge", out, part(manifest, "1/3"))
    assert_refused(refused, "shards are missing: 0/3, 2/3; give them too, or --partial")
    assert not out.exists()


def test_a_missing_shards_rows_may_be_left_pending_and_are_done_later(manifest: Path) -> None:
    out = manifest.parent / "out.h5"
    finished = amber("merge", out, *parts(manifest)[:2], "--partial", "--json")
    pending = json.loads(finished.out)["num_pending"]
    assert pending["text/hash"] > 0
    new = json.loads(extract(manifest, "--cache", out, "--json").out)["encoded"]
    assert new == pending


@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        (("0/3", "0/3"), "shard 0/3 is .*part0-of-3.h5 already"),
        (("0/3", "one"), "one.h5: is no shard; `amber extract --shard K/N` writes one"),
        (("0/3", "nowhere"), "nowhere.h5: no such file"),
    ],
)
def test_what_is_no_set_of_shards_is_refused(
    manifest: Path, arguments: tuple[str, ...], match: str
) -> None:
    names = [part(manifest, a) if "/" in a else manifest.parent / f"{a}.h5" for a in arguments]
    assert_refused(amber("merge", manifest.parent / "out.h5", *names), match)
    assert not (manifest.parent / "out.h5").exists()


def test_shards_of_another_number_are_refused(manifest: Path) -> None:
    shard(manifest, "1/2")
    both = part(manifest, "0/3"), part(manifest, "1/2")
    refused = amber("merge", manifest.parent / "out.h5", *both)
    assert_refused(refused, "another batches|is one of 2 shards")


def test_shards_of_other_threads_are_refused_with_both_numbers(
    manifest: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    part(manifest, "1/3").unlink()
    number = torch.get_num_threads()
    monkeypatch.setitem(encoding.AUDIO_BUDGET_MS, "cpu", 1_200)
    monkeypatch.setitem(encoding.TEXT_BUDGET, "cpu", 30)
    try:
        torch.set_num_threads(number + 1)
        shard(manifest, "1/3")
    finally:
        torch.set_num_threads(number)
    refused = amber("merge", manifest.parent / "out.h5", *parts(manifest))
    assert_refused(refused, rf"of another plan than .*: threads {number + 1}, not {number};")


def test_shards_of_another_corpus_are_refused(
    manifest: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    part(manifest, "2/3").unlink()
    monkeypatch.setitem(encoding.AUDIO_BUDGET_MS, "cpu", 1_200)
    monkeypatch.setitem(encoding.TEXT_BUDGET, "cpu", 30)
    shutil.copy(manifest.parent / "audio/u2.wav", manifest.parent / "audio/u1.wav")
    shard(manifest, "2/3")
    refused = amber("merge", manifest.parent / "out.h5", *parts(manifest))
    assert_refused(refused, "part2-of-3.h5: is of another plan than .*another corpus; make")


def test_shards_with_other_votes_are_refused(
    manifest: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    part(manifest, "2/3").unlink()
    monkeypatch.setitem(encoding.AUDIO_BUDGET_MS, "cpu", 1_200)
    monkeypatch.setitem(encoding.TEXT_BUDGET, "cpu", 30)
    write_table(manifest.with_name("votes.csv"), [{"id": "u1", "rater": "r", "label": "sad"}])
    shard(manifest, "2/3")
    refused = amber("merge", manifest.parent / "out.h5", *parts(manifest))
    assert_refused(refused, "part2-of-3.h5: its utterances, votes or entries are not those of")


def test_an_output_that_is_there_is_left_alone(manifest: Path) -> None:
    before = (manifest.parent / "one.h5").read_bytes()
    refused = amber("merge", manifest.parent / "one.h5", *parts(manifest))
    assert_refused(refused, "one.h5: is there already, or is being made; name another file")
    assert (manifest.parent / "one.h5").read_bytes() == before


def test_a_damaged_shard_is_refused(manifest: Path) -> None:
    with h5py.File(part(manifest, "1/3"), "r+") as file:
        file["embeddings/text/hash/vectors"][:, 0] = 5
    refused = amber("merge", manifest.parent / "out.h5", *parts(manifest))
    assert_refused(refused, "part1-of-3.h5: /embeddings/text/hash/vectors: is damaged")
