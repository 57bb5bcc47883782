"""An entry's attributes -> the encoder that made it, and whether another is the same."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from amber_cache.asr_models import find_asr_model
from amber_cache.encoders import names as known
from amber_cache.encoders.hf_files import local_folder
from amber_cache.errors import EncoderError
from amber_cache.jobs.wanted import Wanted

#: What must be the same of an encoder, by name in an entry's attributes.
_SAME = ("weights_sha256", "layer", "pooling", "precision", "sampling_rate_hz")


def refuse_other_encoder(modality: str, attrs: Mapping[str, Any], found: Mapping[str, Any]) -> None:
    """Refuse vectors that another encoder makes, or the same one otherwise.

    Args:
        attrs: Of the entry that models were trained on.
        found: Of what is to take its place.

    Raises:
        EncoderError: As said, with both values.
    """
    # What has no weights is known by its name; a built-in encoder's version is its revision.
    has_weights = bool(attrs.get("weights_sha256"))
    for name in _SAME if has_weights else ("encoder", "revision", *_SAME):
        if attrs.get(name) != found.get(name):
            raise EncoderError(
                f"the {modality} encoder {found.get('encoder')} is not the one that the run was "
                f"trained with ({attrs.get('encoder')}): {name} was {attrs.get(name)!r}, and is "
                f"{found.get(name)!r}; name the right one with --encoder {modality}=FOLDER"
            )


def refuse_other_transcriber(attrs: Mapping[str, Any], model: str) -> None:
    """Refuse a speech-recognition model that is not the one whose text an entry was made of.

    An entry of the reference text takes any.

    Raises:
        EncoderError: It is another one, or can't be had.
    """
    if attrs.get("transcriber_sha256") is None:
        return
    found = find_asr_model(model)
    settings = attrs.get("transcriber_settings_sha256")
    pairs = {"weights_sha256": (attrs["transcriber_sha256"], found.weights_sha256)}
    if settings and found.settings_sha256:  # both are local folders
        pairs["settings_sha256"] = (settings, found.settings_sha256)
    for name, (meant, there) in pairs.items():
        if meant != there:
            raise EncoderError(
                f"--transcribe {model}: is not what transcribed the text that the run was trained "
                f"on ({attrs.get('transcriber')}): {name} was {meant!r}, and is {there!r}; name "
                "that one"
            )


def wanted_again(
    modality: str, attrs: Mapping[str, Any], *, layers: Sequence[int] = (), encoder: str | None
) -> tuple[Wanted, ...]:
    """What an entry's attributes ask for, of the encoder where it is now.

    Args:
        attrs: The entry's; of several layers what they have in common.
        layers: The numbers of those; () for the one that the attributes name.
        encoder: A local folder or a hub id; None: by the name in the attributes.

    Raises:
        EncoderError: No encoder of this house made it, or it was a folder that is not here.
    """
    meant = str(attrs.get("encoder", ""))
    has_weights = bool(attrs.get("weights_sha256"))
    if modality not in known.BUILTIN_ENCODERS or not (has_weights or known.is_builtin(meant)):
        raise EncoderError(
            f"the run's {modality} vectors ({meant or 'of an unknown encoder'}) were imported, and "
            "amber can't make them of new material; predict from a cache that holds them"
        )
    name = encoder or meant
    folder = local_folder(name)
    if has_weights and not attrs.get("revision") and not (folder and folder.is_dir()):
        raise EncoderError(
            f"the run was trained with the {modality} encoder of a local folder {meant!r}, which "
            f"is not here; say where it is with --encoder {modality}=FOLDER"
        )
    pooling, precision = str(attrs.get("pooling", "mean")), str(attrs.get("precision", "float32"))
    return tuple(
        Wanted(
            modality=modality,
            encoder=name,
            layer=layer,
            pooling=pooling,
            precision=precision,
            name=known.entry_name(name, layer=layer, pooling=pooling, precision=precision),
        )
        for layer in layers or (int(attrs.get("layer", -1)),)
    )


def refuse_other_layers(
    modality: str,
    attrs: Mapping[str, Any],
    layers: Sequence[int],
    found: Sequence[Mapping[str, Any]],
) -> None:
    """`refuse_other_encoder` for an entry, or for each of several layers."""
    each = [{**attrs, "layer": one} for one in layers] or [dict(attrs)]
    for meant, one in zip(each, found, strict=True):
        refuse_other_encoder(modality, meant, one)
