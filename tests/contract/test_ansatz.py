"""What every ansatz must satisfy, and what its choice says of it. A new choice is found by itself."""

import functools
import importlib
import pkgutil
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import nqs_hpc.ansatz
from nqs_hpc.choices import choice, names
from nqs_hpc.choices.ansatz.base import Ansatz as Base
from nqs_hpc.config.basis import basis_of
from nqs_hpc.types import Ansatz, Move
from tests.ansatz.examples import EXAMPLES, of_choice
from tests.contract.test_fermionic_ansatz import NAMES as OF_FERMIONS
from tests.contract.tried import N, configuration, of_spins

NAMES = sorted(EXAMPLES)
CHOICES = of_spins()
# for the facts alone: even, and of a momentum, where some states vanish by symmetry
CHOICES["rbm-even"] = {"name": "rbm", "bias": False}
CHOICES["gcnn-momentum"] = {"name": "gcnn", "layers": 2, "features": 2, "momentum": [1], "dtype": "complex"}
HOLOMORPHIC = [name for name in NAMES if EXAMPLES[name]("float64").kind == "holomorphic"]
SCALES = (0.01, 1.0, 10.0)  # of the parameters

STATES = np.array([[1 - 2 * (k >> i & 1) for i in range(N)] for k in range(2**N)], np.int8)


class Compiled(NamedTuple):
    """The functions of an ansatz, mapped over configurations (and moves) and compiled once for all tests."""

    ansatz: Ansatz
    log_psi: Any
    log_ratio: Any  # of fresh caches, one move a configuration
    log_ratios: Any  # of fresh caches, K moves a configuration
    walk: Any  # the cache after many moves of one configuration


@functools.cache
def compiled(name: str, float_dtype: str = "float64") -> Compiled:
    a = (EXAMPLES[name] if name in EXAMPLES else of_choice(CHOICES[name]))(float_dtype)

    def log_ratio(params, s_N, move):
        frozen = a.freeze(params)
        return a.log_ratio(frozen, s_N, a.prepare(frozen, s_N), move)

    def log_ratios(params, s_N, moves_KF):
        frozen = a.freeze(params)
        return a.log_ratios(frozen, s_N, a.prepare(frozen, s_N), moves_KF)

    def walk(params, s_N, sites_TF, accepted_T):
        """Attempt flips of ``sites_TF``, one row after the other, and take those that are accepted. Returns s', and all
        flips from there by the cache that walked and by a new one.
        """
        frozen = a.freeze(params)

        def step(carry, inputs):
            (s_N, cache), (sites_F, accepted) = carry, inputs
            move = Move(sites_F, -2 * s_N[sites_F])
            attempted = a.attempt(frozen, s_N, cache, move)[1]
            s_new = s_N.at[sites_F].add(jnp.where(accepted, move.deltas, 0))
            return (s_new, a.advance(frozen, s_N, cache, move, attempted, accepted)), None

        (s_N, cache), _ = jax.lax.scan(step, (s_N, a.prepare(frozen, s_N)), (sites_TF, accepted_T))
        flips = Move(jnp.arange(N)[:, None], -2 * s_N[:, None])
        fresh = a.prepare(frozen, s_N)
        return s_N, a.log_ratios(frozen, s_N, cache, flips), a.log_ratios(frozen, s_N, fresh, flips)

    return Compiled(
        ansatz=a,
        log_psi=jax.jit(jax.vmap(a.log_psi, in_axes=(None, 0))),
        log_ratio=jax.jit(jax.vmap(log_ratio, in_axes=(None, 0, 0))),
        log_ratios=jax.jit(jax.vmap(log_ratios, in_axes=(None, 0, 0))),
        walk=jax.jit(jax.vmap(walk, in_axes=(None, 0, 0, 0))),
    )


def random_params(ansatz: Ansatz, scale: float, seed: int = 0):
    """Normal numbers of the given scale in every leaf, biases too."""
    rng = np.random.default_rng(seed)

    def leaf(x):
        value = rng.normal(size=x.shape) + (1j * rng.normal(size=x.shape) if x.dtype.kind == "c" else 0)
        return (scale * value).astype(x.dtype)

    return jax.tree.map(leaf, jax.eval_shape(ansatz.init, jax.random.key(0)))


def moves_of(s_BN: np.ndarray) -> Move:
    """(B, K, 3): nothing; all flips; all exchanges; flips of up to three sites. Pads (0, 0) are repeated, some follow
    real entries, some entries are a zero delta on a real site."""
    rng = np.random.default_rng(1)
    n_b, n = s_BN.shape
    pairs = np.array([(i, j) for i in range(n) for j in range(i + 1, n)])
    si, sj = s_BN[:, pairs[:, 0]], s_BN[:, pairs[:, 1]]
    triples = rng.permuted(np.tile(np.arange(n), (n_b, 8, 1)), axis=-1)[..., :3]
    triple_deltas = (
        -2 * np.stack([s[t] for s, t in zip(s_BN, triples, strict=True)]) * rng.integers(0, 2, triples.shape)
    )
    triples = np.where((triple_deltas == 0) & (rng.integers(0, 2, triples.shape) == 0), 0, triples)
    groups = [
        (np.zeros((n_b, 1, 1)), np.zeros((n_b, 1, 1))),
        (np.tile(np.arange(n)[None, :, None], (n_b, 1, 1)), -2 * s_BN[:, :, None]),
        (np.tile(pairs, (n_b, 1, 1)), np.stack([sj - si, si - sj], axis=-1)),  # deltas 0 where the spins are equal
        (triples, triple_deltas),
    ]
    sites, deltas = (np.concatenate([three_entries(x) for x in xs], axis=1) for xs in zip(*groups, strict=True))
    return Move(jnp.asarray(sites, jnp.int32), jnp.asarray(deltas, jnp.int8))


def three_entries(x: np.ndarray) -> np.ndarray:
    return np.pad(x, [(0, 0), (0, 0), (0, 3 - x.shape[-1])])


def moved(s_BN: np.ndarray, moves: Move) -> np.ndarray:
    """(B, K, N), one entry after the other."""
    out = np.repeat(s_BN[:, None, :], moves.sites.shape[1], axis=1)
    for f in range(moves.sites.shape[2]):
        b, k = np.indices(moves.sites.shape[:2])
        out[b, k, np.asarray(moves.sites)[b, k, f]] += np.asarray(moves.deltas)[b, k, f]
    return out


def numbers(s_BN: np.ndarray) -> np.ndarray:
    """Of configurations (..., N) among STATES."""
    return (s_BN < 0) @ (1 << np.arange(N))


MOVES = moves_of(STATES)


def difference(a, b) -> float:
    """max |a - b|, the imaginary part modulo 2 pi."""
    d = np.asarray(a).astype(complex) - np.asarray(b)
    return float(np.max(np.abs(d.real + 1j * ((d.imag + np.pi) % (2 * np.pi) - np.pi))))


def test_every_file_with_an_ansatz_has_an_example():
    """That is, every file with a function of its own name that returns an Ansatz."""
    factories = set()
    for _, name, _ in pkgutil.iter_modules(nqs_hpc.ansatz.__path__):
        factory = getattr(importlib.import_module(f"nqs_hpc.ansatz.{name}"), name, None)
        if getattr(factory, "__annotations__", {}).get("return") == "Ansatz":
            factories.add(name)
    ours, chosen = {name.split("-")[0] for name in [*NAMES, *OF_FERMIONS]}, set(names("ansatz"))
    assert len(factories) > 10 and factories <= ours and ours - chosen == factories - chosen
    assert {name for name in chosen if choice("ansatz", name).examples} <= ours


@pytest.mark.parametrize("float_dtype", ["float64", "float32"])
@pytest.mark.parametrize("name", NAMES)
def test_log_psi_is_a_finite_scalar_of_its_kind(name, float_dtype):
    c = compiled(name, float_dtype)
    real, cplx = (np.float32, np.complex64) if float_dtype == "float32" else (np.float64, np.complex128)
    wanted = real if c.ansatz.kind == "real" else cplx
    params = random_params(c.ansatz, 1.0)
    log_psi = c.log_psi(params, STATES)
    assert log_psi.shape == (2**N,) and log_psi.dtype == wanted
    assert np.all(np.isfinite(log_psi)) and np.ptp(log_psi.real) > 0.01
    if c.ansatz.kind == "signed":
        assert np.max(np.abs(np.sin(log_psi.imag))) < 1e-6
    assert jax.eval_shape(c.log_ratios, params, STATES, MOVES).dtype == wanted
    if float_dtype == "float32":
        same = jax.tree.map(lambda x, y: x.astype(y.dtype), params, random_params(compiled(name).ansatz, 1.0))
        wide = compiled(name).log_psi(same, STATES)
        assert difference(log_psi, wide) < 1e-5 * max(1.0, np.max(np.abs(wide)))


@pytest.mark.parametrize("name", NAMES)
def test_init_repeats_itself(name):
    init = jax.jit(compiled(name).ansatz.init)
    first, again, other = (jax.tree.leaves(init(jax.random.key(seed))) for seed in (3, 3, 4))
    assert all(np.array_equal(x, y) for x, y in zip(first, again, strict=True))
    # an anchored network begins as its product state, whatever the key
    assert name.startswith("anchored") == all(np.array_equal(x, y) for x, y in zip(first, other, strict=True))
    assert all(np.all(np.isfinite(x)) for x in first)


@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("name", NAMES)
def test_ratios_are_differences_of_log_psi(name, scale):
    c = compiled(name)
    params = random_params(c.ansatz, scale)
    log_psi = np.asarray(c.log_psi(params, STATES))
    log_psi_new = log_psi[numbers(moved(STATES, MOVES))]
    ratios = c.log_ratios(params, STATES, MOVES)
    assert difference(ratios, log_psi_new - log_psi[:, None]) < 1e-10
    rounding = 1e-12 + 1e-13 * np.max(np.abs(log_psi_new))  # of ratios that are differences of log psi
    for k in (0, 3, 12, 25):
        one = c.log_ratio(params, STATES, Move(MOVES.sites[:, k], MOVES.deltas[:, k]))
        assert difference(one, ratios[:, k]) < rounding


@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("name", NAMES)
def test_two_thousand_moves_leave_the_cache_exact(name, scale):
    c = compiled(name)
    params = random_params(c.ansatz, scale)
    first = np.random.default_rng(2).integers(0, N, (4, 2000))
    sites_BTF = np.stack([first, (first + 1 + first % 3) % N], axis=-1).astype(np.int32)
    accepted_BT = np.random.default_rng(3).random((4, 2000)) < 0.8
    s_BN, walked, fresh = c.walk(params, STATES[:4], sites_BTF, accepted_BT)
    flipped = sites_BTF[0][accepted_BT[0]].ravel()
    assert np.array_equal(s_BN[0], STATES[0] * (-1) ** np.bincount(flipped, minlength=N))
    assert difference(walked, fresh) < 1e-10


@pytest.mark.parametrize("name", NAMES)
def test_nothing_compiles_twice(name):
    c = compiled(name)
    for params in (random_params(c.ansatz, 0.1), random_params(c.ansatz, 50.0, seed=1)):
        c.log_ratios(params, STATES[::-1].copy(), MOVES)
    assert c.log_ratios._cache_size() == 1


@pytest.mark.parametrize("name", HOLOMORPHIC)
def test_cauchy_riemann(name):
    """The derivative along i v is i times that along v, by central differences."""
    c = compiled(name)
    params, v = random_params(c.ansatz, 0.1), random_params(c.ansatz, 1.0, seed=7)
    along_v, along_iv = (central_difference(c, params, jax.tree.map(lambda x, u=u: u * x, v)) for u in (1, 1j))
    assert np.max(np.abs(along_iv - 1j * along_v)) < 1e-6 * np.max(np.abs(along_v))


@pytest.mark.parametrize("name", NAMES)
def test_gradients_match_central_differences(name):
    c = compiled(name)
    params, v = random_params(c.ansatz, 0.1), random_params(c.ansatz, 1.0, seed=8)
    s_BN = STATES[::7]
    numeric = central_difference(c, params, v)[::7]
    exact = np.zeros(len(s_BN), complex)
    for part, factor in ((jnp.real, 1), (jnp.imag, 1j)) if c.ansatz.kind != "real" else ((jnp.real, 1),):
        of_part = jax.jit(jax.vmap(jax.grad(lambda p, s, part=part: part(c.ansatz.log_psi(p, s))), in_axes=(None, 0)))
        gradients = jax.tree.leaves(jax.device_get(of_part(params, s_BN)))
        # For complex x jax.grad gives d/dRe x - i d/dIm x, so the derivative along v is Re(grad * v).
        for g, u in zip(gradients, jax.tree.leaves(v), strict=True):
            exact += factor * np.sum((g * u[None]).real.reshape(len(s_BN), -1), axis=1)
    assert np.max(np.abs(numeric - exact)) < 1e-6 * np.max(np.abs(exact))


def log_psi_of(name: str, scale: float = 1.0) -> tuple[Any, Any]:
    """log psi of any configurations (B, N), with random parameters."""
    c = compiled(name)
    params = random_params(c.ansatz, scale)
    return c.ansatz, lambda s_BN: np.asarray(c.log_psi(params, s_BN))


@pytest.mark.parametrize("name", CHOICES)
def test_what_a_choice_says_of_its_kind(name):
    """A row of the kernel is as wide as its kind needs, conditionals are there, and the modulus is that of the key."""
    config, (ansatz, log_psi) = configuration(ansatz=CHOICES[name], sector="none"), log_psi_of(name)
    said, lattice = config.ansatz, config.make_sites()
    needed = {"real": 1, "signed": 1, "holomorphic": 2, "complex": 4}[ansatz.kind]
    assert said.row_size() >= needed
    assert said.row_size() == needed or type(said).row_size is Base.row_size  # whose answer is safe for all
    assert said.has_signs(lattice, lambda: basis_of(config, lattice)) == (ansatz.kind == "signed")
    assert said.has_conditionals() == (ansatz.conditionals is not None)
    key, part = said.modulus_of()
    if not key:
        assert part is said
    if ansatz.modulus is not None:
        assert part.has_conditionals() == (ansatz.modulus.conditionals is not None)
        modulus = jax.vmap(ansatz.modulus.log_psi, in_axes=(None, 0))(random_params(ansatz, 1.0), STATES)
        assert difference(modulus, log_psi(STATES).real) < 1e-12


@pytest.mark.parametrize("name", CHOICES)
def test_what_a_choice_says_of_its_symmetry(name):
    """Whatever the parameters, log psi is invariant under the permutations it names, a group; it is even where it says
    so, and in the sector that its keys choose.
    """
    config = configuration(ansatz=CHOICES[name], sector="none")
    said, lattice = config.ansatz, config.make_sites()
    basis, (_, log_psi) = basis_of(config, lattice), log_psi_of(name)
    here = log_psi(STATES)
    psi, lives = np.exp(here), np.isfinite(here)
    tiny = 1e-12 * max(1.0, np.abs(here[lives]).max())
    if (perms := said.invariance(lattice, basis)) is not None:
        group = set(map(tuple, perms.tolist()))
        assert tuple(range(N)) in group and all(tuple(p[q]) in group for p in perms for q in perms)
        for perm in perms:
            assert difference(log_psi(STATES[lives][:, perm]), here[lives]) < tiny
    if said.is_even():
        assert difference(log_psi(-STATES), here) < tiny
    own = said.own_symmetry(lattice, basis)
    assert said.has_sector() == (own is not None)
    if own is not None:
        assert (own.flips == 1).all() and own.dimension == 1
        for perm, character in zip(own.perms, own.characters, strict=True):
            carried = np.empty_like(STATES)
            carried[:, perm] = STATES  # (g s) on site perm[i] is s on i
            assert np.abs(np.exp(log_psi(carried)) - character * psi).max() < 1e-11 * np.abs(psi).max()


def central_difference(c: Compiled, params, v, h: float = 1e-5) -> np.ndarray:
    """d log psi / dt of params + t v, (2^N,)."""
    ends = [np.asarray(c.log_psi(jax.tree.map(lambda x, y, t=t: x + t * y, params, v), STATES)) for t in (h, -h)]
    return (ends[0] - ends[1]) / (2 * h)


@pytest.mark.parametrize("name", CHOICES)
def test_whether_parameters_fit_another_lattice(name):
    """The fact of the choice against the shapes on six sites and on a lattice two cells longer."""
    shapes = []
    for longer in (0, 1):
        lattice = {"name": "chain", "extent": [N]} | choice("ansatz", CHOICES[name]["name"]).tried_with.get(
            "lattice", {}
        )
        first, *others = lattice["extent"]
        config = configuration(lattice=lattice | {"extent": [first + 2 * longer, *others]}, ansatz=CHOICES[name])
        lattice = config.make_sites()
        made = config.ansatz.make(lattice, basis_of(config, lattice), "float64")
        shapes.append([leaf.shape for leaf in jax.tree.leaves(jax.eval_shape(made.init, jax.random.key(0)))])
    assert config.ansatz.is_of_one_size() == (shapes[0] != shapes[1])
