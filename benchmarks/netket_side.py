"""NetKet's side of the ladder (netket.org; Vicentini et al., SciPost Phys. Codebases 7 (2022), arXiv:2112.10526).

    python benchmarks/netket_side.py versions
    python benchmarks/netket_side.py screen WORKLOAD MEMORY_GIB
    python benchmarks/netket_side.py serve WORKLOAD SETTING

WORKLOAD and SETTING are JSON, as ladder.py writes them. ``screen`` tries NetKet's ways to do the same step, a JSON line
each, and names the fastest and the fastest that solves in sample space. ``serve`` makes one whole step for each line
"step" on standard input, and answers as ladder_side.py does. A whole step is `driver.run(1)`; sampling and local
energies are then timed again by themselves, and the update is what is left of the step.

Nothing is discarded between steps and chains go on where they were. NetKet does not warm chains up, so its first step
holds no warm-up. Imports nothing but NetKet's own dependencies: it may live in an environment of its own.
"""

from __future__ import annotations

import json
import math
import os
import platform
import statistics
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import netket as nk
import numpy as np

SCREENING_STEPS = 3  # of one way, after its first; fewer where they fill SCREENING_SECONDS
SCREENING_SECONDS = 20.0
HOPELESS = 1.5  # a way this much slower than the best gets one measured step
GIVEN_UP = 5.0  # one whose first step takes this many times the best, after COMPILE_SECONDS, gets none
COMPILE_SECONDS = 20.0
REPEATS = 5
FORWARD_CHUNKS = (None, 16384, 1024)  # configurations evaluated at once; None: all
BACKWARD_CHUNKS = (None, 64)  # samples differentiated at once
OPERATORS = ("jax", "numba")

# How an update can be found, what has to fit into memory, and in which space the system is solved.
SOLVERS = {
    "SR, QGTOnTheFly, CG": "parameters",
    "VMC_SR, NTK": "samples",
    "VMC_SR, NTK on the fly": "samples",
    "SR, QGTJacobianDense, CG": "parameters",
    "VMC_SR, QGT": "parameters",
    "SR, QGTJacobianDense, Cholesky": "parameters",
}


class Attention(nn.Module):
    """Multi-head attention between the patches of a torus of ``numbers`` patches, with a bias by relative position."""

    numbers: tuple[int, int]
    width: int
    heads: int

    @nn.compact
    def __call__(self, x):  # (B, n, width)
        n_x, n_y = self.numbers
        place = np.stack(np.divmod(np.arange(n_x * n_y), n_y), axis=1)
        shift = (place[:, None] - place[None]) % self.numbers
        bias = self.param("bias", nn.initializers.zeros, (self.heads, n_x * n_y), float)
        bias = bias[:, shift[..., 0] * n_y + shift[..., 1]]
        qkv = nn.Dense(3 * self.width, use_bias=False, param_dtype=float)(x)
        q, k, v = jnp.split(qkv.reshape(*x.shape[:2], self.heads, -1), 3, axis=-1)
        scores = jnp.einsum("bihd,bjhd->bhij", q, k) / math.sqrt(self.width // self.heads) + bias
        mixed = jnp.einsum("bhij,bjhd->bihd", jax.nn.softmax(scores, axis=-1), v)
        return nn.Dense(self.width, param_dtype=float)(mixed.reshape(x.shape))


class ViT(nn.Module):
    """The vision transformer of nqs_hpc, layer by layer the same, on a square lattice, as one writes it in flax."""

    extent: tuple[int, int]
    patch: int
    width: int
    heads: int
    layers: int

    @nn.compact
    def __call__(self, s):  # (..., N)
        n_x, n_y = (length // self.patch for length in self.extent)
        x = s.reshape(-1, n_x, self.patch, n_y, self.patch).transpose(0, 1, 3, 2, 4)
        x = nn.Dense(self.width, param_dtype=float)(x.reshape(len(x), n_x * n_y, self.patch**2))
        for _ in range(self.layers):
            norm = nn.LayerNorm(param_dtype=float)
            x = x + Attention((n_x, n_y), self.width, self.heads)(norm(x))
            hidden = nn.Dense(4 * self.width, param_dtype=float)(nn.LayerNorm(param_dtype=float)(x))
            x = x + nn.Dense(self.width, param_dtype=float)(nn.gelu(hidden))
        z = nn.LayerNorm(param_dtype=float)(x.sum(axis=1))
        weights = nn.initializers.normal(0.3 * self.width**-0.5)
        theta = nn.Dense(self.width, kernel_init=weights, param_dtype=float)(z)
        return jnp.sum(nk.nn.log_cosh(theta), axis=-1).reshape(s.shape[:-1])


class ResNet(nn.Module):
    """Our `resnet`: blocks of two convolutions behind activations; real parameters, complex out."""

    extent: tuple[int, ...]
    layers: int
    features: int
    kernel: int

    @nn.compact
    def __call__(self, s):  # (..., N)
        def conv(x):
            size = (self.kernel,) * len(self.extent)
            return nn.Conv(self.features, size, padding="CIRCULAR", param_dtype=float)(x)

        s_bN = s.reshape(-1, s.shape[-1]).astype(float)
        x = s_bN.reshape(-1, *self.extent[::-1], 1)
        x = x + conv(nn.gelu(conv(x)))
        for block in range(1, self.layers // 2):
            x = x + conv(nn.gelu(conv(nn.gelu(x / (block + 1) ** 0.5))))
        x = nn.gelu(x / (self.layers // 2 + 1) ** 0.5)
        pooled = x.sum(axis=tuple(range(1, x.ndim - 1)))
        weights = nn.initializers.normal((s.shape[-1] * self.features) ** -0.5)
        out = nn.Dense(2, use_bias=False, kernel_init=weights, param_dtype=float)(pooled)
        return jax.lax.complex(out[:, 0], out[:, 1]).reshape(s.shape[:-1])


class Setting(NamedTuple):
    """One way to make a step."""

    operator: str
    forward_chunk: int | None
    solver: str
    backward_chunk: int | None


class Problem(NamedTuple):
    """What is computed, whatever the way."""

    sampler: Any
    model: Any
    hamiltonian: Callable[[str], Any]  # name of the implementation -> operator
    width: int  # floating-point numbers of one configuration's evaluation
    n_connected: int
    n_samples: int
    diag_shift: float
    learning_rate: float
    is_complex: bool


def problem(workload: dict[str, Any]) -> Problem:
    """The objects of a workload that all settings share."""
    couplings = workload.get("J", [1.0])
    graph = nk.graph.Grid(workload["extent"], pbc=True, max_neighbor_order=len(couplings))
    n = graph.n_nodes
    ops = nk.operator
    if workload["hamiltonian"] == "ising":
        hilbert = nk.hilbert.Spin(0.5, n)
        sampler = nk.sampler.MetropolisLocal(hilbert, n_chains=workload["n_chains"], sweep_size=n)
        kinds = {"jax": ops.IsingJax, "numba": ops.IsingNumba}

        def hamiltonian(name: str):
            return kinds[name](hilbert, graph, h=workload["h"])

        n_connected = n + 1
    else:
        hilbert = nk.hilbert.Spin(0.5, n, total_sz=0)
        nearest = nk.graph.Grid(workload["extent"], pbc=True)
        sampler = nk.sampler.MetropolisExchange(hilbert, graph=nearest, n_chains=workload["n_chains"], sweep_size=n)
        kinds = {"jax": ops.LocalOperatorJax, "numba": ops.LocalOperatorNumba}

        def hamiltonian(name: str):
            if len(couplings) == 1:
                return ops.Heisenberg(hilbert, graph, sign_rule=True, cls=kinds[name])
            signs = [True] + [False] * (len(couplings) - 1)  # Marshall's, on the bonds between the sublattices
            return ops.Heisenberg(hilbert, graph, J=couplings, sign_rule=signs, cls=kinds[name])

        n_connected = graph.n_edges + 1
    if workload["ansatz"] == "rbm":
        model = nk.models.RBM(alpha=workload["alpha"], param_dtype=complex if workload["complex"] else float)
        hidden = workload["alpha"] * n
    elif workload["ansatz"] == "vit":
        sizes = {key: workload[key] for key in ("patch", "width", "heads", "layers")}
        model = ViT(extent=tuple(workload["extent"]), **sizes)
        hidden = 12 * workload["width"] * n // workload["patch"] ** 2
    elif workload["ansatz"] == "resnet":
        sizes = {key: workload[key] for key in ("layers", "features", "kernel")}
        model = ResNet(extent=tuple(workload["extent"]), **sizes)
        hidden = 2 * workload["layers"] * workload["features"] * n
    elif workload["ansatz"] == "gcnn":
        # both ways of NetKet have these parameters; that by Fourier transforms was the faster
        group = graph.translation_group()
        model = nk.models.GCNN(
            symmetries=group,
            mode="fft",
            shape=tuple(workload["extent"]),
            layers=workload["layers"],
            features=workload["features"],
            characters=np.ones(len(group)),
            complex_output=False,
        )
        hidden = workload["layers"] * workload["features"] * n
    elif workload["ansatz"] == "masked_conv":
        model = nk.models.FastARNNConv1D(
            hilbert=hilbert,
            layers=workload["layers"],
            features=workload["features"],
            kernel_size=workload["kernel"],
            param_dtype=float,
        )
        sampler = nk.sampler.ARDirectSampler(hilbert)
        hidden = workload["layers"] * workload["features"] * n
    else:
        alphas = tuple(workload["alphas"])
        model = nk.models.MLP(hidden_dims_alpha=alphas, hidden_activations=jax.nn.gelu, use_output_bias=True)
        hidden = max(alphas) * n
    return Problem(
        sampler=sampler,
        model=model,
        hamiltonian=hamiltonian,
        width=n + 2 * hidden * (2 if workload["complex"] else 1),
        n_connected=n_connected,
        n_samples=workload["n_samples"],
        diag_shift=workload["diag_shift"],
        learning_rate=workload["learning_rate"],
        is_complex=workload["complex"],
    )


def make_state(p: Problem, chunk: int | None) -> nk.vqs.MCState:
    return nk.vqs.MCState(p.sampler, p.model, n_samples=p.n_samples, n_discard_per_chain=0, chunk_size=chunk, seed=0)


def make_driver(p: Problem, setting: Setting) -> Any:
    """A driver of its own state, which starts from the same parameters and chains for every setting."""
    state, hamiltonian = make_state(p, setting.forward_chunk), p.hamiltonian(setting.operator)
    descent = nk.optimizer.Sgd(p.learning_rate)
    chunk = setting.backward_chunk or p.n_samples  # said in full, for None would mean the forward chunk
    match setting.solver.split(", "):
        case ["VMC_SR", space]:
            return nk.driver.VMC_SR(
                hamiltonian,
                descent,
                diag_shift=p.diag_shift,
                variational_state=state,
                use_ntk=space != "QGT",
                on_the_fly=space == "NTK on the fly",
                chunk_size_bwd=chunk,
            )
        case ["SR", matrix, method]:
            solver = jax.scipy.sparse.linalg.cg if method == "CG" else nk.optimizer.solver.cholesky
            qgt = getattr(nk.optimizer.qgt, matrix)
            holomorphic = True if p.is_complex else None
            sr = nk.optimizer.SR(qgt, solver, diag_shift=p.diag_shift, holomorphic=holomorphic, chunk_size=chunk)
            return nk.VMC(hamiltonian, descent, variational_state=state, preconditioner=sr)
    raise ValueError(setting.solver)


def n_real(p: Problem) -> int:
    """Real parameters."""
    return make_state(p, None).n_parameters * (2 if p.is_complex else 1)


def bytes_forward(p: Problem, chunk: int | None) -> int:
    """What local energies hold at once: the connected configurations and their evaluation."""
    n = p.n_samples * p.n_connected
    return 8 * p.width * (n if chunk is None else min(chunk, n))


def bytes_update(p: Problem, setting: Setting) -> int:
    """What an update holds at once: the quantum geometric tensor, or the Jacobian and a copy of it."""
    real, imaginary = n_real(p), 2 if p.is_complex else 1  # VMC_SR splits samples too into real and imaginary parts
    split = imaginary if setting.solver.startswith("VMC_SR") else 1
    tensor = 8 * real**2 if split == imaginary else 16 * (real // 2) ** 2
    jacobian = 8 * p.n_samples * split * real
    match setting.solver:
        case "SR, QGTOnTheFly, CG":
            return bytes_forward(p, setting.backward_chunk or p.n_samples)
        case "VMC_SR, QGT" | "SR, QGTJacobianDense, Cholesky":
            return tensor + 2 * jacobian
        case _:
            return 2 * jacobian


def seconds_of(act: Callable[[], Any]) -> float:
    begin = time.perf_counter()
    jax.block_until_ready(act())
    return time.perf_counter() - begin


def sample(state: nk.vqs.MCState) -> Any:
    state.reset()
    return state.sample()


def step(driver: Any) -> Any:
    """One whole step, as a user makes it; returns the new parameters."""
    driver.run(1, out=None, show_progress=False)
    return driver.state.parameters


def tried(act: Callable[[], Any], best: float) -> tuple[float, list[float]]:
    """The first call's seconds and those of further calls, fewer where there is no hope of beating ``best``."""
    first = seconds_of(act)
    times: list[float] = []
    if first <= GIVEN_UP * best + COMPILE_SECONDS:
        times.append(seconds_of(act))
        while len(times) < SCREENING_STEPS and times[0] <= HOPELESS * best and sum(times) < SCREENING_SECONDS:
            times.append(seconds_of(act))
    return first, times


def screen(workload: dict[str, Any], memory: float) -> Iterator[dict[str, Any]]:
    """Each way that was tried or left out, those of whole steps with their setting and its seconds, and "done".

    First the implementation of the operator and the forward chunk with the fastest local energies, then with these
    every solver, whole and in backward chunks.
    """
    p = problem(workload)
    best, forward = math.inf, None
    state = make_state(p, None)
    state.sample()
    for operator in OPERATORS:
        hamiltonian = p.hamiltonian(operator)
        for chunk in FORWARD_CHUNKS:
            name = f"local energies, {operator} operator, {in_chunks(chunk)}"
            if (needed := bytes_forward(p, chunk)) > memory:
                yield left_out(name, needed)
                continue
            state.chunk_size = chunk
            first, times = tried(lambda: state.local_estimators(hamiltonian).data, best)  # noqa: B023
            yield {"tried": name, "first_s": first, "seconds": times}
            if times and statistics.median(times) < best:
                best, forward = statistics.median(times), (operator, chunk)
    if forward is None:
        raise MemoryError(f"no local energies of NetKet fit into {memory / 2**30:g} GiB")

    best = math.inf
    for solver in SOLVERS:
        figure = 0.0
        for chunk in BACKWARD_CHUNKS:
            setting = Setting(*forward, solver, chunk)
            name = described(setting)
            if figure > GIVEN_UP * best and SOLVERS[solver] == "parameters":
                yield {"left_out": name, "reason": f"took {figure:.3g} s whole, the fastest {best:.3g} s"}
                continue
            if (needed := bytes_update(p, setting)) > memory:
                yield left_out(name, needed)
                continue
            driver = make_driver(p, setting)
            first, times = tried(lambda: step(driver), best)  # noqa: B023
            if not finite(driver.state.parameters):
                yield {"left_out": name, "reason": "its parameters are not finite after the first steps"}
                continue
            figure = statistics.median(times) if times else first
            best = min(best, figure)
            measured = {"setting": setting._asdict(), "space": SOLVERS[solver], "step_s": figure}
            yield {"tried": name, "first_s": first, "seconds": times} | measured
    yield {"done": True}


def left_out(name: str, needed: float) -> dict[str, Any]:
    return {"left_out": name, "reason": f"needs {needed / 2**30:.1f} GiB"}


def in_chunks(size: int | None) -> str:
    return "whole" if size is None else f"chunks of {size}"


def described(setting: Setting) -> str:
    return (
        f"{setting.solver}, backward {in_chunks(setting.backward_chunk)}; {setting.operator} operator, "
        f"forward {in_chunks(setting.forward_chunk)}"
    )


def finite(params: Any) -> bool:
    return all(bool(jnp.all(jnp.isfinite(leaf))) for leaf in jax.tree.leaves(params))


def serve(workload: dict[str, Any], setting: Setting) -> Iterator[dict[str, Any]]:
    """The first step, then a step for each line "step" on standard input, at the end what a step is made of."""
    p = problem(workload)
    driver = make_driver(p, setting)
    state, hamiltonian = driver.state, p.hamiltonian(setting.operator)
    jax.block_until_ready(step(driver))
    chains = {}
    if not isinstance(p.sampler, nk.sampler.ARDirectSampler):
        chains = {"chains": p.sampler.n_chains, "proposals between samples": p.sampler.sweep_size}
    yield {
        "work": {
            "parameters": n_real(p),
            "samples": state.n_samples,
        }
        | chains,
        "setting": described(setting),
        "threads": len(os.sched_getaffinity(0)),
        "versions": versions(),
    }
    for line in sys.stdin:
        if line.strip() == "step":
            whole = seconds_of(lambda: step(driver))
            sampling = seconds_of(lambda: sample(state))
            energies = seconds_of(lambda: state.local_estimators(hamiltonian).data)
            if not finite(state.parameters):
                raise RuntimeError("the parameters are not finite: the figures are not those of a step")
            yield {
                "step_s": whole,
                "sample_s": sampling,
                "local_energy_s": energies,
                "update_s": whole - sampling - energies,
            }
        else:
            result = {"peak_mb": peak_mb()}  # before the Jacobian is made once more
            if setting.solver == "VMC_SR, NTK" or "QGTJacobianDense" in setting.solver:
                result["jacobian_s"] = jacobian_seconds(p, setting, state)
            if SOLVERS[setting.solver] == "samples":
                result["solve_s"] = solve_seconds(p)
            yield result


def jacobian_seconds(p: Problem, setting: Setting, state: nk.vqs.MCState) -> float:
    """The median seconds of the centred Jacobian alone."""
    samples = state.samples.reshape(-1, state.hilbert.size)
    mode = ("complex" if setting.solver.startswith("VMC_SR") else "holomorphic") if p.is_complex else "real"

    def act() -> Any:
        return nk.jax.jacobian(
            state.model.apply,
            state.parameters,
            samples,
            state.model_state,
            mode=mode,
            dense=True,
            center=True,
            chunk_size=setting.backward_chunk,
        )

    act()
    return statistics.median(seconds_of(act) for _ in range(REPEATS))


def solve_seconds(p: Problem) -> float:
    """The median seconds of NetKet's default solver for a kernel of the workload's size, real as it always is there."""
    rows = p.n_samples * (2 if p.is_complex else 1)
    x = jax.random.normal(jax.random.key(0), (rows, rows)) / math.sqrt(rows)
    kernel = x @ x.T + p.diag_shift * jnp.eye(rows)
    solve = jax.jit(nk.optimizer.solver.cholesky_with_fallback)
    solve(kernel, x[0])
    return statistics.median(seconds_of(lambda: solve(kernel, x[0])) for _ in range(REPEATS))


def peak_mb() -> float:
    """The largest resident memory that this process has had, in MB of 10^6 bytes."""
    with open("/proc/self/status") as file:
        kib = next(line.split()[1] for line in file if line.startswith("VmHWM:"))
    return int(kib) * 1024 / 1e6


def versions() -> dict[str, str]:
    return {"netket": nk.__version__, "jax": jax.__version__, "python": platform.python_version()}


def main() -> None:
    # Standard output is for the answers alone: what NetKet prints goes to standard error.
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    warnings.simplefilter("ignore")
    match sys.argv[1:]:
        case ["versions"]:
            lines = iter([versions()])
        case ["screen", workload, memory]:
            lines = screen(json.loads(workload), float(memory) * 2**30)
        case ["serve", workload, setting]:
            lines = serve(json.loads(workload), Setting(**json.loads(setting)))
        case _:
            raise SystemExit(__doc__)
    for line in lines:
        print(json.dumps(line), file=answers, flush=True)


if __name__ == "__main__":
    main()
