"""Against multiplets of the chain that Kronecker products and the bits of whole numbers give, and against a basis of
coupled spins made by Clebsch-Gordan coefficients."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from nqs_hpc.config.compose import compose
from nqs_hpc.config.signs import why_not_positive
from nqs_hpc.inputs.checks import InputError
from nqs_hpc.library.observables import observable
from nqs_hpc.operators.exact import lowest_states, sparse_matrix
from nqs_hpc.operators.heisenberg_su2 import heisenberg_su2
from nqs_hpc.parts import build
from nqs_hpc.system.hilbert import codes, decode
from nqs_hpc.system.spaces import paths
from nqs_hpc.tasks.evaluation import evaluation
from tests.exact_spins import lowest
from tests.systems import SERIAL, all_states, amplitudes, dense

WORDS = ["hamiltonian=heisenberg_su2", "lattice.pbc=false", "lattice.length=8"]


def of_spins(n, J):
    """In the states of `all_states`."""
    return dense(n, [(J / 4, dict.fromkeys((i, i + 1), a)) for i in range(n - 1) for a in "XYZ"]).real


def coupled(path):
    """The state of spins that a path is, with the largest Sz, site 0 the fastest digit and up its 0: each spin is
    coupled to the total j of those before it, by the Clebsch-Gordan coefficients of j x 1/2. They say the state but for
    a sign, of which here every second step down has one: then no element of an antiferromagnet is positive.
    """
    j, of = 0.0, {0.0: np.ones(1)}  # the states of total spin j by their Sz
    for site, step in enumerate(path):
        to, grown = j + step / 2, {}
        for m in np.arange(-to, to + 1):
            up, down = np.sqrt((j + m + 0.5) / (2 * j + 1)), np.sqrt((j - m + 0.5) / (2 * j + 1))
            of_up, of_down = (up, down) if step > 0 else ((-1) ** site * -down, (-1) ** site * up)
            rest = np.zeros(2**site)
            parts = of_up * of.get(m - 0.5, rest), of_down * of.get(m + 0.5, rest)
            grown[m] = np.concatenate(parts)
        j, of = to, grown
    return of[j]


@pytest.mark.parametrize(("n", "J"), [(2, 1.0), (5, -0.7), (6, 1.3)])
def test_elements_are_those_of_coupled_spins(n, J):
    space = paths(n)
    basis = np.array([coupled(path) for path in decode(space, codes(space))])
    assert np.abs(basis @ basis.T - np.eye(len(basis))).max() < 1e-13
    found = sparse_matrix(heisenberg_su2(n, J=J), space).toarray()
    np.testing.assert_allclose(found, basis @ of_spins(n, J) @ basis.T, rtol=0, atol=1e-13)


@pytest.mark.parametrize("n", [2, 3, 6, 7])
def test_each_multiplet_is_one_level(n):
    """Levels with Sz = S are those with Sz = S + 1, and the multiplets of total spin S."""
    up_less_down = all_states(n).sum(axis=1)
    matrix = of_spins(n, 1.0)

    def levels(total):
        here = np.flatnonzero(up_less_down == total)
        return np.linalg.eigvalsh(matrix[np.ix_(here, here)]) if len(here) else np.zeros(0)

    for total in range(n % 2, n + 1, 2):
        own = np.linalg.eigvalsh(sparse_matrix(heisenberg_su2(n, J=1.0), paths(n, total)).toarray())
        np.testing.assert_allclose(np.sort([*own, *levels(total + 2)]), levels(total), rtol=0, atol=1e-12)


@pytest.mark.parametrize(("total", "known"), [(0, -3.3749326), (2, -2.9822405)])
def test_the_lowest_levels_of_eight_sites(total, known):
    energy = lowest_states(heisenberg_su2(8, J=1.0), paths(8, total))[0][0]
    assert energy == pytest.approx(known, abs=1e-7)
    # with a level of higher spin at each Sz, the lowest is that of S = Sz (Lieb and Mattis 1962)
    bonds = {(i, i + 1): 1.0 for i in range(7)}
    assert energy == pytest.approx(lowest(8, bonds, n_up=(8 + total) // 2), abs=1e-10)


@pytest.mark.parametrize("n", [2, 3, 4, 9, 10])
def test_the_mean_of_all_multiplets(n):
    matrix = sparse_matrix(heisenberg_su2(n, J=1.7), paths(n))
    assert heisenberg_su2(n, J=1.7).e_infinity == pytest.approx(matrix.diagonal().mean(), abs=1e-12)


def enumerated(*words):
    config = compose([*WORDS, "sampler=enumerate", *words], 1)
    parts = build(config, SERIAL)
    params = parts.ansatz.init(jax.random.key(2))
    _, samples, counts = parts.sampler.sample(jnp.zeros(2, jnp.uint32), params, ())
    measured = evaluation(parts.ansatz, parts.operator, SERIAL, chain_length=0, chunk=None)
    batch, _ = jax.jit(measured)(params, samples, counts)
    return config, parts, params, batch


@pytest.mark.parametrize("words", [["sector=2"], ["hamiltonian.J=-1", "sector=0"], ["ansatz.dtype=complex"]])
def test_energies_by_enumeration(words):
    """Of a random network, with signs of basis states for J < 0."""
    config, parts, params, batch = enumerated("ansatz.init_scale=0.4", *words)
    space = parts.hilbert
    assert config.sector == int(words[0].removeprefix("sector=")) if "sector" in words[0] else config.sector == 0
    states = decode(space, codes(space))
    psi = amplitudes(parts.ansatz, params, states)
    signs = config.hamiltonian.signs(config.make_sites())
    assert (signs is not None) == (config.hamiltonian.J < 0)
    if signs is not None:
        psi = psi * np.prod(np.where(signs < 0, states, 1), axis=1)
    basis = np.array([coupled(path) for path in states])
    state = psi @ basis
    energy = np.vdot(state, of_spins(8, config.hamiltonian.J) @ state) / np.vdot(state, state)
    assert np.ptp(np.abs(psi)) > 0.1 * np.abs(psi).max()
    assert complex(batch.estimate.mean) == pytest.approx(energy.real, abs=1e-10)


@pytest.mark.parametrize(
    ("n", "words", "sector", "told"),
    [
        (8, [], 0, "total spin 0"),
        (7, [], 1, "total spin 1/2"),
        (7, ["hamiltonian.J=-1"], None, ""),
        (8, ["sector=4"], 4, "total spin 2"),
    ],
)
def test_what_a_resolved_run_says(n, words, sector, told):
    config = compose([*WORDS[:2], f"lattice.length={n}", *words], 1)
    assert config.sector == sector and config.hamiltonian.told(sector, n) == told
    assert why_not_positive(config.hamiltonian, config.make_sites()) is None


REFUSED = [
    (["observables=[total_spin]"], "observables.total_spin", "path of total spins"),
    (["observables=[spin_correlations]"], "observables.spin_correlations", "path of total spins"),
    (["observables=[magnetization]"], "observables.magnetization", "path of total spins"),
    (["observables=[renyi]"], "observables.renyi", "path of total spins"),
    (["observables.zz=pauli", "observables.zz.terms=[1.0 Z0 Z1]"], "observables.zz", "path of total spins"),
    (["symmetrize.group=point_group"], "symmetrize.group", "no spins change places"),
    (["symmetrize.spin_flip=1"], "symmetrize.spin_flip", "null"),
    (["ansatz=gcnn", "ansatz.group=space_group"], "ansatz.group", "another ansatz"),
    (["ansatz=masked_dense"], "ansatz", "steps of paths"),
    (["ansatz=rnn"], "ansatz", "steps of paths"),
    (["ansatz=mps", "sampler=autoregressive"], "sampler", "autoregressive"),
    (["sampler.move={exchange: 1, global_flip: 1}"], "sampler.move.global_flip", "a path with all its steps reversed"),
    (["task=dynamics", "ansatz.dtype=complex", "task.initial=neel"], "task.initial", "path of total spins"),
    (
        ["task=dynamics", "ansatz.dtype=complex", "task.kick={site: 1, strength: 0.1}"],
        "task.kick",
        "path of total spins",
    ),
]


@pytest.mark.parametrize(("words", "key", "why"), REFUSED, ids=[" ".join(words) for words, _, _ in REFUSED])
def test_what_is_of_single_spins_is_refused_in_one_line(words, key, why):
    with pytest.raises(InputError) as refused:
        compose([*WORDS, *words], 1)
    line = str(refused.value)
    assert line.startswith(f"{key}=") and why in line and "\n" not in line


def test_what_is_of_no_single_spins_is_measured():
    config = compose(
        [*WORDS, "observables=[lanczos,qgt]", "observables.step=formula", "observables.step.formula='mean(s)'"], 1
    )
    assert set(config.observables.measured) == {"lanczos", "qgt", "step"}


def test_operators_of_the_other_basis_are_refused():
    su2, sites = (build(compose(words, 1), SERIAL) for words in (WORDS, ["hamiltonian=heisenberg", *WORDS[1:]]))
    for given, parts in itertools.chain(
        [({"name": "heisenberg"}, su2), ("1.0 Z0 Z1", su2)], [({"name": "heisenberg_su2"}, sites)]
    ):
        with pytest.raises(InputError, match="path"):
            observable(given, parts, None, None)
