"""What was trained, on new material and on other corpora.

Nothing is imported here; take names from their modules, which import only those above them:

    answers        distributions of an ensemble: entropy, conflict, spread
    model_files    what a run directory says of its models
    model_tensors  its tensors, held against that
    loaded         a run's models, ready to answer
    windows        where the windows of a long recording lie
    forecast       answers for named items: records, CSV, bars
    members        which models may judge an item, which head answers for it
    own_folds      the data that a run was trained on, known again
    cached_inputs  a cache's entries in the place of a run's
    new_material   files or a cache -> vectors by the run's own encoders
    timeline       answers over time as a figure
    label_map      another corpus's labels as a run's classes
    eval_labels    another cache's votes, read for a run
    judged         what a run is judged on, and what it says there
    judged_own     and there on the very data that it was trained on
    eval_summary   that as a run directory has it
"""
