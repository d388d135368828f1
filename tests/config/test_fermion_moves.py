"""Moves and observables of fermions: what auto means, and what does not fit in one line."""

import pytest

from nqs_hpc.config.compose import checked
from nqs_hpc.inputs.checks import InputError
from nqs_hpc.inputs.mappings import Weights

HUBBARD = ["hamiltonian=hubbard", "lattice=square", "lattice.extent=[3,2]", "ansatz=rbm"]
CHAIN = ["hamiltonian=hubbard", "lattice.length=6", "ansatz=rbm"]
BAD = [
    (["sampler.move=exchange"], "sampler.move=exchange", "auto or hop, or a mapping"),
    (["sampler.move=pair_hop"], "sampler.move=pair_hop", "pair_hop by itself does not reach"),
    (["sampler.move=flip"], "sampler.move=flip", "would leave sector="),
    (["sector=none", "sampler.move=hop"], "sampler.move=hop", "a hop of a particle needs a sector"),
    (["sampler.move={hop: 1, global_flip: 1}"], "sampler.move.global_flip", "these are fermions"),
    (["sampler.move_range=0"], "sampler.move_range=0", "null, or any, or a whole number, at least 1, below 101"),
    (["lattice.pbc=false", "sampler.move_range=9"], "sampler.move_range=9", "neighbour order"),
    (["sector=none", "sampler.move_range=any"], "sampler.move_range=any", "null: sampler.move=flip has no two sites"),
    (["observables=[magnetization]"], "observables.magnetization=magnetization", "fermions, not spins"),
    (["observables=[local_spins]"], "observables.local_spins=local_spins", "fits fermions, such as density"),
    (["observables=[dimer]"], "observables.dimer=dimer", "fits fermions"),
    (["observables=[plaquette]"], "observables.plaquette=plaquette", "fits fermions"),
    (["observables.a=pauli", "observables.a.terms=['1.0 Z0']"], "observables.a=pauli", "these are fermions"),
    (["observables.a=renyi", "observables.a.region=[6]"], "observables.a.region=[6]", "from 0 to 5"),
]


@pytest.mark.parametrize(("overrides", "key", "valid"), BAD)
def test_one_line(overrides, key, valid):
    with pytest.raises(InputError) as error:
        checked([*HUBBARD, *overrides], 1)
    assert str(error.value).startswith(f"{key}") and valid in str(error.value), error.value
    assert "\n" not in str(error.value)


def test_spins_and_bosons_are_told_what_is_of_fermions():
    for system, words in (("heisenberg", "spins"), ("bose_hubbard", "bosons")):
        for name in ("double_occupancy", "momentum_distribution", "pair_correlations"):
            with pytest.raises(InputError, match=f"fits {words}"):
                checked([f"hamiltonian={system}", f"observables=[{name}]"], 1)
    with pytest.raises(InputError, match="these are spins"):
        checked(["hamiltonian=heisenberg", "observables=[density]"], 1)
    with pytest.raises(InputError, match="a move of fermions with spin, and these are bosons"):
        checked(["hamiltonian=bose_hubbard", "sampler.move={hop: 1, pair_hop: 1}"], 1)


def test_waves_of_pairs_are_of_lattices():
    with pytest.raises(InputError, match=r"observables.a.wave=d .* lattice=square"):
        checked([*CHAIN, "observables.a=pair_correlations", "observables.a.wave=d"], 1)
    checked([*CHAIN, "observables.a=pair_correlations", "observables.a.wave=extended_s"], 1)


def test_momenta_know_the_phases_of_the_boundary():
    def phases(*overrides):
        config = checked(
            [*HUBBARD[:2], "lattice.extent=[4,4]", "ansatz=rbm", "observables.n=momentum_distribution", *overrides], 1
        )
        return config.observables.measured["n"].phases

    assert phases() is None and phases("hamiltonian.phases=[0,1]") == (0.0, 1.0)
    assert phases("hamiltonian.phases=[0,1]", "observables.n.phases=null") is None
    with pytest.raises(InputError, match="one for each of the 2 directions"):
        phases("observables.n.phases=[1]")


def test_auto():
    both = Weights((("exchange", 0.25), ("hop", 0.75)))
    assert checked(HUBBARD, 1).sampler.move == both
    attractive = checked([*HUBBARD, "hamiltonian.U=-4"], 1).sampler.move
    assert dict(attractive.entries) == {"hop": 0.6, "exchange": 0.2, "pair_hop": 0.2}
    assert checked([*HUBBARD, "sector=[2,0]"], 1).sampler.move == "hop"
    assert checked([*HUBBARD, "sector=none"], 1).sampler.move == "flip"
    mixed = checked([*HUBBARD, "sampler.move={hop: 2, exchange: 1, pair_hop: 1}", "sampler.move_range=2"], 1).sampler
    assert isinstance(mixed.move, Weights) and mixed.move_range == 2
    assert checked([*HUBBARD, "sampler.move_range=any"], 1).sampler.move_range == "any"
    assert checked(["hamiltonian=heisenberg", "sampler.move_range=2"], 1).sampler.move == "exchange"
