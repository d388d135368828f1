"""Phases of hops across the sides of a periodic lattice: twisted boundary conditions.

A particle that leaves by the far side of direction d and enters by the near one is multiplied by exp(i phi_d), and by
the conjugate on the way back. The phases are those of a flux through the torus in the gauge of one cut (N. Byers and
C. N. Yang, Phys. Rev. Lett. 7, 46 (1961), doi:10.1103/PhysRevLett.7.46; in finite systems D. Poilblanc, Phys. Rev. B
44, 9562 (1991), doi:10.1103/PhysRevB.44.9562). They are given in units of pi, so that periodic and antiperiodic sides,
0 and 1, give exactly real numbers. The sides of a tilted cluster are those along its axes.
"""

from __future__ import annotations

import cmath
import math
from collections import defaultdict
from collections.abc import Sequence

import numpy as np

from nqs_hpc.system.lattice import Lattice, bond_weights, cells, neighbours, pair_couplings, shell_of, sites_at

_QUARTERS = (1.0 + 0j, 1j, -1.0 + 0j, -1j)


def check_phases(lattice: Lattice, phases: Sequence[float]) -> None:
    """ValueError unless there is one phase for each direction of the lattice, 0 along open ones."""
    if not any(phases):
        return
    if not any(lattice.pbc):
        raise ValueError("valid is 0: no side of the lattice is periodic")
    if len(phases) != len(lattice.pbc):
        raise ValueError(f"valid is one for each of the {len(lattice.pbc)} directions of the lattice")
    odd = [d for d, (phase, closed) in enumerate(zip(phases, lattice.pbc, strict=True)) if phase and not closed]
    if odd:
        raise ValueError(f"valid is 0 along direction {odd[0]}, which is open")


def hops(lattice: Lattice, by_order: Sequence[float], phases: Sequence[float]) -> dict[tuple[int, int], complex]:
    """The total amplitude of the hop from i to j for each pair i < j of one layer: couplings of all neighbour orders,
    weights and phases of bonds; the hop from j to i has the conjugate. Sums may be 0.

    ``by_order``: a number for each neighbour order; ``phases``: in units of pi, one for each direction. ValueError if a
    pair is joined in several ways with different phases, unless ``double_bonds`` adds them up.
    """
    if not any(phases):
        return {pair: complex(value) for pair, value in pair_couplings(lattice, by_order).items()}
    total: dict[tuple[int, int], complex] = defaultdict(complex)
    for order, coupling in enumerate(by_order, 1):
        if not coupling:
            continue
        ways = crossings(lattice, order)
        weights = None if lattice.double_bonds else bond_weights(lattice, order)
        for at, (pair, windings) in enumerate(ways.items()):
            factors = [phase_of(sum(n * phase for n, phase in zip(way, phases, strict=True))) for way in windings]
            if not lattice.double_bonds and any(abs(factor - factors[0]) > 1e-9 for factor in factors):
                raise ValueError(
                    f"sites {pair[0]} and {pair[1]} are joined both inside and across a side of the lattice; valid are "
                    "larger extents, or lattice.double_bonds=true, which counts both"
                )
            factor = sum(factors) if lattice.double_bonds else factors[0] * (1.0 if weights is None else weights[at])
            total[pair] += coupling * factor
    return dict(total)


def phase_of(units: float) -> complex:
    """exp(i pi ``units``), exact for multiples of 1/2."""
    rest = math.fmod(units, 2.0)
    quarters = 2 * rest
    if quarters == int(quarters):
        return _QUARTERS[int(quarters) % 4]
    return cmath.exp(1j * math.pi * rest)


def crossings(lattice: Lattice, order: int) -> dict[tuple[int, int], list[tuple[int, ...]]]:
    """For each bond (i, j) of `neighbours`, in order, all ways in which it joins its sites: how many times the way from
    i to j crosses each side of the lattice, positive out of the far side.
    """
    shell = shell_of(lattice, order)
    here = cells(lattice)[:: len(lattice.basis)]
    there = here[:, None, :] + shell.cell[None, :, :]
    first = np.arange(len(here))[:, None] * len(lattice.basis) + shell.start[None, :]
    second = sites_at(lattice, there, shell.end[None, :])
    # a hop across n sides reaches the image of j that lies n sides away, which is j itself
    ways = np.where(lattice.pbc, there // np.array(lattice.extent), 0)
    found: dict[tuple[int, int], set[tuple[int, ...]]] = defaultdict(set)
    once = (second > first) & (second >= 0)  # each bond is found from both ends
    for i, j, way in zip(first[once].tolist(), second[once].tolist(), ways[once].tolist(), strict=True):
        found[i, j].add(tuple(way))
    return {(i, j): sorted(found[i, j]) for i, j in neighbours(lattice, order).tolist()}
