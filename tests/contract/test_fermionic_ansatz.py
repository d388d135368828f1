"""What every ansatz of fermions must satisfy, and what its choice says of it. A new choice is found by itself."""

import functools
import itertools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from nqs_hpc.choices import choice
from nqs_hpc.config.basis import basis_of
from nqs_hpc.inputs.checks import InputError
from nqs_hpc.system.hilbert import codes, decode
from nqs_hpc.types import Ansatz, Move
from tests.contract.tried import cases, configuration

FOUND = {name: one for name, one in cases("ansatz").items() if choice("ansatz", one["name"]).needs_fermions}
FOUND["product-determinant"] = {"name": "product", "first": {"name": "jastrow"}, "second": {"name": "backflow"}}
NAMES = sorted(FOUND)
WIDTH = 4  # of a move of two fermions


class Made(NamedTuple):
    said: Any
    ansatz: Ansatz
    params: Any
    states: np.ndarray  # (D, N) all of them
    log_psi: np.ndarray  # (D,)


def configured(name: str, length: int = 3, sector: Any = (2, 1)):
    hubbard = {"lattice": {"name": "chain", "length": length}, "hamiltonian": {"name": "hubbard"}}
    return configuration(**hubbard, sector=list(sector), ansatz=FOUND[name])


@functools.cache
def made(name: str) -> Made:
    config = configured(name)
    lattice = config.make_sites()
    basis = basis_of(config, lattice)
    ansatz = config.ansatz.make(lattice, basis, "float64")
    rng = np.random.default_rng(0)

    def moved(x):  # away from what the determinant begins as
        step = rng.normal(size=x.shape) + (1j * rng.normal(size=x.shape) if x.dtype.kind == "c" else 0)
        return x + 0.2 * step.astype(x.dtype)

    params = jax.tree.map(moved, jax.jit(ansatz.init)(jax.random.key(0)))
    states = decode(basis.hilbert, codes(basis.hilbert))
    return Made(
        config.ansatz, ansatz, params, states, np.asarray(jax.jit(jax.vmap(ansatz.log_psi, (None, 0)))(params, states))
    )


def moves_between(states: np.ndarray, other: np.ndarray) -> Move:
    """(B, WIDTH) from each state to the other one, entries in the order of the sites, pads behind."""
    sites, deltas = np.zeros((len(states), WIDTH), np.int32), np.zeros((len(states), WIDTH), np.int8)
    for b, (one, two) in enumerate(zip(states, other, strict=True)):
        changed = np.flatnonzero(one != two)
        sites[b, : len(changed)], deltas[b, : len(changed)] = changed, (two - one)[changed]
    return Move(jnp.asarray(sites), jnp.asarray(deltas))


def close(log_a: Any, log_b: Any) -> bool:
    """Whether numbers are the same, from their logarithms."""
    return np.allclose(np.exp(np.asarray(log_a, complex) - log_b), 1, rtol=0, atol=1e-9)


@pytest.mark.parametrize("name", NAMES)
def test_ratios_and_caches(name):
    """From every state to every other, and by the cache that has followed the move."""
    m = made(name)
    assert m.log_psi.dtype == np.complex128 and np.isfinite(m.log_psi).all()
    if m.ansatz.kind == "signed":
        assert np.abs(np.sin(m.log_psi.imag)).max() < 1e-9
    pairs = np.array(list(itertools.product(range(len(m.states)), repeat=2)))
    here, there = m.states[pairs[:, 0]], m.states[pairs[:, 1]]
    back = moves_between(there, here)
    frozen = m.ansatz.freeze(m.params)

    @jax.jit
    @jax.vmap
    def ratios(s_N, move, back):
        cache = m.ansatz.prepare(frozen, s_N)
        ratio, tried = m.ansatz.attempt(frozen, s_N, cache, move)
        (many,) = m.ansatz.log_ratios(frozen, s_N, cache, jax.tree.map(lambda x: x[None], move))
        new_N = s_N.at[move.sites].add(move.deltas)
        followed = m.ansatz.advance(frozen, s_N, cache, move, tried, True)
        kept = m.ansatz.advance(frozen, s_N, cache, move, tried, False)
        return (
            ratio,
            many,
            m.ansatz.log_ratio(frozen, new_N, followed, back),
            m.ansatz.log_ratio(frozen, s_N, kept, move),
        )

    wanted = m.log_psi[pairs[:, 1]] - m.log_psi[pairs[:, 0]]
    ratio, many, of_followed, of_kept = ratios(jnp.asarray(here), moves_between(here, there), back)
    assert close(ratio, wanted) and close(many, wanted) and close(of_followed, -wanted) and close(of_kept, wanted)


@pytest.mark.parametrize("name", NAMES)
def test_gradients_match_central_differences(name):
    m = made(name)
    rng = np.random.default_rng(8)
    v = jax.tree.map(lambda x: jnp.asarray(rng.normal(size=x.shape)).astype(x.dtype), m.params)
    psi = jax.jit(jax.vmap(lambda p, s_N: jnp.exp(m.ansatz.log_psi(p, s_N)), (None, 0)))
    ends = [psi(jax.tree.map(lambda x, y, t=t: x + t * y, m.params, v), m.states) for t in (1e-5, -1e-5)]
    numeric = (ends[0] - ends[1]) / 2e-5  # of psi, which is smooth where its logarithm is not

    def along(s_N):
        return jax.jvp(lambda p: m.ansatz.log_psi(p, s_N), (m.params,), (v,))[1]

    exact = np.asarray(jax.jit(jax.vmap(along))(m.states)) * np.exp(m.log_psi)
    assert np.abs(numeric - exact).max() < 1e-6 * np.abs(exact).max()


@pytest.mark.parametrize("name", NAMES)
def test_what_a_choice_says(name):
    m = made(name)
    needed = {"real": 1, "signed": 1, "holomorphic": 2, "complex": 4}[m.ansatz.kind]
    assert m.said.row_size() == needed
    other = configured(name, 4)
    lattice = other.make_sites()
    assert m.said.has_signs(lattice, lambda: basis_of(other, lattice)) == (m.ansatz.kind == "signed")
    wide = other.ansatz.make(lattice, basis_of(other, lattice), "float64")
    shapes = [
        [leaf.shape for leaf in jax.tree.leaves(jax.eval_shape(one.init, jax.random.key(0)))]
        for one in (m.ansatz, wide)
    ]
    assert m.said.is_of_one_size() == (shapes[0] != shapes[1])
    for s_N in m.states[:2]:
        if m.ansatz.modulus is not None:
            assert np.allclose(m.ansatz.modulus.log_psi(m.params, s_N), m.ansatz.log_psi(m.params, s_N).real)


@pytest.mark.parametrize("name", NAMES)
def test_spins_and_open_numbers_are_refused(name):
    with pytest.raises(InputError, match="needs fermions"):
        configuration(ansatz=FOUND[name])
    with pytest.raises(InputError, match="sector=none lacks"):
        configuration(hamiltonian={"name": "hubbard"}, sector="none", ansatz=FOUND[name])
