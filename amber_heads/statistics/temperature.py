"""Temperature scaling: one number that makes predictions sharper or flatter, fitted on validation.

p to the power of 1/T, scaled to sum to one (Guo et al. 2017, On Calibration of Modern Neural
Networks, who fit T to the likelihood; here it is fitted to js, the metric that settings are chosen
by too). No arg max changes, so accuracy and F1 of the top class stay.
"""

from __future__ import annotations

import math

import numpy as np
import scipy.optimize
from jaxtyping import Float, Int

from amber_heads.formulas.agreement import Values, js_per_utterance, to_float64
from amber_heads.metrics import check_rows

#: T is looked for between one over this and this.
WIDEST = 20.0

#: Temperatures that are tried first, so that the search starts at the lowest valley.
_NUM_TRIED = 25


def apply_temperature(
    prediction: Float[np.ndarray, "*batch class"], temperature: float
) -> Float[np.ndarray, "*batch class"]:
    """Flatten predictions (T > 1) or sharpen them (T < 1); zeros stay zeros, NaN stays NaN.

    Raises:
        ValueError: T is not positive.

    >>> apply_temperature(np.array([0.8, 0.2]), 0.5).round(4).tolist()
    [0.9412, 0.0588]
    """
    if not 0 < temperature < math.inf:
        raise ValueError(f"the temperature is {temperature}; it must be positive and finite")
    p = to_float64(prediction)
    logs = np.log(p, out=np.full_like(p, -np.inf), where=~(p <= 0)) / temperature
    powers = np.exp(logs - logs.max(axis=-1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=-1, keepdims=True))


def fit_temperature(validation: Values, target: Values) -> float:
    """The temperature at which validation predictions have the lowest js, in [1/20, 20].

    Args:
        validation: (..., N, C) predictions; rows with NaN (of another fold's part, of a run that
            diverged) do not count. Several seeds are fitted as one.
        target: (N, C) the raters' soft labels.

    Raises:
        ValueError: No row is left, or rows are no distributions.
    """
    p = to_float64(validation)
    y = np.broadcast_to(to_float64(target), p.shape)
    known = ~np.isnan(p).any(axis=-1)
    if not known.any():
        raise ValueError("no validation prediction to fit a temperature to: all rows are NaN")
    y, p = check_rows(y[known], p[known])

    def js(log_temperature: float) -> float:
        scaled = apply_temperature(p, math.exp(log_temperature))
        return float(js_per_utterance(y, scaled).mean())

    tried = np.linspace(-math.log(WIDEST), math.log(WIDEST), _NUM_TRIED)
    best = int(np.argmin([js(one) for one in tried]))
    around = tried[max(best - 1, 0)], tried[min(best + 1, _NUM_TRIED - 1)]
    found = scipy.optimize.minimize_scalar(
        js, bounds=around, method="bounded", options={"xatol": 1e-6}
    )
    return math.exp(found.x)


def scale_by_fold(
    test: Float[np.ndarray, "seed utterance class"],
    validation: Float[np.ndarray, "fold seed utterance class"],
    target: Float[np.ndarray, "utterance class"],
    fold: Int[np.ndarray, " utterance"],
) -> tuple[Float[np.ndarray, "seed utterance class"], Float[np.ndarray, "fold seed"]]:
    """Scale each run's test predictions with the temperature of its own validation part.

    Args:
        validation: NaN outside each fold's validation part.
        fold: Which fold tests an utterance; -1 for none, whose rows stay as they are.

    Returns:
        The scaled test predictions and the temperatures; these are NaN, and the predictions as
        they were, where a run has no validation prediction.
    """
    scaled = test.astype(np.float64)
    temperatures = np.full(validation.shape[:2], np.nan)
    for number, seed in np.ndindex(*temperatures.shape):
        if np.isnan(validation[number, seed]).any(axis=-1).all():
            continue
        found = fit_temperature(validation[number, seed], target)
        temperatures[number, seed] = found
        tested = fold == number
        scaled[seed, tested] = apply_temperature(test[seed, tested], found)
    return scaled, temperatures
