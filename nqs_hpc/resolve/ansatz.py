"""Ansätze: whether they fit the lattice."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

from nqs_hpc import schema
from nqs_hpc.inputs.checks import bad, show
from nqs_hpc.resolve.symmetry import check_gcnn
from nqs_hpc.system.basis import Basis
from nqs_hpc.system.lattice import FACTORIES, Lattice
from nqs_hpc.system.links import NAME as LINKS
from nqs_hpc.system.patches import patches

GRIDS = ("chain", "square", "triangular")  # one site a cell, along at most two directions


def resolve_ansatz(
    given: schema.Ansatz, lattice: Lattice, basis: Callable[[], Basis], *, prefix: str = "ansatz"
) -> schema.Ansatz:
    """Raise InputError where the ansatz does not fit the sites, or the basis in which it is. ``prefix``: its key.

    ``basis`` is asked where it matters: on large lattices its signs take their time.
    """
    n_sites = lattice.n_sites
    if isinstance(given, schema.ModulusPhase):
        parts: dict[str, Any] = {}
        for name in ("modulus", "phase"):
            part, key = getattr(given, name), f"{prefix}.{name}"
            if part.dtype != "real":
                raise bad(f"{key}.dtype", part.dtype, f"real: {key} is one real network of two")
            parts[name] = resolve_ansatz(part, lattice, basis, prefix=key)
        return dataclasses.replace(given, **parts)
    if isinstance(given, schema.ByModule) and given.name == "equinox" and "key" in given.arguments:
        raise bad(f"{prefix}.arguments.key", given.arguments["key"], "other arguments: the key comes from the seed")
    if isinstance(given, schema.Rbm) and round(given.alpha * n_sites) < 1:
        raise bad(f"{prefix}.alpha", given.alpha, f"a number that gives at least one hidden unit on {n_sites} sites")
    if isinstance(given, schema.Mlp) and min(round(alpha * n_sites) for alpha in given.alphas) < 1:
        raise bad(f"{prefix}.alphas", given.alphas, f"numbers that give at least one hidden unit on {n_sites} sites")
    if isinstance(given, schema.MaskedConv):
        if lattice.name not in GRIDS:
            raise bad(prefix, given.name, f"masked_dense, or one of lattice={', '.join(GRIDS)}: sites in rows")
        if given.kernel > min(lattice.extent):
            valid = f"at most {min(lattice.extent)}, the smallest extent of the lattice: the rest would see nothing"
            raise bad(f"{prefix}.kernel", given.kernel, valid)
    if isinstance(given, schema.Gcnn):
        check_gcnn(given, lattice, basis(), prefix)
    if isinstance(given, schema.Vit):
        return _vit(given, lattice, prefix)
    return _resnet(given, lattice, prefix) if isinstance(given, schema.Resnet) else given


def _resnet(given: schema.Resnet, lattice: Lattice, prefix: str) -> schema.Resnet:
    if lattice.name not in FACTORIES or len(lattice.basis) != 1:
        here = (
            "hamiltonian=toric_code, whose spins lie on links," if lattice.name == LINKS else f"lattice={lattice.name}"
        )
        regular = "chain, square, cubic or triangular: convolutions need lattices of one site a cell"
        raise bad(prefix, given.name, f"with {here} another ansatz; {given.name} with lattice={regular}")
    if given.name == "resnet" and given.layers % 2:
        raise bad(
            f"{prefix}.layers", given.layers, "an even number, for a residual block has two layers; or ansatz=cnn"
        )
    n_dim = len(lattice.extent)
    kernel = given.kernel if isinstance(given.kernel, tuple) else (given.kernel,) * n_dim
    if len(kernel) != n_dim:
        raise bad(f"{prefix}.kernel", given.kernel, f"a whole number, or a list of {n_dim}, one a direction")
    most = [n if side else 2 * n - 1 for n, side in zip(lattice.extent, lattice.pbc, strict=True)]
    if any(size > bound for size, bound in zip(kernel, most, strict=True)):
        reach = f"at most {show(most)} by direction, on {show(list(lattice.extent))} sites"
        raise bad(f"{prefix}.kernel", given.kernel, f"{reach}: there a kernel reaches every site once")
    return dataclasses.replace(given, kernel=kernel)


def _vit(given: schema.Vit, lattice: Lattice, prefix: str) -> schema.Vit:
    try:
        patches(lattice, given.patch)
    except ValueError as error:
        ends = ", where the links along an open direction are one cell" if lattice.name == LINKS else ""
        raise bad(f"{prefix}.patch", given.patch, str(error) + ends) from None
    if given.width % given.heads:
        raise bad(f"{prefix}.heads", given.heads, f"a divisor of {prefix}.width={given.width}")
    if isinstance(given.patch, int):
        return dataclasses.replace(given, patch=(given.patch,) * len(lattice.extent))
    return given
