"""Formulas of the configuration: against sums over all states by hand; what is no formula is refused in one line."""

import numpy as np
import pytest

from nqs_hpc.config.compose import checked
from nqs_hpc.inputs.checks import InputError
from tests.observables.measuring import METROPOLIS, vector, wave_of, within

RING = {
    "mean(stagger*s)**4": lambda s, g: (g * s).mean() ** 4,
    "abs(sum(x * s * roll(s, 2))) / n - (s[0] == 1) * exp(-x[3])": (
        lambda s, g: abs(sum(i * s[i] * s[i - 2] for i in range(6))) / 6 - (s[0] > 0) * np.exp(-3.0)
    ),
    "sqrt(2 + tanh(min(s + x))) * -prod(s)**2": lambda s, g: -np.sqrt(2 + np.tanh(min(s + np.arange(6)))),
}


@pytest.mark.parametrize("text", RING)
def test_exact_sums_are_those_by_hand(text):
    _, parts, wave = wave_of("sampler=enumerate", "hamiltonian=ising")
    s_DN, psi_D = vector(wave, parts.hilbert)
    stagger = (-1.0) ** np.arange(6)
    by_hand = sum(p * RING[text](s, stagger) for p, s in zip(np.abs(psi_D) ** 2, s_DN.astype(float), strict=True))
    found = wave.measure({"f": {"name": "formula", "formula": text}})["f"]
    assert found.value == pytest.approx(by_hand, abs=1e-12) and found.error == 0


def test_a_sector_of_bosons_and_samples():
    """In a sector the formula is only asked about its states: a logarithm of the total is finite there."""
    own = ["hamiltonian=bose_hubbard", "hamiltonian.n_max=2", "sector=4", "lattice.length=4"]
    _, parts, wave = wave_of(*own, *METROPOLIS)
    s_DN, psi_D = vector(wave, parts.hilbert)
    text = "sum(s**2) / n + log(sum(s) - 3.5)"
    by_hand = np.sum(np.abs(psi_D) ** 2 * ((s_DN.astype(float) ** 2).sum(axis=1) / 4 + np.log(0.5)))
    found = wave.measure({"f": {"name": "formula", "formula": text}}, n_samples=2048)["f"]
    assert within(found, by_hand)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("s", "it is one value a site, 6 in all"),
        ("s*", "it cannot be read at character"),
        ("sum(s*y)", "at character 7 y is not one of s, n, pi, stagger, x"),
        ("__import__('os')", "does not belong in a formula"),
        ("(lambda: 1)()", "does not belong in a formula"),
        ("s.dtype", "does not belong in a formula"),
        ("sum([a for a in s])", "does not belong in a formula"),
        ("sum(s) + 1j", "does not belong in a formula"),
        ("sum(s) + True", "does not belong in a formula"),
        ("sum(s)**99", "at character 9 an exponent is a number from -16 to 16"),
        ("2**s[0]", "an exponent is a number"),
        ("9**9**9*s[0]", "an exponent is a number"),
        ("s[6]", "one site is written s[i], with i from 0 to 5"),
        ("s[1:2]", "one site is written s[i]"),
        ("sum(roll(s, 0.5))", "by a whole number of sites"),
        ("n + pi", "it has no s"),
        ("1/0*s[0]", "it is nan"),
        ("log(sum(s))", "it is"),
        ("9" * 390 + "*s[0]", "does not belong in a formula"),
        ("-" * 250 + "s[0]", "nested more than 200 deep"),
        ("(" * 250 + "s[0]", "it cannot be read"),
        ("sum(s)" + "+sum(s)" * 100, "characters are too many"),
    ],
)
def test_what_is_no_formula_is_one_line(text, said):
    with pytest.raises(InputError) as found:
        checked(
            ["lattice.length=6", "hamiltonian=ising", "observables.f=formula", f'observables.f.formula="{text}"'], 1
        )
    assert said in str(found.value) and str(found.value).startswith("observables.f.formula=")
    assert "\n" not in str(found.value)


def test_without_sublattices_there_is_no_stagger():
    words = ["lattice.length=5", "hamiltonian=ising", "observables.f=formula"]
    with pytest.raises(InputError, match="stagger is not one of s, n, pi, x"):
        checked([*words, "observables.f.formula='mean(stagger*s)'"], 1)
