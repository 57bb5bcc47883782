"""Run directories, read again within bounds.

Nothing is imported here; take names from their modules, which import only those above them:

    prediction_files  predictions.h5, within bounds
    stored            one run directory
    same_data         whether runs can be paired
    system_names      what its systems are called
    evidence          several runs as one body of predictions
"""
