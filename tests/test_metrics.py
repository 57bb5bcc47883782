import math
import subprocess
import sys
from collections.abc import Callable

import numpy as np
import pytest
import scipy.spatial.distance
import scipy.stats
import sklearn.metrics
import torch

from amber_heads.metrics import HEADLINE, METRICS, evaluate

NAMES = [
    "js",
    "bc",
    "r2",
    "f1",
    "wf1",
    "acc",
    "f1_multilabel",
    "acc_tie",
    "r2_cod",
    "js_aer",
    "ece_hard_5",
    "ece_hard_15",
    "ece_soft",
    "brier",
    "entropy_target",
    "entropy_prediction",
    "n_ties",
]


def random_pair(num_classes: int, rows: int = 150) -> tuple[np.ndarray, np.ndarray]:
    """Vote shares with ties and zeros beside predictions that have something to do with them."""
    rng = np.random.default_rng(num_classes)
    y = rng.multinomial(4, rng.dirichlet(np.ones(num_classes)), size=rows) / 4
    p = rng.dirichlet(np.ones(num_classes), size=rows)
    return y, (y + p) / 2


def references(y: np.ndarray, p: np.ndarray) -> dict[str, float]:
    """The metrics as SciPy, scikit-learn and plain loops have them."""
    num_rows, num_classes = y.shape
    labels = list(range(num_classes))
    truth, guess = y.argmax(-1), p.argmax(-1)
    rows = list(zip(y, p, strict=True))

    def f1(average: str, truth: np.ndarray = truth, guess: np.ndarray = guess) -> float:
        return float(
            sklearn.metrics.f1_score(truth, guess, labels=labels, average=average, zero_division=0)
        )

    def ece(outcome: Callable[[int], float], num_bins: int) -> float:
        bins: dict[int, list[float]] = {}
        for i in range(num_rows):
            number = math.ceil(p[i].max() * num_bins) - 1
            bins.setdefault(number, []).append(p[i].max() - outcome(i))
        return sum(abs(sum(gaps)) for gaps in bins.values()) / num_rows

    js_nats = [scipy.spatial.distance.jensenshannon(a, b) for a, b in rows]
    return {
        "js": np.mean([scipy.spatial.distance.jensenshannon(a, b, base=2) ** 2 for a, b in rows]),
        "bc": np.mean([sum(math.sqrt(a * b) for a, b in zip(*row, strict=True)) for row in rows]),
        "r2": np.mean(
            [scipy.stats.pearsonr(a, b).statistic ** 2 if np.ptp(a) > 0 else 0 for a, b in rows]
        ),
        "f1": f1("macro"),
        "wf1": f1("weighted"),
        "acc": sklearn.metrics.accuracy_score(truth, guess),
        "f1_multilabel": f1("macro", y > 1 / num_classes, p > 1 / num_classes),
        "acc_tie": np.mean([y[i, guess[i]] == y[i].max() for i in range(num_rows)]),
        "r2_cod": 1 - np.square(y - p).sum() / (num_rows * y.var(axis=0)).sum(),
        "js_aer": np.mean(js_nats),
        "ece_hard_5": ece(lambda i: truth[i] == guess[i], 5),
        "ece_hard_15": ece(lambda i: truth[i] == guess[i], 15),
        "ece_soft": ece(lambda i: y[i, guess[i]], 15),
        "brier": num_classes * sklearn.metrics.mean_squared_error(y, p),
        "entropy_target": scipy.stats.entropy(y, base=2, axis=-1).mean(),
        "entropy_prediction": scipy.stats.entropy(p, base=2, axis=-1).mean(),
        "n_ties": sum(sorted(a)[-1] == sorted(a)[-2] for a in y),
    }


@pytest.mark.parametrize("num_classes", range(3, 10))
def test_every_metric_equals_its_reference(num_classes: int) -> None:
    y, p = random_pair(num_classes)
    values = evaluate(y, p)
    assert values == pytest.approx(references(y, p), abs=1e-9)
    assert 0 < values["n_ties"] < len(y)
    assert values["acc"] < values["acc_tie"]


def test_two_classes() -> None:
    y, p = random_pair(2)
    values, expected = evaluate(y, p), references(y, p)
    assert math.isnan(values.pop("r2"))
    del expected["r2"]
    assert values == pytest.approx(expected, abs=1e-9)


def test_a_case_by_hand() -> None:
    y = [[1, 0, 0], [0.5, 0.5, 0], [0, 0, 1], [0, 1, 0]]
    p = [[1, 0, 0], [0.2, 0.8, 0], [0, 1, 0], [0.25, 0.5, 0.25]]
    values = evaluate(np.array(y), np.array(p))
    h = 0.31127812445913283  # JS((1, 0), (1/2, 1/2)), and here of (0, 1, 0) and (1/4, 1/2, 1/4)
    from_y = 0.5 * math.log2(0.5 / 0.35) + 0.5 * math.log2(0.5 / 0.65)  # m = (0.35, 0.65)
    second = (from_y + 0.2 * math.log2(0.2 / 0.35) + 0.8 * math.log2(0.8 / 0.65)) / 2
    root = [math.sqrt(value * math.log(2)) for value in (0, second, 1, h)]
    # Top classes: raters 0, 0 (tied with 1), 2, 1; predicted 0, 1, 1, 1. F1 2/3, 1/2, 0.
    # Pearson, row 2: covariance 1/6, variances 1/6 and 26/75 (all times 3), so (1/36) / (26/450).
    expected = {
        "js": (0 + second + 1 + h) / 4,
        "bc": (1 + math.sqrt(0.1) + math.sqrt(0.4) + 0 + math.sqrt(0.5)) / 4,
        "r2": (1 + 25 / 52 + 1 / 4 + 1) / 4,
        "f1": (2 / 3 + 1 / 2 + 0) / 3,
        "wf1": (2 * 2 / 3 + 1 * 1 / 2 + 0) / 4,
        "acc": 2 / 4,
        "f1_multilabel": (2 / 3 + 4 / 5 + 0) / 3,
        "acc_tie": 3 / 4,
        "r2_cod": 1 - (0 + 0.18 + 2 + 0.375) / (11 / 16 + 11 / 16 + 3 / 4),
        "js_aer": sum(root) / 4,
        "ece_hard_5": (0.5 + 0.8 + 0 + 1) / 4,
        "ece_hard_15": (0.5 + 0.8 + 1) / 4,
        "ece_soft": (0.5 + 0.3 + 1) / 4,
        "brier": (0 + 0.18 + 2 + 0.375) / 4,
        "entropy_target": 1 / 4,
        "entropy_prediction": (0 + 0.7219280948873623 + 0 + 1.5) / 4,
        "n_ties": 1,
    }
    assert values == pytest.approx(expected, abs=1e-9)


def test_perfect_and_hopeless_predictions() -> None:
    y = np.eye(4)[[0, 1, 2, 3, 0]]
    perfect = evaluate(y, y)
    for name in ("bc", "r2", "f1", "wf1", "acc", "f1_multilabel", "acc_tie", "r2_cod"):
        assert perfect[name] == pytest.approx(1), name
    for name in ("js", "js_aer", "ece_hard_5", "ece_hard_15", "ece_soft", "brier", "n_ties"):
        assert perfect[name] == 0, name
    hopeless = evaluate(y, np.roll(y, 1, axis=1))
    assert hopeless["js"] == 1
    assert hopeless["brier"] == 2
    assert hopeless["js_aer"] == pytest.approx(METRICS["js_aer"].range[1])
    for name in ("bc", "f1", "wf1", "acc", "f1_multilabel", "acc_tie"):
        assert hopeless[name] == 0, name


def test_the_uniform_guess_has_no_correlation_and_the_first_class_on_top() -> None:
    y, _ = random_pair(3)
    values = evaluate(y, np.full_like(y, 1 / 3, dtype=np.float32))
    assert values["r2"] == 0
    assert values["f1_multilabel"] == 0
    assert values["acc"] == np.mean(y.argmax(-1) == 0)
    assert values["entropy_prediction"] == pytest.approx(math.log2(3))


def test_a_tie_that_rounding_has_broken_still_goes_to_the_first_class() -> None:
    y, p = np.array([[0.3, 0.1 + 0.2, 0.2, 0.2]]), np.array([[0.4, 0.3, 0.2, 0.1]])
    values = evaluate(y, p)
    assert y.argmax() == 1
    assert (values["n_ties"], values["acc"], values["wf1"]) == (1, 1, 1)
    assert values["ece_hard_5"] == pytest.approx(0.6)


def test_equal_targets_have_no_coefficient_of_determination() -> None:
    y = np.array([[0.1, 0.2, 0.7]] * 7)
    assert math.isnan(evaluate(y, np.full((7, 3), 1 / 3))["r2_cod"])


def test_a_perfect_soft_model_is_calibrated_softly_and_not_hard() -> None:
    y = np.array([[0.6, 0.4, 0.0]] * 3)
    values = evaluate(y, y)
    assert values["ece_soft"] == 0
    assert values["ece_hard_15"] == pytest.approx(0.4)


def test_the_order_of_utterances_does_not_matter() -> None:
    y, p = random_pair(5)
    order = np.random.default_rng(0).permutation(len(y))
    assert evaluate(y[order], p[order]) == pytest.approx(evaluate(y, p), rel=1e-12)


def test_numpy_and_torch_in_either_precision_agree() -> None:
    y, p = random_pair(4)
    expected = evaluate(y, p)
    assert evaluate(torch.tensor(y), torch.tensor(p).requires_grad_()) == expected
    assert all(type(value) is float for value in expected.values())
    single = evaluate(torch.tensor(y).float(), p.astype(np.float32))
    assert single == pytest.approx(expected, abs=1e-6)


def test_rows_that_were_rounded_are_scaled_to_sum_to_one() -> None:
    y, p = random_pair(4)
    assert evaluate(y, p * 1.00009) == pytest.approx(evaluate(y, p), abs=1e-12)


def test_the_table_of_metrics_is_what_evaluate_gives() -> None:
    y, p = random_pair(4)
    values = evaluate(y, p)
    assert list(values) == list(METRICS) == NAMES
    assert HEADLINE == ("js", "bc", "r2", "f1", "wf1", "acc")
    for name, metric in METRICS.items():
        low, high = metric.range
        assert low <= values[name] <= high, name
        # The raters' own distribution is best of all, where there is a best.
        perfect, sign = evaluate(y, y)[name], {"min": -1, "max": 1, "": 0}
        if name not in ("ece_hard_5", "ece_hard_15"):  # these reward being as sure as right
            assert sign[metric.direction] * (perfect - values[name]) >= 0, name


GOOD = [[0.5, 0.5], [1.0, 0.0], [0.0, 1.0]]


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ([math.nan, 1.0], r"row 1 is \[nan, 1.0\] and sums to nan"),
        ([math.inf, -math.inf], r"row 1 is \[inf, -inf\]"),
        ([-0.5, 1.5], r"row 1 is \[-0.5, 1.5\] and sums to 1;"),
        ([0.5, 0.5002], r"row 1 is \[0.5, 0.5002\] and sums to 1.0002;"),
        ([0.0, 0.0], r"row 1 is \[0.0, 0.0\] and sums to 0;"),
    ],
)
def test_the_first_row_that_is_no_distribution_is_named(row: list[float], reason: str) -> None:
    bad = [GOOD[0], row, row]
    with pytest.raises(ValueError, match=f"^target: {reason}"):
        evaluate(bad, GOOD)
    with pytest.raises(ValueError, match=f"^prediction: {reason}"):
        evaluate(np.array(GOOD), torch.tensor(bad, dtype=torch.float64))


@pytest.mark.parametrize(
    ("target", "prediction"),
    [((3, 2), (2, 2)), ((3, 2), (3, 3)), ((3,), (3,)), ((0, 2), (0, 2)), ((3, 1), (3, 1))],
)
def test_shapes_that_do_not_fit_are_refused(
    target: tuple[int, ...], prediction: tuple[int, ...]
) -> None:
    with pytest.raises(ValueError, match=r"target has shape .* both need the same"):
        evaluate(np.ones(target), np.ones(prediction))


def test_importing_the_metrics_imports_neither_torch_nor_scikit_learn() -> None:
    code = (
        "import sys, amber_heads.metrics as m; m.evaluate([[1, 0]], [[1, 0]]);"
        "sys.exit(bool({'torch', 'sklearn', 'scipy'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
