"""Good input: what auto becomes, what the command line beats, which runs are the same run."""

import dataclasses
import itertools
import json
import pickle
import re
import shutil
import subprocess
import sys

import optax
import pytest
from hydra import compose as hydra_compose
from hydra import initialize_config_dir
from hydra.core.global_hydra import GlobalHydra

from nqs_hpc.choices import choice, names
from nqs_hpc.config import compose as config_module
from nqs_hpc.config import defaults
from nqs_hpc.config.compose import compose, from_plain
from nqs_hpc.config.defaults import choices, conf_dir
from nqs_hpc.config.identity import differences, physics, run_folder, run_name, to_plain
from nqs_hpc.config.schema import Config
from nqs_hpc.config.sections import Checkpoint, Precision
from nqs_hpc.inputs.checks import InputError
from nqs_hpc.inputs.schedules import Schedule

HEISENBERG = "hamiltonian=heisenberg"
TFIM = (
    "hamiltonian=pauli",
    "hamiltonian.terms=[{coefficient: -1, operators: ZZ, neighbours: 1}, {coefficient: -1, operators: X, sites: all}]",
)


@pytest.fixture(autouse=True)
def somewhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    yield
    assert not any(path.is_dir() for path in tmp_path.iterdir()), "composing made a folder"


def one(*overrides, n_ranks=1):
    return compose(list(overrides), n_ranks)


def test_defaults():
    config = one()
    assert (config.lattice.name, config.hamiltonian.name, config.ansatz.name) == ("chain", "ising", "rbm")
    assert (config.sampler.name, config.optimizer.name, config.task.name) == ("metropolis", "minsr", "ground_state")
    assert config.lattice.extent == (20,) and config.lattice.pbc == (True,) and config.lattice.length is None
    assert config.sector is None and config.sampler.move == "flip" and config.sampler.sweep == 20
    assert config.optimizer.solver == "auto" and config.chunk_size == "auto" and config.experiment is None
    assert config.lattice.make().n_sites == 20


EXTRA = {
    "edges": ["lattice.file=ring.txt"],
    "points": ["lattice.file=atoms.txt"],
    "unit_cell": ["lattice.file=cell.yaml"],
    "heisenberg_su2": ["lattice.pbc=false"],
    "toric_code": ["lattice=square"],
    "approx_symmetric": ["lattice=square", "lattice.length=3", "hamiltonian=toric_code"],
    "kitaev": ["lattice=honeycomb"],
    "ring_exchange": ["lattice=square", "lattice.length=4"],
    "shastry_sutherland": ["lattice=square", "lattice.length=4"],
    "pauli": [TFIM[1]],
    "evaluate": ["task.run=RUN", "observables.zz=pauli", "observables.zz.terms=[1.0 Z0 Z1]"],
    "excited_state": ["task.below=RUN", "ansatz.dtype=complex"],
    "foundation": ["task.couplings={h: [0.5, 1.5]}", "ansatz=foundation_vit"],
    "dynamics": ["ansatz.dtype=complex"],
    "enumerate": ["lattice.length=10"],
    "autoregressive": ["ansatz=masked_dense"],
    "flax": ["ansatz.module=package.module:Network"],
    "equinox": ["ansatz.module=package.module:Network", "ansatz.arguments={width: 3}"],
    **{name: ["hamiltonian=hubbard"] for name in names("ansatz") if choice("ansatz", name).needs_fermions},
    "product": ["hamiltonian=hubbard"],
    "fermion": ["lattice.length=2", "hamiltonian.fcidump=package:h2_sto3g.fcidump"],
    "table": ["lattice.length=8"],
}


@pytest.mark.parametrize("group", [field.name for field in dataclasses.fields(Config) if "group" in field.metadata])
def test_every_choice_composes(group, tmp_path, tmp_path_factory):
    (tmp_path / "ring.txt").write_text("0 1\n1 2\n2 0\n")
    (tmp_path / "atoms.txt").write_text("0 0\n1 0\n0 2\n")
    (tmp_path / "cell.yaml").write_text("vectors: [[1, 0], [0, 1]]\nbasis: [[0, 0]]\n")
    run = tmp_path_factory.mktemp("run")
    (run / "checkpoints").mkdir()
    (run / "checkpoints" / "step_00000001.h5").touch()
    (run / "config.yaml").write_text(json.dumps(to_plain(one())))
    assert set(choices(group)) == {file.stem for file in (conf_dir() / group).glob("*.yaml")}
    for name in choices(group):
        config = one(f"{group}={name}", *(word.replace("RUN", str(run)) for word in EXTRA.get(name, [])))
        part = getattr(config, group)
        assert part.name == name and type(part) is choice(group, name)
        assert pickle.loads(pickle.dumps(config)) == config
        assert json.loads(json.dumps(to_plain(config), allow_nan=False)) == to_plain(config)


def test_a_cluster_of_cells_in_rows_is_the_run_that_says_so():
    rows = one("lattice=square", "lattice.cluster=[[-3,0],[0,4]]", HEISENBERG)
    assert rows == one("lattice=square", "lattice.extent=[3,4]", HEISENBERG)
    tilted = one("lattice=square", "lattice.cluster=[[3,1],[-1,3]]", HEISENBERG)
    assert tilted.lattice.make().n_sites == 10 and tilted.lattice.extent is None
    assert from_plain(to_plain(tilted)) == tilted and physics(tilted) != physics(rows)
    # runs from before the key are still found
    assert "cluster" not in json.dumps(physics(rows)) and "cluster" in json.dumps(physics(tilted))


def test_ladders():
    ladder = one("lattice=ladder", "lattice.length=5", "lattice.legs=3", HEISENBERG)
    assert (ladder.lattice.extent, ladder.lattice.pbc, ladder.lattice.legs) == ((5, 3), (True, False), None)
    assert ladder == one("lattice=ladder", "lattice.extent=[5,3]", "lattice.rung=1", HEISENBERG)
    assert from_plain(to_plain(ladder)) == ladder


@pytest.mark.parametrize("name", choices("experiment"))
def test_every_experiment_composes(name):
    config = one(f"experiment={name}")
    assert config.experiment == name and run_name(config).startswith(f"{config.task.prefix}{name}-")
    more = -1 if config.sampler.name == "enumerate" else 2  # of exact sums there are not many more
    if config.hamiltonian.name == "fermion":  # of as many orbitals as the file has
        return
    other = config.lattice.extent[0] + more
    assert one(f"experiment={name}", f"lattice.length={other}", "seed=7").lattice.extent[0] == other


def test_sites_are_where_the_hamiltonian_has_them():
    toric = one("hamiltonian=toric_code", "lattice=square", "lattice.length=3", "lattice.pbc=false")
    assert toric.make_sites().n_sites == 12 and toric.sector is None
    assert (toric.sampler.move, toric.sampler.sweep) == ("flip", 12)
    assert one("hamiltonian=toric_code", "lattice=square", "resources.ranks={1: 2, 30: 8}").resources.ranks == 8


@pytest.mark.parametrize(
    ("overrides", "sector", "move"),
    [
        ([], 20, "hop"),  # one a site
        (["hamiltonian.n_max=1"], 10, "hop"),  # hard-core bosons: one on every other site
        (["hamiltonian.n_max=1", "lattice.length=7"], 3, "hop"),
        (["sector=13"], 13, "hop"),
        (["sector=none"], None, "flip"),
        (["sector=null", "sampler.move=flip"], None, "flip"),
    ],
)
def test_bosons_have_a_number(overrides, sector, move):
    config = one("hamiltonian=bose_hubbard", *overrides)
    assert (config.sector, config.sampler.move) == (sector, move)
    n = config.lattice.extent[0]
    assert config.hamiltonian.space(n, config.sector).local_values == tuple(range(config.hamiltonian.n_max + 1))


def test_kernels_have_one_entry_a_direction():
    square = ["lattice=square", "lattice.length=4"]
    for kernel in ("3", "[3,3]"):
        assert compose([*square, "ansatz=resnet", f"ansatz.kernel={kernel}"], 1).ansatz.kernel == (3, 3)
    inside = compose([*square, "ansatz=modulus_phase", "ansatz.modulus=cnn", "ansatz.modulus.kernel=[4,2]"], 1)
    assert inside.ansatz.modulus.kernel == (4, 2)


def test_choices_inside_a_choice_are_filled_up_in_any_order():
    words = ["ansatz=modulus_phase", "ansatz.phase=rbm", "ansatz.phase.alpha=3"]
    found = {compose(order, 1) for order in itertools.permutations(words)}
    (config,) = found
    assert config.ansatz.phase == compose(["ansatz.alpha=3"], 1).ansatz
    assert compose([words[0], "ansatz.phase={alpha: 3, name: rbm}"], 1) == config
    assert compose([words[0], "ansatz.phase.name=rbm", words[2]], 1) == config
    assert from_plain(to_plain(config)) == config
    # keys of another choice are not carried over
    assert compose([words[0], "ansatz.modulus=jastrow"], 1).ansatz.modulus == compose(["ansatz=jastrow"], 1).ansatz
    assert run_name(config) != run_name(compose(words[:2], 1))


def test_a_large_lattice_is_checked_at_once():
    """Its states are never counted, whatever the sector."""
    for sector in ("auto", "1", "9999", "2", "39998"):
        config = one("hamiltonian=bose_hubbard", "lattice.length=10000", f"sector={sector}")
        assert config.sampler.move == "hop"


def test_positions_count_by_what_the_file_holds(tmp_path):
    (tmp_path / "atoms.txt").write_text("0 0\n1 0\n0 2\n")
    given = ("lattice=points", "lattice.file=atoms.txt", "hamiltonian=rydberg")
    config = one(*given)
    (tmp_path / "atoms.txt").write_text("# the same\n0.0 0\n1 0\n0 2.0\n")
    assert physics(one(*given)) == physics(config)
    (tmp_path / "atoms.txt").write_text("0 0\n1 0\n0 3\n")
    assert differences(physics(config), physics(one(*given)))
    # of a run no file is read again
    assert config_module.from_plain(to_plain(config)) == config
    assert config.lattice.make().positions.tolist() == [[0, 0], [1, 0], [0, 2]]


def test_every_yaml_begins_with_a_comment():
    for file in conf_dir().glob("**/*.yaml"):
        assert file.read_text().startswith("# "), file


def test_command_line_beats_experiment():
    assert one("experiment=tfim_chain", "ansatz.alpha=3").ansatz.alpha == 3.0
    # another choice of a group leaves out what the experiment set for its own
    swapped = one("experiment=tfim_chain", "lattice=square", HEISENBERG)
    assert swapped.lattice.extent == (4, 4) and swapped.hamiltonian.J == (1.0,) and swapped.ansatz.alpha == 2.0
    assert one("experiment=tfim_square", "lattice=square", "lattice.extent=[4,6]").lattice.extent == (4, 6)


@pytest.fixture
def own_conf(tmp_path_factory, monkeypatch):
    """conf/ with one more experiment, which sets an extent and a schedule, and one that would execute something."""
    folder = tmp_path_factory.mktemp("own") / "conf"
    shutil.copytree(conf_dir(), folder)
    (folder / "experiment" / "own.yaml").write_text(
        "# @package _global_\n# A strip.\ndefaults:\n  - override /lattice: square\nlattice:\n  extent: [2, 6]\n"
        "optimizer:\n  learning_rate: {schedule: exponential, init_value: 1, transition_steps: 9, decay_rate: 0.5}\n"
    )
    (folder / "experiment" / "evil.yaml").write_text("# @package _global_\nansatz:\n  alpha: {_target_: os.getcwd}\n")
    (folder / "experiment" / "sly.yaml").write_text("# @package _global_\nansatz:\n  alpha: ${seed}\n")
    monkeypatch.setattr(defaults, "conf_dir", lambda: folder)
    for cached in (defaults._composed, defaults.choices):
        cached.cache_clear()
    yield
    for cached in (defaults._composed, defaults.choices):
        cached.cache_clear()


def test_an_experiment_with_extent_and_schedule(own_conf):
    config = one("experiment=own")
    assert config.lattice.extent == (2, 6) and config.optimizer.learning_rate.kind == "exponential"
    assert one("experiment=own", "lattice.length=4").lattice.extent == (4, 4)
    assert one("experiment=own", "optimizer.learning_rate=0.1").optimizer.learning_rate.kind == "constant"
    # a schedule on the command line replaces the experiment's whole
    given = "optimizer.learning_rate={schedule: cosine, init_value: 1, decay_steps: 9}"
    assert one("experiment=own", given).optimizer.learning_rate.kind == "cosine"
    # a single argument of it can be set as well
    changed = one("experiment=own", "optimizer.learning_rate.decay_rate=0.9").optimizer.learning_rate
    assert dict(changed.arguments) == {"init_value": 1.0, "transition_steps": 9, "decay_rate": 0.9}


def test_a_file_cannot_execute_anything(own_conf):
    with pytest.raises(InputError, match=r"ansatz.alpha._target_=os.getcwd is not valid"):
        one("experiment=evil")
    with pytest.raises(InputError, match=r"ansatz.alpha=\$\{seed\} is not valid"):
        one("experiment=sly")


@pytest.mark.parametrize(
    ("overrides", "sector", "move"),
    [
        (["hamiltonian.h=0"], None, "flip"),
        (["hamiltonian.h=0", "hamiltonian.g=0.5", "lattice.length=5"], None, "flip"),
        (["hamiltonian.h=0", "sector=0"], 0, "exchange"),
        ([HEISENBERG], 0, "exchange"),
        ([HEISENBERG, "lattice.length=9"], 1, "exchange"),
        ([HEISENBERG, "sector=none"], None, "flip"),
        ([HEISENBERG, "sector=null"], None, "flip"),
        ([HEISENBERG, "sector=-4"], -4, "exchange"),
        ([HEISENBERG, "sector=4", "sampler.move=exchange"], 4, "exchange"),
        (list(TFIM), None, "flip"),
        (
            [
                "hamiltonian=pauli",
                "hamiltonian.terms=[{coefficient: 1, operators: XX, neighbours: 1}, "
                "{coefficient: 1, operators: YY, neighbours: 1}]",
            ],
            0,
            "exchange",
        ),
    ],
)
def test_sector_and_move(overrides, sector, move):
    config = one(*overrides)
    assert config.sector == sector and config.sampler.move == move


@pytest.mark.parametrize(
    ("overrides", "marshall"),
    [
        ([], True),
        (["lattice.length=9"], False),  # an odd ring
        (["lattice=triangular"], False),
        (["lattice=honeycomb"], True),
        (["hamiltonian.J=[1,0.5]"], True),
        (["hamiltonian.J=-1"], False),  # a ferromagnet is free of signs as it is
        (["hamiltonian.J=[0,1]"], True),  # two rings, each on two sublattices
        (["hamiltonian.J=[1,-0.5]"], True),
        (["hamiltonian.J=[-1,0.5]"], False),  # frustrated, and no antiferromagnet along its nearest neighbours
        (["hamiltonian.marshall=false"], False),
    ],
)
def test_marshall(overrides, marshall):
    assert one(HEISENBERG, *overrides).hamiltonian.marshall is marshall


def test_values_have_one_form():
    config = one("ansatz.alpha='2'", "optimizer.learning_rate='1e-3'", "sampler.n_samples=1e3", "sampler.n_chains=10")
    assert config.ansatz.alpha == 2.0 and config.optimizer.learning_rate.arguments == (("value", 0.001),)
    assert config.sampler.n_samples == 1000 and type(config.sampler.n_samples) is int
    assert one("seed=9007199254740993").seed == one("seed='9007199254740993'").seed == 2**53 + 1
    config = one("precision={network: float32}", "checkpoint={every_steps: null, keep: 5}", "chunk_size=null")
    assert config.precision == Precision("float32", "float64") and config.chunk_size is None
    assert config.checkpoint == Checkpoint(None, "auto", 5)
    assert one("+seed=3").seed == one("++seed=3").seed == one("seed=3", "seed=3").seed == 3


SCHEDULES = {
    "constant, value: 0.2": optax.constant_schedule,
    "linear, init_value: 0.1, end_value: 0.01, transition_steps: 300": optax.linear_schedule,
    "exponential, init_value: 0.1, transition_steps: 10, decay_rate: 0.9, end_value: 0.01": optax.exponential_decay,
    "cosine, init_value: 0.1, decay_steps: 100, alpha: 0.1": optax.cosine_decay_schedule,
    "polynomial, init_value: 0.1, end_value: 0.01, power: 2, transition_steps: 9": optax.polynomial_schedule,
    "warmup_cosine, init_value: 0.001, peak_value: 0.1, warmup_steps: 10, decay_steps: 100, end_value: 0.01": (
        optax.warmup_cosine_decay_schedule
    ),
}


@pytest.mark.parametrize("text", SCHEDULES)
def test_schedules(text):
    given = f"{{schedule: {text}}}"
    config = one(f"optimizer.learning_rate={given}", f"optimizer.diag_shift={given}")
    schedule = config.optimizer.learning_rate
    assert isinstance(schedule, Schedule) and schedule == config.optimizer.diag_shift
    assert list(schedule.arguments) == sorted(schedule.arguments)
    assert float(SCHEDULES[text](**dict(schedule.arguments))(0)) > 0  # the names are optax's own
    hash(config)


def test_nested_schedules():
    """From the command line, and again from plain data."""
    parts = "[0.1, {schedule: piecewise_constant, init_value: 0.05, boundaries_and_scales: {10: 0.5, 20: 0.1}}]"
    config = one(f"optimizer.learning_rate={{schedule: join, schedules: {parts}, boundaries: [30]}}")
    plain = to_plain(config)["optimizer"]["learning_rate"]
    assert plain["schedules"][1]["boundaries_and_scales"] == {10: 0.5, 20: 0.1} and plain["boundaries"] == [30]
    assert from_plain(json.loads(json.dumps(to_plain(config)))) == config
    hash(config.optimizer)


def test_a_plain_rate_is_a_constant_schedule():
    plain, long = one("optimizer.learning_rate=0.2"), one("optimizer.learning_rate={schedule: constant, value: 0.2}")
    assert plain == long and to_plain(plain)["optimizer"]["learning_rate"] == 0.2


def test_zero_shift_needs_eigh():
    assert one("optimizer.diag_shift=0", "optimizer.solver=eigh").optimizer.diag_shift.arguments == (("value", 0.0),)
    assert one("optimizer.diag_shift=0", "optimizer.cut=1e-6").optimizer.cut == 1e-6


SAME = [
    (["lattice=square", "lattice.length=4"], ["lattice=square", "lattice.extent=[4,4]"]),
    (["lattice=square", "lattice.pbc=true"], ["lattice=square", "lattice.pbc=[true,true]"]),
    (["hamiltonian.J=1"], ["hamiltonian.J=1.0"]),
    ([HEISENBERG, "hamiltonian.J=1"], [HEISENBERG, "hamiltonian.J=[1.0,0]"]),
    (["hamiltonian.g=0"], ["hamiltonian.g=-0.0"]),
    ([], ["sampler.sweep=20", "sampler.move=flip", "sector=none"]),
    ([], ["task.n_steps=7", "task.final_samples=64"]),
    ([], ["optimizer.learning_rate=0.3", "optimizer.diag_shift=0.1", "optimizer.max_norm=1"]),
    ([], ["optimizer.max_rejected=3", "optimizer.solver=eigh", "optimizer.broadcast=true"]),
    ([], ["chunk_size=32", "memory_gib=1", "max_seconds=9", "checkpoint.keep=5", "log.progress=lines"]),
    (["hamiltonian=pauli", "hamiltonian.file=a.txt"], ["hamiltonian=pauli", "hamiltonian.file=b.yaml"]),
    (["lattice=edges", "lattice.file=e1.txt"], ["lattice=edges", "lattice.file=e2.txt"]),
]
OTHER = [
    ["seed=1"],
    ["lattice.length=18"],
    ["lattice.pbc=false"],
    ["hamiltonian.h=1.1"],
    ["ansatz.alpha=2"],
    ["ansatz=jastrow"],
    ["sampler.n_samples=2048"],
    ["sampler.warmup=0"],
    ["optimizer=sr"],
    ["optimizer.momentum=0.9"],
    ["optimizer.clip=5"],
    ["optimizer.cut=1e-4"],
    ["optimizer.signal_to_noise=2"],
    ["optimizer.trust_region=shift"],
    ["optimizer=march"],
    ["optimizer=optax"],
    ["optimizer=optax", "optimizer.rule=lion"],
    ["optimizer=optax", "optimizer.arguments={b1: 0.8}"],
    ["optimizer=sr", "optimizer.block_diagonal=layers"],
    ["optimizer.line_search=[0.5,1]"],
    ["precision.solve=float32"],
    ["hamiltonian=pauli", "hamiltonian.file=a.txt"],
    ["lattice=edges", "lattice.file=e1.txt"],
]


@pytest.fixture
def files(tmp_path):
    (tmp_path / "a.txt").write_text("-1.0 Z0 Z1 # one bond\n\n0.5 X3\n")
    (tmp_path / "b.yaml").write_text(
        "- {coefficient: 0.5, operators: X, sites: [3]}\n- {coefficient: -1, operators: ZZ, sites: [1, 0]}\n"
    )
    (tmp_path / "e1.txt").write_text("0 1\n1 2\n2 0\n")
    (tmp_path / "e2.txt").write_text("# a triangle\n2 1\n0 2\n1 0\n")


@pytest.mark.parametrize(("left", "right"), SAME)
def test_same_run(left, right, files):
    assert run_folder(one(*left)) == run_folder(one(*right))
    assert differences(physics(one(*left)), physics(one(*right))) == []


def test_other_runs(files):
    names = {run_name(one(*overrides)).rsplit("-", 1)[1] for overrides in [[], *OTHER]}
    assert len(names) == 1 + len(OTHER)


def test_names_and_folders(tmp_path):
    assert re.fullmatch("chain-ising-rbm-[0-9a-f]{8}", run_name(one()))
    assert run_folder(one()) == tmp_path / "runs" / run_name(one())
    assert run_folder(one("run_dir=here/there")) == tmp_path / "here" / "there"
    assert run_folder(one(f"run_dir={tmp_path}/x")) == tmp_path / "x"


def test_what_counts_as_physics():
    assert {name: sorted(part) for name, part in physics(one()).items() if isinstance(part, dict)} == {
        "lattice": ["extent", "name", "pbc"],
        "hamiltonian": ["J", "g", "h", "name"],
        "ansatz": ["alpha", "bias", "dtype", "init_scale", "name"],
        "sampler": ["move", "n_chains", "n_samples", "name", "sweep", "warmup"],
        "optimizer": ["average", "momentum", "name", "rcond"],
        "task": ["name"],
        "precision": ["network", "solve"],
    }
    assert [name for name, part in physics(one()).items() if not isinstance(part, dict)] == ["sector", "seed"]


def test_blur_is_what_the_task_says(monkeypatch):
    """No run from before these keys is another one; an evolution in real time blurs, and exact sums never do."""
    plain = one()
    assert plain.sampler.blur is None and plain.sampler.power is None
    for same in (["sampler.blur=null", "sampler.power=null"], ["sampler.power=2"]):
        assert run_name(one(*same)) == run_name(plain)
    assert len({run_name(one(*keys)) for keys in ([], ["sampler.blur=0.3"], ["sampler.power=1"])}) == 3
    assert one("sampler.blur=0.3").sampler.blur == 0.3 and one("sampler.power=1").sampler.power == 1.0
    monkeypatch.setattr(type(plain.task), "blur", 0.3)
    assert one().sampler.blur == 0.3 and one("sampler.blur=null").sampler.blur is None
    assert one("sampler.blur=0.1").sampler.blur == 0.1 and one("sampler=tempering").sampler.blur == 0.3
    assert one("sampler=enumerate", "lattice.length=8").sampler.blur is None
    again = from_plain(to_plain(one()))
    assert again.sampler.blur == 0.3 and run_name(again) == run_name(one())


def test_differences():
    before, after = physics(one()), physics(one("ansatz.alpha=2", HEISENBERG, "lattice.length=4"))
    assert "ansatz.alpha: 1.0 -> 2.0" in differences(before, after)
    assert "hamiltonian.h: 1.0 -> (absent)" in differences(before, after)
    assert "lattice.extent: [20] -> [4]" in differences(before, after)


def test_edges_and_terms_are_carried_in_the_config(tmp_path, files):
    config = one("lattice=edges", "lattice.file=e2.txt")
    (tmp_path / "e2.txt").unlink()  # the other ranks have no need of the file
    assert config.lattice.make().n_sites == 3 and config.lattice.edges == ((0, 1, 1), (0, 2, 1), (1, 2, 1))
    config = one("hamiltonian=pauli", "hamiltonian.file=b.yaml")
    assert to_plain(config)["hamiltonian"]["terms"][1] == {"coefficient": -1.0, "operators": "ZZ", "sites": [0, 1]}


def test_hydra_is_left_as_it_was():
    defaults._composed.cache_clear()
    with initialize_config_dir(str(conf_dir()), version_base="1.3"):
        outer = GlobalHydra.instance().hydra
        assert one("ansatz=mlp", "ansatz.alphas=[1]").ansatz.alphas == (1.0,)
        assert GlobalHydra.instance().hydra is outer and hydra_compose("config").seed == 0


def test_nothing_heavy_is_loaded():
    code = (
        "import sys; from nqs_hpc.config.compose import compose; "
        "from nqs_hpc.config.usage import help_text; help_text(); "
        "assert 'hydra' not in sys.modules; compose(['experiment=heisenberg_chain'], 2); "
        "assert not {'jax', 'mpi4py', 'scipy', 'matplotlib'} & set(sys.modules)"
    )
    package = str(conf_dir().parent)
    subprocess.run([sys.executable, "-c", f"import sys; sys.path.insert(0, {package!r}); {code}"], check=True)


def test_mixtures_of_moves_have_one_form():
    """Weights of sum 1, sorted; one move alone is its name, and the same run. A lattice and a Hamiltonian decide."""
    one_name = run_name(one("sampler.move=flip"))
    assert run_name(one("sampler.move={flip: 3}")) == one_name == run_name(one())
    several = [
        one("lattice=square", f"sampler.move={given}")
        for given in ("{plaquette: 1, flip: 3}", "{flip: 0.75, plaquette: 0.25}")
    ]
    assert several[0].sampler.move.entries == (("flip", 0.75), ("plaquette", 0.25))
    assert run_name(several[0]) == run_name(several[1]) != one_name
    again = from_plain(to_plain(several[0]))
    assert again.sampler == several[0].sampler
    spins = ["hamiltonian=heisenberg", "sector=0", "sampler.move={exchange: 1, global_flip: 1, hamiltonian: 2}"]
    assert dict(one(*spins).sampler.move.entries)["hamiltonian"] == 0.5
    bosons = ["hamiltonian=bose_hubbard", "sampler.move=heat_bath"]
    assert one(*bosons).sampler.move == one(*bosons, "sector=none").sampler.move == "heat_bath"
    assert one(*bosons, "sampler.move_range=any").sampler.move_range == "any"
    for alone in (["hamiltonian=heisenberg"], ["hamiltonian=bose_hubbard"], ["hamiltonian=rydberg"], []):
        assert one(*alone, "sampler.move=hamiltonian").sampler.move == "hamiltonian"


def test_an_adaptive_sweep_has_bounds():
    found = one("lattice.length=12", "sampler.sweep=adaptive").sampler.sweep
    assert tuple(found) == (3, 192)
    assert tuple(one("sampler.sweep={most: 9, least: 2}").sampler.sweep) == (2, 9)
    config = one("lattice.length=12", "sampler.sweep=adaptive")
    assert from_plain(to_plain(config)).sampler == config.sampler
