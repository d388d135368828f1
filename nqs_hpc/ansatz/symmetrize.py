"""Any wave function, projected on a symmetry sector by a sum over the group.

    psi_sym(s) = (d / |G|) sum_g chi*(g) psi(g s)               mode psi
    log psi_sym(s) = (1 / |G|) sum_g log psi(g s)               mode log_psi, if all characters are 1

psi_sym(g s) = chi(g) psi_sym(s) holds for characters of dimension d = 1; for a larger d the sum projects on the
representation too. Quantum-number projection: Mizusaki and Imada, Phys. Rev. B 69, 125110 (2004),
arXiv:cond-mat/0311005; of neural networks: Nomura, J. Phys.: Condens. Matter 33, 174003 (2021), arXiv:2001.05179.

A move of s is a move of g s at the sites to which g carries them, so ratios come from those of the base, whose caches
are kept for every g together with log psi(g s).

Of fermions psi(g s) stands with the sign of sorting, sign(g, s) (`system.exchange`). It is kept for every g: a move of
F modes changes it by F masks of N / 32 words, less than a ratio of any base costs. A base that is a determinant can
vanish at some g s where the sum does not. There its cache, an inverse, says nothing, so that psi(g s') is evaluated,
and the cache is computed again after the move.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from numpy.typing import NDArray

from nqs_hpc.ansatz.complete import complete
from nqs_hpc.ansatz.full_evaluation import apply_move, full_evaluation, ratio_to
from nqs_hpc.ansatz.sector import codes, is_absent, log_sum
from nqs_hpc.parallel.chunk import even_part
from nqs_hpc.system.characters import Symmetry
from nqs_hpc.system.exchange import masks, odd, odd_change
from nqs_hpc.system.hilbert import Hilbert
from nqs_hpc.system.product_states import TINY, is_in_sector, reduced
from nqs_hpc.types import Ansatz, Kind, Move, Tree

Mode = Literal["psi", "log_psi"]

# Group elements of one configuration that are evaluated at a time; if there are more, a gradient recomputes each batch.
# This bounds the memory of large groups, and together with a chunk of samples it is enough to fill matrix products.
ELEMENTS = 32
# An inverse of a matrix whose determinant is smaller than that of another image by this power of the rounding is not
# used: it would have less than a third of its digits.
SINGULAR = 2 / 3


class Frozen(NamedTuple):
    params: Tree
    base: Tree


class Orbit(NamedTuple):
    """log psi and the code of all g s, and log psi of their sum."""

    log_G: Array  # for the elements with a weight
    code_G: Array | None  # float64, for all elements; None if no sum vanishes by symmetry
    odd_G: Array | None  # bool, for all elements: whether sorting brings the sign -1; None but for fermions
    log_psi: Array


class SymmetrizeCache(NamedTuple):
    base: Tree  # a cache of each g s
    orbit: Orbit


def symmetrize(
    base: Ansatz,
    symmetry: Symmetry,
    *,
    mode: Mode = "psi",
    local_values: Sequence[int] = (1, -1),
    hilbert: Hilbert | None = None,
) -> Ansatz:
    """``base``, projected on the sector of ``symmetry``.

    Kinds, in mode psi: ``real`` for a real base if all characters are 1 and the sites hold no fermions, ``signed`` for
    a real or signed base if all are real, ``holomorphic`` for a holomorphic base, else ``complex``; in mode log_psi
    that of the base. Raises ValueError for mode log_psi with characters other than 1, with fermions, or with a signed
    base, whose signs it would average.

    It is the product states of the base that lie in the sector, of ``hilbert`` where that has a fixed total: the sum
    over the group leaves them as they are.
    """
    if mode == "log_psi" and not symmetry.is_trivial:
        raise ValueError("mode='log_psi': needs characters that are all 1, since a mean of logarithms is invariant")
    if mode == "log_psi" and base.kind == "signed":
        raise ValueError("mode='log_psi': needs a base without a sign of its own, since a mean of signs is not a sign")
    is_fermionic = hilbert is not None and hilbert.fermionic
    if mode == "log_psi" and is_fermionic:
        raise ValueError("mode='log_psi': not of fermions, since a mean of logarithms has no signs of exchanges")
    characters = symmetry.characters
    used = np.flatnonzero(characters)
    perms_GN, flips_G = symmetry.perms[used], symmetry.flips[used]
    back_GN = np.argsort(perms_GN, axis=1).astype(np.int32)
    weights_G = symmetry.dimension / len(characters) * characters[used].conj()
    kind = _kind(base.kind, symmetry, is_fermionic) if mode == "psi" else base.kind
    at_once = even_part(len(used), ELEMENTS)

    codes_NG = codes(symmetry, max(map(abs, local_values)))
    coded = mode == "psi" and (is_fermionic or not symmetry.is_trivial)
    sorting = tuple(masks(symmetry.perms, both=both) for both in (False, True)) if is_fermionic else None
    is_singular = is_fermionic and base.kind != "real"  # whether the caches of the base can be

    def images(s_N: Array) -> Array:
        """(G, N) every g s."""
        return jnp.asarray(flips_G)[:, None] * s_N[back_GN]

    def log_of_images(params: Tree, s_N: Array) -> Array:
        def of_element(element: tuple[Array, Array]) -> Array:
            back_N, flip = element
            return base.log_psi(params, flip * s_N[back_N])

        elements = (jnp.asarray(back_GN), jnp.asarray(flips_G))
        if at_once >= len(used):
            return jax.vmap(of_element)(elements)
        return jax.lax.map(jax.checkpoint(of_element), elements, batch_size=at_once)

    def code(s_N: Array) -> Array | None:
        return s_N.astype(jnp.float64) @ codes_NG if coded else None

    def combine(log_G: Array, code_G: Array | None, odd_G: Array | None) -> Array:
        if mode == "log_psi":
            return jnp.mean(log_G)
        absent = jnp.bool_(False) if code_G is None else is_absent(code_G, symmetry, odd_G)
        return log_sum(log_G, weights_G, kind, absent, None if odd_G is None else odd_G[used])

    def orbit(params: Tree, s_N: Array) -> Orbit:
        log_G, code_G = log_of_images(params, s_N), code(s_N)
        odd_G = None if sorting is None else odd(jnp.asarray(sorting[0]), s_N)
        return Orbit(log_G, code_G, odd_G, combine(log_G, code_G, odd_G))

    def log_psi(params: Tree, s_N: Array) -> Array:
        return orbit(params, s_N).log_psi

    product_state = None
    if base.product_state is not None:
        space = Hilbert(symmetry.perms.shape[1], tuple(local_values)) if hilbert is None else hilbert
        product_state = _in_sector(base.product_state, symmetry, mode, space)

    # A base without its own ratios caches only log psi. And a ratio of the base gives a phase modulo 2 pi, so that a
    # mean of complex logarithms would be known modulo 2 pi / |G| only: it needs the logarithms of all g s' themselves.
    if base.prepare is base.log_psi or (mode == "log_psi" and base.kind != "real"):
        return full_evaluation(base.init, log_psi, kind)._replace(product_state=product_state)

    def prepare(frozen: Frozen, s_N: Array) -> SymmetrizeCache:
        caches = jax.vmap(base.prepare, in_axes=(None, 0))(frozen.base, images(s_N))
        return SymmetrizeCache(caches, orbit(frozen.params, s_N))

    def carried(move: Move) -> Move:
        """The move of every g s, (G, F)."""
        deltas = move.deltas[None, :] * jnp.asarray(flips_G)[:, None]
        return Move(jnp.asarray(perms_GN)[:, move.sites], deltas)

    def attempt(frozen: Frozen, s_N: Array, cache: SymmetrizeCache, move: Move) -> tuple[Array, tuple[Tree, Orbit]]:
        of_base = jax.vmap(base.attempt, in_axes=(None, 0, 0, 0))
        ratio_G, attempted = of_base(frozen.base, images(s_N), cache.base, carried(move))
        old = cache.orbit
        empty_G = unusable(old.log_G)
        log_G = jnp.where(empty_G, -jnp.inf, old.log_G + ratio_G)

        # From psi(g s) = 0 no ratio gives psi(g s'). A loop of at most one iteration: under vmap it runs only if some
        # configuration needs it, while a conditional would become a choice between two results. The iteration changes
        # s_N, because XLA would otherwise evaluate it before the loop, whether needed or not.
        def unknown(carry: tuple[Array, Array, Array]) -> Array:
            return carry[0]

        def evaluate(carry: tuple[Array, Array, Array]) -> tuple[Array, Array, Array]:
            _, log_G, s_N = carry
            return jnp.bool_(False), jnp.where(empty_G, log_of_images(frozen.params, s_N), log_G), s_N[::-1]

        _, log_G, _ = jax.lax.while_loop(unknown, evaluate, (jnp.any(empty_G), log_G, apply_move(s_N, move)))
        new = followed(s_N, old, move, log_G)
        return ratio_to(new.log_psi, old.log_psi), (attempted, new)

    def followed(s_N: Array, old: Orbit, move: Move, log_G: Array) -> Orbit:
        """The orbit after a move of s, with log psi of all g s' known."""
        code_G = odd_G = None
        if old.code_G is not None:
            code_G = old.code_G + move.deltas.astype(jnp.float64) @ jnp.asarray(codes_NG)[move.sites]
        if old.odd_G is not None and sorting is not None:
            later_GNW, either_GNW = map(jnp.asarray, sorting)
            odd_G = old.odd_G ^ odd_change(later_GNW, either_GNW, s_N, move.sites, move.deltas)
        return Orbit(log_G, code_G, odd_G, combine(log_G, code_G, odd_G))

    def log_ratios(frozen: Frozen, s_N: Array, cache: SymmetrizeCache, moves_KF: Move) -> Array:
        """Of many moves: a base that answers them together is asked once for each g."""
        moves_GKF = jax.vmap(carried, out_axes=1)(moves_KF)
        of_base = jax.vmap(base.log_ratios, in_axes=(None, 0, 0, 0), out_axes=1)
        old = cache.orbit
        ratio_KG = of_base(frozen.base, images(s_N), cache.base, moves_GKF)
        empty_G = unusable(old.log_G)
        log_KG = jnp.where(empty_G[None], -jnp.inf, old.log_G[None] + ratio_KG)

        def evaluate(carry: tuple[Array, Array, Array]) -> tuple[Array, Array, Array]:  # as in `attempt`
            _, log_KG, s_N = carry
            new_KG = jax.lax.map(lambda move: log_of_images(frozen.params, apply_move(s_N, move)), moves_KF)
            return jnp.bool_(False), jnp.where(empty_G[None], new_KG, log_KG), s_N[::-1]

        _, log_KG, _ = jax.lax.while_loop(lambda carry: carry[0], evaluate, (jnp.any(empty_G), log_KG, s_N))
        new = jax.vmap(followed, in_axes=(None, None, 0, 0))(s_N, old, moves_KF, log_KG)
        return jax.vmap(ratio_to, in_axes=(0, None))(new.log_psi, old.log_psi)

    def advance(
        frozen: Frozen,
        s_N: Array,
        cache: SymmetrizeCache,
        move: Move,
        attempted: tuple[Tree, Orbit],
        accepted: Array | bool,
    ) -> SymmetrizeCache:
        of_base, new = attempted

        def of_element(s_N: Array, cache: Tree, move: Move, attempted: Tree) -> Tree:
            return base.advance(frozen.base, s_N, cache, move, attempted, accepted)

        caches = jax.vmap(of_element)(images(s_N), cache.base, carried(move), of_base)
        if is_singular:
            caches = renewed(frozen, apply_move(s_N, move), caches, unusable(cache.orbit.log_G) & accepted)
        return SymmetrizeCache(caches, jax.tree.map(lambda x, y: jnp.where(accepted, x, y), new, cache.orbit))

    def unusable(log_G: Array) -> Array:
        """(G,) where no ratio to psi(g s) is known, or, of inverses of matrices, more than a third of its digits."""
        size_G = jnp.real(log_G)
        if not is_singular:
            return jnp.isneginf(size_G)
        least = jnp.max(size_G) + float(np.log(jnp.finfo(size_G.dtype).eps)) * SINGULAR
        return jnp.isneginf(size_G) | (size_G < least)

    def renewed(frozen: Frozen, s_N: Array, caches: Tree, which_G: Array) -> Tree:
        """The caches of the base, made afresh for some elements; a loop as in `attempt`."""

        def needed(carry: tuple[Array, Tree, Array]) -> Array:
            return jnp.any(carry[0])

        def make(carry: tuple[Array, Tree, Array]) -> tuple[Array, Tree, Array]:
            which_G, caches, s_N = carry
            new = jax.vmap(base.prepare, in_axes=(None, 0))(frozen.base, images(s_N))

            def chosen(new: Array, old: Array) -> Array:
                return jnp.where(jnp.expand_dims(which_G, tuple(range(1, old.ndim))), new, old)

            return jnp.zeros_like(which_G), jax.tree.map(chosen, new, caches), s_N[::-1]

        return jax.lax.while_loop(needed, make, (which_G, caches, s_N))[1]

    def freeze(params: Tree) -> Frozen:
        return Frozen(params, base.freeze(params))

    return complete(
        base.init,
        log_psi,
        kind,
        freeze=freeze,
        prepare=prepare,
        attempt=attempt,
        advance=advance,
        log_ratios=log_ratios if is_fermionic else None,
        product_state=product_state,
    )


def _in_sector(
    of_base: Callable[[NDArray[Any]], Tree], symmetry: Symmetry, mode: Mode, hilbert: Hilbert
) -> Callable[[NDArray[Any]], Tree]:
    """The product states of the base; ValueError for those that the sum over the group would change."""

    def product_state(fields_N: NDArray[Any]) -> Tree:
        a_N = reduced(fields_N)
        kept = is_in_sector(a_N, symmetry, hilbert)
        if mode == "log_psi":  # a mean of logarithms, which knows them beyond 2 pi i
            kept = np.abs(symmetry.flips[:, None] * a_N[symmetry.perms] - a_N[None]).max() < TINY
        if not kept:
            raise ValueError("a state in the sector of symmetrize, which this one is not in")
        return of_base(a_N)

    return product_state


def _kind(base: Kind, symmetry: Symmetry, is_fermionic: bool) -> Kind:
    if base == "holomorphic":
        return base
    if base == "real" and symmetry.is_trivial and not is_fermionic:
        return "real"
    return "signed" if base in ("real", "signed") and not np.iscomplex(symmetry.characters).any() else "complex"
