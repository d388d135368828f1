"""What file system a folder is on, and whether several hosts can have it at once."""

from __future__ import annotations

import os
import re
from pathlib import Path

# Local to one host: another host sees another folder under the same path.
LOCAL = {"bcachefs", "btrfs", "ext2", "ext3", "ext4", "f2fs", "overlay", "ramfs", "tmpfs", "xfs", "zfs"}


def file_system(folder: Path) -> str:
    """The type of the file system that holds ``folder`` (ext4, nfs4, lustre, ...); "unknown" if Linux does not say.

    ``folder`` need not exist: its nearest existing parent counts.
    """
    place = os.path.realpath(folder)
    best, kind = -1, "unknown"
    try:
        text = Path("/proc/self/mountinfo").read_text(encoding="utf-8", errors="surrogateescape")
    except OSError:
        return kind
    for line in text.splitlines():
        before, _, after = line.partition(" - ")
        if not after:
            continue
        # spaces and the like are written as \\040; of two mounts at one place the later one is visible
        mount = re.sub(r"\\([0-7]{3})", lambda found: chr(int(found[1], 8)), before.split(" ")[4])
        inside = place == mount or place.startswith(mount.rstrip("/") + "/")
        if inside and len(mount) >= best:
            best, kind = len(mount), after.split(" ")[0]
    return kind


def shared(folder: Path) -> bool:
    """Whether other hosts may see ``folder`` too: true for all file systems not known to be local."""
    return file_system(folder) not in LOCAL
