"""The command line: it parses, calls one function, and prints.

Options come from the configuration classes, so that a setting has one name and one help text.
Results go to stdout, progress and trouble to stderr. Exit status: 0 done, 1 done but utterances
failed, 2 nothing done because the input or an option can't be used, 3 a bug, 130 interrupted (143
by SIGTERM).
"""

from __future__ import annotations

import sys

#: The exit status after Ctrl-C, as shells have it.
INTERRUPTED = 130
_NOTHING_LEFT = "interrupted; nothing half-written is left"

try:
    import inspect
    import io
    import os
    import traceback
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from dataclasses import asdict
    from functools import cache
    from importlib import metadata
    from pathlib import Path
    from typing import Annotated, Any

    import typer

    from amber_cache.config import (
        ExtractConfig,
        ImportConfig,
        Origin,
        Setting,
        refuse_mixture,
        refuse_unknown_keys,
        resolve,
        settings_of,
        with_shards_cache,
    )
    from amber_cache.errors import AmberError, ConfigError, InterruptError
    from amber_cache.progress import show_progress
    from amber_cache.records import Listing
    from amber_heads.configuration.settings import (
        CompareConfig,
        FitConfig,
        GridConfig,
        OverviewConfig,
        TrainingConfig,
    )
    from amber_heads.configuration.use_options import EvalConfig, PredictConfig, for_places
    from amber_heads.printing import (
        outcomes_as_json,
        print_forecast,
        print_json,
        print_outcome,
        print_overview,
        print_table,
    )
except KeyboardInterrupt:  # Ctrl-C before `main` can hear it
    print(f"amber: {_NOTHING_LEFT}", file=sys.stderr)
    sys.exit(INTERRUPTED)

DEMO_CACHE = ExtractConfig().cache

_LONGEST_LINE = 2000

app = typer.Typer(
    name="amber",
    add_completion=False,
    rich_markup_mode=None,
)

Json = Annotated[bool, typer.Option("--json", help="one JSON object on stdout, nothing else")]
Quiet = Annotated[bool, typer.Option("--quiet", help="no progress, no notes")]
Out = Annotated[
    Path | None, typer.Option("--out", help="the run directory [default: runs/COMMAND-HASH]")
]
Workers = Annotated[
    int | None, typer.Option("--workers", help="stacks that train at once [default: all cores]")
]
Backend = Annotated[str, typer.Option("--backend", help="threading, loky (processes), dask or ray")]
Crew = Annotated[
    str | None, typer.Option("--workers", help="processes that encode, or a cluster's address")
]
CrewBackend = Annotated[
    str | None, typer.Option("--backend", help="who they are: loky (default), dask or ray")
]
Memory = Annotated[
    float | None, typer.Option("--memory", help="GiB that runs trained together may take")
]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="do it anew where it stands")]
ConfigFile = Annotated[
    Path | None, typer.Option("--config", help="a run's config.json, to run it again")
]
Place = Annotated[
    Path, typer.Argument(metavar="ROOT_OR_CACHE", help="a cache, a manifest or a corpus's folder")
]
Figures = Annotated[
    Path | None, typer.Option("--figures", help="draw figures into this folder, PNG and SVG")
]
Run = Annotated[Path, typer.Argument(metavar="RUN", help="a run directory")]
Inputs = Annotated[
    list[Path],
    typer.Argument(
        metavar="FILES...", help="audio files, folders of them, manifests without votes; or a cache"
    ),
]
Kept = Annotated[
    Path | None,
    typer.Option("--out", help="a folder for predictions.csv and .jsonl, and to go on from"),
]
Lines = Annotated[bool, typer.Option("--jsonl", help="a JSON object a line for each item")]
Rows = Annotated[bool, typer.Option("--csv", help="CSV on stdout, a row for each item and head")]
Submission = Annotated[
    Path | None,
    typer.Option("--submission", help="write CSV of the utterances without a counted vote"),
]

_HINTS: dict[Any, Any] = {
    "Run": Run,
    "Inputs": Inputs,
    "Kept": Kept,
    "Lines": Lines,
    "Rows": Rows,
    "Submission": Submission,
    "Json": Json,
    "Quiet": Quiet,
    "Out": Out,
    "Overwrite": Overwrite,
    "Workers": Workers,
    "Backend": Backend,
    "Crew": Crew,
    "CrewBackend": CrewBackend,
    "Memory": Memory,
    "ConfigFile": ConfigFile,
    "Place": Place,
    "Figures": Figures,
}


def _option(setting: Setting) -> inspect.Parameter:
    flags = setting.flag
    if setting.is_switch:
        annotation: Any = bool | None
        flags += f"/--no-{setting.flag[2:]}"
    else:
        annotation = list[str] | None if setting.is_repeatable else str | None
    declared = typer.Option(
        flags, help=setting.described, show_default=False, metavar=setting.metavar
    )
    return inspect.Parameter(
        setting.name,
        inspect.Parameter.KEYWORD_ONLY,
        default=None,
        annotation=Annotated[annotation, declared],
    )


def with_settings(config_type: type) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Give a command one option for each setting of a configuration class.

    The command gets what the user gave in the argument `given`, by setting; None elsewhere.
    """
    options = [_option(setting) for setting in settings_of(config_type)]

    def decorate(command: Callable[..., None]) -> Callable[..., None]:
        own = [p for p in inspect.signature(command).parameters.values() if p.name != "given"]
        own = [one.replace(annotation=_HINTS[one.annotation]) for one in own]

        def run(**arguments: Any) -> None:
            given = {one.name: arguments.pop(one.name) for one in options}
            command(given=given, **arguments)

        run.__name__, run.__doc__ = command.__name__, command.__doc__
        run.__signature__ = inspect.Signature([*options, *own])  # type: ignore[attr-defined]
        run.__annotations__ = {one.name: one.annotation for one in [*options, *own]}
        return run

    return decorate


def _print_version(wanted: bool) -> None:
    if wanted:
        print(metadata.version("amber-ser"))
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool,
        typer.Option("--version", help="the version", is_eager=True, callback=_print_version),
    ] = False,
) -> None:
    """Dual ambiguity-aware emotion recognition (AmbER2): extract once, train in seconds."""


@app.command()
@with_settings(ExtractConfig)
def extract(
    *,
    given: Mapping[str, Any],
    overwrite: Overwrite = False,
    workers: Crew = None,
    backend: CrewBackend = None,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Encode a corpus once: embeddings and votes go into a cache.

    A run that was killed or interrupted goes on with the same command; --overwrite discards what
    it has done.
    """
    config, origins = _resolved(ExtractConfig, given)
    config = with_shards_cache(config, is_cache_given=origins["cache"] == Origin.FLAG)
    from amber_cache.extract import extract as run_extract
    from amber_cache.jobs.backends import parse_workers

    crew = parse_workers(workers, backend)
    with show_progress(quiet=quiet or json) as progress:
        report = run_extract(config, overwrite=overwrite, workers=crew, progress=progress)
    if json:
        print_json(asdict(report))
    else:
        _say(report.notes, quiet=quiet)
        _say([f"failed: {one.id} ({one.modality}): {one.reason}" for one in report.failures])
        print(report.last_line)
    raise typer.Exit(1 if report.failures else 0)


@app.command("import")
@with_settings(ImportConfig)
def import_(*, given: Mapping[str, Any], json: Json = False, quiet: Quiet = False) -> None:
    """Put features of your own into a cache, beside a corpus's votes. No encoder runs."""
    config, origins = _resolved(ImportConfig, given)
    from amber_cache.importing import import_features

    with show_progress(quiet=quiet or json) as progress:
        report = import_features(config, origins, progress=progress)
    if json:
        print_json(asdict(report))
    else:
        _say([*report.notes, *report.strangers], quiet=quiet)
        _say([f"failed: {one.id} ({one.modality}): {one.reason}" for one in report.failures])
        print(report.last_line)
    raise typer.Exit(1 if report.failures else 0)


def _add_training(name: str, config_type: type[TrainingConfig], text: str) -> None:
    """Add a command that trains what a configuration class describes."""

    @with_settings(config_type)
    def train(
        *,
        given: Mapping[str, Any],
        out: Out = None,
        overwrite: Overwrite = False,
        workers: Workers = None,
        backend: Backend = "threading",
        memory: Memory = None,
        config: ConfigFile = None,
        json: Json = False,
        quiet: Quiet = False,
    ) -> None:
        how = {"out": out, "overwrite": overwrite, "workers": workers}
        how |= {"backend": backend, "memory": memory}
        _experiment(config_type, given, config, as_json=json, quiet=quiet, **how)

    app.command(name, help=text)(train)


_add_training("fit", FitConfig, "Train folds x seeds of one setting, and write a run directory.")
_add_training(
    "grid",
    GridConfig,
    "Train a grid of settings, select on validation, print the table.",
)
_add_training(
    "compare",
    CompareConfig,
    "Train every system of the paper's tables; test how they differ.",
)


@app.command()
def demo(
    *,
    cache: Annotated[Path, typer.Option("--cache", help="the cache to write")] = DEMO_CACHE,
    seeds: Annotated[str, typer.Option("--seeds", help="how many, or a list")] = FitConfig.seeds,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Extract, fit and grid on the synthetic corpus that amber brings.

    Both CB-CE and AmbER2 are fitted, so that what voice and words say alone can be told.
    """
    from amber_cache.extract import extract as run_extract
    from amber_heads.ambiguity import ambiguity_tables

    with show_progress(quiet=quiet or json) as progress:
        report = run_extract(ExtractConfig(cache=cache), progress=progress)
        told = {"cache": cache, "seeds": Listing(seeds)}
        runs = [
            run_experiment(config, progress=progress)
            for config in (
                FitConfig(**told, loss="cb-ce"),
                FitConfig(**told),
                GridConfig(**told),
            )
        ]
    tables = ambiguity_tables(runs[1].folder, alone=runs[0].folder, cache=cache)
    if json:
        ambiguity = [
            {"title": one.title, "columns": one.columns, "rows": one.rows} for one in tables
        ]
        print_json(
            {"extract": asdict(report), "runs": outcomes_as_json(runs), "ambiguity": ambiguity}
        )
        return
    print(report.last_line)
    for outcome in runs:
        print_outcome(outcome)
    for table in tables:
        print_table(table)
    for outcome in runs:
        print(f"Results: {outcome.folder}")


@app.command()
def verify(
    cache: Annotated[Path, typer.Argument(metavar="CACHE", help="the cache to look at")],
    *,
    against: Annotated[
        Path | None, typer.Option("--against", help="the corpus's root: hash its audio again")
    ] = None,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Check all of a cache: format, checksums, finiteness, ids.

    Every row has a CRC, every dataset a checksum; entries must be aligned with the ids.
    """
    if against is None:
        from amber_cache.store import verify_cache

        report = verify_cache(cache)
    else:
        from amber_cache.against import verify_against

        with show_progress(quiet=quiet or json) as progress:
            report = verify_against(cache, against, progress=progress)
    if json:
        print_json({"ok": report.ok, **asdict(report)})
    else:
        print("\n".join(report.lines))
    raise typer.Exit(0 if report.ok else 2)


@app.command()
def merge(
    out: Annotated[Path, typer.Argument(metavar="OUT", help="the cache to write")],
    parts: Annotated[list[Path], typer.Argument(metavar="PART...", help="the shards' caches")],
    *,
    partial: Annotated[
        bool, typer.Option("--partial", help="leave the rows of missing shards pending")
    ] = False,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Put the shards of `amber extract --shard K/N` into one cache."""
    from amber_cache.merge import merge as run_merge

    report = run_merge(out, parts, partial=partial)
    if json:
        print_json(asdict(report))
    else:
        _say([f"failed: {one.id} ({one.modality}): {one.reason}" for one in report.failures])
        print(report.last_line)
    raise typer.Exit(1 if report.failures else 0)


@app.command()
def export(
    run: Annotated[Path | None, typer.Argument(metavar="RUN", help="a run directory")] = None,
    *,
    onnx: Annotated[Path | None, typer.Option("--onnx", help="the ONNX file to write")] = None,
    hub: Annotated[
        Path | None, typer.Option("--hub", help="the folder for a model hub to write")
    ] = None,
    cache: Annotated[
        Path | None, typer.Option("--cache", help="the cache to share, in place of RUN")
    ] = None,
    out: Annotated[Path | None, typer.Option("--out", help="the shared cache to write")] = None,
    salt_file: Annotated[
        Path | None, typer.Option("--salt-file", help="made if missing [default: CACHE.salt]")
    ] = None,
    votes: Annotated[
        str | None, typer.Option("--votes", help="per-rater (the default) or aggregated")
    ] = None,
    keep_columns: Annotated[
        str | None,
        typer.Option("--keep-columns", help="a list [default: gender,split,style,consensus,...]"),
    ] = None,
    overwrite: Overwrite = False,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Take a run elsewhere (--onnx, --hub), or share a cache.

    A cache is shared without transcripts, paths and names.
    """
    of_run = {"RUN": run, "--onnx": onnx, "--hub": hub}
    of_cache = {"--cache": cache, "--out": out, "--salt-file": salt_file, "--votes": votes}
    refuse_mixture(of_run, {**of_cache, "--keep-columns": keep_columns})
    if cache is not None:
        from amber_cache.shared.shared_cache import share_cache

        how: dict[str, Any] = {"salt_file": salt_file, "votes": votes, "keep": keep_columns}
        tell = None if json else _say  # who shares must see what goes out, quiet or not
        reports = {"cache": share_cache(cache, out, **how, overwrite=overwrite, tell=tell)}
    else:
        from amber_heads.exporting import export_run

        reports = export_run(run, onnx=onnx, hub=hub, overwrite=overwrite)
    if json:
        print_json({name: asdict(one) for name, one in reports.items()})
        return
    for report in reports.values():
        _say(report.notes, quiet=quiet)
        print(report.last_line)


@app.command()
@with_settings(OverviewConfig)
def corpus(
    *,
    given: Mapping[str, Any],
    place: Place,
    figures: Figures = None,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Tell what is in a corpus or a cache: votes, agreement, leakage.

    With counts, and what each label policy would leave out.
    """
    config, origins = _resolved(OverviewConfig, given)
    from amber_cache.look import look
    from amber_heads.overviews.overview import make_overview

    how = {name: getattr(config, name) for name in ("corpus", "votes_file", "durations")}
    flags = [name for name in how if given[name] is not None]
    with show_progress(quiet=quiet or json) as progress:
        found = look(place, **how, flags=flags, progress=progress)
        overview = make_overview(found, config, origins)
    drawn = [] if figures is None else _draw(overview, figures)
    if json:
        print_json({**overview.as_json(), "figures": drawn, "warnings": found.notes})
        return
    _say(found.notes, quiet=quiet)
    print_overview(overview)
    for path in drawn:
        print(f"Figure: {path}")


@app.command()
@with_settings(PredictConfig)
def predict(
    *,
    given: Mapping[str, Any],
    run: Run,
    files: Inputs,
    out: Kept = None,
    figures: Figures = None,
    overwrite: Overwrite = False,
    csv: Rows = False,
    jsonl: Lines = False,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Tell what a trained run makes of recordings, texts or a cache."""
    config, origins = _resolved(PredictConfig, given)
    config = for_places(config, origins, files)
    _refuse_several({"--csv": csv, "--jsonl": jsonl, "--json": json})
    from amber_heads.predict import draw_forecast, run_predict, write_forecast

    with show_progress(quiet=quiet or json or jsonl or csv) as progress:
        forecast = run_predict(run, files, config, out=out, overwrite=overwrite, progress=progress)
    written = [] if out is None else write_forecast(forecast, out)
    written += [] if figures is None else draw_forecast(forecast, figures)
    _say(forecast.notes, quiet=quiet or json)
    if not json:
        _say([f"failed: {one.id}: {one.reason}" for one in forecast.failures])
    form = "csv" if csv else "jsonl" if jsonl else "json" if json else ""
    print_forecast(forecast, form, written)
    raise typer.Exit(1 if forecast.failures else 0)


@app.command("eval")
@with_settings(EvalConfig)
def eval_(
    *,
    given: Mapping[str, Any],
    run: Run,
    out: Out = None,
    submission: Submission = None,
    overwrite: Overwrite = False,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Judge a trained run on another cache, or on its own."""
    config, _ = _resolved(EvalConfig, given)
    from amber_heads.evaluate_run import run_eval
    from amber_heads.using.eval_summary import tables_of_eval

    found = run_eval(run, config, out=out, submission=submission, overwrite=overwrite)
    _say(found.notes, quiet=quiet)
    if json:
        told = {"folder": found.folder, "stored": found.stored, "submission": found.submission}
        print_json({**told, **found.summary})
        return
    if found.stored:
        print(f"{found.folder} holds this evaluation already; this is its stored result:")
    for table in tables_of_eval(found.summary).values() if found.summary else ():
        print_table(table)
    if found.submission is not None:
        print(f"Submission: {found.submission}")
    if found.folder is not None:
        print(f"Results: {found.folder}")


@app.command()
def report(
    runs: Annotated[list[Path], typer.Argument(metavar="RUN...", help="run directories")],
    *,
    out: Annotated[
        Path | None, typer.Option("--out", help="the report's folder [default: runs/report-HASH]")
    ] = None,
    reference: Annotated[
        str | None, typer.Option("--reference", help="what differences are to [default: cb-ce]")
    ] = None,
    name: Annotated[
        list[str] | None, typer.Option("--name", metavar="NAME=RUN", help="call a run NAME")
    ] = None,
    clusters: Annotated[
        str | None, typer.Option("--clusters", help="speaker, dialogue or session, for the tests")
    ] = None,
    levels: Annotated[
        str | None, typer.Option("--levels", help="quantiles, or how many, of the raters' entropy")
    ] = None,
    with_text: Annotated[
        bool, typer.Option("--with-text", help="transcripts, from --cache")
    ] = False,
    with_audio: Annotated[bool, typer.Option("--with-audio", help="sound, from --root")] = False,
    cache: Annotated[
        Path, typer.Option("--cache", help="what the runs were trained on")
    ] = DEMO_CACHE,
    root: Annotated[
        Path, typer.Option("--root", help="the corpus's folder, for --with-audio")
    ] = Path("data/demo"),
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Make a page of run directories: tables, tests, figures, protocol.

    It has every utterance too, to be sorted and filtered.
    """
    from amber_heads.report import make_report
    from amber_heads.reporting.contents import ReportConfig, parse_levels, parse_names

    config = ReportConfig(
        runs=tuple(runs),
        names=parse_names(name or (), runs),
        reference=reference,
        clusters=clusters,
        levels=parse_levels(levels),
        with_text=with_text,
        with_audio=with_audio,
        cache=cache,
        root=root,
    )
    with show_progress(quiet=quiet or json) as progress:
        made = make_report(config, out=out, progress=progress)
    if json:
        print_json(made.as_json())
        return
    _say(made.warnings, quiet=quiet)
    for table in made.tables:
        print_table(table)
    print(f"Report: {made.folder / 'report.html'}")


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line; trouble from outside is one line on stderr.

    Args:
        arguments: In place of the process's own.

    Raises:
        SystemExit: Always, with the exit status.
    """
    words = list(sys.argv[1:] if arguments is None else arguments)
    try:
        if isinstance(sys.stdout, io.TextIOWrapper):  # a table's arrows are no reason to fail
            sys.stdout.reconfigure(errors="replace")
        command = _command()
        status = command(args=words or ["--help"], prog_name="amber", standalone_mode=False)
        sys.stdout.flush()
        if status == INTERRUPTED:  # the option parser has caught Ctrl-C
            _complain(_NOTHING_LEFT, status)
    except (KeyboardInterrupt, typer.Abort):
        status = _complain(_NOTHING_LEFT, INTERRUPTED)
    except InterruptError as error:
        status = _complain(str(error), error.status)
    except AmberError as error:
        status = _complain(str(error), 2)
    except BrokenPipeError:  # who reads stdout has enough
        status = 1
    except OSError as error:  # stdout is full, a file is gone since it was looked at
        place = "" if error.filename is None else f"{error.filename}: "
        status = _complain(f"{place}{error.strerror or error}", 2)
    except Exception as error:
        if hasattr(error, "format_message"):  # what the option parser refuses
            status = _complain(_refused(error), 2)
        else:
            status = _unexpected(error)
    _empty_stdout()
    sys.exit(status if isinstance(status, int) else 0)


def _empty_stdout() -> None:
    """Let go of what stdout does not take: Python would try once more, and exit with 120."""
    try:
        sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


@cache
def _command() -> Any:
    """All commands and their options, made once for a process that calls `main` often."""
    return typer.main.get_command(app)


def _refused(error: Any) -> str:
    """What the option parser says, with the way out where it knows none."""
    said, context = str(error.format_message()), getattr(error, "ctx", None)
    if context is None:
        return said
    if owners := _commands_with(getattr(error, "option_name", None)):
        return f"No such option: {error.option_name}; it belongs to amber {', '.join(owners)}"
    words = context.get_usage().partition("[OPTIONS] ")[2].split()
    usage = [one.removesuffix("}...").strip("{}") for one in words]  # "{FILES...}..." by Typer
    if said.startswith("Missing argument") and len(usage) > 1:
        return f"{said.rstrip('.')}; wanted: {context.command_path} {' '.join(usage)}"
    if "unexpected extra argument" not in said:
        return said
    hints = {"--cache": "a cache is named with --cache", "--root": "a corpus with --root"}
    options = {word for one in context.command.params for word in one.opts}
    return "; ".join([said, *(hint for option, hint in hints.items() if option in options)])


def _commands_with(option: str | None) -> list[str]:
    return [
        name
        for name, command in _command().commands.items()
        if any(option in one.opts for one in command.params)
    ]


def _experiment(
    config_type: type[TrainingConfig],
    given: Mapping[str, Any],
    config_file: Path | None,
    *,
    as_json: bool,
    quiet: bool,
    **how: Any,
) -> None:
    config, origins = _resolved(config_type, given, config_file)
    with show_progress(quiet=quiet or as_json) as progress:
        how |= {"progress": progress, "tell": lambda lines: _say(lines, quiet=quiet or as_json)}
        outcome = run_experiment(config, origins, config_file=config_file, **how)
    _say(outcome.notes, quiet=quiet)
    if as_json:
        print_json(outcomes_as_json([outcome])[0])
        return
    print_outcome(outcome)
    print(f"Results: {outcome.folder}")


def run_experiment(
    config: TrainingConfig, origins: Mapping[str, int] | None = None, **how: Any
) -> Any:
    """`amber_heads.experiment.run_experiment`, imported when it is needed: it brings NumPy."""
    from amber_heads.experiment import run_experiment as run

    return run(config, origins or {}, **how)


def _resolved(
    config_type: type[Any], given: Mapping[str, Any], config_file: Path | None = None
) -> tuple[Any, dict[str, Any]]:
    refuse_unknown_keys(
        (
            ExtractConfig,
            ImportConfig,
            FitConfig,
            GridConfig,
            CompareConfig,
            OverviewConfig,
            PredictConfig,
            EvalConfig,
        )
    )
    return resolve(config_type, given, environ=os.environ, config_file=config_file)


def _draw(overview: Any, folder: Path) -> list[Path]:
    from amber_heads.overviews.overview import require_classes

    require_classes(overview)
    from amber_heads.plots import draw_overview

    return list(draw_overview(overview, folder))


def _refuse_several(forms: Mapping[str, bool]) -> None:
    asked = [name for name, is_asked in forms.items() if is_asked]
    if len(asked) > 1:
        raise ConfigError(f"{' and '.join(asked)}: stdout takes one form; leave the others out")


def _say(lines: Iterable[str], *, quiet: bool = False) -> None:
    for line in () if quiet else lines:
        print(line, file=sys.stderr)


def _complain(message: str, status: int) -> int:
    line = " ".join(message.split())
    if len(line) > _LONGEST_LINE:  # a file may hold a number of a thousand digits
        line = line[:_LONGEST_LINE] + " ..."
    print(f"amber: {line}", file=sys.stderr)
    return status


def _unexpected(error: Exception) -> int:
    traceback.print_exception(error)
    return _complain(f"a bug: {type(error).__name__}: {error}; please report it", 3)


if __name__ == "__main__":
    main()
