"""What the encoders are called: defaults, built-in ones, and their entries in a cache.

No encoder is loaded here, and torch is not imported.
"""

from __future__ import annotations

from amber_cache.encoders.hf_files import encoder_id
from amber_cache.entry_names import ASR

#: What `amber extract` runs when no encoder is named: the paper's pair.
DEFAULT_ENCODERS: dict[str, str] = {
    "audio": "facebook/wav2vec2-base",
    "text": "bert-base-uncased",
}

#: Encoders that need no weights, by modality.
BUILTIN_ENCODERS: dict[str, str] = {"audio": "mel", "text": "hash"}

#: The version of each built-in encoder's algorithm.
BUILTIN_REVISIONS: dict[str, str] = {"mel": "1", "hash": "1"}


def entry_name(
    encoder: str,
    *,
    layer: int = -1,
    pooling: str = "mean",
    precision: str = "float32",
    transcriber: str = "",
) -> str:
    """The name of an encoder's entry in a cache: its id, and what differs from the default.

    A built-in encoder computes in float32 always, so its entry never names a precision. A
    transcriber is named where its transcripts are encoded, and not the reference.

    >>> entry_name("facebook/wav2vec2-base", layer=9)
    'facebook--wav2vec2-base@layer9'
    >>> entry_name("mel", pooling="mean-std")
    'mel+mean-std'
    >>> entry_name("bert-base-uncased", precision="bfloat16")
    'bert-base-uncased~bfloat16'
    >>> entry_name("hash", transcriber="openai--whisper-small")
    'hash@asr-openai--whisper-small'
    """
    name = encoder_id(encoder).replace("/", "--")
    if layer != -1:
        name += f"@layer{layer}"
    if pooling != "mean":
        name += f"+{pooling}"
    if precision != "float32" and not is_builtin(encoder):
        name += f"~{precision}"
    return f"{name}{ASR}{transcriber}" if transcriber else name


def is_builtin(name: str) -> bool:
    """Whether a name is a built-in encoder's.

    >>> is_builtin("mel"), is_builtin("facebook/wav2vec2-base")
    (True, False)
    """
    return name in BUILTIN_ENCODERS.values()
