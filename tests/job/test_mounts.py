"""File systems as /proc/self/mountinfo has them."""

from pathlib import Path

import pytest

from nqs_hpc.job import mounts

MOUNTS = """\
22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw
30 22 0:26 / /home rw shared:9 - nfs4 server:/home rw,vers=4.2
31 22 0:27 / /scratch rw shared:10 - lustre 10.0.0.1@o2ib:/scratch rw,flock
32 31 0:28 / /scratch/local\\040disk rw - xfs /dev/nvme0n1 rw
33 22 0:29 / /mnt rw - ext4 /dev/sdb rw
34 33 0:30 / /mnt rw master:2 propagate_from:1 - tmpfs tmpfs rw
"""


@pytest.fixture
def mounted(monkeypatch):
    monkeypatch.setattr(Path, "read_text", lambda self, **_: MOUNTS)
    monkeypatch.setattr(mounts.os.path, "realpath", str)


@pytest.mark.parametrize(
    ("folder", "kind", "shared"),
    [
        ("/tmp/runs", "ext4", False),
        ("/home/a/runs", "nfs4", True),
        ("/homestead", "ext4", False),
        ("/scratch/runs", "lustre", True),
        ("/scratch/local disk/runs", "xfs", False),
        ("/mnt/x", "tmpfs", False),
    ],
)
def test_the_nearest_mount_counts(mounted, folder, kind, shared):
    assert mounts.file_system(Path(folder)) == kind and mounts.shared(Path(folder)) is shared


def test_this_machine_has_one(tmp_path):
    assert mounts.file_system(tmp_path / "not" / "there") == mounts.file_system(tmp_path) != "unknown"
