"""`amber extract --backend ... --workers ...`: several processes give what one gives, or go on."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from amber_cache.config import ExtractConfig
from amber_cache.errors import AmberError, InterruptError
from amber_cache.extract import ExtractReport
from amber_cache.extract import extract as run_extract
from amber_cache.jobs import encoding, sharing
from amber_cache.jobs.backends import Workers
from amber_cache.progress import Progress, no_progress
from tests.commands import ROOT
from tests.made_corpora import assert_refused, extract, make_corpus, voice, write_audio
from tests.test_cli_merge import content

#: Parts one behind the other in this process: what is between them and the job is the same.
IN_TURN = Workers("sequential", 3)


@pytest.fixture
def manifest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A corpus of eight utterances, one of them broken, in batches of one or two."""
    monkeypatch.setitem(encoding.AUDIO_BUDGET_MS, "cpu", 1_200)
    monkeypatch.setitem(encoding.TEXT_BUDGET, "cpu", 30)
    made = make_corpus(tmp_path, num=8)
    (tmp_path / "audio/u5.wav").write_bytes(b"")
    return made


def cache_of(manifest: Path) -> Path:
    return manifest.parent / "cache.h5"


def run(
    manifest: Path, workers: Workers | None = IN_TURN, *, progress: Progress = no_progress
) -> ExtractReport:
    """The command through workers that a user can't name."""
    config = ExtractConfig(
        corpus="manifest",
        root=manifest,
        cache=cache_of(manifest),
        audio_encoder="mel",
        text_encoder="hash",
    )
    return run_extract(config, workers=workers, progress=progress)


def clean(manifest: Path) -> dict[str, bytes]:
    """What one process makes of it."""
    one = manifest.parent / "one.h5"
    extract(manifest, "--cache", one)
    return content(one)


def encoded_rows(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Grows by each row that is encoded."""
    original = encoding._encode_batch
    rows: list[int] = []

    def noted(some: list[int], *arguments: object, **how: object) -> object:
        rows.extend(some)
        return original(some, *arguments, **how)  # type: ignore[arg-type]

    monkeypatch.setattr(encoding, "_encode_batch", noted)
    return rows


def acts_at(monkeypatch: pytest.MonkeyPatch, batch: int, act: object) -> None:
    """Act before the n-th batch is encoded."""
    original, seen = encoding._encode_batch, [0]

    def hooked(*arguments: object, **how: object) -> object:
        seen[0] += 1
        if seen[0] == batch:
            act()  # type: ignore[operator]
        return original(*arguments, **how)  # type: ignore[arg-type]

    monkeypatch.setattr(encoding, "_encode_batch", hooked)


def signalled_at(patch: pytest.MonkeyPatch, batch: int, signum: int) -> None:
    """A signal before the n-th batch is encoded, which goes on when the workers are called off."""
    original, heard = sharing._Call.call_off, threading.Event()

    def called_off(call: sharing._Call) -> None:
        original(call)
        heard.set()

    def send() -> None:
        os.kill(os.getpid(), signum)
        assert heard.wait(60)

    patch.setattr(sharing._Call, "call_off", called_off)
    acts_at(patch, batch, send)


def test_two_processes_write_the_bytes_of_one(tmp_path: Path) -> None:
    made = make_corpus(tmp_path, num=8)
    (tmp_path / "audio/u5.wav").write_bytes(b"")
    wanted = clean(made)
    words = ["--corpus", "manifest", "--root", "manifest.csv", "--cache", "cache.h5", "--json"]
    words += ["--audio-encoder", "mel", "--text-encoder", "hash"]
    code = "import sys, cli\nif __name__ == '__main__':\n    cli.main(sys.argv[1:])"
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code, "extract", *words] + ["--workers", "2"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        encoding="utf-8",
        timeout=120,
        check=False,
    )
    assert done.returncode == 1, done.stderr
    told = json.loads(done.stdout)
    assert told["encoded"] == {"audio/mel": 7, "text/hash": 8}
    assert [one["reason"] for one in told["failures"]] == ["u5.wav is empty (0 bytes)"]
    assert content(cache_of(made)) == wanted
    assert list(tmp_path.glob("*.job")) == []


@pytest.mark.filterwarnings("ignore")  # of a cluster in this process, which has none of its own
def test_a_dask_cluster_of_two_workers_writes_the_bytes_of_one_process(manifest: Path) -> None:
    distributed = pytest.importorskip("distributed")
    wanted = clean(manifest)
    how = {"n_workers": 2, "threads_per_worker": 1, "processes": False, "dashboard_address": None}
    with distributed.LocalCluster(**how) as cluster:
        address = cluster.scheduler_address
        finished = extract(manifest, "--backend", "dask", "--workers", address)
    assert finished.status == 1, finished.err
    assert "7 new in audio/mel, 8 new in text/hash" in finished.out
    assert content(cache_of(manifest)) == wanted


def test_a_cluster_that_is_not_there_is_refused_and_leaves_no_job(
    manifest: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    distributed = pytest.importorskip("distributed")
    monkeypatch.setattr(distributed, "Client", _unreachable)
    refused = extract(manifest, "--backend", "dask", "--workers", "tcp://127.0.0.1:1", "--quiet")
    assert_refused(refused, r"--backend dask: tcp://127.0.0.1:1 can't be reached: Timed out")
    assert not (manifest.parent / "cache.h5.job").exists()


def _unreachable(*_: object, **__: object) -> None:
    raise TimeoutError("Timed out trying to connect")


@pytest.mark.parametrize("number", [2, 5, 40])
def test_any_number_of_parts_comes_to_the_same_bytes(manifest: Path, number: int) -> None:
    wanted = clean(manifest)
    report = run(manifest, Workers("sequential", number))
    assert report.encoded == {"audio/mel": 7, "text/hash": 8}
    assert content(cache_of(manifest)) == wanted
    assert not (manifest.parent / "cache.h5.job").exists()


def test_what_the_cache_holds_already_stays(manifest: Path) -> None:
    one = ("--cache", manifest.parent / "one.h5")
    extract(manifest, *one, "--pooling", "first")
    extract(manifest, "--pooling", "first")
    wanted = clean(manifest)
    report = run(manifest)
    assert report.encoded == {"audio/mel": 7, "text/hash": 8}
    assert content(cache_of(manifest)) == wanted


def test_progress_is_told_over_all_workers(manifest: Path) -> None:
    told: list[tuple[str, int, int]] = []
    run(manifest, progress=lambda *one: told.append(one))
    for stage, total in (("audio/mel", 7), ("text/hash", 8)):
        counts = [done for name, done, of in told if (name, of) == (stage, total)]
        assert counts[-1] == total
        assert counts == sorted(counts)


def test_killed_in_the_middle_any_number_of_workers_goes_on(
    manifest: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted = clean(manifest)
    code = (
        "import os, pathlib\n"
        "from amber_cache.jobs import encoding\n"
        "from tests import test_cli_workers as here\n"
        "encoding.AUDIO_BUDGET_MS['cpu'], encoding.TEXT_BUDGET['cpu'] = 1_200, 30\n"
        "import pytest\n"
        "here.acts_at(pytest.MonkeyPatch(), 6, lambda: os.kill(os.getpid(), 9))\n"
        f"here.run(pathlib.Path({str(manifest)!r}))"
    )
    environ = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, env=environ)
    assert done.returncode == -signal.SIGKILL
    folder = manifest.parent / "cache.h5.job"
    assert len(list(folder.glob("part-*"))) == 3
    recorded = sum(
        line.startswith(b"[") or b" [" in line[:10]
        for log in folder.glob("part-*/*.log")
        for line in log.read_bytes().splitlines()
    )
    assert recorded > 0
    rows = encoded_rows(monkeypatch)
    run(manifest, Workers("sequential", 2))
    assert 0 < len(rows) < 15
    assert content(cache_of(manifest)) == wanted
    assert not folder.exists()


def test_one_process_goes_on_where_workers_were(
    manifest: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted = clean(manifest)
    with pytest.MonkeyPatch.context() as patch:
        signalled_at(patch, 4, signal.SIGINT)
        with pytest.raises(InterruptError, match=r"interrupted; \d+ of 15 inputs .* goes on"):
            run(manifest)
    assert list((manifest.parent / "cache.h5.job").glob("part-*")) == []
    rows = encoded_rows(monkeypatch)
    assert extract(manifest).status == 1
    assert 0 < len(rows) < 15
    assert content(cache_of(manifest)) == wanted


def test_workers_go_on_where_one_process_was(
    manifest: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted = clean(manifest)
    with pytest.MonkeyPatch.context() as patch:
        acts_at(patch, 4, lambda: os.kill(os.getpid(), signal.SIGINT))
        assert extract(manifest).status == 130
    rows = encoded_rows(monkeypatch)
    run(manifest)
    assert 0 < len(rows) < 15
    assert content(cache_of(manifest)) == wanted


def test_a_worker_whose_command_is_gone_ends(
    manifest: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def take_away() -> None:  # as the next command does with what a killed one has left
        for folder in (manifest.parent / "cache.h5.job").glob("part-*"):
            (folder / "go").unlink(missing_ok=True)

    rows = encoded_rows(monkeypatch)
    acts_at(monkeypatch, 1, take_away)
    with pytest.raises(AmberError, match=r"workers have left \d+ batches undone; .* goes on"):
        run(manifest)
    assert len(rows) <= 2


def test_a_corpus_that_is_lost_ends_the_command_and_keeps_what_is_done(
    manifest: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted = clean(manifest)
    audio = manifest.parent / "audio"
    with pytest.MonkeyPatch.context() as patch:
        acts_at(patch, 2, lambda: audio.rename(manifest.parent / "gone"))
        with pytest.raises(AmberError, match=r"can't be had now.*inputs are encoded and kept in"):
            run(manifest)
    (manifest.parent / "gone").rename(audio)
    run(manifest)
    assert content(cache_of(manifest)) == wanted


def test_a_corpus_that_is_changed_is_no_more_the_plans(manifest: Path) -> None:
    with pytest.MonkeyPatch.context() as patch:
        signalled_at(patch, 2, signal.SIGTERM)
        with pytest.raises(InterruptError):
            run(manifest)
    write_audio(manifest.parent / "audio/u3.wav", voice(5_000, seed=9))
    with pytest.raises(AmberError, match=r"another corpus; .* 1 changed \(first 'u3'\)"):
        run(manifest)


@pytest.mark.parametrize(
    ("options", "match"),
    [
        (("--backend", "slurm", "--workers", "2"), "--backend slurm: choose from loky, dask, ray"),
        (("--backend", "loky"), "--backend loky has no effect with one worker; give --workers too"),
        (("--backend", "dask", "--workers", "1"), "--backend dask has no effect with one worker"),
        (("--workers", "0"), "--workers 0: must be at least 1"),
        (("--workers", "-2"), "--workers -2: must be at least 1"),
        (("--workers", "tcp://a:1"), "--workers tcp://a:1: must be a number, or a cluster's"),
        (("--decoders", "0"), "--decoders 0: must be at least 1"),
    ],
)
def test_what_cannot_be_is_refused_in_a_line(
    manifest: Path, options: tuple[str, ...], match: str
) -> None:
    assert_refused(extract(manifest, *options), match)
    assert not cache_of(manifest).exists()
    assert not (manifest.parent / "cache.h5.job").exists()


def test_one_worker_is_this_process(manifest: Path) -> None:
    assert extract(manifest, "--workers", "1").status == 1


def test_the_number_of_decoders_changes_no_byte(manifest: Path) -> None:
    wanted = clean(manifest)
    assert extract(manifest, "--decoders", "5").status == 1
    assert content(cache_of(manifest)) == wanted
