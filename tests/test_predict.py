"""From recordings and texts to answers, held against what the training predicted.

The ensemble's figures are computed again with SciPy.
"""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import soundfile
from scipy.spatial.distance import jensenshannon
from scipy.stats import entropy

import amber_heads
from amber_cache.errors import ConfigError, UtteranceError
from amber_heads.configuration.use_options import PredictConfig
from amber_heads.predict import run_predict
from amber_heads.using.answers import Answers, supervised_heads
from amber_heads.using.forecast import ALL_MODELS
from amber_heads.using.loaded import load_run
from amber_heads.using.windows import checked_window, windows
from tests.small_runs import small_run
from tests.spoken_corpus import BUILTIN, extract_corpus, write_corpus
from tests.tiny_models import save_audio_model, save_text_model


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same by tiny wav2vec2 and BERT, and one run."""
    place = tmp_path_factory.mktemp("models")
    audio = save_audio_model(place / "audio-model", "wav2vec2-group")
    text = save_text_model(place / "text-model", "bert")
    encoders = ("--audio-encoder", audio, "--text-encoder", text, "--layer", 1)
    extract_corpus(write_corpus(place / "corpus"), place / "cache.h5", *encoders)
    small_run(place / "cache.h5", place / "js", "--loss", "js")
    return place


@pytest.fixture(params=["spoken", "models"])
def place(request: pytest.FixtureRequest) -> Path:
    found: Path = request.getfixturevalue(request.param)
    return found


def _encoders(place: Path) -> dict[str, str]:
    names = {one: str(place / f"{one}-model") for one in ("audio", "text")}
    return names if (place / "audio-model").is_dir() else {}


def _stored(run: Path) -> dict[str, Any]:
    with h5py.File(run / "predictions.h5") as file:
        return {
            "id": list(file["id"].asstr()[:]),
            "fold": file["fold"][:],
            "test": file["test"][:].astype(float),  # (seed, head, utterance, class)
            "seeds": list(file.attrs["seeds"]),
        }


def test_recordings_and_texts_give_what_the_training_predicted(place: Path) -> None:
    config = PredictConfig(encoder=tuple(_encoders(place).items()))
    forecast = run_predict(place / "js", [place / "corpus" / "manifest.csv"], config)
    (group,) = forecast.groups
    stored = _stored(place / "js")
    assert ([one.id for one in group.items], group.models) == (stored["id"], ALL_MODELS)
    for row, fold in enumerate(stored["fold"]):
        for member, (of_fold, seed) in enumerate(group.answers.members):
            if of_fold == fold:
                wanted = stored["test"][stored["seeds"].index(seed), :, row]
                found = group.answers.distributions[member, row]
                np.testing.assert_allclose(found, wanted, atol=1e-4)


def test_so_does_python_one_by_one(place: Path) -> None:
    run = amber_heads.load(place / "js", encoders=_encoders(place))
    config = PredictConfig(encoder=tuple(_encoders(place).items()))
    forecast = run_predict(place / "js", [place / "corpus" / "manifest.csv"], config)
    with (place / "corpus" / "manifest.csv").open() as file:
        rows = list(csv.DictReader(file))[:3]
    for row, record in zip(rows, forecast.records(), strict=False):
        path = place / "corpus" / row["audio"]
        waveform, rate = soundfile.read(path, dtype="float32")
        for audio, rate_hz in ((path, None), (waveform, rate)):
            said = run.predict(audio=audio, text=row["text"], sampling_rate_hz=rate_hz)
            for head, distribution in said.heads.items():
                wanted = record["heads"][head]["distribution"]
                assert distribution == pytest.approx(wanted, abs=1e-4)
            assert (said.answer, said.top) == ("fusion", record["heads"]["fusion"]["top"])
            assert said.conflict == pytest.approx(record["conflict"], abs=1e-4)
            assert said.spread == pytest.approx(record["heads"]["fusion"]["spread"], abs=1e-4)


def test_the_own_cache_is_predicted_out_of_fold(spoken: Path) -> None:
    forecast = run_predict(spoken / "js", [spoken / "cache.h5"], PredictConfig())
    stored = _stored(spoken / "js")
    wanted = dict(zip(stored["id"], stored["test"].mean(axis=0).swapaxes(0, 1), strict=True))
    records = forecast.records()
    assert [one["id"] for one in records] == stored["id"]
    for one in records:
        for h, head in enumerate(("audio", "text", "fusion")):
            found = list(one["heads"][head]["distribution"].values())
            np.testing.assert_allclose(found, wanted[one["id"]][h], atol=1e-6)
        assert one["models"] == "own fold's models"
    assert "15 utterances are predicted by the models of the fold" in forecast.notes[0]


def test_a_cache_with_the_same_ids_and_other_vectors_is_not_taken_for_it(
    spoken: Path, tmp_path: Path
) -> None:
    manifest = write_corpus(tmp_path / "corpus")
    text = manifest.read_text().replace("the cat", "a dog")
    manifest.write_text(text)
    cache = extract_corpus(manifest, tmp_path / "cache.h5", *BUILTIN)
    forecast = run_predict(spoken / "js", [cache], PredictConfig())
    assert {one["models"] for one in forecast.records()} == {ALL_MODELS}
    assert "15 utterances have ids of it; all models answer, and some may HAVE SEEN" in str(
        forecast.notes
    )


def test_without_a_transcript_the_audio_head_answers(spoken: Path) -> None:
    said = amber_heads.load(spoken / "js").predict(audio=spoken / "corpus" / "clip03.wav")
    assert (said.answer, said.missing, set(said.heads)) == ("audio", ("text",), {"audio"})
    assert said.conflict is None
    said = amber_heads.load(spoken / "js").predict(text="yes")
    assert (said.answer, said.missing) == ("text", ("audio",))


def test_a_head_that_the_raters_never_taught_does_not_answer(spoken: Path) -> None:
    run = amber_heads.load(spoken / "amber2")
    with pytest.raises(ConfigError, match=r"without text the audio head .* --expert-loss 1"):
        run.predict(audio=spoken / "corpus" / "clip03.wav")
    said = run.predict(audio=spoken / "corpus" / "clip03.wav", text="yes")
    assert said.conflict is not None
    assert "learnt from the student" in said.conflict_mark


def test_nothing_at_all_and_a_broken_file_are_refused(spoken: Path, tmp_path: Path) -> None:
    run = amber_heads.load(spoken / "js")
    with pytest.raises(ConfigError, match="needs audio, text, or both"):
        run.predict(text="  ")
    (tmp_path / "bad.wav").write_bytes(b"no audio")
    with pytest.raises(UtteranceError, match=r"bad\.wav is not readable"):
        run.predict(audio=tmp_path / "bad.wav", text="yes")


def test_conflict_may_be_told_by_another_run(spoken: Path) -> None:
    config = PredictConfig(conflict_from=spoken / "js")
    mine = run_predict(spoken / "amber2", [spoken / "cache.h5"], config).records()
    other = run_predict(spoken / "js", [spoken / "cache.h5"], PredictConfig()).records()
    assert [one["conflict"] for one in mine] == pytest.approx([one["conflict"] for one in other])
    assert mine[0]["conflict_mark"] == f"between the heads of {spoken / 'js'}"
    with pytest.raises(ConfigError, match="the raters did not teach its audio head"):
        run_predict(
            spoken / "js",
            [spoken / "cache.h5"],
            PredictConfig(conflict_from=spoken / "amber2"),
        )


def test_vectors_are_predicted_as_they_come(spoken: Path) -> None:
    run = amber_heads.load(spoken / "js")
    random = np.random.default_rng(0)
    vectors = {key: random.normal(size=(4, one.dimension)) for key, one in run.run.inputs.items()}
    found = run.predict_embeddings(vectors)
    assert found.distributions.shape == (10, 4, 3, 3)
    np.testing.assert_allclose(found.mean.sum(axis=-1), 1, atol=1e-6)


def _answers(seed: int = 0) -> Answers:
    random = np.random.default_rng(seed)
    return Answers(
        members=((0, 0), (0, 1), (1, 0)),
        heads=("audio", "text", "fusion"),
        classes=("a", "b", "c", "d"),
        distributions=random.dirichlet(np.ones(4), size=(3, 5, 3)),
    )


def test_entropy_conflict_and_spread_are_scipys() -> None:
    found = _answers()
    mean = found.distributions.mean(axis=0)
    np.testing.assert_allclose(found.entropy, entropy(mean, base=2, axis=-1), atol=1e-12)
    conflict = jensenshannon(mean[:, 0], mean[:, 1], base=2, axis=-1) ** 2
    np.testing.assert_allclose(found.conflict, conflict, atol=1e-12)
    spread = [jensenshannon(one, mean, base=2, axis=-1) ** 2 for one in found.distributions]
    np.testing.assert_allclose(found.spread, np.mean(spread, axis=0), atol=1e-12)
    np.testing.assert_allclose(found.std, found.distributions.std(axis=0, ddof=1))


def test_one_member_has_no_spread_and_one_head_no_conflict() -> None:
    whole = _answers()
    one = whole.of_seed(1)
    assert one.members == ((0, 1),)
    assert np.isnan(one.spread).all()
    assert np.isnan(one.std).all()
    alone = Answers(
        members=whole.members,
        heads=("audio",),
        classes=whole.classes,
        distributions=whole.distributions[:, :, :1],
    )
    assert np.isnan(alone.conflict).all()
    with pytest.raises(ValueError, match="no member has the seed 7"):
        whole.of_seed(7)


@pytest.mark.parametrize(
    ("settings", "wanted"),
    [
        ({"loss": "kl"}, "audio text fusion"),
        ({"loss": "amber2", "student": "fusion", "lambda_rai": 1, "expert_loss": 0}, "fusion"),
        ({"loss": "amber2", "student": "audio", "lambda_rai": 1, "expert_loss": 0}, "audio"),
        (
            {"loss": "amber2", "student": "audio", "lambda_rai": 1, "expert_loss": 0.5},
            "audio text fusion",
        ),
        (
            {"loss": "amber2", "student": "fusion", "lambda_rai": 0, "expert_loss": 1},
            "audio text",
        ),
    ],
)
def test_who_was_taught_by_the_raters(settings: dict[str, Any], wanted: str) -> None:
    assert " ".join(supervised_heads(settings, ("audio", "text", "fusion"))) == wanted


def test_the_amber2_run_knows_whom_the_raters_taught(spoken: Path) -> None:
    assert load_run(spoken / "amber2").supervised == ("fusion",)


@pytest.mark.parametrize(
    ("duration_s", "wanted"),
    [
        (4.0, [(0, 2), (1, 3), (2, 4)]),
        (4.5, [(0, 2), (1, 3), (2, 4), (2.5, 4.5)]),
        (2.0, [(0, 2)]),
        (0.5, [(0, 0.5)]),
    ],
)
def test_windows_cover_a_recording_to_its_end(duration_s: float, wanted: Any) -> None:
    assert windows(duration_s, window_s=2.0, step_s=1.0) == wanted


def test_windows_that_nobody_could_want_are_refused() -> None:
    assert checked_window(None, None) is None
    assert checked_window(3.0, None) == (3.0, 3.0)
    with pytest.raises(ConfigError, match="--step 1 has no effect without --window"):
        checked_window(None, 1.0)
    with pytest.raises(ConfigError, match="--window is -1"):
        checked_window(-1.0, None)
    with pytest.raises(ConfigError, match="--step 2 is longer than --window 1"):
        checked_window(1.0, 2.0)
    with pytest.raises(ConfigError, match="windows, more than"):
        windows(1e6, window_s=1.0, step_s=0.001)
