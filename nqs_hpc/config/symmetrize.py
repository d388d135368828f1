"""Symmetry sectors: from the keys of ``symmetrize`` and of ansatz=gcnn to a group and its characters, and to words.

A momentum, an irreducible representation or a parity that is given is that of the physical wave function. The network
is a function in the basis of the ansatz, where Marshall's rule makes them others (`system.basis`), so what is given is
translated here, key by key. A key that is null is the trivial one in the basis of the ansatz: by Marshall's theorem the
sector of the ground state. `Symmetry` holds the characters of the ansatz, `words_of_sector` the physical names.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nqs_hpc.choices import sectors
from nqs_hpc.config.basis import basis_of
from nqs_hpc.config.schema import Config
from nqs_hpc.config.sections import Symmetrize
from nqs_hpc.inputs.checks import InputError, bad, show
from nqs_hpc.inputs.line import one_line
from nqs_hpc.system.basis import Basis, sign_of_flip, signs_of_permutations
from nqs_hpc.system.characters import (
    Characters,
    Symmetry,
    generic_irreps,
    may_flip,
    momentum_of,
    point_irreps,
    read_permutations,
    space_group,
    with_spin_flip,
)
from nqs_hpc.system.exchange import one_sign
from nqs_hpc.system.hilbert import Hilbert, are_spins, dimension_up_to
from nqs_hpc.system.lattice import Lattice
from nqs_hpc.system.layers import exchanged
from nqs_hpc.system.symmetry import translations
from nqs_hpc.system.traces import sector_dimension

FEW_STATES = 2**16  # sectors without a state are those of a few sites


def resolve_symmetrize(config: Config, lattice: Lattice, hilbert: Hilbert) -> Symmetrize:
    """The section with its file read; raises InputError if it does not fit the sites, or what they hold."""
    given = config.symmetrize
    if given.group is not None and given.file is not None:
        raise bad("symmetrize.file", given.file, f"null, or symmetrize.group=null, which is {given.group}")
    if given.permutations is not None:  # of a run: the file may be another one by now
        try:
            kept = tuple(tuple(int(i) for i in perm) for perm in given.permutations)
            generic_irreps(np.array(kept))
        except (TypeError, ValueError) as error:
            valid = f"what a run has read from symmetrize.file ({error})"
            raise bad("symmetrize.permutations", given.permutations, valid) from None
        given = dataclasses.replace(given, permutations=kept)
    elif given.file is not None:
        file = given.file
        perms = one_line("symmetrize.file", file, lambda: read_permutations(file, lattice.n_sites))
        given = dataclasses.replace(given, permutations=tuple(tuple(perm) for perm in perms.tolist()))
    if given.momentum is not None and given.group not in ("translations", "space_group"):
        raise bad("symmetrize.momentum", given.momentum, "null without symmetrize.group=translations or space_group")
    if given.irrep is not None and given.group not in ("point_group", "space_group") and given.permutations is None:
        valid = "null without symmetrize.group=point_group or space_group, or symmetrize.file"
        raise bad("symmetrize.irrep", given.irrep, valid)
    if given.spin_flip is not None and not may_flip(hilbert, lattice):
        raise bad("symmetrize.spin_flip", given.spin_flip, f"null: {_why_no_flip(config, lattice, hilbert)}")
    if given.spin_flip is not None and hilbert.fermionic:
        exchange = tuple(exchanged(lattice.n_sites).tolist())
        if exchange in (given.permutations or ()):
            valid = "null: the permutations of symmetrize.file exchange the modes up and down already"
            raise bad("symmetrize.spin_flip", given.spin_flip, valid)
    is_on = is_asked(given)
    if hilbert.paths and _is_on(config):
        name, value = key_of_group(config)
        why = f"with hamiltonian={config.hamiltonian.name} a state is a path of total spins, and no spins change places"
        raise bad(name, value, f"null: {why}" if is_on else f"another ansatz: {why}")
    if given.mode == "log_psi" and not is_on:
        raise bad("symmetrize.mode", "log_psi", "psi without symmetrize.group, .file or .spin_flip")
    if given.mode == "log_psi" and hilbert.fermionic:
        valid = "psi with fermions: a mean of logarithms lacks the signs of their exchanges"
        raise bad("symmetrize.mode", "log_psi", valid)
    if given.mode == "log_psi" and config.ansatz.has_signs(lattice, lambda: basis_of(config, lattice)):
        valid = f"psi with ansatz={config.ansatz.name}, whose real numbers have signs: a mean of signs is not a sign"
        raise bad("symmetrize.mode", "log_psi", valid)
    given = dataclasses.replace(given, mode=(given.mode or "psi") if is_on else None)
    if not is_on and not config.ansatz.has_sector():
        return given
    basis = basis_of(config, lattice)
    found = make_symmetry(given, lattice, basis)
    if given.mode == "log_psi" and found is not None and not found.is_trivial:
        raise bad("symmetrize.mode", given.mode, "psi: a mean of logarithms has no characters other than 1")
    if config.ansatz.has_sector() and (given.group is not None or given.permutations is not None):
        key, value = ("group", given.group) if given.group is not None else ("file", given.file)
        raise bad(
            f"symmetrize.{key}",
            value,
            f"null with ansatz={config.ansatz.name}, which has ansatz.group, .momentum and .irrep",
        )
    whole = dataclasses.replace(config, symmetrize=given)
    _check_states(whole, lattice, hilbert, basis)
    return dataclasses.replace(given, names="physical") if _is_renamed(whole, lattice, basis) else given


def _why_no_flip(config: Config, lattice: Lattice, hilbert: Hilbert) -> str:
    if not hilbert.fermionic and not are_spins(hilbert):
        return f"the sites hold {config.hamiltonian.words}"
    if hilbert.fermionic and lattice.layers != 2:
        return "these fermions have no spin"
    return f"it takes sector={show(config.sector)} to another"


def _is_renamed(config: Config, lattice: Lattice, basis: Basis) -> bool:
    """Whether the sector that is asked for has other names in the basis of the ansatz."""
    if basis.signs_N is None:
        return False
    try:
        as_written = sector_of(config, lattice, Basis(basis.hilbert))
    except InputError:  # there is no such sector there
        return True
    found = sector_of(config, lattice, basis)
    assert found is not None and as_written is not None
    return not np.allclose(found.characters, as_written.characters)


def _check_states(config: Config, lattice: Lattice, hilbert: Hilbert, basis: Basis) -> None:
    """Raise InputError if psi would be 0 on all states: of a sector without any, or by the making of the network."""
    found = sector_of(config, lattice, basis)
    if found is None:
        return
    given = config.symmetrize
    own, prefix = (config.ansatz, "ansatz") if config.ansatz.has_sector() else (given, "symmetrize")
    if dimension_up_to(hilbert, FEW_STATES) <= FEW_STATES and sector_dimension(found, hilbert) == 0:
        # the choice made last is the one to change
        names = ("spin_flip", "irrep", "momentum")
        chosen = {name: getattr(given if name == "spin_flip" else own, name) for name in names}
        name = next((name for name in names if chosen[name] is not None), "group")
        key = f"symmetrize.{name}" if name == "spin_flip" else f"{prefix}.{name}"
        raise bad(key, chosen.get(name), "another sector: this one has none of the states of so few sites")
    turned = sign_of_flip(basis)
    if given.spin_flip == -turned and config.ansatz.is_even() and not hilbert.fermionic:
        rule = "" if turned == 1 else f" before the signs of {basis.key}"
        same = f"without biases psi(-s) = psi(s){rule}, and the difference is 0"
        raise bad("symmetrize.spin_flip", given.spin_flip, f"null or {turned}: {same}")
    own_perms = config.ansatz.invariance(lattice, basis)
    if own_perms is None:
        return
    # a network that is the same behind an exchange of fermions has its sign, of which `check_network` wants one number
    characters = found.characters * one_sign(hilbert, found.perms)
    of = dict(zip(map(tuple, found.perms.tolist()), characters.tolist(), strict=True))
    shared = [of[perm] for perm in map(tuple, own_perms.tolist()) if perm in of]
    if abs(sum(shared)) < 0.5:  # of a projection on what is invariant under them, times their number
        k = given.momentum
        name = "momentum" if k is not None and (any(k) or basis.signs_N is not None) else "irrep"
        few = "null" if len(shared) == len(of) else "null or another"
        same = f"ansatz={config.ansatz.name} is the same behind {len(shared)} of the group's elements by construction"
        raise bad(f"symmetrize.{name}", getattr(given, name), f"{few}: {same}, and its sum for this sector is 0")


def make_symmetry(given: Symmetrize, lattice: Lattice, basis: Basis) -> Symmetry | None:
    """What ``symmetrize`` asks for, in the basis of the ansatz; None if it is off. Raises InputError."""
    perms: NDArray[np.int32] | None = None
    if given.permutations is not None:
        of_file = perms = np.array(given.permutations, dtype=np.int32)
        irreps = one_line("symmetrize.file", given.file, lambda: generic_irreps(of_file))
        characters = sectors.turned(
            "symmetrize", sectors.chosen_irrep("symmetrize", irreps, given.irrep), given.irrep, perms, basis
        )
    elif given.group is not None:
        perms, characters = sectors.sector("symmetrize", given.group, given.momentum, given.irrep, lattice, basis)
    elif given.spin_flip is not None:
        perms, characters = np.arange(lattice.n_sites, dtype=np.int32)[None, :], np.ones(1, dtype=np.complex128)
    if perms is None:
        return None
    parity = sectors.parity(given.spin_flip, basis)
    return with_spin_flip(perms, characters, parity, fermionic=basis.hilbert.fermionic)


def sector_of(config: Config, lattice: Lattice, basis: Basis | None = None) -> Symmetry | None:
    """The sector of the network, by whatever of the two it has it, in the basis of the ansatz; None if it has none.

    ``basis`` stands in for that of the configuration.
    """
    given = config.symmetrize
    if not _is_on(config):
        return None
    basis = basis_of(config, lattice) if basis is None else basis
    own = config.ansatz.own_symmetry(lattice, basis)
    if own is not None:
        return with_spin_flip(own.perms, own.characters, sectors.parity(given.spin_flip, basis))
    return make_symmetry(given, lattice, basis)


def _is_on(config: Config) -> bool:
    return is_asked(config.symmetrize) or config.ansatz.has_sector()


def is_asked(given: Symmetrize) -> bool:
    return given.group is not None or given.permutations is not None or given.spin_flip is not None


def key_of_group(config: Config) -> tuple[str, Any]:
    """The key that chose the group, and its value."""
    if config.ansatz.has_sector():
        return "ansatz.group", config.ansatz.group  # type: ignore[attr-defined]
    given = config.symmetrize
    if given.group is not None:
        return "symmetrize.group", given.group
    if given.permutations is not None:
        return "symmetrize.file", given.file
    return "symmetrize.spin_flip", given.spin_flip


def words_of_sector(config: Config, lattice: Lattice) -> dict[str, Any] | None:
    """What summary.json says of the sector: the names of the physical wave function, null where it has none.

    In a basis with signs also ``physical``, the same names again or None if they depend on the state, and
    ``ansatz_basis``, what the network itself is. None without a sector.
    """
    if not _is_on(config):
        return None
    basis = basis_of(config, lattice)
    symmetry = sector_of(config, lattice, basis)
    assert symmetry is not None
    own: Any = config.ansatz if config.ansatz.has_sector() else config.symmetrize
    group: str = "file" if config.symmetrize.permutations is not None else own.group or "spin_flip"
    words: dict[str, Any] = {"group": group, "elements": len(symmetry.perms)}
    parity = config.symmetrize.spin_flip
    if basis.signs_N is None:
        return words | name_of_sector(symmetry, group, parity, lattice)
    physical, signs = None, signs_of_symmetry(basis, symmetry)
    if signs.all():
        physical = name_of_sector(symmetry._replace(characters=symmetry.characters * signs), group, parity, lattice)
    seen = name_of_sector(symmetry, group, sectors.parity(parity, basis), lattice)
    nameless = {"momentum": None, "irrep": None, "spin_flip": parity}
    return words | (physical or nameless) | {"physical": physical, "ansatz_basis": seen}


def told_sector(config: Config, lattice: Lattice) -> str:
    """The sector as a run says it at its start, by physical names."""
    words_of_total = config.hamiltonian.told(config.sector, lattice.n_sites)
    told = [f"sector={'none' if config.sector is None else show(config.sector)}"]
    told[0] += f" ({words_of_total})" if words_of_total else ""
    words = words_of_sector(config, lattice)
    if words is None:
        return told[0]
    told += [f"{name} {words[name]}" for name in ("momentum", "irrep") if words[name] is not None]
    told += [f"spin flip {words['spin_flip']}"] if words["spin_flip"] is not None else []
    return " with ".join([told[0], ", ".join(told[1:]) or f"symmetries of {words['group']}"])


def signs_of_symmetry(basis: Basis, symmetry: Symmetry) -> NDArray[np.int8]:
    """U(g s) / U(s) of each element, 0 where it depends on s."""
    turned = np.where(symmetry.flips < 0, sign_of_flip(basis), 1)
    return (signs_of_permutations(basis, symmetry.perms) * turned).astype(np.int8)


def name_of_sector(symmetry: Symmetry, group: str, parity: int | None, lattice: Lattice) -> dict[str, Any]:
    """Momentum, irrep and parity of a character, null where the group has none or no name is known."""
    n = len(symmetry.perms) // (1 if parity is None else 2)
    perms, characters = symmetry.perms[:n], symmetry.characters[:n]
    k: tuple[int, ...] | None = None
    irreps: dict[str, Characters] = {}
    named = perms
    if group in ("translations", "space_group"):
        number = {tuple(perm): g for g, perm in enumerate(perms.tolist())}
        of_moves = characters[[number[tuple(move)] for move in translations(lattice).tolist()]]
        k = momentum_of(lattice, of_moves / symmetry.dimension)
    if group == "space_group":
        named, irreps = space_group(lattice, k)
    elif group == "point_group":
        named, irreps = point_irreps(lattice)
    elif group == "file":
        irreps = generic_irreps(perms)
    same = np.array_equal(named, perms)
    irrep = next((name for name, c in irreps.items() if same and np.abs(c - characters).max() < 1e-9), None)
    return {"momentum": None if k is None else list(k), "irrep": irrep, "spin_flip": parity}
