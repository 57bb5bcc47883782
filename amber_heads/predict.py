"""A trained run on new material, or on a cache: what `amber predict` does.

All models of the run answer, and their mean is the answer; utterances of the data that it was
trained on are answered by the models that have not seen them.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from amber_cache.errors import ConfigError, InterruptError
from amber_cache.store import open_cache, write_whole
from amber_heads.configuration.options import FUSION
from amber_heads.configuration.use_options import CACHE_SUFFIXES, PredictConfig
from amber_heads.counting import counted
from amber_heads.progress import Progress, no_progress
from amber_heads.results import without_nan
from amber_heads.using.forecast import Forecast, csv_text
from amber_heads.using.loaded import LoadedRun, load_run
from amber_heads.using.members import (
    TAUGHT_BY_STUDENT,
    Gathered,
    conflicts_of,
    grouped_answers,
    left_out_models,
)
from amber_heads.using.new_material import FileOptions, gather_cache, gather_files, parse_encoders
from amber_heads.using.own_folds import own_data, used_ids
from amber_heads.using.windows import checked_window


def run_predict(
    folder: Path,
    places: Sequence[Path],
    config: PredictConfig,
    *,
    out: Path | None = None,
    overwrite: bool = False,
    progress: Progress = no_progress,
) -> Forecast:
    """What a run says of files, folders, manifests, or of one cache.

    Args:
        folder: The run directory.
        places: What to predict.
        out: Where vectors are kept, below `embeddings`, so that an interrupted command goes on;
            None: they are not.
        overwrite: Discard an unfinished job of other files.

    Raises:
        AmberError: Run, material, encoders or options can't be used.
    """
    run = load_run(folder)
    if out is not None and (out / "config.json").exists():
        raise ConfigError(f"--out {out}: is a run directory; name a folder for the predictions")
    window = checked_window(config.window, config.step)
    encoders = parse_encoders(
        config.encoder, audio=config.audio_encoder, text=config.text_encoder, run=run
    )
    caches = [one for one in places if one.suffix.lower() in CACHE_SUFFIXES]
    if not caches:
        with ExitStack() as stack:
            kept = out or Path(stack.enter_context(tempfile.TemporaryDirectory()))
            options = FileOptions(
                encoders=encoders,
                device="cuda" if config.gpu and config.device == "cpu" else config.device,
                folder=kept / "embeddings",
                window=window,
                transcribe=config.transcribe,
                overwrite=overwrite,
            )
            with _interruption(is_kept=out is not None):
                gathered = gather_files(run, places, options, progress=progress)
            return _forecast(run, gathered, config)
    if len(places) > 1 or window or config.transcribe:
        raise ConfigError(
            f"{caches[0]}: a cache is predicted by itself, without other files, --window and "
            "--transcribe"
        )
    with open_cache(caches[0]) as cache:
        gathered = _of_own_folds(run, gather_cache(run, cache, encoders), cache.path)
    return _forecast(run, gathered, config, cache=caches[0])


@contextmanager
def _interruption(*, is_kept: bool) -> Iterator[None]:
    """Tell the truth of an interrupted command whose vectors had no place to be kept."""
    try:
        yield
    except InterruptError as error:
        if is_kept:
            raise
        line = "interrupted; nothing is kept; with --out FOLDER the same command would go on"
        raise InterruptError(line, status=error.status) from None


def _of_own_folds(run: LoadedRun, gathered: Gathered, cache: Path) -> Gathered:
    """With the fold that tests each utterance, where the cache is what the run was trained on."""
    own = own_data(run, cache)
    if own is None:
        ids = used_ids(run)
        shared = sum(one in ids for one in gathered.ids)
        have = counted(shared, "utterance has an id", "utterances have ids")
        note = (
            f"{cache}: is not the data that the run was trained on, but {have} of it; all models "
            "answer, and some may HAVE SEEN them"
        )
        return replace(gathered, notes=(*gathered.notes, *([note] if shared else [])))
    tested = sum(one in own.fold_of for one in gathered.ids)
    seen = sum(one in own.ids and one not in own.fold_of for one in gathered.ids)
    are = counted(tested, "utterance is", "utterances are")
    note = (
        f"{cache}: is the data that the run was trained on; {are} predicted by the models of the "
        "fold that tests them, which have not seen them"
    )
    more = f"; {seen} that no fold tests by all models, which HAVE SEEN them" if seen else ""
    return replace(gathered, fold_of=own.fold_of, notes=(*gathered.notes, note + more))


def _forecast(
    run: LoadedRun, gathered: Gathered, config: PredictConfig, *, cache: Path | None = None
) -> Forecast:
    conflicts, mark = None, ""
    untaught = [head for head in run.heads if head not in (*run.supervised, FUSION)]
    if config.conflict_from is not None:
        other = load_run(config.conflict_from)
        conflicts = conflicts_of(other, _for_other(run, other, gathered, cache))
        mark = f"between the heads of {config.conflict_from}"
    elif untaught and len(run.heads) > 1:
        mark = TAUGHT_BY_STUDENT
    groups, failures = grouped_answers(run, gathered, conflicts=conflicts)
    return Forecast(
        run=run.folder,
        classes=run.classes,
        groups=groups,
        failures=(*gathered.failures, *failures),
        conflict_mark=mark,
        notes=(*gathered.notes, *left_out_models(run)),
        with_members=config.members,
    )


def _for_other(
    run: LoadedRun, other: LoadedRun, gathered: Gathered, cache: Path | None
) -> Gathered:
    """The same items for another run, which must read the same vectors.

    Raises:
        ConfigError: It reads another modality.
        EncoderError: It reads what another encoder made.
    """
    from amber_cache import embed

    for key, entry in other.inputs.items():
        if key not in run.inputs:
            raise ConfigError(
                f"--conflict-from {other.folder}: reads {key}, and {run.folder} reads "
                f"{', '.join(run.inputs)}"
            )
        embed.refuse_other_encoder(entry.modality, run.inputs[key].attrs, entry.attrs)
        if run.inputs[key].layers != entry.layers:
            raise ConfigError(f"--conflict-from {other.folder}: weighs other layers of {key}")
    vectors = {key: gathered.vectors[key] for key in other.inputs}
    own = None if cache is None else own_data(other, cache)
    return replace(gathered, vectors=vectors, fold_of={} if own is None else own.fold_of)


def write_forecast(forecast: Forecast, folder: Path) -> list[Path]:
    """Write predictions.csv, a row an item and head, and predictions.jsonl; gives their paths.

    Raises:
        CacheError: A file can't be written.
    """
    lines = [json.dumps(without_nan(one)) + "\n" for one in forecast.records()]
    content = {"predictions.csv": csv_text(forecast), "predictions.jsonl": "".join(lines)}
    for name, text in content.items():
        write_whole(folder / name, text.encode())
    return [folder / name for name in content]


def draw_forecast(forecast: Forecast, folder: Path) -> list[Path]:
    """Draw the answers over time of every recording that was cut into windows.

    Raises:
        ConfigError: There are none.
    """
    curves = curves_of(forecast)
    if not curves:
        raise ConfigError(
            "--figures draws answers over time, and nothing was cut into windows; add --window"
        )
    from amber_heads.using.timeline import draw_over_time

    return draw_over_time(curves, classes=forecast.classes, folder=folder)


def curves_of(forecast: Forecast) -> list[Any]:
    """The windowed recordings of a forecast as curves over time, by name."""
    from amber_heads.using.timeline import Curve

    found: dict[str, list[tuple[float, np.ndarray, float]]] = {}
    for group in forecast.groups:
        number = group.answers.heads.index(group.answer)
        for place, item in enumerate(group.items):
            if item.start_s is not None and item.end_s is not None:
                said = group.answers.mean[place, number], group.answers.entropy[place, number]
                found.setdefault(item.id, []).append(((item.start_s + item.end_s) / 2, *said))
    curves = []
    for name, points in sorted(found.items()):
        points.sort(key=lambda one: one[0])
        middles, distributions, entropies = (np.array(one) for one in zip(*points, strict=True))
        curves.append(Curve(name, middles, distributions, entropies))
    return curves
