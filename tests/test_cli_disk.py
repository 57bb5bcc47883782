"""`amber extract` and the disk: caches that are none, places that can't be written, Ctrl-C."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest

from tests.commands import ROOT
from tests.made_corpora import (
    BUILTIN,
    assert_refused,
    extract,
    files_under,
    make_corpus,
    read_cache,
    vectors,
)


@pytest.fixture
def manifest(tmp_path: Path) -> Path:
    return make_corpus(tmp_path)


def foreign(path: Path) -> None:
    path.unlink()
    with h5py.File(path, "w") as file:
        file["weights"] = [1.0, 2.0]


def newer(path: Path) -> None:
    with h5py.File(path, "r+") as file:
        file.attrs["format_version"] = 2


def truncated(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-2_000])


def halved(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def flipped(path: Path) -> None:
    """One bit of one vector."""
    content = bytearray(path.read_bytes())
    wanted = vectors(read_cache(path))["u2"].astype("<f4").tobytes()
    place = content.index(wanted) + 101
    content[place] ^= 0x10
    path.write_bytes(content)


def relabelled(path: Path) -> None:
    """One vote."""
    with h5py.File(path, "r+") as file:
        file["votes/label"][0] = 1 - file["votes/label"][0]


def text(path: Path) -> None:
    path.write_text("no HDF5\n")


def empty(path: Path) -> None:
    path.write_bytes(b"")


def no_votes(path: Path) -> None:
    with h5py.File(path, "r+") as file:
        del file["votes/label"]


@pytest.mark.parametrize(
    ("harm", "match"),
    [
        (foreign, "is HDF5, but not of amber: its format is None"),
        (newer, "is of format_version 2, this amber reads up to 1"),
        (truncated, "the file: is cut off or damaged"),
        (halved, "the file: is cut off or damaged"),
        (flipped, "/embeddings/audio/mel/vectors: is damaged"),
        (relabelled, "/votes/label: is damaged"),
        (text, "is not an HDF5 file"),
        (empty, "is not an HDF5 file"),
        (no_votes, "/votes/label: is missing"),
    ],
)
def test_a_file_that_is_no_good_cache_is_refused_and_left_as_it_is(
    manifest: Path, harm: Callable[[Path], None], match: str
) -> None:
    extract(manifest)
    harm(manifest.parent / "cache.h5")
    before = files_under(manifest.parent)
    way_out = "; it is left as it is: move it away, or name another file with --cache"
    assert_refused(extract(manifest), f"--cache .*cache.h5: {match}.*{way_out}")
    assert files_under(manifest.parent) == before


def test_a_folder_in_the_caches_place_is_refused(manifest: Path) -> None:
    (manifest.parent / "cache.h5").mkdir()
    assert_refused(extract(manifest), r"--cache .*cache\.h5: is a folder.*another file")


def test_a_file_in_the_place_of_the_caches_folder_is_refused_before_encoding(
    manifest: Path,
) -> None:
    before = files_under(manifest.parent)
    finished = extract(manifest, "--cache", manifest / "sub" / "cache.h5")
    assert_refused(finished, r"manifest\.csv is no folder; name another place with --cache")
    assert "reading the corpus" not in finished.err
    assert files_under(manifest.parent) == before


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_read_only_folder_is_refused_before_encoding(manifest: Path) -> None:
    folder = manifest.parent / "locked"
    folder.mkdir(mode=0o555)
    finished = extract(manifest, "--cache", folder / "cache.h5")
    assert_refused(finished, r"locked is not writable; name another place with --cache")
    assert "reading the corpus" not in finished.err


@pytest.mark.skipif(not Path("/proc/self").is_dir(), reason="needs a /proc to fail in")
def test_a_folder_that_cant_be_made_is_refused(manifest: Path) -> None:
    finished = extract(manifest, "--quiet", "--cache", "/proc/self/nothing/cache.h5")
    assert_refused(finished, r"/proc/self/nothing/cache\.h5: .*--cache")


def test_a_cache_name_too_long_for_the_disk_is_refused(manifest: Path) -> None:
    before = files_under(manifest.parent)
    finished = extract(manifest, "--quiet", "--cache", manifest.parent / ("x" * 300))
    assert_refused(finished, "File name too long")
    assert files_under(manifest.parent) == before


def test_missing_folders_of_the_cache_are_made(manifest: Path) -> None:
    place = manifest.parent / "new" / "deep" / "cache.h5"
    assert extract(manifest, "--cache", place).status == 0
    assert [path.name for path in place.parent.iterdir()] == ["cache.h5"]


def test_a_link_to_the_cache_stays_a_link(manifest: Path) -> None:
    extract(manifest)
    link = manifest.parent / "link.h5"
    link.symlink_to("cache.h5")
    assert extract(manifest, "--cache", link, "--pooling", "first").status == 0
    assert link.is_symlink()
    assert "audio/mel+first" in {f"{e.modality}/{e.name}" for e in read_cache(link).embeddings}


def test_another_scripts_cache_keeps_its_vectors(manifest: Path) -> None:
    rows = np.arange(6, dtype="f4").reshape(3, 2)
    with h5py.File(manifest.parent / "cache.h5", "w") as file:
        file.attrs.update({"format": "amber-cache", "format_version": 1, "corpus": "manifest"})
        file["utterances/id"] = ["u1", "u2", "u3"]
        file["votes/utterance"], file["votes/label"] = np.zeros(1, "i4"), np.zeros(1, "i2")
        file["votes"].attrs["labels"] = ["sad"]
        for modality in ("audio", "text", "face"):
            entry = file.create_group(f"embeddings/{modality}/mine")
            entry["vectors"], entry["status"] = rows, [1, 1, 2]
    assert extract(manifest).status == 0
    content = read_cache(manifest)
    for modality in ("audio", "text", "face"):
        found = vectors(content, f"{modality}/mine")
        np.testing.assert_array_equal(list(found.values()), rows[:2])
    assert len(vectors(content)) == 3


# No bytecode is written, which Python would leave cut off for others.
FILL_THE_DISK = """
import resource, sys
sys.dont_write_bytecode = True
import amber_cache.extract, cli
resource.setrlimit(resource.RLIMIT_FSIZE, (8192, 8192))
cli.main(sys.argv[1:])
"""


def test_no_space_on_the_disk_is_one_line_and_a_clean_exit(manifest: Path) -> None:
    extract(manifest)
    before = files_under(manifest.parent)
    options = ["--corpus", "manifest", "--root", str(manifest), *BUILTIN, "--pooling", "first"]
    done = subprocess.run(
        [sys.executable, "-c", FILL_THE_DISK, "extract", *options, "--quiet"]
        + ["--cache", str(manifest.parent / "cache.h5")],
        capture_output=True,
        text=True,
        cwd=ROOT,
        check=False,
    )
    assert (done.returncode, done.stdout) == (2, ""), done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert "the cache could not be written: File too large; it needs" in done.stderr
    assert "make room or name another place with --cache" in done.stderr
    assert files_under(manifest.parent) == before


def test_ctrl_c_ends_with_130_and_leaves_the_cache_as_it_was(
    tmp_path: Path, demo_cache: Path
) -> None:
    shutil.copy(demo_cache, tmp_path / "cache.h5")
    command = ["extract", "--pooling", "mean-std", "--cache", str(tmp_path / "cache.h5")]
    with subprocess.Popen(
        [sys.executable, "-m", "cli", *command],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=ROOT,
    ) as running:
        assert running.stderr is not None
        while not (line := running.stderr.readline()).startswith("reading the corpus: 300/300"):
            assert line.startswith("reading the corpus"), line
        running.send_signal(signal.SIGINT)
        out, err = running.communicate(timeout=60)
    assert (running.returncode, out) == (130, "")
    assert err == "amber: interrupted; nothing half-written is left\n"
    assert files_under(tmp_path) == {"cache.h5": demo_cache.read_bytes()}


@pytest.mark.parametrize("arguments", [["--help"], ["extract", "--help"], ["extract", "--layer"]])
def test_help_and_usage_import_nothing_heavy(arguments: list[str]) -> None:
    code = (
        "import sys, cli\n"
        "try: cli.main(sys.argv[1:])\n"
        "except SystemExit: pass\n"
        "heavy = {'torch', 'transformers', 'h5py', 'soundfile', 'numpy', 'scipy', 'soxr'}\n"
        "sys.exit(' '.join(sorted(heavy & set(sys.modules))) or 0)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments], capture_output=True, text=True, cwd=ROOT
    )
    assert done.returncode == 0, done.stderr
