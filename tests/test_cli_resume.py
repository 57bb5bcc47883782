"""`amber extract` that was ended in the middle, and the same command again."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch

from amber_cache import audio
from amber_cache.encoders import load_encoder
from amber_cache.jobs import assembly, encoding
from amber_cache.jobs.lock import take_lock
from tests.commands import ROOT, Finished, amber
from tests.made_corpora import (
    BUILTIN,
    assert_refused,
    extract,
    files_under,
    make_corpus,
    read_cache,
    read_rows,
    vectors,
    voice,
    write_audio,
    write_table,
)
from tests.tiny_models import save_audio_model


@pytest.fixture
def manifest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A corpus of six utterances, in batches of one or two."""
    monkeypatch.setitem(encoding.AUDIO_BUDGET_MS, "cpu", 1_200)
    monkeypatch.setitem(encoding.TEXT_BUDGET, "cpu", 30)
    return make_corpus(tmp_path, num=6)


def ended(
    manifest: Path, *options: object, after: int = 2, signum: int = signal.SIGINT
) -> Finished:
    """Run the command, and send a signal when so many batches are encoded."""
    original, seen = encoding._encode_batch, [0]

    def counted(*arguments: object, **how: object) -> object:
        seen[0] += 1
        if seen[0] == after + 1:
            os.kill(os.getpid(), signum)
        return original(*arguments, **how)  # type: ignore[arg-type]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(encoding, "_encode_batch", counted)
        return extract(manifest, *options)


def counts_batches(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """A list that grows by one with each batch that is encoded."""
    original: object = encoding._encode_batch
    sizes: list[int] = []

    def counted(rows: list[int], *arguments: object, **how: object) -> object:
        sizes.append(len(rows))
        return original(rows, *arguments, **how)  # type: ignore[operator]

    monkeypatch.setattr(encoding, "_encode_batch", counted)
    return sizes


def datasets(path: Path) -> dict[str, bytes]:
    """Every dataset's content."""
    found: dict[str, bytes] = {}
    with h5py.File(path) as file:
        file.visititems(
            lambda name, node: (
                found.update({name: repr(node[()].tolist()).encode()})
                if isinstance(node, h5py.Dataset)
                else None
            )
        )
    return found


@pytest.mark.parametrize(("signum", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_keeps_what_is_encoded_and_the_same_command_goes_on(
    manifest: Path, monkeypatch: pytest.MonkeyPatch, signum: int, status: int
) -> None:
    extract(manifest, "--cache", manifest.parent / "clean.h5")
    first = ended(manifest, "--quiet", signum=signum)
    cache = manifest.parent / "cache.h5"
    assert (first.status, first.out) == (status, "")
    assert first.err == (
        f"amber: interrupted; 4 of 12 inputs are encoded and kept in {cache}.job; the same command "
        "goes on\n"
    )
    assert not cache.exists()
    sizes = counts_batches(monkeypatch)
    again = extract(manifest)
    assert again.status == 0
    assert "6 new in audio/mel, 6 new in text/hash" in again.out
    assert sum(sizes) == 8
    assert datasets(cache) == datasets(manifest.parent / "clean.h5")
    assert not (manifest.parent / "cache.h5.job").exists()


def test_a_signal_before_the_first_batch_leaves_nothing(manifest: Path) -> None:
    before = files_under(manifest.parent)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(encoding, "plan_rows", lambda *_: os.kill(os.getpid(), signal.SIGINT))
        finished = extract(manifest, "--quiet", "--cache", manifest.parent / "new/deep/c.h5")
    assert (finished.status, finished.err) == (
        130, "amber: interrupted; nothing half-written is left\n"
    )  # fmt: skip
    assert files_under(manifest.parent) == before
    assert not (manifest.parent / "new").exists()


def test_the_signals_are_as_before_when_the_command_has_ended(manifest: Path) -> None:
    before = [signal.getsignal(one) for one in (signal.SIGINT, signal.SIGTERM)]
    ended(manifest)
    assert [signal.getsignal(one) for one in (signal.SIGINT, signal.SIGTERM)] == before


def test_the_stored_plan_is_followed_whatever_would_be_planned_now(
    manifest: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ended(manifest)
    plan = json.loads((manifest.parent / "cache.h5.job/plan.json").read_text())
    monkeypatch.setitem(encoding.AUDIO_BUDGET_MS, "cpu", 99_000)
    monkeypatch.setitem(encoding.TEXT_BUDGET, "cpu", 99_000)
    sizes = counts_batches(monkeypatch)
    used: list[int] = []
    original = encoding._ahead
    monkeypatch.setattr(
        encoding, "_ahead", lambda *a: (used.append(torch.get_num_threads()), original(*a))[1]
    )
    number = torch.get_num_threads()
    try:
        torch.set_num_threads(number + 1)
        assert extract(manifest).status == 0
        assert torch.get_num_threads() == number + 1
    finally:
        torch.set_num_threads(number)
    batches = [batch for entry in plan["entries"] for batch in entry["batches"]]
    assert sizes == [len(batch) for batch in batches[3:]]
    assert used == [number, number]


@pytest.mark.parametrize(
    ("options", "match"),
    [
        (("--pooling", "first"), "pooling mean, and this would be first"),
        (("--shard", "0/2", "--cache", "cache.h5"), "shard None, and this would be 0/2"),
    ],
)
def test_other_settings_are_refused_with_the_difference_and_the_way_out(
    manifest: Path, options: tuple[str, ...], match: str
) -> None:
    ended(manifest)
    before = files_under(manifest.parent)
    refused = extract(manifest, *options)
    way_out = r"; --overwrite discards that job \(4 inputs are encoded in it\)"
    assert_refused(refused, rf"its unfinished job was begun with {match}{way_out}")
    after = files_under(manifest.parent)
    assert {name for name in after if after[name] != before[name]} <= {"cache.h5.job/lock"}


def test_overwrite_discards_the_job_and_does_all_anew(
    manifest: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ended(manifest)
    sizes = counts_batches(monkeypatch)
    assert extract(manifest, "--pooling", "first", "--overwrite").status == 0
    assert sum(sizes) == 12
    names = {f"{one.modality}/{one.name}" for one in read_cache(manifest).embeddings}
    assert names == {"audio/mel+first", "text/hash+first"}


def test_overwrite_discards_nothing_where_the_command_is_refused(manifest: Path) -> None:
    ended(manifest)
    before = files_under(manifest.parent)["cache.h5.job/0.log"]
    assert extract(manifest, "--overwrite", "--layer", "3").status == 2
    assert files_under(manifest.parent)["cache.h5.job/0.log"] == before
    assert "interrupted; 6 of 12" in ended(manifest, after=0).err  # one batch more of the same job


def test_another_corpus_is_refused_with_what_has_changed(manifest: Path) -> None:
    ended(manifest)
    write_audio(manifest.parent / "audio/u3.wav", voice(5_000, seed=9))
    rows = read_rows(manifest)
    rows[4]["text"] = "other words"
    write_table(manifest, [*rows[:-1], {**rows[5], "id": "u7"}])
    votes = read_rows(manifest.with_name("votes.csv"))
    write_table(manifest.with_name("votes.csv"), [one for one in votes if one["id"] != "u6"])
    match = (
        r"begun with another corpus; of its utterances are now 1 new \(first 'u7'\), 1 gone "
        r"\(first 'u6'\), 2 changed \(first 'u3'\); put them back to go on, or --overwrite"
    )
    assert_refused(extract(manifest), match)


def test_other_votes_are_no_other_corpus(manifest: Path) -> None:
    ended(manifest)
    votes = read_rows(manifest.with_name("votes.csv"))
    write_table(manifest.with_name("votes.csv"), [{**one, "label": "angry"} for one in votes])
    assert extract(manifest).status == 0
    assert read_cache(manifest).votes.labels == ("angry",)


def test_other_weights_are_refused_while_a_job_is_unfinished(
    manifest: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folders = [tmp_path_factory.mktemp(f"m{seed}") / "w2v" for seed in (0, 1)]
    for seed, folder in enumerate(folders):
        save_audio_model(folder, "wav2vec2-group", seed=seed)
    ended(manifest, "--audio-encoder", folders[0])
    one, two = (load_encoder("audio", str(folder)).info.weights_sha256 for folder in folders)
    match = rf"encodes audio/w2v with weights_sha256 '{one}', and this would be '{two}'"
    assert_refused(extract(manifest, "--audio-encoder", folders[1], "--quiet"), match)
    assert extract(manifest, "--audio-encoder", folders[0]).status == 0


def test_a_cache_that_was_replaced_meanwhile_is_refused(manifest: Path) -> None:
    ended(manifest)
    extract(manifest, "--cache", manifest.parent / "other.h5", "--pooling", "first")
    (manifest.parent / "other.h5").rename(manifest.parent / "cache.h5")
    assert_refused(extract(manifest), "was begun with another cache in this place; --overwrite")


def test_a_job_beside_an_older_cache_keeps_both(manifest: Path) -> None:
    extract(manifest)
    before = (manifest.parent / "cache.h5").read_bytes()
    assert ended(manifest, "--pooling", "first").status == 130
    assert (manifest.parent / "cache.h5").read_bytes() == before
    old = vectors(read_cache(manifest))
    assert extract(manifest, "--pooling", "first").status == 0
    content = read_cache(manifest)
    for name, vector in old.items():
        np.testing.assert_array_equal(vectors(content)[name], vector)
    assert len(vectors(content, "audio/mel+first")) == 6


def test_a_job_whose_cache_is_in_place_already_is_only_tidied_up(manifest: Path) -> None:
    ended(manifest)
    job = manifest.parent / "cache.h5.job"
    shutil.copytree(job, manifest.parent / "kept")
    extract(manifest)
    before = (manifest.parent / "cache.h5").read_bytes()
    shutil.copytree(manifest.parent / "kept", job)  # as after a kill behind the renaming
    finished = extract(manifest)
    assert (finished.status, "nothing was missing" in finished.out) == (0, True)
    assert (manifest.parent / "cache.h5").read_bytes() == before
    assert not job.exists()


def test_a_plan_that_cant_be_read_is_refused_and_kept(manifest: Path) -> None:
    ended(manifest)
    (manifest.parent / "cache.h5.job/plan.json").write_text("{")
    assert_refused(extract(manifest), r"its unfinished job: can't be followed: .*--overwrite")
    assert extract(manifest, "--overwrite").status == 0


def test_a_failed_utterance_is_remembered_across_the_interruption(manifest: Path) -> None:
    write_audio(manifest.parent / "audio/u6.wav", voice(300))  # the longest otherwise
    write_audio(manifest.parent / "audio/u5.wav", np.full(90_000, np.nan, "f4"))
    ended(manifest, after=2)
    finished = extract(manifest)
    assert finished.status == 1
    assert "u5.wav holds samples that are not finite" in finished.err
    assert "u6 (audio): has 300 samples" in finished.err


def test_an_audio_file_that_goes_away_meanwhile_ends_the_command_and_no_utterance(
    manifest: Path,
) -> None:
    original, seen = encoding._encode_batch, [0]

    def lose(*arguments: object, **how: object) -> object:
        seen[0] += 1
        if seen[0] == 2:
            (manifest.parent / "audio").rename(manifest.parent / "gone")
        return original(*arguments, **how)  # type: ignore[arg-type]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(encoding, "_encode_batch", lose)
        patch.setattr(encoding, "NUM_AHEAD", 1)
        finished = extract(manifest, "--quiet")
    match = r"u\d.wav was there when the corpus was read, and can't be had now: No such file"
    assert_refused(finished, match)
    (manifest.parent / "gone").rename(manifest.parent / "audio")
    assert extract(manifest).status == 0
    assert len(vectors(read_cache(manifest))) == 6


def loses_its_corpus(manifest: Path, home: object, name: str, call: int) -> Finished:
    """Run the command; at the n-th call of a function, the corpus's folder goes away."""
    original, seen = getattr(home, name), [0]

    def lose(*arguments: object, **how: object) -> object:
        seen[0] += 1
        if seen[0] == call:
            manifest.parent.rename(manifest.parent.with_name("gone"))
        return original(*arguments, **how)

    cache = manifest.parent.with_name("cache.h5")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(home, name, lose)
        patch.setattr(encoding, "NUM_AHEAD", 1)
        return amber("extract", *corpus_of(manifest), "--cache", cache, "--quiet")


def corpus_of(manifest: Path) -> tuple[object, ...]:
    return "--corpus", "manifest", "--root", manifest, *BUILTIN


@pytest.mark.parametrize(
    ("home", "name", "call"),
    [
        (encoding, "_encode_batch", 3),
        (encoding, "_encode_batch", 1),
        (audio, "load", 2),
        (audio, "locate", 4),  # while the corpus is read
        (audio, "file_sha256", 4),
    ],
)
def test_a_lost_corpus_ends_the_command_and_fails_no_utterance(
    manifest: Path, home: object, name: str, call: int
) -> None:
    folder, cache = manifest.parent / "mount", manifest.parent / "cache.h5"
    shutil.copytree(manifest.parent, folder)
    extract(manifest, "--cache", manifest.parent / "clean.h5")
    lost = folder / "manifest.csv"
    match = r"the corpus's folder .*mount is gone: No such file or directory; bring it back"
    assert_refused(loses_its_corpus(lost, home, name, call), match)
    assert not cache.exists()
    folder.with_name("gone").rename(folder)
    assert amber("extract", *corpus_of(lost), "--cache", cache).status == 0
    assert datasets(cache) == datasets(manifest.parent / "clean.h5")


def test_an_unmounted_corpus_is_lost_too(manifest: Path) -> None:
    text = manifest.read_text()
    folder = manifest.parent
    original, seen = audio.locate, [0]

    def lose(*arguments: object, **how: object) -> object:
        seen[0] += 1
        if seen[0] == 3:
            shutil.rmtree(folder / "mount")
            (folder / "mount").mkdir()
        return original(*arguments, **how)  # type: ignore[arg-type]

    shutil.copytree(folder / "audio", folder / "mount/audio")
    (folder / "mount/manifest.csv").write_text(text)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(audio, "locate", lose)
        finished = extract(folder / "mount/manifest.csv", "--cache", folder / "c.h5", "--quiet")
    assert_refused(finished, r"the corpus's folder .*mount is gone: it is empty; bring it back")


def test_a_disk_that_fills_in_the_middle_keeps_the_job(
    manifest: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    original, seen = os.fsync, [0]

    def full(descriptor: int) -> None:
        seen[0] += 1
        if seen[0] == 8:
            raise OSError(28, "No space left on device")
        original(descriptor)

    monkeypatch.setattr(os, "fsync", full)
    finished = extract(manifest, "--quiet")
    monkeypatch.undo()
    match = r"could not be written: No space left on device; .* inputs are encoded and kept in"
    assert_refused(finished, match)
    assert extract(manifest).status == 0


def test_a_matrix_that_changed_on_the_disk_never_gets_into_a_cache(
    manifest: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = assembly._write_vectors

    def spoil(*arguments: object) -> object:
        path = manifest.parent / "cache.h5.job/0.f32"
        content = bytearray(path.read_bytes())
        content[9] ^= 1
        path.write_bytes(content)
        return original(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(assembly, "_write_vectors", spoil)
    finished = extract(manifest, "--quiet")
    assert_refused(finished, "not written: .*'u1' is not the one that was computed")
    assert not (manifest.parent / "cache.h5").exists()
    monkeypatch.undo()
    assert extract(manifest).status == 0  # its batch is done again


def test_a_second_command_is_told_who_holds_the_cache(manifest: Path) -> None:
    folder = manifest.parent / "cache.h5.job"
    folder.mkdir()
    lock = take_lock(folder / "lock", what="it")
    who = f"process {os.getpid()} on {socket.gethostname()}, since 20"
    refused = extract(manifest, "--quiet")
    assert_refused(refused, rf"--cache .*cache\.h5: {who}.* is writing it; wait for that, or name")
    assert_refused(extract(manifest, "--overwrite"), who)
    lock.release()
    assert extract(manifest).status == 0


def test_a_dead_holders_lock_does_not_block(manifest: Path) -> None:
    folder = manifest.parent / "cache.h5.job"
    folder.mkdir()
    code = (
        "import os, pathlib, sys, amber_cache.jobs.lock as lock\n"
        "held = lock.take_lock(pathlib.Path(sys.argv[1]), what='it')\n"
        "os.kill(os.getpid(), 9)"
    )
    done = subprocess.run([sys.executable, "-c", code, str(folder / "lock")], cwd=ROOT)
    assert done.returncode == -signal.SIGKILL
    assert "pid" in (folder / "lock").read_text()
    assert extract(manifest).status == 0


def test_nothing_to_do_imports_no_torch_and_takes_no_time(demo_cache: Path) -> None:
    code = (
        "import sys, cli\n"
        "try: cli.main(sys.argv[1:])\n"
        "except SystemExit as ended: assert not ended.code\n"
        "sys.exit(' '.join({'torch', 'transformers'} & set(sys.modules)) or 0)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, "extract", "--cache", str(demo_cache)],
        capture_output=True,
        text=True,
        cwd=ROOT,
    )
    assert done.returncode == 0, done.stderr
    assert "nothing was missing" in done.stdout


def test_a_local_models_files_are_looked_at_without_loading_it(
    manifest: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = save_audio_model(tmp_path_factory.mktemp("m") / "w2v", "wav2vec2-group")
    extract(manifest, "--audio-encoder", model)
    monkeypatch.setattr("amber_cache.extract.load_entries", None)
    monkeypatch.setattr("amber_cache.jobs.loading.sha256", None)
    assert "nothing was missing" in extract(manifest, "--audio-encoder", model).out
    monkeypatch.undo()
    os.utime(model / "model.safetensors")  # looks otherwise, and is the same
    monkeypatch.setattr("amber_cache.extract.load_entries", None)
    assert "nothing was missing" in extract(manifest, "--audio-encoder", model).out


def test_audio_that_looks_the_same_is_not_hashed_again(
    manifest: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for path in (manifest.parent / "audio").iterdir():
        os.utime(path, (1_000_000_000, 1_000_000_000))
    extract(manifest)
    hashed: list[str] = []
    original = audio.file_sha256
    monkeypatch.setattr(
        audio, "file_sha256", lambda path: (hashed.append(path.name), original(path))[1]
    )
    extract(manifest)
    assert hashed == []
    write_audio(manifest.parent / "audio/u2.wav", voice(6_000, seed=8))  # as long as before
    assert "1 new in audio/mel" in extract(manifest).out
    assert hashed == ["u2.wav"]


def test_a_place_that_cant_be_written_is_found_before_anything_is_encoded(
    manifest: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    extract(manifest)
    sizes = counts_batches(monkeypatch)
    real = os.mkdir

    def refuse(path: object, *how: object, **more: object) -> None:
        if str(path).endswith(".job"):
            raise PermissionError(13, "Permission denied", str(path))
        real(path, *how, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(os, "mkdir", refuse)
    assert_refused(extract(manifest, "--pooling", "first"), "could not be written: Permission")
    assert sizes == []
    assert extract(manifest).status == 0  # where nothing is to be written, none of this matters


def test_killed_and_started_again_it_comes_to_the_same_bytes(tmp_path: Path) -> None:
    script = ROOT / "tests/benchmarks/kill_extract.py"
    done = subprocess.run(
        [sys.executable, str(script), "--kills", "5", "--num", "12", "--seed", "3"],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("ended 5 times")
    assert "every dataset equal to the clean run's" in done.stdout
