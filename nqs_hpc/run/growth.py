"""Whether the parameters of another run, perhaps on a larger or smaller lattice, have the same meaning here.

The shapes decide. Parameters that depend on the size of the lattice (a weight for each site, pair of sites,
displacement or element of the symmetry group) have a leaf whose size grows with the number of sites. So if the keys of
the network are the same and the numbers of sites differ, equal shapes cannot be a coincidence. Between lattices with
the same number of sites (4x4 and 2x8) they can, so such parameters are refused.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from nqs_hpc.config.identity import differences, physics
from nqs_hpc.config.schema import Config
from nqs_hpc.inputs.reading import printable
from nqs_hpc.job.checkpoint import Stored
from nqs_hpc.run.signs import check_signs

MEAN = "memory/average/weight"  # a leaf of checkpoints that hold a running mean of the parameters
SIGNS = ("marshall", "gauge")  # keys of a Hamiltonian that choose the basis of the network


def judged(config: Config, stored: Stored, fault: str) -> tuple[str, ...]:
    """Lines about the parameters that ``config`` begins with; ``fault``: why their shapes do not fit.

    Raises ValueError, one line, if they do not fit or have another meaning.
    """
    said: tuple[str, ...] = ()
    if MEAN in stored.leaves:
        said = (f"{stored.path.name}: the parameters after its last update are taken, not their running mean",)
    before, now = stored.meta.get("physics"), physics(config)
    if not isinstance(before, Mapping) or not all(isinstance(before.get(key), Mapping) for key in _COMPARED):
        if fault:
            raise ValueError(fault)
        return said
    ours, theirs = now["lattice"], before["lattice"]
    sizes = f"{_size(theirs)} -> {_size(ours)}"
    is_kind = theirs.get("name") == ours["name"]
    network = differences(before["ansatz"], now["ansatz"], "ansatz.")
    network = [line for line in network if ".init_scale: " not in line]  # it affects only random parameters
    if fault:
        where = f": its parameters depend on the size of the lattice ({sizes})"
        raise ValueError(fault + (where if is_kind and not network and _shape(theirs) != _shape(ours) else ""))
    n_before, n_now = _n_sites(theirs), _n_sites(ours)
    if n_before == n_now:
        if is_kind and _shape(theirs) != _shape(ours):
            why = f"{sizes} are as many sites in another arrangement, where equal shapes can mean something else"
            raise ValueError(why)
        check_signs(config, before)
        return said
    other = [f"{key}: {before[key].get('name')} -> {now[key]['name']}" for key in _COMPARED if _named(before, now, key)]
    other = other or network
    old, new = ({key: both["hamiltonian"].get(key) for key in SIGNS} for both in (before, now))
    other = other or differences(old, new, "hamiltonian.")
    if other:
        raise ValueError(f"on a lattice of another size ({sizes}) the rest has to be the same, but {'; '.join(other)}")
    which = "smaller" if n_before < n_now else "larger"
    return (*said, f"the parameters are those of a {which} lattice ({sizes})")


_COMPARED = ("lattice", "hamiltonian", "ansatz")


def _named(before: Mapping[str, Any], now: Mapping[str, Any], key: str) -> bool:
    """Whether the choice of a group differs."""
    return bool(before[key].get("name") != now[key]["name"])


def _shape(lattice: Mapping[str, Any]) -> Any:
    return lattice.get("extent")


def _n_sites(lattice: Mapping[str, Any]) -> Any:
    """The unit cells of a regular lattice, the sites of another: they distinguish sizes of the same kind of lattice."""
    extent = lattice.get("extent")
    if isinstance(extent, list) and all(type(side) is int for side in extent):
        return math.prod(extent)
    return lattice.get("n_sites", len(lattice.get("positions") or ()))


def _size(lattice: Mapping[str, Any]) -> str:
    extent = lattice.get("extent")
    if isinstance(extent, list):
        return printable("x".join(map(str, extent)), 60)
    return printable(f"{_n_sites(lattice)} sites", 60)
