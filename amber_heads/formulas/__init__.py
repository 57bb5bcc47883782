"""Pure arithmetic on distributions, which losses and metrics are made of.

Nothing is imported here; take names from their modules, which import only those above them:

    smoothing       labels as training sees them
    agreement       JS, entropy and their kin per utterance, in NumPy
    classification  hard labels, ties and all
    divergence      Jensen-Shannon, exact at zeros
    amber2          Eq. 3 to 6
    balance         class weights
"""
