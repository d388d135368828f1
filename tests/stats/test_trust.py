"""Which final energies are believed: numbers of runs that went wrong, and of runs that did not."""

import pytest

from nqs_hpc.stats.trust import Known, accepted_per_sample, doubts, is_frozen, near

RING = Known((-40.0, 40.0), 0.0, None, [-25.48, -25.49, -25.50, -25.49])


def line(energy: float, error: float | None = 0.001, r_hat: float | None = 1.0, variance: float | None = None) -> dict:
    return {"energy": energy, "energy_error": error, "r_hat": r_hat, "energy_variance": variance}


@pytest.mark.parametrize(
    "known",
    [
        RING,
        RING._replace(reference=-25.4931),
        RING._replace(recent=[]),
        RING._replace(recent=[-20.0, -21.5, -22.6, -23.8, -24.7]),  # a short run, still on its way down
    ],
)
def test_a_good_energy_is_believed(known):
    assert doubts(line(-25.4906, 0.0012), known) == []
    assert doubts(line(-25.4906, None, None), known) == []
    assert doubts(line(-25.4906, 0.0012, 1.0, 0.05), known._replace(n_degrees=20)) == []


TRIANGULAR = Known((-27.0, 9.0), 0.0, -6.9308, [-2.99998] * 20, n_degrees=12)


@pytest.mark.parametrize(
    ("found", "known", "words"),
    [
        (line(390, 230), TRIANGULAR, "outside of the spectrum (-27 to 9)"),
        (line(26, 18), Known((-6.75, 2.25), 0.0, None, [-1.75] * 20), "outside of the spectrum"),
        (line(12.0, 0.1), TRIANGULAR, "lies within -27 to 9"),
        (line(-2.99998, 1e-6), TRIANGULAR, "56.7 % from the exact lowest energy -6.930800"),
        (line(-25.9), RING._replace(reference=-25.4931), "below the exact lowest energy"),
        (line(-25.0, 4.0), RING, "its error is comparable to"),
        (line(-20.0), RING, "the last steps of training had -25.49"),
        (line(-29.0), RING, "the last steps of training had -25.49"),
        (line(-25.49, r_hat=3.2), RING, "R-hat 3.2"),
        (line(-25.49, r_hat=1.6e16), RING, "R-hat 1e+03"),
        (line(-41.0), RING._replace(recent=[]), "outside of the spectrum"),
        # a positive wave function on the triangular lattice of 36 sites: right is about -20.2, and no reference says so
        (line(-5.27, 0.2, 1.05, 31.7), Known((-81, 27), 0.0, None, [-5.2] * 5, n_degrees=36), "its V-score is 41.1"),
        # the toric code after 30 steps with a running mean that is behind
        (
            line(-12.33, 0.015),
            Known((-17.0, 17.0), 0.0, -13.6026, [-13.292, -13.352, -13.399, -13.441, -13.5], 0.02, 18, True),
            "the running mean of the parameters (optimizer.average) is far behind, make",
        ),
    ],
)
def test_what_speaks_against_an_energy_is_said_first(found, known, words):
    said = doubts(found, known)
    assert said and words in said[0] + "; ".join(said[1:]) and all("\n" not in one for one in said)


def test_an_energy_at_the_end_of_the_spectrum_is_no_fault():
    """The classical chain: its lowest energy is the bound itself."""
    known = Known((-8.0, 8.0), 0.0, -8.0, [-8.0] * 20)
    assert doubts(line(-8.0, 0.0), known) == [] and doubts(line(-8.0 - 1e-12, 0.0), known) == []


def test_frozen_chains():
    counts = {"accepted": 3.0, "proposed": 1e6}
    assert accepted_per_sample(counts, 32768) == pytest.approx(3 / 32768)
    assert is_frozen({"accepted_per_sample": 3 / 32768}) and not is_frozen({"accepted_per_sample": 0.4})
    assert accepted_per_sample({}, 64) is None and not is_frozen({"accepted_per_sample": None}) and not is_frozen({})


def test_near_needs_a_reference():
    assert near(-8.0, -8.0) and near(-7.5, -8.0)
    assert not near(-7.0, -8.0) and not near(-8.0, None)
