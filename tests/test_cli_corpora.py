"""The licensed corpora through the command line: made-up releases, built-in encoders."""

import json
from pathlib import Path

import h5py
import pytest

from tests.commands import amber
from tests.fake_crema_d import make_crema_d
from tests.fake_iemocap import make_iemocap
from tests.fake_msp_podcast import make_msp_podcast

BUILTIN = ("--audio-encoder", "mel", "--text-encoder", "hash", "--quiet")
SMALL = ("--epochs", "1", "--seeds", "1", "--hidden", "4", "--quiet")


def votes_in(cache: Path) -> int:
    with h5py.File(cache) as file:
        return len(file["votes/label"])


def test_iemocap_is_extracted_and_trained_session_by_session(tmp_path: Path) -> None:
    made = make_iemocap(tmp_path / "release", dialogues=4, utterances=12)
    done = amber("extract", "--corpus", "iemocap", "--root", made.root, *BUILTIN, cwd=tmp_path)
    assert done.status == 0, done.err
    cache = tmp_path / "data" / "cache.h5"
    assert votes_in(cache) == sum(len(one.votes) for one in made.utterances)
    with h5py.File(cache) as file:
        assert file.attrs["protocol"] == "iemocap-4"
        assert len(file["ratings/value"]) == sum(len(one.ratings) for one in made.utterances)
    done = amber("fit", "--keep", "any-vote", *SMALL, cwd=tmp_path)
    assert done.status == 0, done.err


def test_crema_d_is_trained_on_what_raters_heard(tmp_path: Path) -> None:
    actors = tuple(range(1001, 1016))
    made = make_crema_d(tmp_path / "release", actors=actors)
    done = amber("extract", "--corpus", "crema-d", "--root", made.root, *BUILTIN, cwd=tmp_path)
    assert done.status == 0, done.err
    with h5py.File(tmp_path / "data" / "cache.h5") as file:
        kinds = set(file["votes/kind"].asstr()[:])
    assert kinds == {"voice", "face", "multimodal"}
    done = amber("fit", *SMALL, "--json", cwd=tmp_path)
    assert done.status == 0, done.err
    summary = json.loads(done.out)
    assert summary["protocol"] == "crema-d-6"
    used = summary["utterances"]["used"]
    assert summary["leakage"]["text"]["test_utterances"] == used  # the same sentences everywhere


def test_msp_podcast_is_read_with_its_official_parts(tmp_path: Path) -> None:
    made = make_msp_podcast(tmp_path / "release", num_segments=120, num_votes=700)
    arguments = ("--corpus", "msp-podcast", "--root", tmp_path / "release")
    done = amber("extract", *arguments, *BUILTIN, cwd=tmp_path)
    assert done.status in (0, 1), done.err
    with h5py.File(tmp_path / "data" / "cache.h5") as file:
        assert set(file["utterances/id"].asstr()[:]) == set(made)
        assert "Test1" in set(file["utterances/split"].asstr()[:])


@pytest.mark.parametrize("corpus", ["iemocap", "msp-podcast", "crema-d"])
def test_a_folder_that_is_no_such_release_is_refused(corpus: str, tmp_path: Path) -> None:
    for root in ((), ("--root", tmp_path)):
        done = amber("extract", "--corpus", corpus, *root, *BUILTIN, cwd=tmp_path)
        assert done.status == 2
        assert done.err.startswith("amber: ")
        assert done.err.count("\n") == 1
    assert not (tmp_path / "data").exists()
