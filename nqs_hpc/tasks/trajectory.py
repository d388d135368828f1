"""What every way to evolve in time keeps and tells of a trajectory: where it is, what was measured at the times of
output, how far it can have strayed.

Times of output are the multiples of one spacing, each reached exactly. What is measured there is kept in the state,
so that a run that was stopped ends with the whole trajectory.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
from jax import Array
from numpy.typing import NDArray

from nqs_hpc.tasks.observing import name_of
from nqs_hpc.types import Observable, Output, Quantity, Result, Tree

UNIT = "units of the couplings"
UNIT_OF_TIME = "1 / units of the couplings"
SPREAD = 1e-8  # variance of H, relative to 1 + E^2, below which a state is an eigenstate but for rounding
COLLAPSE = 1e-3  # far below what outliers among samples do to an estimate
DIGITS = 12  # to which times of output are rounded, so that 3 times 0.1 is 0.3
GROWING = ("times_G", "values_GD", "errors_GD")  # whose first axis follows t_end


class Course(NamedTuple):
    """Of the trajectory so far; the same on every rank. G times of output, D numbers at each, the energy first."""

    time: Array  # of the parameters of the state
    n_measured: Array  # int32, times of output already passed
    times_G: Array
    values_GD: Array  # float64, 0 for those still to come
    errors_GD: Array
    energy: Array  # at the beginning
    drift: Array  # of the energy from that
    variance: Array  # Var(H) at the last line
    bound: Array  # on the distance in Hilbert space to the exact trajectory: the integral of sqrt(r^2 Var(H))
    rate: Array  # sqrt(r^2 Var(H)) at the last line
    beginning: Tree  # the first parameters where an observable compares with them, else None
    integration: Array  # sum of the errors of all steps, beyond what noise makes of them
    scatter: Array  # sum of (noise dt)^2: the square of what the noise of the velocities may have added to the distance


class Column(NamedTuple):
    """The numbers of one result among D."""

    name: str
    output: Output
    at: slice


def columns(observables: Mapping[str, Observable]) -> list[Column]:
    """Where the results of observables, and the energy in front, are among the D numbers of a time."""
    found = [Column("energy", Output(unit=UNIT, label="E"), slice(0, 1))]
    for label, one in observables.items():
        for output in one.outputs:
            begin = found[-1].at.stop
            found.append(Column(name_of(label, output), output, slice(begin, begin + math.prod(output.shape))))
    return found


def times_of_output(t_end: float, spacing: float) -> list[float]:
    """0, spacing, ..., t_end, a multiple of the spacing."""
    return [round(k * spacing, DIGITS) for k in range(round(t_end / spacing) + 1)]


def fresh(n_times: int, n_values: int, beginning: Tree = None) -> Course:
    return Course(
        time=jnp.float64(0),
        n_measured=jnp.int32(0),
        times_G=jnp.zeros(n_times),
        values_GD=jnp.zeros((n_times, n_values)),
        errors_GD=jnp.zeros((n_times, n_values)),
        energy=jnp.float64(0),
        bound=jnp.float64(0),
        rate=jnp.float64(0),
        drift=jnp.float64(0),
        variance=jnp.float64(0),
        beginning=beginning,
        integration=jnp.float64(0),
        scatter=jnp.float64(0),
    )


def strayed(
    course: Course,
    *,
    r2: float,
    noise: float,
    variance: float,
    energy: float,
    dt: float,
    error: float,
    noise_of_error: float,
) -> Course:
    """After a line: the bound grows by the trapezoidal rule. ``dt``: of the step that led here, 0 at the beginning;
    ``error``: of that step, of which noise makes ``noise_of_error``.
    """
    beyond = math.sqrt(max(error**2 - noise_of_error**2, 0.0))
    rate, is_first = math.sqrt(max(r2 * variance, 0.0)), dt == 0
    begin = energy if is_first else float(course.energy)
    return course._replace(
        energy=jnp.float64(begin),
        drift=jnp.float64(energy - begin),
        variance=jnp.float64(variance),
        bound=jnp.float64(float(course.bound) + dt * (float(course.rate) + rate) / 2),
        rate=jnp.float64(rate),
        integration=jnp.float64(float(course.integration) + beyond),
        scatter=jnp.float64(float(course.scatter) + (noise * dt) ** 2),
    )


def has_collapsed(course: Course, variance: float) -> bool:
    """Whether a step from the last line led to where Var(H) is a small part of what it was.

    In time it is constant, or changes as slowly as H; in imaginary time it decays by a finite rate. A step that is much
    too long can end where psi is one basis state: there the norm that weighs its error vanishes.
    """
    before, is_spread = float(course.variance), float(course.variance) > SPREAD * (1 + float(course.energy) ** 2)
    return is_spread and variance < COLLAPSE * before


def drifted(course: Course, *, distance: float, energy: float, variance: float, dt: float, error: float) -> Course:
    """After a line of an evolution that knows what distance in Hilbert space each step loses; ``error``: what it has
    beside that.
    """
    begin = energy if dt == 0 else float(course.energy)
    return course._replace(
        energy=jnp.float64(begin),
        drift=jnp.float64(energy - begin),
        bound=jnp.float64(float(course.bound) + distance),
        integration=jnp.float64(float(course.integration) + error),
        variance=jnp.float64(variance),
    )


def measured(
    course: Course, observables: Mapping[str, Observable], energy: tuple[float, float], results: Sequence[Result]
) -> Course:
    """With what was found at a time of output: value and error of the energy, and the results of all observables."""
    by_name = {one.name: one for one in results}
    ordered = [by_name[column.name] for column in columns(observables)[1:]]
    values = np.concatenate([[energy[0]], *(np.ravel(one.value) for one in ordered)])
    errors = np.concatenate([[energy[1]], *(np.ravel(one.error) for one in ordered)])
    row = int(course.n_measured)
    return course._replace(
        n_measured=jnp.int32(row + 1),
        times_G=course.times_G.at[row].set(course.time),
        values_GD=course.values_GD.at[row].set(jnp.asarray(values)),
        errors_GD=course.errors_GD.at[row].set(jnp.asarray(errors)),
    )


def series(course: Course, observables: Mapping[str, Observable]) -> tuple[Result, ...]:
    """All that was measured so far, each with the times as its first axis; () before the first time."""
    n = int(course.n_measured)
    if n == 0:
        return ()
    times_g = np.asarray(course.times_G)[:n]

    def one(column: Column) -> Result:
        shape = (n, *column.output.shape)
        value, error = (np.asarray(x)[:n, column.at].reshape(shape) for x in (course.values_GD, course.errors_GD))
        axes: tuple[tuple[str, NDArray[Any]], ...] = (("time", times_g), *column.output.axes)
        return Result(column.name, value, error, column.output._replace(shape=shape, axes=axes))

    return tuple(one(column) for column in columns(observables))


def newest(course: Course, observables: Mapping[str, Observable]) -> dict[str, dict[str, Any]]:
    """The ``observables`` of summary.json: numbers at the last time of output, of arrays their shape."""
    row = int(course.n_measured) - 1
    if row < 0:
        return {}
    values, errors = np.asarray(course.values_GD)[row], np.asarray(course.errors_GD)[row]
    found: dict[str, dict[str, Any]] = {}
    for column in columns(observables)[1:]:
        unit, begin = column.output.unit, column.at.start
        if column.output.shape:
            found[column.name] = {"shape": [row + 1, *column.output.shape], "unit": unit}
        else:
            found[column.name] = {"mean": float(values[begin]), "error": float(errors[begin]), "unit": unit}
    return found


def shown(observables: Sequence[Quantity], *, real: bool) -> tuple[Quantity, ...]:
    """What bars, status and report display of a trajectory."""
    return (
        Quantity("time", "t", UNIT_OF_TIME, ".4g"),
        Quantity("energy", "E", UNIT, "error", "energy_error"),
        Quantity("r2", "r²", "", ".2g"),
        *((Quantity("bound", "bound", "", ".2g"),) if real else ()),
        *observables,
    )
