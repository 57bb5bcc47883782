"""Which encoder a name means, and what its embeddings are called in a cache.

A name is a built-in encoder's, a local folder, or a hub id, in this order. transformers is imported
only when a model is loaded, so that the built-in pair works without it.
"""

from __future__ import annotations

from amber_cache.encoders.base import Encoder
from amber_cache.encoders.hf_files import encoder_id, local_folder
from amber_cache.errors import EncoderError

#: What `amber extract` runs when no encoder is named: the paper's pair.
DEFAULT_ENCODERS: dict[str, str] = {
    "audio": "facebook/wav2vec2-base",
    "text": "bert-base-uncased",
}

#: Encoders that need no weights, by modality.
BUILTIN_ENCODERS: dict[str, str] = {"audio": "mel", "text": "hash"}


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


def entry_name(
    encoder: str, *, layer: int = -1, pooling: str = "mean", precision: str = "float32"
) -> str:
    """The name of an encoder's entry in a cache: its id, and what differs from the default.

    A built-in encoder computes in float32 always, so its entry never names a precision.

    >>> entry_name("facebook/wav2vec2-base", layer=9)
    'facebook--wav2vec2-base@layer9'
    >>> entry_name("mel", pooling="mean-std")
    'mel+mean-std'
    >>> entry_name("bert-base-uncased", precision="bfloat16")
    'bert-base-uncased~bfloat16'
    """
    name = encoder_id(encoder).replace("/", "--")
    if layer != -1:
        name += f"@layer{layer}"
    if pooling != "mean":
        name += f"+{pooling}"
    if precision != "float32" and encoder not in BUILTIN_ENCODERS.values():
        name += f"~{precision}"
    return name


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
