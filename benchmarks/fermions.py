"""Seconds of one whole step of a Slater-Jastrow state on the Hubbard model 8x8: ours, NetKet's, Quantax's, in turn.

    python benchmarks/fermions.py [--n 28] [--steps 5] [--quantax PYTHON]
    python benchmarks/fermions.py --serve ours|netket|quantax [--n 28]

U = 8, n fermions of either spin, 1024 chains of one sample a step, 128 proposals of hops between neighbours before each
sample, local energies, and a step of SR in sample space, in float64. Each side is a process of its own that makes one
step for each line "step" on its standard input; one after the other they are asked, so that what else the machine does
meets all of them alike. Printed is a JSON line: medians of seconds, of processor seconds, and of the ratios to ours
turn by turn, and the peak memory of each side. Each has one core: on more, jaxlib 0.10 can lock NetKet up, whose two
determinants wait for each other's threads.

NetKet: `Slater2nd` times `Jastrow`, `FermiHubbardJax`, `MetropolisFermionHop`, `VMC_SR`. Quantax 0.4 (an environment of
its own, `pip install quantax`): `GeneralDet` times `Jastrow`, with low-rank updates, `ParticleHop`, `SR`.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable

LENGTH, U, SAMPLES, PROPOSALS, SHIFT, RATE = 8, 8.0, 1024, 128, 1e-3, 0.01
ONE_CORE = {"NPROC": "1", "PJRT_NPROC": "1", "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
Step = Callable[[], float]  # makes one step and returns its energy


def ours(n: int) -> Step:
    from nqs_hpc.config.compose import compose
    from nqs_hpc.parallel.launch import place
    from nqs_hpc.parallel.world import world

    here = world()
    keys = ["lattice=square", f"lattice.length={LENGTH}", "hamiltonian=hubbard", f"hamiltonian.U={U}"]
    keys += [f"sector=[{n},{n}]", "ansatz=jastrow_slater", f"sampler.n_chains={SAMPLES}"]
    keys += [f"sampler.n_samples={SAMPLES}", f"sampler.sweep={PROPOSALS}", "sampler.move=hop", "optimizer=minsr"]
    config = compose(keys, here.size)
    place(here)
    import jax

    from nqs_hpc.parallel.comm import comm
    from nqs_hpc.parts import build

    parts = build(config, comm(here))
    functions = parts.task.functions
    state = functions.init()

    def step() -> float:
        nonlocal state
        chains, samples, counts = functions.sample(state)
        batch, _ = functions.evaluate(state.params, samples, counts)
        state, _ = jax.block_until_ready(functions.update(state, chains, batch))
        return float(batch.estimate.mean.real)

    return step


def netket(n: int) -> Step:
    import flax.linen as nn
    import jax
    import netket as nk
    import numpy as np

    graph = nk.graph.Square(LENGTH)
    hilbert = nk.hilbert.SpinOrbitalFermions(LENGTH**2, s=1 / 2, n_fermions_per_spin=(n, n))
    hamiltonian = nk.operator.FermiHubbardJax(hilbert, t=1.0, U=U, graph=graph)

    class Model(nn.Module):
        @nn.compact
        def __call__(self, x):  # type: ignore[no-untyped-def]
            return nk.models.Slater2nd(hilbert, restricted=False)(x) + nk.models.Jastrow(param_dtype=float)(x)

    sampler = nk.sampler.MetropolisFermionHop(hilbert, graph=graph, n_chains=SAMPLES, sweep_size=PROPOSALS)
    state = nk.vqs.MCState(sampler, Model(), n_samples=SAMPLES, n_discard_per_chain=0, seed=1)
    driver = nk.driver.VMC_SR(
        hamiltonian, nk.optimizer.Sgd(RATE), variational_state=state, diag_shift=SHIFT, use_ntk=True, mode="real"
    )

    log = nk.logging.RuntimeLog()

    def step() -> float:
        driver.run(1, out=log, show_progress=False)
        jax.block_until_ready(state.parameters)
        return float(np.asarray(log.data["Energy"]["Mean"])[-1].real)

    return step


def quantax(n: int) -> Step:
    import jax
    import quantax as qtx

    jax.config.update("jax_enable_x64", True)
    import jax.numpy as jnp

    qtx.set_default_dtype(jnp.float64)
    qtx.sites.Square(LENGTH, particle_type=qtx.PARTICLE_TYPE.spinful_fermion, Nparticles=(n, n))
    hamiltonian = qtx.operator.Hubbard(U=U)
    model = qtx.model.GeneralJastrow(qtx.model.Jastrow(dtype=jnp.float64), qtx.model.GeneralDet(dtype=jnp.float64))
    state = qtx.state.Variational(model)
    sampler = qtx.sampler.ParticleHop(state, SAMPLES, sweep_steps=PROPOSALS, thermal_steps=PROPOSALS)
    optimizer = qtx.optimizer.SR(state, hamiltonian)

    def step() -> float:
        samples = sampler.sweep()
        state.update(optimizer.get_step(samples) * RATE)
        jax.block_until_ready(jax.tree.leaves(state.model))
        return float(optimizer.energy)

    return step


SIDES = {"ours": ours, "netket": netket, "quantax": quantax}


def serve(name: str, n: int) -> None:
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    step = SIDES[name](n)
    for _ in range(2):  # programs compile, chains leave their first states
        step()
    print("ready", flush=True)
    for _ in sys.stdin:
        wall, cpu = time.perf_counter(), time.process_time()
        energy = step()
        found = {"s": time.perf_counter() - wall, "cpu_s": time.process_time() - cpu, "energy": energy}
        found["peak_mib"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        print(json.dumps(found), flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--serve", choices=SIDES)
    parser.add_argument("--n", type=int, default=28)
    parser.add_argument("--steps", type=int, default=5)
    parser.add_argument("--sides", nargs="+", choices=SIDES, default=["ours", "netket"])
    parser.add_argument("--quantax", metavar="PYTHON", help="an interpreter with quantax, which is then measured too")
    options = parser.parse_args()
    if options.serve:
        serve(options.serve, options.n)
        return
    names = [*options.sides, *(["quantax"] if options.quantax else [])]
    asked, answers = {}, {name: [] for name in names}
    for name in names:
        python = options.quantax if name == "quantax" else sys.executable
        command = [python, __file__, "--serve", name, "--n", str(options.n)]
        asked[name] = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1, env=os.environ | ONE_CORE
        )
        while (line := asked[name].stdout.readline()) and line.strip() != "ready":
            pass
        if not line:
            sys.exit(f"{name} ended before its first step")
    for _ in range(options.steps):
        for name in names:
            asked[name].stdin.write("step\n")
            answers[name].append(json.loads(asked[name].stdout.readline()))
    for process in asked.values():
        process.stdin.close()
        process.wait()
    result = {"n": options.n}
    for name, rows in answers.items():
        result[name] = {key: round(statistics.median(row[key] for row in rows), 4) for key in rows[0]}
        for key in ("s", "cpu_s"):
            ratios = [row[key] / own[key] for row, own in zip(rows, answers[names[0]], strict=True)]
            result[name][f"{key}_over_{names[0]}"] = round(statistics.median(ratios), 2)
    print(json.dumps(result))


if __name__ == "__main__":
    main()
