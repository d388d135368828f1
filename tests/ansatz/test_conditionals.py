"""What all autoregressive networks keep: a normalised psi whose support is the sector, and conditionals that know the
sites before theirs alone."""

import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from nqs_hpc.ansatz.antn import antn
from nqs_hpc.ansatz.conditionals import log_probabilities, sum_of_logs
from nqs_hpc.ansatz.full_evaluation import full_evaluation
from nqs_hpc.ansatz.masked_conv import masked_conv
from nqs_hpc.ansatz.masked_dense import masked_dense
from nqs_hpc.ansatz.patched_transformer import patched_transformer
from nqs_hpc.ansatz.recurrent import folded, line, rows
from nqs_hpc.ansatz.rnn import rnn
from nqs_hpc.system.lattice import FACTORIES
from nqs_hpc.system.patches import patches
from nqs_hpc.types import Ansatz, Move
from tests.systems import all_numbers, all_states

SPINS, BOSONS = (1, -1), (0, 1, 2)


class Case(NamedTuple):
    ansatz: Ansatz
    values: tuple[int, ...]
    states: np.ndarray  # of the whole space
    inside: np.ndarray  # whether each is in the sector


def conv(extent: tuple[int, ...], **options: Any) -> tuple[Ansatz, int]:
    return masked_conv(extent, layers=3, features=3, kernel=2, **options), int(np.prod(extent))


def dense(n_sites: int, **options: Any) -> tuple[Ansatz, int]:
    return masked_dense(n_sites, layers=2, features=3, **options), n_sites


def tensors(n_sites: int, **options: Any) -> tuple[Ansatz, int]:
    return antn(n_sites, chi=2, layers=2, features=2, **options), n_sites


def recurrent(extent: tuple[int, ...], **options: Any) -> tuple[Ansatz, int]:
    along = rows((extent[0], extent[1])) if len(extent) == 2 else line(folded(extent[0]))
    return rnn(along, **({"layers": 1, "features": 3} | options)), int(np.prod(extent))


def patched(name: str, extent: tuple[int, ...], patch: tuple[int, ...], **options: Any) -> tuple[Ansatz, int]:
    lattice = FACTORIES[name](extent, (False,) * len(extent))
    sizes = {"width": 4, "heads": 2, "layers": 2, "expansion": 1}
    return patched_transformer(patches(lattice, patch), **sizes, **options), lattice.n_sites


MAKE = {
    "chain": lambda: (conv((5,)), SPINS, None),
    "chain, sector": lambda: (conv((6,), dtype="complex", total=2), SPINS, 2),
    "rows, complex": lambda: (conv((3, 2), dtype="complex"), SPINS, None),
    "rows of bosons": lambda: (conv((2, 2), local_values=BOSONS, total=5), BOSONS, 5),
    "dense, complex": lambda: (dense(5, dtype="complex"), SPINS, None),
    "dense, bosons": lambda: (dense(4, local_values=BOSONS, total=3), BOSONS, 3),
    "tensors": lambda: (tensors(5), SPINS, None),
    "tensors, bosons": lambda: (tensors(4, dtype="complex", local_values=BOSONS, total=3), BOSONS, 3),
    "rnn, sector": lambda: (recurrent((6,), layers=2, dtype="complex", total=2), SPINS, 2),
    "rnn in rows, bosons": lambda: (recurrent((2, 2), layers=2, local_values=BOSONS, total=5), BOSONS, 5),
    "patches, sector": lambda: (patched("chain", (6,), (2,), dtype="complex", total=2), SPINS, 2),
    "patches of bosons": lambda: (patched("square", (2, 2), (2, 1), local_values=BOSONS, total=5), BOSONS, 5),
    "patches in rows": lambda: (patched("square", (3, 2), (1, 2), dtype="complex"), SPINS, None),
    "rnn in rows": lambda: (recurrent((2, 3), dtype="complex"), SPINS, None),
}
NAMES = list(MAKE)
SECTORS = ["chain, sector", "rows of bosons", "dense, bosons", "tensors, bosons", "rnn, sector", "rnn in rows, bosons"]
SECTORS += ["patches, sector", "patches of bosons"]


@functools.cache
def case(name: str) -> Case:
    (ansatz, n), values, total = MAKE[name]()
    states = all_states(n) if values == SPINS else all_numbers(n, max(values))
    inside = np.full(len(states), True) if total is None else states.sum(axis=1) == total
    return Case(ansatz, values, states, inside)


@functools.cache
def params_of(name: str):
    rng = np.random.default_rng(3)
    shapes = jax.eval_shape(case(name).ansatz.init, jax.random.key(0))
    return jax.tree.map(lambda x: jnp.asarray(0.7 * rng.normal(size=x.shape)), shapes)


@functools.cache
def log_psi_of_all(name: str) -> np.ndarray:
    c = case(name)
    return np.asarray(jax.jit(jax.vmap(c.ansatz.log_psi, in_axes=(None, 0)))(params_of(name), c.states))


@functools.cache
def walk(name: str) -> np.ndarray:
    """(D, N, V): the conditionals of all sites of every state in their order, by the running cache under a scan."""
    c = case(name)
    parts, params = c.ansatz.conditionals, params_of(name)

    @jax.jit
    @jax.vmap
    def conditionals(digits_N):
        frozen = c.ansatz.freeze(params)

        def site(running, inputs):
            i, digit = inputs
            log_p_V, running = parts.step(frozen, running, i)
            return parts.extend(frozen, running, i, digit), log_p_V

        return jax.lax.scan(site, parts.begin(frozen), (jnp.arange(len(digits_N)), digits_N))[1]

    return np.asarray(conditionals(digits_of(c)))


def digits_of(c: Case) -> np.ndarray:
    """In the order in which the sites are drawn."""
    order = c.ansatz.conditionals.order
    states = c.states if order is None else c.states[:, order]
    return np.argmax(states[:, :, None] == np.array(c.values), axis=2).astype(np.int32)


@pytest.mark.parametrize("name", NAMES)
def test_squares_sum_to_one_and_vanish_outside_the_sector(name):
    c, log_psi = case(name), log_psi_of_all(name)
    assert not np.any(np.isnan(log_psi)) and np.all(np.isneginf(log_psi.real) == ~c.inside)
    assert np.sum(np.exp(2 * log_psi.real)) == pytest.approx(1, abs=1e-12)
    assert np.ptp(log_psi.real[c.inside]) > 0.1
    if c.ansatz.kind == "complex":
        assert np.ptp(log_psi.imag[c.inside]) > 0.1


@pytest.mark.parametrize("name", NAMES)
def test_running_conditionals_are_those_of_whole_evaluations(name):
    """Their product is |psi|^2, and each is a ratio of sums of |psi|^2 over all states that begin alike."""
    c, log_p = case(name), walk(name)
    digits, p = digits_of(c), np.exp(2 * log_psi_of_all(name).real)
    drawn = np.take_along_axis(log_p, digits[:, :, None], axis=2)[:, :, 0]
    assert np.abs(np.exp(drawn.sum(axis=1)) - p).max() < 1e-12
    for i in range(c.states.shape[1]):
        beginning = (digits[:, None, :i] == digits[None, :, :i]).all(axis=2)
        for v in range(len(c.values)):
            wanted = beginning @ (p * (digits[:, i] == v))
            known = beginning @ p > 1e-14
            assert np.abs(np.exp(log_p[known, i, v]) - (wanted / np.maximum(beginning @ p, 1e-300))[known]).max() < 1e-9
    reached = np.cumsum(np.isneginf(drawn), axis=1) == 0
    assert np.abs(np.exp(log_p).sum(axis=2) - 1)[reached].max() < 1e-14


@pytest.mark.parametrize("name", NAMES)
def test_no_site_knows_a_later_one(name):
    """States that agree before a site have the same conditional there: to rounding, for states at the end of a batch
    may go through other instructions than those of whole vectors; a later site would change them in the first digits.
    """
    log_p, digits = walk(name), digits_of(case(name))
    for i in range(digits.shape[1]):
        _, first, group = np.unique(digits[:, :i], axis=0, return_index=True, return_inverse=True)
        np.testing.assert_allclose(log_p[:, i], log_p[first[group.ravel()], i], rtol=0, atol=1e-12)


@pytest.mark.parametrize("name", NAMES)
def test_gradients_are_finite_everywhere(name):
    c = case(name)
    gradients = jax.jit(jax.vmap(jax.grad(lambda p, s: c.ansatz.log_psi(p, s).real), in_axes=(None, 0)))
    for leaf in jax.tree.leaves(gradients(params_of(name), c.states)):
        assert np.all(np.isfinite(leaf)) and np.all(np.asarray(leaf)[~c.inside] == 0)


@pytest.mark.parametrize("name", SECTORS)
def test_ratios_in_a_sector(name):
    """From every state of the space two values move from a site to another, in the sector or out of it; then two more
    by the cache that followed."""
    c, params = case(name), params_of(name)
    a, n, gap = c.ansatz, c.states.shape[1], c.values[1] - c.values[0]
    pairs = np.array([(i, j) for i in range(n) for j in range(n) if i != j], np.int32)
    low, high = min(c.values), max(c.values)
    after = c.states[:, pairs] + abs(gap) * np.array([-1, 1])
    deltas = np.where(((low <= after) & (after <= high)).all(axis=2)[..., None], abs(gap) * np.array([-1, 1]), 0)
    moves = Move(jnp.broadcast_to(pairs, deltas.shape), jnp.asarray(deltas, jnp.int8))
    single = np.eye(2, dtype=np.int8)[0] * deltas.astype(np.int8)  # changes the total, where it is not 0
    whole = full_evaluation(a.init, a.log_psi, a.kind)

    @jax.jit
    @functools.partial(jax.vmap, in_axes=(0, 0, 0))
    def both(s_N, moves, outward):
        found = []
        for one in (a, whole):
            frozen = one.freeze(params)
            cache = one.prepare(frozen, s_N)
            first = jax.tree.map(lambda x: x[3], moves)
            back = Move(moves.sites[3], -moves.deltas[3])
            walked = one.advance(frozen, s_N, cache, first)
            s_new = s_N.at[first.sites].add(first.deltas)
            ratios = one.log_ratios(frozen, s_N, cache, moves)
            out = one.log_ratios(frozen, s_N, cache, outward)
            returned = one.log_ratio(frozen, s_new, walked, back)
            found.append(jnp.concatenate([ratios, out, returned[None]]))
        return found

    found, wanted = both(jnp.asarray(c.states), moves, Move(moves.sites, jnp.asarray(single)))
    found, wanted = np.asarray(found), np.asarray(wanted)
    out = np.isneginf(wanted.real)
    assert out.any() and not out.all() and np.array_equal(np.isneginf(found.real), out)
    apart = found[~out] - wanted[~out]
    assert np.abs(apart.real).max() < 1e-10 and np.abs(np.exp(1j * apart.imag) - 1).max() < 1e-10


@pytest.mark.parametrize("n_values", [2, 4])
def test_extreme_amplitudes_are_no_overflow(n_values):
    a_V = jnp.asarray(np.linspace(-2000.0, 2000.0, n_values))
    log_p = np.asarray(log_probabilities(a_V, None))
    np.testing.assert_allclose(log_p, 2 * (np.asarray(a_V) - 2000.0), rtol=1e-15)
    forced = np.asarray(log_probabilities(a_V, (jnp.int32(0), jnp.int32(0))))
    assert forced[0] == 0 and np.all(np.isneginf(forced[1:]))


def test_many_factors_leave_the_range_of_no_float():
    factors = np.random.default_rng(0).choice([1 / 128, 127.9, 1.3], 1000).astype(np.float32)
    assert float(sum_of_logs(jnp.asarray(factors))) == pytest.approx(np.log(factors.astype(float)).sum(), abs=1e-2)
    assert float(sum_of_logs(jnp.asarray(factors, jnp.float64))) == pytest.approx(
        np.log(factors.astype(float)).sum(), abs=1e-10
    )
