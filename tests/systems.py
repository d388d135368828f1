"""Small systems that many tests share, and what is known of them exactly, built without the code under test."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np

from nqs_hpc.ansatz.gcnn import gcnn
from nqs_hpc.ansatz.jastrow import jastrow
from nqs_hpc.ansatz.masked_conv import masked_conv
from nqs_hpc.ansatz.masked_dense import masked_dense
from nqs_hpc.ansatz.mlp import mlp
from nqs_hpc.ansatz.modulus_phase import modulus_phase
from nqs_hpc.ansatz.rbm import rbm
from nqs_hpc.ansatz.resnet import resnet
from nqs_hpc.ansatz.symmetrize import symmetrize
from nqs_hpc.ansatz.vit import vit
from nqs_hpc.parallel.comm import Comm
from nqs_hpc.system.characters import Symmetry, momentum, with_spin_flip
from nqs_hpc.system.lattice import FACTORIES
from nqs_hpc.system.patches import patches
from nqs_hpc.system.symmetry import translations
from nqs_hpc.types import Ansatz, Tree

# of a program that runs long, where all others are compiled quickly (tests/conftest.py)
WELL = {"xla_backend_optimization_level": 3, "xla_cpu_use_fusion_emitters": True}
SERIAL = Comm(rank=0, size=1, sum=lambda x: x, max=lambda x: x, gather=lambda x: x[None], all_to_all=lambda x: x)


@functools.cache  # functions that are the same are compiled once
def ansatz_of(name: str, n_sites: int, local_values: tuple[int, ...] = (1, -1)) -> Ansatz:
    """One of each kind: real, holomorphic, complex."""
    match name:
        case "rbm-real" | "rbm-complex":
            dtype, n_hidden = ("real", n_sites) if name == "rbm-real" else ("complex", n_sites + 1)
            return rbm(n_sites, n_hidden=n_hidden, dtype=dtype, bias=True, init_scale=0.3, local_values=local_values)
        case "jastrow":
            return jastrow(n_sites, dtype="real", init_scale=0.3)
        case "mlp-real":
            return mlp(n_sites, widths=(n_sites,), activation="gelu", dtype="real", init_scale=1.0)
        case "mlp-complex":
            return mlp(n_sites, widths=(n_sites,), activation="tanh", dtype="complex", init_scale=1.0)
        case "masked_conv":
            return masked_conv((n_sites,), layers=2, features=3, kernel=3, dtype="complex", local_values=local_values)
        case "masked_dense":
            return masked_dense(n_sites, layers=2, features=3, dtype="real", local_values=local_values)
        case "resnet":
            return resnet((n_sites,), (True,), layers=2, features=3, kernel=(3,), dtype="complex")
        case "vit":
            pairs = patches(FACTORIES["chain"]((n_sites,), (True,)), 2)
            return vit(pairs, width=4, heads=2, layers=1, expansion=2, local_values=local_values)
        case "gcnn":
            return gcnn(turns(n_sites), layers=2, features=2, local_values=local_values)
        case "symmetrize":
            base = ansatz_of("rbm-real", n_sites, local_values)
            return symmetrize(base, turns(n_sites), local_values=local_values)
        case "modulus_phase":
            return modulus_phase(*(ansatz_of(name, n_sites, local_values) for name in ("rbm-real", "mlp-real")))
    raise ValueError(name)


def turns(n_sites: int) -> Symmetry:
    """The translations of a ring, at momentum 0."""
    ring = FACTORIES["chain"]((n_sites,), (True,))
    return with_spin_flip(translations(ring), momentum(ring, None), None)


KINDS = ("rbm-real", "rbm-complex", "mlp-complex")


@functools.cache
def all_states(n_sites: int, total: int | None = None) -> np.ndarray:
    """(D, N) every configuration, bit 0 of the counter = up, site 0 the fastest; with ``total`` those that have it."""
    states = np.array([[1 - 2 * (code >> i & 1) for i in range(n_sites)] for code in range(2**n_sites)], np.int8)
    return states if total is None else states[states.sum(axis=1) == total]


@functools.cache
def all_numbers(n_sites: int, n_max: int, total: int | None = None) -> np.ndarray:
    """(D, N) every way to put at most ``n_max`` bosons on each site, site 0 the fastest; with ``total`` in all."""
    states = np.array([s[::-1] for s in itertools.product(range(n_max + 1), repeat=n_sites)], np.int8)
    return states if total is None else states[states.sum(axis=1) == total]


def amplitudes(ansatz: Ansatz, params: Tree, states: np.ndarray) -> np.ndarray:
    """Normalised psi of all the states given, complex."""
    log_psi = np.asarray(_of_each(ansatz.log_psi, params, jnp.asarray(states)), complex)
    psi = np.exp(log_psi - log_psi.real.max())
    return psi / np.linalg.norm(psi)


@functools.partial(jax.jit, static_argnums=0)  # one program for all parameters of a wave function
def _of_each(log_psi: Callable[[Tree, jax.Array], jax.Array], params: Tree, states: jax.Array) -> jax.Array:
    return jax.vmap(log_psi, in_axes=(None, 0))(params, states)


PAULI = {
    "I": np.eye(2),
    "X": np.array([[0, 1], [1, 0]]),
    "Y": np.array([[0, -1j], [1j, 0]]),
    "Z": np.array([[1, 0], [0, -1]]),
}


def dense(n_sites: int, terms: list[tuple[float, dict[int, str]]]) -> np.ndarray:
    """The matrix of sum_t c_t prod_i sigma_i by Kronecker products, in the order of `all_states`."""
    total = np.zeros((2**n_sites, 2**n_sites), complex)
    for coefficient, factors in terms:
        matrix = np.eye(1)
        for site in range(n_sites):  # site 0 is the fastest index, so it is the last factor
            matrix = np.kron(PAULI[factors.get(site, "I")], matrix)
        total += coefficient * matrix
    return total


def tfim_ring(n_sites: int, h: float) -> np.ndarray:
    """H = -sum sz sz - h sum sx on a ring."""
    bonds = [(-1.0, {i: "Z", (i + 1) % n_sites: "Z"}) for i in range(n_sites)]
    return dense(n_sites, bonds + [(-h, {i: "X"}) for i in range(n_sites)])


def heisenberg_ring(n_sites: int) -> np.ndarray:
    """H = sum S.S on a ring."""
    return dense(n_sites, [(0.25, {i: a, (i + 1) % n_sites: a}) for i in range(n_sites) for a in "XYZ"])


def dense_bosons(n_sites: int, bonds: np.ndarray, n_max: int, *, J: float, U: float, mu: float) -> np.ndarray:
    """H = -J sum (b+ b + h.c.) + U/2 sum n (n - 1) - mu sum n by Kronecker products, in the order of `all_numbers`."""
    lower = np.diag(np.sqrt(np.arange(1.0, n_max + 1)), 1)
    identity = np.eye(n_max + 1)

    def at(site: int, matrix: np.ndarray) -> np.ndarray:
        return functools.reduce(np.kron, [matrix if i == site else identity for i in reversed(range(n_sites))])

    b = [at(i, lower) for i in range(n_sites)]
    number = [at(i, np.diag(np.arange(n_max + 1.0))) for i in range(n_sites)]
    hops = sum(b[i].T @ b[j] + b[j].T @ b[i] for i, j in bonds)
    return -J * hops + sum(U / 2 * (n @ n - n) - mu * n for n in number)


def spin_matrices(two_s: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Sx, Sy, Sz of one spin of length two_s / 2 in the basis of falling m."""
    s = two_s / 2
    m = np.arange(s, -s - 0.5, -1)
    plus = np.diag(np.sqrt(s * (s + 1) - m[1:] * (m[1:] + 1)), 1).astype(complex)
    return (plus + plus.T) / 2, (plus - plus.T) / 2j, np.diag(m).astype(complex)


def dense_modes(n_modes: int) -> list[np.ndarray]:
    """The annihilation operator c_m of each mode by Kronecker products, in the order of the codes of occupations, mode
    0 the fastest; the modes below m are passed with a sign.
    """
    lower, sign, one = np.array([[0.0, 1.0], [0.0, 0.0]]), np.diag([1.0, -1.0]), np.eye(2)
    return [
        functools.reduce(np.kron, [sign if k < m else lower if k == m else one for k in reversed(range(n_modes))])
        for m in range(n_modes)
    ]


def dense_fermions(n_modes: int, terms: list[tuple[complex, list[tuple[int, bool]]]]) -> np.ndarray:
    """sum_t c_t prod_k o_k of (mode, whether it creates), from left to right, in the order of the codes."""
    lower = dense_modes(n_modes)
    total = np.zeros((2**n_modes, 2**n_modes), complex)
    for coefficient, operators in terms:
        matrices = [lower[mode].T if creates else lower[mode] for mode, creates in operators]
        total += coefficient * functools.reduce(np.matmul, matrices, np.eye(2**n_modes))
    return total


def ring(n_sites: int) -> np.ndarray:
    """The bonds of a ring, (N, 2) with i < j."""
    return np.sort(np.stack([np.arange(n_sites), np.roll(np.arange(n_sites), -1)], axis=1), axis=1).astype(np.int32)
