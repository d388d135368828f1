"""Slater determinants with their own ratio path.

    psi(n) = prod_b det A_b,     A_b = Phi_b at the occupied modes of block b, in ascending order,

of orbitals Phi_b (modes, fermions) that are the parameters. With W = Phi A^-1, whose rows at occupied modes are unit
vectors, fermions that go from the modes l_1 ... l_h to K_1 ... K_h have the ratio

    psi(n') / psi(n) = (-1)^inversions det D,     D_ij = W[K_i, l_j],
    W' = W - W[:, l] D^-1 (W[K, :] - e_l),

l standing for the column of W that belongs to the mode, which K takes over (Becca and Sorella 2017, "Quantum Monte
Carlo approaches for correlated systems", ch. 5). The inversions are those of sorting the modes when K_i stands where
l_i stood. So a hop costs one entry of W, and all ratios of a state are read from one W; a hop that is taken costs the
rows of its block times its fermions.

Several blocks are one matrix Phi whose entries between blocks are 0, and so is W: D needs no case of its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from numpy.typing import NDArray

from nqs_hpc.ansatz.complete import complete
from nqs_hpc.ansatz.determinants import as_logarithm, log_det_and_gradient, log_det_of_rows
from nqs_hpc.ansatz.full_evaluation import apply_move
from nqs_hpc.ansatz.hops import Hops, below, hops_of, inversions
from nqs_hpc.ansatz.layers import normal, parameter_dtype
from nqs_hpc.ansatz.names import FloatName, NumberName
from nqs_hpc.ansatz.rank_updates import Rows, det, entries, prepared, revived, updated
from nqs_hpc.types import Ansatz, Factors, Kind, Move


class SlaterParams(NamedTuple):
    phi: tuple[Array, ...]  # each (modes, fermions): one of restricted and generalised orbitals, else one a block


def slater(
    n_fermions: Sequence[int],
    orbitals: Sequence[NDArray[Any]],
    *,
    shared: bool = False,
    noise: float = 0.0,
    dtype: NumberName = "real",
    float_dtype: FloatName = "float64",
) -> Ansatz:
    """Determinants of ``n_fermions[b]`` fermions in block b of the modes, of kind ``signed`` or, with dtype="complex",
    ``holomorphic``.

    ``orbitals``: the first parameters, (modes, fermions) of each block, blocks of equally many modes one after another;
    or ``shared`` by all blocks, of which each takes as many columns as it has fermions. To each entry a normal number
    is added of standard deviation ``noise`` times the root mean square of the entries. Of one block over all modes the
    orbitals are general. ``modulus`` leaves out the signs. From a state with psi = 0 every ratio is 1, as in
    `full_evaluation`.

    Raises ValueError for shapes that do not fit, no fermions at all, and complex orbitals of real parameters.
    """
    param_dtype = parameter_dtype(dtype, float_dtype)
    log_dtype = jnp.result_type(param_dtype, jnp.complex64)
    n_modes = _modes_of_a_block(n_fermions, orbitals, shared)
    if dtype == "real" and any(np.iscomplexobj(phi) and np.abs(phi.imag).max(initial=0) > 1e-12 for phi in orbitals):
        raise ValueError("the orbitals are complex, and dtype=real")
    n_blocks = len(n_fermions)

    def init(key: Array) -> SlaterParams:
        keys = jax.random.split(key, len(orbitals))
        found = []
        for key_of, phi in zip(keys, orbitals, strict=True):
            size = noise * float(np.sqrt(np.mean(np.abs(phi) ** 2))) if phi.size else 0.0
            first = np.asarray(phi if dtype == "complex" else phi.real, param_dtype)
            found.append(jnp.asarray(first) + normal(key_of, first.shape, size, param_dtype))
        return SlaterParams(tuple(found))

    def of_block(params: SlaterParams, b: int) -> Array:
        return params.phi[0][:, : n_fermions[b]] if shared else params.phi[b]

    def blocks_of(s_N: Array) -> Array:
        return s_N.reshape(n_blocks, n_modes)

    def log_psi(params: SlaterParams, s_N: Array) -> Array:
        s_bM = blocks_of(s_N)
        total = jnp.zeros((), log_dtype)
        for b, n in enumerate(n_fermions):
            value = log_det_of_rows(of_block(params, b), s_bM[b]) if n else jnp.zeros((), log_dtype)
            total = total + jnp.where(jnp.sum(s_bM[b]) == n, value, -jnp.inf)
        return total

    def prepare(params: SlaterParams, s_N: Array) -> Rows:
        return prepared(tuple(of_block(params, b) for b in range(n_blocks)), s_N)

    def size_of(rows: Rows, move: Move) -> tuple[Array, Hops, Array]:
        """log of the modulus of the ratio, the hops, and det D."""
        hops = hops_of(move)
        value = jnp.where(rows.lives, det(entries(rows, hops)), 1)
        return jnp.where(hops.keeps | ~rows.lives, jnp.log(jnp.abs(value)), -jnp.inf), hops, value

    def whole(rows: Rows, below_N: Array, move: Move) -> Array:
        """log of the ratio; ``below_N`` the number of fermions below each mode."""
        log_modulus, hops, value = size_of(rows, move)
        is_odd = (inversions(hops, below_N) % 2 == 1) & rows.lives
        return as_logarithm(jnp.where(is_odd, -value, value), log_modulus)

    def attempt(params: SlaterParams, s_N: Array, rows: Rows, move: Move) -> tuple[Array, tuple[()]]:
        del params
        return whole(rows, below(s_N), move), ()

    def attempt_size(params: SlaterParams, s_N: Array, rows: Rows, move: Move) -> tuple[Array, tuple[()]]:
        del params, s_N
        return size_of(rows, move)[0], ()

    def log_ratios(params: SlaterParams, s_N: Array, rows: Rows, moves_KF: Move) -> Array:
        del params
        below_N = below(s_N)
        return jax.vmap(lambda move: whole(rows, below_N, move))(moves_KF)

    def advance(
        params: SlaterParams, s_N: Array, rows: Rows, move: Move, tried: tuple[()], accepted: Array | bool
    ) -> Rows:
        del tried
        phi_b = tuple(of_block(params, b) for b in range(n_blocks))
        there = apply_move(s_N, move)
        return revived(phi_b, there, updated(rows, hops_of(move), accepted), ~rows.lives & accepted)

    def factors_of(params: SlaterParams, s_N: Array) -> tuple[Array, ...]:
        s_bM = blocks_of(s_N)
        found = [
            log_det_and_gradient(of_block(params, b), s_bM[b])[1] if n else jnp.zeros((n_modes, 0), param_dtype)
            for b, n in enumerate(n_fermions)
        ]
        if shared:
            width = params.phi[0].shape[1]
            found = [sum((jnp.pad(g, ((0, 0), (0, width - g.shape[1]))) for g in found), jnp.zeros(()))]
        return tuple(gradient.ravel() for gradient in found)

    kind: Kind = "signed" if dtype == "real" else "holomorphic"
    modulus = complete(
        init,
        lambda params, s_N: jnp.real(log_psi(params, s_N)),
        "real",
        prepare=prepare,
        attempt=attempt_size,
        advance=advance,
    )
    return complete(
        init,
        log_psi,
        kind,
        prepare=prepare,
        attempt=attempt,
        advance=advance,
        log_ratios=log_ratios,
        factors=Factors(factors_of, tuple((i,) for i in range(len(orbitals)))),
        modulus=modulus,
    )


def _modes_of_a_block(n_fermions: Sequence[int], orbitals: Sequence[NDArray[Any]], shared: bool) -> int:
    wanted = [max(n_fermions)] if shared else list(n_fermions)
    shapes = [phi.shape for phi in orbitals]
    n_modes = shapes[0][0] if shapes and len(shapes[0]) == 2 else 0
    if shapes != [(n_modes, n) for n in wanted] or max(wanted) > n_modes:
        raise ValueError(f"orbitals of shapes {shapes} for {list(n_fermions)} fermions: each has (modes, fermions)")
    if not any(n_fermions):
        raise ValueError("no fermions at all: a determinant has at least one")
    return n_modes
