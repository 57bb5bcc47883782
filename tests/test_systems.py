"""The registry of compared systems: which there are, which can be trained, what is refused."""

from __future__ import annotations

import pytest

from amber_cache.errors import ConfigError
from amber_heads.comparing.fusion_rules import RULES
from amber_heads.configuration.cells import cells_of, expand
from amber_heads.configuration.options import CompareConfig
from amber_heads.configuration.settings import complete
from amber_heads.configuration.systems import choose_systems, left_out_note, systems_of

TWO = ("audio", "text")


def _completed(**changes: object) -> CompareConfig:
    config = CompareConfig(**changes)  # type: ignore[arg-type]
    origins = dict.fromkeys(changes, 4)
    modalities = changes.get("modalities", TWO)
    done = complete(config, origins, protocol="", modalities=modalities)  # type: ignore[arg-type]
    assert isinstance(done, CompareConfig)
    return done


def test_every_rule_is_known_and_every_system_described() -> None:
    for recipe in systems_of(TWO).values():
        assert recipe.rule in RULES
        assert recipe.description
        assert recipe.source
        assert "/" not in recipe.name  # predictions.h5 parts system and head there


def test_every_modality_is_a_student() -> None:
    found = systems_of(("audio", "text", "face"))
    assert [name for name in found if "student" in name] == [
        "amber2 student audio",
        "amber2 student text",
        "amber2 student face",
    ]


def test_cells_that_systems_share_stand_in_the_table_once() -> None:
    config = _completed()
    rows = [cell for name in config.systems for cell in cells_of(systems_of(TWO)[name], config)]
    assert len(rows) == 25
    assert len(expand(config)) == len(set(rows)) == 21


def test_what_systems_change_stands_in_their_cells() -> None:
    config = _completed(kappa=8.0)
    found = {name: cells_of(one, config) for name, one in systems_of(TWO).items()}
    assert [one.loss for one in found["cb-ce"]] == ["cb-ce"]
    assert found["speech alone"][0].smoothing == 0.05
    assert found["amber2"][0].kappa == 8
    assert found["amber2 kappa 0"][0].kappa == 0
    assert found["amber2 without MAI"][0].lambda_mai == 0
    assert found["amber2 without RAI"][0].lambda_rai == 0
    assert found["amber2 attached"][0].attach_weights
    assert found["amber2 student text"][0].student == "text"
    assert found["amber2 student text"][0].expert_loss == 1
    assert {(one.lambda_mai, one.kappa) for one in found["amber2 tuned"]} == {
        (weight, kappa) for weight in (0.3, 0.5, 0.7) for kappa in (2.0, 4.0, 8.0)
    }


def test_names_are_taken_with_hyphens_and_come_in_table_order() -> None:
    chosen = choose_systems(["late-selection", "CB-CE"], modalities=TWO, lambda_mai=None)
    assert chosen == ("cb-ce", "late selection")


def test_an_unknown_system_is_refused_with_those_on_offer() -> None:
    with pytest.raises(ConfigError, match=r"no system 'amber3'; choose from cb-ce, amber2, "):
        _completed(systems=("cb-ce", "amber3"))


def test_a_reference_that_is_not_compared_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"--reference cb-ce: is none of .* from amber2, js, or"):
        _completed(systems=("amber2", "js"))


def test_with_one_modality_what_needs_several_is_left_out_and_named() -> None:
    config = _completed(modalities=("audio",))
    assert config.systems == ("cb-ce", "speech alone", "cb-ce prior-corrected", "soft-ce") + (
        "kl",
        "js",
    )
    (note,) = left_out_note(config.systems, modalities=("audio",), lambda_mai=None)
    assert note.startswith("left out, each needs several modalities, and there is only audio: ")
    assert "late average" in note


def test_nothing_is_named_where_the_user_has_chosen() -> None:
    assert left_out_note(("cb-ce",), modalities=("audio",), lambda_mai=None) == ()
    assert left_out_note(_completed().systems, modalities=TWO, lambda_mai=0.5) == ()


def test_a_system_that_is_asked_for_and_cannot_be_trained_is_refused() -> None:
    with pytest.raises(ConfigError, match="late average needs several modalities"):
        _completed(systems=("cb-ce", "late average"), modalities=("audio",))
    with pytest.raises(ConfigError, match="speech alone needs the modality audio"):
        choose_systems(["speech alone"], modalities=("face", "text"), lambda_mai=None)


def test_without_mai_in_common_there_is_no_loss_without_rai() -> None:
    config = _completed(lambda_mai=0.0)
    assert "amber2 without RAI" not in config.systems
    (note,) = left_out_note(config.systems, modalities=TWO, lambda_mai=0.0)
    assert note == "left out, each has no loss with --lambda-mai 0: amber2 without RAI"


def test_settings_that_no_compared_system_listens_to_are_refused() -> None:
    with pytest.raises(ConfigError, match="--kappa has no effect on the systems compared"):
        _completed(systems=("cb-ce", "js"), kappa=2.0)
    with pytest.raises(ConfigError, match="--kappa has no effect with --lambda-mai 0"):
        _completed(systems=("cb-ce", "amber2"), lambda_mai=0.0, kappa=2.0)


def test_a_completed_configuration_is_complete() -> None:
    config = _completed()
    assert (config.kappa, config.lambda_rai, config.lambda_mai) == (4.0, 1.0, 0.5)
    assert _completed(**vars(config)) == config
