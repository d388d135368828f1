"""The layers of the package, read from its imports: every edge points down, and what is loaded early is light.

All imports count, also those inside functions and those for type checkers only: an upward edge that hides in a function
is still one. What is loaded at start (module level, followed through the package) is checked apart.
"""

import ast
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = "nqs_hpc"

# What each unit (a package, or a file at the top) may import besides itself. Lowest first: a unit names only units that
# stand before it. Where one could be named and is not, the reason stands beside it.
ALLOWED: dict[str, set[str]] = {
    "types": set(),  # the contracts: everyone's, so nobody above may be needed to read them
    # What a user or a file gives, checked one value at a time: below all readers, of which each room has some.
    "inputs": set(),
    # Peers: a lattice knows no ranks, and a rank no lattice.
    "parallel": {"types", "inputs"},
    "system": {"types", "inputs"},
    "formats": {"types", "inputs", "system"},  # files of other programs: what they hold, not what it is for
    # What an operator, an ansatz and a sampler have in common is in types.py (Move), and nothing else: any of the one
    # must work with any of the others, so none of them imports another.
    "operators": {"types", "inputs", "parallel", "system", "formats"},
    "ansatz": {"types", "parallel", "system"},
    "sampler": {"types", "parallel", "system"},
    "stats": {"types", "parallel"},  # numbers of samples, whatever was sampled
    "gradient": {"types", "parallel", "stats"},  # sees log_psi as a function, so no ansatz
    "update": {"types", "parallel", "stats", "gradient"},
    "integrators": set(),  # of any equation: numbers of a method, and how long a step is
    # What is measured, of any wave function: an ansatz is what types.py says of it.
    "observables": {"types", "parallel", "system", "operators", "gradient", "stats"},
    # What a run does; of what users give it knows how a number is written.
    "tasks": {
        "types",
        "inputs.numbers",
        "parallel",
        "system",
        "operators",
        "ansatz",
        "sampler",
        "stats",
        "gradient",
        "update",
        "integrators",
        "observables",
    },
    # All that a name in a configuration means. The mathematics is imported late: input is checked before jax is loaded.
    "choices": {
        "types",
        "inputs",
        "parallel",
        "system",
        "formats",
        "operators",
        "ansatz",
        "sampler",
        "update",
        "integrators",
        "observables",
        "tasks",
    },
    # Files and signals around any computation: a checkpoint must not know what it holds.
    "job": {"types", "inputs", "parallel"},
    # Reads run folders, on a login node: of what writes them only what knows their files, and what asks Slurm. Of
    # physics the geometry, for figures.
    "report": {
        "types",
        "inputs",
        "system.distances",  # wave vectors and distances between sites, NumPy alone
        "system.families",
        "system.lattice",
        "system.wave_vectors",
        "job.checkpoint_file",  # what is refused in an HDF5 file that anybody may have written
        "job.files",
        "job.lifecycle",
        "job.log",
        "job.quantities",
        "job.slurm",
        "job.study",
        "job.tails",
    },
    # The input is checked before anything heavy is loaded: geometry and the grammar of Pauli strings, no physics.
    "config": {"types", "inputs", "choices", "system", "operators.pauli_strings", "job"},
}
# From a configuration, and from the arrays of a checkpoint, to what computes.
ALLOWED["parts"] = set(ALLOWED) - {"report"}
ALLOWED["cluster"] = {"inputs", "choices", "config", "job"}
ALLOWED["sweep"] = {
    "inputs",
    "choices",
    "config",
    "job",
    "cluster",
    "parallel.launchers",
    "parallel.blas",
}  # many jobs, each a `submit` or a start
# A notebook's view of runs and parts; it starts no job, so no loop and nothing of a start. What state a run is in says
# report, so that it is the same in a notebook and on a terminal.
ALLOWED["library"] = set(ALLOWED) - {"cluster", "sweep"}
ALLOWED["run"] = set(ALLOWED) - {"library", "cluster", "sweep"}  # one job on all ranks: it starts no others
# Published results: a sweep, and what its folder says afterwards.
ALLOWED["reproduce"] = {"inputs", "config", "job", "report", "sweep"}
ALLOWED["doctor"] = {"inputs", "types", "parallel", "job"}  # looks at the machine and knows no physics
ALLOWED["cli"] = set(ALLOWED)
ALLOWED["__main__"] = set(ALLOWED)
# The package itself: the names of the library, loaded when asked for, since every module loads it first.
OF_PACKAGE = {"library"}

# Third-party packages that one file owns: collectives on one communicator must not meet those of the other.
OWNERS = {"mpi4py": {"parallel.world"}, "mpi4jax": {"parallel.comm"}}

# jax and what imports it. Reading input or a run folder must not cost the seconds that loading it takes, and threads
# and device must be set before.
JAX = {"jax", "jaxlib", "optax", "mpi4jax", "flax", "equinox"}
NEVER_JAX = ("inputs", "system", "formats", "report", "config", "cluster", "sweep", "reproduce")
NEVER_JAX += ("parallel.world", "parallel.launch", "parallel.launchers", "parallel.compile_cache", "parallel.agreement")
NEVER_JAX += ("job.study", "job.lifecycle", "job.lock", "job.slurm", "job.manifest")
LATE_JAX = ("", "choices", "cli", "doctor", "__main__")
LATE_JAX += ("library", "library.pieces", "library.run", "library.sweep", "library.tables")  # tables of runs need none


class Import(NamedTuple):
    target: str  # dotted, without the package's own name where ``inside``
    inside: bool  # of this package
    typing: bool  # under TYPE_CHECKING
    late: bool  # in a function
    line: int


def module_name(path: Path, root: Path) -> str:
    parts = path.relative_to(root / PACKAGE).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def all_modules(root: Path) -> dict[str, Path]:
    """Dotted name below the package (the package itself: the empty name) -> file."""
    return {module_name(path, root): path for path in sorted((root / PACKAGE).rglob("*.py"))}


def read_imports(path: Path, name: str, modules: dict[str, Path]) -> list[Import]:
    found: list[Import] = []
    package = name.split(".") if path.name == "__init__.py" else name.split(".")[:-1]
    package = [PACKAGE, *filter(None, package)]

    def add(dotted: str, typing: bool, late: bool, line: int) -> None:
        head, _, rest = dotted.partition(".")
        found.append(Import(rest if head == PACKAGE else dotted, head == PACKAGE, typing, late, line))

    def visit(node: ast.AST, typing: bool, late: bool) -> None:
        if isinstance(node, ast.Import):
            for alias in node.names:
                add(alias.name, typing, late, node.lineno)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            dotted = ".".join([*base, *filter(None, [node.module])])
            for alias in node.names:  # `from nqs_hpc.job import log` imports nqs_hpc.job.log
                full = f"{dotted}.{alias.name}"
                is_module = full.removeprefix(f"{PACKAGE}.") in modules and full.startswith(f"{PACKAGE}.")
                add(full if is_module else dotted, typing, late, node.lineno)
        elif isinstance(node, ast.Call) and ast.unparse(node.func).endswith(("import_module", "__import__")):
            for text in (argument.value for argument in node.args[:1] if isinstance(argument, ast.Constant)):
                add(str(text), typing, late, node.lineno)
        if isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING"):
            for child in node.body:
                visit(child, True, late)
            for child in node.orelse:
                visit(child, typing, late)
            return
        late = late or isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
        for child in ast.iter_child_nodes(node):
            visit(child, typing, late)

    visit(ast.parse(path.read_text(encoding="utf-8")), False, False)
    return found


def read_package(root: Path) -> dict[str, list[Import]]:
    modules = all_modules(root)
    return {name: read_imports(path, name, modules) for name, path in modules.items()}


def within(module: str, unit: str) -> bool:
    return module == unit or module.startswith(unit + ".")


def unit_of(module: str) -> str:
    return module.split(".")[0]


def layer_faults(package: dict[str, list[Import]]) -> list[str]:
    faults = []
    for name, imports in package.items():
        unit = unit_of(name)
        if name and unit not in ALLOWED:
            faults.append(f"{name}: its layer is not in the table of this test")
            continue
        allowed = ALLOWED[unit] if name else OF_PACKAGE
        for found in imports:
            if not found.inside or not found.target:  # the package's own __init__ loads nothing, so it is below all
                continue
            if not name and not (found.late or found.typing):
                faults.append(f"{PACKAGE}, line {found.line}: loads {found.target}")
                continue
            if name and unit_of(found.target) == unit:
                continue
            if not any(within(found.target, entry) for entry in allowed):
                faults.append(f"{name or PACKAGE}, line {found.line}: imports {found.target}")
    return faults


def owner_faults(package: dict[str, list[Import]]) -> list[str]:
    return [
        f"{name}, line {found.line}: imports {found.target}"
        for name, imports in package.items()
        for found in imports
        if not found.inside and name not in OWNERS.get(unit_of(found.target), {name})
    ]


def loaded_with(module: str, package: dict[str, list[Import]]) -> dict[str, str]:
    """Every third-party package that importing ``module`` loads -> the module that imports it."""
    external: dict[str, str] = {}
    seen: set[str] = set()
    stack = [module]
    while stack:
        name = stack.pop()
        if name in seen:
            continue
        seen.add(name)
        parts = name.split(".")
        stack += [".".join(parts[:depth]) for depth in range(len(parts))]  # the packages around it run first
        for found in package.get(name, []):
            if found.typing or found.late:
                continue
            if found.inside:
                stack.append(found.target)
            else:
                external.setdefault(unit_of(found.target), name)
    return external


def is_late(name: str) -> bool:
    return name in LATE_JAX or any(within(name, entry) for entry in LATE_JAX if entry and entry != "library")


def jax_faults(package: dict[str, list[Import]]) -> list[str]:
    faults = []
    for name, imports in package.items():
        never = any(within(name, entry) for entry in NEVER_JAX)
        if never or is_late(name):
            loaded = loaded_with(name, package)
            faults += [f"{name}: loads {heavy} through {loaded[heavy]}" for heavy in JAX & loaded.keys()]
        if never:
            faults += [
                f"{name}, line {found.line}: imports {found.target}"
                for found in imports
                if not found.inside and unit_of(found.target) in JAX and not found.typing
            ]
    return faults


def test_table_is_a_stack() -> None:
    order = list(ALLOWED)
    for unit, allowed in ALLOWED.items():
        below = order[: order.index(unit)]
        assert {unit_of(entry) for entry in allowed} <= set(below), unit


def test_every_import_points_down() -> None:
    assert layer_faults(read_package(ROOT)) == []


def test_one_file_owns_each_message_library() -> None:
    assert owner_faults(read_package(ROOT)) == []


def test_light_modules_load_no_jax() -> None:
    assert jax_faults(read_package(ROOT)) == []


def test_light_modules_load_no_jax_at_run_time() -> None:
    """The same by experiment, third-party packages included; nor may they load MPI, for `-m` and `--help`."""
    light = [name for name in all_modules(ROOT) if is_late(name) or any(within(name, entry) for entry in NEVER_JAX)]
    light.remove("__main__")  # it would run
    names = [f"{PACKAGE}.{name}".rstrip(".") for name in light]
    code = f"import sys, importlib\nfor name in {names}: importlib.import_module(name)\nprint(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert loaded.returncode == 0, loaded.stderr
    assert (JAX | {"mpi4py"}).isdisjoint(loaded.stdout.split())


@pytest.mark.parametrize(
    ("file", "line", "judge"),
    [
        ("stats/estimate.py", "from nqs_hpc.tasks import evaluation", layer_faults),
        ("ansatz/rbm.py", "from nqs_hpc.operators.ising import ising", layer_faults),
        ("ansatz/rbm.py", "from ..operators import ising", layer_faults),
        ("gradient/force.py", "def f():\n    import nqs_hpc.update.sr", layer_faults),
        ("job/log.py", "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import nqs_hpc.run.run", layer_faults),
        ("sampler/moves.py", "import importlib\nimportlib.import_module('nqs_hpc.tasks')", layer_faults),
        ("config/compose.py", "from nqs_hpc.operators import ising", layer_faults),
        ("__init__.py", "from nqs_hpc import types", layer_faults),
        ("__init__.py", "from nqs_hpc.library import run", layer_faults),
        ("__init__.py", "def f():\n    import nqs_hpc.run.run", layer_faults),
        ("plots.py", "", layer_faults),
        ("job/log.py", "from mpi4py import MPI", owner_faults),
        ("tasks/evaluation.py", "def f():\n    import mpi4jax", owner_faults),
        ("system/lattice.py", "def f():\n    import jax.numpy as jnp", jax_faults),
        ("cli/command.py", "from nqs_hpc.run import run\n", jax_faults),
    ],
)
def test_a_planted_fault_is_found(tmp_path: Path, file: str, line: str, judge) -> None:
    """One line of the kind that each check is for, in a small package that is sound without it."""
    sound = {
        "types.py": "",
        "run/run.py": "import jax",
        "operators/ising.py": "",
        "tasks/evaluation.py": "",
        "update/sr.py": "",
    }

    def write(name: str, text: str) -> None:
        target = tmp_path / PACKAGE / name
        target.parent.mkdir(parents=True, exist_ok=True)
        for folder in {tmp_path / PACKAGE, target.parent}:
            (folder / "__init__.py").touch()
        target.write_text(text, encoding="utf-8")

    for name, text in sound.items():
        write(name, text)
    before = read_package(tmp_path)
    assert [layer_faults(before), owner_faults(before), jax_faults(before)] == [[], [], []]

    write(file, line)
    (fault,) = judge(read_package(tmp_path))
    assert fault.startswith(PACKAGE if file == "__init__.py" else file.removesuffix(".py").replace("/", "."))
