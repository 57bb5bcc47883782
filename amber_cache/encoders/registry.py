"""Which encoder a name means, and how it is loaded.

A name is a built-in encoder's, a local folder, or a hub id, in this order. transformers is imported
only when a model is loaded, so that the built-in pair works without it.
"""

from __future__ import annotations

from amber_cache.encoders.base import Encoder
from amber_cache.encoders.hf_files import encoder_id, local_folder
from amber_cache.encoders.names import BUILTIN_ENCODERS
from amber_cache.errors import EncoderError


def load_encoder(
    modality: str, name: str, *, device: str = "cpu", precision: str = "float32"
) -> Encoder:
    """Load the encoder of a modality by name.

    A built-in encoder runs on the CPU in float32 whatever is asked for; its `device` says so.

    Args:
        modality: "audio" or "text".
        name: A built-in encoder, a local folder or a hub id.
        device: "cpu", "cuda" or "cuda:N".
        precision: "float32", "tf32" (CUDA only), "bfloat16" or "float16".

    Raises:
        EncoderError: There is no such modality, encoder, device or precision, or the model can't
            be had or is not complete.

    >>> load_encoder("audio", "mel").info.dimension
    104
    """
    _check_name(modality, name)
    if name == BUILTIN_ENCODERS[modality]:
        from amber_cache.encoders.builtin import HashEncoder, MelEncoder

        return MelEncoder() if modality == "audio" else HashEncoder()
    if modality == "audio":
        from amber_cache.encoders.hf_audio import load_audio

        return load_audio(name, device=device, precision=precision)
    from amber_cache.encoders.hf_text import load_text

    return load_text(name, device=device, precision=precision)


def _check_name(modality: str, name: str) -> None:
    if modality not in BUILTIN_ENCODERS:
        raise EncoderError(
            f"modality {modality!r} has no encoders; known are {', '.join(BUILTIN_ENCODERS)}"
        )
    for other, builtin in BUILTIN_ENCODERS.items():
        if name == builtin and other != modality:
            raise EncoderError(
                f"the built-in encoder {name!r} is for {other}, not for {modality}; the built-in "
                f"one for {modality} is {BUILTIN_ENCODERS[modality]!r}"
            )
        if name != builtin and encoder_id(name) == builtin and local_folder(name):
            raise EncoderError(
                f"the folder {name} has the name of the built-in encoder {builtin!r}, and a cache "
                "could not tell them apart; rename the folder"
            )
    plain = encoder_id(name)
    if local_folder(name) and (not plain.isprintable() or plain.strip(".@") != plain or not plain):
        raise EncoderError(
            f"encoder {name}: {plain!a} can't name an entry of a cache; give the folder a name "
            "without . or @ at its ends"
        )
