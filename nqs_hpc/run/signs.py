"""Whether the network of another run is a function in the same basis as ours, on the same number of sites.

A network is not psi but psi(s) U(s), with signs U(s) of basis states (`system.basis`) that its Hamiltonian chooses: the
same parameters with other signs are another state. This happens in a quench from a ground state of other couplings, if
those couplings choose other signs.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nqs_hpc.choices import choice, names
from nqs_hpc.choices.hamiltonian.base import Hamiltonian
from nqs_hpc.config import compose
from nqs_hpc.config.schema import Config
from nqs_hpc.inputs.checks import InputError, show
from nqs_hpc.system.hilbert import Total
from nqs_hpc.system.lattice import Lattice


def check_signs(config: Config, before: Mapping[str, Any]) -> None:
    """Raise ValueError, one line, if the run with the physics ``before`` has other signs of basis states."""
    theirs, our_key = before["hamiltonian"], config.hamiltonian.signs_key
    given = _lattice(config, before["lattice"])
    name = theirs.get("name")
    keys = _keys(choice("hamiltonian", name)) if name in names("hamiltonian") else set()
    # the physics of a run does not list a gauge that is off
    plain: dict[str, Any] = {"gauge": None} if "gauge" in keys else {}
    plain |= {key: value for key, value in theirs.items() if key == "name" or key in keys}
    try:
        found = compose.hamiltonian(plain, given)
    except (InputError, TypeError):
        return  # this version cannot read it, so there is nothing to compare
    own, other = _signs(config.hamiltonian, config.lattice.make()), _signs(found, given)
    if own.shape != other.shape or _same(own, other, config.sector):
        return
    which = our_key.rpartition(".")[2]
    for value in (True, False) if which in _keys(type(config.hamiltonian)) else ():
        try:
            changed: dict[str, Any] = {which: value}
            tried = dataclasses.replace(config.hamiltonian, **changed).resolved(config.lattice.make())
        except InputError:
            continue
        if _same(_signs(tried, config.lattice.make()), other, config.sector):
            raise ValueError(f"its network has other signs of basis states; with {our_key}={show(value)} they are ours")
    both = f"{found.signs_key}=false" + (f" and this one {our_key}=false" if (own < 0).any() else "")
    raise ValueError(f"its network has signs of basis states that this Hamiltonian cannot take; give that run {both}")


def _keys(cls: type[Any]) -> set[str]:
    return {field.name for field in dataclasses.fields(cls) if "check" in field.metadata}


def _lattice(config: Config, theirs: Mapping[str, Any]) -> Lattice:
    """The lattice of the other run; ours if that is of another kind."""
    if theirs.get("name") != config.lattice.name:
        return config.lattice.make()
    fields = {field.name for field in dataclasses.fields(config.lattice)} - {"name"}
    values = {key: _frozen(value) for key, value in theirs.items() if key in fields}
    return dataclasses.replace(config.lattice, **values).make()


def _frozen(value: Any) -> Any:
    return tuple(map(_frozen, value)) if isinstance(value, list) else value


def _signs(hamiltonian: Hamiltonian, given: Lattice) -> NDArray[np.int8]:
    sites = hamiltonian.sites(given)
    signs_N = hamiltonian.signs(sites)
    return np.ones(sites.n_sites, np.int8) if signs_N is None else signs_N


def _same(one: NDArray[np.int8], other: NDArray[np.int8], total: Total) -> bool:
    """Whether signs agree up to a factor; the product of all signs is constant if the total is fixed."""
    return np.array_equal(one, other) or (total is not None and np.array_equal(one, -other))
