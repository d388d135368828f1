"""The exact lowest energy of the sector that a run samples, and where the lowest level of all sectors is.

Plain data of summary.json: ``energy``, ``method``, ``lowest`` (``energy``, ``sector``, ``momentum``, ``irrep``,
``spin_flip``, physical names, null where there is none; null as a whole where nothing was compared),
``above_lowest``, what the sector sampled lies above it, and ``network_above``, what the states that are the same behind
the symmetries of the network by construction lie above ``energy`` (cnn: translations), null where that is not known.
Of a task that looks for a higher level of its sector ``energy`` is that one, and ``levels`` are the lowest ones.
Of a run of several Hamiltonians ``points`` holds the same of each, beside its couplings (``hamiltonian.h``), and
``energy`` is the mean of theirs.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from nqs_hpc.choices.hamiltonian.base import Hamiltonian
from nqs_hpc.config.basis import basis_of
from nqs_hpc.config.identity import to_plain
from nqs_hpc.config.schema import Config
from nqs_hpc.config.symmetrize import words_of_sector
from nqs_hpc.operators.symmetric import broken
from nqs_hpc.parts import Parts
from nqs_hpc.parts.symmetry import of_network
from nqs_hpc.system.characters import (
    Characters,
    generic_irreps,
    may_flip,
    point_irreps,
    space_group,
    with_spin_flip,
)
from nqs_hpc.system.hilbert import Hilbert, dimension_up_to, named_total

WHOLE_STATES = 2**16  # of all sectors that are compared: seconds beside the one that is sampled
MAX_IMAGES = 2**22  # states times elements of a group, to tell representations apart
SAME = 1e-8  # relative: two levels that differ by less are one
MORE = 4  # levels that are computed from that of an excited state on
RESTARTS = 200  # of Lanczos, some ten products each
MOST_OF_SEVERAL = 2**21  # states of all Hamiltonians of a run together: as two of the largest that one run may have
NOWHERE: dict[str, Any] = {"lowest": None, "above_lowest": None, "network_above": None}  # where nothing was compared


def exact_reference(config: Config, parts: Parts) -> dict[str, Any] | None:
    """By exact diagonalisation; None where the sector sampled is too large for it."""
    several = config.task.points(config.hamiltonian)
    return _of_several(config, parts, several) if several else _of_one(config, parts)


def _of_several(config: Config, parts: Parts, several: Sequence[Hamiltonian]) -> dict[str, Any] | None:
    """None where that of one of them is not known, or all together take too long."""
    most = MOST_OF_SEVERAL // len(several)
    if dimension_up_to(parts.hilbert, most) > most:
        return None
    found = []
    for hamiltonian, operator in zip(several, parts.pieces.operators(), strict=True):
        one = _of_one(dataclasses.replace(config, hamiltonian=hamiltonian), parts._replace(operator=operator))
        if one is None:
            return None
        found.append(couplings_of(config, hamiltonian) | one)
    energy = math.fsum(one["energy"] for one in found) / len(found)
    method = f"mean of {len(found)} couplings, {found[0]['method']}"
    return {"energy": energy, "method": method, **NOWHERE, "points": found}


def couplings_of(config: Config, hamiltonian: Hamiltonian) -> dict[str, Any]:
    """The couplings in which the Hamiltonians of a run differ, of one of them, by the names of their keys."""
    plain = {name: to_plain(getattr(hamiltonian, name)) for name in config.task.swept}
    return {f"hamiltonian.{name}": x[0] if isinstance(x, list) and len(x) == 1 else x for name, x in plain.items()}


def _of_one(config: Config, parts: Parts) -> dict[str, Any] | None:
    from scipy.sparse.linalg import ArpackNoConvergence

    from nqs_hpc.operators import exact  # loads SciPy

    symmetry, hilbert = parts.symmetry, parts.hilbert
    n_states = dimension_up_to(hilbert, exact.MAX_DIAGONALISED)
    if n_states > exact.MAX_DIAGONALISED:
        return None
    if symmetry is not None and n_states * len(symmetry.perms) > exact.MAX_IMAGES:
        return None
    of_sector = "sector sampled" if symmetry is None else "symmetry sector sampled"
    if (level := config.task.level) > 0:
        dimension = n_states if symmetry is None else exact.sector_basis(hilbert, symmetry).shape[1]
        if dimension <= level:
            return None
        levels, _ = exact.lowest_states(parts.operator, hilbert, min(level + MORE, dimension), symmetry=symmetry)
        told = f"exact diagonalisation of the {of_sector}, level {level} from 0"
        return {"energy": float(levels[level]), "method": told, **NOWHERE, "levels": [float(e) for e in levels]}
    energies, vectors = exact.lowest_states(parts.operator, hilbert, symmetry=symmetry)
    energy = float(energies[0])
    found: dict[str, Any] = {"energy": energy, "method": f"exact diagonalisation of the {of_sector}"}
    found["network_above"] = _network_above(config, parts, energy, vectors[:, 0])
    nothing: dict[str, Any] = {"lowest": None, "above_lowest": None}

    space = _compared(config, hilbert, symmetry is not None)
    if space is None:
        return found | nothing
    if space == hilbert and symmetry is None:
        lowest, phi_n = energy, vectors[:, 0]
    else:
        try:
            energies, vectors = exact.lowest_states(parts.operator, space, tolerance=SAME / 10, restarts=RESTARTS)
        except ArpackNoConvergence:  # levels too close for the time that this is worth
            return found | nothing
        lowest, phi_n = float(energies[0]), vectors[:, 0]
    above = energy - lowest
    is_lowest = above <= SAME * max(1.0, abs(lowest))
    total_known = hilbert.total is not None or not config.hamiltonian.conserves()
    if is_lowest and total_known:
        words = words_of_sector(config, parts.lattice) or {}
        place = {name: words.get(name) for name in ("momentum", "irrep", "spin_flip")} | {
            "sector": _plain_total(hilbert)
        }
    else:
        place = _place(config, parts, space, phi_n)
    return found | {"lowest": {"energy": min(lowest, energy), **place}, "above_lowest": 0.0 if is_lowest else above}


def _network_above(config: Config, parts: Parts, energy: float, phi_n: np.ndarray) -> float | None:
    from nqs_hpc.operators import exact, lowest

    if parts.symmetry is not None or dimension_up_to(parts.hilbert, WHOLE_STATES) > WHOLE_STATES:
        return None
    own = of_network(config, parts.lattice, basis_of(config, parts.lattice))
    total = parts.hilbert.total
    if own is None or len(own.perms) == 1 or ((own.flips < 0).any() and total):
        return None
    if lowest.is_in(parts.hilbert, phi_n, own):
        return 0.0
    above = float(exact.lowest_states(parts.operator, parts.hilbert, symmetry=own)[0][0]) - energy
    return above if above > SAME * max(1.0, abs(energy)) else 0.0


def _compared(config: Config, hilbert: Hilbert, of_symmetry: bool) -> Hilbert | None:
    """The space whose lowest level is looked for, None where there is none but the sector sampled, or it is large."""
    spaces = config.hamiltonian.compared(hilbert, of_symmetry=of_symmetry)
    return next((space for space in spaces if dimension_up_to(space, WHOLE_STATES) <= WHOLE_STATES), None)


def _place(config: Config, parts: Parts, space: Hilbert, phi_n: np.ndarray) -> dict[str, Any]:
    """The names of a sector that holds the level of ``phi_n``, as far as the run has such names."""
    from nqs_hpc.operators import lowest

    v = lowest.vector(basis_of(config, parts.lattice)._replace(hilbert=space), phi_n)
    place: dict[str, Any] = {"sector": _plain_total(space), "momentum": None, "irrep": None, "spin_flip": None}
    if space.total is None and config.hamiltonian.conserves():
        v = lowest.of_one_total(v, parts.lattice.layers)
        place["sector"] = _plain_total(v.hilbert)
    words = words_of_sector(config, parts.lattice)
    if words is None or parts.symmetry is None:
        return place
    group = words["group"]
    perms: np.ndarray | None = None
    irreps: dict[str, Characters] = {}
    if group in ("translations", "space_group"):
        k, v = lowest.of_one_momentum(v, parts.lattice)
        place["momentum"] = list(k)
        if group == "space_group":
            perms, irreps = space_group(parts.lattice, k)
    elif group == "point_group":
        perms, irreps = point_irreps(parts.lattice)
    elif group == "file":
        perms = np.array(config.symmetrize.permutations, dtype=np.int32)
        irreps = generic_irreps(perms)
    if perms is not None and perms.size // perms.shape[1] * len(v.codes_n) <= MAX_IMAGES:
        # at another momentum H may lack an operation that it has been asked for at the run's own
        everywhere = with_spin_flip(perms, np.ones(len(perms), dtype=np.complex128), None)
        known = {tuple(perm) for perm in parts.symmetry.perms.tolist()}
        if set(map(tuple, perms.tolist())) <= known or broken(parts.operator, v.hilbert, everywhere) is None:
            place["irrep"], v = lowest.of_one_irrep(v, perms, irreps)
    if config.symmetrize.spin_flip is not None and may_flip(v.hilbert, parts.lattice):
        place["spin_flip"] = lowest.of_one_parity(v)
    return place


def _plain_total(space: Hilbert) -> int | list[int] | None:
    """As JSON has it."""
    total = named_total(space)
    return list(total) if isinstance(total, tuple) else total


def lowest_line(reference: Mapping[str, Any] | None) -> str | None:
    """Which sector holds the ground state, in one line; None where that is not known."""
    if reference and "points" in reference:
        return short_line(reference) or None
    if reference and reference["network_above"]:
        return short_line(reference)
    if not reference or not (lowest := reference.get("lowest")):
        return None
    if reference["above_lowest"]:
        return short_line(reference)
    return f"the lowest level of all sectors, {lowest['energy']:.10g}, is at {_words(lowest)}, which this run samples"


def short_line(reference: Mapping[str, Any] | None) -> str:
    """How far the sector sampled lies above the lowest level, and where that is; empty where it holds it. Of several
    Hamiltonians the first that has such a line.
    """
    for point in (reference or {}).get("points", ()):
        if line := short_line(point):
            return f"at {', '.join(f'{key}={value}' for key, value in _couplings(point).items())} {line}"
    if reference and reference["network_above"]:
        own, above = f"{reference['energy'] + reference['network_above']:.10g}", f"{reference['network_above']:.4g}"
        why = "this network is the same behind some symmetries of the lattice or the flip of all spins, by construction"
        return f"{why}: the lowest level of such states, {own}, lies {above} above the {reference['energy']:.10g} here"
    if not reference or not (lowest := reference.get("lowest")) or not reference["above_lowest"]:
        return ""
    own, distance = f"{reference['energy']:.10g}", f"{reference['above_lowest']:.4g}"
    ground = f"{lowest['energy']:.10g}, at {_words(lowest)}"
    of_own = f"its lowest level, {own}, lies {distance} above that of all, {ground}"
    return f"this sector does not hold the ground state: {of_own}"


def _words(place: Mapping[str, Any]) -> str:
    names = {"sector": "sector={}", "momentum": "momentum {}", "irrep": "irrep {}", "spin_flip": "spin flip {}"}
    return ", ".join(form.format(place[name]) for name, form in names.items() if place[name] is not None)


def read_reference(kept: Any) -> dict[str, Any]:
    """What `exact_reference` returned, from a file; ValueError, TypeError or KeyError where it is something else."""
    found = {"energy": float(kept["energy"]), "method": str(kept["method"]), "lowest": None, "above_lowest": None}
    if "points" in kept:
        return found | {
            "network_above": None,
            "points": [_couplings(one) | read_reference(one) for one in kept["points"]],
        }
    found["network_above"] = None if kept["network_above"] is None else float(kept["network_above"])
    if "levels" in kept:
        found["levels"] = [float(energy) for energy in kept["levels"]]
    lowest = kept["lowest"]
    if lowest is None:
        return found
    number, several, word, parity = lowest["sector"], lowest["momentum"], lowest["irrep"], lowest["spin_flip"]
    is_place = (
        (number is None or type(number) is int or _are_numbers(number))
        and (several is None or _are_numbers(several))
        and (word is None or (isinstance(word, str) and word.isidentifier() and len(word) < 20))
        and parity in (None, 1, -1)
    )
    if not is_place:
        raise ValueError("no names of a sector")
    names = {"sector": number, "momentum": several, "irrep": word, "spin_flip": parity}
    return found | {
        "lowest": {"energy": float(lowest["energy"]), **names},
        "above_lowest": float(kept["above_lowest"]),
    }


def _couplings(point: Mapping[str, Any]) -> dict[str, Any]:
    """The couplings that a point is of; ValueError where they are something else."""
    found = {str(key): value for key, value in dict(point).items() if str(key).startswith("hamiltonian.")}
    for key, value in found.items():
        several = value if isinstance(value, list) else [value]
        if not key.isprintable() or not all(type(x) in (int, float) for x in several):
            raise ValueError("no couplings")
    return found


def _are_numbers(value: Any) -> bool:
    return isinstance(value, list) and all(type(one) is int for one in value)
