"""The checks of a final energy on chains whose faults are known, and the whole judgement in plain data."""

import json

import numpy as np
import pytest

from nqs_hpc.stats import trust
from nqs_hpc.stats.tails import standing, tails
from nqs_hpc.stats.trust import BAD, DOUBTFUL, GOOD, NOT_KNOWN, Known, NoSecond, Second, as_plain, checks, reasons

LENGTH, N_CHAINS, SITES = 64, 32, 16
KNOWN = Known((-60.0, 60.0), 0.0, None, [-20.0, -20.01, -19.99], n_degrees=SITES)
AGREES = Second(0.3, -1.2, 1.01)


def chains(mean=-20.0, spread=0.1, seed=0):
    return mean + spread * np.random.default_rng(seed).normal(size=(N_CHAINS, LENGTH))


def judged(x_CL, known=KNOWN, second=AGREES, **line):
    x_A = np.asarray(x_CL).ravel()
    error = float(np.std(np.mean(x_CL, axis=1), ddof=1) / np.sqrt(len(x_CL)))
    usual = {"energy": float(x_A.mean()), "energy_error": error, "energy_variance": float(x_A.var()), "r_hat": 1.0}
    usual |= {"n_eff": float(len(x_A)), "accepted_per_sample": 5.0}
    found = tails(x_A, np.full(len(x_A), 1 / len(x_A)), np.shape(x_CL)[1])
    return checks(usual | line, known, found, second)


def wrong(found):
    return {name: one.verdict for name, one in found.items() if one.verdict in (DOUBTFUL, BAD)}


def test_a_good_energy_passes_every_check():
    history = [-20.0 + 0.01 * np.sin(k) for k in range(60)]
    found = judged(chains(), KNOWN._replace(history=history, reference=-20.0))
    assert wrong(found) == {} and trust.verdict(found) == GOOD and reasons(found) == []
    assert all(one.why == "" for one in found.values() if one.value is not None)


def still(x_CL, share):
    """The first chains stay where they began."""
    x_CL = x_CL.copy()
    n = int(share * len(x_CL))
    x_CL[:n] = x_CL[:n, :1]
    return x_CL


def correlated(rho):
    x_CL = chains(0.0, 1.0)
    for t in range(1, LENGTH):
        x_CL[:, t] = rho * x_CL[:, t - 1] + np.sqrt(1 - rho**2) * x_CL[:, t]
    return -20.0 + 0.1 * x_CL


def with_outlier(height):
    x_CL = chains()
    x_CL[3, 5] += height
    return x_CL


@pytest.mark.parametrize(
    ("given", "names"),
    [
        ({"x_CL": still(chains(), 0.25)}, {"chain_length": DOUBTFUL, "standing_chains": DOUBTFUL}),
        ({"x_CL": still(chains(), 0.75)}, {"chain_length": DOUBTFUL, "standing_chains": BAD}),
        ({"x_CL": correlated(0.95)}, {"chain_length": DOUBTFUL}),
        ({"x_CL": with_outlier(3.0)}, {"largest_deviation": DOUBTFUL}),  # 9 of 9 + 2048 * 0.01 = 29.5
        ({"x_CL": with_outlier(30.0)}, {"kurtosis": DOUBTFUL, "largest_deviation": DOUBTFUL}),
        ({"x_CL": with_outlier(1.0)}, {}),  # 1 of 21.5
        ({"x_CL": chains(), "second": Second(4.5, 0.0, 1.0)}, {"second_energy": DOUBTFUL}),
        ({"x_CL": chains(), "second": Second(-50.0, 5.0, 1.0)}, {"second_energy": BAD, "second_spread": DOUBTFUL}),
        ({"x_CL": chains(), "second": Second(1.0, 1.0, 3.0)}, {"second_r_hat": DOUBTFUL}),
        ({"x_CL": chains(), "second": Second(np.inf, np.inf, None)}, {"second_energy": BAD, "second_spread": BAD}),
        ({"x_CL": chains(), "r_hat": 1.3}, {"r_hat": DOUBTFUL}),
        ({"x_CL": chains(), "r_hat": 1.7}, {"r_hat": BAD}),
        ({"x_CL": chains(), "accepted_per_sample": 1e-3}, {"acceptance": BAD}),
        ({"x_CL": chains(spread=2.0)}, {"v_score": DOUBTFUL}),  # 16 * 4 / 400
        ({"x_CL": chains(spread=6.0)}, {"v_score": BAD}),
        ({"x_CL": chains(), "known": KNOWN._replace(reference=-19.99)}, {"below_exact": DOUBTFUL}),  # 4.4 errors
        ({"x_CL": chains(), "known": KNOWN._replace(reference=-19.9)}, {"below_exact": BAD}),
        ({"x_CL": chains(), "known": KNOWN._replace(reference=-23.0)}, {"distance_from_exact": BAD}),
        ({"x_CL": chains(), "known": KNOWN._replace(signs_off="hamiltonian.gauge")}, {"signs": DOUBTFUL}),
        ({"x_CL": chains(), "known": KNOWN._replace(e_infinity=-30.0)}, {"below_infinity": DOUBTFUL}),
    ],
)
def test_each_fault_is_found_by_its_check_and_by_no_other(given, names):
    found = judged(**given)
    assert wrong(found) == names
    said = reasons(found)
    assert len(said) == len(names) and all(one and "\n" not in one for one in said)
    worst = [verdict for verdict in (BAD, DOUBTFUL) if verdict in names.values()]
    assert trust.verdict(found) == (worst[0] if worst else GOOD)
    if said:
        assert said[0] == next(one.why for one in found.values() if one.verdict == worst[0])


def fallen(n, left):
    """Energies of n steps that fall as 1 / step, with ``left`` of the last one to go."""
    return [-20.0 * (1 - left * n / (k + 1)) for k in range(n)]


def test_an_energy_that_still_falls_is_doubted_and_one_that_has_settled_is_not():
    noise = np.random.default_rng(0).normal(size=300)
    for n in (30, 300):
        assert wrong(judged(chains(), KNOWN._replace(history=fallen(n, 0.03)))) == {"drift": DOUBTFUL}
        assert wrong(judged(chains(), KNOWN._replace(history=fallen(n, 0.003)))) == {}
    assert wrong(judged(chains(), KNOWN._replace(history=list(-20 + 0.2 * noise)))) == {}
    rising = list(np.linspace(-20.0, -18.0, 60))
    found = judged(chains(), KNOWN._replace(history=rising))
    assert wrong(found) == {"drift": DOUBTFUL} and "rose" in found["drift"].why
    assert judged(chains(), KNOWN._replace(history=fallen(11, 1.0)))["drift"].verdict == NOT_KNOWN


def test_chains_that_stay_on_states_of_one_energy_do_not_stand_still():
    x_CL = np.full((20, LENGTH), -8.0)
    assert standing(x_CL) == 0.0  # an eigenstate, or all of |psi|^2 on one state
    x_CL[0, 5] = -4.0
    assert standing(x_CL) == 0.0
    x_CL[1:4] = -4.0
    assert standing(x_CL) == 3 / 20
    assert standing(np.arange(20.0)[:, None] * np.ones(LENGTH)) == 19 / 20


def test_kurtosis_and_share_against_closed_forms():
    x_A = np.array([-1.0, 1.0] * 50)
    assert tails(x_A, np.full(100, 0.01), 0)[:2] == pytest.approx((1.0, 0.01))
    p = 0.1  # one value with weight p: (1 - 3p + 3p^2) / (p (1 - p)), and all of its side
    found = tails(np.array([1.0, 0.0]), np.array([p, 1 - p]), 0)
    assert found.kurtosis == pytest.approx((1 - 3 * p + 3 * p**2) / (p * (1 - p))) and found.largest == pytest.approx(
        1 - p
    )
    normal = tails(np.random.default_rng(0).normal(size=10**6), np.full(10**6, 1e-6), 1, independent=True)
    assert normal.kurtosis == pytest.approx(3.0, abs=0.02) and normal.standing is None
    assert tails(np.array([1.0, np.nan]), np.full(2, 0.5), 1) == (None, None, None, 2, None)
    assert tails(np.full(64, -3.0), np.full(64, 1 / 64), 16)[:2] == (None, None)


def test_an_exact_sum_has_neither_chains_nor_tails_to_doubt():
    line = {"energy": -20.0, "energy_error": 0.0, "energy_variance": 0.1, "r_hat": None}
    found = checks(line, KNOWN, tails(np.array([-20.0, 90.0]), np.array([1 - 1e-9, 1e-9]), 0), exact_sum=True)
    assert wrong(found) == {} and found["second_energy"].why == "exact sum: there are no chains"
    assert found["kurtosis"].value is None and trust.verdict(found) == GOOD


def test_plain_data_is_strict_json_and_says_why_nothing_is_known():
    found = judged(chains(), second=NoSecond("task.second_samples=0"), energy_error=float("nan"))
    plain = json.loads(json.dumps(as_plain(found), allow_nan=False))
    assert plain["verdict"] == "good"
    assert plain["checks"]["second_energy"] == {
        "value": None, "limit": None, "verdict": "not known", "why": "task.second_samples=0",
    }  # fmt: skip
    infinite = as_plain(judged(chains(), second=Second(np.inf, None, None)))["checks"]["second_energy"]
    assert infinite["value"] is None and infinite["verdict"] == "bad"
