"""What a Hamiltonian says of itself, against the matrix that its elements make on a few sites.

Every name in nqs_hpc/choices/hamiltonian: its first example on every small lattice that it takes, the others on the
first and the last of them.
"""

import dataclasses
import functools
import itertools
from collections import Counter
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from nqs_hpc.choices.context import Context
from nqs_hpc.choices.hamiltonian.base import Hamiltonian
from nqs_hpc.choices.sampler._moves import MOVES
from nqs_hpc.config.basis import basis_of
from nqs_hpc.config.compose import from_plain
from nqs_hpc.config.identity import to_plain
from nqs_hpc.config.schema import Config
from nqs_hpc.inputs.checks import InputError
from nqs_hpc.inputs.mappings import Weights
from nqs_hpc.system.basis import signs_of_states
from nqs_hpc.system.hilbert import Hilbert, codes, decode, dimension, encode, members
from nqs_hpc.system.lattice import Lattice, neighbours
from nqs_hpc.types import Move, Operator
from tests.contract.tried import cases, configuration

HAMILTONIANS, LATTICES = cases("hamiltonian"), cases("lattice")
MOST_STATES = 256
TINY = 1e-12


class Case(NamedTuple):
    """A Hamiltonian on a lattice, and all its matrix elements."""

    config: Config
    hamiltonian: Hamiltonian
    lattice: Lattice  # of the sites
    hilbert: Hilbert  # all states
    operator: Operator  # without signs of basis states
    states: np.ndarray  # (D, N)
    elements: np.ndarray  # (D, K) <s|H|s'>
    targets: np.ndarray  # (D, K) numbers of s'
    deltas: np.ndarray  # (D, K, F)
    matrix: np.ndarray  # (D, D)


@functools.cache
def configured(name: str, on: str) -> Config | None:
    """None where the Hamiltonian does not take the lattice, or has too many states there."""
    try:
        config = configuration(
            lattice=LATTICES[on], hamiltonian=HAMILTONIANS[name], ansatz="jastrow", optimizer="sgd", sector="none"
        )
    except InputError:
        return None
    return config if dimension(config.hamiltonian.space(config.make_sites().n_sites)) <= MOST_STATES else None


def tried() -> list[tuple[str, str]]:
    found = []
    for name in HAMILTONIANS:
        fit = [on for on in LATTICES if configured(name, on)]
        is_first = not name.partition("-")[2] or name.endswith("-1")
        found += [(name, on) for on in (fit if is_first else dict.fromkeys(fit[:1] + fit[-1:]))]
    return found


CASES = tried()


def filled(operator: Operator, hilbert: Hilbert) -> tuple[np.ndarray, ...]:
    """All diagonal elements, and moves, elements and targets of all states."""
    states = decode(hilbert, codes(hilbert))
    row = jax.jit(jax.vmap(lambda s_N: (operator.diagonal(s_N), *operator.connected(s_N))))
    diagonal, moves, elements = jax.device_get(row(jnp.asarray(states)))
    moved = np.repeat(states[:, None], moves.sites.shape[1], axis=1)
    b, k = np.indices(moves.sites.shape[:2])
    for f in range(moves.sites.shape[2]):
        moved[b, k, moves.sites[..., f]] += moves.deltas[..., f]
    assert np.isin(moved, hilbert.local_values).all(), "a move leads to a value that no site can have"
    matrix = np.diag(diagonal).astype(complex)
    targets = np.searchsorted(codes(hilbert), encode(hilbert, moved))
    assert np.array_equal(states[targets], moved), "a move leads out of the space"
    np.add.at(matrix, (b, targets), elements)
    return states, elements, targets, moves.deltas, matrix


@functools.cache
def case(name: str, on: str) -> Case:
    config = configured(name, on)
    assert config is not None
    hamiltonian, lattice = config.hamiltonian, config.make_sites()
    hilbert = hamiltonian.space(lattice.n_sites)
    operator = hamiltonian.as_written().operator(lattice)
    return Case(config, hamiltonian, lattice, hilbert, operator, *filled(operator, hilbert))


# Each example on the first lattice it fits, the first example on two more; the other lattices are as many again.
FEW = 3


def marked() -> list[Any]:
    count: Counter[str] = Counter()
    found = []
    for name, on in CASES:
        count[name] += 1
        is_first = not name.partition("-")[2] or name.endswith("-1")
        is_slow = count[name] > (FEW if is_first else 1)
        found.append(pytest.param((name, on), marks=pytest.mark.slow if is_slow else (), id=f"{name}-on-{on}"))
    return found


@pytest.fixture(params=marked())
def here(request) -> Case:
    return case(*request.param)


def off_diagonal(here: Case) -> np.ndarray:
    matrix = here.matrix.copy()
    np.fill_diagonal(matrix, 0)
    return matrix


def total_of_each(here: Case) -> list[Any]:
    """The conserved total of each state as `sector` names it: of fermions with spin the numbers of up and down."""
    if here.hilbert.fermionic and here.lattice.layers == 2:
        return [tuple(halves.sum(axis=1).tolist()) for halves in here.states.reshape(len(here.states), 2, -1)]
    return here.states.sum(axis=1, dtype=int).tolist()


def totals(here: Case) -> dict[Any, np.ndarray]:
    """Each total with the numbers of its states."""
    of_each = total_of_each(here)
    return {total: np.array([i for i, t in enumerate(of_each) if t == total]) for total in sorted(set(of_each))}


def sectors(here: Case) -> dict[Any, np.ndarray]:
    """The numbers of all states, and of those of each total that is conserved."""
    found: dict[Any, np.ndarray] = {None: np.arange(len(here.states))}
    return found | (totals(here) if here.hamiltonian.conserves() else {})


def lowest(here: Case, states: np.ndarray) -> float:
    """The lowest level of these states alone."""
    matrix = here.matrix[np.ix_(states, states)]
    return float(np.linalg.eigvalsh(matrix if matrix.imag.any() else matrix.real)[0])


def is_joined(joined: np.ndarray) -> bool:
    """Whether from the first state all others are reached, by a matrix that says which states are joined."""
    reached = np.zeros(len(joined), bool)
    reached[0] = True
    for _ in range(len(joined)):
        further = reached | joined[reached].any(axis=0)
        if (further == reached).all():
            break
        reached = further
    return bool(reached.all())


def says(here: Case, fact: str) -> bool:
    """Whether the Hamiltonian answers ``fact`` itself; the answer of the base is true of every Hamiltonian."""
    return getattr(type(here.hamiltonian), fact) is not getattr(Hamiltonian, fact)


@pytest.mark.parametrize("name", HAMILTONIANS)
def test_each_example_is_tried_on_a_lattice(name):
    assert any(named == name for named, _ in CASES)


def test_the_matrix(here):
    """Hermitian, its trace, its spectrum, its shapes, and what is said to be real or never 0."""
    operator, matrix = here.operator, here.matrix
    scale = max(1.0, np.abs(matrix).max())
    assert np.abs(matrix - matrix.conj().T).max() < TINY * scale
    assert operator.e_infinity == pytest.approx(np.trace(matrix).real / len(matrix), abs=1e-10 * scale)
    low, high = operator.bounds
    energies = np.linalg.eigvalsh(matrix)
    assert low <= energies[0] + 1e-9 * scale and energies[-1] - 1e-9 * scale <= high
    assert here.elements.shape[1] == here.deltas.shape[1] == operator.n_connected
    assert np.isrealobj(here.elements) == operator.is_real
    assert np.array_equal(here.elements == 0, ~here.deltas.any(axis=2))  # what vanishes goes nowhere
    assert operator.may_vanish or (here.elements != 0).all()


def test_what_is_conserved(here):
    """No element leads from one total to another; then, and only then, totals are valid sectors."""
    of_each = total_of_each(here)
    number = np.array([sorted(set(of_each)).index(total) for total in of_each])
    leads_out = (np.abs(here.matrix) > 0) & (number[:, None] != number[None])
    conserves = here.hamiltonian.conserves()
    assert not (conserves and leads_out.any())
    near = here.states.sum(axis=1, dtype=int)
    span = range(near.min() - 2, near.max() + 3)
    for total in [*span, *itertools.product(span, repeat=2)] if here.hilbert.fermionic else span:
        try:
            here.hamiltonian.check_total(total, here.lattice.n_sites)
            valid = True
        except InputError:
            valid = False
        assert valid == (conserves and total in of_each)


def test_the_total_of_a_ground_state(here):
    """That which sector=auto takes holds the lowest level of the spaces that it can be compared with."""
    hamiltonian, n_sites = here.hamiltonian, here.lattice.n_sites
    if not hamiltonian.conserves() or (total := hamiltonian.ground_total(here.lattice)) is None:
        return
    own = lowest(here, totals(here)[total])
    widest = [*hamiltonian.compared(hamiltonian.space(n_sites, total), of_symmetry=False), None][0]
    if widest is not None:  # else the number of particles is what is prepared
        assert own == pytest.approx(lowest(here, np.arange(len(here.states))), abs=1e-9)


def test_the_spaces_that_are_compared(here):
    """The widest first, and none whose lowest level lies above that of the sector it is compared with."""
    hamiltonian, n_sites, inside = here.hamiltonian, here.lattice.n_sites, sectors(here)
    levels = {total: lowest(here, states) for total, states in inside.items()}
    for total in inside:
        spaces = hamiltonian.compared(hamiltonian.space(n_sites, total), of_symmetry=True)
        sizes = [dimension(space) for space in spaces]
        assert sizes == sorted(sizes, reverse=True)
        for space in spaces:
            inside_it = np.flatnonzero(members(space, here.states))
            assert lowest(here, inside_it) <= levels[total] + 1e-9


def test_which_states_it_joins(here):
    """In the whole space, and in every sector."""
    hamiltonian, joined = here.hamiltonian, off_diagonal(here) != 0
    if says(here, "joins"):
        assert hamiltonian.joins(here.lattice) == joined.any()
    for total, states in sectors(here).items():
        if hamiltonian.joins_all(here.lattice, total):
            assert is_joined(joined[np.ix_(states, states)]), total


_LEADS: dict[Any, np.ndarray] = {}  # moves that are no Hamiltonian's, by lattice and space


def proposed(move: str, here: Case, space: Hilbert) -> np.ndarray:
    """(D, D) whether ``move``, as it is made for a sector, leads from a state to another."""
    if move == "hamiltonian":
        return off_diagonal(here) != 0
    space = space if move == "heat_bath" else here.hilbert  # the others are the same in every sector
    key = (move, here.config.lattice, space)
    if key not in _LEADS:
        _LEADS[key] = _proposed(move, here, space)
    return _LEADS[key]


def _proposed(move: str, here: Case, space: Hilbert) -> np.ndarray:
    hilbert = here.hilbert
    sampler = dataclasses.replace(here.config.sampler, move=move)
    proposal = sampler.moves(here.operator, here.lattice, space)
    # evenly spaced words draw every one of a few choices
    grid = (np.arange(64) * 2**26 + 2**25).astype(np.uint32)
    words = np.stack([x.ravel() for x in np.meshgrid(*[grid] * max(1, proposal.n_words))], axis=-1)

    @jax.jit
    @functools.partial(jax.vmap, in_axes=(None, 0))
    @functools.partial(jax.vmap, in_axes=(0, None))
    def moved(words, s_N):
        move = proposal.propose(words, s_N)
        one = Move(*(x.reshape(-1, x.shape[-1]) for x in move))  # of several moves each
        return jax.vmap(lambda move: s_N.at[move.sites].add(move.deltas))(one)

    found = np.asarray(moved(jnp.asarray(words), jnp.asarray(here.states)))
    found = found.reshape(len(here.states), -1, hilbert.n_sites)
    assert np.isin(found, hilbert.local_values).all()
    leads = np.zeros((len(here.states), len(here.states)), bool)
    targets = np.searchsorted(codes(hilbert), encode(hilbert, found)) % len(leads)
    inside = (here.states[targets] == found).all(axis=2)  # a proposal may leave a space with exclusions, and is refused
    leads[np.nonzero(inside)[0], targets[inside]] = True
    return leads


def test_moves_keep_the_sector_and_reach_its_states(here):
    """Every move that is accepted alone reaches all states; what is accepted beside another keeps the sector."""
    config, lattice = here.config, here.lattice
    for total, states in sectors(here).items():
        if len(states) == 1:
            continue
        context = Context(
            *(lattice, here.hamiltonian.space(lattice.n_sites, total), here.hamiltonian),
            *(config.ansatz, config.sampler, config.task, total),
            **{"sector_is_auto": False, "is_symmetrized": False, "n_ranks": 1, "memory_gib": 1.0},
            solve_dtype="float64",
            observables={},
        )
        usual = dataclasses.replace(config.sampler, move="auto").resolved(context).move
        beside = dict(usual.entries) if isinstance(usual, Weights) else {usual: 1.0}
        for move in MOVES:
            mixture = Weights(tuple({**beside, move: 1.0}.items()))
            if not fits(config, mixture, context):
                assert not fits(config, move, context)
                continue
            leads = proposed(move, here, context.hilbert)
            outside = np.setdiff1d(np.arange(len(leads)), states)
            assert not leads[np.ix_(states, outside)].any(), (total, move)
            if fits(config, move, context):
                assert is_joined(leads[np.ix_(states, states)]), (total, move)


def fits(config: Config, move: str | Weights, context: Context) -> bool:
    try:
        dataclasses.replace(config.sampler, move=move).resolved(context)
    except InputError:
        return False
    return True


def test_signs_of_elements(here):
    """Each element is one that is named, by the sites that it changes by an odd number of steps, with its sign."""
    if not says(here, "elements"):
        return
    named = {tuple(sorted(sites)): sign for sites, sign in here.hamiltonian.elements(here.lattice)}
    found: dict[tuple[int, ...], set[Any]] = {}
    matrix, values = off_diagonal(here), here.hilbert.local_values
    steps = (here.states.astype(int) - values[0]) // (values[1] - values[0])
    for i, j in zip(*np.nonzero(np.abs(matrix) > TINY), strict=True):
        value = matrix[i, j]
        sites = tuple(np.flatnonzero((steps[i] - steps[j]) % 2).tolist())
        found.setdefault(sites, set()).add(None if abs(value.imag) > TINY else int(np.sign(value.real)))
    assert found.keys() == named.keys()
    for sites, sign in named.items():
        assert found[sites] == {sign} if sign is not None else found[sites] not in ({1}, {-1})


def test_signs_that_make_elements_negative(here):
    """Where they are said to exist U H U has no positive element off the diagonal, else no signs do that."""
    hamiltonian, matrix = here.hamiltonian, off_diagonal(here)
    basis = basis_of(here.config, here.lattice)

    def is_negative(signs_N: np.ndarray) -> bool:
        u = signs_of_states(basis._replace(signs_N=signs_N), here.states)
        turned = matrix * u[:, None] * u[None]
        return bool(np.abs(turned.imag).max() < TINY and turned.real.max() < TINY)

    signs = hamiltonian.positive_signs(here.lattice)
    if signs is not None:
        assert is_negative(signs)
    elif says(here, "elements"):
        n = here.lattice.n_sites
        assert not any(is_negative(np.array(one)) for one in itertools.product((1, -1), repeat=n))


def test_the_basis_of_the_ansatz(here):
    """A resolved choice has the matrix U H U, with the signs U it says; written out without signs it has none."""
    hamiltonian, lattice = here.hamiltonian, here.lattice
    assert hamiltonian.as_written().signs(lattice) is None
    if (signs := hamiltonian.signs(lattice)) is None:
        return
    u = signs_of_states(basis_of(here.config, lattice)._replace(signs_N=signs), here.states)
    matrix = filled(hamiltonian.operator(lattice), here.hilbert)[-1]
    assert np.abs(matrix - here.matrix * u[:, None] * u[None]).max() < TINY * max(1.0, np.abs(matrix).max())


def test_bonds_and_lines(here):
    """The bonds it takes exist, what the start of a run says is one line each, and config.yaml gives it again."""
    for order in here.hamiltonian.orders():
        assert len(neighbours(here.lattice, order))
    lines = here.hamiltonian.lines(here.lattice)
    assert lines and all("\n" not in line for line in lines)
    assert from_plain(to_plain(here.config)).hamiltonian == here.hamiltonian


def test_its_pauli_strings_are_the_same_matrix(here):
    """What other programs are given, string by string: Z is the spin, or -1 of an occupied mode."""
    strings = here.hamiltonian.strings(here.lattice)
    if strings is None:
        # sites with more than two values, and fermions of which two are never on one site
        assert len(here.hilbert.local_values) > 2 or here.hilbert.paths or here.hamiltonian.name in WITHOUT_STRINGS
        return
    states = here.states
    z_DN = 1 - 2 * states if 0 in here.hilbert.local_values else states
    matrix, rows = np.zeros_like(here.matrix), np.arange(len(states))
    for coefficient, operators, sites in strings:
        assert len(set(sites)) == len(sites) == len(operators)
        element, moved = np.full(len(states), complex(coefficient)), z_DN.copy()
        for letter, i in zip(operators, sites, strict=True):
            # <s|Y|-s> = -i s
            element *= {"X": 1, "Y": -1j * z_DN[:, i], "Z": z_DN[:, i]}[letter]
            moved[:, i] *= 1 if letter == "Z" else -1
        moved = (1 - moved) // 2 if 0 in here.hilbert.local_values else moved
        columns = np.searchsorted(codes(here.hilbert), encode(here.hilbert, moved))
        np.add.at(matrix, (rows, columns), element)
    assert np.abs(matrix - here.matrix).max() < TINY * max(1.0, np.abs(here.matrix).max())


WITHOUT_STRINGS = ("bose_hubbard", "spin_s", "tj")  # of spins 1/2 that are sums, heisenberg and others say it
