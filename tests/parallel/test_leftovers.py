"""Only what is old, ours, MPICH's and nobody's goes."""

import mmap
import os
import subprocess
import sys
import time

from nqs_hpc.parallel.leftovers import LEAST_AGE, remove_leftovers


def make(folder, name, *, age=2 * LEAST_AGE):
    path = folder / name
    path.write_bytes(bytes(4096))
    then = time.time() - age
    os.utime(path, (then, then))
    return path


def test_dead_segments_go_and_living_ones_stay(tmp_path):
    mine = make(tmp_path, "mpich_shm_1_0")
    foreign = make(tmp_path, "mpich_shm_2_0")
    for name in ("mpich_shm_3_0", "mpich_vci_3_0", "sem.mpich_shm_4_0"):
        make(tmp_path, name)
    make(tmp_path, "mpich_shm_5_0", age=LEAST_AGE / 2)
    code = (
        "import mmap, sys; f = open(sys.argv[1], 'r+b'); m = mmap.mmap(f.fileno(), 4096); print(1, flush=True); input()"
    )
    with open(mine, "r+b") as file, mmap.mmap(file.fileno(), 4096):
        other = subprocess.Popen(
            [sys.executable, "-c", f"{code}; input()", str(foreign)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        with other:
            assert other.stdout is not None and other.stdout.readline() == "1\n"
            assert sorted(remove_leftovers(tmp_path)) == ["mpich_shm_3_0", "mpich_vci_3_0"]
            left = {path.name for path in tmp_path.glob("*mpich*")}
            assert left == {"mpich_shm_1_0", "mpich_shm_2_0", "sem.mpich_shm_4_0", "mpich_shm_5_0"}
            other.communicate("\n")
    assert sorted(remove_leftovers(tmp_path)) == ["mpich_shm_1_0", "mpich_shm_2_0"]


def test_what_cannot_be_looked_at_is_left(tmp_path):
    assert remove_leftovers(tmp_path / "missing") == []
    (tmp_path / f"nqs_hpc_{os.getuid()}.lock").symlink_to(tmp_path / "elsewhere")
    segment = make(tmp_path, "mpich_shm_1_0")
    assert remove_leftovers(tmp_path) == [] and segment.exists() and not (tmp_path / "elsewhere").exists()
