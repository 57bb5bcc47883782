"""What figures are worth: intervals, tests, floors of noise, calibration. Pure.

Nothing is imported here; take names from their modules, which import only those above them:

    resampling   bootstrap samples and swaps of anything that is a function of sums
    resampled    every metric as such a function
    ensembles    several seeds of one system
    confidence   how often an interval can hold the truth
    differences  two systems: interval, effect size, p
    dirichlet    where raters' true distributions come from, fitted to their votes
    noise        one more rater, and a model that knows the truth
    levels       the same bins of ambiguity for every system
    temperature  one number that sharpens or flattens, fitted on validation
    calibration  reliability, Brier's parts, selective prediction
    reliability  Krippendorff's alpha, Fleiss' kappa, with intervals
"""
