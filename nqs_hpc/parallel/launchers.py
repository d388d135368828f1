"""Environment variables that launchers of ranks set: one list, to read them or to hide them from a child process.

A child process that inherits these variables takes itself for a rank of its parent's job: in MPI_Init it waits for
ranks that never come, or it binds itself to cores of others. Users' settings for an MPI (HYDRA_IFACE, OMPI_MCA_btl,
OMPI_ALLOW_…) are not among them.
"""

from __future__ import annotations

from collections.abc import Mapping

# The number of ranks and the number of this one; the innermost launcher first.
LAUNCHERS = (
    ("PMI_SIZE", "PMI_RANK"),  # Hydra, the mpiexec of MPICH and Intel MPI; srun with --mpi=pmi2
    ("OMPI_COMM_WORLD_SIZE", "OMPI_COMM_WORLD_RANK"),  # Open MPI
    ("SLURM_STEP_NUM_TASKS", "SLURM_PROCID"),  # srun
)
PREFIXES = (
    *("PMI_", "PMIX_", "MPI_LOCAL", "HYDI_"),
    *("OMPI_COMM_", "OMPI_UNIVERSE_", "OMPI_APP_", "OMPI_MCA_orte_ess_"),
    "SLURM_STEP_",
)
NAMES = frozenset(
    {
        *("OMPI_ARGV", "OMPI_COMMAND", "OMPI_FIRST_RANKS", "OMPI_NUM_APP_CTX", "OMPI_FILE_LOCATION"),
        # addresses of the daemons of Open MPI 4
        *("OMPI_MCA_ess", "OMPI_MCA_orte_hnp_uri", "OMPI_MCA_orte_local_daemon_uri", "OMPI_MCA_orte_app_num"),
        *("OMPI_MCA_orte_jobfam_session_dir", "OMPI_MCA_orte_top_session_dir", "OMPI_MCA_orte_launch"),
        "PRTE_LAUNCHED",
        *("SLURM_PROCID", "SLURM_LOCALID", "SLURM_NODEID", "SLURM_STEPID", "SLURM_GTIDS", "SLURM_TASK_PID"),
    }
)


def without_launcher(environment: Mapping[str, str]) -> dict[str, str]:
    """``environment`` without the variables of launchers."""
    return {name: value for name, value in environment.items() if not name.startswith(PREFIXES) and name not in NAMES}
