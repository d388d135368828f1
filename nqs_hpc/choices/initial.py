"""Product states by name or by angles: from the value of a key to fields in the basis of the ansatz
(`system.product_states`).

The state is the physical one, of spins or of two occupations; up is the larger of the two values, a boson or an excited
atom. In a space with a fixed total the state is projected onto that total.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from nqs_hpc.inputs import checks
from nqs_hpc.inputs.checks import Check, Invalid, bad
from nqs_hpc.inputs.line import one_line
from nqs_hpc.system.basis import Basis
from nqs_hpc.system.hilbert import Hilbert, are_spins, members
from nqs_hpc.system.lattice import Lattice
from nqs_hpc.system.product_states import NAMES, ProductState, in_basis, named, of_angles, why_outside

if TYPE_CHECKING:
    from nqs_hpc.choices.pieces import Pieces

# a name, the angles theta and phi of all sites, or those of each site
State = str | tuple[float, float] | tuple[tuple[float, float], ...]

_ANGLE = checks.number()


def _read(value: Any) -> State:
    if isinstance(value, str):
        if value not in NAMES:
            raise Invalid(hint=checks.nearest(value, NAMES))
        return value
    if not isinstance(value, list | tuple) or not value:
        raise Invalid
    if all(isinstance(one, list | tuple) for one in value):
        return tuple(_pair(one) for one in value)
    return _pair(value)


def _pair(value: Any) -> tuple[float, float]:
    if len(value) != 2:
        raise Invalid
    return _ANGLE.read(value[0]), _ANGLE.read(value[1])


state = Check(
    f"{', '.join(NAMES)}, or Bloch angles in radians: [theta, phi] for all sites, or a list with one pair per site",
    _read,
    words=tuple(NAMES),
)
DOC = (
    f"{', '.join(NAMES)}, or angles, cos(theta/2) |up> + exp(i phi) sin(theta/2) |down>: [theta, phi] for all sites, "
    "or a list with one pair per site"
)


def product_state(key: str, given: State, bias: float, lattice: Lattice, hilbert: Hilbert) -> ProductState:
    """The physical fields; InputError of ``key`` for a state that does not exist on these sites or in this space.

    ``lattice`` is that of the sites. ``bias`` is the largest field, for spins along z, divided by the number of sites
    that the smallest move changes: in every space a state one move away has the weight exp(-4 bias).
    """
    if hilbert.paths:
        raise bad(key, given, "for sites that hold spins or particles: here a state is a path of total spins")
    bias = bias / sites_of_a_move(hilbert)
    if len(hilbert.local_values) > 2 and are_spins(hilbert):  # along x their amplitudes differ
        raise bad(key, given, "for spins 1/2, bosons and fermions: longer spins have no product states here")
    if len(hilbert.local_values) != 2 and given != "plus_x":
        raise bad(
            key, given, "plus_x, all states with equal amplitudes: other product states are of sites with two values"
        )
    if isinstance(given, str):
        found = one_line(key, given, lambda: named(given, lattice, bias))
    else:
        angles = np.array(given, dtype=np.float64).reshape(-1, 2)
        if len(angles) not in (1, lattice.n_sites) or (len(angles) == 1 and isinstance(given[0], tuple)):
            valid = f"a name, one pair [theta, phi] for all sites, or a list of {lattice.n_sites} pairs"
            raise bad(key, given, valid)
        found = of_angles(np.broadcast_to(angles, (lattice.n_sites, 2)), bias)
    if why := why_outside(found.along_N, hilbert):
        raise bad(key, given, why)
    return found


def sites_of_a_move(hilbert: Hilbert) -> int:
    """The least number of sites in which two states differ."""
    return 1 if hilbert.total is None and not hilbert.blocks else 2


SETTLED = 1.0  # field beyond which a chain begins with the value that has nine tenths of the weight at a site


def configuration(a_N: NDArray[np.complex128], hilbert: Hilbert) -> NDArray[np.int8] | None:
    """The configuration (N,) with nearly all weight of a product state; None if there is none."""
    field_N = np.real(a_N)
    if len(hilbert.local_values) != 2 or np.abs(field_N).min() < SETTLED:
        return None
    lower, upper = sorted(hilbert.local_values)
    s_N = np.where(field_N > 0, upper, lower).astype(np.int8)
    return s_N if members(hilbert, s_N[None]).all() else None


def fields(key: str, given: State, bias: float, lattice: Lattice, basis: Basis) -> NDArray[np.complex128]:
    """The fields (N,) of the ansatz, for its `types.Ansatz.product_state`; InputError as `product_state`."""
    a_N = in_basis(product_state(key, given, bias, lattice, basis.hilbert).fields_N, basis)
    if len(basis.hilbert.local_values) != 2 and a_N.any():
        raise bad(
            key, given, f"a product state of sites with two values, or {basis.key}=false: signs are none of those"
        )
    return a_N


def begin_with(pieces: Pieces, given: State, bias: float) -> dict[str, Any]:
    """The beginning of an evolution in time: ``start``, which turns random parameters into those of the state, and
    ``configuration``, in which its chains begin; None: anywhere. InputError if the state is not in the sector of a
    symmetrized ansatz.
    """
    import jax

    a_N = fields("task.initial", given, bias, pieces.lattice, pieces.basis)
    of_fields = pieces.ansatz.product_state
    assert of_fields is not None, "a choice whose `why_not` is empty can be a product state"
    one_line("task.initial", given, lambda: jax.eval_shape(lambda: of_fields(a_N)))
    return {"start": lambda params: of_fields(a_N), "configuration": configuration(a_N, pieces.hilbert)}
