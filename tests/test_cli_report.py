"""`amber report` as a user meets it: where it writes, what it says, what it refuses."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import soundfile

from amber_cache.errors import ConfigError
from amber_heads.reading.evidence import read_evidence
from amber_heads.reporting.all_tables import all_tables, leading_tables
from amber_heads.reporting.contents import (
    Contents,
    ReportConfig,
    as_data,
    gather,
    parse_levels,
    parse_names,
)
from amber_heads.reporting.difference_tables import anatomy_tables, difference_tables
from amber_heads.reporting.differences import PRIMARY
from amber_heads.reporting.figures import draw_part
from amber_heads.reporting.protocol import write_protocol
from amber_heads.reporting.recordings import read_audio
from amber_heads.reporting.report_tables import scores_tables
from amber_heads.reporting.sections import warnings_of
from amber_heads.results import without_nan
from amber_heads.tables import to_markdown
from tests.commands import Finished, amber
from tests.report_runs import make_run
from tests.small_caches import small_cache

_FIT = {"loss": "amber2", "student": "fusion", "kappa": 4.0, "lambda_mai": 0.5, "lr": 3e-4}


def _contents(*runs: Path, **options: object) -> Contents:
    config = ReportConfig(runs=runs, names={}, **options)  # type: ignore[arg-type]
    return gather(read_evidence(runs), config)


def _report(cwd: Path, *arguments: object) -> Finished:
    return amber("report", *arguments, "--quiet", cwd=cwd)


def _lines(table: object) -> list[str]:
    return to_markdown(table).splitlines()  # type: ignore[arg-type]


def test_a_report_has_a_folder_of_its_own_and_is_made_anew_there(
    trained_runs: Sequence[Path],
) -> None:
    place = trained_runs[0].parent.parent
    told = json.loads(amber("report", *trained_runs, "--json", cwd=place).out)
    assert re.fullmatch(r"runs/report-[0-9a-f]{8}", told["folder"])
    assert told["systems"] == 6
    folder = place / told["folder"]
    try:
        names = {one.name for one in folder.iterdir()}
        assert names == {
            "report.html", "protocol.md", "references.bib", "data.json", "tables", "figures",
        }  # fmt: skip
        figures = {one.stem for one in (folder / "figures").iterdir()}
        assert {"grid-1", "experts", "training-1", "confusion", "differences"} <= figures
        (folder / "notes.txt").write_text("mine")
        refused = _report(place, *trained_runs)
        assert refused.status == 2
        assert "also holds notes.txt, which no report wrote" in refused.err
    finally:
        shutil.rmtree(folder)


@pytest.mark.parametrize("place", ["runs/../a-file", "."])
def test_a_place_that_is_none_is_refused_before_anything_is_computed(
    tmp_path: Path, place: str
) -> None:
    make_run(tmp_path / "runs" / "one")
    (tmp_path / "a-file").write_text("mine")
    refused = _report(tmp_path, "runs/one", "--out", place)
    assert refused.status == 2
    assert "--out" in refused.err
    assert (tmp_path / "a-file").read_text() == "mine"


def test_runs_of_other_data_are_refused_in_one_line(tmp_path: Path) -> None:
    make_run(tmp_path / "one")
    make_run(tmp_path / "two", number=70)
    refused = _report(tmp_path, "one", "two")
    assert refused.status == 2
    assert "different utterances: 70 and 60, of which they share 60" in refused.err
    assert not (tmp_path / "runs").exists()


def test_an_unknown_reference_is_refused_with_what_there_is(tmp_path: Path) -> None:
    make_run(tmp_path / "one")
    refused = _report(tmp_path, "one", "--reference", "none such")
    assert refused.status == 2
    assert "no system 'none such'; the runs have amber2 fusion" in refused.err


def test_unknown_clusters_are_refused(tmp_path: Path) -> None:
    make_run(tmp_path / "one", speakers=[""] * 60)
    assert "--clusters rater: must be one of" in _report(tmp_path, "one", "--clusters", "rater").err
    assert "--clusters speaker" in _report(tmp_path, "one", "--clusters", "speaker").err


def test_unknown_speakers_leave_dialogues_as_clusters(tmp_path: Path) -> None:
    make_run(tmp_path / "one", speakers=[""] * 60)
    clusters = _contents(tmp_path / "one").parts[0].clusters
    assert (clusters.kind, clusters.number) == ("dialogue", 15)


def test_five_sessions_allow_no_p_below_a_sixteenth(tmp_path: Path) -> None:
    make_run(tmp_path / "one")
    part = _contents(tmp_path / "one", clusters="session").parts[0]
    assert part.compared["js"][0].difference.smallest_p == pytest.approx(0.0625)
    text = to_markdown(difference_tables(part, mark="")["differences"])
    assert "So few clusters allow no p below 0.0625." in text


def test_the_reference_may_be_chosen(tmp_path: Path) -> None:
    make_run(tmp_path / "one", heads=("js/fusion", "kl/fusion", "amber2/fusion"))
    part = _contents(tmp_path / "one", reference="kl").parts[0]
    assert part.choices.reference is not None
    assert part.choices.reference.label == "kl fusion"
    assert part.choices.leading.label == "amber2 fusion"


def test_one_seed_has_no_deviation_and_no_test_and_says_so(tmp_path: Path) -> None:
    make_run(tmp_path / "one", seeds=(0,))
    contents = _contents(tmp_path / "one")
    assert any("One seed: there is no standard deviation" in one for one in warnings_of(contents))
    part = contents.parts[0]
    assert not [one for one in _lines(scores_tables(part, mark="")["scores"]) if "±" in one]
    assert all(np.isnan(one.difference.p) for one in part.compared["js"])
    assert "seeds: 1, too few" in to_markdown(difference_tables(part, mark="")["differences"])
    assert "by no test: with one seed" in write_protocol(contents, {})


def test_one_system_is_compared_with_nothing_and_says_so(tmp_path: Path) -> None:
    make_run(tmp_path / "one", heads=("amber2/fusion",))
    contents = _contents(tmp_path / "one")
    assert contents.parts[0].compared == {}
    assert "One system: there is nothing to compare it with." in warnings_of(contents)
    assert "nothing is compared" in write_protocol(contents, {})


def test_one_system_has_no_difference_to_draw(tmp_path: Path) -> None:
    make_run(tmp_path / "one", heads=("cb-ce/fusion", "cb-ce/audio", "cb-ce/text"))
    (part,) = _contents(tmp_path / "one").parts
    assert all(not one.is_system for one in part.compared[PRIMARY])  # the training mean alone
    assert "differences" not in draw_part(part, suffix="", mark="")


def test_without_heads_trained_apart_conflict_is_left_out_and_said_so(tmp_path: Path) -> None:
    make_run(tmp_path / "one", heads=("amber2/fusion", "amber2/audio", "amber2/text"))
    contents = _contents(tmp_path / "one")
    assert contents.parts[0].conflict_levels is None
    assert any("modality conflict" in one for one in warnings_of(contents))


def test_a_class_that_never_occurs_in_a_fold_is_named(tmp_path: Path) -> None:
    make_run(tmp_path / "one", number=12)
    contents = _contents(tmp_path / "one")
    assert contents.parts[0].absent
    fold, name = contents.parts[0].absent[0]
    wanted = f"In fold {fold} no tested utterance leads with {name}: its F1 there counts as 0."
    assert wanted in warnings_of(contents)


def test_a_diverged_seed_leaves_a_dash_and_is_named(tmp_path: Path) -> None:
    make_run(tmp_path / "one", diverged=("cb-ce/fusion",))
    part = _contents(tmp_path / "one").parts[0]
    lines = _lines(scores_tables(part, mark="")["scores"])
    (row,) = [one for one in lines if one.startswith("| cb-ce | fusion |")]
    assert set(row.replace("cb-ce", "").replace("fusion", "")) <= set("| -")
    assert any("A seed diverged" in one and "cb-ce fusion" in one for one in lines)


def test_a_cut_off_run_is_named_and_the_rest_reported(tmp_path: Path) -> None:
    make_run(tmp_path / "one")
    make_run(tmp_path / "two", without=["predictions.h5"])
    contents = _contents(tmp_path / "one", tmp_path / "two")
    assert any("two: has no predictions.h5" in one for one in warnings_of(contents))
    assert len(contents.parts[0].scores) == 4 * 2 + 3


def test_test_sets_are_judged_each_by_itself(tmp_path: Path) -> None:
    made = make_run(tmp_path / "one", test_sets=("test1", "test2"))
    contents = _contents(tmp_path / "one")
    assert [part.name for part in contents.parts] == ["test1", "test2"]
    assert [len(part.evidence.ids) for part in contents.parts] == [15, 15]
    tested = [one for one, fold in zip(made.ids, made.fold, strict=True) if fold >= 0]
    assert contents.utterances.evidence.ids.tolist() == tested


def test_every_test_set_has_its_tables_under_names_of_their_own(tmp_path: Path) -> None:
    make_run(tmp_path / "one", test_sets=("test1", "../test 2"))
    contents = _contents(tmp_path / "one")
    tables = all_tables(contents)
    assert list(tables["test1"]["results"])[0] == "scores-1-test1"
    assert list(tables["../test 2"]["results"])[0] == "scores-2-test-2"
    shown = [one.title for one in leading_tables(contents, tables)]
    assert shown == [
        "Results, test1", "Differences in JS ↓, test1", "Results, ../test 2",
        "Differences in JS ↓, ../test 2",
    ]  # fmt: skip


def test_a_temperature_is_fitted_where_validation_is_never_tested(tmp_path: Path) -> None:
    make_run(tmp_path / "one", test_sets=("test1", "test2"))
    (found, *_) = _contents(tmp_path / "one").parts[0].calibrated
    assert found.temperature is not None
    assert found.scaled["js"] < 1


def test_quantiles_are_levels_of_about_as_many(tmp_path: Path) -> None:
    make_run(tmp_path / "one", num_raters=9)
    levels = _contents(tmp_path / "one", levels=3).parts[0].entropy_levels
    assert len(levels.names) == 3
    assert max(levels.numbers) - min(levels.numbers) <= 8


@pytest.mark.parametrize("given", ["many", "1", "99", "-3"])
def test_levels_that_are_none_are_refused(given: str) -> None:
    with pytest.raises(ConfigError, match="--levels"):
        parse_levels(given)


def test_names_must_be_of_given_runs() -> None:
    runs = [Path("a"), Path("b")]
    assert parse_names(["mine=a"], runs) == {Path("a"): "mine"}
    with pytest.raises(ConfigError, match="with a RUN of a, b"):
        parse_names(["mine=c"], runs)
    with pytest.raises(ConfigError, match="another run is called mine"):
        parse_names(["mine=a", "mine=b"], runs)


def test_other_label_policies_stand_in_the_protocol(tmp_path: Path) -> None:
    make_run(tmp_path / "one", settings=_FIT)
    missing = write_protocol(_contents(tmp_path / "one"), {})
    assert "amber fit --keep any-vote" in missing
    make_run(tmp_path / "two", number=80, settings={**_FIT, "keep": "any-vote"})
    summary = tmp_path / "two" / "summary.json"
    told = json.loads(summary.read_text())
    metrics = ("js", "bc", "r2", "f1", "wf1", "acc")
    told["selected"]["judged"] = {"test": {one: {"mean": 0.25} for one in metrics}}
    summary.write_text(json.dumps(told))
    config = tmp_path / "two" / "config.json"
    size = json.loads(config.read_text())["files"]["summary.json"]
    config.write_text(config.read_text().replace(f": {size}", f": {summary.stat().st_size}"))
    found = write_protocol(_contents(tmp_path / "one", tmp_path / "two"), {})
    assert "| amber2 | any-vote | external | - | test | 80 | 0.250 |" in found


def test_departures_from_the_paper_are_told_with_their_reason(tmp_path: Path) -> None:
    make_run(tmp_path / "one", settings={**_FIT, "lr": 1e-3, "attach_weights": True})
    text = write_protocol(_contents(tmp_path / "one"), {})
    assert "| lr | 0.0003 | 0.001 | given with --lr |" in text
    assert "| gradient through the expert weights u | not given | attached |" in text
    assert "| seeds | 5 | 3 | --seeds |" in text


def test_the_leading_figures_are_json(tmp_path: Path) -> None:
    make_run(tmp_path / "one")
    data = without_nan(as_data(_contents(tmp_path / "one")))
    assert json.loads(json.dumps(data, allow_nan=False))["parts"]["test"]["n"] == 60


def test_a_comparisons_anatomy_is_shown(tmp_path: Path) -> None:
    step = {"what": "no class weights", "before": "cb-ce", "after": "soft-ce", "mean": -0.01}
    step |= {"low": -0.02, "high": 0.001, "p": 0.0625}
    summary = {"anatomy": {"test": {"steps": [step], "whole": {**step, "what": "in all"}}}}
    (table,) = anatomy_tables({Path("run"): summary}, "test", mark="").values()
    assert table.rows[0][3:] == ("-0.0100", "[-0.0200, +0.0010]", "0.0625")
    assert table.rows[1][0] == "in all"


def test_two_anatomies_are_called_as_their_runs_are() -> None:
    told = {"what": "a", "before": "cb-ce", "after": "js", "mean": -0.01}
    summary = {"anatomy": {"test": {"steps": [told]}}}
    one, two = Path("runs/one"), Path("runs/two")
    tables = anatomy_tables({one: summary, two: summary}, "test", mark="", names={one: "mine"})
    titles = [table.title for table in tables.values()]
    assert titles == [f"Anatomy of the gain over CB-CE in JS, {name}" for name in ("mine", "two")]


def test_an_anatomy_names_its_test_set_and_the_clusters_of_its_comparison() -> None:
    step = {"what": "a", "before": "cb-ce", "after": "js", "mean": -0.01, "num_clusters": 3}
    summary = {"clusters": "session", "anatomy": {"test1": {"steps": [step], "whole": None}}}
    (table,) = anatomy_tables({Path("run"): summary}, "test1", mark="").values()
    assert table.title == "Anatomy of the gain over CB-CE in JS, test1"
    assert "From the comparison: each session (3) swapped and drawn as one." in table.notes
    assert any("FROM 3 CLUSTERS (session) holds the truth in at most 75%" in n for n in table.notes)
    assert "at most 75% interval" in table.columns


def test_intervals_of_two_speakers_are_not_called_95_percent(tmp_path: Path) -> None:
    make_run(tmp_path / "one", speakers=["a", "b"] * 30)
    assert _report(tmp_path, "one", "--out", "r").status == 0
    note = "AN INTERVAL FROM 2 CLUSTERS (speaker) holds the truth in at most 50% of cases"
    assert note in (tmp_path / "r" / "tables" / "differences.md").read_text()
    assert "(at most 50%, expanded percentiles)" in (tmp_path / "r" / "protocol.md").read_text()
    page = (tmp_path / "r" / "report.html").read_text()
    assert "Lines: at most 50% bootstrap intervals" in page
    assert "at most 50% [" in page


def test_a_training_that_two_runs_hold_counts_once(tmp_path: Path) -> None:
    make_run(tmp_path / "one")
    make_run(tmp_path / "two")
    alone = _contents(tmp_path / "one").parts[0].compared[PRIMARY]
    both = _contents(tmp_path / "one", tmp_path / "two").parts[0]
    p = {one.label: one.difference.p_adjusted for one in both.compared[PRIMARY]}
    assert all(p[one.label] == one.difference.p_adjusted for one in alone if one.is_system)
    assert np.isnan(p["cb-ce (two) fusion"])
    table = difference_tables(both, mark="")["differences"]
    assert any("cb-ce (two) fusion trains as cb-ce fusion" in note for note in table.notes)


def test_transcripts_come_only_where_asked_for(tmp_path: Path) -> None:
    make_run(tmp_path / "one", ids=[f"u{i:03d}" for i in range(40)], number=40)
    cache = small_cache(tmp_path / "cache.h5")
    assert _contents(tmp_path / "one").utterances.texts is None
    found = _contents(tmp_path / "one", with_text=True, cache=cache).utterances.texts
    assert found is not None
    assert found["u007"] == "text 7"


def test_a_cache_of_other_utterances_is_refused(tmp_path: Path) -> None:
    make_run(tmp_path / "one")
    small_cache(tmp_path / "cache.h5")
    refused = _report(tmp_path, "one", "--with-text", "--cache", "cache.h5")
    assert refused.status == 2
    assert "lacks 60 of the runs' 60 utterances" in refused.err
    refused = _report(tmp_path, "one", "--with-text", "--cache", "none.h5")
    assert "--with-text: there is no cache none.h5" in refused.err


def test_sound_is_embedded_up_to_its_budget(demo_cache: Path) -> None:
    root = Path(__file__).parents[1] / "data" / "demo"
    from amber_cache.store import open_cache

    with open_cache(demo_cache) as opened:
        ids = [str(one) for one in opened.utterances.id[:4]]
    found = read_audio(demo_cache, root, ids)
    assert list(found) == ids
    assert all(one.startswith("data:audio/ogg;base64,") for one in found.values())
    two = sum(len(found[one]) for one in ids[:2])
    assert list(read_audio(demo_cache, root, ids, budget=two)) == ids[:2]


def test_sound_that_is_not_there_is_refused(demo_cache: Path, tmp_path: Path) -> None:
    from amber_cache.store import open_cache

    with open_cache(demo_cache) as opened:
        ids = [str(one) for one in opened.utterances.id[:2]]
    with pytest.raises(ConfigError, match="none of 2 audio files could be read"):
        read_audio(demo_cache, tmp_path, ids)


def test_sound_outside_of_the_root_is_not_read(demo_cache: Path, tmp_path: Path) -> None:
    from amber_heads.reporting.recordings import _inside

    soundfile.write(tmp_path / "secret.wav", np.zeros(800), 16000)
    (tmp_path / "root").mkdir()
    assert _inside(tmp_path / "root", "../secret.wav") is None
    assert _inside(tmp_path, "secret.wav") is not None
