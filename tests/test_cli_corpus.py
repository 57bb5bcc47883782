"""`amber corpus`: on the demo, on releases and manifests; tables, JSON, figures, every refusal."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from amber_cache.config import settings_of
from amber_cache.records import Vote
from amber_heads.configuration.options import FitConfig, OverviewConfig
from tests.commands import ROOT, Finished, amber
from tests.fake_crema_d import make_crema_d
from tests.fake_iemocap import make_iemocap
from tests.fake_msp_podcast import make_msp_podcast
from tests.made_corpora import make_corpus, read_rows, write_table
from tests.reference_cache import utterance
from tests.small_caches import small_cache

REAL = ROOT.parent / "shared" / "data" / "crema-d"


def told(place: Path, *options: object) -> dict[str, Any]:
    finished = amber("corpus", place, "--json", *options)
    assert finished.status == 0, finished.err
    assert finished.err == ""
    return dict(json.loads(finished.out))


def printed(finished: Finished) -> dict[str, list[list[str]]]:
    """The tables on stdout: title -> rows of cells, without header and notes."""
    tables: dict[str, list[list[str]]] = {}
    title = ""
    for line, after in zip(finished.out.splitlines(), finished.out.splitlines()[1:], strict=False):
        if line and not after.strip() and not line.startswith(" "):
            title = line
        elif line.startswith(" ") and line.strip() and "─" not in line:
            tables.setdefault(title, []).append(re.split(r" {2,}", line.strip()))
    return {name: rows[1:] for name, rows in tables.items()}


def refused(finished: Finished, match: str) -> None:
    assert finished.status == 2, finished
    assert finished.out == ""
    (line,) = finished.err.splitlines()
    assert line.startswith("amber: ")
    assert match in line


def test_the_demo_cache_by_table_and_by_json(demo_cache: Path) -> None:
    finished = amber("corpus", demo_cache)
    assert (finished.status, finished.err) == (0, "")
    titles = [line for line in finished.out.splitlines() if line.startswith("SYNTHETIC DEMO: ")]
    assert len(titles) == 12  # every table, and there are no ratings
    found = told(demo_cache)
    assert found["whole"]["utterances"] == 300
    assert found["policy"]["protocol"] == "demo-4"
    assert found["policy"]["classes"] == ["neutral", "happy+excited", "angry", "sad"]
    tables = {title.split(": ", 1)[1]: rows for title, rows in printed(finished).items()}
    for row, one in zip(tables["Classes"], found["classes"], strict=True):
        assert row[0] == one["name"]
        assert row[2] == str(one["votes"])
        assert row[3] == f"{one['mass']:.1f}"
        assert row[5:] == [str(one[key]) for key in ("arg_max", "tied", "consensus")]
    kept = dict(zip(("all-in", "majority-mass", "any-vote", "consensus"), range(1, 5), strict=True))
    for one in found["keeps"]:
        assert tables["What each --keep would leave out"][0][kept[one["keep"]]] == str(one["kept"])
    for row, one in zip(tables["Agreement of raters on labels"], found["agreements"], strict=True):
        alpha = one["alpha"]
        assert row[:3] == [one["votes"], f"{one['num_labels']} labels", f"{alpha['value']:.3f}"]
        assert row[3] == f"{alpha['low']:.3f} to {alpha['high']:.3f}"
        assert row[4:6] == [str(alpha["num_units"]), str(alpha["num_values"])]
        assert row[6] == f"{one['kappa']['value']:.3f}"
    assert "1000 bootstrap samples of the utterances" in finished.out
    entropy = next(rows for title, rows in tables.items() if title.startswith("Entropy"))
    assert [int(row[-2]) for row in entropy] == [
        found["entropy"]["zero"],
        *found["entropy"]["counts"],
    ]


def test_the_demo_folder_gives_what_its_cache_gives(demo_cache: Path) -> None:
    cache, folder = told(demo_cache), told(ROOT / "data" / "demo")
    for key in ("policy", "groups", "kinds", "classes", "keeps", "entropy", "agreements", "pairs"):
        assert cache[key] == folder[key], key
    assert folder["whole"]["hours"] == pytest.approx(cache["whole"]["hours"], rel=1e-6)
    assert (cache["is_cache"], folder["is_cache"]) == (True, False)
    assert [one["name"] for one in cache["entries"]] == ["mel", "hash"]
    assert folder["entries"] == []


def test_it_counts_what_fit_uses(workplace: Path) -> None:
    options = ("--keep", "any-vote", "--classes", "neutral,sad")
    found = told(workplace / "data" / "cache.h5", *options)
    small = ("--epochs", 1, "--seeds", 1, "--hidden", 4, "--json")
    fitted = json.loads(amber("fit", *options, *small, cwd=workplace).out)
    assert found["kept"] == fitted["utterances"]["used"]
    (any_vote,) = (one for one in found["keeps"] if one["keep"] == "any-vote")
    assert sum(any_vote["left_out"].values()) == sum(fitted["utterances"]["left_out"].values())


def test_the_same_command_gives_the_same_bytes(demo_cache: Path) -> None:
    assert amber("corpus", demo_cache, "--json") == amber("corpus", demo_cache, "--json")


def test_iemocap_has_kinds_ratings_styles_and_its_protocol(tmp_path: Path) -> None:
    made = make_iemocap(tmp_path / "release", dialogues=2, utterances=6, odd=True)
    found = told(tmp_path)  # one level above
    assert (found["corpus"], found["policy"]["protocol"]) == ("iemocap", "iemocap-4")
    votes = [vote for one in made.utterances for vote in one.votes]
    kinds = {one["kind"]: one for one in found["kinds"]}
    for kind in ("external", "self"):
        assert kinds[kind]["votes"] == sum(vote.kind == kind for vote in votes)
    assert found["counted"] == kinds["external"]["votes"]
    assert kinds["external"]["several"] > 0
    assert {(one["dimension"], one["kind"]) for one in found["ratings"]} == {
        (dimension, kind)
        for dimension in ("arousal", "dominance", "valence")
        for kind in ("external", "self")
    }
    own = next(one for one in found["agreements"] if one["votes"] == "kind self")
    assert (own["alpha"]["value"], own["alpha"]["num_units"]) == (None, 0)
    assert {one["value"] for one in found["parts"] if one["column"] == "style"} == {
        *{one.style for one in made.utterances}
    }
    missing = {one["what"]: one for one in found["missing"]}
    assert missing["audio file not there"]["utterances"] == len(made.silent)
    assert missing["transcript"]["utterances"] == sum(not one.text for one in made.utterances) > 0
    hours = (len(made.utterances) - len(made.silent)) * 0.05 / 3600
    assert found["whole"]["hours"] == pytest.approx(hours)
    assert any(flaw in warning for flaw in made.flaws for warning in found["warnings"])


def test_crema_d_agrees_by_what_was_shown_from_counts_alone(tmp_path: Path) -> None:
    made = make_crema_d(tmp_path, sentences=("ITH",), odd=False)
    found = told(tmp_path)
    assert (found["corpus"], found["policy"]["raters"]) == ("crema-d", "voice")
    assert [one["votes"] for one in found["agreements"]] == [
        "counted votes",
        "classes as kept",
        "kind face",
        "kind multimodal",
    ]
    assert found["kept"] == len(made.utterances)
    for one in found["agreements"]:
        assert one["alpha"]["num_units"] == len(made.utterances)
        assert -1 < one["alpha"]["value"] < 1
        assert "not always as many" in one["kappa"]["why_not"]
    assert {one["unnamed"] for one in found["kinds"]} > {0} or found["kinds"][0]["raters"] == 0
    each = [sum(vote.kind == "voice" for vote in one.votes) for one in made.utterances]
    expected = {str(number): each.count(number) for number in sorted(set(each))}
    assert found["votes_per_utterance"] == expected


def test_msp_podcast_has_parts_secondary_votes_and_what_lacks_both(tmp_path: Path) -> None:
    made = make_msp_podcast(tmp_path, num_segments=60, num_votes=360)
    found = told(tmp_path)
    assert found["policy"]["keep"] == "any-vote"
    splits = {one["value"]: one["utterances"] for one in found["parts"] if one["column"] == "split"}
    assert splits == {
        split: sum(one.split == split for one in made.values())
        for split in {one.split for one in made.values()}
    }
    secondary = sum(not first for one in made.values() for _, _, first in one.votes)
    assert found["kinds"][0]["secondary"] == secondary > 0
    missing = {one["what"]: one["utterances"] for one in found["missing"]}
    assert missing["votes"] == sum(not one.votes for one in made.values()) > 0
    assert missing["speaker"] == sum(not one.speaker for one in made.values()) > 0
    assert missing["audio file not readable"] == len(made)  # made without a byte in them
    assert found["whole"]["hours"] is None
    every = told(tmp_path, "--choices", "all", "--no-durations")
    # A label that a rater gave as primary and as secondary choice is one vote.
    labels = {(name, who, label) for name, one in made.items() for who, label, _ in one.votes}
    assert found["counted"] < every["counted"] == len(labels) < found["counted"] + secondary
    finished = amber("corpus", tmp_path, "--quiet")
    assert finished.err == ""
    assert "Hours: without 60 utterances of unknown length." in finished.out


@pytest.mark.skipif(not REAL.is_dir(), reason="the real table of votes is not at hand")
def test_the_real_table_of_crema_d() -> None:
    found = told(REAL)
    assert found["whole"]["utterances"] == 7_442
    assert {one["kind"]: one["votes"] for one in found["kinds"]}["voice"] > 60_000
    alphas = {one["votes"]: one["alpha"]["value"] for one in found["agreements"]}
    # Raters agree least on the voice alone, and most where they see and hear.
    assert 0 < alphas["counted votes"] < alphas["kind face"] < alphas["kind multimodal"] < 1


def test_progress_and_warnings_stay_on_stderr_and_quiet_is_quiet(tmp_path: Path) -> None:
    manifest = make_corpus(tmp_path)
    (tmp_path / "votes.csv").rename(tmp_path / "elsewhere.csv")
    loud, quiet = amber("corpus", manifest), amber("corpus", manifest, "--quiet")
    assert "reading audio headers: 3/3" in loud.err
    assert "no votes.csv" in loud.err
    assert quiet.err == ""
    assert quiet.out == loud.out
    found = told(manifest, "--votes-file", tmp_path / "elsewhere.csv")
    assert found["counted"] == 6


def test_without_votes_it_tells_the_rest_and_why_there_are_no_classes(tmp_path: Path) -> None:
    manifest = make_corpus(tmp_path)
    (tmp_path / "votes.csv").unlink()
    found = told(manifest)
    assert found["notes"] == [
        "No classes: the counted votes are none, and two labels are the least."
    ]
    assert (found["classes"], found["keeps"], found["entropy"]) == ([], [], None)
    finished = amber("corpus", manifest, "--quiet")
    assert finished.status == 0
    assert "Classes" not in finished.out
    assert "No classes: the counted votes are none" in finished.out
    assert "Alpha of counted votes: no two raters judged the same." in finished.out


def test_a_manifest_for_features_of_ones_own_needs_only_ids_and_votes(tmp_path: Path) -> None:
    write_table(tmp_path / "manifest.csv", [{"id": "a"}, {"id": "b"}])
    write_table(tmp_path / "votes.csv", [{"id": "a", "rater": "r1", "label": "sad"}])
    assert told(tmp_path)["counted"] == 1


def test_one_label_everywhere_has_no_alpha_rather_than_a_perfect_one(tmp_path: Path) -> None:
    made = [utterance(f"u{number}", "sad", "sad") for number in range(3)]
    cache = small_cache(tmp_path / "cache.h5", made)
    finished = amber("corpus", cache)
    assert "Alpha of counted votes: all raters gave one and the same label." in finished.out
    assert "No classes: the counted votes name sad alone" in finished.out
    assert told(cache)["agreements"][0]["alpha"]["value"] is None
    with_classes = told(cache, "--classes", "sad,happy")
    assert with_classes["notes"] == ["No counted vote names happy: amber fit refuses such a class."]
    assert with_classes["kept"] == 3


def test_a_cache_of_no_names_and_labels_with_odd_signs(tmp_path: Path) -> None:
    signs = ("a$b$", "[bold]x", "日本", "<&>")
    made = [
        utterance(f"u{n}", *(Vote("", signs[(n * k) % 4]) for k in range(1, 4))) for n in range(8)
    ]
    cache = small_cache(tmp_path / "cache.h5", made, corpus="")
    finished = amber("corpus", cache, "--figures", tmp_path / "figures")
    assert finished.status == 0, finished.err
    assert "(without a name)" in finished.out
    assert all(sign in finished.out for sign in signs)
    assert "a$b$" in (tmp_path / "figures" / "classes.svg").read_text(encoding="utf-8")


def test_figures_are_drawn_in_both_kinds_the_same_each_time(
    demo_cache: Path, tmp_path: Path
) -> None:
    finished = amber("corpus", demo_cache, "--figures", tmp_path / "new" / "folder", "--quiet")
    assert (finished.status, finished.err) == (0, "")
    files = sorted((tmp_path / "new" / "folder").iterdir())
    assert [one.name for one in files] == [
        f"{name}.{kind}" for name in ("classes", "confusion", "entropy") for kind in ("png", "svg")
    ]
    for path in files:
        assert f"Figure: {path}" in finished.out
        begins = {".png": b"\x89PNG\r\n", ".svg": b"<?xml"}[path.suffix]
        assert path.read_bytes().startswith(begins)
        if path.suffix == ".svg":
            assert "SYNTHETIC DEMO: " in path.read_text(encoding="utf-8")
    again = told(demo_cache, "--figures", tmp_path / "again")
    assert again["figures"] == [str(tmp_path / "again" / one) for one in _drawn_order()]
    for path in files:
        assert (tmp_path / "again" / path.name).read_bytes() == path.read_bytes()


def _drawn_order() -> list[str]:
    return [
        f"{name}.{kind}" for name in ("entropy", "classes", "confusion") for kind in ("png", "svg")
    ]


def test_a_corpus_that_is_named_is_read_so(tmp_path: Path) -> None:
    shutil.copytree(ROOT / "data" / "demo", tmp_path / "copy")
    assert told(tmp_path / "copy")["policy"]["protocol"] == ""
    assert told(tmp_path / "copy", "--corpus", "demo")["policy"]["protocol"] == "demo-4"
    (tmp_path / "amber.toml").write_text('corpus = "demo"\nkeep = "any-vote"\n')
    finished = amber("corpus", "copy", "--json", cwd=tmp_path)
    found = json.loads(finished.out)
    assert (found["policy"]["protocol"], found["policy"]["keep"]) == ("demo-4", "any-vote")
    small_cache(tmp_path / "cache.h5")  # what the file says of corpora is not for a cache
    assert amber("corpus", "cache.h5", cwd=tmp_path).status == 0


def test_label_settings_have_fits_words_and_help() -> None:
    fit = {one.name: one for one in settings_of(FitConfig)}
    for one in settings_of(OverviewConfig):
        assert one.name not in fit or fit[one.name] == one


REFUSALS = [
    ("data/cache.h5 --corpus demo", "--corpus has no effect on a cache (data/cache.h5); leave it"),
    ("data/cache.h5 --votes-file v.csv", "--votes-file has no effect on a cache"),
    ("data/cache.h5 --no-durations", "--no-durations has no effect on a cache"),
    ("data/cache.h5 --keep some", "--keep: 'some' is not on offer; choose from all-in"),
    ("data/cache.h5 --choices both", "--choices: 'both' is not on offer"),
    ("data/cache.h5 --raters self", "--raters self: no such kind of rater"),
    ("data/cache.h5 --protocol demo-5", "--protocol demo-5: no such protocol; choose from demo-4"),
    ("data/cache.h5 --classes neutral", "needs at least two classes"),
    ("data/cache.h5 --classes neutral,exited", "no vote names the label exited"),
    ("data/cache.h5 --figures data/cache.h5", "--figures data/cache.h5: is a file; name a folder"),
    ("data/cache.h5 --kappa 4", "No such option: --kappa"),
    ("data/cache.h5 more", "unexpected extra argument"),
    ("", "Missing argument 'ROOT_OR_CACHE'"),
    ("data/none.h5", "data/none.h5: no such file; `amber extract` makes a cache"),
    ("nowhere", "nowhere: no such file or folder; give a cache, a manifest"),
    ("data", "data: no corpus is known by what stands there (cache.h5): looked for manifest.csv"),
    ("data --corpus meld", "--corpus meld: no such corpus; choose from demo, manifest"),
    ("data --corpus iemocap", "is no IEMOCAP release"),
    ("data --corpus manifest", "data: must be a .csv or .jsonl file"),
]


@pytest.mark.parametrize(("arguments", "match"), REFUSALS)
def test_what_can_not_be_done_is_refused_in_a_line(
    workplace: Path, arguments: str, match: str
) -> None:
    before = sorted(workplace.rglob("*"))
    refused(amber("corpus", *arguments.split(), cwd=workplace), match)
    assert sorted(workplace.rglob("*")) == before


def test_figures_of_nothing_and_votes_for_a_release_are_refused(tmp_path: Path) -> None:
    manifest = make_corpus(tmp_path / "mine")
    (tmp_path / "mine" / "votes.csv").unlink()
    options = ("--figures", tmp_path / "figures", "--quiet")
    finished = amber("corpus", manifest, *options)
    refused(finished, "--figures: there is nothing to draw: No classes: the counted votes are none")
    assert not (tmp_path / "figures").exists()
    make_crema_d(tmp_path / "clips", sentences=("ITH",), audio=False)
    finished = amber("corpus", tmp_path / "clips", "--votes-file", manifest, "--quiet")
    refused(finished, "--votes-file: CREMA-D brings its own votes")


def test_a_damaged_cache_and_a_vote_for_nobody_are_refused(tmp_path: Path) -> None:
    cache = small_cache(tmp_path / "cache.h5")
    with h5py.File(cache, "r+") as file:
        file["votes/label"][0] = 3 - file["votes/label"][0]
    refused(amber("corpus", cache), "/votes/label: is damaged")
    manifest = make_corpus(tmp_path / "mine")
    rows = read_rows(tmp_path / "mine" / "votes.csv")
    write_table(tmp_path / "mine" / "votes.csv", [*rows, {**rows[0], "id": "u9"}])
    refused(amber("corpus", manifest, "--quiet"), "a vote for 'u9'")


def test_votes_are_counted_in_ranges_where_there_are_many_numbers(tmp_path: Path) -> None:
    made = [utterance(f"u{n:02d}", *(["sad", "happy"] * 40)[:n]) for n in range(60)]
    cache = small_cache(tmp_path / "cache.h5", made)
    tables = printed(amber("corpus", cache))
    rows = next(rows for title, rows in tables.items() if title.startswith("Counted votes"))
    assert rows[0][0] == "0 to 3"
    assert rows[-1][0] == "56 to 59"
    assert sum(int(row[-2]) for row in rows) == 60
    counts = told(cache)["votes_per_utterance"]
    np.testing.assert_array_equal([int(number) for number in counts], range(60))
