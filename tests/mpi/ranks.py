"""Started under mpiexec by test_ranks.py: many checks in one start, the results as JSON from rank 0."""

import ctypes
import json
import os
import re
import sys
from pathlib import Path

from nqs_hpc.parallel import compile_cache
from nqs_hpc.parallel.world import world

# As jobs do: XLA's work is shared out among the ranks, and what other starts compiled is read.
here = world()
share = compile_cache.use(compile_cache.folder("auto"), len(os.sched_getaffinity(0)), here)

import jax  # noqa: E402

jax.config.update("jax_enable_x64", True)

import jax.numpy as jnp  # noqa: E402
import numpy as np  # noqa: E402
from mpi4jax._src import xla_bridge  # noqa: E402

from nqs_hpc.config.compose import compose  # noqa: E402
from nqs_hpc.config.identity import to_plain  # noqa: E402
from nqs_hpc.gradient.flat import flat  # noqa: E402
from nqs_hpc.parallel import comm as comm_module  # noqa: E402
from nqs_hpc.parallel.ahead import compile_ahead  # noqa: E402
from nqs_hpc.parallel.traffic import collectives  # noqa: E402
from nqs_hpc.parts import build  # noqa: E402
from nqs_hpc.tasks.measurement import parameter_hash  # noqa: E402

comm = comm_module.comm(here)
found = {}

# the collectives, against what every rank's numbers say
mine = jnp.arange(6.0).reshape(2, 3) * (here.rank + 1)
everyone = [np.arange(6.0).reshape(2, 3) * (r + 1) for r in range(here.size)]
blocks = jnp.arange(here.size)[:, None] * 10.0 + here.rank + jnp.zeros((1, 2))
same = {
    "sum": (jax.jit(comm.sum)(mine), sum(everyone)),
    "sum_complex": (jax.jit(comm.sum)(mine * 1j), sum(everyone) * 1j),
    "max": (jax.jit(comm.max)(mine), everyone[-1]),
    "gather": (jax.jit(comm.gather)(mine), np.stack(everyone)),
    "all_to_all": (
        jax.jit(comm.all_to_all)(blocks),
        here.rank * 10.0 + np.arange(here.size)[:, None] + np.zeros((1, 2)),
    ),
}
comm_module.MAX_ELEMENTS = 4  # longer buffers go in pieces
same["gather_in_pieces"] = (jax.jit(lambda x: comm.gather(x))(mine), np.stack(everyone))
same["sum_in_pieces"] = (jax.jit(lambda x: comm.sum(x))(mine), sum(everyone))
wide = jnp.concatenate([blocks, blocks + 0.5], axis=1)
same["all_to_all_in_pieces"] = (
    jax.jit(lambda x: comm.all_to_all(x))(wide),
    np.repeat(here.rank * 10.0 + np.arange(here.size)[:, None], 4, 1) + np.array([[0, 0, 0.5, 0.5]]),
)
comm_module.MAX_ELEMENTS = 2**31 - 1
found["collectives"] = here.allgather({k: float(np.abs(np.asarray(a) - b).max()) for k, (a, b) in same.items()})

# the host's side
found["bcast"] = here.allgather(here.bcast({"rank": here.rank}))
found["flags"] = here.any_flags(1 << here.rank)
found["gather"] = here.gather(here.rank)

# three steps of every optimiser and kind
TIGHT = ["optimizer.solver=cg", "optimizer.cg_tolerance=1e-13"]
RUNS = {
    "minsr-complex-momentum": ["ansatz.dtype=complex", "optimizer.momentum=0.5", "chunk_size=5"],
    "line-search": ["optimizer.line_search=[0.2,1]", "optimizer.learning_rate=0.5"],
    "minsr-mlp-complex": ["ansatz=mlp", "ansatz.alphas=[1]", "ansatz.dtype=complex", "optimizer.broadcast=true"],
    "sr-broadcast": ["optimizer=sr", "optimizer.solver=cholesky", "optimizer.broadcast=true"],
    "sr-cg-complex": ["optimizer=sr", "optimizer.solver=cg", "ansatz.dtype=complex"],
    "sr-block-diagonal": ["optimizer=sr", "optimizer.block_diagonal=layers", "ansatz=mlp", "ansatz.alphas=[1]"],
    "adam": ["optimizer=adam", "chunk_size=7"],
    "optax": ["optimizer=optax", "optimizer.rule=lamb", "ansatz.dtype=complex"],
    "enumerate": ["sampler=enumerate", "lattice.length=5"],
    "heisenberg": ["hamiltonian=heisenberg", "ansatz=jastrow"],
    "bosons": ["hamiltonian=bose_hubbard"],
    "autoregressive": ["ansatz=masked_conv", "sampler=autoregressive", "sampler.n_samples=32"],
    "symmetric": ["hamiltonian=heisenberg", "ansatz=gcnn", "ansatz.layers=2", "ansatz.dtype=complex"],
    "adaptive-mixture": [
        "hamiltonian=heisenberg",
        "sampler.move={exchange: 3, global_flip: 1}",
        "sampler.sweep=adaptive",
    ],
    "tempering": ["sampler=tempering", "sampler.n_replicas=3", "sampler.n_chains=8", "sampler.n_samples=32"],
    "minsr-blocks": ["ansatz=jastrow", "ansatz.dtype=complex", "optimizer.blocks=3", "optimizer.momentum=0.5"],
    "minsr-layers": [
        "ansatz=cnn",
        "ansatz.features=3",
        "ansatz.layers=2",
        "ansatz.dtype=complex",
        "optimizer.blocks=2",
    ],
    "sr-cg-recomputed": ["ansatz=jastrow", "optimizer=sr", "optimizer.solver=cg", "optimizer.blocks=2"],
    "march": ["ansatz.dtype=complex", "optimizer=march", "optimizer.clip=3", "optimizer.trust_region=step"],
    "march-blocks": ["ansatz=jastrow", "optimizer=march", "optimizer.blocks=3", "optimizer.signal_to_noise=1"],
    "blur": ["hamiltonian=heisenberg", "ansatz=jastrow", "sampler.blur=0.3", "sampler.power=1.5"],
    "minsr-cg": [*TIGHT, "optimizer.preconditioner=8", "optimizer.momentum=0.5"],
    "minsr-cg-jastrow": [
        *TIGHT,
        "ansatz=jastrow",
        "ansatz.dtype=complex",
        "sampler.n_chains=6",
        "sampler.n_samples=18",
    ],
    "sr-cg-sketch": ["optimizer=sr", *TIGHT, "optimizer.preconditioner=5"],
    "excited": ["task=excited_state", "task.below=[lower]", "ansatz.dtype=complex", "ansatz.init_scale=0.2"],
}


def run_below() -> None:
    """The folder of a run whose wave function is a state below; its parameters are random ones here."""
    (folder := Path("lower") / "checkpoints").mkdir(parents=True, exist_ok=True)
    plain = to_plain(compose(["lattice.length=6", "ansatz=jastrow"], 1))
    Path("lower/config.yaml").write_text(json.dumps(plain))
    (folder / "step_00000001.h5").touch()


here.bcast(run_below() if here.rank == 0 else None)


def count_at_run_time(on: bool) -> None:
    """mpi4jax says on stdout what it sends, between two marks; its buffer is that of C, not of Python."""
    ctypes.CDLL(None).fflush(None)
    if here.rank == 0:
        print("COUNTING" if on else "COUNTED", flush=True)
    # the first rank alone: lines of two would mix on a busy machine
    xla_bridge.set_logging(on and here.size > 1 and here.rank == 0)


on_four = ("minsr-complex-momentum", "sr-broadcast", "enumerate", "minsr-cg")  # four ranks on two cores take their time
for name, overrides in RUNS.items():
    if here.size == 4 and name not in on_four:
        continue
    keys = ["lattice.length=6"]
    if not any(word.startswith("sampler=") for word in overrides):
        keys += ["sampler.n_chains=8", "sampler.n_samples=32", "sampler.warmup=8"]
    given = [key for key in keys if key.split("=")[0] not in {word.split("=")[0] for word in overrides}]
    config = compose(given + overrides, here.size)
    driver = build(config, comm).task.functions
    compile_ahead(driver.programs(fresh=True), share, here)
    state = driver.warmed(driver.init())
    energies, chains = [], []
    for step in range(3):
        if step == 2:
            jax.block_until_ready(state)
            count_at_run_time(True)
        moved, samples, counts = driver.sample(state)
        batch, shared = driver.evaluate(state.params, samples, counts)
        assert len(set(np.asarray(shared.hash_R).tolist())) == 1
        state, info = driver.update(state, moved, batch)
        energies.append(float(batch.estimate.mean.real))
    jax.block_until_ready(state)
    count_at_run_time(False)
    traced = (
        jax.make_jaxpr(driver.jitted[2])(np.zeros(2, np.uint32), state.params, state.chains["samples"]),
        jax.make_jaxpr(driver.evaluate)(state.params, samples, counts),
        jax.make_jaxpr(driver.update)(state, moved, batch),
    )
    drawn = [samples.own, *samples.lower] if name == "excited" else [samples]
    parts = here.allgather(np.stack([np.asarray(one.s_BN) for one in drawn], axis=1))
    theta = np.asarray(flat(state.params, "real").ravel(state.params))
    found[name] = {
        "energies": energies,
        "collectives": [len(re.findall(r"(?:allreduce|allgather|alltoall)_mpi\[", str(jaxpr))) for jaxpr in traced],
        "executed": [collective._asdict() for jaxpr in traced for collective in collectives(jaxpr.jaxpr)],
        "cg_iterations": float(info.get("cg_iterations", 0)),
        "grad_norm": float(info["grad_norm"]),
        "theta": theta.tolist(),
        "samples": np.concatenate(parts).tolist(),
        "hashes": here.allgather(float(parameter_hash(state.params))),
    }
if here.rank == 0:
    print("RESULT " + json.dumps(found))
sys.stdout.flush()
