"""The points of a sweep: every combination once, under an identity that does not depend on how it was typed."""

import itertools
import json
from pathlib import Path

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser

from nqs_hpc.config.compose import compose
from nqs_hpc.config.identity import run_folder
from nqs_hpc.inputs.checks import InputError
from nqs_hpc.job.study import Point
from nqs_hpc.sweep.points import combinations, command_words, expand, refined


@pytest.fixture(autouse=True)
def elsewhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def points(*words, chain=None, n_ranks=None):
    return combinations(expand(OverridesParser.create().parse_overrides(list(words))), chain=chain, n_ranks=n_ranks)


def test_every_combination_once():
    found = points("study=a", "lattice.length=4,6", "ansatz=rbm,mlp,jastrow", "hamiltonian.h=2")
    expected = list(itertools.product((4, 6), ("rbm", "mlp", "jastrow")))
    assert [tuple(one.swept.values()) for one in found] == expected
    assert [(one.config.lattice.extent, one.config.ansatz.name) for one in found] == [
        ((n,), name) for n, name in expected
    ]
    assert all(one.config.hamiltonian.h == 2 for one in found)
    assert found[0].words == ["lattice.length=4", "ansatz=rbm", "hamiltonian.h=2"]
    assert len({one.name for one in found}) == len({one.identity for one in found}) == 6
    assert found[1].name.startswith("ansatz=mlp,lattice.length=4-") and "/" not in found[1].name


@pytest.mark.parametrize(
    ("word", "values"),
    [
        ("seed=range(1,4)", [1, 2, 3]),
        ("hamiltonian.h=range(0.5,1.6,0.5)", [0.5, 1.0, 1.5]),
        ("hamiltonian.h=choice(1,2)", [1, 2]),
        ("lattice.pbc=true,false", [True, False]),
        ("lattice.extent=[4],[6]", [[4], [6]]),
        (
            "optimizer.learning_rate=0.1,{schedule: cosine, init_value: 0.1, decay_steps: 9}",
            [0.1, {"schedule": "cosine", "init_value": 0.1, "decay_steps": 9}],
        ),
        ("seed=7", []),
    ],
)
def test_ways_to_give_values(word, values):
    key = word.partition("=")[0]
    assert [one.swept.get(key) for one in points(word)] == (values or [None])


def test_the_same_point_however_it_was_typed():
    one = {point.identity for point in points("lattice.length=4,6", "ansatz=rbm,mlp", "task.n_steps=10")}
    other = {point.identity for point in points("ansatz=mlp,rbm", "+task.n_steps=20", "lattice.extent=[6],[4]")}
    more = {point.identity for point in points("lattice.length=4,6,8", "ansatz=rbm,mlp")}
    assert one == other and one < more
    assert one.isdisjoint({point.identity for point in points("lattice.length=4,6", "ansatz=rbm,mlp", "seed=1")})


@pytest.mark.parametrize("word", ["optimizer.learning_rate=0.1,0.05", "resources.ranks=1,2", "task.n_steps=3,4"])
def test_what_is_swept_beside_physics_makes_another_point(word):
    """Such keys are in no hash of a run: two points would share a folder."""
    found = points(word, "hamiltonian.h=1,2")
    assert len({run_folder(one.config) for one in found}) == 2
    assert len({one.identity for one in found}) == len({one.name for one in found}) == 4


def test_a_chain_goes_along_one_key_in_its_order():
    found = points("seed=0,1", "hamiltonian.h=1.5,1.0,2.0", chain="hamiltonian.h")
    before = {(one.swept["seed"], one.swept["hamiltonian.h"]): one.after for one in found}
    by_index = [(one.swept["seed"], one.swept["hamiltonian.h"]) for one in found]
    assert {point: None if after is None else by_index[after] for point, after in before.items()} == {
        **{(seed, 1.5): None for seed in (0, 1)},
        **{(seed, 1.0): (seed, 1.5) for seed in (0, 1)},
        **{(seed, 2.0): (seed, 1.0) for seed in (0, 1)},
    }
    # what a point begins with makes it: the same couplings from another side are others, but for the first ones
    turned = points("seed=0,1", "hamiltonian.h=2.0,1.0,1.5", chain="hamiltonian.h")
    unchained = {one.identity for one in points("seed=0,1", "hamiltonian.h=1.5,1.0,2.0")}
    assert len({one.identity for one in found} & unchained) == 2
    assert len({one.identity for one in found} & {one.identity for one in turned}) == 0


@pytest.mark.parametrize(
    ("words", "chain", "line"),
    [
        (
            ["lattice.length=4,six"],
            None,
            "lattice.length=six is not valid; valid: null, or a whole number",
        ),
        (["ansatz=rbm,mlp", "ansatz.alpha=2"], None, "ansatz=mlp: ansatz.alpha=2 is not valid: ansatz=mlp has no key"),
        (["ansatz=rbm,mlp", "seed=x"], None, "seed=x is not valid; valid: a whole number"),
        (["seed=1,1"], None, "seed=1 occurs more than once"),
        (["lattice.length=4,5", "lattice.pbc=true", "seed=0,0"], None, "occurs more than once"),
        (
            ["seed=1,2"],
            "hamiltonian.h",
            "chain=hamiltonian.h is not valid; valid: a key with several values; here: seed",
        ),
        (["seed=1"], "seed", "here: none has"),
    ],
)
def test_bad_points(words, chain, line):
    with pytest.raises(InputError) as caught:
        points(*words, chain=chain)
    assert line in str(caught.value) and len(str(caught.value).splitlines()) == 1


def test_ranks_are_those_it_will_have():
    with pytest.raises(InputError, match="a multiple of the 3 ranks"):
        points("seed=0,1", n_ranks=3)
    with pytest.raises(InputError, match="a multiple of the 3 ranks"):
        points("seed=0,1", "resources.ranks=3")
    points("seed=0,1", "resources.ranks=3", n_ranks=2)


def test_resources_by_size():
    """The entry of the largest size that is not above the lattice's."""
    words = (
        "lattice=square",
        "lattice.length=2,3,4,6",
        "resources.ranks={9: 2, 4: 1, 36: 4}",
        "resources.time={1: 5, 16: 60}",
    )
    found = points(*words)
    assert [one.config.resources.ranks for one in found] == [1, 2, 2, 4]
    assert [one.config.resources.time for one in found] == ["00:05:00", "00:05:00", "01:00:00", "01:00:00"]
    with pytest.raises(
        InputError, match=r"resources.nodes=\{9: 2\} is not valid; valid: a table that begins at 4 sites"
    ):
        points("lattice=square", "lattice.length=2,3", "resources.nodes={9: 2}")


@pytest.mark.parametrize(
    "name", ["/a/b", "/a b/ansatz=rbm,h=1", "/a'b", '/a"b', '/a\\"b', "/a\\", '/a\\\\"', "/ü{x}$y", "/a:[b](c)"]
)
def test_folders_with_any_characters(name):
    (*words, last) = command_words(["seed=1"], Path(name))
    assert words == ["seed=1"] and compose([last], 1).run_dir == name


def test_long_names_fit_into_a_folder():
    (one, _) = points(
        "hamiltonian=pauli",
        "hamiltonian.terms="
        + ",".join(
            "[" + ",".join(f"{{coefficient: {c}, operators: ZZ, sites: [{i}, {i + 1}]}}" for i in range(9)) + "]"
            for c in (1, 2)
        ),
    )
    assert len(one.name.encode()) < 200 and one.name.endswith(one.identity[:8])


def known(found):
    """The combinations as the manifest of a launch has them."""
    names = [one.name for one in found]
    return [
        Point(one.name, one.identity, one.swept, [], "", 4, 5, None if one.after is None else names[one.after])
        for one in found
    ]


def chain(values, before=()):
    found = points("seed=0,1", f"hamiltonian.h={values}", chain="hamiltonian.h")
    return refined(found, known(before)) if before else found


@pytest.mark.parametrize("values", ["1.0,1.25,1.5,2.0", "0.5,1.0,1.5,2.0", "1.0,1.1,1.2,1.5,1.7,2.0,2.5"])
def test_a_refined_chain_keeps_its_points(values):
    first = chain("1.0,1.5,2.0")
    again = chain(values, first)
    names = {one.name for one in again}
    assert {one.name for one in first} < names
    assert len(names) == len(again) == len({json.dumps(one.swept) for one in again})  # each value once
    assert [one.name for one in chain(values, again)] == [one.name for one in again]  # and the same command finds them
    for one in again:  # those that were there begin with what they began with, new ones with the one before them
        before = None if one.after is None else again[one.after].swept["hamiltonian.h"]
        every = [float(value) for value in values.split(",")]
        at = every.index(one.swept["hamiltonian.h"])
        new = every[at - 1] if at else None
        assert before == {1.0: None, 1.5: 1.0, 2.0: 1.5}.get(every[at], new)


def test_a_chain_refined_twice_and_one_in_another_order():
    first = chain("1.0,2.0")
    second = chain("1.0,1.5,2.0", first)
    both = list({one.identity: one for one in [*first, *second]}.values())
    third = refined(chain("1.0,1.25,1.5,1.75,2.0"), [*{point.name: point for point in known(second)}.values()])
    assert {one.name for one in both} < {one.name for one in third} and len(third) == 10
    turned = chain("2.0,1.5,1.0", second)  # hysteresis: what was begun from the other side is another point
    assert not {one.identity for one in turned} & {one.identity for one in second}
    cold = points("seed=0,1", "hamiltonian.h=1.0,2.0")
    assert len({one.identity for one in chain("1.0,2.0", cold)} & {one.identity for one in cold}) == 2  # its first ones
