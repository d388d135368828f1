"""``python -m nqs_hpc submit``: submits one job to Slurm, with a script from the templates in slurm/, at most once.

The input is checked before anything is made. The name of the job follows from its run folder, and the queue is searched
for that name first.
"""

from __future__ import annotations

import sys
from pathlib import Path

from nqs_hpc.cluster.batch import Entry, check_place, job_name, job_script
from nqs_hpc.cluster.site import load_site
from nqs_hpc.config.admission import Answer, refusal
from nqs_hpc.config.compose import compose
from nqs_hpc.config.identity import run_folder
from nqs_hpc.config.usage import help_text
from nqs_hpc.inputs import reading
from nqs_hpc.inputs.checks import InputError, nearest
from nqs_hpc.inputs.reading import harmless
from nqs_hpc.job import files, slurm
from nqs_hpc.job.lifecycle import BAD_INPUT, DONE, FAULT
from nqs_hpc.job.lock import alone

DRY_RUN = "--dry-run"


def submit(words: list[str]) -> int:
    """Submit the job of the overrides ``words``, or print its script with --dry-run; returns the exit code."""
    overrides = [word for word in words if word != DRY_RUN]
    if any(word in ("-h", "--help") for word in words):
        left = Answer(DONE, help_text())
    elif flags := [word for word in overrides if word.startswith("-")]:
        near = nearest(flags[0], [DRY_RUN])
        left = Answer(BAD_INPUT, f"{flags[0]} is not an option of submit; {near}valid: key=value overrides, {DRY_RUN}")
    else:
        left = _submit(overrides, dry_run=DRY_RUN in words)
    print(harmless(left.line), file=sys.stdout if left.code == DONE else sys.stderr, flush=True)
    return left.code


def _submit(overrides: list[str], *, dry_run: bool) -> Answer:
    try:
        config = compose(overrides, None)
        folder = run_folder(config)
        check_place(folder, "run_dir")
        script = job_script(config.resources, load_site(config.resources.site), Entry(folder, overrides))
        if dry_run:
            return Answer(DONE, script.rstrip("\n"))
        if (left := refusal(config, folder)) is not None:
            return left
        made = files.make(folder)
        try:
            # nobody else may submit between our look at the queue and our submission
            with alone(folder / ".submit", wait=True):
                try:
                    return _hand_over(script, folder)
                except BaseException:
                    if made:
                        files.remove(folder / ".submit")
                    raise
        except BaseException:
            files.unmake(made)
            raise
    except InputError as error:
        return Answer(BAD_INPUT, str(error))
    except slurm.NoSlurm as error:
        return Answer(BAD_INPUT, f"not submitted: {error}; submit runs where Slurm's commands are, {DRY_RUN} anywhere")
    except slurm.SlurmError as error:
        return Answer(BAD_INPUT, f"not submitted: {error}")
    except (OSError, ValueError) as error:
        return Answer(FAULT, f"cannot submit: {files.said(error)}")


def _hand_over(script: str, folder: Path) -> Answer:
    if (queued := slurm.job_named(job_name(folder))) is not None:
        job, state = queued
        kept = folder / "job.sbatch"
        if kept.exists() and reading.text(kept, reading.SETTINGS, errors="replace") != script:
            line = f"job {job} is {state} already, with other values than now: scancel {job} to change them"
            return Answer(DONE, f"{line}; {kept}")
        return Answer(DONE, f"job {job} is {state} already: {folder}")
    job = slurm.submit(script, folder)
    files.write(folder / "job.sbatch", script)
    return Answer(DONE, f"submitted job {job}: {folder}")
