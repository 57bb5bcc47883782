"""README's commands on the licensed corpora, as they stand there, on made-up releases.

Only what this machine can't give is changed: no CUDA device, no hub for the encoders, no hour to
train in.
"""

from __future__ import annotations

import random
import re
from pathlib import Path

import pytest

from tests.commands import ROOT, amber
from tests.fake_crema_d import make_crema_d
from tests.fake_iemocap import make_iemocap, write_noise
from tests.fake_msp_podcast import make_msp_podcast
from tests.made_corpora import BUILTIN

SMALL = ("--epochs", "1", "--seeds", "1", "--hidden", "4")
README = (ROOT / "README.md").read_text(encoding="utf-8")


def commands(corpus: str) -> list[list[str]]:
    """The words of the commands in the block that extracts a corpus, without comments."""
    blocks = re.findall(r"^```sh\n(.*?)^```", README, re.MULTILINE | re.DOTALL)
    (block,) = (one for one in blocks if f"--corpus {corpus} " in one)
    lines = [line.split("#")[0].split() for line in block.splitlines()]
    assert all(words[0] == "amber" for words in lines)
    return [words[1:] for words in lines]


def run(corpus: str, folder: Path) -> list[str]:
    """Run them in a folder; what each printed."""
    printed = []
    for words in commands(corpus):
        name, *options = (word for word in words if word != "--gpu")
        finished = amber(name, *options, *(BUILTIN if name == "extract" else SMALL), cwd=folder)
        assert finished.status == 0, finished.err
        printed.append(finished.out)
    return printed


def test_a_days_work_on_iemocap(tmp_path: Path) -> None:
    made = make_iemocap(tmp_path / "IEMOCAP_full_release", dialogues=4, utterances=20)
    extract, fit, grid = run("iemocap", tmp_path)
    assert f"iemocap.h5: written: {len(made.utterances)} utterances of iemocap" in extract
    assert "Results on iemocap (audio=mel, text=hash), amber2" in fit
    assert "Hyper-parameters on iemocap" in grid
    looked = amber("corpus", "IEMOCAP_full_release", cwd=tmp_path)
    assert "Contents of the corpus IEMOCAP_full_release (iemocap)" in looked.out


def test_a_days_work_on_msp_podcast(tmp_path: Path) -> None:
    made = make_msp_podcast(tmp_path / "MSP-PODCAST", num_segments=240, num_votes=1000)
    draw = random.Random(0)
    for path in sorted((tmp_path / "MSP-PODCAST" / "Audios").iterdir()):
        write_noise(path, draw)
    extract, fit, grid = run("msp-podcast", tmp_path)
    assert f"msp.h5: written: {len(made)} utterances of msp-podcast" in extract
    assert "--folds random keeps no speakers apart" in fit
    assert "Hyper-parameters on msp-podcast" in grid
    for folds in ("speaker", "official"):
        finished = amber("fit", "--cache", "msp.h5", "--folds", folds, *SMALL, cwd=tmp_path)
        assert finished.status == 0, finished.err


def test_a_days_work_on_crema_d_by_what_the_readme_says_of_it(tmp_path: Path) -> None:
    assert "`--corpus crema-d --root CREMA-D`" in README
    make_crema_d(tmp_path / "CREMA-D", actors=range(1001, 1009), sentences=("ITH",))
    options = ("--corpus", "crema-d", "--root", "CREMA-D", *BUILTIN)
    assert amber("extract", *options, cwd=tmp_path).status == 0
    finished = amber("fit", *SMALL, cwd=tmp_path)
    assert finished.status == 0, finished.err
    assert "Results on crema-d" in finished.out


def test_a_release_without_transcripts_is_fitted_as_the_readme_says(tmp_path: Path) -> None:
    assert "A release\nwithout transcripts is fitted with `--loss js`." in README
    make_msp_podcast(tmp_path / "release", release="1.8", num_segments=60, num_votes=300)
    draw = random.Random(0)
    for path in sorted((tmp_path / "release" / "Audios").iterdir()):
        write_noise(path, draw)
    options = ("--corpus", "msp-podcast", "--root", "release", "--audio-encoder", "mel")
    assert amber("extract", *options, cwd=tmp_path).status == 0
    refused = amber("fit", *SMALL, cwd=tmp_path)
    assert refused.status == 2
    assert "use --loss js" in refused.err
    assert amber("fit", "--loss", "js", *SMALL, cwd=tmp_path).status == 0


@pytest.mark.parametrize(
    ("subset", "number"),
    [
        ("style=scripted", 10),
        ("gender=female", 10),
        ("language=de", 10),
        ("speaker=s0,s1", 8),
        ("style=scripted gender=female", 5),
        ("scripted", 10),
    ],
)
def test_every_column_of_a_manifest_is_there_for_a_subset(
    tmp_path: Path, subset: str, number: int
) -> None:
    rows = [
        f"u{n:02d},line {n},s{n % 5},{('female', 'male')[n % 2]},"
        f"{('scripted', 'improvised')[n // 2 % 2]},{('de', 'en')[n // 10]}\n"
        for n in range(20)
    ]
    header = "id,text,speaker,gender,style,language\n"
    (tmp_path / "manifest.csv").write_text(header + "".join(rows))
    votes = [f"u{n:02d},r{r},{('happy', 'sad')[r - 1]}\n" for n in range(20) for r in (1, 2)]
    (tmp_path / "votes.csv").write_text("id,rater,label\n" + "".join(votes))
    corpus = ("--corpus", "manifest", "--root", "manifest.csv", "--text-encoder", "hash")
    assert amber("extract", *corpus, cwd=tmp_path).status == 0
    wanted = [word for one in subset.split() for word in ("--subset", one)]
    how = ("--folds", "random", "--num-folds", 3, "--loss", "js", *SMALL)
    finished = amber("fit", *wanted, *how, cwd=tmp_path)
    assert finished.status == 0, finished.err
    assert f"{number} utterances, 3 folds" in finished.out
