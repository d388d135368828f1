"""Thirty runs, half of them made bad on purpose: which energies does the program believe?

    python benchmarks/trust_study.py [--only NAME ...] [--seed S]

Each run is a whole ground state (training, final evaluation, second ensemble) of 8 to 16 sites in this process. It is
judged without any exact energy, and once more with the exact lowest energy of its sector, as the program itself has it
for systems of this size. Whether the number is right is decided apart, by exact diagonalisation and by the sum over all
states: it is wrong if it lies more than 1 % from the exact lowest energy, or more than five errors and 0.1 % from the
expectation value of its own wave function. Prints a table in Markdown, and how many wrong ones were believed and right
ones doubted.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np

from nqs_hpc.ansatz.full_evaluation import full_evaluation
from nqs_hpc.library import compose
from nqs_hpc.library.pieces import double_precision
from nqs_hpc.parallel.comm import serial
from nqs_hpc.parts import build
from nqs_hpc.types import Ansatz

WRONG, OFF, ERRORS = 0.01, 0.001, 5.0


class Case(NamedTuple):
    what: str
    words: str
    is_bad: bool = False  # on purpose
    spoilt: Callable[[Any], Any] | None = None  # the parameters after training -> those evaluated
    ansatz: Callable[[int], Ansatz] | None = None  # in place of the one that the words name


def spike(params: Any) -> Any:
    """One hidden unit that pulls towards one random configuration: |psi|^2 has a narrow peak there."""
    s_N = np.random.default_rng(1).choice([-1.0, 1.0], params.w.shape[0])
    return params._replace(w=params.w.at[:, 0].set(3.0 * s_N))


def glass(params: Any) -> Any:
    """Random couplings of a Jastrow wave function so strong that no chain leaves its valley."""
    rng = np.random.default_rng(2)
    return params._replace(w=params.w + rng.normal(0.0, 1.2, params.w.shape))


def two_regions(n_sites: int) -> Ansatz:
    """psi = 1 on nearly all states, where random starts lie, and exp(8) where all spins are up, behind states with
    exp(-15): single flips stay among the many states, which have less than 0.1 % of |psi|^2 and look like the ground
    state of a strong field.
    """

    def log_psi(params: Any, s_N: Any) -> Any:
        n_down = jnp.sum(s_N < 0)
        return 0 * params["a"][0] + jnp.where(n_down == 0, 8.0, jnp.where(n_down == 1, -15.0, 0.0))

    return full_evaluation(lambda key: {"a": jnp.zeros(1)}, log_psi, "real")


def bumped(params: Any) -> Any:
    """Every parameter with noise of a tenth of its size."""
    import jax

    rng = np.random.default_rng(3)
    return jax.tree.map(lambda x: x + 0.3 * np.abs(np.asarray(x)).mean() * rng.normal(size=x.shape), params)


FEW = "sampler.n_chains=64 sampler.n_samples=512 task.final_samples=8192"
STEPS = "task.n_steps=200"
CASES = {
    # meant well
    "tfim_10": Case("TFIM chain, critical", f"lattice.length=10 {FEW} {STEPS}"),
    "tfim_16_ordered": Case("TFIM chain, ordered", f"lattice.length=16 hamiltonian.h=0.5 {FEW} {STEPS}"),
    "tfim_12_field": Case("TFIM chain, polarised", f"lattice.length=12 hamiltonian.h=2 {FEW} {STEPS}"),
    "tfim_4x4": Case("TFIM square, critical", f"lattice=square hamiltonian.h=3 {FEW} {STEPS}"),
    "tfim_open": Case("TFIM open chain", f"lattice.length=12 lattice.pbc=false hamiltonian.h=1 {FEW} {STEPS}"),
    "ring_10": Case("Heisenberg ring", f"lattice.length=10 hamiltonian=heisenberg ansatz.alpha=2 {FEW} {STEPS}"),
    "ring_16": Case("Heisenberg ring", f"lattice.length=16 hamiltonian=heisenberg ansatz.alpha=2 {FEW} {STEPS}"),
    "square_4x4": Case("Heisenberg square", f"lattice=square hamiltonian=heisenberg ansatz.alpha=2 {FEW} {STEPS}"),
    "tempering": Case(
        "Heisenberg, tempering",
        f"lattice.length=12 hamiltonian=heisenberg ansatz.alpha=2 {STEPS} sampler=tempering "
        "sampler.n_chains=32 sampler.n_samples=512 task.final_samples=8192",
    ),
    "direct": Case(
        "TFIM, independent draws",
        "lattice.length=10 ansatz=masked_dense sampler=autoregressive sampler.n_samples=512 "
        f"task.final_samples=8192 {STEPS}",
    ),
    "exact_sums": Case("TFIM, sums over all states", f"lattice.length=8 sampler=enumerate {STEPS}"),
    "jastrow": Case("TFIM, Jastrow", f"lattice.length=10 hamiltonian.h=1.5 ansatz=jastrow {FEW} {STEPS}"),
    "bosons": Case(
        "Bose-Hubbard",
        f"lattice.length=8 hamiltonian=bose_hubbard hamiltonian.U=6 sector=8 ansatz.alpha=2 {FEW} {STEPS}",
    ),
    "rydberg": Case("Rydberg chain", f"lattice.length=11 hamiltonian=rydberg ansatz.alpha=2 {FEW} {STEPS}"),
    "toric": Case(
        "toric code in a field",
        f"lattice=square lattice.length=2 hamiltonian=toric_code hamiltonian.hx=0.2 ansatz.alpha=2 {FEW} {STEPS}",
    ),
    # made bad on purpose
    "frozen": Case(
        "chains frozen by steps too large",
        f"lattice.length=12 hamiltonian.h=0.5 optimizer=sgd optimizer.learning_rate=20 {FEW} {STEPS}",
        True,
    ),
    "glass": Case("strong random couplings", f"lattice.length=12 ansatz=jastrow {FEW} task.n_steps=50", True, glass),
    "two_regions": Case(
        "a region that single flips do not reach",
        f"lattice.length=12 hamiltonian.h=4 {FEW} task.n_steps=20",
        True,
        ansatz=two_regions,
    ),
    "spiked": Case("one weight vector spiked", f"lattice.length=12 {FEW} {STEPS}", True, spike),
    "bumped": Case("noise on all parameters", f"lattice.length=12 hamiltonian=heisenberg {FEW} {STEPS}", True, bumped),
    "wrong_sign_ring": Case(
        "positive, without Marshall's rule",
        f"lattice.length=12 hamiltonian=heisenberg hamiltonian.marshall=false {FEW} {STEPS}",
        True,
    ),
    "wrong_sign_triangle": Case(
        "positive, frustrated", f"lattice=triangular lattice.extent=[4,3] hamiltonian=heisenberg {FEW} {STEPS}", True
    ),
    "wrong_sign_kagome": Case("positive, frustrated", f"lattice=kagome hamiltonian=heisenberg {FEW} {STEPS}", True),
    "wrong_sector": Case(
        "invariant network, ground state at momentum pi",
        "lattice.length=10 hamiltonian=heisenberg hamiltonian.marshall=false ansatz=cnn "
        f"ansatz.dtype=complex {FEW} {STEPS}",
        True,
    ),
    "mixed_totals": Case(
        "no sector, single flips alone",
        f"lattice.length=12 hamiltonian=heisenberg sector=none sampler.move=flip optimizer=sgd {FEW} {STEPS}",
        True,
    ),
    "two_chains": Case(
        "two chains of two samples",
        "lattice.length=12 hamiltonian=heisenberg sampler.n_chains=2 sampler.n_samples=4 "
        f"task.final_samples=64 {STEPS}",
        True,
    ),
    "short_chains": Case(
        "one proposal a sample, no warm-up",
        "lattice.length=16 hamiltonian=heisenberg sampler.sweep=1 sampler.warmup=0 "
        "sampler.n_chains=16 sampler.n_samples=32 task.final_samples=64 task.n_steps=30",
        True,
    ),
    "stopped_5": Case("stopped after 5 steps", f"lattice=square hamiltonian=heisenberg {FEW} task.n_steps=5", True),
    "stopped_40": Case(
        "stopped after 40 steps, small steps",
        f"lattice=square hamiltonian=heisenberg optimizer.learning_rate=0.005 {FEW} task.n_steps=40",
        True,
    ),
    "adam": Case(
        "a tenth of the steps that Adam needs",
        f"lattice.length=12 hamiltonian=heisenberg optimizer=adam {FEW} task.n_steps=60",
        True,
    ),
}


class Judged(NamedTuple):
    energy: float
    error: float | None
    exact: float
    own: float  # the expectation value of the wave function
    blind: Any  # the ending without an exact energy
    told: Any
    seconds: float
    extra: float | None  # seconds of the second ensemble


def one(case: Case, seed: int) -> Judged:
    begun = time.monotonic()
    double_precision()
    config = compose([*case.words.split(), f"seed={seed}"])
    own_ansatz = None if case.ansatz is None else case.ansatz(config.make_sites().n_sites)
    parts = build(config, serial(), ansatz=own_ansatz)
    task = parts.task
    state, lines = task.warmed(task.init()), []
    while not task.progress(state).is_complete and not task.failed(state):
        state, record = task.turn(state)
        lines.append({"step": int(state.step), **record.line()})
    if case.spoilt is not None:
        params = case.spoilt(state.params)
        state = state._replace(
            params=params, memory=state.memory._replace(good=state.memory.good._replace(params=params))
        )
    exact, own = truth(parts, state.params)
    ended = task.finish(state, lambda: True, lambda line: None)
    blind, told = ended(lines, None), ended(lines, {"energy": exact})
    line = blind.line
    extra = line["trust"].get("second", {}).get("seconds")
    return Judged(line["energy"], line["energy_error"], exact, own, blind, told, time.monotonic() - begun, extra)


def truth(parts: Any, params: Any) -> tuple[float, float]:
    """The exact lowest energy, and <psi|H|psi> / <psi|psi> summed over all states."""
    import jax

    from nqs_hpc.operators import exact
    from nqs_hpc.system.hilbert import codes, decode

    matrix = exact.sparse_matrix(parts.operator, parts.hilbert)
    lowest = float(exact.lowest_states(parts.operator, parts.hilbert)[0][0])
    s_nN = decode(parts.hilbert, codes(parts.hilbert))
    log_n = np.concatenate(
        [np.asarray(jax.vmap(parts.ansatz.log_psi, (None, 0))(params, s)) for s in np.array_split(s_nN, 16)]
    )
    psi_n = np.exp(log_n - log_n.real.max())
    return lowest, float((psi_n.conj() @ (matrix @ psi_n)).real / (psi_n.conj() @ psi_n).real)


def is_wrong(found: Judged) -> bool:
    far = abs(found.energy - found.exact) > WRONG * abs(found.exact)
    off = abs(found.energy - found.own) > max(ERRORS * (found.error or 0.0), OFF * abs(found.exact))
    return not np.isfinite(found.energy) or far or off


def main() -> None:
    asked = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    asked.add_argument("--only", nargs="*", default=list(CASES))
    asked.add_argument("--seed", type=int, default=0)
    options = asked.parse_args()
    print("| run | what | E | exact | of psi | wrong | judged | with the exact energy | why |")
    print("|---|---|---|---|---|---|---|---|---|")
    counts = {"wrong": 0, "right": 0, "believed": 0, "doubted": 0, "told_believed": 0, "told_doubted": 0}
    for name in options.only:
        case = CASES[name]
        found = one(case, options.seed)
        wrong = is_wrong(found)
        counts["wrong" if wrong else "right"] += 1
        for key, ending in (("", found.blind), ("told_", found.told)):
            if wrong == (ending.status == "done"):
                counts[key + ("believed" if wrong else "doubted")] += 1
        checks = found.blind.line["trust"]["checks"]
        against = [
            f"{check} {one['verdict']}" for check, one in checks.items() if one["verdict"] in ("bad", "doubtful")
        ]
        error = found.error if found.error is not None else float("nan")
        print(
            f"| {name} | {case.what} | {found.energy:.4f} ± {error:.4f} | {found.exact:.4f} | {found.own:.4f} "
            f"| {'wrong' if wrong else ''}{'' if wrong == case.is_bad else ' (!)'} "
            f"| {found.blind.status} | {found.told.status} | {', '.join(against)} |",
            flush=True,
        )
        print(f"    {found.seconds:.1f} s, second ensemble {found.extra}", flush=True)
    print(counts)


if __name__ == "__main__":
    main()
