"""Stage two: a cache is read and heads are trained on it, a whole table of runs at once.

Nothing is imported here, so that the command line starts fast; take names from their modules, which
import only those above them:

    options     what can be told, as typed configuration classes
    axes        a grid's axes, from text
    checks      what numbers a configuration may hold
    settings    what was told, completed and checked
    codes       names as whole numbers
    policy      which votes count, and for what
    subset      which utterances are asked for
    data        cache -> aligned arrays under a label policy
    groups      sessions, speakers, dialogues: what must stay together
    folds       training, validation and test parts
    leakage     what these parts share
    leakage_words   and how that is told
    preparation configuration, data, folds and leaks, before anything trains
    smoothing   labels as training sees them
    floors      predictions that look at no input
    losses      AmbER2, class-balanced CE, soft CE, KL, JS
    metrics     every metric with its definition
    outputs     what is large of a run's result, in memory or on disk
    runs        a run is a row, and its result
    heads       modality heads, gate and fusion head, stacked: shapes and first values
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
    tables      figures -> text, Markdown, CSV, LaTeX
    results     read and write a run directory
    ambiguity   where raters and modalities disagree
    experiment  all of it together
    reliability Krippendorff's alpha, Fleiss' kappa; resampling draws their intervals
    overview    what is in a corpus or a cache; vote_statistics and vote_agreement count its votes,
                overview_contents the rest, overview_leakage what its folds would leak
    plots       an overview as figures
    stored      one run directory, read; system_names what its systems are called
    same_data   whether runs can be paired
    evidence    several runs as one body of predictions
    reporting   evidence -> what a report says, a package of its own
    report      all of that in one folder
"""
