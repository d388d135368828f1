"""One network for a list of couplings: against dense matrices, exact distributions, ordinary runs, and restarts."""

import functools
import json
import shutil
import subprocess
import sys

import h5py
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from scipy import stats

from nqs_hpc.ansatz.couplings import carrying, numbered
from nqs_hpc.ansatz.foundation_vit import foundation_vit
from nqs_hpc.ansatz.vit import vit
from nqs_hpc.config.compose import InputError, compose, from_plain
from nqs_hpc.config.identity import to_plain
from nqs_hpc.gradient.flat import flat
from nqs_hpc.operators.ising import ising
from nqs_hpc.operators.ramped import Coupling, of_list, ramped
from nqs_hpc.parallel.keys import Purpose, purpose_key
from nqs_hpc.sampler.adaptive import Bounds, stretched
from nqs_hpc.sampler.each import chains_of_each, enumeration_of_each, groups_of_chains
from nqs_hpc.sampler.enumerate import enumeration
from nqs_hpc.sampler.metropolis import metropolis
from nqs_hpc.sampler.moves import flip
from nqs_hpc.system.hilbert import spin_half
from nqs_hpc.system.lattice import FACTORIES
from nqs_hpc.system.patches import patches
from nqs_hpc.tasks.evaluation import evaluation
from nqs_hpc.tasks.vmc import vmc
from nqs_hpc.types import WithCouplings
from nqs_hpc.update.first_order import first_order
from nqs_hpc.update.minsr import in_samples, minsr
from tests.emulated import comm_of, on_ranks
from tests.systems import SERIAL, all_states, amplitudes, ring, tfim_ring

N = 6
H = (0.4, 1.0, 1.7)
SPACE = spin_half(N)
SIZES = {"width": 4, "heads": 2, "layers": 1, "expansion": 2}
SHIFT = 1e-3


def rate(x):
    return optax.constant_schedule(x)


@functools.cache
def network(dtype: str = "real", G: int = 1):
    return foundation_vit(patches(FACTORIES["chain"]((N,), (True,)), 2), couplings=(0.7,) * G, dtype=dtype, **SIZES)


told = functools.cache(carrying)  # one program for all couplings


def operator_of(values):
    values = tuple(values)
    if len(set(values)) == 1:
        return ising(N, ring(N), J=1.0, h=values[0])
    one = Coupling(of_list(values), min(values), max(values))
    return ramped(lambda c: ising(N, ring(N), J=1.0, h=c[0]), [one], SPACE).operator


def couplings(values=H):
    return np.array(values)[:, None]


def params_of(ansatz, seed=3):
    """Far from the start, so that the wave functions of different couplings differ."""
    start = ansatz.init(jax.random.key(seed))
    keys = jax.random.split(jax.random.key(seed + 1), len(jax.tree.leaves(start)))
    noise = [0.3 * jax.random.normal(key, leaf.shape) for key, leaf in zip(keys, jax.tree.leaves(start), strict=True)]
    return jax.tree.map(lambda x, y: x + y, start, jax.tree.unflatten(jax.tree.structure(start), noise))


@functools.cache
def exact_batch(dtype: str):
    """The batch of all states at some parameters."""
    ansatz = network(dtype)
    params = params_of(ansatz)
    sampler = enumeration_of_each(told(ansatz), couplings(), SPACE, SERIAL)
    evaluate = evaluation(ansatz, operator_of(H), SERIAL, chain_length=0, chunk=None, groups=sampler.groups)

    @jax.jit
    def run(params):
        _, samples, info = sampler.sample(jnp.zeros(2, jnp.uint32), params, ())
        return evaluate(params, samples, info)[0]

    return params, run(params)


def energy(ansatz, params, h):
    """<H> of the network that is told h, from all amplitudes."""
    psi = amplitudes(told(ansatz), WithCouplings(params, jnp.array([h])), all_states(N))
    return float(np.real(psi.conj() @ tfim_ring(N, h) @ psi))


def test_the_network_is_a_vit_with_couplings_in_its_embedding():
    """WithCouplings nothing it is the vit; told gamma that with another bias of the embedding; each coupling counts."""
    ansatz, lattice = network("complex", 2), patches(FACTORIES["chain"]((N,), (True,)), 2)
    plain, params = vit(lattice, dtype="complex", **SIZES), params_of(network("complex", 2))
    gamma = jnp.array([0.3, -1.2])
    dense = params.embedding
    own = params._replace(embedding=dense._replace(weight=dense.weight[:2], bias=dense.bias + gamma @ dense.weight[2:]))
    states = all_states(N)
    found = amplitudes(ansatz.bound(gamma), params, states)
    assert np.abs(found - amplitudes(plain, own, states)).max() < 1e-13
    assert np.abs(found - amplitudes(ansatz, params, states)).max() > 1e-3  # told (0.7, 0.7) by itself
    for i in range(2):
        other = amplitudes(told(ansatz), WithCouplings(params, gamma.at[i].add(0.5)), states)
        assert np.abs(other - found).max() > 1e-3


@pytest.mark.parametrize("dtype", ["real", "complex"])
def test_energies_are_expectation_values_and_their_mean_is_minimised(dtype):
    """E_k and L to 1e-12 against dense matrices, and the force against central differences of L."""
    ansatz, (params, batch) = network(dtype), exact_batch(dtype)
    wanted = [energy(ansatz, params, h) for h in H]
    assert np.asarray(batch.groups.each.mean).real == pytest.approx(wanted, rel=1e-12)
    assert complex(batch.estimate.mean).real == pytest.approx(np.mean(wanted), rel=1e-12)
    assert float(batch.estimate.error) == 0 and np.ptp(wanted) > 1
    form = flat(params, dtype)
    theta_P = form.ravel(params)
    update = first_order(numbered(ansatz, couplings()), SERIAL, optax.identity(), learning_rate=rate(-1.0))
    delta, *_ = jax.jit(update.step)(params, update.init(params), batch, jnp.int32(0), jnp.float64(1.0))
    force_P, step = np.asarray(form.ravel(delta)), 1e-5
    for p in np.random.default_rng(0).choice(form.n_parameters, 12, replace=False):
        up, down = (
            np.mean([energy(ansatz, form.unravel(theta_P.at[p].add(sign * step)), h) for h in H]) for sign in (1, -1)
        )
        assert 2 * force_P[p] == pytest.approx((up - down) / (2 * step), abs=1e-7)


@functools.cache
def dense_step_at(dtype):
    """`dense_step` of `exact_batch`."""
    return dense_step(network(dtype), exact_batch(dtype)[0], dtype)


def dense_step(ansatz, params, dtype):
    """F = mean F_k and S = mean S_k from explicit rows of each wave function, centred by its own means."""
    form, states = flat(params, dtype), jnp.asarray(all_states(N))
    force, s_PP = 0, 0

    @jax.jit
    @jax.jacrev
    def rows(theta_P, gamma):
        log_psi = jax.vmap(lambda s_N: ansatz.bound(gamma).log_psi(form.unravel(theta_P), s_N))(states)
        return jnp.stack([jnp.real(log_psi), jnp.imag(log_psi)])

    for h in H:
        psi = amplitudes(told(ansatz), WithCouplings(params, jnp.array([h])), all_states(N))

        re, im = np.asarray(rows(form.ravel(params), jnp.array([h])))
        o, p = re + 1j * im, np.abs(psi) ** 2
        o = o - p @ o
        e_loc = tfim_ring(N, h) @ psi / psi
        force = force + np.real(o.conj().T @ (p * (e_loc - p @ e_loc))) / len(H)
        s_PP = s_PP + np.real(o.conj().T @ (p[:, None] * o)) / len(H)
    return force, s_PP


@pytest.mark.parametrize(("dtype", "blocks"), [("real", 1), ("complex", 1), ("complex", 3)])
def test_the_natural_gradient_is_centred_for_each_coupling(dtype, blocks):
    """(S + lambda)^-1 F; from one mean for all wave functions S would be another, by far."""
    ansatz, (params, batch) = network(dtype), exact_batch(dtype)
    of_all = numbered(ansatz, couplings())
    project = in_samples(of_all, SERIAL, diag_shift=rate(SHIFT), solver="cholesky", blocks=blocks)
    found = jax.jit(project)(params, batch, jnp.int32(0))
    force, s_PP = dense_step(ansatz, params, dtype)
    assert np.abs(np.asarray(found.force_P) - force).max() < 1e-12 * np.abs(force).max()
    wanted = np.linalg.solve(s_PP + SHIFT * np.eye(len(s_PP)), force)
    # the condition of S + lambda, some 1e4, times rounding
    assert np.abs(np.asarray(found.direction_P) - wanted).max() < 1e-9 * np.abs(wanted).max()


def test_blocks_without_layers_are_the_same_step():
    ansatz, (params, batch) = network(), exact_batch("real")
    of_all = numbered(ansatz, couplings())._replace(layered=None)
    project = in_samples(of_all, SERIAL, diag_shift=rate(SHIFT), solver="cholesky", blocks=2)
    force, s_PP = dense_step_at("real")
    wanted = np.linalg.solve(s_PP + SHIFT * np.eye(len(s_PP)), force)
    assert (
        np.abs(np.asarray(jax.jit(project)(params, batch, jnp.int32(0)).direction_P) - wanted).max()
        < 1e-9 * np.abs(wanted).max()
    )


def driver_of(ansatz, sampler, operator, update):
    return vmc(ansatz, operator, sampler, update, SERIAL, seed=1, chunk=None)


def steps(driver, n):
    state, energies = driver.init(), []
    for _ in range(n):
        chains, samples, counts = driver.sample(state)
        batch, _ = driver.evaluate(state.params, samples, counts)
        state, _ = driver.update(state, chains, batch)
        energies.append(float(batch.estimate.mean.real))
    return state, energies


def test_equal_couplings_are_an_ordinary_run():
    """Three times the same coupling, all states: three steps of minSR with momentum, to 1e-12."""
    ansatz, values = network(), (0.9,) * 3
    options = {"learning_rate": rate(0.1), "diag_shift": rate(0.01), "solver": "cholesky", "momentum": 0.5}
    update = minsr(numbered(ansatz, couplings(values)), SERIAL, **options)
    sampler = enumeration_of_each(told(ansatz), couplings(values), SPACE, SERIAL)
    several, energies = steps(driver_of(ansatz, sampler, operator_of(values), update), 3)
    alone = ansatz.bound(jnp.array([0.9]))
    one = driver_of(alone, enumeration(alone, SPACE, SERIAL), operator_of(values), minsr(alone, SERIAL, **options))
    ordinary, wanted = steps(one, 3)
    assert energies == pytest.approx(wanted, rel=1e-12)
    for a, b in zip(jax.tree.leaves(several.params), jax.tree.leaves(ordinary.params), strict=True):
        assert np.abs(a - b).max() < 1e-11  # minSR's kernel of three times the rows has rounding of its own


def chains(values, n_chains, length, *, size=1, sweep=N):
    ansatz, groups = network(), groups_of_chains(couplings(values), size)
    blocks = size * groups.n_local
    numbers = {"n_chains": n_chains // blocks, "n_samples": n_chains // blocks * length}
    block = metropolis(carrying(ansatz), flip(SPACE), SPACE, SERIAL, sweep=sweep, warmup=0, **numbers)
    return chains_of_each(block, groups, comm_of(size) if size > 1 else SERIAL)


def key_of(seed):
    return jnp.asarray(purpose_key(seed, Purpose.SAMPLE))


def test_chi_square_of_the_chains_of_each_coupling():
    """Three seeds, one sample a chain, combined by Fisher's method: p > 0.01 for each, and none fits another's."""
    ansatz, sampler, states = network(), chains(H, 3 * 1024, 1, sweep=20 * N), all_states(N)
    params = params_of(ansatz)
    codes = lambda s: (s.astype(int) > 0) @ 2 ** np.arange(N)  # noqa: E731
    p = [np.abs(amplitudes(told(ansatz), WithCouplings(params, jnp.array([h])), states)) ** 2 for h in H]
    run = jax.jit(lambda key: sampler.sample(key + 1, params, sampler.init(key))[1].s_BN)
    found = np.array([sampler.groups.split(codes(np.asarray(run(key_of(seed))))) for seed in range(3)])
    for k in range(len(H)):
        counts = np.array([np.bincount(one[k], minlength=2**N)[codes(states)] for one in found])
        values = [
            [stats.chisquare(np.append(row[e >= 5], row[e < 5].sum()), np.append(e[e >= 5], e[e < 5].sum())).pvalue
             for row in counts]
            for e in (1024 * other for other in p)
        ]  # fmt: skip
        combined = [stats.combine_pvalues(one).pvalue for one in values]
        assert combined[k] > 0.01 and all(x < 1e-6 for j, x in enumerate(combined) if j != k)


def test_chains_of_equal_couplings_are_those_of_one_sampler():
    values, ansatz = (0.9, 0.9), network()
    params, key = params_of(ansatz), key_of(1)
    alone = metropolis(
        ansatz.bound(jnp.array([0.9])), flip(SPACE), SPACE, SERIAL, n_chains=8, n_samples=32, sweep=N, warmup=0
    )
    several = chains(values, 8, 4)
    runs = [jax.jit(lambda key, one=one: one.sample(key, params, one.init(key)))(key) for one in (alone, several)]
    (state, samples, counts), (other, others, more) = runs
    assert np.array_equal(samples.s_BN, others.s_BN) and np.array_equal(samples.w_B, others.w_B)
    for a, b in zip(jax.tree.leaves(state), jax.tree.leaves(other), strict=True):
        assert np.array_equal(a, b)
    assert float(counts["accepted"]) == float(more["accepted"]) == float(more["accepted_at_0"] + more["accepted_at_1"])


@pytest.mark.parametrize("values", [H[:2], (0.3, 0.5, 1.0, 1.6)])
def test_the_same_chains_on_one_two_and_four_ranks(values):
    """Of fewer couplings than ranks and of more; each sample knows its wave function on every rank."""
    params, key, found = params_of(network()), key_of(2), {}
    for size in (1, 2, 4):
        sampler = chains(values, 16, 2, size=size)
        draw = jax.jit(lambda rank, one=sampler: one.sample(key, params, one.init(key, rank))[1].s_BN)
        found[size] = np.concatenate([np.asarray(draw(jnp.int32(rank))) for rank in range(size)])
        of_block = [np.asarray(sampler.groups.numbers(np.int32(rank))) for rank in range(size)]
        numbers = np.repeat(np.concatenate(of_block), 32 // size // sampler.groups.n_local)
        assert np.array_equal(numbers, np.repeat(np.arange(len(values)), 32 // len(values)))
    assert np.array_equal(found[2], found[1]) and np.array_equal(found[4], found[1])


def test_the_same_step_on_one_and_four_ranks():
    """Two couplings, the chains of each on two ranks: energies and the step of minSR."""
    ansatz, values, found = network(), H[:2], {}
    params, key, operator = params_of(ansatz), key_of(2), operator_of(values)
    for size in (1, 4):
        sampler, comm = chains(values, 16, 2, size=size), comm_of(size)
        evaluate = evaluation(ansatz, operator, comm, chain_length=2, chunk=None, groups=sampler.groups)
        options = {"learning_rate": rate(0.1), "diag_shift": rate(0.01), "solver": "cholesky"}
        update = minsr(numbered(ansatz, couplings(values)), comm, **options)

        def step(rank, sampler=sampler, evaluate=evaluate, update=update):
            _, samples, counts = sampler.sample(key, params, sampler.init(key, rank))
            batch, _ = evaluate(params, samples, counts, rank)
            delta, *_ = update.step(params, (), batch, jnp.int32(0), jnp.float64(1.0))
            return batch, flat(delta, "real").ravel(delta)

        batch, delta_RP = on_ranks(step, size)
        assert np.array_equal(np.asarray(batch.samples.s_BN).reshape(-1, N + 1)[:, -1], batch.groups.of_A[0])
        assert np.array_equal(np.asarray(batch.groups.of_B).ravel(), batch.groups.of_A[0])
        assert np.ptp(np.asarray(delta_RP), axis=0).max() == 0
        found[size] = np.asarray(batch.groups.each.mean)[0], np.asarray(delta_RP)[0]
    assert np.abs(found[4][0] - found[1][0]).max() < 1e-12
    assert np.abs(found[4][1] - found[1][1]).max() < 1e-10


def test_sums_over_all_states_on_two_ranks():
    ansatz, params, batch = network(), *exact_batch("real")
    comm = comm_of(2)
    # the ranks of one program hold the same states: the emulation deals them by the number that a rank is given
    found = []
    for rank in range(2):
        own = enumeration_of_each(told(ansatz), couplings(), SPACE, comm._replace(rank=rank))
        found.append(own.groups)
    assert all(one.parts == 2 and one.n_local == 3 for one in found)
    order = np.arange(2 * 3 * 4).reshape(2, 3, 4)
    assert np.array_equal(found[0].split(order.ravel())[1], order[:, 1].ravel())
    of_A = found[0].joined(np.arange(3), 24)
    assert np.array_equal(of_A.reshape(2, 3, 4)[:, 1], np.ones((2, 4))) and np.all(range(3) == found[0].split(of_A).T)
    assert float(batch.w_A.sum()) == pytest.approx(1, abs=1e-14) and params is not None


def test_the_sweep_follows_how_energies_differ_from_those_of_their_own_coupling():
    """Else the distance of the energies of two couplings would be a correlation that no sweep ends."""
    bounds = Bounds(2, 50)
    sampler = chains(H, 12, 4, sweep=bounds)
    state = sampler.init(key_of(0))
    params = params_of(network())
    _, _, counts = jax.jit(sampler.sample)(key_of(0), params, state)
    assert float(counts["proposed"]) == 12 * 4 * N and 0 < float(counts["accepted"]) < 12 * 4 * N
    e_loc = np.random.default_rng(0).normal(size=(3, 16))
    moved, info = sampler.adapt(state, jnp.asarray((e_loc + 100 * np.arange(3)[:, None]).ravel()), {})
    centred = e_loc - e_loc.mean(axis=1, keepdims=True)
    assert np.allclose(moved.sweep_C, stretched(state.sweep_C, jnp.asarray(centred.reshape(12, 4)), bounds), rtol=1e-12)
    assert int(info["sweep"]) == N and np.ptp(moved.sweep_C) == 0


WORDS = [
    "lattice.length=6", "ansatz=foundation_vit", "ansatz.width=4", "ansatz.heads=2", "ansatz.layers=1",
    "task=foundation", "task.couplings={h: [0.5, 1.0, 1.5]}", "task.final_samples=768",
    "sampler.n_chains=12", "sampler.n_samples=96", "sampler.warmup=8", "optimizer.average=0.9",
]  # fmt: skip


def start(*words, cwd, code=0):
    found = subprocess.run([sys.executable, "-m", "nqs_hpc", *WORDS, *words], capture_output=True, text=True, cwd=cwd)
    assert found.returncode == code, found.stderr
    return found.stderr


def leaves(path):
    found = {}
    with h5py.File(path) as file:
        keep = lambda name, item: found.__setitem__(name, item[()]) if isinstance(item, h5py.Dataset) else None  # noqa: E731
        file.visititems(keep)
    return {name: leaf for name, leaf in found.items() if name != "meta"}


def lines(folder):
    seconds = ("seconds", "sample_s", "local_energy_s", "solve_s")
    found = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    return [{name: value for name, value in line.items() if name not in seconds} for line in found]


def test_a_job_says_each_coupling_and_a_restart_is_exact(tmp_path):
    start("task.n_steps=6", "task.second_samples=96", "run_dir=whole", "checkpoint.every_steps=3", cwd=tmp_path)
    whole, half = tmp_path / "whole", tmp_path / "half"
    found = json.loads((whole / "summary.json").read_text())
    assert [one["hamiltonian.h"] for one in found["couplings"]] == [0.5, 1.0, 1.5]
    assert found["energy"]["mean"] == pytest.approx(np.mean([one["energy"] for one in found["couplings"]]), rel=1e-14)
    errors = [one["error"] for one in found["couplings"]]
    assert found["energy"]["error"] == pytest.approx(np.linalg.norm(errors) / 3, rel=1e-12)
    for one in found["couplings"]:
        assert one["n_samples"] == 768 / 3 and one["trust"]["second"]["n_samples"] >= 512 and 0 < one["acceptance"] < 1
        low = np.linalg.eigvalsh(tfim_ring(6, one["hamiltonian.h"]))[0]
        assert low - 5 * one["error"] < one["energy"] < 0
    last = lines(whole)[-1]
    assert last["energy"] == pytest.approx(np.mean(last["energies"]), rel=1e-14) and len(last["energy_errors"]) == 3
    # stopped after three steps: the same checkpoint, from which the same command goes on
    half.mkdir()
    for name in ("config.yaml", "metrics.jsonl"):
        shutil.copy(whole / name, half)
    (half / "checkpoints").mkdir()
    shutil.copy(whole / "checkpoints/step_00000003.h5", half / "checkpoints")
    start("task.n_steps=6", "task.second_samples=0", "run_dir=half", "checkpoint.every_steps=3", cwd=tmp_path)
    assert lines(half) == lines(whole)
    ours, theirs = leaves(half / "checkpoints/step_00000006.h5"), leaves(whole / "checkpoints/step_00000006.h5")
    assert ours.keys() == theirs.keys() and all(np.array_equal(ours[name], theirs[name]) for name in ours)
    again = json.loads((half / "summary.json").read_text())
    assert [one["energy"] for one in again["couplings"]] == [one["energy"] for one in found["couplings"]]


TOLD, SEVERAL, TWO = "ansatz=foundation_vit", "task=foundation", "task.couplings={h: [0.5, 1.5]}"
THREE = [TOLD, SEVERAL, "task.couplings={h: [1, 1.2, 1.4]}", "sampler.n_samples=96"]


@pytest.mark.parametrize(
    ("words", "n_ranks", "key", "value", "valid"),
    [
        ([TOLD, SEVERAL], 1, "task.couplings", "null", "a mapping {COUPLING: VALUES}"),
        ([TOLD, SEVERAL, "task.couplings={h: [1, x]}"], 1, "task.couplings.h", "[1, x]", "a list of its values"),
        ([TOLD, SEVERAL, "task.couplings={h: [1, 2], g: [1]}"], 1, "task.couplings.h", "[1, 2]", "those of g, 1"),
        ([TOLD, SEVERAL, "task.couplings={k: [1]}"], 1, "task.couplings.k", "[1.0]", "J, h, g"),
        ([TOLD, SEVERAL, "task.couplings={h: [-1, 1]}"], 1, "task.couplings", "{h: [-1.0, 1.0]}", "the same signs"),
        (
            [TOLD, SEVERAL, "hamiltonian=heisenberg", "task.couplings={J: [1.0, -1.0]}"],
            1,
            "task.couplings",
            "{J: [1.0, -1.0]}",
            "at J=-1 that is none, at others 0",
        ),
        ([SEVERAL, TWO], 1, "ansatz", "rbm", "foundation_vit with task=foundation"),
        ([TOLD, SEVERAL, TWO, "optimizer=sr"], 1, "optimizer", "sr", "minsr, march, adam"),
        ([TOLD, SEVERAL, TWO, "optimizer.clip=5"], 1, "optimizer.clip", "5.0", "null with task=foundation"),
        ([TOLD, SEVERAL, TWO, "optimizer.signal_to_noise=2"], 1, "optimizer.signal_to_noise", "2.0", "null with task"),
        ([TOLD, SEVERAL, TWO, "optimizer.line_search=[0.5,1]"], 1, "optimizer.line_search", "[0.5, 1.0]", "null with"),
        ([TOLD, SEVERAL, TWO, "sampler.blur=0.2"], 1, "sampler.blur", "0.2", "null with task=foundation"),
        ([TOLD, SEVERAL, TWO, "sampler.power=1.5"], 1, "sampler.power", "1.5", "null with task=foundation"),
        ([TOLD, SEVERAL, TWO, "observables=[magnetization]"], 1, "observables", "[magnetization]", "nothing with task"),
        ([*THREE, "sampler.n_chains=32"], 1, "sampler.n_chains", "32", "a multiple of the 3 lists of couplings"),
        ([*THREE, "sampler.n_chains=12"], 2, "task.couplings", "{h: [1.0, 1.2, 1.4]}", "number of ranks, 2"),
        (
            [TOLD, SEVERAL, TWO, "sampler=enumerate", "optimizer=adam", "lattice.length=22"],
            1,
            "sampler",
            "enumerate",
            "2 times the states",
        ),
        ([TOLD, SEVERAL, TWO, "sampler=enumerate", "lattice.length=14"], 1, "sampler", "enumerate", "metropolis"),
        ([TOLD, SEVERAL, TWO, "ansatz.couplings=[J]"], 1, "ansatz.couplings", "[J]", "a list with h"),
        ([TOLD, "task=foundation", "task.couplings={h: [1, 1]}"], 1, "task.couplings.h", "[1, 1]", "each point once"),
        ([TOLD, SEVERAL, TWO, "hamiltonian.h=2.0"], 1, "hamiltonian.h", "2.0", "left out: task.couplings has"),
        ([TOLD, "ansatz.couplings=[k]"], 1, "ansatz.couplings", "[k]", "couplings of hamiltonian=ising: J, h, g"),
        (["ansatz=modulus_phase", "ansatz.modulus=foundation_vit"], 1, "ansatz.modulus", "foundation_vit", "antn, "),
    ],
)
def test_bad_input_is_one_line(words, n_ranks, key, value, valid):
    with pytest.raises(InputError) as error:
        compose(words, n_ranks)
    said = str(error.value)
    assert said.startswith(f"{key}={value} is not valid") and valid in said and "\n" not in said


def test_a_network_is_told_the_couplings_of_its_run():
    """With other tasks those of the Hamiltonian, by name; config.yaml says the same."""
    config = compose([TOLD, "hamiltonian.h=0.8", "hamiltonian.g=0.1"], 1)
    assert config.ansatz.couplings == ("J", "h", "g") and config.ansatz.gamma == (1.0, 0.8, 0.1)
    several = compose([TOLD, SEVERAL, "task.couplings={h: [0.5, 1.5], g: [0.1, 0.2]}"], 1)
    assert several.ansatz.couplings == ("g", "h") and several.hamiltonian.h == 1.5
    assert [several.ansatz.told(one) for one in several.task.points(several.hamiltonian)] == [(0.1, 0.5), (0.2, 1.5)]
    assert from_plain(to_plain(several)) == several
    one = compose([TOLD, "ansatz.couplings=[g, h]", "hamiltonian.h=0.8", "hamiltonian.g=0.1"], 1)
    assert one.ansatz.gamma == (0.1, 0.8)
