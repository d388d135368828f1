"""What a wheel carries is enough: built, installed in an environment of its own, and run far from any checkout.

The new environment sees the dependencies of this one through a .pth file. A folder that a .pth adds is searched, but
the .pth files in it are not read, so an editable install of this package stays out of sight.
"""

import json
import os
import re
import subprocess
import sys
import sysconfig
import tarfile
import zipfile
from pathlib import Path

import pytest

from tests.mpi.starts import mpiexec

ROOT = Path(__file__).resolve().parents[1]
LINK = re.compile(r"\]\(([^)\s]+)\)")
CODE = re.compile(r"^```.*?^```|`[^`\n]+`", flags=re.DOTALL | re.MULTILINE)
FOLDERS = ("nqs_hpc", "hydra_plugins", "conf", "slurm")


def command(*words: str | Path, cwd: Path, env: dict[str, str] | None = None) -> str:
    done = subprocess.run(
        [*map(str, words)], cwd=cwd, env=env, capture_output=True, text=True, stdin=subprocess.DEVNULL
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    build = ("wheel", "--quiet", "--no-deps", "--no-index", "--no-build-isolation", "--wheel-dir", folder, ROOT)
    command(sys.executable, "-m", "pip", *build, cwd=folder)
    (path,) = folder.glob("nqs_hpc-*.whl")
    return path


@pytest.fixture(scope="module")
def python(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The interpreter of a new environment that holds the wheel."""
    folder = tmp_path_factory.mktemp("environment") / "venv"
    command(sys.executable, "-m", "venv", "--without-pip", folder, cwd=folder.parent)
    path = folder / "bin" / "python"
    (site,) = folder.glob("lib/python*/site-packages")
    parents = dict.fromkeys(sysconfig.get_path(name) for name in ("purelib", "platlib"))
    (site / "parent.pth").write_text("\n".join(parents) + "\n", encoding="utf-8")
    install = ("--python", path, "install", "--quiet", "--no-deps", "--no-index", wheel)
    command(sys.executable, "-m", "pip", *install, cwd=folder)
    return path


@pytest.fixture
def environment() -> dict[str, str]:
    """Without PYTHONPATH; mpi4py looks for the MPICH wheel in its own prefix, which is a new one, so it is told."""
    env = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    library = Path(sys.prefix, "lib")
    return env | {"MPI4PY_LIBMPI": str(library)} if any(library.glob("libmpi.so*")) else env


def test_wheel_carries_what_the_checkout_has(wheel: Path) -> None:
    """Every source file and every YAML and batch template of the checkout, and nothing of tests or other folders."""
    names = set(zipfile.ZipFile(wheel).namelist())
    carried = {name for name in names if ".dist-info/" not in name}
    here = {file for folder in FOLDERS for file in (ROOT / folder).rglob("*") if file.is_file()}
    relative = {file.relative_to(ROOT) for file in here if "__pycache__" not in file.parts}
    expected = {str("nqs_hpc" / file if file.parts[0] in ("conf", "slurm") else file) for file in relative}
    assert carried == expected
    assert any(name.endswith("licenses/LICENSE") for name in names)


def test_long_description_has_no_link_that_leads_nowhere(wheel: Path) -> None:
    """A wheel has no docs/ beside it: links to files are text with the name of the file."""
    with zipfile.ZipFile(wheel) as archive:
        (name,) = (name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
        text = archive.read(name).decode().partition("\n\n")[2]
    assert [target for target in LINK.findall(text) if not target.startswith(("https://", "#"))] == []
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    files = {target.partition("#")[0] for target in LINK.findall(readme) if "://" not in target} - {"docs/run.png", ""}
    assert files and [file for file in files if f"`{file}`" not in text] == []
    assert "\n## " in text and "source distribution" in text.splitlines()[-2]
    for block in re.findall(r"^```.*?^```", readme, flags=re.DOTALL | re.MULTILINE):
        assert block in text


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The unpacked source distribution."""
    folder = tmp_path_factory.mktemp("sdist")
    command(sys.executable, "-m", "hatchling", "build", "-t", "sdist", "-d", folder, cwd=ROOT)
    (path,) = folder.glob("nqs_hpc-*.tar.gz")
    with tarfile.open(path) as archive:
        archive.extractall(folder, filter="data")
    (unpacked,) = (one for one in folder.iterdir() if one.is_dir())
    return unpacked


def test_source_distribution_has_what_its_pages_name(source: Path) -> None:
    """Every file that README and the pages of the site link to, and what `make docs` reads."""
    pages = [source / "README.md", source / "ARCHITECTURE.md", *(source / "docs").rglob("*.md")]
    here = {file.relative_to(ROOT) for file in (ROOT / "docs").rglob("*.md")}
    assert {page.relative_to(source) for page in pages[2:]} == here
    for page in pages:
        targets = LINK.findall(CODE.sub("", page.read_text(encoding="utf-8")))
        files = {target.partition("#")[0] for target in targets if "://" not in target} - {""}
        assert [file for file in files if not (page.parent / file).exists()] == [], page
    for name in ("mkdocs.yml", "Makefile", "hatch_build.py", "docs/make_site.py", "docs/site.css", "CHANGELOG.md"):
        assert (source / name).is_file(), name


@pytest.mark.slow
def test_site_is_built_from_the_source_distribution(source: Path, environment: dict[str, str]) -> None:
    pytest.importorskip("mkdocs")
    command(
        sys.executable, "-m", "mkdocs", "build", "--quiet", "--site-dir", source / "out", cwd=source, env=environment
    )
    home = (source / "out" / "index.html").read_text(encoding="utf-8")
    assert '<span class="whole">|ψ|²</span>' in home and home.count("<img alt=") >= 3
    assert not (source / "out" / "404.html").exists()
    hrefs = re.findall(r'(?:href|src)="([^"#?:]+)[#?"]', home)
    assert hrefs and [link for link in hrefs if not (source / "out" / link).exists()] == []


def test_installed_package_answers_from_anywhere(python: Path, environment: dict[str, str], tmp_path: Path) -> None:
    where = command(python, "-c", "import nqs_hpc; print(nqs_hpc.__file__)", cwd=tmp_path, env=environment)
    assert Path(where.strip()).is_relative_to(python.parents[1])
    text = command(python, "-m", "nqs_hpc", "--help", cwd=tmp_path, env=environment)
    assert "lattice" in text and "tfim_square" in text  # groups and choices are read from the conf/ of the wheel
    assert command(python.with_name("nqs-hpc"), "--help", cwd=tmp_path, env=environment) == text
    assert list(tmp_path.iterdir()) == []


@pytest.mark.mpi
def test_installed_command_has_one_answer_of_all_ranks(
    python: Path, environment: dict[str, str], tmp_path: Path
) -> None:
    words = (mpiexec(), "-n", "2", python.with_name("nqs-hpc"), "latice=chain")
    done = subprocess.run([*map(str, words)], cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert done.returncode == 2 and done.stderr.count("latice=chain is not valid") == 1, done.stderr


def test_installed_package_finds_its_launchers(python: Path, environment: dict[str, str], tmp_path: Path) -> None:
    words = ("-m", "study=a", "seed=1,2", "hydra/launcher=slurm", "hydra.launcher.dry_run=true")
    text = command(python, "-m", "nqs_hpc", *words, cwd=tmp_path, env=environment)
    assert "#SBATCH --array=0-1\n" in text and list(tmp_path.iterdir()) == []


def test_installed_package_runs_a_job(python: Path, environment: dict[str, str], tmp_path: Path) -> None:
    small = (
        "lattice.length=6",
        "sampler.n_chains=8",
        "sampler.n_samples=64",
        "task.n_steps=2",
        "task.final_samples=512",
    )
    command(python.with_name("nqs-hpc"), *small, cwd=tmp_path, env=environment)
    (run,) = (tmp_path / "runs").iterdir()
    assert [path.name for path in tmp_path.iterdir()] == ["runs"]
    summary = json.loads((run / "summary.json").read_text(encoding="utf-8"))
    # two steps do not come near the ground state, and the run says so
    assert (summary["status"], summary["step"], summary["n_sites"]) == ("doubtful", 2, 6)
    assert len((run / "metrics.jsonl").read_text(encoding="utf-8").splitlines()) == 2
    assert "1 point: 1 doubtful" in command(python, "-m", "nqs_hpc", "status", "runs", cwd=tmp_path, env=environment)
    page = command(python, "-m", "nqs_hpc", "report", "runs", cwd=tmp_path, env=environment).strip()
    assert "<svg" in (tmp_path / page).read_text(encoding="utf-8")  # its template came along
