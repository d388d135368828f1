"""Local values by each way to them: pair by pair, sample by sample, in blocks of moves."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from nqs_hpc.ansatz.jastrow import jastrow
from nqs_hpc.operators import local_values as module
from nqs_hpc.operators.heisenberg import heisenberg
from nqs_hpc.operators.ising import ising
from nqs_hpc.operators.local_values import local_energies, local_values
from nqs_hpc.operators.pauli import pauli
from nqs_hpc.operators.projected import changed, projected
from nqs_hpc.parallel.chunk import activations
from nqs_hpc.system.hilbert import spin_half
from nqs_hpc.types import Ansatz, Move, Operator, PauliString
from tests.systems import all_states, ring

N = 8
STATES = jnp.asarray(all_states(N)[::3])


def random_sum(n_sites: int, n_terms: int, *, pairs: bool) -> Operator:
    """Strings of all lengths that flip different sites; with ``pairs`` a second one with the same flips beside each, of
    the same size: their sum vanishes for half of the states.
    """
    rng = np.random.default_rng(4)
    strings, seen = [], set()
    for drawn in rng.integers(0, 4, (n_terms, n_sites)):
        c, sites = float(rng.normal()), np.nonzero(drawn)[0]
        word = "".join("IXYZ"[k] for k in drawn[sites])
        flips = ((drawn == 1) | (drawn == 2)).tobytes()
        if flips in seen:
            continue
        seen.add(flips)
        strings.append(PauliString(c, word, tuple(sites.tolist())))
        free = np.nonzero(drawn == 0)[0]
        if pairs and len(free):
            strings.append(PauliString(c, word + "Z", (*sites.tolist(), int(free[0]))))
    return pauli(n_sites, strings)


def at_once(base: Ansatz, weight: int = 1) -> Ansatz:
    """``base`` whose ratios of many moves are one pass: the products with its matrix once for all of them."""

    def log_ratios(frozen: Any, s_N: jax.Array, cache: Any, moves_KF: Move) -> jax.Array:
        out_KN = jax.vmap(lambda sites, deltas: s_N.at[sites].add(deltas))(moves_KF.sites, moves_KF.deltas)
        field_N = w_of(frozen) @ s_N.astype(float)
        d_KN = (out_KN - s_N[None, :]).astype(float)
        return d_KN @ field_N + 0.5 * jnp.sum((d_KN @ w_of(frozen)) * d_KN, axis=1)

    def w_of(frozen: Any) -> jax.Array:
        return frozen

    def init(key: jax.Array) -> jax.Array:
        w = 0.2 * jax.random.normal(key, (N, N))
        return w + w.T

    def log_psi(w: jax.Array, s_N: jax.Array) -> jax.Array:
        return 0.5 * s_N.astype(float) @ (w @ s_N.astype(float))

    def log_ratio(w: jax.Array, s_N: jax.Array, cache: Any, move: Move) -> jax.Array:
        for _ in range(30):  # what a network makes of one move alone
            w = jnp.tanh(jnp.arctanh(w))
        return log_psi(w, s_N.at[move.sites].add(move.deltas)) - log_psi(w, s_N)

    return base._replace(
        init=init,
        log_psi=log_psi,
        freeze=lambda params: params,
        prepare=lambda frozen, s_N: (),
        log_ratio=log_ratio,
        log_ratios=log_ratios,
        kind="real",
    )


def exact(ansatz: Ansatz, operator: Operator, params: Any) -> np.ndarray:
    """One state after the other, from log psi alone."""

    def of_state(s_N: jax.Array) -> jax.Array:
        moves, elements = operator.connected(s_N)
        s_KN = jax.vmap(lambda m: s_N.at[m.sites].add(m.deltas))(moves)
        new, old = jax.vmap(ansatz.log_psi, (None, 0))(params, s_KN), ansatz.log_psi(params, s_N)
        return operator.diagonal(s_N) + jnp.sum(elements * jnp.exp(new - old))

    return np.asarray(jax.jit(lambda: jax.lax.map(of_state, STATES))())


@pytest.mark.parametrize("pairs", [False, True])
def test_blocks_of_moves_change_nothing(pairs, monkeypatch):
    operator = random_sum(N, 150, pairs=pairs)
    assert operator.may_vanish is pairs
    ansatz = jastrow(N, dtype="complex", init_scale=0.2)
    params = ansatz.init(jax.random.key(0))
    whole = jax.jit(local_energies(ansatz, operator, chunk=None))(ansatz.freeze(params), STATES)
    for moves, held, chunk in ((16, 64, None), (7, 100, 3)) if not pairs else ((16, 64, 3), (1000, 50, None)):
        monkeypatch.setattr(module, "MOVES", moves)
        memory = 16 if moves > operator.n_connected else 2**31
        values = local_values(operator, chunk=chunk, held=held, memory=memory).prepare(ansatz)
        found = jax.jit(values)(ansatz.freeze(params), STATES)
        assert np.abs(found - whole).max() < 1e-12 * np.abs(whole).max()
    np.testing.assert_allclose(whole, exact(ansatz, operator, params), rtol=1e-10, atol=1e-10)


def test_some_of_the_moves_are_those_of_all():
    operator = random_sum(N, 60, pairs=True)
    last = operator.n_connected - 3
    for one in (operator, projected(operator, spin_half(N, 0))):
        moves, elements = jax.vmap(one.connected)(STATES[:20])
        part_of = jax.jit(jax.vmap(one.connected_some, (0, None, None)), static_argnums=2)
        for start in (0, 17, last):
            some, part = part_of(STATES[:20], start, 10)
            n = min(10, operator.n_connected - start)
            for found, wanted in zip((*some, part), (*moves, elements), strict=True):
                assert np.array_equal(found[:, :n], wanted[:, start : start + n])
            assert not np.any(part[:, n:]) and not np.any(some.deltas[:, n:])
        assert np.any(elements[:, -1])  # of what is past the last nothing comes back
    s_N = STATES[5]
    doubled = changed(operator, lambda s_N, moves, elements: (moves, 2 * elements))
    assert np.array_equal(doubled.connected_some(s_N, 3, 4)[1], 2 * operator.connected(s_N)[1][3:7])


@pytest.mark.parametrize("pairs", [False, True])
def test_many_connected_states_need_little_memory(pairs):
    """20 000 moves of up to 40 sites for each of 256 samples: all at once they are a GiB of integers alone."""
    n = 40
    operator = random_sum(n, 20_000, pairs=pairs)
    assert operator.n_connected > 19_000
    ansatz = jastrow(n)
    params = jax.eval_shape(ansatz.init, jax.random.key(0))
    s_BN = jax.ShapeDtypeStruct((256, n), np.int8)
    values = local_values(operator, chunk=None).prepare(ansatz)
    compiled = jax.jit(lambda params, s_BN: values(ansatz.freeze(params), s_BN)).lower(params, s_BN).compile()
    assert compiled.memory_analysis().temp_size_in_bytes < 200 * 2**20


def test_a_network_that_answers_many_moves_in_one_pass_is_asked_for_them_together():
    operator = heisenberg(N, [ring(N)], [1.0])
    plain = jastrow(N)
    together = at_once(plain)
    params = together.init(jax.random.key(1))
    moves, _ = jax.eval_shape(operator.connected, STATES[0])
    assert module.shares(together, params, STATES[0], (), moves)
    frozen = jax.eval_shape(lambda key: plain.freeze(plain.init(key)), jax.random.key(0))
    cache = jax.eval_shape(plain.prepare, frozen, STATES[0])
    assert not module.shares(plain, frozen, STATES[0], cache, moves)

    wanted = exact(together, operator, params)
    for chunk in (None, 11):
        found = jax.jit(local_energies(together, operator, chunk=chunk))(params, STATES)
        np.testing.assert_allclose(found, wanted, rtol=1e-9, atol=1e-9)
    # no ratio is made alone
    program = jax.make_jaxpr(local_energies(together, operator, chunk=None))(params, STATES)
    assert "atanh" not in str(program)
    assert activations(program.jaxpr) > 0


def test_without_moves_there_is_the_diagonal():
    operator = ising(N, ring(N), J=1.0, h=0.0)
    ansatz = jastrow(N)
    found = local_values(operator, chunk=None).prepare(ansatz)(ansatz.freeze(ansatz.init(jax.random.key(0))), STATES)
    assert np.array_equal(found, jax.vmap(operator.diagonal)(STATES))
