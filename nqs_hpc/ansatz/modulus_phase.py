"""Modulus and phase by one real network each:

    log psi(s) = f_A(s; theta_A) + i f_phi(s; theta_phi).

Szabó and Castelnovo, Phys. Rev. Research 2, 033075 (2020), arXiv:2002.04613.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array
from numpy.typing import NDArray

from nqs_hpc.ansatz.complete import complete
from nqs_hpc.system.product_states import reduced
from nqs_hpc.types import Ansatz, Factors, Move, Tree


class ModulusPhase(NamedTuple):
    """Parameters, frozen parameters, caches or results of an attempt, of both networks."""

    modulus: Tree
    phase: Tree


def modulus_phase(modulus: Ansatz, phase: Ansatz) -> Ansatz:
    """An ansatz of kind ``complex`` from two of kind ``real``, each with its own ratios; params are a `ModulusPhase`.

    Its log-derivatives are factored if those of both are, and it is product states if both are: the modulus that of the
    real parts of the fields, the phase that of the imaginary parts. Raises ValueError for networks that are not real.
    """
    for name, part in (("modulus", modulus), ("phase", phase)):
        if part.kind != "real":
            raise ValueError(f"{name}: must be a network of kind real, not {part.kind}")

    def init(key: Array) -> ModulusPhase:
        keys = jax.random.split(key)
        return ModulusPhase(modulus.init(keys[0]), phase.init(keys[1]))

    def log_psi(params: ModulusPhase, s_N: Array) -> Array:
        return jax.lax.complex(modulus.log_psi(params.modulus, s_N), phase.log_psi(params.phase, s_N))

    def freeze(params: ModulusPhase) -> ModulusPhase:
        return ModulusPhase(modulus.freeze(params.modulus), phase.freeze(params.phase))

    def prepare(frozen: ModulusPhase, s_N: Array) -> ModulusPhase:
        return ModulusPhase(modulus.prepare(frozen.modulus, s_N), phase.prepare(frozen.phase, s_N))

    def log_ratios(frozen: ModulusPhase, s_N: Array, cache: ModulusPhase, moves_KF: Move) -> Array:
        return jax.lax.complex(
            modulus.log_ratios(frozen.modulus, s_N, cache.modulus, moves_KF),
            phase.log_ratios(frozen.phase, s_N, cache.phase, moves_KF),
        )

    def attempt(frozen: ModulusPhase, s_N: Array, cache: ModulusPhase, move: Move) -> tuple[Array, ModulusPhase]:
        log_modulus, of_modulus = modulus.attempt(frozen.modulus, s_N, cache.modulus, move)
        angle, of_phase = phase.attempt(frozen.phase, s_N, cache.phase, move)
        return jax.lax.complex(log_modulus, angle), ModulusPhase(of_modulus, of_phase)

    def advance(
        frozen: ModulusPhase,
        s_N: Array,
        cache: ModulusPhase,
        move: Move,
        tried: ModulusPhase,
        accepted: Array | bool,
    ) -> ModulusPhase:
        return ModulusPhase(
            modulus.advance(frozen.modulus, s_N, cache.modulus, move, tried.modulus, accepted),
            phase.advance(frozen.phase, s_N, cache.phase, move, tried.phase, accepted),
        )

    def shifted(params: ModulusPhase, fields_N: Array) -> ModulusPhase:
        assert modulus.shifted is not None and phase.shifted is not None
        fields_N = fields_N.astype(jnp.complex128)
        return ModulusPhase(modulus.shifted(params.modulus, fields_N.real), phase.shifted(params.phase, fields_N.imag))

    has_fields = modulus.shifted is not None and phase.shifted is not None

    def product_state(fields_N: NDArray[Any]) -> ModulusPhase:
        assert modulus.product_state is not None and phase.product_state is not None
        a_N = reduced(fields_N)
        return ModulusPhase(modulus.product_state(a_N.real), phase.product_state(a_N.imag))

    has_both = modulus.product_state is not None and phase.product_state is not None
    return complete(
        init,
        log_psi,
        "complex",
        freeze=freeze,
        prepare=prepare,
        attempt=attempt,
        advance=advance,
        log_ratios=log_ratios,
        factors=_factors(modulus.factors, phase.factors),
        modulus=modulus._replace(
            init=init,
            log_psi=lambda params, s_N: modulus.log_psi(params.modulus, s_N),
            freeze=lambda params: modulus.freeze(params.modulus),
            factors=None,
            product_state=None,
            shifted=None,
        ),
        product_state=product_state if has_both else None,
        shifted=shifted if has_fields else None,
    )


def _factors(modulus: Factors | None, phase: Factors | None) -> Factors | None:
    """The factors of both, the last part of each leaf made complex: times 1 for the modulus, times i for the phase."""
    if modulus is None or phase is None:
        return None
    # The last part of each product becomes complex, the others stay real; some parts are needed as both.
    wanted: list[tuple[int, int, bool]] = []  # (modulus: 0 or phase: 1, which part, whether last)
    leaves = []
    for own, factors in enumerate((modulus, phase)):
        for leaf in factors.leaves:
            uses = [(own, part, place == len(leaf) - 1) for place, part in enumerate(leaf)]
            wanted += [use for use in uses if use not in wanted]
            leaves.append(tuple(wanted.index(use) for use in uses))

    def parts(params: ModulusPhase, s_N: Array) -> tuple[Array, ...]:
        found = (modulus.parts(params.modulus, s_N), phase.parts(params.phase, s_N))

        def part(own: int, index: int, last: bool) -> Array:
            x = found[own][index]
            if not last:
                return x
            zero = jnp.zeros_like(x)
            return jax.lax.complex(x, zero) if own == 0 else jax.lax.complex(zero, x)

        return tuple(part(*use) for use in wanted)

    return Factors(parts, tuple(leaves))
