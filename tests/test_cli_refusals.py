"""What `amber fit` and `amber grid` refuse: exit status 2, one line on stderr, nothing written."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import h5py
import pytest
import torch

from tests.commands import amber
from tests.small_caches import changed, small_cache, utterances

FAST = ("--epochs", 1, "--hidden", 4, "--seeds", 1, "--num-folds", 3, "--quiet")


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return small_cache(tmp_path_factory.mktemp("refusals") / "data" / "cache.h5")


@pytest.fixture
def place(cache: Path, tmp_path: Path) -> Path:
    shutil.copytree(cache.parent, tmp_path / "data")
    return tmp_path


def _tree(place: Path) -> dict[str, bytes]:
    return {str(p.relative_to(place)): p.read_bytes() for p in place.rglob("*") if p.is_file()}


def _refused(place: Path, *arguments: object) -> str:
    """The one line of a command that must change nothing."""
    before = _tree(place)
    finished = amber(*arguments, cwd=place)
    assert (finished.status, finished.out) == (2, "")
    (line,) = finished.err.splitlines()
    assert line.startswith("amber: ")
    assert _tree(place) == before
    return line.removeprefix("amber: ")


NUMBERS = [
    (f"--{name} {value}", f"--{name} is {float(value)}; it must be a number of at least 0")
    for name in ("kappa", "lambda-mai", "lambda-rai", "expert-loss", "weight-decay")
    for value in ("-1", "nan", "inf", "-inf")
]
OPTIONS = [
    *NUMBERS,
    ("--kappa four", "--kappa: 'four' is not a number"),
    ("--lr 0", "--lr is 0.0; it must be positive"),
    ("--lr nan", "--lr is nan; it must be positive"),
    ("--dropout 1", "--dropout is 1.0; it must be in [0, 1)"),
    ("--smoothing 1", "--smoothing is 1.0; it must be in [0, 1)"),
    ("--smoothing -0.1", "--smoothing is -0.1; it must be in [0, 1)"),
    ("--smoothing nan", "--smoothing is nan; it must be in [0, 1)"),
    ("--smoothing 0.75", "--smoothing is 0.75; with 4 classes it must be below 0.75, where every"),
    ("--choices all", "--choices all has no effect: no secondary choice of a counted rater"),
    ("--subset mood=good", "--subset mood=good: no such column; there are speaker (p0, p1, p2,"),
    ("--subset session=s7", "no utterance has the session s7; there are s0, s1, s2, s3, s4"),
    ("--subset style=scripted", "--subset style=scripted: the style of no utterance is known"),
    ("--subset nowhere", "--subset nowhere: no column has it; there are speaker (p0, p1,"),
    ("--subset session=", "no utterance has the session ''"),
    ("--subset s0 --subset session=s1", "session is named twice; write session=A,B"),
    ("--subset session=s0,s1,s2,s3,s4", "has no effect: every utterance has it; leave it out"),
    ("--subset s0 --subset dialogue=d1", "session=s0 dialogue=d1: no utterance has all of it"),
    ("--hidden 0", "--hidden is 0; it must be at least 1"),
    ("--epochs 2.5", "--epochs: '2.5' is not a whole number"),
    ("--batch-size -1", "--batch-size is -1; it must be at least 1"),
    ("--fold-seed -1", "--fold-seed is -1; it must be at least 0"),
    ("--lambda-rai 0 --lambda-mai 0", "leave no loss for the student"),
    ("--kappa 4 --loss cb-ce", "--kappa has no effect with --loss cb-ce; leave it out"),
    ("--student text --loss kl", "--student has no effect with --loss kl; leave it out"),
    ("--lambda-mai 0.3 --loss js", "--lambda-mai has no effect with --loss js"),
    ("--attach-weights --loss soft-ce", "--attach-weights has no effect with --loss soft-ce"),
    ("--lambda-mai 0 --kappa 2", "--kappa has no effect with --lambda-mai 0"),
    ("--kappa 0 --attach-weights", "--attach-weights has no effect with --kappa 0"),
    ("--folds official --validation random", "--validation has no effect with --folds official"),
    ("--fold-seed 3 --num-folds 5", "--fold-seed has no effect where each session is a fold"),
    ("--loss hinge", "--loss: 'hinge' is not on offer; choose from amber2, cb-ce, soft-ce, kl, js"),
    (
        "--modalities audio",
        "--loss amber2 needs several modalities, and there is only audio: it has no fusion and no "
        "expert; use --loss js, kl, soft-ce or cb-ce",
    ),
    ("--modalities audio --loss js --student fusion", "--student has no effect"),
    ("--student face", "--student face: choose from audio, text, fusion"),
    ("--modalities audio,face", "the cache has no face; it has audio, text"),
    ("--encoder audio", "--encoder: 'audio' is not of the form NAME=VALUE"),
    ("--encoder face=mel", "--encoder face=...: the modalities are audio, text"),
    (
        "--audio-encoder wavlm",
        "none of the audio embeddings can be 'wavlm'; name one with",
    ),
    (
        "--audio-encoder mel --encoder audio=hash",
        "--audio-encoder and --encoder audio=... disagree",
    ),
    ("--num-folds 9", "there are 5 sessions, fewer than 9 folds; use --num-folds 5"),
    ("--num-folds 2", "--num-folds is 2; --validation next needs at least 3"),
    ("--folds official", "--folds official: no test split is named"),
    ("--classes neutral", "needs at least two classes"),
    ("--classes neutral,,sad", "needs at least two classes, none of them empty"),
    ("--classes neutral,sad+neutral", "neutral stands in it twice"),
    ("--classes neutral,fear", "no counted vote names the class fear; --classes may name neutral"),
    ("--classes neutral,happy+exited", "no vote names the label exited; the votes name neutral"),
    ("--seeds 0", "--seeds '0': must be how many (5), or a list of different seeds (0,7)"),
    ("--seeds 1,1", "or a list of different seeds"),
    ("--seeds 1,-1", "none of them negative"),
    ("--seeds 99999999999999999999,", "must be how many"),
    ("--seeds 20240101", "for that one seed alone write --seeds 20240101,"),
    ("--seeds two", "--seeds 'two': must be how many"),
    ("--raters self", "--raters self: no such kind of rater; the cache has external"),
    ("--protocol iemocap-5", "no such protocol; choose from demo-4, iemocap-4"),
    ("--keep some", "--keep: 'some' is not on offer; choose from all-in"),
    ("--device tpu", "--device tpu: must be cpu, cuda or cuda:N"),
    ("--device cpu:7", "--device cpu:7: must be cpu, cuda or cuda:N"),
    ("--kapa 4", "No such option: --kapa (Possible options: --kappa"),
    ("--config nowhere.json", "--config nowhere.json: no such file"),
    ("--config data/cache.h5", "--config data/cache.h5: not the config.json of a run directory"),
    ("--corpus iemocap", "No such option: --corpus; it belongs to amber extract"),
    ("surplus", "unexpected extra argument(s) (surplus); a cache is named with --cache"),
]
GRIDS = [
    ("--grid speed=1", "--grid speed: no such axis; choose from loss, student, lambda-rai"),
    ("--grid lr", "--grid: 'lr' is not of the form NAME=VALUE"),
    ("--grid lr=,", "--grid lr=,: no values"),
    ("--grid lr=fast", "--grid lr: 'fast' is no value for it"),
    ("--grid kappa=2..4", "'2..4' is no value for it; several are parted by commas"),
    ("--grid hidden=4.5", "--grid hidden: '4.5' is no value for it"),
    ("--grid attach-weights=maybe", "--grid attach-weights: 'maybe' is no value for it"),
    ("--grid loss=amber2,hinge", "--grid loss: 'hinge' is not one of amber2, cb-ce"),
    ("--grid smoothing=0,1", "--smoothing is 1.0; it must be in [0, 1)"),
    ("--grid smoothing=0,0.8", "--smoothing is 0.8; with 4 classes it must be below 0.75"),
    ("--grid kappa=2,-1", "--kappa is -1.0; it must be a number of at least 0"),
    ("--grid lr=1e-3 --grid lr=1e-2", "--grid: one name is given twice"),
    ("--grid lambda-mai=0.3 --grid lambda_mai=0.5", "--grid lambda_mai: stands there twice"),
    ("--grid kappa=2,4 --kappa 4", "--kappa and --grid kappa=... disagree"),
    ("--loss cb-ce --grid kappa=2,4", "--grid kappa has no effect with --loss cb-ce"),
    ("--lambda-mai 0 --grid kappa=2,4", "--grid kappa has no effect with --lambda-mai 0"),
    ("--grid loss=js,kl --kappa 2", "--kappa has no effect with --loss js, kl"),
    ("--loss cb-ce", "--loss cb-ce does not listen to lambda-mai and kappa, the default grid"),
    ("--select best", "--select: 'best' is not on offer; choose from nested, pooled"),
]


@pytest.mark.parametrize(("words", "wanted"), OPTIONS, ids=[words for words, _ in OPTIONS])
def test_fit_refuses(place: Path, words: str, wanted: str) -> None:
    fast = FAST if "folds" not in words else FAST[:6]
    assert wanted in _refused(place, "fit", *fast, *words.split())


@pytest.mark.parametrize(("words", "wanted"), GRIDS, ids=[words for words, _ in GRIDS])
def test_grid_refuses(place: Path, words: str, wanted: str) -> None:
    assert wanted in _refused(place, "grid", *FAST, *words.split())


def test_an_unknown_command_gets_a_hint(place: Path) -> None:
    assert _refused(place, "fitt") == "No such command 'fitt'. Did you mean 'fit'?"


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device here")
def test_a_missing_argument_is_told_with_all_that_are_wanted(place: Path) -> None:
    finished = amber("predict", "clip.wav", cwd=place)
    assert finished.status == 2
    assert "Missing argument 'FILES...'; wanted: amber predict RUN FILES" in finished.err


def test_cuda_is_refused_where_there_is_none(place: Path) -> None:
    line = _refused(place, "fit", *FAST, "--device", "cuda")
    assert line == (
        "--device cuda, or --gpu: no CUDA device is available here; leave it out for the CPU"
    )


def _official(*splits: str) -> list[object]:
    return [*changed(utterances(), lambda i, one: {"split": splits[i % len(splits)]})]


@pytest.mark.parametrize(
    ("made", "arguments", "wanted"),
    [
        (changed(utterances(), lambda i, one: {"session": ""}), (), "40 of 40 utterances have no"),
        (
            changed(utterances(), lambda i, one: {"speaker": "", "dialogue": ""} if i == 3 else {}),
            ("--folds", "speaker"),
            "--folds speaker: 1 of 40 utterances have no speaker and no dialogue; use --folds sess",
        ),
        (_official("train", "test"), ("--folds", "official"), "its validation part has no utt"),
        (_official("dev", "test"), ("--folds", "official"), "its training part has no utterance"),
        (_official("train", "dev"), ("--folds", "official"), "no test split is named"),
        (changed(utterances(), lambda i, one: {"votes": ()}), (), "the votes name no label"),
        (
            utterances(2, num_sessions=1),
            ("--folds", "random", "--num-folds", 3),
            "2 utterances are fewer than 3",
        ),
    ],
    ids=["sessions", "speaker", "validation", "training", "test", "votes", "few"],
)
def test_a_cache_that_cannot_be_parted_is_refused(
    tmp_path: Path, made: list, arguments: tuple[object, ...], wanted: str
) -> None:
    small_cache(tmp_path / "data" / "cache.h5", made)
    assert wanted in _refused(tmp_path, "fit", *FAST[:6], *arguments)


def test_a_modality_with_the_name_of_a_head_is_refused(tmp_path: Path) -> None:
    small_cache(tmp_path / "data" / "cache.h5", entries=[("audio", "mel"), ("fusion", "x")])
    assert "a modality named fusion" in _refused(tmp_path, "fit", *FAST)


def test_without_a_cache_the_line_says_how_to_make_one(tmp_path: Path) -> None:
    line = _refused(tmp_path, "fit")
    assert line == "data/cache.h5: no such file; `amber extract` makes a cache"


def _other_program(path: Path) -> None:
    with h5py.File(path, "w") as file:
        file["x"] = [1]


def _newer(path: Path) -> None:
    with h5py.File(path, "r+") as file:
        file.attrs["format_version"] = 99


def _truncated(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


def _flipped(path: Path) -> None:
    with h5py.File(path, "r") as file:
        offset = file["embeddings/text/hash/vectors"].id.get_offset()
    data = bytearray(path.read_bytes())
    data[offset + 5] ^= 1
    path.write_bytes(data)


@pytest.mark.parametrize(
    ("damage", "wanted"),
    [
        (_other_program, "not of amber"),
        (_newer, "a newer amber-ser reads it"),
        (_truncated, "cut off or damaged"),
        (_flipped, "/embeddings/text/hash/vectors: is damaged"),
        (lambda path: path.write_text("utterance,label\n"), "is not an HDF5 file"),
    ],
    ids=["other program", "newer", "truncated", "flipped byte", "text"],
)
def test_a_file_that_is_no_sound_cache_is_refused(place: Path, damage, wanted: str) -> None:
    damage(place / "data" / "cache.h5")
    line = _refused(place, "fit", *FAST)
    assert line.startswith("data/cache.h5: ")
    assert wanted in line


@pytest.mark.parametrize("out", ["data", "data/cache.h5", ".", "..", "/", "data/cache.h5/run"])
@pytest.mark.parametrize("overwrite", [(), ("--overwrite",)], ids=["", "overwrite"])
def test_a_place_that_is_no_run_directory_is_never_touched(
    place: Path, out: str, overwrite: tuple[str, ...]
) -> None:
    assert _refused(place, "fit", *FAST, "--out", out, *overwrite).startswith(f"--out {out}: ")


def test_the_working_folder_itself_is_refused_even_when_empty(place: Path) -> None:
    (place / "empty").mkdir()
    finished = amber(
        "fit", *FAST, "--cache", place / "data" / "cache.h5", "--out", ".", cwd=place / "empty"
    )
    assert finished.status == 2
    assert "is the working folder" in finished.err


@pytest.fixture
def run(place: Path) -> Path:
    assert amber("fit", *FAST, "--out", "run", cwd=place).status == 0
    return place / "run"


def test_a_folder_with_another_configuration_is_refused(place: Path, run: Path) -> None:
    line = _refused(place, "fit", *FAST, "--kappa", 2, "--out", "run")
    assert line == (
        "--out run: holds a run of another configuration or other data; name another folder, or "
        "give --overwrite"
    )


def test_somebody_elses_file_in_a_run_directory_is_never_deleted(place: Path, run: Path) -> None:
    (run / "notes.txt").write_text("mine")
    line = _refused(place, "fit", *FAST, "--out", "run", "--overwrite")
    assert "also holds notes.txt, which this run did not write" in line


@pytest.mark.parametrize("name", ["summary.json", "runs.csv", "model.safetensors", "table.tex"])
@pytest.mark.parametrize("harm", ["gone", "cut off"])
def test_a_cut_off_run_directory_is_refused_with_the_way_out(
    place: Path, run: Path, name: str, harm: str
) -> None:
    whole = _tree(run)
    if harm == "gone":
        (run / name).unlink()
    else:
        os.truncate(run / name, (run / name).stat().st_size // 2)
    line = _refused(place, "fit", *FAST, "--out", "run")
    assert line == f"run: is not whole, its {name} is missing or cut off; --overwrite makes it anew"
    assert amber("fit", *FAST, "--out", "run", "--overwrite", cwd=place).status == 0
    assert _tree(run) == whole


def test_a_cut_off_configuration_is_refused_also_with_overwrite(place: Path, run: Path) -> None:
    os.truncate(run / "config.json", 40)
    for overwrite in ((), ("--overwrite",)):
        line = _refused(place, "fit", *FAST, "--out", "run", *overwrite)
        assert line.startswith("run/config.json: is cut off or damaged")


def test_a_configuration_of_another_command_is_refused(place: Path, run: Path) -> None:
    line = _refused(place, "grid", "--config", "run/config.json")
    assert "is of amber fit; it runs again with `amber fit --config run/config.json`" in line


def test_any_json_is_not_taken_for_a_configuration(place: Path) -> None:
    (place / "other.json").write_text('{"settings": {"kappa": 4}}')
    assert "is not of an amber run directory" in _refused(place, "fit", "--config", "other.json")
