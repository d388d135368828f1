"""task.kick: the initial state, rotated about z at one site.

    psi(s) -> exp(-i strength s_site) psi(s)

A field -i strength on that site does this exactly. The change of the other spins is the response to sigma^z of that
site, from which `report.response` computes the dynamical structure factor.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from nqs_hpc.choices.context import Context
from nqs_hpc.choices.keys import key
from nqs_hpc.inputs import checks
from nqs_hpc.inputs.checks import Check, Invalid, bad

if TYPE_CHECKING:
    from nqs_hpc.types import Ansatz as Functions
    from nqs_hpc.types import Tree

MOST = 0.7853981633974483  # pi / 4: the response is proportional to the sine of twice the strength
EXAMPLE = "null, or {site: NUMBER, strength: ANGLE}, the angle in radians, of a modulus above 0 and at most pi/4"


@dataclass(frozen=True)
class Kick:
    site: int = key(checks.integer(least=0), "site whose spin is rotated")
    strength: float = key(checks.number(), "angle in radians")


def _read(value: Any) -> Kick | None:
    if value is None:
        return None
    if not isinstance(value, Mapping) or set(value) != {"site", "strength"}:
        raise Invalid
    site, strength = checks.integer(least=0).read(value["site"]), checks.number().read(value["strength"])
    if not 0 < abs(strength) <= MOST * (1 + 1e-12):
        raise Invalid("strength", strength, "an angle in radians of a modulus above 0 and at most pi/4=0.785398")
    return Kick(site, strength)


check = Check(EXAMPLE, _read)


def check_kick(kick: Kick, context: Context) -> None:
    """InputError if the sites, the ansatz or a symmetry do not allow it."""
    given = {"site": kick.site, "strength": kick.strength}
    if context.hilbert.local_values != (1, -1):
        raise bad("task.kick", given, "null: it rotates spins 1/2")
    if context.hilbert.paths:
        raise bad("task.kick", given, "null: it rotates a single spin, and here a state is a path of total spins")
    if kick.site >= context.hilbert.n_sites:
        raise bad("task.kick.site", kick.site, f"the number of a site, 0 to {context.hilbert.n_sites - 1}")
    if context.is_symmetrized:
        raise bad("task.kick", given, "null with symmetrize: a state kicked at one site has no such symmetry")
    if not context.ansatz.has_fields(complex_=True):
        valid = (
            "null, or an ansatz with a complex field on each site: rbm with ansatz.dtype=complex and ansatz.bias=true"
        )
        raise bad("task.kick", given, f"{valid}, jastrow with ansatz.dtype=complex, or modulus_phase with such a phase")


def kicked(kick: Kick, ansatz: Functions, n_sites: int) -> Callable[[Tree], Tree]:
    """A function from parameters to those of the state after the kick; all fields but one are 0."""
    import jax.numpy as jnp

    assert ansatz.shifted is not None
    shifted, fields_N = ansatz.shifted, jnp.zeros(n_sites, complex).at[kick.site].set(-1j * kick.strength)
    return lambda params: shifted(params, fields_N)
