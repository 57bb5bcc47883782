"""Stage two: a cache is read and heads are trained on it, a whole table of runs at once.

Nothing is imported here, so that the command line starts fast; take names from their modules, which
import only those above them. `amber_heads.load(run)` alone can be called at once: it gives a
`predictor.Predictor`.

    options     what can be told, as typed configuration classes
    axes        a grid's axes, from text
    systems     what a comparison compares: one entry a system
    cells       what a fit, a grid or a comparison trains
    checks      what numbers a configuration may hold
    settings    what was told, completed and checked
    codes       names as whole numbers
    counting    counts as words
    whole_folders   files and folders that are whole or not there
    progress    how work tells how far it has come
    policy      which votes count, and for what
    subset      which utterances are asked for
    layers      which entries are layers of one encoder
    data        cache -> aligned arrays under a label policy
    groups      sessions, speakers, dialogues: what must stay together
    clusters    what tests draw as one
    folds       training, validation and test parts
    leakage     what these parts share
    leakage_words   and how that is told
    layer_choice    --layer, written out as entries
    preparation configuration, data, folds and leaks, before anything trains
    smoothing   labels as training sees them
    floors      predictions that look at no input
    losses      AmbER2, class-balanced CE, soft CE, KL, JS
    metrics     every metric with its definition
    tensor_files    safetensors, looked at before they are opened
    outputs     what is large of a run's result, in memory or on disk
    runs        a run is a row, and its result
    heads       modality heads, gate and fusion head, stacked: shapes and first values
    featurizer  learned sums of layers
    network     their arithmetic, forwards and backwards
    material    what all runs share, once in memory
    dropout     draws that are a run's own
    objective   what each run of a stack is trained for
    records     curves and best epochs
    engine      training, validation and best epochs of a stack
    processes   who trains: here, or joblib's backends
    trained     finished chunks on disk
    grid        a table of runs -> results, chunk by chunk
    selection   which settings, by validation alone
    training    all of that for a configuration
    summary     results -> figures over seeds and folds
    learned_layers  what the layers came to weigh
    resampling  bootstrap samples and swaps of anything that is a function of sums
    resampled   every metric as such a function
    ensembles   several seeds of one system
    differences two systems: interval, effect size, p
    stats       paired tests and intervals, as they are called; Holm
    dirichlet   where raters' true distributions come from, fitted to their votes
    noise       one more rater, and a model that knows the truth
    levels      the same bins of ambiguity for every system
    temperature one number that sharpens or flattens, fitted on validation
    calibration reliability, Brier's parts, selective prediction
    fusion_rules    trained heads -> a system's prediction
    entrants    a system's distributions out of fold
    twins       which systems are one training under two names
    anatomy     the gain over CB-CE, step by step
    rendering   a table as text, Markdown, CSV, LaTeX
    table_words what all tables of results say alike
    layer_tables    the layers' weights
    results     read and write a run directory
    prediction_files    predictions.h5, within bounds
    published   the paper's figures, and their slips
    scores      what a table of systems shows of each
    paper_tables    Tables 1 to 5; comparison_tables has all of a comparison's
    tables      a run's summary -> its tables
    contents    what all run directories say of data and folds
    compare     a trained table -> systems, differences, anatomy
    ambiguity   where raters and modalities disagree
    experiment  all of it together
    answers     distributions of an ensemble: entropy, conflict, spread
    model_files what a run directory says of its models
    model_tensors   held against its tensors
    loaded      a run's models, ready to answer
    use_options what predict and eval can be told
    windows     where the windows of a long recording lie
    forecast    answers for named items: records, CSV, bars
    members     which models may judge an item, which head answers for it
    own_folds   the data that a run was trained on, known again
    cached_inputs   a cache's entries in the place of a run's
    new_material   files or a cache -> vectors by the run's own encoders
    predictor   one utterance from Python: `load`
    figure_files    figures as PNG and SVG, one function for all
    timeline    answers over time as a figure
    predict     `amber predict`
    label_map   another corpus's labels as a run's classes
    eval_labels another cache's votes, read for a run
    judged      what a run is judged on, and what it says there
    judged_own  and there on the very data that it was trained on
    eval_summary   that as a run directory has it
    evaluate_run   `amber eval`
    model_card  a run's card for a model hub
    export_files    where an export goes
    onnx_graph  a run's models as one ONNX graph
    export_onnx and as a file
    export_hub  a folder for a model hub
    exporting   what is asked for of these
    reliability Krippendorff's alpha, Fleiss' kappa, with intervals
    overview    what is in a corpus or a cache; vote_statistics and vote_agreement count its votes,
                overview_contents the rest, overview_leakage what its folds would leak
    plots       an overview as figures
    stored      one run directory, read; system_names what its systems are called
    same_data   whether runs can be paired
    evidence    several runs as one body of predictions
    reporting   evidence -> what a report says, a package of its own
    report      all of that in one folder
    printing    what the command line prints of all this
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from amber_heads.predictor import Predictor

__all__ = ["load"]


def load(
    run: str | Path, *, encoders: Mapping[str, str] | None = None, device: str = "cpu"
) -> Predictor:
    """Load a run directory, to predict with it: `amber_heads.predictor.load`.

    torch is imported now, and not when this package is.
    """
    from amber_heads.predictor import load as load_predictor

    return load_predictor(run, encoders=encoders, device=device)
