"""Hold a job's vectors to the plain way of making them, before they become a cache.

A few utterances, evenly drawn, are loaded again and encoded alone, unpadded, in float32; what the
job has recorded of them must agree as far as its precision allows. It finds what tests of the code
can't: a model that mixes the utterances of a batch, a precision that this model does not bear, a
device that computes wrongly.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float32, Float64

from amber_cache.encoders.base import Encoder
from amber_cache.encoders.registry import load_encoder
from amber_cache.errors import EncoderError
from amber_cache.jobs.encoding import threads
from amber_cache.jobs.interrupt import Stop
from amber_cache.jobs.job import Job
from amber_cache.jobs.journal import Journal
from amber_cache.jobs.loading import LoadedEntry
from amber_cache.jobs.memory import is_out_of_memory
from amber_cache.jobs.provenance import Check
from amber_cache.jobs.running import Group, grouped
from amber_cache.pooling import pool
from amber_cache.sources import Source, Sources, Survey
from amber_cache.store import DONE

#: The greatest relative L2 error that a vector may have, by precision. What models really have
#: stands in tests/benchmarks/RESULTS.md.
LIMITS = {"float32": 1e-5, "tf32": 2e-3, "float16": 1e-2, "bfloat16": 5e-2}


def check_job(
    job: Job, loaded: Sequence[LoadedEntry], found: Survey, *, number: int, stop: Stop
) -> dict[tuple[str, str], Check]:
    """Compute some of a job's vectors again; what came of it, by entry.

    Args:
        job: All of its batches are recorded.
        loaded: Its entries.
        found: Their inputs.
        number: How many utterances of each entry; 0 for none.
        stop: Heard between two utterances.

    Raises:
        EncoderError: One is off by more than its precision allows; nothing is written.
        Stopped: A signal came.
    """
    assert job.plan is not None
    checks: dict[tuple[str, str], Check] = {}
    if not number:
        return checks
    with threads(job.plan.threads):
        for group in grouped(loaded, job.journals):
            inputs = found.sources[group.input]
            rows = _drawn(_done(group.journals), number)
            try:
                errors = _all_errors(group, rows, inputs, stop)
            except (RuntimeError, MemoryError) as error:
                if not is_out_of_memory(error):
                    raise
                raise EncoderError(
                    f"{group.title}: the device has not the memory to compute {number} vectors "
                    f"again, alone in float32; --check 0 leaves that out; {job.kept}"
                ) from error
            ids = [job.plan.ids[row] for row in rows]
            for one, some in zip(group.entries, errors.T, strict=True):
                _require(job, one, ids, some)
                checks[one.key] = Check(len(rows), float(some.max(initial=0.0)))
    return checks


def _all_errors(
    group: Group, rows: Sequence[int], inputs: Sources, stop: Stop
) -> Float64[np.ndarray, "row layer"]:
    errors = np.zeros((len(rows), len(group.entries)))
    encoder = _reference(group.entries[0]) if rows else None
    for place, row in enumerate(rows):
        with stop.patient():
            errors[place] = _errors(group, row, inputs, encoder)
        stop.check()
    return errors


def _reference(one: LoadedEntry) -> Encoder:
    """The same encoder in float32."""
    if one.wanted.precision == "float32":
        encoder: Encoder = one.encoder
        return encoder
    return load_encoder(one.modality, one.wanted.encoder, device=one.encoder.device)


def _done(journals: Sequence[Journal]) -> np.ndarray:
    """The rows of which every layer has a vector."""
    done = np.logical_and.reduce([journal.status == DONE for journal in journals])
    return np.asarray(journals[0].rows[done])


def _drawn(rows: np.ndarray, number: int) -> list[int]:
    """One row from each of so many equal stretches, the same every time."""
    number = min(number, len(rows))
    ends = np.linspace(0, len(rows), number + 1).astype(int)
    random = np.random.default_rng(0)
    return [int(rows[random.integers(a, b)]) for a, b in zip(ends, ends[1:], strict=False)]


def _errors(group: Group, row: int, inputs: Sources, encoder: Encoder | None) -> list[float]:
    """The relative error of each entry's vector of a row."""
    source = inputs[row]
    assert isinstance(source, Source)
    assert encoder is not None
    item = encoder.prepare(source.load(encoder.info.sampling_rate_hz))
    layers = [one.wanted.layer for one in group.entries]
    encoded = encoder.encode([item], layers=layers)
    errors = []
    for frames, one, journal in zip(encoded.frames, group.entries, group.journals, strict=True):
        wanted = pool(one.wanted.pooling, frames, encoded.mask)[0].float().cpu().numpy()
        place = int(np.searchsorted(journal.rows, row))
        errors.append(relative_error(journal.read(place, place + 1)[0], wanted))
    return errors


def relative_error(
    found: Float32[np.ndarray, " feature"], wanted: Float32[np.ndarray, " feature"]
) -> float:
    """The length of the difference over the length of what is wanted; 0 where both are zero.

    >>> relative_error(np.float32([3.0, 4.4]), np.float32([3.0, 4.0])).__round__(6)
    0.08
    """
    distance = float(np.linalg.norm(found.astype(np.float64) - wanted))
    length = float(np.linalg.norm(wanted.astype(np.float64)))
    return 0.0 if distance == 0 else distance / length if length else np.inf


def _require(job: Job, one: LoadedEntry, ids: Sequence[str], errors: np.ndarray) -> None:
    limit, precision = LIMITS[one.wanted.precision], one.wanted.precision
    wrong = ~(errors <= limit)  # NaN too
    if not wrong.any():
        return
    worst = int(np.argmax(np.where(np.isnan(errors), np.inf, errors)))
    way_out = "this encoder can't be trusted here" if precision == "float32" else "use float32"
    raise EncoderError(
        f"{'/'.join(one.key)}: the vector of {ids[worst]!r} is off by {errors[worst]:.1e} from the "
        f"one computed alone in float32, {precision} may be by {limit:.0e}; {way_out} "
        f"(--overwrite discards the job, --check 0 leaves this check out); {job.kept}"
    )
