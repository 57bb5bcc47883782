"""What a user left open, what nearer settings drop, the grid's cells; then the same as typed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from amber_cache.errors import ConfigError
from amber_cache.records import Vote
from amber_heads.configuration.settings import (
    FitConfig,
    GridConfig,
    complete,
    complete_fold_seed,
    expand,
    heads_of,
    parse_seeds,
)
from tests.commands import amber
from tests.small_caches import changed, small_cache, utterances

FLAG, CONFIG, ENVIRONMENT, FILE = 4, 3, 2, 1
FAST = ("--epochs", 1, "--hidden", 4, "--seeds", 1, "--num-folds", 3, "--quiet")


def _complete(config: FitConfig, protocol: str = "", **origins: int) -> Any:
    return complete(config, origins, protocol=protocol, modalities=("audio", "text"))


def _cells(config: FitConfig, **origins: int) -> list[tuple[Any, ...]]:
    completed = _complete(config, **origins)
    return [(one.loss, one.lambda_mai, one.kappa) for one in expand(completed)]


def test_every_gap_is_filled_with_what_the_contract_says() -> None:
    config = _complete(FitConfig())
    assert (config.student, config.kappa, config.lambda_rai) == ("fusion", 4, 1)
    assert (config.lambda_mai, config.expert_loss, config.attach_weights) == (0.5, 0, False)
    assert (config.keep, config.raters, config.choices) == ("all-in", "external", "primary")
    assert (config.folds, config.classes, config.seeds) == ("session", "", "0,1,2,3,4,")
    assert config.modalities == ("audio", "text")
    (run,) = expand(config)
    assert (run.lr, run.weight_decay, run.hidden, run.batch_size) == (3e-4, 1e-2, 256, 128)
    assert (run.epochs, run.dropout) == (30, 0)


@pytest.mark.parametrize(
    ("protocol", "classes", "keep", "folds"),
    [
        ("demo-4", "neutral,happy+excited,angry,sad", "all-in", "session"),
        ("iemocap-4", "neutral,happy+excited,angry,sad", "all-in", "session"),
        (
            "msp-podcast-8",
            "neutral,happy,angry,sad,disgust,fear,surprise,contempt",
            "any-vote",
            "random",
        ),
    ],
)
def test_a_protocol_sets_the_label_policy(
    protocol: str, classes: str, keep: str, folds: str
) -> None:
    config = _complete(FitConfig(), protocol=protocol)
    assert (config.classes, config.keep, config.folds) == (classes, keep, folds)
    config = _complete(FitConfig(keep="consensus", folds="speaker"), protocol=protocol)
    assert (config.classes, config.keep, config.folds) == (classes, "consensus", "speaker")


def test_a_unimodal_student_has_experts_with_a_loss_of_their_own() -> None:
    assert _complete(FitConfig(student="audio")).expert_loss == 1
    assert _complete(FitConfig(student="audio", expert_loss=0.0)).expert_loss == 0
    cells = expand(_complete(GridConfig(grid=(("student", "audio,fusion"),))))
    assert [(one.student, one.expert_loss) for one in cells] == [("audio", 1), ("fusion", 0)]


def test_a_loss_without_a_student_has_none_of_its_settings() -> None:
    (run,) = expand(_complete(FitConfig(loss="cb-ce")))
    assert run.student is None
    assert (run.kappa, run.lambda_rai, run.lambda_mai, run.expert_loss) == (None,) * 4


def test_the_default_grid_is_the_papers() -> None:
    assert _cells(GridConfig()) == [
        ("amber2", weight, kappa) for weight in (0.3, 0.5, 0.7) for kappa in (2, 4, 8)
    ]


def test_a_setting_fixes_an_axis_of_the_default_grid() -> None:
    cells = _cells(GridConfig(kappa=4.0), kappa=ENVIRONMENT)
    assert cells == [("amber2", weight, 4) for weight in (0.3, 0.5, 0.7)]


def test_what_a_file_sets_for_every_command_takes_no_axis_away() -> None:
    assert len(_cells(GridConfig(kappa=3.0), kappa=FILE)) == 9
    axis = GridConfig(kappa=3.0, grid=(("kappa", "2,8"),))
    assert [kappa for _, _, kappa in _cells(axis, kappa=FILE, grid=FILE)] == [2, 8]


def test_cells_that_come_to_the_same_are_one() -> None:
    grid = (("loss", "amber2,cb-ce,js"), ("kappa", "2,2.0,4"))
    assert _cells(GridConfig(grid=grid), grid=FLAG) == [
        ("amber2", 0.5, 2),
        ("amber2", 0.5, 4),
        ("cb-ce", None, None),
        ("js", None, None),
    ]


def test_kappa_makes_no_cells_where_the_experts_weigh_nothing() -> None:
    grid = (("lambda-mai", "0,0.5"), ("kappa", "2,8"))
    assert _cells(GridConfig(grid=grid), grid=FLAG) == [
        ("amber2", 0, 4),
        ("amber2", 0.5, 2),
        ("amber2", 0.5, 8),
    ]
    assert _cells(GridConfig(lambda_mai=0.0), lambda_mai=FLAG) == [("amber2", 0, 4)]


@pytest.mark.parametrize(("level", "other"), [(FLAG, FILE), (FLAG, CONFIG), (ENVIRONMENT, FILE)])
def test_a_nearer_loss_drops_what_it_does_not_listen_to(level: int, other: int) -> None:
    config = FitConfig(loss="cb-ce", kappa=2.0, student="audio", attach_weights=True)
    origins = {"kappa": other, "student": other, "attach_weights": other}
    dropped = _complete(config, loss=level, **origins)
    assert (dropped.kappa, dropped.student, dropped.attach_weights) == (None, None, None)
    with pytest.raises(ConfigError, match="--student has no effect with --loss cb-ce"):
        _complete(config, loss=other, **origins)


def test_a_nearer_setting_than_the_loss_is_refused() -> None:
    with pytest.raises(ConfigError, match="--kappa has no effect with --loss js"):
        _complete(FitConfig(loss="js", kappa=2.0), loss=FILE, kappa=FLAG)


def test_official_folds_drop_farther_settings_of_other_folds() -> None:
    config = FitConfig(folds="official", num_folds=3, validation="random", fold_seed=7)
    dropped = _complete(config, folds=FLAG, num_folds=FILE, validation=FILE, fold_seed=FILE)
    assert (dropped.num_folds, dropped.validation, dropped.fold_seed) == (5, "next", 0)
    with pytest.raises(ConfigError, match="--fold-seed has no effect with --folds official"):
        _complete(config, folds=FILE, num_folds=0, validation=0, fold_seed=FLAG)


def test_a_nearer_grid_wins_over_a_setting_and_a_nearer_setting_over_the_grid() -> None:
    config = GridConfig(grid=(("lr", "1e-3,1e-2"),), lr=0.5)
    axis = expand(_complete(config, grid=FLAG, lr=FILE))
    assert [one.lr for one in axis] == [1e-3, 1e-2]
    assert [one.lr for one in expand(_complete(config, grid=FILE, lr=FLAG))] == [0.5]
    with pytest.raises(ConfigError, match="--lr and --grid lr=... disagree"):
        _complete(config, grid=FLAG, lr=FLAG)


def test_a_completed_configuration_is_complete() -> None:
    for config in (
        FitConfig(student="audio"),
        FitConfig(loss="kl"),
        GridConfig(),
        GridConfig(kappa=4.0, lambda_mai=0.5),
        GridConfig(grid=(("attach-weights", "true,false"), ("hidden", "4,8"))),
        GridConfig(grid=(("student", "audio,fusion"), ("loss", "amber2,js"))),
    ):
        once = _complete(config)
        origins = dict.fromkeys(vars(once), CONFIG)
        again = complete(once, origins, protocol="", modalities=("audio", "text"))
        assert again == once
        assert expand(again) == expand(once)


def test_a_fold_seed_matters_where_something_is_drawn() -> None:
    config = _complete(FitConfig(fold_seed=3))
    assert complete_fold_seed(config, {}, num_groups=8) == config
    assert complete_fold_seed(config, {}, num_groups=None) == config
    drawn = _complete(FitConfig(fold_seed=3, validation="random"))
    assert complete_fold_seed(drawn, {}, num_groups=5) == drawn
    with pytest.raises(ConfigError, match="--fold-seed has no effect where each session is"):
        complete_fold_seed(config, {"fold_seed": FLAG}, num_groups=5)
    nearer = {"fold_seed": FILE, "num_folds": FLAG}
    assert complete_fold_seed(config, nearer, num_groups=5).fold_seed == 0


@given(st.lists(st.integers(0, 2**63 - 1), min_size=1, unique=True))
def test_a_list_of_seeds_is_read_as_it_was_written(seeds: list[int]) -> None:
    assert parse_seeds(",".join(map(str, seeds)) + ",") == tuple(seeds)


def test_heads_are_the_modalities_and_where_there_are_several_fusion() -> None:
    assert heads_of(["audio"]) == ("audio",)
    assert heads_of(["audio", "text", "face"]) == ("audio", "text", "face", "fusion")


@pytest.fixture
def place(tmp_path: Path) -> Path:
    splits = ("train", "train", "dev", "test1", "test2")
    made = changed(utterances(), lambda i, one: {"split": splits[i % 5]})
    small_cache(tmp_path / "data" / "cache.h5", made)
    return tmp_path


def _settings(place: Path, *arguments: object) -> dict[str, Any]:
    finished = amber("fit", *FAST, "--out", "run", "--overwrite", *arguments, cwd=place)
    assert finished.status == 0, finished.err
    return dict(json.loads((place / "run" / "config.json").read_text())["settings"])


def test_a_flag_wins_over_config_environment_file_and_default(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert _settings(place)["kappa"] == 4
    (place / "amber.toml").write_text("kappa = 1\n")
    assert _settings(place)["kappa"] == 1
    monkeypatch.setenv("AMBER_KAPPA", "2")
    assert _settings(place)["kappa"] == 2
    amber("fit", *FAST, "--kappa", 3, "--out", "frozen", cwd=place)
    frozen = ("--config", "frozen/config.json")
    assert _settings(place, *frozen)["kappa"] == 3
    assert _settings(place, *frozen, "--kappa", 5)["kappa"] == 5


def test_a_flag_turns_off_a_switch_of_the_file(place: Path) -> None:
    (place / "amber.toml").write_text("attach-weights = true\nstandardize = false\n")
    settings = _settings(place)
    assert (settings["attach_weights"], settings["standardize"]) == (True, False)
    settings = _settings(place, "--no-attach-weights", "--standardize")
    assert (settings["attach_weights"], settings["standardize"]) == (False, True)


def test_a_files_setting_for_another_loss_is_no_obstacle(place: Path) -> None:
    (place / "amber.toml").write_text("kappa = 2\nstudent = 'audio'\n")
    settings = _settings(place, "--loss", "cb-ce")
    assert (settings["kappa"], settings["student"]) == (None, None)
    finished = amber("fit", *FAST, "--loss", "cb-ce", "--kappa", 2, cwd=place)
    assert finished.status == 2
    assert finished.err == "amber: --kappa has no effect with --loss cb-ce; leave it out\n"


def test_an_unknown_key_of_the_file_is_refused(place: Path) -> None:
    (place / "amber.toml").write_text("kapa = 2\n")
    finished = amber("fit", *FAST, cwd=place)
    assert (finished.status, finished.err) == (2, "amber: amber.toml: no command knows kapa\n")


@pytest.mark.parametrize(
    ("name", "line"),
    [("AMBER_KAPPA", "AMBER_KAPPA: 'x' is not a number"), ("AMBER_LOSS", "AMBER_LOSS: 'x' is not")],
)
def test_a_bad_variable_is_named(
    place: Path, monkeypatch: pytest.MonkeyPatch, name: str, line: str
) -> None:
    monkeypatch.setenv(name, "x")
    finished = amber("fit", *FAST, cwd=place)
    assert finished.status == 2
    assert finished.err.startswith(f"amber: {line}")


PRESETS = {
    "iemocap-4": ("neutral,happy+excited,angry,sad", "all-in", "external", "primary", "session"),
    "msp-podcast-8": (
        "neutral,happy,angry,sad,disgust,fear,surprise,contempt",
        "any-vote",
        "external",
        "primary",
        "random",
    ),
    "crema-d-6": ("neutral,happy,angry,sad,disgust,fear", "all-in", "voice", "primary", "speaker"),
}
POLICY = ("classes", "keep", "raters", "choices", "folds")


@pytest.mark.parametrize("protocol", PRESETS)
def test_every_part_of_a_protocol_is_written_out_and_can_be_overridden(
    tmp_path: Path, protocol: str
) -> None:
    eight = PRESETS["msp-podcast-8"][0].split(",")

    def votes(i: int, one: Any) -> dict[str, Any]:
        named = (eight[i % 8], eight[i // 8 % 6], "other")
        voiced = (Vote(f"r{r}", label, kind="voice") for r, label in enumerate(named[:2]))
        second = Vote("r1", "happy", kind="voice", primary=False)
        mine = Vote("me", eight[i % 4], kind="self")
        return {"votes": (*voiced, Vote("r3", "sad"), second, mine)}

    made = changed(utterances(80), votes)
    small_cache(tmp_path / "data" / "cache.h5", made, protocol=protocol)
    keep = () if protocol == "msp-podcast-8" else ("--keep", "any-vote")
    settings = _settings(tmp_path, *keep)
    wanted = dict(zip(POLICY, PRESETS[protocol], strict=True))
    wanted |= {"keep": "any-vote", "protocol": protocol, "validation": "next", "num_folds": 3}
    assert {name: settings[name] for name in wanted} == wanted
    other = {"classes": "sad,happy", "keep": "majority-mass", "raters": "all", "choices": "all"}
    other["folds"] = "dialogue"
    for name, value in other.items():
        few = () if name == "keep" else keep
        held = _settings(tmp_path, f"--{name}", value, *few)
        kept = {"keep": "any-vote"} if few else {}
        assert {one: held[one] for one in wanted} == wanted | kept | {name: value}


def test_two_encoders_of_one_modality_are_refused_with_the_way_to_compare_them() -> None:
    config = FitConfig(encoder=(("audio", "a"), ("audio", "b")))
    with pytest.raises(ConfigError, match="amber grid --grid audio-encoder=a,b"):
        complete(config, {}, protocol="", modalities=("audio", "text"))
