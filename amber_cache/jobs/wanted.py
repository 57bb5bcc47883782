"""Which entries a command is about: encoders, layers, pooling and precision, by name alone.

No encoder is loaded, and torch is not imported. `--layer all` reads how many layers a model has
from its config.json.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from amber_cache.asr_models import AsrModel
from amber_cache.config import ALL_LAYERS, ExtractConfig
from amber_cache.encoders import names as known
from amber_cache.encoders.hf_files import encoder_id, read_config
from amber_cache.entry_names import ASR, input_of
from amber_cache.errors import ConfigError, EncoderError
from amber_cache.records import Corpus

#: Modality -> its encoders, as the user or the corpus names them.
EncoderNames: TypeAlias = Mapping[str, tuple[str, ...]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """One entry: an encoder's layer, pooled, in a precision that the encoder has, of one input.

    Attributes:
        encoder: As the user or the corpus names it.
        name: The entry's in the cache.
        asr: Whose transcripts are encoded; None for what the corpus itself brings.
    """

    modality: str
    encoder: str
    layer: int
    pooling: str
    precision: str
    name: str
    asr: AsrModel | None = None

    @property
    def input(self) -> str:
        """What is encoded: "audio", "text", "text@asr-NAME"."""
        return input_of(self.modality, self.name)

    @property
    def key(self) -> tuple[str, str]:
        """Modality and name."""
        return self.modality, self.name


def encoder_names(config: ExtractConfig, corpus: Corpus) -> dict[str, tuple[str, ...]]:
    """The encoders of each modality: the corpus's or amber's own, but those that the user names.

    Raises:
        ConfigError: Options disagree, or have no effect.
    """
    given: dict[str, tuple[str, ...]] = {}
    for modality, name in config.encoder:
        given[modality] = (*given.get(modality, ()), name)
    for modality, short in (("audio", config.audio_encoder), ("text", config.text_encoder)):
        if short is not None and given.setdefault(modality, (short,)) != (short,):
            raise ConfigError(f"--{modality}-encoder and --encoder {modality}=... disagree")
    modalities = corpus.modalities
    if config.transcribe is not None:
        _refuse_silent(config.transcribe, corpus)
        modalities = tuple(dict.fromkeys([*modalities, "text"]))
    for modality in given:
        if modality not in modalities:
            raise ConfigError(
                f"--encoder {modality}=...: the corpus has {' and '.join(modalities)} only"
                + ("; --transcribe MODEL makes text of its audio" if modality == "text" else "")
            )
    defaults = {**known.DEFAULT_ENCODERS, **dict(corpus.encoders)}
    names = {one: given.get(one, (defaults[one],)) for one in modalities}
    every = [name for some in names.values() for name in some]
    if all(map(known.is_builtin, every)) and (flags := _model_flags(config)):
        raise ConfigError(
            f"{flags[0]} has no effect on the built-in encoders ({', '.join(every)}), "
            "which have one output, in float32; leave it out"
        )
    return names


def _refuse_silent(transcribe: str, corpus: Corpus) -> None:
    if "audio" not in corpus.modalities or all(one.audio is None for one in corpus.utterances):
        raise ConfigError(
            f"--transcribe {transcribe}: the corpus has no audio to transcribe; leave it out"
        )


def wanted_entries(
    config: ExtractConfig,
    names: EncoderNames,
    *,
    asr: AsrModel | None = None,
    has_text: bool = True,
) -> tuple[Wanted, ...]:
    """Every entry of a command, an encoder's layers one behind the other.

    Args:
        asr: Whose transcripts every text encoder gets too; None for nobody's.
        has_text: Whether the corpus itself brings text; where it does not, transcripts are all
            that there is.

    Raises:
        ConfigError: Two encoders would have one entry.
        EncoderError: All layers are asked for of a model that does not say how many it has.
    """
    entries: dict[tuple[str, str], Wanted] = {}
    for modality, encoders in names.items():
        for encoder in encoders:
            if ASR in encoder_id(encoder):
                raise ConfigError(
                    f"--encoder {modality}={encoder}: {ASR} in a name marks the entries of "
                    "transcripts; rename the folder"
                )
            for one in _entries_of(config, modality, encoder, asr=asr, has_text=has_text):
                if (other := entries.setdefault(one.key, one)) is not one:
                    raise ConfigError(
                        f"--encoder {modality}={other.encoder} and {modality}={encoder}: both "
                        f"would be {'/'.join(one.key)} in the cache; rename one of the folders"
                    )
    return tuple(entries.values())


def asked_settings(config: ExtractConfig, names: EncoderNames) -> dict[str, Any]:
    """What vectors depend on, as the command asks for it."""
    encoders = {one: ", ".join(map(encoder_id, some)) for one, some in names.items()}
    is_one = len(config.layer) == 1
    return {
        "corpus": config.corpus,
        **{f"{modality} encoder": text for modality, text in encoders.items()},
        "layer": config.layer[0] if is_one else _layers_text(config),
        "pooling": config.pooling,
        "precision": config.precision,
        **({} if config.transcribe is None else {"transcribe": encoder_id(config.transcribe)}),
    }


def builtin_notes(config: ExtractConfig, names: EncoderNames, device: str) -> list[str]:
    """What does not move a built-in encoder."""
    reasons = ["stays on the CPU"] if device != "cpu" else []
    reasons += [f"{flag} has no effect on it" for flag in _model_flags(config)]
    return [
        f"{name} is a built-in encoder: {reason}"
        for some in names.values()
        for name in some
        if known.is_builtin(name)
        for reason in reasons
    ]


def _entries_of(
    config: ExtractConfig, modality: str, encoder: str, *, asr: AsrModel | None, has_text: bool
) -> list[Wanted]:
    """An encoder's entries of the reference, then those of transcripts.

    A built-in encoder has one output, in float32, whatever is asked for.
    """
    heard = asr if modality == "text" else None
    inputs = (None, heard) if heard and has_text else (heard,)
    is_builtin = known.is_builtin(encoder)
    precision = "float32" if is_builtin else config.precision
    layers = (-1,) if is_builtin else config.layer or _all_layers(modality, encoder)
    pooling = config.pooling
    return [
        Wanted(
            modality=modality,
            encoder=encoder,
            layer=layer,
            pooling=pooling,
            precision=precision,
            name=known.entry_name(
                encoder,
                layer=layer,
                pooling=pooling,
                precision=precision,
                transcriber="" if one is None else one.name,
            ),
            asr=one,
        )
        for one in inputs
        for layer in layers
    ]


def _all_layers(modality: str, encoder: str) -> tuple[int, ...]:
    """The input embedding and every layer, the last by its number too."""
    config = read_config(encoder, builtin=known.BUILTIN_ENCODERS.get(modality, "mel"))
    number = config.get("num_hidden_layers", config.get("n_layers"))  # DistilBERT's word for it
    if not isinstance(number, int) or number < 1:
        raise EncoderError(
            f"encoder {encoder}: its config.json does not say how many layers it has; name them, "
            "as --layer 0,6,12"
        )
    return tuple(range(number + 1))


def _model_flags(config: ExtractConfig) -> list[str]:
    """The given options that only an encoder with weights listens to."""
    flags = [f"--layer {_layers_text(config)}"] if config.layer != (-1,) else []
    return flags + ([f"--precision {config.precision}"] if config.precision != "float32" else [])


def _layers_text(config: ExtractConfig) -> str:
    return "all" if config.layer == ALL_LAYERS else ",".join(map(str, config.layer))
