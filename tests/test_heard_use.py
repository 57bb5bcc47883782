"""Train on the reference and test on what was heard, and the other way; nobody mistakes one."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.spatial.distance import jensenshannon

from amber_cache.store import make_embedding, open_cache, write_cache
from amber_heads.using.loaded import load_run
from tests.commands import Finished, amber
from tests.small_runs import FAST, small_run
from tests.spoken_corpus import BUILTIN, extract_corpus, write_corpus
from tests.tiny_models import edit_json, save_ctc_model, save_text_model

HEARD = "hash@asr-asr"


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cache of both inputs, one of the transcripts alone, and a run on each; read only."""
    place = tmp_path_factory.mktemp("use")
    asr = ("--transcribe", save_ctc_model(place / "asr"))
    manifest = write_corpus(place / "corpus")
    extract_corpus(manifest, place / "cache.h5", *BUILTIN, *asr)
    lines = [line.split(",") for line in manifest.read_text().splitlines()]
    mute = place / "corpus" / "mute.csv"
    mute.write_text("".join(",".join([*one[:2], *one[3:]]) + "\n" for one in lines))
    extract_corpus(mute, place / "heard.h5", *BUILTIN, *asr)
    small_run(place / "cache.h5", place / "reference")
    small_run(place / "cache.h5", place / "heard", "--text-encoder", HEARD)
    return place


def entry_of(run: Path) -> dict[str, Any]:
    """What a run says of its text."""
    model = json.loads((run / "model.json").read_text())
    found: dict[str, Any] = next(one for one in model["modalities"] if one["name"] == "text")
    return found


def test_a_fit_reads_the_reference_unless_it_is_told_otherwise(place: Path) -> None:
    assert entry_of(place / "reference")["entry"] == "hash"
    assert entry_of(place / "heard")["entry"] == HEARD
    done = amber("fit", "--cache", place / "cache.h5", "--out", place / "reference", *FAST)
    assert "(audio=mel, text=hash)" in done.out
    assert "transcriber" not in entry_of(place / "reference")
    assert entry_of(place / "heard")["transcriber"] == "asr"


def test_transcripts_alone_are_what_there_is(place: Path, tmp_path: Path) -> None:
    run = small_run(place / "heard.h5", tmp_path / "run")
    assert (run / "runs.csv").read_bytes() == (place / "heard" / "runs.csv").read_bytes()


def _by_hand(place: Path) -> list[float]:
    """Each seed's js of the fusion head, every utterance through the fold that tests it."""
    run = load_run(place / "reference")
    with open_cache(place / "cache.h5") as cache:
        sessions, votes = cache.utterances.session, cache.votes
        vectors = {"audio": cache.embeddings("audio", "mel").vectors}
        vectors["text"] = cache.embeddings("text", HEARD).vectors
        labels = [votes.labels.index(one) for one in run.classes]
        counts = np.zeros((len(sessions), len(run.classes)))
        for row, label in zip(votes.utterance, votes.label, strict=True):
            counts[row, labels.index(label)] += 1
    target = counts / counts.sum(axis=1, keepdims=True)
    found = []
    for seed in run.seeds:
        said = np.zeros_like(target)
        for fold, session in enumerate(run.folds):
            answers = run.predict_embeddings(vectors, members=[(fold, seed)])
            mine = sessions == session
            said[mine] = answers.distributions[0, mine, run.heads.index("fusion")]
        found.append(float((jensenshannon(target, said, base=2, axis=1) ** 2).mean()))
    return found


def test_trained_on_the_reference_and_tested_on_what_was_heard(place: Path) -> None:
    told = ("eval", "reference", "--cache", "cache.h5", "--text-encoder", HEARD, "--json")
    done = amber(*told, "--out", "tested", cwd=place)
    assert done.status == 0, done.err
    (figures,) = json.loads(done.out)["selected"]["heads"]["fusion"].values()
    assert figures["js"]["per_seed"] == pytest.approx(_by_hand(place), abs=1e-6)
    own = json.loads((place / "reference" / "summary.json").read_text())
    (trained,) = own["selected"]["heads"]["fusion"].values()
    assert figures["js"]["per_seed"] != pytest.approx(trained["js"]["per_seed"], abs=1e-6)


def test_one_is_not_silently_read_in_the_place_of_the_other(place: Path, tmp_path: Path) -> None:
    told = ("eval", place / "reference", "--cache", place / "heard.h5", "--out", tmp_path / "e")
    refused = amber(*told)
    assert refused.status == 2
    assert "is of what asr transcribed (weights " in refused.err
    assert "), and the run was trained on the reference text; " in refused.err
    assert f"--encoder text={HEARD} takes it all the same" in refused.err
    assert amber(*told, "--text-encoder", HEARD).status == 0


def _predict(place: Path, run: str, *options: object) -> Finished:
    return amber("predict", place / run, place / "corpus" / "clip00.wav", *options)


def test_a_run_on_transcripts_takes_its_own_transcriber_alone(place: Path, tmp_path: Path) -> None:
    done = _predict(place, "heard", "--transcribe", place / "asr", "--jsonl")
    assert done.status == 0, done.err
    assert json.loads(done.out)["transcribed"]
    other = save_ctc_model(tmp_path / "other", seed=1)
    refused = _predict(place, "heard", "--transcribe", other)
    assert refused.status == 2
    assert "other: is not what transcribed the text that the run was trained on (asr)" in (
        refused.err
    )
    assert _predict(place, "reference", "--transcribe", other).status == 0
    same = Path(shutil.copytree(place / "asr", tmp_path / "renamed"))
    assert _predict(place, "heard", "--transcribe", same).status == 0


def test_the_same_weights_with_another_vocabulary_are_another_transcriber(
    place: Path, tmp_path: Path
) -> None:
    other = Path(shutil.copytree(place / "asr", tmp_path / "asr"))
    ids = json.loads((other / "vocab.json").read_text())
    edit_json(other / "vocab.json", i=ids["o"], o=ids["i"])
    refused = _predict(place, "heard", "--transcribe", other)
    assert refused.status == 2
    assert "the run was trained on (asr): settings_sha256 was" in refused.err


def test_the_same_transcripts_are_found_under_another_name(place: Path, tmp_path: Path) -> None:
    asr = shutil.copytree(place / "asr", tmp_path / "renamed")
    manifest, cache = place / "corpus" / "manifest.csv", tmp_path / "cache.h5"
    extract_corpus(manifest, cache, *BUILTIN, "--transcribe", asr)
    told = ("predict", place / "heard", cache, "--jsonl", "--quiet")
    found, named = amber(*told), amber(*told, "--text-encoder", "hash@asr-renamed")
    assert found.status == 0, found.err
    assert found.out == named.out != amber(*told, "--text-encoder", "hash").out


def test_what_could_not_be_heard_is_a_failure_where_nobody_wrote_text(
    place: Path, tmp_path: Path
) -> None:
    with open_cache(place / "heard.h5") as cache:
        content = cache.content()
    entry = next(one for one in content.embeddings if one.name == HEARD)
    status, error = entry.status.copy(), list(entry.error)
    status[:2], error[0] = (2, 0), "can't be transcribed: no"
    how = {"modality": "text", "name": HEARD, "status": status, "error": error}
    changed = make_embedding(entry.vectors, attrs=entry.attrs, **how)
    others = [one for one in content.embeddings if one is not entry]
    write_cache(tmp_path / "cache.h5", replace(content, embeddings=(*others, changed)))
    done = amber("predict", place / "heard", tmp_path / "cache.h5", "--jsonl")
    assert "clip00: text: can't be transcribed: no" in done.err
    assert "clip01: text: is not encoded yet" in done.err
    assert len(done.out.splitlines()) == 13


def test_text_that_was_given_is_told_of_a_run_on_transcripts(place: Path) -> None:
    told = "15 transcripts are taken as given: the run was trained on what asr transcribed"
    manifest = place / "corpus" / "manifest.csv"
    assert told in amber("predict", place / "heard", manifest).err
    assert "taken as given" not in amber("predict", place / "reference", manifest).err


def test_a_model_card_says_whose_text_it_was(place: Path, tmp_path: Path) -> None:
    for run, is_heard in (("heard", True), ("reference", False)):
        assert amber("export", place / run, "--hub", tmp_path / run).status == 0
        card = (tmp_path / run / "README.md").read_text(encoding="utf-8")
        assert (
            "The text of hash@asr-asr is what asr heard in the audio (weights " in card
        ) == is_heard


def test_a_missing_transcript_names_who_is_to_write_it(place: Path) -> None:
    refused = _predict(place, "heard")
    assert refused.status == 2
    assert "--transcribe asr)" in refused.err
    assert "--transcribe MODEL)" in _predict(place, "reference").err


def test_it_answers_from_new_audio_as_from_the_cache(place: Path) -> None:
    done = _predict(place, "heard", "--transcribe", place / "asr", "--jsonl")
    run = load_run(place / "heard")
    with open_cache(place / "cache.h5") as cache:
        row = list(cache.utterances.id).index("clip00")
        named = {"audio": "mel", "text": HEARD}
        vectors = {m: cache.embeddings(m, name).vectors[[row]] for m, name in named.items()}
    wanted = run.predict_embeddings(vectors).mean[0, run.heads.index("fusion")]
    found = json.loads(done.out)["heads"]["fusion"]["distribution"]
    np.testing.assert_allclose([found[name] for name in run.classes], wanted, atol=1e-6)


def test_predicting_a_cache_has_no_use_for_a_transcriber(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AMBER_TRANSCRIBE", str(place / "asr"))
    told = ("predict", place / "heard", place / "cache.h5", "--quiet")
    assert amber(*told).status == 0
    refused = amber(*told, "--transcribe", place / "asr")
    assert (refused.status, "predicted by itself" in refused.err) == (2, True)


def test_a_layer_and_all_layers_are_the_references_too(tmp_path: Path) -> None:
    bert = save_text_model(tmp_path / "bert", "bert")
    asr = save_ctc_model(tmp_path / "asr")
    manifest = write_corpus(tmp_path / "corpus")
    told = ("--audio-encoder", "mel", "--text-encoder", bert, "--layer", "0,1", "--check", 0)
    extract_corpus(manifest, tmp_path / "cache.h5", *told, "--transcribe", asr)
    for options, entry in (
        (("--layer", 1), "bert@layer1"),
        (("--text-encoder", "bert@asr-asr", "--layer", "weighted"), "bert@weighted@asr-asr"),
    ):
        run = small_run(tmp_path / "cache.h5", tmp_path / entry, *options)
        assert entry_of(run)["entry"] == entry
