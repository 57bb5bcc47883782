"""Names that stand in for names: salted, stable, in the order of what they stand for; pure.

Folds, ties and the order of rows go by sorted names, so that a shared cache trains to the same
figures only if its names sort as those of its source. A pseudonym is therefore the name's rank and
a keyed hash: "0042-9f86d081884c7d65". The hash is HMAC-SHA-256 under the salt and the kind of name,
cut to 64 bits: with the same salt, a name has the same one in every cache. The rank is that of one
cache. Both are pseudonyms only: who has the corpus can rank its names too.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterable, Mapping, Sequence

import numpy as np
from jaxtyping import Shaped

from amber_cache.storage.schema import text_array

_HEX_DIGITS = 16

#: How corpora write that they do not know a name, in lower case; that stays unknown.
UNKNOWN = ("", "unknown")

#: Utterances of unknown speakers are grouped as "dialogue NAME" (amber_heads/policies/groups.py),
#: which sorts among the speakers' names: those before it must stay before it.
_GROUPS, _GROUPED = "dialogue ", ("speaker", "session")


def hashed(name: str, *, kind: str, salt: bytes) -> str:
    """A name's keyed hash: 16 hexadecimal digits.

    >>> hashed("anna", kind="speaker", salt=b"x") == hashed("anna", kind="dialogue", salt=b"x")
    False
    """
    return hmac.new(salt, f"{kind}\0{name}".encode(), hashlib.sha256).hexdigest()[:_HEX_DIGITS]


def pseudonyms(
    names: Iterable[str], *, kind: str, salt: bytes, unknown: Sequence[str] = ()
) -> dict[str, str]:
    """A pseudonym for each name, in the names' order.

    Args:
        kind: "speaker", "dialogue", ...: a name has another pseudonym as each of them.
        unknown: In lower case, what says that nobody knows: such a name becomes "".

    Examples:
        >>> made = pseudonyms(["b", "a", "Unknown"], kind="rater", salt=b"x", unknown=UNKNOWN)
        >>> {name: one[:2] for name, one in made.items()}
        {'a': '0-', 'b': '1-', 'Unknown': ''}
    """
    given = set(names)
    nobody = {name for name in given if name.strip().lower() in unknown}
    known = sorted(given - nobody)
    width = len(str(max(0, len(known) - 1)))
    made = {}
    for rank, name in enumerate(known):
        side = ("a" if name < _GROUPS else "s") if kind in _GROUPED else ""
        made[name] = f"{side}{rank:0{width}d}-{hashed(name, kind=kind, salt=salt)}"
    return made | dict.fromkeys(sorted(nobody), "")


def replaced(
    column: Shaped[np.ndarray, " row"], names: Mapping[str, str]
) -> Shaped[np.ndarray, " row"]:
    """A column of names as a column of pseudonyms."""
    return text_array([names[name] for name in column])
