"""Networks of Flax and Equinox by their import path: the same log psi as they have alone, of the right kind."""

import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from nqs_hpc.ansatz.rbm import RBMParams, rbm
from nqs_hpc.config.basis import basis_of
from nqs_hpc.config.compose import InputError, compose
from nqs_hpc.config.identity import physics
from nqs_hpc.library.pieces import build
from nqs_hpc.library.run import load_run
from nqs_hpc.types import Ansatz
from tests.mpi.starts import environment, metrics, small
from tests.systems import all_states

flax = pytest.importorskip("flax")
eqx = pytest.importorskip("equinox")


@pytest.fixture(autouse=True)
def as_in_a_job():
    """Somebody else's code may broadcast as jax allows it."""
    with jax.numpy_rank_promotion("allow"):
        yield


N = 4
HERE = "tests.ansatz.networks"


def keys(ansatz: str, module: str, **arguments) -> list[str]:
    given = [f"ansatz.arguments.{name}={value}" for name, value in arguments.items()]
    return ["lattice.length=4", f"ansatz={ansatz}", f"ansatz.module={module}", *given]


def made(words: list[str]) -> Ansatz:
    config = compose(words, 1)
    lattice = config.lattice.make()
    return config.ansatz.make(lattice, basis_of(config, lattice), config.precision.network)


def log_psi_of(ansatz: Ansatz, params) -> np.ndarray:
    return np.asarray(jax.jit(jax.vmap(ansatz.log_psi, (None, 0)))(params, all_states(N)))


@pytest.mark.parametrize("dtype", ["float64", "complex128"])
def test_an_rbm_of_flax_is_ours(dtype):
    is_complex = dtype == "complex128"
    words = keys("flax", f"{HERE}:FlaxRBM", alpha=2, dtype=dtype)
    theirs = made([*words, f"ansatz.holomorphic={str(is_complex).lower()}"])
    ours = rbm(N, n_hidden=2 * N, dtype="complex" if is_complex else "real")
    assert theirs.kind == ours.kind
    params = theirs.init(jax.random.key(1))
    same = RBMParams(params["Dense_0"]["kernel"], params["a"], params["Dense_0"]["bias"])
    assert np.abs(log_psi_of(theirs, params) - log_psi_of(ours, same)).max() < 1e-13
    assert np.ptp(log_psi_of(ours, same).real) > 0.1


def test_kinds_are_what_the_output_says():
    kinds = {
        "complex": keys("flax", f"{HERE}:Phase", widths="[3,2]"),
        "real": keys("equinox", f"{HERE}:EquinoxNet", n_sites=N, width=3),
    }
    for kind, words in kinds.items():
        assert made(words).kind == kind
    # complex parameters whose log psi is not holomorphic in them are of the general kind
    assert made(keys("flax", f"{HERE}:Modulus", dtype="complex128")).kind == "complex"


def test_real_time_takes_a_module_that_turns_out_complex():
    """Its keys do not say; a real one is refused once it is built, in a line that names no key it lacks."""
    evolve = ["task=dynamics", "task.t_end=0.1", "sampler=enumerate"]
    assert build([*keys("flax", f"{HERE}:Phase", widths="[2]"), *evolve]).ansatz.kind == "complex"
    real = [*keys("equinox", f"{HERE}:EquinoxNet", n_sites=N, width=3), *evolve]
    with pytest.raises(InputError, match=r"task\.time=real is not valid; valid: imaginary, or a network whose log psi"):
        build(real)


def test_an_equinox_module_is_itself():
    from tests.ansatz.networks import EquinoxNet

    ansatz = made(keys("equinox", f"{HERE}:EquinoxNet", n_sites=N, width=3, times=2))
    params = ansatz.init(jax.random.key(5))
    assert all(jnp.issubdtype(leaf.dtype, jnp.floating) for leaf in jax.tree.leaves(params))
    alone = EquinoxNet(N, 3, 2, key=jax.random.key(5))
    wanted = [float(alone(jnp.asarray(s, jnp.float64))) for s in all_states(N)]
    assert np.abs(log_psi_of(ansatz, params) - wanted).max() < 1e-14 and np.ptp(wanted) > 0.1


def test_the_run_has_a_name_of_module_and_arguments():
    """Another module or other arguments are another run."""
    words = keys("flax", f"{HERE}:FlaxRBM", alpha=2)
    found = [
        physics(compose(given, 1))["ansatz"]
        for given in (words, [*words[:-1], "ansatz.arguments.alpha=3"], keys("flax", f"{HERE}:Other", alpha=2))
    ]
    assert found[0] == {
        "name": "flax", "module": f"{HERE}:FlaxRBM", "arguments": {"alpha": 2}, "holomorphic": False
    }  # fmt: skip
    assert found[0] != found[1] and found[0] != found[2]


# what is given, then what the line must hold
BAD = [
    (keys("flax", "no.such.module:Net"), "ansatz.module=no.such.module:Net", "ModuleNotFoundError"),
    (keys("flax", f"{HERE}:Nothing"), "ansatz.module", "has no Nothing"),
    (keys("flax", f"{HERE}:NOT_A_MODULE"), "ansatz.module", "not a subclass of flax's Module"),
    (keys("flax", f"{HERE}:EquinoxNet"), "ansatz.module", "not a subclass of flax's Module"),
    (keys("equinox", f"{HERE}:FlaxRBM"), "ansatz.module", "not a subclass of equinox's Module"),
    (keys("flax", f"{HERE}:FlaxRBM", beta=2), "ansatz.arguments={beta: 2}", "beta"),
    (keys("equinox", f"{HERE}:EquinoxNet", n_sites=N), "ansatz.arguments={n_sites: 4}", "width"),
    (keys("equinox", f"{HERE}:EquinoxNet", n_sites=N, width=2, times="[1]"), "ansatz.arguments", "on shape (4,)"),
    (keys("flax", f"{HERE}:WithState"), "ansatz.arguments", "batch_stats"),
    (keys("flax", f"{HERE}:Wide"), "ansatz.arguments", "(2, 3) for shape (2, 4)"),
    ([*keys("flax", f"{HERE}:FlaxRBM"), "ansatz.holomorphic=true"], "ansatz.holomorphic=true", "log psi is real"),
    (
        [*keys("flax", f"{HERE}:Phase", widths="[2]"), "ansatz.holomorphic=true"],
        "ansatz.holomorphic=true",
        "not all of its parameters",
    ),
    (
        [*keys("flax", f"{HERE}:Modulus", dtype="complex128"), "ansatz.holomorphic=true"],
        "ansatz.holomorphic=true",
        "not a holomorphic function",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("words", "key", "why"), BAD, ids=[" ".join(row[0][2:]) for row in BAD])
def test_one_line(words, key, why):
    with pytest.raises(InputError) as caught:
        made(words)
    line = str(caught.value)
    assert line.startswith(key) and why in line and len(line.splitlines()) == 1, line


def test_a_file_does_not_name_what_is_imported(tmp_path, monkeypatch):
    """Not without the command: neither a configuration that is found, nor a run folder that is opened."""
    (tmp_path / "evil.py").write_text("raise SystemExit('imported')")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(InputError, match=r"ansatz\.arguments=|ansatz\.module=null"):
        compose(["ansatz=flax", "ansatz.arguments=3"], 1)
    with pytest.raises(InputError, match="evil cannot be imported: SystemExit: imported"):
        build(keys("flax", "evil:Net"))
    from nqs_hpc.config import compose as module
    from nqs_hpc.config import defaults
    from nqs_hpc.config.identity import to_plain

    plain = to_plain(compose(keys("flax", "evil:Net"), 1)) | {"allow_import": True}
    composed = defaults.compose_groups({"ansatz": "flax"})
    composed[0]["ansatz"]["module"] = "evil:Net"
    composed[0]["allow_import"] = True  # nor does a file say that it may
    for user in (module, defaults):
        monkeypatch.setattr(user, "compose_groups", lambda picked: composed)
    with pytest.raises(InputError, match=r"ansatz\.module=evil:Net is not valid; valid: the same on the command line"):
        compose(["ansatz=flax"], 1)
    assert compose(["ansatz=flax", "allow_import=true"], 1).ansatz.module == "evil:Net"
    monkeypatch.undo()

    import yaml

    (tmp_path / "config.yaml").write_text(yaml.safe_dump(plain))
    with pytest.raises(ValueError, match=r"names evil:Net: valid: load_run\(\.\.\., allow_import=True\)"):
        _ = load_run(tmp_path).parts


def test_a_job_with_a_module(tmp_path):
    """From the command line to a finished run, opened again; and bad input leaves nothing behind."""
    (tmp_path / "mine.py").write_text(
        "import flax.linen as nn\n"
        "class Net(nn.Module):\n"
        "    width: int = 3\n"
        "    @nn.compact\n"
        "    def __call__(self, s):\n"
        "        return nn.Dense(1)(nn.tanh(nn.Dense(self.width)(s)))[:, 0]\n"
    )

    def job(module: str, code: int) -> str:
        words = small("ansatz=flax", f"ansatz.module={module}", "ansatz.arguments={width: 2}", "task.n_steps=3",
                      "run_dir=run")  # fmt: skip
        words = [word for word in words if not word.startswith("ansatz.alpha")]
        done = subprocess.run([sys.executable, *words], cwd=tmp_path, env=environment(), capture_output=True, text=True)
        assert done.returncode == code, done.stdout + done.stderr
        return done.stderr

    line = job("mine:Nett", 2)
    assert line.strip() == "ansatz.module=mine:Nett is not valid: mine has no Nett"
    assert not (tmp_path / "run").exists()
    job("mine:Net", 0)
    assert len(metrics(tmp_path / "run")) == 3


NETKET = {
    "RBM": "netket.models:RBM",
    "GCNN": "tests.ansatz.netket_models:ChainGCNN",
    "ARNNDense": "tests.ansatz.netket_models:SpinARNN",
}


@pytest.mark.parametrize("name", NETKET)
def test_models_of_netket_are_themselves(name):
    """log psi as `module.apply` of NetKet's own classes gives it, on all states."""
    netket = pytest.importorskip("netket")
    ansatz = made(keys("flax", NETKET[name]))
    params = ansatz.init(jax.random.key(2))
    states = jnp.asarray(all_states(N), jnp.float64)
    ring, space = netket.graph.Chain(N), netket.hilbert.Spin(0.5, N)
    alone = {
        "RBM": lambda: netket.models.RBM(),
        "GCNN": lambda: netket.models.GCNN(symmetries=ring, layers=2, features=3),
        "ARNNDense": lambda: netket.models.ARNNDense(hilbert=space, layers=2, features=4),
    }[name]()
    inner = params if name == "RBM" else params["inner"]
    wanted = np.asarray(alone.apply({"params": inner}, states))
    found = log_psi_of(ansatz, params)
    assert np.abs(np.exp(found - wanted) - 1).max() < 1e-12 and np.ptp(wanted.real) > 1e-3
    if name == "ARNNDense":
        assert np.sum(np.exp(2 * found.real)) == pytest.approx(1, abs=1e-12)
