"""Encoders: waveforms or texts in, frames and a mask out; one file a family."""

from amber_cache.encoders.base import Encoded as Encoded
from amber_cache.encoders.base import Encoder as Encoder
from amber_cache.encoders.base import EncoderInfo as EncoderInfo
from amber_cache.encoders.base import Prepared as Prepared
from amber_cache.encoders.registry import BUILTIN_ENCODERS as BUILTIN_ENCODERS
from amber_cache.encoders.registry import DEFAULT_ENCODERS as DEFAULT_ENCODERS
from amber_cache.encoders.registry import entry_name as entry_name
from amber_cache.encoders.registry import load_encoder as load_encoder

__all__ = [
    "BUILTIN_ENCODERS",
    "DEFAULT_ENCODERS",
    "Encoded",
    "Encoder",
    "EncoderInfo",
    "Prepared",
    "entry_name",
    "load_encoder",
]
