import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import h5py
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from nqs_hpc.job import checkpoint, checkpoint_file, files
from nqs_hpc.tasks.guard import Good, Memory
from nqs_hpc.tasks.running_mean import Average
from nqs_hpc.types import RunState

META = {"n_chains": 8, "solver": "cholesky", "note": "ψ" * 50_000, "x": 1 / 3}  # above HDF5's 64 KiB for attributes


def params(seed):
    rng = np.random.default_rng(seed)
    w = rng.normal(size=(3, 2))
    w[0] = [np.nan, -0.0]
    return {
        "w": jnp.asarray(w),
        "c": jnp.asarray(rng.normal(size=3) + 1j * rng.normal(size=3)),
        "layers": [(jnp.asarray(rng.normal(size=4), jnp.float32), jnp.zeros((0, 2)))],
        "odd/na.me": {".": jnp.asarray(True), "": jnp.asarray(rng.normal(), jnp.float16), "%": jnp.asarray(5e-324)},
    }


OPTIMIZER = optax.chain(optax.clip_by_global_norm(1.0), optax.adam(optax.linear_schedule(1e-2, 1e-3, 10)))


def state_of(step, chains, *, average=False):
    """A state whose every leaf depends on the step; ``chains`` are the ids of this rank's chains."""
    theta = params(step)
    ids = jnp.asarray(chains, jnp.int32)
    configurations = jnp.where((ids[:, None] * 7 + jnp.arange(5)[None, :] * (step + 3)) % 3 == 0, 1, -1)
    return RunState(
        step=jnp.asarray(step, jnp.int64),
        params=theta,
        chains={
            "samples": {"s": configurations.astype(jnp.int8), "id": ids, "phase": (ids * 0.1 + step).astype(complex)}
        },
        memory=Memory(
            update=OPTIMIZER.init(theta),
            good=Good(params(step + 1), (), Average(theta, jnp.asarray(0.25)) if average else None),
            average=Average(theta, jnp.asarray(0.5)) if average else None,
            scale=jnp.asarray(0.25),
            rejected=jnp.asarray(step % 3, jnp.int32),
            untried=jnp.asarray(step % 2 == 1),
        ),
    )


def assert_same(a, b):
    """The same tree, dtypes, shapes and bits."""
    assert jax.tree.structure(a) == jax.tree.structure(b)
    for x, y in zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True):
        assert isinstance(x, jax.Array) and not x.weak_type
        assert x.dtype == y.dtype and x.shape == y.shape and np.asarray(x).tobytes() == np.asarray(y).tobytes()


def save(folder, step, world, *, keep=3, **options):
    return checkpoint.save(folder, state_of(step, range(8), **options), world, meta=META, keep=keep)


def names(folder):
    return sorted(path.name for path in (folder / "checkpoints").iterdir())


@pytest.mark.parametrize("average", [False, True])
def test_round_trip_is_bitwise(tmp_path, serial, average):
    assert checkpoint.load(tmp_path, state_of(0, range(8), average=average), serial) is None
    assert checkpoint.newest_step(tmp_path) is None
    path = save(tmp_path, 5, serial, average=average)
    assert path == tmp_path / "checkpoints" / "step_00000005.h5" and names(tmp_path) == [path.name]
    template = jax.eval_shape(lambda: state_of(0, range(2), average=average))
    loaded = checkpoint.load(tmp_path, template, serial)
    assert_same(loaded.state, state_of(5, range(8), average=average))
    assert (loaded.meta, loaded.path, loaded.messages) == (META, path, ())
    assert checkpoint.newest_step(tmp_path) == 5
    image = path.read_bytes()
    assert save(tmp_path, 5, serial, average=average).read_bytes() == image


def test_file_is_plain_hdf5_with_readable_names(tmp_path, serial):
    path = save(tmp_path, 5, serial)
    with h5py.File(path) as file:
        np.testing.assert_array_equal(file["params/w"][()], params(5)["w"])
        assert file["params/layers/0/0"].dtype == np.float32
        assert "memory/update/1/0/mu/w" in file and "memory/good/params/c" in file
        kinds = set()
        file.visititems(lambda name, item: kinds.add(item.dtype.kind) if isinstance(item, h5py.Dataset) else None)
        assert "O" not in kinds
    assert b"pickle" not in path.read_bytes()


@pytest.mark.parametrize("size", [1, 4])
def test_chains_are_dealt_anew(tmp_path, run_ranks, size):
    def first(world):
        return checkpoint.save(tmp_path, state_of(7, range(4 * world.rank, 4 * world.rank + 4)), world, meta={}, keep=2)

    assert set(run_ranks(2, first)) == {tmp_path / "checkpoints" / "step_00000007.h5"}
    for rank, loaded in enumerate(run_ranks(size, lambda w: checkpoint.load(tmp_path, state_of(0, range(3)), w))):
        assert_same(loaded.state, state_of(7, range(8 * rank // size, 8 * (rank + 1) // size)))


def test_every_flipped_bit_is_found(tmp_path, serial):
    """One bit in each dataset in turn, in the header, in HDF5's structures: the checkpoint before is taken."""
    save(tmp_path, 4, serial)
    path = save(tmp_path, 5, serial)
    image = path.read_bytes()
    places = {"header": 3, "checksum": 30, "last byte": len(image) - 1}

    def visit(name, item):
        if isinstance(item, h5py.Dataset) and item.size:
            places[name] = item.id.get_offset() + random.randrange(item.id.get_storage_size())

    with h5py.File(path) as file:
        file.visititems(visit)
    assert {
        "meta",
        "step",
        "params/w",
        "chains/samples/s",
        "memory/update/1/0/nu/c",
        "memory/good/params/w",
    } < places.keys()
    places |= {f"structure {i}": random.randrange(len(image)) for i in range(8)}
    template = state_of(0, range(8))
    for name, place in places.items():
        damaged = bytearray(image)
        damaged[place] ^= 1 << random.randrange(8)
        path.write_bytes(damaged)
        loaded = checkpoint.load(tmp_path, template, serial)
        assert int(loaded.state.step) == 4, name
        (message,) = loaded.messages
        assert message.startswith("step_00000005.h5: ") and message.endswith("step_00000004.h5 is taken instead")
        assert "\n" not in message
    path.write_bytes(image)
    assert_same(checkpoint.load(tmp_path, template, serial).state, state_of(5, range(8)))


def test_other_damage(tmp_path, run_ranks, serial):
    save(tmp_path, 4, serial)
    path = save(tmp_path, 5, serial)
    image = path.read_bytes()
    template = state_of(0, range(4))

    def load(world):
        return checkpoint.load(tmp_path, template, world)

    for content in (b"", image[:100], image[:-1], image[: len(image) // 2], image + b"x", b"garbage" * 1000):
        path.write_bytes(content)
        for loaded in run_ranks(2, load):
            assert int(loaded.state.step) == 4 and len(loaded.messages) == 1
    path.unlink()
    path.mkdir()  # cannot be read at all
    assert "Is a directory" in load(serial).messages[0]
    path.rmdir()
    assert load(serial).messages == ()
    (tmp_path / "checkpoints" / "step_00000004.h5").write_bytes(b"")
    for error in run_ranks(2, load):
        assert isinstance(error, checkpoint.CheckpointError)
        assert "step_00000004.h5: is only 0 bytes long" in str(error) and "\n" not in str(error)


def test_keep(tmp_path, serial):
    """The newest ``keep`` good ones stay, at least two, and damaged ones do not count."""
    for step in range(1, 5):
        save(tmp_path, step, serial, keep=2)
    assert names(tmp_path) == ["step_00000003.h5", "step_00000004.h5"]
    for step in (3, 5):
        (tmp_path / "checkpoints" / f"step_{step:08d}.h5").write_bytes(b"damaged")
    (tmp_path / "checkpoints" / "step_mine.h5").touch()
    save(tmp_path, 6, serial, keep=1)
    assert names(tmp_path) == [*(f"step_0000000{i}.h5" for i in (4, 5, 6)), "step_mine.h5"]
    save(tmp_path, 7, serial, keep=3)
    save(tmp_path, 8, serial, keep=2)
    assert names(tmp_path)[:-1] == ["step_00000007.h5", "step_00000008.h5"]


def test_nothing_is_deleted_before_the_new_one_is_safe(tmp_path, run_ranks, serial, monkeypatch):
    save(tmp_path, 1, serial)
    save(tmp_path, 2, serial)

    def full(path, data):
        raise OSError(28, "No space left on device", str(path))

    monkeypatch.setattr(checkpoint, "write", full)
    for error in run_ranks(2, lambda world: save(tmp_path, 3, world, keep=2)):
        assert isinstance(error, OSError) and "No space" in str(error)
    assert names(tmp_path) == ["step_00000001.h5", "step_00000002.h5"]


def _with(state, **leaves):
    return state._replace(**leaves)


def _kept(state, **leaves):
    return state._replace(memory=state.memory._replace(**leaves))


def _drawn(state):
    return state.chains["samples"]


def _dealt(state, chains):
    return state._replace(chains={"samples": chains})


@pytest.mark.parametrize(
    ("template", "words"),
    [
        (lambda s: _kept(s, scale=jnp.asarray(1.0, jnp.float32)), ("scale", "float64 ()", "expected float32 ()")),
        (lambda s: _with(s, params=s.params | {"w": jnp.zeros((2, 3))}), ("params/w", "(3, 2)", "(2, 3)")),
        (lambda s: _with(s, params=s.params | {"b": jnp.zeros(1)}), ("params/b is in this run but not in step_",)),
        (lambda s: _dealt(s, {"s": _drawn(s)["s"], "id": _drawn(s)["id"]}), ("chains/samples/phase is in step_",)),
        (lambda s: _dealt(s, _drawn(s) | {"s": jnp.zeros((8, 6), jnp.int8)}), ("(8, 5)", "int8 (chains, 6)")),
        (
            lambda s: _kept(s, average=Average(s.params, s.memory.scale)),
            ("memory/average/params/", "is in this run but not in"),
        ),
    ],
)
def test_another_run_is_refused_in_one_line(tmp_path, run_ranks, serial, template, words):
    save(tmp_path, 1, serial)
    save(tmp_path, 5, serial)
    for error in run_ranks(2, lambda world: checkpoint.load(tmp_path, template(state_of(0, range(8))), world)):
        assert type(error) is ValueError and "\n" not in str(error)
        assert all(word in str(error) for word in words), str(error)


def test_chains_that_cannot_be_dealt(tmp_path, run_ranks, serial):
    save(tmp_path, 5, serial)
    for error in run_ranks(3, lambda world: checkpoint.load(tmp_path, state_of(0, range(8)), world)):
        assert type(error) is ValueError and "(8,) chains; 3 ranks cannot share them" in str(error)


def test_refuses_what_hdf5_cannot_hold_and_unknown_formats(tmp_path, serial, monkeypatch):
    bad = _kept(state_of(1, range(8)), scale=jnp.asarray(1.0, jnp.bfloat16))
    with pytest.raises(ValueError, match="scale has dtype bfloat16"):
        checkpoint.save(tmp_path, bad, serial, meta={}, keep=2)
    monkeypatch.setattr(checkpoint_file, "FORMAT_VERSION", 3)
    save(tmp_path, 1, serial)
    monkeypatch.undo()
    with pytest.raises(checkpoint.CheckpointError, match="format 3"):
        checkpoint.load(tmp_path, state_of(0, range(8)), serial)


def test_format_1_is_read(tmp_path, serial, monkeypatch):
    """The names that a ground state's leaves had: ``sampler/...``, ``update/...``, ``good/...``, ``average/...``."""

    def older(leaves, meta):
        names = {name: name.replace("chains/samples", "sampler").removeprefix("memory/") for name in leaves}
        assert set(names.values()) >= {"sampler/s", "update/1/0/mu/w", "good/params/c", "average/weight", "scale"}
        return pack({names[name]: leaf for name, leaf in leaves.items()}, meta)

    pack = checkpoint_file.pack
    monkeypatch.setattr(checkpoint, "pack", older)
    monkeypatch.setattr(checkpoint_file, "FORMAT_VERSION", 1)
    save(tmp_path, 5, serial, average=True)
    monkeypatch.undo()
    loaded = checkpoint.load(tmp_path, state_of(0, range(8), average=True), serial)
    assert_same(loaded.state, state_of(5, range(8), average=True))


def test_leaves_that_grow_are_cut_or_followed_by_zeros(tmp_path, serial):
    def state(n_rows):
        return RunState(np.int64(1), {}, {"s": np.zeros((4, 1))}, {"rows": np.ones((n_rows, 2)), "w": np.ones(2)})

    checkpoint.save(tmp_path, state(3), serial, meta={}, keep=2)
    for n_rows, expected in ((5, [1, 1, 1, 0, 0]), (2, [1, 1])):
        loaded = checkpoint.load(tmp_path, state(n_rows), serial, growing=("memory/rows",))
        assert np.array_equal(loaded.state.memory["rows"], np.array(expected, float)[:, None] * np.ones(2))
        with pytest.raises(ValueError, match=r"memory/rows in step_00000001\.h5 is float64"):
            checkpoint.load(tmp_path, state(n_rows), serial)


# A process that forks a writer for each line it reads: JAX is imported once, and no backend is started in it.
WRITERS = """
import os, pickle, signal, sys
from pathlib import Path
import numpy as np
from nqs_hpc.job import checkpoint
from nqs_hpc.parallel.world import World
from nqs_hpc.types import RunState
signal.signal(signal.SIGCHLD, signal.SIG_IGN)
ident = lambda obj: obj
world = World(0, 1, 0, 1, ident, lambda obj: [obj], lambda obj: [obj], ident, lambda: None, ident, "by hand")
folder = Path(sys.argv[1])
for _ in sys.stdin:
    pid = os.fork()
    if pid == 0:
        step = checkpoint.newest_step(folder) or 0
        while True:
            step += 1
            big = np.full((50_000,), float(step))
            state = RunState(np.asarray(step), {"w": big}, {"s": np.full((4, 9), step)}, {"good": big})
            checkpoint.save(folder, state, world, meta={"step": step}, keep=2)
    print(pid, flush=True)
"""


def test_sigkill_at_any_moment_leaves_a_complete_checkpoint(tmp_path, serial):
    template = jax.eval_shape(
        lambda: RunState(
            jnp.zeros((), int),
            {"w": jnp.zeros(50_000)},
            {"s": jnp.zeros((4, 9), int)},
            {"good": jnp.zeros(50_000)},
        )
    )
    last = 0
    with subprocess.Popen(
        [sys.executable, "-W", "ignore", "-c", WRITERS, str(tmp_path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONPATH": str(Path(checkpoint.__file__).parents[2])},
    ) as writers:
        for _ in range(12):
            print("go", file=writers.stdin, flush=True)
            pid = int(writers.stdout.readline())
            start = time.monotonic()
            while (checkpoint.newest_step(tmp_path) or 0) <= last:
                time.sleep(0.001)
            time.sleep(random.uniform(0, 2) * (time.monotonic() - start))  # a moment of the next one or two writes
            os.kill(pid, signal.SIGKILL)
            while os.path.exists(f"/proc/{pid}"):
                time.sleep(0.001)
            loaded = checkpoint.load(tmp_path, template, serial)
            step = int(loaded.state.step)
            assert loaded.messages == () and loaded.meta == {"step": step} and step > last
            assert np.all(loaded.state.params["w"] == step) and np.all(loaded.state.chains["s"] == step)
            last = step
            files.clean(tmp_path / "checkpoints")
            assert all(name.startswith("step_") for name in names(tmp_path))
        writers.stdin.close()
    assert last >= 12
    # a kill between a checkpoint and the removal of what is too old leaves one more; a save that ends leaves none
    save(tmp_path, last + 1, serial, keep=2)
    assert names(tmp_path) == [f"step_{step:08d}.h5" for step in (last, last + 1)]


def test_parameters_alone_come_from_the_newest_good_one(tmp_path, serial, run_ranks):
    save(tmp_path, 4, serial)
    path = save(tmp_path, 5, serial)
    template = jax.eval_shape(lambda: params(0))
    found = checkpoint.load_parameters(tmp_path, template, serial)
    assert_same(found.params, params(5))
    assert found.path == path and found.messages == ()
    older = tmp_path / "checkpoints" / "step_00000004.h5"
    assert_same(checkpoint.load_parameters(older, template, serial).params, params(4))
    path.write_bytes(b"")
    for found in run_ranks(2, lambda world: checkpoint.load_parameters(tmp_path, template, world)):
        assert_same(found.params, params(4))
        assert found.path == older and "step_00000004.h5 is taken instead" in found.messages[0]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"w": jnp.zeros((4, 2))}, ("params/w in step_00000005.h5 is float64 (3, 2), this run has float64 (4, 2)",)),
        ({"c": jnp.zeros(3)}, ("params/c", "complex128 (3,), this run has float64 (3,)")),
        ({"new": jnp.zeros(3)}, ("params/new is in this run but not in step_00000005.h5",)),
    ],
)
def test_parameters_that_do_not_fit(tmp_path, serial, change, words):
    save(tmp_path, 5, serial)
    with pytest.raises(ValueError) as caught:
        checkpoint.load_parameters(tmp_path, params(0) | change, serial)
    assert all(word in str(caught.value) for word in words) and "\n" not in str(caught.value)


def test_parameters_of_another_precision_are_converted(tmp_path, serial):
    save(tmp_path, 5, serial)
    template = params(0) | {"w": jnp.zeros((3, 2), jnp.complex128), "c": jnp.zeros(3, jnp.complex64)}
    found = checkpoint.load_parameters(tmp_path, template, serial).params
    np.testing.assert_array_equal(found["w"], np.asarray(params(5)["w"]).astype(complex))
    np.testing.assert_array_equal(found["c"], np.asarray(params(5)["c"]).astype(np.complex64))


def test_parameters_that_are_one_array(tmp_path, serial):
    """Their name is that of the parameters themselves."""
    theta = jnp.asarray([1.5, -2.0])
    state = state_of(3, range(4))._replace(params=theta)
    checkpoint.save(tmp_path, state, serial, meta={}, keep=2)
    stored = checkpoint.read(tmp_path)
    assert np.array_equal(checkpoint.subtree(stored, "params/", jax.eval_shape(lambda: theta)), theta)
    with pytest.raises(ValueError, match=r"params is in step_00000003\.h5 but not in this run"):
        checkpoint.subtree(stored, "params/", {"w": theta})


def test_a_folder_without_checkpoints_has_no_parameters(tmp_path, serial):
    with pytest.raises(checkpoint.CheckpointError, match="there is none"):
        checkpoint.load_parameters(tmp_path, params(0), serial)


def test_lines_are_flushed_before_the_checkpoint(tmp_path, serial, monkeypatch):
    order = []
    monkeypatch.setattr(checkpoint, "write", lambda path, data: order.append("checkpoint") or path.touch())
    checkpoint.save(tmp_path, state_of(1, range(8)), serial, meta={}, keep=2, flush=lambda: order.append("lines"))
    assert order == ["lines", "checkpoint"]
