"""An opened run: its numbers as arrays, and its wave function.

Files are read when they are first needed, and kept: open the folder again to see new results of a running job. A run
folder contains no code: the configuration is data, checkpoints are arrays. (Only for a network of the user's own a
class is imported, and only if the caller allows it.)
"""

from __future__ import annotations

import io
import json
import warnings
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from nqs_hpc.config.basis import basis_of
from nqs_hpc.config.compose import at_coupling, from_plain
from nqs_hpc.config.identity import differences, physics, to_plain
from nqs_hpc.config.schema import Config
from nqs_hpc.inputs import reading
from nqs_hpc.inputs.checks import show
from nqs_hpc.job import files, log, observables_file
from nqs_hpc.library.pieces import build
from nqs_hpc.library.tables import columns, frame, spread

if TYPE_CHECKING:
    import pandas
    from numpy.typing import ArrayLike

    from nqs_hpc.job.checkpoint import Stored
    from nqs_hpc.job.observables_file import Kept
    from nqs_hpc.library.wave import Expectation, Measured, Wave
    from nqs_hpc.parts import Parts
    from nqs_hpc.types import Tree


def load_run(
    folder: str | Path,
    step: int | None = None,
    *,
    coupling: Mapping[str, Any] | None = None,
    allow_import: bool = False,
    ranks: bool = False,
) -> Run:
    """The run in ``folder``, finished or not; ``step`` picks one of its checkpoints instead of the newest.

    ``coupling``: for a network with couplings of the Hamiltonian as inputs the wave function at these couplings,
    ``{"h": 0.6}``, whether it was trained there or not; the expectation value of None is then that of the Hamiltonian
    at these couplings. A run of several couplings has no wave function without it.

    ``allow_import``: whether the wave function of a run with ansatz=flax or equinox may import the module that the
    folder names, which runs its code. ``ranks``: in a script under mpiexec or srun, where all ranks make the same
    calls, `expect` and `measure` divide the chains between the ranks and return the same on each.

    Raises ValueError, one line, if there is no run, its config.yaml cannot be read, or it has no such checkpoint or
    couplings.
    """
    place = Path(folder)
    path = place / "config.yaml"
    if not path.is_file():
        what = "has no config.yaml" if place.is_dir() else "is not a folder" if place.exists() else "does not exist"
        raise ValueError(f"{reading.printable(str(place), 1000)} {what}; valid: the folder of a run that has started")
    run = Run(place, read_config(path), step, coupling=coupling, allow_import=allow_import, ranks=ranks)
    if step is not None:
        run.checkpoint  # noqa: B018 - a step without a checkpoint raises here, not later
    return run


def read_config(path: Path) -> Config:
    """The configuration of a run in config.yaml; ValueError, one line, if it is damaged."""
    try:
        plain = reading.parse_yaml(reading.data(path, reading.SETTINGS))
        if not isinstance(plain, dict):
            raise ValueError("no keys")
        return from_plain(plain)
    except (OSError, ValueError) as error:
        why = reading.printable(str(error), 300)
        raise ValueError(f"{reading.printable(str(path), 1000)} is not the configuration of a run: {why}") from None


class Run:
    """A run folder; what `load_run` returns."""

    def __init__(
        self,
        folder: Path,
        config: Config,
        step: int | None,
        *,
        coupling: Mapping[str, Any] | None = None,
        allow_import: bool = False,
        ranks: bool = False,
    ) -> None:
        self.folder, self.config, self._step, self._allow_import = folder, config, step, allow_import
        self.coupling = None if coupling is None else dict(coupling)  # the inputs of its network
        # the data of its wave function
        self._at = config if coupling is None else at_coupling(config, coupling)
        self._ranks = ranks

    def __repr__(self) -> str:
        return f"Run({str(self.folder)!r})"

    @cached_property
    def metrics(self) -> dict[str, np.ndarray]:
        """The columns of metrics.jsonl by name, (steps,) each: ``step`` whole numbers, ``rejected`` booleans, all
        others float64 with NaN for null. Entry k is the energy before update k + 1. For several couplings ``energy`` is
        the mean, and ``energies_0``, ``energies_1``, … are the single energies.
        """
        return columns(spread(log.read(self.folder / "metrics.jsonl")), first=("step",))

    @cached_property
    def results(self) -> dict[str, Kept]:
        """The observables of the run, from observables.h5: by name, LABEL or LABEL.OUTPUT, each with value, error,
        unit, label and axes. In a trajectory time is the first axis: ``axes["time"]`` (T,), ``value`` (T, ...), and the
        energy is included. ValueError if nothing has been measured yet.
        """
        if not (path := self.folder / observables_file.NAME).exists():
            raise ValueError(f"{path} does not exist: this run has measured no observables so far")
        return observables_file.load(path)

    def dataframe(self) -> pandas.DataFrame:
        """``metrics`` as a pandas DataFrame, one row per step; ValueError if pandas is missing."""
        return frame(self.metrics)

    @cached_property
    def summary(self) -> dict[str, Any]:
        """The content of summary.json; ValueError if there is none yet, or it is broken."""
        path = self.folder / "summary.json"
        if not path.exists():
            raise ValueError(f"{path} does not exist: a run writes it at its first step")
        return read_summary(path)

    @cached_property
    def parts(self) -> Parts:
        """The parts of the run: lattice, operator, ansatz, sampler, …"""
        from nqs_hpc.parts import Plan

        used = [self.config.ansatz, *(wave.ansatz for _, wave in self.config.task.others())]
        named = [ansatz for ansatz in used if ansatz.runs_code]
        if named and not self._allow_import:
            module = getattr(named[0], "module", named[0].name)
            raise ValueError(
                f"{self.folder} names {module}: valid: load_run(..., allow_import=True), which runs its code"
            )
        return build(self._at, Plan(**self.checkpoint.meta["plan"]), ranks=self._ranks)

    @cached_property
    def checkpoint(self) -> Stored:
        """The arrays of the checkpoint with the parameters. Damaged checkpoints are skipped with a warning."""
        from nqs_hpc.job import checkpoint
        from nqs_hpc.parts.plan import described

        found = checkpoint.steps(self.folder)
        if self._step is not None and self._step not in found:
            valid = ", ".join(map(str, found)) or "none: there is no checkpoint"
            raise ValueError(f"step={show(self._step)} is not valid; valid in {self.folder}: {valid}")
        stored = checkpoint.read(self.folder if self._step is None else found[self._step])
        for message in stored.messages:
            warnings.warn(message, stacklevel=3)
        if not described(stored.meta) or "step" not in stored.leaves:
            raise ValueError(f"{stored.path} is not the checkpoint of a run: its description is missing")
        if changed := differences(stored.meta["physics"], physics(self.config)):
            raise ValueError(
                f"{stored.path} was written with other physics than config.yaml says: {'; '.join(changed)}"
            )
        return stored

    @property
    def step(self) -> int:
        """The number of updates before ``params``."""
        return int(self.checkpoint.leaves["step"])

    @property
    def origin(self) -> str:
        """Where ``params`` come from, in words."""
        which = "parameters" if self.config.optimizer.average is None else "running mean of the parameters"
        where = "".join(f", {name}={show(x)}" for name, x in (self.coupling or {}).items())
        return f"{which} after {self.step} updates, {self.checkpoint.path.name}{where}"

    @cached_property
    def params(self) -> Tree:
        """The parameters of the ansatz, as in a final evaluation after this checkpoint: with ``optimizer.average`` the
        running mean.
        """
        from nqs_hpc.parts.stored import final_parameters

        return final_parameters(self.checkpoint, self.parts.ansatz)

    def log_psi(self, s: ArrayLike) -> np.ndarray:
        """log ψ, not normalised, of spins s (..., N), each +1 or -1: (...), float64, or complex128 if ψ can be negative
        or complex. In the physical basis, including the signs of Marshall's rule or of another gauge; -inf outside of
        the run's sector. Raises ValueError for anything but configurations.
        """
        return self._wave.log_psi(s)

    def sample(self, n: int, *, seed: int = 0) -> np.ndarray:
        """n configurations (n, N) int8 from |ψ|², each with weight 1/n, by the run's sampler with fresh chains and the
        run's warm-up. Neighbouring samples come from different chains, so the first ``sampler.n_chains`` are
        independent. The same ``seed`` gives the same samples; a smaller n gives the first ones of a larger n.
        """
        return self._wave.sample(n, seed=seed)

    def expect(
        self, operator: Any = None, *, n_samples: int | None = None, seed: int = 0, marshall: bool | None = None
    ) -> Expectation:
        """The expectation value of an operator with its error, from fresh chains: mean, error, variance, r_hat, tau.

        ``operator``: Pauli strings as lines, ``["0.5 Z0", "0.5 Z1"]``; a Hamiltonian as in the configuration,
        ``{"name": "pauli", "terms": [...]}``; an Operator of one of the factories; None for the run's Hamiltonian.
        Elements that lead out of the run's sector count as 0, because ψ vanishes there. ``n_samples``:
        task.final_samples if None; rounded up to whole calls of the sampler. ``marshall``: with an Operator, in a run
        with Marshall's rule or another gauge, whether its elements contain these signs, as those of `build` do. Raises
        ValueError, one line.
        """
        return self._wave.expect(operator, n_samples=n_samples, seed=seed, marshall=marshall)

    def measure(self, observables: Any, *, n_samples: int | None = None, seed: int = 0) -> dict[str, Measured]:
        """Measure as task=evaluate: results by name, LABEL or LABEL.OUTPUT, each with value, error, unit and axes.

        ``observables`` as in the configuration: ``["total_spin", "spin_correlations"]``, or ``{"zz": {"name": "pauli",
        "terms": ["1.0 Z0 Z3"]}}``. All use the same samples, and sums of Pauli strings share the ratios of ψ.
        ``n_samples`` and ``seed`` as in `expect`. Raises ValueError, one line.
        """
        return self._wave.measure(observables, n_samples=n_samples, seed=seed)

    def export(self, path: str | Path) -> Path:
        """Write an .npz file that NumPy reads without this package and without pickle: ``params/NAME``,
        ``metrics/NAME``, the texts ``config`` (JSON) and ``origin``, and with Marshall's rule or another gauge
        ``marshall_signs`` (N,), -1 where ψ changes sign with the spin. FILE.safetensors gets only the parameters, and
        FILE.yaml beside it the configuration (`parts.exported`). Returns the path.
        """
        from nqs_hpc.job.checkpoint import names
        from nqs_hpc.parts import exported

        if Path(path).suffix == exported.SUFFIX:
            exported.write(Path(path), self.config, self.checkpoint, self.origin)
            return Path(path)
        arrays = {f"params/{name}": np.asarray(leaf) for name, leaf in names(self.params).items()}
        arrays |= {f"metrics/{name}": column for name, column in self.metrics.items()}
        arrays |= {"config": np.array(json.dumps(to_plain(self.config))), "origin": np.array(self.origin)}
        if (signs_N := basis_of(self._at, self.parts.lattice).signs_N) is not None:
            arrays["marshall_signs"] = signs_N
        image = io.BytesIO()
        assert not any(array.dtype.hasobject for array in arrays.values())  # NumPy would pickle them
        np.savez(image, **arrays)  # type: ignore[arg-type]
        files.write(Path(path), image.getvalue())
        return Path(path)

    @cached_property
    def _wave(self) -> Wave:
        if swept := self._at.task.swept:
            told = ", ".join(f"{name!r}: VALUE" for name in swept)
            raise ValueError(f"{self.folder} is a run of several couplings: valid: load_run(..., coupling={{{told}}})")
        parts = self.parts  # first, because it switches on 64-bit numbers
        from nqs_hpc.library.wave import wave_function
        from nqs_hpc.parts.stored import learnt_chains

        return wave_function(self._at, parts, self.params, learnt_chains(self.checkpoint, parts.sampler))


def read_summary(path: Path) -> dict[str, Any]:
    """The content of a summary.json; ValueError, one line, if it is broken."""
    found = files.read_json(path)
    if not isinstance(found, dict):
        raise ValueError(f"{path} is not the summary of a run")
    return found
