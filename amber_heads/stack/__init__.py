"""The stacked program that `engine` trains: its parts, a run axis first in every tensor.

Nothing is imported here; take names from their modules, which import only those above them:

    outputs     what is large of a run's result, in memory or on disk
    runs        a run is a row, and its result
    featurizer  learned sums of layers
    network     their arithmetic, forwards and backwards
    material    what all runs share, once in memory
    dropout     draws that are a run's own
    objective   what each run of a stack is trained for
    records     curves and best epochs
    optimizer   AdamW over the stack
"""
