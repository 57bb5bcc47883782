"""Encoders: waveforms or texts in, frames and a mask out; one file a family.

What needs torch is imported when it is first asked for, so that their names can be had without.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from amber_cache.encoders.names import BUILTIN_ENCODERS as BUILTIN_ENCODERS
from amber_cache.encoders.names import DEFAULT_ENCODERS as DEFAULT_ENCODERS
from amber_cache.encoders.names import entry_name as entry_name

if TYPE_CHECKING:
    from amber_cache.encoders.base import Encoded as Encoded
    from amber_cache.encoders.base import Encoder as Encoder
    from amber_cache.encoders.base import EncoderInfo as EncoderInfo
    from amber_cache.encoders.base import Prepared as Prepared
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


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    home = "registry" if name == "load_encoder" else "base"
    return getattr(import_module(f"{__name__}.{home}"), name)
