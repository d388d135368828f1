"""The exact trajectory of a run whose sector can be evolved as a vector: what its curves are compared with.

Plain data of reference.json under "trajectory": ``times``; ``energy``, <H(t)> at each; ``observables``, by the names
that the run gives its results, the values at each time as nested lists; ``left_out``, why there are no times behind the
last, null where all that were asked for are there. The observables come from the functions that measure them in the
run, of a table of the exact amplitudes and a sum over all states.
"""

from __future__ import annotations

import time as clock
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import NDArray

from nqs_hpc.ansatz.table import of_amplitudes, table
from nqs_hpc.config.schema import Config
from nqs_hpc.parallel.comm import serial
from nqs_hpc.parts import Parts
from nqs_hpc.sampler.enumerate import enumeration
from nqs_hpc.system.hilbert import Hilbert, codes, decode, dimension_up_to
from nqs_hpc.tasks.beginning import compared, comparing
from nqs_hpc.tasks.observing import Tally, observing
from nqs_hpc.types import Result, Samples, Tree

MAX_STATES = 2**18
SECONDS = 60.0  # that it may take
CHUNK = 2**12  # states evaluated at a time
MOST_TIMES = 256  # of a trajectory: curves are drawn through them


def exact_trajectory(
    config: Config,
    parts: Parts,
    params: Tree,
    times: Sequence[float],
    *,
    imaginary: bool = False,
    seconds: float = SECONDS,
) -> dict[str, Any] | None:
    """By evolution of psi, at each of ``times``, which go up, from the wave function of ``params`` at the first of them
    in the sector that is sampled; None where that has more than ``MAX_STATES``. No collectives.

    What takes more than ``seconds`` ends at the last time that was reached, and says so. Left out are observables of
    the network itself, and of a Hamiltonian that depends on time.
    """
    from nqs_hpc.operators import evolution  # loads SciPy

    if not is_small(parts.hilbert):
        return None
    deadline = clock.monotonic() + seconds
    measured = _observables(config, parts)
    found: dict[str, Any] = {"times": [], "energy": [], "observables": {}, "left_out": None}
    instants = evolution.evolution(
        parts.operator, parts.hilbert, amplitudes(parts, params), times, imaginary=imaginary, deadline=deadline
    )
    try:
        for instant in instants:
            for result in measured(instant.psi_D):
                found["observables"].setdefault(result.name, []).append(_plain(result.value))
            found["times"].append(float(instant.time))
            found["energy"].append(instant.energy)
            if clock.monotonic() > deadline and instant.time < times[-1]:
                raise evolution.OutOfTime
    except evolution.OutOfTime:
        reached = f"ends at {found['times'][-1]:g}" if found["times"] else "has no times"
        found["left_out"] = f"the exact trajectory {reached}: more would take longer than {seconds:g} s"
    return found


def is_small(hilbert: Hilbert) -> bool:
    """Whether the sector has an exact trajectory."""
    return dimension_up_to(hilbert, MAX_STATES) <= MAX_STATES


def thinned(times: Sequence[float]) -> list[float]:
    """At most ``MOST_TIMES`` + 1 of the times: the first and the last, and others evenly before that."""
    stride = -(-len(times) // MOST_TIMES)
    found = list(times[(len(times) - 1) % stride :: stride])
    return found if found[0] == times[0] else [times[0], *found]


def amplitudes(parts: Parts, params: Tree) -> NDArray[np.complex128]:
    """psi of the network on all states of the sector in the order of their codes, in the basis of the network,
    normalised: (D,).
    """
    states = jnp.asarray(decode(parts.hilbert, codes(parts.hilbert)))
    of = jax.jit(
        lambda params, states: jax.lax.map(
            lambda s_N: parts.ansatz.log_psi(params, s_N), states, batch_size=min(CHUNK, len(states))
        )
    )
    log_psi_D = np.asarray(of(params, states)).astype(np.complex128)
    psi_D = np.exp(log_psi_D - log_psi_D.real.max())
    return psi_D / np.linalg.norm(psi_D)


def _observables(config: Config, parts: Parts) -> Any:
    """``psi_D -> results`` of all observables that an exact state has."""
    hilbert = parts.hilbert
    ansatz, alone = table(hilbert), serial()
    sampler = enumeration(ansatz, hilbert, alone)
    is_driven = parts.operator.at is not None
    pieces = parts.pieces._replace(ansatz=ansatz, sampler=sampler, comm=alone, chunk=CHUNK)
    labels = {
        label: one
        for label, one in config.observables.measured.items()
        if one.of_state and not (is_driven and one.of_hamiltonian)
    }
    if not labels:
        return lambda psi_D: []
    made = {label: one.make(pieces) for label, one in labels.items()}
    of_now = {label: one for label, one in made.items() if one.between is None}
    seen = observing(ansatz, [], of_now, sampler, alone, basis=pieces.basis, chunk=CHUNK, memory=pieces.memory)
    compare = comparing(ansatz, made, sampler, alone)
    first: list[jax.Array] = []  # the amplitudes at the first time, with which others are compared
    unused = jnp.zeros(2, jnp.uint32)  # the key of a sum over all states

    def states(theta_D: jax.Array) -> Samples:
        return sampler.sample(unused, theta_D, ())[1]

    @jax.jit
    def measure(theta_D: jax.Array) -> Any:
        _, samples, counts = sampler.sample(unused, theta_D, ())
        return seen.measure(theta_D, samples, counts, 0)[0]

    def measured(psi_D: NDArray[np.complex128]) -> list[Result]:
        theta_D = of_amplitudes(psi_D)
        found: list[Result] = []
        first.extend([theta_D] * (not first))
        if of_now:
            tally = Tally(seen, sampler)
            tally.add(measure(theta_D))
            found += tally.results()
        if compare is not None:
            of_both = compare.measure(theta_D, first[0], states(theta_D), states(first[0]), jnp.int32(0))
            found += compared(compare, *jax.device_get(of_both))
        return found

    return measured


def _plain(value: Any) -> Any:
    """Numbers as JSON has them, null where there is none."""
    if isinstance(value, np.ndarray):
        value = value.tolist()
    if isinstance(value, list):
        return [_plain(one) for one in value]
    return float(value) if np.isfinite(value) else None


def read_trajectory(kept: Any) -> dict[str, Any]:
    """What `exact_trajectory` returned, from a file; ValueError, TypeError or KeyError where it is something else."""
    times = [float(time) for time in kept["times"]]
    energy = [float(value) for value in kept["energy"]]
    observables = {str(name): list(values) for name, values in kept["observables"].items()}
    left_out = kept["left_out"]
    lengths = {len(energy), *(len(values) for values in observables.values())} - {len(times)}
    if lengths or not (left_out is None or isinstance(left_out, str)):
        raise ValueError("no trajectory")
    return {"times": times, "energy": energy, "observables": observables, "left_out": left_out}
