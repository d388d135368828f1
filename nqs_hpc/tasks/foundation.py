"""The ground states of a list of couplings by one network that takes them as input, by variational Monte Carlo.

Minimised is the mean of the energies of psi_k = psi(s; gamma_k, theta), each with its own Hamiltonian,

    L(theta) = (1/K) sum_k <psi_k|H(gamma_k)|psi_k> / <psi_k|psi_k>,

from samples of all psi_k together (`sampler.each`), with force and quantum geometric tensor the means of those of each
(`gradient.by_coupling`): Rende et al. 2025, arXiv:2502.09488. A step, its guard, checkpoints and the running mean are
those of one ground state, with L as the energy. The final evaluation judges each wave function apart.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from nqs_hpc.ansatz.couplings import carrying
from nqs_hpc.inputs.numbers import with_error
from nqs_hpc.parallel.ahead import Program
from nqs_hpc.parallel.comm import Comm
from nqs_hpc.stats.trust import BAD, DOUBTFUL, GOOD, NOT_KNOWN
from nqs_hpc.system.hilbert import Hilbert
from nqs_hpc.tasks.evaluation import evaluation
from nqs_hpc.tasks.final import Final, System, ending
from nqs_hpc.tasks.ground_state import ground_state
from nqs_hpc.tasks.lines import energy_summary
from nqs_hpc.tasks.second import Compared, SecondEnsemble, compared
from nqs_hpc.types import Ansatz, Ending, Operator, Sampler, Samples, Task, Tree, Update, WithCouplings

Lines = list[dict[str, Any]]
WORST = ("failed", "doubtful", "done")


class Point(NamedTuple):
    """One of the Hamiltonians."""

    couplings: dict[str, Any]  # by the names of their keys
    system: System


def foundation(
    ansatz: Ansatz,
    operator: Operator,
    sampler: Sampler,
    update: Update,
    comm: Comm,
    *,
    points: Sequence[Point],
    system: System,
    second: SecondEnsemble | None,
    hilbert: Hilbert,
    chunk: int | None,
    memory: int,
    **options: Any,
) -> Task:
    """As `ground_state`, of the mean of the energies. ``ansatz`` takes couplings as input, ``operator.at`` numbers
    of ``points``, ``sampler`` has samples of all of them, and ``update`` differentiates `couplings.numbered`.
    ``second`` is an ensemble of `carrying` parameters.
    """
    groups = sampler.groups
    assert groups is not None and groups.n == len(points)
    told = carrying(ansatz)
    at_one = jax.jit(evaluation(told, operator, comm, chain_length=0, chunk=chunk, memory=memory))

    def compare(params: Tree, final: Final, go_on: Callable[[], bool]) -> tuple[Compared, ...] | None:
        """The second ensemble of each wave function against the first; None if it was told to stop."""
        assert second is not None
        n_rows = sampler.n_samples // comm.size
        w_B, nothing, rank = (
            jnp.full(n_rows, 1.0 / sampler.n_samples),
            {"accepted": jnp.float64(0)},
            np.int32(comm.rank),
        )
        found = []
        for k, one in enumerate(final.each):

            def energies(own: Tree, s_BN: Array, number: float = float(k)) -> Array:
                return at_one(own, Samples(s_BN, w_B), nothing, rank, jnp.float64(number))[0].e_loc_A

            begun = time.monotonic()
            drawn = second.run(WithCouplings(params, jnp.asarray(groups.couplings_KG[k])), energies, n_rows, go_on)
            if drawn is None:
                return None
            found.append(compared(one.e_loc_A, one.w_A, one.chain_length, one.error, *drawn, begun))
        return tuple(found)

    def end(final: Final, system: System, step: int, against: Any) -> Callable[..., Ending]:
        of_all = ending(final._replace(counts=_without(final.counts)), system, step)
        judges = [
            ending(one, point.system, step, against if isinstance(against, str) else against[k])
            for k, (one, point) in enumerate(zip(final.each, points, strict=True))
        ]

        def ended(lines: Lines, reference: dict[str, Any] | None) -> Ending:
            exact = _exact(reference, len(points))
            each = [judge(_of_point(lines, k), exact[k]) for k, judge in enumerate(judges)]
            whole = of_all(lines, None)
            names = [_named(point) for point in points]
            doubts = tuple(f"{name}: {why}" for name, one in zip(names, each, strict=True) for why in one.doubts)
            warnings = tuple(f"{name}: {why}" for name, one in zip(names, each, strict=True) for why in one.warnings)
            status = next(word for word in WORST if word in {one.status for one in each})
            said = f"{step} steps, mean energy {with_error(final.mean.real, final.error)} of {len(points)} couplings"
            if status != "done":
                worst = next(k for k, one in enumerate(each) if one.status == status)
                why = each[worst].doubts[0] if each[worst].doubts else each[worst].reason
                said = f"{said}: {names[worst]}: {why}"
            line = whole.line | {"points": [one.line for one in each], "trust": _worst([one.line for one in each])}
            line |= {"r_hat": _largest(one.line["r_hat"] for one in each), "n_samples": len(final.e_loc_A)}
            known = [one.line["n_eff"] for one in each]
            n_eff = None if None in known else sum(known)
            line |= {"tau": _largest(one.line["tau"] for one in each), "n_eff": n_eff}
            return Ending(line, status, said, doubts, warnings)

        return ended

    task = ground_state(
        ansatz,
        operator,
        sampler,
        update,
        comm,
        system=system,
        second=second,
        end=end,
        compare=compare,
        hilbert=hilbert,
        chunk=chunk,
        memory=memory,
        **options,
    )

    def summary(line: dict[str, Any], reference: dict[str, Any] | None) -> dict[str, Any]:
        exact, found = _exact(reference, len(points)), []
        for k, point in enumerate(points):
            own = of_system(_line_of_point(line, k), exact[k], point.system, sampler.n_samples // len(points))
            found.append(point.couplings | own)
        return task.summary(line, reference) | {"couplings": found}

    if second is None:
        return task._replace(summary=summary)
    of_second = second.programs

    def programs(*, fresh: bool) -> list[Program]:
        shape: Any = jax.ShapeDtypeStruct
        number, n_rows = shape((), np.float64), sampler.n_samples // comm.size
        own = WithCouplings(jax.eval_shape(task.init).params, shape(groups.couplings_KG.shape[1:], np.float64))
        samples = Samples(shape((n_rows, hilbert.n_sites), np.int8), shape((n_rows,), np.float64))
        energies = Program(at_one, (own, samples, {"accepted": number}, np.int32(comm.rank), number))
        return [*task.programs(fresh=fresh), *of_second(own), energies]

    return task._replace(summary=summary, programs=programs, jitted=(*task.jitted, at_one))


def of_system(line: dict[str, Any], reference: dict[str, Any] | None, system: System, n_samples: int) -> dict[str, Any]:
    """The numbers of one wave function in the summary."""
    sizes: dict[str, Any] = {"n_sites": system.n_sites, "n_degrees": system.n_degrees, "n_samples": n_samples}
    found = energy_summary(line, reference, e_infinity=system.e_infinity, **sizes)
    energy = found.pop("energy")
    own: dict[str, Any] = {"energy": energy["mean"], "error": energy["error"], "variance": energy["variance"]}
    own |= {"exact_energy": reference["energy"] if reference else None}
    del found["reference"]
    return own | found


def _of_point(lines: Lines, k: int) -> Lines:
    """Lines of metrics.jsonl as those of a single wave function."""
    found = []
    for line in lines:
        several = {name: line.get(name) for name in ("energies", "energy_errors")}
        if all(isinstance(values, list) and len(values) > k for values in several.values()):
            found.append(line | {"energy": several["energies"][k], "energy_error": several["energy_errors"][k]})  # type: ignore[index]
    return found


def _line_of_point(line: dict[str, Any], k: int) -> dict[str, Any]:
    """What a line says of one wave function: of the end of a run, or of a step."""
    if "points" in line:
        own: dict[str, Any] = line["points"][k]
        return own
    found = {}
    for name, several in (("energy", "energies"), ("energy_error", "energy_errors"), ("acceptance", "acceptances")):
        values = line.get(several)
        found[name] = values[k] if isinstance(values, list) and len(values) > k else None
    return found


def _exact(reference: dict[str, Any] | None, n: int) -> list[dict[str, Any] | None]:
    """What is known exactly of each of the Hamiltonians."""
    found = reference.get("points") if reference else None
    return list(found) if isinstance(found, list) and len(found) == n else [None] * n


def _named(point: Point) -> str:
    return ", ".join(f"{name.rpartition('.')[2]}={value}" for name, value in point.couplings.items())


def _without(counts: dict[str, float]) -> dict[str, float]:
    """Without the moves of each wave function."""
    return {name: value for name, value in counts.items() if "_at_" not in name}


def _largest(values: Any) -> float | None:
    return max((x for x in values if x is not None), default=None)


def _worst(lines: Lines) -> dict[str, Any]:
    """`trust` of the worst of the wave functions."""
    order = {word: i for i, word in enumerate((BAD, DOUBTFUL, NOT_KNOWN, GOOD))}
    found: dict[str, Any] = min((line["trust"] for line in lines), key=lambda trust: order.get(trust["verdict"], 0))
    return found
