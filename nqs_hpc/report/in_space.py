"""Site-resolved results of trajectories: spins over sites and time; after a kick S(q, omega) (`report.response`)."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from nqs_hpc.report.arrays import MeasuredArray, measured_arrays
from nqs_hpc.report.figures import COLOURS, LegendEntry, Panel, Sheet
from nqs_hpc.report.groups import title
from nqs_hpc.report.in_time import colour_bar, site_map
from nqs_hpc.report.maps import COLOUR_MAP, evenly, in_pi
from nqs_hpc.report.response import Spectrum, correlations, dynamical_structure_factor
from nqs_hpc.report.rows import ReadPoint
from nqs_hpc.report.values import count, number, section
from nqs_hpc.system.families import told
from nqs_hpc.system.lattice import Lattice
from nqs_hpc.system.wave_vectors import wave_vectors

MOST_PANELS = 12
MOST_SITES = 1024
MOST_CURVES = 6  # wave vectors of a lattice in two or three dimensions
OF_ONE = "which is right of an eigenstate of the flip of all spins, and of others for small angles"
UNIT_OF_OMEGA = "units of the couplings"


class InSpace(NamedTuple):
    """The arrays of trajectories that have a figure."""

    maps: Sheet
    spectra: Sheet
    troubles: list[str]  # files that cannot be read
    notes: list[str]


class _Kicked(NamedTuple):
    name: str
    site: int
    strength: float
    lattice: Lattice
    z: MeasuredArray
    alike: str  # equal for runs that differ only in the strength


def in_space(found: list[ReadPoint]) -> InSpace:
    """Figures of at most twelve trajectories, evenly chosen."""
    rows = [one.row for one in found]
    evolving = [one for one in found if one.row.is_trajectory]
    chosen = [evolving[i] for i in evenly(len(evolving), MOST_PANELS)]
    panels: list[Panel] = []
    troubles: list[str] = []
    kicked: list[_Kicked] = []
    for one, arrays in zip(chosen, measured_arrays([one.traces.place.folder for one in chosen]), strict=True):
        if isinstance(arrays, str):
            troubles.append(f"{one.row.name}: {arrays}")
            continue
        name = title(one.row, rows)
        for array in arrays:
            if (draw := site_map(array)) is not None:
                panels.append(Panel(f"{name}, {array.label}", array.label, draw))
        kicked += [known for array in arrays if (known := _kicked(name, one, array)) is not None]
    spectra, notes, legend = _spectra(kicked)
    return InSpace(Sheet("over_sites", panels[:MOST_PANELS], []), Sheet("s_q_omega", spectra, legend), troubles, notes)


def _spectra(kicked: list[_Kicked]) -> tuple[list[Panel], list[str], list[LegendEntry]]:
    panels: list[Panel] = []
    notes: list[str] = []
    legend: list[LegendEntry] = []
    for one in kicked:
        of_same = [other for other in kicked if other.alike == one.alike and other.strength == -one.strength]
        if of_same and one.strength < 0:
            continue  # drawn together with its opposite
        opposite = next((other for other in of_same if np.array_equal(other.z.axes["time"], one.z.axes["time"])), None)
        waves = wave_vectors(one.lattice)
        if waves is None:
            notes.append(f"{one.name}: this lattice has no wave vectors, so no S(q, ω).")
            continue
        bars = [array.error for array in (one.z, *([opposite.z] if opposite else []))]
        errors = tuple(bar for bar in bars if bar is not None)
        im_c, error = correlations(
            one.z.value,
            one.strength,
            opposite_TN=opposite.z.value if opposite else None,
            errors=errors if len(errors) == len(bars) else (),
        )
        times, where = one.z.axes["time"], one.lattice.positions
        spectrum = dynamical_structure_factor(times, im_c, where, one.site, waves.q_QD, error_TN=error)
        if len(panels) < MOST_PANELS:
            if waves.q_QD.shape[1] == 1:
                panels.append(Panel(one.name, "S(q, ω)", _map(waves.q_QD[:, 0], spectrum)))
            else:
                draw, legend = _curves(waves.q_QD, spectrum)
                panels.append(Panel(one.name, "S(q, ω)", draw))
        how = "from two opposite kicks" if opposite else f"from one kick, {OF_ONE}"
        notes.append(f"{one.name}: S(q, ω) {how}; peaks are {2 * np.pi / times[-1]:.2g} wide.")
    return panels, notes, legend


def _kicked(name: str, one: ReadPoint, array: MeasuredArray) -> _Kicked | None:
    """The kick of an array of spins along z in a run with task.kick; None for other arrays."""
    physics = section(one.traces.manifest, "physics")
    kick = section(section(physics, "task"), "kick")
    site, strength = count(kick.get("site")), number(kick.get("strength"))
    times = array.axes.get("time")
    if site is None or not strength or times is None or "sites" not in array.axes or array.name.split(".")[-1] != "z":
        return None
    if (
        array.value.shape != (times.size, array.axes["sites"].size)
        or times.size < 3
        or abs(strength) > np.pi / 4 + 1e-9
    ):
        return None
    steps = np.diff(times)
    if times[0] != 0 or steps[0] <= 0 or np.abs(steps - steps[0]).max() > 1e-6 * steps[0]:
        return None
    lattice = told(section(physics, "lattice"), MOST_SITES)
    if lattice is None or lattice.n_sites != array.value.shape[1] or site >= lattice.n_sites:
        return None
    same = {**physics, "task": {**section(physics, "task"), "kick": site}}
    return _Kicked(name, site, strength, lattice, array, json.dumps([same, array.name], sort_keys=True, default=str))


def _map(q_Q: np.ndarray, spectrum: Spectrum) -> Callable[[Any], None]:
    """The map over one period of q; the end point is drawn at both ends."""
    side = 2 * np.pi
    order = np.argsort(np.mod(q_Q, side))
    q = np.append(np.mod(q_Q, side)[order], side)
    value = np.append(spectrum.value_QW[order], spectrum.value_QW[order[:1]], axis=0)

    def draw(axes: Any) -> None:
        axes.grid(False)
        shades = {"cmap": COLOUR_MAP, "vmin": 0.0, "vmax": max(float(value.max()), 1e-9)}
        drawn = axes.pcolormesh(q, spectrum.omega_W, value.T, shading="nearest", rasterized=True, **shades)
        axes.set_ylim(0.0, _highest(spectrum))
        axes.set_xlim(0.0, side)
        colour_bar(axes, drawn)
        in_pi(axes.xaxis, side)
        axes.set_xlabel("q")
        axes.set_ylabel("ω", rotation=0)

    return draw


def _curves(q_QD: np.ndarray, spectrum: Spectrum) -> tuple[Callable[[Any], None], list[LegendEntry]]:
    """S against omega for the wave vectors with the largest weight."""
    weight = np.clip(spectrum.value_QW, 0, None).sum(axis=1)
    keys = np.unique(np.round([[w, *np.sort(np.abs(q))] for w, q in zip(weight, q_QD, strict=True)], 9), axis=0,
                     return_index=True)[1]  # fmt: skip
    chosen = sorted(keys, key=lambda i: -weight[i])[:MOST_CURVES]
    legend = [
        LegendEntry("q/π = " + ", ".join(f"{part / np.pi:.3g}" for part in q_QD[i]), colour, "")
        for i, colour in zip(chosen, COLOURS, strict=False)
    ]

    def draw(axes: Any) -> None:
        for i, key in zip(chosen, legend, strict=True):
            value, error = spectrum.value_QW[i], spectrum.error_QW[i]
            axes.fill_between(spectrum.omega_W, value - error, value + error, color=key.colour, alpha=0.25, linewidth=0)
            axes.plot(spectrum.omega_W, value, color=key.colour, linewidth=1)
        axes.set_xlim(0.0, _highest(spectrum))
        axes.set_xlabel(f"ω [{UNIT_OF_OMEGA}]")

    return draw, legend


def _highest(spectrum: Spectrum) -> float:
    """The frequency above which there is no weight."""
    size = np.abs(spectrum.value_QW).max(axis=0)
    seen = np.flatnonzero(size > 0.02 * size.max())
    last = spectrum.omega_W[seen[-1]] if len(seen) else spectrum.omega_W[-1]
    return float(min(spectrum.omega_W[-1], 1.1 * last))
