"""A second ensemble of a wave function: other starts, other moves, other random numbers, and the same energy expected.

Markov chains that stay in one region agree with each other, whatever the rest of |psi|^2 holds. So ladders of replicas
(`sampler.tempering`) begin with one replica in a random state and three in ordered ones, walk by all moves of few sites
that the space has, and their energy is compared with the first (`stats.trust`). Energies come from the compiled program
of the first ensemble. A region that neither ordered nor random starts lead to stays unseen.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from nqs_hpc.inputs.numbers import with_error
from nqs_hpc.parallel.ahead import Program
from nqs_hpc.parallel.comm import Comm
from nqs_hpc.parallel.keys import own_purpose, purpose_key
from nqs_hpc.sampler.moves import Mixture, Proposal
from nqs_hpc.sampler.tempering import TemperingState, ladder, tempering
from nqs_hpc.stats.chains import SHORTEST, split_r_hat, widened
from nqs_hpc.stats.host import host_estimate
from nqs_hpc.stats.trust import ROUNDING, Second
from nqs_hpc.system.hilbert import Hilbert
from nqs_hpc.types import Ansatz, Tree

BEGIN, WARM_UP, SAMPLE = (own_purpose(f"second ensemble: {what}") for what in ("chains", "warm-up", "samples"))
BETAS = ladder(4, 0.2, "geometric")
# Between two questions whether to go on: at most so many samples a ladder, and about so many proposals a replica.
# A job that is told to end must hear it within the minutes that a queue gives, on lattices of a thousand sites too.
PIECE = 8
PROPOSALS = 2048

# params, states (n_rows, N) of this rank -> local energies of all ranks, rank by rank
Energies = Callable[[Tree, Array], Array]


class SecondEnsemble(NamedTuple):
    """``run(params, energies, n_rows, go_on) -> (local energies, chain length)``; None if it was told to stop.

    Collective. ``n_rows``: samples of this rank that ``energies`` takes at a time. The local energies (A,) are chain by
    chain, on every rank, and the same chains at any number of ranks. ``go_on`` is asked before each piece.
    """

    run: Callable[[Tree, Energies, int, Callable[[], bool]], tuple[np.ndarray, int] | None]
    jitted: tuple[Any, ...]
    programs: Callable[[Tree], list[Program]]  # shapes of the parameters -> the large one, with its arguments


class Compared(NamedTuple):
    """The second ensemble against the first."""

    second: Second
    energy: float
    error: float
    n_samples: int
    seconds: float


def second_ensemble(
    ansatz: Ansatz,
    moves: Proposal | Mixture,
    hilbert: Hilbert,
    comm: Comm,
    *,
    starts: np.ndarray,
    n_chains: int,
    n_samples: int,
    sweep: int,
    warmup: int,
    seed: int,
) -> SecondEnsemble:
    """At least ``n_samples`` configurations of ``n_chains`` ladders, ``sweep`` proposals apart.

    ``warmup``: sweeps before the first of them. ``ansatz`` is that of |psi|, ``starts`` (n, N) the ordered
    states in which three of four replicas begin.
    """
    piece = max(1, min(PIECE, PROPOSALS // sweep))
    c_local = -(-n_chains // comm.size)  # ladders beyond the last fill up the ranks, and are thrown away
    sampler = tempering(
        ansatz,
        moves,
        hilbert,
        comm,
        betas=BETAS,
        n_chains=c_local * comm.size,
        n_samples=c_local * comm.size * piece,
        sweep=sweep,
        warmup=warmup,
    )
    n_calls = -(-max(n_samples // n_chains, SHORTEST) // piece)
    draw, init = jax.jit(sampler.sample), jax.jit(sampler.init)

    def begin() -> TemperingState:
        state = init(purpose_key(seed, BEGIN), np.int32(comm.rank))
        chain_C = np.asarray(state.chain_C)
        n = len(BETAS)
        place_CT = (np.arange(n)[None, :] - chain_C[:, None]) % n  # at each beta a quarter of the ladders is random
        ordered_CTN = starts[(chain_C[:, None] * (n - 1) + place_CT) % len(starts)]
        s_CTN = np.where(place_CT[:, :, None] == n - 1, np.asarray(state.s_CTN), ordered_CTN)
        return state._replace(s_CTN=s_CTN)

    def run(params: Tree, energies: Energies, n_rows: int, go_on: Callable[[], bool]) -> tuple[np.ndarray, int] | None:
        chains, pieces = begin(), []
        for call in range(sampler.warmup_calls + n_calls):
            if not go_on():
                return None
            is_warm = call >= sampler.warmup_calls
            key = purpose_key(seed, SAMPLE if is_warm else WARM_UP, stage=call)
            chains, samples, _ = draw(key, params, chains)
            if is_warm:
                pieces.append(np.asarray(samples.s_BN).reshape(c_local, piece, -1))
        s_BN = np.concatenate(pieces, axis=1).reshape(-1, hilbert.n_sites)
        n_own, found = len(s_BN), []
        for first in range(0, n_own, n_rows):
            if not go_on():
                return None
            rows = np.minimum(np.arange(first, first + n_rows), n_own - 1)  # the last are repeated, and thrown away
            found.append(np.asarray(energies(params, jnp.asarray(s_BN[rows]))).reshape(comm.size, n_rows))
        length = n_own // c_local
        e_RB = np.concatenate(found, axis=1)[:, :n_own]
        return e_RB.reshape(-1, length)[:n_chains].ravel(), length

    def programs(params: Tree) -> list[Program]:
        key = jax.ShapeDtypeStruct((2,), np.uint32)
        return [Program(draw, (key, params, jax.eval_shape(init, key, np.int32(comm.rank))))]

    return SecondEnsemble(run, (draw, init), programs)


def compared(
    first_A: np.ndarray,
    w_A: np.ndarray,
    chain_length: int,
    error: float,
    second_A: np.ndarray,
    length: int,
    begun: float,
) -> Compared:
    """Two sets of local energies, chain by chain, against each other: the first with weights that sum to 1, the second
    of equal weights. ``error``: of the first energy; ``begun``: the ``time.monotonic()`` at which the second was begun.
    """
    first_A, second_A = np.real(first_A), np.real(second_A)
    equal_A = np.full(len(second_A), 1.0 / len(second_A))
    energy = first_A.mean() if np.ptp(w_A) == 0 else np.sum(w_A * first_A)
    other, other_error = _mean(second_A, equal_A, length)
    floor = ROUNDING * max(abs(float(energy)), 1.0)
    both = ((first_A, w_A, chain_length), (second_A, equal_A, length))
    spreads = [_mean(np.abs(x_A - energy), w_A, n) for x_A, w_A, n in both]
    (one, one_error), (two, two_error) = spreads
    found = Second(
        _apart(other - float(energy), error, other_error, floor),
        _apart(two - one, one_error, two_error, floor),
        split_r_hat(second_A.reshape(-1, length)) if np.all(np.isfinite(second_A)) else None,
    )
    return Compared(found, other, other_error, len(second_A), time.monotonic() - begun)


def in_words(found: Compared | Sequence[Compared]) -> str:
    """What the comparison of one wave function came to, or of several (the worst of them), as a line for the user."""
    if isinstance(found, Compared):
        away = found.second.energy
        distance = "its distance from the first is not known" if away is None else _distance(away)
        energy = with_error(found.energy, found.error)
        return f"second ensemble: energy {energy}, {distance} (trust.second in summary.json)"
    known = [abs(one.second.energy) for one in found if one.second.energy is not None]
    distance = f"at most {_number(max(known))} standard errors from the first" if known else "no error is known"
    return f"second ensembles of {len(found)} couplings: energies {distance} (points[].trust.second in summary.json)"


def _distance(away: float) -> str:
    """A signed difference in standard errors."""
    if away == 0:
        return "the same as the first"
    return f"{_number(abs(away))} standard errors {'above' if away > 0 else 'below'} the first"


def _number(errors: float) -> str:
    return f"{errors:.1f}" if errors < 100 else f"{min(errors, 1e3):.3g}"


def _mean(x_A: np.ndarray, w_A: np.ndarray, length: int) -> tuple[float, float]:
    found = host_estimate(x_A, w_A, length)
    return found.mean.real, widened(found.error, x_A, length, w_A)


def _apart(difference: float, one: float, other: float, floor: float) -> float | None:
    """The difference in errors; None if one is not known. Differences within ``floor`` are none."""
    if not math.isfinite(difference):
        return math.inf
    if abs(difference) <= floor:
        return 0.0
    error = math.hypot(one, other)
    return difference / max(error, floor) if math.isfinite(error) else None
