"""When a target is reached, and how a miss is said: every rule on both sides of its tolerance."""

import math

import pytest

from nqs_hpc.reproduce.targets import RULES, Number, Outcome, Target, ours, status

BASE = Target("e", {}, "energy", -2.0, 0.03, 1.0, "within", 0.1, True, "table", "a table")


@pytest.mark.parametrize(
    ("rule", "relative", "value", "verdict"),
    [
        ("within", True, -1.81, "reached"),  # 9.5 % of 2
        ("within", True, -2.21, "missed"),
        ("within", False, -1.91, "reached"),
        ("within", False, -1.89, "missed"),
        ("at_most", True, -1.81, "reached"),
        ("at_most", True, -1.79, "missed"),
        ("at_most", True, -9.0, "reached"),  # a lower variational energy is better
        ("apart", True, -1.81, "missed"),
        ("apart", True, -1.79, "reached"),
        ("apart", True, -2.21, "reached"),
        ("apart", False, -1.95, "missed"),
    ],
)
def test_a_rule_holds_on_its_side_alone(rule, relative, value, verdict):
    assert rule in RULES
    assert Outcome(BASE._replace(rule=rule, relative=relative), Number(value, 0.0)).verdict == verdict


def test_deviation_and_sigmas():
    one = Outcome(BASE, Number(-1.9, 0.04))
    assert math.isclose(one.deviation, 0.05) and math.isclose(one.sigmas, 0.1 / 0.05)
    absolute = Outcome(BASE._replace(relative=False), Number(-1.9, 0.04))
    assert math.isclose(absolute.deviation, 0.1) and math.isclose(absolute.sigmas, 2.0)
    assert Outcome(BASE._replace(error=0.0), Number(-1.9, 0.0)).sigmas is None
    empty = Outcome(BASE, None)
    assert (empty.deviation, empty.sigmas, empty.verdict, empty.words) == (None, None, "not run", "not run")


def test_a_miss_says_by_how_much():
    assert Outcome(BASE, Number(-1.5, 0.0)).words == "missed by 1.5e-01: 2.5 times the tolerance"
    apart = BASE._replace(rule="apart")
    assert Outcome(apart, Number(-1.9, 0.0)).words == "missed: 5.0e-02 apart, at least 1.0e-01 expected"


SUMMARY = {
    "energy": {"mean": -18.0, "error": 0.9},
    "n_sites": 36,
    "bound": 0.2,
    "r2": None,
    "observables": {"mz.m": {"mean": 0.25, "error": 0.01, "unit": ""}, "corr.zz": {"shape": [3], "unit": ""}},
}


@pytest.mark.parametrize(
    ("quantity", "times", "number"),
    [
        ("energy", 1.0, (-18.0, 0.9)),
        ("energy", 4.0, (-72.0, 3.6)),  # S.S in Pauli matrices
        ("energy_per_site", 1.0, (-0.5, 0.025)),
        ("energy_per_site", -4.0, (2.0, 0.1)),
        ("observables.mz.m", 1.0, (0.25, 0.01)),
        ("bound", 1.0, (0.2, 0.0)),
    ],
)
def test_numbers_of_a_summary_in_the_normalisation_of_the_target(quantity, times, number):
    found = ours(BASE._replace(quantity=quantity, times=times), SUMMARY)
    assert found is not None and found == pytest.approx(number, rel=1e-14)


@pytest.mark.parametrize("quantity", ["r2", "observables.corr.zz", "observables.none.m", "nothing", "energy.mean.x"])
def test_what_is_no_number_is_none(quantity):
    assert ours(BASE._replace(quantity=quantity), SUMMARY) is None
    assert ours(BASE._replace(quantity="energy_per_site"), {"energy": {"mean": 1.0}}) is None


def test_status_in_a_few_words():
    near, far = Outcome(BASE, Number(-2.0, 0.0)), Outcome(BASE, Number(-1.5, 0.0))
    further = Outcome(BASE._replace(name="f"), Number(-1.0, 0.0))
    nothing = Outcome(BASE, None)
    assert status([nothing, nothing]) == "not run"
    assert status([near]) == "reached"
    assert status([near, near]) == "reached 2 of 2"
    assert status([near, nothing]) == "reached 1 of 2, 1 not run"
    assert status([far]) == far.words
    assert status([near._replace(note="doubtful")]) == "reached, doubtful"
    assert status([near._replace(note="doubtful"), near]) == "reached 2 of 2, 1 doubtful"
    assert status([near, far, further, nothing]) == f"reached 1 of 4, 1 not run; f {further.words}"
