"""Matrix product states,

    psi(s) = l . A_1(s_1) A_2(s_2) ... A_N(s_N) . r  with open ends,      tr A_1(s_1) ... A_N(s_N)  as a ring,

of matrices chi x chi. Fannes, Nachtergaele and Werner, Commun. Math. Phys. 144, 443 (1992), doi:10.1007/BF02099178;
Schollwoeck, Ann. Phys. 326, 96 (2011), arXiv:1008.3477; sampled as here by Sandvik and Vidal, Phys. Rev. Lett. 99,
220602 (2007), arXiv:0708.2232. The parameters are theta = A - 1, with vectors at open ends instead of matrices, theta
+ 1/sqrt(chi): at theta = 0 all amplitudes are equal, and log psi is a number for all sizes of theta. A ring may repeat
its first matrices along the chain: of one, psi is invariant under translations. Real matrices give a ``signed`` psi,
complex ones a holomorphic log psi.

Products are divided by their largest entry as they grow, and the logarithms added up, so no length overflows.

How ratios are computed. With L_i the product of the matrices before site i and R_i that of those from i on, rows and
columns with open ends, the cache of a configuration holds L_i A_i(v) and A_i(v) R_{i+1} of all values v. A move that
changes sites i to j costs the matrices between these two,

    psi(s') = [L_i A_i(s'_i)] A_{i+1}(s'_{i+1}) ... A_{j-1}(s'_{j-1}) [A_j(s'_j) R_{j+1}],

chi^2 operations each, chi^3 in a ring; one site, or two neighbours, cost no more than the product of the brackets. A
ring is cut at two places opposite to each other, of which a move takes the one that makes i..j short, so that bonds
across the end cost no more than others. A chain of proposals, which would have to make L and R again after each move,
asks for |psi| alone (``modulus``): of a ring, from a tree of products (`segments`); of open ends one vector goes
through the chain. These have conditionals too (`densities`).
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from nqs_hpc.ansatz import densities
from nqs_hpc.ansatz.complete import complete
from nqs_hpc.ansatz.conditionals import digits, local_space
from nqs_hpc.ansatz.full_evaluation import apply_move, full_evaluation, ratio_to
from nqs_hpc.ansatz.layers import normal, parameter_dtype
from nqs_hpc.ansatz.names import FloatName, NumberName
from nqs_hpc.ansatz.segments import changed, followed, parted, rescaled, segments
from nqs_hpc.types import Ansatz, Conditionals, Kind, Move, Tree


class MPSParams(NamedTuple):
    """V local values. A ring of U matrices that repeat has ``bulk`` (U, V, chi, chi) alone; an open chain of N sites
    N - 2 of them, and a row and a column for its ends.
    """

    bulk: Array
    first: Array | None = None  # (V, chi)
    last: Array | None = None  # (V, chi)


class MPSFrozen(NamedTuple):
    tensors: Array  # (N, V, chi, chi), along the path; an open chain's first has one row, its last one column
    rho: Array | None  # (N + 1, T + 1, chi, chi) of `densities`, where there are conditionals


class Side(NamedTuple):
    """Environments from one cut: site q is the q-th after it. V values, r = 1 with open ends, else chi."""

    left: Array  # (N, r, V, chi): L_q A_q(v)
    left_log: Array  # (N,): the logarithm of what was divided out of L_q
    right: Array  # (N, r, V, chi): A_q(v) R_{q+1}, transposed, as number N - 1 - q
    right_log: Array  # (N,)


class MPSCache(NamedTuple):
    log_psi: Array
    sides: tuple[Side, ...]  # from each cut; moves of one site need only the first


class TreeCache(NamedTuple):
    tree: Array
    log_modulus: Array


class OpenChain(NamedTuple):
    init: Callable[[Array], MPSParams]
    tensors: Callable[[MPSParams, float], Array]  # theta + offset -> (N, V, chi, chi)


def open_chain(n_sites: int, chi: int, n_values: int, init_scale: float, dtype: np.dtype) -> OpenChain:
    """The matrices of an open chain; ``offset`` of 1 is theta + 1, of 0 only theta."""

    def init(key: Array) -> MPSParams:
        keys = jax.random.split(key, 3)
        shapes = ((n_sites - 2, n_values, chi, chi), (n_values, chi), (n_values, chi))
        return MPSParams(*(normal(k, shape, init_scale, dtype) for k, shape in zip(keys, shapes, strict=True)))

    def tensors(params: MPSParams, offset: float) -> Array:
        assert params.first is not None and params.last is not None
        bulk = params.bulk + offset * jnp.eye(chi, dtype=params.bulk.dtype)[None, None]
        end = jnp.zeros((1, n_values, chi, chi), params.bulk.dtype)
        first = end.at[0, :, 0, :].set(params.first + offset * chi**-0.5)
        last = end.at[0, :, :, 0].set(params.last + offset * chi**-0.5)
        return jnp.concatenate([first, bulk, last])

    return OpenChain(init, tensors)


def mps(
    n_sites: int,
    *,
    chi: int,
    periodic: bool,
    cell: int | None = None,
    path: Sequence[int] | None = None,
    dtype: NumberName = "real",
    init_scale: float = 0.1,
    local_values: tuple[int, ...] = (1, -1),
    total: int | None = None,
    conditionals: bool = False,
    float_dtype: FloatName = "float64",
) -> Ansatz:
    """A matrix product state of kind ``signed`` or, with dtype="complex", ``holomorphic``.

    theta starts as normal numbers of standard deviation ``init_scale``. ``path`` are the sites in the order of their
    matrices, by default that of their numbers. ``cell`` is how many matrices a ring repeats, by default all N.
    ``conditionals``: whether sites can be drawn one after the other, in the sector of ``total`` where one is given; psi
    itself is not restricted to it, nor normalised. ValueError for sizes below 1, open chains of one site, a ``cell``
    that is not of a ring or does not divide N, a ``path`` that is not one, conditionals of a ring or along a path.
    """
    _check(n_sites, chi, periodic, cell, path, conditionals)
    path_N = np.arange(n_sites) if path is None else np.asarray(path, dtype=np.int32)
    place_N = np.argsort(path_N).astype(np.int32)  # of each site along the path
    space = local_space(n_sites, local_values, total)
    n_values, param_dtype = space.n_values, parameter_dtype(dtype, float_dtype)
    is_real = dtype == "real"
    n_rows = chi if periodic else 1
    ends = jnp.eye(chi, dtype=param_dtype)[:n_rows]  # L before the first site, and R after the last one
    cuts_C = np.array([0, n_sites // 2] if periodic and n_sites > 2 else [0], np.int32)

    chain = None if periodic else open_chain(n_sites, chi, n_values, init_scale, param_dtype)

    def init(key: Array) -> MPSParams:
        if chain is not None:
            return chain.init(key)
        return MPSParams(normal(key, (cell or n_sites, n_values, chi, chi), init_scale, param_dtype))

    def tensors(params: MPSParams) -> Array:
        """(N, V, chi, chi)."""
        if chain is not None:
            return chain.tensors(params, 1.0)
        bulk = params.bulk + jnp.eye(chi, dtype=param_dtype)[None, None]
        return jnp.tile(bulk, (n_sites // len(bulk), 1, 1, 1))

    def log_of(x: Array, log: Array) -> Array:
        """log(x exp(log)), -inf where x is 0, with a derivative that is finite."""
        empty = x == 0
        x = jnp.where(empty, 1, x)
        if is_real:
            size = jnp.where(empty, -jnp.inf, jnp.log(jnp.abs(x)) + log)
            return jax.lax.complex(size, jnp.where(x < 0, jnp.pi, 0).astype(size.dtype))
        return jnp.where(empty, -jnp.inf, jnp.log(x) + log)

    def through(tensors_NVcc: Array, digits_N: Array) -> tuple[Array, Array, Array, Array]:
        """L_N (r, chi) and its logarithm; L_q A_q(v) (N, r, V, chi) and the logarithms (N,) of L_q."""

        def site(carry: tuple[Array, Array], inputs: tuple[Array, Array]) -> tuple[tuple[Array, Array], Tree]:
            (x, log), (a_Vcc, digit) = carry, inputs
            # all values at once and then one of them: of many configurations this is one product of matrices
            every = (x @ a_Vcc.transpose(1, 0, 2).reshape(chi, -1)).reshape(n_rows, n_values, chi)
            new, more = rescaled(every[:, digit], (0, 1))
            return (new, log + more), (every, log)

        start = (ends, jnp.zeros((), param_dtype).real)
        (x, log), (every, logs) = jax.lax.scan(site, start, (tensors_NVcc, digits_N))
        return x, log, every, logs

    def log_psi_of(tensors_NVcc: Array, s_N: Array) -> Array:
        x, log, *_ = through(tensors_NVcc, digits(space, s_N[path_N]))
        return log_of(jnp.sum(x * ends), log)

    def log_psi(params: MPSParams, s_N: Array) -> Array:
        return log_psi_of(tensors(params), s_N)

    def freeze(params: MPSParams) -> MPSFrozen:
        along = tensors(params)
        return MPSFrozen(along, densities.densities(space, along, ends[0]) if conditionals else None)

    def prepare(frozen: MPSFrozen, s_N: Array) -> MPSCache:
        digits_N = digits(space, s_N[path_N])
        sides, log_psi = [], jnp.zeros(())
        for cut in cuts_C[::-1]:  # one after the other: XLA's batches of products of matrices are slow
            order_N = (cut + np.arange(n_sites)) % n_sites
            back_N = order_N[::-1]
            x, log, left, left_log = through(frozen.tensors[order_N], digits_N[order_N])
            _, _, right, right_log = through(frozen.tensors[back_N].transpose(0, 1, 3, 2), digits_N[back_N])
            sides.append(Side(left, left_log, right, right_log))
            log_psi = log_of(jnp.sum(x * ends), log)  # in the end that of the first cut
        return MPSCache(log_psi, tuple(sides[::-1]))

    def ratio(frozen: MPSFrozen, s_N: Array, cache: MPSCache, move: Move) -> Array:
        place_F = jnp.asarray(place_N)[move.sites]
        counts_F = move.deltas != 0
        sides = cache.sides if place_F.shape[0] > 1 else cache.sides[:1]
        place_CF = (place_F[None, :] - cuts_C[: len(sides), None]) % n_sites
        low_C = jnp.min(jnp.where(counts_F, place_CF, n_sites - 1), axis=1)
        # the site after a single one counts as changed: it is where the right bracket begins
        high_C = jnp.maximum(jnp.max(jnp.where(counts_F, place_CF, 0), axis=1), low_C + 1)
        c = jnp.argmin(high_C - low_C) if len(sides) > 1 else 0
        low, high, cut = low_C[c], high_C[c], jnp.asarray(cuts_C)[c]
        last = n_sites - 1 - high  # -1: the single site is the last one, behind which stands R_N
        new_N = digits(space, apply_move(s_N, move)[path_N])

        def onward(carry: tuple[Array, Array, Array]) -> tuple[Array, Array, Array]:
            q, x, log = carry
            place = (q + cut) % n_sites
            x, more = rescaled(x @ frozen.tensors[place, new_N[place]], (0, 1))
            return q + 1, x, log + more

        v_low, v_high = new_N[(low + cut) % n_sites], new_N[(high + cut) % n_sites]
        found = [
            (side.left[low, :, v_low], side.left_log[low], side.right[last, :, v_high], side.right_log[last])
            for side in sides
        ]
        left, left_log, right, right_log = (
            found[0] if len(found) == 1 else jax.tree.map(functools.partial(jnp.where, c == 0), *found)
        )
        first = (low + 1, left, left_log)
        _, x, log = jax.lax.while_loop(lambda carry: carry[0] < high, onward, first)
        value = jnp.sum(x * jnp.where(last < 0, ends, right))
        return ratio_to(log_of(value, log + jnp.where(last < 0, 0, right_log)), cache.log_psi)

    def attempt(frozen: MPSFrozen, s_N: Array, cache: MPSCache, move: Move) -> tuple[Array, MPSCache]:
        new = prepare(frozen, apply_move(s_N, move))
        return ratio_to(new.log_psi, cache.log_psi), new

    def log_modulus(frozen: MPSFrozen, s_N: Array) -> Array:
        return log_psi_of(frozen.tensors, s_N).real

    def prepare_tree(frozen: MPSFrozen, s_N: Array) -> TreeCache:
        matrices_Ncc = frozen.tensors[np.arange(n_sites), digits(space, s_N[path_N])]
        tree = segments(matrices_Ncc)
        return TreeCache(tree, top(tree[-1]))

    def top(row: Array) -> Array:
        product, log = parted(row)
        return log_of(jnp.trace(product), log).real

    def attempt_tree(frozen: MPSFrozen, s_N: Array, cache: TreeCache, move: Move) -> tuple[Array, Tree]:
        place_F = jnp.asarray(place_N)[move.sites]
        new_F = digits(space, apply_move(s_N, move)[move.sites])
        rows = changed(cache.tree, n_sites, place_F, frozen.tensors[place_F, new_F])
        log_new = top(rows[-1, 0])
        return ratio_to(log_new, cache.log_modulus), (rows, log_new)

    def advance_tree(
        frozen: MPSFrozen, s_N: Array, cache: TreeCache, move: Move, attempted: Tree, accepted: Array | bool
    ) -> TreeCache:
        del frozen, s_N
        rows, log_new = attempted
        tree = followed(cache.tree, n_sites, jnp.asarray(place_N)[move.sites], rows, accepted)
        return TreeCache(tree, jnp.where(accepted, log_new, cache.log_modulus))

    def step(frozen: MPSFrozen, running: densities.Running, site: Array) -> tuple[Array, densities.Running]:
        assert frozen.rho is not None
        rows_Vc = jnp.einsum("a,vab->vb", running.left, frozen.tensors[site])
        return densities.log_probabilities(
            densities.weights(space, frozen.rho[site + 1], rows_Vc, running.rest)
        ), running

    def extend(frozen: MPSFrozen, running: densities.Running, site: Array, digit: Array) -> densities.Running:
        return densities.taken(space, running, running.left @ frozen.tensors[site, digit], digit)

    drawn = Conditionals(lambda frozen: densities.begin(space, ends[0]), step, extend) if conditionals else None
    if periodic:
        modulus = complete(
            init,
            lambda params, s_N: log_psi(params, s_N).real,
            "real",
            freeze=freeze,
            prepare=prepare_tree,
            attempt=attempt_tree,
            advance=advance_tree,
        )
    else:
        modulus = full_evaluation(init, log_modulus, "real", freeze=freeze)
    kind: Kind = "signed" if is_real else "holomorphic"
    return complete(
        init,
        log_psi,
        kind,
        freeze=freeze,
        prepare=prepare,
        attempt=attempt,
        log_ratios=jax.vmap(ratio, in_axes=(None, None, None, 0)),
        modulus=modulus._replace(conditionals=drawn),
        whole=True,
        conditionals=drawn,
    )


def _check(
    n_sites: int, chi: int, periodic: bool, cell: int | None, path: Sequence[int] | None, conditionals: bool
) -> None:
    if n_sites < 1 or chi < 1:
        raise ValueError(f"n_sites={n_sites}, chi={chi}: both must be at least 1")
    if not periodic and n_sites < 2:
        raise ValueError(f"n_sites={n_sites}: at least 2 with open ends")
    if cell is not None and (not periodic or cell < 1 or n_sites % cell):
        raise ValueError(f"cell={cell}: matrices repeat in a ring alone, in a number that divides its {n_sites} sites")
    if path is not None and sorted(path) != list(range(n_sites)):
        raise ValueError(f"path={list(path)}: each of {n_sites} sites once")
    if conditionals and (periodic or path is not None):
        raise ValueError("conditionals: of open ends, with the sites in the order of their numbers")
