"""One velocity of t-VMC here, in NetKet and in jVMC, in turn on one core: seconds of CPU, ratios, one JSON line.

    python benchmarks/velocity.py [WORKLOAD ...] [--rounds 5] [--core 0] [--netket-python PYTHON] [--jvmc-python PYTHON]

A velocity is samples, local energies, derivatives, the geometric tensor or the kernel, and the regularised solution,
from the same parameters, with chains that go on from those of the velocity before. Equal work is the same system and
network (the same number of parameters), samples, chains, proposals between samples, float64, and the same kind of
solution: eigenvalues with a smooth cut, or conjugate gradients to one tolerance. Nothing is discarded between
velocities. ``line`` is our velocity with what a line of metrics.jsonl has besides (r^2 of a held-out half, its noise).

Each contender is a process of its own, one thread on one core, that answers a word with the CPU seconds of one
velocity; a round is one velocity of each. Figures are medians over rounds, ratios medians of the ratios by round.

NetKet: netket.experimental.driver.TDVP (Vicentini et al., SciPost Phys. Codebases 7 (2022), arXiv:2112.10526), from
an environment with `make .venv/.peers`. jVMC: jVMC.util.TDVP and MinSR (Schmitt & Reh, SciPost Phys. Codebases 2
(2022), arXiv:2108.03409); it wants an older jax, so an environment of its own:

    python -m venv .venv-jvmc
    .venv-jvmc/bin/pip install --no-deps jvmc==1.5.8 jax==0.7.2 jaxlib==0.7.2 flax==0.12.8
    .venv-jvmc/bin/pip install "numpy>=2" scipy h5py PyYAML matplotlib mpich mpi4py ml_dtypes opt_einsum msgpack \\
        optax rich orbax-checkpoint tensorstore typing_extensions treescope
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

SHIFT, TOLERANCE = 0.01, 1e-5  # of conjugate gradients
CUT = 1e-6  # of eigenvalues
COMMON = ("task=dynamics", "hamiltonian=ising", "sampler.warmup=10")
EXACTLY = f"task.cut={CUT}"
ITERATING = f"task.solver=cg task.cut=null task.diag_shift={SHIFT}"

WORKLOADS: dict[str, dict[str, Any]] = {
    "ring": {
        "title": "complex RBM alpha=1, TFIM ring of 30, h=1; eigenvalues in parameter space",
        "extent": [30],
        "h": 1.0,
        "ansatz": "rbm",
        "ours": f"lattice=chain lattice.length=30 {EXACTLY} task.solver=parameters",
        "netket": "smooth",
        "jvmc": "TDVP",
        "n_samples": 1024,
        "n_chains": 256,
    },
    "square_cg": {
        "title": "complex RBM alpha=1, TFIM 10x10, h=3; conjugate gradients",
        "extent": [10, 10],
        "h": 3.0,
        "ansatz": "rbm",
        "ours": f"lattice=square lattice.length=10 {ITERATING}",
        "netket": "cg",
        "jvmc": None,
        "n_samples": 1024,
        "n_chains": 256,
    },
    "square": {
        "title": "complex RBM alpha=1, TFIM 10x10, h=3; eigenvalues in sample space (NetKet: conjugate gradients)",
        "extent": [10, 10],
        "h": 3.0,
        "ansatz": "rbm",
        "ours": f"lattice=square lattice.length=10 {EXACTLY} task.solver=samples",
        "netket": "cg",
        "jvmc": "MinSR",
        "n_samples": 1024,
        "n_chains": 256,
    },
    "cnn": {
        "title": "CNN of 2 layers with 8 features, two outputs, TFIM 20x20, h=3; eigenvalues in parameter space",
        "extent": [20, 20],
        "h": 3.0,
        "ansatz": "cnn",
        "ours": f"lattice=square lattice.length=20 {EXACTLY} task.solver=parameters",
        "netket": "smooth",
        "jvmc": "TDVP",
        "n_samples": 512,
        "n_chains": 128,
    },
}
Velocity = Callable[[], int]  # makes one; the number of real parameters


def ours(work: dict[str, Any]) -> dict[str, Velocity]:
    import numpy as np

    from nqs_hpc.config.compose import compose
    from nqs_hpc.parallel.launch import place
    from nqs_hpc.parallel.world import world

    n = int(np.prod(work["extent"]))
    kind = "ansatz=cnn ansatz.layers=2 ansatz.features=8" if work["ansatz"] == "cnn" else "ansatz=rbm ansatz.alpha=1"
    words = f"{work['ours']} {kind} ansatz.dtype=complex hamiltonian.h={work['h']} sampler.sweep={n}"
    words += f" sampler.n_samples={work['n_samples']} sampler.n_chains={work['n_chains']}"
    config = compose([*COMMON, *words.split()], 1)
    here = world()
    place(here)
    import jax

    from nqs_hpc.parallel.comm import comm
    from nqs_hpc.parts import build

    parts = build(config, comm(here))
    functions, state = parts.task.functions, parts.task.warmed(parts.task.init())
    last = {"chains": state.chains["samples"], "count": 0}

    def velocity() -> int:
        last["count"] += 1
        key = np.array([1, last["count"]], np.uint32)
        last["chains"], samples, counts = functions.draw(key, state.params, last["chains"])
        last["batch"], _ = functions.evaluate(state.params, samples, counts, 0.0)
        last["slope"], _ = jax.block_until_ready(functions.project(state.params, last["batch"]))
        return parts.n_parameters

    def line() -> int:
        found = velocity()
        jax.block_until_ready(functions.examine(state.params, last["batch"], last["slope"]))
        return found

    return {"velocity": velocity, "line": line}


def netket(work: dict[str, Any]) -> dict[str, Velocity]:
    import functools

    import jax

    jax.config.update("jax_enable_x64", True)
    import netket as nk
    from netket.experimental.driver import TDVP
    from netket.experimental.driver.tdvp_common import odefun

    graph = nk.graph.Grid(work["extent"], pbc=True)
    hilbert = nk.hilbert.Spin(0.5, graph.n_nodes)
    hamiltonian = nk.operator.IsingJax(hilbert, graph, h=work["h"])
    sampler = nk.sampler.MetropolisLocal(hilbert, n_chains=work["n_chains"], sweep_size=graph.n_nodes)
    is_rbm = work["ansatz"] == "rbm"
    model = nk.models.RBM(alpha=1, param_dtype=complex) if is_rbm else network(work["extent"], 1.0)
    state = nk.vqs.MCState(sampler, model, n_samples=work["n_samples"], n_discard_per_chain=0, seed=1)
    if work["netket"] == "smooth":
        qgt = nk.optimizer.qgt.QGTJacobianDense(holomorphic=is_rbm)
        solver = functools.partial(nk.optimizer.solver.pinv_smooth, rtol=1e-14, rtol_smooth=CUT)
    else:
        qgt = nk.optimizer.qgt.QGTOnTheFly(diag_shift=SHIFT)
        solver = functools.partial(jax.scipy.sparse.linalg.cg, tol=TOLERANCE)
    driver = TDVP(hamiltonian, state, nk.experimental.dynamics.Euler(dt=1e-3), qgt=qgt, linear_solver=solver)
    params = state.parameters

    def velocity() -> int:
        jax.block_until_ready(odefun(state, driver, 0.0, params))
        return int(state.n_parameters) * (2 if is_rbm else 1)

    return {"velocity": velocity}


def jvmc(work: dict[str, Any]) -> dict[str, Velocity]:
    import contextlib

    with contextlib.redirect_stdout(sys.stderr):
        import jax
        import jax.numpy as jnp
        import jVMC
        from jVMC.operator import scal_opstr
        from jVMC.util import TDVP, MinSR

    jax.config.update("jax_enable_x64", True)
    n_x, n_y = (work["extent"] * 2)[:2] if len(work["extent"]) == 2 else (work["extent"][0], 1)
    n, is_rbm = n_x * n_y, work["ansatz"] == "rbm"
    hamiltonian = jVMC.operator.BranchFreeOperator()
    for i in range(n):
        x, y = divmod(i, n_y)
        for j in [(x + 1) % n_x * n_y + y, *([x * n_y + (y + 1) % n_y] if n_y > 1 else [])]:
            hamiltonian.add(scal_opstr(-1.0, (jVMC.operator.Sz(i), jVMC.operator.Sz(j))))
        hamiltonian.add(scal_opstr(-work["h"], (jVMC.operator.Sx(i),)))
    net = jVMC.nets.CpxRBM(numHidden=n, bias=True) if is_rbm else network(work["extent"], 2.0, 1.0)
    psi = jVMC.vqs.NQS(net, seed=1, batchSize=work["n_samples"])
    shape = {"numChains": work["n_chains"], "numSamples": work["n_samples"], "sweepSteps": n}
    sampler = jVMC.sampler.MCSampler(
        psi,
        (n,),
        jax.random.PRNGKey(1),
        updateProposer=jVMC.sampler.propose_spin_flip,
        thermalizationSweeps=0,
        initState=jnp.asarray([i % 2 for i in range(n)], jnp.int32),
        **shape,
    )
    if work["jvmc"] == "TDVP":
        solve: Any = TDVP(sampler, rhsPrefactor=1.0j, snrTol=1e-12, pinvTol=0.0, pinvCutoff=CUT, makeReal="real")
    else:
        solve = MinSR(sampler, pinvTol=CUT)
    psi(sampler.states)
    params = psi.get_parameters()

    def velocity() -> int:
        jax.block_until_ready(solve(params, 0.0, psi=psi, hamiltonian=hamiltonian, intStep=1))
        return sum(leaf.size for leaf in jax.tree.leaves(psi.params)) * (2 if is_rbm else 1)

    return {"velocity": velocity}


def network(extent: list[int], scale: float, shift: float = 0.0) -> Any:
    """The network of ansatz=cnn in flax: s -> scale s - shift is +1 or -1."""
    import math

    import flax.linen as nn
    import jax

    class Cnn(nn.Module):
        @nn.compact
        def __call__(self, s: Any) -> Any:
            x = (scale * s - shift).reshape(-1, *extent, 1).astype(float)
            for _ in range(2):
                x = nn.Conv(8, (3,) * len(extent), padding="CIRCULAR", param_dtype=float)(x)
                x = nn.gelu(x)
            sums = x.sum(axis=tuple(range(1, 1 + len(extent))))
            weights = jax.nn.initializers.normal((8 * math.prod(extent)) ** -0.5)
            out = nn.Dense(2, use_bias=False, kernel_init=weights, param_dtype=float)(sums)
            return (out[:, 0] + 1j * out[:, 1]).reshape(s.shape[:-1])

    return Cnn()


def serve(side: str, work: dict[str, Any]) -> None:
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    velocities = {"ours": ours, "netket": netket, "jvmc": jvmc}[side](work)

    def say(answer: dict[str, Any]) -> None:
        print(json.dumps(answer), file=answers, flush=True)

    for velocity in velocities.values():
        velocity()
    say({"parameters": velocities["velocity"]()})
    for word in sys.stdin:
        wall, cpu = time.perf_counter(), time.process_time()
        velocities[word.strip()]()
        say({"cpu_s": time.process_time() - cpu, "wall_s": time.perf_counter() - wall})


def started(side: str, python: str, work: dict[str, Any], core: int) -> Any:
    names = ("PJRT_NPROC", "NPROC", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
    environment = os.environ | dict.fromkeys(names, "1") | {"XLA_FLAGS": "--xla_cpu_multi_thread_eigen=false"}
    command = ["taskset", "-c", str(core), python, __file__, "serve", side, json.dumps(work)]
    pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    if not os.environ.get("QUIET"):
        pipes["stderr"] = None
    return subprocess.Popen(command, text=True, env=environment, **pipes)


def asked(process: Any, word: str = "") -> dict[str, Any]:
    if word:
        print(word, file=process.stdin, flush=True)
    answer = process.stdout.readline()
    if not answer:
        raise SystemExit(f"a contender ended with code {process.wait()}")
    return json.loads(answer)


def measured(name: str, rounds: int, pythons: dict[str, str], core: int) -> dict[str, Any]:
    work = WORKLOADS[name]
    sides = [side for side, python in pythons.items() if python and work[side]]
    running = {side: started(side, pythons[side], work, core) for side in sides}
    parameters = {side: asked(process)["parameters"] for side, process in running.items()}
    words = [("ours", "velocity"), ("ours", "line"), *[(side, "velocity") for side in sides if side != "ours"]]
    times: dict[str, list[float]] = {" ".join(pair): [] for pair in words}
    for _ in range(rounds):
        for side, word in words:
            times[f"{side} {word}"].append(asked(running[side], word)["cpu_s"])
    for process in running.values():
        process.stdin.close()
        process.wait()
    own = times["ours velocity"]
    ratios = {
        who: round(statistics.median(b / a for a, b in zip(own, theirs, strict=True)), 2)
        for who, theirs in times.items()
        if not who.startswith("ours")
    }
    cpu = {who: round(statistics.median(values), 4) for who, values in times.items()}
    return {"workload": name, "title": work["title"], "parameters": parameters, "cpu_s": cpu, "ratios": ratios}


def main() -> None:
    if sys.argv[1:2] == ["serve"]:
        serve(sys.argv[2], json.loads(sys.argv[3]))
        return
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("workloads", nargs="*", default=list(WORKLOADS), metavar="WORKLOAD", help=", ".join(WORKLOADS))
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--core", type=int, default=0)
    parser.add_argument("--netket-python", default=sys.executable, help="empty: leave it out")
    parser.add_argument("--jvmc-python", default="", help="empty: leave it out")
    given = parser.parse_args()
    if unknown := [name for name in given.workloads if name not in WORKLOADS]:
        parser.error(f"no workload {unknown[0]}; valid: {', '.join(WORKLOADS)}")
    pythons = {"ours": sys.executable, "netket": given.netket_python, "jvmc": given.jvmc_python}
    for name in given.workloads:
        print(json.dumps(measured(name, given.rounds, pythons, given.core)), flush=True)


if __name__ == "__main__":
    main()
