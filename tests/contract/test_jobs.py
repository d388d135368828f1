"""Whole jobs, from their keys to steps, samples and checkpoints: every ansatz, sampler and optimizer at least once.

Cases are found by themselves in nqs_hpc/choices: an ansatz, and a sampler or optimizer, with the last and the first of
their `examples`. Six sites, so that all states are known.
"""

import functools
from collections.abc import Collection
from contextlib import suppress
from importlib.util import find_spec
from itertools import zip_longest
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from nqs_hpc.choices import choice, names
from nqs_hpc.config.schema import Config
from nqs_hpc.gradient.flat import flat
from nqs_hpc.gradient.jacobian import jacobian
from nqs_hpc.inputs.checks import InputError
from nqs_hpc.job import checkpoint
from nqs_hpc.operators.local_values import local_energies
from nqs_hpc.parallel.keys import Purpose, purpose_key
from nqs_hpc.parallel.world import alone
from nqs_hpc.parts import Parts, build
from nqs_hpc.system.hilbert import codes, decode
from nqs_hpc.types import RunState
from tests.contract.tried import N, configuration
from tests.systems import SERIAL, amplitudes

N_DRAWN = 4096

NETWORKS = "tests.ansatz.networks"
RBM = {"name": "rbm", "init_scale": 0.3}
ISING: dict[str, Any] = {"hamiltonian": {"name": "ising", "h": 1.3}}
HEISENBERG: dict[str, Any] = {"hamiltonian": {"name": "heisenberg"}}
HUBBARD: dict[str, Any] = {
    "lattice": {"name": "chain", "length": N // 2},
    "hamiltonian": {"name": "hubbard"},
    "sector": [2, 1],
}
METROPOLIS: dict[str, Any] = {"sampler": {"name": "metropolis", "n_chains": 8, "n_samples": 32, "warmup": 8}}


def first_that_fits(*candidates: dict[str, Any]) -> dict[str, Any]:
    for one in candidates:
        with suppress(InputError):
            configuration(**one)
            return one
    raise AssertionError(f"no configuration takes this: {candidates[0]}")


def of_ansaetze() -> dict[str, dict[str, Any]]:
    """The last example of each: in the sector of Heisenberg's model where its numbers are complex, else Ising's, or
    of what it says it needs. One that can draw its own samples does.
    """
    found = {}
    for name in names("ansatz"):
        if not (examples := choice("ansatz", name).examples):
            continue
        ansatz: dict[str, Any] = {"name": name, **examples[-1]}
        model = choice("ansatz", name).tried_with or (HEISENBERG if ansatz.get("dtype") == "complex" else ISING)
        if choice("ansatz", name).needs_fermions:
            model = HUBBARD
        direct = {"sampler": {"name": "autoregressive", "n_samples": 32}}
        sampler = direct if choice("ansatz", name).is_autoregressive else METROPOLIS
        found[name] = {"ansatz": ansatz, **model, **sampler}
    return found


def of_samplers_and_optimizers() -> dict[str, dict[str, Any]]:
    """One of each side by side, with an RBM where the sampler takes it; of the shorter list the default beside the rest
    of the longer one.
    """
    found = {}
    for sampler, optimizer in zip_longest(names("sampler"), names("optimizer")):
        given: dict[str, Any] = dict(ISING)
        if sampler is not None:
            given["sampler"] = {"name": sampler, **choice("sampler", sampler).examples[0]}
        else:
            given |= METROPOLIS
        if optimizer is not None:
            given["optimizer"] = {"name": optimizer, **choice("optimizer", optimizer).examples[0]}
        ansaetze = (RBM, {"name": "masked_dense", "features": 3})
        pair = "-".join(filter(None, (sampler, optimizer)))
        found[pair] = first_that_fits(*({**given, "ansatz": ansatz} for ansatz in ansaetze))
    return found


# what is no choice alone
MORE: dict[str, dict[str, Any]] = {
    "mixture": {
        "ansatz": {"name": "rbm"},
        **HEISENBERG,
        "sampler": METROPOLIS["sampler"] | {"move": {"exchange": 2, "global_flip": 1, "hamiltonian": 1}},
    },
    "adaptive": {"ansatz": {"name": "rbm"}, **ISING, "sampler": METROPOLIS["sampler"] | {"sweep": "adaptive"}},
    "trusted": {
        "ansatz": RBM,
        "optimizer": {"name": "minsr", "momentum": 0.5, "trust_region": "shift", "clip": 3, "signal_to_noise": 1},
        **ISING,
        **METROPOLIS,
    },
    "line-search": {
        "ansatz": RBM,
        "optimizer": {"name": "minsr", "momentum": 0.5, "learning_rate": 0.5, "line_search": [0.1, 0.5, 1]},
        **ISING,
        **METROPOLIS,
    },
    "muon": {
        "ansatz": {"name": "mlp", "alphas": [1]},
        "optimizer": {"name": "optax", "rule": "muon"},
        **ISING,
        **METROPOLIS,
    },
    "block-diagonal": {
        "ansatz": {"name": "mlp", "alphas": [1], "dtype": "complex"},
        "optimizer": {"name": "sr", "block_diagonal": "layers", "trust_region": "step"},
        **ISING,
        **METROPOLIS,
    },
    "masked_conv-metropolis": {"ansatz": {"name": "masked_conv"}, **ISING, **METROPOLIS},
    "symmetrize-signed-sector": {
        "ansatz": {"name": "jastrow", "init_scale": 0.3},
        "symmetrize": {"group": "space_group", "momentum": 3, "spin_flip": -1},
        **HEISENBERG,
        **METROPOLIS,
    },
    "flax": {
        "ansatz": {"name": "flax", "module": f"{NETWORKS}:Phase", "arguments": {"widths": [4]}},
        **ISING,
        **METROPOLIS,
    },
    "equinox": {
        "ansatz": {"name": "equinox", "module": f"{NETWORKS}:EquinoxNet", "arguments": {"n_sites": 6, "width": 4}},
        **HEISENBERG,
        **METROPOLIS,
    },
}
PAIRS = of_samplers_and_optimizers()
CASES = of_ansaetze() | PAIRS | MORE
NAMES = [name for name in sorted(CASES) if name not in ("flax", "equinox") or find_spec(name)]
DRAWING = [name for name in NAMES if not choice("sampler", CASES[name]["sampler"]["name"]).is_exact]
# Cases whose samples are counted in every run of the suite: each sampler and kind of move once, and each ansatz that
# draws its samples itself. Metropolis sees an ansatz by its ratios alone, which test_ansatz compares with log psi.
DRAWN = [name for name in DRAWING if name in PAIRS or CASES[name]["sampler"]["name"] == "autoregressive"]
DRAWN += ["rbm", "mixture", "adaptive"]
# Cases whose local energies and Jacobians are cut in every run: networks of all kinds, of ours and of another library.
CUT = ("rbm", "jastrow", "resnet", "modulus_phase", "masked_conv", "symmetrize-signed-sector", "flax")
SLOW = pytest.mark.slow
ALONE = alone()


class Job(NamedTuple):
    config: Config
    parts: Parts
    params: Any
    history: list[RunState]  # before each of three steps, and behind the last


@functools.cache
def job(name: str) -> Job:
    """Three steps, once for all tests."""
    config = configuration(**{"optimizer.learning_rate": 0.02}, **CASES[name])
    parts = build(config, SERIAL)
    state = parts.task.functions.warmed(parts.task.functions.init())
    history = [state]
    for _ in range(3):
        state = step(parts, state)
        history.append(state)
    return Job(config, parts, history[0].params, history)


def step(parts: Parts, state: RunState) -> RunState:
    driver = parts.task.functions
    moved, samples, counts = driver.sample(state)
    batch, _ = driver.evaluate(state.params, samples, counts)
    return driver.update(state, moved, batch)[0]


def states_of(parts: Parts) -> np.ndarray:
    return jnp.asarray(decode(parts.hilbert, codes(parts.hilbert)))


@pytest.mark.parametrize("name", NAMES)
def test_three_steps_are_taken_and_nothing_compiles_twice(name):
    _, parts, _, history = job(name)
    assert [int(state.step) for state in history] == [0, 1, 2, 3]
    assert int(history[-1].memory.rejected) == 0
    first, last = (np.asarray(flat(state.params, "real").ravel(state.params)) for state in (history[0], history[-1]))
    assert np.all(np.isfinite(last)) and np.any(first != last)
    assert {function._cache_size() for function in parts.task.functions.jitted} == {1}


def slow_but(often: Collection[str], among: list[str] = NAMES) -> list[Any]:
    return [name if name in often else pytest.param(name, marks=SLOW) for name in among]


@pytest.mark.parametrize("name", slow_but(DRAWN, DRAWING))
def test_samples_have_the_distribution_of_the_wave_function(name):
    """Samples of chains that have long forgotten their beginning, one of each, against |psi|^2 of every state."""
    config, parts, params, _ = job(name)
    many = {"n_samples": N_DRAWN}
    if hasattr(config.sampler, "n_chains"):
        many |= {"n_chains": N_DRAWN, "sweep": 20 * N}
    sampler = config.sampler.__class__(**(config.sampler.__dict__ | many)).make(
        parts.ansatz.modulus or parts.ansatz, parts.lattice, parts.hilbert, SERIAL, operator=parts.operator, chunk=None
    )
    states = states_of(parts)
    p = np.abs(amplitudes(parts.ansatz, params, states)) ** 2

    @jax.jit
    def draw(key):
        return sampler.sample(key + 1, params, sampler.init(key))[1]

    drawn = draw(jnp.asarray(purpose_key(1, Purpose.SAMPLE)))
    assert np.ptp(drawn.w_B) == 0 and float(jnp.sum(drawn.w_B)) == pytest.approx(1)
    matches = (np.asarray(drawn.s_BN)[:, None] == states[None]).all(axis=2)
    assert matches.sum() == N_DRAWN  # each is one of the states
    observed, expected = matches.sum(axis=0), N_DRAWN * p
    rare = expected < 5
    if rare.any():
        observed = np.append(observed[~rare], observed[rare].sum())
        expected = np.append(expected[~rare], expected[rare].sum())
    assert stats.chisquare(observed, expected).pvalue > 1e-3


@pytest.mark.parametrize("name", slow_but(CUT))
def test_chunks_change_nothing(name):
    _, parts, params, _ = job(name)
    states = jnp.asarray(states_of(parts))
    found = []
    for chunk in (None, 7):
        e_loc = local_energies(parts.ansatz, parts.operator, chunk=chunk)
        form = flat(params, parts.ansatz.kind)

        @jax.jit
        def both(params, s_BN, e_loc=e_loc, form=form, chunk=chunk):
            rows = jacobian(parts.ansatz, form, params, s_BN, chunk)
            return e_loc(parts.ansatz.freeze(params), s_BN), rows

        found.append(both(params, states))
    for whole, cut in zip(*found, strict=True):
        assert np.abs(whole - cut).max() < 1e-12 * max(1.0, np.abs(whole).max())


@pytest.mark.parametrize("size", [pytest.param(2, marks=SLOW), 4])
@pytest.mark.parametrize("name", slow_but(DRAWN, DRAWING))
def test_samples_do_not_know_how_many_ranks_draw_them(name, size):
    config, parts, params, _ = job(name)
    key = jnp.asarray(purpose_key(2, Purpose.SAMPLE))
    draw_all = parts.task.functions.jitted[2]
    state = parts.task.functions.jitted[1](key + 1, np.int32(0))
    state, first, _ = draw_all(key, params, state)
    whole = (first.s_BN, draw_all(key + 2, params, state)[1].s_BN)
    comm = SERIAL._replace(size=size)
    sampler = config.sampler.make(
        parts.ansatz.modulus or parts.ansatz, parts.lattice, parts.hilbert, comm, operator=parts.operator, chunk=None
    )
    begin, draw = jax.jit(sampler.init), jax.jit(sampler.sample)
    ranks = []
    for rank in range(size):
        state, first, _ = draw(key, params, begin(key + 1, np.int32(rank)))
        ranks.append((first.s_BN, draw(key + 2, params, state)[1].s_BN))
    for one, shares in zip(whole, zip(*ranks, strict=True), strict=True):
        assert np.array_equal(one, np.concatenate(shares))


@pytest.mark.parametrize("name", NAMES)
def test_a_checkpoint_goes_on_bit_for_bit(name, tmp_path):
    _, parts, _, history = job(name)
    checkpoint.save(tmp_path, history[1], ALONE, meta={}, keep=2)
    loaded = checkpoint.load(tmp_path, jax.eval_shape(parts.task.init), ALONE)
    assert loaded is not None
    again = step(parts, step(parts, loaded.state))
    for a, b in zip(jax.tree.leaves(again), jax.tree.leaves(history[3]), strict=True):
        assert np.asarray(a).tobytes() == np.asarray(b).tobytes()
