"""The launchers of a sweep, `hydra/launcher=local` and `slurm`, and its sweeper, as Hydra wants to find them.

They pass the points that Hydra worked out to the task function, which `nqs_hpc.sweep` gives to `hydra.main` and which
knows what a point is. Hydra's own sweeper would compose each point once more and write a file before anything is
checked.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.plugins import Plugins
from hydra.core.utils import JobReturn, JobStatus
from hydra.plugins.launcher import Launcher
from hydra.plugins.sweeper import Sweeper
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig


class _PointsLauncher(Launcher):
    name = ""

    def __init__(self, **settings: Any) -> None:
        self.settings = settings

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        del hydra_context, config
        self.task_function = task_function

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> Sequence[JobReturn]:
        """Start the points; raises ValueError in another application, because its tasks are not jobs of nqs_hpc."""
        del job_overrides, initial_job_idx  # the task function knows them, and expands symmetrize=all
        launch_points = getattr(self.task_function, "launch_points", None)
        if launch_points is None:
            raise ValueError(f"hydra/launcher={self.name} starts only jobs of nqs_hpc: python -m nqs_hpc -m ...")
        return [
            JobReturn(overrides=words, status=JobStatus.COMPLETED, _return_value=state)
            for words, state in launch_points(self.name)
        ]


class LocalLauncher(_PointsLauncher):
    name = "local"


class SlurmLauncher(_PointsLauncher):
    name = "slurm"


class StudySweeper(Sweeper):
    """All combinations at once, because a launcher needs all points of a study."""

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        self.config_loader = hydra_context.config_loader
        self.launcher = Plugins.instance().instantiate_launcher(
            hydra_context=hydra_context, task_function=task_function, config=config
        )

    def sweep(self, arguments: list[str]) -> Sequence[JobReturn]:
        from nqs_hpc.sweep.points import expand

        assert self.launcher is not None  # `setup` made it
        overrides = OverridesParser.create(config_loader=self.config_loader).parse_overrides(arguments)
        return self.launcher.launch(expand(overrides), initial_job_idx=0)
