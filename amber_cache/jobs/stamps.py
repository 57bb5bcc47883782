"""What a cache says of the plan it was made by, and digests of what it holds."""

from __future__ import annotations

import hashlib

from amber_cache.files.safe_files import parse_json
from amber_cache.jobs.former import Former
from amber_cache.store import digest

#: Attributes of a cache's root: the plan it was made by, and when its audio files were looked at.
PLAN_STAMP, SEEN_NS = "plan", "audio_seen_ns"


def stamp_of(former: Former | None) -> dict[str, str]:
    """The plan that a cache was made by; empty where it does not say."""
    try:
        attrs = {} if former is None else former.content.attrs
        stamp = parse_json(str(attrs.get(PLAN_STAMP, "{}")).encode())
        return stamp if isinstance(stamp, dict) else {}
    except ValueError:
        return {}


def digest_of(former: Former) -> str:
    """A digest of what can be taken over from a cache: ids, and each entry's rows."""
    parts = [digest(former.content.utterances.id)]
    for entry in former.entries:
        parts += ["/".join(entry.key), digest(entry.status), digest(entry.crc32)]
    for one in former.content.transcripts:
        parts += [one.name, digest(one.status), digest(one.text)]
    return short_digest(" ".join(parts))


def short_digest(text: str) -> str:
    """A text in a word of 32 hex digits."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:32]
