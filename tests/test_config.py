"""Settings: what each source may hold, which source wins, and what is refused with its place."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from amber_cache.config import ExtractConfig, Origin, Pairs, coerce, resolve, settings_of
from amber_cache.errors import ConfigError
from amber_cache.records import Listing
from tests.commands import amber
from tests.made_corpora import assert_refused, make_corpus


@dataclass(frozen=True, kw_only=True)
class Config:
    size: Annotated[int, "a number"] = 1
    rate: Annotated[float | None, "a number or none"] = None
    loud: Annotated[bool, "a switch"] = False
    kind: Annotated[Literal["a", "b"], "a choice"] = "a"
    names: Annotated[tuple[str, ...], "a list"] = ()
    encoder: Annotated[Pairs, "pairs"] = ()
    audio_encoder: Annotated[str | None, "short"] = None


def settle(
    flags: Mapping[str, object] | None = None,
    environ: Mapping[str, str] | None = None,
    toml: str = "",
    folder: Path | None = None,
) -> Config:
    file = None
    if folder is not None:
        file = folder / "amber.toml"
        file.write_text(toml, encoding="utf-8")
    return resolve(Config, flags or {}, environ=environ, toml_file=file)[0]


@pytest.mark.parametrize("lowest", range(4))
def test_the_nearest_source_wins(tmp_path: Path, lowest: int) -> None:
    given_at = [
        {"flags": {"size": "4"}},
        {"environ": {"AMBER_SIZE": "3"}},
        {"toml": "size = 2", "folder": tmp_path},
    ]
    arguments: dict[str, object] = {}
    for one in given_at[lowest:]:
        arguments |= one
    assert settle(**arguments).size == 4 - lowest  # type: ignore[arg-type]


def test_the_origin_of_each_value_is_told(tmp_path: Path) -> None:
    (tmp_path / "amber.toml").write_text("kind = 'b'")
    environ = {"AMBER_RATE": "0.5", "AMBER_NAMES": "", "RATE": "9"}
    config, origins = resolve(
        Config, {"size": "2", "loud": None}, environ=environ, toml_file=tmp_path / "amber.toml"
    )
    assert config == Config(size=2, rate=0.5, kind="b")
    named = {name: origin for name, origin in origins.items() if origin}
    assert named == {"size": Origin.FLAG, "rate": Origin.ENVIRONMENT, "kind": Origin.FILE}


@pytest.mark.parametrize(
    ("kind", "value", "wanted"),
    [
        (int, "7", 7),
        (int, 7.0, 7),
        (float, 3, 3.0),
        (float | None, None, None),
        (bool, "yes", True),
        (bool, False, False),
        (Path, "a/b", Path("a/b")),
        (Literal["a", "b"], "b", "b"),
        (tuple[str, ...], "x, y,", ("x", "y")),
        (tuple[str, ...], ["x", "y,z"], ("x", "y", "z")),
        (tuple[int, ...], [1, 2], (1, 2)),
        (Pairs, "audio=mel,text=a/b", (("audio", "mel"), ("text", "a/b"))),
        (Pairs, "kappa=2,4,lambda-mai=0.3,0.5", (("kappa", "2,4"), ("lambda-mai", "0.3,0.5"))),
        (Pairs, ["audio = mel"], (("audio", "mel"),)),
        (Pairs, [["audio", "mel"]], (("audio", "mel"),)),
        (Pairs, {"kappa": [2, 4], "text": "hash"}, (("kappa", "2,4"), ("text", "hash"))),
    ],
)
def test_values_are_read_by_the_fields_type(kind: object, value: object, wanted: object) -> None:
    found = coerce(kind, value)
    assert (found, type(found)) == (wanted, type(wanted))


@pytest.mark.parametrize(
    ("kind", "value", "match"),
    [
        (int, "1.5", r"'1\.5' is not a whole number"),
        (int, 1.5, r"1\.5 is not a whole number"),
        (int, True, "True is not a whole number"),
        (int, "", "'' is not a whole number"),
        (int, [1], r"\[1\] is not a whole number"),
        (float, "fast", "'fast' is not a number"),
        (float, False, "False is not a number"),
        (bool, "maybe", "'maybe' is neither true nor false"),
        (str, 5, "5 is no text; put it in quotes"),
        (str, ["mel"], r"\['mel'\] is no text"),
        (Path, 5, "5 is no path; put it in quotes"),
        (Literal["a", "b"], "c", "'c' is not on offer; choose from a, b"),
        (Pairs, "mel", "'mel' is not of the form NAME=VALUE"),
        (Pairs, ["=mel"], "'=mel' is not of the form NAME=VALUE"),
        (Pairs, 5, "5 is not of the form NAME=VALUE"),
        (Pairs, ["a=b", "a=c"], "one name is given twice"),
        (Pairs, "a=b,a=c", "one name is given twice"),
    ],
)
def test_values_of_another_type_are_refused(kind: object, value: object, match: str) -> None:
    with pytest.raises(ValueError, match=match):
        coerce(kind, value)


@given(st.floats(allow_nan=False), st.integers())
def test_numbers_are_read_as_they_were_written(number: float, whole: int) -> None:
    assert coerce(float, repr(number)) == number
    assert coerce(int, str(whole)) == whole


@pytest.mark.parametrize(
    ("flags", "environ", "toml", "wanted"),
    [
        ({"audio_encoder": "a"}, {}, "encoder = {audio = 'b', text = 'c'}", ("a", "c")),
        ({"encoder": ["audio=a"]}, {}, "audio-encoder = 'b'", ("a", None)),
        ({"encoder": ["text=a"]}, {"AMBER_ENCODER": "audio=b,text=c"}, "", ("b", "a")),
        ({}, {"AMBER_AUDIO_ENCODER": "a"}, "encoder = {audio = 'b'}", ("a", None)),
        ({"encoder": ["text=a"]}, {"AMBER_AUDIO_ENCODER": "b"}, "", ("b", "a")),
    ],
)
def test_the_nearest_source_names_a_modalitys_encoder_by_either_option(
    tmp_path: Path,
    flags: dict[str, object],
    environ: dict[str, str],
    toml: str,
    wanted: tuple[str | None, str | None],
) -> None:
    config = settle(flags, environ, toml, tmp_path)
    pairs = dict(config.encoder)
    assert "audio" not in pairs or config.audio_encoder is None
    assert (pairs.get("audio", config.audio_encoder), pairs.get("text")) == wanted


def test_a_bad_pair_in_a_farther_source_is_refused_too(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"amber\.toml: encoder: 5 is not of the form"):
        settle({"encoder": ["audio=mel"]}, toml="encoder = 5", folder=tmp_path)


@pytest.mark.parametrize(
    ("toml", "match"),
    [
        ("layr = 3", "amber.toml: no command knows layr"),
        ("layr = 3\nroom = 1", "amber.toml: no command knows layr, room"),
        ("[extract]\nlayer = 3", "amber.toml: no command knows extract"),
        ("layer = 'deep'", "amber.toml: layer: 'deep' is not a whole number"),
        ("layer = 1.5", r"amber.toml: layer: 1\.5 is not a whole number"),
        ("audio-encoder = 5", "amber.toml: audio-encoder: 5 is no text"),
        ("cache = 5", "amber.toml: cache: 5 is no path"),
        ("gpu = 'maybe'", "amber.toml: gpu: 'maybe' is neither true nor false"),
        ("pooling = 'max'", "amber.toml: pooling: 'max' is not on offer; choose from mean"),
        ("encoder = 5", "amber.toml: encoder: 5 is not of the form NAME=VALUE"),
        ("layer = x\n", "amber.toml: not a readable TOML file: .*line 1"),
        ("a = " + "[" * 5_000, "amber.toml: not a readable TOML file"),
    ],
)
def test_a_bad_amber_toml_is_refused(tmp_path: Path, toml: str, match: str) -> None:
    (tmp_path / "amber.toml").write_text(toml)
    assert_refused(amber("extract", cwd=tmp_path), match)
    assert [path.name for path in tmp_path.iterdir()] == ["amber.toml"]


@pytest.mark.parametrize("content", [None, b"\xff\xfe"])
def test_an_amber_toml_that_cant_be_read_is_refused(tmp_path: Path, content: bytes | None) -> None:
    place = tmp_path / "amber.toml"
    place.mkdir() if content is None else place.write_bytes(content)
    assert_refused(amber("extract", cwd=tmp_path), "amber.toml: not a readable TOML file")


@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        (["--no-such-option"], "No such option: --no-such-option"),
        (["--layer", "deep"], "--layer: 'deep' is not a whole number"),
        (["--layer"], "--layer.* requires an argument"),
        (["--pooling", "max"], "--pooling: 'max' is not on offer; choose from mean, mean-std"),
        (["--precision", "int8"], "--precision: 'int8' is not on offer"),
        (["--device", "tpu"], "--device tpu: must be cpu, cuda or cuda:N"),
        (["--device", "cpu:1"], "--device cpu:1: must be cpu, cuda or cuda:N"),
        (["--device", "cuda:x"], "--device cuda:x: must be cpu, cuda or cuda:N"),
        (["--encoder", "mel"], "--encoder: 'mel' is not of the form NAME=VALUE"),
        (["--encoder", "audio=x", "--encoder", "audio=x"], "--encoder: audio=x is given twice"),
        (["--encoder", "audio=x", "--audio-encoder", "mel"], "--audio-encoder and .* disagree"),
        (["--encoder", "face=x"], "--encoder face=...: the corpus has audio and text only"),
        (["--audio-encoder", "hash"], "'hash' is for text, not for audio"),
        (["surplus"], "unexpected extra argument"),
    ],
)
def test_bad_options_are_one_line(tmp_path: Path, arguments: list[str], match: str) -> None:
    assert_refused(amber("extract", *arguments, cwd=tmp_path), match)
    assert list(tmp_path.iterdir()) == []


def test_a_bad_variable_is_refused_by_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AMBER_LAYER", "deep")
    assert_refused(amber("extract", cwd=tmp_path), "AMBER_LAYER: 'deep' is not a whole number")


def test_on_the_command_line_flags_beat_variables_beat_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_corpus(tmp_path, num=1)
    settings = ["corpus = 'manifest'", "root = 'manifest.csv'", "audio-encoder = 'mel'"]
    settings += ["text-encoder = 'hash'", "cache = 'file.h5'", "pooling = 'first'"]
    (tmp_path / "amber.toml").write_text("\n".join(settings))
    for flags, wanted in (([], "file.h5"), ([], "var.h5"), (["--cache", "flag.h5"], "flag.h5")):
        finished = amber("extract", *flags, cwd=tmp_path)
        assert finished.status == 0, finished.err
        assert finished.out.startswith(f"{wanted}: written: 1 utterance of manifest")
        assert "1 new in audio/mel+first" in finished.out
        monkeypatch.setenv("AMBER_CACHE", "var.h5")


def test_every_setting_has_a_help_text_and_a_default() -> None:
    for setting in settings_of(ExtractConfig):
        assert setting.help
        assert setting.flag == "--" + setting.name.replace("_", "-")
        assert setting.variable == "AMBER_" + setting.name.upper()
    described = {setting.name: setting.described for setting in settings_of(ExtractConfig)}
    assert described["cache"].endswith("[default: data/cache.h5]")
    assert described["layer"].endswith("[default: -1]")


@pytest.mark.parametrize(
    ("value", "wanted"),
    [("0,7", "0,7"), (5, "5"), ([0, 7], "0,7"), ([7], "7,"), (["a", "b"], "a,b")],
)
def test_a_listing_may_be_a_number_or_a_list_in_a_file(value: object, wanted: str) -> None:
    assert coerce(Listing, value) == wanted


@pytest.mark.parametrize("value", [True, 0.5, {"a": 1}, [0.5]])
def test_a_listing_of_something_else_is_refused(value: object) -> None:
    with pytest.raises(ValueError, match="is no text"):
        coerce(Listing, value)
