"""`--subset`: values and columns and what is refused, then as typed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import h5py
import pytest

from amber_cache.config import resolve
from amber_cache.errors import ConfigError
from amber_cache.store import UtteranceTable, utterance_table
from amber_heads.configuration.options import FitConfig
from amber_heads.policies.subset import parse_subset, subset_mask, subset_texts
from tests.commands import amber
from tests.reference_cache import load, utterance
from tests.small_caches import changed, small_cache, utterances

FAST = ("--epochs", 1, "--hidden", 4, "--seeds", 1, "--num-folds", 3, "--quiet", "--json")

TABLE = utterance_table(
    [
        utterance("a", style="improvised", gender="female", speaker="1", session="1"),
        utterance("b", style="Improvised", gender="male", speaker="2", session="1"),
        utterance("c", style="scripted", gender="female", speaker="Doe, Ann", session="2"),
        utterance("d", style="", gender="female", speaker="a|b", session="2"),
        utterance("e", style="scripted", gender="male", speaker="a", session="2", text="male"),
    ]
)


def chosen(*texts: str, table: UtteranceTable = TABLE) -> str:
    return "".join(table.id[subset_mask(parse_subset(texts, table), table)])


@pytest.mark.parametrize(
    ("texts", "ids"),
    [
        ((), "abcde"),
        (("style=scripted",), "ce"),
        (("style=improvised",), "ab"),  # in any case
        (("style=improvised,scripted",), "abce"),  # but not what is unknown
        (("style=IMPROVISED|scripted",), "abce"),
        (("style = scripted , improvised",), "abce"),
        (("style=scripted", "gender=female"), "c"),
        (("style=scripted,gender=female",), "c"),
        (("improvised",), "ab"),
        (("improvised|scripted",), "abce"),
        (("male",), "be"),  # what was said is no column of a subset
        (("improvised", "female"), "a"),
        (("speaker=Doe, Ann",), "c"),  # a value that holds a comma
        (("speaker=a|b",), "d"),
    ],
)
def test_a_subset_is_the_utterances_that_have_the_values(texts: tuple[str, ...], ids: str) -> None:
    assert chosen(*texts) == ids


def test_its_plain_form_has_columns_in_order_and_the_caches_spelling_and_reads_back() -> None:
    subset = parse_subset(("female", "IMPROVISED"), TABLE)
    texts = subset_texts(subset)
    assert texts == ("gender=female", "style=Improvised,improvised")
    assert parse_subset(texts, TABLE) == subset
    comma = parse_subset(("Doe, Ann",), TABLE)
    assert parse_subset(subset_texts(comma), TABLE) == comma


@pytest.mark.parametrize(
    ("texts", "line"),
    [
        (("mood=x",), "--subset mood=x: no such column; there are speaker .* gender .female, male"),
        (("text=male",), "--subset text=male: no such column"),
        (("style=sung",), "no utterance has the style sung; there are Improvised, impro.*scripted"),
        (("style=scripted,sung",), "no utterance has the style sung; there are"),
        (("language=en",), "--subset language=en: the language of no utterance is known"),
        (("sung",), "--subset sung: no column has it; there are"),
        (("1",), "speaker and session have it; write speaker=1 or session=1"),
        (("improvised,female",), "--subset improvised,female: no column has it"),
        (("",), "is empty; write COLUMN=VALUE"),
        ((",",), "is empty; write COLUMN=VALUE"),
        (("style=scripted", "improvised"), "style is named twice; write style=A,B"),
    ],
)
def test_what_names_nothing_or_several_things_is_refused(texts: tuple[str, ...], line: str) -> None:
    with pytest.raises(ConfigError, match=line):
        parse_subset(texts, TABLE)


def test_many_values_are_named_in_part() -> None:
    crowd = utterance_table([utterance(f"u{i}", speaker=f"s{i:02d}") for i in range(30)])
    with pytest.raises(ConfigError, match="there are s00, s01, s02, s03, s04, s05 and 24 more"):
        parse_subset(("speaker=x",), crowd)


def test_a_subset_of_all_or_of_none_is_refused() -> None:
    with pytest.raises(ConfigError, match="gender=female,male has no effect: every utterance"):
        chosen("gender=female,male")
    with pytest.raises(ConfigError, match="speaker=1 session=2: no utterance has all of it"):
        chosen("speaker=1", "session=2")


def test_what_lies_outside_is_counted_first_and_its_votes_make_no_class(tmp_path: Path) -> None:
    some = [
        utterance("a", "sad", "angry", style="scripted"),
        utterance("b", "sad", "fear", style="improvised"),
        utterance("c", style="improvised"),
        utterance("d", "angry", style="scripted"),
        utterance("e", style="scripted"),
    ]
    subset = (("style", ("scripted",)),)
    dataset = load(tmp_path, some, classes="", subset=subset)
    assert dataset.ids.tolist() == ["a", "d"]
    assert dataset.classes == ("angry", "sad")
    assert dataset.left_out == {"outside the subset style=scripted": 2, "without a counted vote": 1}
    assert len({dataset.fingerprint, load(tmp_path, some, classes="").fingerprint}) == 2


@pytest.mark.parametrize(
    ("environment", "file", "wanted"),
    [
        ("style=a,b", "", ("style=a,b",)),
        ("style=a,b,gender=c", "", ("style=a,b,gender=c",)),  # parted when it is read
        (None, 'subset = "improvised"', ("improvised",)),
        (None, 'subset = ["style=a,b", "gender=c"]', ("style=a,b", "gender=c")),
        (None, '[subset]\nstyle = ["a", "b"]\ngender = "c"', ("style=a,b", "gender=c")),
    ],
)
def test_it_is_read_from_environment_and_file(
    tmp_path: Path, environment: str | None, file: str, wanted: tuple[str, ...]
) -> None:
    (tmp_path / "amber.toml").write_text(file)
    environ = {} if environment is None else {"AMBER_SUBSET": environment}
    config, _ = resolve(FitConfig, {}, environ=environ, toml_file=tmp_path / "amber.toml")
    assert config.subset == wanted


@pytest.fixture
def place(tmp_path: Path) -> Path:
    made = changed(
        utterances(60),
        lambda i, one: {"style": ("scripted", "improvised", "")[i % 3], "gender": "fm"[i % 2]},
    )
    small_cache(tmp_path / "data" / "cache.h5", made)
    return tmp_path


def _fit(place: Path, *arguments: object, out: str = "run") -> Any:
    finished = amber("fit", *FAST, "--out", out, *arguments, cwd=place)
    assert finished.status == 0, finished.err
    return json.loads(finished.out)


def test_training_and_test_see_the_subset_alone(place: Path) -> None:
    summary = _fit(place, "--subset", "style=improvised,scripted", "--subset", "f")
    assert summary["utterances"] == {
        "used": 20,
        "left_out": {"outside the subset gender=f style=improvised,scripted": 40},
    }
    with h5py.File(place / "run" / "predictions.h5") as file:
        numbers = [int(name[1:]) for name in file["id"].asstr()[:]]
    assert numbers == [i for i in range(60) if i % 2 == 0 and i % 3 != 2]
    held = json.loads((place / "run" / "config.json").read_text())["settings"]
    assert held["subset"] == ["gender=f", "style=improvised,scripted"]
    assert "outside the subset" in (place / "run" / "table.md").read_text()


def test_one_subset_in_other_words_is_the_same_run_and_is_run_again_from_its_configuration(
    place: Path,
) -> None:
    assert not _fit(place, "--subset", "style=Improvised")["stored"]
    assert _fit(place, "--subset", "improvised")["stored"]
    finished = amber("fit", "--config", "run/config.json", "--out", "again", "--quiet", cwd=place)
    assert finished.status == 0, finished.err
    for name in ("runs.csv", "summary.json", "config.json"):
        assert (place / "again" / name).read_bytes() == (place / "run" / name).read_bytes()
