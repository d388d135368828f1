"""What launchers set, judged by the launchers: their variables are gone, and those of users stay."""

import os
import subprocess
import sys

import pytest

from nqs_hpc.parallel.launchers import LAUNCHERS, without_launcher
from tests.mpi.starts import mpiexec

# Of a rank, as each launcher has set them beside what users set: Open MPI 4 and 5, srun of Slurm 23.
OPEN_MPI_4 = """
    OMPI_APP_CTX_NUM_PROCS OMPI_ARGV OMPI_COMMAND OMPI_COMM_WORLD_LOCAL_RANK OMPI_COMM_WORLD_LOCAL_SIZE
    OMPI_COMM_WORLD_NODE_RANK OMPI_COMM_WORLD_RANK OMPI_COMM_WORLD_SIZE OMPI_FILE_LOCATION OMPI_FIRST_RANKS
    OMPI_MCA_ess OMPI_MCA_orte_app_num OMPI_MCA_orte_ess_node_rank OMPI_MCA_orte_ess_num_procs OMPI_MCA_orte_hnp_uri
    OMPI_MCA_orte_jobfam_session_dir OMPI_MCA_orte_launch OMPI_MCA_orte_local_daemon_uri OMPI_MCA_orte_top_session_dir
    OMPI_NUM_APP_CTX OMPI_UNIVERSE_SIZE PMIX_ID PMIX_NAMESPACE PMIX_RANK PMIX_SERVER_URI2 PMIX_SERVER_URI3
"""
OPEN_MPI_5 = "OMPI_COMM_WORLD_RANK OMPI_COMM_WORLD_SIZE OMPI_UNIVERSE_SIZE PMIX_RANK PMIX_SERVER_URI41 PRTE_LAUNCHED"
SRUN = """
    PMI_RANK PMI_SIZE PMI_FD SLURM_GTIDS SLURM_LOCALID SLURM_NODEID SLURM_PROCID SLURM_STEPID SLURM_STEP_ID
    SLURM_STEP_NODELIST SLURM_STEP_NUM_NODES SLURM_STEP_NUM_TASKS SLURM_STEP_TASKS_PER_NODE SLURM_TASK_PID
"""
USER = """
    PATH HYDRA_IFACE HYDRA_FULL_ERROR OMPI_ALLOW_RUN_AS_ROOT OMPI_MCA_btl OMPI_MCA_rmaps_base_oversubscribe
    PRTE_MCA_rmaps_default_mapping_policy SLURM_JOB_ID SLURM_CPUS_PER_TASK SLURM_CONF MPI4JAX_SKIP_ABI_CHECK
"""


@pytest.mark.parametrize("launcher", [OPEN_MPI_4, OPEN_MPI_5, SRUN])
def test_what_a_launcher_sets_is_removed(launcher):
    kept = dict.fromkeys(USER.split(), "1")
    assert without_launcher(kept | dict.fromkeys(launcher.split(), "1")) == kept


def test_what_tells_the_number_of_ranks_is_removed():
    assert without_launcher({name: "1" for pair in LAUNCHERS for name in pair}) == {}


@pytest.mark.mpi
def test_nothing_of_this_mpiexec_is_left():
    """A child that rank 0 would start has the environment of a process that mpiexec has not started."""
    code = "import os; print(*(f'{k}={v}' for k, v in os.environ.items() if '\\n' not in v), sep='\\0')"
    words = [sys.executable, "-c", code]

    def names(command, environment):
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
        return dict(entry.partition("=")[::2] for entry in done.stdout.strip("\n").split("\0"))

    ours = without_launcher(os.environ)
    rank = names([mpiexec(), "-n", "1", *words], ours | {"OMPI_ALLOW_RUN_AS_ROOT": "1"})
    added = rank.keys() - ours.keys()
    assert {name for pair in LAUNCHERS for name in pair} & added
    left = without_launcher(rank).keys() - names(words, ours).keys()
    assert not {name for name in left if name.startswith(("PMI", "MPI_", "HYD", "OMPI_COMM", "OMPI_UNI", "SLURM_"))}
