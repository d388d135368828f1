"""The second ensemble: it has the distribution of the wave function, the same chains on any ranks, and refuses what
single flips alone would have believed.
"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from nqs_hpc.ansatz.full_evaluation import full_evaluation
from nqs_hpc.operators.ising import ising
from nqs_hpc.operators.local_values import local_energies
from nqs_hpc.parallel.keys import own_purpose, purpose_key
from nqs_hpc.sampler.fresh import ordered_states
from nqs_hpc.sampler.metropolis import metropolis
from nqs_hpc.sampler.moves import exchange_any, flip, one_of
from nqs_hpc.stats.chains import SHORTEST, diagnostics
from nqs_hpc.stats.host import host_estimate
from nqs_hpc.stats.tails import tails
from nqs_hpc.stats.trust import BAD, DOUBTFUL, GOOD, Known, Second, checks, verdict
from nqs_hpc.system.hilbert import Block, Hilbert, bosons, members, spin_half
from nqs_hpc.tasks.second import Compared, compared, in_words, second_ensemble
from tests.systems import SERIAL, all_states, ring

N, FIELD = 8, 4.0
SPACE = spin_half(N)
MOVES = one_of([flip(SPACE), exchange_any(N)])
OPERATOR = ising(N, ring(N), J=1.0, h=FIELD)


def two_regions(params, s_N):
    """Nearly all states look like the ground state of a strong field; one state, all up, has 99 % of |psi|^2, and every
    way to it by single flips leads through states of weight e^-30.
    """
    n_down = jnp.sum(s_N < 0)
    return 0 * params[0] + jnp.where(n_down == 0, params[1], jnp.where(n_down == 1, -15.0, 0.0))


ANSATZ = full_evaluation(lambda key: jnp.array([0.0, 5.0]), two_regions, "real")


@jax.jit
def local(params, s_BN):
    return local_energies(ANSATZ, OPERATOR, chunk=None)(ANSATZ.freeze(params), s_BN)


def second(comm=SERIAL, n_samples=1024, seed=0, sweep=N, warmup=50):
    return second_ensemble(
        ANSATZ, MOVES, SPACE, comm, starts=ordered_states(SPACE), n_chains=32, n_samples=n_samples, sweep=sweep,
        warmup=warmup, seed=seed,
    )  # fmt: skip


def exact(params):
    """Energy of the wave function, summed over all states."""
    s_nN = jnp.asarray(all_states(N))
    w_n = np.exp(2 * np.asarray(jax.vmap(two_regions, (None, 0))(params, s_nN)))
    return float(np.sum(w_n * np.asarray(local(params, s_nN))) / w_n.sum())


def first(params):
    """The local energies of single flips from random starts, as a final evaluation has them."""
    sampler = metropolis(ANSATZ, flip(SPACE), SPACE, SERIAL, n_chains=64, n_samples=64 * 64, sweep=N, warmup=100)
    key = lambda k: purpose_key(0, own_purpose("test"), stage=k)  # noqa: E731
    draw = jax.jit(sampler.sample)
    chains = sampler.init(key(0))
    for k in range(3):  # of 64 sweeps
        chains, samples, _ = draw(key(k + 1), params, chains)
    return np.asarray(local(params, samples.s_BN))


def judgement(params):
    one_A, (two_A, length) = first(params), second().run(params, local, 512, lambda: True)
    w_A = np.full(len(one_A), 1 / len(one_A))
    estimate = host_estimate(one_A, w_A, 64)
    line = {
        "energy": estimate.mean.real, "energy_error": estimate.error, "energy_variance": estimate.variance,
        "accepted_per_sample": 5.0, **diagnostics(one_A, w_A, 64, error=estimate.error),
    }  # fmt: skip
    known = Known(OPERATOR.bounds, OPERATOR.e_infinity, None, [estimate.mean.real] * 5, n_degrees=N)
    against = compared(one_A, w_A, 64, estimate.error, two_A, length, 0.0)
    return line, against, checks(line, known, tails(one_A, w_A, 64), against.second)


def test_a_region_that_single_flips_do_not_reach_is_refused_and_nothing_else_says_so():
    params = jnp.array([0.0, 5.0])
    line, against, found = judgement(params)
    # all that Metropolis alone says is fine: and the energy is wrong by 100 errors
    assert line["r_hat"] < 1.01 and abs(line["energy"] - exact(params)) > 100 * line["energy_error"]
    others = {name: one for name, one in found.items() if not name.startswith("second")}
    assert {name for name, one in others.items() if one.verdict not in (GOOD, "not known")} <= {"v_score"}
    assert verdict(found) in (DOUBTFUL, BAD) and found["second_energy"].verdict in (DOUBTFUL, BAD)
    assert against.energy > line["energy"] + 5.0


def test_without_that_region_the_two_agree():
    params = jnp.array([0.0, -15.0])
    line, against, found = judgement(params)
    assert {one.verdict for name, one in found.items() if name.startswith("second")} == {GOOD}
    assert abs(against.energy - exact(params)) < 4 * against.error and abs(against.second.energy) < 4
    assert against.error < 4 * line["energy_error"]


def test_ordered_states_belong_to_the_space_and_differ():
    spaces = [
        spin_half(8),
        spin_half(8, 0),
        spin_half(8, 6),
        bosons(6, 3, 5),
        Hilbert(6, (0, 1), None, (Block((0, 1, 2), 2),)),
        Hilbert(6, (0, 1), None, (), ((0, 1), (1, 2), (2, 3))),
    ]
    for space in spaces:
        found = ordered_states(space)
        assert found.dtype == np.int8 and len(found) >= 1 and members(space, found).all()
        assert len(np.unique(found, axis=0)) == len(found)
    free = ordered_states(spin_half(4)).tolist()
    assert all(s in free for s in ([1] * 4, [-1] * 4, [1, 1, -1, -1], [1, -1, 1, -1], [-1, 1, -1, 1]))
    colour = np.array([1, -1, -1, 1])
    assert colour.tolist() in ordered_states(spin_half(4, 0), colour).tolist()


def test_the_same_chains_on_any_number_of_ranks_also_where_they_do_not_divide():
    """Each rank alone, with the others' local energies left out: the gather of a serial run stands for all."""
    params = jnp.array([0.0, 1.0])
    whole, length = second(n_samples=512).run(params, local, 100, lambda: True)
    for size in (3, 5):
        own = {}
        for rank in range(size):
            mine = []

            def energies(params, s_BN, mine=mine, size=size):
                mine.append(np.asarray(local(params, s_BN)))
                return np.tile(mine[-1], size)

            ranks = SERIAL._replace(rank=rank, size=size)
            second(ranks, n_samples=512).run(params, energies, 40, lambda: True)
            own[rank] = np.concatenate(mine)[: -(-32 // size) * length]
        together = np.concatenate([own[rank] for rank in range(size)])[: 32 * length]
        np.testing.assert_allclose(together, whole, rtol=1e-12)


def test_it_stops_between_any_two_pieces():
    params, asked = jnp.array([0.0, 1.0]), []
    assert second().run(params, local, 512, lambda: asked.append(1) or True) is not None
    for k in (0, len(asked) // 2, len(asked) - 1):
        left = iter([True] * k + [False])
        assert second().run(params, local, 512, lambda left=left: next(left)) is None


def test_where_sweeps_are_long_it_can_stop_after_each_of_them():
    params, asked = jnp.array([0.0, 1.0]), []
    local_A, length = second(n_samples=1, sweep=1500, warmup=1).run(params, local, 512, lambda: asked.append(1) or True)
    assert length >= SHORTEST
    assert len(asked) == 1 + length + -(-len(local_A) // 512)  # the warm-up, the samples, their energies


@pytest.mark.parametrize("shift", [0.0, 1.0])
def test_the_distance_of_two_ensembles_is_in_their_errors(shift):
    """One in 16000 pairs of the same distribution lies beyond four errors, and all that are ten errors apart do."""
    rng = np.random.default_rng(0)
    found = []
    for _ in range(200):
        one, two = rng.normal(size=64 * 16), rng.normal(size=32 * 16) + shift
        w_A = np.full(len(one), 1 / len(one))
        error = host_estimate(one, w_A, 16).error
        found.append(compared(one, w_A, 16, error, two, 16, 0.0).second.energy)
    if shift:
        assert min(found) > 10
    else:
        assert 0.85 < np.std(found) < 1.2 and np.max(np.abs(found)) < 4


def test_line_has_energy_and_distance_in_standard_errors():
    def found(away, error=0.0012):
        return Compared(Second(away, 0.0, 1.0), -25.4906, error, 1024, 1.0)

    assert in_words(found(-1.25)) == (
        "second ensemble: energy -25.4906(12), 1.2 standard errors below the first (trust.second in summary.json)"
    )
    assert "0.4 standard errors above the first" in in_words(found(0.4))
    assert "energy -25.490600, the same as the first" in in_words(found(0.0, 0.0))
    assert "its distance from the first is not known" in in_words(found(None, float("nan")))
    assert "1e+03 standard errors above" in in_words(found(float("inf")))
    several = in_words((found(0.4), found(-2.0), found(None)))
    assert "3 couplings: energies at most 2.0 standard errors from the first (points[]" in several
