"""The cluster that all tests of this folder share."""

import os
import shutil
import tempfile
from pathlib import Path

import pytest

from tests.slurm.cluster import Cluster


@pytest.fixture(scope="session")
def cluster():
    missing = [tool for tool in ("munged", "slurmctld", "slurmd", "srun") if shutil.which(tool) is None]
    assert not missing, f"{', '.join(missing)} missing: apt-get install slurm-wlm munge (`make test-slurm` does)"
    assert os.getuid() == 0, "the cluster of these tests is started as root"
    folder = Path(tempfile.mkdtemp(prefix="slurm-"))
    started = Cluster(folder)
    try:
        yield started
    finally:
        started.stop()
        shutil.rmtree(folder)
