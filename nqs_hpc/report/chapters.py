"""The chapters of a report: figures and fits with explanations, points that need attention, versions that ran."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime
from typing import Any, NamedTuple

from nqs_hpc.job.tails import last_lines
from nqs_hpc.report.convergence import MOST_PANELS, convergence
from nqs_hpc.report.couplings import against
from nqs_hpc.report.curves import MOST_NAMED, CurveSet, FitOptions, curve_set
from nqs_hpc.report.extrapolation import Extrapolation, laws, sizes, variances
from nqs_hpc.report.figures import Sheet
from nqs_hpc.report.groups import measured, title
from nqs_hpc.report.in_space import InSpace, in_space
from nqs_hpc.report.lanczos import lanczos
from nqs_hpc.report.maps import ArrayPictures, arrays
from nqs_hpc.report.places import RunFolders
from nqs_hpc.report.quality import costs, sampling
from nqs_hpc.report.rows import ReadPoint, Row
from nqs_hpc.report.table import Column, columns, more_columns
from nqs_hpc.report.tower import tower
from nqs_hpc.report.trajectories import compared
from nqs_hpc.report.values import clean, section, text

LOG_LINES = 15
EVERYTHING = FitOptions()

CONVERGENCE = """\
The energy of each step, with the parameters of that step, and its running average over a tenth of the steps. Final
values are from fresh samples of the frozen parameters."""
TOGETHER = """\
Distance of the energy to the exact one, step by step, averaged over a tenth of the steps; where not all exact
energies are known, the V-score. One curve for each point, one panel for each system, or for each ansatz where there
are many systems."""
TOWER = """\
The lowest energy of each sector, counted from that of the ground state E₀. Colours are momenta, shapes irreps; filled
symbols are even and open ones odd under the flip of all spins, where the sectors have a flip. Short lines: exact
levels. Levels that would cover each other stand beside each other. Where all points have measured total_spin, symbols
stand at the ⟨S²⟩ that was measured, and exact levels at the S(S + 1) nearest to it; a symbol between two of these is a
mixture of multiplets. A variational energy lies above the exact level of its sector, within its error."""
INFINITE = """\
Energy per site against a power of 1/L with a straight line, e + b/L^P, by weighted least squares; L^d is the number
of sites N, d counts the directions that grow. The law is chosen by boundary, dimension and what is known of the
model; `report --size-power P` chooses another. Open symbols: the line at infinite size. Where χ² exceeds its degrees
of freedom, the error is scaled by the root of their ratio. The error is statistical and does not include the
variational bias: every energy lies too high, and so does the limit. At least three sizes are needed, because a line
through two has no error. At most twelve curves are drawn."""
EXACT = """\
Energy against variance for different wave functions of one system: the same couplings, lattice and symmetry sector.
An eigenstate has no variance, and close to one the energy is linear in the variance: the line assumes that all points
are close to the same state, and neglects the errors of the variances. Open symbols: the line at zero variance.
Dashed: the exact energy. At least three points of a system are needed; at most twelve systems are drawn."""
COUPLINGS = """\
Final values against the coupling that was swept, a line for each size and ansatz; of several seeds the line goes
through their mean. Dashed: the exact energy. In the error of the energy open symbols lie within the statistical error,
which is drawn instead. Crosses: where the Binder cumulants of two sizes cross, an estimate of the critical coupling
that drifts with the sizes. It is the zero of their difference, by a parabola fitted (weighted least squares) to the
four points around the change of sign; its error is that of the points, drawn many times from their error bars, and the
distance from the straight line between the two nearest points, in quadrature. It includes no variational error."""
STEP = """\
Energy against variance before and after one Lanczos step (1 + αH)ψ of each wave function, and the straight line through
both to zero variance: E∞ = E₁ − V₁ (E₀ − E₁)/(V₀ − V₁) (S. Sorella, Phys. Rev. B 64, 024512 (2001),
arXiv:cond-mat/0009149). The line assumes that both states are close to the ground state; two points say nothing of how
well it holds. The error takes those of the four numbers as independent. Open symbols: the line at zero variance.
Dashed: the exact energy. At most twelve points are drawn."""
MAPS = """\
What was measured at wave vectors. In two dimensions a map of the first Brillouin zone, whose outline is drawn: each
measured wave vector is a dot, and its colour fills the points nearest to it. In one dimension the curve over the zone.
A peak that grows with the number of sites is order with that wave vector. At most twelve maps are drawn."""
CORRELATIONS = """\
What was measured for pairs of sites against their distance, that of the nearest image on a torus: the mean of all pairs
of one distance, with the mean of their errors. Correlations that stay away from 0 at the largest distance are order; a
decay as a power of the distance is the mark of a critical point. One panel for each of at most twelve points."""
TRAJECTORIES = """\
What was measured along the trajectories, with bands of one standard error, and what is exact where the system is small
enough for it, dashed in the same colour. Energies are per site."""
BELIEVED = """\
How far trajectories can be believed. r²: the part of the motion, of samples that did not make the velocity, that the
network cannot follow; above the dashed line it follows another Hamiltonian. Bound: the integral of √(r² Var H), which
the distance to the exact state in Hilbert space does not exceed but for errors of the steps, which are added up beside
it, and for noise. An energy that H conserves must not change; that it does not proves little."""
OVER_SITES = """\
The spins of all sites, numbered along, while time goes up."""
RESPONSE = """\
The dynamical structure factor of σᶻ: how the spins of all sites answer to a kick of one of them (task.kick), brought to
wave vectors and frequencies with a window after von Hann. Of a ground state that is invariant under translations the
peaks are at the energies of its excitations, and as wide as the window makes them. A kick does not show what the ground
state itself contributes at ω = 0."""
COST = """\
How far the final energy is from the exact one, and the V-score N Var(E) / (E − E∞)², which needs no exact energy,
against the cost of the run. Open symbols: the error lies within its statistical uncertainty, which is drawn instead."""
SAMPLING = """\
Acceptance of proposals; R-hat, near 1 where the chains agree (above the dashed line the energies differ more than
their errors say); tau, 1 where samples are independent."""

OF_FINISHED = (
    "A finished point needs a larger task.n_steps, task.t_end or task.final_samples, or its folder moved away: "
    "otherwise nothing is left to do."
)


class Section(NamedTuple):
    """One sheet with its explanation and the table of its fits."""

    title: str
    text: str
    sheet: Sheet
    fits: list[Extrapolation]
    of: str  # title of the column that names the fits
    notes: list[str]  # lines: the laws, and what is not in the fits
    table: tuple[list[str], list[list[str]]] = ([], [])  # titles and cells of a separate table


class Fault(NamedTuple):
    """A point that needs attention."""

    number: int
    title: str
    row: Row
    log: list[str]  # the last lines it printed


class Content(NamedTuple):
    """The content of a report, independent of its format."""

    title: str
    made: str  # time of the report
    launch: str  # the command that launched the sweep; empty if it is not a sweep
    cwd: str  # the folder in which its commands work
    troubles: list[str]
    rows: list[Row]
    columns: list[Column]
    sections: list[Section]
    faults: list[Fault]
    versions: dict[str, dict[str, int]]
    n_final: int  # number of points with the energy of their final parameters
    left_out: dict[str, str]  # point -> why it is not in the fits
    laws: dict[str, str]  # point -> the law of its line to infinite size


def content(of: RunFolders, found: list[ReadPoint], choice: FitOptions = EVERYTHING) -> Content:
    """The report of a folder; ValueError, one line, for a ``choice`` that fits no point."""
    rows, study = [one.row for one in found], of.study
    resting = [one for one in found if not one.row.is_trajectory]
    given = curve_set(resting, choice)
    pictures, moving = arrays(resting), in_space(found)
    parts = [*in_time(found, moving), *sections(resting, given, pictures)]
    return Content(
        title=clean(str(study.name) if study is not None else of.folder.resolve().name),
        made=datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        launch=clean(str(study.launches[-1].command), 10**5) if study is not None and study.launches else "",
        cwd=clean(str(study.cwd), 10**4) if study is not None else "",
        troubles=[*of.troubles, *pictures.troubles, *moving.troubles],
        rows=rows,
        columns=[*columns(rows), *more_columns(rows)],
        sections=parts,
        faults=faults(found),
        versions=versions(found),
        n_final=len(measured(resting)) + len(found) - len(resting),
        left_out=given.left_out,
        laws={one.row.name: curve.law.name() for curve in reversed(given.curves) for one in curve.members},
    )


def in_time(found: list[ReadPoint], moving: InSpace) -> list[Section]:
    """The sheets of trajectories."""
    seen = compared(found)
    parts = [
        Section("Trajectories", TRAJECTORIES, seen.measured, [], "", seen.notes, (seen.titles, seen.table)),
        Section("How far trajectories can be believed", BELIEVED, seen.quality, [], "", []),
        Section("Spins over sites and time", OVER_SITES, moving.maps, [], "", []),
        Section("Dynamical structure factor", RESPONSE, moving.spectra, [], "", moving.notes),
    ]
    return [part for part in parts if part.sheet.panels]


def sections(found: list[ReadPoint], given: CurveSet, pictures: ArrayPictures) -> list[Section]:
    """The sheets with content."""
    infinite, to_size = sizes(given)
    exact, to_zero = variances(given.points)
    to_limit, limits = lanczos(found)
    levels, counted = tower(found)
    many = sum(bool(one.traces.steps) for one in found) > MOST_PANELS
    left = _left_out(given.left_out)
    parts = [
        Section("Convergence", TOGETHER if many else CONVERGENCE, convergence(found), [], "", []),
        *(Section(f"Against {one.coupling.short}", COUPLINGS, one.sheet, [], "", one.notes) for one in against(found)),
        Section("Tower of states", TOWER, levels, [], "", counted),
        Section("Infinite size", INFINITE, infinite, to_size, "curve", [*laws(to_size), *given.notes, *left]),
        Section("Zero variance", EXACT, exact, to_zero, "system", left),
        Section("Lanczos step", STEP, to_limit, [], "", limits),
        Section("Wave vectors", MAPS, pictures.maps, [], "", pictures.notes),
        Section(
            "Correlations", CORRELATIONS, pictures.correlations, [], "", [] if pictures.maps.panels else pictures.notes
        ),
        Section("Accuracy and cost", COST, costs(found), [], "", []),
        Section("Sampling", SAMPLING, sampling(found), [], "", []),
    ]
    return [part for part in parts if part.sheet.panels]


def _left_out(why: dict[str, str]) -> list[str]:
    """A sentence on the points that are not in the fits, grouped by reason."""
    by_reason: dict[str, list[str]] = {}
    for name, reason in why.items():
        by_reason.setdefault(reason, []).append(name)
    parts = []
    for reason, names in by_reason.items():
        more = f" and {len(names) - MOST_NAMED} more" if len(names) > MOST_NAMED else ""
        parts.append(f"{', '.join(names[:MOST_NAMED])}{more} ({reason})")
    return [f"Not in the fits: {'; '.join(parts)}."] if parts else []


def faults(found: list[ReadPoint]) -> list[Fault]:
    """The points that failed or stalled, with the last lines of their logs."""
    rows = [one.row for one in found]
    listed, told = [], set()
    for number, one in enumerate(found, 1):
        same = (one.traces.place.folder, one.row.state, one.row.why)  # the same for all couplings of a run
        if one.row.state in ("failed", "doubtful", "stalled") and same not in told:
            told.add(same)
            try:
                log = last_lines(one.traces.log, LOG_LINES) if one.traces.log is not None else []
            except OSError as error:
                log = [clean(f"{one.traces.log} cannot be read: {error.strerror}")]
            listed.append(Fault(number, title(one.row, rows), one.row, log))
    return listed


def versions(found: list[ReadPoint]) -> dict[str, dict[str, int]]:
    """Package -> each version with which points ran, and the number of points."""
    counts: dict[str, Counter[str]] = {}
    for one in found:
        names: dict[str, Any] = dict(section(one.traces.manifest, "versions"))
        names["MPI"] = one.traces.manifest.get("mpi")
        git = section(one.traces.manifest, "git")
        commit = text(git.get("commit"))
        names["git commit"] = f"{commit[:12]}{' with changes' if git.get('dirty') else ''}" if commit else None
        for name, version in names.items():
            if (known := text(version)) is not None:
                counts.setdefault(clean(name), Counter())[known] += 1
    return {name: dict(counted) for name, counted in counts.items()}
