"""What `complete` adds to the functions of an author, on the toy ansatz and on one with a cache."""

import jax.numpy as jnp
import numpy as np

from nqs_hpc.ansatz.complete import complete
from nqs_hpc.types import Move
from tests.ansatz.toy import toy

A_N = jnp.array([0.5, -1.0, 2.0])
S_N = jnp.array([1, -1, 1], jnp.int8)


def flips(*sites):
    sites_KF = jnp.array(sites, jnp.int32)[:, None]
    return Move(sites_KF, -2 * S_N[sites_KF])


def first(moves):
    return Move(moves.sites[0], moves.deltas[0])


def test_the_toy_has_the_ratios_of_its_formula():
    ansatz = toy(3)
    assert ansatz.log_psi(A_N, S_N) == 3.5
    frozen = ansatz.freeze(A_N)
    cache = ansatz.prepare(frozen, S_N)
    assert cache == ()
    assert ansatz.log_ratio(frozen, S_N, cache, first(flips(1))) == -2.0
    assert ansatz.log_ratios(frozen, S_N, cache, flips(0, 1, 2)).tolist() == [-1.0, -2.0, -4.0]
    assert ansatz.attempt(frozen, S_N, cache, first(flips(2)))[0] == -4.0
    assert ansatz.advance(frozen, S_N, cache, first(flips(2))) == ()


def with_cache(advance=None):
    """The cache is the state itself."""

    def attempt(a_N, s_N, cache, move):
        new = cache.at[move.sites].add(move.deltas)
        return a_N @ (new - cache), new

    return complete(
        lambda key: A_N, lambda a, s: a @ s, "real", prepare=lambda a, s: s, attempt=attempt, advance=advance
    )


def test_the_new_cache_is_taken_where_the_move_is_accepted():
    ansatz, move = with_cache(), first(flips(1))
    attempted = ansatz.attempt(A_N, S_N, S_N, move)[1]
    assert ansatz.advance(A_N, S_N, S_N, move).tolist() == [1, 1, 1]
    assert ansatz.advance(A_N, S_N, S_N, move, attempted, jnp.bool_(True)).tolist() == [1, 1, 1]
    assert ansatz.advance(A_N, S_N, S_N, move, attempted, jnp.bool_(False)).tolist() == [1, -1, 1]


def test_an_advance_of_its_own_always_has_an_attempt():
    seen = []

    def advance(frozen, s_N, cache, move, attempted, accepted):
        seen.append((attempted.tolist(), accepted))
        return attempted

    ansatz, move = with_cache(advance), first(flips(0))
    ansatz.advance(A_N, S_N, S_N, move)
    ansatz.advance(A_N, S_N, S_N, move, jnp.array([7]), False)
    assert seen == [([-1, -1, 1], True), ([7], False)]


def test_what_the_author_gives_is_kept():
    def log_ratios(*_):
        return np.arange(3)

    ansatz = complete(toy(3).init, toy(3).log_psi, "real", attempt=toy(3).attempt, log_ratios=log_ratios, whole=True)
    assert ansatz.log_ratios is log_ratios and ansatz.whole and ansatz.conditionals is None
