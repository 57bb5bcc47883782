"""A trained run on another cache, or on its own: `amber eval`.

The same metrics, floors and statistics as a fit's, in a run directory of the same layout. A cache's
utterances without labels go into a submission file.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from amber_cache.errors import CacheError, ConfigError, EncoderError
from amber_cache.store import Cache, amber_version, open_cache, write_whole
from amber_heads import results as files
from amber_heads.configuration.use_options import EvalConfig
from amber_heads.counting import counted
from amber_heads.using.eval_labels import POLICY, Labels, read_labels
from amber_heads.using.eval_summary import eval_predictions, eval_summary, eval_tables
from amber_heads.using.forecast import Forecast
from amber_heads.using.judged import Judged, judge_other
from amber_heads.using.judged_own import Elsewhere, judge_own
from amber_heads.using.loaded import LoadedRun, load_run
from amber_heads.using.members import Gathered, grouped_answers
from amber_heads.using.new_material import gather_cache, parse_encoders
from amber_heads.using.own_folds import OwnData, own_data


@dataclass(frozen=True)
class Evaluation:
    """What a run is worth on a cache.

    Attributes:
        folder: Where it is written; None where nothing has labels.
        summary: What summary.json holds; empty where nothing has labels.
        stored: It stood there already.
        submission: The file that was written; None where none was asked for.
        notes: What the user should be told, one line each.
    """

    folder: Path | None
    summary: Mapping[str, Any]
    stored: bool
    submission: Path | None
    notes: tuple[str, ...]


def run_eval(
    folder: Path,
    config: EvalConfig,
    *,
    out: Path | None = None,
    submission: Path | None = None,
    overwrite: bool = False,
) -> Evaluation:
    """Judge a run on a cache.

    Args:
        folder: The run directory.
        config: The cache, and how its labels are read.
        out: Where the result is written; None: named after the configuration and the data.
        submission: Where predictions of utterances without a counted vote are written.
        overwrite: Judge anew where it stands already.

    Raises:
        AmberError: Run, cache, labels or place can't be used, or an entry is of another encoder.
    """
    run = load_run(folder)
    own = own_data(run, config.cache) if _is_as_trained(run, config) else None
    encoders = parse_encoders(
        config.encoder, audio=config.audio_encoder, text=config.text_encoder, run=run
    )
    with _looked_at(run, config, own), open_cache(config.cache) as cache:
        told = config if own is None else _as_trained(run, config)
        labels = read_labels(run, cache, told) if own is None or submission else None
        named = _named_elsewhere(run, encoders)
        is_read = labels is not None or named
        gathered = gather_cache(run, cache, encoders) if is_read else None
        notes: list[str] = []
        if labels is not None and gathered is not None:
            notes += _submit(run, gathered, labels, cache, submission)
        if own is not None:
            judged = judge_own(run, own, Elsewhere(gathered, named) if gathered and named else None)
        elif labels is not None and labels.map is not None and gathered is not None:
            judged = judge_other(run, cache, gathered, labels)
        elif submission is not None:
            return Evaluation(None, {}, stored=False, submission=submission, notes=tuple(notes))
        else:
            raise ConfigError(
                f"{config.cache}: no utterance has a counted vote, so there is nothing to judge "
                "by; --submission FILE writes what the run says of them"
            )
    found, stored = _written(run, judged, out, overwrite=overwrite)
    summary = stored if stored is not None else eval_summary(run, judged)
    return Evaluation(found, files.without_nan(summary), stored is not None, submission, (*notes,))


def _is_as_trained(run: LoadedRun, config: EvalConfig) -> bool:
    """Whether labels are read as in the training, so that a cache may be the run's own data."""
    trained = _trained(run)
    same = all(getattr(config, one) in (None, trained.get(one)) for one in POLICY)
    subset = list(config.subset) in ([], list(trained.get("subset") or ()))
    return not config.map and same and subset


@contextmanager
def _looked_at(run: LoadedRun, config: EvalConfig, own: OwnData | None) -> Iterator[None]:
    """Where a cache that nobody named is refused, say that it is not the run's, and which is."""
    try:
        yield
    except (CacheError, ConfigError, EncoderError) as error:
        cache = config.cache
        if own is not None or cache != EvalConfig.cache or not _is_as_trained(run, config):
            raise
        trained = Path(str(_trained(run).get("cache") or cache))
        other = str(trained) if trained != cache else "other data" if cache.exists() else ""
        meant = f", and the run was trained on {other}" if other else ""
        raise type(error)(
            f"{error}; {cache} is looked at where --cache names no other{meant}: name the right "
            "cache with --cache"
        ) from None


def _named_elsewhere(run: LoadedRun, encoders: Mapping[str, str]) -> dict[str, str]:
    """The entries that are named and that the run was not trained on, by modality."""
    own = {(one.modality, name) for one in run.inputs.values() for name in (one.entry, *one.layers)}
    return {
        modality: name
        for modality, name in encoders.items()
        if (modality, name.replace("/", "--")) not in own
    }


def _trained(run: LoadedRun) -> Mapping[str, Any]:
    """What the run was told."""
    told = run.config.get("settings")
    return told if isinstance(told, dict) else {}


def _as_trained(run: LoadedRun, config: EvalConfig) -> EvalConfig:
    """The same, with the label policy of the training, so that the same votes count."""
    trained = run.config["settings"]
    return replace(config, **{name: trained[name] for name in POLICY if name in trained})


def _submit(
    run: LoadedRun, gathered: Gathered, labels: Labels, cache: Cache, path: Path | None
) -> list[str]:
    """Write what the run says of utterances without a counted vote; what to tell."""
    row_of = {str(one): row for row, one in enumerate(cache.utterances.id)}
    rows = [row_of[one] for one in gathered.ids]
    places = [
        place for place, row in enumerate(rows) if labels.inside[row] and not labels.is_voted[row]
    ]
    if path is None:
        rest = "--submission FILE writes what the run says of them"
        have = counted(len(places), "utterance has", "utterances have")
        return [f"{have} no counted vote; {rest}"] if places else []
    if not places:
        raise ConfigError(
            f"--submission {path}: every utterance that can be predicted has a counted vote; "
            "leave it out"
        )
    chosen = replace(
        gathered,
        ids=tuple(gathered.ids[place] for place in places),
        items=tuple(gathered.items[place] for place in places),
        vectors={key: one[places] for key, one in gathered.vectors.items()},
    )
    groups, failures = grouped_answers(run, chosen)
    forecast = Forecast(
        run=run.folder,
        classes=run.classes,
        groups=groups,
        failures=failures,
        conflict_mark="",
        notes=(),
    )
    write_whole(path, files.csv_bytes(_submission_rows(forecast)))
    failed = [f"not in {path}: {one.id}: {one.reason}" for one in failures]
    return [f"{path}: {counted(forecast.num_items, 'utterance')} without a counted vote", *failed]


def _submission_rows(forecast: Forecast) -> list[dict[str, object]]:
    """Id, distribution, arg max; and the head that answered."""
    rows: list[dict[str, object]] = []
    for one in forecast.records():
        said = one["heads"][one["answer"]]
        rows.append({"id": one["id"], **said["distribution"], "top": said["top"]})
    return rows


def _written(
    run: LoadedRun, judged: Judged, out: Path | None, *, overwrite: bool
) -> tuple[Path, dict[str, Any] | None]:
    """Write the result as a run directory; its folder, and the summary that stood there already."""
    settings = {"run": str(run.config.get("hash", "")), **judged.policy}
    description = files.make_config(
        "eval", settings, fingerprint=judged.fingerprint, version=amber_version()
    )
    place = out or files.default_folder(description)
    stored = files.stored_summary(place, description, overwrite=overwrite)
    if stored is None:
        summary = eval_summary(run, judged)
        content = {
            "summary.json": files.json_bytes(summary),
            "predictions.h5": eval_predictions(run, judged),
            **eval_tables(summary),
        }
        files.write_run(place, description, content)
    return place, stored
