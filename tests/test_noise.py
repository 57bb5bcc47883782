"""The one-rater reference and the noise floor on raters whose true distribution is known."""

from __future__ import annotations

import math

import numpy as np
import pytest
import scipy.differentiate
import scipy.optimize
import scipy.stats

from amber_heads.metrics import METRICS, evaluate
from amber_heads.statistics.dirichlet import _exceeded, fit_dirichlet, negative_log_likelihood
from amber_heads.statistics.noise import noise_floor, one_rater_reference

ALPHA = np.array([2.0, 1.0, 0.6, 0.3])
#: E sum_c q_c^2 of that Dirichlet.
SQUARES = (ALPHA * (ALPHA + 1)).sum() / (ALPHA.sum() * (ALPHA.sum() + 1))


def raters(number: int, *, votes: int = 5, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """True distributions, and how many simulated raters chose each class."""
    random = np.random.default_rng(seed)
    true = random.dirichlet(ALPHA, size=number)
    return true, random.multinomial(votes, true)


def plain_reference(votes: np.ndarray) -> dict[str, float]:
    """Leave out vote after vote; the means over utterances, for metrics that are means."""
    by_utterance = []
    for counts in votes.tolist():
        one_by_one = [c for c, n in enumerate(counts) for _ in range(n)]
        scores = []
        for vote in one_by_one if len(one_by_one) > 1 else []:
            others = np.array(counts, dtype=float)
            others[vote] -= 1
            scores.append(evaluate(others[None] / others.sum(), np.eye(len(counts))[[vote]]))
        if scores:
            by_utterance.append({name: np.mean([s[name] for s in scores]) for name in METRICS})
    means = ("js", "bc", "r2", "acc", "acc_tie", "js_aer", "brier", "entropy_target")
    return {name: float(np.mean([one[name] for one in by_utterance])) for name in means}


def test_the_reference_is_a_plain_loops() -> None:
    votes = np.concatenate([raters(20, votes=n, seed=n)[1] for n in (1, 2, 3, 6)])
    found = one_rater_reference(votes)
    expected = plain_reference(votes)
    assert {name: found.values[name] for name in expected} == pytest.approx(expected, abs=1e-12)
    assert (found.num_utterances, found.num_left_out) == (60, 20)
    assert list(found.by_votes) == [2, 3, 6]
    three = found.by_votes[3]
    assert three.values["js"] == pytest.approx(plain_reference(votes[40:60])["js"], abs=1e-12)
    assert three.num_utterances == 20
    odd = np.arange(80) % 2 == 1
    part = one_rater_reference(votes, parts={"odd": odd}).by_part["odd"]
    assert part.values["js"] == pytest.approx(plain_reference(votes[odd])["js"], abs=1e-12)
    assert (part.num_utterances, part.num_left_out) == (30, 10)


def test_the_references_f1_is_that_of_all_pairs() -> None:
    """With as many votes on each utterance all pairs weigh the same: evaluate on the pairs."""
    votes = raters(30)[1]
    pairs = [
        ((counts - np.eye(4)[c]) / 4, np.eye(4)[c])
        for counts in votes
        for c in np.repeat(np.arange(4), counts)
    ]
    expected = evaluate(*(np.array(side) for side in zip(*pairs, strict=True)))
    found = one_rater_reference(votes).values
    ties = expected.pop("n_ties")
    assert found.pop("n_ties") == pytest.approx(ties / 5)  # utterances, not pairs
    assert found == pytest.approx(expected, abs=1e-12)


def test_a_reference_by_hand() -> None:
    # 2:1: a vote of the two against (1/2, 1/2) twice, the one against (1, 0) once.
    found = one_rater_reference(np.array([[2, 1], [1, 0]]))
    even = 0.31127812445913283  # JS((1, 0), (1/2, 1/2))
    assert found.values["js"] == pytest.approx((2 * even + 1) / 3)
    assert found.values["acc"] == pytest.approx(2 / 3)  # the first class, on a tie
    assert found.values["brier"] == pytest.approx((2 * 0.5 + 2) / 3)
    assert found.num_left_out == 1


@pytest.mark.parametrize("number", [2, 3, 8])
def test_the_reference_is_what_theory_gives(number: int) -> None:
    """A vote and the mean of n - 1 others: E |v - m|^2 = (1 + 1 / (n - 1)) (1 - E sum q^2)."""
    found = one_rater_reference(raters(20_000, votes=number)[1]).values
    expected = (1 + 1 / (number - 1)) * (1 - SQUARES)
    assert found["brier"] == pytest.approx(expected, abs=0.015)


def test_the_reference_is_no_ceiling() -> None:
    true, votes = raters(2000, votes=3)
    assert evaluate(votes / 3, true)["js"] < one_rater_reference(votes).values["js"] - 0.1


def test_without_two_votes_there_is_no_reference() -> None:
    found = one_rater_reference(np.eye(3, dtype=int))
    assert np.isnan(list(found.values.values())).all()
    assert (found.num_utterances, found.num_left_out, found.by_votes) == (0, 3, {})


def test_the_fit_finds_the_dirichlet_of_simulated_raters() -> None:
    votes = np.concatenate([raters(6000, votes=5)[1], raters(6000, votes=9, seed=1)[1]])
    fitted = fit_dirichlet(votes.astype(float), num_resamples=40)
    errors = np.log(fitted.resampled).std(axis=0)
    assert (np.abs(np.log(fitted.alpha / ALPHA)) < 4 * errors).all()
    assert (errors < 0.05).all()


def test_the_likelihood_is_scipys_and_its_maximum_is_found() -> None:
    votes = raters(300)[1]

    def theirs(logs: np.ndarray) -> float:
        return -float(scipy.stats.dirichlet_multinomial.logpmf(votes, np.exp(logs), 5).mean())

    def ours(logs: np.ndarray) -> float:
        return negative_log_likelihood(logs, _exceeded(votes.astype(float)).mean(axis=0))

    one, other = np.log(ALPHA), np.log([1.0, 0.5, 3.0, 0.2])
    assert ours(other) - ours(one) == pytest.approx(theirs(other) - theirs(one), abs=1e-10)
    found = scipy.optimize.minimize(theirs, one)
    fitted = fit_dirichlet(votes.astype(float)).alpha
    np.testing.assert_allclose(np.log(fitted), found.x, atol=1e-4)


def test_the_resampled_fits_spread_as_the_information_says() -> None:
    votes = raters(1500)[1].astype(float)
    exceeded = _exceeded(votes).mean(axis=0)
    fitted = fit_dirichlet(votes, num_resamples=60)
    information = scipy.differentiate.hessian(
        lambda logs: np.apply_along_axis(negative_log_likelihood, 0, logs, exceeded),
        np.log(fitted.alpha),
        initial_step=0.05,
        maxiter=2,
    ).ddf
    expected = np.sqrt(np.diag(np.linalg.inv(information)) / 1500)
    found = np.log(fitted.resampled).std(axis=0, ddof=1)
    np.testing.assert_allclose(found, expected, rtol=0.35)  # of 60 fits: 9% is one standard error


@pytest.mark.parametrize("number", [5, 12])
def test_the_floor_is_what_the_true_distributions_score(number: int) -> None:
    true, votes = raters(6000, votes=number)
    found = noise_floor(votes, num_draws=10).overall
    scored = evaluate(votes / number, true)
    assert found.values is not None
    for name in METRICS:
        tolerance = 0.02 if "ece" not in name else 0.03
        assert found.values[name].mean == pytest.approx(scored[name], abs=tolerance), name
        assert found.values[name].low <= found.values[name].high
    expected = (1 - SQUARES) / number  # E |n / N - q|^2
    assert found.values["brier"].mean == pytest.approx(expected, abs=0.01)


def test_the_interval_is_as_wide_as_perfect_models_scores_are_spread() -> None:
    metrics = ("js", "f1")
    gaps, widths = [], []
    for seed in range(20):
        true, votes = raters(150, seed=seed)
        found = noise_floor(votes, metrics=metrics, num_draws=20, seed=seed).overall.values
        scored = evaluate(votes / 5, true)
        assert found is not None
        gaps.append([scored[name] - found[name].mean for name in metrics])
        widths.append([found[name].high - found[name].low for name in metrics])
    spread = np.std(gaps, axis=0, ddof=1)
    # Of 20 draws the quantiles lie about 3.6 standard deviations apart.
    np.testing.assert_allclose(np.mean(widths, axis=0), 3.6 * spread, rtol=0.5)
    np.testing.assert_allclose(np.mean(gaps, axis=0), 0, atol=0.02)


def test_below_five_votes_nothing_is_claimed() -> None:
    votes = np.concatenate([raters(200, votes=n, seed=n)[1] for n in (3, 5, 8)])
    found = noise_floor(votes, num_draws=10)
    assert (found.overall.num_utterances, found.overall.num_left_out) == (400, 200)
    assert list(found.by_votes) == [3, 5, 8]
    assert found.by_votes[3].values is None
    assert found.by_votes[3].why_not == "fewer than 5 votes an utterance"
    five, eight = found.by_votes[5].values, found.by_votes[8].values
    assert five is not None
    assert eight is not None
    assert eight["js"].mean < five["js"].mean  # more raters tell more of the truth
    few = noise_floor(votes[:200])
    assert (few.alpha, few.overall.values) == (None, None)
    assert few.overall.num_left_out == 200


def test_parts_have_floors_of_their_own() -> None:
    votes = raters(300)[1]
    agreed = (votes == 5).any(axis=1)
    parts = {"agreed": agreed, "split": ~agreed, "none": np.zeros(300, dtype=bool)}
    found = noise_floor(votes, parts=parts, num_draws=10).by_part
    agreed_floor, split = found["agreed"].values, found["split"].values
    assert agreed_floor is not None
    assert split is not None
    assert agreed_floor["entropy_target"].mean == 0
    assert agreed_floor["acc"].mean > split["acc"].mean
    assert found["agreed"].num_utterances == agreed.sum()
    assert (found["none"].values, found["none"].why_not) == (None, "no utterance")


def test_raters_who_never_disagree_leave_a_perfect_model_without_error() -> None:
    votes = 6 * np.eye(3, dtype=int)[[0, 1, 2, 0, 1, 0] * 10]
    found = noise_floor(votes, num_draws=10).overall.values
    assert found is not None
    assert found["js"].mean < 1e-3
    assert found["f1"].mean == 1


def test_raters_who_differ_by_chance_alone_have_one_distribution() -> None:
    random = np.random.default_rng(0)
    votes = random.multinomial(10, [0.5, 0.3, 0.2], size=400)
    found = noise_floor(votes, num_draws=10)
    assert found.overall.values is not None
    np.testing.assert_allclose(found.alpha / found.alpha.sum(), [0.5, 0.3, 0.2], atol=0.02)
    scored = evaluate(votes / 10, np.tile([0.5, 0.3, 0.2], (400, 1)))
    assert found.overall.values["js"].mean == pytest.approx(scored["js"], abs=0.01)


def test_a_class_without_votes_stays_without_probability() -> None:
    votes = np.insert(raters(200)[1], 2, 0, axis=1)
    found = noise_floor(votes, num_draws=5)
    assert found.alpha is not None
    assert found.alpha[2] == 0
    assert found.overall.values is not None
    without = noise_floor(np.delete(votes, 2, axis=1), num_draws=5).overall.values
    assert without is not None
    assert found.overall.values["js"].mean == pytest.approx(without["js"].mean, abs=0.01)
    alone = noise_floor(np.array([[5, 0], [6, 0]]), num_draws=5).overall.values
    assert alone is not None
    assert alone["js"].mean == 0
    assert math.isnan(alone["r2_cod"].mean)


def test_the_floor_depends_on_the_seed_alone() -> None:
    votes = raters(50)[1]
    first = noise_floor(votes, num_draws=5).overall
    assert first == noise_floor(votes, num_draws=5).overall
    assert first != noise_floor(votes, num_draws=5, seed=1).overall


@pytest.mark.parametrize(
    ("votes", "match"),
    [
        (np.array([[0.5, 0.5]]), r"row 0 is \[0.5, 0.5\]; it must be whole numbers of raters"),
        (np.array([[3, 0], [-1, 2]]), "row 1 is .* whole numbers"),
        (np.array([[math.nan, 1]]), "whole numbers"),
        (np.zeros((0, 3)), "at least one utterance and two classes"),
        (np.ones((3, 1)), "at least one utterance and two classes"),
    ],
)
def test_what_is_no_count_is_refused(votes: np.ndarray, match: str) -> None:
    for function in (one_rater_reference, noise_floor):
        with pytest.raises(ValueError, match=match):
            function(votes)
