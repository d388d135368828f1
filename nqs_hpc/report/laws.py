"""How the energy per site approaches its value at infinite size: e(L) = e + b / L^P, by boundary, dimension and model.

With d the number of directions in which the lattice grows and N ~ L^d its sites:

- Open ends: the energy has a surface term, P = 1.
- No ends, and excitations with linear dispersion, such as the spin waves of an ordered antiferromagnet and the
excitations at a critical point: their zero-point energy gives P = d + 1. On a ring that is 1/L² (Blöte, Cardy and
  Nightingale 1986, doi:10.1103/PhysRevLett.56.742; Affleck 1986, doi:10.1103/PhysRevLett.56.746), on a torus 1/L³
  (Neuberger and Ziman 1989, doi:10.1103/PhysRevB.39.2608; Hasenfratz and Niedermayer 1993, arXiv:hep-lat/9212022).
- No ends and a gap: the approach is exponential, and no power of 1/L describes it. An excitation above a gap adds its
energy once, P = d.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from nqs_hpc.report.values import number, section

NEAR = 0.02  # relative distance to the critical field below which the correlation length exceeds most lattices
# Critical h / J of the Ising ferromagnet in a transverse field (Blöte and Deng 2002, doi:10.1103/PhysRevE.66.066110).
CRITICAL_FIELD = {"chain": 1.0, "square": 3.04438, "triangular": 4.76805, "honeycomb": 2.13250}
DIMERISED = 0.2411  # J2 / J1 from which on the chain has a gap (Okamoto and Nomura 1992)
NEEL_BELOW, STRIPES_ABOVE = 0.4, 0.65  # J2 / J1 between which the phase on the square lattice is disputed
TORIC_FIELD = 0.2  # well below the transition of the toric code near 0.33
BIPARTITE = ("chain", "square", "cubic", "honeycomb")
_POWERS = "⁰¹²³⁴⁵⁶⁷⁸⁹"
_ROOTS = {2: "√N", 3: "∛N"}


class Law(NamedTuple):
    """A law, and why it was chosen."""

    power: float | None  # of 1/L; None: no power law, and the energy at the largest size is taken
    d: int  # N ~ L^d
    why: str

    def x(self, n_sites: int) -> float:
        """The position of a size on the axis on which the law is a straight line; without a law, on that of 1/N."""
        return float(n_sites) ** (-1.0 if self.power is None else -self.power / self.d)

    def name(self) -> str:
        """Such as "1/L³, L = √N"."""
        if self.power is None:
            return "no power"
        whole = self.power.is_integer() and 0 < self.power < 10
        exponent = "" if self.power == 1 else _POWERS[int(self.power)] if whole else f"^{self.power:g}"
        return f"1/N{exponent}" if self.d == 1 else f"1/L{exponent}, L = {_ROOTS.get(self.d, f'N^(1/{self.d})')}"


def law(
    physics: dict[str, Any], grown: tuple[int, ...], *, frustrated: bool = False, power: float | None = None
) -> Law:
    """The law for points of ``physics``, whose lattices differ in the directions ``grown``.

    ``frustrated``: whether the magnetic order does not fit their sides; ``power``: given by the user.
    """
    lattice, d = section(physics, "lattice"), max(1, len(grown))
    pbc = lattice.get("pbc")
    if power is not None:
        return Law(float(power), d, "as --size-power asks")
    if not grown or not isinstance(pbc, list):
        return Law(1.0, d, "only the number of sites of these lattices is known")
    if not all(pbc[i] for i in grown):
        return Law(1.0, d, "open ends cost an energy proportional to their surface")
    kind, words = _phase(physics, grown)
    if frustrated:  # the order is twisted by half a turn over the lattice, or broken along a domain wall
        what = "by a twist of the order" if kind == "linear" else "by a wall"
        return Law(2.0 if kind == "linear" else 1.0, d, f"{words}; sides that frustrate the order raise it {what}")
    if kind == "gapped" and _excited(physics):
        return Law(float(d), d, f"{words}; in a sector of its own, where an excitation adds its energy once")
    if kind == "gapped":
        return Law(None, d, f"{words}: on a periodic lattice the energy per site approaches its limit exponentially")
    if kind == "linear":
        return Law(d + 1.0, d, words)
    return Law(d + 1.0, d, f"{words}: the power is that of a periodic lattice with excitations of linear dispersion")


def _phase(physics: dict[str, Any], grown: tuple[int, ...]) -> tuple[str, str]:
    """What is known about the model: linear (gapless with linear dispersion), gapped or unknown; and a description."""
    hamiltonian = section(physics, "hamiltonian")
    if any(
        isinstance(one, dict)
        for value in hamiltonian.values()
        for one in (value if isinstance(value, list) else [value])
    ):
        return "unknown", "whether a model with random couplings has a gap is not known here"
    match hamiltonian.get("name"):
        case "ising":
            return _ising(section(physics, "lattice"), hamiltonian, grown)
        case "heisenberg":
            return _heisenberg(section(physics, "lattice"), hamiltonian, grown)
        case "toric_code":
            fields = [abs(number(hamiltonian.get(key)) or 0.0) for key in ("hx", "hy", "hz")]
            if max(fields) <= TORIC_FIELD:
                return "gapped", "toric code in weak fields, which has a gap"
    return "unknown", "whether this model has a gap is not known here"


def _ising(lattice: dict[str, Any], hamiltonian: dict[str, Any], grown: tuple[int, ...]) -> tuple[str, str]:
    name = lattice.get("name")
    J, h, g = (number(hamiltonian.get(key)) or 0.0 for key in ("J", "h", "g"))
    whole = len(grown) == len(lattice["pbc"])
    if J < 0 and (g != 0 or name not in BIPARTITE):
        return "unknown", "frustrated, or an antiferromagnet in a field: whether it has a gap is not known here"
    if g != 0 or J == 0 or h == 0:
        return "gapped", "Ising model in a longitudinal field, or without a transverse one, which has a gap"
    critical = CRITICAL_FIELD.get(str(name)) if whole else None
    if critical is None:
        return "unknown", "the critical field of this lattice is not known here"
    if abs(abs(h / J) / critical - 1) <= NEAR:
        what = "critical ring" if name == "chain" else "critical point of the Ising model in a transverse field"
        return "linear", f"{what}, h/J = {critical:g}, whose excitations are linear in the momentum"
    return "gapped", f"Ising model away from its critical field, h/J = {critical:g}, which has a gap"


def _heisenberg(lattice: dict[str, Any], hamiltonian: dict[str, Any], grown: tuple[int, ...]) -> tuple[str, str]:
    name, given, delta = lattice.get("name"), hamiltonian.get("J"), number(hamiltonian.get("delta"))
    J = [number(value) or 0.0 for value in (given if isinstance(given, list) else [given])]
    unknown = "unknown", "whether this magnet has a gap is not known here"
    in_field = any(number(hamiltonian.get(key)) for key in ("h", "h_staggered"))
    if delta is None or not J or not J[0] or any(J[2:]) or in_field:
        return unknown
    ratio = J[1] / J[0] if len(J) > 1 else 0.0
    dimensions, d = len(lattice["pbc"]), len(grown)
    if name not in BIPARTITE:
        in_plane = J[0] < 0 and 0 <= delta < 1
        three = name == "triangular" and J[0] > 0 and 0 <= delta <= 1
        if d == dimensions and ratio == 0 and (in_plane or three):
            return "linear", f"magnet with long-range order on a {_closed(d)}, whose spin waves are linear in momentum"
        return unknown
    if ratio and (J[0] < 0 or delta != 1):
        return unknown
    delta = delta if J[0] > 0 else -delta  # a rotation of one sublattice about z changes the sign of the x and y parts
    if delta < -1:
        return unknown
    if delta == -1:
        return "gapped", "ferromagnet, whose energy per site is that of a bond at every size"
    if delta > 1:
        return "gapped", "easy axis, which has a gap"
    if d < dimensions:
        return _ladder(lattice, grown) if name == "square" and delta == 1 and not ratio else unknown
    if d == 1:
        if ratio >= DIMERISED:
            return "gapped", "frustrated chain that dimerises, which has a gap"
        logs = "; at delta = 1 logarithms slow it down" if delta == 1 and not ratio else ""
        return "linear", f"critical ring, whose excitations are linear in the momentum{logs}"
    if NEEL_BELOW < ratio < STRIPES_ABOVE or (ratio and name != "square"):
        return unknown
    return "linear", f"antiferromagnet with long-range order on a {_closed(d)}, whose spin waves are linear in momentum"


def _ladder(lattice: dict[str, Any], grown: tuple[int, ...]) -> tuple[str, str]:
    """Heisenberg ladders: an even number of legs has a gap, an odd one behaves as a chain (Dagotto and Rice 1996)."""
    (width,) = (i for i in range(len(lattice["pbc"])) if i not in grown)
    legs, closed = lattice["extent"][width], lattice["pbc"][width]
    if legs % 2 == 0:
        return "gapped", f"ladder of {legs} legs, an even number, which has a gap"
    if not closed or legs == 1:
        return "linear", f"ladder of {legs} legs, an odd number, critical like a ring"
    return "unknown", f"whether a tube of {legs} legs has a gap is not known here"


def _closed(d: int) -> str:
    return "torus" if d == 2 else "periodic lattice"


def _excited(physics: dict[str, Any]) -> bool:
    """Whether the ground state may lie outside of the sector."""
    spins = section(physics, "hamiltonian").get("name") != "bose_hubbard"
    parts = (section(physics, "symmetrize"), section(physics, "ansatz"))
    momenta = [part.get("momentum") for part in parts]
    turned = any(any(value) if isinstance(value, list) else bool(value) for value in momenta)
    shaped = any(part.get("irrep") not in (None, "A1", "A") for part in parts)
    flipped = parts[0].get("spin_flip") == -1
    return turned or shaped or flipped or (spins and bool(physics.get("sector")))
