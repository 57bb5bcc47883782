"""A cache for somebody else under the same licence: names hashed, what was said and where left out.

It trains to the same figures as its source: vectors, votes, parts and the order of every name stay
(pseudonyms.py). It is not anonymous: a voice's embedding tells of the voice, the ranks in the names
are those of the corpus, and the corpus's licence binds it as before.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from amber_cache.entry_names import without_folders
from amber_cache.errors import CacheError, ConfigError
from amber_cache.files.safe_files import read_bounded
from amber_cache.jobs.interrupt import stop_signals
from amber_cache.jobs.job import Job
from amber_cache.shared.pseudonyms import UNKNOWN, pseudonyms, replaced
from amber_cache.shared.shared_votes import shared_ratings, shared_votes
from amber_cache.storage.schema import (
    FAILED,
    PUBLIC_ENTRY_ATTRIBUTES,
    UTTERANCE_COLUMNS,
    Attribute,
    text_array,
)
from amber_cache.storage.stream import moved
from amber_cache.store import Cache, CacheContent, Entry, UtteranceTable, open_cache

VOTES = ("per-rater", "aggregated")

#: Columns that stand for a person, a place or a recording: always as pseudonyms.
HASHED = ("id", "speaker", "session", "dialogue")

#: What is never shared: it is what was said, or leads to it.
NEVER = ("text", "audio_path", "audio_sha256", "audio_mtime_ns")

#: What is kept unless the user says otherwise: values that many utterances have.
KEPT = ("gender", "split", "style", "consensus", "language")

#: The mark of a shared cache, an attribute of its root.
SHARED = "shared"

WARNING = (
    "Embeddings and hashed ids are not anonymous: a voice can be told by its embedding, and who "
    "has the corpus can rank its names as these are ranked. The corpus's licence still binds; "
    "share with those alone who hold it. Keep the salt to yourself."
)

_SALT_BYTES, _FEWEST_SALT_BYTES, _MOST_SALT_BYTES = 32, 16, 4096
_MOST_VALUES_TOLD = 8
_REASON = "failed; the reason is not shared"


@dataclass(frozen=True, kw_only=True)
class SharingReport:
    """What was shared.

    Attributes:
        left_in: What the file holds, one line each.
        salt_file: What the pseudonyms were made with.
    """

    cache: Path
    source: Path
    num_utterances: int
    left_in: tuple[str, ...]
    warning: str
    salt_file: Path
    notes: tuple[str, ...] = ()

    @property
    def last_line(self) -> str:
        """What was done, in a line."""
        return (
            f"{self.cache}: written: {self.num_utterances} utterances of {self.source}, without "
            f"transcripts, paths and names; salt: {self.salt_file}"
        )


def share_cache(
    source: Path,
    out: Path,
    *,
    salt_file: Path | None = None,
    votes: str | None = None,
    keep: str | None = None,
    overwrite: bool = False,
    tell: Callable[[Sequence[str]], None] | None = None,
) -> SharingReport:
    """Write a cache that can be shared.

    Args:
        source: A cache; it stays as it is.
        out: The cache to write.
        salt_file: What pseudonyms are keyed with, made if it is not there; None: SOURCE.salt.
        votes: One of `VOTES`, None for the first; aggregated votes say how many, not who.
        keep: Which further columns stay, parted by commas; None for `KEPT`.
        overwrite: Replace a shared cache that stands there.
        tell: Told what is left in, and the warning, before anything is written.

    Raises:
        ConfigError: There is no such way to keep votes, or no such column that may be kept.
        CacheError: The source can't be read, something else stands at `out`, or it can't be
            written; nothing has changed then.
    """
    votes, columns = _way(votes), _columns(keep)
    salt_file = salt_file or source.with_name(f"{source.name}.salt")
    _refuse_places(source, out, salt_file)
    with open_cache(source) as cache, stop_signals():
        job = Job(out)
        _refuse_standing(job, overwrite=overwrite)
        content, entries = _content(cache, _salt(salt_file), votes=votes, columns=columns)
        left_in = _left_in(content, entries, votes=votes, columns=columns)
        left_in += tuple(f"transcripts by {name}: left out" for name in cache.transcripts)
        if tell is not None:
            tell([f"What is left in {out}:", *(f"  {line}" for line in left_in), WARNING])
        try:
            job.lock()
            job.assemble(content, entries)
            job.discard()
        finally:
            job.leave()
    return SharingReport(
        cache=out,
        source=source,
        num_utterances=len(content.utterances),
        left_in=left_in,
        warning=WARNING,
        salt_file=salt_file,
    )


def _content(
    cache: Cache, salt: bytes, *, votes: str, columns: Sequence[str]
) -> tuple[CacheContent, tuple[Entry, ...]]:
    tables = cache.tables()
    attrs: dict[str, Attribute] = {SHARED: f"votes {votes}; columns {', '.join(columns)}"}
    if "created_utc" in cache.attrs:
        attrs["created_utc"] = cache.attrs["created_utc"]
    content = replace(
        tables,
        utterances=_utterances(tables.utterances, salt, columns),
        votes=shared_votes(tables.votes, votes=votes, salt=salt),
        ratings=None
        if tables.ratings is None
        else shared_ratings(tables.ratings, votes=votes, salt=salt),
        transcripts=(),
        attrs=attrs,
    )
    names = [(one, name) for one in cache.modalities for name in cache.encoders(one)]
    return content, tuple(_entry(cache.entry(*name)) for name in names)


def _utterances(table: UtteranceTable, salt: bytes, columns: Sequence[str]) -> UtteranceTable:
    found: dict[str, Any] = {}
    for column in UTTERANCE_COLUMNS:
        values = getattr(table, column.name)
        if column.name in HASHED:
            unknown = () if column.name == "id" else UNKNOWN
            names = pseudonyms(values, kind=column.name, salt=salt, unknown=unknown)
            found[column.name] = replaced(values, names)
        elif column.name in columns:
            found[column.name] = values
        elif column.dtype == "str":
            found[column.name] = text_array([""] * len(table))
        else:
            found[column.name] = np.full(len(table), column.unknown, column.dtype)
    return UtteranceTable(**found)


def _entry(entry: Entry) -> Entry:
    """An entry without what its encoder said of single utterances, and where it stood."""
    same = moved(entry, np.arange(len(entry)))
    failed = same.status == FAILED
    attrs = {key: entry.attrs[key] for key in PUBLIC_ENTRY_ATTRIBUTES if key in entry.attrs}
    return replace(
        same,
        name=without_folders(entry.name),
        error=text_array([_REASON if one else "" for one in failed]),
        attrs={key: _public(value) for key, value in attrs.items()},
    )


def _public(value: Attribute) -> Attribute:
    return without_folders(value) if isinstance(value, str) else value


def _left_in(
    content: CacheContent, entries: Sequence[Entry], *, votes: str, columns: Sequence[str]
) -> tuple[str, ...]:
    table, cast = content.utterances, content.votes
    raters = sorted(set(cast.rater) - {""})
    who = f"of {len(raters)} raters (hashed)" if raters else "without raters"
    lines = [
        f"{len(table)} utterances of corpus {content.corpus or 'unknown'}, protocol "
        f"{content.protocol or 'none'}",
        *(_hashed_line(name, getattr(table, name)) for name in HASHED),
        *(_kept_line(name, getattr(table, name)) for name in columns),
        f"{len(cast)} votes {who}, {votes}: {', '.join(cast.labels)}",
    ]
    if content.ratings is not None:
        lines.append(f"{len(content.ratings)} ratings, {votes}")
    lines += [
        f"embeddings {'/'.join(one.key)}: {one.width} features, made by "
        f"{one.attrs.get('encoder', 'an unknown encoder')}{_heard_by(one)}"
        for one in entries
    ]
    return tuple(lines)


def _heard_by(entry: Entry) -> str:
    found = entry.attrs.get("transcriber")
    return "" if found is None else f" of what {found} transcribed"


def _hashed_line(name: str, values: np.ndarray) -> str:
    return f"{name}: hashed, in the source's order ({len(set(values) - {''})} different)"


def _kept_line(name: str, values: np.ndarray) -> str:
    if values.dtype != object:
        return f"{name}: as it is, a number an utterance, which may tell who knows the corpus which"
    found = sorted(set(values) - {""})
    told = ", ".join(found[:_MOST_VALUES_TOLD]) or "unknown for all"
    more = len(found) - _MOST_VALUES_TOLD
    return f"{name}: as it is: {told}" + (f" and {more} more" if more > 0 else "")


def _way(votes: str | None) -> str:
    if votes is not None and votes not in VOTES:
        raise ConfigError(f"--votes {votes}: choose from {', '.join(VOTES)}")
    return votes or VOTES[0]


def _columns(keep: str | None) -> tuple[str, ...]:
    if keep is None:
        return KEPT
    names = [column.name for column in UTTERANCE_COLUMNS]
    on_offer = [name for name in names if name not in (*HASHED, *NEVER)]
    asked = [name.strip() for name in keep.split(",") if name.strip()]
    for name in asked:
        if name not in on_offer:
            why = "is never shared" if name in NEVER else "can't be kept as it is"
            raise ConfigError(f"--keep-columns {name}: {why}; choose from {', '.join(on_offer)}")
    return tuple(name for name in on_offer if name in asked)


def _refuse_places(source: Path, out: Path, salt_file: Path) -> None:
    places = [os.path.realpath(one) for one in (source, out, salt_file)]
    if len(set(places)) < len(places):
        raise ConfigError("--cache, --out and --salt-file must be three different files")


def _refuse_standing(job: Job, *, overwrite: bool) -> None:
    """What stands there is replaced only where it is a shared cache itself."""
    if job.stands():
        raise CacheError(f"--out {job.cache}: is being made; name another file")
    if not os.path.lexists(job.target):
        return
    if not overwrite:
        raise CacheError(f"--out {job.cache}: is there already; --overwrite replaces it")
    with open_cache(job.target) as former:
        if SHARED not in former.attrs:
            raise CacheError(f"--out {job.cache}: is no shared cache; name another file")


def _salt(path: Path) -> bytes:
    """What stands in a salt's file; a new one where there is none."""
    try:
        with suppress(FileExistsError):
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(descriptor, "w") as file:
                file.write(secrets.token_hex(_SALT_BYTES) + "\n")
        salt = read_bounded(path, most_bytes=_MOST_SALT_BYTES).strip()
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise CacheError(
            f"{path}: the salt: {reason}; name another place with --salt-file"
        ) from None
    if len(salt) < _FEWEST_SALT_BYTES:
        raise CacheError(
            f"{path}: the salt has {len(salt)} bytes, wanted at least {_FEWEST_SALT_BYTES}"
        )
    return salt
