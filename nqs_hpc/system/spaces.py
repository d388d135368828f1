"""Further spaces: spins of any length, fermions, blocks of sites, exclusions, and paths.

`hilbert` contains what all spaces share, and the spaces of spins 1/2 and of bosons.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from nqs_hpc.system.hilbert import Block, Hilbert, check


def spin(n_sites: int, two_s: int, total: int | None = None) -> Hilbert:
    """Spins S = two_s / 2 with local values 2m, from two_s down to -two_s; ``total`` is 2 S^z. S = 1/2 is `spin_half`.
    ValueError if no state has that total.
    """
    if two_s < 1:
        raise ValueError(f"two_s={two_s}: twice the length of a spin, at least 1")
    space = Hilbert(n_sites, tuple(range(two_s, -two_s - 1, -2)), total)
    check(space)
    return space


def fermions(n_orbitals: int, n_up: int | None, n_down: int | None, *, double: bool = True) -> Hilbert:
    """Spinful fermions on ``n_orbitals``: sites 0 ... n-1 are the orbitals with spin up, n ... 2n-1 those with spin
    down, the local values are occupations. Without ``double`` no orbital holds two, as in the t-J model.
    """
    up, down = tuple(range(n_orbitals)), tuple(range(n_orbitals, 2 * n_orbitals))
    blocks = [Block(sites, n) for sites, n in ((up, n_up), (down, n_down)) if n is not None]
    pairs = () if double else zip(up, down, strict=True)
    whole = Hilbert(2 * n_orbitals, (0, 1), fermionic=True, layers=2)
    return constrained(whole, blocks=blocks, excluded=pairs)


def spinless_fermions(n_orbitals: int, total: int | None) -> Hilbert:
    """Fermions without spin, at most one per orbital; ``total`` is their number. ValueError if they do not fit."""
    space = Hilbert(n_orbitals, (0, 1), total, fermionic=True)
    check(space)
    return space


def paths(n_sites: int, total: int | None = None) -> Hilbert:
    """Paths of ``n_sites`` steps +1 and -1 that begin at 0 and never go below it; ``total`` is their end point.
    ValueError if no path ends there.
    """
    space = Hilbert(n_sites, (1, -1), total, paths=True)
    check(space)
    return space


def constrained(space: Hilbert, *, blocks: Sequence[Block] = (), excluded: Iterable[Sequence[int]] = ()) -> Hilbert:
    """``space`` with blocks and exclusions. ValueError for sites that do not exist, overlapping blocks, and impossible
    totals.
    """
    n = space.n_sites
    found = tuple(Block(tuple(sorted(map(int, sites))), int(total)) for sites, total in blocks)
    sites = [site for block in found for site in block.sites]
    if len(set(sites)) < len(sites) or not all(0 <= site < n for site in sites) or not all(b.sites for b in found):
        raise ValueError(
            f"blocks={[list(b.sites) for b in found]}: disjoint blocks of the sites 0 to {n - 1} are valid"
        )
    pairs = sorted({(min(int(a), int(b)), max(int(a), int(b))) for a, b in excluded})
    if not all(0 <= a < b < n for a, b in pairs):
        raise ValueError(f"excluded={pairs}: pairs of two different sites, 0 to {n - 1}, are valid")
    total = space.total
    if found and len(sites) == n:
        whole = sum(block.total for block in found)
        if total not in (None, whole):
            raise ValueError(f"sector={total}: the totals of the blocks sum to {whole}")
        total = whole
    if len(found) == 1 and len(sites) == n:
        found = ()
    made = Hilbert(n, space.local_values, total, found, tuple(pairs), space.fermionic, space.layers)
    check(made)
    return made
